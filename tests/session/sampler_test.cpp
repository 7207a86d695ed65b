#include "inlay/session/sampler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <inlay.hpp>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/demo_model.hpp"
#include "support/sampling_cases.hpp"

namespace {

using inlay::Candidate;
using inlay::Candidates;
using inlay::Sampler;
using inlay::SamplerChain;
using inlay::SamplerKind;
using inlay::Sampling;
using inlay::Span;
using inlay::Token;
using inlay::detail::SamplerState;
using inlay::detail::TokenSampler;
using inlay_test::Ids;
using inlay_test::SamplingCase;

// What one call of llama.cpp's chain left: tests/golden/sampling_record.cpp.
struct Recorded {
  const char* name;
  size_t n;
  uint64_t ids;
  Token drawn;
  const char* best;  // "id probability ..."
};
const Recorded kRecorded[] = {
#include "golden/sampling.inc"
};

const inlay::Model& model() {
  static const inlay::Model opened = inlay_test::demo_model();
  return opened;
}

Ids encode(const char* text) {
  Ids ids(inlay::Tokenizer::max_tokens(std::strlen(text)));
  inlay::TokenizeOptions options;
  options.add_special = options.parse_special = false;
  const auto n = model().tokenizer().encode(text, ids, options);
  REQUIRE(bool(n));
  ids.resize(*n);
  return ids;
}

std::vector<float> logits_of(const std::string& kind) {
  const inlay_test::SamplingVocabulary vocabulary = {
      model().tokenizer().size(), [](void*, const char* text) { return encode(text); }, nullptr};
  return inlay_test::sampling_logits(vocabulary, kind);
}

const inlay::detail::Kernels* kernels() {
  static const inlay::detail::Kernels* const best = inlay::detail::pick_kernels(~int64_t{0});
  return best;
}

// A sampler on a copy of the logits, and the memory that it works in.
struct Run {
  std::vector<float> logits, maxima;
  std::vector<Candidate> list;
  std::vector<inlay::detail::TokenCount> counts;
  Ids recent;
  TokenSampler sampler;

  Run(const Sampling& s, const std::vector<float>& l, SamplerState* state, const Ids& before = {})
      : logits(l),
        maxima(inlay::detail::logit_blocks(uint32_t(l.size()))),
        list(l.size()),
        counts(before.size()),
        recent(before),
        sampler(s, model().tokenizer(), recent, {logits, maxima, *kernels()}, list, counts, state) {
    for (size_t b = 0; b < maxima.size(); ++b) {
      maxima[b] = inlay::detail::greatest(inlay::detail::logit_block(logits, b));
    }
  }
  std::map<Token, double> left() {
    std::map<Token, double> all;
    for (const Candidate& c : sampler.left()) {
      all[c.id] = std::exp(double{sampler.log_probability(c)});
    }
    return all;
  }
};

Token draw(const Sampling& s, const std::vector<float>& logits, SamplerState* state,
           const Ids& before = {}) {
  return Run(s, logits, state, before).sampler.draw();
}

}  // namespace

TEST_CASE("each sampler leaves what llama.cpp's leaves, with the same probabilities") {
  size_t at = 0;
  for (const SamplingCase& c : inlay_test::sampling_cases()) {
    const std::vector<float> logits = logits_of(c.logits);
    SamplerState state(c.sampling);
    const bool goes_on = c.sampling.mirostat != 0u || c.sampling.adaptive_target >= 0;
    for (int round = 0; round < (goes_on ? 3 : 1); ++round) {
      REQUIRE(at < std::size(kRecorded));
      const Recorded& expected = kRecorded[at++];
      CAPTURE(std::string(expected.name));
      CHECK(c.name + ", " + c.logits == expected.name);
      Run run(c.sampling, logits, &state, encode(c.text.c_str()));
      CHECK(run.sampler.draw() != inlay::kNoToken);
      const std::map<Token, double> left = run.left();
      Ids ids;
      for (const auto& [id, p] : left) ids.push_back(id);
      CHECK(left.size() == expected.n);
      CHECK(inlay_test::hash_of(ids) == expected.ids);
      std::istringstream best(expected.best);
      Token id = 0;
      double p = 0;
      while (best >> id >> p) {
        CAPTURE(id);
        REQUIRE(left.count(id) == 1);
        CHECK(std::fabs(left.at(id) - p) < 1e-6);
      }
      // Goes on from what llama.cpp drew.
      if (c.sampling.mirostat != 0u) {
        const double surprise = -std::log2(left.at(expected.drawn));
        state.mu -= double{c.sampling.mirostat_eta} * (surprise - double{c.sampling.mirostat_tau});
      } else if (goes_on) {
        Sampling plain = c.sampling;
        plain.adaptive_target = -1;
        SamplerState other(plain);
        Run before(plain, logits, &other);
        before.sampler.draw();
        state.adaptive_sum = before.left().at(expected.drawn) + 0.9 * state.adaptive_sum;
        state.adaptive_count = 1 + 0.9 * state.adaptive_count;
      }
    }
  }
  CHECK(at == std::size(kRecorded));
}

