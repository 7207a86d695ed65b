// The part of the C interface about sessions.
#ifndef INLAY_C_SESSION_INL_HPP_
#define INLAY_C_SESSION_INL_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "inlay/c/handles-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/inlay.h"
#include "inlay/model/sampling.hpp"
#include "inlay/session/constraint.hpp"
#include "inlay/session/logprobs.hpp"
#include "inlay/session/output.hpp"
#include "inlay/session/session.hpp"
#include "inlay/session/state.hpp"

struct INLAY_HIDDEN inlay_session {
  inlay_session(inlay_model* m, INLAY_NAMESPACE::Session&& s) noexcept
      : model(m), session(std::move(s)) {}
  ~inlay_session() { INLAY_NAMESPACE::detail::c_detach(model->allocator, matcher); }
  inlay_session(const inlay_session&) = delete;
  inlay_session& operator=(const inlay_session&) = delete;

  inlay_model* model;
  INLAY_NAMESPACE::Session session;
  INLAY_NAMESPACE::detail::Array<INLAY_NAMESPACE::LogitBias> biases;  // of its sampling
  inlay_constraint constraint = {};                                   // what constrains it, or
  INLAY_NAMESPACE::detail::CAttached* matcher = nullptr;              // a grammar that does
};

struct INLAY_HIDDEN inlay_state_writer {
  inlay_state_writer(inlay_model* m, INLAY_NAMESPACE::StateWriter&& w) noexcept
      : model(m), writer(std::move(w)) {}
  inlay_model* model;
  INLAY_NAMESPACE::StateWriter writer;
};

INLAY_BEGIN_NAMESPACE
namespace detail {

// What is the same in Sampling and inlay_sampling.
template <class From, class To>
void c_copy_plain(const From& from, To* to) noexcept {
  to->min_keep = from.min_keep;
  to->dynatemp_range = from.dynatemp_range;
  to->dynatemp_exponent = from.dynatemp_exponent;
  to->typical_p = from.typical_p;
  to->top_n_sigma = from.top_n_sigma;
  to->frequency_penalty = from.frequency_penalty;
  to->presence_penalty = from.presence_penalty;
  to->dry_multiplier = from.dry_multiplier;
  to->dry_base = from.dry_base;
  to->dry_allowed_length = from.dry_allowed_length;
  to->dry_last_n = from.dry_last_n;
  to->adaptive_target = from.adaptive_target;
  to->adaptive_decay = from.adaptive_decay;
  to->ignore_eos = from.ignore_eos != 0;
  to->seed = from.seed;
}

// Unset where a file may say something, else what Sampling says.
inline inlay_sampling c_defaults(const Sampling& from) noexcept {
  inlay_sampling to = {};
  for (float* unset :
       {&to.temperature, &to.top_p, &to.min_p, &to.repeat_penalty, &to.xtc_probability,
        &to.xtc_threshold, &to.mirostat_tau, &to.mirostat_eta}) {
    *unset = INLAY_UNSET_FLOAT;
  }
  to.top_k = to.repeat_last_n = to.mirostat = INLAY_UNSET_COUNT;
  c_copy_plain(from, &to);
  return to;
}

inline inlay_session_options c_defaults(const SessionOptions& from) noexcept {
  inlay_session_options to = {};
  to.context = from.context;
  to.batch = from.batch;
  to.threads = from.threads;
  to.max_tokens = from.max_tokens;
  to.kv_cache = static_cast<int32_t>(from.kv_cache);
  to.batch_invariant = from.batch_invariant;
  to.snapshots = from.snapshots;
  to.reuse = from.reuse;
  to.logprobs = from.logprobs;
  to.top_logprobs = from.top_logprobs;
  return to;
}

// Sampling, and what it refers to.
struct CSampling {
  explicit CSampling(const Allocator& allocator) noexcept : biases(allocator) {}
  Sampling sampling;
  Array<LogitBias> biases;

