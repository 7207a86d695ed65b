// A conversation with a model: tokens in, text out.
#ifndef INLAY_SESSION_SESSION_HPP_
#define INLAY_SESSION_SESSION_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/model/model.hpp"
#include "inlay/model/sampling.hpp"
#include "inlay/session/constraint.hpp"
#include "inlay/session/drafter.hpp"
#include "inlay/session/logprobs.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE

// How the KV cache keeps values. f16: 16 bits each, as integers with a scale for each head of a
// position, which is finer than halves and takes 4 bytes more.
enum class KvCacheType : uint8_t { f32, f16, q8_0 };

class Session;

struct SessionOptions {
  uint32_t context = 0;  // positions; 0: what the model was trained for, at most 4096
  // Most tokens of a prompt that are processed at once. What they are computed with takes memory in
  // proportion, and more of them no longer fits the caches. (So many that a batch would be 2^22
  // tasks, 524,288 with 8 KV heads, are cut down to fewer.)
  uint32_t batch = 256;
  // The caller's own included; the rest are the host's (Host::jobs) or the session's. Of the
  // session's, no more than CPUs that the process may use.
  uint32_t threads = 1;
  uint32_t max_tokens = 0;  // end after so many; 0: when the model or the context ends
  KvCacheType kv_cache = KvCacheType::f16;
  Sampling sampling;
  // Make logits independent, to the bit, of how a text was cut into batches: each token's are the
  // same whether it was read in a prompt or written. Without it they differ by roundings. Costs
  // about half of the speed of writing, and nothing when reading long prompts.
  bool batch_invariant = false;
  // For models with recurrent layers: how many copies of their state are kept to go back to (see
  // Session), 0 to 64. Each takes as much as the state itself. Of no effect on other models.
  uint32_t snapshots = 4;
  // What a new prompt leaves of the text behind a change: spans of at least so many tokens that it
  // has too, maybe at other places, are moved there in the KV cache in place of being read again. K
  // is rotated to the new positions, V stays; both are what they were behind the old text, so
  // results are not those of reading everything (the more tokens, the nearer). 0: off, and results
  // are exact; else at least 8. Errors: unsupported, where positions cannot be moved
  // (ModelShape::shifts).
  uint32_t reuse = 0;
  // Keep, for each token of the output, how probable it was, and the most probable ones (0 to 64):
  // Session::logprobs. Costs a pass over the vocabulary for each token.
  bool logprobs = false;
  uint32_t top_logprobs = 0;
  // Compute in the memory and on the workers of that session of the same model, in turn with it and
  // with all others that do: each new one takes only what it has to itself, mostly its KV cache.
  // `threads` are then that session's, and so is `batch`, if it is smaller; `context` must not be
  // larger. They may end in any order. Null: what is computed in is the session's own.
  //
  // A step that has returned Step::more, or was cancelled, may have left a batch under way. Until
  // that session is stepped to its next piece, or has got a new prompt or truncate(), the others'
  // steps fail with the error `busy`: they can be called again then, nothing is lost. So a program
  // goes from one session to the next between pieces.
  const Session* workspace_of = nullptr;
  // Texts that end the output, none of which appears in it. Copied. At most 16, each at most 255
  // bytes.
  Span<const std::string_view> stop;
};

// What a session will take from the host's allocator, exactly. The weights of a mapped file are not
// in it, nor what it has in common with others.
struct MemoryPlan {
  uint64_t kv_cache = 0, activations = 0, other = 0;
  uint64_t recurrent_state = 0;  // of kv_cache: what recurrent layers keep, and its snapshots
  // Of a fork, not in total(): pages of the cache that it has in common with others. So much at
  // most is taken later, by a prompt() that changes the common text.
  uint64_t shared = 0;
  uint64_t total() const noexcept { return kv_cache + activations + other; }
};

// A bit of text, with whole UTF-8 characters only (bytes that are no UTF-8 pass as they are).
struct Piece {
  std::string_view text;  // valid until the next call of a non-const member
  Token token;            // the last token that contributed
};

enum class Step : uint8_t {
  more,   // the budget is used up and there is work left: call again
  piece,  // a piece is ready: see Session::piece
  done,   // the output has ended: see Session::stop_reason
  failed  // see Session::status; the session can take a new prompt (or go on, if it is `busy`)
};

