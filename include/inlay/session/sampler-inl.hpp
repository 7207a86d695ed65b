#ifndef INLAY_SESSION_SAMPLER_INL_HPP_
#define INLAY_SESSION_SAMPLER_INL_HPP_

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "inlay/core/system.hpp"
#include "inlay/session/sampler.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr float kImpossible = -std::numeric_limits<float>::infinity();
inline constexpr float kLeastPossible = std::numeric_limits<float>::lowest();

// Most probable first; of equals the lower id, so that the order is the same everywhere.
struct MoreProbable {
  bool operator()(const Candidate& a, const Candidate& b) const noexcept {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
};
inline constexpr MoreProbable kMoreProbable{};

// The first that is `value`; else the last.
inline size_t find(Span<const float> x, float value) noexcept {
  size_t i = 0;
  while (i + 1 < x.size() && x[i] != value) ++i;
  return i;
}

// Puts the tokens whose logits are at least that into `out`, which has room for all, and returns
// how many those are.
inline size_t take_from(const Logits& logits, float least, Candidate* out) noexcept {
  Candidate* to = out;
  for (size_t b = 0; b < logits.maxima.size(); ++b) {
    if (logits.maxima[b] < least) continue;
    Token id = static_cast<Token>(b * kLogitBlock);
    for (const float logit : logit_block(logits.all, b)) {
      *to = {id++, logit};
      to += logit >= least ? 1 : 0;  // no branch: nobody could foretell it
    }
  }
  return static_cast<size_t>(to - out);
}

// Puts the `k` most probable tokens in front of `out`, and returns how many those are: fewer if
// others are impossible or no numbers. The k-th greatest maximum is a bound: at least k logits
// reach it, all of them in blocks whose maxima do.
inline size_t take_top(const Logits& logits, size_t k, Span<Candidate> out) noexcept {
  const size_t blocks = logits.maxima.size();
  float bound = kLeastPossible;
  if (k < blocks) {
    for (size_t b = 0; b < blocks; ++b) out[b] = {static_cast<Token>(b), logits.maxima[b]};
    std::nth_element(out.begin(), out.begin() + k - 1, out.begin() + blocks, kMoreProbable);
    bound = std::max(bound, out[k - 1].logit);
  }
  const size_t n = take_from(logits, bound, out.data());
  k = std::min(k, n);
  std::partial_sort(out.begin(), out.begin() + k, out.begin() + n, kMoreProbable);
  return k;
}

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

inline double TokenSampler::Softmax::least_surprise() const noexcept {
  return log2_exactly(static_cast<double>(total)) - kWeightBits;
}
INLAY_COLD double TokenSampler::Softmax::surprise(const Candidate& c) const noexcept {
  return static_cast<double>(bits(c)) * 0x1p-32 + least_surprise();
}

// ---- what samplers are made of ----

inline void TokenSampler::set_logit(Token token, float logit) noexcept {
  const size_t id = static_cast<size_t>(token), block = id / kLogitBlock;
  if (id >= logits_.all.size()) return;
  logits_.all[id] = logit;
  logits_.maxima[block] = greatest(logit_block(logits_.all, block));
}

inline void TokenSampler::bias() noexcept {
  for (const Token token : tokenizer_.suppressed()) set_logit(token, kImpossible);
  for (const LogitBias& bias : s_.logit_bias) {
    const size_t id = static_cast<size_t>(bias.token);
    if (id < logits_.all.size()) set_logit(bias.token, logits_.all[id] + bias.bias);
  }
  if (!s_.ignore_eos) return;
  for (const Token token : tokenizer_.ends()) set_logit(token, kImpossible);
}

// Makes a list of the possible tokens whose logits are at least that.
INLAY_COLD inline void TokenSampler::make_list(double least) noexcept {
  const float from = static_cast<float>(std::max(static_cast<double>(kLeastPossible), least));
  c_ = {{memory_.data(), take_from(logits_, from, memory_.data())}, false};
  listed_ = true;
  impossible_ = logits_.all.size() - c_.list.size();
}

// The list, of all that is possible if there is none yet: in order, with logits as they are.
inline Span<Candidate>& TokenSampler::list() noexcept {
  if (!listed_) make_list(-HUGE_VAL);
  if (unsorted_ || divisor_ != 1) settle();
  return c_.list;
}
INLAY_COLD inline void TokenSampler::settle() noexcept {
  if (unsorted_) {
    sort(order_);
    c_.sorted = order_.mean < 0;
    unsorted_ = false;
  }
  for (Candidate& c : c_.list) c.logit /= divisor_;
  divisor_ = 1;
}

struct AsItIs {
  const Candidate& operator()(const Candidate& c) const noexcept { return c; }
};
template <class View>
float greatest(Span<const Candidate> list, const View& view) noexcept {
  constexpr size_t kChains = 4;  // a maximum takes four cycles
  float top[kChains] = {kImpossible, kImpossible, kImpossible, kImpossible};
  size_t i = 0;
  for (; i + kChains <= list.size(); i += kChains) {
    for (size_t k = 0; k < kChains; ++k) top[k] = std::max(top[k], view(list[i + k]).logit);
  }
  for (; i < list.size(); ++i) top[0] = std::max(top[0], view(list[i]).logit);
  return std::max(std::max(top[0], top[1]), std::max(top[2], top[3]));
}
inline float TokenSampler::greatest_logit() const noexcept {
  return listed_ ? greatest(c_.list, AsItIs()) : greatest(logits_.maxima);
}

// f(i, bits, weight) of n logits, as long as it returns true. read(begin, count, room): where those
// from `begin` are, or a copy in `room`.
template <class Read, class F>
void for_each_weight(const Kernels& kernels, size_t n, float top, const Read& read,
                     const F& f) noexcept {
  constexpr size_t kAtOnce = 256;
  float room[kAtOnce];
  uint64_t bits[kAtOnce], weights[kAtOnce];
  for (size_t begin = 0; begin < n; begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, n - begin);
    const float* const logits = read(begin, count, room);
    const size_t whole = count / 8 * 8;
    kernels.softmax_weights(logits, whole, top, bits, weights);
    if (whole < count) {
      float rest[8] = {top, top, top, top, top, top, top, top};
      std::copy(logits + whole, logits + count, rest);
      kernels.softmax_weights(rest, 8, top, bits + whole, weights + whole);
    }
    for (size_t i = 0; i < count; ++i) {
      if (!f(begin + i, bits[i], weights[i])) return;
    }
  }
}
template <class F>
void for_each_weight(const Kernels& kernels, Span<const float> logits, float top,
                     const F& f) noexcept {
  const auto read = [logits](size_t begin, size_t, float*) { return logits.data() + begin; };
  for_each_weight(kernels, logits.size(), top, read, f);
}

