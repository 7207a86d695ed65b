// BERT's word pieces: words of plain letters, each cut into the longest tokens from the left.
#ifndef INLAY_TEXT_WORD_PIECE_ENCODER_HPP_
#define INLAY_TEXT_WORD_PIECE_ENCODER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/text/token_sink.hpp"
#include "inlay/text/token_trie.hpp"
#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

class WordPieceEncoder {
 public:
  explicit WordPieceEncoder(const Allocator& allocator) noexcept : trie_(allocator) {}

  // `vocabulary` must outlive the object. Errors: as TokenTrie::add.
  Status create(const Vocabulary& vocabulary) noexcept;
  // The same in pieces of some 0.1 ms: begin(), then load_more() until it is complete().
  void begin(const Vocabulary& vocabulary) noexcept { vocabulary_ = &vocabulary; }
  Status load_more() noexcept;
  bool complete() const noexcept { return trie_.sorted(); }

  struct Scratch {
    explicit Scratch(const Allocator& allocator) noexcept : word(allocator) {}
    String word;
  };
  // False: out of memory.
  [[nodiscard]] bool encode(std::string_view text, Scratch* scratch,
                            TokenSink* sink) const noexcept;

 private:
  void encode_word(std::string_view word, TokenSink* sink) const noexcept;

  const Vocabulary* vocabulary_ = nullptr;
  TokenTrie trie_;
  uint32_t next_ = 0;  // token that is not in it yet
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_WORD_PIECE_ENCODER_HPP_
