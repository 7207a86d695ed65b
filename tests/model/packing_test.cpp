#include "inlay/model/packing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <inlay.hpp>
#include <string>
#include <thread>
#include <vector>
#ifndef _WIN32
#  include <signal.h>
#  include <sys/resource.h>
#  include <sys/wait.h>
#  include <unistd.h>
#endif

#include "inlay/kernels/kernels.hpp"
#include "support/counting_allocator.hpp"
#include "support/folder.hpp"
#include "support/logits.hpp"
#include "support/matmul_problem.hpp"
#include "support/models/shapes.hpp"

namespace fs = std::filesystem;

namespace {

using inlay::ErrorCode;
using inlay::Model;
using inlay::ModelOptions;
using inlay::Result;
using inlay::Session;
using inlay::Token;
using inlay::WeightMode;
using inlay::detail::CacheHead;
using inlay_test::CountingAllocator;
using inlay_test::Folder;
using inlay_test::logits_of;
using inlay_test::same_bits;
using random_model::Memory;
using random_model::Spec;
using random_model::Type;
using Bytes = std::vector<uint8_t>;

const Spec& spec_of(const char* name) { return *random_model::find_spec(name); }

// Options of the packed mode that keep what is logged.
struct Packed {
  ModelOptions options;
  std::vector<std::string> log;

  explicit Packed(const char* cache = nullptr, uint32_t threads = 1) {
    options.weights = WeightMode::packed;
    options.threads = threads;
    options.cache = cache;
    options.host.log.user = &log;
    options.host.log.write = [](void* user, inlay::LogLevel, const char* text) {
      static_cast<std::vector<std::string>*>(user)->push_back(text);
    };
  }
  Packed(const Packed&) = delete;
  bool logged(const char* words) const {
    return std::any_of(log.begin(), log.end(), [words](const std::string& line) {
      return line.find(words) != std::string::npos;
    });
  }
};

// Squared error over squared size.
double error_of(const std::vector<float>& a, const std::vector<float>& expected) {
  REQUIRE(a.size() == expected.size());
  double error = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double e = expected[i], d = a[i] - e;
    error += d * d;
    size += e * e;
  }
  return error / size;
}

Result<Model> open(const Memory& memory, const ModelOptions& options = {}) {
  return Model::from_memory({memory.data(), memory.size()}, options);
}

Bytes read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// A model file with a good cache beside it, and what belongs to both.
struct Cached {
  Folder folder;
  Memory memory{random_model::make(spec_of("llama-gqa"), Type::q4_0, 1)};
  std::string model = folder.write("model.gguf", memory), cache = folder / "model.packed";
  std::vector<float> logits;
  Bytes good;

  Cached() {
    Packed first(cache.c_str());
    const auto opened = Model::open(model.c_str(), first.options);
    REQUIRE(opened);
    CHECK(first.log.empty());
    logits = logits_of(*opened);
    good = read(cache);
    REQUIRE(good.size() > CacheHead::kPage);
  }
  // Opens with the cache as it is now. Whether it was used: then its data takes no memory.
  bool used(const char* model_path = nullptr) {
    CountingAllocator counter;
    Packed packed(cache.c_str());
    packed.options.host.allocator = counter.get();
    const auto opened =
        Model::open(model_path == nullptr ? model.c_str() : model_path, packed.options);
    REQUIRE(opened);
    now = logits_of(*opened);
    log = packed.log;
    return counter.live_bytes() < opened->packed_bytes();
  }
  std::vector<float> now;
  std::vector<std::string> log;
};

}  // namespace