// The same of candidates, as `view` shows them.
template <class View, class F>
void TokenSampler::weigh(const Softmax& p, Span<const Candidate> list, const View& view,
                         const F& f) const noexcept {
  const auto read = [&](size_t begin, size_t count, float* room) -> const float* {
    for (size_t i = 0; i < count; ++i) room[i] = view(list[begin + i]).logit;
    return room;
  };
  for_each_weight(logits_.kernels, list.size(), p.top, read, f);
}
template <class View>
uint64_t TokenSampler::total(const Softmax& p, Span<const Candidate> list,
                             const View& view) const noexcept {
  uint64_t sum = 0;
  weigh(p, list, view, [&sum](size_t, uint64_t, uint64_t weight) {
    sum += weight;
    return true;
  });
  return sum;
}

inline TokenSampler::Softmax TokenSampler::softmax() const noexcept {
  Softmax p = {greatest_logit(), 0};
  p.total = total(p, c_.list, AsItIs());
  return p;
}

// The mean of bits() over the distribution: the entropy is so much more than the surprise of the
// best. The sum is exact, so it does not depend on the order.
struct TokenSampler::MeanBits {
  uint64_t sum = 0, high = 0;  // in 2^32

  void add(uint64_t bits, uint64_t weight) noexcept {
    sum += (weight >> 10) * (bits >> 12);  // at most 2^58
    if (sum >> 62 == 0) return;
    high += sum >> 32;
    sum &= 0xffffffff;
  }
  // 0 if nothing has a weight, beside an infinite logit.
  double mean(uint64_t total) const noexcept {
    const double exact = static_cast<double>(high + (sum >> 32)) * 0x1p32;
    const double all = exact + static_cast<double>(sum & 0xffffffff);
    return total == 0 ? 0 : all * 0x1p22 / static_cast<double>(total);
  }
};

