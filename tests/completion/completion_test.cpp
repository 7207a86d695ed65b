#include "inlay/completion/completion.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <inlay.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "support/counting_allocator.hpp"
#include "support/demo_model.hpp"
#include "support/models/shapes.hpp"

namespace {

using inlay::Completion;
using inlay::CompletionOptions;
using inlay::Document;
using inlay::Model;
using inlay::Step;

Model demo(const inlay::Host& host = {}) {
  inlay::ModelOptions options;
  options.host = host;
  return inlay_test::demo_model(options);
}

// One that follows instructions, with random weights, and no tokens for the middle.
Model instructed(const random_model::Memory& file, const inlay::Host& host = {}) {
  inlay::ModelOptions options;
  options.host = host;
  auto model = Model::from_memory({file.data(), file.size()}, options);
  REQUIRE(bool(model));
  return *model;
}
random_model::File instructed_file() {
  const random_model::Spec* const spec = random_model::find_spec("llama-gqa");
  random_model::File file = random_model::make(*spec, random_model::Type::f16);
  file.set("llama.context_length", random_model::u32_value(2048));
  file.set("tokenizer.chat_template",
           random_model::text_value("{{ bos_token }}{% for m in messages %}({{ m.role }})"
                                    "{{ m.content }}{{ eos_token }}{% endfor %}"));
  return file;
}

// Unless a test asks for it, nothing depends on how fast the machine is.
Completion create(const Model& model, CompletionOptions options = {}, uint32_t first_us = 0) {
  options.first_us = first_us;
  auto completion = Completion::create(model, options);
  CAPTURE(completion ? std::string() : std::string(completion.error().message()));
  REQUIRE(bool(completion));
  return std::move(*completion);
}

// A file in an editor: text with a cursor, and a completion that follows it.
struct Editor {
  std::string before, after, path = "registry.cpp";
  Document document() {
    all = before + after;
    Document d;
    d.path = path;
    d.text = all;
    d.cursor = before.size();
    return d;
  }
  std::string all;
};

const char* const kBefore =
    "#include \"registry.h\"\n\nnamespace store {\n\n"
    "bool Registry::has(const std::string& name) const {\n"
    "  auto it = names_.find(name);\n"
    "  if (it == names_.end()) {\n    ";
const char* const kAfter = "\n  }\n  return true;\n}\n\n}  // namespace store\n";

std::string shown(Completion& completion) { return std::string(completion.suggestion().text); }

std::string complete(Completion& completion, Editor& editor) {
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(completion.run(60000000) == Step::done);
  CHECK(completion.suggestion().complete);
  return shown(completion);
}

}  // namespace

TEST_CASE("There is a suggestion, and it says how sure it is") {
  const Model model = demo();
  Completion completion = create(model);
  CHECK(completion.layout().family == "qwen");
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  CHECK(!complete(completion, editor).empty());
  const inlay::Suggestion& s = completion.suggestion();
  CHECK(s.probability > 0.05f);
  CHECK(s.probability <= 1);
  REQUIRE(s.token_probabilities.size() > 1);
  float least = 1;
  for (const float p : s.token_probabilities) least = p < least ? p : least;
  CHECK(least == s.probability);
}

TEST_CASE("A completion takes turns with a session in one workspace") {
  const Model model = demo();
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  CompletionOptions options;
  options.session.context = 512;
  Completion alone = create(model, options);
  const std::string wanted = complete(alone, editor);
  inlay::SessionOptions session_options;
  session_options.context = 512;
  auto session = inlay::Session::create(model, session_options);
  REQUIRE(bool(session));
  options.session.workspace_of = &*session;
  for (const uint32_t first_us : {0u, 1u}) {
    options.first_us = first_us;
    Completion completion = create(model, options);
    REQUIRE(session->prompt(std::string(300, ' ') + "int main() {"));
    REQUIRE(session->step(0) == Step::more);
    REQUIRE(completion.update(editor.document()));
    for (int i = 0; i < 2; ++i) {
      CHECK(completion.step(1000) == Step::failed);
      CHECK(completion.status().error().code() == inlay::ErrorCode::busy);
    }
    session->truncate(0);
    while (!completion.suggestion().complete) REQUIRE(completion.step(1000000) != Step::failed);
    CHECK(shown(completion) == wanted);
    // Cursors that jump back and forth, while the text around them is being read.
    Editor here = editor, other = editor;
    for (int i = 0; i < 40; ++i)
      other.before = "int unused_" + std::to_string(i) + ";\n" + other.before;
    for (int i = 0; i < 30; ++i) {
      Editor& now = i % 3 == 0 ? here : other;
      now.before += i % 2 == 0 ? "x" : ";";
      REQUIRE(completion.update(now.document()));
      for (int step = 0; step < i; ++step) REQUIRE(completion.step(0) != Step::failed);
    }
  }
}

