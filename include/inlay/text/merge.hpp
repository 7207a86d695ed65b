// Merging of neighbouring symbols, best pair first: what byte-level BPE and SentencePiece's BPE
// have in common.
#ifndef INLAY_TEXT_MERGE_HPP_
#define INLAY_TEXT_MERGE_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "inlay/core/memory.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// A piece of the text under merging.
struct Symbol {
  uint32_t begin, size;  // bytes in the text
  uint32_t id;           // of what it has become
};

// What two neighbours may become.
struct Merge {
  uint32_t order;  // the lowest goes first; of equals the leftmost
  uint32_t id;
};
inline constexpr uint32_t kNoMerge = UINT32_MAX;  // as order: they do not merge

// Working memory of one caller, kept from word to word.
class Merger {
 public:
  explicit Merger(const Allocator& allocator) noexcept
      : symbols_(allocator), links_(allocator), heap_(allocator) {}

  void clear() noexcept { symbols_.clear(); }
  [[nodiscard]] bool push(const Symbol& symbol) noexcept { return symbols_.push_back(symbol); }
  // In order, after run().
  Span<const Symbol> symbols() const noexcept { return symbols_.span(); }

  // Merges until no neighbours can. `find(left, right)` gives the Merge of two neighbouring
  // symbols; it must depend on nothing else. Few symbols are scanned, many go through a heap: O(n
  // log n) calls and steps. False: out of memory.
  template <class Find>
  [[nodiscard]] bool run(Find&& find) noexcept {
    return symbols_.size() <= kFew ? scan(find) : queue(find);
  }

 private:
  static constexpr size_t kFew = 24;
  static constexpr uint32_t kEnd = UINT32_MAX;

  struct Link {
    uint32_t previous, next;
  };
  // A possible merge; out of date when the two symbols are no longer those it was made for.
  struct Candidate {
    uint32_t order, left, left_id, right_id, id;
    // For std::push_heap, which keeps the greatest in front.
    bool operator<(const Candidate& other) const noexcept {
      return (uint64_t{order} << 32 | left) > (uint64_t{other.order} << 32 | other.left);
    }
  };

  template <class Find>
  bool scan(Find& find) noexcept {
    Symbol* const s = symbols_.data();
    size_t n = symbols_.size();
    Merge merges[kFew];
    for (size_t i = 0; i + 1 < n; ++i) merges[i] = find(s[i], s[i + 1]);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i) {
        if (merges[i].order < merges[best].order) best = i;
      }
      if (merges[best].order == kNoMerge) break;
      s[best].size += s[best + 1].size;
      s[best].id = merges[best].id;
      for (size_t i = best + 1; i + 1 < n; ++i) {
        s[i] = s[i + 1];
        merges[i - 1] = merges[i];
      }
      --n;
      if (best > 0) merges[best - 1] = find(s[best - 1], s[best]);
      if (best + 1 < n) merges[best] = find(s[best], s[best + 1]);
    }
    symbols_.truncate(n);
    return true;
  }

  template <class Find>
  bool queue(Find& find) noexcept {
    const auto n = static_cast<uint32_t>(symbols_.size());
    Symbol* const s = symbols_.data();
    links_.clear();
    heap_.clear();
    if (!links_.resize(n)) return false;
    const auto propose = [&](uint32_t left, uint32_t right) {
      const Merge merge = find(s[left], s[right]);
      return merge.order == kNoMerge ||
             heap_.push_back({merge.order, left, s[left].id, s[right].id, merge.id});
    };
    for (uint32_t i = 0; i < n; ++i) {
      links_[i] = {i == 0 ? kEnd : i - 1, i + 1 == n ? kEnd : i + 1};
      if (i > 0 && !propose(i - 1, i)) return false;
    }
    std::make_heap(heap_.begin(), heap_.end());
    while (!heap_.empty()) {
      const Candidate best = heap_[0];
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      const uint32_t left = best.left, right = links_[left].next;
      // A merged symbol has size 0; one that grew has another id, for ids stand for texts.
      if (s[left].size == 0 || s[left].id != best.left_id || right == kEnd ||
          s[right].id != best.right_id)
        continue;
      s[left].size += s[right].size;
      s[left].id = best.id;
      s[right].size = 0;
      const uint32_t next = links_[right].next, previous = links_[left].previous;
      links_[left].next = next;
      if (next != kEnd) links_[next].previous = left;
      size_t queued = heap_.size();
      if (previous != kEnd && !propose(previous, left)) return false;
      if (heap_.size() > queued) std::push_heap(heap_.begin(), heap_.end());
      queued = heap_.size();
      if (next != kEnd && !propose(left, next)) return false;
      if (heap_.size() > queued) std::push_heap(heap_.begin(), heap_.end());
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i != kEnd; i = links_[i].next) s[kept++] = s[i];
    symbols_.truncate(kept);
    return true;
  }

  Array<Symbol> symbols_;
  Array<Link> links_;      // [symbols]
  Array<Candidate> heap_;  // by std::push_heap
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_MERGE_HPP_
