#ifndef INLAY_SESSION_SESSION_INL_HPP_
#define INLAY_SESSION_SESSION_INL_HPP_

#include "inlay/model/model_impl.hpp"
#include "inlay/plan/plan.hpp"
#include "inlay/session/kept_spans-inl.hpp"
#include "inlay/session/kv_cache.hpp"
#include "inlay/session/logprobs.hpp"
#include "inlay/session/output.hpp"
#include "inlay/session/recurrent_state.hpp"
#include "inlay/session/sampler.hpp"
#include "inlay/session/session.hpp"
#include "inlay/session/workspace.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Hands out parts of one block of memory; without a block it only counts, so that the plan and the
// allocation are made by the same code. Counts in 64 bits: what is more than a 32-bit system's
// memory must not look like less.
class Arena {
 public:
  explicit Arena(uint8_t* base) noexcept : base_(base) {}
  template <class T>
  T* take(uint64_t count) noexcept {
    T* part = base_ == nullptr ? nullptr : static_cast<T*>(static_cast<void*>(base_ + used_));
    used_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return part;
  }
  uint64_t used() const noexcept { return used_; }

 private:
  uint8_t* base_;
  uint64_t used_ = 0;
};

struct SessionImpl {
  explicit SessionImpl(const Model& m) noexcept : model(m) {}
  ~SessionImpl();
  static const SessionImpl& of(const Session& session) noexcept { return *session.impl_; }

  Model model;
  const ModelImpl* impl = nullptr;
  uint8_t* memory = nullptr;  // everything below that is a pointer lies here, or in the workspace
  size_t memory_bytes = 0;
  Workspace* workspace = nullptr;

  uint32_t context = 0, batch = 0, threads = 1, max_tokens = 0;
  KvFormat kv_format = KvFormat::i16;
  KvCache cache;
  Sampling sampling;
  SamplerState sampler{sampling};
  State state;
  // [n_embd] The last row of x, as long as no batch is under way: others may use the workspace.
  float* row = nullptr;
  std::atomic<bool> cancelled{false};

  Token* tokens = nullptr;  // [context] prompt and output
  uint32_t n_tokens = 0;
  uint32_t n_cached = 0;  // of them, positions whose K and V are in the cache
  // And that once were. More than n_cached only after the recurrent state went back: these are
  // read again before all others.
  uint32_t n_read = 0;
  RecurrentState recurrent;
  KeptSpans kept;  // behind n_cached, in the cache too
  Shift shift;     // of theirs, under way
  uint32_t n_reused = 0;
  uint32_t n_generated = 0;
  Token* prompt_tokens = nullptr;      // [context + 1] room to tokenize into
  Candidate* candidates = nullptr;     // [n_vocab]
  TokenCount* token_counts = nullptr;  // [context]
  LogprobTable logprobs;
  // What the output may be: a copy. Of the output from `constrained_from` on it has accepted
  // `n_accepted` tokens.
  Constraint constraint;
  uint64_t* allowed = nullptr;  // [n_vocab / 64, rounded up] the mask of the next token
  uint32_t constrained_from = 0, n_accepted = 0;
  // Tokens that must follow: prompt_tokens[next_forced .. n_forced).
  uint32_t next_forced = 0, n_forced = 0;
  bool forced_known = false;  // they were asked for since the last token
  // Guesses: tokens[n_tokens ..] after a batch that read them. Row `next_row` of `n_rows` rows of
  // logits is the next to draw a token from.
  Drafter drafter;
  uint32_t next_row = 0, n_rows = 0;
  // The row that the last token was drawn from; kNoToken if from none.
  uint32_t drawn_row = 0;
  Token drawn = kNoToken;
  uint64_t draw_us = 0;  // what drawing a token took lately: a TicketCosts value
  uint64_t n_drafted = 0, n_right = 0;
  Output output;
  Piece piece;

  // What the next step goes on with.
  enum class Stage : uint8_t { idle, copy, layers, head } stage = Stage::idle;
  uint32_t n_batch = 0;  // tokens of the batch that is under way
  bool ended = true;
  StopReason stop_reason = StopReason::none;
  Status status;
};

inline KvFormat kv_format_of(KvCacheType type) noexcept {
  switch (type) {
    case KvCacheType::f32:
      return KvFormat::f32;
    case KvCacheType::f16:
      return KvFormat::i16;
    case KvCacheType::q8_0:
      return KvFormat::q8_0;
  }
  return KvFormat::i16;
}

// What phases need for batches of up to `batch` tokens, but the KV cache. `logits`: rows of them.
inline void lay_out_activations(const Hyper& h, const Needs& needs, uint32_t batch,
                                uint32_t context, uint32_t logits, Arena* arena,
                                State* s) noexcept {
  for (size_t i = 0; i < kBuffers; ++i) {
    const uint64_t rows = static_cast<Buffer>(i) == Buffer::logits ? logits : batch;
    s->buffers[i] = arena->take<float>(rows * needs.width[i]);
  }
  s->quantized = arena->take<uint8_t>(quantized_capacity(needs, batch));
  s->quantized_hidden = arena->take<uint8_t>(quantized_hidden_capacity(needs, batch));
  s->experts = arena->take<uint8_t>(ExpertMemory(nullptr, needs.experts, batch).bytes);
  s->rope = arena->take<float>(uint64_t{batch} * h.rope_floats());
  const uint32_t chunked = batch < kChunkedQueries ? batch : kChunkedQueries;
  const size_t partial = h.most([&](const LayerHyper& layer) {
    return layer.n_kv_heads == 0
               ? 0
               : attention_partial_bytes(chunked, layer.n_heads, layer.head_v, context);
  });
  s->partial = arena->take<float>(partial / sizeof(float));
}

