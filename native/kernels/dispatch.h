// The kernels of one variant, chosen once per process: the best the processor runs, or the one named by
// LSP_ISA.
//
// Variants are a chain. A base (portable, avx2, avx512, neon) has every kernel. A level (avx2_vnni,
// avx512_vnni, avx512_bf16, amx) is what newer processors add for products of low precision: it shares the
// f32 tables of its base, pointer for pointer, and has low-precision tables of its own where its instructions
// help, else those of the level below.
#pragma once

#include <string>
#include <vector>

#include "kernels/adamw/adamw.h"
#include "kernels/attention/attention.h"
#include "kernels/bias/bias.h"
#include "kernels/embedding/embedding.h"
#include "kernels/grad_norm/grad_norm.h"
#include "kernels/int8/int8.h"
#include "kernels/linear/linear.h"
#include "kernels/logprob/logprob.h"
#include "kernels/quantize/quantize.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/rope/rope.h"
#include "kernels/sampling/sampling.h"
#include "kernels/swiglu/swiglu.h"

namespace lsp {

struct Kernels {
  const char* isa;   // of the base or level
  const char* base;  // whose f32 kernels these are; `isa` itself for a base
  const AdamWKernels* adamw;
  const AttentionKernels* attention;
  const BiasKernels* bias;
  const EmbeddingKernels* embedding;
  const GradNormKernels* grad_norm;
  const LinearKernels* linear;
  const LogprobKernels* logprob;
  const QuantizeKernels* quantize;
  const RmsNormKernels* rmsnorm;
  const RopeKernels* rope;
  const SamplingKernels* sampling;
  const SwigluKernels* swiglu;
  // The same contracts with products in bfloat16.
  const LinearKernels* linear_bf16 = nullptr;
  const LogprobKernels* logprob_bf16 = nullptr;
  const Int8Kernels* int8 = nullptr;
};

// Variants compiled in that this processor runs, best first; `portable` always comes last.
std::vector<std::string> available_isas();
// Those of them that are bases: every set of f32 kernels once.
std::vector<std::string> base_isas();
// Throws Error("INVALID_ARGUMENT") for a name that is not available.
const Kernels& kernels_for(const std::string& isa);
// LSP_ISA if set, else the best.
const Kernels& active_kernels();

}  // namespace lsp
