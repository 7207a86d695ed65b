// The table that every SIMD target fills: all that the rest of the library knows of vector code.
// Functions take plain pointers, keep no state and never allocate. `inlay::detail::Kernels` is
// picked once per model.
#ifndef INLAY_KERNELS_KERNELS_HPP_
#define INLAY_KERNELS_KERNELS_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/config.hpp"
#include "inlay/gguf/tensor_type.hpp"
#include "inlay/kernels/activation.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Rows of weights that one tile computes, on every target. Output rows are worked on in multiples
// of it.
inline constexpr size_t kPanelRows = 16;

// ---- matmul: out[n][row] = sum over k of x[n][k] * w[row][k] ----
// Activations are quantized once, by whoever produced them, to int8 with one float scale per 32
// values ("A32"), in a buffer of quantized_bytes(n, k). Its layout is private to the kernels and
// differs for small n. With AMX, many columns are rounded to bfloat16 instead, and for f16 and bf16
// weights to two int8 with a scale per 512 values.
struct Quantize {
  const float* x;  // [n][x_stride]
  size_t x_stride;
  size_t n, k;
  bool tiles;                      // as in Matmul
  void* xq;                        // quantized_bytes(n, k)
  const uint32_t* rows = nullptr;  // [n] rows of x that are the columns; null: the first n
  // For f16 and bf16 weights, whole columns: has a place of its own in xq. Nothing for fewer
  // columns than Kernels::halves_columns.
  bool halves = false;
};

// How a processor reads weights from memory fastest, for few columns. Results are the same bits but
// where tiles take the place of panels, which sum in another order.
struct Reading {
  uint16_t streams = 4;  // panels of packed weights at a time, in lockstep: up to 4
  // Bytes between what a stream computes and what it prefetches into the first cache: of packed
  // weights and, where this is not 0, of plain floats too. 0: the processor's own prefetching keeps
  // up.
  uint16_t ahead = 0;
  uint16_t second_ahead = 0;  // the same into the second cache, of packed weights
  uint16_t rows_ahead = 448;  // of rows as the file has them
  // The most columns that are not faster by tiles, of packed weights with fewer than 6 bits, and
  // with 6 or more.
  uint16_t panel_columns = 16, wide_panel_columns = 16;
};

struct Matmul {
  TensorType type;   // of w; any usable type
  const uint8_t* w;  // [rows][k], as the file has it, or what pack_panels() wrote
  size_t rows, k;    // k: a multiple of the type's block
  size_t n;          // columns = tokens
  const float* x;    // [n][x_stride]; read for f32, f16 and bf16 weights
  size_t x_stride;
  const void* xq;  // quantize()d x; null: f16 and bf16 weights only read x
  float* out;      // [n][out_stride]
  size_t out_stride;
  const float* bias;  // [rows] or null
  bool add;           // out += instead of out =
  // Use the kernels for many columns also for few: a column's result then depends on nothing but
  // that column, to the bit, whatever n is.
  bool tiles;
  bool packed;   // w is what pack_panels() wrote
  size_t first;  // columns [first, n): 0 or, from kLeastTaskColumns on, a multiple of kHalvesStep
  float scale = 1;  // on the product, before the bias
  Reading reading;
};
// So many columns are worth a task, and computed by tiles for all types.
inline constexpr size_t kLeastTaskColumns = 64;

// Weights packed for the kernels: panels of kPanelRows rows with a row in each lane, so that a
// product needs no sums across lanes. The bytes are the same on every target; whoever keeps them in
// a file notes the version.
inline constexpr uint32_t kPackedVersion = 4;
// Of a matrix [rows][k]; 0: the type has no packed form, its matrices stay as they lie.
size_t packed_bytes(TensorType type, size_t rows, size_t k) noexcept;
// Rows [begin, end) of a matrix with rows of k, as the file has it, to their place in `out`, the
// packed form of the whole matrix; begin a multiple of kPanelRows, and end too unless it is the
// matrix's. Bits are moved and some inverted, nothing is computed: one function for all targets.
void pack_panels(TensorType type, const uint8_t* w, size_t k, size_t begin, size_t end,
                 uint8_t* out) noexcept;

// ---- attention over the KV cache ----
// i16: integers with one scale for a head of a position. As many bits as halves have, but 15 of
// them for the largest value and as fine a step for all others, where a half keeps 11; and integers
// are multiplied twice as fast as floats.
enum class KvFormat : uint8_t { f32, i16, q8_0 };