enum class StopReason : uint8_t {
  none,
  end_of_text,
  stop_text,
  max_tokens,
  context_full,
  cancelled
};

namespace detail {
struct SessionImpl;
}

// One sequence of tokens with its KV cache. Used by one thread at a time. All memory is taken by
// create() or fork(): no step allocates. Move only.
//
// Recurrent layers (Mamba, LFM2, Qwen3.5, Granite hybrids) keep a state instead of keys and values,
// and nothing can be taken out of it again. To go back, a session restores a snapshot of it from
// before and reads the tokens after that again, with the next step: results never differ, but the
// way back costs more. A snapshot is taken where a prompt ends, where it leaves what was read
// before it (so the second edit at a place costs only what follows it), and every 256 tokens in
// between. Of too many, those stay that are wider apart the further back they are.
class Session {
 public:
  // Errors: out_of_memory, bad_argument (names the option and its range).
  static Result<Session> create(const Model& model, const SessionOptions& options = {}) noexcept;
  // What create() would take, without taking it.
  static Result<MemoryPlan> plan(const Model& model, const SessionOptions& options = {}) noexcept;

  // A session that goes on from where this one is, with options of its own (kv_cache must be the
  // same) and random numbers from its own seed; used independently, on any thread, in whatever
  // order the two end. What is cached is not read again: whole pages of 64 positions are shared,
  // the rest and recurrent states are copied. The memory for all positions behind the shared pages
  // is taken at once, so that no step ever allocates. Only a prompt(), evaluate() or restore() that
  // changes the text within shared pages takes memory for those that it writes over, if another
  // session still has them: they may fail with out_of_memory. To keep that ready would cost each
  // fork what forks are there to save. Errors: those of create(), context_full.
  Result<Session> fork(const SessionOptions& options = {}) const noexcept;
  // What fork() would take, without taking it.
  Result<MemoryPlan> plan_fork(const SessionOptions& options = {}) const noexcept;

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Set what is to be continued. The text's tokens replace the session's: those at the front that
  // the KV cache already holds are kept, so an edit near the end costs only what follows it.
  // Computes nothing yet, but makes tokens of a text, all at once: some 0.1 ms for a kilobyte. A
  // program that cannot wait so long for a large text has Model::tokenizer() do it, which any
  // thread may use, and gives the tokens. Errors: context_full (says of how many tokens or bytes),
  // bad_argument (an id outside the vocabulary), out_of_memory (only after fork(), or of a text:
  // the tokenizer takes a little, and gives it back).
  Status prompt(std::string_view text, const TokenizeOptions& options = {}) noexcept;
  Status prompt(Span<const Token> tokens) noexcept;

  // The next piece, or null when the output has ended or failed. Blocks for at most the prompt and
  // one piece.
  const Piece* next() noexcept;
  // Work for about `budget_us` microseconds and return. It ends early rather than more than 0.1 ms
  // late, but for what is interrupted by the system or was never measured before (see
  // plan/plan.hpp), and always gets on. Call it once a frame. After Step::more, own threads that
  // the system had put aside may still finish the task that they were in; whatever changes what it
  // works on waits for it.
  Step step(uint32_t budget_us) noexcept;
  const Piece& piece() const noexcept;  // after Step::piece
  // Why the output ended; and what went wrong, if something did.
  StopReason stop_reason() const noexcept;
  const Status& status() const noexcept;
  // End the current next(), step() or evaluate(), or else the next one, from any thread: it returns
  // null or Step::done after at most one ticket, with StopReason::cancelled. Calling it again goes
  // on as if nothing had happened. prompt() forgets a cancel() from before it, which may have come
  // too late for the request that it was meant for: who may cancel one that has not begun looks at
  // a flag of their own after prompt().
  void cancel() noexcept;

