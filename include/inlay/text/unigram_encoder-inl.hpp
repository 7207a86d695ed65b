#ifndef INLAY_TEXT_UNIGRAM_ENCODER_INL_HPP_
#define INLAY_TEXT_UNIGRAM_ENCODER_INL_HPP_

#include <algorithm>
#include <cstring>

#include "inlay/text/unicode.hpp"
#include "inlay/text/unigram_encoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

Status CharacterMap::load(const Gguf& file) noexcept {
  static constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  const MetadataValue* value = file.find(kKey);
  if (value == nullptr) return Status();
  const MetadataType type = value->element_type();
  if (!value->is_array() || (type != MetadataType::u8 && type != MetadataType::i8)) {
    return Error(ErrorCode::corrupt, kKey) << ": expected an array of bytes";
  }
  const auto size = static_cast<size_t>(value->size());
  if (!bytes_.resize(size)) return Error(ErrorCode::out_of_memory);
  for (size_t i = 0; i < size; ++i) {
    int64_t byte = 0;
    value->as_i64(&byte, i);
    bytes_[i] = static_cast<char>(byte);
  }
  uint64_t trie_bytes = 0;
  for (size_t i = 4; i-- > 0;)
    trie_bytes = trie_bytes << 8 | (i < size ? static_cast<uint8_t>(bytes_[i]) : 0u);
  if (size < 4 || trie_bytes + 4 >= size) {
    return Error(ErrorCode::corrupt, kKey)
           << ": a trie of " << trie_bytes << " bytes and replacements, but there are "
           << static_cast<uint64_t>(size) << " bytes in all";
  }
  units_ = static_cast<size_t>(trie_bytes) / 4;
  return Status();
}

// A unit beyond the end has no child and is no end.
uint32_t CharacterMap::unit(size_t i) const noexcept {
  if (i >= units_) return 0;
  uint32_t value = 0;
  for (size_t b = 4; b-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes_[4 + 4 * i + b]);
  return value;
}

CharacterMap::Match CharacterMap::find(std::string_view text, uint64_t* steps) const noexcept {
  const auto offset = [](uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); };
  Match match;
  size_t node = offset(unit(0));
  size_t replacement = 0;
  for (size_t i = 0; units_ > 0 && i < text.size() && text[i] != 0 && i < kLongestReplacement;
       ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    ++*steps;
    node ^= byte;
    const uint32_t here = unit(node);
    if ((here & 0x800000FF) != byte) break;
    node ^= offset(here);
    if ((here >> 8 & 1) == 0) continue;
    match.bytes = i + 1;
    replacement = unit(node) & 0x7FFFFFFF;
  }
  if (match.bytes == 0) return match;
  const size_t begin = 4 + 4 * units_ + replacement;
  // Bytes of the trie that make no whole unit would be found here, but no replacement begins there.
  if (begin >= bytes_.size()) return Match();
  const size_t rest = std::min(bytes_.size() - begin, kLongestReplacement + 1);
  const void* const end = std::memchr(bytes_.data() + begin, 0, rest);
  if (end == nullptr) return Match();
  match.replacement = {bytes_.data() + begin,
                       static_cast<size_t>(static_cast<const char*>(end) - bytes_.data()) - begin};
  return match;
}

INLAY_COLD Status UnigramEncoder::create(const Gguf& file, const Vocabulary& vocabulary) noexcept {
  INLAY_TRY(begin(file, vocabulary));
  while (!complete()) INLAY_TRY(load_more());
  return {};
}

INLAY_COLD Status UnigramEncoder::begin(const Gguf& file, const Vocabulary& vocabulary) noexcept {
  vocabulary_ = &vocabulary;
  return characters_.load(file);
}

Status UnigramEncoder::load_more() noexcept {
  if (next_ == vocabulary_->size()) {
    return tokens_.sorted() ? user_tokens_.sort_more() : tokens_.sort_more();
  }
  for (uint32_t n = 0; n < TokenTrie::kAtOnce && next_ < vocabulary_->size(); ++n, ++next_) {
    const uint16_t traits = vocabulary_->traits(next_);
    const std::string_view text = vocabulary_->text(next_);
    const auto id = static_cast<Token>(next_);
    if ((traits & kTokenNormal) != 0) least_ = std::min(least_, vocabulary_->score(next_));
    if ((traits & (kTokenNormal | kTokenUserDefined | kTokenUnused)) != 0)
      INLAY_TRY(tokens_.add(text, id));
    if ((traits & kTokenUserDefined) != 0) INLAY_TRY(user_tokens_.add(text, id));
  }
  unknown_score_ = double{least_ - 10.0f};
  return {};
}

