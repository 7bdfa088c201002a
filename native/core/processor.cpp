#include "core/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lsp {
namespace processor {

namespace {

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Leaf 7 of CPUID, "structured extended feature flags" (Intel SDM, volume 2A, CPUID).
Leaf features([[maybe_unused]] unsigned subleaf) {
  Leaf leaf;
#if defined(__x86_64__)
  if (!__get_cpuid_count(7, subleaf, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx)) return {};
  if (subleaf == 1 && features(0).eax < 1) return {};
#endif
  return leaf;
}

bool has_bit(unsigned flags, int bit) { return (flags >> bit & 1u) != 0; }

// Linux gives a process the 8 KB of tile data only when it asks (Documentation/arch/x86/xstate.rst); threads
// inherit it. Refused where the kernel is older than 5.16 or a signal stack of this process is too small.
bool permits_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool has_avx_vnni() { return has_bit(features(1).eax, 4); }
bool has_avx512_vnni() { return has_bit(features(0).ecx, 11); }
bool has_avx512_bf16() { return has_bit(features(1).eax, 5); }

bool has_amx() {
  static const bool usable = [] {
    constexpr int kAmxBf16 = 22, kAmxTile = 24, kAmxInt8 = 25;
    const unsigned flags = features(0).edx;
    return has_bit(flags, kAmxBf16) && has_bit(flags, kAmxTile) && has_bit(flags, kAmxInt8) &&
           permits_tiles();
  }();
  return usable;
}

}  // namespace processor
}  // namespace lsp
