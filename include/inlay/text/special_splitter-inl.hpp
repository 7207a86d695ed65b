#ifndef INLAY_TEXT_SPECIAL_SPLITTER_INL_HPP_
#define INLAY_TEXT_SPECIAL_SPLITTER_INL_HPP_

#include <algorithm>

#include "inlay/text/special_splitter.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

uint32_t SpecialSplitter::child(uint32_t parent, uint8_t byte) const noexcept {
  const size_t mask = edges_.size() - 1;
  for (size_t i = edge_hash(parent, byte) & mask;; i = (i + 1) & mask) {
    const Edge& edge = edges_[i];
    if (edge.child == kNoNode || (edge.parent == parent && edge.byte == byte)) return edge.child;
  }
}

INLAY_COLD Status SpecialSplitter::create(const Vocabulary& vocabulary) noexcept {
  begin(vocabulary);
  while (!complete()) INLAY_TRY(load_more());
  return {};
}

Status SpecialSplitter::load_more() noexcept {
  constexpr size_t kAtOnce = 16384, kByte = 8;  // a token, and each byte of a special one
  if (pass_ == Pass::room) {
    if (edges_.fill(kAtOnce / 2)) pass_ = Pass::add;
    return {};
  }
  const uint32_t size = vocabulary_->size();
  uint32_t token = next_;
  for (size_t work = 0; work < kAtOnce && token < size; ++work, ++token) {
    if ((vocabulary_->traits(token) & (kTokenControl | kTokenUserDefined | kTokenUnknown)) == 0)
      continue;
    INLAY_TRY(visit(token));
    work += vocabulary_->text(token).size() * kByte;
  }
  next_ = token < size ? token : 0;
  if (next_ > 0) return {};
  if (pass_ == Pass::count) {
    if (!nodes_.reserve(bytes_ + 1) || !nodes_.resize(1) || !edges_.reserve(hash_slots(bytes_))) {
      return Error(ErrorCode::out_of_memory);
    }
  } else if (pass_ == Pass::add && !runs_are_short(edges_.size(), [this](size_t i) {
               return edges_[i].child != kNoNode;
             })) {
    return Error(ErrorCode::corrupt,
                 "tokenizer.ggml.tokens: expected special tokens of which few share hashes");
  }
  pass_ = static_cast<Pass>(static_cast<uint8_t>(pass_) + 1);
  return {};
}

// A special token, in one of the passes.
Status SpecialSplitter::visit(uint32_t token) noexcept {
  const std::string_view text = vocabulary_->text(token);
  if (pass_ == Pass::count) {
    if (text.size() > kLongest) {
      return Error(ErrorCode::corrupt, "tokenizer.ggml.tokens[")
             << token << "]: a special token of " << static_cast<uint64_t>(text.size())
             << " bytes, expected at most " << static_cast<uint64_t>(kLongest);
    }
    bytes_ += text.size();
    return {};
  }
  const size_t mask = edges_.size() - 1;
  uint32_t node = 0, shorter = kNoNode;
  for (char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (nodes_[node].token != kNoToken) shorter = node;
    uint32_t next = child(node, byte);
    if (next == kNoNode) {
      next = static_cast<uint32_t>(nodes_.size());
      (void)nodes_.push_back({kNoToken, nodes_[node].size + 1, kNoNode});  // there is room
      size_t slot = edge_hash(node, byte) & mask;
      while (edges_[slot].child != kNoNode) slot = (slot + 1) & mask;
      edges_[slot] = {node, next, byte};
    }
    node = next;
  }
  nodes_[node].token = static_cast<Token>(token);
  nodes_[node].shorter = shorter;  // right when all are added
  starts_[static_cast<uint8_t>(text[0])] = true;
  return {};
}

bool SpecialSplitter::counts(uint32_t node, bool parse_special) const noexcept {
  const Token token = nodes_[node].token;
  return token != kNoToken && (parse_special || (vocabulary_->traits(static_cast<uint32_t>(token)) &
                                                 (kTokenControl | kTokenUnknown)) == 0);
}

// The node of the longest token that the text has at `at`, or kNoNode.
uint32_t SpecialSplitter::longest_at(std::string_view text, size_t at,
                                     bool parse_special) const noexcept {
  uint32_t longest = kNoNode;
  for (uint32_t node = 0; at < text.size(); ++at) {
    node = child(node, static_cast<uint8_t>(text[at]));
    if (node == kNoNode) break;
    if (counts(node, parse_special)) longest = node;
  }
  return longest;
}

