#include "inlay/model/model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <inlay.hpp>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "inlay/kernels/kernels.hpp"
#include "support/counting_allocator.hpp"
#include "support/folder.hpp"
#include "support/logits.hpp"
#include "support/models/shapes.hpp"

namespace {

using inlay::ErrorCode;
using inlay::Model;
using inlay::ModelOptions;
using inlay::Result;
using inlay::Session;
using inlay::Token;
using inlay_test::CountingAllocator;
using inlay_test::logits_of;
using inlay_test::same_bits;
using random_model::File;
using random_model::Memory;
using random_model::Spec;
using random_model::Type;

const Spec& spec_of(const char* name) { return *random_model::find_spec(name); }

Result<Model> open(const Memory& memory, const ModelOptions& options = {}) {
  return Model::from_memory({memory.data(), memory.size()}, options);
}

// Opening `file` must fail with `code`, and the message must have all of `words`.
void check_fails(const File& file, ErrorCode code, const std::vector<std::string>& words) {
  const Memory memory(file);
  CountingAllocator memory_of_host;
  {
    ModelOptions options;
    options.host.allocator = memory_of_host.get();
    const Result<Model> model = open(memory, options);
    CAPTURE(words.empty() ? std::string() : words[0]);
    REQUIRE_FALSE(model);
    const std::string message = model.error().message();
    CAPTURE(message);
    CHECK(model.error().code() == code);
    for (const std::string& word : words) {
      CAPTURE(word);
      CHECK(message.find(word) != std::string::npos);
    }
  }
  CHECK(memory_of_host.live_blocks() == 0);
  CHECK(memory_of_host.wrong_releases() == 0);
}

// One model of each architecture, small.
std::vector<Spec> small_of_each() {
  return {Spec{"small-llama", "llama", 2, 32, 4, 2, 8, 64, 270},
          Spec{"small-qwen2", "qwen2", 2, 32, 4, 2, 8, 64, 270}.with_tied_output(),
          Spec{"small-qwen3", "qwen3", 2, 32, 4, 2, 16, 64, 270},
          Spec{"small-gemma2", "gemma2", 2, 32, 4, 2, 16, 64, 270}.with_window(8)};
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

TEST_CASE("an opened model tells what it is") {
  const Memory memory(random_model::make(spec_of("qwen3-gqa2"), Type::f16));
  const auto model = open(memory);
  REQUIRE(model);
  CHECK(model->architecture() == "qwen3");
  CHECK(model->shape().n_layers == 2);
  CHECK(model->shape().n_embd == 256);
  CHECK(model->shape().n_heads == 4);
  CHECK(model->shape().n_kv_heads == 2);
  CHECK(model->shape().head_k == 128);
  CHECK(model->shape().head_v == 128);
  CHECK(model->shape().n_ff == 512);
  CHECK(model->shape().n_vocab == 265);
  CHECK(model->shape().context == 512);
  CHECK(model->tokenizer().size() == 265);
  CHECK(model->file().find("qwen3.block_count") != nullptr);
  CHECK(model->file().file_bytes() == memory.size());
}

TEST_CASE("head_count_kv is head_count where the file does not say, and may be an array") {
  Spec spec = small_of_each()[0];
  spec.kv_heads = spec.heads;
  File file = random_model::make(spec, Type::f16);
  const Memory with(file);
  file.erase("llama.attention.head_count_kv");
  const Memory without(file);
  auto heads = random_model::array_value(4, 2);
  random_model::put_u32(&heads, 4);
  random_model::put_u32(&heads, 4);
  file.set("llama.attention.head_count_kv", heads);
  const Memory array(file);
  const auto a = open(with), b = open(without), c = open(array);
  REQUIRE(a);
  REQUIRE(b);
  REQUIRE(c);
  CHECK(b->shape().n_kv_heads == 4);
  CHECK(same_bits(logits_of(*a), logits_of(*b)));
  CHECK(same_bits(logits_of(*a), logits_of(*c)));

  heads = random_model::array_value(4, 2);
  random_model::put_u32(&heads, 4);
  random_model::put_u32(&heads, 2);
  file.set("llama.attention.head_count_kv", heads);
  check_fails(file, ErrorCode::corrupt, {"blk.1.attn_k.weight"});
}

TEST_CASE("vectors may have any float type") {
  for (const Type type : {Type::f16, Type::bf16}) {
    File file = random_model::make(small_of_each()[1], Type::f16);
    const Memory before(file);
    // Weights of 1 + k / 64 are the same in all three types.
    for (random_model::Tensor& t : file.tensors) {
      if (t.dims.size() != 1) continue;
      random_model::Random random{t.dims[0]};
      for (uint64_t i = 0; i < t.dims[0]; ++i)
        t.values.push_back(1 + static_cast<float>(random.below(64)) / 64);
    }
    const Memory floats(file);
    for (random_model::Tensor& t : file.tensors)
      if (t.dims.size() == 1) t.type = type;
    const Memory others(file);
    const auto a = open(floats), b = open(others), c = open(before);
    REQUIRE(a);
    REQUIRE(b);
    REQUIRE(c);
    CHECK(same_bits(logits_of(*a), logits_of(*b)));
    CHECK_FALSE(same_bits(logits_of(*a), logits_of(*c)));
  }
}

TEST_CASE("a tensor that is missing, misshapen or of an unusable type is named") {
  for (const Spec& spec : small_of_each()) {
    const File good = random_model::make(spec, Type::f16);
    for (const random_model::Tensor& tensor : good.tensors) {
      CAPTURE(std::string(spec.name));
      CAPTURE(tensor.name);
      const bool optional = tensor.name == "output.weight" || ends_with(tensor.name, ".bias");
      File file = good;
      file.erase_tensor(tensor.name);
      if (optional) {
        const Memory memory(file);
        CHECK(open(memory));
      } else {
        check_fails(file, ErrorCode::missing, {tensor.name, spec.arch});
      }
      for (size_t d = 0; d < tensor.dims.size(); ++d) {
        for (const bool more : {false, true}) {
          file = good;
          uint64_t& dim = file.tensor(tensor.name)->dims[d];
          const std::string expected = std::to_string(dim);
          dim = more ? dim + 1 : dim - 1;
          check_fails(file, ErrorCode::corrupt, {tensor.name, expected, std::to_string(dim)});
        }
      }
      file = good;
      file.tensor(tensor.name)->dims.push_back(2);
      check_fails(file, ErrorCode::corrupt, {tensor.name});

      file = good;
      file.tensor(tensor.name)->dims[0] *= 32;  // a multiple of the type's block
      file.tensor(tensor.name)->type = Type::q8_1;
      check_fails(file, ErrorCode::corrupt, {tensor.name});
    }
  }
  for (const char* name : {"token_embd.weight", "blk.1.ffn_down.weight", "output_norm.weight"}) {
    File file = random_model::make(spec_of("llama-gqa"), Type::q4_0);
    file.tensor(name)->type = Type::q8_1;
    check_fails(file, ErrorCode::unsupported, {name, "q8_1"});
  }
}

TEST_CASE("a quantized vector is as good an error as any") {
  // No architecture has one; opening such a file must not read past its end or crash.
  File file = random_model::make(small_of_each()[0], Type::f16);
  file.tensor("output_norm.weight")->type = Type::q8_0;
  const Memory memory(file);
  const auto model = open(memory);
  if (model) CHECK(logits_of(*model).size() == size_t{9} * 270);
}

TEST_CASE("a tensor that the architecture has no use for is another model") {
  File file = random_model::make(small_of_each()[0], Type::f16);
  file.tensors.push_back({"blk.0.attn_unknown.weight", Type::f32, {4}, 0, 1, {}});
  check_fails(file, ErrorCode::unsupported, {"llama"});
}

TEST_CASE("an architecture that is not built in is named") {
  File file = random_model::make(small_of_each()[0], Type::f16);
  file.set("general.architecture", random_model::text_value("nobody"));
  check_fails(file, ErrorCode::unsupported, {"nobody", "llama", "qwen2", "qwen3", "gemma2"});
  file.set("general.architecture", random_model::text_value(""));
  check_fails(file, ErrorCode::unsupported, {});
  file.set("general.architecture", random_model::text_value(std::string(300, 'x')));
  check_fails(file, ErrorCode::unsupported, {"xxx"});
  file.set("general.architecture", random_model::u32_value(7));
  check_fails(file, ErrorCode::missing, {"general.architecture"});
  file.erase("general.architecture");
  check_fails(file, ErrorCode::missing, {"general.architecture"});
}

TEST_CASE("a metadata key that is missing is named") {
  for (const Spec& spec : small_of_each()) {
    for (const char* key :
         {"block_count", "context_length", "embedding_length", "feed_forward_length",
          "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
      File file = random_model::make(spec, Type::f16);
      const std::string name = std::string(spec.arch) + "." + key;
      file.erase(name);
      check_fails(file, ErrorCode::missing, {name});
    }
  }
  for (const char* key : {"tokenizer.ggml.model", "tokenizer.ggml.tokens"}) {
    File file = random_model::make(small_of_each()[0], Type::f16);
    file.erase(key);
    check_fails(file, ErrorCode::missing, {key});
  }
}

TEST_CASE("a metadata value that makes no sense is named") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  using namespace random_model;
  struct Case {
    const char* key;
    Bytes value;
  };
  std::vector<Case> cases;
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length",
        "attention.head_count", "attention.head_count_kv", "attention.key_length",
        "attention.value_length", "attention.sliding_window"}) {
    cases.push_back({key, u32_value(0)});
    cases.push_back({key, u32_value(UINT32_MAX)});
    cases.push_back({key, u64_value(uint64_t{1} << 32 | 4)});  // 4 if cut to 32 bits
    cases.push_back({key, u64_value(UINT64_MAX)});
    cases.push_back({key, f32_value(4)});
    cases.push_back({key, text_value("4")});
    cases.push_back({key, array_value(4, 0)});
  }
  for (const char* key :
       {"attention.layer_norm_rms_epsilon", "rope.freq_base", "attn_logit_softcapping",
        "final_logit_softcapping", "rope.scaling.factor"}) {
    cases.push_back({key, f32_value(-1)});
    cases.push_back({key, f32_value(nan)});
    cases.push_back({key, f32_value(infinity)});
    cases.push_back({key, text_value("1")});
  }
  cases.push_back({"rope.freq_base", f32_value(0)});
  cases.push_back({"rope.dimension_count", u32_value(0)});
  cases.push_back({"rope.dimension_count", u32_value(7)});
  cases.push_back({"rope.dimension_count", u32_value(1u << 31)});
  cases.push_back({"attention.head_count_kv", u32_value(3)});  // does not divide 4
  cases.push_back({"attention.head_count_kv", u32_value(8)});
  cases.push_back({"rope.scaling.type", u32_value(1)});
  const Spec spec = small_of_each()[3];
  for (const Case& c : cases) {
    File file = random_model::make(spec, Type::f16);
    const std::string key = std::string(spec.arch) + "." + c.key;
    file.set(key, c.value);
    check_fails(file, ErrorCode::corrupt, {key});
  }
  File file = random_model::make(spec, Type::f16);
  file.set("gemma2.rope.scaling.type", text_value("longrope"));
  check_fails(file, ErrorCode::missing, {"gemma2.rope.scaling.type", "longrope"});
}

