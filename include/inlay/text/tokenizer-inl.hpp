#ifndef INLAY_TEXT_TOKENIZER_INL_HPP_
#define INLAY_TEXT_TOKENIZER_INL_HPP_

#include <cstring>

#include "inlay/text/byte_pair_encoder.hpp"
#include "inlay/text/longest_match_encoder.hpp"
#include "inlay/text/sentence_piece_encoder.hpp"
#include "inlay/text/special_splitter.hpp"
#include "inlay/text/tokenizer.hpp"
#include "inlay/text/unicode.hpp"
#include "inlay/text/unigram_encoder.hpp"
#include "inlay/text/vocabulary-inl.hpp"
#include "inlay/text/word_piece_encoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Writes pieces of a token's text as far as they fit, and counts them.
struct PieceSink {
  Span<char> out;
  size_t count = 0;
  void push(std::string_view bytes) noexcept {
    if (!bytes.empty() && count <= out.size() && bytes.size() <= out.size() - count) {
      std::memcpy(out.data() + count, bytes.data(), bytes.size());
    }
    count += bytes.size();
  }
  void push(char byte) noexcept { push(std::string_view(&byte, 1)); }
};

// Byte-level BPE's printable characters back to bytes. llama.cpp gives "[UNK_BYTE_0x...]" with the
// character's UTF-8 in hexadecimal and the token's whole text for a character that stands for no
// byte, so this does.
inline void unspell(std::string_view text, PieceSink* sink) noexcept {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const DecodedCharacter c = decode_utf8(at, end);
    at += c.bytes;
    const int byte = character_to_byte(c.code);
    if (byte >= 0) {
      sink->push(static_cast<char>(byte));
      continue;
    }
    sink->push("[UNK_BYTE_0x");
    char encoded[4];
    const uint32_t size = encode_utf8(c.code, encoded);
    for (uint32_t i = 0; i < size; ++i) {
      static constexpr char kHex[] = "0123456789abcdef";
      sink->push(kHex[static_cast<uint8_t>(encoded[i]) >> 4]);
      sink->push(kHex[static_cast<uint8_t>(encoded[i]) & 15]);
    }
    sink->push(text);
    sink->push(']');
  }
}

// The byte that a token such as <0x0A> stands for; 0 for what is not spelled so.
inline char byte_of_name(std::string_view text) noexcept {
  uint32_t value = 0;
  for (char c : slice(text, text.size() < 3 ? text.size() : 3, 2)) {
    const size_t digit = std::string_view("0123456789abcdef")
                             .find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
    if (digit == std::string_view::npos) break;
    value = value << 4 | static_cast<uint32_t>(digit);
  }
  return static_cast<char>(value);
}

}  // namespace detail

struct Tokenizer::Impl {
  explicit Impl(const Host& host) noexcept
      : allocator(host.allocator),
        vocabulary(host),
        specials(host.allocator),
        byte_pairs(host.allocator),
        word_pieces(host.allocator),
        unigrams(host.allocator),
        longest_matches(host.allocator) {}

  // Working memory for one call of encode.
  struct Scratch {
    explicit Scratch(const Allocator& allocator) noexcept
        : byte_pairs(allocator),
          sentence_pieces(allocator),
          word_pieces(allocator),
          unigrams(allocator) {}
    detail::BytePairEncoder::Scratch byte_pairs;
    detail::SentencePieceEncoder::Scratch sentence_pieces;
    detail::WordPieceEncoder::Scratch word_pieces;
    detail::UnigramEncoder::Scratch unigrams;
  };

