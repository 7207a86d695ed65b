#ifndef INLAY_GRAMMAR_MACHINE_INL_HPP_
#define INLAY_GRAMMAR_MACHINE_INL_HPP_

#include <algorithm>

#include "inlay/grammar/machine.hpp"
#include "inlay/text/hash.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

Status GrammarMachine::create(const Automaton& automaton, size_t bytes) noexcept {
  automaton_ = &automaton;
  // A state takes a row, four items, a frame with two entries and its share of the hash tables.
  const size_t each = 4 * size_t{automaton.n_classes} + sizeof(StateData) + 4 * sizeof(Item) +
                      sizeof(FrameData) + 2 * sizeof(Entry) + 16;
  const size_t n = std::max(bytes / each, size_t{512});
  const size_t n_items = std::max(4 * n, 2 * kMaxItems);
  const bool ok = states_.reserve(n) && rows_.reserve(n * automaton.n_classes) &&
                  items_.reserve(n_items) && frames_.reserve(n) && entries_.reserve(n_items / 2) &&
                  state_slots_.resize(hash_slots(n)) && frame_slots_.resize(hash_slots(n)) &&
                  seen_.resize(4 * kMaxItems) && made_.reserve(kMaxItems) &&
                  pending_.reserve(2 * kMaxItems) && entry_list_.reserve(2 * kMaxItems) &&
                  marks_.reserve(2 * n);
  if (!ok) return Error(ErrorCode::out_of_memory);
  (void)collect({}, {});
  return {};
}

Status GrammarMachine::copy_from(const GrammarMachine& other) noexcept {
  const auto copy = [](auto* to, const auto& from) {
    return to->reserve(from.capacity()) && to->append(from.data(), from.size());
  };
  automaton_ = other.automaton_;
  const bool ok =
      copy(&entries_, other.entries_) && copy(&frames_, other.frames_) &&
      copy(&items_, other.items_) && copy(&states_, other.states_) && copy(&rows_, other.rows_) &&
      copy(&frame_slots_, other.frame_slots_) && copy(&state_slots_, other.state_slots_) &&
      seen_.resize(other.seen_.size()) && made_.reserve(other.made_.capacity()) &&
      pending_.reserve(other.pending_.capacity()) &&
      entry_list_.reserve(other.entry_list_.capacity()) && marks_.reserve(other.marks_.capacity());
  return ok ? Status() : Error(ErrorCode::out_of_memory);
}

uint32_t GrammarMachine::hash(const void* data, size_t bytes) noexcept {
  const auto* words = static_cast<const unsigned char*>(data);
  uint64_t h = bytes;
  for (size_t i = 0; i + 4 <= bytes; i += 4) {
    uint32_t word;
    std::memcpy(&word, words + i, 4);
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
  }
  return static_cast<uint32_t>(h >> 16);
}

GrammarMachine::Frame GrammarMachine::intern_frame(Span<const Entry> entries) noexcept {
  const size_t mask = frame_slots_.size() - 1;
  size_t slot = hash(entries.data(), entries.size() * sizeof(Entry)) & mask;
  for (; frame_slots_[slot] != 0; slot = (slot + 1) & mask) {
    const FrameData& frame = frames_[frame_slots_[slot] - size_t{1}];
    if (frame.count == entries.size() &&
        std::equal(entries.begin(), entries.end(), entries_.data() + frame.first)) {
      return frame_slots_[slot] - 1;
    }
  }
  if (frames_.size() == frames_.capacity() ||
      entries.size() > entries_.capacity() - entries_.size()) {
    (void)fail(Failure::memory);
    return kFull;
  }
  const auto first = static_cast<uint32_t>(entries_.size());
  (void)entries_.append(entries.data(), entries.size());
  (void)frames_.push_back({first, static_cast<uint32_t>(entries.size()), kUnfilled});
  frame_slots_[slot] = static_cast<uint32_t>(frames_.size());
  return frame_slots_[slot] - 1;
}

GrammarMachine::State GrammarMachine::intern_state(Span<const Item> items, uint8_t flags) noexcept {
  const size_t mask = state_slots_.size() - 1;
  size_t slot = (hash(items.data(), items.size() * sizeof(Item)) + flags) & mask;
  for (; state_slots_[slot] != 0; slot = (slot + 1) & mask) {
    const StateData& state = states_[state_slots_[slot] - size_t{1}];
    if (state.count == items.size() && state.flags == flags &&
        (items.empty() || std::memcmp(items.data(), items_.data() + state.first,
                                      items.size() * sizeof(Item)) == 0)) {
      return state_slots_[slot] - 1;
    }
  }
  if (states_.size() == states_.capacity() || items.size() > items_.capacity() - items_.size()) {
    (void)fail(Failure::memory);
    return kFull;
  }
  const auto first = static_cast<uint32_t>(items_.size());
  (void)items_.append(items.data(), items.size());
  (void)states_.push_back({first, static_cast<uint32_t>(items.size()), flags});
  for (uint32_t i = 0; i < automaton_->n_classes; ++i) (void)rows_.push_back(kUnfilled);
  state_slots_[slot] = static_cast<uint32_t>(states_.size());
  return state_slots_[slot] - 1;
}

