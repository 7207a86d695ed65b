#ifndef INLAY_ARCH_PHASES_INL_HPP_
#define INLAY_ARCH_PHASES_INL_HPP_

#include <cmath>

#include "inlay/arch/phases.hpp"
#include "inlay/tensor/dequantize.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

constexpr bool is_quantized(TensorType type) noexcept {
  return type != TensorType::f32 && type != TensorType::f16 && type != TensorType::bf16;
}

// The phases. Each is a pair of functions: how many tasks, and what one does.
namespace phase {

inline const Work& work_of(const void* work) noexcept { return *static_cast<const Work*>(work); }
inline State& state_of(void* state) noexcept { return *static_cast<State*>(state); }
inline const State& state_of(const void* state) noexcept {
  return *static_cast<const State*>(state);
}

// Rows of tokens: quantizing may not split groups of kQuantizeStep.
inline constexpr uint32_t kRowsPerTask = static_cast<uint32_t>(kQuantizeStep);

inline uint32_t rows_of(const Work& w, const State& s) noexcept { return w.head ? s.head_n : s.n; }

inline uint32_t count_rows(const void* work, const void* state) noexcept {
  return static_cast<uint32_t>(div_up(rows_of(work_of(work), state_of(state)), kRowsPerTask));
}

// Calls f(i) for each row of the task.
template <class F>
void for_rows(const Work& w, const State& s, uint32_t task, F&& f) {
  const uint32_t n = rows_of(w, s), begin = task * kRowsPerTask;
  for (uint32_t i = begin; i < n && i < begin + kRowsPerTask; ++i) f(i);
}

// Quantizes the task's rows of `buffer` for the matmul that follows.
inline void quantize_rows(const Work& w, const State& s, uint32_t task, Buffer buffer) noexcept {
  if (!w.quantize) return;
  const uint32_t n = rows_of(w, s), begin = task * kRowsPerTask;
  const uint32_t end = n < begin + kRowsPerTask ? n : begin + kRowsPerTask;
  const Quantize quantize = s.quantize_of(buffer, n);
  s.kernels->quantize(quantize, begin, end, 0, quantize.k);
}

inline void embed(const void* work, void* state, uint32_t task, void*) noexcept {
  const State& s = state_of(state);
  const Hyper& h = *s.hyper;
  const Weight& table = s.weights->token_embd;
  const TensorTypeInfo type = tensor_type_info(table.type);
  const size_t row_bytes = size_t{table.cols} / type.block_elements * type.block_bytes;
  for_rows(work_of(work), s, task, [&](uint32_t i) {
    float* x = s.row(Buffer::x, i);
    dequantize_row(table.type, table.data + static_cast<size_t>(s.tokens[i]) * row_bytes, h.n_embd,
                   x);
    if (h.embedding_scale != 1.0f) s.kernels->scale(h.embedding_scale, h.n_embd, x);
    float* rope = s.rope + size_t{i} * h.n_rot;
    for (uint32_t j = 0; j < h.n_rot / 2; ++j) {
      const double angle = double{s.rope_frequencies[j]} * (s.first + i);
      rope[2 * j] = static_cast<float>(std::cos(angle)) * h.rope_magnitude;
      rope[2 * j + 1] = static_cast<float>(std::sin(angle)) * h.rope_magnitude;
    }
  });
}

inline void norm(const void* work, void* state, uint32_t task, void*) noexcept {
  const Work& w = work_of(work);
  const State& s = state_of(state);
  for_rows(w, s, task, [&](uint32_t i) {
    const float* x = s.row(Buffer::x, w.head ? s.head_first + i : i);
    s.kernels->rms_norm(x, w.weight, s.hyper->n_embd, s.hyper->norm_epsilon,
                        s.row(Buffer::norm, i));
  });
  quantize_rows(w, s, task, Buffer::norm);
}

// Rows of weights that one task multiplies. Decoding is bound by reading weights, and the kernel's
// four streams start anew with each task: 1 MiB a task decodes 1.3 times as fast as 128 KiB (1.1B
// model, Zen 4), and takes some 50 microseconds. A batch is bound by arithmetic: about 16 M
// products, a fifth of a millisecond, so that a budget of one millisecond can be kept.
inline uint32_t matmul_task_rows(const Weight& weight, uint32_t n) noexcept {
  const TensorTypeInfo type = tensor_type_info(weight.type);
  const size_t row_bytes = size_t{weight.cols} / type.block_elements * type.block_bytes;
  size_t rows =
      n < 4 ? (size_t{1} << 20) / (row_bytes + 1) : (size_t{16} << 20) / (size_t{n} * weight.cols);
  const size_t eighth = weight.rows / 8;  // leave something for other workers
  if (rows > eighth) rows = eighth;
  rows = rows / kPanelRows * kPanelRows;
  return static_cast<uint32_t>(rows < 2 * kPanelRows ? 2 * kPanelRows : rows);
}

inline uint32_t count_matmul(const void* work, const void* state) noexcept {
  const Work& w = work_of(work);
  const uint32_t n = rows_of(w, state_of(state));
  uint32_t tasks = 0;
  if (n == 0) return 0;
  for (uint32_t p = 0; p < w.n_parts; ++p) {
    tasks += static_cast<uint32_t>(
        div_up(w.parts[p].weight->rows, matmul_task_rows(*w.parts[p].weight, n)));
  }
  return tasks;
}

inline void matmul(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const Work& w = work_of(work);
  const State& s = state_of(state);
  const uint32_t n = rows_of(w, s);
  for (uint32_t p = 0; p < w.n_parts; ++p) {
    const MatmulPart& part = w.parts[p];
    const uint32_t step = matmul_task_rows(*part.weight, n);
    const uint32_t tasks = static_cast<uint32_t>(div_up(part.weight->rows, step));
    if (task >= tasks) {
      task -= tasks;
      continue;
    }
    Matmul m;
    m.type = part.weight->type;
    m.w = part.weight->data;
    m.rows = part.weight->rows;
    m.k = part.weight->cols;
    m.n = n;
    m.x = s.row(w.in, 0);
    m.x_stride = buffer_width(w.in, *s.hyper);
    m.xq = s.quantized;
    m.out = s.row(part.out, 0);
    m.out_stride = buffer_width(part.out, *s.hyper);
    m.bias = part.bias;
    m.add = w.add;
    m.tiles = s.invariant;
    m.packed = false;
    const size_t end = size_t{task + 1} * step;
    s.kernels->matmul(m, size_t{task} * step, end < m.rows ? end : m.rows, scratch);
    return;
  }
}

inline void heads(const void* work, void* state, uint32_t task, void*) noexcept {
  const Work& w = work_of(work);
  const State& s = state_of(state);
  const Hyper& h = *s.hyper;
  const RopePairs pairs = w.rope == arch::Rope::adjacent ? RopePairs::adjacent : RopePairs::halves;
  const auto prepare = [&](float* x, uint32_t n_heads, const float* weight, const float* rope) {
    if (weight != nullptr) {
      for (uint32_t head = 0; head < n_heads; ++head) {
        float* at = x + size_t{head} * h.head_k;
        s.kernels->rms_norm(at, weight, h.head_k, h.norm_epsilon, at);
      }
    }
    s.kernels->rope(x, n_heads, h.head_k, h.n_rot, pairs, rope);
  };
  for_rows(w, s, task, [&](uint32_t i) {
    const float* rope = s.rope + size_t{i} * h.n_rot;
    prepare(s.row(Buffer::q, i), h.n_heads, w.weight, rope);
    prepare(s.row(Buffer::k, i), h.n_kv_heads, w.weight_k, rope);
    s.kernels->store_kv(s.kv_of(w.layer), s.first + i, s.row(Buffer::k, i), s.row(Buffer::v, i));
  });
}

inline uint32_t count_attention(const void*, const void* state) noexcept {
  const State& s = state_of(state);
  return s.hyper->n_kv_heads * static_cast<uint32_t>(div_up(s.n, kAttentionQueries));
}

inline void attention(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const Work& w = work_of(work);
  const State& s = state_of(state);
  const Hyper& h = *s.hyper;
  Attention a;
  a.kv = s.kv_of(w.layer);
  a.q = s.row(Buffer::q, 0);
  a.q_stride = h.q_size();
  a.out = s.row(Buffer::attn, 0);
  a.out_stride = h.attn_size();
  a.n_heads = h.n_heads;
  a.n = s.n;
  a.first = s.first;
  a.window = w.window;
  a.scale = h.attention_scale;
  a.softcap = h.attention_softcap;
  const uint32_t blocks = static_cast<uint32_t>(div_up(s.n, kAttentionQueries));
  const uint32_t begin = task % blocks * kAttentionQueries;
  const uint32_t end = begin + kAttentionQueries < s.n ? begin + kAttentionQueries : s.n;
  s.kernels->attention(a, task / blocks, begin, end, scratch);
}

inline uint32_t count_quantize(const void* work, const void* state) noexcept {
  return work_of(work).quantize ? count_rows(work, state) : 0;
}

inline void quantize(const void* work, void* state, uint32_t task, void*) noexcept {
  quantize_rows(work_of(work), state_of(state), task, work_of(work).in);
}

inline void activate(const void* work, void* state, uint32_t task, void*) noexcept {
  const Work& w = work_of(work);
  const State& s = state_of(state);
  const auto function =
      w.activation == arch::Activation::silu ? s.kernels->silu_mul : s.kernels->gelu_mul;
  for_rows(w, s, task, [&](uint32_t i) {
    float* gate = s.row(Buffer::gate, i);
    function(gate, s.row(Buffer::up, i), s.hyper->n_ff, gate);
  });
  quantize_rows(w, s, task, Buffer::gate);
}

inline void add_norm(const void* work, void* state, uint32_t task, void*) noexcept {
  const Work& w = work_of(work);
  const State& s = state_of(state);
  for_rows(w, s, task, [&](uint32_t i) {
    float* branch = s.row(Buffer::branch, i);
    s.kernels->rms_norm(branch, w.weight, s.hyper->n_embd, s.hyper->norm_epsilon, branch);
    s.kernels->add(branch, s.hyper->n_embd, s.row(Buffer::x, i));
  });
}

inline void softcap(const void* work, void* state, uint32_t task, void*) noexcept {
  const State& s = state_of(state);
  for_rows(work_of(work), s, task, [&](uint32_t i) {
    s.kernels->softcap(s.hyper->final_softcap, s.hyper->n_vocab, s.row(Buffer::logits, i));
  });
}

}  // namespace phase

