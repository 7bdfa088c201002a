// Decoding of stored rows into panels: a panel's 32 rows are dequantized a piece at a time and transposed in
// registers while they are in the first-level cache.
#include "core/parallel.h"
#include "core/simd_transpose.h"
#include "kernels/linear/panels.h"
#include "kernels/quantize/quantize.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kPiece = 256;  // weights of a row, a multiple of every block

// `count` values of each of `height` rows, kPiece apart, to (count, 32).
static void transpose_piece(const float* piece, int64_t height, int64_t count, float* to) {
  for (int64_t first = 0; first < count; first += kLanes) {
    const int n = static_cast<int>(min_of(kLanes, count - first));
    for (int64_t column = 0; column < kPanel; column += kLanes) {
      Vec square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        square[i] = column + i < height ? load_n(piece + (column + i) * kPiece + first, n) : zero();
      transpose(square);
      for (int i = 0; i < n; ++i) store(to + (first + i) * kPanel + column, square[i]);
    }
  }
}

static void decode(Exec& exec, const PanelDecode& d) {
  const StoredFormat format = stored_format(d.type);
  const int64_t row_bytes = d.k / format.block_elements * format.block_bytes;
  exec.reserve_local(kPanel * kPiece);
  parallel_for(exec, ceil_div(d.n, kPanel), [&](int64_t panel, int worker) {
    float* piece = exec.local(worker);
    const int64_t height = min_of(kPanel, d.n - panel * kPanel);
    for (int64_t first = 0; first < d.k; first += kPiece) {
      const int64_t count = min_of(kPiece, d.k - first);
      for (int64_t i = 0; i < height; ++i) {
        const uint8_t* row = d.rows + (panel * kPanel + i) * row_bytes;
        dequantize(d.type, row + first / format.block_elements * format.block_bytes, count,
                   piece + i * kPiece);
      }
      transpose_piece(piece, height, count, d.panels + (panel * d.k + first) * kPanel);
    }
  });
}

extern const QuantizeKernels quantize_kernels;
const QuantizeKernels quantize_kernels = {decode};

}  // namespace LSP_ISA
}  // namespace lsp
