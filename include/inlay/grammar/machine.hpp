// An automaton at work: which texts have come how far.
#ifndef INLAY_GRAMMAR_MACHINE_HPP_
#define INLAY_GRAMMAR_MACHINE_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/core/memory.hpp"
#include "inlay/grammar/automaton.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// All ways to read a text are followed at once. One way is an item: a node, and the frame of the
// rule that the node is in. A frame is the set of all places that called this rule at this point of
// the text, each with the frame that it is in itself: so ways that differ only in how they came
// here are one, as in Earley's and Tomita's parsers, and their number grows with the text and not
// exponentially. A call that is the last thing in its rule leaves no trace in the frame.
//
// Frames and states (sets of items) are kept once, so equal states have equal numbers, and what a
// byte does in a state is computed once: a deterministic automaton that is built as it is used. All
// memory is taken by create(); when it is full, collect() drops what nobody refers to.
class GrammarMachine {
 public:
  using State = uint32_t;
  using Frame = uint32_t;
  static constexpr State kDead = 0;
  static constexpr State kFull =
      UINT32_MAX;                         // no answer: collect() and ask again, or see failure()
  static constexpr Frame kOutermost = 0;  // of the rule that the text is
  // A frame of which nothing is known: a way that leaves it sets leaves() of the state.
  static constexpr Frame kUnknown = 1;
  static constexpr size_t kMaxItems = 4096;  // of a state

  struct Item {
    uint32_t node;
    Frame frame;
  };
  // What made the last call fail.
  enum class Failure : uint8_t { none, ambiguous, memory, work };

  explicit GrammarMachine(const Allocator& allocator) noexcept
      : entries_(allocator),
        frames_(allocator),
        items_(allocator),
        states_(allocator),
        rows_(allocator),
        frame_slots_(allocator),
        state_slots_(allocator),
        seen_(allocator),
        made_(allocator),
        pending_(allocator),
        entry_list_(allocator),
        marks_(allocator) {}
  GrammarMachine(GrammarMachine&&) noexcept = default;
  GrammarMachine& operator=(GrammarMachine&&) noexcept = default;

  // About `bytes` for states and frames. The automaton must outlive the machine.
  Status create(const Automaton& automaton, size_t bytes) noexcept;
  Status copy_from(const GrammarMachine& other) noexcept;
  const Automaton& automaton() const noexcept { return *automaton_; }

  State start() noexcept;  // of the root rule
  // After one more byte.
  State step(State state, uint8_t byte) noexcept {
    const uint8_t cls = automaton_->class_of[byte];
    const uint32_t known = rows_[state * size_t{automaton_->n_classes} + cls];
    return known != kUnfilled ? known : step_slowly(state, cls);
  }
  // After one more token, by the edges of whole tokens only. One that ends the text is none of
  // "all but these".
  State step_token(State state, Token token, bool ends) noexcept;
  // After one more byte by way of this node only, in an unknown frame.
  State step_node(uint32_t node, uint8_t byte) noexcept;
  // Where ways go on that leave this frame now.
  State leave(Frame frame) noexcept;
  // All ways of both.
  State join(State a, State b) noexcept;

  bool accepts(State state) const noexcept { return (states_[state].flags & kAccepts) != 0; }
  bool leaves(State state) const noexcept { return (states_[state].flags & kLeaves) != 0; }
  Span<const Item> items(State state) const noexcept {
    return items_.span().subspan(states_[state].first, states_[state].count);
  }

  // Equal for states from which the same texts of at most `bytes` bytes (not over
  // Automaton::kAlikeBytes) may follow, though the counts of repetitions differ; 0: not known.
  // `*exact`: the same texts of any length. (Others may have the same key by chance: 1 in 2^63.)
  uint64_t key(State state, uint32_t bytes, bool* exact) const noexcept;

  // Drops all that the given states do not need, and gives these their new numbers. False if there
  // is no more room than before, or no work left.
  [[nodiscard]] bool collect(Span<State> first, Span<State> second) noexcept;

  // Items that are visited since set_work(); above its limit every step fails.
  void set_work(uint64_t limit) noexcept {
    work_left_ = limit;
    failure_ = Failure::none;
  }
  bool spend(uint64_t work) noexcept {
    if (work > work_left_) {
      failure_ = Failure::work;
      return false;
    }
    work_left_ -= work;
    return true;
  }
  Failure failure() const noexcept { return failure_; }

 private:
  static constexpr uint32_t kUnfilled = UINT32_MAX - 1;
  static constexpr uint32_t kAccept = UINT32_MAX, kEscape = UINT32_MAX - 1;  // Entry::next
  static constexpr uint8_t kAccepts = 1, kLeaves = 2;

  // A place that called: `next` as in Automaton::Call, or one of the constants above.
  struct Entry {
    uint32_t next, count;  // of a loop: how many times it has been through
    Frame frame;
    bool operator==(const Entry& o) const noexcept {
      return next == o.next && count == o.count && frame == o.frame;
    }
    bool operator<(const Entry& o) const noexcept {
      return next != o.next ? next < o.next : count != o.count ? count < o.count : frame < o.frame;
    }
  };
  struct FrameData {
    uint32_t first, count;  // entries
    State after;            // leave(), or kUnfilled
  };
  struct StateData {
    uint32_t first, count;  // items
    uint8_t flags;
  };
  struct Pending {
    uint32_t rank, rule;
    Entry entry;
  };
  struct Seen {
    uint32_t stamp = 0;
    uint32_t node = 0, frame = 0;
  };

  State step_slowly(State state, uint8_t cls) noexcept;
  void begin() noexcept;
  bool first_time(uint32_t node, uint32_t frame) noexcept;
  bool add(uint32_t node, Frame frame) noexcept;
  bool leave_all(Frame frame) noexcept;
  bool call(uint32_t rule, const Entry& entry) noexcept;
  bool add_calls(uint32_t node, Frame frame) noexcept;
  State finish() noexcept;
  Frame intern_frame(Span<const Entry> entries) noexcept;
  State intern_state(Span<const Item> items, uint8_t flags) noexcept;
  bool fail(Failure failure) noexcept {
    failure_ = failure;
    return false;
  }
  static uint32_t hash(const void* data, size_t bytes) noexcept;
  // Of a key that is being made.
  struct Key {
    uint64_t hash;
    uint32_t bytes, left;  // entries that may still be visited
    bool exact;
    void add(uint64_t value) noexcept {
      hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 32;
    }
  };
  void add_node(uint32_t node, Key* key) const noexcept {
    key->add(automaton_->alike[node]);
    key->exact = key->exact && (automaton_->alike[node] & Automaton::kExactly) != 0;
  }
  void add_frame(Frame frame, Key* key) const noexcept;

  const Automaton* automaton_ = nullptr;
  Array<Entry> entries_;
  Array<FrameData> frames_;
  Array<Item> items_;
  Array<StateData> states_;
  Array<uint32_t> rows_;                       // [states][n_classes] next state, or kUnfilled
  Array<uint32_t> frame_slots_, state_slots_;  // open hash tables of numbers plus 1
  // Of the state that is being made.
  uint32_t stamp_ = 0;
  uint8_t flags_ = 0;
  Array<Seen> seen_;
  Array<Item> made_;
  Array<Pending> pending_;
  Array<Entry> entry_list_;
  Array<uint32_t> marks_;  // of collect()
  uint64_t work_left_ = UINT64_MAX;
  Failure failure_ = Failure::none;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_MACHINE_HPP_
