#ifndef INLAY_COMPLETION_CHOOSE_INL_HPP_
#define INLAY_COMPLETION_CHOOSE_INL_HPP_

#include <algorithm>

#include "inlay/completion/choose.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/meter.hpp"
#include "inlay/session/session-inl.hpp"

INLAY_BEGIN_NAMESPACE

// The session reads what all options begin with; a sampler notes how probable the token behind it
// is for each of them. Then all others of their tokens are texts of one batch, which share the
// pages of the KV cache that lie before them and have the next free ones as their own. Where layers
// are recurrent there is one text at a time: the sampler leaves only the option's own tokens to be
// drawn.
struct Chooser::Impl {
  struct Option {
    size_t first;     // in `tokens`: prompt, option, what comes after
    uint32_t n;       // of all these
    uint32_t n_text;  // without what comes after, and what that was joined with
    uint32_t known;   // tokens whose probability is known, or does not matter
    double logprob;
  };
  enum class State : uint8_t { idle, walking, batches };

  Impl(const Allocator& allocator, Session* s) noexcept
      : session(s),
        tokens(allocator),
        text(allocator),
        options(allocator),
        choices(allocator),
        batch(allocator),
        text_of(allocator),
        texts(allocator),
        option_of(allocator),
        pages(allocator) {}

  Token token(const Option& option, uint32_t i) const noexcept { return tokens[option.first + i]; }
  uint32_t common(const Option& a, const Option& b) const noexcept {
    uint32_t n = 0;
    while (n < a.n && n < b.n && token(a, n) == token(b, n)) ++n;
    return n;
  }
  Status start(std::string_view prompt, Span<const std::string_view> given,
               const ChooseOptions& how) noexcept;
  Step step(uint64_t deadline_us) noexcept;
  Status add(std::string_view prompt, std::string_view option, const ChooseOptions& how) noexcept;
  Status encode(std::string_view more, const TokenizeOptions& how, Option* option) noexcept;
  Status walk_next() noexcept;
  Status reserve_batch() noexcept;
  Status next_batch(bool hurried) noexcept;
  Status step_batch(uint64_t deadline_us, bool* more) noexcept;
  void note_row(uint32_t row, Span<float> logits) noexcept;
  void borrow() noexcept;
  void give_back() noexcept;
  Status finish() noexcept;
  static void note(void* self, Candidates* candidates) noexcept;

  Session* session;
  detail::Array<Token> tokens;
  detail::String text;
  detail::Array<Option> options;
  detail::Array<Choice> choices;
  uint32_t shared = 0;  // tokens that all begin with
  bool per_token = false;
  State state = State::idle;
  uint32_t at = 0;  // the option that is walked through, or the first that is in no batch yet
  uint32_t best = 0;
  Status status;

  // A batch: its tokens and whose they are; its texts, whose they are, and their tables of pages.
  detail::Array<Token> batch;
  detail::Array<uint32_t> text_of;
  detail::Array<detail::BatchText> texts;
  detail::Array<uint32_t> option_of;
  detail::Array<uint8_t*> pages;
  uint32_t table = 0;     // pages of one
  size_t most_texts = 0;  // there is room for

  // The session's own, meanwhile.
  Sampling sampling;
  Constraint constraint;
  Drafter drafter;
  uint32_t max_tokens = 0;
  size_t stops = 0;
};

// Appends the tokens of `text` and `more`.
INLAY_COLD Status Chooser::Impl::encode(std::string_view more, const TokenizeOptions& how,
                                        Option* option) noexcept {
  const detail::SessionImpl& s = *session->impl_;
  const size_t bytes = text.size();
  if (!text.append(more.data(), more.size())) return Error(ErrorCode::out_of_memory);
  option->first = tokens.size();
  // One more than fits, so that what does not fit is known.
  const size_t room = std::min(Tokenizer::max_tokens(text.size()), size_t{s.context} + 1);
  if (!tokens.resize(option->first + room)) return Error(ErrorCode::out_of_memory);
  const auto n =
      s.impl->tokenizer.encode(detail::view(text), tokens.span().subspan(option->first), how);
  if (!n) return detail::encode_error(s, n.error(), text.size());
  text.truncate(bytes);
  tokens.truncate(option->first + *n);
  option->n = static_cast<uint32_t>(*n);
  return {};
}

