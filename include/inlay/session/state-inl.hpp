#ifndef INLAY_SESSION_STATE_INL_HPP_
#define INLAY_SESSION_STATE_INL_HPP_

#include <cstring>

#include "inlay/model/packing.hpp"
#include "inlay/session/session-inl.hpp"
#include "inlay/session/state.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// A saved state: words of 64 bits, in this machine's byte order. After the head come the parts that
// StateParts lists, each filled up with zeros to whole words, and a checksum of all before it. A
// field's meaning never changes without kVersion.
struct StateHead {
  enum Field : size_t {
    magic,
    version,
    bytes,  // of all, the checksum included
    model,  // checksum of what must be the same
    ropes,  // checksum of RoPE's angles: they may depend on the context's size
    kv_type,
    tokens,  // how many
    cached,  // of them, those whose K and V, and the recurrent state after them, are here
    skip,    // but these
    read,    // SessionImpl::n_read
    generated,
    ended,
    stop_reason,
    held,                                    // bytes of output that is held back
    row,                                     // 1: the row of x of the last cached token is here
    sampler,                                 // [SamplerState::kWords]
    state = sampler + SamplerState::kWords,  // 1: the recurrent state is that after `cached`; 0:
                                             // only snapshots are here
    left,                                    // of RecurrentState
    end,
    snapshots,  // [RecurrentState::kMaxSnapshots] positions, the last one first; 0: none
    kWords = snapshots + RecurrentState::kMaxSnapshots
  };
  static constexpr uint64_t kMagic = 0x7661732d79616c6e;  // "nlay-sav"
  static constexpr uint64_t kVersion = 1;
};

// A checksum that goes on where it stopped; of whole words. Each step is a bijection, so one
// changed word always changes the result.
INLAY_COLD inline uint64_t add_to_check(uint64_t check, const uint8_t* data,
                                        size_t bytes) noexcept {
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word;
    std::memcpy(&word, data + i, sizeof word);
    const uint64_t sum = check + word * 0xd6e8feb86659fd93;
    check = (sum << 31 | sum >> 33) * 0x9e3779b97f4a7c15;
  }
  return check;
}
inline constexpr uint64_t kCheckStart = 0x9fb21c651e98df25;

// What makes two models the same one: for a cache of one to serve the other.
INLAY_COLD inline uint64_t model_check(const ModelImpl& m) noexcept {
  constexpr size_t kSamples = 32, kSampleBytes = 256;
  uint64_t check = kCheckStart;
  const auto add = [&check](const void* data, size_t bytes) {
    const uint64_t part = checksum(static_cast<const uint8_t*>(data), bytes);
    check = add_to_check(check, static_cast<const uint8_t*>(static_cast<const void*>(&part)), 8);
  };
  const Hyper& h = m.hparams;
  add(m.architecture->name.data(), m.architecture->name.size());
  add(h.layers.data(), h.layers.size() * sizeof(LayerHyper));
  for (const float value : {h.norm_epsilon, h.attention_scale, h.attention_softcap, h.alibi_bias,
                            h.temperature_scale, h.embedding_scale, h.residual_scale}) {
    add(&value, sizeof value);
  }
  const Span<const TensorView> tensors = m.file.tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& tensor = tensors[i];
    add(tensor.name.data(), tensor.name.size());
    add(&tensor.type, sizeof tensor.type);
    add(tensor.dims, sizeof tensor.dims);
    const bool sampled = i * kSamples / tensors.size() != (i + 1) * kSamples / tensors.size();
    if (!sampled && tensors.size() > kSamples) continue;
    const uint64_t n = tensor.bytes < kSampleBytes ? tensor.bytes : kSampleBytes;
    add(tensor.data + (tensor.bytes - n) / 2, static_cast<size_t>(n));
  }
  return check;
}

INLAY_COLD inline uint64_t rope_check(const SessionImpl& s) noexcept {
  uint64_t check = kCheckStart;
  for (uint32_t i = 0; i < s.impl->hparams.n_ropes; ++i) {
    const void* frequencies = s.state.rope_frequencies[i];
    check += checksum(static_cast<const uint8_t*>(frequencies),
                      s.impl->hparams.rope[i].n_rot / 2 * sizeof(float));
  }
  return check;
}

