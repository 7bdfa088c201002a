// One rounding and denormal mode in every compute thread: round to nearest, denormals flushed to zero.
// Flushing keeps vanishing probabilities from slowing multiplications down, and is the same on every x86
// variant.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lsp {

class FloatModeScope {
 public:
#if defined(__x86_64__)
  FloatModeScope() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80u | 0x8040u); }  // all masked, FTZ | DAZ
  ~FloatModeScope() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FloatModeScope() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    const unsigned long flush = 1ul << 24;
    asm volatile("msr fpcr, %0" ::"r"(flush));
  }
  ~FloatModeScope() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  unsigned long saved_;
#else
  FloatModeScope() {}
#endif
};

}  // namespace lsp
