// Experts: a router chooses some of them for each token. Tokens are sorted by expert: an expert's
// weights are read once for all of its tokens, and those of experts that nobody chose not at all.
#ifndef INLAY_ARCH_BLOCKS_EXPERTS_INL_HPP_
#define INLAY_ARCH_BLOCKS_EXPERTS_INL_HPP_

#include <cmath>
#include <limits>

#include "inlay/arch/block.hpp"
#include "inlay/arch/blocks/feed_forward-inl.hpp"
#include "inlay/arch/experts.hpp"
#include "inlay/arch/phases-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr uint32_t kMaxExperts = 1024;

// Experts of one layer. Weights are stacks, [count][rows][cols].
struct ExpertWork {
  const Weight *gate, *up, *down;  // gate null: none. Or up: it has the rows of both, gate's first
  const float *gate_bias, *up_bias, *down_bias;  // [count][rows] or null
  const float* choice_bias;  // [count] or null: counts for the choice, not for the weights
  uint32_t ff;
  float router_scale;
  arch::Activation activation;
  Buffer in, out;
  bool add;          // out += instead of out =
  bool shared_gate;  // what the shared expert gives has a factor
};

// Buffers of attention that are free here: the router's outputs [n][count], and a shared expert's
// factor before the sigmoid.
inline constexpr Buffer kRouter = Buffer::q, kSharedGate = Buffer::k;
inline constexpr Buffer kShared = Buffer::branch;  // what a shared expert with a factor gives

