// One block of each format of quantize.h to its 32 or 256 floats.
#pragma once

#include <stdint.h>

namespace lsp {

void unpack_q8_0(const uint8_t* block, float* out);
void unpack_q4_0(const uint8_t* block, float* out);
void unpack_q4_1(const uint8_t* block, float* out);
void unpack_q5_0(const uint8_t* block, float* out);
void unpack_q5_1(const uint8_t* block, float* out);
void unpack_q2_k(const uint8_t* block, float* out);
void unpack_q3_k(const uint8_t* block, float* out);
void unpack_q4_k(const uint8_t* block, float* out);
void unpack_q5_k(const uint8_t* block, float* out);
void unpack_q6_k(const uint8_t* block, float* out);
void unpack_iq4_nl(const uint8_t* block, float* out);
void unpack_iq4_xs(const uint8_t* block, float* out);

}  // namespace lsp