TEST_CASE("Names of which every byte is a token leave less room for texts") {
  const Model model = demo();
  std::string name, text;
  for (int i = 0; i < 60; ++i) name += "\xe5\xad\x97";
  for (int i = 0; i < 10; ++i) text += name;
  CompletionOptions options;
  options.session.context = 256;
  options.max_tokens = 4;
  options.repository = name;
  Completion completion = create(model, options);
  REQUIRE(completion.set_file(name + ".h", text));
  Editor editor;
  editor.path = name;
  editor.before = text + kBefore;
  editor.after = kAfter + text;
  const inlay::Status updated = completion.update(editor.document());
  CAPTURE(std::string(updated.error().message()));
  CHECK(updated);
  CHECK(completion.run(60000000) == Step::done);
}

TEST_CASE("What is typed as suggested costs nothing, also when it is taken back") {
  const Model model = demo();
  CompletionOptions options;
  options.predict = false;
  Completion completion = create(model, options);
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  const std::string all = complete(completion, editor);
  REQUIRE(all.size() > 6);
  const uint64_t read = completion.tokens_read(), prompts = completion.prompts();
  for (size_t n = 1; n < all.size(); ++n) {
    editor.before = kBefore + all.substr(0, n);
    REQUIRE(bool(completion.update(editor.document())));
    CHECK(shown(completion) == all.substr(n));
    CHECK(completion.suggestion().complete);
  }
  editor.before = kBefore + all.substr(0, 3);
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(shown(completion) == all.substr(3));
  CHECK(completion.tokens_read() == read);
  CHECK(completion.prompts() == prompts);
  // Also if somebody looks away in between.
  REQUIRE(bool(completion.update(editor.document(), false)));
  CHECK(shown(completion).empty());
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(shown(completion) == all.substr(3));
  CHECK(completion.prompts() == prompts);
  // Not as suggested: another text.
  editor.before = kBefore + std::string("X");
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(completion.prompts() == prompts + 1);
}

TEST_CASE("Typing and deleting read what changed, and nothing behind the cursor") {
  const Model model = demo();
  CompletionOptions options;
  options.predict = false;
  Completion completion = create(model, options);
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  complete(completion, editor);
  const uint64_t whole = completion.tokens_read();
  CHECK(whole > 60);
  uint64_t most = 0, last = whole;
  const std::string typed = "names_.erase(it); // nothing of that name\n    log(name);";
  const auto check = [&] {
    REQUIRE(bool(completion.update(editor.document())));
    completion.step(60000000);  // up to the first text, however slow the machine is
    most = completion.tokens_read() - last > most ? completion.tokens_read() - last : most;
    last = completion.tokens_read();
  };
  for (const char c : typed) {
    editor.before += c;
    check();
  }
  for (size_t i = 0; i < typed.size(); ++i) {
    editor.before.pop_back();
    check();
  }
  CHECK(most <= 8);
  CHECK(last - whole < 4 * 2 * typed.size());
}

TEST_CASE("A word that is half written is completed") {
  const Model model = demo();
  Completion healing = create(model);
  Editor editor;
  editor.after = kAfter;
  for (const char* half : {"re", "ret", "retu", "retur", "return"}) {
    CAPTURE(half);
    editor.before = kBefore + std::string(half);
    CHECK((half + complete(healing, editor)).find("return ") == 0);
  }
}

TEST_CASE("In small steps the same comes out, and no step is long") {
  const Model model = demo();
  Completion one = create(model), other = create(model);
  Editor editor;
  editor.before = kBefore + std::string("re");
  editor.after = kAfter;
  const std::string expected = complete(one, editor);
  REQUIRE(bool(other.update(editor.document())));
  size_t steps = 0, pieces = 0;
  while (!other.suggestion().complete) {
    const Step step = other.step(20);
    REQUIRE(step != Step::failed);
    ++steps;
    if (step == Step::piece) ++pieces;
    const std::string now = shown(other);
    CHECK(expected.compare(0, now.size(), now) == 0);
  }
  CHECK(shown(other) == expected);
  CHECK(steps > 10);
  CHECK(pieces >= 2);
}