inline double TokenSampler::Order::off(const Candidate& c) const noexcept {
  return std::fabs(static_cast<double>(static_cast<int64_t>(Softmax{top, 0}.bits(c))) - mean);
}

// Never less for a candidate than for those before it, and below 2^38.
inline uint64_t TokenSampler::Order::key(const Candidate& c) const noexcept {
  const uint64_t key =
      mean < 0 ? Softmax{top, 0}.bits(c) : static_cast<uint64_t>(static_cast<int64_t>(off(c)));
  return std::min(key, (uint64_t{1} << 38) - 1);
}

inline bool TokenSampler::Order::operator()(const Candidate& a, const Candidate& b) const noexcept {
  if (mean < 0) return kMoreProbable(a, b);
  const double x = off(a), y = off(b);
  return x < y || (x == y && kMoreProbable(a, b));
}

// Sorts candidates: into buckets of equal width in place (American flag sort), and then each of
// those.
inline void TokenSampler::sort(const Order& order) noexcept {
  constexpr size_t kBuckets = 1024;
  float least = order.top, most = kImpossible;
  for (const Candidate& c : c_.list) {
    least = std::min(least, c.logit);
    most = std::max(most, c.logit);
  }
  const uint64_t greatest = std::max(order.key({0, least}), order.key({0, most}));
  int shift = 0;
  while (greatest >> shift >= kBuckets) ++shift;
  Candidate* const list = c_.list.data();
  const auto bucket = [&](const Candidate& c) {
    return std::min(kBuckets - 1, static_cast<size_t>(order.key(c) >> shift));
  };
  uint32_t ends[kBuckets] = {}, next[kBuckets];
  for (const Candidate& c : c_.list) ++ends[bucket(c)];
  uint32_t n = 0;
  for (size_t b = 0; b < kBuckets; ++b) {
    next[b] = n;
    n = ends[b] += n;
  }
  for (size_t b = 0, begin = 0; b < kBuckets; begin = ends[b++]) {
    while (next[b] < ends[b]) {
      Candidate c = list[next[b]];
      for (size_t to; (to = bucket(c)) != b;) std::swap(c, list[next[to]++]);
      list[next[b]++] = c;
    }
    std::sort(list + begin, list + ends[b], order);
  }
}

// The most probable `n` to the front.
inline void TokenSampler::sort(size_t n) noexcept {
  if (c_.sorted) return;
  Candidate* const first = c_.list.begin();
  c_.sorted = n == c_.list.size();
  if (!c_.sorted || n < 64)
    return std::partial_sort(first, first + n, c_.list.end(), kMoreProbable);
  sort(Order{greatest_logit(), -1});
}

// How many candidates are kept from the front: to the first with which their sum is enough.
struct TokenSampler::Front {
  double share;     // of all
  bool more;        // than that
  size_t min_keep;  // candidates at least
  bool is_enough(uint64_t sum, uint64_t total, size_t n) const noexcept {
    const double so_far = static_cast<double>(sum), wanted = share * static_cast<double>(total);
    return n > 0 && n >= min_keep && (more ? so_far > wanted : so_far >= wanted);
  }
};

