// Grammars, JSON schemas and regular expressions of any bytes, and texts for them, under libFuzzer:
//   clang++ -std=c++17 -O1 -g -fsanitize=fuzzer,address,undefined -I include -I include/inlay
//       -I tests tests/fuzz/grammar_fuzz.cpp -o grammar_fuzz
//   ./grammar_fuzz FOLDER_FOR_NEW_INPUTS tests/fuzz/grammar_corpus
// An input: 'g', 's' or 'r' for what it is, in capitals for a lazy grammar, the source, a zero
// byte, and a text. Besides crashes and inputs that take long it looks for memory beyond a bound,
// for memory that is not given back, for answers that depend on how the text is cut, for masks that
// are not what accepting each token says, and for texts of a schema's grammar that are not valid.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "inlay/core/memory-inl.hpp"
#include "inlay/core/system-inl.hpp"
#include "inlay/gguf/gguf-inl.hpp"
#include "inlay/grammar/automaton-inl.hpp"
#include "inlay/grammar/expression-inl.hpp"
#include "inlay/grammar/gbnf-inl.hpp"
#include "inlay/grammar/grammar-inl.hpp"
#include "inlay/grammar/json_number-inl.hpp"
#include "inlay/grammar/json_references-inl.hpp"
#include "inlay/grammar/json_schema-inl.hpp"
#include "inlay/grammar/language-inl.hpp"
#include "inlay/grammar/machine-inl.hpp"
#include "inlay/grammar/matcher-inl.hpp"
#include "inlay/grammar/pattern-inl.hpp"
#include "inlay/grammar/vocabulary_trie-inl.hpp"
#include "inlay/text/byte_pair_encoder-inl.hpp"
#include "inlay/text/decimal-inl.hpp"
#include "inlay/text/json-inl.hpp"
#include "inlay/text/longest_match_encoder-inl.hpp"
#include "inlay/text/pre_tokenizer-inl.hpp"
#include "inlay/text/regex-inl.hpp"
#include "inlay/text/sentence_piece_encoder-inl.hpp"
#include "inlay/text/special_splitter-inl.hpp"
#include "inlay/text/token_trie-inl.hpp"
#include "inlay/text/tokenizer-inl.hpp"
#include "inlay/text/unicode-inl.hpp"
#include "inlay/text/unigram_encoder-inl.hpp"
#include "inlay/text/vocabulary-inl.hpp"
#include "inlay/text/word_piece_encoder-inl.hpp"
#include "memory.hpp"
#include "support/json_words.hpp"

namespace {

using inlay_fuzz::expect, inlay_fuzz::Memory;

constexpr size_t kMostMemory = size_t{700} << 20;

void check_mask(inlay::GrammarMatcher& matcher, const inlay_test::JsonWords& words) {
  std::vector<uint64_t> mask((words.size() + 63) / 64);
  if (!matcher.mask(mask)) return;
  const bool may_end = matcher.may_end();
  for (inlay::Token t = 0; t < static_cast<inlay::Token>(words.size()); ++t) {
    const auto accepted = matcher.accept(t);
    if (!accepted) continue;
    const auto id = static_cast<size_t>(t);
    expect(*accepted == ((mask[id / 64] >> (id % 64) & 1) != 0));
    if (*accepted) matcher.rollback(1);
    expect(matcher.may_end() == may_end);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t end = input.find('\0');
  const std::string_view source = inlay::detail::slice(input, 0, end);
  const std::string_view text =
      end == input.npos ? std::string_view() : inlay::detail::slice(input, end + 1);
  static const inlay_test::JsonWords words;
  static constexpr std::string_view kTriggers[] = {"ab", "{"};
  const char kind = static_cast<char>(data[0] | 32);
  const bool lazy = kind != data[0];
  Memory memory(SIZE_MAX, kMostMemory);
  inlay::GrammarOptions options;
  options.host = memory.host();
  options.tokenizer = &*words.tokenizer;
  if (lazy) options.trigger_words = kTriggers;
  const auto grammar = kind == 'g'   ? inlay::Grammar::from_gbnf(source, options)
                       : kind == 's' ? inlay::Grammar::from_json_schema(source, options)
                                     : inlay::Grammar::from_regex(source, options);
  if (!grammar) return 0;
  inlay::GrammarMatcherOptions small;
  small.host = memory.host();
  small.state_memory = size_t{1} << 18;
  small.mask_memory = size_t{1} << 16;
  auto whole = inlay::GrammarMatcher::create(*grammar, *words.vocabulary, small);
  if (!whole) return 0;
  check_mask(*whole, words);
  auto parts = whole->fork();
  expect(parts.has_value());
  const auto accepted = whole->accept(text);
  bool all = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto one = parts->accept(inlay::detail::slice(text, i, 1));
    if (!one) return 0;  // a bound; where it is met may depend on what is remembered
    all = all && *one;
    if (!all) break;
  }
  if (!accepted) return 0;
  expect(*accepted == all);
  if (!all) return 0;
  expect(whole->may_end() == parts->may_end());
  check_mask(*whole, words);
  if (kind == 's' && !lazy && whole->may_end()) {
    const auto valid = inlay::valid_json(text, source);
    expect(!valid || *valid);
  }
  return 0;
}
