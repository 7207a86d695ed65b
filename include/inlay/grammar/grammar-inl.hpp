#ifndef INLAY_GRAMMAR_GRAMMAR_INL_HPP_
#define INLAY_GRAMMAR_GRAMMAR_INL_HPP_

#include "inlay/core/meter.hpp"
#include "inlay/grammar/gbnf.hpp"
#include "inlay/grammar/grammar.hpp"
#include "inlay/grammar/grammar_impl.hpp"
#include "inlay/grammar/json_schema.hpp"
#include "inlay/grammar/matcher.hpp"
#include "inlay/grammar/pattern.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// The automata of the triggers, if there are any.
INLAY_COLD inline Status compile_triggers(const GrammarOptions& options,
                                          GrammarImpl* impl) noexcept {
  const Allocator& allocator = impl->allocator;
  impl->has_trigger_text = !options.trigger_words.empty() || !options.trigger_patterns.empty();
  impl->lazy = impl->has_trigger_text || !options.trigger_tokens.empty();
  if (!impl->trigger_tokens.append(options.trigger_tokens.data(), options.trigger_tokens.size())) {
    return Error(ErrorCode::out_of_memory);
  }
  if (!impl->has_trigger_text) return {};
  Expressions all(allocator);
  Array<ExpressionId> triggers(allocator);
  for (const std::string_view word : options.trigger_words) {
    if (word.empty()) return Error(ErrorCode::bad_argument, "a trigger word is empty");
    if (!triggers.push_back(all.bytes(word))) return Error(ErrorCode::out_of_memory);
  }
  for (const std::string_view pattern : options.trigger_patterns) {
    auto parsed = parse_pattern(pattern, PatternUse::whole, &all);
    if (!parsed) return parsed.error();
    if (!triggers.push_back(*parsed)) return Error(ErrorCode::out_of_memory);
  }
  const uint32_t trigger = all.add_rule("trigger"), search = all.add_rule("search");
  all.define(trigger, all.choice(triggers.span()));
  all.define(search,
             all.sequence({all.repeat(all.byte_range(0, 255), 0, kUnlimited), all.rule(trigger)}));
  auto anchored = Automaton::compile(all, trigger, allocator);
  if (!anchored) return anchored.error();
  auto searching = Automaton::compile(all, search, allocator);
  if (!searching) return searching.error();
  impl->trigger = std::move(*anchored);
  impl->trigger_search = std::move(*searching);
  if (impl->trigger.root_empty) {
    return Error(ErrorCode::bad_argument, "a trigger pattern that matches the empty text");
  }
  return {};
}

// Compiles what `parse(expressions)` makes: the number of the root rule.
template <class Parse>
INLAY_COLD Result<GrammarImpl*> make_grammar(const GrammarOptions& options, Parse&& parse,
                                             bool may_be_empty = false) noexcept {
  const Allocator& allocator = options.host.allocator;
  Expressions expressions(allocator);
  const Result<uint32_t> root = parse(&expressions);
  if (!root) return root.error();
  auto automaton = Automaton::compile(expressions, *root, allocator, may_be_empty);
  if (!automaton) return automaton.error();
  INLAY_TRY(automaton->find_alike());
  auto* impl = create<GrammarImpl>(allocator, allocator);
  if (impl == nullptr) return Error(ErrorCode::out_of_memory);
  impl->automaton = std::move(*automaton);
  if (const Status status = compile_triggers(options, impl); !status) {
    destroy(allocator, impl);
    return status.error();
  }
  return impl;
}

}  // namespace detail

Result<Grammar> Grammar::from_gbnf(std::string_view text, const GrammarOptions& options) noexcept {
  auto made = detail::make_grammar(
      options, [&](detail::Expressions* out) { return detail::parse_gbnf(text, options, out); });
  if (!made) return detail::Meter::explain(options.host.allocator, made.error());
  return Grammar(*made);
}

Result<Grammar> Grammar::from_json_schema(std::string_view schema,
                                          const GrammarOptions& options) noexcept {
  auto made = detail::make_grammar(options, [&](detail::Expressions* out) {
    return detail::parse_json_schema(schema, options.json, detail::JsonSchemaUse::text, out);
  });
  if (!made) return detail::Meter::explain(options.host.allocator, made.error());
  return Grammar(*made);
}

Result<Grammar> Grammar::from_regex(std::string_view pattern,
                                    const GrammarOptions& options) noexcept {
  auto made = detail::make_grammar(options, [&](detail::Expressions* out) -> Result<uint32_t> {
    const auto body = detail::parse_pattern(pattern, detail::PatternUse::whole, out);
    if (!body) return body.error();
    const uint32_t rule = out->add_rule("pattern");
    out->define(rule, *body);
    return rule;
  });
  if (!made) return detail::Meter::explain(options.host.allocator, made.error());
  return Grammar(*made);
}

Result<bool> valid_json(std::string_view text, std::string_view schema,
                        const GrammarOptions& options) noexcept {
  const Allocator& allocator = options.host.allocator;
  const auto made = detail::make_grammar(
      options,
      [&](detail::Expressions* out) {
        return detail::parse_json_schema(schema, options.json, detail::JsonSchemaUse::judge, out);
      },
      true);
  if (!made) return detail::Meter::explain(allocator, made.error());
  const Grammar grammar(*made);
  GrammarMatcherOptions memory;
  memory.host = options.host;
  auto matcher = GrammarMatcher::create(grammar, memory);
  if (!matcher) return matcher.error();
  JsonOptions json;
  json.allocator = allocator;
  const auto document = JsonDocument::parse(text, json);
  if (!document) {
    if (document.error().code() == ErrorCode::bad_argument) return false;
    return document.error();
  }
  detail::String canonical(allocator);
  if (!detail::append_canonical_json(&canonical, document->root())) {
    return Error(ErrorCode::out_of_memory);
  }
  const auto accepted = matcher->accept(view(canonical));
  if (!accepted) return accepted.error();
  return *accepted && matcher->may_end();
}

Grammar::Grammar(const Grammar& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->references.fetch_add(1, std::memory_order_relaxed);
}
Grammar::Grammar(Grammar&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Grammar& Grammar::operator=(Grammar other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Grammar::~Grammar() {
  if (impl_ != nullptr && impl_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    detail::destroy(impl_->allocator, impl_);
  }
}

INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_GRAMMAR_INL_HPP_