  Status read(const inlay_sampling* given) noexcept {
    Sampling& to = sampling;
    inlay_sampling from = c_defaults(to);
    INLAY_TRY(c_take(given, "inlay_sampling", &from));
    const auto put_float = [](float value, Setting<float>* setting) {
      if (value != INLAY_UNSET_FLOAT) *setting = value;
    };
    const auto put_count = [](uint32_t value, Setting<uint32_t>* setting) {
      if (value != INLAY_UNSET_COUNT) *setting = value;
    };
    put_float(from.temperature, &to.temperature);
    put_count(from.top_k, &to.top_k);
    put_float(from.top_p, &to.top_p);
    put_float(from.min_p, &to.min_p);
    put_float(from.repeat_penalty, &to.repeat_penalty);
    put_count(from.repeat_last_n, &to.repeat_last_n);
    put_float(from.xtc_probability, &to.xtc_probability);
    put_float(from.xtc_threshold, &to.xtc_threshold);
    put_count(from.mirostat, &to.mirostat);
    put_float(from.mirostat_tau, &to.mirostat_tau);
    put_float(from.mirostat_eta, &to.mirostat_eta);
    c_copy_plain(from, &to);
    if (from.n_logit_bias > 0 && from.logit_bias == nullptr) {
      return c_range("logit_bias", "no null");
    }
    if (!biases.reserve(from.n_logit_bias)) return Error(ErrorCode::out_of_memory);
    for (uint32_t i = 0; i < from.n_logit_bias; ++i) {
      const LogitBias bias = {from.logit_bias[i].token, from.logit_bias[i].bias};
      if (!biases.push_back(bias)) return Error(ErrorCode::out_of_memory);
    }
    to.logit_bias = biases.span();
    if (from.samplers != nullptr) {
      auto chain = SamplerChain::parse(from.samplers);
      if (!chain) return chain.error();
      to.chain = *chain;
    }
    return {};
  }
};

// SessionOptions, and what they refer to.
struct CSessionOptions {
  explicit CSessionOptions(const Allocator& allocator) noexcept : sampling(allocator) {}
  SessionOptions options;
  CSampling sampling;
  std::string_view stop[Output::kMaxStops];

