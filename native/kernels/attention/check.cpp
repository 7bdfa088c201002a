// attention against its oracle and against itself: see attention.h. The same queries are asked in one pass
// over the tree, token by token as in decoding, in pieces, and each path alone: the bits must not depend on
// it.
#include <algorithm>
#include <cmath>

#include "check/check.h"
#include "kernels/attention/check_forest.h"
#include "kernels/attention/reference.h"
#include "kernels/quantize/reference.h"

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
             segments.data(), static_cast<int64_t>(segments.size()), p.heads, p.kv_heads, p.head_size,
             blocks.type});
  return {y, lse};
}

std::vector<Piece> all_segments(const Layout& layout) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < layout.tables.size(); ++i)
    pieces.push_back({layout.first_token[i], layout.count[i]});
  return pieces;
}

// A call of the backward pass as far as the problem, its storage and y and lse of the forward pass say.
AttentionBackward backward_of(const Problem& p, const Blocks& blocks, const Tensors& forward, Tensor& dq,
                              Tensor& dk, Tensor& dv) {
  AttentionBackward b{};
  b.dq = dq.values.data();
  b.dk = dk.values.data();
  b.dv = dv.values.data();
  b.dy = p.dy.data();
  b.y = forward[0].values.data();
  b.lse = forward[1].values.data();
  b.q = p.q.data();
  b.blocks = blocks.pointers.data();
  b.block_count = static_cast<int64_t>(blocks.pointers.size());
  b.layer_offset = blocks.layer_offset;
  b.t = p.t();
  b.heads = p.heads;
  b.kv_heads = p.kv_heads;
  b.head_size = p.head_size;
  return b;
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
  AttentionBackward b = backward_of(p, blocks, results, dq, dk, dv);
  b.segments = segments.data();
  b.tree_segments = layout.tree_segments.data();
  b.tree_count = static_cast<int64_t>(layout.tree_segments.size()) - 1;
  b.slot_token = slot_token.data();
  kernels.attention->backward(exec, b);
  results.push_back(dq);
  results.push_back(dk);
  results.push_back(dv);
  return results;
}

// A score is a chain of D terms, and the relative error of a probability is the score's absolute error: about
// sqrt(D) + 2 roundings of the largest score (the largest of all stands in for the usual factor of chain()).
// On top come sums over keys (y, dq) or over the queries of a group (dk, dv), and lse's own rounding.
reference::AttentionTree tree_of(const Problem& p) {
  return {p.t(), p.heads, p.kv_heads, p.head_size, p.parent.data(), p.q.data(), p.k.data(), p.v.data()};
}

void compare_gradients(Case& c, const Problem& p, const Tensors& results) {
  const reference::AttentionTree tree = tree_of(p);
  const double d = std::sqrt(static_cast<double>(p.head_size)) + 2,
               score = 2 * d * reference::attention_forward(tree).largest_score;
  const double keys = chain(static_cast<double>(p.t())),
               queries = chain(static_cast<double>(p.t() * p.heads / p.kv_heads));
  const reference::AttentionGradients gradients = reference::attention_backward(tree, p.dy.data());
  c.close(find(results, "dq"), gradients.dq, keys + score + 2 * d);
  c.close(find(results, "dk"), gradients.dk, queries + score + 2 * d);
  c.close(find(results, "dv"), gradients.dv, queries + score);
}

