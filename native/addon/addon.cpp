// What the addon exports: lib/native/addon.ts is its contract, and the only description of it.
#include <napi.h>

#include "addon/convert.h"
#include "addon/objects.h"
#include "kernels/dispatch.h"

namespace lsp::addon {

namespace {

Napi::Value isa(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object object = Napi::Object::New(info.Env());
    object.Set("available", from_strings(info.Env(), available_isas()));
    object.Set("bases", from_strings(info.Env(), base_isas()));
    object.Set("active", Napi::String::New(info.Env(), active_kernels().isa));
    object.Set("base", Napi::String::New(info.Env(), active_kernels().base));
    return object;
  });
}

Napi::Value activation_bytes_per_token(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int64_t bytes = Learner::activation_bytes_per_token(to_config(info[0], "config"),
                                                              to_bool(info[1], "gradientCheckpointing"));
    return Napi::Number::New(info.Env(), static_cast<double>(bytes));
  });
}

// Runs once per environment: the addon may be loaded by the main thread and by any number of worker threads.
Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new EnvironmentData());
  exports.Set("Handle", define_handle(env));
  exports.Set("Model", define_model(env));
  exports.Set("Learner", define_learner(env));
  exports.Set("kernels", define_kernels(env));
  exports.Set("bench", define_bench(env));
  exports.Set("isa", Napi::Function::New<isa>(env, "isa"));
  exports.Set("activationBytesPerToken",
              Napi::Function::New<activation_bytes_per_token>(env, "activationBytesPerToken"));
  return exports;
}

}  // namespace

}  // namespace lsp::addon

using lsp::addon::initialize;
NODE_API_MODULE(lsp, initialize)