// What phases need of the model. `context`: positions that a text may have.
inline void set_model(const ModelImpl& m, const Needs& needs, uint32_t context, State* s) noexcept {
  s->kernels = m.kernels;
  s->reading = m.reading;
  s->hparams = &m.hparams;
  s->needs = &needs;
  for (uint32_t i = 0; i < m.hparams.n_ropes; ++i) {
    const RopeHyper& rope = m.hparams.rope[i];
    s->rope_frequencies[i] =
        context > m.hparams.original_context ? rope.long_frequencies : rope.frequencies;
  }
}

// Lays out what a workspace has, for `s` to compute with, and says what for.
INLAY_COLD inline MemoryPlan lay_out_workspace(const WorkspaceSize& size, uint8_t* base,
                                               SessionImpl* s, uint8_t** scratch) noexcept {
  const ModelImpl& m = *s->impl;
  Arena arena(base);
  MemoryPlan plan;
  lay_out_activations(m.hparams, m.needs, size.batch, size.context, kHeadRows, &arena, &s->state);
  s->state.logit_maxima = arena.take<float>(logit_blocks(m.hparams.n_vocab));
  plan.activations = arena.used();
  *scratch = arena.take<uint8_t>(phase_scratch_bytes(m.hparams, m.needs) * size.threads);
  s->candidates = arena.take<Candidate>(m.hparams.n_vocab);
  s->token_counts = arena.take<TokenCount>(size.context);
  s->allowed = arena.take<uint64_t>(div_up(m.hparams.n_vocab, 64));
  plan.other = arena.used() - plan.activations;
  return plan;
}

// Lays the session's own memory out, and says what for.
INLAY_COLD inline MemoryPlan lay_out(const ModelImpl& m, const SessionOptions& options,
                                     uint8_t* base, SessionImpl* s) noexcept {
  const Hyper& h = m.hparams;
  Arena arena(base);
  MemoryPlan plan;

  KvView* views = arena.take<KvView>(h.n_layers);
  float** states = arena.take<float*>(h.n_layers);
  uint8_t** pages = arena.take<uint8_t*>(s->cache.pages());
  if (base != nullptr) s->cache.set_memory(h, s->kv_format, pages, views);
  const uint64_t before_states = arena.used();
  float* first_state = arena.take<float>(0);
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    float* state = arena.take<float>(h.layers[i].state_floats);
    if (base != nullptr) states[i] = state;
  }
  const size_t state_floats = saturated((arena.used() - before_states) / sizeof(float));
  s->recurrent.set_sizes(state_floats, h.n_embd, options.snapshots);
  s->recurrent.set_memory(first_state, arena.take<float>(s->recurrent.snapshot_floats()));
  s->state.kv = views;
  s->state.recurrent = states;
  plan.recurrent_state = arena.used() - before_states;
  plan.kv_cache = s->cache.own_bytes() + plan.recurrent_state;
  plan.shared = s->cache.shared_bytes();

  s->row = arena.take<float>(h.n_embd);
  s->tokens = arena.take<Token>(s->context);
  s->prompt_tokens = arena.take<Token>(s->context + 1);
  s->kept.set_memory(arena.take<uint32_t>(s->kept.table_slots(s->context)));
  s->logprobs.set_sizes(options.logprobs, s->context, options.top_logprobs, h.n_vocab);
  TokenLogprob* const logprobs = arena.take<TokenLogprob>(s->logprobs.entries());
  s->logprobs.set_memory(logprobs, arena.take<float>(s->logprobs.logits()));
  const size_t text_bytes = m.tokenizer.max_piece_bytes() + Output::kMaxHeldBytes;
  char* text = arena.take<char>(text_bytes);
  s->output.set_memory(text, text_bytes,
                       arena.take<char>(Output::kMaxStops * Output::kMaxStopBytes));
  plan.other = arena.used() - plan.recurrent_state + sizeof(SessionImpl);
  return plan;
}

// Workers that share a core wait for each other: eight on two cores wrote at two thirds of the
// speed of two. How many the host's jobs stand for is the host's business.
inline Status check_threads(const ModelImpl& m, uint32_t threads, uint32_t* workers) noexcept {
  constexpr uint32_t kMaxThreads = 64;
  if (threads == 0 || threads > kMaxThreads) {
    return Error(ErrorCode::bad_argument, "option threads: expected 1 to ") << kMaxThreads;
  }
  const uint32_t cpus = m.host.jobs.parallel_for == nullptr ? cpu_count() : kMaxThreads;
  *workers = threads < cpus ? threads : cpus;
  return {};
}

// Most positions of a batch: a phase has fewer than 2^22 tasks, and attention's may be one for each
// position and KV head.
INLAY_COLD inline uint32_t most_positions(const Hyper& h) noexcept {
  const size_t kv_heads = h.most([](const LayerHyper& layer) { return layer.n_kv_heads; });
  return ((1u << 22) - 1) / static_cast<uint32_t>(kv_heads > 4 ? kv_heads : 4);
}

inline constexpr uint32_t kMaxTopLogprobs = 64;

