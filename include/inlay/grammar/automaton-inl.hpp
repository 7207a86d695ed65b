#ifndef INLAY_GRAMMAR_AUTOMATON_INL_HPP_
#define INLAY_GRAMMAR_AUTOMATON_INL_HPP_

#include <algorithm>
#include <cstring>

#include "inlay/grammar/automaton.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

bool Automaton::token_in(uint32_t set, Token token) const noexcept {
  const TokenSet& s = token_sets[set];
  const Token* first = token_ids.data() + s.first;
  return std::binary_search(first, first + s.count, token) != s.negated;
}

// Which expressions have a property that follows from that of their parts: a sequence has it when
// all parts have it, a choice when one has it. Linear, however rules refer to each other.
class ExpressionProperty {
 public:
  explicit ExpressionProperty(const Allocator& allocator) noexcept
      : parent_(allocator),
        missing_(allocator),
        holds_(allocator),
        next_(allocator),
        work_(allocator),
        first_(allocator) {}
  bool operator[](ExpressionId id) const noexcept { return holds_[id]; }

  // `base(expression)`: whether it has the property by itself. False: out of memory.
  template <class Base>
  [[nodiscard]] bool find(const Expressions& all, Base&& base) noexcept {
    const uint32_t n = all.size();
    // parent_: of a part, that whose part it is; of a rule's body, n + the rule.
    if (!parent_.resize(n) || !missing_.resize(n) || !holds_.resize(n) || !next_.resize(n) ||
        !work_.reserve(n) || !first_.resize(all.rule_count())) {
      return false;
    }
    for (uint32_t& first : first_) first = kNone;
    for (uint32_t& parent : parent_) parent = kNone;
    for (uint32_t i = 0; i < n; ++i) {
      const Expressions::Expression& e = all[i];
      if (e.kind == Expressions::Kind::sequence || e.kind == Expressions::Kind::choice) {
        for (const ExpressionId part : all.children(e)) parent_[part] = i;
        missing_[i] = e.kind == Expressions::Kind::sequence ? e.count : 1;
      } else if (e.kind == Expressions::Kind::repeat) {
        parent_[e.first] = i;
        missing_[i] = 1;
      } else if (e.kind == Expressions::Kind::rule) {
        next_[i] = first_[e.first];
        first_[e.first] = i;
        missing_[i] = 1;
      }
    }
    for (uint32_t r = 0; r < all.rule_count(); ++r) parent_[all.rule_at(r).body] = n + r;
    for (uint32_t i = 0; i < n; ++i) {
      if (!holds_[i] && base(all[i])) mark(i);
      while (!work_.empty()) {
        const uint32_t done = work_.back();
        work_.pop_back();
        const uint32_t parent = parent_[done];
        if (parent == kNone) continue;
        if (parent >= n) {
          for (uint32_t use = first_[parent - n]; use != kNone; use = next_[use]) mark(use);
        } else if (!holds_[parent] && --missing_[parent] == 0) {
          mark(parent);
        }
      }
    }
    return true;
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  void mark(uint32_t id) noexcept {
    if (holds_[id]) return;
    holds_[id] = true;
    (void)work_.push_back(id);  // reserved: each comes once
  }

  Array<uint32_t> parent_, missing_;
  Array<bool> holds_;
  Array<uint32_t> next_, work_;
  Array<uint32_t> first_;  // of each rule: its uses, linked by next_
};

class AutomatonCompiler {
 public:
  AutomatonCompiler(const Expressions& grammar, const Allocator& allocator) noexcept
      : grammar_(grammar),
        out_(allocator),
        nullable_(allocator),
        productive_(allocator),
        moves_(allocator),
        first_move_(allocator),
        move_order_(allocator),
        number_(allocator),
        stamp_(allocator),
        queue_(allocator),
        stack_(allocator),
        inlined_(allocator),
        rule_of_(allocator),
        bodies_(allocator),
        starts_(allocator) {}

