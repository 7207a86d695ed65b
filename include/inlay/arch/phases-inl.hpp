#ifndef INLAY_ARCH_PHASES_INL_HPP_
#define INLAY_ARCH_PHASES_INL_HPP_

#include <cmath>

#include "inlay/arch/phases.hpp"
#include "inlay/kernels/shared.hpp"
#include "inlay/tensor/dequantize.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// The phases. Each is a pair of functions: how many tasks, and what one does.
namespace phase {

template <class T>
const T& work_of(const void* work) noexcept {
  return *static_cast<const T*>(work);
}
inline State& state_of(void* state) noexcept { return *static_cast<State*>(state); }
inline const State& state_of(const void* state) noexcept {
  return *static_cast<const State*>(state);
}

// Rows of tokens: quantizing may not split groups of kQuantizeStep.
inline constexpr uint32_t kRowsPerTask = static_cast<uint32_t>(kQuantizeStep);

inline uint32_t row_tasks(uint32_t rows) noexcept {
  return static_cast<uint32_t>(div_up(rows, kRowsPerTask));
}
inline uint32_t count_rows(const void*, const void* state) noexcept {
  return row_tasks(state_of(state).n);
}

// Calls f(i) for each row of the task, of n.
template <class F>
void for_rows(uint32_t n, uint32_t task, F&& f) {
  const uint32_t begin = task * kRowsPerTask;
  for (uint32_t i = begin; i < n && i < begin + kRowsPerTask; ++i) f(i);
}

// Rows of a task that quantizes, for F16 and BF16 weights or for others.
inline uint32_t quantize_task_rows(bool halves) noexcept {
  return halves ? static_cast<uint32_t>(kHalvesStep) : kRowsPerTask;
}

// Quantizes the task's rows of `buffer`, of n, for the matmul that follows.
inline void quantize_rows(const State& s, Buffer buffer, uint32_t width, uint32_t n, uint32_t task,
                          bool halves = false) noexcept {
  const uint32_t rows = quantize_task_rows(halves);
  const uint32_t begin = task * rows, end = n < begin + rows ? n : begin + rows;
  Quantize q = s.quantize_of(buffer, width, n);
  q.halves = halves;
  s.kernels->quantize(q, begin, end, 0, width);
}

inline void normalize(const State& s, const NormWeights& w, const float* x, uint32_t n,
                      float* out) noexcept {
  if (w.kind == arch::Norm::rms) {
    s.kernels->rms_norm(x, w.weight, n, w.epsilon, out);
    if (w.bias != nullptr) s.kernels->add(w.bias, n, out);
  } else {
    s.kernels->layer_norm(x, w.weight, w.bias, n, w.epsilon, out);
  }
}

// In place. Scalar: of experts or classes, which are few.
inline void softmax(float* x, uint32_t n) noexcept {
  const float most = greatest({x, n});
  float sum = 0;
  for (uint32_t i = 0; i < n; ++i) sum += x[i] = std::exp(x[i] - most);
  for (uint32_t i = 0; i < n; ++i) x[i] /= sum;
}

inline void embed(const void* work, void* state, uint32_t task, void*) noexcept {
  const EmbedWork& w = work_of<EmbedWork>(work);
  const State& s = state_of(state);
  const Hyper& h = *s.hparams;
  for_rows(s.n, task, [&](uint32_t i) {
    float* x = s.row(Buffer::x, i);
    const auto row_of = [&](const Weight& table, uint32_t row, float* out) {
      dequantize_row(table.type, table.data + row * table.row_bytes(), h.n_embd, out);
    };
    row_of(*w.table, static_cast<uint32_t>(s.tokens[i]), x);
    if (h.embedding_scale != 1.0f) s.kernels->scale(h.embedding_scale, h.n_embd, x);
    const auto add_row = [&](const Weight* table, uint32_t row) {
      if (table == nullptr) return;
      float* addend = s.row(Buffer::branch, i);
      row_of(*table, row, addend);
      s.kernels->add(addend, h.n_embd, x);
    };
    add_row(w.types, 0);
    add_row(w.positions, s.position(i));
    float* rope = s.rope + size_t{i} * h.rope_floats();
    for (uint32_t r = 0; r < h.n_ropes; ++r) {
      for (uint32_t j = 0; j < h.rope[r].n_rot / 2; ++j) {
        const double angle = double{s.rope_frequencies[r][j]} * s.position(i);
        *rope++ = static_cast<float>(std::cos(angle)) * h.rope[r].magnitude;
        *rope++ = static_cast<float>(std::sin(angle)) * h.rope[r].magnitude;
      }
    }
  });
}

inline uint32_t count_norm(const void* work, const void* state) noexcept {
  const State& s = state_of(state);
  return row_tasks(work_of<NormWork>(work).head ? s.head_n : s.n);
}

inline void norm(const void* work, void* state, uint32_t task, void*) noexcept {
  const NormWork& w = work_of<NormWork>(work);
  const State& s = state_of(state);
  const uint32_t n = w.head ? s.head_n : s.n;
  for_rows(n, task, [&](uint32_t i) {
    normalize(s, w.norm, s.row(w.in, w.head ? s.head_first + i : i), w.width, s.row(w.out, i));
  });
  if (w.quantize) quantize_rows(s, w.out, w.width, n, task);
}

inline uint32_t count_quantize(const void* work, const void* state) noexcept {
  const State& s = state_of(state);
  const QuantizeWork& w = work_of<QuantizeWork>(work);
  const uint32_t n = w.head ? s.head_n : s.n;
  if (w.halves && (s.invariant || n < s.kernels->halves_columns)) return 0;
  return static_cast<uint32_t>(div_up(n, quantize_task_rows(w.halves)));
}

inline void quantize(const void* work, void* state, uint32_t task, void*) noexcept {
  const QuantizeWork& w = work_of<QuantizeWork>(work);
  const State& s = state_of(state);
  quantize_rows(s, w.in, w.width, w.head ? s.head_n : s.n, task, w.halves);
}

// How the rows of a matrix are cut into tasks.
//
// A batch is bound by arithmetic: equal tasks of about 16 M products, a tenth of a millisecond. Few
// rows of a wide matrix can be more than that for a large batch: these tasks also divide the
// columns, which costs little (their weights are decoded once for each part) until they are few.
// Workers draw in turn, mostly, and each gets tasks that follow each other: as one ends, its tiles
// ask for the weights behind it (two threads read prompts of 16 to 64 1.01 to 1.05 times as fast).
//
// Decoding is bound by reading weights, and the kernel's four streams start anew with each task: at
// best large ones, up to 1 MiB (some 40 microseconds). But whoever draws a large one last keeps all
// others waiting, and with fast kernels that wait was 7 % of the time on two threads. So with
// several workers tasks shrink towards the end: each is a share of what is left.
class RowTasks {
 public:
  // `bytes_per_row`: of all matrices whose rows a task takes together.
  RowTasks(uint32_t rows, size_t bytes_per_row, size_t products_per_row, uint32_t n,
           uint32_t workers) noexcept
      : rows_(rows), step_(n < kQuantizeStep ? kStreamRows : kBatchRows) {
    const size_t whole = n < kQuantizeStep ? (size_t{1} << 20) / (bytes_per_row + 1)
                                           : (size_t{16} << 20) / (products_per_row + 1);
    most_ = whole < step_ ? 1 : static_cast<uint32_t>(whole / step_);
    if (n >= kQuantizeStep) {  // leave something for other workers
      const uint32_t eighth = rows / 8 / step_;
      most_ = most_ < eighth ? most_ : eighth > 0 ? eighth : 1;
    }
    share_ = n < kQuantizeStep && workers > 1 ? 2 * workers : 1;
    workers_ = workers;
    if (n < 2 * kLeastTaskColumns || most_ > 1) return;
    const size_t parts = div_up(products_per_row * step_, size_t{24} << 20);
    const size_t columns = n / parts > kLeastTaskColumns ? div_up(n, parts) : kLeastTaskColumns;
    part_ = static_cast<uint32_t>(round_up(columns, kHalvesStep));
    parts_ = static_cast<uint32_t>(div_up(n, part_));
  }

