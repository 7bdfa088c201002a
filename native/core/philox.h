// Philox4x32-10 counter-based random numbers (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3"). The number drawn depends only on (seed, stream, position), never on a batch slot or on what was drawn
// before.
#pragma once

#include <cstdint>

namespace lsp {

struct PhiloxBlock {
  uint32_t word[4];
};

inline PhiloxBlock philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  PhiloxBlock x{{static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
                 static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)}};
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * x.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * x.word[2];
    x = PhiloxBlock{
        {static_cast<uint32_t>(product1 >> 32) ^ x.word[1] ^ key0, static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ x.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return x;
}

// Uniform in [0, 1) with 53 bits.
inline double philox_uniform(uint64_t seed, uint64_t stream, uint64_t position) {
  const PhiloxBlock block = philox4x32(seed, position, stream);
  const uint64_t bits = (uint64_t{block.word[0]} << 32 | block.word[1]) >> 11;
  return static_cast<double>(bits) * (1.0 / 9007199254740992.0);
}

}  // namespace lsp