INLAY_COLD Status Chooser::Impl::add(std::string_view prompt, std::string_view option,
                                     const ChooseOptions& how) noexcept {
  Option plain = {}, whole = {};
  text.clear();
  if (!text.append(prompt.data(), prompt.size()) || !text.append(option.data(), option.size())) {
    return Error(ErrorCode::out_of_memory);
  }
  INLAY_TRY(encode({}, how.tokenize, &plain));
  INLAY_TRY(encode(how.after, how.tokenize, &whole));
  // The text's own tokens are kept only as a count: they begin the whole, but where `after` is
  // joined with their end.
  whole.n_text = common(plain, whole);
  const size_t drop = whole.first - plain.first;
  for (uint32_t i = 0; i < whole.n; ++i) tokens[plain.first + i] = token(whole, i);
  tokens.truncate(tokens.size() - drop);
  whole.first = plain.first;
  return options.push_back(whole) ? Status() : Status(Error(ErrorCode::out_of_memory));
}

INLAY_COLD void Chooser::Impl::borrow() noexcept {
  detail::SessionImpl& s = *session->impl_;
  detail::roll_back_constraint(&s, 0);
  sampling = s.sampling;
  constraint = s.constraint;
  drafter = s.drafter;
  max_tokens = s.max_tokens;
  stops = s.output.use_stops(0);
  s.sampling = Sampling();
  s.sampling.temperature = 0.0f;
  s.sampling.chain.clear();
  s.sampling.chain.add(Sampler(&note, this));
  s.constraint = Constraint();
  s.drafter = Drafter();
}

INLAY_COLD void Chooser::Impl::give_back() noexcept {
  if (state == State::idle) return;
  state = State::idle;
  detail::SessionImpl& s = *session->impl_;
  detail::settle(s);
  s.state.texts = nullptr;
  s.state.n_texts = 0;
  s.stage = detail::SessionImpl::Stage::idle;
  s.workspace->leave(&s);
  s.ended = true;
  s.sampling = sampling;
  s.constraint = constraint;
  s.drafter = drafter;
  s.max_tokens = max_tokens;
  s.output.use_stops(stops);
}

// Of the next token of the option, and of all that have come the same way.
INLAY_COLD void Chooser::Impl::note(void* user, Candidates* candidates) noexcept {
  Impl& self = *static_cast<Impl*>(user);
  const Span<Candidate> list = candidates->list;  // by id: nothing has sorted it
  const Option& walked = self.options[self.at];
  const uint32_t place = self.session->impl_->n_tokens;
  float top = list.empty() ? 0 : list[0].logit;
  uint64_t total = 0;
  for (const Candidate& c : list) top = std::max(top, c.logit);
  const auto below = [top](const Candidate& c) {
    return static_cast<double>(top) - static_cast<double>(c.logit);
  };
  for (const Candidate& c : list) total += detail::exp2_negative(detail::to_bits(below(c)));
  const double log_total =
      (detail::log2_exactly(static_cast<double>(total)) - detail::kWeightBits) * detail::kLn2;
  for (Option& option : self.options) {
    if (option.known != place || place >= option.n || self.common(option, walked) < place) continue;
    const Token wanted = self.token(option, option.known++);
    const Candidate* const found = std::lower_bound(
        list.begin(), list.end(), wanted, [](const Candidate& c, Token id) { return c.id < id; });
    const bool possible = found != list.end() && found->id == wanted;
    option.logprob -= possible ? below(*found) + log_total : HUGE_VAL;
  }
  if (list.empty()) return;
  list[0] = {self.token(walked, place), 0};
  candidates->list = list.subspan(0, 1);
}

// Starts on the next option that is not known to its end.
INLAY_COLD Status Chooser::Impl::walk_next() noexcept {
  while (at < options.size() && options[at].known == options[at].n) ++at;
  if (at == options.size()) return finish();
  detail::SessionImpl& s = *session->impl_;
  const Option& option = options[at];
  if (option.known > shared && !s.recurrent.used()) {
    state = State::batches;
    return {};
  }
  s.max_tokens = s.recurrent.used() ? option.n - option.known : 1;
  return session->prompt(Span<const Token>(tokens.data() + option.first, option.known));
}

// ---- batches of options ----

inline constexpr uint32_t page_of(uint32_t position) noexcept { return position / detail::kKvPage; }

INLAY_COLD Status Chooser::Impl::reserve_batch() noexcept {
  const detail::SessionImpl& s = *session->impl_;
  uint32_t most = 0;
  for (const Option& option : options) most = std::max(most, option.n);
  table = page_of(most) + 1;
  most_texts = std::min({options.size(), size_t{s.batch}, size_t{s.cache.pages()} + 1});
  return batch.resize(s.batch) && text_of.resize(s.batch) && texts.reserve(most_texts) &&
                 option_of.reserve(most_texts) && pages.resize(most_texts * table)
             ? Status()
             : Status(Error(ErrorCode::out_of_memory));
}

