// The part of the C interface that belongs to grammar/.
#ifndef INLAY_C_GRAMMAR_INL_HPP_
#define INLAY_C_GRAMMAR_INL_HPP_

#include <atomic>
#include <cstddef>
#include <string_view>
#include <utility>

#include "inlay/c/session-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/grammar/grammar.hpp"
#include "inlay/grammar/matcher.hpp"
#include "inlay/inlay.h"
#include "inlay/session/fill.hpp"
#include "inlay/session/grammar_constraint.hpp"

struct INLAY_HIDDEN inlay_grammar {
  inlay_grammar(inlay_model* m, INLAY_NAMESPACE::Grammar&& g) noexcept
      : model(m), grammar(std::move(g)) {}
  inlay_model* model;
  INLAY_NAMESPACE::Grammar grammar;
};

struct INLAY_HIDDEN inlay_fill {
  inlay_fill(inlay_model* m, INLAY_NAMESPACE::GrammarMatcher&& g) noexcept
      : model(m),
        matcher(std::move(g)),
        fill(INLAY_NAMESPACE::Error(INLAY_NAMESPACE::ErrorCode::out_of_memory)) {}
  inlay_model* model;
  INLAY_NAMESPACE::GrammarMatcher matcher;
  INLAY_NAMESPACE::Result<INLAY_NAMESPACE::Fill> fill;  // has a value once create has succeeded
};

INLAY_BEGIN_NAMESPACE
namespace detail {

struct CVocabulary : CAttached {
  explicit CVocabulary(GrammarVocabulary&& v) noexcept : vocabulary(std::move(v)) {
    destroy = [](const Allocator& allocator, CAttached* self) noexcept {
      detail::destroy(allocator, static_cast<CVocabulary*>(self));
    };
  }
  GrammarVocabulary vocabulary;
};

struct CMatcher : CAttached {
  explicit CMatcher(GrammarMatcher&& m) noexcept : matcher(std::move(m)) {
    destroy = [](const Allocator& allocator, CAttached* self) noexcept {
      detail::destroy(allocator, static_cast<CMatcher*>(self));
    };
  }
  GrammarMatcher matcher;
};

inline Host c_host(const inlay_model& model) noexcept {
  Host host;
  host.allocator = model.allocator;
  return host;
}

// The model's vocabulary, made by whoever comes first.
inline Result<const GrammarVocabulary*> c_vocabulary(inlay_model* model) noexcept {
  CAttached* attached = model->vocabulary.load(std::memory_order_acquire);
  if (attached == nullptr) {
    auto made = GrammarVocabulary::create(model->model->tokenizer(), c_host(*model));
    if (!made) return made.error();
    CVocabulary* fresh = create<CVocabulary>(model->allocator, std::move(*made));
    if (fresh == nullptr) return Error(ErrorCode::out_of_memory);
    if (model->vocabulary.compare_exchange_strong(attached, fresh)) {
      attached = fresh;
    } else {
      c_detach(model->allocator, fresh);
    }
  }
  return &static_cast<CVocabulary*>(attached)->vocabulary;
}

// A matcher for the session.
inline Result<GrammarMatcher> c_matcher(const inlay_session& session,
                                        const inlay_grammar& grammar) noexcept {
  if (grammar.model != session.model) {
    return Error(ErrorCode::bad_argument, "the grammar is another model's");
  }
  const auto vocabulary = c_vocabulary(grammar.model);
  if (!vocabulary) return vocabulary.error();
  GrammarMatcherOptions options;
  options.host = c_host(*session.model);
  return GrammarMatcher::create(grammar.grammar, **vocabulary, options);
}

inline inlay_grammar_options c_defaults(const GrammarOptions& from) noexcept {
  inlay_grammar_options to = {};
  to.open_objects = from.json.open_objects;
  to.whitespace = from.json.whitespace;
  to.any_order = from.json.any_order;
  return to;
}

inline Status c_rules(const inlay_grammar_options& from, Array<GrammarRule>* out) noexcept {
  if (from.n_rules > 0 && from.rules == nullptr) return c_range("rules", "no null");
  if (!out->reserve(from.n_rules)) return Error(ErrorCode::out_of_memory);
  for (const inlay_grammar_rule& rule : Span<const inlay_grammar_rule>(from.rules, from.n_rules)) {
    if (rule.kind != INLAY_GRAMMAR_JSON_SCHEMA && rule.kind != INLAY_GRAMMAR_REGEX) {
      return c_range("rules", "INLAY_GRAMMAR_JSON_SCHEMA or INLAY_GRAMMAR_REGEX");
    }
    const GrammarRule made = {c_text(rule.name, INLAY_NUL_TERMINATED),
                              rule.kind == INLAY_GRAMMAR_REGEX ? GrammarRule::Form::regex
                                                               : GrammarRule::Form::json_schema,
                              c_text(rule.text, INLAY_NUL_TERMINATED)};
    if (!out->push_back(made)) return Error(ErrorCode::out_of_memory);
  }
  return {};
}

inline Result<Grammar> c_compile(const inlay_model& model, int32_t kind, std::string_view text,
                                 const inlay_grammar_options* given) noexcept {
  GrammarOptions options;
  inlay_grammar_options from = c_defaults(options);
  Array<std::string_view> words(model.allocator), patterns(model.allocator);
  Array<GrammarRule> rules(model.allocator);
  INLAY_TRY(c_take(given, "inlay_grammar_options", &from));
  INLAY_TRY(c_texts(from.trigger_words, nullptr, from.n_trigger_words, &words));
  INLAY_TRY(c_texts(from.trigger_patterns, nullptr, from.n_trigger_patterns, &patterns));
  INLAY_TRY(c_rules(from, &rules));
  if (from.n_trigger_tokens > 0 && from.trigger_tokens == nullptr) {
    return c_range("trigger_tokens", "no null");
  }
  options.host = c_host(model);
  options.tokenizer = &model.model->tokenizer();
  if (from.root != nullptr) options.root = from.root;
  options.json.open_objects = from.open_objects != 0;
  options.json.whitespace = from.whitespace;
  options.json.any_order = from.any_order != 0;
  options.rules = rules.span();
  options.trigger_words = words.span();
  options.trigger_patterns = patterns.span();
  options.trigger_tokens = {from.trigger_tokens, from.n_trigger_tokens};
  switch (kind) {
    case INLAY_GRAMMAR_GBNF:
      return Grammar::from_gbnf(text, options);
    case INLAY_GRAMMAR_JSON_SCHEMA:
      return Grammar::from_json_schema(text, options);
    case INLAY_GRAMMAR_REGEX:
      return Grammar::from_regex(text, options);
    default:
      return Error(ErrorCode::bad_argument, "argument kind: expected one of INLAY_GRAMMAR_");
  }
}

}  // namespace detail

