// How engines take files that are not what they should be: copies of a model with changed bytes,
// each opened, and given four tokens to read if that goes well, in a process of its own with 4 GiB
// of addresses. The same copies for inlay and, with -DHOSTING_LLAMA, for llama.cpp's library.
//
//   bench_mutated MODEL.gguf [COUNT]     COUNT: 1000 by default
//
// Prints one line of JSON: how many were opened, refused with an error, ended the process (by a
// signal, or any other way), or had done none of these after 20 s.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#ifdef HOSTING_LLAMA
#  include "llama.h"
#else
#  include <inlay.hpp>
#endif

namespace {

constexpr unsigned kSeconds = 20;
constexpr int kTokens = 4;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench_mutated: %s\n", what);
  std::exit(1);
}

#ifdef HOSTING_LLAMA

void prepare() {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  ggml_backend_load_all();
}

bool open(const char* path) {
  llama_model* const model = llama_model_load_from_file(path, llama_model_default_params());
  if (model == nullptr) return false;
  llama_context_params options = llama_context_default_params();
  options.n_ctx = 64;
  options.n_threads = options.n_threads_batch = 1;
  llama_context* const context = llama_init_from_model(model, options);
  if (context == nullptr) return false;
  llama_token tokens[kTokens] = {1, 2, 3, 4};
  return llama_decode(context, llama_batch_get_one(tokens, kTokens)) == 0;
}

#else

void prepare() {}

bool open(const char* path) {
  const auto model = inlay::Model::open(path);
  if (!model) return false;
  inlay::SessionOptions options;
  options.context = 64;
  auto session = inlay::Session::create(*model, options);
  const inlay::Token tokens[kTokens] = {1, 2, 3, 4};
  return session && session->evaluate({tokens, kTokens}, true, nullptr, nullptr);
}

#endif

// Changes up to three numbers, mostly among the first keys.
void mutate(std::mt19937_64& random, std::vector<char>* file) {
  static constexpr uint64_t kNumbers[] = {0,          1,          0x7f,       0xff,
                                          0xffff,     0x7fffffff, 1ull << 31, 1ull << 32,
                                          1ull << 40, 1ull << 62, ~0ull >> 1, ~0ull};
  for (uint64_t n = 1 + random() % 3; n > 0; --n) {
    const size_t range = random() % 4 == 0 ? file->size() : 4096;
    const size_t at = static_cast<size_t>(random() % range);
    const uint64_t value = random() % 2 == 0 ? random() : kNumbers[random() % std::size(kNumbers)];
    for (size_t i = 0, width = size_t{1} << random() % 4; i < width; ++i) {
      if (at + i < file->size()) (*file)[at + i] = static_cast<char>(value >> (8 * i));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) fail("usage: bench_mutated MODEL.gguf [COUNT]");
  std::ifstream in(argv[1], std::ios::binary);
  const std::vector<char> good{std::istreambuf_iterator<char>(in),
                               std::istreambuf_iterator<char>()};
  if (good.size() < 4096) fail("cannot read the model");
  prepare();
  enum End : int { kOpened = 40, kRefused, kHung, kEnded };
  int counts[4] = {};
  const std::string path = "/tmp/mutated-" + std::to_string(getpid()) + ".gguf";
  for (int i = 0, count = argc > 2 ? std::atoi(argv[2]) : 1000; i < count; ++i) {
    std::mt19937_64 random(static_cast<uint64_t>(i));
    std::vector<char> file = good;
    mutate(random, &file);
    std::ofstream(path, std::ios::binary)
        .write(file.data(), static_cast<std::streamsize>(file.size()));
    const pid_t child = fork();
    if (child < 0) fail("cannot fork");
    if (child == 0) {
      const rlimit none = {0, 0};
      setrlimit(RLIMIT_CORE, &none);
      const rlimit memory = {rlim_t{4} << 30, rlim_t{4} << 30};
      setrlimit(RLIMIT_AS, &memory);
      if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
      alarm(kSeconds);
      _exit(open(path.c_str()) ? kOpened : kRefused);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) fail("cannot wait");
    int end = WIFEXITED(status) ? WEXITSTATUS(status) : kEnded;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) end = kHung;
    if (end < kOpened || end > kHung) end = kEnded;
    ++counts[end - kOpened];
  }
  unlink(path.c_str());
  std::printf("{\"opened\": %d, \"refused\": %d, \"hung\": %d, \"ended\": %d}\n", counts[0],
              counts[1], counts[2], counts[3]);
  return 0;
}
