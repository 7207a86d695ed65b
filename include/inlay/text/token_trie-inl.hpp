#ifndef INLAY_TEXT_TOKEN_TRIE_INL_HPP_
#define INLAY_TEXT_TOKEN_TRIE_INL_HPP_

#include <algorithm>

#include "inlay/core/memory.hpp"
#include "inlay/text/token_trie.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

Status TokenTrie::add(std::string_view text, Token token) noexcept {
  if (text.size() > kLongest) {
    return Error(ErrorCode::corrupt, "tokenizer.ggml.tokens[")
           << token << "]: a text of " << static_cast<uint64_t>(text.size())
           << " bytes, expected at most " << static_cast<uint64_t>(kLongest);
  }
  if (text.empty()) return Status();
  if (!entries_.push_back({text.data(), static_cast<uint32_t>(text.size()), token}))
    return Error(ErrorCode::out_of_memory);
  return Status();
}

Status TokenTrie::sort_more() noexcept {
  constexpr size_t kRun = 16, kRuns = 128;
  if (runs_ == 0) {
    for (runs_ = 1; entries_.size() / runs_ >= kRun;) runs_ *= 2;
    return left_half_.reserve(div_up(entries_.size(), 2)) ? Status()
                                                          : Error(ErrorCode::out_of_memory);
  }
  if (!merging_) {
    for (size_t n = 0; n < kRuns && run_ < runs_; ++n, ++run_) sort_run();
    merging_ = run_ == runs_;
    if (merging_) run_ = 0;
  } else if (runs_ > 1) {
    size_t merges = kRun * kRuns / 2 * runs_ / entries_.size() + 1;  // of short runs several
    while (merges-- > 0 && run_ < runs_ && merge_more()) run_ += 2;
    if (run_ == runs_) {
      runs_ /= 2;
      run_ = 0;
    }
  } else {
    index_more();
  }
  return {};
}

// By insertion.
void TokenTrie::sort_run() noexcept {
  Entry *const begin = entries_.begin() + run_begin(run_), *const end = entries_.begin() +
                                                                        run_begin(run_ + 1);
  for (Entry* next = begin; next < end; ++next) {
    const Entry entry = *next;
    Entry* at = next;
    for (; at > begin && entry < at[-1]; --at) *at = at[-1];
    *at = entry;
  }
}

// Of run_ and the next; whether they are one.
bool TokenTrie::merge_more() noexcept {
  constexpr size_t kCopied = 4096, kMerged = 2048;
  const size_t begin = run_begin(run_), middle = run_begin(run_ + 1), end = run_begin(run_ + 2);
  const size_t copied = left_half_.size(), rest = middle - begin - copied;
  if (rest > 0) {
    (void)left_half_.append(entries_.data() + begin + copied, rest < kCopied ? rest : kCopied);
    if (rest > kCopied / 8) return false;
  }
  // The rest of the right run lies where it belongs.
  const Entry *left = left_half_.begin() + from_left_, *const left_end = left_half_.end();
  const Entry *right = entries_.begin() + middle + next_, *const right_end = entries_.begin() + end;
  Entry* to = entries_.begin() + begin + from_left_ + next_;
  for (size_t n = 0; n < kMerged && left < left_end; ++n) {
    *to++ = right < right_end && *right < *left ? *right++ : *left++;
  }
  from_left_ = static_cast<size_t>(left - left_half_.begin());
  next_ = static_cast<size_t>(right - entries_.begin()) - middle;
  if (left < left_end) return false;
  left_half_.clear();
  from_left_ = next_ = 0;
  return true;
}

void TokenTrie::index_more() noexcept {
  constexpr size_t kIndexed = 8192;
  for (size_t n = 0; n < kIndexed && next_ < entries_.size(); ++n, ++next_) {
    const Entry entry = entries_[next_];
    if (kept_ > 0 && entries_[kept_ - 1].view() == entry.view()) continue;
    const auto byte = static_cast<uint8_t>(entry.text[0]);
    while (known_bytes_ <= byte) begins_[known_bytes_++] = static_cast<uint32_t>(kept_);
    entries_[kept_++] = entry;
  }
  if (next_ < entries_.size()) return;
  while (known_bytes_ <= 256) begins_[known_bytes_++] = static_cast<uint32_t>(kept_);
  entries_.truncate(kept_);
  left_half_ = Array<Entry>(entries_.allocator());
  sorted_ = true;
}

TokenTrie::Node TokenTrie::next(const Node& node, char byte) const noexcept {
  const auto value = static_cast<uint8_t>(byte);
  if (node.depth == 0) return {begins_[value], begins_[value + 1], 1};
  const auto byte_of = [&](const Entry& entry) {
    return static_cast<uint8_t>(entry.text[node.depth]);
  };
  const Entry* first = entries_.begin() + node.first;
  const Entry* const last = entries_.begin() + node.last;
  if (first < last && first->size == node.depth) ++first;  // ends here
  first = std::partition_point(first, last, [&](const Entry& e) { return byte_of(e) < value; });
  const Entry* const end =
      std::partition_point(first, last, [&](const Entry& e) { return byte_of(e) == value; });
  return {static_cast<uint32_t>(first - entries_.begin()),
          static_cast<uint32_t>(end - entries_.begin()), node.depth + 1};
}

Token TokenTrie::token(const Node& node) const noexcept {
  if (node.empty() || entries_[node.first].size != node.depth) return kNoToken;
  return entries_[node.first].token;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_TOKEN_TRIE_INL_HPP_
