// A library that keeps a copy of inlay to itself and offers one C function. Compiled once for each of two versions.
#define INLAY_IMPLEMENTATION
#include <inlay.hpp>

extern "C" __attribute__((visibility("default"))) int LIBRARY_FUNCTION(const char* path, const char** version) {
  *version = INLAY_VERSION;
  const auto model = inlay::Model::open(path);
  if (!model) return -1;
  inlay::SessionOptions options;
  options.context = 64;
  options.max_tokens = 4;
  options.threads = 2;
  auto session = inlay::Session::create(*model, options);
  if (!session || !session->prompt("int")) return -1;
  int pieces = 0;
  while (session->next() != nullptr) ++pieces;
  return session->status() ? pieces : -1;
}