extern "C" {

INLAY_C_API void inlay_grammar_options_init(inlay_grammar_options* options, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(GrammarOptions{}), options, struct_size);
}

INLAY_C_API inlay_status inlay_grammar_create(const inlay_model* model, int32_t kind,
                                              const char* text, size_t size,
                                              const inlay_grammar_options* options,
                                              inlay_grammar** grammar, inlay_error* error) {
  if (grammar == nullptr) return detail::c_null("grammar", error);
  *grammar = nullptr;
  if (model == nullptr) return detail::c_null("model", error);
  if (text == nullptr) return detail::c_null("text", error);
  return detail::c_make(model, detail::c_compile(*model, kind, detail::c_text(text, size), options),
                        grammar, error);
}

INLAY_C_API void inlay_grammar_close(inlay_grammar* grammar) { detail::c_close(grammar); }

INLAY_C_API inlay_status inlay_grammar_matches(const inlay_grammar* grammar, const char* text,
                                               size_t size, int32_t* matches, inlay_error* error) {
  if (grammar == nullptr) return detail::c_null("grammar", error);
  if (matches == nullptr) return detail::c_null("matches", error);
  *matches = 0;
  GrammarMatcherOptions options;
  options.host = detail::c_host(*grammar->model);
  auto matcher = GrammarMatcher::create(grammar->grammar, options);
  if (!matcher) return detail::c_report(matcher.error(), error);
  const auto accepted = matcher->accept(detail::c_text(text, size));
  if (!accepted) return detail::c_report(accepted.error(), error);
  *matches = *accepted && matcher->may_end();
  return detail::c_ok(error);
}

INLAY_C_API inlay_status inlay_session_constrain_grammar(inlay_session* session,
                                                         const inlay_grammar* grammar,
                                                         inlay_error* error) {
  if (session == nullptr) return detail::c_null("session", error);
  if (grammar == nullptr) {
    detail::c_constrain(session, nullptr, nullptr);
    return detail::c_ok(error);
  }
  auto made = detail::c_matcher(*session, *grammar);
  if (!made) return detail::c_report(made.error(), error);
  auto* matcher = detail::create<detail::CMatcher>(session->model->allocator, std::move(*made));
  if (matcher == nullptr) return detail::c_report(Error(ErrorCode::out_of_memory), error);
  const Constraint forward = constraint(matcher->matcher);
  detail::c_constrain(session, &forward, matcher);
  return detail::c_ok(error);
}

INLAY_C_API inlay_status inlay_fill_create(inlay_session* session, const inlay_grammar* grammar,
                                           size_t bytes, inlay_fill** fill, inlay_error* error) {
  if (fill == nullptr) return detail::c_null("fill", error);
  *fill = nullptr;
  if (session == nullptr) return detail::c_null("session", error);
  if (grammar == nullptr) return detail::c_null("grammar", error);
  detail::c_constrain(session, nullptr, nullptr);
  inlay_fill* made = nullptr;
  const inlay_status status =
      detail::c_make(session->model, detail::c_matcher(*session, *grammar), &made, error);
  if (status != INLAY_OK) return status;
  FillOptions options;
  options.host = detail::c_host(*session->model);
  options.bytes = bytes;
  made->fill = Fill::create(session->session, made->matcher, options);
  if (!made->fill) {
    const inlay_status failed = detail::c_report(made->fill.error(), error);
    detail::c_close(made);
    return failed;
  }
  *fill = made;
  return detail::c_ok(error);
}

INLAY_C_API int32_t inlay_fill_step(inlay_fill* fill, uint32_t budget_us) {
  return fill == nullptr ? INLAY_STEP_FAILED : detail::c_step(fill->fill->step(budget_us));
}

INLAY_C_API const char* inlay_fill_text(const inlay_fill* fill, size_t* size) {
  return detail::c_text(fill == nullptr ? std::string_view() : (*fill->fill).text(), size);
}

INLAY_C_API inlay_status inlay_fill_status(const inlay_fill* fill, inlay_error* error) {
  if (fill == nullptr) return detail::c_null("fill", error);
  return detail::c_report((*fill->fill).status(), error);
}

INLAY_C_API void inlay_fill_close(inlay_fill* fill) { detail::c_close(fill); }

}  // extern "C"

INLAY_END_NAMESPACE

#endif  // INLAY_C_GRAMMAR_INL_HPP_