// One layer's cache of one sequence, in pages of kKvPage positions (or one page for all) that have
// all layers in them. K of one KV head of a page lies together, and so does V; the layout inside is
// private to the kernels (store_kv, attention); kv_bytes says how many bytes a head takes in a
// page.
struct KvView {
  KvFormat format;
  uint8_t* const* pages;  // [positions / page]
  size_t k, v;            // where K and V of the layer begin in a page: [n_kv_heads] heads
  uint32_t n_kv_heads, head_k, head_v;
  uint32_t page;  // positions of a page, a multiple of kKvPanel; of kKvTile, if there are several
};
inline constexpr size_t kKvPanel = 16;
// Sessions that were forked share whole pages. With 64 positions a fork copies 32 on average, and
// decoding is as fast as from one block.
inline constexpr uint32_t kKvPage = 64;
// Attention over many positions is computed in chunks that start at multiples of this, and their
// results are combined in order: the bits are the same whether one task does it all or each chunk
// has its own.
inline constexpr uint32_t kKvChunk = 1024;
inline constexpr uint32_t kAllChunks = ~uint32_t{0};

struct Attention {
  KvView kv;
  const float* q;  // [n][q_stride]: heads one after another, head_k floats each
  size_t q_stride;
  float* out;  // [n][out_stride]: heads one after another, head_v floats each
  size_t out_stride;
  uint32_t n_heads;  // a multiple of n_kv_heads
  uint32_t n;        // queries; query i is at position first + i and sees positions <= its own
  uint32_t first;
  uint32_t window;  // 0: no limit; else it sees positions > own - window
  float scale;      // on q . k
  float softcap;    // 0: none; else s = softcap * tanh(s / softcap) before the softmax
  float* partial;   // attention_partial_bytes, for calls with a chunk
  // Every query sees the positions of all, 0 .. first + n - 1; with a window, those at most
  // window / 2 away.
  bool causal = true;
  // [n_heads] or null: a score of each head that takes part in its softmax and has no value.
  const float* sinks = nullptr;
  // [n_heads] or null (ALiBi): what a head's scores lose for each position of distance.
  const float* slopes = nullptr;

  uint32_t first_seen() const noexcept {  // by any query
    const uint32_t back = causal ? window - 1 : window / 2;
    return window != 0 && first > back ? first - back : 0;
  }
  uint32_t chunks() const noexcept {
    return (first + n - 1) / kKvChunk - first_seen() / kKvChunk + 1;
  }
};

// ---- recurrent mixers ----
// Functions go over the tokens of a batch in order and leave the state as it is after the last, so
// a batch may be cut anywhere: the bits are the same. Channels and heads do not depend on each
// other: neither do calls for different ranges of them.

// The state of a head has rows of channels or values. It is kept in blocks of kStateBlock of these,
// [block][row][kStateBlock], the last one filled up: a block fits the nearest cache, where pieces
// of rows that are a power of two apart would share few lines.
inline constexpr size_t kStateBlock = 32;
constexpr size_t state_floats(size_t rows, size_t lanes) noexcept {
  return (lanes + kStateBlock - 1) / kStateBlock * kStateBlock * rows;
}

// Depthwise causal convolution: out[t][c] = bias[c] + sum over i < kernel of weight[c][i] *
// input[t - (kernel - 1) + i][c], where the inputs before x are `state`.
struct Conv1d {
  const float* x;  // [n][x_stride]
  size_t x_stride;
  const float* weight;  // [channels][kernel], as the file has it
  const float* bias;    // [channels] or null
  float* state;         // [kernel - 1][channels], the oldest first
  float* out;           // [n][out_stride]; may be x
  size_t out_stride;
  size_t n, channels, kernel;  // kernel: 1 to kMaxConvKernel
  bool silu;                   // of the result
};
inline constexpr size_t kMaxConvKernel = 4;  // more no model has

