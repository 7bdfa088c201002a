#include "model/tree_pass.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "model/head_pass.h"
#include "model/kv_cache.h"

namespace lsp {

namespace {

class Planner {
 public:
  Planner(const TokenTree& tree, int64_t capacity) : tree_(tree), capacity_(capacity) {}

  void subtrees(const std::vector<int32_t>& nodes, int64_t open_tokens) {
    const int64_t space = capacity_ - open_tokens;
    std::vector<int32_t> together;
    int64_t tokens = 0;
    const auto flush = [&] {
      if (!together.empty()) steps.push_back({TreeStep::Kind::branches, std::move(together)});
      together.clear();
      tokens = 0;
    };
    for (const int32_t node : nodes) {
      const int64_t more = tree_[node].subtree_tokens;
      if (tokens + more > space) flush();
      if (more > space) {
        steps.push_back({TreeStep::Kind::open, {node}});
        subtrees(tree_[node].children, open_tokens + tree_[node].count());
        steps.push_back({TreeStep::Kind::close, {node}});
      } else {
        together.push_back(node);
        tokens += more;
      }
    }
    flush();
  }

  std::vector<TreeStep> steps;

 private:
  const TokenTree& tree_;
  const int64_t capacity_;
};

int64_t longest_path(const TokenTree& tree) {
  int64_t longest = 0;
  for (const int32_t node : tree.post_order(tree.roots()))
    longest = std::max(longest, tree[node].first_position + tree[node].count());
  return longest;
}

// The nodes of a micro-batch as one batch, and its scored rows.
struct Piece {
  std::vector<int32_t> ids;
  std::vector<TokenRun> runs;
  ScoredRows scored;

  Piece(const TokenTree& tree, const std::vector<int32_t>& nodes) {
    std::vector<int32_t> run_of;
    for (size_t i = 0; i < nodes.size(); ++i) {
      const TokenNode& node = tree[nodes[i]];
      for (const ScoredRow& row : node.rows) {
        scored.rows.push_back(static_cast<int32_t>(ids.size()) + row.offset);
        scored.targets.push_back(row.target);
        scored.uses.push_back(&row.uses);
      }
      // In post-order a parent comes after its children.
      const auto parent = std::find(nodes.begin() + static_cast<int64_t>(i), nodes.end(), node.parent);
      runs.push_back({node.first_position, node.count(),
                      parent == nodes.end() ? kNoRun : static_cast<int32_t>(parent - nodes.begin())});
      ids.insert(ids.end(), node.tokens.begin(), node.tokens.end());
    }
  }
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

struct PieceSize {
  int64_t tokens = 0, scored = 0, blocks = 0;

  explicit PieceSize(const Piece& piece)
      : tokens(piece.tokens()), scored(piece.scored.count()), blocks(run_blocks(piece.runs)) {}
  PieceSize() = default;
  void include(const PieceSize& other) {
    tokens = std::max(tokens, other.tokens);
    scored = std::max(scored, other.scored);
    blocks = std::max(blocks, other.blocks);
  }
};

int64_t block_floats(const ModelConfig& c, const TreePassOptions& options) {
  return kv_block_floats(c, cache_type(options.precision));
}

// What a piece's forward pass leaves for its backward pass.
struct PieceMemory {
  Activations activations;
  Buffer cache, hidden;  // hidden states of the scored rows

  PieceMemory(const ModelConfig& c, const PieceSize& size, const TreePassOptions& options)
      : activations(c, size.tokens, options.keep),
        cache(size.blocks * block_floats(c, options)),
        hidden(size.scored * c.hidden) {}
};

struct GradientMemory {
  Buffer dhidden_rows, dhidden;
  BackwardScratch scratch;

  GradientMemory(const ModelConfig& c, const PieceSize& size)
      : dhidden_rows(size.scored * c.hidden), dhidden(size.tokens * c.hidden), scratch(c, size.tokens) {}
};

// A node whose branches are being run.
struct OpenNode {
  Piece piece;
  PieceMemory memory;
  TokenBatch batch;
  Buffer accumulators;  // of its blocks: (blocks, layers, H, 2, 32, Dp)
  Buffer sums;          // of its tokens: (T, layers, 2, K D)
  Path path;            // down to its last token