namespace {

// The probabilities of what the chain leaves, drawn `n` times.
void check_draws(const Sampling& s, const std::vector<float>& logits) {
  SamplerState state(s);
  constexpr int kDraws = 20000;
  std::map<Token, int> drawn;
  std::map<Token, double> left;
  for (int i = 0; i < kDraws; ++i) {
    Run run(s, logits, &state);
    ++drawn[run.sampler.draw()];
    if (i == 0) left = run.left();
  }
  for (const auto& entry : drawn) CHECK(left.count(entry.first) == 1);
  for (const auto& entry : left) {
    // Binomial: five standard deviations, and one draw for where it is far from normal.
    const Token token = entry.first;
    const double p = entry.second, deviation = std::sqrt(kDraws * p * (1 - p));
    CAPTURE(token);
    CHECK(std::fabs(drawn[token] - kDraws * p) <= 5 * deviation + 1);
  }
}

}  // namespace

TEST_CASE("tokens are drawn with the probabilities that the chain left") {
  const std::vector<float> logits = logits_of("hundred");
  Sampling s = inlay_test::sampling_off();
  check_draws(s, logits);
  s.temperature = 3.0f;
  check_draws(s, logits);
  s.adaptive_target = 0.3f;
  s.chain = *SamplerChain::parse("top_k;adaptive_p");
  s.top_k = 20;
  check_draws(s, logits);
  s = inlay_test::sampling_off();
  s.mirostat = 2;
  check_draws(s, logits);
}

namespace {

// What top_p, typical_p or min_p must leave, in the order in which the draw goes over it, when
// nothing else has a part.
Ids front_of(const Sampling& s, const std::vector<float>& logits) {
  struct Entry {
    double key;
    float logit;
    Token id;
    uint64_t weight;
  };
  const float top = *std::max_element(logits.begin(), logits.end());
  std::vector<Entry> all;
  uint64_t total = 0, high = 0, low = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == -INFINITY) continue;
    const uint64_t bits = inlay::detail::to_bits(double{top} - double{logits[i]});
    const uint64_t weight = inlay::detail::exp2_negative(bits);
    all.push_back({double(bits), logits[i], Token(i), weight});
    total += weight;
    high += (weight >> 10) * (bits >> 12) >> 32;
    low += (weight >> 10) * (bits >> 12) & 0xffffffff;
  }
  const bool typical = s.typical_p < 1;
  const bool xtc = s.xtc_probability > 0;
  const bool in_order = typical || xtc || s.top_p < 1 || s.min_keep > 1;
  const double mean = (double(high) * 0x1p32 + double(low)) * 0x1p22 / double(total);
  for (Entry& e : all) e.key = typical ? std::fabs(e.key - mean) : 0;
  std::sort(all.begin(), all.end(), [&](const Entry& a, const Entry& b) {
    if (a.key != b.key) return a.key < b.key;
    return (in_order && a.logit > b.logit) || ((!in_order || a.logit == b.logit) && a.id < b.id);
  });
  Ids front;
  if (s.min_p > 0) {
    for (const Entry& e : all) {
      const double off = double{top} - double{e.logit};
      if (off <= -inlay::detail::log2_exactly(double{s.min_p}) * inlay::detail::kLn2 ||
          front.size() < s.min_keep)
        front.push_back(e.id);
    }
    return front;
  }
  if (xtc) {
    size_t removed = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (double(all[i].weight) / double(total) >= double{s.xtc_threshold}) removed = i;
    }
    if (logits.size() - removed < s.min_keep) removed = 0;
    for (size_t i = removed; i < all.size(); ++i) front.push_back(all[i].id);
    return front;
  }
  const double wanted = double{typical ? s.typical_p : float(s.top_p)} * double(total);
  uint64_t sum = 0;
  for (const Entry& e : all) {
    front.push_back(e.id);
    sum += e.weight;
    const bool enough = typical ? double(sum) > wanted : double(sum) >= wanted;
    if (in_order && enough && front.size() >= s.min_keep) break;
  }
  return front;
}