  INLAY_COLD Result<Automaton> run(uint32_t root, bool may_be_empty) noexcept {
    using Kind = Expressions::Kind;
    const bool found = nullable_.find(grammar_, [](const Expressions::Expression& e) {
      return (e.kind == Kind::bytes && e.count == 0) || (e.kind == Kind::repeat && e.least == 0) ||
             (e.kind == Kind::sequence && e.count == 0);
    }) && productive_.find(grammar_, [](const Expressions::Expression& e) {
      return e.kind == Kind::bytes || e.kind == Kind::byte_range || e.kind == Kind::characters ||
             (e.kind == Kind::tokens && (e.count > 0 || e.negated)) ||
             (e.kind == Kind::repeat && e.least == 0) || (e.kind == Kind::sequence && e.count == 0);
    });
    if (!found) return Error(ErrorCode::out_of_memory);
    if (!productive_[grammar_.rule_at(root).body] && !may_be_empty) {
      return Error(ErrorCode::bad_argument, "no text has this form: rule ")
             << grammar_.rule_name(root) << " has no alternative that comes to an end";
    }
    INLAY_TRY(choose_inlined());
    out_.root = rule_number(root);
    out_.root_empty = nullable_[grammar_.rule_at(root).body];
    for (size_t i = 0; i < bodies_.size() && ok_; ++i) {
      const uint32_t start = node(), end = node();
      if (!ok_ || !starts_.push_back({start, end})) return failure();
      emit(bodies_[i].body, start, end);
      move(end, end, Move::end);
    }
    if (!ok_) return failure();
    if (!sort_moves() || !number_.resize(n_nodes_) || !stamp_.resize(n_nodes_)) {
      return Error(ErrorCode::out_of_memory);
    }
    INLAY_TRY(close());
    INLAY_TRY(rank());
    classify();
    return std::move(out_);
  }

 private:
  // Expressions of a rule that is copied to its calls, or to its only one. Copies cost masks: each
  // has its own.
  static constexpr uint32_t kInlineSize = 12, kSingleSize = 256;
  static constexpr uint32_t kUnrolledSize = 64;  // of a counted repetition that is written out
  static constexpr uint64_t kMaxVisits = uint64_t{1} << 26;

  enum class Move : uint8_t { empty, byte, call, tokens, loop, end };
  struct MoveData {
    uint32_t from, to;
    Move move;
    uint8_t first, last;  // bytes
    uint32_t argument;    // rule, token set or loop
  };
  struct Body {
    ExpressionId body;
    uint32_t rule;  // of the grammar, for messages
  };
  struct Ends {
    uint32_t start, end;
  };

  Error failure() const noexcept {
    return too_large_ ? Error(ErrorCode::unsupported, too_large_) : Error(ErrorCode::out_of_memory);
  }
  void fail(const char* bound = nullptr) noexcept {
    if (ok_) too_large_ = bound;
    ok_ = false;
  }

  uint32_t node() noexcept {
    if (n_nodes_ >= Automaton::kMaxNodes) {
      fail("a grammar whose automaton has over 1048576 nodes");
      return 0;
    }
    return n_nodes_++;
  }
  void move(uint32_t from, uint32_t to, Move kind, uint8_t first = 0, uint8_t last = 0,
            uint32_t argument = 0) noexcept {
    if (!ok_) return;
    if (moves_.size() >= Automaton::kMaxEdges) {
      return fail("a grammar whose automaton has over 2097152 edges");
    }
    if (!moves_.push_back({from, to, kind, first, last, argument})) fail();
  }

  // The number in the automaton of a rule of the grammar, whose body is emitted later.
  uint32_t rule_number(uint32_t rule) noexcept {
    if (rule_of_[rule] == kNone) {
      rule_of_[rule] = static_cast<uint32_t>(bodies_.size());
      if (!bodies_.push_back({grammar_.rule_at(rule).body, rule})) fail();
    }
    return rule_of_[rule];
  }

