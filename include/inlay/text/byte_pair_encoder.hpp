// BPE: a word's bytes, or its characters, merged in the order that the vocabulary's list of merges
// gives.
#ifndef INLAY_TEXT_BYTE_PAIR_ENCODER_HPP_
#define INLAY_TEXT_BYTE_PAIR_ENCODER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/text/merge.hpp"
#include "inlay/text/regex.hpp"
#include "inlay/text/token_sink.hpp"
#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Most vocabularies of this kind write each byte as a printable character: itself where it is one
// in Latin-1, else the next unused one from U+0100 on. (GPT-2's encoder.py, bytes_to_unicode.)
constexpr uint32_t byte_to_character(uint8_t byte) noexcept {
  if (byte <= 0x20) return 0x100u + byte;
  if (byte >= 0x7F && byte <= 0xA0) return 0x121u + (byte - 0x7Fu);
  return byte == 0xAD ? 0x143 : byte;
}
// -1 for a character that stands for no byte.
constexpr int character_to_byte(uint32_t code) noexcept {
  if (code >= 0x100 && code <= 0x120) return static_cast<int>(code - 0x100);
  if (code >= 0x121 && code <= 0x142) return static_cast<int>(code - 0x121 + 0x7F);
  if (code == 0x143) return 0xAD;
  return (code > 0x20 && code < 0x7F) || (code > 0xA0 && code <= 0xFF && code != 0xAD)
             ? static_cast<int>(code)
             : -1;
}

class RegexCompiler;

class BytePairEncoder {
 public:
  explicit BytePairEncoder(const Allocator& allocator) noexcept
      : splitter_(allocator), strings_(allocator), string_slots_(allocator), pairs_(allocator) {}
  BytePairEncoder(const BytePairEncoder&) = delete;
  ~BytePairEncoder();

  // Reads tokenizer.ggml.merges. `patterns` cut text into words in place of the pre-tokenizer's, if
  // there are any. `vocabulary` must outlive the object, as must the file.
  // Errors: missing, corrupt (names key and index), bad_argument (the patterns), out_of_memory.
  Status create(const Gguf& file, const Vocabulary& vocabulary, Span<const char* const> patterns,
                const Allocator& allocator) noexcept;
  // The same in pieces of some 0.1 ms: begin(), then load_more() until it is complete().
  Status begin(const Gguf& file, const Vocabulary& vocabulary, Span<const char* const> patterns,
               const Allocator& allocator) noexcept;
  Status load_more() noexcept;
  bool complete() const noexcept { return next_rank_ > n_merges_; }

  // Working memory for one call of Tokenizer::encode.
  struct Scratch {
    explicit Scratch(const Allocator& allocator) noexcept
        : normalized(allocator),
          spaced(allocator),
          marks(allocator),
          spelled(allocator),
          merger(allocator) {}
    String normalized, spaced;
    Array<uint8_t> marks;
    String spelled;
    Merger merger;
  };
  // False: out of memory.
  [[nodiscard]] bool encode(std::string_view text, Scratch* scratch,
                            TokenSink* sink) const noexcept;

 private:
  // What merges make need not be a token: such texts get numbers from vocabulary size on.
  struct PartText {
    std::string_view first, second;
  };
  struct StringSlot {
    uint32_t hash, number = UINT32_MAX;
  };
  struct Pair {
    uint32_t left = UINT32_MAX, right = UINT32_MAX;
    uint32_t rank = kNoMerge, merged = 0;
  };
  static size_t pair_hash(uint32_t left, uint32_t right) noexcept {
    const uint64_t h = (uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(h >> 32);
  }

  struct Found {
    uint32_t number;  // UINT32_MAX: none has the text
    uint32_t hash;
    size_t slot;  // of string_slots_, where it is or would be
  };
  Found find_number(std::string_view first, std::string_view second) const noexcept;
  bool number_of(std::string_view first, std::string_view second, uint32_t* out) noexcept;
  Status add_pair(std::string_view merge, uint32_t rank) noexcept;
  bool has_flag(PreTokenizerFlags flag) const noexcept {
    return (vocabulary_->pre_tokenizer().flags & flag) != 0;
  }
  bool put_spaces(std::string_view text, String* out) const noexcept;
  bool put_space_marks(std::string_view text, String* out) const noexcept;
  bool encode_word(std::string_view word, Scratch* scratch, TokenSink* sink) const noexcept;
  bool spell(std::string_view word, String* out) const noexcept;

  const Vocabulary* vocabulary_ = nullptr;
  RegexSplitter splitter_;
  RegexCompiler* compiler_ = nullptr;  // of it, while it is made
  DigitGroups digit_groups_ = DigitGroups::none;
  char characters_[256][2] = {};  // of each byte, in UTF-8
  uint8_t character_sizes_[256] = {};
  uint32_t byte_symbols_[256] = {};  // number of the byte's character
  Token byte_tokens_[256] = {};  // for a byte of a text that is no token: the byte itself, or its
                                 // name if tokens are spelled in UTF-8, or kNoToken
  Array<PartText> strings_;      // texts that are no tokens, by number - vocabulary size
  Array<StringSlot> string_slots_;  // open hash table of them
  uint32_t guess_ = 0;              // what the next merge may make
  bool crowded_ = false;            // number_of met too many texts with one hash
  Array<Pair> pairs_;               // open hash table by left and right
  MetadataValue::Strings merges_;   // from next_rank_ on
  uint32_t n_merges_ = 0, next_rank_ = 0;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_BYTE_PAIR_ENCODER_HPP_
