// What guessing tokens gains when text is edited: a model is made to write a file's new version,
// with the old one before it, without guesses and with those that are looked up in the old one, or
// that a small model makes, or both.
//   bench_speculation MODEL.gguf OLD NEW [NAME=VALUE…]
//     threads=1 tokens=256 weights=mapped|packed match=3 most=7 skip=0 draft=SMALL.gguf agree=70
// match=0: nothing is looked up. `agree`: so many of 100 tokens that the small model guesses are
// made right, for its weights do not matter either; it takes the time that it takes.
// Which tokens are written does not depend on the model (they are the new version's), so that
// random weights in a real model's shape will do. `skip`: bytes of both files to leave out.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <inlay.hpp>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

int fail(const char* text) {
  std::fprintf(stderr, "bench_speculation: %s\n", text);
  return 1;
}

std::vector<inlay::Token> tokens_of(const inlay::Model& model, const char* path, size_t skip) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  text.erase(0, skip);
  inlay::TokenizeOptions plain;
  plain.add_special = plain.parse_special = false;
  std::vector<inlay::Token> tokens(inlay::Tokenizer::max_tokens(text.size()));
  const auto n = model.tokenizer().encode(text, tokens, plain);
  tokens.resize(n ? *n : 0);
  return tokens;
}

// Allows one token: the next of the text.
struct Dictation {
  const std::vector<inlay::Token>* text = nullptr;
  size_t at = 0;
  inlay::Constraint constraint() {
    inlay::Constraint c;
    c.mask = [](void* user, inlay::Span<uint64_t> allowed) {
      const Dictation& d = *static_cast<Dictation*>(user);
      if (d.at == d.text->size()) return false;
      const auto id = static_cast<uint32_t>((*d.text)[d.at]);
      allowed[id / 64] |= uint64_t{1} << id % 64;
      return true;
    };
    c.accept = [](void* user, inlay::Token) { ++static_cast<Dictation*>(user)->at; };
    c.rollback = [](void* user, uint32_t n) { static_cast<Dictation*>(user)->at -= n; };
    c.user = this;
    return c;
  }
};

// Makes what the small model writes right as often as is asked for.
struct Agreement {
  inlay::Drafter guesses;
  const Dictation* dictation = nullptr;
  uint32_t percent = 70;
  std::minstd_rand chance;
  size_t known = 0, at = 0;  // tokens of the text that a guess is asked for; the next token's place

  static void apply(void* user, inlay::Candidates* candidates) {
    Agreement& a = *static_cast<Agreement*>(user);
    const size_t place = a.at++;
    if (place >= a.dictation->text->size() || a.chance() % 100 >= a.percent) return;
    candidates->list = candidates->list.subspan(0, 1);
    candidates->list[0] = {(*a.dictation->text)[place], 0};
  }
  inlay::Drafter drafter() {
    inlay::Drafter d;
    d.draft = [](void* user, inlay::Span<const inlay::Token> tokens, uint64_t deadline_us,
                 inlay::Span<inlay::Token> room, uint32_t* count) {
      Agreement& a = *static_cast<Agreement*>(user);
      if (a.known != tokens.size()) a.at = a.dictation->at;
      a.known = tokens.size();
      return a.guesses.draft(a.guesses.user, tokens, deadline_us, room, count);
    };
    d.learn = [](void* user, uint32_t drafted, uint32_t accepted) {
      const Agreement& a = *static_cast<Agreement*>(user);
      a.guesses.learn(a.guesses.user, drafted, accepted);
    };
    d.user = this;
    return d;
  }
};

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  if (argc < 4) return fail("usage: bench_speculation MODEL OLD NEW [NAME=VALUE…]");
  inlay::ModelOptions model_options;
  inlay::SessionOptions options;
  inlay::DraftOptions draft_options;
  size_t n = 256, skip = 0;
  std::string small_path;
  Agreement agreement;
  for (int i = 4; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) return fail("expected NAME=VALUE");
    const std::string name = argument.substr(0, equals), value = argument.substr(equals + 1);
    const uint32_t number = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    if (name == "threads") {
      options.threads = number;
    } else if (name == "tokens") {
      n = number;
    } else if (name == "match") {
      draft_options.least_match = number;
    } else if (name == "most") {
      draft_options.most = number;
    } else if (name == "skip") {
      skip = number;
    } else if (name == "draft") {
      small_path = value;
    } else if (name == "agree") {
      agreement.percent = number;
    } else if (name == "weights") {
      model_options.weights =
          value == "packed" ? inlay::WeightMode::packed : inlay::WeightMode::mapped;
    } else {
      return fail(("no option " + name).c_str());
    }
  }
  auto model = inlay::Model::open(argv[1], model_options);
  if (!model) return fail(model.error().message());
  std::vector<inlay::Token> old = tokens_of(*model, argv[2], skip);
  std::vector<inlay::Token> text = tokens_of(*model, argv[3], skip);
  if (old.empty() || text.empty()) return fail("cannot read the files");
  text.resize(std::min(n, text.size()));
  old.resize(std::min(old.size(), n + 64));
  // A prompt that is read in no time: the old version counts as the text that was edited.
  const std::vector<inlay::Token> prompt(old.begin(), old.begin() + 16);
  options.context = static_cast<uint32_t>(prompt.size() + text.size() + 16);
  options.sampling.temperature = 0;
  auto session = inlay::Session::create(*model, options);
  std::optional<inlay::Model> small;
  if (!small_path.empty()) {
    auto opened = inlay::Model::open(small_path.c_str(), model_options);
    if (!opened) return fail(opened.error().message());
    small = *opened;
    draft_options.model = &*small;
    draft_options.session.context = options.context;
    draft_options.session.threads = options.threads;
    draft_options.session.sampling.chain.add(inlay::Sampler(&Agreement::apply, &agreement));
  }
  auto drafts = inlay::Drafts::create(*model, draft_options);
  if (!session) return fail(session.error().message());
  if (!drafts) return fail(drafts.error().message());
  drafts->set_reference(old);
  agreement.guesses = drafts->drafter();
  const inlay::Drafter drafter = agreement.drafter();
  double seconds[2] = {0, 0};
  for (int round = 0; round < 5; ++round) {  // the first warms up; then in turn
    const bool guesses = round % 2 == 0;
    session->speculate(guesses ? &drafter : nullptr);
    session->truncate(0);
    Dictation dictation{&text};
    agreement.dictation = &dictation;
    const inlay::Constraint constraint = dictation.constraint();
    session->constrain(nullptr);
    if (!session->prompt({prompt.data(), prompt.size()})) return fail("no prompt");
    session->constrain(&constraint);
    session->next();
    const Clock::time_point start = Clock::now();
    while (session->next() != nullptr) {
    }
    const double s = std::chrono::duration<double>(Clock::now() - start).count();
    if (round > 0) seconds[guesses] += s / 2;
    if (dictation.at != text.size()) return fail("the text was not written to its end");
  }
  const double rate = static_cast<double>(session->accepted()) /
                      static_cast<double>(session->drafted() > 0 ? session->drafted() : 1);
  std::printf(
      "%zu tokens: %.1f tokens/s without guesses, %.1f with them, %.2f times as fast; "
      "%.0f %% of what was guessed was right\n",
      text.size(), static_cast<double>(text.size()) / seconds[0],
      static_cast<double>(text.size()) / seconds[1], seconds[0] / seconds[1], 100 * rate);
  return 0;
}
