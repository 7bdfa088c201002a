// What the benches of the kernels share: the shapes of a model, this machine's measured peaks, timing.
//
// A kernel can be no faster than its multiplications at the peak rate of fused multiply-adds, nor than its
// memory traffic at the peak rate of reading (Williams, Waterman and Patterson 2009, the roofline). The share
// of the limit is the larger of the two bounds divided by the measured time. Traffic counts every operand
// once; data that stay in a cache can exceed 100 %.
//
// These sources are part of the addon (`lsp bench`, for people without a compiler) and of lsp_bench (`npm run
// bench`, for people who write kernels).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/exec.h"
#include "core/operation.h"
#include "kernels/dispatch.h"

namespace lsp {
namespace bench {

// The sizes of a model that kernels see; SmolLM2-135M's, unless said otherwise.
struct Geometry {
  int64_t hidden = 576;    // C
  int64_t ffn = 1536;      // F
  int64_t heads = 9;       // H
  int64_t kv_heads = 3;    // K
  int64_t head_size = 64;  // D
  int64_t vocab = 49152;   // V

  int64_t query_size() const { return heads * head_size; }
  int64_t kv_size() const { return kv_heads * head_size; }
  int64_t largest_matrix() const { return vocab * hidden; }
};

// A product of a layer: K, and N of each weight that shares its input.
struct LayerProduct {
  const char* name;
  int64_t k;
  std::vector<int64_t> n;
};
inline std::vector<LayerProduct> layer_products(const Geometry& g) {
  return {{"qkv", g.hidden, {g.query_size(), g.kv_size(), g.kv_size()}},
          {"out", g.query_size(), {g.hidden}},
          {"gate+up", g.hidden, {g.ffn, g.ffn}},
          {"down", g.ffn, {g.hidden}}};
}

// As many rows are a batch of training, with a backward pass; fewer are sequences that are being decoded.
constexpr int64_t kTrainingRows = 128;

// A matrix product (T, K) x (K, N).
struct Product {
  int64_t t, k, n;
};

struct Options {
  Geometry geometry;
  std::vector<std::string> ops;  // without any, only the machine is measured
  std::vector<int64_t> rows = {1, 8, 32, 256, 512, 1024, 2048, 4096};
  std::vector<Product> products = {{2048, 2048, 2048}, {32, 576, 1536}};  // of the op `product`
  std::string isa = active_kernels().isa;
  int threads = 1;
  double seconds_per_case = 0.3;  // less also means fewer repeats of the peaks
};

// What a kernel multiplies; the sums are f32 or int32.
enum class Arithmetic { f32, bf16, int8 };
constexpr int kArithmetics = 3;
const char* name_of(Arithmetic arithmetic);

struct Peak {
  // Operations per second, a multiplication and its addition counted as two. Where the processor has no
  // instruction for an arithmetic, that of f32. The tile units of some processors (AMX) are not measured.
  double flops[kArithmetics] = {};
  double bytes = 0;       // per second, reading from memory
  double copy_bytes = 0;  // per second, read and written bytes together, copying within memory
};
// With all threads of `exec` at once, as wide as `isa` is; portable counts as the widest.
Peak measure_peak(Exec& exec, const Options& options, const Operation& operation);
// The better of two sittings, each figure by itself: a neighbour or a slow clock only ever lowers one.
Peak best_of(const Peak& a, const Peak& b);

struct Measurement {
  std::string op, name;
  double seconds, flops, bytes;
  Arithmetic arithmetic;

  double flops_share(const Peak& peak) const {
    return flops / peak.flops[static_cast<int>(arithmetic)] / seconds;
  }
  double bytes_share(const Peak& peak) const { return bytes / peak.bytes / seconds; }
};

class Bencher {
 public:
  Bencher(const Options& options, Exec& runner, const Operation& under_way)
      : kernels(kernels_for(options.isa)),
        exec(runner),
        geometry(options.geometry),
        rows(options.rows),
        products(options.products),
        operation_(under_way),
        seconds_per_case_(options.seconds_per_case) {}

  const Kernels& kernels;
  Exec& exec;
  const Geometry geometry;
  const std::vector<int64_t> rows;  // T of the cases
  const std::vector<Product> products;

  // Times `body` (the best of many calls) and records it. `flops` and `bytes` are those of one call.
  // Throws Error("ABORTED") between calls.
  void run(const std::string& name, double flops, double bytes, const std::function<void()>& body,
           Arithmetic arithmetic = Arithmetic::f32);

  std::string op;  // under way
  std::function<void(const Measurement&)> record;

 private:
  const Operation& operation_;
  const double seconds_per_case_;
};

// Puts the bench of an op on the list.
struct Registration {
  Registration(const char* op, void (*bench)(Bencher&));
};

// In the order of the alphabet.
std::vector<std::string> ops();
// Throws Error("INVALID_ARGUMENT") for unknown ops, an unknown isa, sizes or rows that no model has.
void check(const Options& options);

struct Peaks {
  Peak before, after;
};
// Measures the machine, every case, and the machine again. `begin` gets the first peaks.
Peaks run(const Options& options, const Operation& operation, const std::function<void(const Peak&)>& begin,
          const std::function<void(const Measurement&)>& record);

// Twice the last cache, within what machines with little memory can give: 512 MiB to 1 GiB. What few rows are
// multiplied with rotates through as much, as the layers of a model do.
int64_t floats_beyond_caches();
// How often `floats` fit in there, at least once.
int64_t cold_copies(int64_t floats);

// Values in [-1, 1), none of them zero, infinite or denormal.
Buffer filled(int64_t count);
// "T=32 C=576"
std::string sizes(const std::vector<std::pair<const char*, int64_t>>& letters);

}  // namespace bench
}  // namespace lsp
