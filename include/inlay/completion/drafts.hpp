// Guesses for Session::speculate: by looking up what stood behind the same tokens before, by a
// small model, or by both.
#ifndef INLAY_COMPLETION_DRAFTS_HPP_
#define INLAY_COMPLETION_DRAFTS_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/model/model.hpp"
#include "inlay/session/drafter.hpp"
#include "inlay/session/session.hpp"

INLAY_BEGIN_NAMESPACE

namespace detail {
struct DraftsImpl;
}

struct DraftOptions {
  // How many of the last tokens must have stood somewhere before, for what followed there to be a
  // guess. 0: nothing is looked up.
  uint32_t least_match = 3;
  uint32_t most = 7;  // tokens of a guess, 1 to 7; of the small model no more than 3
  // A small model with the same vocabulary that guesses where nothing is found, or null. Shared.
  const Model* model = nullptr;
  SessionOptions session;  // of the small model; context: the same as that of the large one's
};

// A drafter and its statistics. Looking up goes through the session's own tokens (prompt and
// output), and through a text of the program's choice: the rest of a file, or the form that a
// passage had before it was edited. It takes time in proportion to both (a microsecond for each
// thousand tokens); nothing is copied or indexed. Guesses get longer while they are right and
// shorter when they are not. For one session, on its thread. Move only.
class Drafts {
 public:
  // Errors: bad_argument (an option; a vocabulary of another size than that of `model`),
  // out_of_memory.
  static Result<Drafts> create(const Model& model, const DraftOptions& options = {}) noexcept;
  Drafts(Drafts&&) noexcept;
  Drafts& operator=(Drafts&&) noexcept;
  ~Drafts();

  // For Session::speculate. Good until this object is gone; moving it changes nothing.
  Drafter drafter() noexcept;
  // Also look here. Not copied; an empty span to forget it.
  void set_reference(Span<const Token> tokens) noexcept;

 private:
  explicit Drafts(detail::DraftsImpl* impl) noexcept : impl_(impl) {}
  detail::DraftsImpl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_DRAFTS_HPP_
