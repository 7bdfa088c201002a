#include "kernels/linear/reference.h"

namespace lsp {
namespace reference {

Expected linear_forward(const float* x, const float* w, int64_t t, int64_t k, int64_t n) {
  Expected y(t * n);
  for (int64_t row = 0; row < t; ++row)
    for (int64_t column = 0; column < n; ++column)
      for (int64_t i = 0; i < k; ++i)
        y.add(row * n + column, static_cast<double>(x[row * k + i]) * w[column * k + i]);
  return y;
}

Expected linear_backward_input(const float* dy, const float* w, const float* start, int64_t t, int64_t k,
                               int64_t n) {
  Expected dx(t * k);
  for (int64_t row = 0; row < t; ++row)
    for (int64_t i = 0; i < k; ++i) {
      if (start != nullptr) dx.add(row * k + i, start[row * k + i]);
      for (int64_t column = 0; column < n; ++column)
        dx.add(row * k + i, static_cast<double>(dy[row * n + column]) * w[column * k + i]);
    }
  return dx;
}

Expected linear_backward_weight(const float* dy, const float* x, const float* start, int64_t t, int64_t k,
                                int64_t n) {
  Expected dw(n * k);
  for (int64_t column = 0; column < n; ++column)
    for (int64_t i = 0; i < k; ++i) {
      if (start != nullptr) dw.add(column * k + i, start[column * k + i]);
      for (int64_t row = 0; row < t; ++row)
        dw.add(column * k + i, static_cast<double>(dy[row * n + column]) * x[row * k + i]);
    }
  return dw;
}

void linear_forward_chain(float* y, const float* x, const float* w, int64_t t, int64_t k, int64_t n) {
  for (int64_t row = 0; row < t; ++row)
    for (int64_t column = 0; column < n; ++column) {
      float sum = 0.0f;
      for (int64_t i = 0; i < k; ++i) sum = std::fma(x[row * k + i], w[column * k + i], sum);
      y[row * n + column] = sum;
    }
}

void linear_backward_input_chain(float* dx, const float* dy, const float* w, int64_t t, int64_t k,
                                 int64_t n) {
  for (int64_t row = 0; row < t; ++row)
    for (int64_t i = 0; i < k; ++i) {
      float sum = dx[row * k + i];
      for (int64_t column = 0; column < n; ++column)
        sum = std::fma(dy[row * n + column], w[column * k + i], sum);
      dx[row * k + i] = sum;
    }
}

void linear_backward_weight_chain(float* dw, const float* dy, const float* x, int64_t t, int64_t k,
                                  int64_t n) {
  for (int64_t column = 0; column < n; ++column)
    for (int64_t i = 0; i < k; ++i) {
      float sum = dw[column * k + i];
      for (int64_t row = 0; row < t; ++row) sum = std::fma(dy[row * n + column], x[row * k + i], sum);
      dw[column * k + i] = sum;
    }
}

}  // namespace reference
}  // namespace lsp
