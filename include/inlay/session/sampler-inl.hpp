#ifndef INLAY_SESSION_SAMPLER_INL_HPP_
#define INLAY_SESSION_SAMPLER_INL_HPP_

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "inlay/core/system.hpp"
#include "inlay/session/candidate_list-inl.hpp"
#include "inlay/session/sampler.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

INLAY_COLD SamplerState::SamplerState(const Sampling& s) noexcept
    : random(s.seed), mu(2 * static_cast<double>(s.mirostat_tau)) {
  // As if all tokens so far had had the probability that is wanted.
  const double decay = std::min(std::max(s.adaptive_decay, 0.0f), 0.99f);
  adaptive_count = 1 / (1 - decay);
  adaptive_sum = static_cast<double>(s.adaptive_target) / (1 - decay);
}

INLAY_COLD void SamplerState::save(uint64_t* words) const noexcept {
  words[0] = random.state();
  std::memcpy(words + 1, &mu, sizeof mu);
  std::memcpy(words + 2, &adaptive_sum, sizeof mu);
  std::memcpy(words + 3, &adaptive_count, sizeof mu);
}

INLAY_COLD void SamplerState::restore(const uint64_t* words) noexcept {
  random = Random(words[0]);
  std::memcpy(&mu, words + 1, sizeof mu);
  std::memcpy(&adaptive_sum, words + 2, sizeof mu);
  std::memcpy(&adaptive_count, words + 3, sizeof mu);
}

inline void TokenSampler::bias() noexcept {
  for (const Token token : tokenizer_.suppressed()) list_.set_logit(token, kImpossible);
  for (const LogitBias& bias : s_.logit_bias) {
    const size_t id = static_cast<size_t>(bias.token);
    const Span<const float> logits = list_.logits();
    if (id < logits.size()) list_.set_logit(bias.token, logits[id] + bias.bias);
  }
  if (!s_.ignore_eos) return;
  for (const Token token : tokenizer_.ends()) list_.set_logit(token, kImpossible);
}

inline Span<const Token> TokenSampler::last(uint32_t n) const noexcept {
  return recent_.subspan(recent_.size() - std::min<size_t>(n, recent_.size()));
}

// By id; of one id, the greatest count first.
INLAY_COLD inline void sort_counts(Span<TokenCount> counts) noexcept {
  std::sort(counts.begin(), counts.end(), [](const TokenCount& a, const TokenCount& b) {
    return a.id < b.id || (a.id == b.id && a.count > b.count);
  });
}

// ---- samplers that change logits ----

// Keskar et al. 2019 (CTRL), with what OpenAI's interface adds.
INLAY_COLD inline void TokenSampler::penalties() noexcept {
  const double frequency = s_.frequency_penalty, presence = s_.presence_penalty;
  if (s_.repeat_penalty == 1.0f && frequency == 0 && presence == 0) return;
  size_t n = 0;
  for (const Token token : last(s_.repeat_last_n)) counts_[n++] = {token, 1};
  sort_counts(counts_.subspan(0, n));
  size_t distinct = 0;
  for (size_t i = 0; i < n; ++i) {
    if (distinct > 0 && counts_[distinct - 1].id == counts_[i].id) {
      ++counts_[distinct - 1].count;
    } else {
      counts_[distinct++] = counts_[i];
    }
  }
  list_.change(counts_.subspan(0, distinct), [&](const TokenCount& c, float logit) {
    logit = logit > 0 ? logit / s_.repeat_penalty : logit * s_.repeat_penalty;
    return static_cast<float>(static_cast<double>(logit) - (c.count * frequency + presence));
  });
}

// Bytes of a sequence breaker that count, and of a token in which it is looked for.
inline constexpr size_t kBreakerBytes = 40, kBreakerTokenBytes = 472;

// Whether the token has a sequence breaker in it.
INLAY_COLD inline bool TokenSampler::has_breaker(Token token) const noexcept {
  return free_of_breakers({&token, 1}) == 0;
}

