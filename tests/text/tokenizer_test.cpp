#include "inlay/text/tokenizer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "inlay/text/pre_tokenizer.hpp"
#include "inlay/text/unicode.hpp"
#include "support/counting_allocator.hpp"
#include "support/mixed_text.hpp"
#include "support/pre_tokenizer_cases.hpp"
#include "support/vocabularies.hpp"
#include "support/vocabulary_folder.hpp"

using namespace inlay;

namespace {

// What tests/golden/tokenizer_record.cpp recorded.
struct IdHash {
  size_t count;
  uint64_t hash;
};
struct VocabularyFacts {
  Token ids[10];
  size_t ends;
  uint64_t ends_hash;
  size_t controls;
  uint64_t controls_hash;
  uint64_t pieces_hash, special_pieces_hash;
};
#include "golden/tokenizer.inc"
#include "golden/tokenizer_megabytes.inc"

// What tests/golden/pre_tokenizer_record.cpp recorded.
struct PreTokenizerHashes {
  const char* names;  // with spaces between them
  const char* made;   // four digits for each text
  const char* real;
};
#include "golden/pre_tokenizer.inc"

struct Loaded {
  explicit Loaded(std::vector<uint8_t> file, const Host& host = {}) : bytes(std::move(file)) {
    Result<Gguf> opened = Gguf::from_memory({bytes.data(), bytes.size()});
    REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
    gguf.emplace_back(std::move(*opened));
    Result<Tokenizer> created = Tokenizer::create(gguf[0], host);
    REQUIRE_MESSAGE(created.has_value(), created.error().message());
    tokenizer.emplace_back(std::move(*created));
  }
  const Tokenizer* operator->() const { return &tokenizer[0]; }

  std::vector<Token> encode(const std::string& text, bool add_special = true,
                            bool parse_special = true) const {
    std::vector<Token> ids(Tokenizer::max_tokens(text.size()));
    TokenizeOptions options;
    options.add_special = add_special;
    options.parse_special = parse_special;
    const Result<size_t> count = tokenizer[0].encode(text, ids, options);
    REQUIRE_MESSAGE(count.has_value(), count.error().message());
    ids.resize(*count);
    return ids;
  }
  std::string piece(Token token, bool special = false) const {
    std::string bytes_of(tokenizer[0].max_piece_bytes(), '?');
    const size_t size = tokenizer[0].piece(token, {&bytes_of[0], bytes_of.size()}, special);
    REQUIRE(size <= bytes_of.size());
    return bytes_of.substr(0, size);
  }
  std::string decode(const std::vector<Token>& ids) const {
    std::string text;
    for (Token id : ids) text += piece(id);
    return text;
  }

  std::vector<uint8_t> bytes;
  std::vector<Gguf> gguf;
  std::vector<Tokenizer> tokenizer;
};

// Under a sanitizer a tenth of the text must do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr bool kSlow = true;
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
      __has_feature(memory_sanitizer)
constexpr bool kSlow = true;
#  else
constexpr bool kSlow = false;
#  endif
#else
constexpr bool kSlow = false;
#endif

// The real vocabulary, or nothing if the folder is not there, which the test's output then says.
std::vector<uint8_t> load_real(const inlay_test::RealVocabulary& v) {
  const std::string folder = inlay_test::vocabulary_folder();
  std::vector<uint8_t> file = inlay_test::load(v, folder);
  if (file.empty()) {
    MESSAGE("skipped: no ggml-vocab-" << std::string(v.file) << ".gguf in " << folder);
  }
  return file;
}

std::vector<std::string> split_lines(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t found; (found = text.find(separator, at)) != std::string::npos;
       at = found + separator.size()) {
    parts.push_back(text.substr(at, found - at));
  }
  parts.push_back(text.substr(at));
  return parts;
}

// What a byte-level vocabulary makes of invalid bytes.
std::string with_replacements(const std::string& text) {
  detail::String storage;
  std::string_view normal;
  REQUIRE(detail::normalize_utf8(text, &storage, &normal));
  return std::string(normal);
}

}  // namespace

