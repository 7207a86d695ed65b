// The texts of tokens, to be found byte by byte from the left.
#ifndef INLAY_TEXT_TOKEN_TRIE_HPP_
#define INLAY_TEXT_TOKEN_TRIE_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Sorted texts instead of linked nodes: 16 bytes a token, where a trie has as many nodes as the
// vocabulary has bytes. What nodes are is a stretch of them.
class TokenTrie {
 public:
  explicit TokenTrie(const Allocator& allocator) noexcept
      : entries_(allocator), left_half_(allocator) {}

  // A longer text would make each search as long as itself.
  static constexpr size_t kLongest = 1024;
  static constexpr uint32_t kAtOnce = 4096;  // texts that an encoder may add in some 0.1 ms

  // First add() all, then sort_more(), in pieces of some 0.1 ms, until it is sorted(). The bytes
  // must stay where they are. Of equal texts, that of the higher token counts. Errors: corrupt (a
  // text longer than kLongest, names the token), out_of_memory.
  Status add(std::string_view text, Token token) noexcept;
  Status sort_more() noexcept;
  bool sorted() const noexcept { return sorted_; }

  // All texts that begin with the bytes read so far.
  struct Node {
    uint32_t first, last;  // entries
    uint32_t depth;        // bytes read
    bool empty() const noexcept { return first == last; }
  };
  Node root() const noexcept { return {0, static_cast<uint32_t>(entries_.size()), 0}; }
  Node next(const Node& node, char byte) const noexcept;
  // The token that is just the bytes read, or kNoToken.
  Token token(const Node& node) const noexcept;

 private:
  struct Entry {
    const char* text;
    uint32_t size;
    Token token;
    std::string_view view() const noexcept { return {text, size}; }
    // std::string_view compares bytes as unsigned.
    bool operator<(const Entry& other) const noexcept {
      const int order = view().compare(other.view());
      return order != 0 ? order < 0 : token > other.token;
    }
  };
  void sort_run() noexcept;
  bool merge_more() noexcept;
  void index_more() noexcept;
  size_t run_begin(size_t run) const noexcept {
    return static_cast<size_t>(uint64_t{run} * entries_.size() / runs_);
  }

  Array<Entry> entries_;
  // Sorting: a power of two of runs, of which the first run_ are done with; then each two of them
  // are merged, from a copy of the left one.
  size_t runs_ = 0, run_ = 0;
  bool merging_ = false, sorted_ = false;
  Array<Entry> left_half_;
  size_t from_left_ = 0;  // taken of it
  // Then: entries looked at, of which kept_ were the first of their text.
  size_t next_ = 0, kept_ = 0;
  uint32_t begins_[257] = {};  // by first byte
  uint32_t known_bytes_ = 0;   // of begins_
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_TOKEN_TRIE_HPP_
