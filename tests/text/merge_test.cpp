#include "inlay/text/merge.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/mixed_text.hpp"

using namespace inlay;
using detail::Merge;
using detail::Merger;
using detail::Symbol;

namespace {

// Rules between texts, each text with a number.
struct Rules {
  std::map<std::string, uint32_t> numbers;
  std::vector<std::string> texts;
  std::map<std::pair<uint32_t, uint32_t>, Merge> merges;

  uint32_t number(const std::string& text) {
    const auto [it, added] = numbers.emplace(text, static_cast<uint32_t>(texts.size()));
    if (added) texts.push_back(text);
    return it->second;
  }
  Merge find(uint32_t left, uint32_t right) const {
    const auto it = merges.find({left, right});
    return it == merges.end() ? Merge{detail::kNoMerge, 0} : it->second;
  }
};

Rules random_rules(inlay_test::MixedText* random, uint32_t letters, uint32_t count, bool ties) {
  Rules rules;
  for (uint32_t i = 0; i < letters; ++i) rules.number(std::string(1, static_cast<char>('a' + i)));
  for (uint32_t rank = 0; rank < count; ++rank) {
    const auto n = static_cast<uint32_t>(rules.texts.size());
    const uint32_t left = random->below(n), right = random->below(n);
    const uint32_t merged = rules.number(rules.texts[left] + rules.texts[right]);
    rules.merges.emplace(std::make_pair(left, right), Merge{ties ? rank / 4 : rank, merged});
  }
  return rules;
}

// The definition: the neighbours of the lowest order, of equals the leftmost, until there are none.
std::vector<uint32_t> naive(const Rules& rules, std::vector<uint32_t> ids) {
  for (;;) {
    size_t best = ids.size();
    Merge best_merge{detail::kNoMerge, 0};
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Merge merge = rules.find(ids[i], ids[i + 1]);
      if (merge.order < best_merge.order) {
        best = i;
        best_merge = merge;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = best_merge.id;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("merger: few and many symbols, as by the definition") {
  inlay_test::MixedText random(1);
  Merger merger{Allocator()};
  for (int round = 0; round < 300; ++round) {
    const uint32_t letters = 1 + random.below(4);
    const Rules rules = random_rules(&random, letters, random.below(30), round % 2 == 0);
    const uint32_t n = random.below(3) == 0 ? random.below(200) : random.below(26);
    std::vector<uint32_t> ids;
    merger.clear();
    for (uint32_t i = 0; i < n; ++i) {
      ids.push_back(random.below(letters));
      REQUIRE(merger.push({i, 1, ids.back()}));
    }
    REQUIRE(merger.run([&rules](const Symbol& left, const Symbol& right) {
      return rules.find(left.id, right.id);
    }));
    const std::vector<uint32_t> expected = naive(rules, ids);
    REQUIRE(merger.symbols().size() == expected.size());
    uint32_t at = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const Symbol& symbol = merger.symbols()[i];
      REQUIRE(symbol.id == expected[i]);
      REQUIRE(symbol.begin == at);
      REQUIRE(symbol.size == rules.texts[symbol.id].size());
      at += symbol.size;
    }
    REQUIRE(at == n);
  }
}

TEST_CASE("merger: the number of questions grows as the text does, not as its square") {
  Rules rules;
  std::string text = "a";
  for (uint32_t rank = 0; rank < 8; ++rank) {
    const uint32_t half = rules.number(text);
    text += text;
    rules.merges[{half, half}] = {rank, rules.number(text)};
  }
  for (uint32_t n : {1000u, 100000u}) {
    Merger merger{Allocator()};
    for (uint32_t i = 0; i < n; ++i) REQUIRE(merger.push({i, 1, 0}));
    uint32_t questions = 0;
    REQUIRE(merger.run([&](const Symbol& left, const Symbol& right) {
      ++questions;
      return rules.find(left.id, right.id);
    }));
    CHECK(questions < 4 * n);  // n - 1 at first, two for each of less than n merges
    uint32_t expected = n / 256;
    for (uint32_t rest = n % 256; rest != 0; rest /= 2) expected += rest % 2;
    CHECK(merger.symbols().size() == expected);
  }
}

TEST_CASE("when any one allocation fails, a merger says so") {
  for (size_t fail_at = 0;; ++fail_at) {
    inlay_test::CountingAllocator memory(fail_at);
    bool ok = true;
    {
      Merger merger{memory.get()};
      for (uint32_t i = 0; ok && i < 100; ++i) ok = merger.push({i, 1, 0});
      ok = ok && merger.run([](const Symbol& left, const Symbol& right) {
        return Merge{left.id + right.id, left.id + right.id + 1};
      });
    }
    CHECK(memory.live_blocks() == 0);
    CHECK(ok != memory.failed());
    if (!memory.failed()) break;
    REQUIRE(fail_at < 100);
  }
}
