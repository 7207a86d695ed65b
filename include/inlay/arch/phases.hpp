// The phases that decoders are written with: what one does, which buffers it reads and writes, and
// how it is cut into tasks. Shapes are those of one batch of n tokens.
#ifndef INLAY_ARCH_PHASES_HPP_
#define INLAY_ARCH_PHASES_HPP_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "inlay/arch/decoder.hpp"
#include "inlay/arch/experts.hpp"
#include "inlay/arch/hyper.hpp"
#include "inlay/arch/weights.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/plan/plan.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Activations of a batch, each [n][width], f32. A width is the greatest that any phase needs.
enum class Buffer : uint8_t {
  x,          // the residual stream
  norm,       // normalized x
  q,          // [n][n_heads * head_k]
  k,          // [n][n_kv_heads * head_k]
  v,          // [n][n_kv_heads * head_v]
  attn,       // [n][n_heads * head_v], and what other mixers come to
  gate,       // [n][n_ff]
  up,         // [n][n_ff]
  branch,     // [n][n_embd] what is not added to x as it is
  per_layer,  // [n][n_layers * width] what Gemma 4 makes of tokens for each layer
  logits      // [kHeadRows][n_vocab]
};
inline constexpr size_t kBuffers = 11;
// Logits of which one maximum is kept, so that greedy and top-k sampling need not read them all
// again.
inline constexpr uint32_t kLogitBlock = 16;
constexpr size_t logit_blocks(uint32_t n_vocab) noexcept { return div_up(n_vocab, kLogitBlock); }
constexpr Span<const float> logit_block(Span<const float> logits, size_t block) noexcept {
  return logits.subspan(block * kLogitBlock, kLogitBlock);
}
// NaNs are passed over.
inline float greatest(Span<const float> x) noexcept {
  float most = -std::numeric_limits<float>::infinity();
  for (const float value : x) most = value > most ? value : most;
  return most;
}
// Positions whose logits are computed at once: more would let the logits outgrow all other
// activations.
inline constexpr uint32_t kHeadRows = 8;

// Up to so many tokens, attention is also divided by positions.
inline constexpr uint32_t kChunkedQueries = 4;

// What a plan needs besides the sizes in Hyper: found while it is written.
struct Needs {
  uint32_t width[kBuffers] = {};
  // Of what matrices are multiplied with, in the kernels' own layout: of `gate`, which is written
  // while its own input is still read, and of all other buffers.
  uint32_t quantized = 0, quantized_hidden = 0;
  uint32_t matmul_k = 0;     // columns of the widest matrix
  bool task_values = false;  // a phase may keep phase::kTaskValues in scratch memory
  ExpertNeeds experts;

  void widen(Buffer buffer, uint32_t to) noexcept {
    uint32_t& w = width[static_cast<size_t>(buffer)];
    w = to > w ? to : w;
  }
  void widen_matmul(uint32_t k) noexcept { matmul_k = k > matmul_k ? k : matmul_k; }
};

// One of several texts in a batch: its first row, how many it has, and where these lie in the KV
// cache. Its rows see no others of the batch, but what `pages` has before position `first`: that of
// the first row, a multiple of kKvPage less than which lies in its own pages too.
struct BatchText {
  uint32_t row, n, slot;
  uint32_t first = 0;
  uint8_t* const* pages = nullptr;  // from position 0 on; null: the text has only its slots
};

// What phases work on: the batch, and the memory of one session.
struct State {
  const Kernels* kernels = nullptr;
  Reading reading;
  const Hyper* hparams = nullptr;
  const Needs* needs = nullptr;
  const float* rope_frequencies[Hyper::kRopes] = {};  // [n_rot / 2] radians per position

  const int32_t* tokens = nullptr;  // [n]
  uint32_t n = 0;                   // tokens in the batch
  uint32_t first = 0;               // position of the first
  uint32_t head_first = 0;  // rows of x whose logits are wanted: [head_first, head_first + head_n)
  uint32_t head_n = 0;
  // None: the batch goes on with one text at `first`. Models with recurrent layers read one text.
  const BatchText* texts = nullptr;
  uint32_t n_texts = 0;
  const uint32_t* text_of = nullptr;  // [n] the row's
  // What embeddings are made of, and whether scores are wanted in their place; rows: head_n.
  Pooling pooling = Pooling::none;
  bool scores = false, unit_length = false;

