// inlay: the command-line program. One function per verb: generate.cpp, tokens.cpp, evaluate.cpp,
// choose.cpp, grammar.cpp, info.cpp, bench.cpp.
#include <cstdio>
#include <string_view>

#include "cli.hpp"

namespace {

struct Verb {
  std::string_view name;
  int (*run)(int argc, char** argv);
  const char* summary;
};

constexpr Verb kVerbs[] = {
    {"complete", cli::complete, "continue a text"},
    {"fim", cli::fim, "write what belongs between two texts"},
    {"tokenize", cli::tokenize, "text on standard input to token ids"},
    {"detokenize", cli::detokenize, "token ids to text"},
    {"logits", cli::logits, "the model's scores for every next token"},
    {"greedy", cli::greedy, "the most probable next token ids"},
    {"choose", cli::choose, "which of several texts is the likeliest"},
    {"matches", cli::matches, "whether a text has the form of a grammar"},
    {"chat", cli::chat, "a conversation in the terminal"},
    {"template", cli::show_template, "a conversation as the prompt that a chat template makes of it"},
    {"info", cli::info, "what is in a file, and the memory that it needs"},
    {"bench", cli::bench, "tokens per second"},
};

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  const std::string_view verb = argc > 1 ? argv[1] : "";
  for (const Verb& known : kVerbs) {
    if (known.name == verb) return cli::finish_output(known.run(argc - 2, argv + 2));
  }
  if (verb == "--version") {
    std::puts("inlay " INLAY_VERSION);
    return cli::finish_output(cli::kDone);
  }
  if (verb == "--help" || verb == "-h") {
    std::puts("inlay VERB MODEL …: run a language model from a GGUF file\n");
    for (const Verb& known : kVerbs) std::printf("  %-11s %s\n", known.name.data(), known.summary);
    std::puts(
        "\ninlay VERB --help says more about each. Exit status: 0 done, 1 failed, 2 wrong use, 130 "
        "Ctrl-C.");
    return cli::finish_output(cli::kDone);
  }
  std::string names;
  for (const Verb& known : kVerbs) names += " " + std::string(known.name);
  std::fprintf(stderr, "inlay: %s%.*s%s; the verbs are%s (inlay --help)\n",
               verb.empty() ? "no verb given" : "no verb '", static_cast<int>(verb.size()),
               verb.data(), verb.empty() ? "" : "'", names.c_str());
  return cli::kWrongUse;
}
