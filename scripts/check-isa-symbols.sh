#!/usr/bin/env bash
# Proves that code compiled for one instruction set stays there.
#
# The linker keeps ONE copy of a weak symbol (an inline function, a template instance). If the copy compiled with
# AVX-512 wins, an AVX2 machine dies of an illegal instruction in a function as innocent as std::min. So every symbol
# that an ISA object defines for others must carry the ISA's namespace in its name, lsp::<isa>::, and nothing may run
# at load time (a dynamic initializer would run before the dispatch looks at the processor).
#
# Usage: scripts/check-isa-symbols.sh BUILD_DIRECTORY   (an optimized build: build/Release or build-check)
set -euo pipefail

build_directory=${1:?usage: scripts/check-isa-symbols.sh BUILD_DIRECTORY}
objects=0
bad=0

while IFS= read -r object; do
  objects=$((objects + 1))
  isa=${object##*/lsp_isa_}
  isa=${isa%%.dir/*}
  # DW.ref.__gxx_personality_v0 is a pointer to the exception handler's routine, the same from every object.
  outside=$(nm -C --defined-only --extern-only "$object" |
    awk -v namespace="lsp::$isa::" 'NF >= 3 && index($0, namespace) == 0 && $0 !~ / DW\.ref\./')
  initializers=$(nm -C --defined-only "$object" | grep -E '_GLOBAL__(sub_I|I)_|__cxx_global_var_init' || true)
  if [ -n "$outside$initializers" ]; then
    bad=$((bad + 1))
    echo "$object defines symbols outside lsp::$isa:: or runs code at load time:"
    printf '%s\n' "$outside" "$initializers" | sed '/^$/d; s/^/  /'
  fi
done < <(find "$build_directory" -path '*lsp_isa_*.dir/*' -name '*.o' | sort)

if [ "$objects" -eq 0 ]; then
  echo "Expected ISA objects under $build_directory but found none." >&2
  exit 1
fi
if [ "$bad" -ne 0 ]; then
  echo "ISA symbols: $bad of $objects objects leak (make the function static, or move it into the namespace)." >&2
  exit 1
fi
echo "ISA symbols: $objects objects, all within their namespaces"
