#ifndef INLAY_TEXT_SENTENCE_PIECE_ENCODER_INL_HPP_
#define INLAY_TEXT_SENTENCE_PIECE_ENCODER_INL_HPP_

#include <cstring>

#include "inlay/text/sentence_piece_encoder.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

void SentencePieceEncoder::create(const Vocabulary& vocabulary) noexcept {
  begin(vocabulary);
  while (!complete()) load_more();
}

void SentencePieceEncoder::begin(const Vocabulary& vocabulary) noexcept {
  vocabulary_ = &vocabulary;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const char raw = static_cast<char>(byte);
    Token token = vocabulary.find(ByteName(byte).view());
    if (token == kNoToken) token = vocabulary.find({&raw, 1});
    byte_tokens_[byte] = token != kNoToken ? token : vocabulary.special().unknown;
  }
}

void SentencePieceEncoder::load_more() noexcept {
  constexpr size_t kBytesAtOnce = 32768;
  const uint32_t size = vocabulary_->size();
  uint32_t token = next_;
  for (size_t bytes = 0; bytes < kBytesAtOnce && token < size; ++token) {
    const std::string_view text = vocabulary_->text(token);
    bytes += text.size();
    for (size_t i = 1; i < text.size(); ++i) {
      const auto pair = static_cast<uint32_t>(static_cast<uint8_t>(text[i - 1])) << 8 |
                        static_cast<uint8_t>(text[i]);
      joins_[pair >> 6] |= uint64_t{1} << (pair & 63);
    }
  }
  next_ = token;
}

// The order of scores: the higher the score, the lower the number.
inline uint32_t order_of_score(float score) noexcept {
  score += 0.0f;  // no -0
  uint32_t bits;
  std::memcpy(&bits, &score, sizeof bits);
  const uint32_t order = (bits >> 31) != 0 ? bits : ~bits & 0x7FFFFFFF;
  return order == kNoMerge ? kNoMerge - 1 : order;
}

bool SentencePieceEncoder::encode_segment(std::string_view segment, Merger* merger,
                                          TokenSink* sink) const noexcept {
  merger->clear();
  sink->steps += segment.size();
  for (uint32_t i = 0; i < segment.size();) {
    const auto rest = static_cast<uint32_t>(segment.size()) - i;
    const uint32_t length = utf8_length(static_cast<uint8_t>(segment[i]));
    const uint32_t size = length < rest ? length : rest;
    if (!merger->push({i, size, static_cast<uint32_t>(vocabulary_->find(slice(segment, i, size)))}))
      return false;
    i += size;
  }
  const auto find = [this, segment, sink](const Symbol& left, const Symbol& right) {
    ++sink->steps;
    const Token token = vocabulary_->find(slice(segment, left.begin, left.size + right.size));
    if (token == kNoToken) return Merge{kNoMerge, 0};
    return Merge{order_of_score(vocabulary_->score(static_cast<uint32_t>(token))),
                 static_cast<uint32_t>(token)};
  };
  if (!merger->run(find)) return false;
  for (const Symbol& symbol : merger->symbols()) {
    if (symbol.id != static_cast<uint32_t>(kNoToken)) {
      sink->push(static_cast<Token>(symbol.id));
      continue;
    }
    for (char c : slice(segment, symbol.begin, symbol.size)) {
      const Token token = byte_tokens_[static_cast<uint8_t>(c)];
      if (token != kNoToken) sink->push(token);
    }
  }
  return true;
}

bool SentencePieceEncoder::encode(std::string_view text, bool space_prefix, Scratch* scratch,
                                  TokenSink* sink) const noexcept {
  String& escaped = scratch->escaped;
  escaped.clear();
  if (!escaped.reserve(text.size() + text.size() / 2 + kSpaceMark.size())) return false;
  if (space_prefix && !escaped.append(kSpaceMark.data(), kSpaceMark.size())) return false;
  for (char c : text) {
    if (!(c == ' ' ? escaped.append(kSpaceMark.data(), kSpaceMark.size()) : escaped.push_back(c)))
      return false;
  }
  const std::string_view all = view(escaped);
  for (size_t begin = 0, at = 0; at < all.size();) {
    at += utf8_length(static_cast<uint8_t>(all[at]));
    if (at < all.size() && joins(all[at - 1], all[at])) continue;
    if (at > all.size()) at = all.size();
    if (!encode_segment(slice(all, begin, at - begin), &scratch->merger, sink)) return false;
    begin = at;
  }
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_SENTENCE_PIECE_ENCODER_INL_HPP_