// Starts on as many options as a batch and the free pages have room for. The first one lies where
// the session would have put it, so that an option of more tokens than a batch goes on there; the
// others begin with a copy of the page in which what all have ends.
INLAY_COLD Status Chooser::Impl::next_batch(bool hurried) noexcept {
  detail::SessionImpl& s = *session->impl_;
  detail::State& to = s.state;
  uint8_t* const* const own = to.kv[0].pages;
  const uint32_t split = page_of(shared);
  uint32_t rows = 0, free = split;
  texts.truncate(0);
  option_of.truncate(0);
  for (; at < options.size() && texts.size() < most_texts; ++at) {
    const Option& option = options[at];
    if (option.known == option.n) continue;
    const uint32_t first = option.known - 1, left = option.n - 1 - first;
    const uint32_t n = std::min(left, s.batch), need = page_of(first + n - 1) - split + 1;
    const bool alone = texts.empty();
    if (!alone && (rows + n > s.batch || free + need > s.cache.pages())) break;
    uint8_t** const mine = pages.data() + texts.size() * table;
    std::copy(own, own + split, mine);
    std::copy(own + free, own + free + need, mine + split);
    if (!alone && shared % detail::kKvPage != 0) s.cache.copy_page(split, free);
    detail::BatchText part = {rows, n, (free - split) * detail::kKvPage + first};
    part.first = first;
    part.pages = mine;
    for (uint32_t i = 0; i < n; ++i) {
      text_of[rows + i] = static_cast<uint32_t>(texts.size());
      batch[rows + i] = token(option, first + i);
    }
    const bool noted = texts.push_back(part) && option_of.push_back(at);
    if (!noted) return Error(ErrorCode::out_of_memory);
    rows += n;
    free += need;
    if (n < left) break;
  }
  if (rows == 0) return finish();
  to.texts = texts.data();
  to.n_texts = static_cast<uint32_t>(texts.size());
  to.text_of = text_of.data();
  detail::begin_batch(&s, rows, 0, std::min(rows, detail::kHeadRows), hurried);
  to.tokens = batch.data();
  s.n_batch = 0;  // none of them are the session's
  return {};
}

// Of the token behind row `row` of the batch.
INLAY_COLD void Chooser::Impl::note_row(uint32_t row, Span<float> logits) noexcept {
  const detail::ModelImpl& m = *session->impl_->impl;
  for (const Token never : m.tokenizer.suppressed()) {
    logits[static_cast<size_t>(never)] = -HUGE_VALF;
  }
  Option& option = options[option_of[text_of[row]]];
  const float wanted = logits[static_cast<size_t>(token(option, option.known++))];
  option.logprob += static_cast<double>(wanted) -
                    detail::log_sum_exp(*m.kernels, logits, detail::greatest(logits));
}

INLAY_COLD Status Chooser::Impl::step_batch(uint64_t deadline_us, bool* more) noexcept {
  detail::SessionImpl& s = *session->impl_;
  INLAY_TRY(detail::take_workspace(&s));
  if (s.state.n_texts == 0) return next_batch(deadline_us != 0);
  switch (detail::run_batch(&s, deadline_us)) {
    case detail::Executor::Outcome::budget_spent:
      *more = true;
      return {};
    case detail::Executor::Outcome::cancelled:
      s.cancelled.store(false, std::memory_order_relaxed);
      return Error(ErrorCode::cancelled);
    case detail::Executor::Outcome::finished:
      break;
  }
  const uint32_t first = s.state.head_first, n = s.state.head_n;
  for (uint32_t i = 0; i < n; ++i) {
    note_row(first + i, {s.state.row(detail::Buffer::logits, i), s.impl->hparams.n_vocab});
  }
  if (first + n == s.state.n) return next_batch(deadline_us != 0);
  detail::begin_head(&s, first + n, std::min(s.state.n - first - n, detail::kHeadRows));
  return {};
}

