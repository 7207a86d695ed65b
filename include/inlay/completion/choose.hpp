// Which of several texts a model finds the likeliest: for decisions of a program, where every
// answer but a known one would be of no use.
#ifndef INLAY_COMPLETION_CHOOSE_HPP_
#define INLAY_COMPLETION_CHOOSE_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/session/session.hpp"

INLAY_BEGIN_NAMESPACE

struct ChooseOptions {
  // What stands behind each of the texts, as a quote or a line break: without it, "yes" is never
  // less likely than "yes, of course".
  std::string_view after;
  // Compare by the mean of a token's log-probability in place of the sum, which is the less the
  // longer a text is.
  bool per_token = false;
  TokenizeOptions tokenize;  // of prompt and option together
};

struct Choice {
  float probability = 0;  // among the given texts: these sum to 1
  float logprob = 0;      // natural logarithm of what the model gives the text, and `after`
  uint32_t tokens = 0;    // that logprob is the sum of
};

// Chooses, in steps or at once, with a session that it borrows, which stays where it is: between
// start() and the end nothing else may be done with that. What the session has in its cache is
// used, the prompt is read once. Then the first tokens of all texts are known, and the others are
// read in one batch (in several, if SessionOptions::batch or what is free of the context has no
// room for them). With recurrent layers, each text is read by itself. Biases, samplers and
// constraints of the session have no part in it; tokens that the file suppresses have no
// probability. Move only.
class Chooser {
 public:
  // Without memory for it, start() and status() say out_of_memory.
  explicit Chooser(Session* session) noexcept;
  Chooser(Chooser&&) noexcept;
  Chooser& operator=(Chooser&&) noexcept;
  ~Chooser();

  // Prompt and option are made tokens of together, as the model knows them: what the tokenizer
  // joins across the boundary is one token here too. Copies what it needs, and takes all memory
  // that the steps will need. Errors: bad_argument (1 to 1000 options, none of them empty),
  // context_full, out_of_memory.
  Status start(std::string_view prompt, Span<const std::string_view> options,
               const ChooseOptions& how = {}) noexcept;
  // As Session::step: more, done or failed; never piece. Cancelling the session is a failure here;
  // after `busy` (SessionOptions::workspace_of) it can be called again, and goes on.
  Step step(uint32_t budget_us) noexcept;
  // All steps at once.
  Status run() noexcept;
  Status status() const noexcept;  // why step() failed

  // After Step::done. The session then has the prompt with the best option (without `after`) behind
  // it: next() goes on from there.
  uint32_t best() const noexcept;
  Span<const Choice> choices() const noexcept;

 private:
  struct Impl;
  Impl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_CHOOSE_HPP_