  struct Range {
    uint32_t begin, end;
    uint32_t first_column = 0, end_column = ~uint32_t{0};  // at most all that there are
  };
  uint32_t count() const noexcept {
    uint32_t tasks = 0;
    if (share_ == 1) return static_cast<uint32_t>(div_up(rows_, size_t{most_} * step_)) * parts_;
    for (uint32_t row = 0; row < rows_; row = next(row)) ++tasks;
    return tasks;
  }
  Range task(uint32_t index) const noexcept {
    uint32_t row = 0, column = 0;
    if (share_ == 1) {
      const uint32_t all = count(), worker = index % workers_;
      const uint32_t longer = worker < all % workers_ ? worker : all % workers_;
      index = worker * (all / workers_) + longer + index / workers_;
      row = index / parts_ * most_ * step_;
      column = index % parts_ * part_;
    } else {
      while (index-- > 0) row = next(row);
    }
    const uint32_t end = next(row);
    Range range = {row, end < rows_ ? end : rows_};
    if (parts_ > 1) range.first_column = column, range.end_column = column + part_;
    return range;
  }
  // Rows in a task are a multiple of these: a panel for each of four streams, or a tile.
  static constexpr uint32_t kStreamRows = 4 * kPanelRows, kBatchRows = 2 * kPanelRows;
  static_assert(kBatchRows % kQuantizeBlock == 0 && kStreamRows % kBatchRows == 0);

