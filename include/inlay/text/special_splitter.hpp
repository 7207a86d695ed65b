// Finding the special tokens that a text spells out, before the rest is tokenized.
#ifndef INLAY_TEXT_SPECIAL_SPLITTER_HPP_
#define INLAY_TEXT_SPECIAL_SPLITTER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// A part of a text: ordinary text, or (token != kNoToken) a special token.
struct Fragment {
  std::string_view text;
  Token token;
};

// Longer tokens take their place in the text before shorter ones, of equal length those with the
// lower id, and each from the left: what is left of the text after all of them is ordinary. (So
// "abc" and "cdefg" split "abcdefg" into "ab" and "cdefg".)
class SpecialSplitter {
 public:
  explicit SpecialSplitter(const Allocator& allocator) noexcept
      : nodes_(allocator), edges_(allocator) {}

  // Errors: corrupt (a special token longer than kLongest, names key and index), out_of_memory.
  // `vocabulary` must outlive the object.
  Status create(const Vocabulary& vocabulary) noexcept;
  // The same in pieces of some 0.1 ms: begin(), then load_more() until it is complete().
  void begin(const Vocabulary& vocabulary) noexcept { vocabulary_ = &vocabulary; }
  Status load_more() noexcept;
  bool complete() const noexcept { return pass_ == Pass::complete; }

  // Appends the parts of `text` to `*out`, none of them empty. Without `parse_special` only
  // user-defined tokens count. Linear in the text. False: out of memory.
  [[nodiscard]] bool split(std::string_view text, bool parse_special,
                           Array<Fragment>* out) const noexcept;

 private:
  static constexpr size_t kLongest = 1024;
  static constexpr uint32_t kNoNode = 0;  // the root, which is no token and no one's child

  // A trie of the special tokens' texts.
  struct Node {
    Token token = kNoToken;
    uint32_t size = 0;           // bytes from the root
    uint32_t shorter = kNoNode;  // the longest proper prefix that is a token
  };
  struct Edge {
    uint32_t parent = 0, child = kNoNode;
    uint8_t byte = 0;
  };
  // A place where a token might be, for the queue.
  struct Place {
    uint32_t size;
    Token token;
    uint32_t at, node;
    bool operator<(const Place& other) const noexcept {
      if (size != other.size) return size < other.size;
      return token != other.token ? token > other.token : at > other.at;
    }
  };

  static size_t edge_hash(uint32_t parent, uint8_t byte) noexcept {
    return mix_hash((parent << 8 | byte) * 2654435761u);
  }
  // Of the vocabulary: bytes of special tokens are counted, room is made for as many edges, the
  // tokens get theirs, and are linked to shorter ones.
  enum class Pass : uint8_t { count, room, add, link, complete };
  Status visit(uint32_t token) noexcept;
  uint32_t child(uint32_t parent, uint8_t byte) const noexcept;
  bool counts(uint32_t node, bool parse_special) const noexcept;
  uint32_t longest_at(std::string_view text, size_t at, bool parse_special) const noexcept;
  bool place(std::string_view cluster, bool parse_special, Array<Place>* queue,
             Array<uint32_t>* found) const noexcept;

  const Vocabulary* vocabulary_ = nullptr;
  Pass pass_ = Pass::count;
  uint32_t next_ = 0;      // token of the pass
  size_t bytes_ = 0;       // counted
  bool starts_[256] = {};  // whether a token begins with the byte
  Array<Node> nodes_;
  Array<Edge> edges_;  // open hash table by parent and byte
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_SPECIAL_SPLITTER_HPP_
