// attention against its oracle and against itself: see attention.h. The same queries are asked in one pass
// over the tree, token by token as in decoding, in pieces, and each path alone: the bits must not depend on
// it.
#include <algorithm>
#include <cmath>

#include "check/check.h"
#include "kernels/attention/check_forest.h"
#include "kernels/attention/reference.h"

namespace lsp {
namespace check {
namespace attention {
namespace {

// A piece of a path: tokens [first, first + count), each the parent of the next.
struct Piece {
  int64_t first, count;
};

// y and lse of the pieces' tokens, in one call, rows in the order of the pieces.
Tensors forward(const Problem& p, const Layout& layout, const Blocks& blocks,
                const std::vector<Piece>& pieces, const Kernels& kernels, Exec& exec) {
  std::vector<AttentionSegment> segments;
  std::vector<float> q;
  int64_t t = 0;
  for (const Piece& piece : pieces) {
    segments.push_back(
        {t, piece.count, layout.position[piece.first], layout.tables[layout.segment_of[piece.first]].data()});
    q.insert(q.end(), p.q.begin() + piece.first * p.q_row(),
             p.q.begin() + (piece.first + piece.count) * p.q_row());
    t += piece.count;
  }
  Tensor y{"y", {t, p.heads, p.head_size}, std::vector<float>(t * p.q_row(), kNan)};
  Tensor lse{"lse", {t, p.heads}, std::vector<float>(t * p.heads, kNan)};
  kernels.attention->forward(
      exec, {y.values.data(), lse.values.data(), q.data(), blocks.pointers.data(), blocks.layer_offset,
             segments.data(), static_cast<int64_t>(segments.size()), p.heads, p.kv_heads, p.head_size});
  return {y, lse};
}

std::vector<Piece> all_segments(const Layout& layout) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < layout.tables.size(); ++i)
    pieces.push_back({layout.first_token[i], layout.count[i]});
  return pieces;
}

// Forward and backward of the whole forest, as in training.
Tensors run(const Problem& p, const Kernels& kernels, Exec& exec) {
  const Layout layout(p);
  const Blocks blocks(p, layout, p.t());
  Tensors results = forward(p, layout, blocks, all_segments(layout), kernels, exec);
  std::vector<AttentionSegment> segments;
  for (size_t i = 0; i < layout.tables.size(); ++i)
    segments.push_back({layout.first_token[i], layout.count[i], layout.position[layout.first_token[i]],
                        layout.tables[i].data()});
  std::vector<int32_t> slot_token;
  for (const std::vector<int32_t>& slots : layout.slots)
    slot_token.insert(slot_token.end(), slots.begin(), slots.end());
  Tensor dq{"dq", {p.t(), p.heads, p.head_size}, std::vector<float>(p.t() * p.q_row(), kNan)};
  Tensor dk{"dk", {p.t(), p.kv_heads, p.head_size}, std::vector<float>(p.t() * p.k_row(), kNan)};
  Tensor dv = dk;
  dv.name = "dv";
  kernels.attention->backward(exec, {dq.values.data(),
                                     dk.values.data(),
                                     dv.values.data(),
                                     p.dy.data(),
                                     results[0].values.data(),
                                     results[1].values.data(),
                                     p.q.data(),
                                     blocks.pointers.data(),
                                     blocks.layer_offset,
                                     segments.data(),
                                     static_cast<int64_t>(segments.size()),
                                     layout.tree_segments.data(),
                                     layout.tree_blocks.data(),
                                     layout.tree_tokens.data(),
                                     static_cast<int64_t>(layout.tree_tokens.size()) - 1,
                                     slot_token.data(),
                                     p.t(),
                                     p.heads,
                                     p.kv_heads,
                                     p.head_size});
  results.push_back(dq);
  results.push_back(dk);
  results.push_back(dv);
  return results;
}

// A score is a chain of D terms, and the relative error of a probability is the score's absolute error: about
// sqrt(D) + 2 roundings of the largest score (the largest of all stands in for the usual factor of chain()).
// On top come sums over keys (y, dq) or over the queries of a group (dk, dv), and lse's own rounding.
void compare(Case& c, const Problem& p, const Tensors& results) {
  const reference::AttentionTree tree{p.t(),           p.heads,    p.kv_heads, p.head_size,
                                      p.parent.data(), p.q.data(), p.k.data(), p.v.data()};
  const reference::Attention expected = reference::attention_forward(tree);
  const double d = std::sqrt(static_cast<double>(p.head_size)) + 2, score = 2 * d * expected.largest_score;
  const double keys = chain(static_cast<double>(p.t())),
               queries = chain(static_cast<double>(p.t() * p.heads / p.kv_heads));
  c.close(find(results, "y"), expected.y, keys + score);
  c.close(find(results, "lse"), expected.lse, 8 + score);
  const reference::AttentionGradients gradients = reference::attention_backward(tree, p.dy.data());
  c.close(find(results, "dq"), gradients.dq, keys + score + 2 * d);
  c.close(find(results, "dk"), gradients.dk, queries + score + 2 * d);
  c.close(find(results, "dv"), gradients.dv, queries + score);
}

// Rows of the pieces' tokens from the result of the whole forest.
Tensor rows_of(const Tensor& whole, const std::vector<Piece>& pieces) {
  Tensor out = whole;
  out.values.clear();
  out.shape[0] = 0;
  for (const Piece& piece : pieces) {
    const Tensor part = rows(whole, piece.first, piece.count);
    out.values.insert(out.values.end(), part.values.begin(), part.values.end());
    out.shape[0] += piece.count;
  }
  return out;
}

void compare_forward(Case& c, const Tensors& got, const Tensors& whole, const std::vector<Piece>& pieces,
                     const std::string& context) {
  c.same_bits(find(got, "y"), rows_of(find(whole, "y"), pieces), context);
  c.same_bits(find(got, "lse"), rows_of(find(whole, "lse"), pieces), context);
}

// As rollout does it: token by token, all at once as separate rows, and in pieces of a prefill.
void compare_decoding(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec) {
  const Layout layout(p);
  const std::string isa = kernels.isa;
  std::vector<Piece> single;
  for (int64_t token = 0; token < p.t(); ++token) {
    const Blocks so_far(p, layout, token + 1);
    single.push_back({token, 1});
    compare_forward(c, forward(p, layout, so_far, {single.back()}, kernels, exec), whole, {single.back()},
                    isa + ", token " + std::to_string(token) + " alone, as in decoding");
  }
  std::reverse(single.begin(), single.end());
  const Blocks blocks(p, layout, p.t());
  compare_forward(c, forward(p, layout, blocks, single, kernels, exec), whole, single,
                  isa + ", each token a row of a batch");
  for (const int64_t size : {3, 7, 20}) {
    std::vector<Piece> pieces;
    for (const Piece& segment : all_segments(layout))
      for (int64_t at = 0; at < segment.count; at += size)
        pieces.push_back({segment.first + at, std::min(size, segment.count - at)});
    compare_forward(c, forward(p, layout, blocks, pieces, kernels, exec), whole, pieces,
                    isa + format(", in pieces of %d tokens", static_cast<int>(size)));
  }
}

// Each path from a first token to a leaf as a sequence of its own.
void compare_paths(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec) {
  std::vector<bool> leaf(p.parent.size(), true);
  for (const int32_t before : p.parent)
    if (before >= 0) leaf[before] = false;
  for (int64_t token = 0; token < p.t(); ++token) {
    if (!leaf[token]) continue;
    const std::vector<int64_t> path = path_of(p, token);
    const Problem alone = select(p, path);
    const Layout layout(alone);
    const Tensors got =
        forward(alone, layout, Blocks(alone, layout, alone.t()), all_segments(layout), kernels, exec);
    std::vector<Piece> pieces;
    for (const int64_t at : path) pieces.push_back({at, 1});
    compare_forward(c, got, whole, pieces,
                    format("%s, the path to token %d alone", kernels.isa, static_cast<int>(token)));
  }
}

// Each tree alone, and the trees in reverse order: gradients included.
void compare_trees(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec) {
  const Layout layout(p);
  std::vector<int64_t> reversed;
  std::vector<Piece> order;
  for (size_t tree = layout.tree_tokens.size() - 1; tree-- > 0;) {
    std::vector<int64_t> tokens;
    for (int64_t token = layout.tree_tokens[tree]; token < layout.tree_tokens[tree + 1]; ++token)
      tokens.push_back(token);
    const Piece piece{tokens.front(), static_cast<int64_t>(tokens.size())};
    for (const Tensor& tensor : run(select(p, tokens), kernels, exec))
      c.same_bits(tensor, rows_of(find(whole, tensor.name), {piece}),
                  std::string(kernels.isa) + ", a tree alone");
    reversed.insert(reversed.end(), tokens.begin(), tokens.end());
    order.push_back(piece);
  }
  for (const Tensor& tensor : run(select(p, reversed), kernels, exec))
    c.same_bits(tensor, rows_of(find(whole, tensor.name), order),
                std::string(kernels.isa) + ", trees in reverse");
}

void check_problem(Checker& checker, const std::string& name, const Problem& p) {
  const std::string sizes = shape_text({{"T", p.t()}, {"H", p.heads}, {"K", p.kv_heads}, {"D", p.head_size}});
  checker.test(name + " " + sizes, [&](Case& c) {
    const Tensors results =
        checker.sweep(c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); });
    compare(c, p, results);
    for (const Kernels* kernels : checker.variants()) {
      if (checker.skips(*kernels, 4 * p.work())) continue;
      compare_decoding(c, p, results, *kernels, checker.exec(2));
      compare_paths(c, p, results, *kernels, checker.exec(2));
      compare_trees(c, p, results, *kernels, checker.exec(2));
    }
  });
}