  float* buffers[kBuffers] = {};
  uint8_t *quantized = nullptr, *quantized_hidden = nullptr;
  float* logit_maxima = nullptr;      // [logit_blocks(n_vocab)] of the first row
  uint32_t workers = 1;               // that may run tasks
  bool hurried = false;               // the step that began the batch has a budget
  bool invariant = false;             // see SessionOptions::batch_invariant
  float* rope = nullptr;              // [n][Hyper::rope_floats] cosine and sine
  float* partial = nullptr;           // attention_partial_bytes for kChunkedQueries queries
  const KvView* kv = nullptr;         // [n_layers]
  float* const* recurrent = nullptr;  // [n_layers] LayerHyper::state_floats each
  uint8_t* experts = nullptr;         // an ExpertMemory

  // Of a row of the batch: in its text, and in the KV cache.
  uint32_t position(uint32_t i) const noexcept {
    if (n_texts == 0) return first + i;
    const BatchText& text = texts[text_of[i]];
    return text.first + i - text.row;
  }
  uint32_t slot(uint32_t i) const noexcept {
    if (n_texts == 0) return first + i;
    const BatchText& text = texts[text_of[i]];
    return text.slot + i - text.row;
  }
  uint32_t width(Buffer buffer) const noexcept { return needs->width[static_cast<size_t>(buffer)]; }
  float* row(Buffer buffer, size_t i) const noexcept {
    return buffers[static_cast<size_t>(buffer)] + i * width(buffer);
  }
  uint8_t* quantized_of(Buffer buffer) const noexcept {
    return buffer == Buffer::gate ? quantized_hidden : quantized;
  }
  // How n rows of the first `k` columns of `buffer` are quantized.
  Quantize quantize_of(Buffer buffer, uint32_t k, uint32_t rows) const noexcept {
    return {row(buffer, 0), width(buffer), rows, k, invariant, quantized_of(buffer)};
  }
};

// One matrix of a matmul phase.
struct MatmulPart {
  const Weight* weight = nullptr;
  const float* bias = nullptr;  // [rows] or null
  Buffer out = Buffer::x;
};

// A norm's weights.
struct NormWeights {
  arch::Norm kind = arch::Norm::rms;
  const float *weight = nullptr, *bias = nullptr;  // [n] or null
  float epsilon = 0;
};

// ---- descriptions of phases, one struct for each kind ----
struct EmbedWork {
  const Weight* table;      // [n_vocab][n_embd]
  const Weight* types;      // [types][n_embd] or null: the first row is added
  const Weight* positions;  // [n_context][n_embd] or null
};
struct NormWork {
  NormWeights norm;
  Buffer in, out;
  uint32_t width;
  bool head;      // the rows are those of State::head_first, not the whole batch
  bool quantize;  // the result feeds quantized weights
};
struct MatmulWork {
  MatmulPart parts[4];
  uint32_t n_parts;
  Buffer in;
  bool add;  // out += instead of out =
};
struct QuantizeWork {
  Buffer in;
  uint32_t width;
  bool head;    // as in NormWork
  bool halves;  // as in Quantize
};
struct HeadsWork {
  uint32_t layer;
  arch::Rope rope;
  arch::QkNorm norms;
  NormWeights q, k;  // without weights: none
  bool norm_after_rope;
  bool stores;                // K and V go into the cache; false: another layer's are used
  bool normalizes_v, v_is_k;  // v's heads have norms without weights; v is k before its norm
};
struct AttentionWork {
  uint32_t layer;
  const float* sinks;  // [n_heads] or null
  bool quantize;
};
struct GateUpWork {
  MatmulPart gate, up;  // without gate: activation(up)
  Buffer in;
  arch::Activation activation;
  const float* divisors;  // [rows] of the result, or null
  bool quantize;          // the result feeds quantized weights, and nothing else
};
struct AddWork {
  Buffer from, to;
  NormWeights norm;  // of `from`
  bool normalize;
  float scale;
  uint32_t width;
};
struct HeadWork {
  const Weight* output;
  const float* bias;  // [n_vocab] or null
};