// Positions of the cache that a state has: not those of guesses, nor of the token before them,
// whose logits are among the guesses' own.
inline uint32_t without_draft(const SessionImpl& s, uint32_t positions) noexcept {
  return s.n_rows > 1 && positions >= s.n_tokens ? s.n_tokens - 1 : positions;
}

// What follows the head, in order, and where in a session it comes from or goes to.
class StateParts {
 public:
  // Writes the head of the state that `s` has now, but for its size. A batch that is under way has
  // spoiled the recurrent state; logits that are under way need the last row.
  INLAY_COLD static void write_head(SessionImpl& s, uint32_t skip, uint64_t* head) noexcept {
    const RecurrentState& r = s.recurrent;
    const uint32_t cached = r.used() ? r.last(s.n_cached) : without_draft(s, s.n_cached);
    const bool is_there = !r.used() || r.at_ == cached;
    for (size_t i = 0; i < StateHead::kWords; ++i) head[i] = 0;
    head[StateHead::magic] = StateHead::kMagic;
    head[StateHead::version] = StateHead::kVersion;
    head[StateHead::model] = model_check(*s.impl);
    head[StateHead::ropes] = rope_check(s);
    head[StateHead::kv_type] = static_cast<uint64_t>(s.kv_format);
    head[StateHead::tokens] = s.n_tokens;
    head[StateHead::cached] = cached;
    head[StateHead::skip] = skip < cached ? skip : cached;
    head[StateHead::read] = without_draft(s, s.n_read);
    head[StateHead::generated] = s.n_generated;
    head[StateHead::ended] = s.ended;
    head[StateHead::stop_reason] = static_cast<uint64_t>(s.stop_reason);
    head[StateHead::held] = s.output.held().size();
    // A snapshot of the recurrent state needs it, whenever one is taken.
    head[StateHead::row] = is_there && (r.used() ? cached > 0 : !s.ended && cached == s.n_tokens);
    s.sampler.save(head + StateHead::sampler);
    head[StateHead::state] = r.used() && is_there;
    head[StateHead::left] = r.left_;
    head[StateHead::end] = r.end_;
    uint64_t before = ~uint64_t{0};
    for (size_t i = 0; i < r.n_snapshots_; ++i) {
      uint64_t next = 0;
      for (uint32_t slot = 0; slot < r.n_snapshots_; ++slot) {
        const uint32_t position = r.position_[slot];
        if (position < before && position > next) next = position;
      }
      head[StateHead::snapshots + i] = before = next;
    }
  }

  // Positions that a session with room for so many snapshots need not read again. Where only
  // snapshots have the recurrent state, and there is no room for one, it begins anew.
  INLAY_COLD static uint32_t kept(const RecurrentState& r, uint32_t snapshots,
                                  const uint64_t* head) noexcept {
    StateHead::Field field = StateHead::cached;
    if (r.used() && head[StateHead::state] == 0) {
      if (snapshots == 0) return 0;
      field = StateHead::snapshots;
    }
    return static_cast<uint32_t>(head[field]);
  }
  static uint32_t kept(const SessionImpl& s, const uint64_t* head) noexcept {
    return kept(s.recurrent, s.recurrent.n_snapshots_, head);
  }

  StateParts(SessionImpl* s, const uint64_t* head) noexcept : s_(*s), head_(head) {}