inline void PlanWriter::append(CountFn count, RunFn run, const Work& work) noexcept {
  if (!works_->push_back(work) || !phases_->push_back({count, run, &works_->back()})) {
    out_of_memory_ = true;
  }
}

inline void PlanWriter::embed() noexcept { append(phase::count_rows, phase::embed, {}); }

inline void PlanWriter::norm(const Weight& weight, const Weight& feeds, bool head) noexcept {
  Work work;
  work.weight = weight.floats();
  work.quantize = is_quantized(feeds.type);
  work.head = head;
  append(phase::count_rows, phase::norm, work);
}

inline void PlanWriter::matmul(Buffer in, Span<const MatmulPart> parts, bool add,
                               bool head) noexcept {
  Work work;
  for (const MatmulPart& part : parts) work.parts[work.n_parts++] = part;
  work.in = in;
  work.add = add;
  work.head = head;
  append(phase::count_matmul, phase::matmul, work);
}

inline void PlanWriter::heads(uint32_t layer, arch::Rope rope, const Weight& q_norm,
                              const Weight& k_norm) noexcept {
  Work work;
  work.layer = layer;
  work.rope = rope;
  work.weight = q_norm.floats();
  work.weight_k = k_norm.floats();
  append(phase::count_rows, phase::heads, work);
}

