// Drawing a token: biases, the chain of samplers, the draw.
#ifndef INLAY_SESSION_SAMPLER_HPP_
#define INLAY_SESSION_SAMPLER_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/arch/phases.hpp"
#include "inlay/core/integer_math.hpp"
#include "inlay/core/span.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/model/sampling.hpp"
#include "inlay/text/tokenizer.hpp"

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

// What sampling remembers from one token to the next.
struct SamplerState {
  explicit SamplerState(const Sampling& sampling) noexcept;
  static constexpr size_t kWords = 4;
  void save(uint64_t* words) const noexcept;
  void restore(const uint64_t* words) noexcept;

  Random random;
  double mu;                            // of Mirostat
  double adaptive_sum, adaptive_count;  // of adaptive_p: probabilities of past tokens, fading
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

// Draws one token, or another one in its place. A chain begins on the logits where they lie: what
// changes a few of them or takes the best of them need not look at all, by the maxima. The list of
// candidates is only made when a sampler needs it.
class TokenSampler {
 public:
  // `list` is room for n_vocab candidates, `counts` for as many tokens as `recent` has: all of
  // prompt and output. The logits are changed.
  TokenSampler(const Sampling& sampling, const Tokenizer& tokenizer, Span<const Token> recent,
               const Logits& logits, Span<Candidate> list, Span<TokenCount> counts,
               SamplerState* state) noexcept
      : s_(sampling),
        tokenizer_(tokenizer),
        recent_(recent),
        logits_(logits),
        memory_(list),
        counts_(counts),
        state_(*state) {}

  // kNoToken if no token has a probability: logits that are not numbers.
  Token draw() noexcept;
  // Draws again, from allowed tokens only: a bit for each. kNoToken if there is none.
  Token draw_again(Span<const uint64_t> allowed) noexcept;
  // The token that was drawn last is the next one.
  void accept() noexcept;

  // What the samplers left, in any order, and the natural logarithms of the probabilities that
  // these had in the draw.
  Span<Candidate> left() noexcept { return c_.list; }
  const Candidate& drawn() const noexcept { return drawn_; }
  float log_probability(const Candidate& candidate) const noexcept;

 private:
  // The softmax of the list: integers, so that sums and draws are exact.
  struct Softmax {
    float top;
    uint64_t total;
    // How much less probable than the best: bits, in units of 2^-32.
    uint64_t bits(const Candidate& c) const noexcept {
      return to_bits(static_cast<double>(top) - static_cast<double>(c.logit));
    }
    uint64_t weight(const Candidate& c) const noexcept { return exp2_negative(bits(c)); }
    double probability(const Candidate& c) const noexcept {
      return static_cast<double>(weight(c)) / static_cast<double>(total);
    }
    // log2(1 / probability), and that of the best.
    double least_surprise() const noexcept;
    double surprise(const Candidate& c) const noexcept;
  };

  // Most probable first; or those first whose surprise is next to the mean.
  struct Order {
    float top;
    double mean;  // of bits(); < 0: most probable first
    double off(const Candidate& c) const noexcept;
    uint64_t key(const Candidate& c) const noexcept;
    bool operator()(const Candidate& a, const Candidate& b) const noexcept;
  };
  struct MeanBits;
  struct Front;
  struct Cut;
  struct Divided;

  Token run(uint32_t from) noexcept;
  void apply(const Sampler& sampler) noexcept;
  void take_best() noexcept;
  template <class View, class F>
  void weigh(const Softmax& p, Span<const Candidate> list, const View& view,
             const F& f) const noexcept;
  template <class View>
  uint64_t total(const Softmax& p, Span<const Candidate> list, const View& view) const noexcept;
  template <class View>
  void pick(const View& view) noexcept;
  void pick_unsorted() noexcept;
  bool greedy() const noexcept { return s_.temperature <= 0; }

  void set_logit(Token token, float logit) noexcept;
  void bias() noexcept;
  template <class Change>
  void change(Span<const TokenCount> counts, Change&& change) noexcept;
  Span<const Token> last(uint32_t n) const noexcept;
  bool has_breaker(Token token) const noexcept;
  size_t free_of_breakers(Span<const Token> tokens) const noexcept;

  float greatest_logit() const noexcept;
  Softmax softmax() const noexcept;
  void make_list(double least) noexcept;
  Span<Candidate>& list() noexcept;
  void settle() noexcept;
  void sort(size_t n) noexcept;
  void sort(const Order& order) noexcept;
  Order narrow(bool typical, const Front& front, Softmax* p) noexcept;
  size_t select(const Softmax& p, const Cut& is_enough) noexcept;
  void keep_front(bool typical, const Front& front) noexcept;
  template <class Keep>
  void keep_if(const Keep& keep) noexcept;
  void keep_impossible(size_t n) noexcept;

  void penalties() noexcept;
  void dry() noexcept;
  void top_n_sigma() noexcept;
  void top_k(size_t k) noexcept;
  void typical_p() noexcept;
  void top_p() noexcept;
  void min_p() noexcept;
  void xtc() noexcept;
  void temperature(bool dynamic) noexcept;
  void infill() noexcept;
  void adaptive_p() noexcept;
  void mirostat() noexcept;

  const Sampling& s_;
  const Tokenizer& tokenizer_;
  const Span<const Token> recent_;
  const Logits logits_;
  const Span<Candidate> memory_;
  const Span<TokenCount> counts_;
  SamplerState& state_;

  bool listed_ = false;
  // Most draws need neither all candidates in order nor their logits divided: what is drawn is what
  // would be if the list were sorted and then divided.
  bool unsorted_ = false;  // the list is in any order, for order_
  Order order_ = {};
  float divisor_ = 1;
  Candidates c_ = {};
  size_t impossible_ =
      0;                 // candidates that llama.cpp has besides, without a probability: they count
  uint32_t resume_ = 0;  // the first sampler that made the list: those before it changed logits
  Softmax drawn_from_ = {};
  Candidate drawn_ = {kNoToken, 0};
  double adaptive_ = -1;  // the probability that it had before adaptive_p
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SAMPLER_HPP_