TEST_CASE("a checksum sees every changed bit, length and order") {
  Bytes bytes(331);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(1 + i * 7 + i / 256);
  std::vector<uint64_t> seen;
  for (size_t n = 0; n <= bytes.size(); ++n) {
    seen.push_back(inlay::detail::checksum(bytes.data(), n));
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    seen.push_back(inlay::detail::checksum(bytes.data(), bytes.size()));
    bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
  }
  for (size_t i = 64; i + 64 <= bytes.size(); i += 8) {
    std::swap_ranges(bytes.begin(), bytes.begin() + 8, bytes.begin() + static_cast<long>(i));
    seen.push_back(inlay::detail::checksum(bytes.data(), bytes.size()));
    std::swap_ranges(bytes.begin(), bytes.begin() + 8, bytes.begin() + static_cast<long>(i));
  }
  const Bytes zeros(200);
  for (size_t n = 1; n <= zeros.size(); ++n) {
    seen.push_back(inlay::detail::checksum(zeros.data(), n));
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("a packed model computes what a mapped one computes") {
  // The same products in another order, so sums differ by some 1e-7 of their size. That turns the
  // rounding of one activation in a hundred thousand: by 1/127 of the largest of at least 256,
  // whose squares make up some tenth of all squares, so 1e-5 of what is computed from them. These
  // models have 1e5 activations in 9 tokens, and two layers to amplify. What is packed wrong is
  // off by its own size.
  constexpr double kMost = 1e-3;
  const Spec specs[] = {spec_of("llama-gqa"), spec_of("qwen3-gqa2"), spec_of("gemma2-gqa3-odd"),
                        Spec{"tied-qwen2", "qwen2", 2, 256, 4, 2, 64, 512, 270}.with_tied_output()};
  const inlay::detail::Kernels* targets[8];
  const size_t n_targets = inlay::detail::runnable_kernels(targets);
  for (const Spec& spec : specs) {
    for (const random_model::TypeInfo& info : random_model::kTypes) {
      const Memory memory(random_model::make(spec, info.type));
      for (size_t t = 0; t < n_targets; ++t) {
        CAPTURE(std::string(spec.name));
        CAPTURE(std::string(info.name));
        CAPTURE(std::string(targets[t]->name));
        ModelOptions as_it_lies;
        as_it_lies.targets = targets[t]->target;
        const auto mapped = open(memory, as_it_lies);
        REQUIRE(mapped);
        CHECK(mapped->weights() == WeightMode::mapped);
        Packed options;
        options.options.targets = targets[t]->target;
        const auto packed = open(memory, options.options);
        REQUIRE(packed);
        const bool taken = targets[t]->takes_packed;
        CHECK(packed->weights() == (taken ? WeightMode::packed : WeightMode::mapped));
        CHECK(packed->packed_bytes() == mapped->packed_bytes());
        const bool has_form = taken && inlay::detail::packed_bytes(
                                           static_cast<inlay::TensorType>(info.type), 16, 256) > 0;
        CHECK((packed->packed_bytes() > 0) == has_form);
        for (const uint32_t batch : {1u, 2u, 9u}) {
          CAPTURE(batch);
          const std::vector<float> expected = logits_of(*mapped, batch);
          CHECK(error_of(logits_of(*packed, batch), expected) <= (has_form ? kMost : 0));
        }
      }
    }
  }
}

// Weights that are blocks of random bytes, scaled to a model's usual size, and the same as floats.
void put_random_blocks(const inlay_test::Type& type, random_model::File* blocks,
                       random_model::File* floats) {
  constexpr double kSize = 0.05;  // root mean square
  inlay_test::Random random(1);
  for (size_t i = 0; i < blocks->tensors.size(); ++i) {
    random_model::Tensor& t = blocks->tensors[i];
    if (t.dims.size() != 2) continue;
    auto p = inlay_test::make_problem(type.id, t.dims[1], t.dims[0], 1);
    inlay_test::random_weights(type, random, &p);
    std::vector<float> values(p.rows * p.k);
    const auto scale_by = [&](double scale) {
      const size_t bytes = inlay::tensor_type_info(type.id).block_bytes;
      for (size_t at = 0; at < p.w.size(); at += bytes)
        inlay_test::put_scales(type, static_cast<float>(scale), &p.w[at]);
      double squares = 0;
      for (size_t row = 0; row < p.rows; ++row) {
        float* to = values.data() + row * p.k;
        inlay::detail::dequantize_row(type.id, p.w.data() + row * p.row_bytes(), p.k, to);
        for (size_t k = 0; k < p.k; ++k) squares += double{to[k]} * double{to[k]};
      }
      return std::sqrt(squares / static_cast<double>(values.size()));
    };
    scale_by(kSize / scale_by(1));
    t.type = static_cast<Type>(type.id);
    t.bytes = p.w;
    floats->tensors[i].values = values;
  }
}

TEST_CASE("types without a packed form compute as they lie, what their values as floats do") {
  // 8 bits for 32 activations: the largest of 32 is at most 5.7 times as large as their root mean
  // square, so the error of each is at most (5.7 / 127)^2 / 12 of the square: 1.7e-4. There are
  // nine products in a row.
  constexpr double kMost = 9 * 1.7e-4;
  size_t n = 0;
  for (const inlay_test::Type& type : inlay_test::quantized_types()) {
    if (inlay::detail::packed_bytes(type.id, 16, 256) > 0) continue;
    CAPTURE(inlay_test::name_of(type.id));
    random_model::File floats = random_model::make(spec_of("llama-gqa"), Type::f32);
    random_model::File blocks = floats;
    put_random_blocks(type, &blocks, &floats);
    const Memory expected_memory(floats), memory(blocks);
    const auto exact = open(expected_memory), mapped = open(memory);
    REQUIRE(exact);
    REQUIRE(mapped);
    Packed options;
    const auto packed = open(memory, options.options);
    REQUIRE(packed);
    CHECK(packed->packed_bytes() == 0);
    for (const uint32_t batch : {1u, 2u, 9u}) {
      CAPTURE(batch);
      const std::vector<float> got = logits_of(*mapped, batch);
      CHECK(error_of(got, logits_of(*exact, batch)) <= kMost);
      CHECK(same_bits(logits_of(*packed, batch), got));
    }
    ++n;
  }
  CHECK(n == 13);
}

TEST_CASE("any threads pack the same") {
  const Memory memory(random_model::make(spec_of("llama-gqa"), Type::q4_k));
  Packed one;
  const auto alone = open(memory, one.options);
  REQUIRE(alone);
  const std::vector<float> expected = logits_of(*alone);
  for (const uint32_t threads : {2u, 5u, 64u}) {
    Packed several(nullptr, threads);
    const auto model = open(memory, several.options);
    REQUIRE(model);
    CHECK(same_bits(logits_of(*model), expected));
    several.options.host.jobs.parallel_for = [](void*, uint32_t count,
                                                void (*task)(void*, uint32_t), void* context) {
      std::vector<std::thread> workers;
      for (uint32_t i = 0; i < count; ++i) workers.emplace_back(task, context, i);
      for (std::thread& worker : workers) worker.join();
    };
    const auto by_jobs = open(memory, several.options);
    REQUIRE(by_jobs);
    CHECK(same_bits(logits_of(*by_jobs), expected));
  }
  for (const uint32_t threads : {0u, 65u}) {
    Packed wrong(nullptr, threads);
    const auto model = open(memory, wrong.options);
    REQUIRE_FALSE(model);
    CHECK(model.error().code() == ErrorCode::bad_argument);
  }
}

TEST_CASE("the memory is what was said before") {
  for (const Type type : {Type::f32, Type::q4_0, Type::q6_k}) {
    const Memory memory(random_model::make(spec_of("llama-gqa"), type));
    CountingAllocator counter;
    ModelOptions options;
    options.host.allocator = counter.get();
    const auto mapped = open(memory, options);
    REQUIRE(mapped);
    const size_t least = counter.live_bytes() + mapped->packed_bytes();
    CountingAllocator again;
    options.host.allocator = again.get();
    options.weights = WeightMode::packed;
    const auto packed = open(memory, options);
    REQUIRE(packed);
    CHECK(again.peak_bytes() >= least);
    CHECK(again.peak_bytes() <= least + 3 * 1024);  // what opens it: three objects
    CHECK(again.peak_bytes() == packed->memory().peak);
    CHECK(again.live_bytes() == packed->memory().total());
  }
}

TEST_CASE("when any one allocation fails, packing fails cleanly") {
  const Memory memory(random_model::make(spec_of("llama-gqa"), Type::q4_0));
  size_t failures = 0;
  for (bool failed = true; failed; ++failures) {
    CountingAllocator counter(failures);
    Packed packed;
    packed.options.host.allocator = counter.get();
    {
      const auto model = open(memory, packed.options);
      failed = counter.failed();
      CHECK(bool(model) == !failed);
      if (!model) CHECK(model.error().code() == ErrorCode::out_of_memory);
    }
    CHECK(counter.live_blocks() == 0);
    CHECK(counter.wrong_releases() == 0);
  }
}

TEST_CASE("packing stops between any two tickets and leaves nothing behind") {
  const Folder folder;
  const Memory memory(random_model::make(spec_of("llama-gqa"), Type::q8_0));
  const std::string path = folder.write("model.gguf", memory), cache = folder / "model.packed";
  struct Progress {
    std::vector<float> seen;
    size_t stop_at = SIZE_MAX;
    uint64_t now = 0;
  };
  const auto try_open = [&](Progress* progress) {
    CountingAllocator counter;
    bool opened = false;
    {
      Packed packed(cache.c_str());
      packed.options.host.allocator = counter.get();
      // A clock by which every ticket takes a second: each is a step of its own.
      packed.options.host.clock.user = progress;
      packed.options.host.clock.now_us = [](void* user) {
        return static_cast<Progress*>(user)->now += 1000000;
      };
      packed.options.progress_user = progress;
      packed.options.progress = [](void* user, float fraction) {
        Progress& p = *static_cast<Progress*>(user);
        p.seen.push_back(fraction);
        return p.seen.size() <= p.stop_at;
      };
      const auto model = Model::open(path.c_str(), packed.options);
      opened = bool(model);
      if (!model) CHECK(model.error().code() == ErrorCode::cancelled);
      CHECK(packed.log.empty());
    }
    CHECK(counter.live_blocks() == 0);
    CHECK(counter.wrong_releases() == 0);
    return opened;
  };
  Progress all;
  REQUIRE(try_open(&all));
  const Bytes good = read(cache);
  CHECK(all.seen.size() > 15);
  CHECK(all.seen.front() == 0.0f);
  CHECK(all.seen.back() == 1.0f);
  CHECK(std::is_sorted(all.seen.begin(), all.seen.end()));
  fs::remove(cache);
  for (size_t stop_at = 0; stop_at < all.seen.size(); ++stop_at) {
    Progress progress;
    progress.stop_at = stop_at;
    CHECK_FALSE(try_open(&progress));
    // The last report is made with the file in place.
    CHECK(folder.files() == (stop_at + 1 == all.seen.size() ? 2 : 1));
  }
  CHECK(read(cache) == good);
  // While a good cache is checked, too.
  Progress verified;
  REQUIRE(try_open(&verified));
  CHECK(verified.seen.size() > 10);
  CHECK(std::is_sorted(verified.seen.begin(), verified.seen.end()));
  for (size_t stop_at = 0; stop_at < verified.seen.size(); ++stop_at) {
    Progress progress;
    progress.stop_at = stop_at;
    CHECK_FALSE(try_open(&progress));
  }
  CHECK(read(cache) == good);
}

TEST_CASE("a cache is written once and used then") {
  Cached c;
  CHECK(c.folder.files() == 2);
  const auto written = fs::last_write_time(c.cache);
  CHECK(c.used());
  CHECK(c.log.empty());
  CHECK(same_bits(c.now, c.logits));
  // The same file under another time: its contents are compared.
  fs::last_write_time(c.model, fs::last_write_time(c.model) + std::chrono::hours(1));
  CHECK(c.used());
  CHECK(same_bits(c.now, c.logits));
  // And without a time.
  CountingAllocator counter;
  Packed packed(c.cache.c_str(), 3);
  packed.options.host.allocator = counter.get();
  const auto model = open(c.memory, packed.options);
  REQUIRE(model);
  CHECK(counter.live_bytes() < model->packed_bytes());
  CHECK(packed.log.empty());
  CHECK(same_bits(logits_of(*model), c.logits));
  CHECK(fs::last_write_time(c.cache) == written);
  // A mapped model does not look at it.
  ModelOptions mapped;
  mapped.cache = "/no such folder/file";
  CHECK(open(c.memory, mapped));
}

TEST_CASE("a cache with any damage is made again") {
  Cached c;
  std::vector<size_t> places;  // every word of the head, and some of the checksums and the data
  for (size_t i = 0; i < CacheHead::kFields; ++i) places.push_back(i * 8 + i % 8);
  uint64_t data_offset = 0;
  std::memcpy(&data_offset, c.good.data() + CacheHead::data_offset * 8, 8);
  size_t sums = data_offset;  // where the checksums end
  while (c.good[sums - 1] == 0) --sums;
  for (size_t i = CacheHead::kFields * 8; i < sums; i += 61) places.push_back(i);
  places.push_back(sums - 1);
  for (size_t i = data_offset; i < c.good.size(); i += c.good.size() / 16 + 1) places.push_back(i);
  places.push_back(c.good.size() - 1);
  for (const size_t place : places) {
    CAPTURE(place);
    Bytes bad = c.good;
    bad[place] ^= 0x10;
    c.folder.write("model.packed", bad);
    CHECK_FALSE(c.used());
    CHECK(c.log.size() == 1);
    CHECK(same_bits(c.now, c.logits));
    // Without its first word it is no cache, and left alone.
    CHECK(read(c.cache) == (place < 8 ? bad : c.good));
  }
  CHECK(c.used());
  CHECK(c.folder.files() == 2);
}

TEST_CASE("a cache of another length is made again") {
  Cached c;
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{8}, CacheHead::kFields * 8, CacheHead::kPage - 1,
        CacheHead::kPage, c.good.size() / 2, c.good.size() - 1, c.good.size() + 1}) {
    CAPTURE(size);
    Bytes other = c.good;
    other.resize(size);
    c.folder.write("model.packed", other);
    CHECK_FALSE(c.used());
    CHECK(same_bits(c.now, c.logits));
    CHECK(read(c.cache) == (size == 1 ? other : c.good));
  }
}

