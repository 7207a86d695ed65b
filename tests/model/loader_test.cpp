#include "inlay/model/loader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <inlay.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#ifndef _WIN32
#  include <fcntl.h>
#  include <unistd.h>
#endif

#include "support/counting_allocator.hpp"
#include "support/demo_model.hpp"
#include "support/folder.hpp"
#include "support/logits.hpp"
#include "support/models/shapes.hpp"

namespace {

using inlay::ErrorCode;
using inlay::GgufSource;
using inlay::Model;
using inlay::ModelLoader;
using inlay::ModelOptions;
using inlay::Result;
using inlay::Session;
using inlay::SessionOptions;
using inlay::WeightMode;
using inlay_test::CountingAllocator;
using inlay_test::logits_of;
using inlay_test::same_bits;
using random_model::Memory;
using random_model::Type;

// A model in the middle of other bytes, in a file and behind a read function that counts.
struct Archive {
  explicit Archive(Type type = Type::q4_k, const char* name = "llama-gqa", size_t before = 4104)
      : Archive(type, *random_model::find_spec(name), before) {}
  Archive(Type type, const random_model::Spec& spec, size_t before = 8)
      : model(random_model::make(spec, type)),
        offset(before),
        bytes(before + model.size() + 777, 0xa5) {
    std::memcpy(bytes.data() + offset, model.data(), model.size());
    path = folder.write("archive", bytes);
  }

  GgufSource part() const {
    GgufSource source;
    source.offset = offset;
    source.size = model.size();
    return source;
  }
  GgufSource by_path() const {
    GgufSource source = part();
    source.path = path.c_str();
    return source;
  }
  GgufSource in_memory() const {
    GgufSource source = part();
    source.bytes = {bytes.data(), bytes.size()};
    return source;
  }
  GgufSource by_function() {
    GgufSource source = part();
    source.function.size = bytes.size();
    source.function.user = this;
    source.function.read = [](void* user, uint64_t at, void* destination, size_t count) {
      Archive& a = *static_cast<Archive*>(user);
      if (a.reads++ == a.fail_at || at > a.bytes.size() || count > a.bytes.size() - at) {
        return false;
      }
      a.longest = std::max(a.longest, count);
      std::memcpy(destination, a.bytes.data() + at, count);
      return true;
    };
    return source;
  }

  Memory model;
  size_t offset;
  std::vector<uint8_t> bytes;
  inlay_test::Folder folder;
  std::string path;
  size_t reads = 0, longest = 0, fail_at = SIZE_MAX;
};

// A clock by which each look takes a millisecond.
struct Ticks {
  uint64_t now = 0;
  inlay::Clock clock() {
    return {[](void* self) { return static_cast<Ticks*>(self)->now += 1000; }, this};
  }
};

// Opens in slices; the number of steps it took, and whether the fraction never fell.
Result<Model> load(const GgufSource& source, const ModelOptions& options, size_t* steps = nullptr,
                   size_t cancel_at = SIZE_MAX) {
  auto loader = ModelLoader::create(source, options);
  if (!loader) return loader.error();
  float fraction = 0;
  for (size_t n = 1;; ++n) {
    if (n > cancel_at) loader->cancel();
    const Result<bool> ready = loader->step(1);
    if (steps != nullptr) *steps = n;
    if (!ready) return ready.error();
    CHECK(loader->fraction() >= fraction);
    CHECK(loader->fraction() <= 1);
    fraction = loader->fraction();
    CHECK(*ready == (fraction == 1));
    if (*ready) return loader->take();
  }
}

}  // namespace

TEST_CASE("a part of a file, of memory, or of what a function reads is a model") {
  Archive archive;
  const auto alone = Model::from_memory({archive.model.data(), archive.model.size()});
  REQUIRE(alone);
  const std::vector<float> expected = logits_of(*alone);
  std::vector<GgufSource> sources = {archive.by_path(), archive.in_memory(), archive.by_function()};
#ifndef _WIN32
  const int descriptor = ::open(archive.path.c_str(), O_RDONLY);
  REQUIRE(descriptor >= 0);
  GgufSource by_descriptor = archive.part();
  by_descriptor.descriptor = descriptor;
  sources.push_back(by_descriptor);
#endif
  for (GgufSource source : sources) {
    for (const bool to_the_end : {false, true}) {
      if (to_the_end) source.size = 0;
      const auto model = Model::open(source);
      REQUIRE_MESSAGE(model, model.error().message());
      CHECK(same_bits(logits_of(*model), expected));
    }
    source.offset = archive.bytes.size() + 8 - archive.bytes.size() % 8;
    CHECK_FALSE(Model::open(source));
    source.offset = archive.offset;
    source.size = archive.bytes.size();  // more than follows
    CHECK_FALSE(Model::open(source));
    source.offset = archive.offset + 8;
    source.size = 0;
    const auto wrong = Model::open(source);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code() == ErrorCode::not_gguf);
  }
