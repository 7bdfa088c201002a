// bench(): the kernels' speed and this machine's peaks, for `lsp bench`. Runs on the worker of direct kernel
// calls, so that such calls wait instead of disturbing the measurement.
#include "bench/bench.h"

#include <mutex>
#include <utility>

#include "addon/convert.h"
#include "addon/objects.h"
#include "bench/profile.h"
#include "core/error.h"

namespace lsp::addon {

namespace {

// What JavaScript has not been told yet.
struct News {
  std::mutex mutex;
  std::vector<bench::Measurement> measurements;
  std::vector<bench::Peak> peaks;  // the first, once
};

// [T, K, N]
bench::Product to_product(const Napi::Value& value, const std::string& name) {
  const std::vector<int64_t> sizes = to_list(value, name, [](const Napi::Value& v, const std::string& n) {
    return to_integer(v, n, 1, int64_t{1} << 24);
  });
  LSP_CHECK(sizes.size() == 3, "INVALID_ARGUMENT",
            "Expected 3 sizes for `" + name + "` but received " + std::to_string(sizes.size()) + ".");
  return {sizes[0], sizes[1], sizes[2]};
}

bench::Options to_options(const Napi::Value& value) {
  const Napi::Object object = to_object(value, "options");
  const auto integer = [&](const Napi::Object& from, const std::string& path, const char* key) {
    return to_integer(from.Get(key), path + key, 1, int64_t{1} << 24);
  };
  const Napi::Object geometry = to_object(object.Get("geometry"), "options.geometry");
  const std::string path = "options.geometry.";
  bench::Options options;
  options.geometry = {integer(geometry, path, "hiddenSize"), integer(geometry, path, "intermediateSize"),
                      integer(geometry, path, "numHeads"),   integer(geometry, path, "numKeyValueHeads"),
                      integer(geometry, path, "headSize"),   integer(geometry, path, "vocabSize")};
  options.ops = to_list(object.Get("ops"), "options.ops", to_string);
  options.rows = to_list(object.Get("rows"), "options.rows", [](const Napi::Value& v, const std::string& n) {
    return to_integer(v, n, 1, int64_t{1} << 24);
  });
  options.products = to_list(object.Get("products"), "options.products", to_product);
  options.threads = static_cast<int>(to_integer(object.Get("threads"), "options.threads", 1, 256));
  options.seconds_per_case = to_number(object.Get("secondsPerCase"), "options.secondsPerCase", 0.0, 60.0);
  check(options);
  return options;
}

Napi::Value from_peak(Napi::Env env, const bench::Peak& peak) {
  const Napi::Object object = Napi::Object::New(env), flops = Napi::Object::New(env);
  for (int i = 0; i < bench::kArithmetics; ++i)
    flops.Set(name_of(static_cast<bench::Arithmetic>(i)), Napi::Number::New(env, peak.flops[i]));
  object.Set("flops", flops);
  object.Set("bytes", Napi::Number::New(env, peak.bytes));
  object.Set("copyBytes", Napi::Number::New(env, peak.copy_bytes));
  return object;
}

Napi::Value from_measurement(Napi::Env env, const bench::Measurement& measurement) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("op", Napi::String::New(env, measurement.op));
  object.Set("name", Napi::String::New(env, measurement.name));
  object.Set("arithmetic", Napi::String::New(env, name_of(measurement.arithmetic)));
  object.Set("seconds", Napi::Number::New(env, measurement.seconds));
  object.Set("flops", Napi::Number::New(env, measurement.flops));
  object.Set("bytes", Napi::Number::New(env, measurement.bytes));
  return object;
}

// Calls onPeak once and onMeasurement for each case, on the JavaScript thread.
std::function<void(Napi::Env)> deliver(const Napi::Value& on_peak, const Napi::Value& on_measurement,
                                       const std::shared_ptr<News>& news) {
  if (!on_peak.IsFunction()) reject_value("a function", "options.onPeak", on_peak);
  if (!on_measurement.IsFunction()) reject_value("a function", "options.onMeasurement", on_measurement);
  const auto keep = [](const Napi::Value& function) {
    return std::make_shared<Napi::FunctionReference>(Napi::Persistent(function.As<Napi::Function>()));
  };
  return [peak_function = keep(on_peak), measurement_function = keep(on_measurement), news](Napi::Env env) {
    std::vector<bench::Measurement> measurements;
    std::vector<bench::Peak> peaks;
    {
      const std::lock_guard<std::mutex> lock(news->mutex);
      measurements.swap(news->measurements);
      peaks.swap(news->peaks);
    }
    for (const bench::Peak& peak : peaks) peak_function->Call({from_peak(env, peak)});
    for (const bench::Measurement& measurement : measurements)
      measurement_function->Call({from_measurement(env, measurement)});
  };
}

Napi::Value run_bench(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const Napi::Env env = info.Env();
    const bench::Options options = to_options(info[0]);
    const std::shared_ptr<Operation> operation = to_operation(info[1], "handle");
    EnvironmentData* data = env.GetInstanceData<EnvironmentData>();
    if (data->kernel_worker == nullptr) data->kernel_worker = Worker::create(env);
    const auto news = std::make_shared<News>();
    const auto peaks = std::make_shared<bench::Peaks>();
    auto job = std::make_unique<Job>();
    const Napi::Object object = info[0].As<Napi::Object>();
    job->progress = deliver(object.Get("onPeak"), object.Get("onMeasurement"), news);
    job->operation = operation;
    // A plain pointer: the job under way belongs to this worker.
    job->work = [options, operation, news, peaks, worker = data->kernel_worker.get()] {
      const auto tell = [&](auto& list, const auto& item) {
        {
          const std::lock_guard<std::mutex> lock(news->mutex);
          list.push_back(item);
        }
        worker->notify();
      };
      *peaks = bench::run(
          options, *operation, [&](const bench::Peak& peak) { tell(news->peaks, peak); },
          [&](const bench::Measurement& measurement) { tell(news->measurements, measurement); });
    };
    job->result = [peaks](Napi::Env e) -> Napi::Value { return from_peak(e, peaks->after); };
    return data->kernel_worker->submit(std::move(job));
  });
}

Napi::Value ops(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return from_strings(info.Env(), bench::ops()); });
}

Napi::Value time_kernels(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    EnvironmentData* data = info.Env().GetInstanceData<EnvironmentData>();
    data->times_kernels = to_bool(info[0], "timed");
    return info.Env().Undefined();
  });
}

Napi::Value kernel_times(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::vector<bench::KernelTime> times = bench::kernel_times();
    const Napi::Array array = Napi::Array::New(env, times.size());
    for (size_t i = 0; i < times.size(); ++i) {
      const Napi::Object object = Napi::Object::New(env);
      object.Set("name", Napi::String::New(env, times[i].name));
      object.Set("calls", Napi::Number::New(env, static_cast<double>(times[i].calls)));
      object.Set("seconds", Napi::Number::New(env, times[i].seconds));
      object.Set("flops", Napi::Number::New(env, times[i].operations));
      object.Set("bytes", Napi::Number::New(env, times[i].bytes));
      array.Set(static_cast<uint32_t>(i), object);
    }
    return array;
  });
}

}  // namespace

Napi::Object define_bench(Napi::Env env) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("run", Napi::Function::New<run_bench>(env, "run"));
  object.Set("ops", Napi::Function::New<ops>(env, "ops"));
  object.Set("timeKernels", Napi::Function::New<time_kernels>(env, "timeKernels"));
  object.Set("kernelTimes", Napi::Function::New<kernel_times>(env, "kernelTimes"));
  return object;
}

}  // namespace lsp::addon