  // Either bytes in memory, or positions of a layer's cache.
  struct Part {
    void* memory = nullptr;  // null: this session has no room for it
    uint64_t bytes = 0;
    const KvView* kv = nullptr;
    uint64_t padded() const noexcept { return (bytes + 7) / 8 * 8; }
  };
  uint32_t count() const noexcept {
    return kFirstLayer + s_.impl->hparams.n_layers + 1 + RecurrentState::kMaxSnapshots;
  }
  INLAY_COLD Part operator[](uint32_t i) const noexcept {
    const Hyper& h = s_.impl->hparams;
    const RecurrentState& r = s_.recurrent;
    const uint64_t floats = r.floats_ * sizeof(float);
    if (i == 0) return {s_.tokens, head_[StateHead::tokens] * sizeof(Token)};
    if (i == 1) return {s_.output.held().data(), head_[StateHead::held]};
    if (i == 2) {
      const bool under_way = s_.stage != SessionImpl::Stage::idle;
      return {under_way ? s_.state.row(Buffer::x, next_row()) : s_.row,
              head_[StateHead::row] * h.n_embd * sizeof(float)};
    }
    i -= kFirstLayer;
    if (i < h.n_layers) {
      const KvView& kv = s_.state.kv[i];
      const uint64_t n = head_[StateHead::cached] - head_[StateHead::skip];
      return {nullptr, h.layers[i].kv_layer == i ? n * kv_position_bytes(kv) : 0, &kv};
    }
    if (i == h.n_layers) return {r.state_, head_[StateHead::state] * floats};
    const uint64_t position = head_[StateHead::snapshots + i - h.n_layers - 1];
    if (position == 0) return {};
    uint32_t slot = 0;
    while (slot < r.n_snapshots_ && r.position_[slot] != position) ++slot;
    return {slot < r.n_snapshots_ ? r.snapshot(slot) : nullptr,
            floats + r.row_floats_ * sizeof(float)};
  }
  // Of the whole state.
  uint64_t bytes() const noexcept {
    uint64_t sum = (StateHead::kWords + 1) * sizeof(uint64_t);
    for (uint32_t i = 0; i < count(); ++i) sum += (*this)[i].padded();
    return sum;
  }

 private:
  static constexpr uint32_t kFirstLayer = 3;

  // Of the batch, that whose logits are drawn from next; of a recurrent model always the last.
  uint32_t next_row() const noexcept {
    const bool logits = !s_.recurrent.used() && s_.stage == SessionImpl::Stage::head;
    return logits ? s_.state.head_first + s_.next_row : s_.state.n == 0 ? 0 : s_.state.n - 1;
  }

  SessionImpl& s_;
  const uint64_t* head_;
};

INLAY_COLD inline Error not_a_state(std::string_view what) noexcept {
  return Error(ErrorCode::corrupt, "the saved state: ") << what;
}

// Whether the text of a state has room in `s`, with the same angles.
INLAY_COLD inline Status check_place(const SessionImpl& s, const uint64_t* head,
                                     std::string_view what) noexcept {
  const uint32_t stretched = s.impl->hparams.original_context;
  if (head[StateHead::ropes] != rope_check(s)) {
    return Error(ErrorCode::bad_argument, "the context of ")
           << what << " is " << (s.context > stretched ? "at most " : "more than ") << stretched
           << ": its positions are rotated by other angles";
  }
  const bool goes_on = head[StateHead::ended] == 0;
  if (head[StateHead::tokens] > s.context - goes_on) {
    return Error(ErrorCode::context_full, what)
           << " has " << head[StateHead::tokens] << " tokens" << (goes_on ? " and goes on" : "")
           << ", the context holds " << s.context;
  }
  return {};
}

