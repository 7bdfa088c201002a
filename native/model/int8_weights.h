// The matrices of a model in 8 bits, for sampling and scoring (kernels/int8/int8.h): made from its weights,
// with the adapter added where there is one, when they are asked for, and made anew where those have changed
// since.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/operation.h"
#include "kernels/int8/int8.h"

namespace lsp {

class Model;

class Int8Weights {
 public:
  // Brings every matrix that a forward pass multiplies by up to date. May throw midway: those that are done
  // stay.
  void refresh(Model& model, const Operation& operation);
  // Of a matrix, after refresh().
  Int8Panels panels(int parameter) const;
  void clear() { matrices_.clear(); }
  int64_t bytes() const;

 private:
  struct Matrix {
    Buffer values, scale;
    int64_t revision = -1;  // of the weight that it was made from
  };
  std::vector<Matrix> matrices_;  // by parameter
};

}  // namespace lsp
