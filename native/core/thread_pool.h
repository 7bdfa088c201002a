// A persistent pool: the calling thread is worker 0, size()-1 others wait for it. Work items are handed out
// one by one, so threads finish together; which thread takes an item never affects a result.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace lsp {

class ThreadPool {
 public:
  using Task = void (*)(void* context, int64_t item, int worker);

  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }
  // Calls task(context, item, worker) once for every item in [0, items) and returns when all are done. Tasks
  // must not throw. Not reentrant, one caller at a time.
  void run(int64_t items, Task task, void* context);

 private:
  void work(int worker);
  void join();
  void drain(int worker);

  const int size_;
  Task task_ = nullptr;
  void* context_ = nullptr;
  int64_t items_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> open_{false};  // whether workers may take items
  std::atomic<int> inside_{0};     // workers that may be taking items
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
};

}  // namespace lsp