INLAY_COLD Status Chooser::Impl::finish() noexcept {
  give_back();
  double most = -HUGE_VAL, total = 0;
  const auto score = [this](const Option& option) {
    return per_token ? option.logprob / (option.n - shared) : option.logprob;
  };
  for (uint32_t i = 0; i < options.size(); ++i) {
    if (i == 0 || score(options[i]) > most) best = i;
    most = score(options[best]);
  }
  const auto weight = [&](const Option& option) {
    return most > -HUGE_VAL ? detail::exp2_exactly((score(option) - most) / detail::kLn2) : 1;
  };
  for (const Option& option : options) total += weight(option);
  for (size_t i = 0; i < options.size(); ++i) {
    choices[i].probability = static_cast<float>(weight(options[i]) / total);
    choices[i].logprob = static_cast<float>(options[i].logprob);
    choices[i].tokens = options[i].n - shared;
  }
  const Option& chosen = options[best];
  return session->prompt(Span<const Token>(tokens.data() + chosen.first, chosen.n_text));
}

Chooser::Chooser(Session* session) noexcept
    : impl_(detail::create<Impl>(session->impl_->impl->host.allocator,
                                 session->impl_->impl->host.allocator, session)) {}
Chooser::Chooser(Chooser&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Chooser& Chooser::operator=(Chooser&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Chooser::~Chooser() {
  if (impl_ == nullptr) return;
  impl_->give_back();
  detail::destroy(impl_->tokens.allocator(), impl_);
}

INLAY_COLD Status Chooser::start(std::string_view prompt, Span<const std::string_view> options,
                                 const ChooseOptions& how) noexcept {
  if (impl_ == nullptr) return Error(ErrorCode::out_of_memory);
  impl_->give_back();
  const Allocator& allocator = impl_->tokens.allocator();
  return impl_->status = detail::Meter::explain(allocator, impl_->start(prompt, options, how));
}

INLAY_COLD Status Chooser::Impl::start(std::string_view prompt, Span<const std::string_view> given,
                                       const ChooseOptions& how) noexcept {
  constexpr size_t kMaxOptions = 1000;
  state = State::idle;
  tokens.clear();
  options.clear();
  choices.clear();
  per_token = how.per_token;
  at = 0;
  if (given.empty() || given.size() > kMaxOptions) {
    return Error(ErrorCode::bad_argument, "options to choose from: expected 1 to ") << kMaxOptions;
  }
  for (const std::string_view option : given) {
    if (option.empty()) return Error(ErrorCode::bad_argument, "an option to choose is empty");
    INLAY_TRY(add(prompt, option, how));
  }
  // What all begin with is given; at least one token of each is not, and one must be, for the model
  // to say anything.
  shared = options[0].n;
  for (const Option& option : options) {
    shared = std::min({shared, common(options[0], option), option.n - 1});
  }
  if (shared == 0) {
    return Error(ErrorCode::bad_argument, "nothing to choose by: the prompt has no token");
  }
  if (!choices.resize(options.size())) return Error(ErrorCode::out_of_memory);
  for (Option& option : options) option.known = shared;
  INLAY_TRY(reserve_batch());
  borrow();
  state = State::walking;
  const Status started = walk_next();
  if (!started) give_back();
  return started;
}

Step Chooser::Impl::step(uint64_t deadline_us) noexcept {
  detail::SessionImpl& s = *session->impl_;
  while (state != State::idle) {
    if (state == State::batches) {
      bool more = false;
      status = step_batch(deadline_us, &more);
      if (more) return Step::more;
      if (status) continue;
      break;
    }
    const Step step = detail::step_session(&s, deadline_us);
    if (step == Step::more) return step;
    if (step == Step::piece) continue;
    status = step == Step::failed                     ? s.status
             : s.stop_reason == StopReason::cancelled ? Status(Error(ErrorCode::cancelled))
                                                      : walk_next();
    if (!status) break;
  }
  if (!status && status.error().code() != ErrorCode::busy) give_back();
  if (status) s.cancelled.store(false, std::memory_order_relaxed);  // it came too late
  return status ? Step::done : Step::failed;
}

Step Chooser::step(uint32_t budget_us) noexcept {
  if (impl_ == nullptr) return Step::failed;
  const Clock& clock = impl_->session->impl_->impl->host.clock;
  return impl_->step(detail::deadline_after(clock, budget_us));
}

Status Chooser::run() noexcept {
  if (impl_ == nullptr) return Error(ErrorCode::out_of_memory);
  impl_->step(0);
  return impl_->status;
}

Status Chooser::status() const noexcept {
  return impl_ == nullptr ? Error(ErrorCode::out_of_memory) : impl_->status;
}
uint32_t Chooser::best() const noexcept { return impl_ == nullptr ? 0 : impl_->best; }
Span<const Choice> Chooser::choices() const noexcept {
  return impl_ == nullptr ? Span<const Choice>() : impl_->choices.span();
}

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_CHOOSE_INL_HPP_