// Selective state space, as Mamba has it. For each token and head, with dt = softplus(dt +
// dt_bias):
//   state[i][s] = state[i][s] * exp(dt * a) + x[i] * dt * b[s],  out[i] = c . state[i] + d * x[i]
struct SsmScan {
  const float* x;  // [n][x_stride]: heads of head_dim
  size_t x_stride;
  const float* dt;  // [n][dt_stride]: one for each head
  size_t dt_stride;
  const float* dt_bias;  // [n_heads] or null
  const float *b, *c;    // [n][bc_stride]: groups of d_state; heads in order share a group
  size_t bc_stride;
  const float* a;  // Mamba-1: [n_heads][d_state], and head_dim is 1. Mamba-2: [n_heads]
  const float* d;  // [n_heads] or null
  // Mamba-1: [n_heads][d_state]. Mamba-2: state_floats(d_state, head_dim) for each head, all zeros
  // before the first token.
  float* state;
  float* out;  // [n][out_stride]: heads of head_dim; may be x
  size_t out_stride;
  size_t n, n_heads, n_groups, head_dim, d_state;
  bool a_per_state;  // Mamba-1
};

// Gated delta rule. For each token and head, with S of [head_k][head_v]:
//   S *= exp(gate);  S += k (beta (v - S^T k))^T;  out = scale * S^T q
struct DeltaRule {
  const float *q, *k;  // [n][qk_stride]: n_k_heads heads of head_k
  size_t qk_stride;
  const float* v;  // [n][v_stride]: heads of head_v
  size_t v_stride;
  const float *gate, *beta;  // [n][gate_stride]: one for each head
  size_t gate_stride;
  // state_floats(head_k, head_v) for each head, all zeros before the first token.
  float* state;
  float* out;  // [n][out_stride]: heads of head_v; may be v
  size_t out_stride;
  size_t n, n_heads, n_k_heads, head_k, head_v;
  bool grouped;  // heads in order share a head of k; else head i has k's head i % n_k_heads
  float scale;
};

enum class RopePairs : uint8_t { adjacent, halves };  // which elements of a head rotate together

struct Kernels {
  int64_t target;    // the HWY_* bit
  const char* name;  // as Highway names it: "AVX2"

  // Columns [begin, end) of it, begin a multiple of kQuantizeStep (halves: kHalvesStep) and end too
  // unless it is n, and of those the values [k_begin, k_end), k_begin a multiple of kQuantizeBlock
  // and k_end too unless it is k.
  void (*quantize)(const Quantize& q, size_t begin, size_t end, size_t k_begin, size_t k_end);
  // Rows [begin, end) of the product; begin a multiple of kPanelRows. `scratch`:
  // matmul_scratch_bytes, 64-byte aligned.
  void (*matmul)(const Matmul& m, size_t begin, size_t end, void* scratch);
  // From so many columns on, unless Matmul::tiles says otherwise, quantized weights, and f16 and
  // bf16 ones, are multiplied with what quantize() made for them `batch_speed` times as fast as
  // SIMD's int8 products are, after what takes as long as products with `batch_start` columns. 0:
  // never, and halves are multiplied with floats.
  uint32_t batch_columns, halves_columns, batch_speed, batch_start;
  uint32_t least_columns(TensorType type) const noexcept {  // of this type of weights; 0: never
    if (type == TensorType::f32) return 0;
    return type == TensorType::f16 || type == TensorType::bf16 ? halves_columns : batch_columns;
  }

  // Queries [begin, end) of KV head `kv_head`, with all query heads that share it. With a chunk
  // (0 is the first that any query of the batch sees), only that one, into a.partial.
  void (*attention)(const Attention& a, uint32_t kv_head, uint32_t begin, uint32_t end,
                    uint32_t chunk, void* scratch);
  // Combines the chunks of queries [begin, end), all heads.
  void (*combine_attention)(const Attention& a, uint32_t begin, uint32_t end);
  // K and V of one position, all heads: k[n_kv_heads * head_k], v[n_kv_heads * head_v].
  void (*store_kv)(const KvView& kv, uint32_t position, const float* k, const float* v);