// Keys and values of later tokens and of other branches are never touched, not even multiplied by zero.
void check_unseen(Checker& checker) {
  checker.test("NaN in tokens that a query may not see", [&](Case& c) {
    const Problem p = make_problem(4, 2, 20, group(40, {20, 9}));
    Problem spoilt = p;
    for (const int64_t token : {29, 50, 60})  // within the prompt, in the first answer, first of the second
      for (int64_t i = 0; i < p.k_row(); ++i)
        spoilt.k[token * p.k_row() + i] = spoilt.v[token * p.k_row() + i] = kNan;
    for (const Kernels* kernels : checker.variants()) {
      Problem answers = spoilt;  // spoilt answers, sound prompt
      std::copy_n(p.k.begin(), 40 * p.k_row(), answers.k.begin());
      std::copy_n(p.v.begin(), 40 * p.k_row(), answers.v.begin());
      const Layout layout(p);
      const auto ask = [&](const Problem& problem) {
        return forward(problem, layout, Blocks(problem, layout, p.t()), all_segments(layout), *kernels,
                       checker.exec(1));
      };
      const Tensors sound = ask(p);
      const auto same = [&](const Tensors& got, int64_t first, int64_t count) {
        for (const Tensor& tensor : got)
          c.same_bits(rows(tensor, first, count), rows(find(sound, tensor.name), first, count), kernels->isa);
      };
      same(ask(spoilt), 0, 29);
      same(ask(answers), 0, 50);
      const Tensors got = ask(spoilt);
      for (const int64_t token : {29, 39, 45, 68})
        for (const float x : rows(find(got, "y"), token, 1).values)
          c.that(std::isnan(x),
                 format("%s: token %d saw a NaN and hides it", kernels->isa, static_cast<int>(token)));
    }
  });
}

