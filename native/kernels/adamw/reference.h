// The oracle of adamw: the formulas of adamw.h in double precision.
#pragma once

#include "check/expected.h"
#include "kernels/adamw/adamw.h"

namespace lsp {
namespace reference {

struct AdamWResult {
  Expected weight, m, v;
};
AdamWResult adamw_step(const AdamW& a);

}  // namespace reference
}  // namespace lsp
