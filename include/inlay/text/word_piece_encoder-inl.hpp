#ifndef INLAY_TEXT_WORD_PIECE_ENCODER_INL_HPP_
#define INLAY_TEXT_WORD_PIECE_ENCODER_INL_HPP_

#include "inlay/text/unicode.hpp"
#include "inlay/text/word_piece_encoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Characters that are words of their own, as the makers of BERT have them; the last range but two
// begins at U+2B920 and not U+2B820 in all implementations since.
constexpr bool is_ideograph(uint32_t code) noexcept {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
         (code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B920 && code <= 0x2CEAF) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

INLAY_COLD Status WordPieceEncoder::create(const Vocabulary& vocabulary) noexcept {
  begin(vocabulary);
  while (!complete()) INLAY_TRY(load_more());
  return {};
}

Status WordPieceEncoder::load_more() noexcept {
  if (next_ == vocabulary_->size()) return trie_.sort_more();
  for (uint32_t n = 0; n < TokenTrie::kAtOnce && next_ < vocabulary_->size(); ++n, ++next_)
    INLAY_TRY(trie_.add(vocabulary_->text(next_), static_cast<Token>(next_)));
  return {};
}

// A word that its tokens do not cover to the end is the unknown token.
void WordPieceEncoder::encode_word(std::string_view word, TokenSink* sink) const noexcept {
  const size_t before = sink->count;
  for (size_t at = 0; at < word.size();) {
    Token longest = kNoToken;
    size_t end = at;
    TokenTrie::Node node = trie_.root();
    for (size_t i = at; i < word.size(); ++i) {
      ++sink->steps;
      node = trie_.next(node, word[i]);
      if (node.empty()) break;
      const Token token = trie_.token(node);
      if (token == kNoToken) continue;
      longest = token;
      end = i + 1;
    }
    if (longest == kNoToken) {
      sink->truncate(before);
      if (vocabulary_->special().unknown != kNoToken) sink->push(vocabulary_->special().unknown);
      return;
    }
    sink->push(longest);
    at = end;
  }
}

bool WordPieceEncoder::encode(std::string_view text, Scratch* scratch,
                              TokenSink* sink) const noexcept {
  const Normalizer& normalizer = vocabulary_->normalizer();
  String& word = scratch->word;  // with a space's mark in front, as words are in the vocabulary
  word.clear();
  const auto finish = [&] {
    if (!word.empty()) encode_word(view(word), sink);
    word.clear();
  };
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const DecodedCharacter decoded = decode_utf8(at, end);
    at += decoded.bytes;
    ++sink->steps;
    uint32_t code = decoded.code;
    if (normalizer.strip_accents) code = base_character(code);
    if (is_whitespace(code)) {
      finish();
      continue;
    }
    const Category category = category_of(code);
    if (code == 0 || code == kReplacement || is_control(category)) continue;
    if (normalizer.strip_accents && is_mark(category)) continue;
    const bool alone =
        is_punctuation(category) || (code < 0x7F && is_symbol(category)) || is_ideograph(code);
    if (alone) finish();
    char encoded[4];
    const uint32_t size = encode_utf8(normalizer.lowercase ? lower_case(code) : code, encoded);
    if ((word.empty() && !word.append(kSpaceMark.data(), kSpaceMark.size())) ||
        !word.append(encoded, size)) {
      return false;
    }
    if (alone) finish();
  }
  finish();
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_WORD_PIECE_ENCODER_INL_HPP_
