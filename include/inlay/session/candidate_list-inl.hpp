#ifndef INLAY_SESSION_CANDIDATE_LIST_INL_HPP_
#define INLAY_SESSION_CANDIDATE_LIST_INL_HPP_

#include <algorithm>
#include <cmath>
#include <limits>

#include "inlay/session/candidate_list.hpp"

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

inline double Softmax::least_surprise() const noexcept {
  return log2_exactly(static_cast<double>(total)) - kWeightBits;
}
INLAY_COLD double Softmax::surprise(const Candidate& c) const noexcept {
  return static_cast<double>(bits(c)) * 0x1p-32 + least_surprise();
}

inline void CandidateList::set_logit(Token token, float logit) noexcept {
  const size_t id = static_cast<size_t>(token), block = id / kLogitBlock;
  if (id >= logits_.all.size()) return;
  logits_.all[id] = logit;
  logits_.maxima[block] = greatest(logit_block(logits_.all, block));
}

template <class Change>
void CandidateList::change(Span<const TokenCount> counts, Change&& change) noexcept {
  if (!listed_) {
    for (const TokenCount& c : counts) {
      set_logit(c.id, change(c, logits_.all[static_cast<size_t>(c.id)]));
    }
    return;
  }
  for (Candidate& c : settled().list) {
    const auto by_id = [](const TokenCount& a, Token id) { return a.id < id; };
    const TokenCount* const found = std::lower_bound(counts.begin(), counts.end(), c.id, by_id);
    if (found != counts.end() && found->id == c.id) c.logit = change(*found, c.logit);
  }
  c_.sorted = false;
}

inline void CandidateList::begin_again(Span<const uint64_t> allowed) noexcept {
  for (size_t i = 0; i < logits_.all.size(); ++i) {
    if ((allowed[i / 64] >> (i % 64) & 1) == 0) logits_.all[i] = kImpossible;
  }
  for (size_t block = 0; block < logits_.maxima.size(); ++block) {
    logits_.maxima[block] = greatest(logit_block(logits_.all, block));
  }
  listed_ = unsorted_ = c_.sorted = false;
  divisor_ = 1;
}

// ---- the list and its order ----

// A float is at least `least` if it is at least this.
inline float float_from(double least) noexcept {
  return static_cast<float>(std::max(static_cast<double>(kLeastPossible), least));
}

// Of the possible tokens whose logits are at least that.
INLAY_COLD inline void CandidateList::make_list(double least) noexcept {
  c_ = {{memory_.data(), take_from(logits_, float_from(least), memory_.data())}, false};
  listed_ = true;
  impossible_ = logits_.all.size() - c_.list.size();
}

inline Span<Candidate>& CandidateList::raw() noexcept {
  if (!listed_) make_list(-HUGE_VAL);
  return c_.list;
}
inline Span<Candidate>& CandidateList::unordered() noexcept {
  if (divisor_ != 1) settle();
  return raw();
}
inline Span<Candidate>& CandidateList::divided() noexcept {
  for (Candidate& c : raw()) c.logit /= divisor_;
  unsorted_ = false;
  divisor_ = 1;
  return c_.list;
}
inline bool CandidateList::has_choice() const noexcept {
  if (listed_) return c_.list.size() > 1;
  size_t n = 0;
  for (size_t i = 0; i < logits_.all.size() && n < 2; ++i)
    n += logits_.all[i] > kImpossible ? 1 : 0;
  return n > 1;
}
inline Candidates& CandidateList::settled() noexcept {
  if (unsorted_) settle();
  raw();  // makes it
  return c_;
}
INLAY_COLD inline void CandidateList::settle() noexcept {
  std::sort(c_.list.begin(), c_.list.end(), order_);
  c_.sorted = order_.mean < 0;
  unsorted_ = false;
  for (Candidate& c : c_.list) c.logit /= divisor_;
  divisor_ = 1;
}

inline void CandidateList::divide(float divisor) noexcept {
  if (unsorted_ && divisor_ == 1) {
    divisor_ = divisor;
  } else {
    for (Candidate& c : settled().list) c.logit /= divisor;
  }
}

inline void CandidateList::order_by_probability() noexcept {
  unordered();
  if (c_.sorted) return;
  order_ = {0, -1};
  unsorted_ = true;
}

inline void CandidateList::sort(size_t n) noexcept {
  order_by_probability();
  if (!unsorted_) return;
  if (n == c_.list.size()) return settle();
  std::partial_sort(c_.list.begin(), c_.list.begin() + n, c_.list.end(), kMoreProbable);
}

