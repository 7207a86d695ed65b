// SentencePiece's unigrams (T5): of all ways to cut a text into tokens, that of the greatest sum of
// scores, after a table of the file has made the text's characters plainer.
#ifndef INLAY_TEXT_UNIGRAM_ENCODER_HPP_
#define INLAY_TEXT_UNIGRAM_ENCODER_HPP_

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/text/token_sink.hpp"
#include "inlay/text/token_trie.hpp"
#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// tokenizer.ggml.precompiled_charsmap: which bytes are replaced by which. Four bytes that say how
// many bytes the trie has, the trie, and the replacements, each with a zero byte behind it.
//
// The trie is a double array of 32-bit units, as SentencePiece writes it (XCDA): a unit's low byte
// is the byte that leads to it, bit 8 says that bytes end there, and its children are at its own
// place ^ its offset ^ their byte. The child of an end by byte 0 is a leaf: bit 31, and where the
// replacement begins.
class CharacterMap {
 public:
  explicit CharacterMap(const Allocator& allocator) noexcept : bytes_(allocator) {}

  // Errors: corrupt, out_of_memory.
  Status load(const Gguf& file) noexcept;

  // The longest beginning of `text` that is replaced, and by what. No bytes if there is none, or if
  // the table is wrong there.
  struct Match {
    size_t bytes = 0;
    std::string_view replacement;
  };
  Match find(std::string_view text, uint64_t* steps) const noexcept;

 private:
  static constexpr size_t kLongestReplacement = 1024;

  uint32_t unit(size_t i) const noexcept;

  size_t units_ = 0;
  Array<char> bytes_;  // the trie's, then the replacements
};

class UnigramEncoder {
 public:
  explicit UnigramEncoder(const Allocator& allocator) noexcept
      : characters_(allocator), tokens_(allocator), user_tokens_(allocator) {}

  // `vocabulary` must outlive the object. Errors: corrupt, out_of_memory.
  Status create(const Gguf& file, const Vocabulary& vocabulary) noexcept;
  // The same in pieces of some 0.1 ms, but for the character map: begin(), then load_more() until
  // it is complete().
  Status begin(const Gguf& file, const Vocabulary& vocabulary) noexcept;
  Status load_more() noexcept;
  bool complete() const noexcept { return user_tokens_.sorted(); }

  // The best way to cut the text up to some byte: its last token.
  struct Best {
    double score;
    uint32_t begin;
    Token token;
  };
  struct Scratch {
    explicit Scratch(const Allocator& allocator) noexcept : normal(allocator), best(allocator) {}
    String normal;
    Array<Best> best;
  };
  // False: out of memory.
  [[nodiscard]] bool encode(std::string_view text, Scratch* scratch,
                            TokenSink* sink) const noexcept;

 private:
  bool normalize(std::string_view text, String* out, uint64_t* steps) const noexcept;

  const Vocabulary* vocabulary_ = nullptr;
  CharacterMap characters_;
  TokenTrie tokens_;       // those that a text may be cut into
  TokenTrie user_tokens_;  // those whose beginnings are not replaced
  uint32_t next_ = 0;      // token that is not in them yet
  float least_ = FLT_MAX;  // score
  double unknown_score_ = 0;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNIGRAM_ENCODER_HPP_
