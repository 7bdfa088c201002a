#include "kernels/attention/reference.h"

#include <algorithm>

namespace lsp {
namespace reference {

namespace {

// The token itself and its ancestors, the first one first.
std::vector<int64_t> path_of(const AttentionTree& tree, int64_t token) {
  std::vector<int64_t> path;
  for (int64_t at = token; at >= 0; at = tree.parent[at]) path.push_back(at);
  std::reverse(path.begin(), path.end());
  return path;
}

struct Softmax {
  std::vector<double> probability;  // of each token of the path
  double lse, largest_score;
};

Softmax softmax(const AttentionTree& tree, const std::vector<int64_t>& path, int64_t token, int64_t head) {
  const int64_t d = tree.head_size, kv_head = head * tree.kv_heads / tree.heads;
  const float* q = tree.q + (token * tree.heads + head) * d;
  Softmax out{{}, 0, 0};
  double top = -INFINITY;
  for (const int64_t key : path) {
    const float* k = tree.k + (key * tree.kv_heads + kv_head) * d;
    double score = 0, size = 0;
    for (int64_t i = 0; i < d; ++i) {
      score += static_cast<double>(q[i]) * k[i];
      size += std::fabs(static_cast<double>(q[i]) * k[i]);
    }
    out.probability.push_back(score / std::sqrt(static_cast<double>(d)));
    out.largest_score = std::max(out.largest_score, size / std::sqrt(static_cast<double>(d)));
    top = std::max(top, out.probability.back());
  }
  double sum = 0;
  for (double& p : out.probability) sum += p = std::exp(p - top);
  for (double& p : out.probability) p /= sum;
  out.lse = top + std::log(sum);
  return out;
}

}  // namespace

Attention attention_forward(const AttentionTree& tree) {
  const int64_t d = tree.head_size;
  Attention out{Expected(tree.t * tree.heads * d), Expected(tree.t * tree.heads), 0};
  for (int64_t token = 0; token < tree.t; ++token) {
    const std::vector<int64_t> path = path_of(tree, token);
    for (int64_t head = 0; head < tree.heads; ++head) {
      const Softmax s = softmax(tree, path, token, head);
      out.largest_score = std::max(out.largest_score, s.largest_score);
      out.lse.set(token * tree.heads + head, s.lse, std::fabs(s.lse) + 1);
      for (size_t j = 0; j < path.size(); ++j) {
        const float* v = tree.v + (path[j] * tree.kv_heads + head * tree.kv_heads / tree.heads) * d;
        for (int64_t i = 0; i < d; ++i)
          out.y.add((token * tree.heads + head) * d + i, s.probability[j] * v[i]);
      }
    }
  }
  return out;
}

// With P the probabilities, dP = dy V^T and dS = P (dP - sum_j P dP): dV = P^T dy, dQ = dS K / sqrt(D),
// dK = dS^T Q / sqrt(D).
AttentionGradients attention_backward(const AttentionTree& tree, const float* dy) {
  const int64_t d = tree.head_size;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  AttentionGradients out{Expected(tree.t * tree.heads * d), Expected(tree.t * tree.kv_heads * d),
                         Expected(tree.t * tree.kv_heads * d)};
  for (int64_t token = 0; token < tree.t; ++token) {
    const std::vector<int64_t> path = path_of(tree, token);
    for (int64_t head = 0; head < tree.heads; ++head) {
      const Softmax s = softmax(tree, path, token, head);
      const int64_t query = (token * tree.heads + head) * d, kv_head = head * tree.kv_heads / tree.heads;
      std::vector<double> dp(path.size()), dp_size(path.size());
      double delta = 0, delta_size = 0;
      for (size_t j = 0; j < path.size(); ++j) {
        const int64_t key = (path[j] * tree.kv_heads + kv_head) * d;
        for (int64_t i = 0; i < d; ++i) {
          const double term = static_cast<double>(dy[query + i]) * tree.v[key + i];
          dp[j] += term;
          dp_size[j] += std::fabs(term);
          out.dv.add(key + i, s.probability[j] * dy[query + i]);
        }
        delta += s.probability[j] * dp[j];
        delta_size += s.probability[j] * dp_size[j];
      }
      for (size_t j = 0; j < path.size(); ++j) {
        const int64_t key = (path[j] * tree.kv_heads + kv_head) * d;
        const double ds = s.probability[j] * (dp[j] - delta) * scale;
        const double ds_size = s.probability[j] * (dp_size[j] + delta_size) * scale;
        for (int64_t i = 0; i < d; ++i) {
          out.dq.add(query + i, ds * tree.k[key + i], ds_size * std::fabs(tree.k[key + i]));
          out.dk.add(key + i, ds * tree.q[query + i], ds_size * std::fabs(tree.q[query + i]));
        }
      }
    }
  }
  return out;
}

}  // namespace reference
}  // namespace lsp
