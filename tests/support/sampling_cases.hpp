// Logits and settings whose outcome llama.cpp was asked for (golden/sampling_record.cpp), and which
// session/sampler_test.cpp goes over.
#ifndef INLAY_TESTS_SUPPORT_SAMPLING_CASES_HPP_
#define INLAY_TESTS_SUPPORT_SAMPLING_CASES_HPP_

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "inlay/model/sampling.hpp"

namespace inlay_test {
namespace {  // types with members of inlay's, which are hidden

using Ids = std::vector<inlay::Token>;

// What is needed of a vocabulary: that of examples/demo_model.
struct SamplingVocabulary {
  uint32_t size;
  Ids (*encode)(void* user, const char* text);
  void* user;
};

inline constexpr const char* kRepetitive =
    "sum = a[i] + b; low = a[i] - b;\nhigh = a[i] * b; all = c[i] / d; if (c[j] < d[j]) all = a[i]";

// Floats that are the same everywhere: no sums of products.
inline std::vector<float> sampling_logits(const SamplingVocabulary& vocabulary,
                                          const std::string& kind) {
  const uint32_t n = kind == "hundred" ? 100 : kind == "thousand" ? 1000 : vocabulary.size;
  std::vector<float> logits(n);
  uint32_t state = static_cast<uint32_t>(kind.size()) * 77 + n;
  const auto next = [&state] {
    state = state * 1664525u + 1013904223u;
    return static_cast<int>(state >> 8);  // 24 bits
  };
  for (float& logit : logits) {
    // The sum of three: nearly normal, deviation 2.
    logit =
        static_cast<float>((next() >> 4) + (next() >> 4) + (next() >> 4) - 3 * 0x80000) / 262144;
    if (kind == "flat") logit = logit / 4;
  }
  const auto raise = [&](const char* text, float to) {
    for (const inlay::Token id : vocabulary.encode(vocabulary.user, text)) {
      logits[static_cast<size_t>(id)] = to + logits[static_cast<size_t>(id)] / 4;
    }
  };
  if (kind == "code") raise(kRepetitive, 12);
  if (kind == "code") raise("int value = values[i];\n  if (value == values[j]) { return: i * 2", 9);
  if (kind == "words" || kind == "weak end") {
    raise("re", 11);
    raise("return", 12);
    raise("r", 9);
    raise(" ", 10);
    raise("  ", 11);
  }
  return logits;
}

struct SamplingCase {
  std::string name, logits;
  inlay::Sampling sampling;
  std::string text = {};  // what was written before
};

// With everything off.
inline inlay::Sampling sampling_off() {
  inlay::Sampling s;
  s.temperature = 1.0f;
  s.top_k = 0;
  s.top_p = 1.0f;
  s.min_p = 0.0f;
  return s;
}

inline std::vector<SamplingCase> sampling_cases() {
  std::vector<SamplingCase> all;
  const auto add = [&all](const std::string& name, const char* logits, auto&& set,
                          const char* text = "") {
    SamplingCase c{name, logits, sampling_off(), text};
    set(&c.sampling);
    all.push_back(c);
  };
  using S = inlay::Sampling*;
  for (const char* logits : {"hundred", "thousand", "flat"}) {
    const auto each = [&](const std::string& name, auto&& set) { add(name, logits, set); };
    each("defaults", [](S s) { *s = inlay::Sampling(); });
    each("off", [](S) {});
    each("temp 0.3", [](S s) { s->temperature = 0.3f; });
    each("temp 2", [](S s) { s->temperature = 2.0f; });
    each("dynatemp", [](S s) { s->dynatemp_range = 0.5f; });
    each("dynatemp exp", [](S s) {
      s->temperature = 1.2f;
      s->dynatemp_range = 0.8f;
      s->dynatemp_exponent = 2.5f;
    });
    each("top_k 1", [](S s) { s->top_k = 1; });
    each("top_k 7", [](S s) { s->top_k = 7; });
    each("top_p 0.5", [](S s) { s->top_p = 0.5f; });
    each("top_p 0.99", [](S s) { s->top_p = 0.99f; });
    each("top_p keep", [](S s) {
      s->top_p = 0.1f;
      s->min_keep = 9;
    });
    each("min_p 0.02", [](S s) { s->min_p = 0.02f; });
    each("min_p keep", [](S s) {
      s->min_p = 0.7f;
      s->min_keep = 5;
    });
    each("min_p keep 1", [](S s) {
      s->min_p = 0.1f;
      s->min_keep = 1;
    });
    each("min_p 1.5", [](S s) { s->min_p = 1.5f; });
    each("dynatemp exp 0", [](S s) {
      s->top_k = 2;
      s->dynatemp_range = 0.5f;
      s->dynatemp_exponent = 0;
    });
    each("typical 0.2", [](S s) { s->typical_p = 0.2f; });
    each("typical 0.9", [](S s) { s->typical_p = 0.9f; });
    each("typical keep", [](S s) {
      s->typical_p = 0.05f;
      s->min_keep = 12;
    });
    each("sigma 1", [](S s) { s->top_n_sigma = 1; });
    each("sigma 2.5 temp", [](S s) {
      s->top_n_sigma = 2.5f;
      s->temperature = 1.5f;
    });
    // What top_n_sigma takes still counts as a candidate.
    each("sigma dynatemp", [](S s) {
      s->top_n_sigma = 1.5f;
      s->dynatemp_range = 0.5f;
    });
    each("sigma top_k dynatemp", [](S s) {
      s->top_n_sigma = 0.7f;
      s->top_k = 20;
      s->dynatemp_range = 0.7f;
    });
    each("sigma xtc keep", [](S s) {
      s->top_n_sigma = 1.5f;
      s->xtc_probability = 1.0f;
      s->xtc_threshold = 0.01f;
      s->min_keep = 30;
    });
    each("sigma min_p dynatemp", [](S s) {
      s->top_n_sigma = 2;
      s->min_p = 0.05f;
      s->min_keep = 40;
      s->dynatemp_range = 0.6f;
    });
    each("impossible dynatemp", [](S s) {
      static const inlay::LogitBias kBiases[] = {{3, -INFINITY}, {20, -INFINITY}, {51, -INFINITY}};
      s->logit_bias = kBiases;
      s->dynatemp_range = 0.5f;
    });
    each("xtc", [](S s) {
      s->xtc_probability = 1.0f;
      s->xtc_threshold = 0.05f;
    });
    each("xtc keep", [](S s) {
      s->top_k = 8;
      s->xtc_probability = 1.0f;
      s->xtc_threshold = 0.01f;
      s->min_keep = 6;
    });
    each("all", [](S s) {
      *s = inlay::Sampling();
      s->top_n_sigma = 3;
      s->typical_p = 0.95f;
      s->min_p = 0.01f;
      s->xtc_probability = 1.0f;
      s->xtc_threshold = 0.08f;
      s->dynatemp_range = 0.3f;
    });
    each("order tpkm", [](S s) {
      *s = inlay::Sampling();
      s->temperature = 1.6f;
      s->chain = *inlay::SamplerChain::parse("tpkm");
    });
    each("order ymst", [](S s) {
      s->typical_p = 0.8f;
      s->min_p = 0.05f;
      s->top_n_sigma = 2;
      s->chain = *inlay::SamplerChain::parse("ymst");
    });
    for (const float tau : {0.5f, 2.0f, 5.0f}) {
      for (const uint32_t version : {1u, 2u}) {
        each("mirostat " + std::to_string(version) + " " + std::to_string(tau), [&](S s) {
          s->mirostat = version;
          s->mirostat_tau = tau;
          s->temperature = 0.9f;
        });
      }
    }
    for (const float target : {0.05f, 0.5f, 0.9f}) {
      each("adaptive " + std::to_string(target), [&](S s) {
        s->min_p = 0.02f;
        s->adaptive_target = target;
        s->chain = *inlay::SamplerChain::parse("min_p;adaptive_p");
      });
    }
  }

  const auto code = [&](const std::string& name, auto&& set) {
    add(name, "code", set, kRepetitive);
  };
  code("bias", [](S s) {
    static const inlay::LogitBias kBiases[] = {{17, 5.5f}, {40, -2}, {41, -1e9f}, {300, 12}};
    s->logit_bias = kBiases;
    s->top_k = 30;
  });
  code("repeat", [](S s) { s->repeat_penalty = 1.3f; });
  code("repeat 8", [](S s) {
    s->repeat_penalty = 1.7f;
    s->repeat_last_n = 8;
    s->top_k = 30;
  });
  code("frequency", [](S s) {
    s->frequency_penalty = 0.4f;
    s->top_k = 30;
  });
  code("presence", [](S s) {
    s->presence_penalty = 1.5f;
    s->top_k = 30;
  });
  code("penalties", [](S s) {
    s->repeat_penalty = 1.1f;
    s->frequency_penalty = 0.25f;
    s->presence_penalty = -0.5f;
    s->repeat_last_n = 40;
    s->top_k = 30;
  });
  code("penalties last", [](S s) {
    s->repeat_penalty = 1.4f;
    s->frequency_penalty = 0.25f;
    s->top_k = 40;
    s->chain = *inlay::SamplerChain::parse("kpe");
  });
  code("dry", [](S s) {
    s->dry_multiplier = 0.8f;
    s->top_k = 30;
  });
  code("dry long", [](S s) {
    s->dry_multiplier = 2;
    s->dry_base = 1.2f;
    s->dry_allowed_length = 1;
    s->dry_last_n = 1000;
    s->dry_sequence_breakers = {};
    s->top_k = 30;
  });
  code("dry short", [](S s) {
    s->dry_multiplier = 1.1f;
    s->dry_allowed_length = 1;
    s->dry_last_n = 25;
    s->dry_sequence_breakers = {};
    s->top_k = 30;
  });
  code("dry breakers", [](S s) {
    static constexpr std::string_view kBreakers[] = {";\n", "<"};
    s->dry_multiplier = 1.5f;
    s->dry_allowed_length = 1;
    s->dry_last_n = 200;
    s->dry_sequence_breakers = kBreakers;
    s->top_k = 30;
  });
  code("dry last", [](S s) {
    s->dry_multiplier = 1.5f;
    s->dry_allowed_length = 1;
    s->dry_sequence_breakers = {};
    s->top_k = 40;
    s->chain = *inlay::SamplerChain::parse("top_k;dry;temperature");
  });
  code("ignore_eos", [](S s) {
    s->ignore_eos = true;
    s->top_k = 50;
  });
  for (const char* logits : {"words", "weak end", "code", "flat"}) {
    for (const float temperature : {0.5f, 1.0f, 3.0f}) {
      add("infill " + std::to_string(temperature), logits, [&](S s) {
        s->top_k = 40;
        s->top_p = 0.99f;
        s->temperature = temperature;
        s->chain = *inlay::SamplerChain::parse("top_k;top_p;temperature;infill");
      });
    }
  }
  return all;
}

// FNV-1a of ids in order: which survived.
inline uint64_t hash_of(const Ids& sorted) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const inlay::Token id : sorted) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (static_cast<uint32_t>(id) >> shift & 255)) * 0x100000001b3u;
    }
  }
  return hash;
}

}  // namespace
}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_SAMPLING_CASES_HPP_