// Replaces characters, marks spaces, and puts one in front of words: of the first, or of all when
// several spaces count as one.
bool UnigramEncoder::normalize(std::string_view text, String* out, uint64_t* steps) const noexcept {
  out->clear();
  const bool merge_spaces = vocabulary_->remove_extra_spaces();
  bool needs_prefix = vocabulary_->add_space_prefix();
  bool in_word = false;
  const auto put = [&](std::string_view bytes) {
    *steps += bytes.size();
    for (char c : bytes) {
      if (c == ' ') {
        in_word = false;
        if (!merge_spaces && !out->append(kSpaceMark.data(), kSpaceMark.size())) return false;
        continue;
      }
      if (!in_word && (needs_prefix || merge_spaces)) {
        needs_prefix = false;
        if (!out->append(kSpaceMark.data(), kSpaceMark.size())) return false;
      }
      in_word = true;
      if (!out->push_back(c)) return false;
    }
    return true;
  };
  for (size_t at = 0; at < text.size();) {
    // What begins as a user-defined token does stays as it is, as far as it does.
    TokenTrie::Node node = user_tokens_.root();
    size_t same = 0;
    while (at + same < text.size()) {
      ++*steps;
      node = user_tokens_.next(node, text[at + same]);
      if (node.empty()) break;
      ++same;
    }
    if (same > 0) {
      if (!put(slice(text, at, same))) return false;
      at += same;
      continue;
    }
    const CharacterMap::Match match = characters_.find(slice(text, at), steps);
    if (match.bytes > 0) {
      if (!put(match.replacement)) return false;
      at += match.bytes;
      continue;
    }
    const DecodedCharacter c = decode_utf8(text.data() + at, text.data() + text.size());
    const bool invalid = c.code == kReplacement && c.bytes == 1;
    if (!put(invalid ? std::string_view("\xEF\xBF\xBD") : slice(text, at, c.bytes))) return false;
    at += c.bytes;
  }
  return true;
}

bool UnigramEncoder::encode(std::string_view text, Scratch* scratch,
                            TokenSink* sink) const noexcept {
  if (!normalize(text, &scratch->normal, &sink->steps)) return false;
  const std::string_view normal = view(scratch->normal);
  if (normal.empty()) return true;
  if (normal.size() >= UINT32_MAX) return false;
  const Token unknown = vocabulary_->special().unknown;
  Array<Best>& best = scratch->best;
  best.clear();
  if (!best.resize(normal.size() + 1)) return false;
  for (Best& b : best) b = {-DBL_MAX, 0, unknown};
  best[0].score = 0;
  const auto challenge = [&best](size_t begin, size_t end, Token token, double score) {
    if (score > best[end].score) best[end] = {score, static_cast<uint32_t>(begin), token};
  };
  for (size_t at = 0; at < normal.size();) {
    const size_t character =
        std::min<size_t>(utf8_length(static_cast<uint8_t>(normal[at])), normal.size() - at);
    const double score = best[at].score;
    bool covered = false;  // by a token of this character alone
    TokenTrie::Node node = tokens_.root();
    for (size_t end = at; end < normal.size();) {
      ++sink->steps;
      node = tokens_.next(node, normal[end++]);
      if (node.empty()) break;
      const Token token = tokens_.token(node);
      if (token == kNoToken) continue;
      covered = covered || end - at == character;
      const auto index = static_cast<uint32_t>(token);
      const bool user_defined = (vocabulary_->traits(index) & kTokenUserDefined) != 0;
      challenge(at, end, token, score + (user_defined ? 0.0 : double{vocabulary_->score(index)}));
    }
    if (!covered) challenge(at, at + character, unknown, score + unknown_score_);
    at += character;
  }
  // From the end to the front, first counting and then again writing; unknown ones in a row are
  // one.
  const auto walk = [&best, unknown](auto&& f) {
    bool unknown_before = false;
    for (size_t at = best.size() - 1; at > 0; at = best[at].begin) {
      const bool is_unknown = best[at].token == unknown;
      if (!(is_unknown && unknown_before)) f(best[at].token);
      unknown_before = is_unknown;
    }
  };
  size_t count = 0;
  walk([&count](Token token) { count += token == kNoToken ? 0 : 1; });
  const size_t begin = sink->count;
  sink->count += count;
  walk([&](Token token) {
    if (token == kNoToken) return;
    --count;
    if (begin + count < sink->out.size()) sink->out[begin + count] = token;
  });
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNIGRAM_ENCODER_INL_HPP_
