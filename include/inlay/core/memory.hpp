#ifndef INLAY_CORE_MEMORY_HPP_
#define INLAY_CORE_MEMORY_HPP_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "inlay/core/host.hpp"
#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Of every block: a cache line, and the widest SIMD vector.
inline constexpr size_t kAlignment = 64;

// The host's allocator, or the C library's where the host gave none. `bytes` may be 0 (returns
// null); more than PTRDIFF_MAX is never to be had.
void* allocate(const Allocator& allocator, size_t bytes, size_t alignment = kAlignment) noexcept;
void release(const Allocator& allocator, void* memory, size_t bytes,
             size_t alignment = kAlignment) noexcept;

// Multiplication and addition that report overflow instead of wrapping: false if the result does
// not fit.
constexpr bool checked_mul(uint64_t a, uint64_t b, uint64_t* out) noexcept {
  if (a != 0 && b > UINT64_MAX / a) return false;
  *out = a * b;
  return true;
}
constexpr bool checked_add(uint64_t a, uint64_t b, uint64_t* out) noexcept {
  if (b > UINT64_MAX - a) return false;
  *out = a + b;
  return true;
}

// A count as a size: the largest one, of which no memory can be had, where it does not fit.
constexpr size_t saturated(uint64_t count) noexcept {
  return count < SIZE_MAX ? static_cast<size_t>(count) : SIZE_MAX;
}

// `value` rounded up to a multiple of `step`, a power of two.
constexpr size_t round_up(size_t value, size_t step) noexcept {
  return (value + step - 1) & ~(step - 1);
}
constexpr size_t div_up(size_t value, size_t step) noexcept { return (value + step - 1) / step; }

// A growable array in memory of the host's allocator. The difference from std::vector: growing
// returns false when memory is out, and nothing throws. Element types are relocated by memcpy, so
// they must be trivially copyable.
template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Array() noexcept = default;
  explicit Array(const Allocator& allocator) noexcept : allocator_(allocator) {}
  Array(Array&& other) noexcept
      : allocator_(other.allocator_),
        data_(other.data_),
        size_(other.size_),
        capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.size_ = other.capacity_ = 0;
  }
  Array& operator=(Array&& other) noexcept {
    if (this != &other) {
      this->~Array();
      new (this) Array(std::move(other));
    }
    return *this;
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  INLAY_COLD ~Array() { release(allocator_, data_, capacity_ * sizeof(T)); }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  T& operator[](size_t i) noexcept { return data_[i]; }
  const T& operator[](size_t i) const noexcept { return data_[i]; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }
  T& back() noexcept { return data_[size_ - 1]; }
  Span<const T> span() const noexcept { return {data_, size_}; }
  Span<T> span() noexcept { return {data_, size_}; }
  const Allocator& allocator() const noexcept { return allocator_; }

  [[nodiscard]] INLAY_COLD bool reserve(size_t capacity) noexcept {
    if (capacity <= capacity_) return true;
    if (capacity > SIZE_MAX / sizeof(T)) return false;
    void* fresh = allocate(allocator_, capacity * sizeof(T));
    if (fresh == nullptr) return false;
    if (size_ > 0) std::memcpy(fresh, data_, size_ * sizeof(T));
    release(allocator_, data_, capacity_ * sizeof(T));
    data_ = static_cast<T*>(fresh);
    capacity_ = capacity;
    return true;
  }
  // New elements are value-initialized.
  [[nodiscard]] bool resize(size_t size) noexcept {
    if (!reserve(size)) return false;
    for (size_t i = size_; i < size; ++i) new (data_ + i) T();
    size_ = size;
    return true;
  }
  // Up to `count` more of them, of what was reserved; whether that was the rest of it.
  bool fill(size_t count) noexcept {
    const size_t left = capacity_ - size_;
    (void)resize(size_ + (count < left ? count : left));
    return count >= left;
  }
  [[nodiscard]] bool push_back(const T& value) noexcept {
    const T copy = value;  // it may lie in this array
    if (size_ == capacity_ && !reserve(capacity_ < 8 ? 16 : capacity_ * 2)) return false;
    new (data_ + size_++) T(copy);
    return true;
  }
  [[nodiscard]] bool append(const T* values, size_t count) noexcept {
    if (count > SIZE_MAX - size_) return false;
    if (size_ + count > capacity_) {
      const size_t doubled = capacity_ * 2;
      if (!reserve(doubled > size_ + count ? doubled : size_ + count)) return false;
    }
    if (count > 0) std::memcpy(static_cast<void*>(data_ + size_), values, count * sizeof(T));
    size_ += count;
    return true;
  }
  void pop_back() noexcept { --size_; }
  void truncate(size_t size) noexcept {
    if (size < size_) size_ = size;
  }
  void clear() noexcept { size_ = 0; }

 private:
  Allocator allocator_;
  T* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

using String = Array<char>;
inline std::string_view view(const String& s) noexcept { return {s.data(), s.size()}; }

// One object in the host's memory; null if there is none left. `destroy` undoes it.
template <class T, class... Args>
T* create(const Allocator& allocator, Args&&... args) noexcept {
  void* memory = allocate(allocator, sizeof(T), alignof(T) > 16 ? alignof(T) : 16);
  return memory == nullptr ? nullptr : new (memory) T(std::forward<Args>(args)...);
}
template <class T>
void destroy(const Allocator& allocator, T* object) noexcept {
  if (object == nullptr) return;
  const Allocator copy = allocator;  // it may lie inside the object
  object->~T();
  release(copy, object, sizeof(T), alignof(T) > 16 ? alignof(T) : 16);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CORE_MEMORY_HPP_
