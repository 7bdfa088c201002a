#include "core/exec.h"

#include <vector>

#include "core/buffer.h"
#include "core/error.h"
#include "core/thread_pool.h"

namespace lsp {

struct Exec::State {
  explicit State(int threads) : pool(threads), local(static_cast<size_t>(threads)) {}
  ThreadPool pool;
  std::vector<Buffer> local;
  Buffer shared[kSharedSlots];
};

namespace {

int checked_threads(int threads) {
  LSP_CHECK(threads >= 1 && threads <= 256, "INVALID_ARGUMENT", "Expected 1 to 256 for `threads`.");
  return threads;
}

}  // namespace

Exec::Exec(int threads) : threads_(checked_threads(threads)), state_(new State(threads)) {}

Exec::~Exec() { delete state_; }

void Exec::run(int64_t items, Task task, void* context) { state_->pool.run(items, task, context); }

void Exec::reserve_local(int64_t floats) {
  for (Buffer& buffer : state_->local) buffer.reserve(floats);
}

float* Exec::local(int worker) const { return state_->local[static_cast<size_t>(worker)].data(); }

float* Exec::shared(int slot, int64_t floats) {
  state_->shared[slot].reserve(floats);
  return state_->shared[slot].data();
}

void Exec::release() {
  for (Buffer& buffer : state_->local) buffer = Buffer();
  for (Buffer& buffer : state_->shared) buffer = Buffer();
}

}  // namespace lsp
