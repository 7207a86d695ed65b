#ifndef INLAY_SESSION_LOGPROBS_INL_HPP_
#define INLAY_SESSION_LOGPROBS_INL_HPP_

#include <algorithm>
#include <cstring>

#include "inlay/session/logprobs.hpp"
#include "inlay/session/sampler-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// The logarithm of the sum of exponentials. `top`: the greatest of the logits.
inline double log_sum_exp(const Kernels& kernels, Span<const float> logits, float top) noexcept {
  uint64_t total = 0;
  for_each_weight(kernels, logits, top, [&total](size_t, uint64_t, uint64_t weight) {
    total += weight;
    return true;
  });
  const double bits = log2_exactly(static_cast<double>(total)) - kWeightBits;
  return static_cast<double>(top) + bits * kLn2;
}

INLAY_COLD void LogprobTable::clear() noexcept {
  std::fill(entries_, entries_ + entries(), TokenLogprob());
}

INLAY_COLD void LogprobTable::note_logits(uint32_t place, const Logits& logits,
                                          Span<Candidate> list) noexcept {
  std::memcpy(logits_, logits.all.data(), logits.all.size() * sizeof(float));
  log_total_ = log_sum_exp(logits.kernels, logits.all, greatest(logits.maxima));
  TokenLogprob* const top = entries_ + size_t{place} * row() + 2;
  const size_t n = top_ == 0 ? 0 : take_top(logits, top_, list);
  for (size_t i = 0; i < top_; ++i) {
    top[i] = TokenLogprob();
    if (i < n) top[i] = {list[i].id, static_cast<float>(list[i].logit - log_total_)};
  }
}

INLAY_COLD void LogprobTable::note_drawn(uint32_t place, TokenSampler* sampler) noexcept {
  TokenLogprob* const entry = entries_ + size_t{place} * row();
  const Candidate drawn = sampler->drawn();
  const float logit = logits_[static_cast<size_t>(drawn.id)];
  entry[0] = {drawn.id, static_cast<float>(static_cast<double>(logit) - log_total_)};
  entry[1] = {drawn.id, sampler->log_probability(drawn)};
  const Span<Candidate> left = sampler->left();
  const size_t n = std::min<size_t>(left.size(), top_);
  std::partial_sort(left.begin(), left.begin() + n, left.end(), kMoreProbable);
  for (size_t i = 0; i < top_; ++i) {
    TokenLogprob& to = entry[2 + top_ + i];
    to = TokenLogprob();
    if (i < n) to = {left[i].id, sampler->log_probability(left[i])};
  }
}

INLAY_COLD Logprobs LogprobTable::at(uint32_t place) const noexcept {
  Logprobs out;
  if (place >= places_) return out;
  const TokenLogprob* const entry = entries_ + size_t{place} * row();
  if (entry->token == kNoToken) return out;
  const auto known = [this](const TokenLogprob* top) {
    size_t n = 0;
    while (n < top_ && top[n].token != kNoToken) ++n;
    return Span<const TokenLogprob>(top, n);
  };
  out.before = entry[0];
  out.after = entry[1];
  out.top_before = known(entry + 2);
  out.top_after = known(entry + 2 + top_);
  return out;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_LOGPROBS_INL_HPP_
