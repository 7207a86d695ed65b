// inlay complete, inlay fim: a prompt in, text out as it is made.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli.hpp"

namespace cli {
namespace {

struct Settings {
  uint32_t n = 256, threads = 1, context = 0;
  SamplingChoice sampling;
  std::vector<std::string> stop;
  inlay::Setting<uint32_t> logprobs = inlay::Setting<uint32_t>::unset(0);
  ModelChoice model;
};

void add_settings(Command* command, Settings* s) {
  command->number("-n", "N", "most tokens to write; 0: until the text or the context ends", &s->n,
                  0, UINT32_MAX);
  add_sampling_options(command, &s->sampling);
  command->texts("--stop", "TEXT", "end before this text; may be given several times", &s->stop);
  command->option("--logprobs", "N",
                  "print JSON: each token, its log-probability, and the N most probable",
                  [s](const char* given) {
                    uint64_t n = 0;
                    if (!parse_number(given, 0, 64, &n)) return "a whole number from 0 to 64";
                    s->logprobs = static_cast<uint32_t>(n);
                    return "";
                  });
  add_threads_option(command, &s->threads);
  command->number("--ctx", "N", "context in tokens; 0: what the model knows, at most 4096",
                  &s->context, 0, kMaxContext);
  add_model_options(command, &s->model);
}

// What is not the model's own, dimmed where that can be; only for a terminal.
void print_given(const std::string& text) {
  const bool dimmed = takes_escape_codes(stdout);
  if (dimmed) std::fputs("\033[2m", stdout);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (dimmed) std::fputs("\033[0m", stdout);
  std::fflush(stdout);
}

inlay::Result<inlay::Session> create_session(const inlay::Model& model, Settings& s) {
  const std::vector<std::string_view> stop(s.stop.begin(), s.stop.end());
  inlay::SessionOptions options;
  options.context = s.context;
  options.threads = s.threads;
  options.max_tokens = s.n;
  options.sampling = s.sampling.use();
  options.logprobs = s.logprobs.is_set();
  options.top_logprobs = s.logprobs;
  options.stop = stop;
  return inlay::Session::create(model, options);
}

// The prompt for what stands between the texts; a fifth of what the context has room for is for the
// one behind, at least.
inlay::Result<std::vector<inlay::Token>> fim_tokens(const inlay::Model& model,
                                                    const inlay::FimLayout& layout,
                                                    const Settings& settings,
                                                    const inlay::FimText& text) {
  const uint32_t known = std::min(model.shape().context, 4096u);
  const uint32_t context = settings.context != 0 ? settings.context : known;
  const uint32_t kept = layout.mark_tokens + std::min(std::max(settings.n, 1u), context / 4);
  if (kept + 5 > context) {
    return inlay::Error(inlay::ErrorCode::context_full, "the context of ")
           << context << " tokens has no room for a prompt and what is written";
  }
  const uint32_t room = context - kept;
  const size_t n_prefix = std::min<size_t>(room, inlay::Tokenizer::max_tokens(text.prefix.size()));
  inlay::FimBudget budget;
  budget.suffix = std::max(room / 5, room - static_cast<uint32_t>(n_prefix));
  budget.prefix = room - budget.suffix;
  std::vector<inlay::Token> tokens(size_t{context} + inlay::kFimMarkTokens);
  const auto prompt = inlay::fim_prompt(model, layout, text, budget, tokens);
  if (!prompt) return prompt.error();
  tokens.resize(prompt->tokens);
  return tokens;
}

// What a chat model that fills in may write.
inlay::Result<inlay::GrammarMatcher> create_form(const inlay::Model& model,
                                                 const inlay::FimText& text) {
  const auto grammar = inlay::fim_grammar(text, 0);
  if (!grammar) return grammar.error();
  const auto vocabulary = inlay::GrammarVocabulary::create(model.tokenizer());
  if (!vocabulary) return vocabulary.error();
  return inlay::GrammarMatcher::create(*grammar, *vocabulary);
}

// {"token": TEXT, "id": ID, "logprob": LOGPROB, to be closed.
void print_token(const inlay::Tokenizer& tokenizer, const inlay::TokenLogprob& p) {
  std::string text(tokenizer.max_piece_bytes(), '\0');
  text.resize(tokenizer.piece(p.token, {text.data(), text.size()}, true));
  std::printf("{\"token\": %s, \"id\": %d, \"logprob\": %.6f", json_string(text).c_str(), p.token,
              double{p.logprob});
}

// A line for each token of the output.
int stream_logprobs(const inlay::Tokenizer& tokenizer, inlay::Session& session) {
  uint32_t place = static_cast<uint32_t>(session.tokens().size());
  for (bool goes_on = true; goes_on;) {
    goes_on = !interrupted() && session.next() != nullptr;
    for (; place <= session.tokens().size(); ++place) {
      const inlay::Logprobs p = session.logprobs(place);
      if (p.before.token == inlay::kNoToken) break;
      print_token(tokenizer, p.before);
      std::fputs(", \"top_logprobs\": [", stdout);
      for (size_t i = 0; i < p.top_before.size(); ++i) {
        if (i > 0) std::fputs(", ", stdout);
        print_token(tokenizer, p.top_before[i]);
        std::fputs("}", stdout);
      }
      std::fputs("]}\n", stdout);
    }
    if (std::fflush(stdout) != 0) return kFailed;
  }
  if (interrupted()) return kInterrupted;
  return session.status() ? kDone : fail(session.status().error());
}

// Writes pieces to stdout, each at once, until the output ends. `after` is what follows it (on a
// terminal).
int stream(inlay::Session& session, const std::string& after) {
  char last = '\n';
  while (const inlay::Piece* piece = interrupted() ? nullptr : session.next()) {
    if (piece->text.empty()) continue;
    std::fwrite(piece->text.data(), 1, piece->text.size(), stdout);
    if (std::fflush(stdout) != 0) return kFailed;  // finish_output says it
    last = piece->text.back();
  }
  const bool stopped = interrupted() || session.stop_reason() == inlay::StopReason::cancelled;
  if (is_terminal(stdout)) {
    if (!after.empty() && !stopped) {
      print_given(after);
      last = after.back();
    }
    if (last != '\n' || stopped) std::fputc('\n', stdout);
  }
  if (stopped) return kInterrupted;
  if (!session.status()) return fail(session.status().error());
  if (session.stop_reason() == inlay::StopReason::context_full) {
    std::fprintf(stderr, "inlay: ended because the context of %zu tokens is full (--ctx)\n",
                 session.tokens().size());
  }
  return kDone;
}

}  // namespace

int complete(int argc, char** argv) {
  Settings settings;
  const char* text = nullptr;
  const char* file = nullptr;
  Command command("complete", "MODEL [-p TEXT | -f FILE] [options]",
                  "Continue a text: -p, or a file, or standard input.");
  command.text("-p", "TEXT", "the text", &text);
  command.text("-f", "FILE", "the file that holds the text; -: standard input", &file);
  add_settings(&command, &settings);
  GrammarChoice form;
  add_grammar_options(&command, &form);
  command.note(
      "Only what the model writes is printed; on a terminal the text comes first, dimmed.\n"
      "  inlay complete model.gguf -p 'int main() {' -n 64 --stop '}'\n"
      "What it writes can be given a form: with --grammar, --schema or --regex. A grammar that "
      "cannot be\ncompiled ends the program with exit status 2.");
  if (!command.parse(argc, argv)) return command.status();
  if (form.count() > 1) {
    return command.wrong_use("one of --grammar, --schema and --regex gives the form, not several");
  }
  if (text != nullptr && file != nullptr) {
    return command.wrong_use("-p and -f both give the text; use one of them");
  }

  std::string prompt;
  if (text != nullptr) {
    prompt = text;
  } else {
    if (file == nullptr && is_terminal(stdin)) {
      std::fputs("inlay: type the text to continue, then Ctrl-D\n", stderr);
    }
    const inlay::Status read = read_file(file == nullptr ? "-" : file, &prompt);
    if (!read) return fail(read.error());
  }
  settings.model.threads = settings.threads;
  const auto model = open_model(command.operands()[0], settings.model);
  if (!model) return fail(model.error());
  std::optional<inlay::GrammarMatcher> matcher;
  if (form.count() == 1) {
    auto created = create_matcher(form, model->tokenizer());
    if (!created) {
      fail(created.error());
      return kWrongUse;
    }
    matcher.emplace(std::move(*created));
  }
  auto session = create_session(*model, settings);
  if (!session) return fail(session.error());
  if (const inlay::Status set = session->prompt(prompt); !set) return fail(set.error());
  if (matcher) {
    const inlay::Constraint constraint = inlay::constraint(*matcher);
    session->constrain(&constraint);
  }

  set_binary(stdout);
  const CancelScope scope(&*session);
  if (is_terminal(stdout) && !settings.logprobs.is_set()) print_given(prompt);
  const int status = settings.logprobs.is_set() ? stream_logprobs(model->tokenizer(), *session)
                                                : stream(*session, "");
  if (status == kDone && matcher && !matcher->may_end()) {
    std::fputs("inlay: ended before the form was complete (-n, --ctx)\n", stderr);
    return kFailed;
  }
  return status;
}

int fim(int argc, char** argv) {
  Settings settings;
  const char* prefix_file = nullptr;
  const char* suffix_file = nullptr;
  Command command("fim", "MODEL --prefix FILE --suffix FILE [options]",
                  "Fill in the middle: write what belongs between two texts.");
  command.text("--prefix", "FILE", "the text before; -: standard input", &prefix_file);
  command.text("--suffix", "FILE", "the text after; -: standard input", &suffix_file);
  add_settings(&command, &settings);
  command.note(
      "Only what the model writes is printed; on a terminal the texts are shown around it, "
      "dimmed.\nA model that was not trained for it (inlay info shows the FIM tokens) is told what "
      "to do in its\nchat template, and its answer ends where the second text begins; without a "
      "template it continues\nthe first text. What has no room is left out: what is farthest from "
      "the place.");
  if (!command.parse(argc, argv)) return command.status();
  if (prefix_file == nullptr || suffix_file == nullptr) {
    return command.wrong_use("both texts are needed: --prefix FILE --suffix FILE");
  }

  std::string prefix, suffix;
  if (const inlay::Status read = read_file(prefix_file, &prefix); !read) return fail(read.error());
  if (const inlay::Status read = read_file(suffix_file, &suffix); !read) return fail(read.error());
  settings.model.threads = settings.threads;
  const auto model = open_model(command.operands()[0], settings.model);
  if (!model) return fail(model.error());
  const inlay::FimLayout layout = inlay::fim_layout(*model);
  inlay::FimText text;
  text.prefix = prefix;
  text.suffix = suffix;
  std::optional<inlay::GrammarMatcher> matcher;
  if (layout.chat) {
    auto form = create_form(*model, text);
    if (!form) return fail(form.error());
    matcher.emplace(std::move(*form));
    settings.stop.emplace_back(layout.stop);
    const inlay::FimEnd end(suffix);
    if (!end.text().empty()) settings.stop.emplace_back(end.text());
  }
  auto session = create_session(*model, settings);
  if (!session) return fail(session.error());
  const auto tokens = fim_tokens(*model, layout, settings, text);
  if (!tokens) return fail(tokens.error());
  if (const inlay::Status set = session->prompt(*tokens); !set) return fail(set.error());
  if (matcher) {
    const inlay::Constraint constraint = inlay::constraint(*matcher);
    session->constrain(&constraint);
  }

  set_binary(stdout);
  const CancelScope scope(&*session);
  if (settings.logprobs.is_set()) return stream_logprobs(model->tokenizer(), *session);
  if (is_terminal(stdout)) print_given(prefix);
  return stream(*session, suffix);
}

}  // namespace cli