TEST_CASE("The next completion is there when this one is accepted") {
  const Model model = demo();
  Completion completion = create(model), without = create(model);
  Editor editor;
  editor.before = kBefore;
  editor.after = "\n";
  const std::string first = complete(completion, editor);
  REQUIRE(!first.empty());
  while (completion.step(1000) != Step::done) {
  }
  const uint64_t prompts = completion.prompts();
  CHECK(prompts == 2);
  CHECK(shown(completion) == first);
  // Typing on as suggested, and then accepting the rest.
  editor.before += first.substr(0, 2);
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(shown(completion) == first.substr(2));
  editor.before = kBefore + first;
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(completion.prompts() == prompts);
  completion.run(60000000);
  CHECK(completion.suggestion().complete);
  CHECK(shown(completion) == complete(without, editor));
}

TEST_CASE("What was read ahead is not read again") {
  const Model model = demo();
  Completion completion = create(model);
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  REQUIRE(bool(completion.update(editor.document(), false)));
  while (completion.step(1000) != Step::done) {
  }
  CHECK(shown(completion).empty());
  const uint64_t read = completion.tokens_read();
  REQUIRE(bool(completion.update(editor.document())));
  CHECK(completion.run(60000000) == Step::done);
  CHECK(!shown(completion).empty());
  CHECK(completion.tokens_read() == read);
}

TEST_CASE("Other files are in the prompt: the best first, each once") {
  const Model model = demo();
  CompletionOptions options;
  options.predict = false;
  Completion completion = create(model, options);
  Editor editor;
  editor.before = "int main() {\n  int total = count_";
  editor.after = "\n}\n";
  complete(completion, editor);
  const uint64_t alone = completion.tokens_read();
  REQUIRE(bool(completion.set_file("frobnicate.h", "int count_frobnicators(int);\n", 5)));
  REQUIRE(bool(completion.set_file("other.h", "int other();\n", 1)));
  editor.before += "f";
  const std::string helped = complete(completion, editor);
  CHECK(completion.tokens_read() - alone > 20);
  CHECK(helped.find("robnicators") == 0);
  const uint64_t with = completion.tokens_read();
  complete(completion, editor);
  CHECK(completion.tokens_read() == with);
  completion.remove_file("frobnicate.h");
  editor.before += "q";
  complete(completion, editor);
  CHECK(completion.tokens_read() > with);
  // The file that is edited is not beside itself.
  completion.remove_file("other.h");
  REQUIRE(bool(completion.set_file(editor.path, "int here;\n")));
  const uint64_t before = completion.tokens_read();
  editor.before += "z";
  complete(completion, editor);
  CHECK(completion.tokens_read() - before <= alone + 4);
}

TEST_CASE("A cursor that moves keeps the start of what was read") {
  const Model model = demo();
  CompletionOptions options;
  options.predict = false;
  Completion completion = create(model, options);
  std::string file;
  for (int i = 0; i < 200; ++i) file += "int value_" + std::to_string(i) + "();\n";
  Editor editor;
  const size_t at = file.find("int value_150");
  editor.before = file.substr(0, at);
  editor.after = file.substr(at);
  complete(completion, editor);
  uint64_t last = completion.tokens_read();
  const uint64_t whole = last;
  for (const char* place : {"int value_152", "int value_151", "int value_156"}) {
    CAPTURE(place);
    const size_t to = file.find(place);
    editor.before = file.substr(0, to);
    editor.after = file.substr(to);
    complete(completion, editor);
    CHECK(completion.tokens_read() - last < whole * 3 / 4);
    last = completion.tokens_read();
  }
}

TEST_CASE("What stands behind the cursor is read when it is no longer what it was") {
  const Model model = demo();
  CompletionOptions options;
  options.predict = false;
  Completion completion = create(model, options);
  Editor editor;
  editor.before = "int one();\nint two();\n";
  complete(completion, editor);
  editor.before += "int three();\nint four();\n";
  complete(completion, editor);
  // The cursor goes up over what was typed at the end of the file.
  const uint64_t prompts = completion.prompts(), read = completion.tokens_read();
  editor.after = "int four();\n";
  editor.before.resize(editor.before.size() - editor.after.size());
  complete(completion, editor);
  CHECK(completion.prompts() == prompts + 1);
  CHECK(completion.tokens_read() - read >= 8);
}