// ---- making a state: begin, add ways, finish
// -----------------------------------------------------

void GrammarMachine::begin() noexcept {
  if (++stamp_ == 0) {  // after 2^32 states, old stamps would look new
    for (Seen& seen : seen_) seen = {};
    stamp_ = 1;
  }
  flags_ = 0;
  made_.clear();
  pending_.clear();
}

bool GrammarMachine::first_time(uint32_t node, uint32_t frame) noexcept {
  const uint64_t key = (uint64_t{node} << 32 | frame) * 0x9E3779B97F4A7C15u;
  for (size_t i = static_cast<size_t>(key >> 40);; ++i) {
    Seen& seen = seen_[i & (seen_.size() - 1)];
    if (seen.stamp != stamp_) {
      seen = {stamp_, node, frame};
      return true;
    }
    if (seen.node == node && seen.frame == frame) return false;
  }
}

bool GrammarMachine::call(uint32_t rule, const Entry& entry) noexcept {
  if (pending_.size() == pending_.capacity()) return fail(Failure::ambiguous);
  (void)pending_.push_back({automaton_->rules[rule].rank, rule, entry});
  return true;
}

bool GrammarMachine::add_calls(uint32_t node, Frame frame) noexcept {
  const Automaton& a = *automaton_;
  for (uint32_t i = a.nodes[node].call; i < a.nodes[node + size_t{1}].call; ++i) {
    const Automaton::Call& c = a.calls[i];
    if ((c.next & Automaton::kLoop) == 0 && a.nodes[c.next].only_end) {
      // The last thing in its rule: goes on where that does.
      const FrameData& data = frames_[frame];
      for (uint32_t k = 0; k < data.count; ++k) {
        if (!spend(1) || !call(c.rule, entries_[data.first + k])) return false;
      }
    } else if (!spend(1) || !call(c.rule, {c.next, 0, frame})) {
      return false;
    }
  }
  return true;
}

bool GrammarMachine::add(uint32_t node, Frame frame) noexcept {
  if (!first_time(node, frame)) return true;
  if (made_.size() == kMaxItems) return fail(Failure::ambiguous);
  (void)made_.push_back({node, frame});
  return spend(1);
}

// The ways that go on behind the calls of a frame.
bool GrammarMachine::leave_all(Frame frame) noexcept {
  if (!first_time(UINT32_MAX, frame)) return true;
  const FrameData data = frames_[frame];
  for (uint32_t i = data.first; i < data.first + data.count; ++i) {
    const Entry entry = entries_[i];
    if (!spend(1)) return false;
    if (entry.next == kAccept) {
      flags_ |= kAccepts;
    } else if (entry.next == kEscape) {
      flags_ |= kLeaves;
    } else if ((entry.next & Automaton::kLoop) == 0) {
      if (!add(entry.next, entry.frame)) return false;
    } else {
      const Automaton::Loop& loop = automaton_->loops[entry.next & ~Automaton::kLoop];
      // Without an upper bound, only whether the lower one is reached counts.
      const uint32_t most = loop.most == kUnlimited ? loop.least : loop.most;
      const uint32_t count = std::min(entry.count + 1, most);
      if (count >= loop.least && !add(loop.exit, entry.frame)) return false;
      if ((count < most || loop.most == kUnlimited) &&
          !call(loop.body, {entry.next, count, entry.frame})) {
        return false;
      }
    }
  }
  return true;
}

