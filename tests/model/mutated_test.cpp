// Files that something has happened to, opened from memory and through a read function that fails
// or gives other bytes than it did before. A few hundred of each kind in a usual run; the whole, in
// some minutes, with vocabularies of real models too if they are there:
//   INLAY_MUTATIONS=100000 inlay_tests_tree --test-suite=mutated
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <inlay.hpp>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "inlay/core/meter.hpp"
#include "support/demo_model.hpp"
#include "support/models/architectures.hpp"
#include "support/vocabularies.hpp"
#include "support/vocabulary_folder.hpp"

namespace {

using inlay::ErrorCode;
using inlay::Gguf;
using inlay::Model;
using inlay::ModelOptions;
using inlay::Result;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Span;
using inlay::Token;
using inlay::Tokenizer;
using inlay::WeightMode;
using inlay::detail::Meter;
using Random = std::mt19937_64;

constexpr size_t kUsual = 1500;
size_t mutations() {
  const char* given = std::getenv("INLAY_MUTATIONS");
  return given == nullptr ? kUsual : std::strtoul(given, nullptr, 10);
}

uint64_t below(Random& random, uint64_t n) { return n == 0 ? 0 : random() % n; }

// A good file, and where its keys and tensors begin.
struct Sample {
  std::vector<uint64_t> words;  // aligned
  size_t size = 0, header = 0, tensors = 0;
  std::vector<size_t> places;

  explicit Sample(const uint8_t* data, size_t n) : words(n / 8 + 2), size(n) {
    std::memcpy(words.data(), data, n);
    const auto file = Gguf::from_memory(span());
    REQUIRE_MESSAGE(file, file.error().message());
    const auto place = [&](std::string_view text) {
      places.push_back(static_cast<size_t>(text.data() - reinterpret_cast<char*>(bytes())) - 8);
    };
    for (const auto& entry : file->metadata()) place(entry.key);
    for (const auto& tensor : file->tensors()) place(tensor.name);
    tensors = file->tensors().size();
    header = file->tensors().empty() ? n : std::min(n, places.back() + 64);
  }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(words.data()); }
  Span<const uint8_t> span() { return {bytes(), size}; }
};

// What opening any file may take: the file's bytes once for each copy that was asked for (packed
// weights; reading through a function), kTimes those of its metadata, kPerLayer for each layer, of
// which there are no more than tensors, and kBeside. The metadata count several times because
// tables have entries for each token, which may be 8 bytes of a file.
constexpr uint64_t kTimes = 3, kPerLayer = 8192, kBeside = uint64_t{1} << 19;
uint64_t most_memory(uint64_t size, const Sample& sample, uint32_t copies) {
  return copies * size + kTimes * std::min<uint64_t>(size, sample.header) +
         kPerLayer * sample.tensors + kBeside;
}

// The demo model, a small one of each architecture, a small vocabulary of each kind; in more than
// a usual run those of real models, which have megabytes.
std::vector<Sample> samples() {
  std::vector<Sample> all;
  const auto demo = inlay_test::read_file(inlay_test::kDemoPath);
  all.emplace_back(demo.data(), demo.size());
  std::set<std::string> seen;
  for (const auto& family : random_model::kArchitectureModels) {
    for (const auto& model : family) {
      if (!seen.insert(model.architecture).second) continue;
      const random_model::Memory memory(
          random_model::written(model, random_model::Type::f16).file());
      all.emplace_back(memory.data(), memory.size());
    }
  }
  for (const auto& vocabulary : inlay_test::small_vocabularies()) {
    all.emplace_back(vocabulary.file.data(), vocabulary.file.size());
  }
  for (const auto& vocabulary : inlay_test::kRealVocabularies) {
    if (mutations() <= kUsual || !vocabulary.pre.empty()) continue;
    const auto file = inlay_test::load(vocabulary, inlay_test::vocabulary_folder());
    if (!file.empty()) all.emplace_back(file.data(), file.size());
  }
  return all;
}

