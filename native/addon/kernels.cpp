// Single kernels on plain arrays. A worker per environment runs them; each call has an execution context of
// its own, so nothing stays behind.
#include "kernels/dispatch.h"

#include <algorithm>
#include <thread>

#include "addon/convert.h"
#include "addon/objects.h"
#include "core/buffer.h"
#include "model/parameters.h"

namespace lsp::addon {

namespace {

// Sizes small enough that no product of two overflows.
constexpr int64_t kMostSize = int64_t{1} << 30;

int64_t size_of(const Napi::Value& sizes, const char* key) {
  return to_integer(to_object(sizes, "sizes").Get(key), std::string("sizes.") + key, 1, kMostSize);
}

void check_length(size_t actual, int64_t expected, const char* name) {
  LSP_CHECK(static_cast<int64_t>(actual) == expected, "INVALID_ARGUMENT",
            "Expected " + std::to_string(expected) + " values for `" + name + "` but received " +
                std::to_string(actual) + ".");
}

// Row-major (rows, columns) in the layout kernels read.
Buffer packed(const std::vector<float>& values, int64_t rows, int64_t columns) {
  const ParameterSpec spec{"", rows, columns, 0};
  Buffer stored(spec.stored_floats());
  pack_parameter(spec, values.data(), stored.data());
  return stored;
}

template <class Work, class Convert>
Napi::Value submit(Napi::Env env, Work work, Convert convert) {
  using Result = std::invoke_result_t<Work&, Exec&, const Kernels&>;
  // Chosen here, on the JavaScript thread, which alone may change the environment.
  const Kernels* kernels = &active_kernels();
  EnvironmentData* data = env.GetInstanceData<EnvironmentData>();
  if (data->kernel_worker == nullptr) data->kernel_worker = Worker::create(env);
  const auto result = std::make_shared<std::optional<Result>>();
  auto job = std::make_unique<Job>();
  job->work = [result, kernels, work = std::move(work)]() mutable {
    Exec exec(static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 256u)));
    result->emplace(work(exec, *kernels));
  };
  job->result = [result, convert](Napi::Env e) -> Napi::Value { return convert(e, **result); };
  return data->kernel_worker->submit(std::move(job));
}

Napi::Value linear(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const int64_t rows = size_of(info[2], "rows"), inputs = size_of(info[2], "inputs"),
                  outputs = size_of(info[2], "outputs");
    std::vector<float> x = to_floats(info[0], "x"), weight = to_floats(info[1], "weight");
    check_length(x.size(), rows * inputs, "x");
    check_length(weight.size(), outputs * inputs, "weight");
    return submit(
        info.Env(),
        [=, x = std::move(x), weight = std::move(weight)](Exec& exec, const Kernels& kernels) {
          const Buffer panels = packed(weight, outputs, inputs);
          std::vector<float> y(static_cast<size_t>(rows * outputs));
          const LinearPart part{panels.data(), outputs, y.data(), outputs};
          kernels.linear->forward(exec, {&part, 1, x.data(), inputs, rows, inputs});
          return y;
        },
        from_floats);
  });
}

Napi::Value rms_norm(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const int64_t rows = size_of(info[2], "rows"), columns = size_of(info[2], "columns");
    const double eps = to_number(to_object(info[2], "sizes").Get("eps"), "sizes.eps", 0.0, 1.0);
    std::vector<float> x = to_floats(info[0], "x"), weight = to_floats(info[1], "weight");
    check_length(x.size(), rows * columns, "x");
    check_length(weight.size(), columns, "weight");
    return submit(
        info.Env(),
        [=, x = std::move(x), weight = std::move(weight)](Exec& exec, const Kernels& kernels) {
          std::vector<float> y(x.size());
          kernels.rmsnorm->forward(exec, {y.data(), nullptr, nullptr, x.data(), nullptr, weight.data(), rows,
                                          columns, static_cast<float>(eps)});
          return y;
        },
        from_floats);
  });
}

Napi::Value swiglu(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    std::vector<float> gate = to_floats(info[0], "gate"), up = to_floats(info[1], "up");
    check_length(up.size(), static_cast<int64_t>(gate.size()), "up");
    return submit(
        info.Env(),
        [gate = std::move(gate), up = std::move(up)](Exec& exec, const Kernels& kernels) {
          std::vector<float> y(gate.size());
          kernels.swiglu->forward(exec,
                                  {y.data(), gate.data(), up.data(), static_cast<int64_t>(gate.size())});
          return y;
        },
        from_floats);
  });
}

struct Scores {
  std::vector<float> logprobs, entropies;
};

Napi::Value from_kernel_scores(Napi::Env env, const Scores& scores) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("logprobs", from_floats(env, scores.logprobs));
  object.Set("entropies", from_floats(env, scores.entropies));
  return object;
}

Napi::Value logprob(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const int64_t rows = size_of(info[3], "rows"), columns = size_of(info[3], "columns"),
                  vocab = size_of(info[3], "vocab");
    std::vector<float> hidden = to_floats(info[0], "hidden"), weight = to_floats(info[1], "weight");
    std::vector<int32_t> targets = to_int32s(info[2], "targets");
    check_length(hidden.size(), rows * columns, "hidden");
    check_length(weight.size(), vocab * columns, "weight");
    check_length(targets.size(), rows, "targets");
    for (const int32_t target : targets) {
      LSP_CHECK(target >= 0 && target < vocab, "INVALID_ARGUMENT",
                "Expected ids below " + std::to_string(vocab) + " in `targets` but received " +
                    std::to_string(target) + ".");
    }
    return submit(
        info.Env(),
        [=, hidden = std::move(hidden), weight = std::move(weight), targets = std::move(targets)](
            Exec& exec, const Kernels& kernels) {
          const Buffer panels = packed(weight, vocab, columns);
          Scores scores{std::vector<float>(targets.size()), std::vector<float>(targets.size())};
          kernels.logprob->forward(
              exec, {scores.logprobs.data(), nullptr, scores.entropies.data(), nullptr, hidden.data(),
                     panels.data(), targets.data(), rows, columns, vocab, 1.0f});
          return scores;
        },
        from_kernel_scores);
  });
}

}  // namespace

Napi::Object define_kernels(Napi::Env env) {
  const Napi::Object kernels = Napi::Object::New(env);
  kernels.Set("linear", Napi::Function::New<linear>(env, "linear"));
  kernels.Set("rmsNorm", Napi::Function::New<rms_norm>(env, "rmsNorm"));
  kernels.Set("swiglu", Napi::Function::New<swiglu>(env, "swiglu"));
  kernels.Set("logprob", Napi::Function::New<logprob>(env, "logprob"));
  return kernels;
}

}  // namespace lsp::addon