 private:
  uint32_t next(uint32_t row) const noexcept {
    const uint32_t left = (rows_ - row + step_ - 1) / step_;
    const uint32_t part = (left + share_ - 1) / share_;
    return row + (part < most_ ? part : most_) * step_;
  }

  uint32_t rows_, step_, most_, share_, workers_;  // most_: in steps
  uint32_t parts_ = 1, part_ = 0;                  // of the columns, and how many columns are one
};

// The products of one row with n columns; where they are faster, as many as would take the time,
// and half of that if nobody waits: there columns of wide matrices come from the last cache, and
// tasks of twice the rows read them half as often (prompts are read 1.06 times as fast).
inline size_t row_products(const Weight& weight, uint32_t n, const State& s) noexcept {
  const Kernels& kernels = *s.kernels;
  const uint32_t least = kernels.least_columns(weight.type);
  const bool fast = least > 0 && n >= least && !s.invariant;
  if (!fast) return size_t{weight.cols} * n;
  const size_t products = weight.cols * (size_t{kernels.batch_start} + n / kernels.batch_speed);
  return s.hurried ? products : products / 2;
}

inline RowTasks tasks_of(const Weight& weight, uint32_t n, const State& s) noexcept {
  return {weight.rows, weight.row_bytes(), row_products(weight, n, s), n, s.workers};
}

// Asks for a piece of the first weights that a task of few columns reads, in the kernel's streams,
// into the second cache, which need not be large. On two threads 1.02 to 1.03 times as many tokens
// are written (Q4_0, Xeon); a task that asked so for the next one gained nothing.
inline bool ask_rows(const Weight& weight, RowTasks::Range range, const State& s,
                     uint32_t piece) noexcept {
  constexpr size_t kPieceBytes = 512, kMost = size_t{128} << 10;
  const size_t streams = weight.packed ? s.reading.streams : kStreams;
  const size_t together = weight.packed ? kPanelRows : 1;
  const size_t row_bytes = weight.row_bytes();
  const size_t length = div_up(div_up(range.end - range.begin, together), streams) * together;
  const size_t first = piece * kPieceBytes;
  if (s.n >= kQuantizeStep || first >= length * row_bytes || first * streams >= kMost) return false;
  for (size_t stream = 0; stream < streams; ++stream) {
    const uint8_t* from = weight.data + (range.begin + stream * length) * row_bytes + first;
    for (size_t line = 0; line < kPieceBytes; line += 64) INLAY_PREFETCH(from + line, 2);
  }
  return true;
}

// A product with n columns: where they are and where the result goes is for the caller to say.
inline Matmul matmul_of(const Weight& weight, uint32_t n, const State& s) noexcept {
  Matmul m = {};
  m.type = weight.type;
  m.w = weight.data;
  m.rows = weight.rows;
  m.k = weight.cols;
  m.n = n;
  m.tiles = s.invariant;
  m.reading = s.reading;
  m.packed = weight.packed;
  if (weight.scale != nullptr) m.scale = *weight.scale;
  return m;
}

inline void multiply(const State& s, Matmul* m, RowTasks::Range range, void* scratch) noexcept {
  m->first = range.first_column;
  m->n = m->n < range.end_column ? m->n : range.end_column;
  s.kernels->matmul(*m, range.begin, range.end, scratch);
}

// Where a product goes: [n][stride].
struct Rows {
  float* first;
  size_t stride;
  float* row(size_t i) const noexcept { return first + i * stride; }
};
inline Rows rows_of(Buffer buffer, const State& s) noexcept {
  return {s.row(buffer, 0), s.width(buffer)};
}

// Rows `range` of one matrix times n rows of `in`.
inline void multiply(const MatmulPart& part, Buffer in, const Rows& out, bool add, uint32_t n,
                     const State& s, RowTasks::Range range, void* scratch) noexcept {
  Matmul m = matmul_of(*part.weight, n, s);
  m.x = s.row(in, 0);
  m.x_stride = s.width(in);
  m.xq = s.quantized_of(in);
  m.out = out.first;
  m.out_stride = out.stride;
  m.bias = part.bias;
  m.add = add;
  multiply(s, &m, range, scratch);
}

inline uint32_t count_matmul(const void* work, const void* state) noexcept {
  const MatmulWork& w = work_of<MatmulWork>(work);
  const State& s = state_of(state);
  uint32_t tasks = 0;
  for (uint32_t p = 0; p < w.n_parts; ++p) tasks += tasks_of(*w.parts[p].weight, s.n, s).count();
  return tasks;
}

// A part's rows that are the task's; no part: there are fewer tasks.
struct PartTask {
  const MatmulPart* part;
  RowTasks::Range range;
};
inline PartTask part_task(const MatmulWork& w, const State& s, uint32_t task) noexcept {
  for (uint32_t p = 0; p < w.n_parts; ++p) {
    const RowTasks tasks = tasks_of(*w.parts[p].weight, s.n, s);
    const uint32_t count = tasks.count();
    if (task < count) return {&w.parts[p], tasks.task(task)};
    task -= count;
  }
  return {};
}

inline void matmul(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const MatmulWork& w = work_of<MatmulWork>(work);
  const State& s = state_of(state);
  const PartTask t = part_task(w, s, task);
  multiply(*t.part, w.in, rows_of(t.part->out, s), w.add, s.n, s, t.range, scratch);
}

inline bool ask_matmul(const void* work, const void* state, uint32_t task,
                       uint32_t piece) noexcept {
  const State& s = state_of(state);
  const PartTask t = part_task(work_of<MatmulWork>(work), s, task);
  return t.part != nullptr && ask_rows(*t.part->weight, t.range, s, piece);
}

// The same rows of gate and up, and what the activation makes of them: the task's values of both
// are still in the cache. If only what is quantized of them is read later, and they are not too
// many, they never leave it: they are in the worker's scratch memory, behind the matmul's. A frame
// of a game finds the buffers themselves in memory only: what others do with the processor in
// between has put them out of its caches.
inline constexpr size_t kTaskValues = size_t{32} << 10;

inline RowTasks gate_up_tasks(const GateUpWork& w, const State& s) noexcept {
  const Weight& up = *w.up.weight;
  const size_t matrices = w.gate.weight != nullptr ? 2 : 1;
  const size_t gate_bytes = matrices == 2 ? w.gate.weight->row_bytes() : 0;
  return {up.rows, gate_bytes + up.row_bytes(), matrices * row_products(up, s.n, s), s.n,
          s.workers};
}

inline uint32_t count_gate_up(const void* work, const void* state) noexcept {
  return gate_up_tasks(work_of<GateUpWork>(work), state_of(state)).count();
}

inline void gate_up(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const GateUpWork& w = work_of<GateUpWork>(work);
  const State& s = state_of(state);
  const RowTasks::Range range = gate_up_tasks(w, s).task(task);
  const bool gated = w.gate.weight != nullptr;
  const uint32_t end = s.n < range.end_column ? s.n : range.end_column;
  const size_t stride = round_up(range.end - range.begin, kPanelRows);
  const size_t values = stride * (end - range.first_column);
  Rows gates = rows_of(Buffer::gate, s), ups = gates;
  if (w.quantize && values * (gated ? 2 : 1) <= kTaskValues) {
    // Both are counted from the first row and column of all.
    const uintptr_t begin = reinterpret_cast<uintptr_t>(scratch) +
                            round_up(matmul_scratch_bytes(s.needs->matmul_k), kAlignment) -
                            (range.first_column * stride + range.begin) * sizeof(float);
    gates = {reinterpret_cast<float*>(begin), stride};
    ups = {reinterpret_cast<float*>(begin + values * sizeof(float)), stride};
  } else if (gated) {
    ups = rows_of(Buffer::up, s);
  }
  if (gated) multiply(w.gate, w.in, gates, false, s.n, s, range, scratch);
  multiply(w.up, w.in, gated ? ups : gates, false, s.n, s, range, scratch);
  for (uint32_t i = range.first_column; i < end; ++i) {
    float* gate = gates.row(i);
    const float* up = gated ? ups.row(i) + range.begin : nullptr;
    s.kernels->activate(w.activation, gate + range.begin, up, range.end - range.begin,
                        gate + range.begin);
    if (w.divisors == nullptr) continue;
    for (uint32_t j = range.begin; j < range.end; ++j) gate[j] /= w.divisors[j];
  }
  if (w.quantize) {
    Quantize q = s.quantize_of(Buffer::gate, w.up.weight->rows, s.n);
    q.x = gates.first;
    q.x_stride = gates.stride;
    s.kernels->quantize(q, range.first_column, end, range.begin, range.end);
  }
}

inline bool ask_gate_up(const void* work, const void* state, uint32_t task,
                        uint32_t piece) noexcept {
  const GateUpWork& w = work_of<GateUpWork>(work);
  const State& s = state_of(state);
  const RowTasks tasks = gate_up_tasks(w, s);
  if (task >= tasks.count()) return false;
  return ask_rows(w.gate.weight != nullptr ? *w.gate.weight : *w.up.weight, tasks.task(task), s,
                  piece);
}

// Rows of the output head: logits, scaled and capped, and the greatest of every kLogitBlock of
// them.
inline uint32_t count_head(const void* work, const void* state) noexcept {
  const State& s = state_of(state);
  if (s.head_n == 0) return 0;
  return tasks_of(*work_of<HeadWork>(work).output, s.head_n, s).count();
}

inline void head(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const HeadWork& w = work_of<HeadWork>(work);
  const State& s = state_of(state);
  const Hyper& h = *s.hparams;
  const RowTasks::Range range = tasks_of(*w.output, s.head_n, s).task(task);
  multiply({w.output, w.bias, Buffer::logits}, Buffer::norm, rows_of(Buffer::logits, s), false,
           s.head_n, s, range, scratch);
  for (uint32_t i = 0; i < s.head_n; ++i) {
    float* logits = s.row(Buffer::logits, i);
    const uint32_t n = range.end - range.begin;
    if (h.logit_scale != 1.0f) s.kernels->scale(h.logit_scale, n, logits + range.begin);
    if (h.final_softcap > 0) s.kernels->softcap(h.final_softcap, n, logits + range.begin);
    if (s.head_n > 1) continue;  // several rows are read, not sampled from
    const Span<const float> row(logits, h.n_vocab);
    for (size_t b = range.begin / kLogitBlock; b < logit_blocks(range.end); ++b) {
      s.logit_maxima[b] = greatest(logit_block(row, b));
    }
  }
}

inline bool ask_head(const void* work, const void* state, uint32_t task, uint32_t piece) noexcept {
  const Weight& output = *work_of<HeadWork>(work).output;
  const State& s = state_of(state);
  if (s.head_n == 0) return false;
  const RowTasks tasks = tasks_of(output, s.head_n, s);
  return task < tasks.count() && ask_rows(output, tasks.task(task), s, piece);
}

// The norms of the heads of q or k of one token.
inline void normalize_heads(const State& s, arch::QkNorm norms, const NormWeights& w, float* x,
                            uint32_t n_heads, uint32_t head) noexcept {
  if (w.weight == nullptr) return;
  if (norms == arch::QkNorm::whole) return normalize(s, w, x, n_heads * head, x);
  NormWeights own = w;
  for (uint32_t i = 0; i < n_heads; ++i) {
    if (norms == arch::QkNorm::each_head) own.weight = w.weight + size_t{i} * head;
    normalize(s, own, x + size_t{i} * head, head, x + size_t{i} * head);
  }
}

// The n floats of q of the batch's token i, where attention gets sharper with the position.
inline void scale_by_position(const State& s, uint32_t i, size_t n, float* q) noexcept {
  const Hyper& h = *s.hparams;
  if (h.temperature_scale == 0) return;
  const uint32_t times = s.position(i) / h.temperature_length;
  const float factor = 1 + h.temperature_scale * std::log(1 + static_cast<float>(times));
  s.kernels->scale(factor, n, q);
}

inline void heads(const void* work, void* state, uint32_t task, void*) noexcept {
  const HeadsWork& w = work_of<HeadsWork>(work);
  const State& s = state_of(state);
  const Hyper& h = *s.hparams;
  const LayerHyper& layer = h.layers[w.layer];
  const RopePairs pairs = w.rope == arch::Rope::adjacent ? RopePairs::adjacent : RopePairs::halves;
  const bool rotates = layer.rope != kNoRope && w.rope != arch::Rope::none;
  const auto prepare = [&](float* x, uint32_t n_heads, const NormWeights& norm, const float* rope) {
    if (!w.norm_after_rope) normalize_heads(s, w.norms, norm, x, n_heads, layer.head_k);
    if (rotates) {
      s.kernels->rope(x, n_heads, layer.head_k, h.rope[layer.rope].n_rot, pairs, rope);
    }
    if (w.norm_after_rope) normalize_heads(s, w.norms, norm, x, n_heads, layer.head_k);
  };
  for_rows(s.n, task, [&](uint32_t i) {
    const float* rope = s.rope + size_t{i} * h.rope_floats();
    for (uint32_t r = 0; rotates && r < layer.rope; ++r) rope += h.rope[r].n_rot;
    float *q = s.row(Buffer::q, i), *k = s.row(Buffer::k, i), *v = s.row(Buffer::v, i);
    if (h.qkv_clamp > 0) {
      s.kernels->clamp(-h.qkv_clamp, h.qkv_clamp, layer.q_size(), q);
      s.kernels->clamp(-h.qkv_clamp, h.qkv_clamp, layer.k_size(), k);
      s.kernels->clamp(-h.qkv_clamp, h.qkv_clamp, layer.v_size(), v);
    }
    prepare(q, layer.n_heads, w.q, rope);
    scale_by_position(s, i, layer.q_size(), q);
    if (!w.stores) return;
    if (w.v_is_k) std::memcpy(v, k, layer.v_size() * sizeof(float));
    for (uint32_t head = 0; w.normalizes_v && head < layer.n_kv_heads; ++head) {
      float* x = v + size_t{head} * layer.head_v;
      s.kernels->rms_norm(x, nullptr, layer.head_v, h.norm_epsilon, x);
    }
    prepare(k, layer.n_kv_heads, w.k, rope);
    s.kernels->store_kv(s.kv[w.layer], s.slot(i), k, v);
  });
}

// Of one of the batch's texts.
inline Attention attention_of(const AttentionWork& w, const State& s, uint32_t text) noexcept {
  const Hyper& h = *s.hparams;
  const LayerHyper& layer = h.layers[w.layer];
  Attention a;
  a.kv = s.kv[layer.kv_layer];
  a.q = s.row(Buffer::q, 0);
  a.q_stride = s.width(Buffer::q);
  a.out = s.row(Buffer::attn, 0);
  a.out_stride = s.width(Buffer::attn);
  a.n_heads = layer.n_heads;
  a.n = s.n;
  a.first = s.first;
  a.window = layer.window;
  a.scale = h.attention_scale;
  a.softcap = h.attention_softcap;
  a.sinks = w.sinks;
  a.partial = s.partial;
  a.slopes = h.slopes;
  a.causal = h.causal;
  if (s.n_texts == 0) return a;
  const BatchText& part = s.texts[text];
  if (part.pages == nullptr)
    a.kv = kv_from(a.kv, part.slot);
  else
    a.kv.pages = part.pages;
  a.q += part.row * a.q_stride;
  a.out += part.row * a.out_stride;
  a.n = part.n;
  a.first = part.first;
  a.partial = nullptr;  // has room for one text
  return a;
}
inline uint32_t attention_texts(const State& s) noexcept { return s.n_texts == 0 ? 1 : s.n_texts; }

// How attention is cut into tasks: KV heads, and for each either chunks of positions or blocks of
// queries. The results are the same bits. A task takes a fifth of a millisecond or less, up to some
// 10,000 positions.
struct AttentionTasks {
  bool chunked;      // all queries, one chunk of positions; combined afterwards
  uint32_t queries;  // of a block
  uint32_t blocks;   // blocks or chunks
  explicit AttentionTasks(const Attention& a) noexcept {
    blocks = a.chunks();
    queries = a.n;
    chunked = a.n <= kChunkedQueries && blocks > 1 && a.partial != nullptr;
    if (chunked) return;
    constexpr uint32_t kPairs = 100000;  // of a query's head and a position
    const uint32_t positions = a.first + a.n - a.first_seen();
    queries = kPairs / positions / (a.n_heads / a.kv.n_kv_heads);
    if (queries > kAttentionQueries) queries = kAttentionQueries;
    if (queries == 0) queries = 1;
    blocks = static_cast<uint32_t>(div_up(a.n, queries));
  }
};

inline uint32_t count_attention(const void* work, const void* state) noexcept {
  const State& s = state_of(state);
  uint32_t tasks = 0;
  for (uint32_t text = 0; text < attention_texts(s); ++text) {
    const Attention a = attention_of(work_of<AttentionWork>(work), s, text);
    tasks += a.kv.n_kv_heads * AttentionTasks(a).blocks;
  }
  return tasks;
}

inline void attention(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const State& s = state_of(state);
  uint32_t text = 0;
  Attention a = attention_of(work_of<AttentionWork>(work), s, text);
  AttentionTasks tasks(a);
  while (task >= a.kv.n_kv_heads * tasks.blocks) {
    task -= a.kv.n_kv_heads * tasks.blocks;
    a = attention_of(work_of<AttentionWork>(work), s, ++text);
    tasks = AttentionTasks(a);
  }
  const uint32_t kv_head = task / tasks.blocks, block = task % tasks.blocks;
  if (tasks.chunked) return s.kernels->attention(a, kv_head, 0, a.n, block, scratch);
  const uint32_t begin = block * tasks.queries;
  const uint32_t end = begin + tasks.queries < a.n ? begin + tasks.queries : a.n;
  s.kernels->attention(a, kv_head, begin, end, kAllChunks, scratch);
}

// Combines the chunks that attention was computed in, and quantizes for the matmul that follows.
inline uint32_t count_attention_output(const void* work, const void* state) noexcept {
  const AttentionWork& w = work_of<AttentionWork>(work);
  const bool chunked = AttentionTasks(attention_of(w, state_of(state), 0)).chunked;
  return chunked || w.quantize ? count_rows(work, state) : 0;
}

inline void attention_output(const void* work, void* state, uint32_t task, void*) noexcept {
  const AttentionWork& w = work_of<AttentionWork>(work);
  const State& s = state_of(state);
  const Attention a = attention_of(w, s, 0);
  const uint32_t begin = task * kRowsPerTask;
  if (AttentionTasks(a).chunked) {
    s.kernels->combine_attention(a, begin, begin + kRowsPerTask < s.n ? begin + kRowsPerTask : s.n);
  }
  if (w.quantize) quantize_rows(s, Buffer::attn, s.hparams->layers[w.layer].attn_size(), s.n, task);
}

inline void add(const void* work, void* state, uint32_t task, void*) noexcept {
  const AddWork& w = work_of<AddWork>(work);
  const State& s = state_of(state);
  for_rows(s.n, task, [&](uint32_t i) {
    float *from = s.row(w.from, i), *to = s.row(w.to, i);
    if (w.normalize) normalize(s, w.norm, from, w.width, from);
    if (w.scale == 1.0f) return s.kernels->add(from, w.width, to);
    s.kernels->scale_add(w.scale, from, w.width, to);
  });
}

}  // namespace phase