void compare(Case& c, const Problem& p, const Tensors& results) {
  const reference::Attention expected = reference::attention_forward(tree_of(p));
  const double d = std::sqrt(static_cast<double>(p.head_size)) + 2, score = 2 * d * expected.largest_score;
  c.close(find(results, "y"), expected.y, chain(static_cast<double>(p.t())) + score);
  c.close(find(results, "lse"), expected.lse, 8 + score);
  compare_gradients(c, p, results);
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
  std::reverse(single.begin(), single.end());
  compare_forward(c, forward(p, layout, blocks, single, kernels, exec), whole, single,
                  isa + ", each token a row, in order");
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

// Gradients of a group whose other answers run in several calls before the prompt and the first: the bits of
// one call in the order of those calls. Rows of all calls are the whole group's, so that only what they are
// about is in the segments.
class SplitBackward {
 public:
  SplitBackward(const Problem& p, const Kernels& kernels, Exec& exec)
      : p_(p),
        layout_(prompt_last(p)),
        blocks_(p, layout_, p.t()),
        kernels_(kernels),
        exec_(exec),
        forward_(forward(p, layout_, blocks_, all_segments(layout_), kernels, exec)),
        accumulators_(attention_accumulator_floats(p.heads, p.head_size)),
        carried_(layout_.slots.size() * accumulators_, 0.0f),
        sums_(p.t() * 2 * p.k_row(), 0.0f) {}

  // Segment 0 is the prompt and its first answer; `calls` are lists of segments.
  Tensors run(const std::vector<std::vector<size_t>>& calls) {
    Tensor dq{"dq", {p_.t(), p_.heads, p_.head_size}, std::vector<float>(p_.t() * p_.q_row(), kNan)};
    Tensor dk{"dk", {p_.t(), p_.kv_heads, p_.head_size}, std::vector<float>(p_.t() * p_.k_row(), kNan)};
    Tensor dv = dk;
    dv.name = "dv";
    for (const std::vector<size_t>& call : calls) {
      const Tensors got = backward(call);
      for (const size_t segment : call) {
        const int64_t first = layout_.first_token[segment], last = first + layout_.count[segment];
        std::copy(got[0].values.begin() + first * p_.q_row(), got[0].values.begin() + last * p_.q_row(),
                  dq.values.begin() + first * p_.q_row());
        for (const auto& [from, to] : {std::pair{&got[1], &dk}, std::pair{&got[2], &dv}})
          std::copy(from->values.begin() + first * p_.k_row(), from->values.begin() + last * p_.k_row(),
                    to->values.begin() + first * p_.k_row());
      }
    }
    return {dq, dk, dv};
  }

 private:
  // The blocks of segment 0 after all others, as its calls are ordered.
  static Layout prompt_last(const Problem& p) {
    Layout layout(p);
    const int64_t count = static_cast<int64_t>(layout.slots.size()),
                  first = static_cast<int64_t>(layout.tables[0].size());
    std::rotate(layout.slots.begin(), layout.slots.begin() + first, layout.slots.end());
    for (std::vector<int32_t>& table : layout.tables)
      for (int32_t& block : table) block = static_cast<int32_t>((block + count - first) % count);
    return layout;
  }

  Tensors backward(const std::vector<size_t>& call) {
    std::vector<AttentionSegment> segments;
    std::vector<bool> here(p_.t(), false);
    for (const size_t i : call) {
      segments.push_back({layout_.first_token[i], layout_.count[i], layout_.position[layout_.first_token[i]],
                          layout_.tables[i].data()});
      std::fill_n(here.begin() + layout_.first_token[i], layout_.count[i], true);
    }
    // A block ends in the call of the last token that it holds: answers' copies of the prompt in theirs.
    std::vector<int32_t> slot_token;
    std::vector<float*> carried, beyond;
    for (size_t block = 0; block < layout_.slots.size(); ++block) {
      const std::vector<int32_t>& slots = layout_.slots[block];
      const bool ends = here[*std::max_element(slots.begin(), slots.end())];
      carried.push_back(carried_.data() + block * accumulators_);
      for (const int32_t token : slots) {
        const bool other = token >= 0 && !here[token];
        slot_token.push_back(token < 0 || !ends ? kNoToken : other ? beyond_token(token) : token);
      }
    }
    for (int64_t token = 0; token < p_.t(); ++token) beyond.push_back(sums_.data() + token * 2 * p_.k_row());
    const int64_t trees[] = {0, static_cast<int64_t>(segments.size())};
    Tensors out{{"dq", {p_.t() * p_.q_row()}, std::vector<float>(p_.t() * p_.q_row())},
                {"dk", {p_.t() * p_.k_row()}, std::vector<float>(p_.t() * p_.k_row())},
                {"dv", {p_.t() * p_.k_row()}, std::vector<float>(p_.t() * p_.k_row())}};
    AttentionBackward b = backward_of(p_, blocks_, forward_, out[0], out[1], out[2]);
    b.segments = segments.data();
    b.tree_segments = trees;
    b.tree_count = 1;
    b.slot_token = slot_token.data();
    b.carried = carried.data();
    b.beyond = beyond.data();
    b.begun = sums_.data();
    b.begun_row = 2 * p_.k_row();
    kernels_.attention->backward(exec_, b);
    return out;
  }

  const Problem& p_;
  const Layout layout_;
  const Blocks blocks_;
  const Kernels& kernels_;
  Exec& exec_;
  const Tensors forward_;
  const int64_t accumulators_;
  std::vector<float> carried_, sums_;
};

void check_split(Checker& checker) {
  for (const int64_t prompt : {1, 32, 40, 77}) {
    const Problem p = make_problem(6, 2, 24, group(prompt, {5, 30, 1, 61}));
    checker.test(format("a group in several calls, prompt of %d", static_cast<int>(prompt)), [&](Case& c) {
      for (const Kernels* kernels : checker.variants()) {
        const Tensors whole = SplitBackward(p, *kernels, checker.exec(1)).run({{1, 2, 3, 0}});
        compare_gradients(c, p, whole);
        for (const std::vector<std::vector<size_t>>& calls :
             {std::vector<std::vector<size_t>>{{1, 2}, {3}, {0}}, {{1}, {2}, {3}, {0}}, {{1, 2, 3}, {0}}}) {
          for (const Tensor& tensor : SplitBackward(p, *kernels, checker.exec(2)).run(calls))
            c.same_bits(tensor, find(whole, tensor.name), kernels->isa);
        }
      }
    });
  }
}

// Keys and values in bfloat16: the bits of the same numbers in f32, whole, token by token and side by side.
void check_rounded(Checker& checker, const Problem& exact) {
  const std::string sizes = shape_text({{"H", exact.heads}, {"K", exact.kv_heads}, {"D", exact.head_size}});
  checker.test("keys and values in bfloat16 " + sizes, [&](Case& c) {
    Problem p = exact;
    for (std::vector<float>* values : {&p.k, &p.v})
      for (float& x : *values)
        x = static_cast<float>(reference::bfloat16_value(reference::nearest_bfloat16(x)));
    const Layout layout(p);
    const Blocks blocks(p, layout, p.t());
    const Blocks rounded = blocks.in_bfloat16();
    std::vector<Piece> ends, single;
    for (const Piece& segment : all_segments(layout)) ends.push_back({segment.first + segment.count - 1, 1});
    for (int64_t token = 0; token < p.t(); ++token) single.push_back({token, 1});
    for (const Kernels* kernels : checker.variants()) {
      for (const std::vector<Piece>& pieces : {all_segments(layout), ends, single}) {
        const Tensors want = forward(p, layout, blocks, pieces, *kernels, checker.exec(1));
        for (const Tensor& got : forward(p, layout, rounded, pieces, *kernels, checker.exec(2)))
          c.same_bits(got, find(want, got.name), kernels->isa);
      }
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
  check_rounded(checker, make_problem(9, 3, 64, group(70, {5, 40, 1, 61, 9})));
  check_rounded(checker, make_problem(12, 1, 34, group(40, {5, 30})));
  check_split(checker);
  check_unseen(checker);
}

const Registration registration("attention", check);

}  // namespace
}  // namespace attention
}  // namespace check
}  // namespace lsp