// Changes some bytes of a file and puts them back.
class Mutation {
 public:
  Mutation(Sample* sample, Random& random) : sample_(*sample) {
    const size_t size = sample_.size;
    for (uint64_t n = 1 + below(random, 4) / 2; n > 0; --n) {
      size_t at = static_cast<size_t>(below(random, sample_.header));
      if (below(random, 2) == 0) {  // lengths, types and values of an entry
        at = sample_.places[static_cast<size_t>(below(random, sample_.places.size()))];
        at += static_cast<size_t>(below(random, 64));
      } else if (below(random, 8) == 0) {
        at = static_cast<size_t>(below(random, size));
      }
      static constexpr uint64_t kNumbers[] = {
          0,        1,     2,          0x7f,    0xff,       0xffff,     0x7fffffff,
          1u << 31, ~0ull, ~0ull >> 1, 1 << 20, 1ull << 32, 1ull << 40, 1ull << 62};
      uint64_t value = random();
      if (below(random, 2) == 0) value = kNumbers[below(random, std::size(kNumbers))];
      static constexpr size_t kWidths[] = {1, 1, 1, 2, 4, 8};
      size_t width = kWidths[below(random, 6)];
      if (at >= size) continue;
      width = std::min(width, size - at);
      if (below(random, 4) == 0) value = sample_.bytes()[at] ^ (1u << below(random, 8));
      put(at, &value, width);
      if (below(random, 16) == 0) {  // a piece of it once more, elsewhere
        uint8_t piece[48];
        const size_t from = static_cast<size_t>(below(random, size));
        const size_t length = std::min({sizeof piece, size - from, size - at});
        std::memcpy(piece, sample_.bytes() + from, length);
        put(at, piece, length);
      }
    }
    size_ = below(random, 8) == 0 ? static_cast<size_t>(below(random, size + 1)) : size;
  }
  ~Mutation() {
    for (size_t i = before_.size(); i-- > 0;) sample_.bytes()[before_[i].first] = before_[i].second;
  }
  Span<const uint8_t> file() const { return {sample_.bytes(), size_}; }

 private:
  void put(size_t at, const void* data, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      before_.emplace_back(at + i, sample_.bytes()[at + i]);
      sample_.bytes()[at + i] = static_cast<const uint8_t*>(data)[i];
    }
  }
  Sample& sample_;
  size_t size_ = 0;
  std::vector<std::pair<size_t, uint8_t>> before_;
};

// A file that is not what it seems: the k-th read fails, brings only its first part, or finds the
// file changed.
struct Faulty {
  enum Fault { fails, is_short, changes } fault = fails;
  Span<const uint8_t> file;
  uint64_t at = 0, reads = 0;
  bool failed = false;
  Random random{1};

  inlay::ReadFunction function() {
    inlay::ReadFunction f;
    f.size = file.size();
    f.user = this;
    f.read = [](void* user, uint64_t offset, void* destination, size_t bytes) {
      Faulty& self = *static_cast<Faulty*>(user);
      const bool now = self.reads++ >= self.at;
      if (now && self.fault == fails) {
        self.failed = true;
        return false;
      }
      size_t n = bytes;
      if (now && self.fault == is_short) n = static_cast<size_t>(below(self.random, bytes));
      std::memset(destination, 0x5a, bytes);  // what a host's buffer had before
      std::memcpy(destination, self.file.data() + offset, n);
      if (now && self.fault == changes && bytes > 0) {
        for (int i = 0; i < 3; ++i) {
          static_cast<uint8_t*>(destination)[below(self.random, bytes)] ^=
              static_cast<uint8_t>(self.random());
        }
      }
      return true;
    };
    return f;
  }
};

struct Counts {
  size_t opened = 0, refused = 0;
  double most_memory = 0;  // of the bound
};

// Writes some tokens, greedily and drawn, after reading others, whatever the logits have become.
void write_tokens(const Model& model, Random& random) {
  SessionOptions small;
  small.context = 32;
  small.batch = 4;
  small.max_tokens = 16;
  small.sampling.temperature = below(random, 2) == 0 ? 0.0f : 0.9f;
  if (below(random, 4) == 0) small.sampling.mirostat = 2;
  auto session = Session::create(model, small);
  const Token tokens[] = {0, 1, 0, 1, 0};
  if (!session || !session->prompt(Span<const Token>(tokens))) return;
  while (session->next() != nullptr) {
  }
  CHECK(session->tokens().size() <= small.context);
  for (const Token token : session->tokens()) {
    CHECK(static_cast<uint32_t>(token) < model.tokenizer().size());
  }
}

// Opens with `open`, in memory that is counted, and if that goes well reads and writes some tokens.
template <class Open>
void try_file(Random& random, size_t size, const Sample& sample, uint32_t copies, Counts* counts,
              Open open) {
  Meter meter({}, 0);
  {
    ModelOptions options;
    options.host.allocator = meter.allocator();
    if (below(random, 4) == 0) options.weights = WeightMode::packed;
    if (below(random, 8) == 0) options.plan_only = true;
    const Result<Model> model = open(options);
    if (options.weights == WeightMode::packed) ++copies;
    const double bound = static_cast<double>(most_memory(size, sample, copies));
    counts->most_memory = std::max(counts->most_memory, static_cast<double>(meter.peak()) / bound);
    CHECK(static_cast<double>(meter.peak()) <= bound);
    ++(model ? counts->opened : counts->refused);
    if (model && !options.plan_only && below(random, 4) == 0) write_tokens(*model, random);
  }
  CHECK(meter.live() == 0);
}

}  // namespace