  // Which rules are copied to where they are called: those that are small, apart from one at least
  // of every cycle.
  Status choose_inlined() noexcept {
    const uint32_t n = grammar_.rule_count();
    Array<uint32_t> size(out_.nodes.allocator());
    Array<uint32_t> uses(out_.nodes.allocator());
    Array<uint8_t> color(out_.nodes.allocator());  // 0 new, 1 on the way, 2 done
    if (!uses.resize(n) || !rule_of_.resize(n) || !inlined_.resize(n) || !size.resize(n) ||
        !color.resize(n)) {
      return Error(ErrorCode::out_of_memory);
    }
    for (uint32_t& number : rule_of_) number = kNone;
    for (uint32_t i = 0; i < grammar_.size(); ++i) {
      if (grammar_[i].kind == Expressions::Kind::rule) ++uses[grammar_[i].first];
    }
    // A rule's expressions lie anywhere: walk each body with a stack of its own, and rules with
    // frames of (rule, where its part of the stack begins).
    Array<Ends> frames(out_.nodes.allocator());
    stack_.clear();
    for (uint32_t r = 0; r < n; ++r) {
      if (color[r] != 0) continue;
      if (!frames.push_back({r, 0}) || !stack_.push_back(grammar_.rule_at(r).body)) {
        return Error(ErrorCode::out_of_memory);
      }
      color[r] = 1;
      inlined_[r] = true;
      while (!frames.empty()) {
        const Ends frame = frames.back();
        if (stack_.size() == frame.end) {
          frames.pop_back();
          color[frame.start] = 2;
          const uint32_t limit = uses[frame.start] > 1 ? kInlineSize : kSingleSize;
          if (size[frame.start] > limit || grammar_.rule_at(frame.start).apart) {
            inlined_[frame.start] = false;
          }
          if (!frames.empty() && inlined_[frame.start]) {
            size[frames.back().start] += size[frame.start];
          }
          continue;
        }
        const Expressions::Expression& e = grammar_[stack_.back()];
        stack_.pop_back();
        size[frame.start] += 1 + (e.kind == Expressions::Kind::bytes ? e.count : 0);
        bool ok = true;
        if (e.kind == Expressions::Kind::sequence || e.kind == Expressions::Kind::choice) {
          const auto parts = grammar_.children(e);
          ok = stack_.append(parts.data(), parts.size());
        } else if (e.kind == Expressions::Kind::repeat) {
          ok = stack_.push_back(e.first);
        } else if (e.kind == Expressions::Kind::rule) {
          if (color[e.first] == 0) {
            color[e.first] = 1;
            inlined_[e.first] = true;
            ok = frames.push_back({e.first, static_cast<uint32_t>(stack_.size())}) &&
                 stack_.push_back(grammar_.rule_at(e.first).body);
          } else if (color[e.first] == 1) {
            inlined_[e.first] = false;
          } else if (inlined_[e.first]) {
            size[frame.start] += size[e.first];
          }
        }
        if (!ok) return Error(ErrorCode::out_of_memory);
      }
    }
    return {};
  }

  // Moves that lead from one node to another through a text of the expression. Recursion: at most
  // kMaxDepth deep in one body, and a copied rule has at most kSingleSize expressions with those
  // copied into it.
  void emit(ExpressionId id, uint32_t from, uint32_t to) noexcept {
    using Kind = Expressions::Kind;
    if (!ok_ || !productive_[id]) return;
    const Expressions::Expression& e = grammar_[id];
    switch (e.kind) {
      case Kind::nothing:
        return;
      case Kind::bytes:
        return emit_bytes(grammar_.text(e), from, to);
      case Kind::byte_range:
        return move(from, to, Move::byte, static_cast<uint8_t>(e.least),
                    static_cast<uint8_t>(e.most));
      case Kind::characters:
        for (const CharacterRange& range : grammar_.ranges(e)) emit_range(range, from, to);
        return;
      case Kind::tokens:
        return emit_tokens(e, from, to);
      case Kind::rule:
        if (inlined_[e.first] && n_nodes_ < Automaton::kMaxNodes / 2) {
          return emit(grammar_.rule_at(e.first).body, from, to);
        }
        move(from, to, Move::call, 0, 0, rule_number(e.first));
        if (nullable_[id]) move(from, to, Move::empty);
        return;
      case Kind::sequence: {
        const auto parts = grammar_.children(e);
        if (parts.empty()) return move(from, to, Move::empty);
        for (size_t i = 0; i < parts.size(); ++i) {
          const uint32_t next = i + 1 < parts.size() ? node() : to;
          emit(parts[i], from, next);
          from = next;
        }
        return;
      }
      case Kind::choice:
        for (const ExpressionId part : grammar_.children(e)) emit(part, from, to);
        return;
      case Kind::repeat:
        return emit_repeat(e, from, to);
    }
  }

