// Dequantizing a tensor as it is read from a file, on one thread.
#include "bench/bench.h"
#include "kernels/quantize/quantize.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  constexpr int64_t count = 4096 * 576;
  Buffer out(count);
  const std::pair<const char*, StoredType> formats[] = {{"f16", StoredType::f16},
                                                        {"bf16", StoredType::bf16},
                                                        {"q8_0", StoredType::q8_0},
                                                        {"q4_0", StoredType::q4_0},
                                                        {"q4_1", StoredType::q4_1}};
  for (const auto& [name, type] : formats) {
    const StoredFormat format = stored_format(type);
    const std::vector<uint8_t> source(static_cast<size_t>(count / format.block_elements * format.block_bytes),
                                      0x11);
    bencher.run(std::string("dequantize ") + name, 0, static_cast<double>(source.size()) + 4.0 * count,
                [&, stored = type] { dequantize(stored, source.data(), count, out.data()); });
  }
}

const Registration registration("quantize", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