INLAY_COLD inline void* PlanWriter::append(Phase phase, size_t work_bytes) noexcept {
  const size_t at = round_up(works_->size(), 16);
  if (at + work_bytes > works_->capacity() || !works_->resize(at + work_bytes)) {
    out_of_memory_ = true;
    return nullptr;
  }
  void* copy = works_->data() + at;
  std::memcpy(copy, phase.work, work_bytes);
  phase.work = copy;
  if (!phases_->push_back(phase)) out_of_memory_ = true;
  return copy;
}

INLAY_COLD inline void PlanWriter::wrote(Buffer buffer, uint32_t width, bool* quantize) noexcept {
  const size_t b = static_cast<size_t>(buffer);
  needs_->widen(buffer, width);
  quantize_flag_[b] = quantize;
  written_[b] = phases_->size();
  for (Area& area : areas_) {
    if (area.of == buffer) area.of = Buffer::logits;  // what is quantized is of old values
  }
}

INLAY_COLD inline void PlanWriter::reads(Buffer buffer, uint32_t width, TensorType type,
                                         bool head) noexcept {
  needs_->widen(buffer, width);
  needs_->widen_matmul(width);
  if (!reads_quantized(kernels_, type)) return;
  const bool halves = !is_quantized(type);
  const bool hidden = buffer == Buffer::gate;
  needs_->task_values = needs_->task_values || (hidden && !halves);
  uint32_t& widest = hidden ? needs_->quantized_hidden : needs_->quantized;
  widest = width > widest ? width : widest;
  Area& area = areas_[hidden];
  const size_t b = static_cast<size_t>(buffer);
  if (area.of != buffer) area = {buffer, {}, area.used};
  if (!area.made[halves]) {
    area.made[halves] = true;
    // The phase that wrote the buffer quantizes it too, unless that would overwrite what is used
    // in between, or whole rows are needed.
    if (quantize_flag_[b] != nullptr && area.used < written_[b] && !halves) {
      *quantize_flag_[b] = true;
    } else {
      append(phase::count_quantize, phase::quantize,
             QuantizeWork{buffer, width, head || pooled_, halves});
    }
  }
  area.used = phases_->size() + 1;
}