  Status read(const inlay_session_options* given) noexcept {
    inlay_session_options from = c_defaults(options);
    INLAY_TRY(c_take(given, "inlay_session_options", &from));
    INLAY_TRY(sampling.read(from.sampling));
    options.sampling = sampling.sampling;
    if (from.kv_cache < INLAY_KV_CACHE_F32 || from.kv_cache > INLAY_KV_CACHE_Q8_0) {
      return c_range("kv_cache", "one of INLAY_KV_CACHE_");
    }
    if (from.n_stop > Output::kMaxStops) return c_range("stop", "at most 16 texts");
    if (from.n_stop > 0 && from.stop == nullptr) return c_range("stop", "no null");
    options.context = from.context;
    options.batch = from.batch;
    options.threads = from.threads;
    options.max_tokens = from.max_tokens;
    options.kv_cache = static_cast<KvCacheType>(from.kv_cache);
    options.batch_invariant = from.batch_invariant != 0;
    options.snapshots = from.snapshots;
    options.reuse = from.reuse;
    options.logprobs = from.logprobs != 0;
    options.top_logprobs = from.top_logprobs;
    if (from.workspace_of != nullptr) options.workspace_of = &from.workspace_of->session;
    for (uint32_t i = 0; i < from.n_stop; ++i) {
      stop[i] = c_text(from.stop[i], INLAY_NUL_TERMINATED);
    }
    options.stop = {stop, from.n_stop};
    return {};
  }
};

// A session keeps what its options refer to.
inline inlay_status c_make_session(const inlay_model* model, Result<Session>&& made,
                                   CSessionOptions* options, inlay_session** out,
                                   inlay_error* error) noexcept {
  const inlay_status status = c_make(model, std::move(made), out, error);
  if (status == INLAY_OK) (*out)->biases = std::move(options->sampling.biases);
  return status;
}

inline int32_t c_stop_reason(StopReason reason) noexcept {
  switch (reason) {
    case StopReason::none:
      return INLAY_STOP_NONE;
    case StopReason::end_of_text:
      return INLAY_STOP_END_OF_TEXT;
    case StopReason::stop_text:
      return INLAY_STOP_TEXT;
    case StopReason::max_tokens:
      return INLAY_STOP_MAX_TOKENS;
    case StopReason::context_full:
      return INLAY_STOP_CONTEXT_FULL;
    case StopReason::cancelled:
      return INLAY_STOP_CANCELLED;
  }
  return INLAY_STOP_NONE;
}

inline inlay_token_logprob c_logprob(const TokenLogprob& from) noexcept {
  inlay_token_logprob to = {};
  to.token = from.token;
  to.logprob = from.logprob;
  return to;
}

// As many as there is room for; returns their number.
inline uint32_t c_logprobs(Span<const TokenLogprob> from, inlay_token_logprob* to,
                           size_t capacity) noexcept {
  if (to == nullptr) return 0;
  const size_t n = from.size() < capacity ? from.size() : capacity;
  for (size_t i = 0; i < n; ++i) to[i] = c_logprob(from[i]);
  return static_cast<uint32_t>(n);
}

// Calls back from a Constraint whose user is the program's struct.
inline Constraint c_constraint(inlay_constraint* given) noexcept {
  Constraint to;
  to.user = given;
  to.mask = [](void* user, Span<uint64_t> allowed) {
    const inlay_constraint& c = *static_cast<inlay_constraint*>(user);
    return c.mask(c.user, allowed.data(), allowed.size()) != 0;
  };
  if (given->allows != nullptr) {
    to.allows = [](void* user, Token token) {
      const inlay_constraint& c = *static_cast<inlay_constraint*>(user);
      return c.allows(c.user, token) != 0;
    };
  }
  if (given->accept != nullptr) {
    to.accept = [](void* user, Token token) {
      const inlay_constraint& c = *static_cast<inlay_constraint*>(user);
      c.accept(c.user, token);
    };
  }
  if (given->rollback != nullptr) {
    to.rollback = [](void* user, uint32_t tokens) {
      const inlay_constraint& c = *static_cast<inlay_constraint*>(user);
      c.rollback(c.user, tokens);
    };
  }
  if (given->forced != nullptr) {
    to.forced = [](void* user, Span<Token> room) {
      const inlay_constraint& c = *static_cast<inlay_constraint*>(user);
      return c.forced(c.user, room.data(), room.size());
    };
  }
  return to;
}

// Another constraint, or none, takes the place of the grammar's.
inline void c_constrain(inlay_session* session, const Constraint* constraint,
                        CAttached* matcher) noexcept {
  session->session.constrain(constraint);
  c_detach(session->model->allocator, session->matcher);
  session->matcher = matcher;
}

}  // namespace detail

extern "C" {

INLAY_C_API void inlay_sampling_init(inlay_sampling* sampling, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(Sampling{}), sampling, struct_size);
}

INLAY_C_API void inlay_session_options_init(inlay_session_options* options, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(SessionOptions{}), options, struct_size);
}

INLAY_C_API inlay_status inlay_session_create(const inlay_model* model,
                                              const inlay_session_options* options,
                                              inlay_session** session, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  *session = nullptr;
  if (model == nullptr) return detail::c_null("model", error);
  detail::CSessionOptions o(model->allocator);
  const Status status = o.read(options);
  if (!status) return detail::c_report(status, error);
  return detail::c_make_session(model, Session::create(*model->model, o.options), &o, session,
                                error);
}

INLAY_C_API inlay_status inlay_session_plan(const inlay_model* model,
                                            const inlay_session_options* options,
                                            inlay_memory_plan* plan, inlay_error* error) {
  if (model == nullptr) return detail::c_null("model", error);
  if (plan == nullptr) return detail::c_null("plan", error);
  detail::CSessionOptions o(model->allocator);
  const Status status = o.read(options);
  if (!status) return detail::c_report(status, error);
  return detail::c_plan(Session::plan(*model->model, o.options), plan, error);
}

INLAY_C_API void inlay_session_close(inlay_session* session) { detail::c_close(session); }

INLAY_C_API inlay_status inlay_session_fork(const inlay_session* session,
                                            const inlay_session_options* options,
                                            inlay_session** fork, inlay_error* error) {
  if (fork == nullptr) return detail::c_null("fork", error);
  *fork = nullptr;
  if (session == nullptr) return detail::c_null("session", error);
  detail::CSessionOptions o(session->model->allocator);
  const Status status = o.read(options);
  if (!status) return detail::c_report(status, error);
  return detail::c_make_session(session->model, session->session.fork(o.options), &o, fork, error);
}