struct TokenSampler::Cut {
  const Front* front;  // null: of a draw
  uint64_t total, at;  // of weights; and in which the draw falls
  bool operator()(uint64_t sum, size_t n) const noexcept {
    if (front != nullptr) return front->is_enough(sum, total, n);
    return total == 0 ? n > 0 : sum > at;  // 0: beside an infinite logit
  }
};
struct TokenSampler::Divided {
  float divisor;
  Candidate operator()(const Candidate& c) const noexcept { return {c.id, c.logit / divisor}; }
};

inline constexpr int kBucketBits = 9, kBucketShift = 29;  // the widest: an eighth of a bit
inline constexpr size_t kBuckets = 1 << kBucketBits;      // so many of which are 64 bits

// Drops, of candidates in any order, those that the front cannot reach: the others are within so
// much of the mean that the buckets there are enough. Computes the softmax of all, and the order.
inline TokenSampler::Order TokenSampler::narrow(bool typical, const Front& front,
                                                Softmax* p) noexcept {
  uint64_t sums[kBuckets + 1] = {};  // the last is of what has no weight
  MeanBits mean_bits;
  *p = {greatest_logit(), 0};
  const auto note = [&](size_t, uint64_t bits, uint64_t weight) {
    sums[bits >> kBucketShift] += weight;
    if (typical) mean_bits.add(bits, weight);
    return true;
  };
  if (listed_) {
    weigh(*p, c_.list, AsItIs(), note);
  } else {
    for_each_weight(logits_.kernels, Span<const float>(logits_.all), p->top, note);
  }
  for (const uint64_t sum : sums) p->total += sum;
  const double mean = typical ? mean_bits.mean(p->total) : 0;
  const size_t middle = static_cast<size_t>(mean) >> kBucketShift;
  uint64_t sum = 0;
  size_t n = 0, reach = 0;
  const auto add = [&](size_t bucket) {
    sum += sums[bucket];
    n += sums[bucket] >> std::max(0, kWeightBits - static_cast<int>(bucket / 8));  // at least
  };
  for (; middle + reach + 1 < kBuckets; ++reach) {
    add(middle + reach);
    if (reach > 0 && reach <= middle) add(middle - reach);
    if (front.is_enough(sum, p->total, n)) break;
  }
  double least = -HUGE_VAL;
  if (middle + reach + 1 < kBuckets) {
    // A little less than that: what is computed here need not be exact.
    constexpr double kLogit = kLn2 * 0x1p-32, kMore = 0x1p24;
    const double off = static_cast<double>(uint64_t{reach + 1} << kBucketShift) + kMore;
    least = static_cast<double>(p->top) - (mean + off) * kLogit;
  }
  if (!listed_) {
    make_list(least);
  } else {
    keep_if([&](const Candidate& c) { return static_cast<double>(c.logit) >= least; });
  }
  return {p->top, typical ? mean : -1};
}