INLAY_COLD inline void PlanWriter::fills_quantized(uint32_t heads, uint32_t k) noexcept {
  // As one row of all heads, each padded to what the kernels pad rows to: it takes as much or more.
  const uint32_t width = heads * static_cast<uint32_t>(round_up(k, kQuantizePadding));
  needs_->quantized = width > needs_->quantized ? width : needs_->quantized;
  needs_->widen_matmul(k);
  areas_[0] = {Buffer::logits, {}, phases_->size() + 1};
}

INLAY_COLD inline void PlanWriter::embed(const EmbedWork& work) noexcept {
  append(phase::count_rows, phase::embed, work);
  wrote(Buffer::x, work.table->cols);
  if (work.positions != nullptr || work.types != nullptr) wrote(Buffer::branch, work.table->cols);
}

INLAY_COLD inline void PlanWriter::norm(const NormWeights& weights, Buffer in, Buffer out,
                                        uint32_t width) noexcept {
  NormWork* work = append(phase::count_norm, phase::norm,
                          NormWork{weights, in, out, width, /*head=*/false, /*quantize=*/false});
  if (work != nullptr) wrote(out, width, &work->quantize);
}

INLAY_COLD inline void PlanWriter::matmul(Buffer in, Span<const MatmulPart> parts,
                                          bool add) noexcept {
  MatmulWork work = {{}, 0, in, add};
  for (const MatmulPart& part : parts) {
    if (part.weight == nullptr || !*part.weight) continue;
    reads(in, part.weight->cols, part.weight->type);
    work.parts[work.n_parts++] = part;
  }
  append(phase::count_matmul, phase::matmul, work, phase::ask_matmul);
  for (const MatmulPart& part : parts) {
    if (part.weight != nullptr && *part.weight) wrote(part.out, part.weight->rows);
  }
}