  OpenNode(const ModelConfig& c, Piece contents, const TreePassOptions& options)
      : piece(std::move(contents)), memory(c, PieceSize(piece), options) {}
};

class TreePass {
 public:
  TreePass(Model& model, const TokenTree& tree, const std::vector<TrainSequence>& sequences,
           LossGradient* loss, Gradients* gradients, const TreePassOptions& options,
           const Operation& operation)
      : model_(model),
        c_(model.config()),
        tree_(tree),
        loss_(loss),
        gradients_(gradients),
        options_(options),
        operation_(operation),
        head_(model, sequences, options.temperature, operation, options.precision) {
    LSP_CHECK(!training() || options.precision == Precision::exact, "INTERNAL",
              "Expected exact products in a pass with gradients.");
  }

  std::vector<SequenceScores> run(const std::vector<TreeStep>& steps) {
    std::vector<Piece> pieces;  // of the steps that run forward
    PieceSize branches, all;
    for (const TreeStep& step : steps) {
      if (step.kind == TreeStep::Kind::close) continue;
      const bool is_open = step.kind == TreeStep::Kind::open;
      pieces.emplace_back(tree_, is_open ? step.nodes : tree_.post_order(step.nodes));
      const PieceSize size(pieces.back());
      all.include(size);
      if (!is_open) branches.include(size);
    }
    memory_ = std::make_unique<PieceMemory>(c_, branches, options_);
    if (training()) {
      gradient_memory_ = std::make_unique<GradientMemory>(c_, all);
      head_.reserve(all.scored);
    }
    auto piece = pieces.begin();
    for (const TreeStep& step : steps) {
      operation_.poll();
      if (step.kind == TreeStep::Kind::branches) run_branches(*piece++);
      if (step.kind == TreeStep::Kind::open) open(std::move(*piece++));
      if (step.kind == TreeStep::Kind::close) close();
    }
    return head_.take_scores();
  }

 private:
  bool training() const { return loss_ != nullptr; }

  const Path* path() const { return open_.empty() ? nullptr : &open_.back()->path; }

  void run_branches(const Piece& piece) {
    const TokenBatch batch =
        layout_runs(piece.ids, piece.runs, path(), memory_->cache.data(), block_floats(c_, options_));
    forward_piece(piece, batch, *memory_);
    if (training()) backward_piece(piece, batch, *memory_);
  }

  void open(Piece piece) {
    auto node = std::make_unique<OpenNode>(c_, std::move(piece), options_);
    node->batch = layout_runs(node->piece.ids, node->piece.runs, path(), node->memory.cache.data(),
                              block_floats(c_, options_));
    if (training()) carry_gradients(*node);
    node->path = extend_path(open_.empty() ? Path() : open_.back()->path, node->batch);
    if (training()) add_sums(*node);
    forward_piece(node->piece, node->batch, node->memory);
    open_.push_back(std::move(node));
  }

  void close() {
    OpenNode& node = *open_.back();
    if (training()) backward_piece(node.piece, node.batch, node.memory);
    open_.pop_back();
  }

  // The node's blocks and tokens keep sums of their gradients while its branches run.
  void carry_gradients(OpenNode& node) const {
    const int64_t block = c_.layers * attention_accumulator_floats(c_.heads, c_.head_size);
    const int64_t blocks = run_blocks(node.piece.runs);
    node.accumulators = Buffer(blocks * block);
    node.sums = Buffer(node.piece.tokens() * sums_row());
    node.batch.carried.resize(node.batch.blocks.size(), nullptr);
    for (int64_t i = 0; i < blocks; ++i)
      node.batch.carried[static_cast<size_t>(i)] = node.accumulators.data() + i * block;
    node.batch.begun = node.sums.data();
    node.batch.begun_row = sums_row();
  }

  // Where gradients of the tokens of the path's last, partly filled block go: to this node, or to the one
  // above.
  void add_sums(OpenNode& node) const {
    const int64_t first = node.path.length / kKvBlock * kKvBlock,
                  begin = node.piece.runs.front().first_position;
    for (int64_t position = first; position < node.path.length; ++position) {
      node.path.sums.push_back(position >= begin
                                   ? node.sums.data() + (position - begin) * sums_row()
                                   : open_.back()->path.sums[static_cast<size_t>(position - first)]);
    }
  }