#ifndef _WIN32
  ::close(descriptor);
  by_descriptor.descriptor = 1 << 20;  // none
  CHECK(Model::open(by_descriptor).error().code() == ErrorCode::io);
#endif
  // Of two, none is taken.
  const char* const names[] = {"a path", "a descriptor", "memory", "a read function"};
  for (int a = 0; a < 4; ++a) {
    for (int b = a + 1; b < 4; ++b) {
      GgufSource two = archive.part();
      for (const int way : {a, b}) {
        if (way == 0) two.path = archive.path.c_str();
        if (way == 1) two.descriptor = 1;
        if (way == 2) two.bytes = archive.in_memory().bytes;
        if (way == 3) two.function = archive.by_function().function;
      }
      const std::string message = std::string("the source has ") + names[a] + " and " + names[b] +
                                  ": expected one of these";
      const auto refused = Model::open(two);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code() == ErrorCode::bad_argument);
      CHECK(std::string(refused.error().message()) == message);
      const auto loaded = load(two, {});
      REQUIRE_FALSE(loaded);
      CHECK(std::string(loaded.error().message()) == message);
    }
  }
  GgufSource zeroed = archive.in_memory();
  zeroed.descriptor = 0;  // as a structure of C is
  CHECK(bool(Model::open(zeroed)));
  GgufSource odd = archive.in_memory();
  odd.offset += 4;
  CHECK(Model::open(odd).error().code() == ErrorCode::bad_argument);
}

TEST_CASE("a read function may have a part that begins anywhere") {
  Archive archive(Type::q8_0, "llama-gqa", 4103);
  const auto alone = Model::from_memory({archive.model.data(), archive.model.size()});
  REQUIRE(alone);
  const auto model = Model::open(archive.by_function());
  REQUIRE(model);
  CHECK(same_bits(logits_of(*model), logits_of(*alone)));
}

TEST_CASE("a model is the same when it is opened in slices") {
  Archive archive;
  for (const WeightMode weights : {WeightMode::mapped, WeightMode::packed}) {
    for (const GgufSource& source :
         {archive.by_path(), archive.in_memory(), archive.by_function()}) {
      Ticks ticks;
      ModelOptions options;
      options.host.clock = ticks.clock();
      options.weights = weights;
      const auto whole = Model::open(source, options);
      REQUIRE(whole);
      size_t steps = 0;
      const auto sliced = load(source, options, &steps);
      REQUIRE(sliced);
      CHECK(steps >= 3);
      CHECK(same_bits(logits_of(*sliced), logits_of(*whole)));
    }
  }
}

TEST_CASE("a large file is read in small pieces, a step for each") {
  Archive archive(Type::f32, random_model::Spec{"wide", "llama", 2, 256, 4, 4, 64, 1024, 1000});
  REQUIRE(archive.model.size() > size_t{5} << 20);
  Ticks ticks;
  ModelOptions options;
  options.host.clock = ticks.clock();
  size_t steps = 0;
  REQUIRE(load(archive.by_function(), options, &steps));
  CHECK(archive.longest == size_t{128} << 10);
  CHECK(steps >= archive.reads);
}

TEST_CASE("a large vocabulary is read in small pieces, a step for each") {
  constexpr uint32_t kTokens = 20000;
  Archive archive(Type::f32, random_model::Spec{"words", "llama", 1, 32, 2, 1, 16, 32, kTokens});
  Ticks ticks;
  ModelOptions options;
  options.host.clock = ticks.clock();
  size_t steps = 0;
  const auto model = load(archive.in_memory(), options, &steps);
  REQUIRE(model);
  // Texts; kinds; how long they are; the header; thrice for special ones; what is in texts.
  constexpr uint32_t kLeast = kTokens / 2048 + 2 * (kTokens / 1024) + kTokens / 8192 +
                              3 * (kTokens / 16384) + kTokens * 3 / 32768;
  CHECK(steps >= kLeast);
  size_t mapped = 0;
  REQUIRE(load(archive.by_path(), options, &mapped));
  CHECK(mapped == steps);
  CHECK(model->tokenizer().size() == kTokens);

  // A header that is larger than the first piece, with more texts than are looked at in one step.
  archive.reads = 0;
  const auto same = load(archive.by_function(), options, &steps);
  REQUIRE(same);
  CHECK(archive.longest == size_t{128} << 10);
  CHECK(steps >= archive.reads + kLeast);
  for (const inlay::Token token : {0, 1, 1000, 16383, 16384, 16385, int(kTokens) - 1}) {
    char a[64], b[64];
    const size_t n = model->tokenizer().piece(token, a);
    CHECK(n <= sizeof a);
    CHECK(std::string_view(a, n) == std::string_view(b, same->tokenizer().piece(token, b)));
  }
}