inline Status check_options(const ModelImpl& m, const SessionOptions& options,
                            SessionImpl* s) noexcept {
  constexpr uint32_t kDefaultContext = 4096;
  s->impl = &m;
  if (!m.hparams.causal) {
    return Error(ErrorCode::unsupported, "the model's positions see later ones (architecture ")
           << m.architecture->name << "): it cannot write, an Embedder can be made of it";
  }
  s->context = options.context;
  if (s->context == 0)
    s->context = m.hparams.n_context < kDefaultContext ? m.hparams.n_context : kDefaultContext;
  const uint32_t most = m.hparams.max_context > 0 ? m.hparams.max_context : kMaxContext;
  if (s->context > most) {
    return Error(ErrorCode::bad_argument, "option context: expected 0 to ") << most;
  }
  if (options.batch == 0)
    return Error(ErrorCode::bad_argument, "option batch: expected at least 1");
  s->batch = options.batch < s->context ? options.batch : s->context;
  if (const uint32_t at_once = most_positions(m.hparams); s->batch > at_once) s->batch = at_once;
  INLAY_TRY(check_threads(m, options.threads, &s->threads));
  if (options.workspace_of != nullptr) {
    const SessionImpl& other = SessionImpl::of(*options.workspace_of);
    const WorkspaceSize& size = other.workspace->size;
    if (other.impl != &m || s->context > size.context) {
      return Error(ErrorCode::bad_argument, "option workspace_of: expected a session of this model")
             << " with a context of at least " << s->context;
    }
    s->threads = size.threads;
    s->batch = s->batch < size.batch ? s->batch : size.batch;
  }
  s->state.workers = s->threads;
  s->state.invariant = options.batch_invariant;
  if (options.stop.size() > Output::kMaxStops) {
    return Error(ErrorCode::bad_argument, "option stop: expected at most ")
           << Output::kMaxStops << " texts";
  }
  for (const std::string_view& stop : options.stop) {
    if (stop.size() > Output::kMaxStopBytes) {
      return Error(ErrorCode::bad_argument, "option stop: expected texts of at most ")
             << Output::kMaxStopBytes << " bytes";
    }
  }
  if (options.snapshots > RecurrentState::kMaxSnapshots) {
    return Error(ErrorCode::bad_argument, "option snapshots: expected 0 to ")
           << RecurrentState::kMaxSnapshots;
  }
  if (options.reuse > 0 && options.reuse < KeptSpans::kLeast) {
    return Error(ErrorCode::bad_argument, "option reuse: expected 0, or at least ")
           << KeptSpans::kLeast;
  }
  if (options.reuse > 0 && !m.shape.shifts) {
    return Error(ErrorCode::unsupported, "option reuse: architecture ")
           << m.architecture->name << " cannot move positions: it has "
           << (m.hparams.max_context > 0            ? "learned positions"
               : m.architecture->qk_norm_after_rope ? "norms after RoPE"
                                                    : "recurrent layers");
  }
  s->kept.set_least(options.reuse);
  if (options.top_logprobs > kMaxTopLogprobs) {
    return Error(ErrorCode::bad_argument, "option top_logprobs: expected 0 to ") << kMaxTopLogprobs;
  }
  s->max_tokens = options.max_tokens;
  s->kv_format = kv_format_of(options.kv_cache);
  s->sampling = with_defaults(options.sampling, m.sampling);
  return {};
}

// What a session will take of which the cache has its first `shared` pages from another.
inline MemoryPlan plan_session(const SessionOptions& options, uint32_t shared,
                               SessionImpl* s) noexcept {
  s->cache.set_sizes(s->impl->hparams, s->kv_format, s->context, shared);
  MemoryPlan plan = lay_out(*s->impl, options, nullptr, s);
  if (options.workspace_of == nullptr) {
    uint8_t* scratch = nullptr;
    const MemoryPlan own =
        lay_out_workspace({s->context, s->batch, s->threads}, nullptr, s, &scratch);
    plan.activations = own.activations;
    plan.other += own.other + sizeof(Workspace);
  }
  return plan;
}

// Joins the one that the options name, or makes one.
INLAY_COLD inline Status open_workspace(const Session* of, SessionImpl* s) noexcept {
  const ModelImpl& m = *s->impl;
  uint8_t* scratch = nullptr;
  if (of != nullptr) {
    s->workspace = SessionImpl::of(*of).workspace;
    s->workspace->references.fetch_add(1, std::memory_order_relaxed);
    lay_out_workspace(s->workspace->size, s->workspace->memory, s, &scratch);
    return {};
  }
  const WorkspaceSize size = {s->context, s->batch, s->threads};
  Workspace* w = create<Workspace>(m.host.allocator, size);
  if (w == nullptr) return Error(ErrorCode::out_of_memory);
  s->workspace = w;
  w->memory_bytes = saturated(lay_out_workspace(size, nullptr, s, &scratch).total());
  w->memory = static_cast<uint8_t*>(allocate(m.host.allocator, w->memory_bytes));
  if (w->memory == nullptr) return Error(ErrorCode::out_of_memory);
  lay_out_workspace(size, w->memory, s, &scratch);
  return w->executor.start(size.threads, m.host.jobs, m.host.clock, scratch,
                           phase_scratch_bytes(m.hparams, m.needs));
}

// What is under way is only computed by steps from here on.
inline void settle(const SessionImpl& s) noexcept {
  if (s.stage != SessionImpl::Stage::idle) s.workspace->executor.settle();
}