// Whether all of a state is sound and fits into `s`: then nothing can fail.
INLAY_COLD inline Status check_state(SessionImpl& s, Span<const uint8_t> state,
                                     uint64_t* head) noexcept {
  constexpr size_t kHeadBytes = StateHead::kWords * sizeof(uint64_t);
  const auto at_most = [head](StateHead::Field field, uint64_t most) {
    return head[field] <= most;
  };
  if (state.size() < 2 * sizeof(uint64_t)) return not_a_state("expected a head");
  for (size_t i = 0; i < StateHead::kWords; ++i) head[i] = 0;
  std::memcpy(head, state.data(), state.size() < kHeadBytes ? state.size() : kHeadBytes);
  if (head[StateHead::magic] != StateHead::kMagic) return not_a_state("expected its first bytes");
  if (head[StateHead::version] != StateHead::kVersion) {
    return Error(ErrorCode::unsupported, "the saved state has version ")
           << head[StateHead::version] << ", expected " << StateHead::kVersion;
  }
  if (state.size() < kHeadBytes || state.size() < head[StateHead::bytes]) {
    return Error(ErrorCode::truncated, "the saved state has ")
           << uint64_t{state.size()} << " bytes, expected " << head[StateHead::bytes];
  }
  uint64_t check;
  const size_t checked = state.size() / 8 * 8 - sizeof check;
  std::memcpy(&check, state.data() + checked, sizeof check);
  if (state.size() != head[StateHead::bytes] || state.size() % 8 != 0 ||
      add_to_check(kCheckStart, state.data(), checked) != check) {
    return not_a_state("its checksum is wrong");
  }
  if (head[StateHead::model] != model_check(*s.impl)) {
    return Error(ErrorCode::bad_argument, "the saved state is that of another model");
  }
  if (head[StateHead::kv_type] != static_cast<uint64_t>(s.kv_format)) {
    return Error(ErrorCode::bad_argument, "the saved state has another SessionOptions::kv_cache");
  }
  INLAY_TRY(check_place(s, head, "the saved state"));
  const bool goes_on = head[StateHead::ended] == 0;
  bool sound = at_most(StateHead::read, head[StateHead::tokens]) &&
               at_most(StateHead::cached, head[StateHead::read]) &&
               at_most(StateHead::skip, head[StateHead::cached]) &&
               at_most(StateHead::generated, UINT32_MAX) && at_most(StateHead::ended, 1) &&
               at_most(StateHead::stop_reason, static_cast<uint64_t>(StopReason::cancelled)) &&
               at_most(StateHead::held, Output::kMaxHeldBytes) && at_most(StateHead::row, 1) &&
               at_most(StateHead::state, s.recurrent.used()) &&
               at_most(StateHead::left, UINT32_MAX) && at_most(StateHead::end, UINT32_MAX);
  const uint64_t* snapshots = head + StateHead::snapshots;
  uint64_t before = head[StateHead::cached] + 1;
  for (size_t i = 0; i < RecurrentState::kMaxSnapshots; ++i) {
    sound = sound && (snapshots[i] < before || snapshots[i] == 0);
    before = snapshots[i];
  }
  // Logits are made of a row: the saved one, or one that a token or a snapshot gives.
  sound = sound && (!goes_on || head[StateHead::row] == 1 ||
                    head[StateHead::cached] < head[StateHead::tokens] ||
                    (head[StateHead::state] == 0 && s.recurrent.used()));
  sound = sound && (!goes_on || head[StateHead::tokens] > 0);
  if (!sound || StateParts(&s, head).bytes() != head[StateHead::bytes]) {
    return not_a_state("its head contradicts itself");
  }
  const uint8_t* tokens = state.data() + kHeadBytes;
  uint64_t same = 0;
  for (uint64_t i = 0; i < head[StateHead::tokens]; ++i) {
    Token token;
    std::memcpy(&token, tokens + i * sizeof token, sizeof token);
    INLAY_TRY(check_tokens(s, {&token, 1}));
    if (same == i && i < s.n_cached && s.tokens[i] == token) ++same;
  }
  if (same < head[StateHead::skip]) {
    return Error(ErrorCode::bad_argument, "the saved state goes on after ")
           << head[StateHead::skip] << " tokens that the session must have read: it has " << same
           << " of them";
  }
  return {};
}

// Makes `s` what a head says, but for what the parts hold and n_cached.
INLAY_COLD inline void take_head(SessionImpl* s, const uint64_t* head) noexcept {
  const auto field = [head](StateHead::Field f) { return static_cast<uint32_t>(head[f]); };
  s->status = end_prompt(s, Status());
  go_back(s, 0);
  s->n_tokens = s->constrained_from = field(StateHead::tokens);
  s->n_read = field(StateHead::read);
  s->n_generated = field(StateHead::generated);
  s->n_reused = 0;
  s->ended = head[StateHead::ended] != 0;
  s->stop_reason = static_cast<StopReason>(head[StateHead::stop_reason]);
  s->sampler.restore(head + StateHead::sampler);
  s->output.hold(field(StateHead::held));
  s->workspace->forget_rows_of(s);  // the next step begins with the state's row
  s->recurrent.restore(head[StateHead::state] != 0 ? field(StateHead::cached) : ~uint32_t{0},
                       head + StateHead::snapshots, field(StateHead::left), field(StateHead::end));
}

