// Where kernels run: the pool and its reusable scratch memory. A CUDA backend brings its stream and device
// memory in the same place, so kernel contracts do not change. No standard library here: per-ISA units
// include this.
#pragma once

#include <stdint.h>

namespace lsp {

class Exec {
 public:
  using Task = void (*)(void* context, int64_t item, int worker);

  // Threads, 1..256.
  explicit Exec(int threads);
  ~Exec();
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  int threads() const { return threads_; }
  // Calls task once for every item in [0, items) and returns when all are done. Tasks must neither throw nor
  // allocate.
  void run(int64_t items, Task task, void* context);

  // Scratch of one worker, for the duration of one item; reserve it before the parallel region.
  void reserve_local(int64_t floats);
  float* local(int worker) const;

  // Scratch shared by all workers for the duration of one kernel call; slots keep independent uses apart.
  static constexpr int kSharedSlots = 8;
  float* shared(int slot, int64_t floats);
  // Gives all scratch back.
  void release();

 private:
  struct State;
  const int threads_;
  State* state_;
};

}  // namespace lsp