// Brings to the front, in any order, the candidates up to the first with which is_enough(sum of
// weights, n), in the list's order; that one is their last. Returns how many those are. Only what
// shares its bucket is sorted.
inline size_t TokenSampler::select(const Softmax& p, const Cut& is_enough) noexcept {
  const Order order = order_;
  const Divided view = {divisor_};
  constexpr size_t kFew = 32;
  Candidate* const list = c_.list.data();
  size_t begin = 0, end = c_.list.size();
  uint64_t sum = 0;
  for (int shift = kBucketShift; end - begin > kFew && shift > 0; shift -= kBucketBits) {
    const auto bucket_of = [&](const Candidate& c) {
      return static_cast<size_t>(order.key(c) >> shift) % kBuckets;
    };
    struct Bucket {
      uint64_t sum;
      size_t n;
    } buckets[kBuckets] = {};
    const Span<const Candidate> those(list + begin, end - begin);
    weigh(p, those, view, [&](size_t i, uint64_t, uint64_t weight) {
      Bucket& to = buckets[bucket_of(those[i])];
      to.sum += weight;
      ++to.n;
      return true;
    });
    size_t bucket = 0;
    for (size_t n = begin; bucket + 1 < kBuckets; ++bucket) {
      n += buckets[bucket].n;
      if (is_enough(sum + buckets[bucket].sum, n)) break;
      sum += buckets[bucket].sum;
    }
    for (size_t i = begin; i < end;) {
      const size_t other = bucket_of(list[i]);
      if (other > bucket) {
        std::swap(list[i], list[--end]);
      } else {
        if (other < bucket) std::swap(list[i], list[begin++]);
        ++i;
      }
    }
  }
  std::sort(list + begin, list + end, order);
  while (begin < end) {
    sum += p.weight(view(list[begin]));
    if (is_enough(sum, ++begin)) break;
  }
  return begin;
}

// Keeps the front of the candidates, most probable first or those first whose surprise is typical.
inline void TokenSampler::keep_front(bool typical, const Front& front) noexcept {
  Softmax p;
  size_t n = 0;
  if (c_.sorted && !typical) {
    p = softmax();
    uint64_t sum = 0;
    while (n < c_.list.size()) {
      sum += p.weight(c_.list[n++]);
      if (front.is_enough(sum, p.total, n)) break;
    }
  } else {
    order_ = narrow(typical, front, &p);
    n = select(p, {&front, p.total, 0});
    unsorted_ = true;
    c_.sorted = false;
  }
  c_.list = {c_.list.data(), n};
  keep_impossible(front.min_keep);
}

// Of the impossible ones, those that make the candidates `n`.
inline void TokenSampler::keep_impossible(size_t n) noexcept {
  const size_t possible = c_.list.size();
  impossible_ = std::min(impossible_, n > possible ? n - possible : 0);
}

// Keeps those, in their order.
template <class Keep>
void TokenSampler::keep_if(const Keep& keep) noexcept {
  size_t n = 0;
  for (const Candidate c : c_.list) {
    const bool keeps = keep(c);
    c_.list[n] = c;
    n += keeps ? 1 : 0;
  }
  c_.list = {c_.list.data(), n};
}