namespace phase {

inline ExpertMemory expert_memory(const State& s) noexcept {
  return {s.experts, s.needs->experts, s.n};
}

// ---- which experts, and how much of each ----

inline float gated(arch::Gating gating, float x) noexcept {
  if (gating == arch::Gating::sigmoid) return 1 / (1 + std::exp(-x));
  if (gating == arch::Gating::sqrt_softplus) {
    return std::sqrt(x > 20 ? x : std::log1p(std::exp(x)));
  }
  return x;
}

// Takes the greatest of x out of it. Always one of them, whatever they are; of equal ones the
// first.
inline uint32_t take_greatest(float* x, uint32_t n) noexcept {
  uint32_t best = 0;
  for (uint32_t i = 1; i < n; ++i) {
    if (x[i] > x[best]) best = i;
  }
  x[best] = -std::numeric_limits<float>::infinity();
  return best;
}

// Only experts of the best groups may be chosen. A group is as good as its two best together.
inline void choose_groups(const ExpertHyper& h, float* score, float* group_score) noexcept {
  const uint32_t size = h.count / h.groups;
  float* kept = group_score + h.groups;
  for (uint32_t g = 0; g < h.groups; ++g) {
    const float* x = score + size_t{g} * size;
    float first = x[0], second = size > 1 ? -std::numeric_limits<float>::infinity() : 0.0f;
    for (uint32_t i = 1; i < size; ++i) {
      second = x[i] > first ? first : x[i] > second ? x[i] : second;
      first = x[i] > first ? x[i] : first;
    }
    group_score[g] = first + second;
    kept[g] = 0;
  }
  for (uint32_t i = 0; i < h.groups_used; ++i) kept[take_greatest(group_score, h.groups)] = 1;
  for (uint32_t i = 0; i < h.count; ++i) {
    if (kept[i / size] == 0) score[i] = -std::numeric_limits<float>::infinity();
  }
}

// Of one token: `x` is what the router says, and becomes the weights of all experts.
inline void choose_experts(const ExpertHyper& h, const float* choice_bias, float* x,
                           uint32_t* chosen, float* weight, float* scratch) noexcept {
  using arch::Gating;
  if (h.gating == Gating::softmax) {
    softmax(x, h.count);
  } else {
    for (uint32_t i = 0; i < h.count; ++i) x[i] = gated(h.gating, x[i]);
  }
  float* score = scratch;
  for (uint32_t i = 0; i < h.count; ++i) {
    score[i] = choice_bias == nullptr ? x[i] : x[i] + choice_bias[i];
  }
  if (h.groups > 1) choose_groups(h, score, scratch + h.count);
  for (uint32_t i = 0; i < h.used; ++i) {
    chosen[i] = take_greatest(score, h.count);
    weight[i] = x[chosen[i]];
  }
  if (h.gating == Gating::softmax_of_chosen) softmax(weight, h.used);
  float factor = h.scale;
  if (h.normalized) {
    constexpr float kLeast = 6.103515625e-5f;  // as llama.cpp has it: the least normal half
    float sum = 0;
    for (uint32_t i = 0; i < h.used; ++i) sum += weight[i];
    factor /= sum > kLeast ? sum : kLeast;
  }
  for (uint32_t i = 0; i < h.used; ++i) weight[i] *= factor;
}

// Gives every token a place with each of its experts, in the order of tokens.
inline void sort_by_expert(const ExpertHyper& h, const ExpertMemory& m, uint32_t n) noexcept {
  const size_t pairs = size_t{n} * h.used;
  for (uint32_t e = 0; e < h.count; ++e) m.next[e] = 0;
  for (size_t i = 0; i < pairs; ++i) ++m.next[m.chosen[i]];
  uint32_t n_active = 0, place = 0;
  for (uint32_t e = 0; e < h.count; ++e) {
    const uint32_t columns = m.next[e];
    m.next[e] = place;
    if (columns == 0) continue;
    m.active[n_active++] = {e, place, columns, 0};
    place += static_cast<uint32_t>(round_up(columns, kQuantizeStep));
  }
  *m.n_active = n_active;
  for (size_t i = 0; i < pairs; ++i) {
    m.place[i] = m.next[m.chosen[i]]++;
    m.token[m.place[i]] = static_cast<uint32_t>(i / h.used);
  }
}

inline void route(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const ExpertWork& w = work_of<ExpertWork>(work);
  const State& s = state_of(state);
  const ExpertHyper& h = s.hparams->experts;
  const ExpertMemory m = expert_memory(s);
  for_rows(s.n, task, [&](uint32_t i) {
    float* router = s.row(kRouter, i);
    if (w.router_scale != 1) s.kernels->scale(w.router_scale, h.count, router);
    choose_experts(h, w.choice_bias, router, m.chosen + size_t{i} * h.used,
                   m.weight + size_t{i} * h.used, static_cast<float*>(scratch));
  });
  if (row_tasks(s.n) == 1) sort_by_expert(h, m, s.n);
}

inline uint32_t count_sort(const void*, const void* state) noexcept {
  return row_tasks(state_of(state).n) > 1 ? 1 : 0;
}
inline void sort(const void*, void* state, uint32_t, void*) noexcept {
  const State& s = state_of(state);
  sort_by_expert(s.hparams->experts, expert_memory(s), s.n);
}

// ---- what experts read: a token's values as often as it chose experts ----

// A single token's are where they were.
inline uint32_t count_gather(const void*, const void* state) noexcept {
  const State& s = state_of(state);
  if (s.n == 1) return 0;
  const ExpertMemory m = expert_memory(s);
  const ExpertMemory::Active& last = m.active[*m.n_active - 1];
  return row_tasks(last.first + last.columns);
}

inline void gather(const void* work, void* state, uint32_t task, void*) noexcept {
  const ExpertWork& w = work_of<ExpertWork>(work);
  const State& s = state_of(state);
  const ExpertMemory m = expert_memory(s);
  const uint32_t k = w.up->cols, place = task * kRowsPerTask;
  uint32_t low = 0, high = *m.n_active;
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (m.active[middle].first <= place ? low : high) = middle;
  }
  const ExpertMemory::Active& a = m.active[low];
  const uint32_t begin = place - a.first;
  const uint32_t end = begin + kRowsPerTask < a.columns ? begin + kRowsPerTask : a.columns;
  if (is_quantized(w.up->type) || (w.gate != nullptr && is_quantized(w.gate->type))) {
    Quantize q = s.quantize_of(w.in, k, a.columns);
    q.rows = m.token + a.first;
    q.xq = m.quantized + a.first / kQuantizeStep * quantized_bytes(kQuantizeStep, k);
    s.kernels->quantize(q, begin, end, 0, k);
  }
  if (!is_quantized(w.up->type) || (w.gate != nullptr && !is_quantized(w.gate->type))) {
    for (uint32_t i = a.first + begin; i < a.first + end; ++i) {
      std::memcpy(m.rows + size_t{i} * k, s.row(w.in, m.token[i]), k * sizeof(float));
    }
  }
}

// ---- products of experts ----

// How rows of all active experts are cut into tasks: few tokens as if their matrices were one,
// whose tasks may go from one expert to the next; many expert by expert, by how many tokens each
// has.
class ExpertTasks {
 public:
  // `bytes`, `products`: of a row, and of a row for one token.
  ExpertTasks(const State& s, uint32_t rows, size_t bytes, size_t products) noexcept
      : s_(s),
        m_(expert_memory(s)),
        rows_(rows),
        padded_(static_cast<uint32_t>(round_up(rows, RowTasks::kStreamRows))),
        bytes_(bytes),
        products_(products) {}