  // False also for a kind that is not compiled in: what follows costs nothing then.
  template <detail::VocabularyKind kind>
  bool is() const noexcept {
    if constexpr (detail::is_compiled_in(kind)) return vocabulary.kind() == kind;
    return false;
  }
  Status build_more(const Gguf& file) noexcept;
  Status begin_encoder(const Gguf& file) noexcept;
  Status find_newline() noexcept;
  void measure_pieces() noexcept;
  [[nodiscard]] bool encode(std::string_view text, bool after_special, Scratch* scratch,
                            detail::TokenSink* sink) const noexcept;
  void piece(uint32_t token, detail::PieceSink* sink) const noexcept;
  // 0 for what is no token, and for all without a vocabulary.
  uint16_t traits(Token token) const noexcept {
    const bool known = vocabulary.kind() != detail::VocabularyKind::none && vocabulary.has(token);
    return known ? vocabulary.traits(static_cast<uint32_t>(token)) : uint16_t{0};
  }

  Allocator allocator;
  detail::Vocabulary vocabulary;
  detail::SpecialSplitter specials;
  // One of these is in use.
  detail::BytePairEncoder byte_pairs;
  detail::SentencePieceEncoder sentence_pieces;
  detail::WordPieceEncoder word_pieces;
  detail::UnigramEncoder unigrams;
  detail::LongestMatchEncoder longest_matches;
  size_t max_piece_bytes = 0;

  enum class Stage : uint8_t {
    vocabulary,
    specials,
    encoder,
    pieces,
    complete
  } stage = Stage::vocabulary;
  TokenizerOptions options;
  uint32_t next_piece = 0;  // the next whose bytes are to be counted
};

Status Tokenizer::Impl::build_more(const Gguf& file) noexcept {
  using detail::VocabularyKind;
  if (stage == Stage::vocabulary) {
    if (!vocabulary.complete()) return vocabulary.load_more(file);
    stage = vocabulary.kind() == VocabularyKind::none ? Stage::complete : Stage::specials;
    specials.begin(vocabulary);
    return {};
  }
  if (stage == Stage::specials) {
    if (!specials.complete()) return specials.load_more();
    stage = Stage::encoder;
    return begin_encoder(file);
  }
  if (stage == Stage::encoder) {
    if (is<VocabularyKind::byte_pairs>() && !byte_pairs.complete()) return byte_pairs.load_more();
    if (is<VocabularyKind::word_pieces>() && !word_pieces.complete()) {
      return word_pieces.load_more();
    }
    if (is<VocabularyKind::unigrams>() && !unigrams.complete()) return unigrams.load_more();
    if (is<VocabularyKind::longest_match>() && !longest_matches.complete()) {
      return longest_matches.load_more();
    }
    if (is<VocabularyKind::sentence_piece>() && !sentence_pieces.complete()) {
      sentence_pieces.load_more();
      return {};
    }
    stage = Stage::pieces;
    return find_newline();
  }
  measure_pieces();
  if (next_piece == vocabulary.size()) stage = Stage::complete;
  return {};
}

Status Tokenizer::Impl::begin_encoder(const Gguf& file) noexcept {
  using detail::VocabularyKind;
  if (is<VocabularyKind::byte_pairs>()) {
    return byte_pairs.begin(file, vocabulary, options.patterns, allocator);
  }
  if (is<VocabularyKind::sentence_piece>()) {
    sentence_pieces.begin(vocabulary);
  } else if (is<VocabularyKind::word_pieces>()) {
    word_pieces.begin(vocabulary);
  } else if (is<VocabularyKind::unigrams>()) {
    return unigrams.begin(file, vocabulary);
  } else if (is<VocabularyKind::longest_match>()) {
    return longest_matches.begin(vocabulary);
  }
  return {};
}

// The first token of a line break.
Status Tokenizer::Impl::find_newline() noexcept {
  Token newline = kNoToken;
  if (vocabulary.kind() == detail::VocabularyKind::sentence_piece) {
    newline = sentence_pieces.byte_token('\n');
  } else {
    Scratch scratch(allocator);
    detail::TokenSink sink{Span<Token>(&newline, 1)};
    if (!encode("\n", true, &scratch, &sink)) return Error(ErrorCode::out_of_memory);
    if (sink.count == 0) newline = vocabulary.special().padding;
  }
  vocabulary.set_newline(newline);
  return {};
}