INLAY_COLD inline void PlanWriter::heads(const HeadsWork& work) noexcept {
  append(phase::count_rows, phase::heads, work);
}

INLAY_COLD inline void PlanWriter::attention(uint32_t layer, const float* sinks) noexcept {
  const AttentionWork work = {layer, sinks, false};
  append(phase::count_attention, phase::attention, work);
  AttentionWork* output = append(phase::count_attention_output, phase::attention_output, work);
  if (output != nullptr) wrote(Buffer::attn, 0, &output->quantize);
}

INLAY_COLD inline void PlanWriter::gate_up(Buffer in, const MatmulPart& gate, const MatmulPart& up,
                                           arch::Activation activation,
                                           const float* divisors) noexcept {
  const bool gated = gate.weight != nullptr && *gate.weight;
  GateUpWork work = {gate, up, in, activation, divisors, false};
  work.gate.out = Buffer::gate;
  work.up.out = gated ? Buffer::up : Buffer::gate;
  if (!gated) work.gate.weight = nullptr;
  if (gated) reads(in, gate.weight->cols, gate.weight->type);
  reads(in, up.weight->cols, up.weight->type);
  GateUpWork* kept = append(phase::count_gate_up, phase::gate_up, work, phase::ask_gate_up);
  if (kept == nullptr) return;
  if (gated) wrote(Buffer::up, up.weight->rows);
  wrote(Buffer::gate, up.weight->rows, &kept->quantize);
}

