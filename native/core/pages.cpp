#include "core/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace lsp {

namespace {

constexpr int64_t kHugePage = int64_t{1} << 21, kLine = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

char* map(int64_t bytes) {
  void* memory =
      mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

void unmap(char* memory, int64_t bytes) {
  if (bytes > 0) munmap(memory, static_cast<size_t>(bytes));
}

// A piece, of which the first `used` bytes are to be cleared.
struct Piece {
  char* memory;
  int64_t used;
};

// A shared mapping. Its pieces begin at the lowest place that is free.
class Slab {
 public:
  static constexpr int64_t kBytes = 2 * kLargestPiece;

  explicit Slab(char* memory) : memory_(memory), free_{{0, kBytes}} {}

  Piece take(int64_t bytes) {
    free_.reserve(static_cast<size_t>(pieces_) + 2);  // giving the piece back must not fail
    const auto range = std::find_if(free_.begin(), free_.end(),
                                    [&](const Range& each) { return each.end - each.begin >= bytes; });
    if (range == free_.end()) return {nullptr, 0};
    ++pieces_;
    const int64_t begin = range->begin, end = begin + bytes;
    range->begin = end;
    if (range->begin == range->end) free_.erase(range);
    const int64_t used = std::clamp<int64_t>(used_ - begin, 0, bytes);
    used_ = std::max(used_, end);
    return {memory_ + begin, used};
  }

  void give(char* piece, int64_t bytes) {
    const int64_t begin = piece - memory_, end = begin + bytes;
    auto range =
        std::find_if(free_.begin(), free_.end(), [&](const Range& each) { return each.end >= begin; });
    if (range != free_.end() && range->end == begin) {
      range->end = end;
    } else if (range != free_.end() && range->begin == end) {
      range->begin = begin;
    } else {
      range = free_.insert(range, {begin, end});
    }
    const auto next = range + 1;
    if (next != free_.end() && next->begin == range->end) {
      range->end = next->end;
      free_.erase(next);
    }
    --pieces_;
    give_back(std::max(range->begin, begin / kHugePage * kHugePage),
              std::min(range->end, round_up(end, kHugePage)));
  }

  bool is_empty() const { return pieces_ == 0; }

 private:
  // The huge pages in [begin, end). Elsewhere than on Linux they may keep their content.
  void give_back(int64_t begin, int64_t end) {
    begin = round_up(begin, kHugePage);
    end = end / kHugePage * kHugePage;
    if (begin >= end) return;
    const int failed = madvise(memory_ + begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
#ifdef __linux__
    if (failed == 0 && end >= used_) used_ = std::min(used_, begin);
#else
    static_cast<void>(failed);
#endif
  }

  struct Range {
    int64_t begin, end;
  };

  char* const memory_;
  std::vector<Range> free_;  // in order, never side by side
  int64_t pieces_ = 0;
  int64_t used_ = 0;  // from here on all is zero
};

class Slabs {
 public:
  Piece take(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    try {
      for (auto& [memory, slab] : slabs_)
        if (const Piece piece = slab.take(bytes); piece.memory != nullptr) return piece;
    } catch (const std::bad_alloc&) {
      return {nullptr, 0};
    }
    return take_from_new(bytes);
  }

  void give(char* piece, int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto of = std::prev(slabs_.upper_bound(piece));
    of->second.give(piece, bytes);
    if (!of->second.is_empty()) return;
    // One is kept, without its pages, for a buffer that comes and goes.
    const auto is_kept = [&](const auto& other) {
      return other.first != of->first && other.second.is_empty();
    };
    if (std::none_of(slabs_.begin(), slabs_.end(), is_kept)) return;
    unmap_pages(of->first, Slab::kBytes);
    slabs_.erase(of);
  }

 private:
  Piece take_from_new(int64_t bytes) {
    char* const memory = static_cast<char*>(map_pages(Slab::kBytes));
    if (memory == nullptr) return {nullptr, 0};
    try {
      return slabs_.emplace(memory, memory).first->second.take(bytes);
    } catch (const std::bad_alloc&) {
      slabs_.erase(memory);
      unmap_pages(memory, Slab::kBytes);
      return {nullptr, 0};
    }
  }

  std::mutex mutex_;
  std::map<char*, Slab> slabs_;  // by address
};

// Never destroyed: other threads may still compute when the process ends.
Slabs& slabs() {
  static Slabs* const all = new Slabs;
  return *all;
}

}  // namespace

void* map_pages(int64_t bytes) {
  const int64_t pages = round_up(bytes, kHugePage);
  char* const begin = map(pages + kHugePage);
  if (begin == nullptr) return nullptr;
  const int64_t before = -reinterpret_cast<intptr_t>(begin) & (kHugePage - 1);
  unmap(begin, before);
  unmap(begin + before + pages, kHugePage - before);
#ifdef MADV_HUGEPAGE
  madvise(begin + before, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
  return begin + before;
}

void unmap_pages(void* memory, int64_t bytes) {
  unmap(static_cast<char*>(memory), round_up(bytes, kHugePage));
}

void* take_piece(int64_t bytes) {
  bytes = round_up(bytes, kLine);
  const Piece piece = slabs().take(bytes);
  if (piece.used > 0) std::memset(piece.memory, 0, static_cast<size_t>(piece.used));
  return piece.memory;
}

void give_piece(void* memory, int64_t bytes) {
  slabs().give(static_cast<char*>(memory), round_up(bytes, kLine));
}

}  // namespace lsp