// What is drawn from those, with their logits divided.
Token drawn_from(const Ids& front, const std::vector<float>& logits, const Sampling& s,
                 inlay::detail::Random* random) {
  const auto divided = [&](Token id) { return logits[size_t(id)] / s.temperature; };
  float top = -INFINITY;
  for (const Token id : front) top = std::max(top, divided(id));
  const auto weight = [&](Token id) {
    return inlay::detail::exp2_negative(inlay::detail::to_bits(double{top} - double{divided(id)}));
  };
  uint64_t total = 0;
  for (const Token id : front) total += weight(id);
  uint64_t at = random->below(total);
  size_t i = 0;
  while (at >= weight(front[i])) at -= weight(front[i++]);
  return front[i];
}

Ids sorted(Ids ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

TEST_CASE("what top_p, typical_p, min_p and xtc leave, the draw goes over in order") {
  inlay::detail::Random random(5);
  for (const double deviation : {1e-30, 0.01, 1.0, 3.0, 40.0}) {
    for (const size_t n : {size_t{1}, size_t{2}, size_t{70}, size_t{5000}}) {
      std::vector<float> logits(n);
      for (float& logit : logits) {
        double sum = -6;
        for (int i = 0; i < 12; ++i) sum += random.uniform();
        logit = float(deviation * sum);
        if (random.below(8) == 0) logit = std::round(logit);  // of which many are equal
        if (random.below(20) == 0) logit = -INFINITY;
      }
      logits[0] = 0;
      const auto check = [&](Sampling s) {
        for (const float temperature : {1.0f, 0.7f, 1.9f}) {
          CAPTURE(temperature);
          s.temperature = temperature;
          s.seed = random.next();
          SamplerState state(s);
          Run run(s, logits, &state);
          const Token drawn = run.sampler.draw();
          Ids left;
          for (const Candidate& c : run.sampler.left()) left.push_back(c.id);
          const Ids front = front_of(s, logits);
          CHECK(sorted(left) == sorted(front));
          inlay::detail::Random expected(s.seed);
          if (s.xtc_probability > 0) expected.next();  // which decided on that
          CHECK(drawn == drawn_from(front, logits, s, &expected));
        }
      };
      CAPTURE(deviation);
      CAPTURE(n);
      check(inlay_test::sampling_off());
      for (const float share : {0.0f, 0.3f, 0.9f, 0.999f}) {
        CAPTURE(share);
        Sampling s = inlay_test::sampling_off();
        s.min_p = share;
        if (share > 0) check(s);
        s.min_keep = 60;
        if (share > 0) check(s);
        s = inlay_test::sampling_off();
        for (const uint32_t min_keep : {0u, 60u}) {
          s.min_keep = min_keep;
          s.top_p = share;
          check(s);
          s.top_p = 1.0f;
          s.typical_p = share;
          check(s);
          s.typical_p = 1;
        }
      }
      for (const float threshold : {0.0f, 0.0002f, 0.01f, 0.05f, 0.2f, 0.5f}) {
        CAPTURE(threshold);
        Sampling s = inlay_test::sampling_off();
        s.xtc_probability = 1.0f;
        s.xtc_threshold = threshold;
        check(s);
        s.min_keep = 60;
        check(s);
      }
    }
  }
}

TEST_CASE("what is drawn again, xtc decides on again") {
  const std::vector<float> logits = logits_of("thousand");
  std::vector<float> allowed = logits;
  std::vector<uint64_t> mask((logits.size() + 63) / 64, 0x5a5a5a5a5a5a5a5au);
  for (size_t i = 0; i < logits.size(); ++i) {
    if ((mask[i / 64] >> (i % 64) & 1) == 0) allowed[i] = -INFINITY;
  }
  Sampling s = inlay_test::sampling_off();
  s.xtc_probability = 0.5f;
  s.xtc_threshold = 0.01f;
  int removed = 0;
  for (const float temperature : {1.0f, 0.6f}) {
    s.temperature = temperature;
    for (s.seed = 0; s.seed < 100; ++s.seed) {
      SamplerState state(s);
      Run run(s, logits, &state);
      inlay::detail::Random random(s.seed);
      for (const bool again : {false, true}) {
        const std::vector<float>& l = again ? allowed : logits;
        Sampling as_decided = s;
        if (random.uniform() > 0.5) as_decided.xtc_probability = 0;
        removed += as_decided.xtc_probability > 0 ? 1 : 0;
        const Token drawn = again ? run.sampler.draw_again(mask) : run.sampler.draw();
        CHECK(drawn == drawn_from(front_of(as_decided, l), l, s, &random));
      }
    }
  }
  CHECK(removed > 150);
  CHECK(removed < 250);
}

TEST_CASE("xtc removes the most probable tokens as often as it is told") {
  const std::vector<float> logits = logits_of("hundred");
  Sampling s = inlay_test::sampling_off();
  s.xtc_probability = 0.3f;
  s.xtc_threshold = 0.02f;
  SamplerState state(s);
  int removed = 0;
  size_t all = logits.size(), least = all;
  for (int i = 0; i < 10000; ++i) {
    Run run(s, logits, &state);
    run.sampler.draw();
    const size_t n = run.sampler.left().size();
    removed += n < all ? 1 : 0;
    least = std::min(least, n);
  }
  CHECK(least < all);
  CHECK(std::abs(removed - 3000) < 5 * 46);
}

TEST_CASE("the same seed draws the same tokens on every platform") {
  const std::vector<float> logits = logits_of("flat");
  Sampling s = inlay_test::sampling_off();
  s.seed = 42;
  SamplerState state(s);
  Ids drawn;
  for (int i = 0; i < 8; ++i) drawn.push_back(draw(s, logits, &state));
  CHECK(drawn == Ids{2280, 492, 854, 1069, 117, 2669, 676, 2460});
  s = Sampling();
  s.temperature = 1.5f;
  s.typical_p = 0.9f;
  s.dynatemp_range = 0.5f;
  s.xtc_probability = 0.5f;
  s.xtc_threshold = 0.05f;
  SamplerState other(s);
  drawn.clear();
  for (int i = 0; i < 8; ++i) drawn.push_back(draw(s, logits, &other));
  CHECK(drawn == Ids{166, 1660, 1610, 1570, 1660, 1570, 2369, 2525});
}

TEST_CASE("greedy takes the best after penalties, and no other sampler or seed has a part") {
  const std::vector<float> logits = logits_of("code");
  const Token best = Token(std::max_element(logits.begin(), logits.end()) - logits.begin());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Sampling s;
    s.temperature = 0.0f;
    s.seed = seed;
    s.xtc_probability = 1.0f;
    s.xtc_threshold = 0.0f;
    s.typical_p = 0.1f;
    s.mirostat = uint32_t(seed % 3);
    s.adaptive_target = 0.1f;
    s.dynatemp_range = 1;
    SamplerState state(s);
    Run run(s, logits, &state);
    CHECK(run.sampler.draw() == best);
    CHECK(run.left() == std::map<Token, double>{{best, 1.0}});
    run.sampler.accept();
    CHECK(state.random.state() == seed);
  }
  Sampling s;
  s.temperature = 0.0f;
  const inlay::LogitBias bias[] = {{best, -INFINITY}, {77, 3.0f}};
  s.logit_bias = bias;
  SamplerState state(s);
  std::vector<float> changed = logits;
  changed[size_t(best)] = -INFINITY;
  changed[77] += 3;
  CHECK(draw(s, logits, &state) ==
        Token(std::max_element(changed.begin(), changed.end()) - changed.begin()));
}

