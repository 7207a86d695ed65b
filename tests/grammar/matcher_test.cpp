#include "inlay/grammar/matcher.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <inlay.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/json_words.hpp"
#include "support/mixed_text.hpp"

using namespace inlay;
using Words = inlay_test::JsonWords;

namespace {

std::vector<bool> mask_of(GrammarMatcher& matcher, uint32_t size) {
  std::vector<uint64_t> words((size + 63) / 64);
  const Status status = matcher.mask(words);
  REQUIRE_MESSAGE(status, status.error().message());
  std::vector<bool> out(size);
  for (uint32_t i = 0; i < size; ++i) out[i] = (words[i / 64] >> (i % 64) & 1) != 0;
  return out;
}

constexpr std::string_view kJson = R"(
root ::= ws value
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= | " " | "\n" [ \t]{0,20}
)";

Grammar gbnf(std::string_view text, const GrammarOptions& options = {}) {
  auto grammar = Grammar::from_gbnf(text, options);
  REQUIRE_MESSAGE(grammar, grammar.error().message());
  return *grammar;
}
GrammarMatcher matcher_of(const Grammar& grammar, const Words& words) {
  auto made = GrammarMatcher::create(grammar, *words.vocabulary);
  REQUIRE_MESSAGE(made, made.error().message());
  return std::move(*made);
}

}  // namespace

TEST_CASE("masks are what reading each token's bytes gives, along random texts") {
  const Words words;
  const char* const grammars[] = {
      kJson.data(),
      "root ::= (\"a\" | \"ab\" | \"abc\")* \"c\"",
      "root ::= expr\nexpr ::= term ([-+] term)*\nterm ::= [0-9]{1,3} | \"(\" expr \")\"",
      "root ::= \"a\" root \"a\" | \"b\" | [^a]{3,9} \"!\"",
      "root ::= [a-z\\u00e9\\u4e00-\\u9fff]{0,40} \"\\n\"",
      "root ::= ([ab] [ab]? [ab]? \",\"?){2,70} \"]\"",
      "root ::= ([a-c]{2,90} \",\"){3,30} \".\"",
      "root ::= [a-c]{60,} (\",\" [a-c]{1,20}){0,5}",
      "root ::= x | y\nx ::= \"[\" (x | \"1\")* \"]\"\ny ::= \"[[\" (y | \"12\")* \"]]\"",
      "root ::= \"\"",
      // Schemas. Their counts are written out: places far from the bound have one mask.
      R"({"type": "string", "pattern": "^[a-c ,]{1,60}$"})",
      R"({"type": "string", "pattern": "^([a-f]{2}x?){9,40}y$", "maxLength": 90})",
      R"({"type": "array", "items": {"type": "string", "pattern": "^(an?|[b-e]){3,50}$"}})",
      R"({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a{20,50}$"},
          "b": {"type": "string", "pattern": "^a{20,40}$"}}, "additionalProperties": false})",
  };
  inlay_test::MixedText random(7);
  for (const char* text : grammars) {
    CAPTURE(std::string(text));
    const bool is_schema = text[0] == '{';
    auto made = is_schema ? Grammar::from_json_schema(text) : Grammar::from_gbnf(text);
    REQUIRE(made);
    const Grammar grammar = *made;
    GrammarMatcher matcher = matcher_of(grammar, words);
    auto probe = GrammarMatcher::create(grammar);
    REQUIRE(probe);
    for (int round = 0; round < 6; ++round) {
      matcher.reset();
      std::string written;
      for (int step = 0; step < 30; ++step) {
        CAPTURE(written);
        const std::vector<bool> mask = mask_of(matcher, words.size());
        std::vector<Token> choices;
        for (Token t = 0; t < static_cast<Token>(words.size()); ++t) {
          const std::string piece = words.text(t);
          bool expected = t == words.end && matcher.may_end();
          if (!piece.empty()) {
            probe->reset();
            const auto all = probe->accept(written + piece);
            REQUIRE(all);
            expected = *all;
          }
          CAPTURE(piece);
          CHECK(mask[static_cast<size_t>(t)] == expected);
          CHECK(matcher.allows(t) == expected);
          if (expected && t != words.end) choices.push_back(t);
        }
        if (choices.empty()) {
          CHECK(matcher.must_end());
          break;
        }
        const Token next = choices[random.below(static_cast<uint32_t>(choices.size()))];
        const auto accepted = matcher.accept(next);
        REQUIRE(accepted);
        CHECK(*accepted);
        written += words.text(next);
      }
    }
  }
}