  void emit_bytes(std::string_view text, uint32_t from, uint32_t to) noexcept {
    if (text.empty()) return move(from, to, Move::empty);
    for (size_t i = 0; i < text.size(); ++i) {
      const uint32_t next = i + 1 < text.size() ? node() : to;
      const auto byte = static_cast<uint8_t>(text[i]);
      move(from, next, Move::byte, byte, byte);
      from = next;
    }
  }

  // The UTF-8 forms of a range: split where the length changes, then so that all bytes but the
  // first different one run over all their values.
  void emit_range(CharacterRange range, uint32_t from, uint32_t to) noexcept {
    constexpr uint32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    for (uint32_t length = 1; length <= 4 && range.first <= range.last; ++length) {
      const uint32_t last = std::min(range.last, kLastOfLength[length - 1]);
      if (range.first > last) continue;
      char low[4], high[4];
      encode_utf8(range.first, low);
      encode_utf8(last, high);
      emit_form(low, high, length, from, to);
      range.first = last + 1;
    }
  }
  void emit_form(const char* low, const char* high, uint32_t length, uint32_t from,
                 uint32_t to) noexcept {
    const auto a = static_cast<uint8_t>(low[0]), b = static_cast<uint8_t>(high[0]);
    if (length == 1) return move(from, to, Move::byte, a, b);
    constexpr char kLeast[] = "\x80\x80\x80", kMost[] = "\xBF\xBF\xBF";
    if (a == b) {
      const uint32_t next = node();
      move(from, next, Move::byte, a, a);
      return emit_form(low + 1, high + 1, length - 1, next, to);
    }
    const bool whole_low = std::memcmp(low + 1, kLeast, length - 1) == 0;
    const bool whole_high = std::memcmp(high + 1, kMost, length - 1) == 0;
    const auto first = static_cast<uint8_t>(whole_low ? a : a + 1);
    const auto last = static_cast<uint8_t>(whole_high ? b : b - 1);
    if (!whole_low) {
      const uint32_t next = node();
      move(from, next, Move::byte, a, a);
      emit_form(low + 1, kMost, length - 1, next, to);
    }
    if (first <= last) {
      uint32_t next = node();
      move(from, next, Move::byte, first, last);
      for (uint32_t left = length - 1; left > 0; --left) {
        const uint32_t after = left > 1 ? node() : to;
        move(next, after, Move::byte, 0x80, 0xBF);
        next = after;
      }
    }
    if (!whole_high) {
      const uint32_t next = node();
      move(from, next, Move::byte, b, b);
      emit_form(kLeast, high + 1, length - 1, next, to);
    }
  }

  void emit_tokens(const Expressions::Expression& e, uint32_t from, uint32_t to) noexcept {
    const auto tokens = grammar_.token_list(e);
    const auto first = static_cast<uint32_t>(out_.token_ids.size());
    const auto set = static_cast<uint32_t>(out_.token_sets.size());
    if (!out_.token_ids.append(tokens.data(), tokens.size()) ||
        !out_.token_sets.push_back({first, e.count, e.negated})) {
      return fail();
    }
    std::sort(out_.token_ids.begin() + first, out_.token_ids.end());
    move(from, to, Move::tokens, 0, 0, set);
  }

  // Expressions below this one, counted up to a little more than kUnrolledSize.
  uint32_t size_of(ExpressionId id) noexcept {
    uint32_t size = 0;
    const size_t bottom = stack_.size();
    if (!stack_.push_back(id)) fail();
    while (ok_ && stack_.size() > bottom && size <= kUnrolledSize) {
      const Expressions::Expression& e = grammar_[stack_.back()];
      stack_.pop_back();
      size += 1 + (e.kind == Expressions::Kind::bytes ? e.count : 0);
      if (e.kind == Expressions::Kind::rule) {
        if (inlined_[e.first] && !stack_.push_back(grammar_.rule_at(e.first).body)) fail();
      } else if (e.kind == Expressions::Kind::repeat) {
        size += std::min(e.most == kUnlimited ? e.least : e.most, kUnrolledSize);
        if (!stack_.push_back(e.first)) fail();
      } else if (e.kind == Expressions::Kind::sequence || e.kind == Expressions::Kind::choice) {
        const auto parts = grammar_.children(e);
        if (!stack_.append(parts.data(), parts.size())) fail();
      }
    }
    stack_.truncate(bottom);
    return size;
  }

