#include "addon/session.h"

#include <algorithm>

#include "core/error.h"

namespace lsp::addon {

Session::Session(Napi::Env env, std::unique_ptr<Model> model)
    : env_(env),
      worker_(Worker::create(env)),
      model_(std::move(model)),
      loaded_(static_cast<size_t>(model_->parameters().own_count())),
      parameters_(std::make_shared<const ParameterList>(model_->parameters())),
      adapter_generation_(model_->adapter_generation()) {
  refresh();
  report_memory();
}

// No job is pending: each would own this session.
Session::~Session() {
  worker_->stop();
  weight_bytes_ = dependent_bytes_ = 0;
  report_memory();
}

void Session::check_usable() const {
  LSP_CHECK(!disposed_.load(), "DISPOSED", "Expected a live model but it was disposed.");
}

// Jobs queued before reject in their turn; the last dispose() to settle stops the worker.
Napi::Value Session::dispose(Napi::Env env) {
  disposed_.store(true);
  const std::shared_ptr<Session> self = shared_from_this();
  if (worker_->stopped()) {
    const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
    deferred.Resolve(env.Undefined());
    return deferred.Promise();
  }
  auto job = std::make_unique<Job>();
  job->work = [self] { self->release(); };
  job->result = [self](Napi::Env e) -> Napi::Value {
    self->report_memory();
    if (self->worker_->pending() == 1) self->worker_->stop();
    return e.Undefined();
  };
  return worker_->submit(std::move(job));
}

void Session::release() {
  std::vector<std::weak_ptr<Dependent>> dependents;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    dependents.swap(dependents_);
  }
  for (const std::weak_ptr<Dependent>& weak : dependents) {
    if (const std::shared_ptr<Dependent> dependent = weak.lock()) dependent->release();
  }
  model_.reset();
  weight_bytes_.store(0);
}

void Session::add(std::weak_ptr<Dependent> dependent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto gone = [](const std::weak_ptr<Dependent>& weak) { return weak.expired(); };
  dependents_.erase(std::remove_if(dependents_.begin(), dependents_.end(), gone), dependents_.end());
  dependents_.push_back(std::move(dependent));
}

std::shared_ptr<const ParameterList> Session::parameters() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return parameters_;
}

void Session::report_memory() {
  const int64_t bytes = weight_bytes_.load() + dependent_bytes_.load();
  int64_t total = 0;
  napi_adjust_external_memory(env_, bytes - reported_bytes_, &total);
  reported_bytes_ = bytes;
}

void Session::refresh() {
  for (size_t i = 0; i < loaded_.size(); ++i) loaded_[i].store(model_->is_loaded(static_cast<int>(i)));
  if (adapter_generation_ != model_->adapter_generation()) {
    auto parameters = std::make_shared<const ParameterList>(model_->parameters());
    const std::lock_guard<std::mutex> lock(mutex_);
    parameters_ = std::move(parameters);
    adapter_generation_ = model_->adapter_generation();
  }
  weight_bytes_.store(model_->weight_bytes());
  version_.store(model_->version());
}

}  // namespace lsp::addon