TEST_CASE("opening in slices can be cancelled before each, and then leaves nothing") {
  Archive archive;
  for (const WeightMode weights : {WeightMode::mapped, WeightMode::packed}) {
    for (const GgufSource& source :
         {archive.by_path(), archive.in_memory(), archive.by_function()}) {
      size_t steps = 1;
      for (size_t at = 0; at <= steps; ++at) {
        CountingAllocator counter;
        Ticks ticks;
        ModelOptions options;
        options.host.allocator = counter.get();
        options.host.clock = ticks.clock();
        options.weights = weights;
        if (at == 0) REQUIRE(load(source, options, &steps));
        const auto model = load(source, options, nullptr, at);
        CHECK(bool(model) == (at == steps));
        if (!model) CHECK(model.error().code() == ErrorCode::cancelled);
        if (!model) CHECK(counter.live_blocks() == 0);
      }
    }
  }
  // And given up without a word.
  CountingAllocator counter;
  ModelOptions options;
  options.host.allocator = counter.get();
  for (int steps = 0; steps < 4; ++steps) {
    auto loader = ModelLoader::create(archive.by_function(), options);
    REQUIRE(loader);
    for (int i = 0; i < steps; ++i) REQUIRE(loader->step(0));
  }
  CHECK(counter.live_blocks() == 0);
}

TEST_CASE("a loader may outlive the model that it opened, and the other way round") {
  Archive archive;
  CountingAllocator counter;
  ModelOptions options;
  options.host.allocator = counter.get();
  {
    auto loader = ModelLoader::create(archive.in_memory(), options);
    REQUIRE(loader);
    for (bool done = false; !done;) {
      const Result<bool> ready = loader->step(0);
      REQUIRE(ready);
      done = *ready;
    }
    const Model model = loader->take();
    CHECK(model.shape().n_layers > 0);
    ModelLoader moved = std::move(*loader);
  }
  CHECK(counter.live_blocks() == 0);
  CHECK(counter.wrong_releases() == 0);
}

TEST_CASE("each read that fails is an error, and nothing is left behind") {
  Archive archive(Type::f16);
  size_t reads = 1;
  for (size_t at = 0; at < reads; ++at) {
    CountingAllocator counter;
    ModelOptions options;
    options.host.allocator = counter.get();
    if (at == 0) {
      archive.reads = 0;
      REQUIRE(Model::open(archive.by_function(), options));
      reads = archive.reads;
      CHECK(reads >= 2);
    }
    archive.reads = 0;
    archive.fail_at = at;
    const auto model = Model::open(archive.by_function(), options);
    archive.fail_at = SIZE_MAX;
    REQUIRE_FALSE(model);
    CHECK(model.error().code() == ErrorCode::io);
    CHECK(counter.live_blocks() == 0);
  }
}

TEST_CASE("a plan is exact: what opening takes, at most and in the end") {
  const struct {
    const char* name;
    Type type;
  } models[] = {{"llama-gqa", Type::f32},
                {"llama-gqa", Type::q4_0},
                {"qwen2-gqa7", Type::f16},
                {"gemma2-gqa2", Type::q8_0}};
  for (const auto& each : models) {
    CAPTURE(each.name);
    Archive archive(each.type, each.name);
    for (const WeightMode weights : {WeightMode::mapped, WeightMode::packed}) {
      for (const GgufSource& source :
           {archive.by_path(), archive.in_memory(), archive.by_function()}) {
        CountingAllocator planning, opening;
        ModelOptions options;
        options.weights = weights;
        options.host.allocator = opening.get();
        const auto model = Model::open(source, options);
        REQUIRE(model);
        CHECK(opening.live_bytes() == model->memory().total());
        CHECK(opening.peak_bytes() == model->memory().peak);

        options.host.allocator = planning.get();
        options.plan_only = true;
        const auto plan = Model::open(source, options);
        REQUIRE_MESSAGE(plan, plan.error().message());
        CHECK(plan->memory().weights == model->memory().weights);
        CHECK(plan->memory().packed == model->memory().packed);
        CHECK(plan->memory().other == model->memory().other);
        CHECK(plan->memory().peak == opening.peak_bytes());
        CHECK(planning.live_bytes() == plan->memory().other);  // it takes no more itself

        SessionOptions session;
        session.context = 96;
        const auto expected = Session::plan(*model, session),
                   planned = Session::plan(*plan, session);
        REQUIRE(planned);
        CHECK(planned->total() == expected->total());
        const size_t before = opening.live_bytes();
        REQUIRE(Session::create(*model, session));
        CHECK(opening.peak_bytes() >= before + planned->total());
        const auto none = Session::create(*plan, session);
        REQUIRE_FALSE(none);
        CHECK(none.error().code() == ErrorCode::bad_argument);
      }
    }
  }
}