TEST_CASE("tokenizer: small vocabularies as in llama.cpp") {
  const std::vector<std::string> texts = inlay_test::small_texts();
  const std::vector<inlay_test::SmallVocabulary> all = inlay_test::small_vocabularies();
  REQUIRE(all.size() == std::size(kTextHashes));
  REQUIRE(texts.size() == std::size(kTextHashes[0]));
  for (size_t v = 0; v < all.size(); ++v) {
    CAPTURE(all[v].name);
    const Loaded tokenizer(all[v].file);
    for (size_t t = 0; t < texts.size(); ++t) {
      CAPTURE(texts[t]);
      for (size_t options = 0; options < 4; ++options) {
        const std::vector<Token> ids =
            tokenizer.encode(texts[t], (options & 1) != 0, (options & 2) != 0);
        CHECK(ids.size() == kTextHashes[v][t][options].count);
        CHECK(inlay_test::hash_ids(ids.data(), ids.size()) == kTextHashes[v][t][options].hash);
      }
    }
  }
}

TEST_CASE("tokenizer: every name of a pre-tokenizer as in llama.cpp") {
  const std::vector<std::string> texts = inlay_test::pre_tokenizer_texts();
  const std::vector<uint8_t> made[] = {inlay_test::unbroken_vocabulary(false),
                                       inlay_test::unbroken_vocabulary(true)};
  const std::vector<uint8_t> real = load_real({"deepseek-llm", "deepseek-llm", ""});
  const auto check = [&texts](std::vector<uint8_t> file, const std::string& digits) {
    const Loaded tokenizer(std::move(file));
    CHECK(tokenizer->pre_tokenizer_known());
    REQUIRE(digits.size() == 4 * texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      CAPTURE(i);
      CAPTURE(texts[i]);
      const std::vector<Token> ids = tokenizer.encode(texts[i]);
      CHECK(inlay_test::short_hash(ids.data(), ids.size()) == digits.substr(4 * i, 4));
    }
  };
  std::set<std::string> recorded;
  for (const PreTokenizerHashes& row : kPreTokenizerHashes) {
    std::istringstream names(row.names);
    for (std::string name; names >> name;) {
      CAPTURE(name);
      recorded.insert(name);
      const detail::PreTokenizer* known = detail::find_pre_tokenizer(name);
      REQUIRE(known != nullptr);
      if (*row.made == '\0') continue;  // llama.cpp has no such name
      const bool raw = (known->flags & detail::kRawUtf8) != 0;
      check(inlay_test::with_pre_tokenizer(made[raw ? 1 : 0], name), row.made);
      if (!real.empty()) check(inlay_test::with_pre_tokenizer(real, name), row.real);
    }
  }
  for (const detail::PreTokenizer& row : detail::pre_tokenizers()) {
    std::istringstream names(row.names);
    for (std::string name; names >> name;) {
      CAPTURE(name);
      CHECK(recorded.count(name) == 1);
    }
  }
}

TEST_CASE("tokenizer: special tokens and pieces as in llama.cpp") {
  const auto check = [](const std::vector<inlay_test::SmallVocabulary>& all,
                        Span<const VocabularyFacts> recorded) {
    REQUIRE(all.size() == recorded.size());
    for (size_t v = 0; v < all.size(); ++v) {
      CAPTURE(all[v].name);
      const Loaded tokenizer(all[v].file);
      const VocabularyFacts& facts = recorded[v];
      const SpecialTokens& s = tokenizer->special();
      const Token ids[] = {s.bos,        s.eos,        s.padding, s.newline,  s.fim_prefix,
                           s.fim_suffix, s.fim_middle, s.fim_pad, s.fim_repo, s.fim_separator};
      for (size_t i = 0; i < std::size(ids); ++i) {
        CAPTURE(i);
        CHECK(ids[i] == facts.ids[i]);
      }
      std::vector<Token> ends, controls;
      std::string pieces, special_pieces;
      for (Token id = 0; id < static_cast<Token>(tokenizer->size()); ++id) {
        if (tokenizer->is_end(id)) ends.push_back(id);
        if (tokenizer->is_control(id)) controls.push_back(id);
        pieces += tokenizer.piece(id) + '\n';
        special_pieces += tokenizer.piece(id, true) + '\n';
      }
      CHECK(ends.size() == facts.ends);
      CHECK(inlay_test::hash_ids(ends.data(), ends.size()) == facts.ends_hash);
      CHECK(controls.size() == facts.controls);
      CHECK(inlay_test::hash_ids(controls.data(), controls.size()) == facts.controls_hash);
      CHECK(inlay_test::hash_text(pieces) == facts.pieces_hash);
      CHECK(inlay_test::hash_text(special_pieces) == facts.special_pieces_hash);
    }
  };
  check(inlay_test::small_vocabularies(), kFacts);
  check(inlay_test::special_vocabularies(), kSpecialFacts);
}

