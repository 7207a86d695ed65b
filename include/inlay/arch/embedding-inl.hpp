// From x to an embedding, or to a classifier's scores: the phases after the layers of a model that
// is not to write. What is pooled, and which of both is wanted, State says.
#ifndef INLAY_ARCH_EMBEDDING_INL_HPP_
#define INLAY_ARCH_EMBEDDING_INL_HPP_

#include <cmath>

#include "inlay/arch/block.hpp"
#include "inlay/arch/phases-inl.hpp"
#include "inlay/arch/weights-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Where the rows are that a plan of this file leaves.
inline constexpr Buffer kEmbeddings = Buffer::branch, kScores = Buffer::up;

struct PoolWork {
  Buffer in;
  uint32_t width;
};
struct PooledMatmulWork {
  MatmulPart part;
  Buffer in;
  bool scores;  // for scores, or for embeddings
};
// Between a classifier's two matrices.
struct ClassifierWork {
  arch::Activation activation;
  NormWeights norm;  // without weights: none
  uint32_t width;
};
struct RowsWork {
  uint32_t width;
};

namespace phase {

inline uint32_t count_pooled_rows(const void*, const void* state) noexcept {
  return row_tasks(state_of(state).head_n);
}
template <bool scores>
uint32_t count_rows_of(const void*, const void* state) noexcept {
  const State& s = state_of(state);
  return scores == s.scores ? row_tasks(s.head_n) : 0;
}
inline uint32_t count_unit_length(const void* work, const void* state) noexcept {
  return state_of(state).unit_length ? count_rows_of<false>(work, state) : 0;
}

// A row for each text, or for each of their positions.
inline void pool(const void* work, void* state, uint32_t task, void*) noexcept {
  const PoolWork& w = work_of<PoolWork>(work);
  const State& s = state_of(state);
  for_rows(s.head_n, task, [&](uint32_t i) {
    float* out = s.row(kEmbeddings, i);
    const auto copy = [&](uint32_t row) {
      std::memcpy(out, s.row(w.in, row), w.width * sizeof(float));
    };
    if (s.pooling == Pooling::none) return copy(i);
    const BatchText& text = s.texts[i];
    if (s.pooling == Pooling::last) return copy(text.row + text.n - 1);
    copy(text.row);
    if (s.pooling != Pooling::mean) return;
    for (uint32_t row = 1; row < text.n; ++row) {
      s.kernels->add(s.row(w.in, text.row + row), w.width, out);
    }
    s.kernels->scale(1 / static_cast<float>(text.n), w.width, out);
  });
}

inline uint32_t count_pooled_matmul(const void* work, const void* state) noexcept {
  const PooledMatmulWork& w = work_of<PooledMatmulWork>(work);
  const State& s = state_of(state);
  return w.scores == s.scores ? tasks_of(*w.part.weight, s.head_n, s).count() : 0;
}

inline void pooled_matmul(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const PooledMatmulWork& w = work_of<PooledMatmulWork>(work);
  const State& s = state_of(state);
  const RowTasks tasks = tasks_of(*w.part.weight, s.head_n, s);
  multiply(w.part, w.in, rows_of(w.part.out, s), /*add=*/false, s.head_n, s, tasks.task(task),
           scratch);
}

inline void classifier(const void* work, void* state, uint32_t task, void*) noexcept {
  const ClassifierWork& w = work_of<ClassifierWork>(work);
  const State& s = state_of(state);
  for_rows(s.head_n, task, [&](uint32_t i) {
    float* x = s.row(Buffer::gate, i);
    s.kernels->activate(w.activation, x, nullptr, w.width, x);
    if (w.norm.weight != nullptr) normalize(s, w.norm, x, w.width, x);
  });
}

inline void softmax_scores(const void* work, void* state, uint32_t task, void*) noexcept {
  const uint32_t width = work_of<RowsWork>(work).width;
  const State& s = state_of(state);
  for_rows(s.head_n, task, [&](uint32_t i) { softmax(s.row(kScores, i), width); });
}

inline void unit_length(const void* work, void* state, uint32_t task, void*) noexcept {
  const uint32_t width = work_of<RowsWork>(work).width;
  const State& s = state_of(state);
  for_rows(s.head_n, task, [&](uint32_t i) {
    float* x = s.row(kEmbeddings, i);
    double sum = 0;
    for (uint32_t j = 0; j < width; ++j) sum += double{x[j]} * double{x[j]};
    if (sum > 0) s.kernels->scale(static_cast<float>(1 / std::sqrt(sum)), width, x);
  });
}

}  // namespace phase