// The logit that is so many bits() below the top, or a little less: it need not be exact.
inline double below(double top, double bits) noexcept {
  return top - (bits + 0x1p24) * (kLn2 * 0x1p-32);
}

struct AsItIs {
  const Candidate& operator()(const Candidate& c) const noexcept { return c; }
};
template <class View>
float greatest(Span<const Candidate> list, const View& view) noexcept {
  const auto at = [&](size_t i) { return view(list[i]).logit; };
  // Four chains, as a maximum takes four cycles; an array of them GCC leaves in memory.
  float a = kImpossible, b = a, c = a, d = a;
  size_t i = 0;
  for (; i + 4 <= list.size(); i += 4) {
    a = std::max(a, at(i));
    b = std::max(b, at(i + 1));
    c = std::max(c, at(i + 2));
    d = std::max(d, at(i + 3));
  }
  for (; i < list.size(); ++i) a = std::max(a, at(i));
  return std::max(std::max(a, b), std::max(c, d));
}
inline float CandidateList::greatest_logit() const noexcept {
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
void CandidateList::weigh(const Softmax& p, Span<const Candidate> list, const View& view,
                          const F& f) const noexcept {
  const auto read = [&](size_t begin, size_t count, float* room) -> const float* {
    for (size_t i = 0; i < count; ++i) room[i] = view(list[begin + i]).logit;
    return room;
  };
  for_each_weight(logits_.kernels, list.size(), p.top, read, f);
}
template <class F>
void CandidateList::weigh(const Softmax& p, const F& f) const noexcept {
  if (listed_) return weigh(p, c_.list, AsItIs(), f);
  for_each_weight(logits_.kernels, Span<const float>(logits_.all), p.top, f);
}
template <class View>
uint64_t CandidateList::total(const Softmax& p, Span<const Candidate> list,
                              const View& view) const noexcept {
  uint64_t sum = 0;
  weigh(p, list, view, [&sum](size_t, uint64_t, uint64_t weight) {
    sum += weight;
    return true;
  });
  return sum;
}

inline Softmax CandidateList::softmax() noexcept {
  if (divisor_ != 1) settle();
  Softmax p = {greatest_logit(), 0};
  weigh(p, [&p](size_t, uint64_t, uint64_t weight) {
    p.total += weight;
    return true;
  });
  return p;
}

// The mean of bits() over the distribution: the entropy is so much more than the surprise of the
// best. The sum is exact, so it does not depend on the order.
struct MeanBits {
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

inline double CandidateList::Order::off(const Candidate& c) const noexcept {
  return std::fabs(static_cast<double>(static_cast<int64_t>(Softmax{top, 0}.bits(c))) - mean);
}

// Never less for a candidate than for those before it, and at most that.
inline constexpr uint64_t kMostKey = (uint64_t{1} << 38) - 1;
inline uint64_t CandidateList::Order::key(const Candidate& c) const noexcept {
  const uint64_t key =
      mean < 0 ? Softmax{top, 0}.bits(c) : static_cast<uint64_t>(static_cast<int64_t>(off(c)));
  return std::min(key, kMostKey);
}

inline bool CandidateList::Order::operator()(const Candidate& a,
                                             const Candidate& b) const noexcept {
  if (mean < 0) return kMoreProbable(a, b);
  const double x = off(a), y = off(b);
  return x < y || (x == y && kMoreProbable(a, b));
}

// ---- keeping the front ----

struct CandidateList::Cut {
  const Front* front;  // null: of a draw
  uint64_t total, at;  // of weights; and in which the draw falls
  bool operator()(uint64_t sum, size_t n) const noexcept {
    if (front != nullptr) return front->is_enough(sum, total, n);
    return total == 0 ? n > 0 : sum > at;  // 0: beside an infinite logit
  }
};
struct Divided {
  float divisor;
  Candidate operator()(const Candidate& c) const noexcept { return {c.id, c.logit / divisor}; }
};

inline constexpr int kBucketBits = 9, kBucketShift = 29;  // the widest: an eighth of a bit
inline constexpr size_t kBuckets = 1 << kBucketBits;      // so many of which are 64 bits
struct CandidateList::Buckets {
  struct {
    uint64_t sum;  // of weights
    size_t n;
  } of[kBuckets];
};

// Drops, of candidates in any order, those that the front cannot reach: the others are within so
// much of the mean that the buckets there are enough. Computes the softmax of all, and the order.
inline CandidateList::Order CandidateList::narrow(bool typical, const Front& front,
                                                  Softmax* p) noexcept {
  uint64_t sums[kBuckets + 1] = {};  // the last is of what has no weight
  MeanBits mean_bits;
  *p = {greatest_logit(), 0};
  weigh(*p, [&](size_t, uint64_t bits, uint64_t weight) {
    sums[bits >> kBucketShift] += weight;
    if (typical) mean_bits.add(bits, weight);
    return true;
  });
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
    const double off = static_cast<double>(uint64_t{reach + 1} << kBucketShift);
    least = below(static_cast<double>(p->top), mean + off);
  }
  if (!listed_) {
    make_list(least);
  } else {
    keep_if([&](const Candidate& c) { return static_cast<double>(c.logit) >= least; });
  }
  return {p->top, typical ? mean : -1};
}

// A key by probability is that of the divided logit, which comes with the weight: dividing changes
// no order but makes some equal.
inline uint64_t CandidateList::key(const Softmax& p, const Candidate& c) const noexcept {
  return order_.mean < 0 ? Order{p.top, -1}.key(Divided{divisor_}(c)) : order_.key(c);
}
template <class F>
void CandidateList::weigh_divided(const Softmax& p, Span<const Candidate> those,
                                  const F& f) const noexcept {
  if (divisor_ == 1) return weigh(p, those, AsItIs(), f);  // a division each is a third of the time
  weigh(p, those, Divided{divisor_}, f);
}
// By the bits `shift` and above of their keys.
inline CandidateList::Buckets CandidateList::fill_buckets(const Softmax& p,
                                                          Span<const Candidate> those,
                                                          int shift) const noexcept {
  Buckets buckets = {};
  const bool by_probability = order_.mean < 0;
  weigh_divided(p, those, [&, shift, by_probability](size_t i, uint64_t bits, uint64_t weight) {
    const uint64_t key = by_probability ? std::min(bits, kMostKey) : order_.key(those[i]);
    auto& to = buckets.of[(key >> shift) % kBuckets];
    to.sum += weight;
    ++to.n;
    return true;
  });
  return buckets;
}

// Brings to the front, in any order, the candidates up to the first with which is_enough(sum of
// weights, n), in the list's order; that one is their last. Returns how many those are. Only what
// shares its bucket is sorted. `buckets`: of the whole list.
inline size_t CandidateList::select(const Softmax& p, const Cut& is_enough,
                                    Buckets buckets) noexcept {
  constexpr size_t kFew = 32;
  Candidate* const list = c_.list.data();
  size_t begin = 0, end = c_.list.size();
  uint64_t sum = 0, first_key = 0;  // of the bucket
  for (int shift = kBucketShift;;) {
    size_t bucket = 0;
    for (size_t n = begin; bucket + 1 < kBuckets; ++bucket) {
      n += buckets.of[bucket].n;
      if (is_enough(sum + buckets.of[bucket].sum, n)) break;
      sum += buckets.of[bucket].sum;
    }
    first_key += uint64_t{bucket} << shift;
    const uint64_t end_key = first_key + (uint64_t{1} << shift);
    // Most are behind the bucket, as their logits tell.
    float least = kImpossible;
    if (order_.mean < 0 && end_key <= kMostKey) {
      const double logit = below(static_cast<double>(p.top), static_cast<double>(end_key));
      least = float_from((logit - 1e-6 * std::fabs(logit)) * static_cast<double>(divisor_));
    }
    size_t equal = begin;
    for (size_t i = begin; i < end; ++i) {
      if (list[i].logit < least) continue;
      const uint64_t k = key(p, list[i]);
      if (k >= end_key) continue;
      std::swap(list[i], list[equal]);
      if (k < first_key) std::swap(list[equal], list[begin++]);
      ++equal;
    }
    end = equal;
    shift -= kBucketBits;
    if (end - begin <= kFew || shift <= 0) break;
    buckets = fill_buckets(p, {list + begin, end - begin}, shift);
  }
  std::sort(list + begin, list + end, order_);
  const Divided view = {divisor_};
  while (begin < end) {
    sum += p.weight(view(list[begin]));
    if (is_enough(sum, ++begin)) break;
  }
  return begin;
}

inline void CandidateList::keep_front(bool typical, const Front& front) noexcept {
  if (divisor_ != 1) settle();
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
    n = select(p, {&front, p.total, 0}, fill_buckets(p, c_.list, kBucketShift));
    unsorted_ = true;
    c_.sorted = false;
  }
  c_.list = {c_.list.data(), n};
  keep_impossible(front.min_keep);
}