TEST_CASE("sizes whose product overflows are refused before anything is allocated for them") {
  using namespace random_model;
  File file = make(small_of_each()[0], Type::f16);
  file.set("llama.attention.head_count", u32_value(4096));
  file.set("llama.attention.head_count_kv", u32_value(4096));
  file.set("llama.attention.key_length", u32_value(1u << 20));
  file.set("llama.attention.value_length", u32_value(1u << 20));
  const Memory memory(file);
  CountingAllocator counter;
  ModelOptions options;
  options.host.allocator = counter.get();
  const auto model = open(memory, options);
  REQUIRE_FALSE(model);
  CHECK(model.error().code() == ErrorCode::corrupt);
  CHECK(counter.peak_bytes() < (size_t{1} << 20));
}

TEST_CASE("an embedding for another vocabulary is refused") {
  File file = random_model::make(small_of_each()[0], Type::f16);
  file.tensor("token_embd.weight")->dims[1] = 269;
  check_fails(file, ErrorCode::corrupt, {"token_embd.weight", "270", "269"});
}

TEST_CASE("bytes that are no model") {
  const std::vector<uint8_t> empty, short_text(5, 'x'), text(4096, 'x');
  for (const auto* bytes : {&empty, &short_text, &text}) {
    const Memory memory(*bytes);
    const auto model = open(memory);
    REQUIRE_FALSE(model);
    CHECK((model.error().code() == ErrorCode::not_gguf ||
           model.error().code() == ErrorCode::truncated));
  }
  const auto nothing = Model::open("/no such file");
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code() == ErrorCode::io);
  CHECK(std::string(nothing.error().message()).find("/no such file") != std::string::npos);
}