INLAY_COLD inline SessionImpl::~SessionImpl() {
  Workspace* w = workspace;
  if (w == nullptr) return;
  settle(*this);
  w->forget_rows_of(this);
  w->leave(this);
  if (w->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const Allocator& allocator = impl->host.allocator;
  uint8_t* const block = w->memory;
  const size_t bytes = w->memory_bytes;
  destroy(allocator, w);  // stops the workers first
  release(allocator, block, bytes);
}

inline Status open_session(SessionImpl* s, const SessionOptions& options,
                           uint32_t shared) noexcept {
  const ModelImpl& m = *s->impl;
  const MemoryPlan plan = plan_session(options, shared, s);
  const Error too_little = Error(ErrorCode::out_of_memory, "a session needs ")
                           << plan.total() << " bytes: " << plan.kv_cache << " for the KV cache of "
                           << s->context << " positions";
  const MemoryPlan own = lay_out(m, options, nullptr, s);
  s->memory_bytes = saturated(own.total() - s->cache.own_bytes() - sizeof(SessionImpl));
  s->memory = static_cast<uint8_t*>(allocate(m.host.allocator, s->memory_bytes));
  if (s->memory == nullptr) return too_little;
  lay_out(m, options, s->memory, s);
  if (!s->cache.take(m.host.allocator)) return too_little;
  if (Status status = open_workspace(options.workspace_of, s); !status) {
    const bool no_memory = s->workspace == nullptr || s->workspace->memory == nullptr;
    return no_memory ? too_little : status.error();
  }
  s->output.set_stops(options.stop);
  set_model(m, m.needs, s->context, &s->state);
  s->sampler = SamplerState(s->sampling);
  return {};
}

// Of a session or an embedder: what it is and the memory that it has to itself.
template <class Impl>
void close(Impl* s) noexcept {
  if (s == nullptr) return;
  const Model keep = s->model;  // its host's allocator is needed to the end
  const Allocator allocator = s->impl->host.allocator;
  uint8_t* memory = s->memory;
  const size_t bytes = s->memory_bytes;
  destroy(allocator, s);  // an embedder's workers stop first
  release(allocator, memory, bytes);
}

// ---- running ----

// Starts the batch at the first position that is not cached. `hurried`: as in State.
inline void begin_batch(SessionImpl* s, uint32_t n, uint32_t head_first, uint32_t head_n,
                        bool hurried) noexcept {
  State& state = s->state;
  state.hurried = hurried;
  state.tokens = s->tokens + s->n_cached;
  state.n = s->n_batch = n;
  state.first = s->n_cached;
  state.head_first = head_first;
  state.head_n = head_n;
  s->stage = SessionImpl::Stage::layers;
  s->recurrent.leave();
  s->workspace->executor.open(s->impl->layer_plan.span(), &state, &s->cancelled);
}

// Starts on `rows` rows of the last batch, from `first` on.
inline void begin_head(SessionImpl* s, uint32_t first, uint32_t rows) noexcept {
  s->state.head_first = first;
  s->state.head_n = rows;
  s->stage = SessionImpl::Stage::head;
  s->workspace->executor.open(s->impl->head_plan.span(), &s->state, &s->cancelled);
}

// Recurrent state must be copied before a batch can begin at n_cached, or may be kept, or kept
// spans must be moved: starts on that.
inline bool begin_copy(SessionImpl* s) noexcept {
  State& state = s->state;
  if (s->kept.used()) {
    const KeptSpans::Move move = s->kept.next_move();
    if (move.n == 0) return false;
    s->shift = {&state, s->impl->architecture->rope, move};
    s->workspace->executor.open(Shift::kPlan, &s->shift, &s->cancelled);
  } else {
    if (!s->recurrent.used() || !s->recurrent.open_copy(s->n_cached)) return false;
    if (s->recurrent.restores()) state.n = 1;  // the row that comes back
    s->recurrent.set_row(state.row(Buffer::x, state.n - 1));
    s->workspace->executor.open(RecurrentState::kCopy, &s->recurrent, &s->cancelled);
  }
  s->stage = SessionImpl::Stage::copy;
  return true;
}

// Gives up what is under way and all but the first `keep` positions.
inline void go_back(SessionImpl* s, uint32_t keep) noexcept {
  settle(*s);
  s->stage = SessionImpl::Stage::idle;
  s->kept.forget();
  if (keep < s->n_read) s->n_read = keep;
  if (keep < s->n_cached) s->n_cached = keep;
  if (s->recurrent.used()) s->n_cached = s->recurrent.go_back(s->n_cached);
}

// The cache is about to be written from position `from` on: no other session may have pages there.
// What lies there before `keep` stays.
inline Status own_pages(SessionImpl* s, uint32_t from, uint32_t keep) noexcept {
  const uint32_t pages = s->cache.own(from, keep);
  if (pages == s->cache.pages()) return {};
  const uint32_t copied = static_cast<uint32_t>(round_up(keep, kKvPage));
  if (pages * kKvPage > copied) go_back(s, copied);
  return s->impl->meter->explain(
      Error(ErrorCode::out_of_memory, "there are no pages for what is written at position ")
      << from << ": those there are others' too");
}

// Runs what is under way to its end: a copy, or a batch. Then its tokens are cached and, if rows
// were asked for, logits are ready.
inline Executor::Outcome run_batch(SessionImpl* s, uint64_t deadline_us) noexcept {
  Executor& executor = s->workspace->executor;
  if (s->stage == SessionImpl::Stage::layers) {
    const Executor::Outcome outcome = executor.run(deadline_us);
    if (outcome != Executor::Outcome::finished) return outcome;
    s->n_cached += s->n_batch;
    s->n_read = s->n_cached > s->n_read ? s->n_cached : s->n_read;
    s->recurrent.reach(s->n_cached);
    s->stage = SessionImpl::Stage::idle;
    if (s->state.head_n == 0) return outcome;
    begin_head(s, s->state.head_first, s->state.head_n);
    if (executor.is_past(deadline_us)) return Executor::Outcome::budget_spent;
  }
  const Executor::Outcome outcome = executor.run(deadline_us);
  if (outcome == Executor::Outcome::finished) {
    if (s->stage == SessionImpl::Stage::copy) {
      s->kept.used() ? s->kept.finish_move() : s->recurrent.finish_copy();
    }
    s->stage = SessionImpl::Stage::idle;
  }
  return outcome;
}

inline void end_output(SessionImpl* s, StopReason reason) noexcept {
  s->ended = true;
  s->stop_reason = reason;
}

inline bool has_most_tokens(const SessionImpl& s) noexcept {
  return s.max_tokens != 0 && s.n_generated >= s.max_tokens;
}

// Appends a token to the output; makes a piece of what can be shown. True if there is a piece.
inline bool take_token(SessionImpl* s, Token token) noexcept {
  const Tokenizer& tokenizer = s->impl->tokenizer;
  ++s->n_generated;
  if (tokenizer.is_end(token)) {
    end_output(s, StopReason::end_of_text);
  } else {
    s->tokens[s->n_tokens++] = token;
    if (s->constraint.accept != nullptr) s->constraint.accept(s->constraint.user, token);
    for (uint32_t i = 0; i < s->sampling.chain.size(); ++i) {
      const Sampler& sampler = s->sampling.chain[i];
      if (sampler.accept != nullptr) sampler.accept(sampler.user, token);
    }
    ++s->n_accepted;
    s->forced_known = false;
    const Span<char> room = s->output.room();
    if (s->output.add(tokenizer.piece(token, room))) {
      end_output(s, StopReason::stop_text);
    } else if (has_most_tokens(*s)) {
      end_output(s, StopReason::max_tokens);
    } else if (s->n_tokens == s->context) {
      end_output(s, StopReason::context_full);
    }
  }
  s->piece.text = s->output.take(s->ended);
  s->piece.token = token;
  return !s->piece.text.empty();
}

// What is drawn in place of a token that the constraint does not say at once to allow: that token
// itself, if its mask does. kNoToken if nothing is allowed.
inline Token draw_allowed(SessionImpl* s, Token token, TokenSampler* sampler) noexcept {
  const Span<uint64_t> allowed(s->allowed, div_up(s->impl->hparams.n_vocab, 64));
  std::fill(allowed.begin(), allowed.end(), uint64_t{0});
  if (!s->constraint.mask(s->constraint.user, allowed)) return kNoToken;
  const size_t id = static_cast<size_t>(token);
  return (allowed[id / 64] >> (id % 64) & 1) != 0 ? token : sampler->draw_again(allowed);
}

// Draws a token from the logits. kNoToken if there is none: the constraint allows nothing, or the
// logits are no numbers.
inline Token draw_token(SessionImpl* s) noexcept {
  const Hyper& h = s->impl->hparams;
  const Logits logits = {{s->state.row(Buffer::logits, s->next_row), h.n_vocab},
                         {s->state.logit_maxima, logit_blocks(h.n_vocab)},
                         *s->impl->kernels};
  for (size_t b = 0; s->n_rows > 1 && b < logits.maxima.size(); ++b) {
    logits.maxima[b] = greatest(logit_block(logits.all, b));
  }
  const Span<Candidate> candidates(s->candidates, h.n_vocab);
  TokenSampler sampler(s->sampling, s->impl->tokenizer, {s->tokens, s->n_tokens}, logits,
                       candidates, {s->token_counts, s->context}, &s->sampler);
  const Constraint& constraint = s->constraint;
  if (s->logprobs.on()) s->logprobs.note_logits(s->n_tokens, logits, candidates);
  Token token = sampler.draw();
  if (constraint.mask != nullptr && token != kNoToken) {
    const bool allowed = constraint.allows != nullptr && constraint.allows(constraint.user, token);
    if (!allowed) token = draw_allowed(s, token, &sampler);
  }
  if (token == kNoToken) return token;
  sampler.accept();
  if (s->logprobs.on()) s->logprobs.note_drawn(s->n_tokens, &sampler);
  return token;
}

// Of `count` tokens that the program wrote to `room`, those before the first that is outside the
// vocabulary: it has no embedding.
inline uint32_t count_valid(const SessionImpl& s, Span<const Token> room, uint32_t count) noexcept {
  uint32_t n = 0;
  while (n < count && n < room.size() && room[n] >= 0 &&
         static_cast<uint32_t>(room[n]) < s.impl->hparams.n_vocab) {
    ++n;
  }
  return n;
}

// The next token that must follow, or kNoToken.
inline Token next_forced(SessionImpl* s) noexcept {
  if (s->next_forced == s->n_forced) {
    if (s->constraint.forced == nullptr || s->forced_known) return kNoToken;
    const Span<Token> room(s->prompt_tokens, s->context - s->n_tokens);
    s->next_forced = 0;
    s->n_forced = count_valid(*s, room, s->constraint.forced(s->constraint.user, room));
    s->forced_known = true;
    if (s->n_forced == 0) return kNoToken;
  }
  return s->prompt_tokens[s->next_forced++];
}

// Forgets guesses that no token was drawn for.
inline void drop_draft(SessionImpl* s) noexcept {
  s->next_row = s->n_rows = 0;
  if (s->n_cached > s->n_tokens) go_back(s, s->n_tokens);
}

// Takes the token that the next row of logits gives: the last row, unless it is what was guessed.
// True if there is a piece.
inline bool take_row(SessionImpl* s) noexcept {
  const Token forced = next_forced(s);
  const Token token = forced == kNoToken ? draw_token(s) : forced;
  const bool guessed = s->next_row + 1 < s->n_rows && token == s->tokens[s->n_tokens];
  const uint32_t valid = s->n_tokens + (guessed ? 1 : 0);  // of what the cache holds
  s->drawn = forced == kNoToken ? token : kNoToken;
  s->drawn_row = s->next_row;
  if (token == kNoToken) end_output(s, StopReason::end_of_text);
  const bool shown = token != kNoToken && take_token(s, token);
  s->n_right += guessed ? 1 : 0;
  ++s->next_row;
  if (guessed && !s->ended) return shown;
  if (s->n_rows > 1 && s->drafter.learn != nullptr) {
    s->drafter.learn(s->drafter.user, s->n_rows - 1, s->next_row - (guessed ? 0 : 1));
  }
  s->next_row = s->n_rows = 0;
  if (s->n_cached > valid) go_back(s, valid);
  return shown;
}

// Has guesses put behind the last token, if that is all there is to read.
inline Executor::Outcome draft(SessionImpl* s, uint64_t deadline_us, uint32_t* count) noexcept {
  constexpr uint64_t kSliceUs = 500;  // so often a drafter is asked whether to go on
  *count = 0;
  const Drafter& drafter = s->drafter;
  if (drafter.draft == nullptr || s->recurrent.used() || s->n_tokens - s->n_cached != 1) {
    return Executor::Outcome::finished;
  }
  uint32_t most = s->context - s->n_tokens;
  if (s->max_tokens != 0 && s->max_tokens - s->n_generated - 1 < most) {
    most = s->max_tokens - s->n_generated - 1;
  }
  most = most < s->batch ? most : s->batch - 1;
  const Span<Token> room(s->tokens + s->n_tokens, most < kHeadRows ? most : kHeadRows - 1);
  if (room.empty()) return Executor::Outcome::finished;
  for (;;) {
    const uint64_t slice = now_us(s->impl->host.clock) + kSliceUs;
    const uint64_t until = deadline_us != 0 && deadline_us < slice ? deadline_us : slice;
    if (drafter.draft(drafter.user, {s->tokens, s->n_tokens}, until, room, count)) break;
    if (s->cancelled.load(std::memory_order_relaxed)) return Executor::Outcome::cancelled;
    if (until == deadline_us) return Executor::Outcome::budget_spent;
  }
  *count = count_valid(*s, room, *count);
  s->n_drafted += *count;
  return Executor::Outcome::finished;
}

// Takes the workspace, with the last row of x in it.
inline Status take_workspace(SessionImpl* s) noexcept {
  Workspace& w = *s->workspace;
  if (!w.take(s)) {
    return Error(ErrorCode::busy,
                 "another session with this workspace has begun a batch: it must be stepped to its"
                 " next piece, or get a prompt or truncate()");
  }
  if (w.has_rows_of(s)) return {};
  w.set_rows_of(s);
  if (s->next_row < s->n_rows) {  // rows of guesses: to have the next, its token is read again
    s->next_row = s->n_rows = 0;
    go_back(s, s->n_tokens - 1);
  }
  s->state.n = 1;
  std::memcpy(s->state.row(Buffer::x, 0), s->row, s->impl->hparams.n_embd * sizeof(float));
  return {};
}

// Leaves it to others, unless a batch is under way or, after Step::more, a draw from its logits: of
// two whose budgets are too short for that, none would ever get on. What the last logits were made
// of is kept where a state needs it: of a recurrent session, and while nothing has been drawn from
// them.
inline void leave_workspace(SessionImpl* s, bool more = false) noexcept {
  if (s->stage != SessionImpl::Stage::idle || !s->workspace->is_taken_by(s)) return;
  if (s->state.n > 0 && (s->recurrent.used() || s->next_row < s->n_rows)) {
    std::memcpy(s->row, s->state.row(Buffer::x, s->state.n - 1),
                s->impl->hparams.n_embd * sizeof(float));
  }
  if (!more || s->next_row == s->n_rows) s->workspace->leave(s);
}

// Starts on the tokens that are not cached yet and `n_draft` guesses behind them, or on the logits
// of the last one.
inline void begin_next(SessionImpl* s, uint32_t n_draft, bool hurried) noexcept {
  s->n_cached = s->kept.pass(s->n_cached);
  s->n_read = s->n_cached > s->n_read ? s->n_cached : s->n_read;
  const uint32_t left = s->n_tokens - s->n_cached;
  s->n_rows = n_draft + 1;
  if (n_draft > 0) return begin_batch(s, n_draft + 1, 0, n_draft + 1, hurried);
  // Only a snapshot has what logits are made of.
  if (left == 0) return begin_head(s, s->state.n - 1, 1);
  uint32_t n = s->recurrent.cut(s->n_cached, left < s->batch ? left : s->batch);
  n = s->kept.cut(s->n_cached, n);
  begin_batch(s, n, n - 1, n == left ? 1 : 0, hurried);
}

// Ends the output where it is, with what was held back. True if there is a piece.
inline bool end_here(SessionImpl* s) noexcept {
  s->next_row = s->n_rows = 0;
  go_back(s, s->n_tokens);
  end_output(s, StopReason::max_tokens);
  s->piece.text = s->output.take(true);
  s->piece.token = s->tokens[s->n_tokens - 1];
  return !s->piece.text.empty();
}

inline Step step_in_workspace(SessionImpl* s, uint64_t deadline_us) noexcept {
  if (s->stop_reason == StopReason::cancelled) s->stop_reason = StopReason::none;
  for (bool begun = false; !s->ended; begun = true) {
    if (s->cancelled.exchange(false, std::memory_order_relaxed)) {
      // A batch stays open: a later step goes on with it, as after a budget is spent.
      s->stop_reason = StopReason::cancelled;
      return Step::done;
    }
    if (has_most_tokens(*s)) {  // since set_max_tokens() or restore()
      if (end_here(s)) return Step::piece;
      break;
    }
    const bool idle = s->stage == SessionImpl::Stage::idle;
    if (idle && s->next_row < s->n_rows && s->n_cached >= s->n_tokens) {
      const uint64_t now = deadline_us == 0 ? 0 : now_us(s->impl->host.clock);
      if (begun && now != 0 && Executor::is_too_late(now, s->draw_us, deadline_us)) {
        return Step::more;
      }
      const bool shown = take_row(s);
      if (now != 0) {
        s->draw_us = TicketCosts::learned(s->draw_us, now_us(s->impl->host.clock) - now);
      }
      if (shown) return Step::piece;
      if (!s->ended && s->workspace->executor.is_past(deadline_us)) return Step::more;
      continue;
    }
    Executor::Outcome outcome = Executor::Outcome::finished;
    if (idle) {
      const Token forced = next_forced(s);
      if (forced != kNoToken) {
        s->drawn = kNoToken;
        if (take_token(s, forced)) return Step::piece;
        continue;
      }
      if (!begin_copy(s)) {
        uint32_t n_draft = 0;
        outcome = draft(s, deadline_us, &n_draft);
        if (outcome == Executor::Outcome::finished) begin_next(s, n_draft, deadline_us != 0);
      }
    }
    if (outcome == Executor::Outcome::finished) outcome = run_batch(s, deadline_us);
    if (outcome == Executor::Outcome::budget_spent) return Step::more;
  }
  return s->status ? Step::done : Step::failed;
}

inline Step step_session(SessionImpl* s, uint64_t deadline_us) noexcept {
  if (!s->ended && !(s->status = take_workspace(s))) return Step::failed;
  const Step step = step_in_workspace(s, deadline_us);
  leave_workspace(s, step == Step::more);
  return step;
}

// Takes the constraint back to where it was after the first `keep` tokens.
inline void roll_back_constraint(SessionImpl* s, uint32_t keep) noexcept {
  const uint32_t kept = keep > s->constrained_from ? keep - s->constrained_from : 0;
  s->next_forced = s->n_forced = 0;
  s->forced_known = false;
  if (kept >= s->n_accepted) return;
  if (s->constraint.rollback != nullptr) {
    s->constraint.rollback(s->constraint.user, s->n_accepted - kept);
  }
  s->n_accepted = kept;
}

// Ends the output before a new prompt, with a reason if that prompt cannot be taken.
inline Status end_prompt(SessionImpl* s, const Status& status) noexcept {
  settle(*s);
  s->ended = true;
  s->stop_reason = StopReason::none;
  s->stage = SessionImpl::Stage::idle;
  s->n_generated = 0;
  roll_back_constraint(s, 0);
  drop_draft(s);
  s->output.clear();
  s->cancelled.store(false, std::memory_order_relaxed);
  s->workspace->leave(s);
  return s->status = status;
}

// Every id must be in the vocabulary.
inline Status check_tokens(const SessionImpl& s, Span<const Token> tokens) noexcept {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || static_cast<uint32_t>(tokens[i]) >= s.impl->hparams.n_vocab) {
      return Error(ErrorCode::bad_argument, "token ")
             << uint64_t{i} << " is " << tokens[i] << ", the vocabulary has "
             << s.impl->hparams.n_vocab;
    }
  }
  return {};
}