TEST_CASE("tokenizer: ten megabytes of mixed text as in llama.cpp") {
  REQUIRE(std::size(kPartHashes) == std::size(inlay_test::kRealVocabularies));
  for (size_t v = 0; v < std::size(inlay_test::kRealVocabularies); ++v) {
    std::vector<uint8_t> file = load_real(inlay_test::kRealVocabularies[v]);
    if (file.empty()) continue;
    CAPTURE(std::string(inlay_test::kRealVocabularies[v].name));
    const Loaded tokenizer(std::move(file));
    for (uint32_t part = 0; part < (kSlow ? 1 : inlay_test::kParts); ++part) {
      const std::vector<Token> ids = tokenizer.encode(inlay_test::mixed_part(part));
      CHECK(ids.size() == kPartHashes[v][part].count);
      CHECK(inlay_test::hash_ids(ids.data(), ids.size()) == kPartHashes[v][part].hash);
    }
  }
}

TEST_CASE("tokenizer: the vectors beside the vocabularies") {
  // llama.cpp, models/ggml-vocab-*.gguf.inp and .out: made with the models' own tokenizers.
  for (const inlay_test::RealVocabulary& v : inlay_test::kRealVocabularies) {
    if (!v.pre.empty()) continue;
    std::vector<uint8_t> file = load_real(v);
    if (file.empty()) continue;
    CAPTURE(std::string(v.name));
    const Loaded tokenizer(std::move(file));
    const std::string path =
        inlay_test::vocabulary_folder() + "/ggml-vocab-" + std::string(v.file) + ".gguf";
    const std::vector<uint8_t> in = inlay_test::read_file(path + ".inp"),
                               out = inlay_test::read_file(path + ".out");
    const std::vector<std::string> texts =
        split_lines({in.begin(), in.end()}, "\n__ggml_vocab_test__\n");
    const std::vector<std::string> lines = split_lines({out.begin(), out.end()}, "\n");
    REQUIRE(texts.size() == lines.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      CAPTURE(texts[i]);
      std::istringstream expected_ids(lines[i]);
      std::vector<Token> expected;
      for (Token id; expected_ids >> id;) expected.push_back(id);
      CHECK(tokenizer.encode(texts[i], false, false) == expected);
    }
  }
}

TEST_CASE("tokenizer: any text comes back") {
  const auto round_trips = [](const Loaded& tokenizer, bool sentence_pieces) {
    // Some vocabularies have no token for bytes that only rare characters need; they vanish.
    bool is_token[256] = {};
    for (uint32_t id = 0; id < tokenizer->size(); ++id) {
      const std::string piece = tokenizer.piece(static_cast<Token>(id));
      if (piece.size() == 1) is_token[static_cast<uint8_t>(piece[0])] = true;
    }
    CHECK(std::count(is_token + ' ', is_token + 0x7F, true) == 0x7F - ' ');
    const auto vanishes = [&is_token](char c) { return !is_token[static_cast<uint8_t>(c)]; };
    inlay_test::MixedText random(77);
    for (int i = 0; i < (kSlow ? 40 : 400); ++i) {
      std::string text;
      if (i % 2 == 0) text = with_replacements(random.make(200));
      for (int k = 0; i % 2 != 0 && k < 5; ++k) random.junk(&text);
      // A space after a byte that begins a longer character is taken for a part of that, as in
      // llama.cpp, and the mark that stands for a space comes back as one.
      if (i % 2 != 0) text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
      if (text.find("\xE2\x96\x81") != std::string::npos) continue;
      const std::string decoded = tokenizer.decode(tokenizer.encode(text, false, false));
      // Byte tokens keep invalid bytes, and there is a space in front of everything.
      if (sentence_pieces) REQUIRE(decoded == " " + text);
      if (sentence_pieces) continue;
      text = with_replacements(text);
      text.erase(std::remove_if(text.begin(), text.end(), vanishes), text.end());
      REQUIRE(decoded == text);
    }
  };
  // Every byte is a token of its own.
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>", "\xE2\x96\x81"};
  std::vector<int32_t> types{2, 3, 3, 1};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    tokens.push_back(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">");
    types.push_back(6);
  }
  round_trips(Loaded(inlay_test::GgufBuilder()
                         .string("tokenizer.ggml.model", "llama")
                         .strings("tokenizer.ggml.tokens", tokens)
                         .i32s("tokenizer.ggml.token_type", types)
                         .bytes()),
              true);
  tokens.clear();
  for (uint32_t byte = 0; byte < 256; ++byte) tokens.push_back(inlay_test::byte_character(byte));
  for (const char* pre : {"default", "llama-bpe", "deepseek-llm"}) {
    round_trips(Loaded(inlay_test::GgufBuilder()
                           .string("tokenizer.ggml.model", "gpt2")
                           .string("tokenizer.ggml.pre", pre)
                           .strings("tokenizer.ggml.tokens", tokens)
                           .strings("tokenizer.ggml.merges", {})
                           .bytes()),
                false);
  }
  for (const inlay_test::RealVocabulary& v : inlay_test::kRealVocabularies) {
    if (!v.pre.empty() || v.name == "bert-bge") continue;
    std::vector<uint8_t> file = load_real(v);
    if (!file.empty()) round_trips(Loaded(std::move(file)), v.file == "llama-spm");
  }
}