inline void PlanWriter::attention(uint32_t layer, uint32_t window, const Weight& feeds) noexcept {
  Work work;
  work.layer = layer;
  work.window = window;
  append(phase::count_attention, phase::attention, work);
  work.in = Buffer::attn;
  work.quantize = is_quantized(feeds.type);
  append(phase::count_quantize, phase::quantize, work);
}

inline void PlanWriter::activate(arch::Activation activation, const Weight& feeds) noexcept {
  Work work;
  work.activation = activation;
  work.quantize = is_quantized(feeds.type);
  append(phase::count_rows, phase::activate, work);
}

inline void PlanWriter::add_norm(const Weight& weight) noexcept {
  Work work;
  work.weight = weight.floats();
  append(phase::count_rows, phase::add_norm, work);
}

inline void PlanWriter::softcap() noexcept {
  Work work;
  work.head = true;
  append(phase::count_rows, phase::softcap, work);
}

inline size_t quantized_capacity(const Hyper& h, uint32_t batch) noexcept {
  size_t bytes = 0;
  const auto widen = [&bytes](size_t b) { bytes = b > bytes ? b : bytes; };
  for (const uint32_t width : {h.n_embd, h.attn_size(), h.n_ff}) {
    widen(quantized_bytes(1, width));  // its layout is not a prefix of a batch's
    widen(quantized_bytes(batch, width));
    widen(quantized_bytes(kHeadRows, width));
  }
  return bytes;
}

inline size_t phase_scratch_bytes(const Hyper& h) noexcept {
  size_t bytes =
      attention_scratch_bytes(h.n_heads / h.n_kv_heads, h.head_k, h.head_v, kAttentionQueries);
  for (const uint32_t width : {h.n_embd, h.attn_size(), h.n_ff}) {
    const size_t need = matmul_scratch_bytes(width);
    bytes = need > bytes ? need : bytes;
  }
  return round_up(bytes, kAlignment);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_PHASES_INL_HPP_