// What the tokenizer's error means for a prompt: bad_argument is its word for too little room.
inline Error encode_error(const SessionImpl& s, const Error& error, size_t bytes) noexcept {
  if (error.code() != ErrorCode::bad_argument) return s.impl->meter->explain(error);
  return Error(ErrorCode::context_full, "the prompt of ")
         << uint64_t{bytes} << " bytes has more tokens than the context of " << s.context;
}

// How far the cache reaches, kept spans included. What has not been read in between is made unlike
// any token.
INLAY_COLD inline uint32_t mark_unread(SessionImpl* s) noexcept {
  uint32_t end = s->n_cached;
  for (const KeptSpans::Kept& span : s->kept.spans()) {
    if (!span.moved) continue;
    for (; end < span.begin; ++end) s->tokens[end] = kNoToken;
    end = span.end;
  }
  return end;
}

inline Status set_tokens(SessionImpl* s, Span<const Token> tokens) noexcept {
  if (tokens.empty())
    return end_prompt(s, Error(ErrorCode::bad_argument, "the prompt has no tokens"));
  if (tokens.size() >= s->context) {
    return end_prompt(s, Error(ErrorCode::context_full, "the prompt has ")
                             << uint64_t{tokens.size()} << " tokens, the context has room for "
                             << s->context << " with at least one to be written");
  }
  const Status valid = end_prompt(s, check_tokens(*s, tokens));
  if (!valid) return valid;
  uint32_t same = 0;
  while (same < s->n_cached && same < tokens.size() && s->tokens[same] == tokens[same]) ++same;
  // One must be computed, to have logits: or a snapshot has them.
  if (same == tokens.size() && !s->recurrent.used()) --same;
  if (s->kept.used()) {
    if (tokens.data() != s->prompt_tokens) {  // they may be the session's own
      std::memcpy(s->prompt_tokens, tokens.data(), tokens.size() * sizeof(Token));
      tokens = {s->prompt_tokens, tokens.size()};
    }
  }
  const uint32_t old = s->kept.used() ? mark_unread(s) : 0;
  const uint32_t from = s->recurrent.used() ? s->recurrent.last(same) : same;
  const Status own = own_pages(s, from, old > from ? old : from);
  if (!own) return end_prompt(s, own);
  go_back(s, same);
  if (s->kept.used()) s->kept.find({s->tokens, old}, tokens, same);
  s->n_reused = s->n_cached + s->kept.tokens();
  s->recurrent.set_prompt(same, static_cast<uint32_t>(tokens.size()));
  for (size_t i = 0; i < tokens.size(); ++i) s->tokens[i] = tokens[i];
  s->n_tokens = s->constrained_from = static_cast<uint32_t>(tokens.size());
  s->sampler = SamplerState(s->sampling);
  s->logprobs.clear();
  s->ended = false;
  return {};
}

