// Dequantizing a tensor as it is read from a file, on one thread, and decoding a matrix before it is used.
#include "bench/bench.h"
#include "kernels/quantize/quantize.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  constexpr int64_t count = 4096 * 768;
  Buffer out(count);
  for (const StoredFormat& of : kStoredFormats) {
    const std::vector<uint8_t> source(static_cast<size_t>(count / of.block_elements * of.block_bytes), 0x11);
    bencher.run(std::string("dequantize ") + of.name, 0, static_cast<double>(source.size()) + 4.0 * count,
                [&] { dequantize(of.type, source.data(), count, out.data()); });
    bencher.run(
        std::string("to panels ") + of.name, 0, static_cast<double>(source.size()) + 4.0 * count, [&] {
          bencher.kernels.quantize->decode(bencher.exec, {out.data(), source.data(), of.type, 4096, 768});
        });
  }
}

const Registration registration("quantize", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
