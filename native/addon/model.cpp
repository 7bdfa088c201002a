// Model: weights and inference. Each method converts its arguments, queues a job, and returns the promise.
#include "model/model.h"

#include <mutex>

#include "addon/convert.h"
#include "addon/objects.h"
#include "bench/profile.h"
#include "model/scoring.h"

namespace lsp::addon {

namespace {

constexpr napi_type_tag kModelTag = {0x5c0de1a9b7f34e6aULL, 0x8e3f2d6b9c1a4075ULL};

// Tokens on their way from the worker to `onTokens`. The worker never waits for JavaScript: it appends, and
// JavaScript takes what has come together since the last call.
struct TokenStream {
  std::mutex mutex;
  std::vector<int32_t> sequences, tokens;

  void append(const std::vector<int32_t>& more_sequences, const std::vector<int32_t>& more_tokens) {
    const std::lock_guard<std::mutex> lock(mutex);
    sequences.insert(sequences.end(), more_sequences.begin(), more_sequences.end());
    tokens.insert(tokens.end(), more_tokens.begin(), more_tokens.end());
  }
  std::pair<std::vector<int32_t>, std::vector<int32_t>> take() {
    const std::lock_guard<std::mutex> lock(mutex);
    return {std::exchange(sequences, {}), std::exchange(tokens, {})};
  }
};

Napi::Value from_completions(Napi::Env env, const std::vector<Completion>& completions) {
  const Napi::Array array = Napi::Array::New(env, completions.size());
  for (size_t i = 0; i < completions.size(); ++i) {
    const Napi::HandleScope scope(env);
    const Completion& completion = completions[i];
    const Napi::Object object = Napi::Object::New(env);
    object.Set("tokens", from_int32s(env, completion.tokens));
    object.Set("logprobs", from_floats(env, completion.logprobs));
    object.Set("entropies", from_floats(env, completion.entropies));
    if (!completion.sampled_logprobs.empty())
      object.Set("sampledLogprobs", from_floats(env, completion.sampled_logprobs));
    object.Set("finishReason", completion.reason == FinishReason::eos    ? "eos"
                               : completion.reason == FinishReason::stop ? "stop"
                                                                         : "length");
    array.Set(static_cast<uint32_t>(i), object);
  }
  return array;
}

Napi::Value from_scores(Napi::Env env, const std::vector<SequenceScores>& scores) {
  const Napi::Array logprobs = Napi::Array::New(env, scores.size());
  const Napi::Array entropies = Napi::Array::New(env, scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    const Napi::HandleScope scope(env);
    logprobs.Set(static_cast<uint32_t>(i), from_floats(env, scores[i].logprobs));
    entropies.Set(static_cast<uint32_t>(i), from_floats(env, scores[i].entropies));
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("logprobs", logprobs);
  object.Set("entropies", entropies);
  return object;
}

std::shared_ptr<Session> make_session(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  EnvironmentData* data = env.GetInstanceData<EnvironmentData>();
  return guarded(env, [&] {
    std::unique_ptr<Model> model = std::move(data->adopted);
    if (model == nullptr) {
      const ModelConfig config = to_config(info[0], "config");
      const Napi::Object options = to_object(info[1], "options");
      const int64_t threads = to_integer(options.Get("threads"), "options.threads", 1, 256);
      const WeightType weights = to_weight_type(options.Get("weights"), "options.weights");
      const Compute compute = to_compute(options.Get("compute"), "options.compute");
      model = std::make_unique<Model>(config, static_cast<int>(threads), weights, compute,
                                      data->times_kernels ? bench::timed_kernels() : active_kernels());
    }
    return std::make_shared<Session>(env, std::move(model));
  });
}

class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  explicit ModelObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ModelObject>(info), session_(make_session(info)) {
    info.This().As<Napi::Object>().TypeTag(&kModelTag);
  }
  const std::shared_ptr<Session>& session() const { return session_; }

  Napi::Value load_tensors(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      return session_->submit(
          to_operation(info[1], "handle"),
          [tensors = to_locations(info[0], "tensors"),
           operation = to_operation(info[1], "handle")](Model& model) { model.load(tensors, *operation); });
    });
  }

