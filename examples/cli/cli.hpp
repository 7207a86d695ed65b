// What the verbs share: opening, reading, failing, being interrupted.
#ifndef INLAY_CLI_CLI_HPP_
#define INLAY_CLI_CLI_HPP_

#include <cstdio>
#include <inlay.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "args.hpp"

namespace cli {

// The verbs. Arguments: what follows the verb on the command line. Each returns the exit status.
int complete(int argc, char** argv);
int fim(int argc, char** argv);
int tokenize(int argc, char** argv);
int detokenize(int argc, char** argv);
int logits(int argc, char** argv);
int greedy(int argc, char** argv);
int matches(int argc, char** argv);
int choose(int argc, char** argv);
int show_template(int argc, char** argv);
int chat(int argc, char** argv);
int info(int argc, char** argv);
int bench(int argc, char** argv);

// One line "inlay: …" on stderr. Returns the exit status: kInterrupted for ErrorCode::cancelled,
// else kFailed.
int fail(const inlay::Error& error);

// As a JSON string. Bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

// The whole file ("-": standard input), byte for byte.
inlay::Status read_file(const char* path, std::string* out);

// Operands after MODEL as token ids; a single "-" reads them from standard input. Reports wrong use
// by itself.
bool parse_ids(const Command& command, std::vector<inlay::Token>* ids, int* status);

// SIMD targets that this program can use on this machine, best first.
struct Target {
  const char* name;  // as Highway names it
  int64_t bit;       // for ModelOptions::targets
};
std::vector<Target> targets();
uint32_t default_threads();  // the machine's cores

// How a model is opened: what the options that add_model_options adds to a verb say.
struct ModelChoice {
  int64_t targets = -1;
  inlay::WeightMode weights = inlay::WeightMode::mapped;
  uint32_t threads = default_threads();  // that pack
  std::string cache;                     // "auto": the model's path with ".packed" after it
};
void add_model_options(Command* command, ModelChoice* choice);

// How tokens are chosen: what the options that add_sampling_options adds to a verb say.
struct INLAY_HIDDEN SamplingChoice {
  inlay::Sampling sampling;
  std::vector<std::string> breakers;
  std::vector<std::string_view> breaker_views;
  std::vector<inlay::LogitBias> biases;
  // All of it; refers to this object, which must stay.
  const inlay::Sampling& use();
};
void add_sampling_options(Command* command, SamplingChoice* choice);

// What SessionOptions allows.
inline constexpr uint32_t kMaxThreads = 64, kMaxContext = 1u << 28;
void add_threads_option(Command* command, uint32_t* threads);

// Model::open with the share done on the terminal when it takes a while, and stopped by Ctrl-C.
inlay::Result<inlay::Model> open_model(const char* path, const ModelChoice& choice = {});

// The form that a text must have: at most one of the options that add_grammar_options adds.
struct GrammarChoice {
  const char* gbnf = nullptr;    // a file
  const char* schema = nullptr;  // a file
  const char* regex = nullptr;
  int count() const {
    return static_cast<int>(gbnf != nullptr) + static_cast<int>(schema != nullptr) +
           static_cast<int>(regex != nullptr);
  }
};
void add_grammar_options(Command* command, GrammarChoice* choice);
// The one that was chosen. `tokenizer` may be null: then the grammar cannot name tokens.
inlay::Result<inlay::Grammar> compile_grammar(const GrammarChoice& choice,
                                              const inlay::Tokenizer* tokenizer);
inlay::Result<inlay::GrammarMatcher> create_matcher(const GrammarChoice& choice,
                                                    const inlay::Tokenizer& tokenizer);

bool is_terminal(std::FILE* file);
bool takes_escape_codes(
    std::FILE* file);              // a terminal, and TERM does not say that it is a dumb one
void set_binary(std::FILE* file);  // no newline translation where the system has one

// From open_model() on, the first Ctrl-C does not end the program but sets interrupted(), and
// cancels the session of the CancelScope that is alive; a second one ends the program.
class CancelScope {
 public:
  explicit CancelScope(inlay::Session* session);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;
};
bool interrupted();
void rearm_interrupt();  // forgets one that has been dealt with

int64_t local_now();  // seconds since 1970 by the clock on the wall, for templates' dates

// Flush stdout; an error there is the program's error.
int finish_output(int status);

}  // namespace cli

#endif  // INLAY_CLI_CLI_HPP_