  // Elementwise; `out` may be an input. Sums are in float, in an order fixed per target.
  // out = x / sqrt(mean of x^2 + epsilon) * weight (weight null: without).
  void (*rms_norm)(const float* x, const float* weight, size_t n, float epsilon, float* out);
  // out = (x - mean) / sqrt(variance + epsilon) * weight + bias (null: without).
  void (*layer_norm)(const float* x, const float* weight, const float* bias, size_t n,
                     float epsilon, float* out);
  // Rotate the first `rot` elements of each of `n_heads` heads, `head_stride` floats from one to
  // the next, in place; cos_sin[rot / 2][2] for this position.
  void (*rope)(float* x, size_t n_heads, size_t head_stride, size_t rot, RopePairs pairs,
               const float* cos_sin);
  // out = function of gate, times `up` (null: as it is).
  void (*activate)(Activation kind, const float* gate, const float* up, size_t n, float* out);
  void (*add)(const float* x, size_t n, float* inout);                      // inout += x
  void (*mul)(const float* x, size_t n, float* inout);                      // inout *= x
  void (*scale)(float factor, size_t n, float* inout);                      // inout *= factor
  void (*scale_add)(float factor, const float* x, size_t n, float* inout);  // inout += factor * x
  void (*clamp)(float lo, float hi, size_t n, float* inout);                // max(lo, min(x, hi))
  void (*softcap)(float cap, size_t n, float* inout);                       // cap * tanh(x / cap)

  // Of logits of which none is above `top`: to_bits(top - logit), and exp2_negative() of that, the
  // same bits on every target. n: a multiple of 8.
  void (*softmax_weights)(const float* logits, size_t n, float top, uint64_t* bits,
                          uint64_t* weights);

  bool takes_packed;  // weights in panels: else they stay as the file has them
};

// What layers with a state are computed with. Apart, so that a build without such an architecture
// has none of it.
struct RecurrentKernels {
  // out = x / sqrt(sum of x^2 + epsilon).
  void (*l2_norm)(const float* x, size_t n, float epsilon, float* out);
  void (*conv1d)(const Conv1d& c, size_t begin, size_t end);         // channels [begin, end)
  void (*ssm_scan)(const SsmScan& s, size_t begin, size_t end);      // heads [begin, end)
  void (*delta_rule)(const DeltaRule& r, size_t begin, size_t end);  // heads [begin, end)
};
// Those of the same target.
const RecurrentKernels& recurrent_kernels(const Kernels& kernels) noexcept;

// Sizes that do not depend on the target.
size_t quantized_bytes(size_t n, size_t k) noexcept;
inline constexpr size_t kQuantizeStep = 4;       // columns that one quantize call must not split
inline constexpr size_t kQuantizeBlock = 32;     // nor values of a column
inline constexpr size_t kHalvesStep = 16;        // columns that it must not split for halves
inline constexpr size_t kQuantizePadding = 256;  // columns may be padded to a multiple of this
size_t matmul_scratch_bytes(size_t k) noexcept;
size_t attention_scratch_bytes(uint32_t heads_per_kv_head, uint32_t head_k, uint32_t head_v,
                               uint32_t queries) noexcept;
// Bytes of one head of K or V in a page of that many positions (a multiple of kKvPanel).
size_t kv_bytes(KvFormat format, uint32_t head_size, uint32_t page) noexcept;
// One position's K and V, all heads, as bytes in an order that no layout has a part in: of each
// head its values, then its scales. What kv_position_bytes says is a multiple of 8.
size_t kv_position_bytes(const KvView& kv) noexcept;
void read_kv(const KvView& kv, uint32_t position, uint8_t* out) noexcept;
void write_kv(const KvView& kv, uint32_t position, const uint8_t* in) noexcept;
// One head of it; and a position of that: k[head_k] and v[head_v], as they were stored but for
// rounding. Both have room for a multiple of 16 floats.
KvView kv_head(const KvView& kv, uint32_t head) noexcept;
void load_kv(const KvView& head, uint32_t position, float* k, float* v) noexcept;
// The cache from `position` on, a multiple of kKvPanel, as one that starts there. Of one page and
// of KvFormat::f32: the others have scales behind all values.
KvView kv_from(const KvView& kv, uint32_t position) noexcept;
// Bytes of Attention::partial for `queries` queries of `n_heads` heads and up to `positions`
// positions.
size_t attention_partial_bytes(uint32_t queries, uint32_t n_heads, uint32_t head_v,
                               uint32_t positions) noexcept;
// Most queries that one attention call should get.
inline constexpr uint32_t kAttentionQueries = 16;

// The best table for this CPU among those compiled in and allowed by `mask` (HWY_* bits; the least
// that the CPU can run always is). Null if it can run none.
const Kernels* pick_kernels(int64_t mask) noexcept;
// All compiled-in tables that this CPU can run, best first: for tests and tools. Returns their
// number (<= 8).
size_t runnable_kernels(const Kernels* out[8]) noexcept;
Reading reading_of_cpu() noexcept;

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_KERNELS_KERNELS_HPP_