TEST_CASE("Lines without end, and bytes that are no text") {
  const Model model = demo();
  CompletionOptions options;
  options.session.context = 256;
  options.max_tokens = 8;
  Completion completion = create(model, options);
  Editor editor;
  for (const char* part : {"x", "\xff", "\xC3\xA4", "\t"}) {
    CAPTURE(part);
    editor.before = editor.after = "";
    for (int i = 0; i < 5000; ++i) editor.before += part;
    editor.after = editor.before;
    complete(completion, editor);
    for (int i = 0; i < 3; ++i) {
      editor.before += "y";
      complete(completion, editor);
    }
  }
}

TEST_CASE("Cancelled from another thread, and gone on with") {
  const Model model = demo();
  Completion completion = create(model), undisturbed = create(model);
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  const std::string expected = complete(undisturbed, editor);
  for (int i = 0; i < 20; ++i) {
    editor.before = kBefore + std::string(static_cast<size_t>(i), ' ');
    REQUIRE(bool(completion.update(editor.document())));
    std::atomic<bool> returned{false};
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(200 * i));
      while (!returned) completion.cancel();
    });
    completion.run(60000000);
    returned = true;
    canceller.join();
    CHECK(bool(completion.status()));
  }
  completion.cancel();  // for nothing that is still to come
  editor.before = kBefore;
  CHECK(complete(completion, editor) == expected);
}

TEST_CASE("Edits of every kind, at random: never a failure, never a text that does not belong") {
  const Model model = demo();
  CompletionOptions options;
  options.session.context = 256;
  options.max_tokens = 12;
  Completion completion = create(model, options);
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  uint32_t random = 7;
  const auto below = [&random](uint32_t n) {
    random = random * 1664525u + 1013904223u;
    return static_cast<size_t>(uint64_t{random} * n >> 32);
  };
  for (int i = 0; i < 150; ++i) {
    const std::string all = editor.before + editor.after;
    switch (below(6)) {
      case 0:
        editor.before += "x = (y + \xC3\xA4);\n  "[below(14)];
        break;
      case 1:
        if (!editor.before.empty()) editor.before.pop_back();
        break;
      case 2: {
        const size_t to = below(static_cast<uint32_t>(all.size()) + 1);
        editor.before = all.substr(0, to);
        editor.after = all.substr(to);
        break;
      }
      case 3:
        editor.before += completion.suggestion().text;
        break;
      case 4:
        editor.before.insert(below(static_cast<uint32_t>(editor.before.size()) + 1), "// note\n");
        break;
      default:
        editor.after = editor.after.substr(below(3) < editor.after.size() ? below(2) : 0);
        break;
    }
    REQUIRE(bool(completion.update(editor.document(), below(5) > 0)));
    for (size_t steps = below(12); steps > 0; --steps) {
      REQUIRE(completion.step(400) != Step::failed);
    }
    const std::string_view text = completion.suggestion().text;
    CHECK((text.empty() || text.back() != ' '));
    CHECK(completion.suggestion().token_probabilities.size() <= text.size());
  }
}

TEST_CASE("Models without tokens for it, small contexts, options that make no sense") {
  const Model model = demo();
  CompletionOptions options;
  options.max_tokens = 0;
  CHECK_FALSE(bool(Completion::create(model, options)));
  options.max_tokens = 600;
  auto refused = Completion::create(model, options);
  REQUIRE_FALSE(bool(refused));
  CHECK(std::string(refused.error().message()).find("600") != std::string::npos);
  options.max_tokens = 16;
  options.budget.prefix = 5000;
  CHECK_FALSE(bool(Completion::create(model, options)));
  options.budget.prefix = 0;
  options.session.context = 256;
  Completion small = create(model, options);
  Editor editor;
  editor.before = std::string(3000, 'a') + kBefore;
  editor.after = kAfter + std::string(3000, 'b');
  complete(small, editor);
  Document outside = editor.document();
  outside.cursor = outside.text.size() + 1;
  CHECK(small.update(outside).error().code() == inlay::ErrorCode::bad_argument);
  // Without text there is nothing to go on from, and that is no failure.
  editor.before = editor.after = "";
  complete(small, editor);
}

