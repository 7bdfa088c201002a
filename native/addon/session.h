// A model with its worker: what the JavaScript Model and the Learners on it share. The worker alone touches
// the model; facts that JavaScript asks for synchronously are copies or atomics.
//
// Pending jobs keep the session alive, and all owners but for an instant are on the JavaScript thread, which
// therefore destroys it.
#pragma once

#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "addon/worker.h"
#include "model/model.h"

namespace lsp::addon {

// What has to go before the model goes: the state of a learner.
class Dependent {
 public:
  virtual ~Dependent() = default;
  // Worker thread: frees everything; later use is an Error("DISPOSED").
  virtual void release() = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Napi::Env env, std::unique_ptr<Model> model);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // JavaScript thread.
  // Queues work(model), run on the worker, and convert(env, its result), run here when it is done.
  template <class Work, class Convert>
  Napi::Value submit(std::shared_ptr<Operation> operation, Work work, Convert convert,
                     std::function<void(Napi::Env)> progress = {});
  // As above, resolving with undefined.
  template <class Work>
  Napi::Value submit(std::shared_ptr<Operation> operation, Work work);
  // Throws Error("DISPOSED") after dispose().
  void check_usable() const;
  bool disposed() const { return disposed_.load(); }
  Napi::Value dispose(Napi::Env env);
  void add(std::weak_ptr<Dependent> dependent);
  // Tells the garbage collector how much memory hangs on these small objects.
  void report_memory();

  // As they were after the last job: an adapter adds some and takes them away. Jobs look names up for
  // themselves.
  std::shared_ptr<const ParameterList> parameters() const;
  bool is_loaded(int parameter) const { return loaded_[static_cast<size_t>(parameter)].load(); }
  int64_t weight_bytes() const { return weight_bytes_.load(); }
  int64_t version() const { return version_.load(); }

  // Any thread: bytes that dependents hold.
  void add_dependent_bytes(int64_t change) { dependent_bytes_.fetch_add(change); }
  // Worker thread, from within a job.
  void notify() { worker_->notify(); }

 private:
  void refresh();  // worker thread: copies facts of the model
  void release();  // worker thread

  const Napi::Env env_;
  const std::shared_ptr<Worker> worker_;
  std::unique_ptr<Model> model_;

  std::vector<std::atomic<bool>> loaded_;
  std::atomic<int64_t> weight_bytes_{0}, dependent_bytes_{0}, version_{0};
  std::atomic<bool> disposed_{false};
  int64_t reported_bytes_ = 0;  // JavaScript thread
  mutable std::mutex mutex_;
  std::shared_ptr<const ParameterList> parameters_;
  int64_t adapter_generation_ = 0;  // of parameters_
  std::vector<std::weak_ptr<Dependent>> dependents_;
};

template <class Work, class Convert>
Napi::Value Session::submit(std::shared_ptr<Operation> operation, Work work, Convert convert,
                            std::function<void(Napi::Env)> progress) {
  using Result = std::invoke_result_t<Work&, Model&>;
  check_usable();
  const std::shared_ptr<Session> self = shared_from_this();
  const auto result = std::make_shared<std::optional<Result>>();
  auto job = std::make_unique<Job>();
  job->operation = std::move(operation);
  job->work = [self, result, work = std::move(work)]() mutable {
    self->check_usable();  // dispose() refuses what was queued before it
    try {
      result->emplace(work(*self->model_));
    } catch (...) {
      self->refresh();
      throw;
    }
    self->refresh();
  };
  job->progress = std::move(progress);
  job->after = [self](Napi::Env) { self->report_memory(); };
  job->result = [result, convert = std::move(convert)](Napi::Env e) -> Napi::Value {
    return convert(e, **result);
  };
  return worker_->submit(std::move(job));
}

template <class Work>
Napi::Value Session::submit(std::shared_ptr<Operation> operation, Work work) {
  return submit(
      std::move(operation),
      [work = std::move(work)](Model& model) mutable {
        work(model);
        return true;
      },
      [](Napi::Env e, bool) -> Napi::Value { return e.Undefined(); });
}

}  // namespace lsp::addon
