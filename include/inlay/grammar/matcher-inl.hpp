#ifndef INLAY_GRAMMAR_MATCHER_INL_HPP_
#define INLAY_GRAMMAR_MATCHER_INL_HPP_

#include <algorithm>
#include <atomic>

#include "inlay/core/meter.hpp"
#include "inlay/core/system.hpp"
#include "inlay/grammar/grammar_impl.hpp"
#include "inlay/grammar/machine.hpp"
#include "inlay/grammar/matcher.hpp"
#include "inlay/grammar/vocabulary_trie.hpp"
#include "inlay/text/hash.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct GrammarVocabularyImpl {
  GrammarVocabularyImpl(const Allocator& given, const Tokenizer& words) noexcept
      : allocator(given), tokenizer(words), trie(given), ends(given), long_tokens(given) {}
  Allocator allocator;
  std::atomic<uint32_t> references{1};
  const Tokenizer& tokenizer;
  VocabularyTrie trie;
  Array<Token> ends;  // that end a text
  Array<uint64_t>
      long_tokens;  // [words()] a bit for each token of over VocabularyTrie::kLong bytes
  size_t words() const noexcept { return div_up(tokenizer.size(), 64); }  // of a mask
  Status create() noexcept;
};

inline Status GrammarVocabularyImpl::create() noexcept {
  INLAY_TRY(trie.create(tokenizer));
  if (!long_tokens.resize(words())) return Error(ErrorCode::out_of_memory);
  for (uint32_t node = 0; node < trie.size(); ++node) {
    if (trie.depth(node) <= VocabularyTrie::kLong) continue;
    for (Token token = trie.token(node); token != kNoToken; token = trie.next(token)) {
      long_tokens[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
    }
  }
  for (uint32_t i = 0; i < tokenizer.size(); ++i) {
    if (tokenizer.is_end(static_cast<Token>(i)) && !ends.push_back(static_cast<Token>(i))) {
      return Error(ErrorCode::out_of_memory);
    }
  }
  return {};
}

// What is known of nodes of an automaton, whatever frame they are in: the tokens that lead on
// (`bits`), and the nodes of the vocabulary's tree at which their rule has ended (`escapes`). And,
// of whole states, by their keys: tokens that are not long, or all. When the memory is full, all is
// forgotten.
class GrammarMasks {
 public:
  explicit GrammarMasks(const Allocator& given) noexcept
      : allocator(given), slots_(given), pool_(given) {}
  Allocator allocator;
  std::atomic<uint32_t> references{1};

  [[nodiscard]] bool create(size_t bytes, size_t words) noexcept {
    words_ = words;
    return pool_.resize(bytes / 8) && slots_.resize(hash_slots(bytes / 8 / (words + 1) + 1));
  }
  // False: nothing is known. Else `bits` are added to `allowed`.
  bool find(uint64_t key, Span<uint64_t> allowed, Array<uint32_t>* escapes) noexcept {
    const Lock lock(mutex_);
    const Slot& slot = slots_[slot_of(key)];
    if (!slot.used) return false;
    const uint64_t* bits = pool_.data() + slot.at;
    for (size_t i = 0; i < words_; ++i) allowed[i] |= bits[i];
    escapes->clear();
    return escapes->append(reinterpret_cast<const uint32_t*>(bits + words_), slot.escapes);
  }
  void insert(uint64_t key, Span<const uint64_t> bits, Span<const uint32_t> escapes) noexcept {
    const Lock lock(mutex_);
    const size_t size = words_ + (escapes.size() + 1) / 2;
    if (size > pool_.size()) return;
    if (used_ + size > pool_.size() || (count_ + 1) * 3 > slots_.size() * 2) {
      for (Slot& slot : slots_) slot = {};
      used_ = count_ = 0;
    }
    Slot& slot = slots_[slot_of(key)];
    if (slot.used) return;  // a fork was faster
    slot = {key, static_cast<uint32_t>(used_), static_cast<uint32_t>(escapes.size()), true};
    std::memcpy(pool_.data() + used_, bits.data(), words_ * sizeof(uint64_t));
    if (!escapes.empty()) {
      std::memcpy(pool_.data() + used_ + words_, escapes.data(), escapes.size() * sizeof(uint32_t));
    }
    used_ += size;
    ++count_;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t at = 0, escapes = 0;
    bool used = false;
  };
  size_t slot_of(uint64_t key) const noexcept {
    const size_t mask = slots_.size() - 1;
    size_t i = static_cast<size_t>(key * 0x9E3779B97F4A7C15u >> 32) & mask;
    while (slots_[i].used && slots_[i].key != key) i = (i + 1) & mask;
    return i;
  }

  Mutex mutex_;
  size_t words_ = 0, used_ = 0, count_ = 0;
  Array<Slot> slots_;  // open hash table
  Array<uint64_t> pool_;
};

template <class T>
void drop_reference(T* shared) noexcept {
  if (shared != nullptr && shared->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    destroy(shared->allocator, shared);
  }
}

struct GrammarMatcherImpl {
  using State = GrammarMachine::State;

  explicit GrammarMatcherImpl(const Grammar& given, const Allocator& memory) noexcept
      : allocator(memory),
        shared_grammar(given),
        machine(memory),
        trigger(memory),
        search(memory),
        states(memory),
        tokens(memory),
        walk(memory),
        bits(memory),
        sum(memory),
        escapes(memory),
        piece(memory),
        heard(memory),
        base_heard(memory) {}
  ~GrammarMatcherImpl() {
    drop_reference(vocabulary);
    drop_reference(masks);
  }

  static constexpr uint64_t kWork = uint64_t{1} << 25;  // items visited by a call
  static constexpr size_t kStates = 256;  // of the last tokens; going back further reads again
  static constexpr size_t kTokens = 16384;
  static constexpr size_t kHeard = 4096;  // bytes in which a trigger is looked for
  static constexpr size_t kForced = 512;  // bytes that are looked ahead
  static constexpr size_t kManyItems = 64;
  static constexpr size_t kTriggerMemory = size_t{1} << 18;

  Allocator allocator;
  Grammar shared_grammar;
  const GrammarImpl* grammar = nullptr;
  GrammarVocabularyImpl* vocabulary = nullptr;
  GrammarMasks* masks = nullptr;
  GrammarMachine machine, trigger, search;
  // states[0] is that of the text which did not come as tokens. tokens: all since then; token i led
  // to states[i + 1 - forgotten]. back() is the current one.
  Array<State> states;
  Array<Token> tokens;
  size_t forgotten = 0;
  Array<State> walk;          // states on the way down a tree or a text
  Array<uint64_t> bits;       // [words]
  Array<uint64_t> sum;        // [words], of allow_all()
  uint32_t nodes_walked = 0;  // nodes of the vocabulary's tree, for this mask
  Array<uint32_t> escapes;    // of the last node_mask()
  String piece;
  // Of a lazy grammar.
  bool awake = true, base_awake = true;  // now, and in states[0]
  State search_state = 0;
  String heard, base_heard;  // the last bytes, now and before the first of `tokens`

  Status create(const GrammarMatcherOptions& options) noexcept;
  Status copy_from(const GrammarMatcherImpl& other) noexcept;
  bool begin() noexcept;
  void set_base(State state) noexcept;

  Status failure() const noexcept;
  template <class Ask>
  bool ask(GrammarMachine* m, size_t live, Ask&& question, State* out) noexcept;
  bool step(GrammarMachine* m, size_t from, uint8_t byte, size_t to) noexcept;
  bool read(GrammarMachine* m, std::string_view text) noexcept;
  std::string_view text_of(Token token, bool special) noexcept {
    return {piece.data(), vocabulary->tokenizer.piece(token, piece.span(), special)};
  }
  bool after_token(Token token, bool special, State from) noexcept;
  bool has_token_edges(State state) const noexcept;

  template <class Visit>
  bool walk_tree(GrammarMachine* m, uint32_t root, Visit&& visit, bool only_long = false) noexcept;
  void allow_tokens(uint32_t node, Span<uint64_t> allowed) const noexcept;
  bool allow_node(uint32_t node, Span<uint64_t> allowed) noexcept;
  bool allow_token_edges(uint32_t node, Span<uint64_t> allowed) const noexcept;
  bool allow_all(Span<uint64_t> allowed) noexcept;
  bool allow_texts(Span<uint64_t> allowed) noexcept;
  bool allow_asleep(Span<uint64_t> allowed) noexcept;

  // What hearing a text does to a matcher that sleeps.
  enum class Heard : uint8_t { nothing, trigger, refused, failed };
  Heard hear(std::string_view text) noexcept;
  Heard hear(Token token) noexcept;
  bool push(Token token, State state) noexcept;
};

inline Status GrammarMatcherImpl::create(const GrammarMatcherOptions& options) noexcept {
  const Error no_memory(ErrorCode::out_of_memory);
  INLAY_TRY(machine.create(grammar->automaton, options.state_memory));
  if (grammar->has_trigger_text) {
    INLAY_TRY(trigger.create(grammar->trigger, kTriggerMemory));
    INLAY_TRY(search.create(grammar->trigger_search, kTriggerMemory));
  }
  size_t deepest = 0;
  if (vocabulary != nullptr) {
    const size_t words = vocabulary->words();
    deepest = vocabulary->trie.deepest();
    masks = detail::create<GrammarMasks>(allocator, allocator);
    if (masks == nullptr || !masks->create(options.mask_memory, words) || !bits.resize(words) ||
        !sum.resize(words) || !escapes.reserve(vocabulary->trie.inner()) ||
        !piece.resize(vocabulary->tokenizer.max_piece_bytes()) || !tokens.reserve(kTokens)) {
      return no_memory;
    }
  }
  if (!states.reserve(kStates + 1) || !walk.resize(deepest + 2) ||
      (grammar->lazy &&
       (!heard.reserve(2 * kHeard + piece.size()) || !base_heard.reserve(heard.capacity())))) {
    return no_memory;
  }
  if (!begin()) return failure();
  return {};
}

inline Status GrammarMatcherImpl::copy_from(const GrammarMatcherImpl& other) noexcept {
  INLAY_TRY(machine.copy_from(other.machine));
  if (grammar->has_trigger_text) {
    INLAY_TRY(trigger.copy_from(other.trigger));
    INLAY_TRY(search.copy_from(other.search));
  }
  const bool ok = states.reserve(other.states.capacity()) &&
                  states.append(other.states.data(), other.states.size()) &&
                  tokens.reserve(other.tokens.capacity()) &&
                  tokens.append(other.tokens.data(), other.tokens.size()) &&
                  walk.resize(other.walk.size()) && bits.resize(other.bits.size()) &&
                  sum.resize(other.sum.size()) && escapes.reserve(other.escapes.capacity()) &&
                  piece.resize(other.piece.size()) && heard.reserve(other.heard.capacity()) &&
                  heard.append(other.heard.data(), other.heard.size()) &&
                  base_heard.reserve(other.base_heard.capacity()) &&
                  base_heard.append(other.base_heard.data(), other.base_heard.size());
  forgotten = other.forgotten;
  awake = other.awake;
  base_awake = other.base_awake;
  search_state = other.search_state;
  return ok ? Status() : Error(ErrorCode::out_of_memory);
}

// The empty text.
inline bool GrammarMatcherImpl::begin() noexcept {
  states.clear();
  heard.clear();
  awake = !grammar->lazy;
  machine.set_work(kWork);
  State start = 0;
  if (!ask(
          &machine, 0, [&] { return machine.start(); }, &start))
    return false;
  set_base(start);
  if (!grammar->has_trigger_text) return true;
  search.set_work(kWork);
  return ask(
      &search, 0, [&] { return search.start(); }, &search_state);
}

// What came so far, and led to this state, is not taken back. (There is room.)
inline void GrammarMatcherImpl::set_base(State state) noexcept {
  tokens.clear();
  states.clear();
  (void)states.push_back(state);
  forgotten = 0;
  base_awake = awake;
  base_heard.clear();
  (void)base_heard.append(heard.data(), heard.size());
}

INLAY_COLD inline Status GrammarMatcherImpl::failure() const noexcept {
  switch (machine.failure()) {
    case GrammarMachine::Failure::ambiguous:
      return Error(
          ErrorCode::unsupported,
          "the grammar is too ambiguous: there are over 4096 ways to read the text so far");
    case GrammarMachine::Failure::memory:
      return Error(ErrorCode::unsupported,
                   "the ways to read the text so far do not fit into "
                   "GrammarMatcherOptions::state_memory");
    default:
      return Error(ErrorCode::unsupported,
                   "the grammar needs over 33554432 steps for one token of this text");
  }
}

// Puts the question; when states are out of memory, drops what is not needed and puts it once more.
// The first `live` states of `walk` stay.
template <class Ask>
bool GrammarMatcherImpl::ask(GrammarMachine* m, size_t live, Ask&& question, State* out) noexcept {
  *out = question();
  if (*out != GrammarMachine::kFull) return true;
  if (m->failure() != GrammarMachine::Failure::memory) return false;
  // Trigger machines have one state that stays.
  const Span<State> kept = m == &machine  ? states.span()
                           : m == &search ? Span<State>(&search_state, 1)
                                          : Span<State>();
  if (!m->collect(kept, walk.span().subspan(0, live))) return false;
  *out = question();
  return *out != GrammarMachine::kFull;
}

// walk[to] is what walk[from] becomes with one more byte; those up to `from` stay.
inline bool GrammarMatcherImpl::step(GrammarMachine* m, size_t from, uint8_t byte,
                                     size_t to) noexcept {
  State next = 0;
  if (!ask(
          m, from + 1, [&] { return m->step(walk[from], byte); }, &next))
    return false;
  walk[to] = next;
  return true;
}

// walk[0] with the text. Stops at the dead state.
inline bool GrammarMatcherImpl::read(GrammarMachine* m, std::string_view text) noexcept {
  for (const char c : text) {
    if (walk[0] == GrammarMachine::kDead) return true;
    if (!step(m, 0, static_cast<uint8_t>(c), 0)) return false;
  }
  return true;
}

inline bool GrammarMatcherImpl::has_token_edges(State state) const noexcept {
  const Automaton& a = machine.automaton();
  if (a.token_edges.empty()) return false;
  for (const GrammarMachine::Item& item : machine.items(state)) {
    if (a.nodes[item.node].token_edge != a.nodes[item.node + size_t{1}].token_edge) return true;
  }
  return false;
}

// walk[0] is `from` with the token, by its bytes or as a whole.
inline bool GrammarMatcherImpl::after_token(Token token, bool special, State from) noexcept {
  const std::string_view text = text_of(token, special);
  const bool whole = has_token_edges(from);
  walk[0] = from;
  walk[1] = GrammarMachine::kDead;
  if (whole) {
    const bool ends = vocabulary->tokenizer.is_end(token);
    State next = 0;
    if (!ask(
            &machine, 2, [&] { return machine.step_token(walk[0], token, ends); }, &next)) {
      return false;
    }
    walk[1] = next;
  }
  if (text.empty()) {
    walk[0] = GrammarMachine::kDead;
  } else {
    for (const char c : text) {
      State next = 0;
      if (walk[0] == GrammarMachine::kDead) break;
      const auto byte = static_cast<uint8_t>(c);
      if (!ask(
              &machine, 2, [&] { return machine.step(walk[0], byte); }, &next))
        return false;
      walk[0] = next;
    }
  }
  if (!whole) return true;
  State joined = 0;
  if (!ask(
          &machine, 2, [&] { return machine.join(walk[0], walk[1]); }, &joined))
    return false;
  walk[0] = joined;
  return true;
}

// ---- masks
// ---------------------------------------------------------------------------------------

// Goes down the tree from below `root`, where walk[0] is the state. visit(node, state) says whether
// to go on below a node; it is not asked about dead states. `only_long`: nor about nodes that lead
// to no long token.
template <class Visit>
bool GrammarMatcherImpl::walk_tree(GrammarMachine* m, uint32_t root, Visit&& visit,
                                   bool only_long) noexcept {
  const VocabularyTrie& trie = vocabulary->trie;
  const uint32_t end = trie.after(root), above = trie.depth(root) + 1;
  if (!m->spend((end - root) / 4)) return false;
  nodes_walked += end - root;
  for (uint32_t i = root + 1; i < end;) {
    if (only_long && !trie.has_long(i)) {
      i = trie.after(i);
      continue;
    }
    const size_t depth = trie.depth(i) - above;
    if (!step(m, depth, trie.byte(i), depth + 1)) return false;
    const State state = walk[depth + 1];
    i = state != GrammarMachine::kDead && visit(i, state) ? i + 1 : trie.after(i);
  }
  return true;
}

inline void GrammarMatcherImpl::allow_tokens(uint32_t node, Span<uint64_t> allowed) const noexcept {
  const VocabularyTrie& trie = vocabulary->trie;
  for (Token token = trie.token(node); token != kNoToken; token = trie.next(token)) {
    allowed[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
  }
}

// Tokens that lead on from a node within its rule; `escapes` become the nodes of the tree at which
// the rule has ended.
inline bool GrammarMatcherImpl::allow_node(uint32_t node, Span<uint64_t> allowed) noexcept {
  if (masks->find(node, allowed, &escapes)) return true;
  const VocabularyTrie& trie = vocabulary->trie;
  escapes.clear();
  std::memset(bits.data(), 0, bits.size() * sizeof(uint64_t));
  const auto visit = [&](uint32_t at, State state) {
    allow_tokens(at, bits.span());
    if (machine.leaves(state) && trie.has_children(at)) (void)escapes.push_back(at);
    return !machine.items(state).empty();
  };
  for (uint32_t first = 1; first < trie.size(); first = trie.after(first)) {
    State state = 0;
    if (!ask(
            &machine, 0, [&] { return machine.step_node(node, trie.byte(first)); }, &state)) {
      return false;
    }
    walk[0] = state;
    if (state != GrammarMachine::kDead && visit(first, state) &&
        !walk_tree(&machine, first, visit)) {
      return false;
    }
  }
  for (size_t i = 0; i < bits.size(); ++i) allowed[i] |= bits[i];
  masks->insert(node, bits.span(), escapes.span());
  return true;
}

inline bool GrammarMatcherImpl::allow_token_edges(uint32_t node,
                                                  Span<uint64_t> allowed) const noexcept {
  const Automaton& a = machine.automaton();
  const uint32_t size = vocabulary->tokenizer.size();
  for (uint32_t i = a.nodes[node].token_edge; i < a.nodes[node + size_t{1}].token_edge; ++i) {
    const Automaton::TokenSet& set = a.token_sets[a.token_edges[i].set];
    const auto allow = [&](uint32_t token) {
      if (token < size) allowed[token / 64] |= uint64_t{1} << (token % 64);
    };
    if (!set.negated) {
      for (uint32_t k = 0; k < set.count; ++k) {
        allow(static_cast<uint32_t>(a.token_ids[set.first + k]));
      }
      continue;
    }
    for (uint32_t token = 0; token < size; ++token) {
      // No text goes on after a token that ends it.
      if (a.token_in(a.token_edges[i].set, static_cast<Token>(token)) &&
          !vocabulary->tokenizer.is_end(static_cast<Token>(token))) {
        allow(token);
      }
    }
  }
  return true;
}

inline bool GrammarMatcherImpl::allow_all(Span<uint64_t> allowed) noexcept {
  if (machine.accepts(states.back())) {
    for (const Token token : vocabulary->ends) {
      allowed[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
    }
  }
  for (const auto& item : machine.items(states.back())) allow_token_edges(item.node, allowed);
  // Where that was much work before: all tokens, or all but the long ones.
  const VocabularyTrie& trie = vocabulary->trie;
  bool exact = false;
  static_assert(VocabularyTrie::kLong <= Automaton::kAlikeBytes, "keys tell that many bytes");
  const uint64_t key = machine.key(states.back(), VocabularyTrie::kLong, &exact);
  const uint64_t key_of_state = key | uint64_t{1} << 63;  // no node has such a number
  if (key != 0 && masks->find(key_of_state, allowed, &escapes)) {
    if (exact || !trie.has_long(0)) return true;
    walk[0] = states.back();
    return walk_tree(
        &machine, 0,
        [&](uint32_t at, State state) {
          if (trie.depth(at) > VocabularyTrie::kLong) allow_tokens(at, allowed);
          return !machine.items(state).empty();
        },
        true);
  }
  nodes_walked = 0;
  std::memset(sum.data(), 0, sum.size() * sizeof(uint64_t));
  if (!allow_texts(sum.span())) return false;
  for (size_t i = 0; i < sum.size(); ++i) allowed[i] |= sum[i];
  if (key == 0 || nodes_walked < trie.size() / 32) return true;
  if (!exact) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] &= ~vocabulary->long_tokens[i];
  }
  masks->insert(key_of_state, sum.span(), {});
  return true;
}

// Tokens whose texts lead on.
inline bool GrammarMatcherImpl::allow_texts(Span<uint64_t> allowed) noexcept {
  const auto allow_walked = [&](uint32_t root) {
    return walk_tree(&machine, root, [&](uint32_t at, State state) {
      allow_tokens(at, allowed);
      return !machine.items(state).empty();
    });
  };
  // Numbers of states and frames may change with every step: they are looked up anew.
  const auto item = [this](size_t i) { return machine.items(states.back())[i]; };
  const size_t n_items = machine.items(states.back()).size();
  if (n_items > kManyItems) {
    walk[0] = states.back();
    return allow_walked(0);
  }
  for (size_t i = 0; i < n_items; ++i) {
    if (!allow_node(item(i).node, allowed)) return false;
    if (escapes.empty()) continue;
    State after = 0;
    if (!ask(
            &machine, 0, [&] { return machine.leave(item(i).frame); }, &after))
      return false;
    walk[0] = after;
    if (machine.items(after).empty()) continue;
    for (const uint32_t at : escapes) {
      if (!allow_walked(at)) return false;
    }
  }
  return true;
}

// ---- sleeping until a trigger
// --------------------------------------------------------------------

// Whether the text wakes the grammar. What is heard stays in `heard` and `search_state`, which the
// caller restores if it only wanted to know; walk[0] is the state after a trigger.
inline GrammarMatcherImpl::Heard GrammarMatcherImpl::hear(std::string_view text) noexcept {
  if (!grammar->has_trigger_text || text.empty()) return Heard::nothing;
  if (heard.size() > kHeard) {
    std::memmove(heard.data(), heard.data() + heard.size() - kHeard, kHeard);
    heard.truncate(kHeard);
  }
  const size_t before = heard.size();
  if (!heard.append(text.data(), text.size())) return Heard::failed;
  search.set_work(kWork);
  trigger.set_work(kWork);
  for (size_t i = 0; i < text.size(); ++i) {
    State next = 0;
    const auto byte = static_cast<uint8_t>(text[i]);
    if (!ask(
            &search, 0, [&] { return search.step(search_state, byte); }, &next)) {
      return Heard::failed;
    }
    search_state = next;
    if (!search.accepts(next)) continue;
    const std::string_view all = view(heard), now = slice(all, 0, before + i + 1);
    for (size_t from = 0; from < now.size(); ++from) {
      if (!ask(
              &trigger, 0, [&] { return trigger.start(); }, &walk[0]) ||
          !read(&trigger, slice(now, from))) {
        return Heard::failed;
      }
      if (!trigger.accepts(walk[0])) continue;
      if (!ask(
              &machine, 0, [&] { return machine.start(); }, &walk[0]) ||
          !read(&machine, slice(all, from))) {
        return Heard::failed;
      }
      return walk[0] != GrammarMachine::kDead ? Heard::trigger : Heard::refused;
    }
  }
  return Heard::nothing;
}

inline GrammarMatcherImpl::Heard GrammarMatcherImpl::hear(Token token) noexcept {
  for (const Token known : grammar->trigger_tokens) {
    if (known != token) continue;
    State start = 0;
    if (!ask(
            &machine, 0, [&] { return machine.start(); }, &start) ||
        !after_token(token, true, start)) {
      return Heard::failed;
    }
    return walk[0] != GrammarMachine::kDead ? Heard::trigger : Heard::refused;
  }
  return hear(text_of(token, false));
}

inline bool GrammarMatcherImpl::allow_asleep(Span<uint64_t> allowed) noexcept {
  const uint32_t size = vocabulary->tokenizer.size();
  for (uint32_t i = 0; i < size; ++i) allowed[i / 64] |= uint64_t{1} << (i % 64);
  const size_t heard_before = heard.size();
  const State search_before = search_state;
  const auto forbid_unless = [&](Token token) {
    const Heard what = hear(token);
    heard.truncate(heard_before);
    search_state = search_before;
    if (what == Heard::refused) {
      allowed[static_cast<size_t>(token) / 64] &= ~(uint64_t{1} << (token % 64));
    }
    return what != Heard::failed;
  };
  for (const Token token : grammar->trigger_tokens) {
    if (token >= 0 && static_cast<uint32_t>(token) < size && !forbid_unless(token)) return false;
  }
  if (!grammar->has_trigger_text) return true;
  // Only tokens in which a trigger ends can be refused.
  const VocabularyTrie& trie = vocabulary->trie;
  escapes.clear();
  walk[0] = search_state;
  const bool walked = walk_tree(&search, 0, [&](uint32_t at, State state) {
    if (!search.accepts(state)) return true;
    (void)escapes.push_back(at);
    return false;
  });
  if (!walked) return false;
  for (const uint32_t at : escapes) {
    for (uint32_t node = at; node < trie.after(at); ++node) {
      for (Token token = trie.token(node); token != kNoToken; token = trie.next(token)) {
        if (!forbid_unless(token)) return false;
      }
    }
  }
  return true;
}

// The token has led to the state. False: out of memory.
inline bool GrammarMatcherImpl::push(Token token, State state) noexcept {
  if (!tokens.push_back(token)) return false;
  if (states.size() > kStates) {
    std::memmove(states.data() + 1, states.data() + 1 + kStates / 2,
                 (states.size() - 1 - kStates / 2) * sizeof(State));
    states.truncate(states.size() - kStates / 2);
    forgotten += kStates / 2;
  }
  return states.push_back(state);
}

}  // namespace detail

