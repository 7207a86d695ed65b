#include "inlay/grammar/pattern.hpp"

#include <doctest/doctest.h>

#include <inlay.hpp>
#include <string>
#include <string_view>

#include "inlay/text/unicode.hpp"
#include "support/counting_allocator.hpp"
#include "support/mixed_text.hpp"

using namespace inlay;
using detail::Category;

namespace {

template <class Has>
void check_property(const char* pattern, Has has) {
  CAPTURE(std::string(pattern));
  const auto grammar = Grammar::from_regex(pattern);
  REQUIRE_MESSAGE(grammar, grammar.error().message());
  auto matcher = GrammarMatcher::create(*grammar);
  REQUIRE(matcher);
  const auto check = [&](uint32_t code) {
    if (code >= 0xD800 && code <= 0xDFFF) return;  // no UTF-8
    CAPTURE(code);
    std::string text;
    inlay_test::MixedText::append_utf8(&text, code);
    matcher->reset();
    const auto accepted = matcher->accept(text);
    REQUIRE(accepted);
    CHECK(*accepted == has(detail::category_of(code)));
  };
  // What lies between them has the category of both.
  uint32_t begin = 0;
  for (auto run = detail::first_category_run(); begin < detail::kCodePoints; begin = run.end) {
    run.next();
    check(begin);
    check(run.end - 1);
  }
}

}  // namespace

TEST_CASE("patterns: properties of characters") {
  check_property("\\p{L}", [](Category c) { return detail::is_letter(c); });
  check_property("\\P{Letter}", [](Category c) { return !detail::is_letter(c); });
  check_property("\\p{gc=Lu}", [](Category c) { return c == Category::Lu; });
  check_property("\\p{General_Category=Number}", [](Category c) { return detail::is_number(c); });
  check_property("\\p{Cn}", [](Category c) { return c == Category::Cn; });
  check_property("\\p{Co}", [](Category c) { return c == Category::Co; });
  check_property("\\P{C}", [](Category c) { return c != Category::Cn && !detail::is_control(c); });
  check_property("[\\p{Ll}\\P{L}]",
                 [](Category c) { return c == Category::Ll || !detail::is_letter(c); });
  CHECK(std::string(Grammar::from_regex("\\p{Lx}").error().message()).find("property") !=
        std::string::npos);
}

TEST_CASE("patterns of a schema: memory is not taken anew for every state") {
  const auto calls = [](const char* schema) {
    inlay_test::CountingAllocator memory;
    GrammarOptions options;
    options.host.allocator = memory.get();
    REQUIRE(Grammar::from_json_schema(schema, options));
    return memory.calls();
  };
  CHECK(calls(R"({"type": "string", "pattern": "^[a-c ]{2,1600}$"})") <
        calls(R"({"type": "string", "pattern": "^[a-c ]{2,200}$"})") + 200);
}