// How many of the last tokens come after the last sequence breaker; all if there is none. A breaker
// is looked for in the text of a token and of those after it.
INLAY_COLD inline size_t TokenSampler::free_of_breakers(Span<const Token> tokens) const noexcept {
  char text[kBreakerTokenBytes + kBreakerBytes];
  size_t size = 0;                   // of `text`: the token and the start of what follows
  uint16_t ends[kBreakerBytes + 1];  // where the token and those after it end in `text`
  size_t n_ends = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Token token = tokens[tokens.size() - 1 - i];
    char piece[kBreakerTokenBytes];
    size_t bytes = tokenizer_.piece(token, piece, true);
    if (bytes > sizeof piece) bytes = 0;  // no text that matters is so long
    size = std::min(size, kBreakerBytes);
    std::memmove(text + bytes, text, size);
    std::memcpy(text, piece, bytes);
    size += bytes;
    n_ends = std::min(n_ends, kBreakerBytes);
    for (size_t k = n_ends; k > 0; --k) ends[k] = static_cast<uint16_t>(ends[k - 1] + bytes);
    ends[0] = static_cast<uint16_t>(bytes);
    ++n_ends;
    size_t longest = 0;  // tokens that a breaker takes
    for (const std::string_view breaker : s_.dry_sequence_breakers) {
      const std::string_view wanted = slice(breaker, 0, kBreakerBytes);
      const std::string_view all(text, size);
      for (size_t at = 0; !wanted.empty() && at < bytes; ++at) {
        if (slice(all, at, wanted.size()) != wanted) continue;
        size_t k = 0;
        while (k + 1 < n_ends && ends[k] < at + wanted.size()) ++k;
        longest = std::max(longest, k + 1);
      }
    }
    if (longest > 0) return i + 1 - longest;
  }
  return tokens.size();
}

// How far the text's end also stands before, for each place: the Z algorithm, from the end.
INLAY_COLD inline void TokenSampler::dry() noexcept {
  if (s_.dry_multiplier == 0 || s_.dry_base < 1) return;
  const Span<const Token> text = last(s_.dry_last_n);
  const size_t n = text.size(), allowed = s_.dry_allowed_length;
  if (n <= allowed) return;
  const size_t limit = free_of_breakers(text);
  if (limit < allowed) return;
  const auto at = [&](size_t i) { return text[n - 1 - i]; };
  const auto extend = [&](size_t from, size_t k) {
    while (from < n && at(from) == at(from - k)) ++from;
    return from;
  };
  size_t left = 0, right = 0;  // the match that reaches furthest: [left, right)
  for (size_t k = 1; k < n; ++k) {
    size_t length = k < right ? std::min<size_t>(counts_[k - left].count, right - k) : 0;
    if (k + length >= right) {
      left = k;
      right = extend(k + length, k);
      length = right - k;
    }
    counts_[k] = {at(k - 1), static_cast<uint32_t>(length)};  // the token that went on there
  }
  size_t m = 0;
  for (size_t k = 1; k < n; ++k) {
    const uint32_t length = static_cast<uint32_t>(std::min<size_t>(counts_[k].count, limit));
    if (length >= allowed) counts_[m++] = {counts_[k].id, length};
  }
  sort_counts(counts_.subspan(0, m));
  size_t distinct = 0;
  for (size_t i = 0; i < m; ++i) {
    if (distinct == 0 || counts_[distinct - 1].id != counts_[i].id)
      counts_[distinct++] = counts_[i];
  }
  list_.change(counts_.subspan(0, distinct), [&](const TokenCount& c, float logit) {
    if (has_breaker(c.id)) return logit;
    double penalty = s_.dry_multiplier, power = s_.dry_base;
    for (size_t e = c.count - allowed; e > 0; e >>= 1, power *= power) {
      if (e % 2 == 1) penalty *= power;
    }
    const double most = std::numeric_limits<float>::max();
    return logit - static_cast<float>(std::min(penalty, most));
  });
}

// Entropy decides on the temperature if `dynamic`.
INLAY_COLD inline void TokenSampler::temperature(bool dynamic) noexcept {
  if (greedy()) return;
  float divisor = s_.temperature;
  if (dynamic && s_.dynatemp_range > 0) {
    if (!list_.has_choice()) return;
    if (list_.listed()) list_.unordered();
    Softmax p = {list_.greatest_logit(), 0};
    MeanBits mean;
    list_.weigh(p, [&](size_t, uint64_t bits, uint64_t weight) {
      p.total += weight;
      mean.add(bits, weight);
      return true;
    });
    list_.raw();  // listed: of what is drawn again, the entropy is another
    const double most = log2_exactly(static_cast<double>(list_.size_with_impossible()));
    const double bits = log2_exactly(static_cast<double>(p.total)) - kWeightBits;
    double part = (mean.mean(p.total) * 0x1p-32 + bits) / most;
    if (s_.dynatemp_exponent != 1) {
      part = part > 0 ? exp2_exactly(static_cast<double>(s_.dynatemp_exponent) * log2_exactly(part))
             : s_.dynatemp_exponent == 0 ? 1
                                         : 0;
    }
    const float least = std::max(0.0f, divisor - s_.dynatemp_range);
    const float span = static_cast<float>((divisor + s_.dynatemp_range - least) * part);
    divisor = least + span;
    if (divisor <= 0) return list_.keep_top(1);
  }
  if (divisor != 1) list_.divide(divisor);
}