// Appends phases to a plan. Whoever writes a buffer also quantizes it, if a matrix with quantized
// weights reads it later: the writer sees to that. Memory is reserved beforehand, nothing moves
// while writing.
class PlanWriter {
 public:
  // `pooled`: a buffer that is not quantized by the phase that writes it has State::head_n rows.
  PlanWriter(const Kernels& kernels, Array<Phase>* phases, Array<uint8_t>* works, Needs* needs,
             bool pooled = false) noexcept
      : kernels_(kernels), phases_(phases), works_(works), needs_(needs), pooled_(pooled) {}
  bool out_of_memory() const noexcept { return out_of_memory_; }

  // x = embedding of the tokens; and the RoPE table of their positions.
  void embed(const EmbedWork& work) noexcept;
  void norm(const NormWeights& weights, Buffer in, Buffer out, uint32_t width) noexcept;
  // part.out = in * part.weight + part.bias, for up to four matrices with the same input.
  template <size_t n_parts>
  void matmul(Buffer in, const MatmulPart (&parts)[n_parts], bool add = false) noexcept {
    static_assert(n_parts <= 4);
    matmul(in, Span<const MatmulPart>(parts), add);
  }
  // Per token: norms of the heads of q and k, RoPE, K and V into the cache.
  void heads(const HeadsWork& work) noexcept;
  // attn = softmax(q . k) v over the cache.
  void attention(uint32_t layer, const float* sinks) noexcept;
  // gate = activation(in * gate) * (in * up), or activation(in * up) without a gate; divided, if
  // there are divisors.
  void gate_up(Buffer in, const MatmulPart& gate, const MatmulPart& up, arch::Activation activation,
               const float* divisors = nullptr) noexcept;
  // to += scale * from, or scale * norm(from).
  void add(Buffer from, const NormWeights* weights, float scale, uint32_t width,
           Buffer to = Buffer::x) noexcept;
  // logits = norm(x) * output + bias, scaled, then cap * tanh(logits / cap) if the model has a cap;
  // of a single row also the maxima of blocks.
  void head(const NormWeights& norm, const HeadWork& work, uint32_t width) noexcept;

  // For kinds of phases that a block brings along: `work` is copied. Null if memory is out.
  using CountFn = uint32_t (*)(const void*, const void*);
  using RunFn = void (*)(const void*, void*, uint32_t, void*);
  using AskFn = bool (*)(const void*, const void*, uint32_t, uint32_t);
  template <class T>
  T* append(CountFn count, RunFn run, const T& work, AskFn ask = nullptr) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16);
    return static_cast<T*>(append({count, run, &work, ask}, sizeof(T)));
  }
  // A phase wrote `buffer`; it can quantize it, if a flag is given.
  void wrote(Buffer buffer, uint32_t width, bool* quantize = nullptr) noexcept;
  // A matrix with weights of this type and `width` columns reads `buffer`; with `head`, the rows of
  // State::head_first.
  void reads(Buffer buffer, uint32_t width, TensorType type, bool head = false) noexcept;
  // The next phase quantizes `heads` rows of k values for each token into State::quantized, one
  // head after the other.
  void fills_quantized(uint32_t heads, uint32_t k) noexcept;
  Needs& needs() noexcept { return *needs_; }

 private:
  void matmul(Buffer in, Span<const MatmulPart> parts, bool add) noexcept;
  void* append(Phase phase, size_t work_bytes) noexcept;

  const Kernels& kernels_;
  Array<Phase>* phases_;
  Array<uint8_t>* works_;
  Needs* needs_;
  bool pooled_, out_of_memory_ = false;
  // Of each buffer: the flag of the phase that wrote it, and that phase's number.
  bool* quantize_flag_[kBuffers] = {};
  size_t written_[kBuffers] = {};
  // Of both quantized areas: whose values are in it (logits: nobody's), for which weights, and the
  // last phase that filled or read it.
  struct Area {
    Buffer of = Buffer::logits;
    bool made[2] = {};  // for quantized ones, for f16 and bf16
    size_t used = 0;
  } areas_[2];
};

// Bytes of State::quantized and quantized_hidden for batches of up to `batch` tokens.
size_t quantized_capacity(const Needs& needs, uint32_t batch) noexcept;
size_t quantized_hidden_capacity(const Needs& needs, uint32_t batch) noexcept;
// Bytes of scratch that each worker needs.
size_t phase_scratch_bytes(const Hyper& h, const Needs& needs) noexcept;

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_PHASES_HPP_