TEST_CASE("masks: whole tokens of a grammar") {
  const Words words;
  GrammarOptions options;
  options.tokenizer = &*words.tokenizer;
  const Grammar grammar = gbnf("root ::= <think> !</think>* </think> \"ab\"", options);
  GrammarMatcher matcher = matcher_of(grammar, words);
  std::vector<bool> mask = mask_of(matcher, words.size());
  CHECK(std::count(mask.begin(), mask.end(), true) == 1);
  CHECK(mask[static_cast<size_t>(words.think)]);
  CHECK(*matcher.accept(words.think));
  mask = mask_of(matcher, words.size());
  // All but the one that ends the text.
  CHECK(std::count(mask.begin(), mask.end(), true) == words.size() - 1);
  CHECK(!matcher.allows(words.end));
  CHECK(*matcher.accept(words.find("{\"")));
  CHECK(*matcher.accept(words.think));
  CHECK(*matcher.accept(words.end_think));
  CHECK(!matcher.allows(words.find("abc")));
  CHECK(*matcher.accept(words.find("ab")));
  CHECK(matcher.must_end());
  // By number, and as one way of several.
  const std::string number = std::to_string(words.find("ab"));
  const Grammar both = gbnf("root ::= <[" + number + "]> \"c\" | \"abd\"");
  matcher = matcher_of(both, words);
  CHECK(*matcher.accept(words.find("ab")));
  CHECK(matcher.allows(words.find("c")));
  CHECK(matcher.allows(words.find("d")));
}

TEST_CASE("rollback and forks") {
  const Words words;
  const Grammar grammar = gbnf(kJson);
  GrammarMatcher matcher = matcher_of(grammar, words);
  // Longer than the states that are kept.
  std::vector<Token> tokens = {words.find("[")};
  for (int i = 0; i < 500; ++i) {
    tokens.push_back(words.find("12"));
    tokens.push_back(words.find(","));
  }
  std::vector<std::vector<bool>> masks;
  for (const Token token : tokens) {
    masks.push_back(mask_of(matcher, words.size()));
    REQUIRE(*matcher.accept(token));
  }
  auto fork = matcher.fork();
  REQUIRE(fork);
  CHECK(*fork->accept(words.find("null")));
  size_t length = tokens.size();
  for (const size_t back : {1u, 7u, 200u, 300u, 400u}) {
    matcher.rollback(back);
    length -= back;
    CHECK(mask_of(matcher, words.size()) == masks[length]);
    REQUIRE(*matcher.accept(tokens[length]));
    matcher.rollback(1);
  }
  matcher.rollback(1000000);
  CHECK(mask_of(matcher, words.size()) == masks[0]);
  CHECK(!matcher.allows(words.find("]")));
  CHECK(fork->allows(words.find("]")));

  // Forks on threads share masks.
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&, k] {
      auto mine = matcher.fork();
      if (!mine) return;
      for (size_t i = 0; i < 100; ++i) {
        std::vector<uint64_t> mask((words.size() + 63) / 64);
        if (!mine->mask(mask) || !*mine->accept(tokens[i])) return;
        bool same = true;
        for (uint32_t t = 0; t < words.size(); ++t) {
          same = same && ((mask[t / 64] >> (t % 64) & 1) != 0) == masks[i][t];
        }
        right[static_cast<size_t>(k)] += same;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : right) CHECK(count == 100);
}