// ---- samplers that remove candidates ----

inline void TokenSampler::top_k() noexcept {
  if (s_.top_k > 0) list_.keep_top(s_.top_k);
}

inline void TokenSampler::top_p() noexcept {
  if (!(s_.top_p < 1)) return;
  list_.keep_front(false, {static_cast<double>(s_.top_p), false, s_.min_keep});
}

inline void TokenSampler::min_p() noexcept {
  if (!(s_.min_p > 0)) return;
  const double most = -log2_exactly(static_cast<double>(s_.min_p)) * kLn2;
  const bool above = s_.min_p > 1;  // more than the best has: the first alone is kept
  const size_t first = above || s_.min_keep > 1 ? std::max(1u, s_.min_keep) : 0;
  if (list_.listed()) list_.unordered();
  if (first > 0) list_.sort(std::min(first, list_.unordered().size()));
  const float top = list_.greatest_logit();
  const double best = static_cast<double>(top);  // of a little more than needed
  list_.keep_from(best - most - 1e-6 * (std::fabs(best) + most));
  size_t i = 0;
  list_.keep_if([&](const Candidate& c) {
    return i++ < first ||
           (!above && (c.logit == top || best - static_cast<double>(c.logit) <= most));
  });
  list_.keep_impossible(s_.min_keep);
}

INLAY_COLD inline void TokenSampler::top_n_sigma() noexcept {
  if (!(s_.top_n_sigma > 0) || list_.settled().list.size() <= 1) return;
  const Span<const Candidate> list = list_.raw();
  const size_t all = list_.size_with_impossible();
  const double n = static_cast<double>(list.size());
  double sum = 0, squares = 0;
  const float top = list_.greatest_logit();
  for (const Candidate& c : list) sum += static_cast<double>(c.logit);
  const float mean = static_cast<float>(sum / n);
  for (const Candidate& c : list) {
    const double off = static_cast<double>(c.logit - mean);
    squares += off * off;  // exact: 24 bits times 24
  }
  const float sigma = static_cast<float>(std::sqrt(squares / n));
  const float range = s_.top_n_sigma * sigma;
  const double least = static_cast<double>(top) - static_cast<double>(range);
  list_.keep_if([&](const Candidate& c) { return static_cast<double>(c.logit) >= least; });
  // llama.cpp takes their probability only.
  list_.set_impossible(all - list_.raw().size());
}

// Meister et al. 2022.
INLAY_COLD inline void TokenSampler::typical_p() noexcept {
  if (!(s_.typical_p < 1)) return;
  list_.keep_front(true, {static_cast<double>(s_.typical_p), true, s_.min_keep});
}

INLAY_COLD inline void TokenSampler::xtc() noexcept {
  if (!(s_.xtc_probability > 0) || s_.xtc_threshold > 0.5f || !list_.has_choice()) return;
  if (state_.random.uniform() > static_cast<double>(s_.xtc_probability)) {
    list_.unordered();  // listed: of what is drawn again, it is decided again
    return;
  }
  const double threshold = static_cast<double>(s_.xtc_threshold);
  const Softmax p = list_.softmax();
  list_.order_by_probability();
  Span<Candidate>& list = list_.raw();
  // None beyond these is so probable.
  const double bits = threshold > 0 ? -log2_exactly(threshold) - p.least_surprise() : HUGE_VAL;
  const size_t front = list_.bring_forward(below(static_cast<double>(p.top), bits * 0x1p32));
  size_t reach = 0, last = 0;
  for (size_t i = 0; i < front; ++i) {
    if (!(p.probability(list[i]) >= threshold)) continue;
    if (reach++ == 0 || list_.sorted() || kMoreProbable(list[last], list[i])) last = i;
  }
  if (reach <= 1 || list_.size_with_impossible() - (reach - 1) < s_.min_keep) return;
  const float limit = list[last].logit;
  size_t removed = front;
  for (size_t i = front; i-- > 0;) {
    if (i == last || list[i].logit < limit) list[--removed] = list[i];
  }
  list = list.subspan(removed);
}

