// A user's program: completes a few tokens with the model named on its command line.
#define INLAY_IMPLEMENTATION
#include <cstdio>
#include <inlay.hpp>

int main(int argc, char** argv) {
  auto missing = inlay::Model::open("no such file");
  if (missing || missing.error().code() != inlay::ErrorCode::io) return std::puts("no error"), 1;
  if (argc < 2) return std::puts("usage: program MODEL"), 2;
  auto model = inlay::Model::open(argv[1]);
  if (!model) return std::puts(model.error().message()), 1;
  inlay::SessionOptions options;
  options.context = 64;
  options.max_tokens = 8;
  options.threads = 2;
  auto session = inlay::Session::create(*model, options);
  if (!session) return std::puts(session.error().message()), 1;
  if (auto ready = session->prompt("int main"); !ready) {
    return std::puts(ready.error().message()), 1;
  }
  while (session->next() != nullptr) {
  }
  if (!session->status()) return std::puts(session->status().error().message()), 1;
  return std::printf("%zu tokens\n", session->tokens().size()), 0;
}
