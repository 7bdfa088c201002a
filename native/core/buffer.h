// Owned, 64-byte aligned float storage. Fresh memory is zero: padded lanes rely on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lsp {

class Buffer {
 public:
  Buffer() = default;
  // Throws Error("OUT_OF_MEMORY") when the allocation fails.
  explicit Buffer(int64_t count);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  int64_t count() const { return count_; }
  void fill_zero();
  // Grows to at least `count` floats; the content is lost when it grows.
  void reserve(int64_t count);

 private:
  struct Free {
    void operator()(float* pointer) const;
  };
  std::unique_ptr<float[], Free> data_;
  int64_t count_ = 0;
};

}  // namespace lsp
