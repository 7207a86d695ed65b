// Where a name is in a list: of metadata keys, or of tensors.
#ifndef INLAY_GGUF_NAME_INDEX_HPP_
#define INLAY_GGUF_NAME_INDEX_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// The list is reached through a pointer, so that this is compiled once for both.
class NameIndex {
 public:
  struct Names {
    const void* list;
    std::string_view (*at)(const void* list, size_t i) noexcept;
  };
  struct Pair {
    uint32_t first, second;
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit NameIndex(const Allocator& allocator) noexcept : order_(allocator) {}

  // The list must stay where it is. False if there is no memory. Then sort_more() until it says
  // that all is sorted.
  bool begin(Names names, size_t count) noexcept {
    names_ = names;
    if (!order_.resize(count)) return false;
    for (size_t i = 0; i < count; ++i) order_[i] = static_cast<uint32_t>(i);
    left_ = count + count / 2;
    return true;
  }

  // A heap's sort, for it can stop anywhere: first each half makes the heap, then each takes its
  // greatest.
  bool sort_more() noexcept {
    const size_t count = order_.size();
    for (size_t n = 0; n < kAtOnce && left_ > 0; ++n) {
      const size_t last = --left_;
      if (last >= count) {
        sift(last - count, count);
        continue;
      }
      std::swap(order_[0], order_[last]);
      sift(0, last);
      if (last + 1 < count && name(order_[last]) == name(order_[last + 1])) {
        repeated_ = {order_[last], order_[last + 1]};
      }
    }
    return left_ == 0;
  }

  // The first two entries with one name, in the order of the list; two of the same if there are
  // none.
  Pair repeated() const noexcept { return repeated_; }

  uint32_t find(std::string_view wanted) const noexcept {
    const uint32_t* const at =
        std::lower_bound(order_.begin(), order_.end(), wanted,
                         [this](uint32_t i, std::string_view n) noexcept { return name(i) < n; });
    return at == order_.end() || name(*at) != wanted ? kNone : *at;
  }

  size_t size() const noexcept { return order_.size(); }

 private:
  static constexpr size_t kAtOnce = 128;

  std::string_view name(uint32_t i) const noexcept { return names_.at(names_.list, i); }
  bool before(uint32_t a, uint32_t b) const noexcept {
    const int order = name(a).compare(name(b));
    return order != 0 ? order < 0 : a < b;
  }
  // Moves an entry down to its place in the heap of the first `end`.
  void sift(size_t at, size_t end) noexcept {
    const uint32_t moved = order_[at];
    for (size_t child; (child = 2 * at + 1) < end; at = child) {
      if (child + 1 < end && before(order_[child], order_[child + 1])) ++child;
      if (!before(moved, order_[child])) break;
      order_[at] = order_[child];
    }
    order_[at] = moved;
  }

  Names names_{};
  size_t left_ = 0;  // steps of sorting
  Pair repeated_{kNone, kNone};
  Array<uint32_t> order_;  // by name
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GGUF_NAME_INDEX_HPP_