TEST_SUITE("mutated") {
  TEST_CASE("a file of which any bytes were changed opens or is refused, in bounded memory") {
    std::vector<Sample> files = samples();
    Random random(20261122);
    Counts counts;
    for (size_t i = 0; i < mutations(); ++i) {
      CAPTURE(i);
      Sample& file = files[i % files.size()];
      const Mutation mutation(&file, random);
      const Span<const uint8_t> bytes = mutation.file();
      try_file(random, bytes.size(), file, 0, &counts,
               [&](const ModelOptions& options) { return Model::from_memory(bytes, options); });
    }
    MESSAGE(counts.opened << " opened, " << counts.refused << " refused, at most "
                          << counts.most_memory << " of the memory allowed");
    CHECK(counts.opened > 0);
    CHECK(counts.refused > 0);
  }

  TEST_CASE("weights of any value, infinite ones and none too, do no harm") {
    std::vector<Sample> files = samples();
    Random random(5);
    size_t written = 0;
    for (size_t i = 0; i < mutations() / 8; ++i) {
      CAPTURE(i);
      Sample file = files[i % files.size()];
      static constexpr uint16_t kValues[] = {0x7c00, 0xfc00, 0x7e00, 0x7bff, 0xffff, 0x8000, 1};
      const size_t end = below(random, 2) == 0 ? file.size : file.header + 4096;
      for (uint64_t n = 1 + below(random, 40); n > 0; --n) {
        const size_t at = file.header + static_cast<size_t>(below(random, end)) / 2 * 2;
        const uint16_t value = kValues[below(random, std::size(kValues))];
        if (at + 2 <= file.size) std::memcpy(file.bytes() + at, &value, 2);
      }
      ModelOptions options;
      if (below(random, 2) == 0) options.weights = WeightMode::packed;
      const auto model = Model::from_memory(file.span(), options);
      if (!model) continue;  // vocabularies alone
      write_tokens(*model, random);
      ++written;
    }
    CHECK(written > 0);
  }

  TEST_CASE("a vocabulary of which any bytes were changed opens or is refused") {
    std::vector<Sample> files = samples();
    Random random(7);
    size_t opened = 0, refused = 0;
    for (size_t i = 0; i < mutations(); ++i) {
      CAPTURE(i);
      Sample& sample = files[i % files.size()];
      const Mutation mutation(&sample, random);
      Meter meter({}, 0);
      {
        inlay::GgufOptions options;
        options.host.allocator = meter.allocator();
        options.header_only = true;
        const auto file = Gguf::from_memory(mutation.file(), options);
        if (!file) continue;
        const auto tokenizer = Tokenizer::create(*file, options.host);
        ++(tokenizer ? opened : refused);
        CHECK(meter.peak() <= most_memory(mutation.file().size(), sample, 0));
        if (!tokenizer) continue;
        Token ids[64];
        const auto n = tokenizer->encode("The quick  brown\n<s>f\xC3\xB6x</s> 123", {ids, 64}, {});
        for (size_t k = 0; n && k < *n; ++k) {
          CHECK(static_cast<uint32_t>(ids[k]) < tokenizer->size());
          char text[64];
          static_cast<void>(tokenizer->piece(ids[k], {text, sizeof text}));
        }
      }
      CHECK(meter.live() == 0);
    }
    CHECK(opened > 0);
    CHECK(refused > 0);
  }

  TEST_CASE("a read function that fails, falls short or finds the file changed does no harm") {
    std::vector<Sample> files = samples();
    Random random(11);
    Counts counts;
    for (size_t i = 0; i < mutations() / 4; ++i) {
      CAPTURE(i);
      Sample& file = files[i % files.size()];
      Faulty faulty;
      faulty.fault = static_cast<Faulty::Fault>(below(random, 3));
      faulty.file = file.span();
      faulty.at = below(random, 6);
      faulty.random = Random(random());
      try_file(random, file.size, file, 1, &counts, [&](const ModelOptions& options) {
        auto model = Model::from_function(faulty.function(), options);
        if (faulty.failed) {
          CHECK_FALSE(model);
          if (!model) CHECK(model.error().code() == ErrorCode::io);
        }
        return model;
      });
    }
    CHECK(counts.refused > 0);
  }

  TEST_CASE("a file cut off anywhere in its header is refused") {
    Sample demo = std::move(samples()[0]);
    const size_t step = std::max<size_t>(1, demo.header * 16 / mutations());
    for (size_t size = 0; size < demo.header; size += step) {
      CAPTURE(size);
      const auto model = Model::from_memory({demo.bytes(), size});
      CHECK_FALSE(model);
    }
    CHECK_FALSE(Model::from_memory({demo.bytes(), demo.size - 1}));
  }
}
