#include "core/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
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

// A shared mapping. Its pieces begin at the lowest place that is free.
class Slab {
 public:
  static constexpr int64_t kBytes = 2 * kLargestPiece;

  explicit Slab(char* memory) : memory_(memory), free_{{0, kBytes}} {}

  char* take(int64_t bytes) {
    free_.reserve(static_cast<size_t>(pieces_) + 2);  // giving the piece back must not fail
    const auto range = std::find_if(free_.begin(), free_.end(),
                                    [&](const Range& each) { return each.end - each.begin >= bytes; });
    if (range == free_.end()) return nullptr;
    ++pieces_;
    const int64_t begin = range->begin, end = begin + bytes;
    range->begin = end;
    if (range->begin == range->end) free_.erase(range);
    if (begin < used_) std::memset(memory_ + begin, 0, static_cast<size_t>(std::min(used_, end) - begin));
    used_ = std::max(used_, end);
    return memory_ + begin;
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
  // The huge pages in [begin, end).
  void give_back(int64_t begin, int64_t end) {
    begin = round_up(begin, kHugePage);
    end = end / kHugePage * kHugePage;
    if (begin < end) madvise(memory_ + begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
  }

  struct Range {
    int64_t begin, end;
  };

  char* const memory_;
  std::vector<Range> free_;  // in order, never side by side
  int64_t pieces_ = 0;
  int64_t used_ = 0;  // from here on nothing was ever written
};

struct Slabs {
  std::mutex mutex;
  std::map<char*, Slab> by_address;
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
  Slabs& all = slabs();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (auto& [address, slab] : all.by_address)
    if (char* piece = slab.take(bytes)) return piece;
  char* const memory = static_cast<char*>(map_pages(Slab::kBytes));
  if (memory == nullptr) return nullptr;
  return all.by_address.emplace(memory, memory).first->second.take(bytes);
}

void give_piece(void* memory, int64_t bytes) {
  Slabs& all = slabs();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto slab = std::prev(all.by_address.upper_bound(static_cast<char*>(memory)));
  slab->second.give(static_cast<char*>(memory), round_up(bytes, kLine));
  if (!slab->second.is_empty()) return;
  char* const address = slab->first;
  all.by_address.erase(slab);
  unmap_pages(address, Slab::kBytes);
}

}  // namespace lsp