TEST_CASE("mirostat and adaptive_p learn from what was drawn") {
  const std::vector<float> logits = logits_of("thousand");
  Sampling s;
  s.mirostat = 2;
  s.mirostat_tau = 3.0f;
  s.temperature = 1.0f;
  SamplerState state(s);
  double sum = 0;
  for (int i = 0; i < 400; ++i) {
    const double mu = state.mu;
    Run run(s, logits, &state);
    const Token token = run.sampler.draw();
    CHECK(state.mu == mu);  // not until it is accepted
    run.sampler.accept();
    const double surprise = -std::log2(run.left().at(token));
    CHECK(std::fabs(state.mu - (mu - 0.1 * (surprise - 3))) < 1e-6);
    sum += surprise;
  }
  CHECK(std::fabs(sum / 400 - 3) < 0.3);

  s = inlay_test::sampling_off();
  s.adaptive_target = 0.2f;
  s.chain = *SamplerChain::parse("adaptive_p");
  SamplerState adaptive(s);
  const std::map<Token, double> model_says = [&] {
    Sampling plain = inlay_test::sampling_off();
    SamplerState any(plain);
    Run run(plain, logits, &any);
    run.sampler.draw();
    return run.left();
  }();
  for (int i = 0; i < 400; ++i) {
    const double before = adaptive.adaptive_sum;
    Run run(s, logits, &adaptive);
    const double p = model_says.at(run.sampler.draw());
    CHECK(adaptive.adaptive_sum == before);
    run.sampler.accept();
    CHECK(std::fabs(adaptive.adaptive_sum - (p + 0.9 * before)) < 1e-6);
  }
  uint64_t words[SamplerState::kWords];
  adaptive.save(words);
  SamplerState restored(s);
  restored.restore(words);
  for (int i = 0; i < 20; ++i) {
    CHECK(draw(s, logits, &restored) == draw(s, logits, &adaptive));
  }
}

