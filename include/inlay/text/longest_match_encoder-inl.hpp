#ifndef INLAY_TEXT_LONGEST_MATCH_ENCODER_INL_HPP_
#define INLAY_TEXT_LONGEST_MATCH_ENCODER_INL_HPP_

#include "inlay/text/longest_match_encoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

INLAY_COLD Status LongestMatchEncoder::create(const Vocabulary& vocabulary) noexcept {
  INLAY_TRY(begin(vocabulary));
  while (!complete()) INLAY_TRY(load_more());
  return {};
}

INLAY_COLD Status LongestMatchEncoder::begin(const Vocabulary& vocabulary) noexcept {
  vocabulary_ = &vocabulary;
  size_t bytes = 0;
  for (uint32_t token = 0; token < vocabulary.size(); ++token)
    bytes += vocabulary.text(token).size();
  return texts_.reserve(bytes) ? Status() : Error(ErrorCode::out_of_memory);
}

Status LongestMatchEncoder::load_more() noexcept {
  if (next_ == vocabulary_->size()) return trie_.sort_more();
  for (uint32_t n = 0; n < TokenTrie::kAtOnce && next_ < vocabulary_->size(); ++n, ++next_) {
    const size_t begin = texts_.size();
    bool ok = true;
    unescape(vocabulary_->text(next_), [&](char c) { ok = ok && texts_.push_back(c); });
    if (!ok) return Error(ErrorCode::out_of_memory);
    INLAY_TRY(trie_.add(slice(view(texts_), begin), static_cast<Token>(next_)));
  }
  return {};
}

void LongestMatchEncoder::encode(std::string_view text, TokenSink* sink) const noexcept {
  for (size_t at = 0; at < text.size();) {
    Token longest = vocabulary_->special().unknown;
    size_t end = at + 1;
    TokenTrie::Node node = trie_.root();
    for (size_t i = at; i < text.size(); ++i) {
      ++sink->steps;
      node = trie_.next(node, text[i]);
      if (node.empty()) break;
      const Token token = trie_.token(node);
      if (token == kNoToken) continue;
      longest = token;
      end = i + 1;
    }
    if (longest != kNoToken) sink->push(longest);
    at = end;
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_LONGEST_MATCH_ENCODER_INL_HPP_
