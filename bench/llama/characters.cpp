// What bench_characters measures, with llama.cpp's library: characters as sequences of one context,
// whose cells hold the common prompt once. Made and run by promises.py.
//   characters MODEL.gguf CHARACTERS COMMON OWN
// Prints one line of JSON: seconds until each has written its first token, the mebibytes that the
// process has grown by since the model was open, and one character as bytes: their number, seconds
// to save, seconds to restore.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "llama.h"

namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "characters: %s\n", what);
  std::exit(1);
}

// As bench_characters has them.
std::vector<llama_token> tokens(int n, uint32_t seed, uint32_t n_vocab) {
  std::vector<llama_token> out;
  for (int i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    out.push_back(static_cast<llama_token>(3 + (seed >> 8) % (n_vocab - 3)));
  }
  return out;
}

double resident_mebibytes() {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) fail("no /proc/self/status");
  char line[256];
  long kilobytes = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    std::sscanf(line, "RssAnon: %ld", &kilobytes);
  }
  std::fclose(file);
  return static_cast<double>(kilobytes) / 1024;
}

void add(llama_batch* batch, llama_token token, int position, int sequence, bool logits) {
  const int i = batch->n_tokens++;
  batch->token[i] = token;
  batch->pos[i] = position;
  batch->n_seq_id[i] = 1;
  batch->seq_id[i][0] = sequence;
  batch->logits[i] = logits;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) fail("usage: characters MODEL.gguf CHARACTERS COMMON OWN");
  const int characters = std::atoi(argv[2]), common = std::atoi(argv[3]), own = std::atoi(argv[4]);
  constexpr int kBatch = 512;
  ggml_backend_load_all();
  llama_model* const model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) fail("cannot open the model");
  const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
  const double before = resident_mebibytes();
  const auto start = std::chrono::steady_clock::now();

  llama_context_params options = llama_context_default_params();
  options.n_ctx = static_cast<uint32_t>(common + characters * (own + 8));
  options.n_batch = kBatch;
  options.n_seq_max = static_cast<uint32_t>(characters + 1);
  options.kv_unified = true;
  options.n_threads = options.n_threads_batch = 1;
  llama_context* const context = llama_init_from_model(model, options);
  if (context == nullptr) fail("cannot make a context");
  llama_batch batch = llama_batch_init(kBatch, 0, 1);
  const auto decode = [&] {
    if (batch.n_tokens > 0 && llama_decode(context, batch) != 0) fail("cannot read");
    batch.n_tokens = 0;
  };
  const std::vector<llama_token> town = tokens(common, 1, static_cast<uint32_t>(n_vocab));
  for (int i = 0; i < common; ++i) {
    add(&batch, town[static_cast<size_t>(i)], i, 0, false);
    if (batch.n_tokens == kBatch) decode();
  }
  decode();
  // All characters' own texts in common batches.
  for (int c = 0; c < characters; ++c) {
    llama_memory_seq_cp(llama_get_memory(context), 0, c + 1, -1, -1);
    const std::vector<llama_token> text =
        tokens(own, static_cast<uint32_t>(c + 2), static_cast<uint32_t>(n_vocab));
    if (batch.n_tokens + own > kBatch) decode();
    for (int i = 0; i < own; ++i) {
      add(&batch, text[static_cast<size_t>(i)], common + i, c + 1, i + 1 == own);
    }
  }
  decode();
  const auto since = [](std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const double ready = since(start), mebibytes = resident_mebibytes() - before;
  std::vector<uint8_t> state(llama_state_seq_get_size(context, 1));
  const auto saving = std::chrono::steady_clock::now();
  if (llama_state_seq_get_data(context, state.data(), state.size(), 1) != state.size())
    fail("cannot save");
  const double saved = since(saving);
  llama_memory_clear(llama_get_memory(context), false);
  const auto restoring = std::chrono::steady_clock::now();
  if (llama_state_seq_set_data(context, state.data(), state.size(), 1) == 0) fail("cannot restore");
  std::printf(
      "{\"ready_s\": %.3f, \"mebibytes\": %.1f, \"saved\": {\"bytes\": %zu, \"save_s\": %.5f, "
      "\"restore_s\": %.5f}}\n",
      ready, mebibytes, state.size(), saved, since(restoring));
  std::fflush(stdout);
  std::_Exit(0);
}