  void emit_repeat(const Expressions::Expression& e, uint32_t from, uint32_t to) noexcept {
    if (!productive_[e.first]) return move(from, to, Move::empty);  // not even once
    const uint32_t least = nullable_[e.first] ? 0 : e.least;
    const uint32_t copies = e.most == kUnlimited ? least : e.most;
    if (copies > 1 && uint64_t{copies} * size_of(e.first) > kUnrolledSize) {
      const auto loop = static_cast<uint32_t>(out_.loops.size());
      const auto body = static_cast<uint32_t>(bodies_.size());
      if (!bodies_.push_back({e.first, bodies_[starts_.size() - 1].rule}) ||
          !out_.loops.push_back({body, 0, least, e.most})) {
        return fail();
      }
      move(from, to, Move::loop, 0, 0, loop);
      if (least == 0) move(from, to, Move::empty);
      return;
    }
    for (uint32_t i = 0; i < least; ++i) {
      const uint32_t next = node();
      emit(e.first, from, next);
      from = next;
    }
    if (e.most == kUnlimited) {
      const uint32_t middle = node();
      move(from, middle, Move::empty);
      emit(e.first, middle, middle);
      return move(middle, to, Move::empty);
    }
    for (uint32_t i = least; i < e.most; ++i) {
      const uint32_t next = node();
      move(from, to, Move::empty);
      emit(e.first, from, next);
      from = next;
    }
    move(from, to, Move::empty);
  }

  // Moves in the order of the nodes they leave.
  bool sort_moves() noexcept {
    if (!first_move_.resize(n_nodes_ + size_t{1}) || !move_order_.resize(moves_.size())) {
      return false;
    }
    for (const MoveData& m : moves_) ++first_move_[m.from + size_t{1}];
    for (size_t i = 0; i < n_nodes_; ++i) first_move_[i + 1] += first_move_[i];
    Array<uint32_t> at(out_.nodes.allocator());
    if (!at.append(first_move_.data(), n_nodes_)) return false;
    for (uint32_t i = 0; i < moves_.size(); ++i) move_order_[at[moves_[i].from]++] = i;
    return true;
  }
  Span<const uint32_t> moves_from(uint32_t node) const noexcept {
    return move_order_.span().subspan(first_move_[node], first_move_[node + 1] - first_move_[node]);
  }

  // A node without a choice but to go on to another one stands for it. (Bounded: such chains have
  // no cycles, because every cycle has a way out.)
  uint32_t resolve(uint32_t node) const noexcept {
    for (;;) {
      const auto moves = moves_from(node);
      if (moves.size() != 1 || moves_[moves[0]].move != Move::empty) return node;
      node = moves_[moves[0]].to;
    }
  }
  // The automaton's number of a node.
  uint32_t number(uint32_t node) noexcept {
    node = resolve(node);
    if (number_[node] == 0) {
      number_[node] = static_cast<uint32_t>(queue_.size()) + 1;
      if (!queue_.push_back(node)) fail();
    }
    return number_[node] - 1;
  }

  void visit(uint32_t node, uint32_t stamp) noexcept {
    if (stamp_[node] == stamp) return;
    stamp_[node] = stamp;
    if (++visits_ > kMaxVisits) fail("a grammar with so many parts in a row that may be empty");
    if (!stack_.push_back(node)) fail();
  }

