// Tensors in files: reading stored types into parameters, writing safetensors atomically.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/operation.h"
#include "kernels/quantize/quantize.h"
#include "model/parameters.h"

namespace lsp {

struct TensorLocation {
  std::string name;
  std::string path;
  int64_t offset;
  int64_t bytes;
  StoredType type;
  std::vector<int64_t> shape;
  bool rope_permuted;  // q and k rows in the order GGUF's `llama` stores them
};

// Reads one tensor in stored layout. Nothing is allocated before shape, size and range have been checked
// against the real file. Throws Error("INVALID_MODEL_FILE" | "IO_ERROR" | "OUT_OF_MEMORY").
Buffer read_tensor(const TensorLocation& location, const ParameterSpec& spec, const Operation& operation);
// The same of a matrix whose rows stay as the file has them, one after another, in the parameter's order.
Buffer read_rows(const TensorLocation& location, const ParameterSpec& spec, const Operation& operation);

struct TensorToWrite {
  std::string name;
  const ParameterSpec* spec;
  Panels stored;                 // of a vector: its values, in f32
  std::function<Buffer()> make;  // where it is set, f32 panels that are made when their turn comes
};

// Writes a safetensors file (row-major, `type` f32, f16 or bf16) under a temporary name beside `path`, syncs
// it, renames it. On failure nothing is left behind. Throws Error("IO_ERROR").
void write_safetensors(const std::string& path, StoredType type, const std::vector<TensorToWrite>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata,
                       const Operation& operation);

}  // namespace lsp