void Tokenizer::Impl::measure_pieces() noexcept {
  constexpr uint32_t kAtOnce = 1024;
  for (uint32_t i = 0; i < kAtOnce && next_piece < vocabulary.size(); ++i, ++next_piece) {
    detail::PieceSink sink;
    piece(next_piece, &sink);
    if (sink.count > max_piece_bytes) max_piece_bytes = sink.count;
  }
}

// Ordinary text. `after_special`: it is the first, or behind a special token.
bool Tokenizer::Impl::encode(std::string_view text, bool after_special, Scratch* scratch,
                             detail::TokenSink* sink) const noexcept {
  using detail::VocabularyKind;
  if (is<VocabularyKind::byte_pairs>()) return byte_pairs.encode(text, &scratch->byte_pairs, sink);
  if (is<VocabularyKind::sentence_piece>()) {
    return sentence_pieces.encode(text, vocabulary.add_space_prefix() && after_special,
                                  &scratch->sentence_pieces, sink);
  }
  if (is<VocabularyKind::word_pieces>())
    return word_pieces.encode(text, &scratch->word_pieces, sink);
  if (is<VocabularyKind::unigrams>()) return unigrams.encode(text, &scratch->unigrams, sink);
  if (is<VocabularyKind::longest_match>()) longest_matches.encode(text, sink);
  return true;
}

void Tokenizer::Impl::piece(uint32_t token, detail::PieceSink* sink) const noexcept {
  using detail::VocabularyKind;
  const VocabularyKind kind = vocabulary.kind();
  const std::string_view text = vocabulary.text(token);
  const uint16_t traits = vocabulary.traits(token);
  if (kind == VocabularyKind::longest_match) {
    detail::unescape(text, [sink](char c) { sink->push(c); });
  } else if ((traits &
              (detail::kTokenUnknown | detail::kTokenControl | detail::kTokenUserDefined)) != 0) {
    sink->push(text);
  } else if ((traits & detail::kTokenNormal) != 0 && kind == VocabularyKind::byte_pairs &&
             (vocabulary.pre_tokenizer().flags & detail::kSpaceMarks) == 0) {
    detail::unspell(text, sink);
  } else if ((traits & detail::kTokenNormal) != 0) {
    for (size_t begin = 0;;) {
      const size_t mark = text.find(detail::kSpaceMark, begin);
      sink->push(detail::slice(text, begin, mark - begin));
      if (mark == std::string_view::npos) break;
      sink->push(' ');
      begin = mark + detail::kSpaceMark.size();
    }
  } else if ((traits & detail::kTokenByte) != 0) {
    sink->push(detail::byte_of_name(text));
  }
}

Result<Tokenizer> Tokenizer::begin(const Gguf& file, const Host& host,
                                   const TokenizerOptions& options) noexcept {
  Tokenizer tokenizer(detail::create<Impl>(host.allocator, host));
  if (tokenizer.impl_ == nullptr) return Error(ErrorCode::out_of_memory);
  tokenizer.impl_->options = options;
  INLAY_TRY(tokenizer.impl_->vocabulary.begin(file, options));
  return Result<Tokenizer>(std::move(tokenizer));
}

Status Tokenizer::build_more(const Gguf& file) noexcept { return impl_->build_more(file); }
bool Tokenizer::complete() const noexcept { return impl_->stage == Impl::Stage::complete; }

Result<Tokenizer> Tokenizer::create(const Gguf& file, const Host& host,
                                    const TokenizerOptions& options) noexcept {
  Result<Tokenizer> tokenizer = begin(file, host, options);
  while (tokenizer && !tokenizer->complete()) {
    if (Status status = tokenizer->build_more(file); !status) return status.error();
  }
  return tokenizer;
}

Tokenizer::Tokenizer(Tokenizer&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }

Tokenizer& Tokenizer::operator=(Tokenizer&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Tokenizer::~Tokenizer() {
  if (impl_ != nullptr) detail::destroy(impl_->allocator, impl_);
}

uint32_t Tokenizer::size() const noexcept { return impl_->vocabulary.size(); }
const SpecialTokens& Tokenizer::special() const noexcept { return impl_->vocabulary.special(); }
bool Tokenizer::adds_bos() const noexcept { return impl_->vocabulary.add_bos(); }
bool Tokenizer::adds_eos() const noexcept { return impl_->vocabulary.add_eos(); }
bool Tokenizer::adds_separator() const noexcept { return impl_->vocabulary.add_separator(); }
bool Tokenizer::pre_tokenizer_known() const noexcept {
  return impl_->vocabulary.pre_tokenizer_known();
}
Span<const Token> Tokenizer::suppressed() const noexcept { return impl_->vocabulary.suppressed(); }
Span<const Token> Tokenizer::ends() const noexcept { return impl_->vocabulary.ends(); }
size_t Tokenizer::max_piece_bytes() const noexcept { return impl_->max_piece_bytes; }

bool Tokenizer::is_end(Token token) const noexcept {
  return (impl_->traits(token) & detail::kTokenEnd) != 0;
}

bool Tokenizer::is_control(Token token) const noexcept {
  return (impl_->traits(token) & detail::kTokenControl) != 0;
}

Result<size_t> Tokenizer::encode(std::string_view text, Span<Token> out,
                                 const TokenizeOptions& options) const noexcept {
  const detail::Vocabulary& vocabulary = impl_->vocabulary;
  // Positions have 32 bits, and a space may become three bytes.
  constexpr size_t kMaxBytes = size_t{1} << 30;
  if (text.size() > kMaxBytes)
    return Error(ErrorCode::bad_argument, "text to tokenize: expected at most 1 GiB");

  if (vocabulary.kind() == detail::VocabularyKind::none)
    return Error(ErrorCode::unsupported, "the model has no vocabulary: it reads token ids only");

  detail::Array<detail::Fragment> fragments(impl_->allocator);
  if (!impl_->specials.split(text, options.parse_special, &fragments))
    return Error(ErrorCode::out_of_memory);

  detail::TokenSink sink{out};
  if (options.add_special && vocabulary.add_bos() && vocabulary.special().bos != kNoToken) {
    sink.push(vocabulary.special().bos);
  }
  Impl::Scratch scratch(impl_->allocator);
  bool after_special = true;
  for (const detail::Fragment& fragment : fragments) {
    after_special = after_special || fragment.token != kNoToken;
    if (fragment.token != kNoToken) {
      sink.push(fragment.token);
    } else if (!impl_->encode(fragment.text, after_special, &scratch, &sink)) {
      return Error(ErrorCode::out_of_memory);
    } else {
      after_special = false;
    }
  }
  // Word pieces end with a separator, whatever the flags say.
  const Token last = vocabulary.kind() == detail::VocabularyKind::word_pieces
                         ? vocabulary.special().separator
                     : vocabulary.add_eos() ? vocabulary.special().eos
                                            : kNoToken;
  if (options.add_special && last != kNoToken) sink.push(last);
  if (sink.count > out.size()) {
    return Error(ErrorCode::bad_argument, "room for ")
           << static_cast<uint64_t>(out.size()) << " tokens: the text has "
           << static_cast<uint64_t>(sink.count);
  }
  return sink.count;
}

size_t Tokenizer::piece(Token token, Span<char> out, bool special) const noexcept {
  const uint16_t traits = impl_->traits(token);
  if (!special && (traits & (detail::kTokenUnknown | detail::kTokenControl)) != 0) return 0;
  if (impl_->vocabulary.kind() == detail::VocabularyKind::none || !impl_->vocabulary.has(token))
    return 0;
  const auto index = static_cast<uint32_t>(token);
  detail::PieceSink sink;
  impl_->piece(index, &sink);
  if (sink.count > out.size()) return sink.count;
  sink = detail::PieceSink{out};
  impl_->piece(index, &sink);
  return sink.count;
}

INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_TOKENIZER_INL_HPP_