  // Also notes where each expert's tasks begin: a phase is counted once, before its first task.
  uint32_t count() const noexcept {
    if (few()) return all().count();
    uint32_t tasks = 0;
    for (uint32_t i = 0; i < *m_.n_active; ++i) {
      m_.active[i].task = tasks;
      tasks += of(m_.active[i]).count();
    }
    return tasks;
  }

  // Calls f(expert, range of its rows).
  template <class F>
  void run(uint32_t task, F&& f) const noexcept {
    if (!few()) {
      uint32_t i = *m_.n_active - 1;
      while (m_.active[i].task > task) --i;
      return f(m_.active[i], of(m_.active[i]).task(task - m_.active[i].task));
    }
    const RowTasks::Range range = all().task(task);
    for (uint32_t row = range.begin; row < range.end;) {
      const uint32_t i = row / padded_, begin = row - i * padded_;
      const uint32_t left = range.end - row;
      const uint32_t end = padded_ - begin < left ? padded_ : begin + left;
      if (begin < rows_) f(m_.active[i], RowTasks::Range{begin, end < rows_ ? end : rows_});
      row += end - begin;
    }
  }

 private:
  bool few() const noexcept { return s_.n < kQuantizeStep; }
  RowTasks all() const noexcept {
    return {*m_.n_active * padded_, bytes_, products_, s_.n, s_.workers};
  }
  RowTasks of(const ExpertMemory::Active& a) const noexcept {
    return {rows_, bytes_, products_ * a.columns, a.columns, s_.workers};
  }

  const State& s_;
  const ExpertMemory m_;
  uint32_t rows_, padded_;
  size_t bytes_, products_;
};

// Rows [first, first + rows) of every expert's matrix.
struct ExpertMatrix {
  const Weight* stack;
  uint32_t first, rows;
  const float* bias;  // [count][rows] or null
};

// Rows `range` of one expert's matrix times what its tokens have, to its places in `out`.
inline void multiply_expert(const State& s, const ExpertMatrix& matrix,
                            const ExpertMemory::Active& a, const float* x, const uint8_t* xq,
                            float* out, RowTasks::Range range, void* scratch) noexcept {
  Matmul m = matmul_of(matrix.stack->at(a.expert), a.columns, s);
  m.w += matrix.first * matrix.stack->row_bytes();
  m.rows = matrix.rows;
  m.x = x;
  m.x_stride = m.k;
  m.xq = is_quantized(m.type) ? xq : nullptr;
  m.out = out + a.first * m.rows;
  m.out_stride = m.rows;
  m.bias = matrix.bias == nullptr ? nullptr : matrix.bias + a.expert * m.rows;
  multiply(s, &m, range, scratch);
}

inline ExpertTasks expert_gate_up_tasks(const ExpertWork& w, const State& s) noexcept {
  const bool two = w.gate != nullptr;
  return {s, w.ff, w.up->row_bytes() + (two ? w.gate->row_bytes() : 0),
          size_t{w.up->cols} * (two ? 2 : 1)};
}

inline uint32_t count_expert_gate_up(const void* work, const void* state) noexcept {
  return expert_gate_up_tasks(work_of<ExpertWork>(work), state_of(state)).count();
}

inline void expert_gate_up(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const ExpertWork& w = work_of<ExpertWork>(work);
  const State& s = state_of(state);
  const ExpertMemory m = expert_memory(s);
  const uint32_t k = w.up->cols;
  expert_gate_up_tasks(w, s).run(task, [&](const ExpertMemory::Active& a, RowTasks::Range range) {
    const float* x = s.row(w.in, 0);
    const uint8_t* xq = s.quantized_of(w.in);
    if (s.n > 1) {
      x = m.rows + size_t{a.first} * k;
      xq = m.quantized + a.first / kQuantizeStep * quantized_bytes(kQuantizeStep, k);
    }
    const bool gated = w.gate != nullptr;
    if (gated) {
      multiply_expert(s, {w.gate, 0, w.ff, w.gate_bias}, a, x, xq, m.gate, range, scratch);
    }
    multiply_expert(s, {w.up, w.gate == w.up ? w.ff : 0, w.ff, w.up_bias}, a, x, xq,
                    gated ? m.up : m.gate, range, scratch);
    const uint32_t end = a.columns < range.end_column ? a.columns : range.end_column;
    for (uint32_t i = a.first + range.first_column; i < a.first + end; ++i) {
      const size_t at = size_t{i} * w.ff + range.begin;
      s.kernels->activate(w.activation, m.gate + at, gated ? m.up + at : nullptr,
                          range.end - range.begin, m.gate + at);
    }
    if (!is_quantized(w.down->type)) return;
    const Quantize q = {m.gate + size_t{a.first} * w.ff,
                        w.ff,
                        a.columns,
                        w.ff,
                        s.invariant,
                        m.hidden + a.first / kQuantizeStep * quantized_bytes(kQuantizeStep, w.ff)};
    s.kernels->quantize(q, range.first_column, end, range.begin, range.end);
  });
}