INLAY_COLD inline void PlanWriter::add(Buffer from, const NormWeights* weights, float scale,
                                       uint32_t width, Buffer to) noexcept {
  AddWork work = {};
  work.from = from;
  work.to = to;
  work.normalize = weights != nullptr;
  if (weights != nullptr) work.norm = *weights;
  work.scale = scale;
  work.width = width;
  append(phase::count_rows, phase::add, work);
  wrote(to, width);
}

INLAY_COLD inline void PlanWriter::head(const NormWeights& norm, const HeadWork& work,
                                        uint32_t width) noexcept {
  NormWork* kept = append(phase::count_norm, phase::norm,
                          NormWork{norm, Buffer::x, Buffer::norm, width, /*head=*/true, false});
  if (kept == nullptr) return;
  wrote(Buffer::norm, width, &kept->quantize);
  reads(Buffer::norm, width, work.output->type, /*head=*/true);
  append(phase::count_head, phase::head, work, phase::ask_head);
  needs_->widen(Buffer::logits, work.output->rows);
}

inline size_t quantized_capacity(const Needs& needs, uint32_t batch) noexcept {
  return quantized_bytes(batch > kHeadRows ? batch : kHeadRows, needs.quantized);
}
inline size_t quantized_hidden_capacity(const Needs& needs, uint32_t batch) noexcept {
  return quantized_bytes(batch, needs.quantized_hidden);
}

inline size_t phase_scratch_bytes(const Hyper& h, const Needs& needs) noexcept {
  const size_t attention = h.most([](const LayerHyper& l) {
    return l.n_kv_heads == 0 ? 0
                             : attention_scratch_bytes(l.n_heads / l.n_kv_heads, l.head_k, l.head_v,
                                                       kAttentionQueries);
  });
  const size_t values = needs.task_values ? phase::kTaskValues * sizeof(float) : 0;
  const size_t matmul = round_up(matmul_scratch_bytes(needs.matmul_k), kAlignment) + values;
  return round_up(attention > matmul ? attention : matmul, kAlignment);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_PHASES_INL_HPP_