TEST_CASE("tokenizer: a megabyte of one thing") {
  // Each takes a fraction of a second; quadratic work would take hours.
  const size_t n = kSlow ? 100000 : 1000000;
  std::vector<std::string> texts;
  for (const char* unit : {"a", " ", "\n", " \n", "1", "\xE4\xB8\xAD", "\xFF", "\xF0\x9F\x98\x80",
                           "<|im_", "'", "a "}) {
    std::string text;
    while (text.size() < n) text += unit;
    texts.push_back(text);
  }
  texts.push_back(std::string(n, ' ') + "x");
  const auto check = [&texts](const Loaded& tokenizer) {
    for (const std::string& text : texts) {
      const size_t count = tokenizer.encode(text).size();
      CHECK(count > 0);
      CHECK(count <= Tokenizer::max_tokens(text.size()));
    }
  };
  for (const char* pre : {"default", "llama-bpe", "deepseek-llm", "deepseek-coder"}) {
    check(Loaded(inlay_test::small_byte_pairs(pre).file));
  }
  check(Loaded(inlay_test::small_sentence_pieces(0).file));
  for (const inlay_test::RealVocabulary& v : inlay_test::kRealVocabularies) {
    if (v.name != "llama-spm" && v.name != "deepseek-llm") continue;
    std::vector<uint8_t> file = load_real(v);
    if (!file.empty()) check(Loaded(std::move(file)));
  }
}

TEST_CASE("tokenizer: room for tokens and for pieces") {
  const Loaded tokenizer(inlay_test::small_byte_pairs("gpt-2").file);
  const std::vector<Token> all = tokenizer.encode("hello world");
  REQUIRE(all.size() == 2);
  Token one[1] = {-7};
  Result<size_t> count = tokenizer->encode("hello world", one);
  REQUIRE(!count);
  CHECK(count.error().code() == ErrorCode::bad_argument);
  CHECK(std::string(count.error().message()) == "room for 1 tokens: the text has 2");
  count = tokenizer->encode("", {});
  REQUIRE(count);
  CHECK(*count == 0);

  char three[3] = {'x', 'x', 'x'};
  CHECK(tokenizer->piece(all[0], three) == 5);
  CHECK(std::string(three, 3) == "xxx");
  CHECK(tokenizer->piece(all[0], {}) == 5);
  CHECK(tokenizer->piece(-1, three) == 0);
  CHECK(tokenizer->piece(static_cast<Token>(tokenizer->size()), three) == 0);
  CHECK(!tokenizer->is_end(-1));
  CHECK(!tokenizer->is_control(static_cast<Token>(tokenizer->size())));
}

