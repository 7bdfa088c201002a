// The oracle of swiglu: double precision.
#pragma once

#include "check/expected.h"

namespace lsp {
namespace reference {

Expected swiglu_forward(const float* gate, const float* up, int64_t count);

struct SwigluGradients {
  Expected dgate, dup;
};
SwigluGradients swiglu_backward(const float* dy, const float* gate, const float* up, int64_t count);

}  // namespace reference
}  // namespace lsp
