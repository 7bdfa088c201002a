#include "addon/worker.h"

#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "core/error.h"
#include "core/float_mode.h"

namespace lsp::addon {

namespace {

Napi::Value coded(Napi::Env env, const std::string& code, const std::string& message) {
  const Napi::Error error = Napi::Error::New(env, message);
  error.Value().As<Napi::Object>().Set("code", Napi::String::New(env, code));
  return error.Value();
}

}  // namespace

Napi::Value error_value(Napi::Env env, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Napi::Error& error) {
    return error.Value();
  } catch (const Error& error) {
    return coded(env, error.code(), error.message());
  } catch (const std::bad_alloc&) {
    return coded(env, "OUT_OF_MEMORY", "An allocation failed: there is not enough memory.");
  } catch (const std::length_error&) {
    return coded(env, "OUT_OF_MEMORY", "An allocation failed: the sizes are beyond any memory.");
  } catch (const std::system_error& error) {
    return coded(env, "OUT_OF_MEMORY",
                 std::string("The system gave no thread or lock: ") + error.what() + ".");
  } catch (const std::exception& error) {
    return coded(env, "INTERNAL", error.what());
  } catch (...) {
    return coded(env, "INTERNAL", "Unknown native failure.");
  }
}

Napi::Value rejected(Napi::Env env, const std::exception_ptr& exception) {
  const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(error_value(env, exception));
  return deferred.Promise();
}

std::shared_ptr<Worker> Worker::create(Napi::Env env) {
  std::shared_ptr<Worker> worker(new Worker(env));
  worker->open();
  return worker;
}

// The function's context is a weak pointer of its own, so a call that arrives late finds nobody instead of a
// ghost.
void Worker::open() {
  auto context = std::make_unique<std::weak_ptr<Worker>>(weak_from_this());
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<std::weak_ptr<Worker>*>(data); };
  const Napi::String name = Napi::String::New(env_, "lsp");
  const napi_status status = napi_create_threadsafe_function(
      env_, nullptr, nullptr, name, 0, 1, context.get(), finalize, context.get(), call_js, &wake_js_);
  LSP_CHECK(status == napi_ok, "INTERNAL", "Could not create a thread-safe function.");
  context.release();
  napi_unref_threadsafe_function(env_, wake_js_);
  // Hooks run in reverse order: this one stops the thread before Node.js closes the thread-safe function.
  napi_add_env_cleanup_hook(env_, on_environment_closing, this);
}

Worker::~Worker() { stop(false); }

void Worker::on_environment_closing(void* worker) {
  const std::shared_ptr<Worker> self = static_cast<Worker*>(worker)->shared_from_this();
  self->stop(true);
}

Napi::Promise Worker::submit(std::unique_ptr<Job> job) {
  LSP_CHECK(!stopped_, "DISPOSED", "Expected a live object but it was disposed.");
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  std::list<std::unique_ptr<Job>> node;
  node.push_back(std::move(job));
  napi_value promise = nullptr;
  const napi_status status = napi_create_promise(env_, &node.front()->deferred, &promise);
  LSP_CHECK(status == napi_ok, "INTERNAL", "Could not create a promise.");
  if (++pending_ == 1) napi_ref_threadsafe_function(env_, wake_js_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.splice(queue_.end(), node);
  }
  wake_.notify_one();
  return Napi::Promise(env_, promise);
}

void Worker::stop(bool environment_closing) {
  if (stopped_) return;
  stopped_ = true;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (!current_.empty() && current_.front()->operation) current_.front()->operation->abort();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (!environment_closing) {
    napi_remove_env_cleanup_hook(env_, on_environment_closing, this);
    napi_release_threadsafe_function(wake_js_, napi_tsfn_abort);
  }
  // Jobs may own what owns this worker: callers hold a pointer, or are its destructor (then there are no
  // jobs).
  queue_.clear();
  done_.clear();
}

void Worker::loop() {
  const FloatModeScope mode;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    current_.splice(current_.end(), queue_, queue_.begin());
    Job& job = *current_.front();
    lock.unlock();
    try {
      if (job.operation) job.operation->poll();
      job.work();
    } catch (...) {
      job.failure = std::current_exception();
    }
    lock.lock();
    done_.splice(done_.end(), current_);
    post();
  }
}

void Worker::notify() {
  const std::lock_guard<std::mutex> lock(mutex_);
  post();
}

void Worker::post() {
  if (posted_ || stopping_) return;
  posted_ = napi_call_threadsafe_function(wake_js_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

// `env` is null when Node.js empties the queue of a closing environment.
void Worker::call_js(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  const std::shared_ptr<Worker> self = static_cast<std::weak_ptr<Worker>*>(context)->lock();
  if (!self) return;
  try {
    self->drain(env);
  } catch (...) {
    // JavaScript cannot run any more (a worker thread being terminated): there is nobody to tell.
  }
}

void Worker::drain(Napi::Env env) {
  std::list<std::unique_ptr<Job>> done;
  Job* running = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    posted_ = false;
    done.splice(done.end(), done_);
    // Only this thread destroys jobs, so the pointer stays good even when the worker is done with it
    // meanwhile.
    if (!current_.empty()) running = current_.front().get();
  }
  while (!done.empty()) {
    const Napi::HandleScope scope(env);
    settle(env, *done.front());
    done.pop_front();
    if (--pending_ == 0 && !stopped_) napi_unref_threadsafe_function(env, wake_js_);
  }
  if (running != nullptr && !stopped_) run_progress(env, *running);
}

void Worker::run_progress(Napi::Env env, Job& job) {
  if (!job.progress || job.thrown) return;
  const Napi::HandleScope scope(env);
  try {
    job.progress(env);
  } catch (...) {
    if (job.operation) job.operation->abort();
    job.thrown.emplace(env, error_value(env, std::current_exception()));
  }
}

void Worker::settle(Napi::Env env, Job& job) {
  napi_value value = nullptr;
  bool resolved = false;
  run_progress(env, job);
  try {
    if (job.after) job.after(env);
    if (job.thrown) {
      value = job.thrown->Value();
    } else if (job.failure) {
      value = error_value(env, job.failure);
    } else {
      value = job.result(env);
      resolved = true;
    }
  } catch (...) {
    value = error_value(env, std::current_exception());
  }
  // Plain calls: if JavaScript cannot run any more they fail, and that is all right.
  if (resolved) {
    napi_resolve_deferred(env, job.deferred, value);
  } else {
    napi_reject_deferred(env, job.deferred, value);
  }
}

}  // namespace lsp::addon
