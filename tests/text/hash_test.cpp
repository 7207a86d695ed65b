#include "inlay/text/hash.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "inlay/text/tokenizer.hpp"
#include "support/gguf_builder.hpp"

using namespace inlay;

TEST_CASE("hash: a text in parts hashes as the whole") {
  const std::string text = "a text with \xE2\x82\xAC and \xFF";
  const uint32_t whole = detail::hash_bytes(detail::kHashStart, text);
  for (size_t i = 0; i <= text.size(); ++i) {
    const uint32_t first = detail::hash_bytes(detail::kHashStart, text.substr(0, i));
    CHECK(detail::hash_bytes(first, text.substr(i)) == whole);
  }
  // FNV-1a of "foobar", 32 bits: draft-eastlake-fnv, test vectors.
  CHECK(detail::hash_bytes(detail::kHashStart, "foobar") == 0xBF9CF968u);
}

TEST_CASE("hash: tables are powers of two, at most two thirds full") {
  for (size_t entries : {0u, 1u, 10u, 11u, 1000u, 150000u}) {
    const size_t slots = detail::hash_slots(entries);
    CHECK((slots & (slots - 1)) == 0);
    CHECK(3 * entries <= 2 * slots);
  }
}

TEST_CASE("hash: long runs are found, around the end too") {
  std::vector<bool> slots(16384, false);
  const auto short_runs = [&slots] {
    return detail::runs_are_short(slots.size(), [&slots](size_t i) { return slots[i]; });
  };
  CHECK(short_runs());
  for (size_t i = 0; i < 2000; ++i) slots[i] = true;
  CHECK(short_runs());
  for (size_t i = 1; i < 2096; ++i) slots[slots.size() - i] = true;
  CHECK(short_runs());
  slots[slots.size() - 2096] = true;
  CHECK(!short_runs());
}

TEST_CASE("hash: a vocabulary made to share hashes is refused") {
  std::vector<std::string> crowd;
  for (uint32_t i = 0; crowd.size() < 20000; ++i) {
    const std::string text = "t" + std::to_string(i);
    const uint32_t hash = detail::mix_hash(detail::hash_bytes(detail::kHashStart, text));
    if ((hash & 32767) < 4096) crowd.push_back(text);
  }
  const std::vector<uint8_t> bytes = inlay_test::GgufBuilder()
                                         .string("tokenizer.ggml.model", "llama")
                                         .strings("tokenizer.ggml.tokens", crowd)
                                         .bytes();
  const Result<Gguf> file = Gguf::from_memory({bytes.data(), bytes.size()});
  REQUIRE(file);
  const Result<Tokenizer> tokenizer = Tokenizer::create(*file);
  REQUIRE(!tokenizer);
  CHECK(tokenizer.error().code() == ErrorCode::corrupt);
  CHECK(std::string(tokenizer.error().message()) ==
        "tokenizer.ggml.tokens: expected texts that do not share their hashes");
}