TEST_CASE("a cache of other weights is not used") {
  Cached c;
  const auto time = fs::last_write_time(c.model);
  const auto check_refused = [&](const Memory& memory, bool same_time) {
    const auto fresh = open(memory);
    REQUIRE(fresh);
    c.folder.write("model.packed", c.good);
    c.folder.write("model.gguf", memory);
    if (same_time) fs::last_write_time(c.model, time);
    CHECK_FALSE(c.used());
    CHECK(c.log.size() == 1);
    Packed packed;
    CHECK(same_bits(c.now, logits_of(*open(memory, packed.options))));
    // What it left is a good cache of these weights.
    CHECK(c.used());
    CHECK(same_bits(c.now, logits_of(*open(memory, packed.options))));
  };
  // The same shapes, other weights: a file of another time, and one of the same.
  check_refused(Memory(random_model::make(spec_of("llama-gqa"), Type::q4_0, 2)), false);
  check_refused(Memory(random_model::make(spec_of("llama-gqa"), Type::q4_0, 2)), true);
  // Other shapes, other types.
  check_refused(Memory(random_model::make(spec_of("qwen3-gqa2"), Type::q4_0, 1)), true);
  check_refused(Memory(random_model::make(spec_of("llama-gqa"), Type::q8_0, 1)), true);
  check_refused(Memory(random_model::make(spec_of("llama-gqa"), Type::iq4_nl, 1)), true);
  // One bit of one weight: seen because the file has changed.
  random_model::File file = random_model::make(spec_of("llama-gqa"), Type::q4_0, 1);
  Memory changed(file);
  const auto gguf = inlay::Gguf::from_memory({changed.data(), changed.size()});
  REQUIRE(gguf);
  const uint8_t* down = gguf->find_tensor("blk.0.ffn_down.weight")->data;
  const_cast<uint8_t*>(down)[5] ^= 1;
  check_refused(changed, false);
}

