// How byte-level BPE vocabularies cut text into words: one row for each way, found by
// tokenizer.ggml.pre.
#ifndef INLAY_TEXT_PRE_TOKENIZER_HPP_
#define INLAY_TEXT_PRE_TOKENIZER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/span.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct PreTokenizer {
  static constexpr size_t kMaxPatterns = 6;

  const char* names;                   // values of tokenizer.ggml.pre, separated by spaces
  const char* patterns[kMaxPatterns];  // for RegexSplitter, unused ones null
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  bool add_bos = false;        // unless the metadata says otherwise
  bool no_bos = false;         // the vocabulary has no BOS unless the metadata names one

  size_t pattern_count() const noexcept {
    size_t count = 0;
    while (count < kMaxPatterns && patterns[count] != nullptr) ++count;
    return count;
  }
};

// All rows. The first is the default.
Span<const PreTokenizer> pre_tokenizers() noexcept;

// The row with that name, or null.
const PreTokenizer* find_pre_tokenizer(std::string_view name) noexcept;

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_PRE_TOKENIZER_HPP_
