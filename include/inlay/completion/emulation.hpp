// Filling in the middle with a model that was not trained for it but follows instructions: it is
// told what to do in its own chat template, begins its answer with the last lines before the
// cursor, and is kept to the form of an answer by a grammar.
#ifndef INLAY_COMPLETION_EMULATION_HPP_
#define INLAY_COMPLETION_EMULATION_HPP_

#include <cstdint>
#include <string_view>

#include "inlay/completion/fim.hpp"
#include "inlay/core/host.hpp"
#include "inlay/core/result.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Of the text before the cursor, what the answer begins with: so many whole lines, and the
// cursor's up to it.
inline constexpr uint32_t kRepeatedLines = 2;
inline constexpr size_t kRepeatedTokens = 96;

// `text` from so many lines above its last one on.
std::string_view last_lines(std::string_view text, uint32_t lines) noexcept;

// Makes the layout that of a chat, if the file has a template that can be asked, or none but
// ChatML's token; else leaves it. Errors: out_of_memory.
Status chat_layout(const Tokenizer& tokenizer, const Gguf& file, const Allocator& allocator,
                   FimLayout* layout) noexcept;

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_EMULATION_HPP_