TEST_CASE("a file that ends early is refused, wherever it ends") {
  const Memory whole(random_model::make(spec_of("llama-tiny"), Type::q8_0));
  for (size_t n = 0; n < whole.size(); n += n < 32768 ? 17 : 1009) {
    const Memory part(std::vector<uint8_t>(whole.data(), whole.data() + n));
    CHECK_FALSE(open(part));
  }
}

TEST_CASE("a model opened from a path, from memory and through a function is the same") {
  const Memory memory(random_model::make(spec_of("llama-gqa"), Type::q4_k));
  const inlay_test::Folder folder;
  const std::string path = folder.write("model.gguf", memory);
  inlay::ReadFunction function;
  function.size = memory.size();
  function.user = const_cast<Memory*>(&memory);
  function.read = [](void* user, uint64_t offset, void* destination, size_t bytes) {
    const Memory& m = *static_cast<const Memory*>(user);
    if (offset > m.size() || bytes > m.size() - offset) return false;
    std::memcpy(destination, m.data() + offset, bytes);
    return true;
  };
  {
    const auto a = open(memory), b = Model::from_function(function), c = Model::open(path.c_str());
    REQUIRE(a);
    REQUIRE(b);
    REQUIRE(c);
    const std::vector<float> expected = logits_of(*a);
    CHECK(same_bits(logits_of(*b), expected));
    CHECK(same_bits(logits_of(*c), expected));
  }

  function.read = [](void*, uint64_t, void*, size_t) { return false; };
  const auto broken = Model::from_function(function);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code() == ErrorCode::io);
}