INLAY_C_API inlay_status inlay_session_plan_fork(const inlay_session* session,
                                                 const inlay_session_options* options,
                                                 inlay_memory_plan* plan, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (plan == nullptr) return detail::c_null("plan", error);
  detail::CSessionOptions o(session->model->allocator);
  const Status status = o.read(options);
  if (!status) return detail::c_report(status, error);
  return detail::c_plan(session->session.plan_fork(o.options), plan, error);
}

INLAY_C_API inlay_status inlay_session_prompt(inlay_session* session, const char* text, size_t size,
                                              uint32_t flags, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  return detail::c_report(
      session->session.prompt(detail::c_text(text, size), detail::c_tokenize_options(flags)),
      error);
}

INLAY_C_API inlay_status inlay_session_prompt_tokens(inlay_session* session,
                                                     const inlay_token* tokens, size_t count,
                                                     inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (tokens == nullptr) return detail::c_null("tokens", error);
  return detail::c_report(session->session.prompt({tokens, count}), error);
}

INLAY_C_API int32_t inlay_session_step(inlay_session* session, uint32_t budget_us) {
  if (session == nullptr) return INLAY_STEP_FAILED;
  return detail::c_step(session->session.step(budget_us));
}

INLAY_C_API const char* inlay_session_next(inlay_session* session, size_t* size) {
  const Piece* piece = session == nullptr ? nullptr : session->session.next();
  return detail::c_text(piece == nullptr ? std::string_view() : piece->text, size);
}

INLAY_C_API const char* inlay_session_piece(const inlay_session* session, size_t* size) {
  return detail::c_text(session == nullptr ? std::string_view() : session->session.piece().text,
                        size);
}

INLAY_C_API inlay_token inlay_session_piece_token(const inlay_session* session) {
  return session == nullptr ? kNoToken : session->session.piece().token;
}

INLAY_C_API int32_t inlay_session_stop_reason(const inlay_session* session) {
  return session == nullptr ? INLAY_STOP_NONE
                            : detail::c_stop_reason(session->session.stop_reason());
}

INLAY_C_API inlay_status inlay_session_status(const inlay_session* session, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  return detail::c_report(session->session.status(), error);
}

INLAY_C_API void inlay_session_cancel(inlay_session* session) {
  if (session != nullptr) session->session.cancel();
}

INLAY_C_API const inlay_token* inlay_session_tokens(const inlay_session* session, size_t* count) {
  const Span<const Token> tokens =
      session == nullptr ? Span<const Token>() : session->session.tokens();
  if (count != nullptr) *count = tokens.size();
  return tokens.data();
}

INLAY_C_API inlay_status inlay_session_logprobs(const inlay_session* session, uint32_t place,
                                                inlay_logprobs* logprobs,
                                                inlay_token_logprob* top_before,
                                                inlay_token_logprob* top_after, size_t capacity,
                                                inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (logprobs == nullptr) return detail::c_null("logprobs", error);
  const Logprobs from = session->session.logprobs(place);
  inlay_logprobs to = {};
  to.before = detail::c_logprob(from.before);
  to.after = detail::c_logprob(from.after);
  to.n_top_before = detail::c_logprobs(from.top_before, top_before, capacity);
  to.n_top_after = detail::c_logprobs(from.top_after, top_after, capacity);
  return detail::c_give(to, "inlay_logprobs", logprobs, error);
}

INLAY_C_API uint32_t inlay_session_cached(const inlay_session* session) {
  return session == nullptr ? 0 : session->session.cached();
}

INLAY_C_API uint32_t inlay_session_reused(const inlay_session* session) {
  return session == nullptr ? 0 : session->session.reused();
}

INLAY_C_API inlay_status inlay_session_set_sampling(inlay_session* session,
                                                    const inlay_sampling* sampling,
                                                    inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  detail::CSampling to(session->model->allocator);
  const Status status = to.read(sampling);
  if (status) {
    session->session.set_sampling(to.sampling);
    session->biases = std::move(to.biases);
  }
  return detail::c_report(status, error);
}