INLAY_COLD inline void truncate(SessionImpl* s, uint32_t keep) noexcept {
  s->ended = true;
  s->output.clear();
  roll_back_constraint(s, keep);
  drop_draft(s);
  if (keep < s->n_tokens) s->n_tokens = keep;
  go_back(s, keep);
}

// Session::evaluate, in the workspace.
inline Status evaluate(SessionImpl* s, Span<const Token> tokens, bool last_only,
                       void (*row)(void* user, size_t position, Span<const float> logits),
                       void* user) noexcept {
  drop_draft(s);
  truncate(s, s->n_read);
  const uint32_t first = s->n_tokens;
  if (tokens.size() > s->context - first) {
    return Error(ErrorCode::context_full, "the context of ")
           << s->context << " holds " << first << " tokens: no room for " << uint64_t{tokens.size()}
           << " more";
  }
  INLAY_TRY(check_tokens(*s, tokens));
  INLAY_TRY(own_pages(s, s->n_cached, s->n_cached));
  if (tokens.empty()) return {};
  // They may be the session's own.
  std::memmove(s->tokens + first, tokens.data(), tokens.size() * sizeof(Token));
  s->n_tokens += static_cast<uint32_t>(tokens.size());
  while (s->n_cached < s->n_tokens) {
    const uint32_t begin = s->n_cached, left = s->n_tokens - begin;
    const bool again = begin < first;  // tokens that the recurrent state must read once more
    uint32_t n = left < s->batch ? left : s->batch;
    if (again && n > first - begin) n = first - begin;
    uint32_t head = again || (last_only && n < left) ? n
                    : last_only                      ? n - 1
                                                     : 0;  // the first row whose logits are wanted
    const auto head_rows = [&] { return n - head < kHeadRows ? n - head : kHeadRows; };
    const bool copies = begin_copy(s);
    if (!copies) begin_batch(s, n, head, head_rows(), /*hurried=*/false);
    for (;;) {
      if (run_batch(s, 0) != Executor::Outcome::finished) {
        s->cancelled.store(false, std::memory_order_relaxed);
        truncate(s, s->n_read);
        return Error(ErrorCode::cancelled, "cancelled after ")
               << uint64_t{s->n_read - first} << " tokens";
      }
      if (copies) break;
      for (uint32_t i = 0; row != nullptr && i < s->state.head_n; ++i) {
        row(user, begin - first + head + i,
            {s->state.row(Buffer::logits, i), s->impl->hparams.n_vocab});
      }
      head += s->state.head_n;
      if (head >= n) break;
      begin_head(s, head, head_rows());
    }
  }
  s->cancelled.store(false, std::memory_order_relaxed);  // it came too late
  return {};
}

}  // namespace detail

