// The peaks that benches are compared with: independent chains of multiply-adds in registers, sums over and
// copies within more memory than most caches hold.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "bench/bench.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace lsp {
namespace bench {

namespace {

constexpr int64_t kRounds = 1000000;
// More than latency times units of any core so far (2 x 4 on x86, 4 x 4 on some aarch64 cores), and with the
// two constants fewer than the registers of AVX2.
constexpr int kChains = 12;
volatile float sink;

// Every chain starts from a value of its own: of chains with equal values a compiler may keep one. All tend
// to 1 and never meet a denormal.
float start_of(int chain) { return 0.5f + 0.01f * static_cast<float>(chain); }

#if defined(__x86_64__)

__attribute__((target("avx512f"))) double multiply_adds_avx512() {
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(start_of(i));
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i)
    for (__m512& x : sum) x = _mm512_fmadd_ps(x, a, b);
  for (const __m512& x : sum) sink = sink + _mm512_cvtss_f32(x);
  return 2.0 * 16 * kChains * kRounds;
}

__attribute__((target("avx2,fma"))) double multiply_adds_avx2() {
  __m256 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm256_set1_ps(start_of(i));
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i)
    for (__m256& x : sum) x = _mm256_fmadd_ps(x, a, b);
  for (const __m256& x : sum) sink = sink + _mm256_cvtss_f32(x);
  return 2.0 * 8 * kChains * kRounds;
}

// A lane of the sum takes the products of two pairs of bf16.
__attribute__((target("avx512f,avx512bw,avx512bf16"))) double multiply_adds_avx512_bf16() {
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(start_of(i));
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.001f), _mm512_set1_ps(0.001f)), b = a;
  for (int64_t i = 0; i < kRounds; ++i)
    for (__m512& x : sum) x = _mm512_dpbf16_ps(x, a, b);
  for (const __m512& x : sum) sink = sink + _mm512_cvtss_f32(x);
  return 2.0 * 2 * 16 * kChains * kRounds;
}

// A lane of the sum takes the products of four pairs of bytes.
__attribute__((target("avx512f,avx512vnni"))) double multiply_adds_avx512_int8() {
  __m512i sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_epi32(i);
  const __m512i a = _mm512_set1_epi32(0x01020301), b = _mm512_set1_epi32(0x7f01ff81);
  for (int64_t i = 0; i < kRounds; ++i)
    for (__m512i& x : sum) x = _mm512_dpbusd_epi32(x, a, b);
  for (const __m512i& x : sum) sink = sink + static_cast<float>(_mm512_cvtsi512_si32(x));
  return 2.0 * 4 * 16 * kChains * kRounds;
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
  for (int i = 0; i < kChains; ++i) sum[i] = vdupq_n_f32(start_of(i));
  const float32x4_t a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
  for (int64_t i = 0; i < kRounds; ++i)
    for (float32x4_t& x : sum) x = vfmaq_f32(b, x, a);
  for (const float32x4_t& x : sum) sink = sink + vgetq_lane_f32(x, 0);
  return 2.0 * 4 * kChains * kRounds;
}

#endif

