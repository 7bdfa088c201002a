#include "core/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.h"

namespace lsp {

namespace {

// Above this size memory comes zeroed from the kernel, goes back to it when freed, and may use huge pages
// (weights and gradients are walked with strides that otherwise miss the TLB).
constexpr int64_t kMapBytes = int64_t{1} << 21;

// The header keeps the mapping's length in front of the data, in a cache line of its own.
constexpr int64_t kHeader = 64;

}  // namespace

void Buffer::Free::operator()(float* pointer) const {
  if (pointer == nullptr) return;
  char* base = reinterpret_cast<char*>(pointer) - kHeader;
  int64_t mapped;
  std::memcpy(&mapped, base, sizeof mapped);
  if (mapped > 0) {
    munmap(base, static_cast<size_t>(mapped));
  } else {
    std::free(base);
  }
}

Buffer::Buffer(int64_t count) : count_(count) {
  LSP_CHECK(count >= 0 && count < (int64_t{1} << 40), "OUT_OF_MEMORY", "Expected a sane allocation size.");
  const int64_t bytes = kHeader + (count * 4 + 63) / 64 * 64;
  char* base = nullptr;
  int64_t mapped = 0;
  if (bytes >= kMapBytes) {
    void* memory =
        mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
#ifdef MADV_HUGEPAGE
      madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
      base = static_cast<char*>(memory);
      mapped = bytes;
    }
  } else {
    base = static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>(bytes)));
    if (base != nullptr) std::memset(base, 0, static_cast<size_t>(bytes));
  }
  LSP_CHECK(base != nullptr, "OUT_OF_MEMORY", "Could not allocate " + std::to_string(bytes) + " bytes.");
  std::memcpy(base, &mapped, sizeof mapped);
  data_.reset(reinterpret_cast<float*>(base + kHeader));
}

void Buffer::fill_zero() {
  if (count_ > 0) std::memset(data_.get(), 0, static_cast<size_t>(count_) * sizeof(float));
}

void Buffer::reserve(int64_t count) {
  if (count > count_) {
    *this = Buffer();
    *this = Buffer(count);
  }
}

}  // namespace lsp
