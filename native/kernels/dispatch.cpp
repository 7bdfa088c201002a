#include "kernels/dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

#include "core/error.h"
#include "core/processor.h"

namespace lsp {

// The tables of low precision, one pair of macros for each: what the source of that precision defines in the
// namespace of a variant, and the fields of Kernels that take it.
//
// bf16: kernels/<op>/bf16.cpp.
#define LSP_DECLARE_BF16(variant)                   \
  namespace variant {                               \
  extern const LinearKernels linear_bf16_kernels;   \
  extern const LogprobKernels logprob_bf16_kernels; \
  static void use_bf16(Kernels& table) {            \
    table.linear_bf16 = &linear_bf16_kernels;       \
    table.logprob_bf16 = &logprob_bf16_kernels;     \
  }                                                 \
  }
// int8: kernels/<op>/int8.cpp.
#define LSP_DECLARE_INT8(variant)                                      \
  namespace variant {                                                  \
  extern const Int8Kernels int8_kernels;                               \
  static void use_int8(Kernels& table) { table.int8 = &int8_kernels; } \
  }

#define LSP_DECLARE_KERNELS(isa_name)                                                               \
  namespace isa_name {                                                                              \
  extern const AdamWKernels adamw_kernels;                                                          \
  extern const AttentionKernels attention_kernels;                                                  \
  extern const BiasKernels bias_kernels;                                                            \
  extern const EmbeddingKernels embedding_kernels;                                                  \
  extern const GradNormKernels grad_norm_kernels;                                                   \
  extern const LinearKernels linear_kernels;                                                        \
  extern const LogprobKernels logprob_kernels;                                                      \
  extern const QuantizeKernels quantize_kernels;                                                    \
  extern const RmsNormKernels rmsnorm_kernels;                                                      \
  extern const RopeKernels rope_kernels;                                                            \
  extern const SamplingKernels sampling_kernels;                                                    \
  extern const SwigluKernels swiglu_kernels;                                                        \
  }                                                                                                 \
  LSP_DECLARE_BF16(isa_name)                                                                        \
  LSP_DECLARE_INT8(isa_name)                                                                        \
  namespace isa_name {                                                                              \
  static Kernels kernels() {                                                                        \
    Kernels table = {#isa_name,         #isa_name,          &adamw_kernels,     &attention_kernels, \
                     &bias_kernels,     &embedding_kernels, &grad_norm_kernels, &linear_kernels,    \
                     &logprob_kernels,  &quantize_kernels,  &rmsnorm_kernels,   &rope_kernels,      \
                     &sampling_kernels, &swiglu_kernels};                                           \
    use_bf16(table);                                                                                \
    use_int8(table);                                                                                \
    return table;                                                                                   \
  }                                                                                                 \
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
// Levels declare the precisions that CMakeLists.txt compiles for them.
#ifdef LSP_HAVE_AVX2_VNNI
LSP_DECLARE_INT8(avx2_vnni)
#endif
#ifdef LSP_HAVE_AVX512_VNNI
LSP_DECLARE_INT8(avx512_vnni)
#endif
#ifdef LSP_HAVE_AVX512_BF16
LSP_DECLARE_BF16(avx512_bf16)
#endif
#ifdef LSP_HAVE_AMX
LSP_DECLARE_BF16(amx)
LSP_DECLARE_INT8(amx)
#endif

#undef LSP_DECLARE_KERNELS
#undef LSP_DECLARE_BF16
#undef LSP_DECLARE_INT8

namespace {

// A level on top of another: its own tables where it has some, those of the one below otherwise.
Kernels level(const char* name, Kernels below, std::initializer_list<void (*)(Kernels&)> uses) {
  below.isa = name;
  for (const auto& use : uses) use(below);
  return below;
}

// Those that this processor runs, worst first.
std::vector<Kernels> make_variants() {
  std::vector<Kernels> found = {portable::kernels()};
#ifdef LSP_HAVE_NEON
  found.push_back(neon::kernels());
#endif
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef LSP_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(avx2::kernels());
#ifdef LSP_HAVE_AVX2_VNNI
    if (processor::has_avx_vnni()) found.push_back(level("avx2_vnni", found.back(), {avx2_vnni::use_int8}));
#endif
  }
#endif
#ifdef LSP_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("fma")) {
    found.push_back(avx512::kernels());
#ifdef LSP_HAVE_AVX512_VNNI
    if (!processor::has_avx512_vnni()) return found;
    found.push_back(level("avx512_vnni", found.back(), {avx512_vnni::use_int8}));
#endif
#ifdef LSP_HAVE_AVX512_BF16
    if (!processor::has_avx512_bf16()) return found;
    found.push_back(level("avx512_bf16", found.back(), {avx512_bf16::use_bf16}));
#endif
#ifdef LSP_HAVE_AMX
    if (!processor::has_amx()) return found;
    found.push_back(level("amx", found.back(), {amx::use_bf16, amx::use_int8}));
#endif
  }
#endif
#endif
  return found;
}

// Best first.
// Never destroyed: when a process exits, its threads may still be computing.
const std::vector<Kernels>& variants() {
  static const std::vector<Kernels>& found = *[] {
    auto* list = new std::vector<Kernels>(make_variants());
    std::reverse(list->begin(), list->end());
    return list;
  }();
  return found;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Kernels& variant : variants()) names.emplace_back(variant.isa);
  return names;
}

std::vector<std::string> base_isas() {
  std::vector<std::string> names;
  for (const Kernels& variant : variants()) {
    if (variant.isa == std::string(variant.base)) names.emplace_back(variant.isa);
  }
  return names;
}

const Kernels& kernels_for(const std::string& isa) {
  for (const Kernels& variant : variants()) {
    if (variant.isa == isa) return variant;
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
