// Completing code while somebody types: what an editor's plug-in owns.
#ifndef INLAY_COMPLETION_COMPLETION_HPP_
#define INLAY_COMPLETION_COMPLETION_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/completion/drafts.hpp"
#include "inlay/completion/fim.hpp"
#include "inlay/completion/trim.hpp"
#include "inlay/core/result.hpp"
#include "inlay/model/model.hpp"
#include "inlay/session/session.hpp"

INLAY_BEGIN_NAMESPACE

struct CompletionOptions {
  // context: 0 is what the model was trained for, at most 4096. Sampling is greedy unless it is
  // set. reuse: also left to decide here if 0 (see Completion). max_tokens and stop are not used.
  SessionOptions session;
  FimOrder order = FimOrder::automatic;
  uint32_t max_tokens = 64;  // of a completion
  TrimOptions trim;
  // Most tokens of the text before the cursor, of that behind it and of other files; 0: shares of
  // the context, at most 1024, 384 and 1024.
  FimBudget budget;
  std::string_view repository;  // its name, for models that want it; copied
  // Take back the last word before the cursor and let the model write it again, so that it goes on
  // as it would have cut the text itself: "retu" is no token that "rn" follows.
  bool heal = true;
  // A suggestion should begin within so many microseconds of an update(). Where reading all that
  // there is room for takes longer, as when the cursor jumped, a first one is made of what stands
  // next to the cursor; step() and run() then read the rest, and what comes of that replaces it.
  // The speed is measured. 0: no such thing, and no memory for it (a second session, of some 500
  // tokens). Else no more than 128 tokens are read at once.
  uint32_t first_us = 300'000;
  // Once a completion is there, go on with the one after it.
  bool predict = true;
  DraftOptions drafts;  // least_match 0 without a model: no speculation
};

// The text of a file and the place in it where text may be inserted.
struct Document {
  std::string_view path, text;
  size_t cursor = 0;  // bytes before it
};

// What to show at the cursor.
struct Suggestion {
  std::string_view text;  // to be inserted; empty if there is nothing to show
  // How probable the model finds it: the least probable of its tokens decides, for a text is as
  // good as its weakest place. 0 to 1; 0 without text.
  float probability = 0;
  // Of each token that is at least partly in `text`.
  Span<const float> token_probabilities;
  bool complete = false;  // nothing will be added to it
  // Nothing will be added, but it was made of less text (CompletionOptions::first_us), and another
  // may replace it. Who shows only one need not wait.
  bool preliminary = false;
};

namespace detail {
struct CompletionImpl;
}

// Follows a document as it is edited, and has a completion at its cursor. Each keystroke is an
// update, not a new request:
//
// - What is typed as the suggestion says shortens the suggestion, without any work for the model.
// - Else what was read stays read. The prompt ends at the start of the cursor's line or above;
//   what stands between there and the cursor is, for the model, the beginning of the text that it
//   writes. So typing and deleting near the cursor cost the tokens that changed, and neither the
//   text behind the cursor nor other files are read again, whichever of them comes first in the
//   prompt. Where the cursor jumps, the start of what is read stays the same while it fits, and
//   spans that are in another place than before are moved in the KV cache where positions allow
//   it (SessionOptions::reuse). What is shown first does not wait for all of it:
//   CompletionOptions::first_us.
// - While a suggestion is shown, step() goes on with the one that will follow it.
//
// Used by one thread at a time, apart from cancel(). No thread of its own. Files and budgets are
// bounded; update() takes time in proportion to what must be tokenized (about a millisecond for
// 10 KB when the cursor jumped, else microseconds). It may allocate, and so may step() where it
// begins with the next suggestion; else nothing does after create(). Move only.
class Completion {
 public:
  // Errors: out_of_memory, bad_argument (an option, with its range; budgets that leave no room).
  static Result<Completion> create(const Model& model,
                                   const CompletionOptions& options = {}) noexcept;
  Completion(Completion&&) noexcept;
  Completion& operator=(Completion&&) noexcept;
  ~Completion();

  // Another file that may help, or a new text for one that is known. Those with the highest
  // priority are taken, of equal ones the first. Copied: as much as can be in a prompt. A
  // suggestion that is there stays; the next text that does not follow it is read with the new
  // files. Errors: out_of_memory.
  Status set_file(std::string_view path, std::string_view text, int32_t priority = 0) noexcept;
  void remove_file(std::string_view path) noexcept;

  // The document is this now. Nothing of it is kept by reference. What was under way for the old
  // text is dropped at once, unless it serves the new one. With `wanted` false only the prompt is
  // read ahead, and nothing is suggested until an update() that wants it. Errors: bad_argument (the
  // cursor is outside the text), out_of_memory.
  Status update(const Document& document, bool wanted = true) noexcept;

  // Works for about `budget_us` microseconds (see Session::step). piece: the suggestion has
  // changed. done: nothing is left to do, or cancel() was called. more: call again; so it also is
  // while the next completion is made: see Suggestion::complete.
  Step step(uint32_t budget_us) noexcept;
  // Works until the suggestion is complete (Step::done) or `budget_us` microseconds have passed
  // (Step::more; the suggestion is the best so far).
  Step run(uint32_t budget_us) noexcept;
  // End the step() or run() that is under way, or else the next one, from any thread, in less than
  // a millisecond. update() forgets a cancel() from before it, which was for the old text.
  void cancel() noexcept;

  const Suggestion& suggestion() const noexcept;  // valid until the next call but cancel()
  // After Step::failed. After `busy` (SessionOptions::workspace_of) step() can be called again, and
  // goes on.
  const Status& status() const noexcept;

  const FimLayout& layout() const noexcept;
  // Tokens of prompts that were read, since the object was created, and prompts.
  uint64_t tokens_read() const noexcept;
  uint64_t prompts() const noexcept;

 private:
  explicit Completion(detail::CompletionImpl* impl) noexcept : impl_(impl) {}
  detail::CompletionImpl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_COMPLETION_HPP_