// Sets the logits of those tokens, which are sorted by id and distinct, to change(logit, count).
template <class Change>
void TokenSampler::change(Span<const TokenCount> counts, Change&& change) noexcept {
  if (!listed_) {
    for (const TokenCount& c : counts) {
      set_logit(c.id, change(c, logits_.all[static_cast<size_t>(c.id)]));
    }
    return;
  }
  for (Candidate& c : list()) {
    const auto by_id = [](const TokenCount& a, Token id) { return a.id < id; };
    const TokenCount* const found = std::lower_bound(counts.begin(), counts.end(), c.id, by_id);
    if (found != counts.end() && found->id == c.id) c.logit = change(*found, c.logit);
  }
  c_.sorted = false;
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
  change(counts_.subspan(0, distinct), [&](const TokenCount& c, float logit) {
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
  change(counts_.subspan(0, distinct), [&](const TokenCount& c, float logit) {
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
  if (divisor_ != 1) list();
  float divisor = s_.temperature;
  if (dynamic && s_.dynatemp_range > 0) {
    if (list().size() <= 1) return;
    Softmax p = {greatest_logit(), 0};
    MeanBits mean;
    weigh(p, c_.list, AsItIs(), [&](size_t, uint64_t bits, uint64_t weight) {
      p.total += weight;
      mean.add(bits, weight);
      return true;
    });
    const double most = log2_exactly(static_cast<double>(c_.list.size() + impossible_));
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
    if (divisor <= 0) return top_k(1);
  }
  if (divisor == 1) return;
  if (!listed_) list();
  divisor_ = divisor;
}

// ---- samplers that remove candidates ----

inline void TokenSampler::top_k(size_t k) noexcept {
  if (k == 0) return;
  if (!listed_) {
    c_ = {{memory_.data(), take_top(logits_, k, memory_)}, true};
    listed_ = true;
    impossible_ = logits_.all.size() - c_.list.size();
  } else {
    const size_t n = std::min(k, list().size());
    sort(n);
    c_ = {{c_.list.data(), n}, true};
  }
  keep_impossible(k);
}

inline void TokenSampler::top_p() noexcept {
  if (!(s_.top_p < 1)) return;
  if (divisor_ != 1) list();
  keep_front(false, {static_cast<double>(s_.top_p), false, s_.min_keep});
}

inline void TokenSampler::min_p() noexcept {
  if (!(s_.min_p > 0)) return;
  const double most = -log2_exactly(static_cast<double>(s_.min_p)) * kLn2;
  const bool above = s_.min_p > 1;  // more than the best has: the first alone is kept
  const bool counts = s_.min_keep > 1 || above;
  if (counts || divisor_ != 1) list();
  if (counts) sort(c_.list.size());
  const float top = greatest_logit();
  if (!listed_) {  // of a little more than that
    const double best = static_cast<double>(top);
    make_list(best - most - 1e-6 * (std::fabs(best) + most));
  }
  size_t i = 0;
  keep_if([&](const Candidate& c) {
    const bool keeps = counts && (i == 0 || i < s_.min_keep);
    ++i;
    return keeps || (!above && (c.logit == top ||
                                static_cast<double>(top) - static_cast<double>(c.logit) <= most));
  });
  keep_impossible(s_.min_keep);
}

INLAY_COLD inline void TokenSampler::top_n_sigma() noexcept {
  if (!(s_.top_n_sigma > 0) || list().size() <= 1) return;
  const double n = static_cast<double>(c_.list.size());
  double sum = 0, squares = 0;
  const float top = greatest_logit();
  for (const Candidate& c : c_.list) sum += static_cast<double>(c.logit);
  const float mean = static_cast<float>(sum / n);
  for (const Candidate& c : c_.list) {
    const double off = static_cast<double>(c.logit - mean);
    squares += off * off;  // exact: 24 bits times 24
  }
  const float sigma = static_cast<float>(std::sqrt(squares / n));
  const float range = s_.top_n_sigma * sigma;
  const double least = static_cast<double>(top) - static_cast<double>(range);
  const size_t all = c_.list.size();
  keep_if([&](const Candidate& c) { return static_cast<double>(c.logit) >= least; });
  impossible_ += all - c_.list.size();  // llama.cpp takes their probability only
}

// Meister et al. 2022.
INLAY_COLD inline void TokenSampler::typical_p() noexcept {
  if (!(s_.typical_p < 1)) return;
  if (divisor_ != 1) list();
  keep_front(true, {static_cast<double>(s_.typical_p), true, s_.min_keep});
}

INLAY_COLD inline void TokenSampler::xtc() noexcept {
  if (!(s_.xtc_probability > 0) || s_.xtc_threshold > 0.5f || list().size() < 2) return;
  if (state_.random.uniform() > static_cast<double>(s_.xtc_probability)) return;
  sort(c_.list.size());
  const Softmax p = softmax();
  size_t reach = 0;
  while (reach < c_.list.size() &&
         p.probability(c_.list[reach]) >= static_cast<double>(s_.xtc_threshold)) {
    ++reach;
  }
  if (reach > 1 && c_.list.size() + impossible_ - (reach - 1) >= s_.min_keep)
    c_.list = c_.list.subspan(reach - 1);
}

INLAY_COLD inline void TokenSampler::infill() noexcept {
  const Tokenizer& t = tokenizer_;
  if (list().empty()) return;
  sort(c_.list.size());
  const Softmax p = softmax();
  double ends = 0, texts = 0;
  for (const Candidate& c : c_.list) (t.is_end(c.id) ? ends : texts) += p.probability(c);
  if (3 * ends * static_cast<double>(c_.list.size() + impossible_) > texts) {
    return keep_if([&](const Candidate& c) { return t.is_end(c.id); });
  }
  impossible_ = 0;
  // Of tokens that begin alike the most probable stands for all of them. Further ones than these
  // are too improbable to matter.
  constexpr size_t kMerged = 128, kBytes = 64;
  double merged[kMerged];
  char text[kMerged][kBytes];
  size_t bytes[kMerged];
  size_t n = std::min(c_.list.size(), kMerged);
  for (size_t i = 0; i < n; ++i) {
    merged[i] = p.probability(c_.list[i]);
    bytes[i] = t.piece(c_.list[i].id, text[i]);
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
    keep_if([&](const Candidate& c) {
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
      c_ = {{c_.list.data(), 1}, true};
      c_.list[0] = {end, 1};
      return;
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
  if (list().empty()) return;
  if (s_.mirostat != 1u) {
    const Softmax p = softmax();
    const double most = (state_.mu - p.least_surprise()) * 0x1p32, few = 0x1p24;
    const double least = static_cast<double>(p.top) - (most + few) * (kLn2 * 0x1p-32);
    return keep_if([&](const Candidate& c) {
      if (static_cast<double>(c.logit) < least) return c.logit == p.top;  // most of them, quickly
      return c.logit == p.top || static_cast<double>(p.bits(c)) <= most;
    });
  }
  constexpr size_t kBest = 100;
  const size_t n = std::min(c_.list.size(), kBest);
  sort(n);
  double sum_tb = 0, sum_tt = 0;
  for (size_t i = 0; i + 1 < n; ++i) {
    const double place = static_cast<double>(i);
    const double t = log2_exactly((place + 2) / (place + 1)) * kLn2;
    const double b =
        static_cast<double>(c_.list[i].logit) - static_cast<double>(c_.list[i + 1].logit);
    sum_tb += rounded(t * b);
    sum_tt += rounded(t * t);
  }
  const double s = sum_tb / sum_tt, epsilon = s - 1;
  const double vocabulary = log2_exactly(static_cast<double>(logits_.all.size()));
  const double share =
      epsilon * exp2_exactly(state_.mu) / (1 - exp2_exactly(-epsilon * vocabulary));
  double k = 1;
  if (share > 0) k = share < HUGE_VAL ? exp2_exactly(log2_exactly(share) / s) : share;
  top_k(!(k >= 1) ? 1 : k < 1e9 ? static_cast<size_t>(k) : c_.list.size());
}

// github.com/MrJackSpade/adaptive-p-docs: logits by how far probabilities are from a target, which
// is moved so as to make up for past tokens.
INLAY_COLD inline void TokenSampler::adaptive_p() noexcept {
  const auto clamped = [](double x) { return std::min(std::max(x, 0.0), 1.0); };
  const double wanted = clamped(static_cast<double>(s_.adaptive_target));
  const double target = clamped(2 * wanted - state_.adaptive_sum / state_.adaptive_count);
  const Softmax p = softmax();
  for (Candidate& c : c_.list) c.logit = static_cast<float>(p.probability(c));
  const auto transformed = [target](const Candidate& c) {
    const double d = rounded(std::fabs(static_cast<double>(c.logit) - target) / 0.3);
    return Candidate{c.id, -static_cast<float>(10 * d * d / (1 + d))};
  };
  pick([&](const Candidate& c) { return transformed(c); });
  adaptive_ = static_cast<double>(drawn_.logit);
  for (Candidate& c : c_.list) c = transformed(c);
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
      list();
      return sampler.apply(sampler.user, &c_);
    default:
      break;
  }
  if (greedy()) return;
  switch (sampler.kind) {
    case SamplerKind::top_n_sigma:
      return top_n_sigma();
    case SamplerKind::top_k:
      return top_k(s_.top_k);
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
      if (!listed_) resume_ = i;
      apply(s_.chain[i]);
    }
    if (!listed_) resume_ = i;
  }
  const bool adapts =
      s_.adaptive_target >= 0 && s_.chain.find(SamplerKind::adaptive_p) < s_.chain.size();
  const bool picks_unsorted = unsorted_ && !greedy() && !adapts;
  if ((!greedy() || listed_) && !picks_unsorted) list();
  if (listed_ && c_.list.empty()) return kNoToken;
  if (greedy()) {
    take_best();
  } else if (adapts) {
    adaptive_p();
  } else if (picks_unsorted) {
    pick_unsorted();
  } else {
    pick(AsItIs());
  }
  return drawn_.id;
}

// The most probable token.
inline void TokenSampler::take_best() noexcept {
  if (listed_) {
    drawn_ = *std::min_element(c_.list.begin(), c_.list.end(), kMoreProbable);
  } else {
    const float most = greatest(logits_.maxima);
    const size_t first = kLogitBlock * find(logits_.maxima, most);
    const size_t id = first + find(logits_.all.subspan(first), most);
    drawn_ = {most > kImpossible ? static_cast<Token>(id) : kNoToken, most};
  }
  memory_[0] = drawn_;
  c_ = {{memory_.data(), 1}, true};
  drawn_from_ = {drawn_.logit, uint64_t{1} << kWeightBits};
}

// Draws from the softmax of view(candidate): a part of the list by the parts' sums, then in it.
template <class View>
void TokenSampler::pick(const View& view) noexcept {
  constexpr size_t kParts = 64;
  const Span<const Candidate> list = c_.list;
  size_t part = 64;
  while (part * kParts < list.size()) part *= 2;
  Softmax& p = drawn_from_;
  p = {greatest(list, view), 0};
  uint64_t sums[kParts] = {};
  for (size_t i = 0; i * part < list.size(); ++i) {
    sums[i] = total(p, list.subspan(i * part, part), view);
    p.total += sums[i];
  }
  uint64_t at = state_.random.below(p.total);
  size_t from = 0;
  for (size_t i = 0; i < kParts && at >= sums[i]; ++i) {
    at -= sums[i];
    from += part;
  }
  drawn_ = list[0];  // beside an infinite logit nothing has a weight
  const Span<const Candidate> those = list.subspan(std::min(from, list.size()));
  weigh(p, those, view, [&](size_t i, uint64_t, uint64_t weight) {
    if (at >= weight) return at -= weight, true;
    drawn_ = those[i];
    return false;
  });
}

// The same as if the list were in order, and its logits were divided.
inline void TokenSampler::pick_unsorted() noexcept {
  const Divided view = {divisor_};
  Softmax& p = drawn_from_;
  p = {greatest_logit() / divisor_, 0};
  p.total = total(p, c_.list, view);
  const size_t n = select(p, {nullptr, p.total, state_.random.below(p.total)});
  for (Candidate& c : c_.list) c = view(c);
  drawn_ = c_.list[n - 1];
  unsorted_ = false;
  divisor_ = 1;
}

Token TokenSampler::draw() noexcept {
  bias();
  return run(0);
}

Token TokenSampler::draw_again(Span<const uint64_t> allowed) noexcept {
  for (size_t i = 0; i < logits_.all.size(); ++i) {
    if ((allowed[i / 64] >> (i % 64) & 1) == 0) logits_.all[i] = kImpossible;
  }
  for (size_t block = 0; block < logits_.maxima.size(); ++block) {
    logits_.maxima[block] = greatest(logit_block(logits_.all, block));
  }
  listed_ = unsorted_ = c_.sorted = false;
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

float TokenSampler::log_probability(const Candidate& c) const noexcept {
  return static_cast<float>(-drawn_from_.surprise(c) * kLn2);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SAMPLER_INL_HPP_