TEST_CASE("tokenizer: a pre-tokenizer that nobody knows, and what a user can do about it") {
  const std::vector<uint8_t> bytes = inlay_test::with_string(
      inlay_test::small_byte_pairs("default").file, "tokenizer.ggml.pre", "tomorrow");
  const Result<Gguf> file = Gguf::from_memory({bytes.data(), bytes.size()});
  REQUIRE(file);
  std::string log;
  Host host;
  host.log.user = &log;
  host.log.write = [](void* user, LogLevel level, const char* text) {
    CHECK(level == LogLevel::warning);
    static_cast<std::string*>(user)->append(text).append("\n");
  };
  const auto encode = [](const Tokenizer& tokenizer, const std::string& text) {
    std::vector<Token> ids(Tokenizer::max_tokens(text.size()));
    const Result<size_t> count = tokenizer.encode(text, ids);
    REQUIRE(count);
    ids.resize(*count);
    return ids;
  };
  const std::string text = "hello  world 123's aaaa\n\n";
  const Result<Tokenizer> unknown = Tokenizer::create(*file, host);
  REQUIRE(unknown);
  CHECK(!unknown->pre_tokenizer_known());
  CHECK(
      log ==
      "tokenizer.ggml.pre is unknown: 'tomorrow'; words are cut by the default rule and tokens may "
      "differ from the model's\n");
  CHECK(encode(*unknown, text) ==
        Loaded(inlay_test::small_byte_pairs("default").file).encode(text));

  log.clear();
  TokenizerOptions options;
  options.pre_tokenizer = "llama-bpe";
  const Result<Tokenizer> renamed = Tokenizer::create(*file, host, options);
  REQUIRE(renamed);
  CHECK(renamed->pre_tokenizer_known());
  CHECK(renamed->adds_bos());
  CHECK(encode(*renamed, text) ==
        Loaded(inlay_test::small_byte_pairs("llama-bpe").file).encode(text));

  // Qwen's, as in its tokenizer.json.
  const char* const patterns[] = {
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
  options = TokenizerOptions();
  options.patterns = patterns;
  const Result<Tokenizer> cut = Tokenizer::create(*file, host, options);
  REQUIRE(cut);
  CHECK(cut->pre_tokenizer_known());
  const Loaded qwen(inlay_test::small_byte_pairs("qwen2").file);
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const std::string mixed = inlay_test::MixedText(seed).make(500);
    CHECK(encode(*cut, mixed) == qwen.encode(mixed));
  }
  CHECK(log.empty());

  const char* const wrong[] = {"a", "b(?<=c)"};
  options.patterns = wrong;
  const Result<Tokenizer> refused = Tokenizer::create(*file, host, options);
  REQUIRE(!refused);
  CHECK(refused.error().code() == ErrorCode::bad_argument);
  CHECK(std::string(refused.error().message()) ==
        "regular expression 'b(?<=c)': byte 1 is not supported");
}

TEST_CASE("tokenizer: a file without a vocabulary") {
  const Loaded tokenizer(inlay_test::GgufBuilder()
                             .string("general.architecture", "mamba")
                             .string("tokenizer.ggml.model", "none")
                             .u32("mamba.vocab_size", 1000)
                             .bytes());
  CHECK(tokenizer->size() == 1000);
  CHECK(tokenizer->special().bos == kNoToken);
  CHECK(tokenizer->max_piece_bytes() == 0);
  char bytes[8];
  CHECK(tokenizer->piece(5, bytes, true) == 0);
  CHECK(!tokenizer->is_end(5));
  CHECK(!tokenizer->is_control(5));
  Token room[8];
  const Result<size_t> count = tokenizer->encode("x", room);
  REQUIRE(!count);
  CHECK(count.error().code() == ErrorCode::unsupported);

  const std::vector<uint8_t> without_size =
      inlay_test::GgufBuilder().string("tokenizer.ggml.model", "no_vocab").bytes();
  const Result<Gguf> file = Gguf::from_memory({without_size.data(), without_size.size()});
  REQUIRE(file);
  const Result<Tokenizer> refused = Tokenizer::create(*file);
  REQUIRE(!refused);
  CHECK(refused.error().code() == ErrorCode::missing);
}

TEST_CASE("tokenizer: suppressed tokens, and flags that the file cannot take back") {
  const Loaded gemma(inlay_test::small_utf8_pairs("gemma4").file);
  const Span<const Token> suppressed = gemma->suppressed();
  REQUIRE(suppressed.size() == 2);  // of four, two are no tokens
  CHECK(suppressed[0] == 5);
  CHECK(suppressed[1] == 7);
  CHECK(gemma->adds_bos());
  CHECK(Loaded(inlay_test::small_word_pieces(4).file)->adds_bos());
  CHECK(Loaded(inlay_test::small_byte_pairs("gpt-2").file)->suppressed().empty());
}