TEST_CASE("A first suggestion is made of less text where there is no time to read all") {
  const Model model = demo();
  CompletionOptions options;
  options.predict = false;
  options.session.batch_invariant = true;
  options.session.reuse = 1000;  // nothing is moved: texts are the same to the bit
  Completion patient = create(model, options), hasty = create(model, options, 1);
  std::string code;
  for (int i = 0; i < 60; ++i) {
    code += "int f" + std::to_string(i) + "(int a) { return a * " + std::to_string(i) + "; }\n";
  }
  Editor editor;
  editor.before = code + kBefore;
  editor.after = kAfter + code;
  const auto first = [&] {
    REQUIRE(bool(hasty.update(editor.document())));
    Step step = Step::more;
    while (step == Step::more && shown(hasty).empty()) step = hasty.step(60000000);
    CHECK_FALSE(hasty.suggestion().complete);
    return shown(hasty);
  };
  const auto final_one = [&] {
    const std::string all = complete(hasty, editor);
    CHECK(all == complete(patient, editor));
    return all;
  };
  CHECK_FALSE(first().empty());
  const auto preliminary = [&] {
    first();
    while (!hasty.suggestion().preliminary) REQUIRE(hasty.step(60000000) == Step::piece);
    return shown(hasty);
  };
  preliminary();
  CHECK_FALSE(hasty.suggestion().complete);
  const uint64_t read = hasty.tokens_read();
  CHECK(read < 150);

  // While somebody types, no more is read than what is new.
  for (const char c : std::string("abc")) {
    editor.before += c;
    first();
  }
  CHECK(hasty.tokens_read() < read + 60);
  CHECK(complete(patient, editor) == final_one());
  const uint64_t all_read = hasty.tokens_read();
  CHECK(all_read > read + 300);

  CHECK_FALSE(hasty.suggestion().preliminary);

  // Then everything is there, and typing costs no more than without all this.
  editor.before += ");";
  final_one();
  CHECK(hasty.tokens_read() < all_read + 20);

  // What was only to be read ahead is wanted now.
  editor.before = code + kBefore + code + "int main() {\n  ";
  REQUIRE(bool(hasty.update(editor.document(), false)));
  CHECK(hasty.step(1) != Step::failed);
  // What is typed as the first suggestion says is not replaced, and the rest is read in its time.
  const std::string begun = preliminary();
  editor.before += begun.substr(0, 1);
  REQUIRE(bool(hasty.update(editor.document())));
  hasty.cancel();
  CHECK(hasty.run(60000000) == Step::done);
  CHECK(hasty.run(60000000) == Step::done);
  CHECK(hasty.suggestion().complete);
  if (begun.size() > 1) CHECK(shown(hasty) == begun.substr(1));
  editor.before += "?";
  final_one();

  // The rest is read ahead too, while nobody wants a suggestion.
  std::string other;
  for (int i = 0; i < 60; ++i) other += "double g" + std::to_string(i) + "(double other);\n";
  editor.before = other;
  editor.after = "\n";
  first();
  const uint64_t before = hasty.tokens_read();
  REQUIRE(bool(hasty.update(editor.document(), false)));
  while (hasty.step(60000000) == Step::piece) continue;
  CHECK(shown(hasty).empty());
  CHECK(hasty.tokens_read() > before + 200);
  final_one();
}

TEST_CASE("A model that is told what to fill in keeps to the form of an answer") {
  const random_model::Memory file(instructed_file());
  const Model model = instructed(file);
  for (const bool guesses : {true, false}) {
    CompletionOptions options;
    options.max_tokens = 24;
    options.trim.max_lines = 3;
    options.drafts.least_match = guesses ? 1 : 0;
    Completion completion = create(model, options);
    CHECK(completion.layout().chat);
    Editor editor;
    // Words that the vocabulary cuts in many ways, and every kind of place.
    for (const char* before :
         {"the sea\n  is there(and", "", "a\n", "sea", "one\ntwo\nthree\n  "}) {
      for (const char* after : {")\n}\n", "", "\n\n  the end\n", "\n```\n"}) {
        CAPTURE(std::string(before) + "|" + after);
        editor.before = before;
        editor.after = after;
        const std::string all = complete(completion, editor);
        CHECK(all.find("```") == std::string::npos);
        CHECK(std::count(all.begin(), all.end(), '\n') < 3);
        if (all.empty()) continue;
        editor.before += all[0];
        complete(completion, editor);
        editor.before += "?";  // as nobody suggested
        complete(completion, editor);
      }
    }
  }
}

