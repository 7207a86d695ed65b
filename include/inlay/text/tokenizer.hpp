// Bytes to tokens and back, with the vocabulary that a GGUF file brings.
#ifndef INLAY_TEXT_TOKENIZER_HPP_
#define INLAY_TEXT_TOKENIZER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/host.hpp"
#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/gguf/gguf.hpp"

INLAY_BEGIN_NAMESPACE

using Token = int32_t;
inline constexpr Token kNoToken = -1;

// Special tokens of a vocabulary; kNoToken where it has none. Found by metadata key, else by
// well-known text.
struct SpecialTokens {
  Token bos = kNoToken, eos = kNoToken, eot = kNoToken, unknown = kNoToken, padding = kNoToken,
        newline = kNoToken;
  Token fim_prefix = kNoToken, fim_suffix = kNoToken, fim_middle = kNoToken;
  Token fim_pad = kNoToken, fim_repo = kNoToken, fim_separator = kNoToken;
  Token separator = kNoToken, mask = kNoToken;  // of encoders such as BERT
};

// What to use in place of what the file says. Only BPE vocabularies cut text into words first.
struct TokenizerOptions {
  // A name for tokenizer.ggml.pre, or null for the file's.
  const char* pre_tokenizer = nullptr;
  // Regular expressions that cut text into words, or none for those of the name. The first is
  // applied to the text, the second to each of the pieces that it left, and so on; a match is a
  // piece, and so is the text between two matches. Copied. Their syntax is that of tokenizer.json
  // without ^, \b, lazy repetitions, look-behinds and look-aheads of more than one character: a
  // pattern with one of them is an error that says where.
  Span<const char* const> patterns;
};

struct TokenizeOptions {
  bool add_special = true;    // BOS and EOS where the vocabulary's metadata asks for them
  bool parse_special = true;  // text such as "<|im_end|>" becomes the control token of that name
};

// Immutable once it is complete; any number of threads may use it. Copies nothing that the file's
// mapping already holds, so the Gguf must outlive it. Time is linear in the text for every
// vocabulary and every text (tested with a megabyte of one letter); nothing recurses.
class Tokenizer {
 public:
  // Errors: missing (no tokenizer keys), unsupported (names the tokenizer model), corrupt (names
  // key and index), bad_argument (a pattern of the options, with the byte that is wrong).
  static Result<Tokenizer> create(const Gguf& file, const Host& host = {},
                                  const TokenizerOptions& options = {}) noexcept;
  // The same, but for what takes long: build_more() does that, some 0.1 ms at a time, until it is
  // complete(). What `options` points to must stay until then.
  static Result<Tokenizer> begin(const Gguf& file, const Host& host = {},
                                 const TokenizerOptions& options = {}) noexcept;
  Status build_more(const Gguf& file) noexcept;
  bool complete() const noexcept;
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  uint32_t size() const noexcept;  // tokens in the vocabulary
  const SpecialTokens& special() const noexcept;
  // End of generation: EOS, EOT and what else the vocabulary ends with.
  bool is_end(Token token) const noexcept;
  bool is_control(Token token) const noexcept;  // has no text of its own
  bool adds_bos() const noexcept;
  bool adds_eos() const noexcept;
  bool adds_separator() const noexcept;  // between two texts
  // False when the file's tokenizer.ggml.pre is unknown and the default was taken instead (the log
  // says so). True if the options have patterns.
  bool pre_tokenizer_known() const noexcept;
  // Tokens that the model must never write: tokenizer.ggml.suppress_tokens.
  Span<const Token> suppressed() const noexcept;
  Span<const Token> ends() const noexcept;  // all tokens that end a text: see is_end

  // Upper bound of the tokens that a text of this many bytes becomes, special ones included, with
  // any vocabulary that has a token for each byte: an invalid byte can become three tokens (those
  // of U+FFFD), and so can a space and the space prefix after each special token. (Only a unigram
  // vocabulary's character map can make more of a text, of a rare character; encode then says how
  // many.)
  static size_t max_tokens(size_t text_bytes) noexcept { return 4 * text_bytes + 8; }

  // Writes ids to `out` and returns their number. Any bytes are valid text. Same ids as llama.cpp's
  // llama_tokenize. Errors: bad_argument (out is too small: needs at most max_tokens),
  // out_of_memory, unsupported (the file has no vocabulary: tokenizer.ggml.model is "none").
  Result<size_t> encode(std::string_view text, Span<Token> out,
                        const TokenizeOptions& options = {}) const noexcept;

  // The bytes of one token; may be part of a UTF-8 character. Control tokens give nothing unless
  // `special`. Returns the bytes needed; writes them only if they fit. Same bytes as llama.cpp's
  // llama_token_to_piece. 0 for an invalid id.
  size_t piece(Token token, Span<char> out, bool special = false) const noexcept;
  // The longest that piece() can return.
  size_t max_piece_bytes() const noexcept;

 private:
  struct Impl;
  explicit Tokenizer(Impl* impl) noexcept : impl_(impl) {}
  Impl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_TOKENIZER_HPP_