TEST_CASE("tokenizer: moves") {
  Loaded a(inlay_test::small_byte_pairs("gpt-2").file),
      b(inlay_test::small_sentence_pieces(0).file);
  const uint32_t sizes[] = {a->size(), b->size()};
  Tokenizer moved(std::move(a.tokenizer[0]));
  CHECK(moved.size() == sizes[0]);
  moved = std::move(b.tokenizer[0]);
  CHECK(moved.size() == sizes[1]);
}

TEST_CASE("when any one allocation fails, a tokenizer says so and gives all back") {
  for (const inlay_test::SmallVocabulary& v :
       {inlay_test::small_byte_pairs("deepseek-llm"), inlay_test::small_sentence_pieces(0),
        inlay_test::small_word_pieces(0), inlay_test::small_unigrams(7),
        inlay_test::small_longest_matches(), inlay_test::small_utf8_pairs("gemma4"),
        inlay_test::small_utf8_pairs("whitespace")}) {
    CAPTURE(v.name);
    const Result<Gguf> file = Gguf::from_memory({v.file.data(), v.file.size()});
    REQUIRE(file);
    const std::string text =
        inlay_test::MixedText(1).make(300) + std::string(100, 'a') + "<|im_end|><user>xyz\xFF";
    for (size_t fail_at = 0;; ++fail_at) {
      inlay_test::CountingAllocator memory(fail_at);
      bool ok = false;
      {
        Host host;
        host.allocator = memory.get();
        const Result<Tokenizer> tokenizer = Tokenizer::create(*file, host);
        if (!tokenizer) CHECK(tokenizer.error().code() == ErrorCode::out_of_memory);
        if (tokenizer) {
          std::vector<Token> ids(Tokenizer::max_tokens(text.size()));
          const Result<size_t> count = tokenizer->encode(text, ids);
          ok = count.has_value();
          if (!count) CHECK(count.error().code() == ErrorCode::out_of_memory);
        }
      }
      CHECK(memory.live_blocks() == 0);
      CHECK(memory.wrong_releases() == 0);
      CHECK(ok != memory.failed());
      if (!memory.failed()) break;
      REQUIRE(fail_at < 2000);
    }
  }
}

TEST_CASE("tokenizer: a vocabulary of nonsense is read or refused, never more") {
  // Bytes of good files are changed: whatever comes of it stays within bounds (sanitizers
  // watch).
  inlay_test::MixedText random(13);
  const std::string text = inlay_test::MixedText(2).make(500);
  uint32_t accepted = 0;
  for (const inlay_test::SmallVocabulary& v :
       {inlay_test::small_byte_pairs("gpt-2"), inlay_test::small_sentence_pieces(0),
        inlay_test::small_word_pieces(0), inlay_test::small_unigrams(7),
        inlay_test::small_longest_matches(), inlay_test::small_utf8_pairs("gemma4")}) {
    CAPTURE(v.name);
    for (int i = 0; i < (kSlow ? 200 : 2000); ++i) {
      std::vector<uint8_t> file = v.file;
      for (uint32_t k = 0, n = 1 + random.below(4); k < n; ++k) {
        const uint32_t at = random.below(static_cast<uint32_t>(file.size()));
        file[at] = static_cast<uint8_t>(random.next());
      }
      const Result<Gguf> gguf = Gguf::from_memory({file.data(), file.size()});
      if (!gguf) continue;
      const Result<Tokenizer> tokenizer = Tokenizer::create(*gguf);
      if (!tokenizer) continue;
      ++accepted;
      std::vector<Token> ids(Tokenizer::max_tokens(text.size()));
      const Result<size_t> count = tokenizer->encode(text, ids);
      for (size_t t = 0; count && t < *count; ++t) {
        REQUIRE(static_cast<uint32_t>(ids[t]) < tokenizer->size());
      }
      std::vector<char> piece(tokenizer->max_piece_bytes());
      for (uint32_t t = 0; t < tokenizer->size(); ++t) {
        REQUIRE(tokenizer->piece(static_cast<Token>(t), {piece.data(), piece.size()}, true) <=
                piece.size());
      }
    }
  }
  CHECK(accepted > 0);
}