inline constexpr uint32_t kTaken = 0x7FFFFFFF;         // a byte of a token that has its place
inline constexpr uint32_t kTokenStarts = 0x80000000u;  // with the token: its first byte

// Gives the tokens of a stretch of overlapping candidates their places. (*found)[i]: the longest
// candidate's node at byte i, or kNoNode; afterwards kTokenStarts | token, kTaken, or anything else
// for ordinary text.
bool SpecialSplitter::place(std::string_view cluster, bool parse_special, Array<Place>* queue,
                            Array<uint32_t>* found) const noexcept {
  const auto place_of = [this](uint32_t at, uint32_t node) {
    return Place{nodes_[node].size, nodes_[node].token, at, node};
  };
  const auto taken = [found](size_t at) { return (*found)[at] >= kTaken; };
  queue->clear();
  for (uint32_t i = 0; i < cluster.size(); ++i) {
    if ((*found)[i] != kNoNode && !queue->push_back(place_of(i, (*found)[i]))) return false;
  }
  std::make_heap(queue->begin(), queue->end());
  while (!queue->empty()) {
    const Place best = (*queue)[0];
    std::pop_heap(queue->begin(), queue->end());
    queue->pop_back();
    if (taken(best.at)) continue;
    // All that have their place are at least as long as this one, so one that overlaps it covers
    // its first or last byte.
    uint32_t node = best.node;
    while (node != kNoNode &&
           (taken(best.at + nodes_[node].size - 1) || !counts(node, parse_special))) {
      node = nodes_[node].shorter;
    }
    if (node == kNoNode) continue;
    if (node != best.node) {
      if (!queue->push_back(place_of(best.at, node))) return false;
      std::push_heap(queue->begin(), queue->end());
      continue;
    }
    for (uint32_t i = 0; i < best.size; ++i) (*found)[best.at + i] = kTaken;
    (*found)[best.at] = kTokenStarts | static_cast<uint32_t>(best.token);
  }
  return true;
}

bool SpecialSplitter::split(std::string_view text, bool parse_special,
                            Array<Fragment>* out) const noexcept {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  const auto add_text = [&](size_t begin, size_t end) {
    if (!out->empty() && out->back().token != kNoToken &&
        (vocabulary_->traits(static_cast<uint32_t>(out->back().token)) & kTokenStripRight) != 0) {
      while (begin < end && is_space(text[begin])) ++begin;
    }
    return begin == end || out->push_back({slice(text, begin, end - begin), kNoToken});
  };
  const auto add_token = [&](Token token) {
    if ((vocabulary_->traits(static_cast<uint32_t>(token)) & kTokenStripLeft) != 0 &&
        !out->empty() && out->back().token == kNoToken) {
      std::string_view& before = out->back().text;
      while (!before.empty() && is_space(before.back())) before.remove_suffix(1);
      if (before.empty()) out->pop_back();
    }
    return out->push_back({vocabulary_->text(static_cast<uint32_t>(token)), token});
  };

  Array<Place> queue(out->allocator());
  Array<uint32_t> found(out->allocator());
  size_t text_begin = 0;
  for (size_t at = 0; at < text.size();) {
    uint32_t node = kNoNode;
    if (!starts_[static_cast<uint8_t>(text[at])] ||
        (node = longest_at(text, at, parse_special)) == kNoNode) {
      ++at;
      continue;
    }
    // Other candidates may begin within this one, and others within those.
    size_t end = at + nodes_[node].size;
    bool alone = true;
    found.clear();
    if (!found.push_back(node)) return false;
    for (size_t i = at + 1; i < end; ++i) {
      node = starts_[static_cast<uint8_t>(text[i])] ? longest_at(text, i, parse_special) : kNoNode;
      if (!found.push_back(node)) return false;
      if (node == kNoNode) continue;
      alone = false;
      if (i + nodes_[node].size > end) end = i + nodes_[node].size;
    }
    if (alone) {
      const Token token = nodes_[found[0]].token;
      for (uint32_t& byte : found) byte = kTaken;
      found[0] = kTokenStarts | static_cast<uint32_t>(token);
    } else if (!place(slice(text, at, end - at), parse_special, &queue, &found)) {
      return false;
    }
    for (size_t i = at; i < end; ++i) {
      const uint32_t state = found[i - at];
      if (state == kTaken) {
        text_begin = i + 1;
      } else if ((state & kTokenStarts) != 0) {
        if (!add_text(text_begin, i) || !add_token(static_cast<Token>(state & ~kTokenStarts)))
          return false;
        text_begin = i + 1;
      }
    }
    at = end;
  }
  return add_text(text_begin, text.size());
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_SPECIAL_SPLITTER_INL_HPP_
