#include "core/thread_pool.h"

#include "core/float_mode.h"

namespace lsp {

namespace {

// A decode step is a few hundred short parallel regions; sleeping between them would cost more than they do.
// Workers spin about this long (tens of microseconds) before they sleep, and a caller that waits for the last
// item yields its processor after as long: on a busy machine the thread it waits for may need it.
constexpr int kSpins = 2000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : size_(threads < 1 ? 1 : threads) {
  try {
    for (int worker = 1; worker < size_; ++worker) threads_.emplace_back([this, worker] { work(worker); });
  } catch (...) {
    join();  // the system gave fewer threads; those that run would otherwise end the process
    throw;
  }
}

ThreadPool::~ThreadPool() { join(); }

void ThreadPool::join() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_.store(true);
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::drain(int worker) {
  for (;;) {
    const int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
    if (item >= items_) return;
    task_(context_, item, worker);
  }
}

void ThreadPool::run(int64_t items, Task task, void* context) {
  const FloatModeScope mode;
  if (size_ == 1 || items <= 1) {
    for (int64_t item = 0; item < items; ++item) task(context, item, 0);
    return;
  }
  task_ = task;
  context_ = context;
  items_ = items;
  next_.store(0, std::memory_order_relaxed);
  open_.store(true);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  drain(0);
  // Every item has been handed out. Only workers that came in are waited for: one that sleeps, or that the
  // system has not scheduled, finds the gate closed when it arrives.
  open_.store(false);
  for (int spins = 0; inside_.load() != 0; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::work(int worker) {
  const FloatModeScope mode;
  uint64_t seen = 0;
  for (;;) {
    int spins = 0;
    while (generation_.load(std::memory_order_acquire) == seen && ++spins < kSpins) pause();
    if (generation_.load(std::memory_order_acquire) == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    // Sequentially consistent: either run() sees this worker inside, or the worker sees the gate closed.
    inside_.fetch_add(1);
    if (open_.load()) drain(worker);
    inside_.fetch_sub(1);
  }
}

}  // namespace lsp