GrammarMachine::State GrammarMachine::finish() noexcept {
  const Automaton& a = *automaton_;
  // Ends first: only they can add ways in frames that are there already.
  for (size_t i = 0; i < made_.size(); ++i) {
    const Item item = made_[i];
    if (a.nodes[item.node].end && !leave_all(item.frame)) return kFull;
  }
  for (size_t i = 0; i < made_.size(); ++i) {
    if (!add_calls(made_[i].node, made_[i].frame)) return kFull;
  }
  // Then calls, by rank: when a rule is entered, all that call it here are known.
  const auto later = [](const Pending& x, const Pending& y) {
    return x.rank != y.rank ? x.rank > y.rank : y.entry < x.entry;
  };
  std::make_heap(pending_.begin(), pending_.end(), later);
  while (!pending_.empty()) {
    const uint32_t rule = pending_[0].rule;
    entry_list_.clear();
    while (!pending_.empty() && pending_[0].rule == rule) {
      const Entry entry = pending_[0].entry;
      std::pop_heap(pending_.begin(), pending_.end(), later);
      pending_.pop_back();
      if (entry_list_.empty() || !(entry_list_.back() == entry)) (void)entry_list_.push_back(entry);
    }
    const Frame frame = intern_frame(entry_list_.span());
    if (frame == kFull) return kFull;
    const uint32_t start = a.rules[rule].start;
    const size_t before = pending_.size();
    if (!add(start, frame) || !add_calls(start, frame)) return kFull;
    for (size_t i = before + 1; i <= pending_.size(); ++i) {
      std::push_heap(pending_.begin(), pending_.begin() + i, later);
    }
  }
  // What only calls or ends is done; the rest reads.
  size_t kept = 0;
  for (const Item& item : made_) {
    const Automaton::Node &node = a.nodes[item.node], &next = a.nodes[item.node + size_t{1}];
    if (node.edge != next.edge || node.token_edge != next.token_edge) made_[kept++] = item;
  }
  made_.truncate(kept);
  std::sort(made_.begin(), made_.end(), [](const Item& x, const Item& y) {
    return x.node != y.node ? x.node < y.node : x.frame < y.frame;
  });
  return intern_state(made_.span(), flags_);
}

GrammarMachine::State GrammarMachine::start() noexcept {
  begin();
  if (!call(automaton_->root, {kAccept, 0, 0})) return kFull;
  if (automaton_->root_empty) flags_ |= kAccepts;
  return finish();
}

GrammarMachine::State GrammarMachine::step_slowly(State state, uint8_t cls) noexcept {
  const Automaton& a = *automaton_;
  begin();
  for (const Item& item : items(state)) {
    const uint32_t last = a.nodes[item.node + size_t{1}].edge;
    if (!spend(1 + last - a.nodes[item.node].edge)) return kFull;
    for (uint32_t i = a.nodes[item.node].edge; i < last; ++i) {
      const Automaton::Edge& edge = a.edges[i];
      if (cls >= edge.first && cls <= edge.last && !add(edge.to, item.frame)) return kFull;
    }
  }
  const State next = finish();
  if (next != kFull) rows_[state * size_t{a.n_classes} + cls] = next;
  return next;
}

GrammarMachine::State GrammarMachine::step_token(State state, Token token, bool ends) noexcept {
  const Automaton& a = *automaton_;
  begin();
  for (const Item& item : items(state)) {
    for (uint32_t i = a.nodes[item.node].token_edge; i < a.nodes[item.node + size_t{1}].token_edge;
         ++i) {
      const Automaton::TokenEdge& edge = a.token_edges[i];
      if (a.token_in(edge.set, token) && !(ends && a.token_sets[edge.set].negated) &&
          !add(edge.to, item.frame))
        return kFull;
    }
  }
  return finish();
}

GrammarMachine::State GrammarMachine::step_node(uint32_t node, uint8_t byte) noexcept {
  const Automaton& a = *automaton_;
  const uint8_t cls = a.class_of[byte];
  begin();
  for (uint32_t i = a.nodes[node].edge; i < a.nodes[node + size_t{1}].edge; ++i) {
    const Automaton::Edge& edge = a.edges[i];
    if (cls >= edge.first && cls <= edge.last && !add(edge.to, kUnknown)) return kFull;
  }
  return finish();
}

GrammarMachine::State GrammarMachine::leave(Frame frame) noexcept {
  if (frames_[frame].after != kUnfilled) return frames_[frame].after;
  begin();
  if (!leave_all(frame)) return kFull;
  const State after = finish();
  if (after != kFull) frames_[frame].after = after;
  return after;
}

GrammarMachine::State GrammarMachine::join(State a, State b) noexcept {
  if (a == kDead || b == kDead) return a == kDead ? b : a;
  made_.clear();
  const auto x = items(a), y = items(b);
  if (x.size() + y.size() > kMaxItems) {
    (void)fail(Failure::ambiguous);
    return kFull;
  }
  (void)made_.append(x.data(), x.size());
  (void)made_.append(y.data(), y.size());
  std::sort(made_.begin(), made_.end(), [](const Item& p, const Item& q) {
    return p.node != q.node ? p.node < q.node : p.frame < q.frame;
  });
  const Item* end = std::unique(made_.begin(), made_.end(), [](const Item& p, const Item& q) {
    return p.node == q.node && p.frame == q.frame;
  });
  made_.truncate(static_cast<size_t>(end - made_.begin()));
  return intern_state(made_.span(), static_cast<uint8_t>(states_[a].flags | states_[b].flags));
}

