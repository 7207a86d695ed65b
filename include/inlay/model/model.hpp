// Opening a file: weights bound to an architecture.
#ifndef INLAY_MODEL_MODEL_HPP_
#define INLAY_MODEL_MODEL_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/arch/pooling.hpp"
#include "inlay/core/host.hpp"
#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/model/sampling.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE

// How the weights lie in memory while they are computed with.
//
// - mapped: as the file has them. Opening takes milliseconds and no memory of its own: the system
//   reads a page when it is first needed, and shares it with every other program that has the file
//   open.
// - packed: copied at opening into the order in which the kernels read them; the system's memory
//   for the file is given back. It then writes 1.1 (Q4_K, Q6_K, Q8_0) to 1.5 (Q5_0) times as fast
//   and reads 3 to 16 tokens up to 1.7 times as fast (one core of a Zen 4). Packing takes 0.4 s for
//   a gigabyte on two cores, and Model::packed_bytes of the host's memory, about as much as the
//   file's weights.
enum class WeightMode : uint8_t { mapped, packed };

// Asks the system to let this process use AMX, the matrix unit of Intel's servers since 2023:
// models opened after it then read prompts several times as fast. Returns whether they may. False
// where there is none, and on other systems than Linux.
//
// For a program's main(), before its threads start; a plug-in leaves it to its host. It holds for
// the whole process and cannot be taken back: frames of signal handlers grow by 8 KiB, and from
// then on sigaltstack() fails for stacks too small for that, as this does if a thread has one.
bool request_amx() noexcept;

struct ModelOptions {
  Host host;
  // Which SIMD targets may be used: a mask of target bits (Highway's HWY_*, and INLAY_AVX2_VNNI,
  // INLAY_AVX3_AMX, INLAY_NEON_DOT and INLAY_NEON_I8MM of kernels/targets.hpp). The default allows
  // all that were compiled in; Model::target says which was chosen. The least that the CPU can run
  // is always allowed.
  int64_t targets = -1;
  WeightMode weights = WeightMode::mapped;
  // What to use in place of what the file says of its tokenizer.
  TokenizerOptions tokenizer;
  // Threads that pack, the caller's own included; the rest are the host's (Host::jobs) or the
  // model's until it is open. 1 to 64.
  uint32_t threads = 1;
  // With WeightMode::packed: the path of a file that keeps the packed weights, or null for none. It
  // is mapped if it was made from the same weights by the same version, and else written: under
  // another name first, so that any number of programs may do so at once. Every byte of it is
  // checked before it is used. A file that cannot be used or written is no error: the log says so.
  // A file that is no cache is never written over.
  const char* cache = nullptr;
  // The model, and all that is made of it or with its host(), take at most so many bytes of the
  // host's memory; 0: no limit. What would take more fails with out_of_memory and says how much
  // is missing. The same allocator's peak, the memory of own threads' stacks left out. Plans know
  // nothing of what the tokenizer takes as long as it works on a text: leave it some.
  uint64_t max_bytes = 0;
  // Read only the file's header, and check it: the model then says what it is and what it would
  // take (Model::memory, Session::plan), but nothing can be made of it. The file's weights may be
  // missing.
  bool plan_only = false;
  // Called every 0.25 ms while opening, or when a chunk of work that takes longer is done; fraction
  // in [0, 1]. Return false to stop: open fails with cancelled.
  bool (*progress)(void* user, float fraction) = nullptr;
  void* progress_user = nullptr;
};

// The sizes of a model, as its metadata gives them.
struct ModelShape {
  uint32_t n_layers = 0, n_embd = 0, n_heads = 0, n_kv_heads = 0, head_k = 0, head_v = 0, n_ff = 0,
           n_vocab = 0;
  uint32_t n_attention_layers = 0;  // 0 in a recurrent model: then it has no heads either
  uint32_t context = 0;             // positions that the model was trained for
  // False of encoders, whose positions see later ones: they embed text (see Embedder), and no
  // Session can be made of them.
  bool writes = true;
  // Whether what a session has read can be moved to other positions (SessionOptions::reuse): not
  // with recurrent layers, nor with positions that are learned or that heads are normalized after.
  bool shifts = true;
  Pooling pooling = Pooling::none;  // what the file's embeddings are made of
  uint32_t embedding = 0;           // floats of an embedding
  uint32_t scores = 0;              // that the model's classifier gives; 0: it has none
};