inline ExpertTasks expert_down_tasks(const ExpertWork& w, const State& s) noexcept {
  return {s, w.down->rows, w.down->row_bytes(), w.down->cols};
}

inline uint32_t count_expert_down(const void* work, const void* state) noexcept {
  return expert_down_tasks(work_of<ExpertWork>(work), state_of(state)).count();
}

inline void expert_down(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const ExpertWork& w = work_of<ExpertWork>(work);
  const State& s = state_of(state);
  const ExpertMemory m = expert_memory(s);
  expert_down_tasks(w, s).run(task, [&](const ExpertMemory::Active& a, RowTasks::Range range) {
    const float* x = m.gate + size_t{a.first} * w.ff;
    const uint8_t* xq = m.hidden + a.first / kQuantizeStep * quantized_bytes(kQuantizeStep, w.ff);
    multiply_expert(s, {w.down, 0, w.down->rows, nullptr}, a, x, xq, m.rows, range, scratch);
  });
}

// The sum of what a token's experts give, in the order in which they were chosen.
inline void sum_experts(const void* work, void* state, uint32_t task, void*) noexcept {
  const ExpertWork& w = work_of<ExpertWork>(work);
  const State& s = state_of(state);
  const ExpertMemory m = expert_memory(s);
  const uint32_t used = s.hparams->experts.used, n = w.down->rows;
  for_rows(s.n, task, [&](uint32_t i) {
    float* out = s.row(w.out, i);
    if (!w.add) std::memset(out, 0, n * sizeof(float));
    if (w.shared_gate) {
      const float factor = gated(arch::Gating::sigmoid, *s.row(kSharedGate, i));
      if (w.out == kShared) {
        s.kernels->scale(factor, n, out);
      } else {
        s.kernels->scale_add(factor, s.row(kShared, i), n, out);
      }
    }
    for (size_t pair = size_t{i} * used; pair < (size_t{i} + 1) * used; ++pair) {
      const uint32_t expert = m.chosen[pair];
      const float weight = m.weight[pair];
      s.kernels->scale_add(weight, m.rows + size_t{m.place[pair]} * n, n, out);
      if (w.down_bias == nullptr) continue;
      s.kernels->scale_add(weight, w.down_bias + size_t{expert} * n, n, out);
    }
  });
}

}  // namespace phase
}  // namespace detail