  // Tokens of prompt and output so far, valid until the next call of a non-const member; and how
  // many of them the KV cache holds: fewer than were kept, where a recurrent state had to go
  // further back.
  Span<const Token> tokens() const noexcept;
  uint32_t cached() const noexcept;
  // Prompt tokens that the last prompt() found in the cache, and that are not read again; with
  // SessionOptions::reuse also those behind a change.
  uint32_t reused() const noexcept;
  // Of the token at that place of tokens(); at tokens().size(), of the one that ended the text.
  // With SessionOptions::logprobs. Valid until the next call of a non-const member.
  Logprobs logprobs(uint32_t place) const noexcept;

  // For the tokens that are drawn from here on: random numbers begin anew with Sampling::seed.
  void set_sampling(const Sampling& sampling) noexcept;
  // Of the output, what is there included; 0: when the model or the context ends. Of an output that
  // has ended it changes nothing.
  void set_max_tokens(uint32_t max_tokens) noexcept;
  // What the output may be from here on; null: anything. The constraint must stay until another one
  // is set or the session is gone; it is copied, what its `user` points to is not. A new prompt and
  // restore() take it back to the state in which it was set, truncate() to where the output then
  // ends. evaluate() asks nothing of it. A fork has none; to go on in the middle of a form, it, or
  // who restores, sets one that is there already (GrammarMatcher::fork, or accept()).
  void constrain(const Constraint* constraint) noexcept;

  // Who guesses tokens from here on; null: nobody. It must stay until another one is set or the
  // session is gone; it is copied, what its `user` points to is not. Of no effect on models with
  // recurrent layers, which cannot take back what was guessed wrongly.
  void speculate(const Drafter* drafter) noexcept;
  // Tokens that were guessed, and of them those that were right, since the session was created.
  uint64_t drafted() const noexcept;
  uint64_t accepted() const noexcept;

  // Of the token that was drawn last: its probability by the model's logits, after penalties and
  // before what else samplers do; 1 if it was forced. To be asked before the next step, of this
  // session or of one that it takes turns with; takes about 0.1 ms for a vocabulary of 150,000.
  float probability() const noexcept;

  // Process `tokens` after those that were read before, without sampling, and hand the logits of
  // each to `row` (position from 0 within `tokens`, n_vocab floats that are valid during the call;
  // may be null). With last_only, only of the last token. Errors: context_full, bad_argument (an id
  // outside the vocabulary), cancelled (batches that were finished stay), busy (see
  // SessionOptions::workspace_of).
  Status evaluate(Span<const Token> tokens, bool last_only,
                  void (*row)(void* user, size_t position, Span<const float> logits),
                  void* user) noexcept;
  // Forget all tokens after the first `keep`.
  void truncate(uint32_t keep) noexcept;

  // The session as bytes: tokens, KV cache, recurrent state and its snapshots, random numbers,
  // output that is held back. Not the options, the sampling settings, a constraint or a drafter:
  // those are the program's. The bytes do not depend on target, threads, batch, context or how the
  // weights lie, and have a checksum. A batch that is under way is not in them: its tokens are read
  // again.
  //
  // `skip`: K and V of so many first tokens are left out (as many as are cached, if fewer). A save
  // game of a character whose first 1000 tokens are the same as another's then holds the rest only,
  // and can be restored wherever a session has read those 1000. Of recurrent layers everything is
  // saved.
  //
  // Errors: bad_argument (`out` is not state_bytes). StateWriter (session/state.hpp) writes piece
  // by piece.
  uint64_t state_bytes(uint32_t skip = 0) const noexcept;
  Status save(Span<uint8_t> out, uint32_t skip = 0) const noexcept;
  // Goes on where the saved session was: with the same options on the same target, the same text to
  // the bit. What was skipped must be in this session's cache. The model must be the same:
  // architecture, sizes, tensors and samples of 32 of them are compared; so must
  // SessionOptions::kv_cache. On an error the session is as it was. Errors: corrupt (no state, or
  // not a bit of it is certain), truncated, unsupported (a version that this one cannot read),
  // bad_argument (another model, another KV cache, other first tokens), context_full, out_of_memory
  // (only after fork()).
  Status restore(Span<const uint8_t> state) noexcept;

 private:
  friend class Chooser;
  friend class StateWriter;
  friend struct detail::SessionImpl;
  explicit Session(detail::SessionImpl* impl) noexcept : impl_(impl) {}
  detail::SessionImpl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SESSION_HPP_