TEST_CASE("a limit holds for a model and all that is made of it, and says what is missing") {
  Archive archive;
  for (const WeightMode weights : {WeightMode::mapped, WeightMode::packed}) {
    CountingAllocator counter;
    ModelOptions options;
    options.weights = weights;
    options.host.allocator = counter.get();
    options.plan_only = true;
    const uint64_t peak = [&] {
      return Model::open(archive.by_function(), options)->memory().peak;
    }();
    options.plan_only = false;
    options.max_bytes = peak - 1;
    for (int again = 0; again < 2; ++again) {
      const auto refused = Model::open(archive.by_function(), options);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code() == ErrorCode::out_of_memory);
      const std::string message = refused.error().message();
      CAPTURE(message);
      CHECK(message.find("max_bytes") != std::string::npos);
      CHECK(message.find(" 1 too few") != std::string::npos);
      CHECK(counter.live_blocks() == 0);
      options.plan_only = true;  // which says so before
    }
    options.plan_only = false;
    for (const uint64_t limit : {uint64_t{1}, uint64_t{1000}, peak / 3, peak / 2}) {
      CountingAllocator limited;
      ModelOptions little = options;
      little.host.allocator = limited.get();
      little.max_bytes = limit;
      const auto refused = Model::open(archive.by_function(), little);
      REQUIRE_FALSE(refused);
      const std::string message = refused.error().message();
      CAPTURE(message);
      CHECK(message.find("max_bytes") != std::string::npos);
      CHECK(limited.peak_bytes() <= limit);
      CHECK(limited.live_blocks() == 0);
    }

    SessionOptions session;
    session.context = 64;
    options.max_bytes = peak;
    uint64_t plan = 0, total = 0;
    {
      const auto model = Model::open(archive.by_function(), options);
      REQUIRE(model);
      plan = Session::plan(*model, session)->total();
      total = model->memory().total();
    }
    options.max_bytes = std::max(peak, total + plan);
    const auto model = Model::open(archive.by_function(), options);
    REQUIRE(model);
    std::vector<Session> sessions;
    for (;;) {
      auto made = Session::create(*model, session);
      if (made) {
        sessions.push_back(std::move(*made));
        continue;
      }
      CHECK(made.error().code() == ErrorCode::out_of_memory);
      CHECK(std::string(made.error().message()).find("max_bytes") != std::string::npos);
      break;
    }
    CHECK(sessions.size() == (options.max_bytes - total) / plan);
    CHECK(!sessions.empty());
    CHECK(counter.peak_bytes() <= options.max_bytes);
    sessions.clear();
    CHECK(Session::create(*model, session));
  }
}

TEST_CASE("a text that a limit leaves no room to tokenize: an error, and the session can go on") {
  const char* const path = inlay_test::kDemoPath;
  SessionOptions session;
  session.context = 64;
  ModelOptions options;
  {
    const auto model = Model::open(path);
    REQUIRE(bool(model));
    const auto plan = Session::plan(*model, session);
    options.max_bytes = model->memory().total() + plan->total();
  }
  const auto model = Model::open(path, options);
  REQUIRE(bool(model));
  auto made = Session::create(*model, session);
  REQUIRE(bool(made));
  const inlay::Status refused = made->prompt("int main() { return 0; }");
  REQUIRE_FALSE(bool(refused));
  CHECK(refused.error().code() == ErrorCode::out_of_memory);
  CHECK(std::string(refused.error().message()).find("max_bytes") != std::string::npos);
  const inlay::Token tokens[] = {1, 2};
  CHECK(bool(made->prompt(inlay::Span<const inlay::Token>(tokens, 2))));
  made->next();
  CHECK(bool(made->status()));
}

TEST_CASE("when any one allocation fails, opening in slices fails cleanly") {
  Archive archive;
  for (const bool plan_only : {false, true}) {
    size_t failures = 0;
    for (bool failed = true; failed; ++failures) {
      CountingAllocator counter(failures);
      ModelOptions options;
      options.host.allocator = counter.get();
      options.weights = WeightMode::packed;
      options.plan_only = plan_only;
      {
        const auto model = load(archive.by_function(), options);
        failed = counter.failed();
        CHECK(bool(model) == !failed);
        if (!model) CHECK(model.error().code() == ErrorCode::out_of_memory);
      }
      CHECK(counter.live_blocks() == 0);
      CHECK(counter.wrong_releases() == 0);
    }
    CHECK(failures > 10);
  }
}
