#ifndef INLAY_COMPLETION_DRAFTS_INL_HPP_
#define INLAY_COMPLETION_DRAFTS_INL_HPP_

#include <cstring>

#include "inlay/completion/drafts.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/meter.hpp"
#include "inlay/core/system.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Where the longest end of `tokens` that also stands in `where` ends there; of equally long ones
// the last. 0 if none has `least` tokens.
struct Match {
  size_t end = 0, length = 0;
};
inline Match find_last_match(Span<const Token> tokens, Span<const Token> where,
                             size_t least) noexcept {
  constexpr size_t kLongest = 32;  // a longer one would tell no more
  Match best;
  if (tokens.empty()) return best;
  const Token last = tokens[tokens.size() - 1];
  for (size_t end = where.size(); end-- > 1 && best.length < kLongest;) {
    if (where[end - 1] != last) continue;
    size_t length = 1;
    while (length < end && length < tokens.size() && length < kLongest &&
           where[end - 1 - length] == tokens[tokens.size() - 1 - length]) {
      ++length;
    }
    if (length >= least && length > best.length) best = {end, length};
  }
  return best;
}

// Tokens that a small model guesses at once, at most. Reading 4 tokens takes about twice as long as
// reading one, reading 8 four times: where not nearly all guesses are right, more of them lose.
inline constexpr size_t kMostOfSmall = 3;

struct DraftsImpl {
  explicit DraftsImpl(const Model& m) noexcept : model(m) {}
  ~DraftsImpl() {
    if (has_guesser) guesser.session.~Session();
  }

  static bool draft(void* self, Span<const Token> tokens, uint64_t deadline_us, Span<Token> room,
                    uint32_t* count) noexcept {
    return static_cast<DraftsImpl*>(self)->draft(tokens, deadline_us, room, count);
  }
  static void learn(void* self, uint32_t drafted, uint32_t accepted) noexcept {
    DraftsImpl* const d = static_cast<DraftsImpl*>(self);
    d->length = accepted < drafted ? accepted + 1 : d->length + 2;
    if (d->length > d->most) d->length = d->most;
  }

  bool draft(Span<const Token> tokens, uint64_t deadline_us, Span<Token> room,
             uint32_t* count) noexcept {
    *count = 0;
    room = room.subspan(0, length);
    if (guessing == 0 || guessing != tokens.size()) {
      guessing = 0;
      if (least_match > 0) *count = look_up(tokens, room);
      if (*count > 0 || !has_guesser || room.empty()) return true;
      room = room.subspan(0, kMostOfSmall);
      guesser.session.set_max_tokens(static_cast<uint32_t>(room.size()));
      // A text that is too long for the small model, or other failures: no guess.
      if (!guesser.session.prompt(tokens)) return true;
      guessing = tokens.size();
    }
    for (;;) {
      const uint64_t now = now_us(model.host().clock);
      if (deadline_us != 0 && now >= deadline_us) return false;
      const uint64_t left = deadline_us == 0 ? UINT32_MAX : deadline_us - now;
      const Step step =
          guesser.session.step(left < UINT32_MAX ? static_cast<uint32_t>(left) : UINT32_MAX);
      if (step == Step::more) return false;
      if (step == Step::done || step == Step::failed) break;
    }
    const Span<const Token> all = guesser.session.tokens();
    for (size_t i = guessing; i < all.size() && *count < room.size(); ++i) {
      room[(*count)++] = all[i];
    }
    guessing = 0;
    return true;
  }

  uint32_t look_up(Span<const Token> tokens, Span<Token> room) const noexcept {
    const Match here = find_last_match(tokens, tokens, least_match);
    const Match there = find_last_match(tokens, reference, least_match);
    const bool in_reference = there.length > here.length;
    const Match& match = in_reference ? there : here;
    if (match.length == 0) return 0;
    const Span<const Token> next = (in_reference ? reference : tokens).subspan(match.end);
    const size_t n = next.size() < room.size() ? next.size() : room.size();
    std::memcpy(room.data(), next.data(), n * sizeof(Token));
    return static_cast<uint32_t>(n);
  }

  Model model;
  uint32_t least_match = 0, most = 0, length = 0;
  Span<const Token> reference;
  bool has_guesser = false;
  union Guesser {
    Guesser() noexcept {}
    ~Guesser() {}
    Session session;
  } guesser;
  size_t guessing = 0;  // tokens of the text that the small model is continuing; 0: none
};

}  // namespace detail

INLAY_COLD Result<Drafts> Drafts::create(const Model& model, const DraftOptions& options) noexcept {
  if (options.most == 0 || options.most >= detail::kHeadRows) {
    return Error(ErrorCode::bad_argument, "option most: expected 1 to ") << detail::kHeadRows - 1;
  }
  if (options.model != nullptr && options.model->tokenizer().size() != model.tokenizer().size()) {
    return Error(ErrorCode::bad_argument, "the model that guesses has a vocabulary of ")
           << options.model->tokenizer().size() << " tokens, the other one's has "
           << model.tokenizer().size();
  }
  const Allocator& allocator = model.host().allocator;
  detail::DraftsImpl* const impl = detail::create<detail::DraftsImpl>(allocator, model);
  if (impl == nullptr) return detail::Meter::explain(allocator, Error(ErrorCode::out_of_memory));
  Drafts drafts(impl);
  impl->least_match = options.least_match;
  impl->most = impl->length = options.most;
  if (options.model != nullptr) {
    SessionOptions guesser = options.session;
    guesser.sampling.temperature = 0;
    Result<Session> session = Session::create(*options.model, guesser);
    if (!session) return session.error();
    new (&impl->guesser.session) Session(std::move(*session));
    impl->has_guesser = true;
  }
  return drafts;
}

Drafts::Drafts(Drafts&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Drafts& Drafts::operator=(Drafts&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
INLAY_COLD Drafts::~Drafts() {
  if (impl_ == nullptr) return;
  const Model keep = impl_->model;
  detail::destroy(keep.host().allocator, impl_);
}

Drafter Drafts::drafter() noexcept {
  Drafter drafter;
  drafter.draft = &detail::DraftsImpl::draft;
  drafter.learn = &detail::DraftsImpl::learn;
  drafter.user = impl_;
  return drafter;
}
void Drafts::set_reference(Span<const Token> tokens) noexcept { impl_->reference = tokens; }

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_DRAFTS_INL_HPP_
