// A compiled grammar: a pushdown automaton over bytes, without empty moves.
#ifndef INLAY_GRAMMAR_AUTOMATON_HPP_
#define INLAY_GRAMMAR_AUTOMATON_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/grammar/expression.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Nodes are places in rules. From a node a byte or a whole token leads to another one, or a rule is
// called and goes on, at its end, where the call says. Small rules that are not recursive are
// copied to where they are called; long counted repetitions are loops, not copies.
//
// A call always reads at least one byte or token: where a rule can be empty, the way around it is
// there as well. And no rule calls itself before it has read something (left recursion): such
// grammars are refused. So the calls at one place of a text have an order, which is what lets equal
// ones be merged (machine.hpp).
struct Automaton {
  static constexpr size_t kMaxNodes = size_t{1} << 20;
  static constexpr size_t kMaxEdges = size_t{1} << 21;

  explicit Automaton(const Allocator& allocator) noexcept
      : nodes(allocator),
        edges(allocator),
        calls(allocator),
        token_edges(allocator),
        token_sets(allocator),
        token_ids(allocator),
        loops(allocator),
        rules(allocator),
        alike(allocator) {}
  Automaton(Automaton&&) noexcept = default;
  Automaton& operator=(Automaton&&) noexcept = default;

  // Errors: bad_argument (left recursion; a grammar without any text, unless `may_be_empty`: names
  // the rule), unsupported (names the bound that the grammar exceeds), out_of_memory.
  static Result<Automaton> compile(const Expressions& grammar, uint32_t root,
                                   const Allocator& allocator, bool may_be_empty = false) noexcept;

  struct Edge {
    uint8_t first, last;  // classes of bytes
    uint32_t to;
  };
  // Where a call goes on: a node, or, with this bit, a loop.
  static constexpr uint32_t kLoop = 1u << 31;
  struct Call {
    uint32_t rule, next;
  };
  struct TokenEdge {
    uint32_t set, to;
  };
  struct TokenSet {
    uint32_t first, count;  // in token_ids, ascending
    bool negated;
  };
  struct Node {
    uint32_t edge, call, token_edge;  // the first ones; the next node's are behind the last ones
    bool end;                         // of the rule
    bool only_end;                    // and there is nothing else to do here
  };
  // `least` to `most` times the rule `body`, then on to `exit`.
  struct Loop {
    uint32_t body, exit, least, most;
  };
  struct Rule {
    uint32_t start;
    uint32_t rank;  // a rule is called without reading only from those of lower ranks
  };

  bool token_in(uint32_t set, Token token) const noexcept;

  // Fills `alike`. Errors: out_of_memory.
  Status find_alike() noexcept;
  static constexpr uint32_t kAlikeBytes = 16;
  // Of a number in `alike`: nodes that have it have the same texts of any length.
  static constexpr uint64_t kExactly = 1;

  uint32_t root = 0;
  bool root_empty = false;  // whether the empty text is one of the grammar's
  uint32_t n_classes = 0;   // bytes that no edge tells apart are of one class
  uint8_t class_of[256] = {};
  Array<Node> nodes;  // and one more behind the last
  Array<Edge> edges;
  Array<Call> calls;
  Array<TokenEdge> token_edges;
  Array<TokenSet> token_sets;
  Array<Token> token_ids;
  Array<Loop> loops;
  Array<Rule> rules;
  // [nodes] or nothing. The same number: the same texts of at most kAlikeBytes bytes lead on within
  // the rule, and to places that are alike for what is left. (Others may have it by chance, 1 in
  // 2^63.) So the places of a long repetition that is written out count as one.
  Array<uint64_t> alike;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_AUTOMATON_HPP_
