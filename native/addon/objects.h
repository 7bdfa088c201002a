// The JavaScript classes of the addon, and what one environment (main thread or worker thread) keeps about
// them.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/session.h"

namespace lsp::addon {

struct EnvironmentData {
  Napi::FunctionReference model_class;
  // Set for the moment in which a clone's JavaScript object is being constructed around it.
  std::unique_ptr<Model> adopted;
  // Runs direct kernel calls and benches; made at the first one.
  std::shared_ptr<Worker> kernel_worker;
  // Models made from now on time their kernels (bench/profile.h).
  bool times_kernels = false;
};

Napi::Function define_handle(Napi::Env env);
Napi::Function define_model(Napi::Env env);
Napi::Function define_learner(Napi::Env env);
Napi::Object define_kernels(Napi::Env env);
Napi::Object define_bench(Napi::Env env);

// The operation of a Handle, the session of a Model. Throws Error("INVALID_ARGUMENT") for anything else:
// objects carry a type tag, so no other object is ever mistaken for one of ours.
std::shared_ptr<Operation> to_operation(const Napi::Value& value, const std::string& name);
std::shared_ptr<Session> to_session(const Napi::Value& value, const std::string& name);

}  // namespace lsp::addon