Result<Session> Session::create(const Model& model, const SessionOptions& options) noexcept {
  const detail::ModelImpl& m = *model.impl_;
  INLAY_TRY(detail::check_opened(m));
  detail::SessionImpl* s = detail::create<detail::SessionImpl>(m.host.allocator, model);
  if (s == nullptr) return m.meter->explain(Error(ErrorCode::out_of_memory));
  Status status = detail::check_options(m, options, s);
  if (status) status = detail::open_session(s, options, /*shared=*/0);
  if (!status) {
    detail::close(s);
    return m.meter->explain(status.error());
  }
  return Session(s);
}

Result<MemoryPlan> Session::plan(const Model& model, const SessionOptions& options) noexcept {
  detail::SessionImpl s(model);
  INLAY_TRY(detail::check_options(*model.impl_, options, &s));
  return detail::plan_session(options, /*shared=*/0, &s);
}

Session::Session(Session&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Session& Session::operator=(Session&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Session::~Session() { detail::close(impl_); }

Status Session::prompt(std::string_view text, const TokenizeOptions& options) noexcept {
  detail::SessionImpl& s = *impl_;
  auto n = s.impl->tokenizer.encode(text, {s.prompt_tokens, s.context + 1}, options);
  if (!n) return detail::end_prompt(&s, detail::encode_error(s, n.error(), text.size()));
  return detail::set_tokens(&s, {s.prompt_tokens, *n});
}

Status Session::prompt(Span<const Token> tokens) noexcept {
  return detail::set_tokens(impl_, tokens);
}

const Piece* Session::next() noexcept {
  return detail::step_session(impl_, 0) == Step::piece ? &impl_->piece : nullptr;
}

Step Session::step(uint32_t budget_us) noexcept {
  return detail::step_session(impl_, detail::deadline_after(impl_->impl->host.clock, budget_us));
}

const Piece& Session::piece() const noexcept { return impl_->piece; }
StopReason Session::stop_reason() const noexcept { return impl_->stop_reason; }
const Status& Session::status() const noexcept { return impl_->status; }
void Session::cancel() noexcept { impl_->cancelled.store(true, std::memory_order_relaxed); }
Logprobs Session::logprobs(uint32_t place) const noexcept {
  return place <= impl_->n_tokens ? impl_->logprobs.at(place) : Logprobs();
}
Span<const Token> Session::tokens() const noexcept { return {impl_->tokens, impl_->n_tokens}; }
uint32_t Session::cached() const noexcept {
  return impl_->n_cached < impl_->n_tokens ? impl_->n_cached : impl_->n_tokens;
}
uint32_t Session::reused() const noexcept { return impl_->n_reused; }
void Session::set_sampling(const Sampling& sampling) noexcept {
  impl_->sampling = detail::with_defaults(sampling, impl_->impl->sampling);
  impl_->sampler = detail::SamplerState(impl_->sampling);
}
void Session::constrain(const Constraint* constraint) noexcept {
  impl_->constraint = constraint == nullptr ? Constraint() : *constraint;
  impl_->constrained_from = impl_->n_tokens;
  impl_->n_accepted = impl_->next_forced = impl_->n_forced = 0;
  impl_->forced_known = false;
}
void Session::speculate(const Drafter* drafter) noexcept {
  impl_->drafter = drafter == nullptr ? Drafter() : *drafter;
}
float Session::probability() const noexcept {
  const detail::SessionImpl& s = *impl_;
  if (s.drawn == kNoToken || !s.workspace->has_rows_of(&s)) return 1;
  constexpr float kNegligible = 20;  // together, 150,000 of these are less than a thousandth
  const Span<const float> row(s.state.row(detail::Buffer::logits, s.drawn_row),
                              s.impl->hparams.n_vocab);
  const float own = row[static_cast<size_t>(s.drawn)];
  float sum = 0;
  for (const float logit : row) {
    if (logit > own - kNegligible) sum += std::exp(logit - own);
  }
  return 1 / sum;
}
uint64_t Session::drafted() const noexcept { return impl_->n_drafted; }
uint64_t Session::accepted() const noexcept { return impl_->n_right; }
void Session::set_max_tokens(uint32_t max_tokens) noexcept { impl_->max_tokens = max_tokens; }

Status Session::evaluate(Span<const Token> tokens, bool last_only,
                         void (*row)(void* user, size_t position, Span<const float> logits),
                         void* user) noexcept {
  INLAY_TRY(detail::take_workspace(impl_));
  const Status status = detail::evaluate(impl_, tokens, last_only, row, user);
  detail::leave_workspace(impl_);
  return status;
}

void Session::truncate(uint32_t keep) noexcept {
  detail::truncate(impl_, keep);
  impl_->workspace->leave(impl_);
}

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SESSION_INL_HPP_