TEST_CASE("little memory for states: the same answers, or an error that names the bound") {
  const Words words;
  GrammarMatcherOptions options;
  options.state_memory = 1;  // as little as there can be
  options.mask_memory = 1024;
  const Grammar grammar = gbnf(kJson);
  auto small = GrammarMatcher::create(grammar, *words.vocabulary, options);
  REQUIRE(small);
  GrammarMatcher large = matcher_of(grammar, words);
  std::string text;
  for (int i = 0; i < 8; ++i) text += "{\"a\": [1, \"abc\", ";
  for (const char c : text) {
    CAPTURE(c);
    CHECK(mask_of(*small, words.size()) == mask_of(large, words.size()));
    const Token token = words.find(std::string(1, c));
    REQUIRE(*small->accept(token));
    REQUIRE(*large.accept(token));
  }
  Result<bool> deep(true);
  for (int i = 0; i < 1000 && deep; ++i) deep = small->accept(words.find("[["));
  REQUIRE(!deep);
  CHECK(std::string(deep.error().message()) ==
        "the ways to read the text so far do not fit into GrammarMatcherOptions::state_memory");
}

TEST_CASE("nothing allocates while a text is matched") {
  const Words words;
  inlay_test::CountingAllocator memory;
  GrammarMatcherOptions options;
  options.host.allocator = memory.get();
  {
    const Grammar grammar = gbnf(kJson);
    auto matcher = GrammarMatcher::create(grammar, *words.vocabulary, options);
    REQUIRE(matcher);
    const size_t before = memory.calls();
    for (int round = 0; round < 3; ++round) {
      for (const char c : std::string_view("{\"a\": [1, \"abc\", {}]}")) {
        (void)mask_of(*matcher, words.size());
        REQUIRE(*matcher->accept(words.find(std::string(1, c))));
        Token forced[8];
        (void)matcher->forced(forced);
      }
      matcher->rollback(12);
      matcher->reset();
    }
    CHECK(memory.calls() == before);
  }
  CHECK(memory.live_blocks() == 0);
}

TEST_CASE("forced tokens") {
  const Words words;
  const auto forced = [&](GrammarMatcher& matcher) {
    Token room[32];
    std::string out;
    const uint32_t count = matcher.forced(room);
    for (uint32_t i = 0; i < count; ++i) {
      CHECK(matcher.allows(room[i]));
      out += room[i] == words.end ? "<end>" : words.text(room[i]) + "|";
      if (room[i] != words.end) REQUIRE(*matcher.accept(room[i]));
    }
    return out;
  };
  GrammarMatcher matcher =
      matcher_of(gbnf("root ::= \"{\\\"abc\\\": \" (\"true\" | \"null\") \"}}\""), words);
  // The blank might be the beginning of " true".
  CHECK(forced(matcher) == "{\"|abc|");
  CHECK(*matcher.accept(words.find("\":")));
  CHECK(forced(matcher) == "");
  CHECK(*matcher.accept(words.find(" true")));
  CHECK(forced(matcher) == "}}|<end>");
  // Several tokens could go on, with the same first byte.
  matcher = matcher_of(gbnf("root ::= \"aaaa\" \"a\"*"), words);
  CHECK(forced(matcher) == "");
  // Which byte is open, but not that two more follow.
  matcher = matcher_of(gbnf("root ::= [ab] \"12!\""), words);
  CHECK(forced(matcher) == "");
  CHECK(*matcher.accept(words.find("a")));
  CHECK(forced(matcher) == "12|!|<end>");
}

