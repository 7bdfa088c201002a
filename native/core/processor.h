// What the processor and the operating system allow beyond the base instruction sets, for which
// __builtin_cpu_supports() has no names in the oldest compilers that build this.
#pragma once

namespace lsp {
namespace processor {

bool has_avx_vnni();
bool has_avx512_vnni();
bool has_avx512_bf16();
// AMX with bf16 and int8. Asks the system for the tile registers of this process the first time: without its
// permission they do not exist.
bool has_amx();

}  // namespace processor
}  // namespace lsp
