#include "inlay/chat/jinja.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "support/counting_allocator.hpp"

using namespace inlay;

namespace {

constexpr int64_t kThen = 1753535045;  // 2025-07-26 13:04:05

std::string render(const std::string& source, const JsonValue& variables,
                   const JinjaOptions& options = {}) {
  const auto parsed = JinjaTemplate::parse(source, options);
  if (!parsed) return std::string("error: ") + parsed.error().message();
  JinjaRender settings;
  settings.now = kThen;
  const auto text = parsed->render(variables, settings);
  return text ? std::string(text->view()) : std::string("error: ") + text.error().message();
}

std::string render(const std::string& source, const std::string& variables = "{}",
                   const JinjaOptions& options = {}) {
  const auto document = JsonDocument::parse(variables);
  REQUIRE(document);
  return render(source, document->root(), options);
}

}  // namespace

TEST_CASE("jinja: what was recorded from Python's jinja2") {
  std::ifstream file(INLAY_SOURCE_DIR "/tests/golden/jinja.jsonl");
  std::string line;
  REQUIRE(std::getline(file, line));
  const auto first = JsonDocument::parse(line);
  REQUIRE(first);
  const JsonValue& variables = *first->root().find("variables");
  size_t count = 0;
  while (std::getline(file, line)) {
    const auto recorded = JsonDocument::parse(line);
    REQUIRE(recorded);
    const std::string source(recorded->root().find("template")->text());
    const JsonValue& text = *recorded->root().find("text");
    const std::string rendered = render(source, variables);
    ++count;
    if (text.is_null()) {
      CHECK_MESSAGE(rendered.rfind("error: ", 0) == 0, source << " gave " << rendered);
    } else {
      CHECK_MESSAGE(rendered == text.text(), source);
    }
  }
  CHECK(count > 900);
}

TEST_CASE("jinja: errors name the line and what is wrong") {
  CHECK(render("a\n{{ nope.x }}") == "error: template line 2: 'nope' is undefined");
  CHECK(render("{{ d.y.z }}", R"({"d":{}})") ==
        "error: template line 1: 'dict object' has no attribute 'y'");
  CHECK(render("\n\n{{ raise_exception('Roles must alternate') }}") ==
        "error: template line 3: Roles must alternate");
  CHECK(render("{% if a %}x") ==
        "error: template line 1: expected '{% endif %}', found the end of the template");
  CHECK(render("{% for a of b %}") == "error: template line 1: expected 'in', found 'of'");
  CHECK(render("{{ 1 + }}") == "error: template line 1: expected an expression, found '}}'");
  CHECK(render("{{ [1, 2 }}") == "error: template line 1: unexpected '}'");
  CHECK(render("{% include 'x' %}") ==
        "error: template line 1: 'include' is not supported: a chat template is one text");
  CHECK(render("{{ 1 + 'a' }}") ==
        "error: template line 1: unsupported operand types for +: int and str");
  CHECK(render("{{ 2 ** 63 }}") == "error: template line 1: an integer beyond 64 bits");
  CHECK(render("{{ 9223372036854775807|round(-19) }}") ==
        "error: template line 1: an integer beyond 64 bits");
  CHECK(render("{{ [1]|random }}") ==
        "error: template line 1: random is not supported: a prompt must be the same each time");
  CHECK(render("\n{% autoescape true %}{% endautoescape %}") ==
        "error: template line 2: 'autoescape' is not supported: a prompt is no HTML");
  CHECK(render("{{ 'a'|nope }}") == "error: template line 1: no filter named 'nope'");
}

TEST_CASE("jinja: the options for whitespace") {
  const std::string source = "a\n  {% if true %}\nb\n  {% endif %}\n";
  JinjaOptions options;
  CHECK(render(source, "{}", options) == "a\nb\n");
  options.trim_blocks = false;
  CHECK(render(source, "{}", options) == "a\n\nb\n");
  options.lstrip_blocks = false;
  CHECK(render(source, "{}", options) == "a\n  \nb\n  ");
}

