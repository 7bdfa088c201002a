// One operation under way, as seen from other threads: they may abort it, or ask for single sequences to end.
// Long work polls it once per layer or token.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "core/error.h"

namespace lsp {

class Operation {
 public:
  void abort() {
    aborted_.store(true, std::memory_order_relaxed);
    wake();
  }
  bool aborted() const { return aborted_.load(std::memory_order_relaxed); }
  void poll() const {
    if (aborted()) throw Error("ABORTED", "The operation was aborted.");
  }

  // Waits until `done()` is true, which is asked again after every wake(); throws as poll() does.
  template <class Done>
  void wait(const Done& done) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return aborted() || done(); });
    poll();
  }
  void wake() {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
  }

  void finish(int sequence) {
    std::lock_guard<std::mutex> lock(mutex_);
    finished_.push_back(sequence);
  }
  // Sequences asked to end since the last call.
  std::vector<int> take_finished() {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(finished_, {});
  }

 private:
  std::atomic<bool> aborted_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> finished_;
};

}  // namespace lsp
