// Every architecture against llama.cpp: small models of random weights, and the numbers that
// tests/golden/architectures.py recorded from them.
#include "support/models/architectures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <inlay.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/logits.hpp"
#include "support/recorded.hpp"
#include "support/results.hpp"

namespace {

using random_model::ArchitectureModel;
using random_model::Family;
using random_model::Kind;
using random_model::Type;
using recorded::kStride;
using recorded::Recorded;

// Of the errors that remain, llama.cpp's tables of halves for GELU and SiLU and, with F16 weights,
// its activations in halves are the largest: up to 2e-6 (lines `f16` of the record).
constexpr double kMost = 1e-5;

enum class Way : uint8_t { at_once, in_odd_batches, one_by_one };

// Normalized squared error of the logits of all tokens, of those that are recorded.
double error_of(const inlay::Model& model, const Recorded& r, const char* type, Way way) {
  inlay::SessionOptions options;
  options.context = static_cast<uint32_t>(r.tokens.size());
  options.kv_cache = inlay::KvCacheType::f32;  // as the record's
  auto session = inlay::Session::create(model, options);
  REQUIRE(session);
  struct Sink {
    const Recorded& r;
    const std::vector<float>& truth;
    size_t row = 0, at = 0;
    double error = 0, deviation = 0;
    bool same_width = true;
  } sink{r, r.rows.at(type)};
  constexpr size_t kOdd[] = {1, 7, 3, 16, 2, 5};
  size_t batches = 0;
  for (size_t at = 0, step = 0; at < r.tokens.size(); at += step, ++batches) {
    step = way == Way::at_once ? r.tokens.size() : way == Way::one_by_one ? 1 : kOdd[batches % 6];
    step = std::min(step, r.tokens.size() - at);
    const inlay::Status status = session->evaluate(
        {r.tokens.data() + at, step}, false,
        [](void* user, size_t, inlay::Span<const float> logits) {
          Sink& s = *static_cast<Sink*>(user);
          s.same_width = s.same_width && logits.size() == s.r.width;
          if (!s.same_width) return;
          const size_t n = recorded::recorded_of_row(s.r, s.row);
          double mean = 0;
          for (size_t i = 0; i < n; ++i) mean += double{s.truth[s.at + i]} / static_cast<double>(n);
          for (size_t i = 0; i < s.r.width; ++i) {
            if ((i + s.row) % kStride != 0) continue;
            const double truth = double{s.truth[s.at++]};
            s.error += (truth - double{logits[i]}) * (truth - double{logits[i]});
            s.deviation += (truth - mean) * (truth - mean);
          }
          ++s.row;
        },
        &sink);
    REQUIRE_MESSAGE(bool(status), status.error().message());
  }
  CHECK(sink.same_width);
  CHECK(sink.row == r.positions);
  return sink.error / sink.deviation;
}

}  // namespace

TEST_CASE("keys with which llama.cpp computes nonsense, or loads nothing, are refused by name") {
  using random_model::Bytes;
  struct Case {
    const char* model;
    const char* key;
    Bytes value;  // empty: the key is taken out
  };
  const Bytes none, zero = random_model::u32_value(0), two = random_model::u32_value(2);
  for (const Case& c : {Case{"cohere2-period", "attention.sliding_window", zero},
                        Case{"cohere2-period", "attention.sliding_window", none},
                        Case{"gpt-oss-1", "attention.sliding_window", zero},
                        Case{"gpt-oss-1", "attention.sliding_window", none},
                        Case{"gemma4-experts", "attention.sliding_window", zero},
                        Case{"ernie4_5-moe-1", "interleave_moe_layer_step", two}}) {
    const ArchitectureModel* model = random_model::find_model(c.model);
    REQUIRE(model != nullptr);
    random_model::File file = written(*model, Type::f16).file();
    const std::string key = std::string(model->architecture) + "." + c.key;
    CAPTURE(key);
    if (c.value.empty()) {
      file.erase(key);
    } else {
      file.set(key, c.value);
    }
    const random_model::Memory memory(file);
    const auto opened = inlay::Model::from_memory({memory.data(), memory.size()});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code() ==
          (c.value.empty() ? inlay::ErrorCode::missing : inlay::ErrorCode::corrupt));
    CHECK(std::string(opened.error().message()).find(key) != std::string::npos);
  }
}

TEST_CASE("models of every architecture give llama.cpp's logits and continuations") {
  size_t done = 0;
  for (const Family& family : random_model::kArchitectureModels) {
    const std::map<std::string, Recorded> record = recorded::read_record(family.name);
    for (const ArchitectureModel& model : family) {
      CAPTURE(std::string(model.name));
      if (model.kind != Kind::logits) continue;
      if (record.count(model.name) == 0) {
        FAIL_CHECK("not recorded");
        continue;
      }
      const Recorded& r = record.at(model.name);
      for (const Type type : {Type::f32, Type::f16}) {
        const char* type_name = random_model::type_info(type).name;
        CAPTURE(std::string(type_name));
        const random_model::Memory file(written(model, type).file());
        CHECK(file.size() == r.files.at(type_name).first);
        CHECK(recorded::crc32(file.data(), file.size()) == r.files.at(type_name).second);
        const auto opened = inlay::Model::from_memory({file.data(), file.size()});
        if (!opened) {
          FAIL_CHECK(std::string(opened.error().message()));
          continue;
        }
        double worst = 0;
        for (const Way way : {Way::at_once, Way::in_odd_batches, Way::one_by_one}) {
          const double error = error_of(*opened, r, type_name, way);
          CHECK(error < kMost);
          worst = std::max(worst, error);
        }
        report_result(model.architecture, model.name, type_name, worst);
        if (type == Type::f16) {
          REQUIRE(r.greedy.size() == r.prompt + 64);
          inlay_test::check_greedy(*opened, r.greedy, r.prompt);
        }
        ++done;
      }
    }
  }
  CHECK(done > 0);
}
