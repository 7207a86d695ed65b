// What choosing a token costs, by sampler, over a vocabulary of 151,936 tokens (Qwen's). Needs no
// model: the logits are made up (normal, deviation 3, of which a few dozen stand out).
//
//   bench_sampling        microseconds of one draw, the least of 200
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <inlay.hpp>
#include <vector>

#include "inlay/session/sampler.hpp"

namespace {

using inlay::Candidate;
using inlay::Sampling;
using inlay::Span;
using inlay::detail::Logits;

constexpr uint32_t kVocabulary = 151936, kContext = 4096;

struct Logprobs {
  bool on = false;
  uint32_t top = 0;
};

class Bench {
 public:
  explicit Bench(const inlay::Tokenizer& tokenizer)
      : tokenizer_(tokenizer),
        made_(kVocabulary),
        logits_(kVocabulary),
        maxima_(inlay::detail::logit_blocks(kVocabulary)),
        list_(kVocabulary),
        counts_(kContext),
        recent_(kContext) {
    inlay::detail::Random random(1);
    for (float& logit : made_) {
      double sum = -6;
      for (int i = 0; i < 12; ++i) sum += random.uniform();
      logit = static_cast<float>(3 * sum);
    }
    for (int i = 0; i < 40; ++i) {
      made_[random.below(kVocabulary)] += static_cast<float>(12 * random.uniform());
    }
    for (inlay::Token& token : recent_) token = static_cast<inlay::Token>(random.below(50));
  }

  // Less: more tokens that are about as probable.
  void scale(float factor) {
    for (float& logit : made_) logit *= factor;
  }

  void run(const char* name, const Sampling& s, const uint64_t* allowed = nullptr,
           const Logprobs& logprobs = {}) {
    std::vector<double> us;
    inlay::detail::SamplerState state(s);
    inlay::detail::LogprobTable table;
    table.set_sizes(logprobs.on, 1, logprobs.top, kVocabulary);
    std::vector<inlay::TokenLogprob> entries(table.entries());
    std::vector<float> kept(table.logits());
    table.set_memory(entries.data(), kept.data());
    for (int i = 0; i < 200; ++i) {
      logits_ = made_;
      const Logits logits = {logits_, maxima_, *kernels_};
      for (size_t b = 0; b < maxima_.size(); ++b) {
        maxima_[b] = inlay::detail::greatest(inlay::detail::logit_block(logits.all, b));
      }
      const auto begin = std::chrono::steady_clock::now();
      inlay::detail::TokenSampler sampler(s, tokenizer_, recent_, logits, list_, counts_, &state);
      if (table.on()) table.note_logits(0, logits, list_);
      sampler.draw();
      if (allowed != nullptr) sampler.draw_again({allowed, (kVocabulary + 63) / 64});
      sampler.accept();
      if (table.on()) table.note_drawn(0, &sampler);
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - begin;
      us.push_back(took.count());
    }
    std::printf("%-46s %9.1f\n", name, *std::min_element(us.begin(), us.end()));
  }

 private:
  const inlay::Tokenizer& tokenizer_;
  const inlay::detail::Kernels* const kernels_ = inlay::detail::pick_kernels(~int64_t{0});
  std::vector<float> made_, logits_, maxima_;
  std::vector<Candidate> list_;
  std::vector<inlay::detail::TokenCount> counts_;
  std::vector<inlay::Token> recent_;
};

Sampling off() {
  Sampling s;
  s.temperature = 1.0f;
  s.top_k = 0;
  s.top_p = 1.0f;
  s.min_p = 0.0f;
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const path = argc > 1 ? argv[1] : "examples/demo_model/inlay-demo.gguf";
  const auto model = inlay::Model::open(path);  // for the texts of tokens
  if (!model) return std::fprintf(stderr, "%s\n", model.error().message()), 1;
  Bench bench(model->tokenizer());
  std::printf("%-46s %9s\n", "151,936 tokens", "us");
  Sampling s;
  bench.run("defaults (top-k 40, top-p, min-p, temperature)", s);
  s.temperature = 0.0f;
  bench.run("greedy", s);
  s = Sampling();
  s.repeat_penalty = 1.1f;
  bench.run("defaults, penalties of 64 tokens", s);
  s.repeat_last_n = UINT32_MAX;
  bench.run("defaults, penalties of 4096 tokens", s);
  s = Sampling();
  s.dry_multiplier = 0.8f;
  bench.run("defaults, dry of 64 tokens", s);
  s.dry_last_n = UINT32_MAX;
  bench.run("defaults, dry of 4096 tokens", s);
  s = Sampling();
  const std::vector<uint64_t> allowed((kVocabulary + 63) / 64, 0x0000100020004001u);
  bench.run("defaults, refused and drawn again with a mask", s, allowed.data());
  bench.run("defaults, with logprobs", s, nullptr, {true, 0});
  bench.run("defaults, with logprobs of the best 5", s, nullptr, {true, 5});
  s = off();
  bench.run("temperature alone", s);
  s.min_p = 0.05f;
  bench.run("min-p alone", s);
  s.min_keep = 5;
  bench.run("min-p that keeps 5 at least", s);
  s = off();
  s.top_p = 0.95f;
  bench.run("top-p alone", s);
  s.temperature = 0.8f;
  bench.run("top-p, temperature 0.8", s);
  s = off();
  s.top_n_sigma = 1;
  bench.run("top-n-sigma alone", s);
  s = off();
  s.typical_p = 0.9f;
  bench.run("typical-p alone", s);
  s = off();
  s.xtc_probability = 1.0f;
  bench.run("xtc alone", s);
  s.temperature = 0.8f;
  bench.run("xtc, temperature 0.8", s);
  s = off();
  s.dynatemp_range = 0.5f;
  bench.run("dynamic temperature alone", s);
  s = off();
  s.adaptive_target = 0.3f;
  s.chain.add(inlay::SamplerKind::adaptive_p);
  bench.run("adaptive-p alone", s);
  s = off();
  s.mirostat = 1;
  bench.run("mirostat 1", s);
  s.mirostat = 2;
  bench.run("mirostat 2", s);
  Sampling top_p = off(), typical_p = off();
  top_p.top_p = 0.95f;
  typical_p.typical_p = 0.9f;
  bench.scale(2);  // few tokens are kept
  bench.run("top-p alone, deviation 6", top_p);
  bench.run("typical-p alone, deviation 6", typical_p);
  bench.scale(0.05f);  // nearly all
  bench.run("top-p alone, deviation 0.3", top_p);
  bench.run("typical-p alone, deviation 0.3", typical_p);
  return 0;
}