  // Nodes without empty moves: each has what can be done at all that it leads to without reading.
  Status close() noexcept {
    for (const Ends& ends : starts_) {
      if (!out_.rules.push_back({number(ends.start), 0})) return Error(ErrorCode::out_of_memory);
    }
    uint32_t stamp = 0;
    for (size_t i = 0; i < queue_.size() && ok_; ++i) {
      Automaton::Node made{static_cast<uint32_t>(out_.edges.size()),
                           static_cast<uint32_t>(out_.calls.size()),
                           static_cast<uint32_t>(out_.token_edges.size()), false, false};
      ++stamp;
      stack_.clear();
      visit(queue_[i], stamp);
      while (ok_ && !stack_.empty()) {
        const uint32_t at = stack_.back();
        stack_.pop_back();
        for (const uint32_t index : moves_from(at)) {
          const MoveData& m = moves_[index];
          bool ok = true;
          switch (m.move) {
            case Move::empty:
              visit(m.to, stamp);
              break;
            case Move::byte:
              ok = out_.edges.push_back({m.first, m.last, number(m.to)});
              break;
            case Move::call:
              ok = out_.calls.push_back({m.argument, number(m.to)});
              break;
            case Move::loop:
              out_.loops[m.argument].exit = number(m.to);
              ok = out_.calls.push_back(
                  {out_.loops[m.argument].body, Automaton::kLoop | m.argument});
              break;
            case Move::tokens:
              ok = out_.token_edges.push_back({m.argument, number(m.to)});
              break;
            case Move::end:
              made.end = true;
              break;
          }
          if (!ok) fail();
        }
        if (out_.edges.size() + out_.calls.size() > Automaton::kMaxEdges) {
          fail("a grammar whose automaton has over 2097152 edges");
        }
      }
      made.only_end = made.end && made.edge == out_.edges.size() &&
                      made.call == out_.calls.size() && made.token_edge == out_.token_edges.size();
      if (!out_.nodes.push_back(made)) fail();
    }
    if (!ok_ ||
        !out_.nodes.push_back({static_cast<uint32_t>(out_.edges.size()),
                               static_cast<uint32_t>(out_.calls.size()),
                               static_cast<uint32_t>(out_.token_edges.size()), false, false})) {
      return failure();
    }
    return {};
  }

  // Ranks of rules, or the error that one of them calls itself first.
  Status rank() noexcept {
    const auto n = static_cast<uint32_t>(out_.rules.size());
    Array<uint8_t> color(out_.nodes.allocator());
    Array<Ends> path(out_.nodes.allocator());  // rule, next call
    if (!color.resize(n)) return Error(ErrorCode::out_of_memory);
    uint32_t next_rank = n;
    for (uint32_t r = 0; r < n; ++r) {
      if (color[r] != 0) continue;
      color[r] = 1;
      if (!path.push_back({r, out_.nodes[out_.rules[r].start].call})) {
        return Error(ErrorCode::out_of_memory);
      }
      while (!path.empty()) {
        Ends& top = path.back();
        if (top.end == out_.nodes[out_.rules[top.start].start + size_t{1}].call) {
          color[top.start] = 2;
          out_.rules[top.start].rank = --next_rank;
          path.pop_back();
          continue;
        }
        const uint32_t called = out_.calls[top.end++].rule;
        if (color[called] == 2) continue;
        if (color[called] == 1) {
          return Error(ErrorCode::bad_argument, "rule ")
                 << grammar_.rule_name(bodies_[called].rule)
                 << " can come back to itself before it has read anything (left recursion)";
        }
        color[called] = 1;
        if (!path.push_back({called, out_.nodes[out_.rules[called].start].call})) {
          return Error(ErrorCode::out_of_memory);
        }
      }
    }
    return {};
  }

  // Bytes to classes of bytes.
  void classify() noexcept {
    bool begins[257] = {};
    for (const Automaton::Edge& edge : out_.edges) {
      begins[edge.first] = true;
      begins[edge.last + 1] = true;
    }
    uint32_t current = 0;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      if (byte > 0 && begins[byte]) ++current;
      out_.class_of[byte] = static_cast<uint8_t>(current);
    }
    out_.n_classes = current + 1;
    for (Automaton::Edge& edge : out_.edges) {
      edge.first = out_.class_of[edge.first];
      edge.last = out_.class_of[edge.last];
    }
  }

  static constexpr uint32_t kNone = UINT32_MAX;

  const Expressions& grammar_;
  Automaton out_;
  bool ok_ = true;
  const char* too_large_ = nullptr;
  ExpressionProperty nullable_, productive_;
  // The automaton with empty moves.
  uint32_t n_nodes_ = 0;
  Array<MoveData> moves_;
  Array<uint32_t> first_move_, move_order_;  // by node
  Array<uint32_t> number_;                   // of a node in the result, plus 1
  Array<uint32_t> stamp_;
  uint64_t visits_ = 0;
  Array<uint32_t> queue_;  // nodes of the result
  Array<uint32_t> stack_;
  Array<bool> inlined_;      // of rules of the grammar
  Array<uint32_t> rule_of_;  // their numbers in the result
  Array<Body> bodies_;       // rules of the result
  Array<Ends> starts_;
};