void check(Checker& checker) {
  check_problem(checker, "one token", make_problem(1, 1, 1, sequence(1)));
  for (const int64_t count : {2, 31, 32, 33, 65})
    check_problem(checker, "a sequence", make_problem(3, 1, 6, sequence(count)));
  check_problem(checker, "a sequence", make_problem(2, 2, 34, sequence(100)));
  check_problem(checker, "a sequence", make_problem(64, 1, 8, sequence(40)));   // one key head for all
  check_problem(checker, "a sequence", make_problem(9, 3, 64, sequence(70)));   // SmolLM2-135M
  check_problem(checker, "a sequence", make_problem(6, 2, 128, sequence(45)));  // Llama 3.2
  check_problem(checker, "large scores", make_problem(4, 2, 32, sequence(100), 60));
  check_problem(checker, "fork within a block", make_problem(6, 2, 16, group(40, {5, 30, 1, 61})));
  check_problem(checker, "fork between blocks", make_problem(6, 2, 16, group(32, {33, 2})));
  check_problem(checker, "fork after one token", make_problem(2, 1, 16, group(1, {3, 40})));
  check_problem(checker, "a group of answers", make_problem(9, 3, 64, group(37, {11, 20, 7})));
  std::vector<int32_t> nested = group(20, {30, 10});
  grow(&nested, 35, 12);  // below the middle of the first answer
  grow(&nested, 63, 40);  // below the middle of that branch
  grow(&nested, 5, 3);    // below the prompt's middle
  check_problem(checker, "forks of forks", make_problem(4, 2, 24, nested));
  std::vector<int32_t> forest = group(40, {5, 9});
  grow(&forest, -1, 1);
  grow(&forest, -1, 33);
  grow(&forest, 70, 4);
  check_problem(checker, "several trees", make_problem(6, 3, 16, forest));
  for (const uint64_t seed : {1, 2, 3, 4})
    check_problem(checker, "a random forest", make_problem(4, 2, 10, random_forest(150, seed)));
  check_unseen(checker);
}

const Registration registration("attention", check);

}  // namespace
}  // namespace attention
}  // namespace check
}  // namespace lsp
