// inlay bench: tokens per second, by the rules of llama-bench. ppN: N tokens after the cache's
// first D, with the logits of the last one. tgN: N tokens after those, one at a time, each with its
// logits; no sampling. A warm-up comes first and is not counted: the whole prompt, or one token.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>

#include "cli.hpp"

namespace cli {
namespace {

struct Cache {
  const char* name;
  inlay::KvCacheType type;
};
constexpr Cache kCaches[] = {{"f16", inlay::KvCacheType::f16},
                             {"q8_0", inlay::KvCacheType::q8_0},
                             {"f32", inlay::KvCacheType::f32}};

// The caches of a list such as "f16,q8_0"; none when a name is unknown.
std::vector<const Cache*> parse_caches(std::string_view list) {
  std::vector<const Cache*> result;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const auto known = std::find_if(std::begin(kCaches), std::end(kCaches), [&](const Cache& c) {
      return list.substr(begin, end - begin) == c.name;
    });
    if (known == std::end(kCaches)) return {};
    result.push_back(known);
    begin = end + 1;
  }
  return result;
}

struct Test {
  bool prefill;
  uint32_t tokens;

  std::string name(uint32_t depth) const {
    std::string result = (prefill ? "pp" : "tg") + std::to_string(tokens);
    if (depth != 0) result += " @ d" + std::to_string(depth);
    return result;
  }
};

inlay::Status run(inlay::Session& session, uint32_t depth, bool prefill,
                  inlay::Span<const inlay::Token> tokens) {
  const auto ignore = [](void*, size_t, inlay::Span<const float>) {};
  session.truncate(depth);
  if (prefill) return session.evaluate(tokens, true, ignore, nullptr);
  for (const inlay::Token& token : tokens) {
    const inlay::Status status = session.evaluate({&token, 1}, true, ignore, nullptr);
    if (!status) return status;
  }
  return {};
}

// Sorted tokens per second of `runs` runs in a session that holds `depth` tokens.
inlay::Result<std::vector<double>> measure(inlay::Session& session, uint32_t depth,
                                           const Test& test, inlay::Span<const inlay::Token> tokens,
                                           bool warm_up, uint32_t runs) {
  if (warm_up) {
    const inlay::Status status =
        run(session, depth, test.prefill, {tokens.data(), test.prefill ? test.tokens : 1});
    if (!status) return status.error();
  }
  std::vector<double> speeds;
  for (uint32_t i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const inlay::Status status = run(session, depth, test.prefill, {tokens.data(), test.tokens});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!status) return status.error();
    speeds.push_back(test.tokens / seconds.count());
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

// What a test cannot do without: the bytes it must read from memory for each token that it writes,
// and the products it must compute in all.
struct Work {
  double read_bytes, products;
};

Work work_of(const inlay::Model& model, const Test& test, uint32_t depth, inlay::KvCacheType kv) {
  double bytes = 0, head = 0, blocks = 0, embedding = 0;
  for (const inlay::TensorView& tensor : model.file().tensors()) {
    double elements = 1;
    for (uint32_t i = 0; i < tensor.n_dims; ++i) elements *= static_cast<double>(tensor.dims[i]);
    bytes += static_cast<double>(tensor.bytes);
    if (tensor.name == "token_embd.weight") {
      embedding = static_cast<double>(tensor.bytes);
      if (head == 0) head = elements;  // a head of its own may follow
    } else if (tensor.name == "output.weight") {
      head = elements;
    } else if (tensor.n_dims > 1) {
      blocks += elements;
    }
  }
  if (model.file().find_tensor("output.weight") != nullptr) bytes -= embedding;  // one row
  const inlay::ModelShape& shape = model.shape();
  const double element = kv == inlay::KvCacheType::f32   ? 4
                         : kv == inlay::KvCacheType::f16 ? 2
                                                         : 34.0 / 32;
  const double heads = static_cast<double>(shape.head_k) + shape.head_v;
  const double seen = depth + 0.5 * (test.tokens + 1.0);  // positions, on average
  Work work;
  work.read_bytes = bytes + seen * shape.n_attention_layers * shape.n_kv_heads * heads * element;
  work.products = test.tokens * (blocks + seen * shape.n_attention_layers * shape.n_heads * heads) +
                  head * (test.prefill ? 1 : test.tokens);
  return work;
}

}  // namespace

int bench(int argc, char** argv) {
  std::vector<uint32_t> threads = {default_threads()}, prompt = {512}, generate = {64},
                        depths = {0};
  std::vector<const Cache*> caches = {&kCaches[0]};
  uint32_t runs = 3, batch = inlay::SessionOptions().batch;
  ModelChoice choice;
  bool json = false, no_warm_up = false;
  Command command("bench", "MODEL [options]",
                  "Measure tokens per second: reading a prompt (pp) and writing (tg).");
  command.numbers("-t", "N,…", "threads", &threads, 1, kMaxThreads);
  command.numbers("-p", "N,…", "tokens of the prompt; 0: no such test", &prompt, 0, 1 << 20);
  command.numbers("-n", "N,…", "tokens to write; 0: no such test", &generate, 0, 1 << 20);
  command.numbers("-d", "N,…", "tokens that the cache holds before", &depths, 0, 1 << 20);
  command.option("--kv", "TYPE,…", "types of the KV cache: f16, q8_0, f32 (f16)",
                 [&caches](const char* given) {
                   caches = parse_caches(given);
                   return caches.empty() ? std::string("f16, q8_0 or f32, separated by commas")
                                         : std::string();
                 });
  command.number("-r", "N", "runs of each test, after one to warm up", &runs, 1, 1000);
  command.number("-b", "N", "most tokens of a prompt computed at once", &batch, 1, 1 << 20);
  add_model_options(&command, &choice);
  command.flag("--no-warmup", "measure from the first run on", &no_warm_up);
  command.flag("--json", "print a JSON array instead of a table", &json);
  if (!command.parse(argc, argv)) return command.status();

  std::vector<Test> tests;
  for (const uint32_t n : prompt) tests.push_back({true, n});
  for (const uint32_t n : generate) tests.push_back({false, n});
  tests.erase(
      std::remove_if(tests.begin(), tests.end(), [](const Test& t) { return t.tokens == 0; }),
      tests.end());
  uint32_t most = 1;
  for (const Test& test : tests) most = std::max(most, test.tokens);

  const char* path = command.operands()[0];
  choice.threads = *std::max_element(threads.begin(), threads.end());
  const auto model = open_model(path, choice);
  if (!model) return fail(model.error());
  const std::string target(model->target()), type = main_type(model->file());
  const char* mode = model->weights() == inlay::WeightMode::packed ? "packed" : "mapped";
  const uint64_t packed_bytes =
      model->weights() == inlay::WeightMode::packed ? model->packed_bytes() : 0;
  const char* slash = std::strrchr(path, '/');
  const std::string name = slash == nullptr ? path : slash + 1;

  if (!json) {
    std::printf("%s: %s, mostly %s, %s, %s\n\n", name.c_str(),
                std::string(model->architecture()).c_str(), type.c_str(), target.c_str(), mode);
    std::printf("%-14s %5s %7s %12s %12s %12s\n", "test", "cache", "threads", "tokens/s", "least",
                "most");
  }
  const char* separator = "[\n";
  const auto failed = [&](const inlay::Error& error) {
    if (json && separator[0] == ',') std::puts("\n]");
    return fail(error);
  };
  std::mt19937 random(1);
  std::vector<inlay::Token> tokens(*std::max_element(depths.begin(), depths.end()) + most);
  for (inlay::Token& token : tokens) {
    token = static_cast<inlay::Token>(random() % model->tokenizer().size());
  }
  for (const uint32_t n_threads : threads) {
    for (const Cache* cache : caches) {
      inlay::SessionOptions options;
      options.batch = batch;
      options.threads = n_threads;
      options.kv_cache = cache->type;
      for (const uint32_t depth : depths) {
        options.context = depth + most;
        const auto plan = inlay::Session::plan(*model, options);
        if (!plan) return failed(plan.error());
        auto session = inlay::Session::create(*model, options);
        if (!session) return failed(session.error());
        const CancelScope scope(&*session);
        if (depth != 0) {
          const inlay::Status filled =
              session->evaluate({tokens.data(), depth}, true, nullptr, nullptr);
          if (!filled) return failed(filled.error());
        }
        for (const Test& test : tests) {
          const auto speeds =
              measure(*session, depth, test, {tokens.data() + depth, most}, !no_warm_up, runs);
          if (!speeds) return failed(speeds.error());
          if (!json) {
            std::printf("%-14s %5s %7u %12.2f %12.2f %12.2f\n", test.name(depth).c_str(),
                        cache->name, n_threads, median(*speeds), speeds->front(), speeds->back());
            std::fflush(stdout);
            continue;
          }
          const Work work = work_of(*model, test, depth, cache->type);
          std::string samples;
          for (const double speed : *speeds) {
            char text[32];
            std::snprintf(text, sizeof text, "%s%.4f", samples.empty() ? "" : ", ", speed);
            samples += text;
          }
          std::printf(
              "%s  {\"test\": \"%s\", \"threads\": %u, \"kv\": \"%s\", \"tokens_per_second\": "
              "%.4f, "
              "\"min\": %.4f, \"max\": %.4f, \"runs\": %u, \"samples\": [%s], \"batch\": %u, "
              "\"model\": %s, \"architecture\": %s, \"type\": \"%s\", \"model_bytes\": %llu, "
              "\"read_bytes_per_token\": %.0f, \"products\": %.0f, \"kv_bytes\": %llu, "
              "\"session_bytes\": %llu, \"target\": \"%s\", "
              "\"weights\": \"%s\", \"packed_bytes\": %llu, "
              "\"inlay\": \"" INLAY_VERSION "\"}",
              separator, test.name(depth).c_str(), n_threads, cache->name, median(*speeds),
              speeds->front(), speeds->back(), runs, samples.c_str(), batch,
              json_string(name).c_str(), json_string(model->architecture()).c_str(), type.c_str(),
              static_cast<unsigned long long>(model->file().file_bytes()), work.read_bytes,
              work.products, static_cast<unsigned long long>(plan->kv_cache),
              static_cast<unsigned long long>(plan->total()), target.c_str(), mode,
              static_cast<unsigned long long>(packed_bytes));
          std::fflush(stdout);
          separator = ",\n";
        }
      }
    }
  }
  if (json) std::puts(separator[0] == '[' ? "[]" : "\n]");
  return kDone;
}

}  // namespace cli
