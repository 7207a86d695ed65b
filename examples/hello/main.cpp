#include <cstdio>

#define INLAY_IMPLEMENTATION
#include <inlay.hpp>

int main(int argc, char** argv) {
  const auto fail = [](const inlay::Error& e) {
    return std::fprintf(stderr, "%s\n", e.message()), 1;
  };
  auto model = inlay::Model::open(argc > 1 ? argv[1] : "model.gguf");
  if (!model) return fail(model.error());
  inlay::SessionOptions options;
  options.max_tokens = 200;
  auto session = inlay::Session::create(*model, options);
  if (!session) return fail(session.error());
  auto ready = session->prompt(argc > 2 ? argv[2] : "int main(int argc, char** argv) {\n");
  if (!ready) return fail(ready.error());
  while (const inlay::Piece* piece = session->next()) {
    std::fwrite(piece->text.data(), 1, piece->text.size(), stdout);
    std::fflush(stdout);
  }
  return session->status() ? 0 : fail(session->status().error());
}