TEST_CASE("when any one allocation fails, a completion says so; typing as suggested takes none") {
  const random_model::Memory file(instructed_file());
  Editor editor;
  editor.before = kBefore;
  editor.after = kAfter;
  for (const bool told : {false, true}) {
    const auto open = [&](const inlay::Host& host) {
      return told ? instructed(file, host) : demo(host);
    };
    CompletionOptions options;
    options.max_tokens = 16;
    size_t opened = 0, used = 0;
    {
      inlay_test::CountingAllocator allocator;
      inlay::Host host;
      host.allocator = allocator.get();
      const Model model = open(host);
      opened = allocator.calls();
      Completion completion = create(model, options, told ? 0 : 1);
      const std::string all = complete(completion, editor);
      used = allocator.calls();
      CHECK(completion.layout().chat == told);
      Editor typing = editor;
      typing.before += all.substr(0, 4);
      REQUIRE(bool(completion.update(typing.document())));
      CHECK(allocator.calls() == used);
    }
    REQUIRE(used > opened);
    for (size_t fail = opened; fail <= used; ++fail) {
      inlay_test::CountingAllocator allocator(fail);
      {
        inlay::Host host;
        host.allocator = allocator.get();
        const Model model = open(host);
        options.first_us = told ? 0 : 1;
        auto completion = Completion::create(model, options);
        const bool created = bool(completion);
        if (created && completion->update(editor.document())) completion->run(1000);
        CHECK((created || completion.error().code() == inlay::ErrorCode::out_of_memory));
      }
      CHECK(allocator.live_blocks() == 0);
      CHECK(allocator.wrong_releases() == 0);
    }
  }
}

TEST_CASE("What a model's limit refuses to a completion, to drafts and to grammars, it names") {
  const auto named = [](const inlay::Error& error) {
    CAPTURE(std::string(error.message()));
    CHECK(error.code() == inlay::ErrorCode::out_of_memory);
    CHECK(std::string(error.message()).find("option max_bytes: ") == 0);
  };
  inlay::ModelOptions limited;
  {
    const Model model = inlay_test::demo_model();
    limited.max_bytes = std::max(model.memory().peak, model.memory().total());
  }
  size_t refused = 0, updates = 0, files = 0;
  const std::string long_path(100000, 'x');
  CompletionOptions options;
  options.max_tokens = 16;
  options.first_us = 0;
  for (const uint64_t least = limited.max_bytes;; limited.max_bytes += 65536) {
    REQUIRE(limited.max_bytes - least < uint64_t{1} << 26);
    const Model model = inlay_test::demo_model(limited);
    Editor editor;
    editor.before = kBefore;
    auto completion = Completion::create(model, options);
    if (!completion) {
      named(completion.error());
      ++refused;
      continue;
    }
    const inlay::Status kept = completion->set_file(long_path, "text");
    if (!kept) {
      named(kept.error());
      ++files;
    }
    editor.path = long_path;
    const inlay::Status updated = completion->update(editor.document());
    if (!updated) {
      named(updated.error());
      named(completion->status().error());
      ++updates;
    }
    if (kept && updated) break;
  }
  CHECK(refused > 0);
  CHECK(files > 0);
  CHECK(updates > 0);

  const Model model = inlay_test::demo_model();
  limited.max_bytes = std::max(model.memory().peak, model.memory().total());
  const Model full = inlay_test::demo_model(limited);
  inlay::GrammarOptions grammar;
  const auto compiled = inlay::Grammar::from_regex("[a-z]{1,200}", grammar);
  REQUIRE(bool(compiled));
  grammar.host = full.host();
  std::string pattern;
  for (int i = 0; i < 2000; ++i) pattern += "[a-z]x?" + std::to_string(i);
  named(inlay::Grammar::from_regex(pattern, grammar).error());
  named(inlay::GrammarVocabulary::create(full.tokenizer(), full.host()).error());
  inlay::GrammarMatcherOptions matcher;
  matcher.host = full.host();
  named(inlay::GrammarMatcher::create(*compiled, matcher).error());
}
