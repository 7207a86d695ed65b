// Drawing a token: biases, the chain of samplers, the draw.
#ifndef INLAY_SESSION_SAMPLER_HPP_
#define INLAY_SESSION_SAMPLER_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/core/span.hpp"
#include "inlay/model/sampling.hpp"
#include "inlay/session/candidate_list.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

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

// Draws one token, or another one in its place.
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
        counts_(counts),
        state_(*state),
        list_(logits, list) {}

  // kNoToken if no token has a probability: logits that are not numbers.
  Token draw() noexcept;
  // Draws again, from allowed tokens only: a bit for each. kNoToken if there is none.
  Token draw_again(Span<const uint64_t> allowed) noexcept;
  // The token that was drawn last is the next one.
  void accept() noexcept;

  // What the samplers left, in any order, and the natural logarithms of the probabilities that
  // these had in the draw.
  Span<Candidate> left() noexcept;
  const Candidate& drawn() const noexcept { return drawn_; }
  float log_probability(const Candidate& candidate) const noexcept;

 private:
  Token run(uint32_t from) noexcept;
  void apply(const Sampler& sampler) noexcept;
  bool greedy() const noexcept { return s_.temperature <= 0; }

  void bias() noexcept;
  Span<const Token> last(uint32_t n) const noexcept;
  bool has_breaker(Token token) const noexcept;
  size_t free_of_breakers(Span<const Token> tokens) const noexcept;

  void penalties() noexcept;
  void dry() noexcept;
  void top_n_sigma() noexcept;
  void top_k() noexcept;
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
  const Span<TokenCount> counts_;
  SamplerState& state_;

  CandidateList list_;
  uint32_t resume_ = 0;  // the first sampler that made the list: those before it changed logits
  Softmax drawn_from_ = {};
  Candidate drawn_ = {kNoToken, 0};
  double adaptive_ = -1;  // the probability that it had before adaptive_p
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_SAMPLER_HPP_