TEST_CASE("jinja: no template takes more time, memory or stack than its limits") {
  for (const std::string& source : {
           std::string(
               "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"),
           std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
           std::string("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"),
           std::string(
               "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s "
               "%}{% endfor %}"),
           std::string("{{ 'x' * 10000000000 }}"),
           std::string("{{ [0] * 10000000000 }}"),
           std::string("{{ 'x'|center(100000000000) }}"),
           std::string("{{ '%1000000000d' % 1 }}"),
           std::string("{{ '%*d' % (10000000000, 1) }}"),
           std::string("{{ '{:{w}}'.format(1, w=10000000000) }}"),
           std::string("{{ ('ab' * 2000000)|wordwrap(1) }}"),
           std::string("{{ ('<!---->' * 1000000)|striptags }}"),
           std::string("{{ ('a' * 40000000).find('a' * 20000000 ~ 'b') }}"),
           std::string("{{ ('a' * 40000000).rsplit('a' * 20000000 ~ 'b') }}"),
           std::string("{{ 'a' * 20000000 ~ 'b' in 'a' * 40000000 }}"),
           std::string("{% set x = 'a' * 9000000 %}{% set d = {x ~ 'a': 1} %}{% set k = x ~ 'b' %}"
                       "{% for i in range(1000000) %}{{ d[k] }}{% endfor %}"),
           std::string("{% set x = 'a' * 9000000 %}{{ (x ~ 'b').endswith((x,) * 1000000) }}"),
           std::string("{% set x = [] %}{% set _ = x.append(x) %}{{ x|pprint }}"),
           std::string("{{ '{:1000000000}'.format(1) }}"),
           std::string(
               "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% "
               "endfor %}{{ ns.x }}"),
           std::string("{% set x = [] %}{% set _ = x.append(x) %}{{ x }}"),
           std::string("{% set x = [] %}{% set _ = x.append(x) %}{{ x == [x] }}{{ x|tojson }}"),
           std::string("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}"),
           std::string(100000, '(').insert(0, "{{ "),
           "{{ " + std::string(100000, '[') + std::string(100000, ']') + " }}",
           "{{ " + std::string(100000, '-') + "1 }}",
       }) {
    const std::string rendered = render(source);
    CHECK_MESSAGE(rendered.rfind("error: ", 0) == 0, source.substr(0, 100));
  }
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += ".a";
  CHECK(render("{{ x" + deep + " }}").rfind("error: ", 0) == 0);
  std::string blocks, nots;
  for (int i = 0; i < 5000; ++i) blocks += "{% if true %}";
  for (int i = 0; i < 5000; ++i) nots += "not ";
  CHECK(render(blocks).rfind("error: ", 0) == 0);
  CHECK(render("{{ " + nots + "1 }}").rfind("error: ", 0) == 0);
  // Long is not deep.
  std::string sum = "{{ 0", ifs = "{% if false %}", list = "{{ [";
  for (int i = 0; i < 5000; ++i) sum += " + 1", ifs += "{% elif false %}", list += "1,";
  CHECK(render(sum + " }}") == "5000");
  CHECK(render(ifs + "{% else %}x{% endif %}") == "x");
  CHECK(render(list + "]|length }}") == "5000");
}

TEST_CASE("jinja: numbers at the ends of 64 bits") {
  const std::string most = "9223372036854775807", least = "(-9223372036854775807 - 1)";
  CHECK(render("{{ 'abc'|truncate(" + most + ") }}") == "abc");
  CHECK(render("{{ 'abc'|truncate(3, False, '...', " + most + ") }}") == "abc");
  CHECK(render("{{ 'abc'|truncate(" + least + ") }}").rfind("error: ", 0) == 0);
  CHECK(render("{{ ''.center(" + most + ") }}").rfind("error: ", 0) == 0);
  CHECK(render("{{ ''.ljust(" + least + ") }}[{{ '-1'.zfill(" + least + ") }}]") == "[-1]");
  const std::string again = "{% for i in range(100) %}{% set ns.x = ns.x[::9] %}{% endfor %}";
  CHECK(render("{% set ns = namespace(x=[1, 2]) %}" + again + "{{ ns.x }}") == "[1]");
  CHECK(render("{% set ns = namespace(x=range(2)) %}" + again).rfind("error: ", 0) == 0);
}

TEST_CASE("when any one allocation fails, jinja leaks nothing and says so") {
  const std::string source =
      "{% macro m(x) %}{{ x|upper }}{% endmacro %}{% for i in l|sort %}{{ m('a' ~ i) }}{{ "
      "loop.last "
      "}}{% endfor %}{{ d|tojson }}{{ '%s' % 1 }}{{ ('x' * 5000)|length }}{{ 'a b'.split() }}";
  const auto variables = JsonDocument::parse(R"({"l":[3,1,2],"d":{"x":[1,{"y":null}]}})");
  REQUIRE(variables);
  const std::string expected = render(source, variables->root());
  size_t k = 0;
  for (;; ++k) {
    inlay_test::CountingAllocator memory(k);
    JinjaOptions options;
    options.allocator = memory.get();
    const std::string rendered = render(source, variables->root(), options);
    CHECK(memory.live_blocks() == 0);
    CHECK(memory.wrong_releases() == 0);
    if (!memory.failed()) {
      CHECK(rendered == expected);
      break;
    }
    CHECK_MESSAGE(rendered.rfind("error: ", 0) == 0, rendered);
  }
  CHECK(k > 10);
}
