// Filling in the middle: how each family of models wants the text before the cursor, the text
// behind it and other files to be put into one prompt.
#ifndef INLAY_COMPLETION_FIM_HPP_
#define INLAY_COMPLETION_FIM_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/grammar/grammar.hpp"
#include "inlay/model/model.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE

// Which text comes first: prefix, suffix, middle (PSM), or suffix, prefix, middle (SPM).
enum class FimOrder : uint8_t {
  automatic,  // as the family was trained
  psm,
  spm
};

// One thing that stands before a part of the prompt: a token, or else text in which the names of
// special tokens count as these.
struct FimMark {
  Token token = kNoToken;
  std::string_view text;
};

// A family's layout. What it writes, with the marks in [ ] and PSM:
//   BOS ([repository]name\n)? ([file]path\n text\n)* ([file]path\n)? [prefix]P [suffix]S [middle]
// and with SPM [suffix]S [prefix]P [middle]. A file's mark without token or text is the sign for a
// comment in the file's language. The header of the file itself is written if there are others
// (or FimText::header).
//
// A model that was not trained to fill in is emulated. If it has a chat template, and the parts
// INLAY_WITH_CHAT and INLAY_WITH_GRAMMAR are compiled, the marks are a request in the user's turn,
// the assistant's answer begins with a fence and the last lines before the cursor, and
// fim_grammar() ends it: the family is "chat". Else it continues the prefix and sees nothing of the
// suffix: "text". Move only.
struct FimLayout {
  std::string_view family;  // such as "qwen"
  FimOrder order = FimOrder::psm;
  FimMark prefix, suffix, middle;
  FimMark repository, file;
  bool emulated = false;
  bool chat = false;         // emulated, and told what to do
  std::string_view begin;    // of a chat's prompt: what stands before the user's text
  std::string_view stop;     // text that ends what a chat model writes, or none
  uint32_t mark_tokens = 6;  // at most, that a prompt has beside its texts and the files' names
  detail::String turns;      // what `begin` and `middle` of a chat refer to
};

// The layout for a model, by the FIM tokens of its metadata or vocabulary. Never fails: without
// them it is emulated, as a "text" where a chat's template cannot be rendered or there is no memory
// to look. `order` other than automatic is for models that were trained with both.
FimLayout fim_layout(const Model& model, FimOrder order = FimOrder::automatic) noexcept;

// A part of another file that may help.
struct FimFile {
  std::string_view path, text;
};

// What a prompt is made of.
struct FimText {
  std::string_view path;            // of the file itself; may be empty
  std::string_view prefix, suffix;  // before the cursor and behind it
  Span<const FimFile> files;        // the most useful first: the last have no room first
  std::string_view repository;      // its name; may be empty
  bool header = false;  // repository and path come first also if there are no other files
};

// The form of what a model with FimLayout::chat may write, from the cursor on: at most `max_lines`
// lines (0: any number), then FimLayout::stop, or FimEnd::text(): neither belongs to the answer.
// Errors: out_of_memory. Defined if INLAY_WITH_CHAT and INLAY_WITH_GRAMMAR are.
Result<Grammar> fim_grammar(const FimText& text, uint32_t max_lines = 16,
                            const Host& host = {}) noexcept;

// The most tokens of each part. A part that has more loses what is farthest from the cursor, by
// whole lines where it can: the head of the prefix, the tail of the suffix; and whole files.
struct FimBudget {
  uint32_t prefix = 0, suffix = 0, files = 0;

  // llama-server's shares of a batch for /infill: three quarters for the prefix, one for the
  // suffix, and files from what `context` leaves after the batch and twice `max_tokens`.
  static FimBudget of_batch(uint32_t context, uint32_t batch, uint32_t max_tokens) noexcept {
    FimBudget budget;
    budget.prefix = 3 * (batch / 4);
    budget.suffix = batch / 4 > 2 ? batch / 4 - 2 : 0;
    const uint64_t used = uint64_t{batch} + 2 * uint64_t{max_tokens};
    budget.files = used < context ? static_cast<uint32_t>(context - used) : 0;
    return budget;
  }
};

// Text that stands where the answer of a chat has come to what is behind the cursor.
class FimEnd {
 public:
  // Of the text behind the cursor: its first line below the cursor's that is not blank.
  explicit FimEnd(std::string_view suffix) noexcept;
  // A line end and that line, with its own end if it is not too long; empty if there is none.
  std::string_view text() const noexcept { return {text_, size_}; }

 private:
  static constexpr size_t kLongest = 128;
  char text_[kLongest + 2];
  size_t size_ = 0;
};

// What fim_prompt() wrote.
struct FimPrompt {
  size_t tokens = 0;
  size_t shared = 0;        // of them, those before prefix and suffix: BOS and the other files
  size_t prefix_bytes = 0;  // of the texts that the prompt has
  size_t suffix_bytes = 0;
  size_t files = 0;  // that there was room for
};

// Tokens that a prompt may have beside its budgets: marks, and the names of files.
inline constexpr size_t kFimMarkTokens = 1024;

// Writes the prompt to `out`. Time is linear in the texts that fit. Errors: bad_argument (`out` has
// no room for the budgets and kFimMarkTokens), out_of_memory.
Result<FimPrompt> fim_prompt(const Model& model, const FimLayout& layout, const FimText& text,
                             const FimBudget& budget, Span<Token> out) noexcept;

namespace detail {

// The same without a model. Errors: out_of_memory.
Result<FimLayout> fim_layout(const Tokenizer& tokenizer, const Gguf& file,
                             const Allocator& allocator, FimOrder order) noexcept;
Result<FimPrompt> fim_prompt(const Tokenizer& tokenizer, const Allocator& allocator,
                             const FimLayout& layout, const FimText& text, const FimBudget& budget,
                             Span<Token> out) noexcept;

}  // namespace detail

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_FIM_HPP_
