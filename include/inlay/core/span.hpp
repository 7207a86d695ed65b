#ifndef INLAY_CORE_SPAN_HPP_
#define INLAY_CORE_SPAN_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE

// A pointer and a count: std::span for C++17. Owns nothing.
template <class T>
class Span {
 public:
  constexpr Span() noexcept = default;
  constexpr Span(T* data, size_t size) noexcept : data_(data), size_(size) {}
  template <size_t n>
  constexpr Span(T (&array)[n]) noexcept : data_(array), size_(n) {}
  // From any container with data() and size(), and from Span<T> to Span<const T>.
  template <class C, class = decltype(static_cast<T*>(static_cast<C*>(nullptr)->data())),
            class = decltype(static_cast<C*>(nullptr)->size())>
  constexpr Span(C& container) noexcept : data_(container.data()), size_(container.size()) {}
  template <class C, class = decltype(static_cast<T*>(static_cast<const C*>(nullptr)->data())),
            class = decltype(static_cast<const C*>(nullptr)->size())>
  constexpr Span(const C& container) noexcept : data_(container.data()), size_(container.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T& operator[](size_t i) const noexcept {
    INLAY_ASSERT(i < size_, "an index outside a Span");
    return data_[i];
  }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }

  // Elements [from, from + count), cut to what there is.
  constexpr Span subspan(size_t from, size_t count = SIZE_MAX) const noexcept {
    if (from > size_) from = size_;
    if (count > size_ - from) count = size_ - from;
    return Span(data_ + from, count);
  }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

// For texts; found before the standard library's, which are symbols that a shared object exports
// wherever the compiler does not inline them.
constexpr bool operator==(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::string_view::traits_type::compare(a.data(), b.data(), a.size()) == 0;
}
constexpr bool operator!=(std::string_view a, std::string_view b) noexcept { return !(a == b); }

namespace detail {

// Bytes [from, from + count) of a text, cut to what there is: string_view::substr without its
// exception.
constexpr std::string_view slice(std::string_view text, size_t from,
                                 size_t count = SIZE_MAX) noexcept {
  if (from > text.size()) from = text.size();
  if (count > text.size() - from) count = text.size() - from;
  return {text.data() + from, count};
}

// string_view::find, for functions that the compiler does not inline it into.
constexpr size_t find_byte(std::string_view text, char byte, size_t from = 0) noexcept {
  while (from < text.size() && text[from] != byte) ++from;
  return from < text.size() ? from : std::string_view::npos;
}

constexpr size_t find_text(std::string_view text, std::string_view part, size_t from = 0) noexcept {
  for (; from <= text.size() && part.size() <= text.size() - from; ++from) {
    if (slice(text, from, part.size()) == part) return from;
  }
  return std::string_view::npos;
}

}  // namespace detail

INLAY_END_NAMESPACE

#endif  // INLAY_CORE_SPAN_HPP_
