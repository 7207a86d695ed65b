#include "inlay/text/token_trie.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "support/mixed_text.hpp"

using namespace inlay;
using detail::TokenTrie;

TEST_CASE("token trie: finds just what was added") {
  inlay_test::MixedText random(5);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> texts;
    std::map<std::string, Token> expected;
    for (uint32_t i = 0, n = random.below(60); i < n; ++i) {
      std::string text;
      for (uint32_t k = 0, size = random.below(6); k < size; ++k)
        text += "ab\xFF\x80"[random.below(4)];
      texts.push_back(text);
      if (!text.empty()) expected[text] = static_cast<Token>(i);  // of equal ones the last
    }
    TokenTrie trie{Allocator()};
    for (size_t i = 0; i < texts.size(); ++i) REQUIRE(trie.add(texts[i], static_cast<Token>(i)));
    while (!trie.sorted()) REQUIRE(trie.sort_more());
    for (int query = 0; query < 300; ++query) {
      std::string text;
      for (uint32_t k = 0, size = random.below(7); k < size; ++k)
        text += "ab\xFF\x80"[random.below(4)];
      CAPTURE(text);
      TokenTrie::Node node = trie.root();
      for (char c : text) {
        if (!node.empty()) node = trie.next(node, c);
      }
      bool begins = text.empty() && !expected.empty();
      for (const auto& [known, token] : expected)
        begins = begins || known.compare(0, text.size(), text) == 0;
      CHECK(!node.empty() == begins);
      if (!node.empty()) {
        const auto found = expected.find(text);
        CHECK(trie.token(node) == (found == expected.end() ? kNoToken : found->second));
      }
    }
  }
}

TEST_CASE("token trie: many texts are sorted in pieces") {
  for (const uint32_t count : {1u, 255u, 256u, 513u, 1000u, 20000u, 32768u}) {
    std::vector<std::string> texts(count);
    inlay_test::MixedText random(count);
    for (std::string& text : texts) text = std::to_string(random.below(count));
    std::map<std::string, Token> expected;
    TokenTrie trie{Allocator()};
    for (uint32_t i = 0; i < count; ++i) {
      expected[texts[i]] = static_cast<Token>(i);
      REQUIRE(trie.add(texts[i], static_cast<Token>(i)));
    }
    size_t pieces = 0;
    for (; !trie.sorted(); ++pieces) REQUIRE(trie.sort_more());
    CHECK(pieces >= count / 2048 + count / 4096 + count / 8192);
    for (const auto& [text, token] : expected) {
      TokenTrie::Node node = trie.root();
      for (char c : text) node = trie.next(node, c);
      REQUIRE(trie.token(node) == token);
    }
  }
}

TEST_CASE("token trie: texts have an end") {
  TokenTrie trie{Allocator()};
  CHECK(trie.add(std::string(TokenTrie::kLongest, 'a'), 1));
  const std::string long_text(TokenTrie::kLongest + 1, 'a');
  const Status status = trie.add(long_text, 7);
  REQUIRE(!status);
  CHECK(status.error().code() == ErrorCode::corrupt);
  CHECK(std::string(status.error().message()) ==
        "tokenizer.ggml.tokens[7]: a text of 1025 bytes, expected at most 1024");
}