TEST_CASE("a chain is changed, extended and read from text") {
  SamplerChain chain;
  CHECK(!chain.is_set());
  CHECK(chain.size() == 9);
  CHECK(chain[0].kind == SamplerKind::penalties);
  CHECK(chain[8].kind == SamplerKind::temperature);
  CHECK(chain.find(SamplerKind::min_p) == 6);
  CHECK(chain.find(SamplerKind::infill) == 9);
  CHECK(!chain.remove(SamplerKind::infill));
  CHECK(!chain.is_set());
  CHECK(chain.remove(SamplerKind::top_k));
  CHECK(chain.is_set());
  CHECK(chain.size() == 8);
  CHECK(chain.insert(0, SamplerKind::top_k));
  CHECK(chain[0].kind == SamplerKind::top_k);
  CHECK(chain[1].kind == SamplerKind::penalties);
  CHECK(!chain.insert(99, SamplerKind::top_k));
  while (chain.size() < SamplerChain::kMaxSamplers) CHECK(chain.add(chain[0]));
  CHECK(!chain.add(SamplerKind::top_p));
  chain.clear();
  CHECK(chain.size() == 0);

  const auto kinds = [](const char* text) {
    const auto parsed = SamplerChain::parse(text);
    std::string all;
    for (uint32_t i = 0; parsed && i < parsed->size(); ++i) {
      all += "edskypmxtia"[size_t((*parsed)[i].kind)];
    }
    return parsed ? all : std::string(parsed.error().message());
  };
  CHECK(kinds("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature") == "edskypmxt");
  CHECK(kinds("edskypmxtia") == "edskypmxtia");
  CHECK(kinds("adaptive_p") == "a");
  CHECK(kinds("infill;top_k;") == "ik");
  CHECK(kinds("").empty());
  CHECK(kinds("top_k;best_p") == "there is no sampler best_p (in top_k;best_p)");
  CHECK(kinds("kz") == "there is no sampler z (in kz)");
  CHECK(kinds("kkkkkkkkkkkkkkkkk") == "a chain has at most 16 samplers");
}