Result<Automaton> Automaton::compile(const Expressions& grammar, uint32_t root,
                                     const Allocator& allocator, bool may_be_empty) noexcept {
  INLAY_TRY(grammar.status());
  return AutomatonCompiler(grammar, allocator).run(root, may_be_empty);
}

// Round by round: what nodes are alike for one byte more follows from what those are for that they
// lead to. A call reads something before it goes on, and the rules that begin with another one come
// behind that.
INLAY_COLD Status Automaton::find_alike() noexcept {
  const size_t n = nodes.size() - 1;
  Array<uint64_t> before(alike.allocator()), sorted(alike.allocator()), found(alike.allocator());
  Array<uint32_t> starts(alike.allocator());  // of rules, by rank
  Array<uint32_t> sizes(alike.allocator());   // how many nodes are alike for any number of bytes
  if (!alike.resize(n) || !before.resize(n) || !sorted.resize(n) || !found.resize(n) ||
      !starts.resize(rules.size()) || !sizes.resize(n)) {
    return Error(ErrorCode::out_of_memory);
  }
  for (const Rule& rule : rules) starts[rule.rank] = rule.start;
  const auto number_of = [&](size_t node) {
    const Node &from = nodes[node], &next = nodes[node + 1];
    uint64_t hash = from.end ? 1 : 2;
    const auto add = [&hash](uint64_t value) {
      hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 32;
    };
    for (uint32_t i = from.edge; i < next.edge; ++i) {
      add(uint64_t{edges[i].first} << 8 | edges[i].last);
      add(before[edges[i].to]);
    }
    for (uint32_t i = from.token_edge; i < next.token_edge; ++i) {
      add(uint64_t{token_edges[i].set} << 16);
      add(before[token_edges[i].to]);
    }
    for (uint32_t i = from.call; i < next.call; ++i) {
      add(alike[rules[calls[i].rule].start]);
      add((calls[i].next & kLoop) != 0 ? calls[i].next : before[calls[i].next]);
    }
    return hash & ~kExactly;
  };
  const auto distinct = [&] {
    std::memcpy(sorted.data(), alike.data(), n * sizeof(uint64_t));
    std::sort(sorted.begin(), sorted.end());
    size_t count = n == 0 ? 0 : 1;
    for (size_t i = 1; i < n; ++i) count += sorted[i] != sorted[i - 1] ? 1 : 0;
    return count;
  };
  const auto round = [&] {
    std::memcpy(before.data(), alike.data(), n * sizeof(uint64_t));
    for (size_t rank = starts.size(); rank-- > 0;) alike[starts[rank]] = number_of(starts[rank]);
    for (size_t node = 0; node < n; ++node) alike[node] = number_of(node);
  };
  for (uint32_t bytes = 0; bytes < kAlikeBytes; ++bytes) round();
  std::memcpy(found.data(), alike.data(), n * sizeof(uint64_t));
  // Goes on until one more byte tells no more of them apart, for then none ever does. If that is
  // much work, only those are exact that are alone.
  constexpr size_t kVisits = size_t{1} << 21;
  size_t classes = distinct(), before_last = 0;
  for (size_t visits = 0; classes != before_last && visits < kVisits; visits += n + edges.size()) {
    before_last = classes;
    round();
    classes = distinct();
  }
  const bool stable = classes == before_last;
  const auto size_of = [&](uint64_t number) {
    const auto equal = std::equal_range(sorted.begin(), sorted.end(), number);
    return static_cast<uint32_t>(equal.second - equal.first);
  };
  for (size_t node = 0; node < n; ++node) sizes[node] = stable ? size_of(alike[node]) : 1;
  std::memcpy(alike.data(), found.data(), n * sizeof(uint64_t));
  (void)distinct();
  for (size_t node = 0; node < n; ++node) {
    if (size_of(found[node]) == sizes[node]) alike[node] |= kExactly;
  }
  return {};
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_AUTOMATON_INL_HPP_