// ---- forks: a state that goes from one session to another as it is ----

// All full pages are shared, but those that the fork must write to.
INLAY_COLD inline uint32_t shared_pages(const SessionImpl& from, const SessionOptions& options,
                                        const uint64_t* head) noexcept {
  return StateParts::kept(from.recurrent, options.snapshots, head) / kKvPage;
}

INLAY_COLD inline Status check_fork(const SessionImpl& from, const SessionOptions& options,
                                    const uint64_t* head, SessionImpl* s) noexcept {
  INLAY_TRY(check_options(*from.impl, options, s));
  if (s->kv_format != from.kv_format) {
    return Error(ErrorCode::bad_argument, "option kv_cache: expected that of the forked session");
  }
  set_model(*s->impl, s->impl->needs, s->context, &s->state);
  return check_place(*s, head, "the forked session");
}

INLAY_COLD inline void take_fork(SessionImpl& from, uint64_t* head, SessionImpl* s) noexcept {
  s->sampler.save(head + StateHead::sampler);
  take_head(s, head);
  const uint32_t cached = static_cast<uint32_t>(head[StateHead::cached]);
  s->cache.share(from.cache, cached);
  const StateParts source(&from, head), target(s, head);
  for (uint32_t i = 0; i < source.count(); ++i) {
    const StateParts::Part part = source[i];
    void* const to = target[i].memory;
    if (part.memory != nullptr && to != nullptr && part.bytes > 0) {
      std::memcpy(to, part.memory, saturated(part.bytes));
    }
  }
  s->n_cached = StateParts::kept(*s, head);
}

}  // namespace detail

StateWriter::StateWriter(const Session& session, uint32_t skip) noexcept
    : session_(session.impl_), check_(detail::kCheckStart) {
  detail::settle(*session_);
  static_assert(detail::StateHead::kWords <= kWords);
  detail::StateParts::write_head(*session_, skip, head_);
  bytes_ = detail::StateParts(session_, head_).bytes();
  head_[detail::StateHead::bytes] = bytes_;
}

uint64_t StateWriter::bytes() const noexcept { return bytes_; }

size_t StateWriter::least_room() const noexcept {
  using detail::StateHead;
  const bool positions = head_[StateHead::cached] > head_[StateHead::skip];
  size_t least = sizeof(uint64_t);
  for (uint32_t i = 0; positions && i < session_->impl->hparams.n_layers; ++i) {
    const size_t bytes = detail::kv_position_bytes(session_->state.kv[i]);
    least = bytes > least ? bytes : least;
  }
  return least;
}

Result<size_t> StateWriter::write(Span<uint8_t> room) noexcept {
  using detail::StateHead;
  const detail::StateParts parts(session_, head_);
  if (room.size() < least_room()) {
    return Error(ErrorCode::bad_argument, "room for the state: expected at least ")
           << uint64_t{least_room()} << " bytes";
  }
  if (session_->n_tokens != head_[StateHead::tokens] ||
      detail::without_draft(*session_, session_->n_read) != head_[StateHead::read] ||
      session_->n_generated != head_[StateHead::generated]) {
    return Error(ErrorCode::bad_argument, "the session has gone on while it was saved");
  }
  size_t n = 0;
  const uint32_t last = parts.count() + 1;  // the checksum; 0 is the head
  while (part_ <= last && room.size() - n >= sizeof(uint64_t)) {
    detail::StateParts::Part part;
    if (part_ == 0) {
      part = {head_, StateHead::kWords * sizeof(uint64_t)};
    } else if (part_ == last) {
      part = {&check_, sizeof check_};
    } else {
      part = parts[part_ - 1];
    }
    uint8_t* to = room.data() + n;
    size_t now = 0;
    if (part.kv != nullptr && part.bytes > 0) {
      const size_t step = detail::kv_position_bytes(*part.kv);
      for (; at_ + now < part.bytes && room.size() - n - now >= step; now += step) {
        const uint64_t position = head_[StateHead::skip] + (at_ + now) / step;
        detail::read_kv(*part.kv, static_cast<uint32_t>(position), to + now);
      }
      if (now == 0) break;
    } else if (part.bytes > 0) {
      const size_t left = detail::saturated(part.padded() - at_), fits = (room.size() - n) / 8 * 8;
      now = left < fits ? left : fits;
      const size_t real = part.bytes - at_ < now ? detail::saturated(part.bytes - at_) : now;
      std::memcpy(to, static_cast<const uint8_t*>(part.memory) + at_, real);
      std::memset(to + real, 0, now - real);
    }
    if (part_ != last) check_ = detail::add_to_check(check_, to, now);
    n += now;
    at_ += now;
    if (at_ < part.padded()) continue;
    ++part_;
    at_ = 0;
  }
  return n;
}