INLAY_COLD inline void TokenSampler::infill() noexcept {
  const Tokenizer& t = tokenizer_;
  // Of tokens that begin alike the most probable stands for all of them. Further ones than these
  // are too improbable to matter.
  constexpr size_t kMerged = 128, kBytes = 64;
  const Span<const Candidate> list = list_.unordered();
  if (list.empty()) return;
  size_t n = std::min(list.size(), kMerged);
  list_.sort(n);
  const Softmax p = list_.softmax();
  uint64_t ends = 0;
  for (const Candidate& c : list) ends += t.is_end(c.id) ? p.weight(c) : 0;
  if (3 * static_cast<double>(ends) * static_cast<double>(list_.size_with_impossible()) >
      static_cast<double>(p.total - ends)) {
    return list_.keep_if([&](const Candidate& c) { return t.is_end(c.id); });
  }
  list_.set_impossible(0);
  double merged[kMerged];
  char text[kMerged][kBytes];
  size_t bytes[kMerged];
  for (size_t i = 0; i < n; ++i) {
    merged[i] = p.probability(list[i]);
    bytes[i] = t.piece(list[i].id, text[i]);
    if (bytes[i] > kBytes) bytes[i] = 0;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n && merged[i] > 0; ++j) {
      const bool begins = i != j && merged[j] > 0 && bytes[i] > 0 && bytes[i] <= bytes[j] &&
                          std::memcmp(text[i], text[j], bytes[i]) == 0;
      if (!begins) continue;
      const size_t to = merged[j] > merged[i] ? j : i, from = to == i ? j : i;
      merged[to] += merged[from];
      merged[from] = 0;
    }
  }
  // Twice: what has less than a fifth, and then less than its share of what is left.
  double least = 0.2, sum = 1;
  for (int round = 0; round < 2; ++round) {
    size_t i = 0, kept = 0, others = 0;
    double left = 0;
    list_.keep_if([&](const Candidate& c) {
      const double q = i < n ? merged[i] : 0;
      const bool ends_text = t.is_end(c.id);
      ++i;
      if (q < least * sum && !ends_text) return false;
      others += ends_text ? 0 : 1;
      left += q;
      if (kept < kMerged) merged[kept] = q;
      ++kept;
      return true;
    });
    if (round == 0 && others == 0) {
      const Token end = t.special().eot != kNoToken ? t.special().eot : t.special().eos;
      return list_.keep_only({end, 1});
    }
    n = std::min(kept, kMerged);
    sum = left;
    least = 1 / static_cast<double>(others + 1);
  }
}

// What cannot be fused with an addition that follows.
inline double rounded(double x) noexcept { return static_cast<double>(static_cast<float>(x)); }

// Basu et al. 2021: keeps what makes the average surprise come to tau. Version 1 estimates from the
// best hundred how fast probabilities fall; version 2 cuts at a surprise.
INLAY_COLD inline void TokenSampler::mirostat() noexcept {
  if (s_.mirostat != 1u) {
    const Softmax p = list_.softmax();
    const double top = static_cast<double>(p.top);
    const double most = (state_.mu - p.least_surprise()) * 0x1p32;
    const double least = std::min(below(top, most), top);
    list_.keep_from(least);
    return list_.keep_if([&](const Candidate& c) {
      if (static_cast<double>(c.logit) < least) return false;  // most of them, quickly
      return c.logit == p.top || static_cast<double>(p.bits(c)) <= most;
    });
  }
  const Span<const Candidate> list = list_.unordered();
  if (list.empty()) return;
  constexpr size_t kBest = 100;
  const size_t n = std::min(list.size(), kBest);
  list_.sort(n);
  double sum_tb = 0, sum_tt = 0;
  for (size_t i = 0; i + 1 < n; ++i) {
    const double place = static_cast<double>(i);
    const double t = log2_exactly((place + 2) / (place + 1)) * kLn2;
    const double b = static_cast<double>(list[i].logit) - static_cast<double>(list[i + 1].logit);
    sum_tb += rounded(t * b);
    sum_tt += rounded(t * t);
  }
  const double s = sum_tb / sum_tt, epsilon = s - 1;
  const double vocabulary = log2_exactly(static_cast<double>(list_.logits().size()));
  const double share =
      epsilon * exp2_exactly(state_.mu) / (1 - exp2_exactly(-epsilon * vocabulary));
  double k = 1;
  if (share > 0) k = share < HUGE_VAL ? exp2_exactly(log2_exactly(share) / s) : share;
  list_.keep_top(!(k >= 1) ? 1 : k < 1e9 ? static_cast<size_t>(k) : list.size());
}

