// Zeroed memory from the system, in huge pages where it has them: kernels walk weights, gradients and caches
// with strides that miss the TLB otherwise. Thread safe.
#pragma once

#include <cstdint>

namespace lsp {

// A mapping of its own, at the beginning of a huge page; null when the system has none left.
void* map_pages(int64_t bytes);
void unmap_pages(void* memory, int64_t bytes);

// What would leave most of a huge page empty, or be cut off before it fills its last one: pieces of mappings
// that are shared. A piece begins at a cache line, and is at most kLargestPiece bytes; null when the system
// has no memory left.
constexpr int64_t kLargestPiece = int64_t{16} << 20;
void* take_piece(int64_t bytes);
// With the bytes that it was taken with. Huge pages that hold nothing else go back to the system. Never
// fails.
void give_piece(void* memory, int64_t bytes);

}  // namespace lsp