TEST_CASE("when any one allocation fails, opening fails cleanly") {
  const Memory memory(random_model::make(small_of_each()[3], Type::f16));
  inlay::ReadFunction function;
  function.size = memory.size();
  function.user = const_cast<Memory*>(&memory);
  function.read = [](void* user, uint64_t offset, void* destination, size_t bytes) {
    std::memcpy(destination, static_cast<const Memory*>(user)->data() + offset, bytes);
    return true;
  };
  for (const bool from_function : {false, true}) {
    size_t failures = 0;
    for (bool failed = true; failed; ++failures) {
      CountingAllocator counter(failures);
      ModelOptions options;
      options.host.allocator = counter.get();
      {
        const auto model =
            from_function ? Model::from_function(function, options) : open(memory, options);
        failed = counter.failed();
        CHECK(bool(model) == !failed);
        if (!model) CHECK(model.error().code() == ErrorCode::out_of_memory);
        if (model) CHECK(counter.live_bytes() > 0);
      }
      CHECK(counter.live_blocks() == 0);
      CHECK(counter.wrong_releases() == 0);
    }
    CHECK(failures > 5);
  }
}

TEST_CASE("progress goes from 0 to 1 and can stop the opening at any call") {
  // Opening reports by the clock. With one that only looks advance, each opening reports alike.
  const auto clock_of = [](uint64_t& now) {
    inlay::Clock clock;
    clock.user = &now;
    clock.now_us = [](void* user) { return *static_cast<uint64_t*>(user) += 50; };
    return clock;
  };
  const Memory memory(random_model::make(small_of_each()[0], Type::f16));
  struct Progress {
    std::vector<float> seen;
    size_t stop_at = SIZE_MAX;
  };
  size_t calls = 0;
  for (size_t stop_at = 0; stop_at <= calls; ++stop_at) {
    Progress progress;
    progress.stop_at = stop_at;
    CountingAllocator counter;
    {
      uint64_t now = 0;
      ModelOptions options;
      options.host.allocator = counter.get();
      options.host.clock = clock_of(now);
      options.progress_user = &progress;
      options.progress = [](void* user, float fraction) {
        Progress& p = *static_cast<Progress*>(user);
        p.seen.push_back(fraction);
        return p.seen.size() <= p.stop_at;
      };
      if (stop_at == 0) {
        Progress all;
        options.progress_user = &all;
        REQUIRE(open(memory, options));
        calls = all.seen.size();
        REQUIRE(calls >= 4);
        CHECK(all.seen.front() == 0.0f);
        CHECK(all.seen.back() == 1.0f);
        for (size_t i = 1; i < calls; ++i) CHECK(all.seen[i] >= all.seen[i - 1]);
        options.progress_user = &progress;
      }
      const auto model = open(memory, options);
      CHECK(bool(model) == (stop_at == calls));
      if (!model) CHECK(model.error().code() == ErrorCode::cancelled);
      CHECK(progress.seen.size() == std::min(stop_at + 1, calls));
    }
    CHECK(counter.live_blocks() == 0);
  }
}