TEST_CASE("a program's own function is a sampler like any other") {
  struct Own {
    int calls = 0;
    Ids accepted = {};
    static void apply(void* user, Candidates* c) {
      ++static_cast<Own*>(user)->calls;
      // Odd tokens only, the best first.
      size_t n = 0;
      for (const Candidate& candidate : c->list) {
        if (candidate.id % 2 == 1) c->list[n++] = candidate;
      }
      c->list = c->list.subspan(0, n);
    }
    static void accept(void* user, Token token) {
      static_cast<Own*>(user)->accepted.push_back(token);
    }
  };
  const std::vector<float> logits = logits_of("thousand");
  for (const float temperature : {0.0f, 1.0f}) {
    Own own;
    Sampling s;
    s.temperature = temperature;
    s.top_p = 1.0f;
    s.min_p = 0.0f;
    CHECK(s.chain.insert(0, Sampler(&Own::apply, &own, &Own::accept)));
    SamplerState state(s);
    Run run(s, logits, &state);
    CHECK(run.sampler.draw() % 2 == 1);
    CHECK(own.calls == 1);
    CHECK(run.left().size() == (temperature > 0 ? 40 : 1));
    for (const auto& entry : run.left()) CHECK(entry.first % 2 == 1);
  }
  Own own;
  inlay::SessionOptions options;
  options.context = 32;
  options.max_tokens = 6;
  CHECK(options.sampling.chain.add(Sampler(&Own::apply, &own, &Own::accept)));
  auto session = inlay::Session::create(model(), options);
  REQUIRE(bool(session));
  REQUIRE(session->prompt("int"));
  const size_t before = session->tokens().size();
  while (session->next() != nullptr) {
  }
  CHECK(own.accepted == Ids(session->tokens().begin() + before, session->tokens().end()));
  CHECK(own.calls >= int(own.accepted.size()));
}

TEST_CASE("what cannot be drawn from gives no token, and nothing else goes wrong") {
  const Sampling off = inlay_test::sampling_off();
  std::vector<Sampling> all = {off, Sampling()};
  for (const SamplingCase& c : inlay_test::sampling_cases()) all.push_back(c.sampling);
  for (Sampling& s : all) {
    for (const float value : {NAN, -INFINITY}) {
      SamplerState state(s);
      Run run(s, std::vector<float>(50, value), &state, {1, 2, 1, 2, 1});
      const Token token = run.sampler.draw();
      CHECK((token == inlay::kNoToken || model().tokenizer().is_end(token)));
    }
    SamplerState state(s);
    std::vector<float> one(3000, -INFINITY);
    one[7] = 1;
    const Token token = draw(s, one, &state, {1, 2, 1, 2, 1});
    CHECK((token == 7 || model().tokenizer().is_end(token)));
    one[9] = INFINITY;
    draw(s, one, &state, {1, 2, 1, 2, 1});
    one.assign(3000, 0.25f);  // all alike
    draw(s, one, &state, {1, 2, 1, 2, 1});
    std::vector<float> mixed = logits_of("thousand");
    for (size_t i = 0; i < mixed.size(); i += 3) mixed[i] = NAN;
    draw(s, mixed, &state, {1, 2, 1, 2, 1});
  }
}

TEST_CASE("a second draw is made from what is allowed, with the logits as they were changed") {
  const std::vector<float> logits = logits_of("code");
  const Ids before = encode(inlay_test::kRepetitive);
  for (const char* order : {"edskypmxt", "kpe", "tke", "ptk", "yt", "tpm"}) {
    Sampling s;
    s.repeat_penalty = 1.3f;
    s.frequency_penalty = 0.2f;
    s.typical_p = 0.9f;
    s.chain = *SamplerChain::parse(order);
    std::vector<uint64_t> allowed((logits.size() + 63) / 64);
    std::vector<float> masked = logits;
    for (size_t i = 0; i < logits.size(); ++i) {
      const bool is_allowed = i % 7 == 3 || std::count(before.begin(), before.end(), Token(i)) > 0;
      if (is_allowed) allowed[i / 64] |= uint64_t{1} << (i % 64);
      if (!is_allowed) masked[i] = -INFINITY;
    }
    SamplerState one(s), other(s);
    Run again(s, logits, &one, before), direct(s, masked, &other, before);
    again.sampler.draw();
    CHECK(again.sampler.draw_again(allowed) != inlay::kNoToken);
    CHECK(direct.sampler.draw() != inlay::kNoToken);
    CHECK(again.left() == direct.left());
    std::fill(allowed.begin(), allowed.end(), uint64_t{0});
    CHECK(again.sampler.draw_again(allowed) == inlay::kNoToken);
  }
}