// github.com/MrJackSpade/adaptive-p-docs: logits by how far probabilities are from a target, which
// is moved so as to make up for past tokens.
INLAY_COLD inline void TokenSampler::adaptive_p() noexcept {
  const auto clamped = [](double x) { return std::min(std::max(x, 0.0), 1.0); };
  const double wanted = clamped(static_cast<double>(s_.adaptive_target));
  const double target = clamped(2 * wanted - state_.adaptive_sum / state_.adaptive_count);
  const Span<Candidate> list = list_.raw();
  const Softmax p = list_.softmax();
  list_.weigh(p, [&](size_t i, uint64_t, uint64_t weight) {
    list[i].logit = static_cast<float>(p.probability(weight));
    return true;
  });
  const auto transformed = [target](const Candidate& c) {
    const double d = rounded(std::fabs(static_cast<double>(c.logit) - target) / 0.3);
    return Candidate{c.id, -static_cast<float>(10 * d * d / (1 + d))};
  };
  drawn_ = list_.draw(transformed, &state_.random, &drawn_from_);
  adaptive_ = static_cast<double>(drawn_.logit);
  for (Candidate& c : list) c = transformed(c);
  drawn_ = transformed(drawn_);
}

// ---- the chain ----

inline void TokenSampler::apply(const Sampler& sampler) noexcept {
  switch (sampler.kind) {
    case SamplerKind::penalties:
      return penalties();
    case SamplerKind::dry:
      return dry();
    case SamplerKind::custom:
      return sampler.apply(sampler.user, &list_.settled());
    default:
      break;
  }
  if (greedy()) return;
  switch (sampler.kind) {
    case SamplerKind::top_n_sigma:
      return top_n_sigma();
    case SamplerKind::top_k:
      return top_k();
    case SamplerKind::typical_p:
      return typical_p();
    case SamplerKind::top_p:
      return top_p();
    case SamplerKind::min_p:
      return min_p();
    case SamplerKind::xtc:
      return xtc();
    case SamplerKind::temperature:
      return temperature(true);
    case SamplerKind::infill:
      return infill();
    default:  // adaptive_p comes last
      return;
  }
}

inline Token TokenSampler::run(uint32_t i) noexcept {
  const DefaultFloats floats;
  if (s_.mirostat != 0u && !greedy()) {
    temperature(false);
    mirostat();
  } else {
    for (; i < s_.chain.size(); ++i) {
      if (!list_.listed()) resume_ = i;
      apply(s_.chain[i]);
    }
    if (!list_.listed()) resume_ = i;
  }
  if (greedy()) {
    drawn_ = list_.best();
    list_.keep_only(drawn_);
    drawn_from_ = {drawn_.logit, uint64_t{1} << kWeightBits};
    return drawn_.id;
  }
  if (list_.raw().empty()) return kNoToken;
  if (s_.adaptive_target >= 0 && s_.chain.find(SamplerKind::adaptive_p) < s_.chain.size()) {
    list_.settled();
    adaptive_p();
  } else {
    drawn_ = list_.draw(&state_.random, &drawn_from_);
  }
  return drawn_.id;
}

Token TokenSampler::draw() noexcept {
  bias();
  return run(0);
}

Token TokenSampler::draw_again(Span<const uint64_t> allowed) noexcept {
  list_.begin_again(allowed);
  return run(resume_);
}

void TokenSampler::accept() noexcept {
  if (s_.mirostat != 0u && !greedy()) {
    const double off = drawn_from_.surprise(drawn_) - static_cast<double>(s_.mirostat_tau);
    state_.mu -= rounded(static_cast<double>(s_.mirostat_eta) * off);
  }
  if (adaptive_ >= 0) {
    const double decay = std::min(std::max(s_.adaptive_decay, 0.0f), 0.99f);
    state_.adaptive_sum = adaptive_ + rounded(decay * state_.adaptive_sum);
    state_.adaptive_count = 1 + rounded(decay * state_.adaptive_count);
  }
}

Span<Candidate> TokenSampler::left() noexcept { return list_.divided(); }

float TokenSampler::log_probability(const Candidate& c) const noexcept {
  return static_cast<float>(-drawn_from_.surprise(c) * kLn2);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SAMPLER_INL_HPP_
