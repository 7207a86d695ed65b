// inlay bench: tokens per second, by the rules of llama-bench. A warm-up run of each test comes
// first and is not counted. ppN: N tokens from an empty cache, with the logits of the last one.
// tgN: N tokens from an empty cache, one at a time, each with its logits; no sampling.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>

#include "cli.hpp"

namespace cli {
namespace {

struct Test {
  bool prefill;
  uint32_t tokens, threads;

  std::string name() const { return (prefill ? "pp" : "tg") + std::to_string(tokens); }
};

inlay::Status run(inlay::Session& session, const Test& test,
                  inlay::Span<const inlay::Token> tokens) {
  const auto ignore = [](void*, size_t, inlay::Span<const float>) {};
  session.truncate(0);
  if (test.prefill) return session.evaluate(tokens, true, ignore, nullptr);
  for (const inlay::Token& token : tokens) {
    const inlay::Status status = session.evaluate({&token, 1}, true, ignore, nullptr);
    if (!status) return status;
  }
  return {};
}

// Sorted tokens per second of `runs` runs.
inlay::Result<std::vector<double>> measure(const inlay::Model& model, const Test& test,
                                           uint32_t batch, uint32_t runs) {
  inlay::SessionOptions options;
  options.context = test.tokens;
  options.batch = batch;
  options.threads = test.threads;
  auto session = inlay::Session::create(model, options);
  if (!session) return session.error();
  const CancelScope scope(&*session);

  std::mt19937 random(1);
  std::vector<inlay::Token> tokens(test.tokens);
  for (inlay::Token& token : tokens) {
    token = static_cast<inlay::Token>(random() % model.tokenizer().size());
  }
  std::vector<double> speeds;
  for (uint32_t i = 0; i <= runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const inlay::Status status = run(*session, test, tokens);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!status) return status.error();
    if (i > 0) speeds.push_back(test.tokens / seconds.count());  // the first is the warm-up
  }
  std::sort(speeds.begin(), speeds.end());
  return speeds;
}

double median(const std::vector<double>& sorted) {
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 != 0 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// The type that most of the weights have.
std::string main_type(const inlay::Gguf& file) {
  std::map<inlay::TensorType, uint64_t> bytes;
  for (const inlay::TensorView& tensor : file.tensors()) bytes[tensor.type] += tensor.bytes;
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "" : std::string(inlay::tensor_type_info(most->first).name);
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    char escape[8] = {c, '\0'};
    if (c == '"' || c == '\\') {
      std::snprintf(escape, sizeof escape, "\\%c", c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
    }
    result += escape;
  }
  return result + "\"";
}

}  // namespace

int bench(int argc, char** argv) {
  std::vector<uint32_t> threads = {default_threads()}, prompt = {512}, generate = {64};
  uint32_t runs = 3, batch = 512;
  int64_t mask = -1;
  bool json = false;
  Command command("bench", "MODEL [options]",
                  "Measure tokens per second: reading a prompt (pp) and writing (tg).");
  command.numbers("-t", "N,…", "threads", &threads, 1, kMaxThreads);
  command.numbers("-p", "N,…", "tokens of the prompt; 0: no such test", &prompt, 0, 1 << 20);
  command.numbers("-n", "N,…", "tokens to write; 0: no such test", &generate, 0, 1 << 20);
  command.number("-r", "N", "runs of each test, after one to warm up", &runs, 1, 1000);
  command.number("-b", "N", "most tokens of a prompt computed at once", &batch, 1, 1 << 20);
  add_target_option(&command, &mask);
  command.flag("--json", "print a JSON array instead of a table", &json);
  if (!command.parse(argc, argv)) return command.status();

  std::vector<Test> tests;
  for (const uint32_t n_threads : threads) {
    for (const uint32_t n : prompt) tests.push_back({true, n, n_threads});
    for (const uint32_t n : generate) tests.push_back({false, n, n_threads});
  }
  tests.erase(
      std::remove_if(tests.begin(), tests.end(), [](const Test& t) { return t.tokens == 0; }),
      tests.end());

  const char* path = command.operands()[0];
  const auto model = open_model(path, mask);
  if (!model) return fail(model.error());
  const std::string target(model->target()), type = main_type(model->file());
  const char* slash = std::strrchr(path, '/');
  const std::string name = slash == nullptr ? path : slash + 1;

  if (!json) {
    std::printf("%s: %s, mostly %s, %s\n\n", name.c_str(),
                std::string(model->architecture()).c_str(), type.c_str(), target.c_str());
    std::printf("%-8s %7s %12s %12s %12s\n", "test", "threads", "tokens/s", "least", "most");
  }
  const char* separator = "[\n";
  for (const Test& test : tests) {
    const auto speeds = measure(*model, test, batch, runs);
    if (!speeds) {
      if (json && separator[0] == ',') std::puts("\n]");
      return fail(speeds.error());
    }
    if (!json) {
      std::printf("%-8s %7u %12.2f %12.2f %12.2f\n", test.name().c_str(), test.threads,
                  median(*speeds), speeds->front(), speeds->back());
      std::fflush(stdout);
      continue;
    }
    std::string samples;
    for (const double speed : *speeds) {
      char text[32];
      std::snprintf(text, sizeof text, "%s%.4f", samples.empty() ? "" : ", ", speed);
      samples += text;
    }
    std::printf(
        "%s  {\"test\": \"%s\", \"threads\": %u, \"tokens_per_second\": %.4f, \"min\": %.4f, "
        "\"max\": %.4f, \"runs\": %u, \"samples\": [%s], \"batch\": %u, \"model\": %s, "
        "\"architecture\": %s, \"type\": \"%s\", \"model_bytes\": %llu, \"target\": \"%s\", "
        "\"inlay\": \"" INLAY_VERSION "\"}",
        separator, test.name().c_str(), test.threads, median(*speeds), speeds->front(),
        speeds->back(), runs, samples.c_str(), batch, json_string(name).c_str(),
        json_string(model->architecture()).c_str(), type.c_str(),
        static_cast<unsigned long long>(model->file().file_bytes()), target.c_str());
    std::fflush(stdout);
    separator = ",\n";
  }
  if (json) std::puts(separator[0] == '[' ? "[]" : "\n]");
  return kDone;
}

}  // namespace cli