TEST_CASE("lazy grammars sleep until a trigger") {
  const Words words;
  const std::string_view text = "root ::= \"<tool>\" \"{\" [a-c\\\"]* \"}\"";
  const auto write = [&](GrammarMatcher& matcher, std::string_view what) {
    for (const char c : what) {
      const auto accepted = matcher.accept(words.find(std::string(1, c)));
      REQUIRE(accepted);
      if (!*accepted) return false;
    }
    return true;
  };
  const std::string_view word = "<tool>";
  GrammarOptions options;
  options.trigger_words = {&word, 1};
  GrammarMatcher matcher = matcher_of(gbnf(text, options), words);
  CHECK(!matcher.awake());
  CHECK(matcher.may_end());
  CHECK(matcher.allows(words.end));
  CHECK(write(matcher, "some text <to and <tool"));
  CHECK(!matcher.awake());
  std::vector<bool> mask = mask_of(matcher, words.size());
  for (Token t = 0; t < static_cast<Token>(words.size()); ++t) {
    CAPTURE(words.text(t));
    // Refused: what would end the trigger and go on in a way that the grammar does not have.
    const std::string piece = words.text(t);
    const bool refused = (piece[0] == '>' && piece.size() > 1 && piece != ">{\"");
    CHECK(mask[static_cast<size_t>(t)] == !refused);
    CHECK(matcher.allows(t) == !refused);
  }
  CHECK(write(matcher, ">"));
  CHECK(matcher.awake());
  CHECK(!matcher.may_end());
  CHECK(!write(matcher, "x"));
  CHECK(write(matcher, "{abc"));
  matcher.rollback(4);
  CHECK(matcher.awake());
  matcher.rollback(1);
  CHECK(!matcher.awake());
  CHECK(write(matcher, "x <tool>{}"));
  CHECK(matcher.must_end());
  // Bytes that did not come as tokens stay: they may begin a trigger.
  matcher.reset();
  CHECK(*matcher.accept("a <to"));
  CHECK(write(matcher, "o"));
  matcher.rollback(5);
  CHECK(write(matcher, "ol>{"));
  CHECK(matcher.awake());
  auto fork = matcher.fork();
  REQUIRE(fork);
  for (GrammarMatcher* one : {&matcher, &*fork}) {
    one->rollback(5);
    CHECK(!one->awake());
    CHECK(write(*one, "ol>{"));
    CHECK(one->awake());
  }
  matcher.reset();
  CHECK(write(matcher, "ol>"));
  CHECK(!matcher.awake());
  // Bytes after a trigger: it is not taken back any more.
  matcher.reset();
  CHECK(write(matcher, "<tool>"));
  CHECK(*matcher.accept("{a"));
  CHECK(write(matcher, "b"));
  matcher.rollback(5);
  CHECK(matcher.awake());
  CHECK(write(matcher, "}"));
  CHECK(matcher.must_end());
  // A trigger within a token, and nothing before it.
  matcher.reset();
  CHECK(*matcher.accept(words.find("<tool>{\"")));
  CHECK(matcher.awake());
  matcher.rollback(1);
  CHECK(!matcher.awake());
  CHECK(write(matcher, "text"));
  matcher.reset();
  CHECK(*matcher.accept(words.find("x<tool>")));
  CHECK(matcher.awake());
  CHECK(matcher.allows(words.find("{\"")));
  matcher.reset();
  CHECK(*matcher.accept(words.find("<tool>{\"")));
  CHECK(write(matcher, "a}"));

  // A pattern; the first text that it matches counts.
  const std::string_view pattern = "<t[a-z]+>";
  options = {};
  options.trigger_patterns = {&pattern, 1};
  matcher = matcher_of(gbnf(text, options), words);
  CHECK(write(matcher, "<t <t> <Tool>"));
  CHECK(!matcher.awake());
  CHECK(write(matcher, "<<tool"));
  CHECK(!matcher.awake());
  CHECK(write(matcher, ">{}"));
  CHECK(matcher.must_end());

  // A token, which need not have a text of its own.
  options = {};
  options.trigger_tokens = {&words.think, 1};
  matcher = matcher_of(gbnf("root ::= \"<think>\" [ab]+ \"!\"", options), words);
  CHECK(write(matcher, "<think>x"));
  CHECK(!matcher.awake());
  CHECK(*matcher.accept(words.think));
  CHECK(matcher.awake());
  CHECK(!write(matcher, "!"));
  CHECK(write(matcher, "ab!"));
  CHECK(matcher.must_end());
}
