// The tile registers of AMX, for translation units of a level that has them. All eight tiles have 16 rows of
// 64 bytes: 16 x 16 f32 or int32, 16 x 32 bf16, 16 x 64 int8.
#pragma once

#include "core/simd.h"

#if defined(__AMX_TILE__)

namespace lsp {
namespace LSP_ISA {

// Before tiles are loaded from what plain code has just written: GCC's intrinsics do not say that they read
// memory.
LSP_INLINE void before_tile_loads() { __asm__ volatile("" ::: "memory"); }

// Around the part of a parallel task that uses tiles: configures this thread's, and gives them back, since a
// thread that holds some makes every context switch save 8 KB.
class TileScope {
 public:
  TileScope() {
    struct alignas(64) Palette {  // LDTILECFG, Intel SDM volume 2A
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; ++i) {
      config.row_bytes[i] = 64;
      config.rows[i] = 16;
    }
    __asm__ volatile("" ::"r"(&config) : "memory");
    _tile_loadconfig(&config);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

}  // namespace LSP_ISA
}  // namespace lsp

#endif
