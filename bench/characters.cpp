// Characters of a game with a common prompt: what they cost as forks of one session that take turns
// with its workspace, as forks with workspaces of their own, and as sessions of their own.
//   bench_characters MODEL.gguf [NAME=VALUE…]
//     characters=50      how many
//     common=1000        tokens that all have in front
//     own=20             that each has behind them
//     written=8          that each writes, in turns of one token
//     separate=50        of those with a session of their own: fewer where reading takes long,
//     their
//                        mean stands for the others
//     threads=1 batch=32 of each session
//     json=0|1
// Time is the wall clock's, memory what the host's allocator gave beside the model.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <inlay.hpp>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

struct Options {
  std::string model;
  uint32_t characters = 50, common = 1000, own = 20, written = 8, separate = 50, threads = 1,
           batch = 32;
  bool json = false;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench_characters: %s\n", what);
  std::exit(1);
}
template <class T>
T must(inlay::Result<T> result) {
  if (!result) fail(result.error().message());
  return std::move(*result);
}
void must(const inlay::Status& status) {
  if (!status) fail(status.error().message());
}

// Bytes that are taken now.
struct Memory {
  uint64_t bytes = 0;
  inlay::Allocator allocator() {
    inlay::Allocator a;
    a.user = this;
    a.allocate = [](void* user, size_t size, size_t alignment) -> void* {
      static_cast<Memory*>(user)->bytes += size;
      return ::operator new(size, std::align_val_t(alignment), std::nothrow);
    };
    a.release = [](void* user, void* memory, size_t size, size_t alignment) {
      static_cast<Memory*>(user)->bytes -= size;
      ::operator delete(memory, std::align_val_t(alignment));
    };
    return a;
  }
};

double now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

std::vector<inlay::Token> tokens(uint32_t n, uint32_t seed, uint32_t n_vocab) {
  std::vector<inlay::Token> out;
  for (uint32_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    out.push_back(static_cast<inlay::Token>(3 + (seed >> 8) % (n_vocab - 3)));
  }
  return out;
}

struct Cost {
  double ready = 0;    // seconds until each has written its first token
  double written = 0;  // seconds for all others
  uint64_t bytes = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), model_(open()) {
    n_vocab_ = model_.shape().n_vocab;
    common_ = tokens(options.common, 1, n_vocab_);
    session_.context = options.common + options.own + options.written + 1;
    session_.batch = options.batch;
    session_.threads = options.threads;
  }
  enum class As { turns, forks, sessions };
  Cost run(uint32_t count, As as) {
    const bool forks = as != As::sessions;
    const uint64_t before = memory_.bytes;
    const double start = now();
    std::vector<inlay::Session> base, characters;
    if (forks) {
      base.push_back(must(inlay::Session::create(model_, session_)));
      must(base[0].evaluate(common_, true, nullptr, nullptr));
    }
    session_.workspace_of = as == As::turns ? &base[0] : nullptr;
    for (uint32_t i = 0; i < count; ++i) {
      session_.sampling.seed = i;
      characters.push_back(
          must(forks ? base[0].fork(session_) : inlay::Session::create(model_, session_)));
      std::vector<inlay::Token> text = common_;
      for (const inlay::Token token : tokens(options_.own, i + 2, n_vocab_)) text.push_back(token);
      must(characters[i].prompt(inlay::Span<const inlay::Token>(text)));
      write(characters[i], 1);
    }
    Cost cost;
    cost.ready = now() - start;
    for (uint32_t turn = 1; turn < options_.written; ++turn) {
      for (inlay::Session& character : characters) write(character, turn + 1);
    }
    cost.written = now() - start - cost.ready;
    cost.bytes = memory_.bytes - before;
    if (as == As::turns) save(characters[0], base[0]);
    session_.workspace_of = nullptr;
    return cost;
  }

  // Of one character, whole and without what all have in common.
  struct Saved {
    uint64_t bytes = 0;
    double save = 0, restore = 0;  // seconds
  } whole, rest;

 private:
  inlay::Model open() {
    inlay::ModelOptions options;
    options.host.allocator = memory_.allocator();
    return must(inlay::Model::open(options_.model.c_str(), options));
  }
  void save(const inlay::Session& character, const inlay::Session& base) {
    inlay::Session other = must(base.fork(session_));
    for (Saved* saved : {&whole, &rest}) {
      const uint32_t skip = saved == &rest ? options_.common : 0;
      std::vector<uint8_t> state(static_cast<size_t>(character.state_bytes(skip)));
      saved->bytes = state.size();
      const double start = now();
      must(character.save(state, skip));
      saved->save = now() - start;
      must(other.restore(state));
      saved->restore = now() - start - saved->save;
    }
  }
  // Until the character has written `count` tokens: a piece may take several.
  void write(inlay::Session& character, uint32_t count) {
    while (character.tokens().size() < options_.common + options_.own + count) {
      if (character.next() != nullptr) continue;
      must(character.status());
      return;
    }
  }

  Options options_;
  Memory memory_;
  inlay::Model model_;
  uint32_t n_vocab_ = 0;
  std::vector<inlay::Token> common_;
  inlay::SessionOptions session_;
};

