#ifndef INLAY_GRAMMAR_LANGUAGE_INL_HPP_
#define INLAY_GRAMMAR_LANGUAGE_INL_HPP_

#include <algorithm>
#include <iterator>

#include "inlay/grammar/automaton.hpp"
#include "inlay/grammar/language.hpp"
#include "inlay/grammar/machine.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

INLAY_COLD inline Error language_too_large() noexcept {
  return Error(ErrorCode::unsupported,
               "a combination of forms whose automaton has over 4096 states");
}

INLAY_COLD bool Language::add_state(bool accepts, State dead) noexcept {
  State row[256];
  std::fill(std::begin(row), std::end(row), dead);
  return accepts_.push_back(accepts) && next_.append(row, std::size(row));
}

INLAY_COLD Result<Language> Language::of(const Expressions& grammar, uint32_t rule,
                                         const Allocator& allocator) noexcept {
  Language out(allocator);
  const Error no_memory(ErrorCode::out_of_memory);
  INLAY_TRY(grammar.status());
  auto automaton = Automaton::compile(grammar, rule, allocator);
  if (!automaton) {
    // No text at all is a language, too.
    if (automaton.error().code() != ErrorCode::bad_argument) return automaton.error();
    if (!out.add_state(false, 0)) return no_memory;
    return out;
  }
  GrammarMachine machine(allocator);
  INLAY_TRY(machine.create(*automaton, size_t{8} << 20));
  machine.set_work(uint64_t{1} << 22);
  Array<GrammarMachine::State> states(allocator);  // of the machine, by number here
  Array<uint32_t> numbers(allocator);              // and back, plus 1
  const auto number = [&](GrammarMachine::State state, State* to) {
    if (state >= numbers.size() && !numbers.resize(state + size_t{256})) return false;
    if (numbers[state] == 0) {
      if (!states.push_back(state)) return false;
      numbers[state] = static_cast<uint32_t>(states.size());
    }
    *to = static_cast<State>(numbers[state] - 1);
    return true;
  };
  State start;
  const GrammarMachine::State first = machine.start();
  if (first == GrammarMachine::kFull) return language_too_large();
  if (!number(first, &start)) return no_memory;
  for (size_t i = 0; i < states.size(); ++i) {
    if (!out.add_state(machine.accepts(states[i]), 0)) return no_memory;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const auto next = machine.step(states[i], static_cast<uint8_t>(byte));
      if (next == GrammarMachine::kFull) return language_too_large();
      State to;
      if (!number(next, &to)) return no_memory;
      if (states.size() > kMaxStates) return language_too_large();
      out.set(static_cast<State>(i), static_cast<uint8_t>(byte), to);
    }
  }
  return out;
}

INLAY_COLD Result<Language> Language::product(const Language& a, const Language& b,
                                              bool in_b) noexcept {
  Language out(a.next_.allocator());
  const Error no_memory(ErrorCode::out_of_memory);
  const size_t n_pairs = a.size() * b.size();
  Array<uint32_t> pairs(a.next_.allocator());
  Array<State> numbers(a.next_.allocator());  // of a pair, plus 1
  if (!numbers.resize(n_pairs) || !pairs.push_back(0)) return no_memory;
  numbers[0] = 1;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto from_a = static_cast<State>(pairs[i] / b.size());
    const auto from_b = static_cast<State>(pairs[i] % b.size());
    if (!out.add_state(a.accepts_[from_a] && b.accepts_[from_b] == in_b, 0)) return no_memory;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const auto c = static_cast<uint8_t>(byte);
      const size_t pair = a.next(from_a, c) * b.size() + b.next(from_b, c);
      if (numbers[pair] == 0) {
        if (pairs.size() >= kMaxStates) return language_too_large();
        if (!pairs.push_back(static_cast<uint32_t>(pair))) return no_memory;
        numbers[pair] = static_cast<State>(pairs.size());
      }
      out.set(static_cast<State>(i), c, static_cast<State>(numbers[pair] - 1));
    }
  }
  return out;
}

INLAY_COLD bool Language::has(std::string_view text) const noexcept {
  State state = 0;
  for (const char c : text) state = next(state, static_cast<uint8_t>(c));
  return accepts_[state];
}

