// One operation under way, as seen from other threads: they may abort it, or ask for single sequences to end.
// Long work polls it once per layer or token.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "core/error.h"

namespace lsp {

class Operation {
 public:
  void abort() { aborted_.store(true, std::memory_order_relaxed); }
  void poll() const {
    if (aborted_.load(std::memory_order_relaxed)) throw Error("ABORTED", "The operation was aborted.");
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
  std::vector<int> finished_;
};

}  // namespace lsp