double multiply_adds_scalar() {
  float sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = start_of(i);
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

// Null where there is no instruction for it.
MultiplyAdds multiply_adds(const std::string& isa, Arithmetic arithmetic) {
#if defined(__x86_64__)
  if (isa == "avx512" && arithmetic == Arithmetic::bf16 && __builtin_cpu_supports("avx512bf16"))
    return multiply_adds_avx512_bf16;
  if (isa == "avx512" && arithmetic == Arithmetic::int8 && __builtin_cpu_supports("avx512vnni"))
    return multiply_adds_avx512_int8;
#endif
  if (arithmetic != Arithmetic::f32) return nullptr;
#if defined(__x86_64__)
  if (isa == "avx512") return multiply_adds_avx512;
  if (isa == "avx2") return multiply_adds_avx2;
#elif defined(__aarch64__)
  if (isa == "neon") return multiply_adds_neon;
#endif
  return multiply_adds_scalar;
}

// How often the same work is timed, of which the best counts: the clock rises only after some milliseconds of
// load, and neighbours come and go.
struct Sitting {
  const Operation& operation;
  int repeats;
};

double seconds_of(Exec& exec, const Sitting& sitting, int64_t items, Exec::Task task, void* context) {
  double best = 1e30;
  for (int i = 0; i < sitting.repeats; ++i) {
    sitting.operation.poll();
    const auto start = std::chrono::steady_clock::now();
    exec.run(items, task, context);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double measure_flops(Exec& exec, MultiplyAdds run, const Sitting& sitting) {
  struct Work {
    MultiplyAdds run;
    double flops;
  } work{run, 0};
  // Several pieces a thread, handed out as kernels hand out theirs: all threads are busy to the end.
  const int64_t items = 8 * exec.threads();
  const double seconds = seconds_of(
      exec, sitting, items,
      [](void* context, int64_t item, int) {
        Work& w = *static_cast<Work*>(context);
        const double flops = w.run();
        if (item == 0) w.flops = flops;
      },
      &work);
  return work.flops * static_cast<double>(items) / seconds;
}

constexpr int64_t kFloatsPerItem = int64_t{1} << 18;

void measure_bytes(Exec& exec, const std::string& isa, const Sitting& sitting, Peak& peak) {
  struct Work {
    Read run;
    Buffer memory;  // its huge pages, as kernels have them
    int64_t half;
  };
  const int64_t floats = floats_beyond_caches();
  Work work{read(isa), filled(floats), floats / 2};
  const double reading = seconds_of(
      exec, sitting, floats / kFloatsPerItem,
      [](void* context, int64_t item, int) {
        const Work& w = *static_cast<const Work*>(context);
        sink = sink + w.run(w.memory.data() + item * kFloatsPerItem, kFloatsPerItem);
      },
      &work);
  const double copying = seconds_of(
      exec, sitting, work.half / kFloatsPerItem,
      [](void* context, int64_t item, int) {
        Work& w = *static_cast<Work*>(context);
        float* from = w.memory.data() + item * kFloatsPerItem;
        std::memcpy(from + w.half, from, kFloatsPerItem * sizeof(float));
      },
      &work);
  peak.bytes = 4.0 * static_cast<double>(floats) / reading;
  peak.copy_bytes = 4.0 * static_cast<double>(floats) / copying;
}

}  // namespace

int64_t floats_beyond_caches() {
  int64_t cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  cache = std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
  const int64_t floats = std::clamp<int64_t>(2 * cache / 4, int64_t{1} << 27, int64_t{1} << 28);
  return floats / (2 * kFloatsPerItem) * (2 * kFloatsPerItem);
}

int64_t cold_copies(int64_t floats) { return std::max<int64_t>(1, floats_beyond_caches() / floats); }

Peak measure_peak(Exec& exec, const Options& options, const Operation& operation) {
  const std::string widest = options.isa == "portable" ? base_isas().front() : kernels_for(options.isa).base;
  const Sitting sitting{operation, static_cast<int>(std::clamp(40 * options.seconds_per_case, 3.0, 12.0))};
  Peak peak;
  for (const Arithmetic arithmetic : {Arithmetic::f32, Arithmetic::bf16, Arithmetic::int8}) {
    const MultiplyAdds run = multiply_adds(widest, arithmetic);
    peak.flops[static_cast<int>(arithmetic)] =
        run == nullptr ? peak.flops[0] : measure_flops(exec, run, sitting);
  }
  measure_bytes(exec, widest, sitting, peak);
  return peak;
}

Peak best_of(const Peak& a, const Peak& b) {
  Peak best{{}, std::max(a.bytes, b.bytes), std::max(a.copy_bytes, b.copy_bytes)};
  for (int i = 0; i < kArithmetics; ++i) best.flops[i] = std::max(a.flops[i], b.flops[i]);
  return best;
}

}  // namespace bench
}  // namespace lsp
