// The tokens that may be drawn: what samplers work on.
#ifndef INLAY_SESSION_CANDIDATE_LIST_HPP_
#define INLAY_SESSION_CANDIDATE_LIST_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/arch/phases.hpp"
#include "inlay/core/integer_math.hpp"
#include "inlay/core/span.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/model/sampling.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Random numbers that are the same on every platform: splitmix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) noexcept : state_(seed) {}
  uint64_t state() const noexcept { return state_; }
  uint64_t next() noexcept {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform in [0, end).
  uint64_t below(uint64_t end) noexcept { return multiply_high(next(), end); }
  // Uniform in [0, 1), 53 bits.
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// One row of logits [n_vocab], and the maximum of each kLogitBlock of them.
struct Logits {
  Span<float> all;
  Span<float> maxima;
  const Kernels& kernels;  // to compute with them
};

struct TokenCount {
  Token id;
  uint32_t count;
};

// The softmax of candidates: integers, so that sums and draws are exact.
struct Softmax {
  float top;
  uint64_t total;
  // How much less probable than the best: bits, in units of 2^-32.
  uint64_t bits(const Candidate& c) const noexcept {
    return to_bits(static_cast<double>(top) - static_cast<double>(c.logit));
  }
  uint64_t weight(const Candidate& c) const noexcept { return exp2_negative(bits(c)); }
  double probability(uint64_t weight) const noexcept {
    return static_cast<double>(weight) / static_cast<double>(total);
  }
  double probability(const Candidate& c) const noexcept { return probability(weight(c)); }
  // log2(1 / probability), and that of the best.
  double least_surprise() const noexcept;
  double surprise(const Candidate& c) const noexcept;
};

// How many candidates are kept from the front: to the first with which their sum is enough.
struct Front {
  double share;     // of all
  bool more;        // than that
  size_t min_keep;  // candidates at least
  bool is_enough(uint64_t sum, uint64_t total, size_t n) const noexcept {
    const double so_far = static_cast<double>(sum), wanted = share * static_cast<double>(total);
    return n > 0 && n >= min_keep && (more ? so_far > wanted : so_far >= wanted);
  }
};

// At first the logits where they lie: what changes a few of them or takes the best of them need not
// look at all, by the maxima. A list is made when it is needed, and brought in order when that is
// asked for: most draws need neither all candidates in order nor their logits divided. What is
// drawn is what would be if the list were sorted and then divided.
class CandidateList {
 public:
  // `memory` is room for n_vocab candidates. The logits are changed.
  CandidateList(const Logits& logits, Span<Candidate> memory) noexcept
      : logits_(logits), memory_(memory) {}

  Span<const float> logits() const noexcept { return logits_.all; }
  void set_logit(Token token, float logit) noexcept;
  // Sets the logits of those tokens, which are sorted by id and distinct, to change(logit, count).
  template <class Change>
  void change(Span<const TokenCount> counts, Change&& change) noexcept;
  // As if nothing had been listed; other tokens than those, a bit for each, become impossible.
  void begin_again(Span<const uint64_t> allowed) noexcept;

  bool listed() const noexcept { return listed_; }
  // The list, of all that is possible if there is none yet: as it lies; with logits as they are, in
  // any order; and in order.
  Span<Candidate>& raw() noexcept;
  Span<Candidate>& unordered() noexcept;
  Candidates& settled() noexcept;
  // What draw() drew from: in any order.
  Span<Candidate>& divided() noexcept;
  // Whether two at least are possible.
  bool has_choice() const noexcept;
  // With those that llama.cpp has besides, without a probability: they count.
  size_t size_with_impossible() const noexcept { return c_.list.size() + impossible_; }

  float greatest_logit() const noexcept;
  Softmax softmax() noexcept;
  // f(i, bits, weight) of what is listed, or of all tokens if nothing is, as long as it returns
  // true. What is impossible has no weight.
  template <class F>
  void weigh(const Softmax& p, const F& f) const noexcept;

  void divide(float divisor) noexcept;
  // The list is in order of probability, when it is next in order.
  void order_by_probability() noexcept;
  // The most probable `n` to the front, in order, now.
  void sort(size_t n) noexcept;

  void keep_top(size_t k) noexcept;
  // Keeps the front, most probable first or those first whose surprise is typical.
  void keep_front(bool typical, const Front& front) noexcept;
  // Brings to the front what has at least that logit, or little less, and returns how many these
  // are. What is in order stays so.
  size_t bring_forward(double least) noexcept;
  // Lists only what has at least that logit, if nothing is listed.
  void keep_from(double least) noexcept;
  // Keeps those, in their order; of the impossible ones all, or what makes the candidates `n`.
  template <class Keep>
  void keep_if(const Keep& keep) noexcept;
  void keep_impossible(size_t n) noexcept;
  void keep_only(const Candidate& one) noexcept;
  void set_impossible(size_t n) noexcept { impossible_ = n; }
  bool sorted() const noexcept { return c_.sorted; }

  // The most probable one: no token if there is none.
  Candidate best() const noexcept;
  // Draws from the softmax, which it tells; or from that of view(candidate).
  Candidate draw(Random* random, Softmax* p) noexcept;
  template <class View>
  Candidate draw(const View& view, Random* random, Softmax* p) const noexcept;

 private:
  // Most probable first; or those first whose surprise is next to the mean.
  struct Order {
    float top;
    double mean;  // of bits(); < 0: most probable first
    double off(const Candidate& c) const noexcept;
    uint64_t key(const Candidate& c) const noexcept;
    bool operator()(const Candidate& a, const Candidate& b) const noexcept;
  };
  struct Cut;
  struct Buckets;

  void make_list(double least) noexcept;
  void settle() noexcept;
  template <class View, class F>
  void weigh(const Softmax& p, Span<const Candidate> list, const View& view,
             const F& f) const noexcept;
  template <class View>
  uint64_t total(const Softmax& p, Span<const Candidate> list, const View& view) const noexcept;
  Order narrow(bool typical, const Front& front, Softmax* p) noexcept;
  template <class F>
  void weigh_divided(const Softmax& p, Span<const Candidate> those, const F& f) const noexcept;
  uint64_t key(const Softmax& p, const Candidate& c) const noexcept;
  Buckets fill_buckets(const Softmax& p, Span<const Candidate> those, int shift) const noexcept;
  size_t select(const Softmax& p, const Cut& is_enough, Buckets buckets) noexcept;

  const Logits logits_;
  const Span<Candidate> memory_;
  bool listed_ = false;
  Candidates c_ = {};
  // What is yet to be done to the list.
  bool unsorted_ = false;  // it is in any order, for order_
  Order order_ = {};
  float divisor_ = 1;  // 1 if it is in order
  size_t impossible_ = 0;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_CANDIDATE_LIST_HPP_