INLAY_C_API void inlay_session_set_max_tokens(inlay_session* session, uint32_t max_tokens) {
  if (session != nullptr) session->session.set_max_tokens(max_tokens);
}

INLAY_C_API inlay_status inlay_session_evaluate(inlay_session* session, const inlay_token* tokens,
                                                size_t count, int32_t last_only,
                                                void (*row)(void* user, size_t position,
                                                            const float* logits, size_t n_vocab),
                                                void* user, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (tokens == nullptr && count > 0) return detail::c_null("tokens", error);
  struct Row {
    void (*call)(void* user, size_t position, const float* logits, size_t n_vocab);
    void* user;
  } given = {row, user};
  void (*forward)(void*, size_t, Span<const float>) = nullptr;
  if (row != nullptr) {
    forward = [](void* to, size_t position, Span<const float> logits) {
      const Row& r = *static_cast<Row*>(to);
      r.call(r.user, position, logits.data(), logits.size());
    };
  }
  return detail::c_report(
      session->session.evaluate({tokens, count}, last_only != 0, forward, &given), error);
}

INLAY_C_API void inlay_session_truncate(inlay_session* session, uint32_t keep) {
  if (session != nullptr) session->session.truncate(keep);
}

INLAY_C_API inlay_status inlay_session_constrain(inlay_session* session,
                                                 const inlay_constraint* constraint,
                                                 inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  inlay_constraint given = {};
  const Status status = detail::c_take(constraint, "inlay_constraint", &given);
  if (!status) return detail::c_report(status, error);
  if (constraint == nullptr) {
    detail::c_constrain(session, nullptr, nullptr);
    return detail::c_ok(error);
  }
  if (given.mask == nullptr) return detail::c_null("mask", error);
  session->constraint = given;
  const Constraint forward = detail::c_constraint(&session->constraint);
  detail::c_constrain(session, &forward, nullptr);
  return detail::c_ok(error);
}

INLAY_C_API uint64_t inlay_session_state_bytes(const inlay_session* session, uint32_t skip) {
  return session == nullptr ? 0 : session->session.state_bytes(skip);
}

INLAY_C_API inlay_status inlay_session_save(const inlay_session* session, uint32_t skip, void* out,
                                            size_t size, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (out == nullptr) return detail::c_null("out", error);
  return detail::c_report(session->session.save({static_cast<uint8_t*>(out), size}, skip), error);
}

INLAY_C_API inlay_status inlay_session_restore(inlay_session* session, const void* state,
                                               size_t size, inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (state == nullptr) return detail::c_null("state", error);
  return detail::c_report(session->session.restore({static_cast<const uint8_t*>(state), size}),
                          error);
}

INLAY_C_API inlay_status inlay_state_writer_create(const inlay_session* session, uint32_t skip,
                                                   inlay_state_writer** writer,
                                                   inlay_error* error) {
  if (writer == nullptr) return detail::c_null("writer", error);
  *writer = nullptr;
  if (session == nullptr) return detail::c_null("session", error);
  return detail::c_make(session->model, Result<StateWriter>(StateWriter(session->session, skip)),
                        writer, error);
}

INLAY_C_API uint64_t inlay_state_writer_bytes(const inlay_state_writer* writer) {
  return writer == nullptr ? 0 : writer->writer.bytes();
}

INLAY_C_API size_t inlay_state_writer_least_room(const inlay_state_writer* writer) {
  return writer == nullptr ? 0 : writer->writer.least_room();
}

INLAY_C_API inlay_status inlay_state_writer_write(inlay_state_writer* writer, void* room,
                                                  size_t size, size_t* written,
                                                  inlay_error* error) {
  if (writer == nullptr) return detail::c_null("writer", error);
  if (written == nullptr) return detail::c_null("written", error);
  *written = 0;
  const auto wrote =
      writer->writer.write({static_cast<uint8_t*>(room), room == nullptr ? 0 : size});
  if (!wrote) return detail::c_report(wrote.error(), error);
  *written = *wrote;
  return detail::c_ok(error);
}

INLAY_C_API void inlay_state_writer_close(inlay_state_writer* writer) { detail::c_close(writer); }

}  // extern "C"

INLAY_END_NAMESPACE

#endif  // INLAY_C_SESSION_INL_HPP_
