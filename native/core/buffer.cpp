#include "core/buffer.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.h"
#include "core/pages.h"

namespace lsp {

namespace {

// Smaller ones come from the heap; so do those that a sanitizer is to watch the ends of.
#if defined(__SANITIZE_ADDRESS__)
constexpr int64_t kSmallestPiece = kLargestPiece + 1;
#else
constexpr int64_t kSmallestPiece = int64_t{64} << 10;
#endif

// In front of the data, in a cache line of its own, lies the length of all.
constexpr int64_t kHeader = 64;

void* allocate(int64_t bytes) {
  if (bytes > kLargestPiece) return map_pages(bytes);
  if (bytes >= kSmallestPiece) return take_piece(bytes);
  void* memory = std::aligned_alloc(64, static_cast<size_t>(bytes));
  if (memory != nullptr) std::memset(memory, 0, static_cast<size_t>(bytes));
  return memory;
}

void release(void* memory, int64_t bytes) {
  if (bytes > kLargestPiece) {
    unmap_pages(memory, bytes);
  } else if (bytes >= kSmallestPiece) {
    give_piece(memory, bytes);
  } else {
    std::free(memory);
  }
}

}  // namespace

void Buffer::Free::operator()(float* pointer) const {
  if (pointer == nullptr) return;
  char* base = reinterpret_cast<char*>(pointer) - kHeader;
  int64_t bytes;
  std::memcpy(&bytes, base, sizeof bytes);
  release(base, bytes);
}

Buffer::Buffer(int64_t count) : count_(count) {
  LSP_CHECK(count >= 0 && count < (int64_t{1} << 40), "OUT_OF_MEMORY", "Expected a sane allocation size.");
  const int64_t bytes = kHeader + (count * 4 + 63) / 64 * 64;
  char* base = static_cast<char*>(allocate(bytes));
  LSP_CHECK(base != nullptr, "OUT_OF_MEMORY", "Could not allocate " + std::to_string(bytes) + " bytes.");
  std::memcpy(base, &bytes, sizeof bytes);
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
