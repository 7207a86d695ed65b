// The C interface, inlay.h: each function turns its arguments into those of a member of the C++
// classes, and calls it. Here is what all of them need: errors, structs that may grow, handles.
//
// The functions' namespace hides them; INLAY_C_API exports them nevertheless, if that was asked
// for.
#ifndef INLAY_C_HANDLES_INL_HPP_
#define INLAY_C_HANDLES_INL_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "inlay/core/memory.hpp"
#include "inlay/inlay.h"
#include "inlay/model/model.hpp"
#include "inlay/session/session.hpp"

// ---- what the handles point to ----

INLAY_BEGIN_NAMESPACE
namespace detail {

// Something that an optional part keeps with a handle, which knows no more of it than how to end
// it.
struct CAttached {
  void (*destroy)(const Allocator& allocator, CAttached* self) noexcept = nullptr;
};

inline void c_detach(const Allocator& allocator, CAttached* attached) noexcept {
  if (attached != nullptr) attached->destroy(allocator, attached);
}

}  // namespace detail
INLAY_END_NAMESPACE

// Counted: those who were made of a model hold it too, for its callbacks live here.
struct INLAY_HIDDEN inlay_model {
  explicit inlay_model(const INLAY_NAMESPACE::Allocator& a) noexcept
      : allocator(a), model(INLAY_NAMESPACE::Error(INLAY_NAMESPACE::ErrorCode::io)) {}
  ~inlay_model() { INLAY_NAMESPACE::detail::c_detach(allocator, vocabulary); }
  inlay_model(const inlay_model&) = delete;
  inlay_model& operator=(const inlay_model&) = delete;

  std::atomic<uint32_t> holders{1};
  INLAY_NAMESPACE::Allocator allocator;
  inlay_host host = {};
  inlay_read_function file = {};
  inlay_model_options options = {};
  INLAY_NAMESPACE::Result<INLAY_NAMESPACE::Model> model;  // has a value once it is open
  // For grammars: made when the first one is.
  std::atomic<INLAY_NAMESPACE::detail::CAttached*> vocabulary{nullptr};
};

INLAY_BEGIN_NAMESPACE
namespace detail {

// ---- errors ----

constexpr inlay_status c_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::io:
      return INLAY_IO;
    case ErrorCode::not_gguf:
      return INLAY_NOT_GGUF;
    case ErrorCode::truncated:
      return INLAY_TRUNCATED;
    case ErrorCode::corrupt:
      return INLAY_CORRUPT;
    case ErrorCode::unsupported:
      return INLAY_UNSUPPORTED;
    case ErrorCode::missing:
      return INLAY_MISSING;
    case ErrorCode::out_of_memory:
      return INLAY_OUT_OF_MEMORY;
    case ErrorCode::bad_argument:
      return INLAY_BAD_ARGUMENT;
    case ErrorCode::context_full:
      return INLAY_CONTEXT_FULL;
    case ErrorCode::cancelled:
      return INLAY_CANCELLED;
    case ErrorCode::busy:
      return INLAY_BUSY;
  }
  return INLAY_BAD_ARGUMENT;
}

INLAY_COLD inline inlay_status c_report(const Error& from, inlay_error* error) noexcept {
  const inlay_status status = c_status(from.code());
  if (error != nullptr) {
    const size_t size = std::strlen(from.message());
    static_assert(sizeof(Error) < sizeof error->message, "any message fits");
    error->code = status;
    std::memcpy(error->message, from.message(), size + 1);
  }
  return status;
}

inline inlay_status c_ok(inlay_error* error) noexcept {
  if (error != nullptr) {
    error->code = INLAY_OK;
    error->message[0] = '\0';
  }
  return INLAY_OK;
}

inline inlay_status c_report(const Status& status, inlay_error* error) noexcept {
  return status ? c_ok(error) : c_report(status.error(), error);
}

INLAY_COLD inline inlay_status c_null(const char* argument, inlay_error* error) noexcept {
  return c_report(Error(ErrorCode::bad_argument, "argument ") << argument << ": expected no null",
                  error);
}

// ---- arguments ----

inline std::string_view c_text(const char* text, size_t size) noexcept {
  if (text == nullptr) return {};
  return {text, size == INLAY_NUL_TERMINATED ? std::strlen(text) : size};
}

inline const char* c_text(std::string_view text, size_t* size) noexcept {
  if (size != nullptr) *size = text.size();
  return text.data();
}

// Structs that may grow: the program's may be shorter than this library's, or longer.

// Fills `to`, which has `struct_size` bytes.
template <class T>
void c_put(const T& from, T* to, uint32_t struct_size) noexcept {
  if (to == nullptr || struct_size < sizeof struct_size) return;
  std::memset(static_cast<void*>(to), 0, struct_size);
  std::memcpy(static_cast<void*>(to), &from, struct_size < sizeof(T) ? struct_size : sizeof(T));
  std::memcpy(static_cast<void*>(to), &struct_size, sizeof struct_size);
}