inline void CandidateList::keep_impossible(size_t n) noexcept {
  const size_t possible = c_.list.size();
  impossible_ = std::min(impossible_, n > possible ? n - possible : 0);
}

template <class Keep>
void CandidateList::keep_if(const Keep& keep) noexcept {
  size_t n = 0;
  for (const Candidate c : c_.list) {
    const bool keeps = keep(c);
    c_.list[n] = c;
    n += keeps ? 1 : 0;
  }
  c_.list = {c_.list.data(), n};
}

inline size_t CandidateList::bring_forward(double least) noexcept {
  const float from = float_from(least);
  size_t n = 0;
  for (Candidate& c : c_.list) {
    if (c.logit >= from) std::swap(c, c_.list[n++]);
  }
  return n;
}

inline void CandidateList::keep_top(size_t k) noexcept {
  if (!listed_) {
    c_ = {memory_.subspan(0, take_top(logits_, k, memory_)), true};
    listed_ = true;
    impossible_ = logits_.all.size() - c_.list.size();
  } else if (k < unordered().size()) {
    sort(k);
    c_ = {c_.list.subspan(0, k), true};
    unsorted_ = false;
  } else {
    order_by_probability();
  }
  keep_impossible(k);
}

inline void CandidateList::keep_from(double least) noexcept {
  if (!listed_) make_list(least);
}

