#include "bench/profile.h"

#include <atomic>
#include <chrono>

namespace lsp {
namespace bench {

namespace {

struct Counter {
  const char* name = nullptr;
  std::atomic<int64_t> calls{0};
  std::atomic<double> seconds{0}, operations{0}, bytes{0};
};

void add(std::atomic<double>& sum, double value) {
  double before = sum.load(std::memory_order_relaxed);
  while (!sum.compare_exchange_weak(before, before + value, std::memory_order_relaxed)) {
  }
}

struct Work {
  double operations = 0, bytes = 0;
};

double bytes_of(const Panels& weight, int64_t n, int64_t k) {
  return static_cast<double>(panel_floats(n, k)) * (weight.bf16 != nullptr ? 2 : 4);
}

// Of a product of t rows: 2 t k n operations; weight, input and output once.
Work product(int64_t t, int64_t k, int64_t n, double weight_bytes) {
  const double rows = static_cast<double>(t), depth = static_cast<double>(k),
               columns = static_cast<double>(n);
  return {2 * rows * depth * columns, weight_bytes + 4 * rows * (depth + columns)};
}

// Where nobody counts the work of a kernel, its time alone is told.
template <typename Arguments>
Work work_of(const Arguments&) {
  return {};
}

Work work_of(const LinearForward& a) {
  int64_t columns = 0;
  double weights = 0;
  for (int i = 0; i < a.part_count; ++i) {
    columns += a.parts[i].n;
    weights += bytes_of(a.parts[i].weight, a.parts[i].n, a.k);
  }
  return product(a.t, a.k, columns, weights);
}

Work work_of(const LinearBackwardInput& a) { return product(a.t, a.n, a.k, bytes_of(a.weight, a.n, a.k)); }

Work work_of(const LinearBackwardWeight& a) {
  int64_t columns = 0;
  double gradients = 0;
  for (int i = 0; i < a.part_count; ++i) {
    columns += a.parts[i].n;
    gradients += 2 * bytes_of(a.parts[i].dweight, a.parts[i].n, a.k);  // read and written
  }
  return product(a.t, a.k, columns, gradients);
}

Work work_of(const LogprobForward& a) {
  Work work = product(a.t, a.c, a.v, bytes_of(a.weight, a.v, a.c));
  if (a.logits == nullptr) work.bytes -= 4 * static_cast<double>(a.t) * static_cast<double>(a.v);
  return work;
}

// Gradients of the rows; of the weight, unless the head is frozen; logits, unless they were kept.
Work work_of(const LogprobBackward& a) {
  const int64_t columns = a.last - a.first;
  const int products = 1 + (a.dweight == nullptr ? 0 : 1) + (a.logits == nullptr ? 1 : 0);
  const double weights = bytes_of(a.weight, columns, a.c);
  return {products * product(a.t, a.c, columns, 0).operations, (products + 1) * weights};
}

Work int8_product(int64_t t, int64_t k, int64_t n) {
  return product(t, k, n, static_cast<double>(int8_panel_bytes(n, k)));
}

Work work_of(const Int8Forward& a) {
  int64_t columns = 0;
  for (int i = 0; i < a.part_count; ++i) columns += a.parts[i].n;
  return int8_product(a.t, a.k, columns);
}

Work work_of(const PanelDecode& a) {
  const StoredFormat format = stored_format(a.type);
  const double count = static_cast<double>(a.n) * static_cast<double>(a.k);
  return {0,
          count * (4 + static_cast<double>(format.block_bytes) / static_cast<double>(format.block_elements))};
}

Work work_of(const Int8Head& a) { return int8_product(a.t, a.c, a.v); }

// Without the logits.
Work work_of(const Int8Logprob& a) {
  Work work = int8_product(a.t, a.c, a.v);
  work.bytes -= 4 * static_cast<double>(a.t) * static_cast<double>(a.v);
  return work;
}

Work work_of(const AdamW& a) {
  const double count = static_cast<double>(a.count);
  return {14 * count, 4 * (a.gradient2 == nullptr ? 7 : 8) * count};
}

Work work_of(const GradNorm& a) {
  const double count = static_cast<double>(a.count);
  return {2 * count, 4 * (a.gradient2 == nullptr ? 1 : 2) * count};
}

template <auto kGroup, auto kKernel>
Counter counter_of;

std::vector<Counter*>& counters() {
  static std::vector<Counter*>& all = *new std::vector<Counter*>();  // never destroyed, as the kernels
  return all;
}

const Kernels& plain() {
  static const Kernels& kernels = active_kernels();
  return kernels;
}

template <auto kGroup, auto kKernel, typename Arguments>
void timed(Exec& exec, const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  Counter& counter = counter_of<kGroup, kKernel>;
  const Clock::time_point start = Clock::now();
  ((plain().*kGroup)->*kKernel)(exec, arguments);
  add(counter.seconds, std::chrono::duration<double>(Clock::now() - start).count());
  const Work work = work_of(arguments);
  add(counter.operations, work.operations);
  add(counter.bytes, work.bytes);
  counter.calls.fetch_add(1, std::memory_order_relaxed);
}

template <auto kGroup, auto kKernel, typename Group, typename Arguments>
void replace(Group& group, void (*Group::*)(Exec&, const Arguments&), const char* name) {
  group.*kKernel = timed<kGroup, kKernel, Arguments>;
  counter_of<kGroup, kKernel>.name = name;
  counters().push_back(&counter_of<kGroup, kKernel>);
}

// Puts a copy of a group of kernels, if there is one, in its place, in which those named are timed; others
// stay as they are.
template <auto kGroup, auto... kKernels, typename... Names>
void time_group(Kernels& kernels, Names... names) {
  if (plain().*kGroup == nullptr) return;
  static auto group = *(plain().*kGroup);
  (replace<kGroup, kKernels>(group, kKernels, names), ...);
  kernels.*kGroup = &group;
}

Kernels make_timed() {
  Kernels k = plain();
  time_group<&Kernels::linear, &LinearKernels::forward, &LinearKernels::backward_input,
             &LinearKernels::backward_weight>(k, "linear forward", "linear backward input",
                                              "linear backward weight");
  time_group<&Kernels::logprob, &LogprobKernels::forward, &LogprobKernels::backward>(k, "logprob forward",
                                                                                     "logprob backward");
  time_group<&Kernels::linear_bf16, &LinearKernels::forward, &LinearKernels::backward_input,
             &LinearKernels::backward_weight>(k, "linear bf16 forward", "linear bf16 backward input",
                                              "linear bf16 backward weight");
  time_group<&Kernels::logprob_bf16, &LogprobKernels::forward, &LogprobKernels::backward>(
      k, "logprob bf16 forward", "logprob bf16 backward");
  time_group<&Kernels::quantize, &QuantizeKernels::decode>(k, "decode");
  time_group<&Kernels::int8, &Int8Kernels::quantize, &Int8Kernels::forward, &Int8Kernels::head,
             &Int8Kernels::logprob>(k, "int8 quantize", "int8 forward", "int8 head", "int8 logprob");
  time_group<&Kernels::attention, &AttentionKernels::forward, &AttentionKernels::backward>(
      k, "attention forward", "attention backward");
  time_group<&Kernels::rmsnorm, &RmsNormKernels::forward, &RmsNormKernels::backward>(k, "rmsnorm forward",
                                                                                     "rmsnorm backward");
  time_group<&Kernels::swiglu, &SwigluKernels::forward, &SwigluKernels::backward>(k, "swiglu forward",
                                                                                  "swiglu backward");
  time_group<&Kernels::rope, &RopeKernels::forward, &RopeKernels::backward>(k, "rope forward",
                                                                            "rope backward");
  time_group<&Kernels::bias, &BiasKernels::forward, &BiasKernels::backward>(k, "bias forward",
                                                                            "bias backward");
  time_group<&Kernels::embedding, &EmbeddingKernels::forward, &EmbeddingKernels::backward>(
      k, "embedding forward", "embedding backward");
  time_group<&Kernels::sampling, &SamplingKernels::sample>(k, "sampling");
  time_group<&Kernels::adamw, &AdamWKernels::step>(k, "adamw");
  time_group<&Kernels::grad_norm, &GradNormKernels::sum_of_squares>(k, "grad_norm");
  return k;
}

}  // namespace

const Kernels& timed_kernels() {
  static const Kernels kernels = make_timed();
  return kernels;
}

std::vector<KernelTime> kernel_times() {
  timed_kernels();
  std::vector<KernelTime> times;
  for (const Counter* counter : counters())
    times.push_back({counter->name, counter->calls.load(), counter->seconds.load(),
                     counter->operations.load(), counter->bytes.load()});
  return times;
}

}  // namespace bench
}  // namespace lsp
