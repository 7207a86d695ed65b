#ifndef INLAY_CORE_RESULT_HPP_
#define INLAY_CORE_RESULT_HPP_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE

// Every kind of failure: identifier and what it means.
#define INLAY_ERROR_CODES(X)                                                       \
  X(io, "a file could not be opened, read or mapped")                              \
  X(not_gguf, "the data does not start with a GGUF header that can be read")       \
  X(truncated, "the data ends before what its header promises")                    \
  X(corrupt, "a count, length, offset or value in the file contradicts the rest")  \
  X(unsupported, "the file is well-formed but needs something this build has not") \
  X(missing, "a metadata key or a tensor that the model needs is not in the file") \
  X(out_of_memory, "the host's allocator returned null")                           \
  X(bad_argument, "an argument is outside its documented range")                   \
  X(context_full, "the tokens do not fit into the session's context")              \
  X(cancelled, "the caller cancelled the operation")                               \
  X(busy, "another session has begun a batch in the same workspace")

enum class ErrorCode : uint8_t {
#define INLAY_X(id, text) id,
  INLAY_ERROR_CODES(INLAY_X)
#undef INLAY_X
};

// What a code means, as one line of English without a full stop.
constexpr std::string_view error_text(ErrorCode code) noexcept {
  switch (code) {
#define INLAY_X(id, text) \
  case ErrorCode::id:     \
    return text;
    INLAY_ERROR_CODES(INLAY_X)
#undef INLAY_X
  }
  return "unknown error";
}

// A failure: its kind and a sentence that names what, where and what was expected. Holds its text
// inline: making, copying and returning an Error never allocates. A text that does not fit is cut.
class [[nodiscard]] Error {
 public:
  INLAY_COLD explicit Error(ErrorCode code) noexcept : code_(code) { *this << error_text(code); }
  INLAY_COLD Error(ErrorCode code, std::string_view text) noexcept : code_(code) { *this << text; }

  // Out of line: else each return of an error is 256 bytes of moves.
  INLAY_COLD Error(const Error& other) noexcept { *this = other; }
  INLAY_COLD Error& operator=(const Error& other) noexcept {
    code_ = other.code_;
    size_ = other.size_;
    std::memcpy(text_, other.text_, sizeof text_);
    return *this;
  }

  ErrorCode code() const noexcept { return code_; }
  const char* message() const noexcept { return text_; }  // NUL-terminated UTF-8

  // Append to the message. Usage: return Error(ErrorCode::corrupt, "tensor ") << name << ": offset
  // " << offset;
  INLAY_COLD Error& operator<<(std::string_view text) noexcept {
    for (char c : text) {
      if (size_ + size_t{1} >= sizeof text_) break;
      text_[size_++] = c;
    }
    text_[size_] = '\0';
    return *this;
  }
  INLAY_COLD Error& operator<<(unsigned long long number) noexcept {
    char digits[20];
    size_t n = 0;
    do digits[n++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    while (n > 0) *this << std::string_view(&digits[--n], 1);
    return *this;
  }
  INLAY_COLD Error& operator<<(long long number) noexcept {
    if (number >= 0) return *this << static_cast<unsigned long long>(number);
    return *this << "-" << (~static_cast<unsigned long long>(number) + 1);
  }
  // Every other integer type: size_t is one of them on some systems, and another on others.
  Error& operator<<(unsigned long number) noexcept { return *this << (0ull + number); }
  Error& operator<<(unsigned number) noexcept { return *this << (0ull + number); }
  Error& operator<<(long number) noexcept { return *this << (0ll + number); }
  Error& operator<<(int number) noexcept { return *this << (0ll + number); }

 private:
  ErrorCode code_;
  uint16_t size_ = 0;
  char text_[252];
};

// A value of type T or an Error. Test it, then use it like a pointer:
//   auto model = Model::open(path);
//   if (!model) return fail(model.error().message());
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) noexcept : has_value_(true) { new (&value_) T(std::move(value)); }
  Result(const Error& error) noexcept : has_value_(false) { new (&error_) Error(error); }
  Result(Result&& other) noexcept : has_value_(other.has_value_) {
    if (has_value_) {
      new (&value_) T(std::move(other.value_));
    } else {
      new (&error_) Error(other.error_);
    }
  }
  Result& operator=(Result&& other) noexcept {
    if (this != &other) {
      this->~Result();
      new (this) Result(std::move(other));
    }
    return *this;
  }
  ~Result() {
    if (has_value_) value_.~T();
  }

  explicit operator bool() const noexcept { return has_value_; }
  bool has_value() const noexcept { return has_value_; }
  // Only when there is a value.
  T& operator*() noexcept {
    INLAY_ASSERT(has_value_, "the value of a Result that is an error");
    return value_;
  }
  const T& operator*() const noexcept {
    INLAY_ASSERT(has_value_, "the value of a Result that is an error");
    return value_;
  }
  T* operator->() noexcept { return &**this; }
  const T* operator->() const noexcept { return &**this; }
  // Only when there is none.
  const Error& error() const noexcept {
    INLAY_ASSERT(!has_value_, "the error of a Result that is a value");
    return error_;
  }

 private:
  union {
    T value_;
    Error error_;
  };
  bool has_value_;
};

// Success, or an Error: the Result of what gives no value.
class [[nodiscard]] Status {
 public:
  Status() noexcept : ok_(true), error_(ErrorCode::io, "") {}
  Status(const Error& error) noexcept : ok_(false), error_(error) {}
  explicit operator bool() const noexcept { return ok_; }
  const Error& error() const noexcept { return error_; }

 private:
  bool ok_;
  Error error_;
};

// Leave the enclosing function with the error, if `expression` (a Status) failed. For use inside
// the library.
#define INLAY_TRY(expression)                                                         \
  do {                                                                                \
    if (auto inlay_status = (expression); !inlay_status) return inlay_status.error(); \
  } while (false)

INLAY_END_NAMESPACE

#endif  // INLAY_CORE_RESULT_HPP_