TEST_CASE("a file that is no cache is left as it is") {
  Cached c;
  const Bytes model = read(c.model), text(100000, 'x');
  for (const std::string& path : {c.model, c.folder.write("text", text)}) {
    Packed packed(path.c_str());
    const auto opened = Model::open(c.model.c_str(), packed.options);
    REQUIRE(opened);
    CHECK(packed.logged("not a cache file"));
    CHECK(same_bits(logits_of(*opened), c.logits));
  }
  CHECK(read(c.model) == model);
  CHECK(read(c.folder / "text") == text);
  CHECK(c.folder.files() == 3);
}

#ifndef _WIN32

TEST_CASE("where no cache can be written, packing goes on without") {
  Cached c;
  const auto check_without = [&](const std::string& cache, const char* says) {
    CAPTURE(cache);
    Packed packed(cache.c_str());
    const auto model = Model::open(c.model.c_str(), packed.options);
    REQUIRE(model);
    CHECK(packed.logged(says));
    CHECK(same_bits(logits_of(*model), c.logits));
  };
  check_without(c.folder / "no/such/folder", "no such file");
  check_without(c.folder / "model.gguf/x", "not a directory");
  check_without(std::string(5000, 'x'), "too long");
  fs::create_directory(c.folder / "folder");
  fs::create_directory(c.folder / "folder/full");
  check_without(c.folder / "folder", "it is a directory");
  check_without("", "");
  if (geteuid() != 0) {
    fs::permissions(c.folder / "folder", fs::perms::owner_read | fs::perms::owner_exec);
    check_without(c.folder / "folder/x", "permission denied");
    fs::permissions(c.folder / "folder", fs::perms::owner_all);
  }
  // A file may grow to a megabyte at most: as good as a full disk.
  const Bytes before = read(c.cache);
  fs::remove(c.cache);
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit, small;
  getrlimit(RLIMIT_FSIZE, &limit);
  small = limit;
  for (const size_t size : {size_t{0}, CacheHead::kPage, before.size() - 1}) {
    small.rlim_cur = size;
    setrlimit(RLIMIT_FSIZE, &small);
    Packed packed(c.cache.c_str());
    const auto model = Model::open(c.model.c_str(), packed.options);
    setrlimit(RLIMIT_FSIZE, &limit);
    REQUIRE(model);
    CHECK(packed.logged("the disk is full"));
    CHECK(same_bits(logits_of(*model), c.logits));
    CHECK(c.folder.files() == 2);  // the model and the folder
  }
  signal(SIGXFSZ, SIG_DFL);
}

TEST_CASE("any number of processes and threads may make the cache at once") {
  Cached c;
  fs::remove(c.cache);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      bool good = true;
      for (int round = 0; good && round < 8; ++round) {
        if (round % 3 == i % 3) fs::remove(c.cache);
        Packed packed(c.cache.c_str());
        const auto model = Model::open(c.model.c_str(), packed.options);
        good = model && packed.log.empty() && same_bits(logits_of(*model), c.logits);
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  fs::remove(c.cache);
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&c, &good, i] {
      for (int round = 0; round < 4; ++round) {
        Packed packed(c.cache.c_str(), 2);
        const auto model = Model::open(c.model.c_str(), packed.options);
        good[i] += model && packed.log.empty();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int rounds : good) CHECK(rounds == 4);
  CHECK(read(c.cache) == c.good);
  CHECK(c.folder.files() == 2);
}

#endif  // _WIN32
