// The oracle of quantize: the formats by their definition, in double precision.
#pragma once

#include <cstdint>

#include "kernels/quantize/quantize.h"

namespace lsp {
namespace reference {

// The number that an IEEE binary16 or bfloat16 stands for.
double half_value(uint16_t bits);
double bfloat16_value(uint16_t bits);
// The bits nearest to a value, ties to even, by searching them.
uint16_t nearest_half(float value);
uint16_t nearest_bfloat16(float value);
// Element `index` of a stored tensor.
double stored_value(StoredType type, const uint8_t* source, int64_t index);

}  // namespace reference
}  // namespace lsp