INLAY_COLD bool Language::find_live(Array<bool>* live) const noexcept {
  // Transitions backwards, without those that repeat the one before.
  Array<uint32_t> begins(next_.allocator()), work(next_.allocator());
  Array<State> sources(next_.allocator());
  if (!live->resize(size()) || !begins.resize(size() + 2)) return false;
  for (const int pass : {0, 1}) {
    for (size_t s = 0; s < size(); ++s) {
      for (size_t i = s * 256; i < (s + 1) * 256; ++i) {
        if (i > s * 256 && next_[i] == next_[i - 1]) continue;
        if (pass == 0) {
          ++begins[next_[i] + size_t{2}];
        } else {
          sources[begins[next_[i] + size_t{1}]++] = static_cast<State>(s);
        }
      }
    }
    if (pass == 1) break;
    for (size_t s = 2; s < begins.size(); ++s) begins[s] += begins[s - 1];
    if (!sources.resize(begins[size() + 1])) return false;
  }
  for (uint32_t s = 0; s < size(); ++s) {
    (*live)[s] = accepts_[s];
    if (accepts_[s] && !work.push_back(s)) return false;
  }
  while (!work.empty()) {
    const uint32_t s = work.back();
    work.pop_back();
    for (uint32_t i = begins[s]; i < begins[s + size_t{1}]; ++i) {
      if ((*live)[sources[i]]) continue;
      (*live)[sources[i]] = true;
      if (!work.push_back(sources[i])) return false;
    }
  }
  return true;
}

INLAY_COLD Result<bool> Language::empty() const noexcept {
  Array<bool> live(next_.allocator());
  if (!find_live(&live)) return Error(ErrorCode::out_of_memory);
  return !live[0];
}

// A character that JSON strings do not have as it is, in its shortest form.
INLAY_COLD inline ExpressionId json_escape(uint8_t byte, Expressions* out) noexcept {
  constexpr char kHex[] = "0123456789abcdef";
  constexpr std::string_view kBytes = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
  const size_t found = find_byte(kBytes, static_cast<char>(byte));
  const char text[] = {
      '\\',           found != kBytes.npos ? kLetters[found] : 'u', '0', '0', kHex[byte >> 4],
      kHex[byte & 15]};
  return out->bytes({text, found != kBytes.npos ? size_t{2} : sizeof text});
}

// One rule for each state, which reads a byte and is then that of the next state.
INLAY_COLD ExpressionId Language::emit(bool in_json_string, Expressions* out) const noexcept {
  const Allocator& allocator = next_.allocator();
  Array<bool> live(allocator);
  Array<uint32_t> rules(allocator);
  Array<ExpressionId> parts(allocator);
  if (!find_live(&live) || !rules.resize(size())) return out->fail_memory();
  for (size_t s = 0; s < size(); ++s) {
    if (live[s]) rules[s] = out->add_rule("text");
  }
  if (!live[0]) return out->nothing();
  for (size_t s = 0; s < size(); ++s) {
    if (!live[s]) continue;
    parts.clear();
    bool ok = !accepts_[s] || parts.push_back(out->bytes({}));
    for (uint32_t first = 0; first < 256 && ok;) {
      const State to = next_[s * 256 + first];
      const auto is_special = [in_json_string](uint32_t byte) {
        return in_json_string && (byte < 0x20 || byte == '"' || byte == '\\');
      };
      uint32_t last = first;
      if (!is_special(first)) {
        while (last < 255 && next_[s * 256 + last + 1] == to && !is_special(last + 1)) ++last;
      }
      if (live[to]) {
        const ExpressionId read = is_special(first) ? json_escape(static_cast<uint8_t>(first), out)
                                                    : out->byte_range(static_cast<uint8_t>(first),
                                                                      static_cast<uint8_t>(last));
        ok = parts.push_back(out->sequence({read, out->rule(rules[to])}));
      }
      first = last + 1;
    }
    if (!ok) return out->fail_memory();
    out->define(rules[s], out->choice(parts.span()));
  }
  return out->rule(rules[0]);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_LANGUAGE_INL_HPP_
