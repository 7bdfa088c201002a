#include "kernels/dispatch.h"

#include <cstdlib>

#include "core/error.h"

namespace lsp {

#define LSP_DECLARE_KERNELS(isa_name)                                                      \
  namespace isa_name {                                                                     \
  extern const AdamWKernels adamw_kernels;                                                 \
  extern const AttentionKernels attention_kernels;                                         \
  extern const BiasKernels bias_kernels;                                                   \
  extern const EmbeddingKernels embedding_kernels;                                         \
  extern const GradNormKernels grad_norm_kernels;                                          \
  extern const LinearKernels linear_kernels;                                               \
  extern const LogprobKernels logprob_kernels;                                             \
  extern const RmsNormKernels rmsnorm_kernels;                                             \
  extern const RopeKernels rope_kernels;                                                   \
  extern const SamplingKernels sampling_kernels;                                           \
  extern const SwigluKernels swiglu_kernels;                                               \
  const Kernels& kernels() {                                                               \
    static const Kernels table = {#isa_name,       &adamw_kernels,     &attention_kernels, \
                                  &bias_kernels,   &embedding_kernels, &grad_norm_kernels, \
                                  &linear_kernels, &logprob_kernels,   &rmsnorm_kernels,   \
                                  &rope_kernels,   &sampling_kernels,  &swiglu_kernels};   \
    return table;                                                                          \
  }                                                                                        \
  }

LSP_DECLARE_KERNELS(portable)
#ifdef LSP_HAVE_AVX2
LSP_DECLARE_KERNELS(avx2)
#endif
#ifdef LSP_HAVE_AVX512
LSP_DECLARE_KERNELS(avx512)
#endif
#ifdef LSP_HAVE_NEON
LSP_DECLARE_KERNELS(neon)
#endif

#undef LSP_DECLARE_KERNELS

namespace {

struct Variant {
  const Kernels& (*kernels)();
  bool runs_here;
};

std::vector<Variant> variants() {
  std::vector<Variant> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef LSP_HAVE_AVX512
  found.push_back({avx512::kernels, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                        __builtin_cpu_supports("avx512dq") &&
                                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")});
#endif
#ifdef LSP_HAVE_AVX2
  found.push_back({avx2::kernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
#endif
#endif
#ifdef LSP_HAVE_NEON
  found.push_back({neon::kernels, true});
#endif
  found.push_back({portable::kernels, true});
  return found;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Variant& variant : variants()) {
    if (variant.runs_here) names.emplace_back(variant.kernels().isa);
  }
  return names;
}

const Kernels& kernels_for(const std::string& isa) {
  for (const Variant& variant : variants()) {
    if (variant.runs_here && variant.kernels().isa == isa) return variant.kernels();
  }
  std::string names;
  for (const std::string& name : available_isas()) names += (names.empty() ? "" : ", ") + name;
  throw Error("INVALID_ARGUMENT", "Expected one of " + names + " for `LSP_ISA` but received '" + isa + "'.");
}

const Kernels& active_kernels() {
  const char* wanted = std::getenv("LSP_ISA");
  if (wanted != nullptr && *wanted != '\0') return kernels_for(wanted);
  return kernels_for(available_isas().front());
}

}  // namespace lsp