namespace arch {

struct ExpertFeedForward {
  static constexpr uint32_t kLeastWidth = 0;

  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts& facts,
                              detail::Hyper* h) noexcept {
    using namespace detail;
    ExpertHyper& e = h->experts;
    keys.read("expert_count", 0, kMaxExperts, false, &e.count);
    if (e.count == 0) {  // a dense model
      keys.read_layers("feed_forward_length", 1, kMaxWidth, true, h->n_layers,
                       [](uint32_t, uint32_t) {});
      return;
    }
    keys.read("expert_used_count", 1, e.count, true, &e.used);
    keys.read("expert_feed_forward_length", 1, kMaxWidth, false, &e.ff);
    e.normalized = facts.normalize_experts;
    uint32_t gating = 0;
    if (facts.expert_keys >= ExpertKeys::gating) {
      keys.read("expert_gating_func", 0, 4, false, &gating);
    }
    if (facts.expert_keys >= ExpertKeys::normalized) {
      keys.read("expert_weights_norm", &e.normalized);
    }
    if (facts.expert_keys >= ExpertKeys::scaled) {
      keys.read("expert_weights_scale", 0.0, 1e6, false, &e.scale);
    }
    if (e.scale == 0) e.scale = 1;
    e.gating = gating == 0 ? facts.gating : static_cast<Gating>(gating - 1);
    keys.read("expert_group_count", 0, e.count, false, &e.groups);
    if (e.groups <= 1) {
      e.groups = 1;
      return;
    }
    keys.read("expert_group_used_count", 1, e.groups, true, &e.groups_used);
    if (keys.status() && (e.count % e.groups != 0 || e.count / e.groups * e.groups_used < e.used)) {
      keys.fail(Error(ErrorCode::corrupt, "key ")
                << keys.architecture() << ".expert_group_count: " << e.used << " of " << e.count
                << " experts cannot be chosen from " << e.groups_used << " of " << e.groups
                << " groups");
    }
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    if (!w.tensors.has("ffn_gate_inp")) return DenseFeedForward::write(w);
    const uint32_t n = w.h.n_embd;
    const Buffer out = w.out;
    const uint64_t shared = w.tensors.rows_of("ffn_up_shexp");
    const Weight& shared_gate = w.tensors.matrix("ffn_gate_inp_shexp", 1, n, Presence::optional);
    const Weight& router = w.tensors.matrix("ffn_gate_inp", w.h.experts.count, n);
    const float* bias = w.tensors.bias("ffn_gate_inp", w.h.experts.count);
    w.plan.matmul(w.in, {{&router, bias, kRouter}, {&shared_gate, nullptr, kSharedGate}});
    if (shared > 0) {
      if (shared_gate) w.out = kShared;
      DenseFeedForward::write(w, {"ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"},
                              static_cast<uint32_t>(shared < kMaxWidth ? shared : kMaxWidth));
      w.out = out;
    }
    Place place = {w.in, w.out};
    place.add = w.out == Buffer::x || shared > 0;
    place.shared_gate = shared_gate ? true : false;
    write_experts(w, place);
  }

  struct Place {
    detail::Buffer in, out;
    bool add = false;          // out += instead of out =
    bool shared_gate = false;  // kShared and kSharedGate are there
    float router_scale = 1;    // on what is in kRouter
  };

  static void write_experts(detail::BlockWriter& w, const Place& place) noexcept {
    using namespace detail;
    const ExpertHyper& h = w.h.experts;
    Binder& tensors = w.tensors;
    ExpertWork e = {};
    const uint32_t n = w.h.n_embd, count = h.count;
    e.ff = h.ff != 0 ? h.ff : w.shape().n_ff;
    if (w.facts.gated && tensors.has("ffn_gate_up_exps")) {
      e.gate = e.up = &tensors.stack("ffn_gate_up_exps", count, uint64_t{e.ff} * 2, n);
    } else {
      if (w.facts.gated) {
        e.gate = &tensors.stack("ffn_gate_exps", count, e.ff, n);
        e.gate_bias = tensors.vector("ffn_gate_exps", e.ff, Presence::optional, ".bias", count);
      }
      e.up = &tensors.stack("ffn_up_exps", count, e.ff, n);
      e.up_bias = tensors.vector("ffn_up_exps", e.ff, Presence::optional, ".bias", count);
    }
    e.down = &tensors.stack("ffn_down_exps", count, n, e.ff);
    e.down_bias = tensors.vector("ffn_down_exps", n, Presence::optional, ".bias", count);
    e.choice_bias = tensors.bias("exp_probs_b", count);
    e.activation = w.facts.activation;
    e.in = place.in;
    e.out = place.out;
    e.add = place.add;
    e.shared_gate = place.shared_gate;
    e.router_scale = place.router_scale;
    if (!tensors.status()) return;

    ExpertNeeds& needs = w.plan.needs().experts;
    needs.count = count;
    needs.used = h.used;
    needs.width = n;
    needs.ff = e.ff > needs.ff ? e.ff : needs.ff;
    for (const Weight* weight : {e.gate, e.up}) {
      if (weight != nullptr) (is_quantized(weight->type) ? needs.quantized : needs.floats) = true;
    }
    w.plan.append(phase::count_rows, phase::route, e);
    w.plan.append(phase::count_sort, phase::sort, e);
    w.plan.append(phase::count_gather, phase::gather, e);
    for (const Weight* weight : {e.gate, e.up}) {
      // Of a halves' expert the kernels get floats only.
      if (weight == nullptr || !is_quantized(weight->type)) continue;
      w.plan.reads(e.in, n, weight->type);
    }
    w.plan.needs().widen_matmul(e.ff > n ? e.ff : n);
    w.plan.append(phase::count_expert_gate_up, phase::expert_gate_up, e);
    w.plan.append(phase::count_expert_down, phase::expert_down, e);
    w.plan.append(phase::count_rows, phase::sum_experts, e);
    w.plan.wrote(e.out, n);
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_EXPERTS_INL_HPP_
