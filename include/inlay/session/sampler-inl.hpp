#ifndef INLAY_SESSION_SAMPLER_INL_HPP_
#define INLAY_SESSION_SAMPLER_INL_HPP_

#include <algorithm>
#include <cmath>

#include "inlay/session/sampler.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Keskar et al. 2019 (CTRL), as llama.cpp applies it: once per distinct token of the last
// `repeat_last_n`.
inline void penalize_repetition(const Sampling& s, Span<float> logits,
                                Span<const Token> recent) noexcept {
  if (s.repeat_penalty == 1.0f) return;
  const size_t n = recent.size() < s.repeat_last_n ? recent.size() : s.repeat_last_n;
  const Span<const Token> last = recent.subspan(recent.size() - n);
  for (size_t i = 0; i < n; ++i) {
    bool seen = false;
    for (size_t j = 0; j < i && !seen; ++j) seen = last[j] == last[i];
    if (seen) continue;
    float& logit = logits[static_cast<size_t>(last[i])];
    logit = logit > 0 ? logit / s.repeat_penalty : logit * s.repeat_penalty;
  }
}

inline Token argmax(Span<const float> logits) noexcept {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return static_cast<Token>(best);
}

Token sample(const Sampling& s, Span<float> logits, Span<Candidate> candidates,
             Span<const Token> recent, Random* random) noexcept {
  penalize_repetition(s, logits, recent);
  if (s.temperature <= 0) return argmax({logits.data(), logits.size()});

  // Most probable first; of equals the lower id, so that the order is the same everywhere.
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  for (size_t i = 0; i < logits.size(); ++i) candidates[i] = {static_cast<Token>(i), logits[i]};
  Candidate* first = candidates.begin();
  size_t n = logits.size();
  if (s.top_k > 0 && s.top_k < n) {
    std::partial_sort(first, first + s.top_k, first + n, before);
    n = s.top_k;
  } else {
    std::sort(first, first + n, before);
  }

  // Each filter keeps a front part of the sorted list, at least one token. Probabilities are
  // relative to what the filter before it left.
  const float top = first[0].logit;
  if (s.top_p < 1) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; ++i) total += std::exp(double{first[i].logit} - double{top});
    size_t kept = 0;
    while (kept < n && (kept == 0 || sum < double{s.top_p} * total)) {
      sum += std::exp(double{first[kept++].logit} - double{top});
    }
    n = kept;
  }
  if (s.min_p > 0) {
    const float least = top + std::log(s.min_p);
    size_t kept = 1;
    while (kept < n && first[kept].logit >= least) ++kept;
    n = kept;
  }

  double total = 0;
  const auto weight = [&](size_t i) {
    return std::exp((double{first[i].logit} - double{top}) / double{s.temperature});
  };
  for (size_t i = 0; i < n; ++i) total += weight(i);
  double left = random->uniform() * total;
  for (size_t i = 0; i < n; ++i) {
    left -= weight(i);
    if (left < 0) return first[i].id;
  }
  return first[n - 1].id;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SAMPLER_INL_HPP_