// A matrix over what was pooled.
inline void write_pooled_matmul(PlanWriter& plan, Buffer in, const MatmulPart& part,
                                bool scores) noexcept {
  if (!*part.weight) return;
  plan.reads(in, part.weight->cols, part.weight->type);
  plan.append(phase::count_pooled_matmul, phase::pooled_matmul, PooledMatmulWork{part, in, scores});
  plan.wrote(part.out, part.weight->rows);
}

// The phases that make scores of what was pooled, if the model has a classifier.
inline void write_classifier(Binder& tensors, PlanWriter& plan, const Facts& facts,
                             Hyper* h) noexcept {
  const uint32_t n = h->n_embd;
  const uint64_t outputs = tensors.rows_of("cls.output");
  if (outputs == 0 || outputs > kMaxWidth) return;
  h->scores = static_cast<uint32_t>(outputs);
  Buffer scored = kEmbeddings;
  const Weight& hidden = tensors.matrix("cls", n, n, arch::Presence::optional);
  if (hidden) {
    scored = Buffer::gate;
    write_pooled_matmul(plan, kEmbeddings, {&hidden, tensors.bias("cls", n), scored}, true);
    const float* norm = tensors.vector("cls.norm", n, arch::Presence::optional);
    plan.append(phase::count_rows_of<true>, phase::classifier,
                ClassifierWork{h->classifier_activation,
                               {facts.norm, norm, tensors.bias("cls.norm", n), h->norm_epsilon},
                               n});
  }
  const Weight& output = tensors.matrix("cls.output", outputs, n);
  write_pooled_matmul(plan, scored, {&output, tensors.bias("cls.output", outputs), kScores}, true);
  // A decoder's outputs are alternatives, such as yes and no.
  if (h->causal)
    plan.append(phase::count_rows_of<true>, phase::softmax_scores, RowsWork{h->scores});
}

// The phases that turn the batch's x into what State asks for. `norm`: the model's last one;
// without weights if it has none.
inline void write_embedding(Binder& tensors, PlanWriter& plan, const Facts& facts,
                            const NormWeights& norm, Hyper* h) noexcept {
  using arch::Presence;
  const uint32_t n = h->n_embd;
  const Buffer in = norm.weight != nullptr ? Buffer::norm : Buffer::x;
  if (in == Buffer::norm) plan.norm(norm, Buffer::x, Buffer::norm, n);
  plan.append(phase::count_pooled_rows, phase::pool, PoolWork{in, n});
  plan.wrote(kEmbeddings, n);
  write_classifier(tensors, plan, facts, h);

  h->embedding = n;
  const uint64_t wide = tensors.rows_of("dense_2"), out = tensors.rows_of("dense_3");
  if (wide > 0 && wide <= kMaxWidth && out > 0 && out <= kMaxWidth) {
    const Weight& dense_2 = tensors.matrix("dense_2", wide, n);
    const Weight& dense_3 = tensors.matrix("dense_3", out, wide);
    write_pooled_matmul(plan, kEmbeddings, {&dense_2, nullptr, Buffer::gate}, false);
    write_pooled_matmul(plan, Buffer::gate, {&dense_3, nullptr, kEmbeddings}, false);
    h->embedding = static_cast<uint32_t>(out);
  }
  plan.append(phase::count_unit_length, phase::unit_length, RowsWork{h->embedding});
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_EMBEDDING_INL_HPP_