// Of the host's memory, in bytes, exactly: what a model keeps as long as it lives, and the most
// that it had at any moment of being opened. Weights are what a read function brought; mapped ones
// are the system's. With a cache file that can be used, a packed model takes less than planned.
// Whatever a file says, the peak is at most the file's size for each copy that was asked for (read
// by a function, packed), three times that of its metadata, 8 KiB for each layer, and 512 KiB.
struct ModelMemory {
  uint64_t weights = 0, packed = 0, other = 0;  // other: metadata, vocabulary, plans
  uint64_t peak = 0;
  uint64_t total() const noexcept { return weights + packed + other; }
};

namespace detail {
struct ModelImpl;
class Loading;
}  // namespace detail

// A model: weights, vocabulary and the plan to run them. Immutable and shared: copies are cheap and
// refer to the same weights, any number of threads may use them, and the last copy (sessions hold
// one each) frees everything.
class Model {
 public:
  // Maps the file, reads its metadata and checks every tensor against what the architecture
  // expects. Reads no weights. Errors: io, not_gguf, truncated, corrupt (with tensor or key,
  // offset, expectation), missing, unsupported (an architecture or tensor type that is not compiled
  // in, by name), out_of_memory, cancelled. The file must stay as it is until the last copy is
  // gone: a mapped file that is cut short ends the process. To replace it, write another and rename
  // that; a file that others write to is for from_function.
  static Result<Model> open(const char* path, const ModelOptions& options = {}) noexcept;
  // The same from bytes that stay where they are until the last copy is gone (aligned to 8 bytes).
  static Result<Model> from_memory(Span<const uint8_t> bytes,
                                   const ModelOptions& options = {}) noexcept;
  // The same through the host's read function, into memory of the host's allocator.
  static Result<Model> from_function(const ReadFunction& file,
                                     const ModelOptions& options = {}) noexcept;
  // Any of these, or a part of a file that holds more than the model. To open it in slices, see
  // ModelLoader.
  static Result<Model> open(const GgufSource& source, const ModelOptions& options = {}) noexcept;

  Model(const Model&) noexcept;
  Model(Model&&) noexcept;
  Model& operator=(Model) noexcept;
  ~Model();

  std::string_view architecture() const noexcept;  // general.architecture
  std::string_view target() const noexcept;  // the SIMD target in use, as Highway names it: "AVX2"
  const ModelShape& shape() const noexcept;
  const Tokenizer& tokenizer() const noexcept;
  // What the file recommends (general.sampling.*), and inlay's defaults where it says nothing.
  const Sampling& sampling() const noexcept;
  // mapped, on processors without AVX2, whatever was asked for.
  WeightMode weights() const noexcept;
  // What WeightMode::packed takes of the host's memory at most, in bytes, beside what
  // WeightMode::mapped takes. In either mode; less when a cache file can be used.
  uint64_t packed_bytes() const noexcept;
  ModelMemory memory() const noexcept;
  // Keys of the file that concern this architecture and that nothing reads: they change no result
  // here or in llama.cpp. Also in the log.
  Span<const std::string_view> ignored_keys() const noexcept;
  const Gguf& file() const noexcept;
  const Host& host() const noexcept;  // that it was opened with; its allocator counts

 private:
  friend class Embedder;
  friend class Session;
  friend class detail::Loading;
  explicit Model(detail::ModelImpl* impl) noexcept : impl_(impl) {}
  detail::ModelImpl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_MODEL_MODEL_HPP_
