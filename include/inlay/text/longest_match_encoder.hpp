// RWKV's tokens: the longest that fits, again and again, over raw bytes.
#ifndef INLAY_TEXT_LONGEST_MATCH_ENCODER_HPP_
#define INLAY_TEXT_LONGEST_MATCH_ENCODER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/text/token_sink.hpp"
#include "inlay/text/token_trie.hpp"
#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Such vocabularies escape bytes in their texts: \n, \t, \r, \x00 to \xff, and a backslash before
// anything else stands for that. Calls f(byte) for each.
template <class F>
void unescape(std::string_view text, F&& f) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      f(text[i]);
      continue;
    }
    if (++i == text.size()) return;
    const char c = text[i];
    if (c != 'x') {
      f(c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c);
      continue;
    }
    if (text.size() - i <= 2) return;  // cut off
    uint32_t byte = 0;
    for (int digit = 0; digit < 2; ++digit) {
      const char d = text[++i];
      byte = byte << 4 | static_cast<uint32_t>(d >= 'a' ? d - 'a' + 10 : d - '0');
    }
    f(static_cast<char>(byte));
  }
}

class LongestMatchEncoder {
 public:
  explicit LongestMatchEncoder(const Allocator& allocator) noexcept
      : trie_(allocator), texts_(allocator) {}

  // `vocabulary` must outlive the object. Errors: as TokenTrie::add.
  Status create(const Vocabulary& vocabulary) noexcept;
  // The same in pieces of some 0.1 ms: begin(), then load_more() until it is complete().
  Status begin(const Vocabulary& vocabulary) noexcept;
  Status load_more() noexcept;
  bool complete() const noexcept { return trie_.sorted(); }

  void encode(std::string_view text, TokenSink* sink) const noexcept;

 private:
  const Vocabulary* vocabulary_ = nullptr;
  TokenTrie trie_;
  String texts_;       // of all tokens, unescaped
  uint32_t next_ = 0;  // token that is not there yet
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_LONGEST_MATCH_ENCODER_HPP_