  Napi::Value missing_tensors(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      session_->check_usable();
      const int own = session_->parameters()->own_count();
      return names(info.Env(), [&](int i) { return i < own && !session_->is_loaded(i); });
    });
  }

  Napi::Value parameter_names(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      session_->check_usable();
      return names(info.Env(), [](int) { return true; });
    });
  }

  Napi::Value trained_names(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<const ParameterList> parameters = session_->parameters();
      return names(info.Env(), [&](int i) { return parameters->trains(i); });
    });
  }

  Napi::Value parameter_shape(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      session_->check_usable();
      const std::shared_ptr<const ParameterList> parameters = session_->parameters();
      const std::vector<int64_t> shape = (*parameters)[parameters->find(to_string(info[0], "name"))].shape();
      const Napi::Array array = Napi::Array::New(info.Env(), shape.size());
      for (size_t i = 0; i < shape.size(); ++i) {
        array.Set(static_cast<uint32_t>(i), Napi::Number::New(info.Env(), static_cast<double>(shape[i])));
      }
      return array;
    });
  }

  Napi::Value read_tensor(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      return session_->submit(
          nullptr,
          [name = to_string(info[0], "name")](Model& model) {
            return model.read(model.parameters().find(name));
          },
          from_floats);
    });
  }

  Napi::Value write_tensor(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      return session_->submit(
          nullptr, [name = to_string(info[0], "name"), values = to_floats(info[1], "values")](Model& model) {
            model.write(model.parameters().find(name), values);
          });
    });
  }

  Napi::Value generate(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      std::vector<GenerateRequest> requests = to_requests(info[0], "requests");
      GenerateOptions options = to_generate_options(info[1], "options");
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      const Napi::Value on_tokens = info[1].As<Napi::Object>().Get("onTokens");
      const auto stream = std::make_shared<TokenStream>();
      std::function<void(Napi::Env)> progress;
      TokenSink sink;
      if (!on_tokens.IsUndefined()) {
        progress = deliver(on_tokens, stream);
        // Plain pointers: the job owns the session and the stream until the work is over.
        sink = [session = session_.get(), to = stream.get()](const std::vector<int32_t>& sequences,
                                                             const std::vector<int32_t>& tokens) {
          to->append(sequences, tokens);
          session->notify();
        };
      }
      return session_->submit(
          operation,
          [requests = std::move(requests), options = std::move(options), sink = std::move(sink),
           operation](Model& model) { return lsp::generate(model, requests, options, sink, *operation); },
          from_completions, std::move(progress));
    });
  }

  Napi::Value logprobs(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      return session_->submit(
          operation,
          [sequences = to_train_sequences(info[0], "sequences"),
           temperature = to_temperature(info[1], "temperature"),
           precision = to_precision(info[3], "precision"), operation](Model& model) {
            return score_sequences(model, sequences, temperature, *operation, precision);
          },
          from_scores);
    });
  }

  Napi::Value next_logprobs(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      return session_->submit(
          operation,
          [prompts = to_token_lists(info[0], "prompts"), candidates = to_int32s(info[1], "candidates"),
           operation](Model& model) { return score_next(model, prompts, candidates, *operation); },
          from_float_lists);
    });
  }

  Napi::Value score_last(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[1], "handle");
      return session_->submit(
          operation,
          [sequences = to_token_lists(info[0], "sequences"), operation](Model& model) {
            return lsp::score_last(model, sequences, *operation);
          },
          from_float_lists);
    });
  }

  Napi::Value save_safetensors(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      return session_->submit(operation,
                              [path = to_string(info[0], "path"), type = to_float_type(info[1], "dtype"),
                               operation](Model& model) { model.save(path, type, *operation); });
    });
  }

  Napi::Value attach_adapter(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[3], "handle");
      return session_->submit(
          operation, [shape = to_lora_shape(info[0], "shape"), seed = to_uint64(info[1], "seed"),
                      tensors = to_locations(info[2], "tensors"),
                      operation](Model& model) { model.attach_adapter(shape, seed, tensors, *operation); });
    });
  }

  Napi::Value adapter(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      session_->check_usable();
      const std::shared_ptr<const ParameterList> parameters = session_->parameters();
      const LoraShape* shape = parameters->adapter();
      return shape == nullptr ? info.Env().Null() : from_lora_shape(info.Env(), *shape);
    });
  }

  Napi::Value save_adapter(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      return session_->submit(operation,
                              [path = to_string(info[0], "path"), type = to_float_type(info[1], "dtype"),
                               operation](Model& model) { model.save_adapter(path, type, *operation); });
    });
  }

  Napi::Value merge_adapter(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[0], "handle");
      return session_->submit(operation, [operation](Model& model) { model.merge_adapter(*operation); });
    });
  }

  Napi::Value clone(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      session_->check_usable();
      const bool with_adapter = info[0].IsUndefined() || to_bool(info[0], "withAdapter");
      return session_->submit(
          nullptr, [with_adapter](Model& model) { return model.clone(with_adapter); },
          [](Napi::Env env, std::unique_ptr<Model>& copy) -> Napi::Value {
            EnvironmentData* data = env.GetInstanceData<EnvironmentData>();
            data->adopted = std::move(copy);
            return data->model_class.New({});
          });
    });
  }

  Napi::Value weight_bytes(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      session_->check_usable();
      return Napi::Number::New(info.Env(), static_cast<double>(session_->weight_bytes()));
    });
  }

  Napi::Value policy_version(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      session_->check_usable();
      return Napi::Number::New(info.Env(), static_cast<double>(session_->version()));
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] { return session_->dispose(info.Env()); });
  }

 private:
  template <class Keep>
  Napi::Value names(Napi::Env env, const Keep& keep) const {
    const std::shared_ptr<const ParameterList> parameters = session_->parameters();
    std::vector<std::string> list;
    for (int i = 0; i < parameters->count(); ++i) {
      if (keep(i)) list.push_back((*parameters)[i].name);
    }
    return from_strings(env, list);
  }

  static std::function<void(Napi::Env)> deliver(const Napi::Value& callback,
                                                const std::shared_ptr<TokenStream>& stream) {
    if (!callback.IsFunction()) reject_value("a function", "options.onTokens", callback);
    const auto function =
        std::make_shared<Napi::FunctionReference>(Napi::Persistent(callback.As<Napi::Function>()));
    return [function, stream](Napi::Env env) {
      const auto [sequences, tokens] = stream->take();
      if (!tokens.empty()) function->Call({from_int32s(env, sequences), from_int32s(env, tokens)});
    };
  }

  const std::shared_ptr<Session> session_;
};

}  // namespace

