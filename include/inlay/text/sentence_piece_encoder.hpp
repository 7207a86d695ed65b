// SentencePiece's BPE: characters, merged into the token of the highest score first, with bytes as
// a fallback.
#ifndef INLAY_TEXT_SENTENCE_PIECE_ENCODER_HPP_
#define INLAY_TEXT_SENTENCE_PIECE_ENCODER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/text/merge.hpp"
#include "inlay/text/token_sink.hpp"
#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

class SentencePieceEncoder {
 public:
  // `vocabulary` must outlive the object.
  void create(const Vocabulary& vocabulary) noexcept;
  // The same in pieces of some 0.1 ms: begin(), then load_more() until it is complete().
  void begin(const Vocabulary& vocabulary) noexcept;
  void load_more() noexcept;
  bool complete() const noexcept { return next_ == vocabulary_->size(); }

  struct Scratch {
    explicit Scratch(const Allocator& allocator) noexcept : escaped(allocator), merger(allocator) {}
    String escaped;
    Merger merger;
  };
  // False: out of memory.
  [[nodiscard]] bool encode(std::string_view text, bool space_prefix, Scratch* scratch,
                            TokenSink* sink) const noexcept;

  // The token for a byte that no other token covers: <0x0A>, or the byte itself, or the unknown
  // token, or kNoToken.
  Token byte_token(uint8_t byte) const noexcept { return byte_tokens_[byte]; }

 private:
  bool joins(char before, char after) const noexcept {
    const auto pair =
        static_cast<uint32_t>(static_cast<uint8_t>(before)) << 8 | static_cast<uint8_t>(after);
    return (joins_[pair >> 6] >> (pair & 63) & 1) != 0;
  }
  bool encode_segment(std::string_view segment, Merger* merger, TokenSink* sink) const noexcept;

  const Vocabulary* vocabulary_ = nullptr;
  Token byte_tokens_[256] = {};
  // Bit for each two bytes: some token has the one after the other. Where none has, nothing merges
  // across, and the text falls into segments that can be merged one by one.
  uint64_t joins_[65536 / 64] = {};
  uint32_t next_ = 0;  // token whose bytes are not in it yet
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_SENTENCE_PIECE_ENCODER_HPP_