INLAY_COLD inline Status c_check_size(uint32_t size, const char* name) noexcept {
  constexpr uint32_t kMost = 4096;
  if (size > sizeof size && size <= kMost) return {};
  return Error(ErrorCode::bad_argument, name)
         << ": struct_size is " << size << ", expected the struct's size";
}

// A result.
template <class T>
inlay_status c_give(const T& from, const char* name, T* to, inlay_error* error) noexcept {
  const Status status = c_check_size(to->struct_size, name);
  if (status) c_put(from, to, to->struct_size);
  return c_report(status, error);
}

// The given struct with the defaults in `out` where it ends before it; null: the defaults.
template <class T>
Status c_take(const T* given, const char* name, T* out) noexcept {
  if (given == nullptr) return {};
  const uint32_t size = given->struct_size;
  INLAY_TRY(c_check_size(size, name));
  const uint8_t* bytes = static_cast<const uint8_t*>(static_cast<const void*>(given));
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] != 0) {
      return Error(ErrorCode::bad_argument, name)
             << ": byte " << uint64_t{i} << " belongs to a field that inlay " INLAY_VERSION
             << " does not know";
    }
  }
  std::memcpy(static_cast<void*>(out), bytes, size < sizeof(T) ? size : sizeof(T));
  return {};
}

INLAY_COLD inline Error c_range(const char* option, const char* expected) noexcept {
  return Error(ErrorCode::bad_argument, "option ") << option << ": expected " << expected;
}

inline TokenizeOptions c_tokenize_options(uint32_t flags) noexcept {
  TokenizeOptions options;
  options.add_special = (flags & INLAY_ADD_SPECIAL) != 0;
  options.parse_special = (flags & INLAY_PARSE_SPECIAL) != 0;
  return options;
}

inline Status c_texts(const char* const* texts, const size_t* sizes, size_t count,
                      Array<std::string_view>* out) noexcept {
  if (count > 0 && texts == nullptr) {
    return Error(ErrorCode::bad_argument, "argument texts: expected no null");
  }
  if (!out->reserve(count)) return Error(ErrorCode::out_of_memory);
  for (size_t i = 0; i < count; ++i) {
    const size_t size = sizes == nullptr ? INLAY_NUL_TERMINATED : sizes[i];
    if (!out->push_back(c_text(texts[i], size))) return Error(ErrorCode::out_of_memory);
  }
  return {};
}

// ---- handles ----

inline void c_release(inlay_model* model) noexcept {
  if (model != nullptr && model->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    destroy(model->allocator, model);
  }
}

inline inlay_model* c_hold(const inlay_model* model) noexcept {
  inlay_model* held = const_cast<inlay_model*>(model);
  held->holders.fetch_add(1, std::memory_order_relaxed);
  return held;
}

// Puts what was made of a model into a handle.
template <class Handle, class T>
inlay_status c_make(const inlay_model* model, Result<T>&& made, Handle** out,
                    inlay_error* error) noexcept {
  if (!made) return c_report(made.error(), error);
  *out = create<Handle>(model->allocator, c_hold(model), std::move(*made));
  if (*out == nullptr) {
    c_release(const_cast<inlay_model*>(model));
    return c_report(Error(ErrorCode::out_of_memory), error);
  }
  return c_ok(error);
}

template <class Handle>
void c_close(Handle* handle) noexcept {
  if (handle == nullptr) return;
  inlay_model* model = handle->model;
  destroy(model->allocator, handle);
  c_release(model);
}

inline inlay_status c_plan(const Result<MemoryPlan>& plan, inlay_memory_plan* out,
                           inlay_error* error) noexcept {
  if (!plan) return c_report(plan.error(), error);
  inlay_memory_plan to = {};
  to.kv_cache = plan->kv_cache;
  to.activations = plan->activations;
  to.other = plan->other;
  to.recurrent_state = plan->recurrent_state;
  to.total = plan->total();
  to.shared = plan->shared;
  return c_give(to, "inlay_memory_plan", out, error);
}

inline int32_t c_step(Step step) noexcept {
  switch (step) {
    case Step::more:
      return INLAY_STEP_MORE;
    case Step::piece:
      return INLAY_STEP_PIECE;
    case Step::done:
      return INLAY_STEP_DONE;
    case Step::failed:
      return INLAY_STEP_FAILED;
  }
  return INLAY_STEP_FAILED;
}

}  // namespace detail

INLAY_END_NAMESPACE

#endif  // INLAY_C_HANDLES_INL_HPP_
