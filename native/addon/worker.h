// One thread that runs jobs in the order asked, and settles their promises on the JavaScript thread.
//
// Ownership, which everything else here rests on: a job belongs to the worker from submit() on, and only the
// JavaScript thread destroys it, because it holds Node-API references. While jobs are pending the event loop
// stays alive; an idle worker does not hold it.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/operation.h"

namespace lsp::addon {

struct Job {
  std::shared_ptr<Operation> operation;  // null if it cannot be aborted
  std::function<void()> work;            // on the worker; may throw anything
  // The others on the JavaScript thread. `progress` may be empty; it runs after Worker::notify, and once more
  // before the promise settles. If it throws, the operation is aborted and the promise rejects with what was
  // thrown.
  std::function<void(Napi::Env)> progress;
  std::function<void(Napi::Env)> after;  // once the work is over, however it ended; may be empty
  std::function<Napi::Value(Napi::Env)> result;

  napi_deferred deferred = nullptr;
  std::exception_ptr failure;         // of `work`
  std::optional<Napi::Error> thrown;  // by `progress`
};

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  static std::shared_ptr<Worker> create(Napi::Env env);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // JavaScript thread. Throws Error("DISPOSED") after stop().
  Napi::Promise submit(std::unique_ptr<Job> job);
  // Jobs whose promises have not settled; counts the one that is settling.
  int64_t pending() const { return pending_; }
  bool stopped() const { return stopped_; }
  // JavaScript thread. Aborts the job under way, drops all others, joins the thread. Promises stay unsettled.
  void stop() { stop(false); }

  // Worker thread, from within a job: has `progress` called soon. However often it is called, one call is
  // under way at most, so nothing piles up.
  void notify();

 private:
  explicit Worker(napi_env env) : env_(env) {}
  void open();
  void stop(bool environment_closing);
  void loop();
  void post();  // with mutex_ held
  void drain(Napi::Env env);
  void settle(Napi::Env env, Job& job);
  static void run_progress(Napi::Env env, Job& job);
  static void call_js(napi_env env, napi_value function, void* context, void* data);
  static void on_environment_closing(void* worker);

  const napi_env env_;
  napi_threadsafe_function wake_js_ = nullptr;
  int64_t pending_ = 0;   // JavaScript thread only
  bool stopped_ = false;  // JavaScript thread only
  std::thread thread_;

  std::mutex mutex_;  // of all below; lists, because moving a node between them cannot fail
  std::condition_variable wake_;
  std::list<std::unique_ptr<Job>> queue_, current_, done_;
  bool stopping_ = false;
  bool posted_ = false;
};

// The JavaScript value for an exception: an Error with `code`, or the JavaScript error itself.
Napi::Value error_value(Napi::Env env, const std::exception_ptr& exception);
// A promise that is rejected with it.
Napi::Value rejected(Napi::Env env, const std::exception_ptr& exception);

// Runs `body`, which returns a promise; whatever it throws becomes a rejection.
template <class Body>
Napi::Value promised(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (...) {
    return rejected(env, std::current_exception());
  }
}

// Runs `body`; whatever it throws becomes a JavaScript exception with `code`.
template <class Body>
auto guarded(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Napi::Error(env, error_value(env, std::current_exception()));
  }
}

}  // namespace lsp::addon