uint64_t Session::state_bytes(uint32_t skip) const noexcept {
  return StateWriter(*this, skip).bytes();
}

Status Session::save(Span<uint8_t> out, uint32_t skip) const noexcept {
  StateWriter writer(*this, skip);
  if (out.size() != writer.bytes()) {
    return Error(ErrorCode::bad_argument, "room for the state: expected ")
           << writer.bytes() << " bytes";
  }
  const Result<size_t> written = writer.write(out);
  return written ? Status() : Status(written.error());
}

Status Session::restore(Span<const uint8_t> state) noexcept {
  using detail::StateHead;
  detail::SessionImpl& s = *impl_;
  detail::settle(s);
  uint64_t head[StateHead::kWords];
  INLAY_TRY(detail::check_state(s, state, head));
  const uint32_t skip = static_cast<uint32_t>(head[StateHead::skip]),
                 cached = static_cast<uint32_t>(head[StateHead::cached]);
  const uint32_t kept = detail::StateParts::kept(s, head);
  INLAY_TRY(detail::own_pages(&s, skip < kept ? skip : kept, s.n_cached));
  detail::take_head(&s, head);
  const detail::StateParts parts(&s, head);
  const uint8_t* from = state.data() + StateHead::kWords * sizeof(uint64_t);
  for (uint32_t i = 0; i < parts.count(); ++i) {
    const detail::StateParts::Part part = parts[i];
    if (part.kv != nullptr && part.bytes > 0) {
      const uint8_t* position = from;
      for (uint32_t p = skip; p < cached; ++p) {
        detail::write_kv(*part.kv, p, position);
        position += detail::kv_position_bytes(*part.kv);
      }
    } else if (part.memory != nullptr && part.bytes > 0) {
      std::memcpy(part.memory, from, detail::saturated(part.bytes));
    }
    from += part.padded();
  }
  s.n_cached = kept;
  return {};
}

Result<Session> Session::fork(const SessionOptions& options) const noexcept {
  const detail::ModelImpl& m = *impl_->impl;
  detail::SessionImpl* s = detail::create<detail::SessionImpl>(m.host.allocator, impl_->model);
  if (s == nullptr) return m.meter->explain(Error(ErrorCode::out_of_memory));
  uint64_t head[detail::StateHead::kWords];
  detail::settle(*impl_);
  detail::StateParts::write_head(*impl_, 0, head);
  Status status = detail::check_fork(*impl_, options, head, s);
  if (status)
    status = detail::open_session(s, options, detail::shared_pages(*impl_, options, head));
  if (!status) {
    detail::close(s);
    return m.meter->explain(status.error());
  }
  detail::take_fork(*impl_, head, s);
  return Session(s);
}

Result<MemoryPlan> Session::plan_fork(const SessionOptions& options) const noexcept {
  detail::SessionImpl s(impl_->model);
  uint64_t head[detail::StateHead::kWords];
  detail::StateParts::write_head(*impl_, 0, head);
  INLAY_TRY(detail::check_fork(*impl_, options, head, &s));
  return detail::plan_session(options, detail::shared_pages(*impl_, options, head), &s);
}

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_STATE_INL_HPP_
