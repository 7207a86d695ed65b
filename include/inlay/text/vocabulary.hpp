// The tokens of a vocabulary: their texts, kinds and scores, and which of them have a special
// meaning.
#ifndef INLAY_TEXT_VOCABULARY_HPP_
#define INLAY_TEXT_VOCABULARY_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/text/hash.hpp"
#include "inlay/text/pre_tokenizer.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// What a token is: bits. A token of the file has one of the first six; looking like a control token
// can add another.
enum TokenTraits : uint16_t {
  kTokenNormal = 1 << 0,
  kTokenUnknown = 1 << 1,
  kTokenControl = 1 << 2,
  kTokenUserDefined = 1 << 3,
  kTokenUnused = 1 << 4,
  kTokenByte = 1 << 5,
  kTokenStripLeft = 1 << 6,   // swallows whitespace before it
  kTokenStripRight = 1 << 7,  // and behind it
  kTokenEnd = 1 << 8,         // of generation
};

enum class VocabularyKind : uint8_t {
  none,            // the model reads ids only
  sentence_piece,  // "llama"
  byte_pairs,      // "gpt2", "gemma4", "whitespace"
  word_pieces,     // "bert"
  unigrams,        // "t5"
  longest_match    // "rwkv"
};

// How word pieces treat characters: tokenizer.ggml.normalizer.
struct Normalizer {
  bool lowercase = true, strip_accents = true;
};

class Vocabulary {
 public:
  explicit Vocabulary(const Host& host) noexcept
      : host_(host),
        tokens_(host.allocator),
        traits_(host.allocator),
        slots_(host.allocator),
        suppressed_(host.allocator),
        ends_(host.allocator),
        names_(host.allocator) {}

  // Reads all keys of tokenizer.ggml but the merges and the character map.
  Status load(const Gguf& file, const TokenizerOptions& options = {}) noexcept;
  // The same in pieces of some 0.1 ms: begin(), then load_more() until it is complete().
  Status begin(const Gguf& file, const TokenizerOptions& options) noexcept;
  Status load_more(const Gguf& file) noexcept;
  bool complete() const noexcept { return stage_ == Stage::complete; }

  VocabularyKind kind() const noexcept { return kind_; }
  const PreTokenizer& pre_tokenizer() const noexcept { return *pre_tokenizer_; }
  bool pre_tokenizer_known() const noexcept { return pre_tokenizer_known_; }
  bool add_bos() const noexcept { return add_bos_; }
  bool add_eos() const noexcept { return add_eos_; }
  bool add_separator() const noexcept { return add_separator_; }
  bool add_space_prefix() const noexcept { return add_space_prefix_; }
  bool remove_extra_spaces() const noexcept { return remove_extra_spaces_; }
  // Whitespace only separates words, which are normalized: "whitespace".
  bool drop_spaces() const noexcept { return drop_spaces_; }
  const Normalizer& normalizer() const noexcept { return normalizer_; }
  Span<const Token> suppressed() const noexcept { return suppressed_.span(); }
  Span<const Token> ends() const noexcept { return ends_.span(); }
  const SpecialTokens& special() const noexcept { return special_; }
  void set_newline(Token token) noexcept { special_.newline = token; }

  uint32_t size() const noexcept { return size_; }
  bool has(Token token) const noexcept {
    return token >= 0 && static_cast<uint32_t>(token) < size();
  }
  // The following only if the kind is not none.
  std::string_view text(uint32_t token) const noexcept {
    return {tokens_[token].text, tokens_[token].size};
  }
  float score(uint32_t token) const noexcept { return tokens_[token].score; }
  uint16_t traits(uint32_t token) const noexcept { return traits_[token]; }
  size_t longest() const noexcept { return longest_; }  // bytes of a token's text

  // The token with that text, or kNoToken.
  Token find(std::string_view text) const noexcept { return find(text, {}); }
  // The same for the text `first` followed by `second`.
  Token find(std::string_view first, std::string_view second) const noexcept;

 private:
  struct TokenData {
    const char* text;
    uint32_t size;
    float score;
  };
  struct Slot {
    uint32_t hash;
    Token token = kNoToken;
  };

  enum class Stage : uint8_t { texts, entries, ends, complete };

  Status load_kind(const Gguf& file, const TokenizerOptions& options) noexcept;
  Status load_size(const Gguf& file) noexcept;
  Status begin_tokens(const Gguf& file) noexcept;
  Status load_texts() noexcept;
  Status load_entries(const Gguf& file) noexcept;
  Status add_slot(uint32_t token) noexcept;
  Status finish_tokens() noexcept;
  Status load_ids(const Gguf& file) noexcept;
  Status load_flags(const Gguf& file) noexcept;
  Status load_suppressed(const Gguf& file) noexcept;
  Status list_ends() noexcept;
  void detect_special() noexcept;
  void detect_stripping(const Gguf& file) noexcept;
  Token detect(Token known, std::string_view text) noexcept;
  void warn(const Error& text) const noexcept;

  Host host_;
  VocabularyKind kind_ = VocabularyKind::byte_pairs;
  const PreTokenizer* pre_tokenizer_ = nullptr;
  bool pre_tokenizer_known_ = true;
  bool add_bos_ = false, add_eos_ = false, add_separator_ = false;
  bool add_space_prefix_ = false, remove_extra_spaces_ = false, drop_spaces_ = false;
  Normalizer normalizer_;
  SpecialTokens special_;
  Token end_of_message_ = kNoToken;
  uint32_t size_ = 0;
  size_t longest_ = 0;
  Array<TokenData> tokens_;  // [size]
  Array<uint16_t> traits_;   // [size] TokenTraits
  Array<Slot> slots_;        // open hash table of texts
  Array<Token> suppressed_;
  Array<Token> ends_;  // those with kTokenEnd
  String names_;       // made-up texts of tokens whose own is empty

  // How far loading has come.
  Stage stage_ = Stage::texts;
  MetadataValue::Strings texts_;  // of the tokens from size of tokens_ on
  size_t n_unnamed_ = 0;          // of them, tokens without a text
  uint32_t next_ = 0;             // that may be an end
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_VOCABULARY_HPP_
