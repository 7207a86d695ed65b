#include "inlay/text/special_splitter.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/gguf_builder.hpp"
#include "support/mixed_text.hpp"

using namespace inlay;
using detail::Fragment;
using detail::SpecialSplitter;
using detail::Vocabulary;
using inlay_test::GgufBuilder;

namespace {

struct TokenText {
  std::string text;
  int32_t type;  // 1 normal, 2 unknown, 3 control, 4 user-defined
};

struct Loaded {
  explicit Loaded(const std::vector<TokenText>& list, const std::string& name = "x",
                  const Host& host = {})
      : vocabulary(host), splitter(host.allocator) {
    std::vector<std::string> texts;
    std::vector<int32_t> types;
    for (const TokenText& token : list) {
      texts.push_back(token.text);
      types.push_back(token.type);
    }
    bytes = GgufBuilder()
                .string("general.name", name)
                .string("tokenizer.ggml.model", "llama")
                .strings("tokenizer.ggml.tokens", texts)
                .i32s("tokenizer.ggml.token_type", types)
                .bytes();
    Result<Gguf> opened = Gguf::from_memory({bytes.data(), bytes.size()});
    REQUIRE(opened);
    file.emplace_back(std::move(*opened));
    status = vocabulary.load(file[0]);
    if (status) status = splitter.create(vocabulary);
  }

  // The parts of a text: ordinary ones as they are, tokens as <id>.
  std::vector<std::string> split(const std::string& text, bool parse_special = true) const {
    detail::Array<Fragment> fragments;
    REQUIRE(splitter.split(text, parse_special, &fragments));
    std::vector<std::string> parts;
    for (const Fragment& f : fragments) {
      parts.push_back(f.token == kNoToken ? std::string(f.text)
                                          : "<" + std::to_string(f.token) + ">");
    }
    return parts;
  }

  std::vector<uint8_t> bytes;
  std::vector<Gguf> file;
  Vocabulary vocabulary;
  SpecialSplitter splitter;
  Status status;
};

// The definition: token by token, the longest first, each wherever it still finds room.
std::vector<std::string> naive(const std::vector<TokenText>& list, const std::string& text,
                               bool parse_special) {
  std::vector<size_t> order;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].type == 4 || (parse_special && (list[i].type == 2 || list[i].type == 3)))
      order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return list[a].text.size() > list[b].text.size(); });
  struct Part {
    std::string text;
    bool token;
  };
  std::vector<Part> parts{{text, false}};
  for (size_t token : order) {
    std::vector<Part> next;
    for (const Part& part : parts) {
      size_t at = 0;
      for (size_t found;
           !part.token && (found = part.text.find(list[token].text, at)) != std::string::npos;) {
        if (found > at) next.push_back({part.text.substr(at, found - at), false});
        next.push_back({"<" + std::to_string(token) + ">", true});
        at = found + list[token].text.size();
      }
      if (at < part.text.size()) next.push_back({part.text.substr(at), part.token});
    }
    parts = next;
  }
  std::vector<std::string> out;
  for (const Part& part : parts) out.push_back(part.text);
  return out;
}

using Parts = std::vector<std::string>;

}  // namespace

TEST_CASE("special tokens: longer ones first, wherever they are") {
  const Loaded v({{"abc", 3}, {"cdefg", 3}, {"x", 1}, {"<user>", 4}, {"<unk>", 2}});
  REQUIRE(v.status);
  CHECK(v.split("abcdefg") == Parts{"ab", "<1>"});
  CHECK(v.split("abc<user>x<unk>") == Parts{"<0>", "<3>", "x", "<4>"});
  CHECK(v.split("abc<user>x<unk>", false) == Parts{"abc", "<3>", "x<unk>"});
  CHECK(v.split("") == Parts{});
  CHECK(v.split("abcabc") == Parts{"<0>", "<0>"});
}

TEST_CASE("special tokens: as by the definition, on random overlapping ones") {
  inlay_test::MixedText random(11);
  const auto word = [&random](uint32_t letters, uint32_t longest) {
    std::string s;
    for (uint32_t i = 0, n = 1 + random.below(longest); i < n; ++i) {
      s += static_cast<char>('a' + random.below(letters));
    }
    return s;
  };
  for (int round = 0; round < 200; ++round) {
    const uint32_t letters = 1 + random.below(3);
    std::vector<TokenText> list;
    std::set<std::string> seen;
    for (int i = 0; i < 12; ++i) {
      const std::string text = word(letters, 8);
      if (seen.insert(text).second)
        list.push_back({text, static_cast<int32_t>(1 + random.below(4))});
    }
    const Loaded v(list);
    REQUIRE(v.status);
    for (int i = 0; i < 20; ++i) {
      const std::string text = word(letters + 1, 60);
      CAPTURE(text);
      for (bool parse : {true, false}) REQUIRE(v.split(text, parse) == naive(list, text, parse));
    }
  }
}

TEST_CASE("special tokens: whitespace is swallowed where llama.cpp knows the model to do so") {
  const std::vector<TokenText> list{
      {"<unk>", 2}, {"<s>", 3}, {"</s>", 3}, {"<|endoftext|>", 3}, {"<|user|>", 3}};
  const Loaded plain(list), phi(list, "Phi-3 mini");
  CHECK(plain.split("a <|user|> \n b") == Parts{"a ", "<4>", " \n b"});
  CHECK(phi.split("a <|user|> \n b") == Parts{"a ", "<4>", "b"});
  CHECK(phi.split("<|user|> \n <s> x </s> ") == Parts{"<4>", "<1>", " x ", "<2>"});
}

TEST_CASE("special tokens: linear where many begin and none ends, or all overlap") {
  std::vector<TokenText> list;
  std::string run;
  for (int i = 0; i < 40; ++i) list.push_back({run += '\n', 4});
  list.push_back({std::string(900, 'a') + "b", 3});
  const Loaded v(list);
  const std::vector<std::string> parts = v.split(std::string(1000000, '\n'));
  CHECK(parts.size() == 25000);
  CHECK(parts[0] == "<39>");
  CHECK(v.split(std::string(100000, 'a')).size() == 1);
}

TEST_CASE("special tokens: many of them are looked at in pieces") {
  std::vector<TokenText> list;
  for (int i = 0; i < 3000; ++i) list.push_back({"<special " + std::to_string(i) + ">", 3});
  const Loaded all(list);
  REQUIRE(all.status);
  SpecialSplitter again{Allocator()};
  again.begin(all.vocabulary);
  size_t pieces = 0;
  for (; !again.complete(); ++pieces) REQUIRE(again.load_more());
  // Three times over the texts, of which a piece takes 2048 bytes, and slots for each byte.
  CHECK(pieces >= 3 * 3000 * 10 / 2048 + 3000 * 10 / 8192);
  detail::Array<Fragment> fragments;
  REQUIRE(again.split("a<special 2999>b", true, &fragments));
  REQUIRE(fragments.size() == 3);
  CHECK(fragments[1].token == 2999);
}

TEST_CASE("special tokens: one that is too long is an error") {
  const Loaded v({{"x", 1}, {std::string(1025, 'a'), 3}});
  REQUIRE(!v.status);
  CHECK(v.status.error().code() == ErrorCode::corrupt);
  CHECK(std::string(v.status.error().message()) ==
        "tokenizer.ggml.tokens[1]: a special token of 1025 bytes, expected at most 1024");
  CHECK(Loaded({{std::string(1025, 'a'), 1}}).status);
}