Options read(int argc, char** argv) {
  Options o;
  if (argc < 2) fail("usage: bench_characters MODEL.gguf [NAME=VALUE...]");
  o.model = argv[1];
  const std::pair<std::string_view, uint32_t*> names[] = {{"characters", &o.characters},
                                                          {"common", &o.common},
                                                          {"own", &o.own},
                                                          {"written", &o.written},
                                                          {"separate", &o.separate},
                                                          {"threads", &o.threads},
                                                          {"batch", &o.batch}};
  for (int i = 2; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == argument.npos) fail("expected NAME=VALUE");
    const uint32_t value = static_cast<uint32_t>(std::atoi(argv[i] + equals + 1));
    bool known = argument.substr(0, equals) == "json";
    if (known) o.json = value != 0;
    for (const auto& [name, place] : names) {
      if (name != argument.substr(0, equals)) continue;
      *place = value;
      known = true;
    }
    if (!known || (value == 0 && argument.substr(0, equals) != "json")) fail(argv[i]);
  }
  if (o.separate > o.characters) o.separate = o.characters;
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  const Options o = read(argc, argv);
  Bench bench(o);
  const Cost turns = bench.run(o.characters, Bench::As::turns);
  const Cost forks = bench.run(o.characters, Bench::As::forks);
  Cost apart = bench.run(o.separate, Bench::As::sessions);
  const double scale = static_cast<double>(o.characters) / o.separate;
  apart.ready *= scale;
  apart.written *= scale;
  apart.bytes = static_cast<uint64_t>(static_cast<double>(apart.bytes) * scale);
  const auto print = [&](const char* name, const Cost& cost) {
    const double mebibytes = static_cast<double>(cost.bytes) / (1 << 20);
    const double per_second = o.characters * (o.written - 1) / cost.written;
    std::printf(o.json ? "{\"name\": \"%s\", \"ready_s\": %.3f, \"tokens_per_s\": %.1f, "
                         "\"mebibytes\": %.1f}\n"
                       : "%-18s %9.2f s until all write %9.1f tokens/s then %9.1f MiB\n",
                name, cost.ready, per_second, mebibytes);
  };
  print("forks in turn", turns);
  print("forks", forks);
  print("separate sessions", apart);
  const auto print_saved = [&](const char* name, const Bench::Saved& saved) {
    std::printf(o.json
                    ? "{\"name\": \"%s\", \"bytes\": %llu, \"save_s\": %.5f, \"restore_s\": %.5f}\n"
                    : "%-18s %9llu bytes, saved in %.5f s, restored in %.5f s\n",
                name, static_cast<unsigned long long>(saved.bytes), saved.save, saved.restore);
  };
  print_saved("a saved character", bench.whole);
  print_saved("what differs", bench.rest);
  if (!o.json) {
    std::printf(
        "%u characters, %u common tokens, %u own: %.1f times as fast, %.1f times less memory\n",
        o.characters, o.common, o.own, apart.ready / turns.ready,
        static_cast<double>(apart.bytes) / static_cast<double>(turns.bytes));
  }
  return 0;
}
