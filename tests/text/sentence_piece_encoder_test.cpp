#include "inlay/text/sentence_piece_encoder.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "support/gguf_builder.hpp"
#include "support/mixed_text.hpp"

using namespace inlay;
using detail::SentencePieceEncoder;
using detail::Vocabulary;
using inlay_test::GgufBuilder;

namespace {

struct Loaded {
  Loaded(const std::vector<std::string>& tokens, const std::vector<float>& scores)
      : vocabulary(Host()) {
    bytes = GgufBuilder()
                .string("tokenizer.ggml.model", "llama")
                .strings("tokenizer.ggml.tokens", tokens)
                .f32s("tokenizer.ggml.scores", scores)
                .bytes();
    Result<Gguf> opened = Gguf::from_memory({bytes.data(), bytes.size()});
    REQUIRE(opened);
    file.emplace_back(std::move(*opened));
    const Status status = vocabulary.load(file[0]);
    REQUIRE_MESSAGE(status, status.error().message());
    encoder.create(vocabulary);
  }
  std::vector<Token> encode(const std::string& text, bool space_prefix = false) const {
    std::vector<Token> ids(3 * text.size() + 3);
    SentencePieceEncoder::Scratch scratch{Allocator()};
    detail::TokenSink sink{ids};
    REQUIRE(encoder.encode(text, space_prefix, &scratch, &sink));
    REQUIRE(sink.count <= ids.size());
    ids.resize(sink.count);
    return ids;
  }

  std::vector<uint8_t> bytes;
  std::vector<Gguf> file;
  Vocabulary vocabulary;
  SentencePieceEncoder encoder;
};

// The definition, on strings: the neighbours that make the token of the highest score, leftmost
// first.
std::vector<Token> naive(const std::vector<std::string>& tokens, const std::vector<float>& scores,
                         const std::string& text) {
  std::map<std::string, Token> ids;
  for (size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = static_cast<Token>(i);
  std::vector<std::string> parts;
  for (size_t at = 0; at < text.size();) {
    const auto first = static_cast<uint8_t>(text[at]);
    const size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    parts.push_back(text.substr(at, size));
    at += parts.back().size();
  }
  for (;;) {
    size_t best = parts.size();
    float best_score = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto it = ids.find(parts[i] + parts[i + 1]);
      if (it != ids.end() && scores[static_cast<size_t>(it->second)] > best_score) {
        best = i;
        best_score = scores[static_cast<size_t>(it->second)];
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
    // No byte tokens here: a byte is the token of that text, or the unknown one.
    for (char c : part)
      out.push_back(ids.count(std::string(1, c)) != 0 ? ids[std::string(1, c)] : 0);
  }
  return out;
}

}  // namespace

TEST_CASE("sentence pieces: as by the definition") {
  inlay_test::MixedText random(9);
  const std::string letters[] = {
      "a", "b", "c", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80", "\xFF", "\xE4\xB8", "\xF0"};
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
    std::map<std::string, bool> seen;
    const uint32_t alphabet = 1 + random.below(9);
    for (int i = 0; i < 40; ++i) {
      std::string text;
      for (uint32_t k = 0, n = 1 + random.below(4); k < n; ++k)
        text += letters[random.below(alphabet)];
      if (!seen[text]) tokens.push_back(text);
      seen[text] = true;
    }
    std::vector<float> scores;
    for (size_t i = 0; i < tokens.size(); ++i) {
      scores.push_back(static_cast<float>(static_cast<int>(random.below(12)) - 6) / 2 *
                       (random.below(9) == 0 ? 0.0f : 1.0f));
    }
    const Loaded v(tokens, scores);
    for (int i = 0; i < 20; ++i) {
      std::string text;
      for (uint32_t k = 0, n = random.below(i < 15 ? 25 : 200); k < n; ++k)
        text += letters[random.below(alphabet)];
      CAPTURE(text);
      REQUIRE(v.encode(text) == naive(tokens, scores, text));
    }
  }
}

TEST_CASE("sentence pieces: spaces are marks, and a prefix is one more") {
  const Loaded v({"<unk>", "<s>", "</s>", "\xE2\x96\x81", "a",
                  "\xE2\x96\x81"
                  "a"},
                 {0, 0, 0, -3, -2, -1});
  CHECK(v.encode("a a") == std::vector<Token>{4, 5});
  CHECK(v.encode("a a", true) == std::vector<Token>{5, 5});
  CHECK(v.encode("", true) == std::vector<Token>{3});
  CHECK(v.encode("  ") == std::vector<Token>{3, 3});
}

TEST_CASE("sentence pieces: bytes that no token covers") {
  const Loaded v({"<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "a", "<0x0A>"},
                 {0, 0, 0, 0, 0, 0, 0});
  CHECK(v.encode("a\xC3\xA9\n\xE9") == std::vector<Token>{5, 3, 4, 6, 0});
  CHECK(v.encoder.byte_token('\n') == 6);
  CHECK(v.encoder.byte_token('a') == 5);
}
