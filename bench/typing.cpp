// Plays keystrokes to a Completion, and says of each how long the first ghost text took, how many
// tokens were read and how much CPU time it cost. For typing.py, which makes the trace.
//   bench_typing MODEL.gguf TRACE [NAME=VALUE…]
//     threads=1 tokens=16 context=4096 weights=mapped|packed idle=0 first=300 target=NAME
// `idle`: milliseconds that somebody looks at a suggestion before the next key; `first`: in which
// it should begin.
// TRACE: for each key a line "KIND CURSOR BYTES", and so many bytes: the file with the cursor in
// it. A line of JSON for each key, on standard output.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <inlay.hpp>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}
double cpu_ms() { return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int fail(const char* text) {
  std::fprintf(stderr, "bench_typing: %s\n", text);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  if (argc < 3) return fail("usage: bench_typing MODEL TRACE [NAME=VALUE…]");
  inlay::ModelOptions model_options;
  inlay::CompletionOptions options;
  options.max_tokens = 16;
  options.session.context = 4096;
  options.predict = false;
  uint32_t idle_ms = 0;
  for (int i = 3; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) return fail("expected NAME=VALUE");
    const std::string name = argument.substr(0, equals), value = argument.substr(equals + 1);
    const uint32_t number = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    if (name == "threads") {
      options.session.threads = number;
    } else if (name == "tokens") {
      options.max_tokens = number;
    } else if (name == "context") {
      options.session.context = number;
    } else if (name == "idle") {
      idle_ms = number;
      options.predict = number > 0;
    } else if (name == "first") {
      options.first_us = 1000 * number;
    } else if (name == "weights") {
      model_options.weights =
          value == "packed" ? inlay::WeightMode::packed : inlay::WeightMode::mapped;
    } else {
      return fail(("no option " + name).c_str());
    }
  }
  auto model = inlay::Model::open(argv[1], model_options);
  if (!model) return fail(model.error().message());
  auto completion = inlay::Completion::create(*model, options);
  if (!completion) return fail(completion.error().message());
  std::ifstream trace(argv[2], std::ios::binary);
  if (!trace) return fail("cannot read the trace");
  std::string kind, text;
  size_t cursor = 0, bytes = 0;
  while (trace >> kind >> cursor >> bytes) {
    trace.get();
    text.resize(bytes);
    trace.read(&text[0], static_cast<std::streamsize>(bytes));
    inlay::Document document;
    document.path = "typing.cpp";
    document.text = text;
    document.cursor = cursor;
    const uint64_t read = completion->tokens_read();
    const double cpu = cpu_ms();
    const Clock::time_point start = Clock::now();
    if (const inlay::Status updated = completion->update(document); !updated) {
      return fail(updated.error().message());
    }
    double first = -1;
    for (;;) {
      const inlay::Suggestion& s = completion->suggestion();
      if (first < 0 && (!s.text.empty() || s.complete)) first = ms_since(start);
      if (s.complete) break;
      if (completion->step(1000000) == inlay::Step::failed) {
        return fail(completion->status().error().message());
      }
    }
    const double all = ms_since(start), used = cpu_ms() - cpu;
    std::printf(
        "{\"kind\": \"%s\", \"first_ms\": %.3f, \"all_ms\": %.3f, \"read\": %llu, "
        "\"cpu_ms\": %.3f}\n",
        kind.c_str(), first, all, static_cast<unsigned long long>(completion->tokens_read() - read),
        used);
    while (idle_ms > 0 && ms_since(start) < all + idle_ms) {
      if (completion->step(1000) == inlay::Step::done) break;
    }
  }
  return 0;
}
