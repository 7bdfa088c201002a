// The peaks that benches are compared with: independent chains of fused multiply-adds in registers, and sums
// over more memory than any cache holds.
#include <algorithm>
#include <chrono>

#include "bench/bench.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace lsp {
namespace bench {

namespace {

constexpr int64_t kRounds = 4000000;
constexpr int kChains = 12;  // more than latency times units of any core so far, fewer than the registers
volatile float sink;

#if defined(__x86_64__)

__attribute__((target("avx512f"))) double multiply_adds_avx512() {
  __m512 sum[kChains];
  for (__m512& x : sum) x = _mm512_set1_ps(0.5f);
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i)
    for (__m512& x : sum) x = _mm512_fmadd_ps(x, a, b);
  for (const __m512& x : sum) sink = sink + _mm512_cvtss_f32(x);
  return 2.0 * 16 * kChains * kRounds;
}

__attribute__((target("avx2,fma"))) double multiply_adds_avx2() {
  __m256 sum[kChains];
  for (__m256& x : sum) x = _mm256_set1_ps(0.5f);
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i)
    for (__m256& x : sum) x = _mm256_fmadd_ps(x, a, b);
  for (const __m256& x : sum) sink = sink + _mm256_cvtss_f32(x);
  return 2.0 * 8 * kChains * kRounds;
}

__attribute__((target("avx512f"))) float read_avx512(const float* floats, int64_t count) {
  __m512 sum[8];
  for (__m512& x : sum) x = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += 128)
    for (int j = 0; j < 8; ++j) sum[j] = _mm512_add_ps(sum[j], _mm512_loadu_ps(floats + i + 16 * j));
  float total = 0;
  for (const __m512& x : sum) total += _mm512_cvtss_f32(x);
  return total;
}

#elif defined(__aarch64__)

double multiply_adds_neon() {
  float32x4_t sum[kChains];
  for (float32x4_t& x : sum) x = vdupq_n_f32(0.5f);
  const float32x4_t a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
  for (int64_t i = 0; i < kRounds; ++i)
    for (float32x4_t& x : sum) x = vfmaq_f32(b, x, a);
  for (const float32x4_t& x : sum) sink = sink + vgetq_lane_f32(x, 0);
  return 2.0 * 4 * kChains * kRounds;
}

#endif

double multiply_adds_scalar() {
  float sum[kChains];
  std::fill_n(sum, kChains, 0.5f);
  for (int64_t i = 0; i < kRounds / 16; ++i)
    for (float& x : sum) x = __builtin_fmaf(x, 0.999f, 0.001f);
  for (const float x : sum) sink = sink + x;
  return 2.0 * kChains * static_cast<double>(kRounds / 16);
}

float read_plain(const float* floats, int64_t count) {
  float sum[64] = {};
  for (int64_t i = 0; i < count; i += 64)
    for (int j = 0; j < 64; ++j) sum[j] += floats[i + j];
  float total = 0;
  for (const float x : sum) total += x;
  return total;
}

using Read = float (*)(const float*, int64_t);

Read read(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return read_avx512;
#endif
  return read_plain;
}

using MultiplyAdds = double (*)();

MultiplyAdds multiply_adds(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return multiply_adds_avx512;
  if (isa == "avx2") return multiply_adds_avx2;
#elif defined(__aarch64__)
  if (isa == "neon") return multiply_adds_neon;
#endif
  return multiply_adds_scalar;
}

double seconds_of(Exec& exec, int64_t items, Exec::Task task, void* context) {
  double best = 1e30;
  for (int i = 0; i < 8; ++i) {
    const auto start = std::chrono::steady_clock::now();
    exec.run(items, task, context);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double measure_flops(Exec& exec, const std::string& isa) {
  struct Work {
    MultiplyAdds run;
    double flops;
  } work{multiply_adds(isa), 0};
  const double seconds = seconds_of(
      exec, exec.threads(),
      [](void* context, int64_t item, int) {
        Work& w = *static_cast<Work*>(context);
        const double flops = w.run();
        if (item == 0) w.flops = flops;
      },
      &work);
  return work.flops * exec.threads() / seconds;
}

double measure_bytes(Exec& exec, const std::string& isa) {
  constexpr int64_t kFloats = int64_t{1} << 27;  // 512 MiB
  constexpr int64_t kFloatsPerItem = int64_t{1} << 18;
  struct Work {
    Read run;
    Buffer memory;  // its huge pages, as kernels have them
  } work{read(isa), filled(kFloats)};
  const double seconds = seconds_of(
      exec, kFloats / kFloatsPerItem,
      [](void* context, int64_t item, int) {
        const Work& w = *static_cast<const Work*>(context);
        sink = sink + w.run(w.memory.data() + item * kFloatsPerItem, kFloatsPerItem);
      },
      &work);
  return 4.0 * kFloats / seconds;
}

}  // namespace

Peak measure_peak(Exec& exec, const std::string& isa) {
  const std::string widest = isa == "portable" ? available_isas().front() : isa;
  return {measure_flops(exec, widest), measure_bytes(exec, widest)};
}

}  // namespace bench
}  // namespace lsp