  int64_t sums_row() const { return c_.layers * 2 * c_.kv_size(); }

  void forward_piece(const Piece& piece, const TokenBatch& batch, PieceMemory& m) {
    forward(model_, batch, m.activations, operation_, options_.precision);
    for (int64_t i = 0; i < piece.scored.count(); ++i) {
      std::memcpy(m.hidden.data() + i * c_.hidden,
                  m.activations.hidden + piece.scored.rows[static_cast<size_t>(i)] * c_.hidden,
                  static_cast<size_t>(c_.hidden) * sizeof(float));
    }
    // In training the head's forward and backward pass go together.
    if (!training()) head_.score(piece.scored, m.hidden.data());
  }

  void backward_piece(const Piece& piece, const TokenBatch& batch, PieceMemory& m) {
    GradientMemory& g = *gradient_memory_;
    head_.train(piece.scored, m.hidden.data(), *loss_, *gradients_, g.dhidden_rows.data());
    std::memset(g.dhidden.data(), 0, static_cast<size_t>(piece.tokens() * c_.hidden) * sizeof(float));
    for (int64_t i = 0; i < piece.scored.count(); ++i) {
      float* to = g.dhidden.data() + piece.scored.rows[static_cast<size_t>(i)] * c_.hidden;
      const float* from = g.dhidden_rows.data() + i * c_.hidden;
      for (int64_t j = 0; j < c_.hidden; ++j) to[j] += from[j];
    }
    backward(model_, batch, m.activations, g.dhidden.data(), g.scratch, *gradients_, operation_);
  }

  Model& model_;
  const ModelConfig& c_;
  const TokenTree& tree_;
  LossGradient* const loss_;
  Gradients* const gradients_;
  const TreePassOptions options_;
  const Operation& operation_;
  HeadPass head_;
  std::unique_ptr<PieceMemory> memory_;
  std::unique_ptr<GradientMemory> gradient_memory_;
  std::vector<std::unique_ptr<OpenNode>> open_;
};

// Whether all scored rows of each group lie in one step.
bool groups_are_whole(const TokenTree& tree, const std::vector<TreeStep>& steps, const LossGradient& loss) {
  std::map<int32_t, const TreeStep*> step_of;
  for (const TreeStep& step : steps) {
    if (step.kind == TreeStep::Kind::close) continue;
    const bool is_open = step.kind == TreeStep::Kind::open;
    for (const int32_t node : is_open ? step.nodes : tree.post_order(step.nodes))
      for (const ScoredRow& row : tree[node].rows)
        for (const ScoredToken& use : row.uses)
          if (step_of.emplace(loss.group_of(use.sequence), &step).first->second != &step) return false;
  }
  return true;
}

}  // namespace

std::vector<TreeStep> plan_tree(const TokenTree& tree, int64_t capacity) {
  Planner planner(tree, std::max(capacity, longest_path(tree)));
  planner.subtrees(tree.roots(), 0);
  return std::move(planner.steps);
}

std::vector<SequenceScores> run_tree(Model& model, const std::vector<TrainSequence>& sequences,
                                     LossGradient* loss, Gradients* gradients, const TreePassOptions& options,
                                     const Operation& operation) {
  const TokenTree tree(sequences);
  const std::vector<TreeStep> steps = plan_tree(tree, options.capacity);
  const auto pass = [&](LossGradient* of, Keep keep) {
    const TreePassOptions with{options.capacity, options.temperature, keep, options.precision};
    return TreePass(model, tree, sequences, of, gradients, with, operation).run(steps);
  };
  if (loss != nullptr && !loss->known() && !groups_are_whole(tree, steps, *loss))
    loss->ask_all(pass(nullptr, Keep::nothing));
  return pass(loss, options.keep);
}

int64_t tree_pass_floats_per_token(const ModelConfig& c, Keep keep) {
  const int64_t cache = c.layers * kv_layer_floats(c.kv_heads, c.head_size) / kKvBlock;
  // Hidden states of scored rows and their gradients.
  const int64_t head = 4 * c.hidden;
  return Activations::floats_per_token(c, keep) + BackwardScratch::floats_per_token(c) + cache + head;
}

}  // namespace lsp