TEST_CASE("the last copy frees a model, and a session holds one") {
  const Memory memory(random_model::make(small_of_each()[0], Type::f16));
  CountingAllocator counter;
  {
    ModelOptions options;
    options.host.allocator = counter.get();
    auto model = std::make_unique<Result<Model>>(open(memory, options));
    REQUIRE(*model);
    Model copy = **model, moved = std::move(**model);
    Model other = copy;
    copy = moved;
    copy = std::move(other);
    inlay::SessionOptions small;
    small.context = 8;
    auto session = Session::create(moved, small);
    REQUIRE(session);
    model.reset();
    {
      const Model dies = std::move(copy), dies_too = std::move(moved);
      CHECK(dies.architecture() == "llama");
    }
    REQUIRE(counter.live_blocks() > 0);
    const Token token = 1;
    float sum = 0;
    CHECK(session->evaluate(
        {&token, 1}, true,
        [](void* user, size_t, inlay::Span<const float> row) {
          for (const float x : row) *static_cast<float*>(user) += x;
        },
        &sum));
    CHECK(std::isfinite(sum));
  }
  CHECK(counter.live_blocks() == 0);
  CHECK(counter.wrong_releases() == 0);
}

TEST_CASE("sessions of one model do not disturb each other") {
  const Memory memory(random_model::make(spec_of("gemma2-gqa3-odd"), Type::q8_0));
  const auto model = open(memory);
  REQUIRE(model);
  const std::vector<float> expected = logits_of(*model);
  std::vector<std::vector<float>> seen(4);
  std::vector<std::thread> threads;
  for (std::vector<float>& out : seen)
    threads.emplace_back([&model, &out] { out = logits_of(*model); });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& out : seen) CHECK(same_bits(out, expected));
}

TEST_CASE("the targets that a user allows are obeyed; the baseline always is allowed") {
  const Memory memory(random_model::make(spec_of("llama-tiny"), Type::q8_0));
  const inlay::detail::Kernels* all[8];
  const size_t n = inlay::detail::runnable_kernels(all);
  REQUIRE(n > 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) CHECK(all[i]->target != all[j]->target);
    ModelOptions options;
    options.targets = all[i]->target;
    const auto model = open(memory, options);
    REQUIRE(model);
    CHECK(model->target() == all[i]->name);
  }
  ModelOptions none;
  none.targets = 0;
  const auto baseline = open(memory, none), best = open(memory);
  REQUIRE(baseline);
  REQUIRE(best);
  CHECK(baseline->target() == all[n - 1]->name);
  CHECK(best->target() == all[0]->name);
}