Napi::Function define_model(Napi::Env env) {
  using M = ModelObject;
  const Napi::Function model_class =
      M::DefineClass(env, "Model",
                     {
                         M::InstanceMethod<&M::load_tensors>("loadTensors"),
                         M::InstanceMethod<&M::missing_tensors>("missingTensors"),
                         M::InstanceMethod<&M::parameter_names>("parameterNames"),
                         M::InstanceMethod<&M::trained_names>("trainedNames"),
                         M::InstanceMethod<&M::parameter_shape>("parameterShape"),
                         M::InstanceMethod<&M::read_tensor>("readTensor"),
                         M::InstanceMethod<&M::write_tensor>("writeTensor"),
                         M::InstanceMethod<&M::generate>("generate"),
                         M::InstanceMethod<&M::logprobs>("logprobs"),
                         M::InstanceMethod<&M::next_logprobs>("nextLogprobs"),
                         M::InstanceMethod<&M::score_last>("scoreLast"),
                         M::InstanceMethod<&M::save_safetensors>("saveSafetensors"),
                         M::InstanceMethod<&M::attach_adapter>("attachAdapter"),
                         M::InstanceMethod<&M::adapter>("adapter"),
                         M::InstanceMethod<&M::save_adapter>("saveAdapter"),
                         M::InstanceMethod<&M::merge_adapter>("mergeAdapter"),
                         M::InstanceMethod<&M::clone>("clone"),
                         M::InstanceMethod<&M::weight_bytes>("weightBytes"),
                         M::InstanceMethod<&M::policy_version>("policyVersion"),
                         M::InstanceMethod<&M::dispose>("dispose"),
                     });
  env.GetInstanceData<EnvironmentData>()->model_class = Napi::Persistent(model_class);
  return model_class;
}

std::shared_ptr<Session> to_session(const Napi::Value& value, const std::string& name) {
  if (value.Type() != napi_object || !value.As<Napi::Object>().CheckTypeTag(&kModelTag)) {
    reject_value("a Model", name, value);
  }
  return ModelObject::Unwrap(value.As<Napi::Object>())->session();
}

}  // namespace lsp::addon