// Recursion: at most as deep as there are entries that a key visits.
void GrammarMachine::add_frame(Frame frame, Key* key) const noexcept {
  const FrameData& data = frames_[frame];
  key->add(data.count);
  for (uint32_t i = data.first; i < data.first + data.count; ++i) {
    if (key->left == 0) return;
    --key->left;
    const Entry& entry = entries_[i];
    if (entry.next == kAccept || entry.next == kEscape) {
      key->add(entry.next);
      continue;
    }
    if ((entry.next & Automaton::kLoop) == 0) {
      add_node(entry.next, key);
    } else {
      key->add(entry.next);
      // A repetition takes a byte at least: a bound that is further away is not met.
      const Automaton::Loop& loop = automaton_->loops[entry.next & ~Automaton::kLoop];
      const uint32_t far_off = key->bytes + 1;
      const uint32_t to_least = entry.count < loop.least ? loop.least - entry.count : 0;
      const uint32_t to_most = loop.most == kUnlimited ? far_off : loop.most - entry.count;
      key->exact =
          key->exact && to_least < far_off && (to_most < far_off || loop.most == kUnlimited);
      key->add(uint64_t{std::min(to_least, far_off)} << 32 | std::min(to_most, far_off));
    }
    add_frame(entry.frame, key);
  }
}

uint64_t GrammarMachine::key(State state, uint32_t bytes, bool* exact) const noexcept {
  constexpr uint32_t kMostEntries = 256;
  Key key{0, bytes, kMostEntries, true};
  for (const Item& item : items(state)) {
    add_node(item.node, &key);
    add_frame(item.frame, &key);
  }
  *exact = key.exact;
  return key.left > 0 ? key.hash | 1 : 0;
}

bool GrammarMachine::collect(Span<State> first, Span<State> second) noexcept {
  if (!spend(states_.size() + frames_.size())) return false;
  // Marks: what is needed; then the new numbers. A frame comes after those that it refers to.
  marks_.clear();
  (void)marks_.resize(states_.size() + frames_.size());
  uint32_t* const state_mark = marks_.data();
  uint32_t* const frame_mark = marks_.data() + states_.size();
  if (!states_.empty()) state_mark[kDead] = 1;
  if (!frames_.empty()) frame_mark[kOutermost] = frame_mark[kUnknown] = 1;
  for (const Span<State> roots : {first, second}) {
    for (const State state : roots) state_mark[state] = 1;
  }
  for (State s = 0; s < states_.size(); ++s) {
    if (state_mark[s] == 0) continue;
    for (const Item& item : items(s)) frame_mark[item.frame] = 1;
  }
  for (size_t f = frames_.size(); f-- > 0;) {
    if (frame_mark[f] == 0) continue;
    for (uint32_t i = 0; i < frames_[f].count; ++i) {
      frame_mark[entries_[frames_[f].first + i].frame] = 1;
    }
  }

  const size_t n_frames = frames_.size(), n_states = states_.size();
  frames_.clear();
  entries_.clear();
  std::memset(frame_slots_.data(), 0, frame_slots_.size() * sizeof(uint32_t));
  std::memset(state_slots_.data(), 0, state_slots_.size() * sizeof(uint32_t));
  // What is kept moves to the front, in the same order: nothing is overwritten that is still
  // needed.
  for (size_t f = 0; f < n_frames; ++f) {
    if (frame_mark[f] == 0) continue;
    const FrameData data = frames_.data()[f];
    entry_list_.clear();
    for (uint32_t i = 0; i < data.count; ++i) {
      Entry entry = entries_.data()[data.first + i];
      if (entry.next != kAccept && entry.next != kEscape) entry.frame = frame_mark[entry.frame];
      (void)entry_list_.push_back(entry);
    }
    frame_mark[f] = intern_frame(entry_list_.span());
  }
  if (n_frames == 0) {
    const Entry accept{kAccept, 0, 0}, escape{kEscape, 0, 0};
    (void)intern_frame({&accept, 1});
    (void)intern_frame({&escape, 1});
  }
  const size_t row = automaton_->n_classes;
  states_.clear();
  items_.clear();
  rows_.clear();
  for (size_t s = 0; s < n_states; ++s) {
    if (state_mark[s] == 0) continue;
    const StateData data = states_.data()[s];
    made_.clear();
    for (uint32_t i = 0; i < data.count; ++i) {
      const Item item = items_.data()[data.first + i];
      (void)made_.push_back({item.node, frame_mark[item.frame]});
    }
    state_mark[s] = intern_state(made_.span(), data.flags);
  }
  if (n_states == 0) (void)intern_state({}, 0);
  for (const Span<State> roots : {first, second}) {
    for (State& state : roots) state = state_mark[state];
  }
  for (size_t i = 0; i < row; ++i) rows_[i] = kDead;
  failure_ = Failure::none;
  return states_.size() < n_states || frames_.size() < n_frames;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_MACHINE_INL_HPP_
