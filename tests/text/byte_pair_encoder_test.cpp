#include "inlay/text/byte_pair_encoder.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/gguf_builder.hpp"
#include "support/mixed_text.hpp"
#include "support/vocabularies.hpp"

using namespace inlay;
using detail::BytePairEncoder;
using detail::Vocabulary;
using inlay_test::byte_character;
using inlay_test::GgufBuilder;

namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

struct Loaded {
  Loaded(const std::vector<std::string>& tokens, const std::vector<std::string>& merges,
         const std::string& pre = "gpt-2")
      : vocabulary(Host()), encoder(Allocator()) {
    bytes = GgufBuilder()
                .string("tokenizer.ggml.model", "gpt2")
                .string("tokenizer.ggml.pre", pre)
                .strings("tokenizer.ggml.tokens", tokens)
                .strings("tokenizer.ggml.merges", merges)
                .bytes();
    Result<Gguf> opened = Gguf::from_memory({bytes.data(), bytes.size()});
    REQUIRE(opened);
    file.emplace_back(std::move(*opened));
    status = vocabulary.load(file[0]);
    if (status) status = encoder.create(file[0], vocabulary, {}, Allocator());
  }
  std::vector<Token> encode(const std::string& text) const {
    std::vector<Token> ids(6 * text.size() + 1);
    BytePairEncoder::Scratch scratch{Allocator()};
    detail::TokenSink sink{ids};
    REQUIRE(encoder.encode(text, &scratch, &sink));
    REQUIRE(sink.count <= ids.size());
    ids.resize(sink.count);
    return ids;
  }

  std::vector<uint8_t> bytes;
  std::vector<Gguf> file;
  Vocabulary vocabulary;
  BytePairEncoder encoder;
  Status status;
};

// GPT-2's description, on strings: merges the pair of the lowest rank, leftmost first, until there
// is none. A word.
std::vector<Token> naive(const std::vector<std::string>& tokens, const Merges& merges,
                         const std::string& word) {
  std::map<std::string, Token> ids;
  for (size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = static_cast<Token>(i);
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t i = 0; i < merges.size(); ++i) ranks.emplace(merges[i], i);
  std::vector<std::string> parts;
  for (char c : word) parts.push_back(byte_character(static_cast<uint8_t>(c)));
  for (;;) {
    size_t best = parts.size(), best_rank = SIZE_MAX;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto it = ranks.find({parts[i], parts[i + 1]});
      if (it != ranks.end() && it->second < best_rank) {
        best = i;
        best_rank = it->second;
      }
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  std::vector<Token> out;
  for (const std::string& part : parts) {
    if (ids.count(part) != 0) {
      out.push_back(ids[part]);
      continue;
    }
    for (char c : part) {  // llama.cpp's fallback, which looks for bytes of the spelling
      if (ids.count(std::string(1, c)) != 0) out.push_back(ids[std::string(1, c)]);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("byte pairs: the printable characters of bytes") {
  for (uint32_t byte = 0; byte < 256; ++byte) {
    std::string text;
    inlay_test::MixedText::append_utf8(&text,
                                       detail::byte_to_character(static_cast<uint8_t>(byte)));
    CHECK(text == byte_character(byte));
  }
  uint32_t characters = 0;
  for (uint32_t code = 0; code < 0x110000; ++code) {
    const int byte = detail::character_to_byte(code);
    if (byte < 0) continue;
    ++characters;
    REQUIRE(detail::byte_to_character(static_cast<uint8_t>(byte)) == code);
  }
  CHECK(characters == 256);
}

TEST_CASE(
    "byte pairs: as by the definition, with merges that make no tokens and bytes that are none") {
  inlay_test::MixedText random(5);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> texts{"a", "b", "c", "d"};
    Merges merges;
    std::vector<std::string> lines, tokens;
    for (int i = 0; i < 25; ++i) {
      const auto n = static_cast<uint32_t>(texts.size());
      const std::string left = texts[random.below(n)], right = texts[random.below(n)];
      merges.push_back({left, right});
      lines.push_back(left + " " + right);
      if (left.size() + right.size() < 40) texts.push_back(left + right);
    }
    std::map<std::string, bool> seen;
    for (const std::string& text : texts) {
      if (!seen[text] && random.below(4) != 0) tokens.push_back(text);
      seen[text] = true;
    }
    if (tokens.empty()) continue;
    const Loaded v(tokens, lines);
    REQUIRE_MESSAGE(v.status, v.status.error().message());
    for (int i = 0; i < 20; ++i) {
      std::string word;  // one word to the pre-tokenizer
      for (uint32_t k = 0, n = 1 + random.below(i < 15 ? 24 : 200); k < n; ++k) {
        word += static_cast<char>('a' + random.below(4));
      }
      CAPTURE(word);
      REQUIRE(v.encode(word) == naive(tokens, merges, word));
    }
  }
}

TEST_CASE("byte pairs: whole words come first where the pre-tokenizer says so") {
  const std::vector<std::string> tokens{"a", "b", "ab", "aba"}, merges{"a b"};
  CHECK(Loaded(tokens, merges, "dbrx").encode("aba") == std::vector<Token>{2, 0});
  CHECK(Loaded(tokens, merges, "llama-bpe").encode("aba") == std::vector<Token>{3});
  CHECK(Loaded(tokens, merges, "llama-bpe").encode("abab") == std::vector<Token>{2, 2});
}

TEST_CASE("byte pairs: the first of equal merges counts; invalid bytes are those of U+FFFD") {
  CHECK(Loaded({"a", "b", "c", "ab", "bc"}, {"a b", "b c", "a b"}).encode("abc") ==
        std::vector<Token>{3, 2});
  CHECK(Loaded({"a", byte_character(0xEF), byte_character(0xBF), byte_character(0xBD)}, {})
            .encode("a\xFF") == std::vector<Token>{0, 1, 2, 3});
}

TEST_CASE("byte pairs: patterns are compiled in pieces, and given up without a leak") {
  const Loaded loaded({"a", "b"}, {}, "deepseek-llm");
  REQUIRE(loaded.status);
  size_t pieces = 1;
  for (size_t stop = 0; stop <= pieces; ++stop) {
    inlay_test::CountingAllocator memory;
    {
      BytePairEncoder encoder(memory.get());
      REQUIRE(encoder.begin(loaded.file[0], loaded.vocabulary, {}, memory.get()));
      size_t n = 0;
      for (; !encoder.complete() && (stop == 0 || n < stop); ++n) REQUIRE(encoder.load_more());
      if (stop == 0) pieces = n;
      CHECK(encoder.complete() == (stop == 0 || stop == pieces));
    }
    CHECK(memory.live_blocks() == 0);
  }
  // Six patterns, and letters that take long to tell apart.
  CHECK(pieces > 20);
}

TEST_CASE("byte pairs: what is wrong with merges is named") {
  const Loaded v({"a", "b", "ab"}, {"a b", "ab"});
  REQUIRE(!v.status);
  CHECK(v.status.error().code() == ErrorCode::corrupt);
  CHECK(std::string(v.status.error().message()) ==
        "tokenizer.ggml.merges[1]: expected two texts with a space between them");
  CHECK(Loaded({"a", " a"}, {"  a"}).status);  // " " and "a"
}