inline void CandidateList::keep_only(const Candidate& one) noexcept {
  memory_[0] = one;
  c_ = {{memory_.data(), 1}, true};
  listed_ = true;
  unsorted_ = false;
}

// ---- the draw ----

inline Candidate CandidateList::best() const noexcept {
  if (listed_) {
    const Candidate* const first = std::min_element(c_.list.begin(), c_.list.end(), kMoreProbable);
    return first != c_.list.end() ? *first : Candidate{kNoToken, kImpossible};
  }
  const float most = greatest(logits_.maxima);
  const size_t first = kLogitBlock * find(logits_.maxima, most);
  const size_t id = first + find(logits_.all.subspan(first), most);
  return {most > kImpossible ? static_cast<Token>(id) : kNoToken, most};
}

// A part of the list by the parts' sums, then in it.
template <class View>
Candidate CandidateList::draw(const View& view, Random* random, Softmax* p) const noexcept {
  constexpr size_t kParts = 64;
  const Span<const Candidate> list = c_.list;
  size_t part = 64;
  while (part * kParts < list.size()) part *= 2;
  *p = {greatest(list, view), 0};
  uint64_t sums[kParts] = {};
  for (size_t i = 0; i * part < list.size(); ++i) {
    sums[i] = total(*p, list.subspan(i * part, part), view);
    p->total += sums[i];
  }
  uint64_t at = random->below(p->total);
  size_t from = 0;
  for (size_t i = 0; i < kParts && at >= sums[i]; ++i) {
    at -= sums[i];
    from += part;
  }
  Candidate drawn = list[0];  // beside an infinite logit nothing has a weight
  const Span<const Candidate> those = list.subspan(std::min(from, list.size()));
  weigh(*p, those, view, [&](size_t i, uint64_t, uint64_t weight) {
    if (at >= weight) return at -= weight, true;
    drawn = those[i];
    return false;
  });
  return drawn;
}

inline Candidate CandidateList::draw(Random* random, Softmax* p) noexcept {
  if (!unsorted_) return draw(AsItIs(), random, p);
  *p = {greatest_logit() / divisor_, 0};
  Buckets buckets = {};
  if (order_.mean < 0) {  // the sums alone, in less time
    weigh_divided(*p, c_.list, [&buckets](size_t, uint64_t bits, uint64_t weight) {
      buckets.of[std::min<size_t>(bits >> kBucketShift, kBuckets - 1)].sum += weight;
      return true;
    });
  } else {
    buckets = fill_buckets(*p, c_.list, kBucketShift);
  }
  for (const auto& bucket : buckets.of) p->total += bucket.sum;
  const size_t n = select(*p, {nullptr, p->total, random->below(p->total)}, buckets);
  return Divided{divisor_}(c_.list[n - 1]);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_CANDIDATE_LIST_INL_HPP_
