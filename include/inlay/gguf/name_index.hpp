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

  // The list must stay where it is. False if there is no memory.
  bool build(Names names, size_t count) noexcept {
    names_ = names;
    if (!order_.resize(count)) return false;
    for (size_t i = 0; i < count; ++i) order_[i] = static_cast<uint32_t>(i);
    // A heap's sort is half the code of std::sort.
    const auto before = [names](uint32_t a, uint32_t b) noexcept {
      const int order = names.at(names.list, a).compare(names.at(names.list, b));
      return order != 0 ? order < 0 : a < b;
    };
    std::make_heap(order_.begin(), order_.end(), before);
    std::sort_heap(order_.begin(), order_.end(), before);
    return true;
  }

  // The first two entries with one name, in the order of the list; {kNone, kNone} if there are
  // none.
  Pair repeated() const noexcept {
    for (size_t i = 1; i < order_.size(); ++i) {
      if (name(order_[i - 1]) == name(order_[i])) return {order_[i - 1], order_[i]};
    }
    return {kNone, kNone};
  }

  uint32_t find(std::string_view wanted) const noexcept {
    const uint32_t* const at =
        std::lower_bound(order_.begin(), order_.end(), wanted,
                         [this](uint32_t i, std::string_view n) noexcept { return name(i) < n; });
    return at == order_.end() || name(*at) != wanted ? kNone : *at;
  }

  size_t size() const noexcept { return order_.size(); }

 private:
  std::string_view name(uint32_t i) const noexcept { return names_.at(names_.list, i); }

  Names names_{};
  Array<uint32_t> order_;  // by name
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GGUF_NAME_INDEX_HPP_