// ---- GrammarVocabulary
// ---------------------------------------------------------------------------

Result<GrammarVocabulary> GrammarVocabulary::create(const Tokenizer& tokenizer,
                                                    const Host& host) noexcept {
  auto* impl =
      detail::create<detail::GrammarVocabularyImpl>(host.allocator, host.allocator, tokenizer);
  if (impl == nullptr)
    return detail::Meter::explain(host.allocator, Error(ErrorCode::out_of_memory));
  GrammarVocabulary made(impl);
  INLAY_TRY(detail::Meter::explain(host.allocator, impl->create()));
  return made;
}

GrammarVocabulary::GrammarVocabulary(const GrammarVocabulary& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->references.fetch_add(1, std::memory_order_relaxed);
}
GrammarVocabulary::GrammarVocabulary(GrammarVocabulary&& other) noexcept : impl_(other.impl_) {
  other.impl_ = nullptr;
}
GrammarVocabulary& GrammarVocabulary::operator=(GrammarVocabulary other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
GrammarVocabulary::~GrammarVocabulary() { detail::drop_reference(impl_); }

// ---- GrammarMatcher
// ------------------------------------------------------------------------------

Result<GrammarMatcher> GrammarMatcher::create(const Grammar& grammar,
                                              const GrammarMatcherOptions& options) noexcept {
  const Allocator& allocator = options.host.allocator;
  auto* impl = detail::create<detail::GrammarMatcherImpl>(allocator, grammar, allocator);
  if (impl == nullptr) return detail::Meter::explain(allocator, Error(ErrorCode::out_of_memory));
  GrammarMatcher made(impl);
  impl->grammar = grammar.impl_;
  INLAY_TRY(detail::Meter::explain(allocator, impl->create(options)));
  return made;
}

Result<GrammarMatcher> GrammarMatcher::create(const Grammar& grammar,
                                              const GrammarVocabulary& vocabulary,
                                              const GrammarMatcherOptions& options) noexcept {
  const Allocator& allocator = options.host.allocator;
  auto* impl = detail::create<detail::GrammarMatcherImpl>(allocator, grammar, allocator);
  if (impl == nullptr) return detail::Meter::explain(allocator, Error(ErrorCode::out_of_memory));
  GrammarMatcher made(impl);
  impl->grammar = grammar.impl_;
  impl->vocabulary = vocabulary.impl_;
  impl->vocabulary->references.fetch_add(1, std::memory_order_relaxed);
  INLAY_TRY(detail::Meter::explain(allocator, impl->create(options)));
  return made;
}

GrammarMatcher::GrammarMatcher(GrammarMatcher&& other) noexcept : impl_(other.impl_) {
  other.impl_ = nullptr;
}
GrammarMatcher& GrammarMatcher::operator=(GrammarMatcher&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
GrammarMatcher::~GrammarMatcher() {
  if (impl_ != nullptr) detail::destroy(impl_->allocator, impl_);
}

Result<GrammarMatcher> GrammarMatcher::fork() const noexcept {
  const Allocator& allocator = impl_->allocator;
  auto* impl =
      detail::create<detail::GrammarMatcherImpl>(allocator, impl_->shared_grammar, allocator);
  if (impl == nullptr) return detail::Meter::explain(allocator, Error(ErrorCode::out_of_memory));
  GrammarMatcher made(impl);
  impl->grammar = impl_->grammar;
  if (impl_->vocabulary != nullptr) {
    impl->vocabulary = impl_->vocabulary;
    impl->vocabulary->references.fetch_add(1, std::memory_order_relaxed);
    impl->masks = impl_->masks;
    impl->masks->references.fetch_add(1, std::memory_order_relaxed);
  }
  INLAY_TRY(detail::Meter::explain(allocator, impl->copy_from(*impl_)));
  return made;
}

void GrammarMatcher::reset() noexcept { (void)impl_->begin(); }

Status GrammarMatcher::mask(Span<uint64_t> allowed) noexcept {
  if (impl_->vocabulary == nullptr || allowed.size() < impl_->vocabulary->words()) {
    return Error(ErrorCode::bad_argument, "a mask needs a vocabulary, and a bit for each token");
  }
  impl_->machine.set_work(detail::GrammarMatcherImpl::kWork);
  const bool ok = impl_->awake ? impl_->allow_all(allowed) : impl_->allow_asleep(allowed);
  return ok ? Status() : impl_->failure();
}

bool GrammarMatcher::allows(Token token) noexcept {
  using Impl = detail::GrammarMatcherImpl;
  if (impl_->vocabulary == nullptr || token < 0 ||
      static_cast<uint32_t>(token) >= impl_->vocabulary->tokenizer.size()) {
    return false;
  }
  impl_->machine.set_work(Impl::kWork);
  if (!impl_->awake) {
    const size_t heard = impl_->heard.size();
    const auto search = impl_->search_state;
    const Impl::Heard what = impl_->hear(token);
    impl_->heard.truncate(heard);
    impl_->search_state = search;
    return what == Impl::Heard::nothing || what == Impl::Heard::trigger;
  }
  if (impl_->vocabulary->tokenizer.is_end(token) && impl_->machine.accepts(impl_->states.back())) {
    return true;
  }
  return impl_->after_token(token, false, impl_->states.back()) &&
         impl_->walk[0] != detail::GrammarMachine::kDead;
}

Result<bool> GrammarMatcher::accept(Token token) noexcept {
  using Impl = detail::GrammarMatcherImpl;
  if (impl_->vocabulary == nullptr || token < 0 ||
      static_cast<uint32_t>(token) >= impl_->vocabulary->tokenizer.size()) {
    return false;
  }
  impl_->machine.set_work(Impl::kWork);
  if (!impl_->awake) {
    const size_t heard = impl_->heard.size();
    const auto search = impl_->search_state;
    const Impl::Heard what = impl_->hear(token);
    if (what == Impl::Heard::failed || what == Impl::Heard::refused) {
      impl_->heard.truncate(heard);
      impl_->search_state = search;
      if (what == Impl::Heard::failed) return impl_->failure().error();
      return false;
    }
    if (what == Impl::Heard::nothing) {
      if (!impl_->tokens.push_back(token)) return Error(ErrorCode::out_of_memory);
      return true;
    }
    impl_->awake = true;
    impl_->forgotten = impl_->tokens.size();
    if (!impl_->push(token, impl_->walk[0])) return Error(ErrorCode::out_of_memory);
    return true;
  }
  if (impl_->vocabulary->tokenizer.is_end(token) && impl_->machine.accepts(impl_->states.back())) {
    impl_->walk[0] = impl_->states.back();
  } else if (!impl_->after_token(token, false, impl_->states.back())) {
    return impl_->failure().error();
  }
  if (impl_->walk[0] == detail::GrammarMachine::kDead) return false;
  if (!impl_->push(token, impl_->walk[0])) return Error(ErrorCode::out_of_memory);
  return true;
}

Result<bool> GrammarMatcher::accept(std::string_view text) noexcept {
  using Impl = detail::GrammarMatcherImpl;
  if (!impl_->awake) {
    if (text.size() > Impl::kHeard) {
      return Error(ErrorCode::bad_argument, "a lazy grammar takes at most 4096 bytes at once");
    }
    impl_->machine.set_work(Impl::kWork);
    const size_t heard = impl_->heard.size();
    const auto search = impl_->search_state;
    const Impl::Heard what = impl_->hear(text);
    if (what == Impl::Heard::nothing) {
      impl_->walk[0] = impl_->states.back();
    } else if (what != Impl::Heard::trigger) {
      impl_->heard.truncate(heard);
      impl_->search_state = search;
      if (what == Impl::Heard::failed) return impl_->failure().error();
      return false;
    }
    impl_->awake = what == Impl::Heard::trigger;
  } else {
    impl_->walk[0] = impl_->states.back();
    for (size_t i = 0; i < text.size(); i += 64) {
      impl_->machine.set_work(Impl::kWork);
      if (!impl_->read(&impl_->machine, detail::slice(text, i, 64))) {
        return impl_->failure().error();
      }
    }
    if (impl_->walk[0] == detail::GrammarMachine::kDead) return false;
  }
  impl_->set_base(impl_->walk[0]);
  return true;
}

void GrammarMatcher::rollback(size_t tokens) noexcept {
  detail::GrammarMatcherImpl& m = *impl_;
  const size_t keep = m.tokens.size() - std::min(tokens, m.tokens.size());
  if (m.awake && (keep > m.forgotten || (m.forgotten == 0 && m.base_awake))) {
    m.tokens.truncate(keep);
    m.states.truncate(keep - m.forgotten + 1);
    return;
  }
  if (!m.awake && m.heard.empty()) return m.tokens.truncate(keep);
  // Further back than states are kept, or to before a trigger: read the tokens again. (They were
  // read before, so nothing can fail, and each is written to where it is.)
  m.tokens.clear();
  m.states.truncate(1);
  m.heard.clear();
  m.forgotten = 0;
  m.awake = m.base_awake;
  if (!m.awake && m.grammar->has_trigger_text) {
    m.search.set_work(detail::GrammarMatcherImpl::kWork);
    (void)m.ask(
        &m.search, 0, [&] { return m.search.start(); }, &m.search_state);
    (void)m.hear(detail::view(m.base_heard));
  }
  for (size_t i = 0; i < keep; ++i) (void)accept(m.tokens.data()[i]);
}

uint32_t GrammarMatcher::forced(Span<Token> room) noexcept {
  using detail::Automaton;
  detail::GrammarMatcherImpl& m = *impl_;
  if (!m.awake || m.vocabulary == nullptr || room.empty()) return 0;
  const Automaton& a = m.machine.automaton();
  m.machine.set_work(detail::GrammarMatcherImpl::kWork);
  // The bytes that must follow.
  char text[detail::GrammarMatcherImpl::kForced];
  size_t size = 0;
  m.walk[0] = m.states.back();
  for (; size < sizeof text; ++size) {
    if (m.machine.accepts(m.walk[0]) || m.has_token_edges(m.walk[0])) break;
    uint32_t least = 256, most = 0;  // classes of bytes
    for (const auto& item : m.machine.items(m.walk[0])) {
      for (uint32_t i = a.nodes[item.node].edge; i < a.nodes[item.node + size_t{1}].edge; ++i) {
        least = std::min<uint32_t>(least, a.edges[i].first);
        most = std::max<uint32_t>(most, a.edges[i].last);
      }
    }
    if (least != most) break;
    const uint8_t* found = std::lower_bound(a.class_of, a.class_of + 256, least);
    if (found + 1 < a.class_of + 256 && found[1] == *found) break;  // several bytes
    const auto byte = static_cast<uint8_t>(found - a.class_of);
    if (!m.step(&m.machine, 0, byte, 0)) break;
    text[size] = static_cast<char>(byte);
  }
  const bool ends = m.machine.accepts(m.walk[0]) && m.machine.items(m.walk[0]).empty();
  // The longest tokens of them. What the last one would be part of is not known, if more follows.
  const detail::VocabularyTrie& trie = m.vocabulary->trie;
  uint32_t count = 0;
  size_t at = 0;
  while (at < size && count < room.size()) {
    uint32_t node = 0;
    size_t i = at, longest = at;
    Token token = kNoToken;
    for (; i < size; ++i) {
      node = trie.child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) break;
      if (trie.token(node) != kNoToken) {
        token = trie.token(node);
        longest = i + 1;
      }
    }
    if (token == kNoToken || (i == size && !ends && trie.has_children(node))) break;
    room[count++] = token;
    at = longest;
  }
  // A blank at the end belongs to the word behind it, in most vocabularies.
  if (count > 0 && at == size && !ends && text[size - 1] == ' ') --count;
  if (ends && at == size && count < room.size() && !m.vocabulary->ends.empty()) {
    const Token eos = m.vocabulary->tokenizer.special().eos;
    const bool known = eos != kNoToken && m.vocabulary->tokenizer.is_end(eos);
    room[count++] = known ? eos : m.vocabulary->ends[0];
  }
  return count;
}

bool GrammarMatcher::may_end() const noexcept {
  return !impl_->awake || impl_->machine.accepts(impl_->states.back());
}
bool GrammarMatcher::must_end() const noexcept {
  return impl_->awake && impl_->machine.accepts(impl_->states.back()) &&
         impl_->machine.items(impl_->states.back()).empty();
}
bool GrammarMatcher::awake() const noexcept { return impl_->awake; }

INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_MATCHER_INL_HPP_
