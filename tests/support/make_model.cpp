// Writes a GGUF file with random weights: see random_model.hpp.
//
//   make_model OUT --shape NAME [--type q4_k] [--seed N] [--fim]
//              [--layers N] [--embd N] [--heads N] [--kv-heads N] [--head-dim N] [--ff N] [--vocab
//              N] [--context N]
//              [--window N] [--arch NAME] [--tied 0|1] [--biases 0|1]
//   make_model --list            the shapes whose numbers are recorded, one a line: name,
//   vocabulary make_model --types           the types, one a line
//
// The numbers replace those of the shape.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "random_model.hpp"

namespace {

int fail(const char* what, const char* detail) {
  std::fprintf(stderr, "make_model: %s %s\n", what, detail);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace random_model;
  if (argc < 2)
    return fail("usage: make_model OUT --shape NAME [--type TYPE] [--seed N]; or", "--list");
  const std::string_view first = argv[1];
  if (first == "--list") {
    for (const Spec& spec : kGoldenModels) std::printf("%s\t%u\n", spec.name, spec.vocab);
    return 0;
  }
  if (first == "--types") {
    for (const TypeInfo& info : kTypes) std::printf("%s\n", info.name);
    return 0;
  }
  Spec spec = kGoldenModels[0];
  Type type = Type::f16;
  uint64_t seed = 0;
  bool fim = false;
  for (int pass = 0; pass < 2; ++pass) {  // the shape first, wherever it stands
    for (int i = 2; i < argc; ++i) {
      const std::string_view option = argv[i];
      if (option == "--fim") {
        fim = true;
        continue;
      }
      if (i + 1 == argc) return fail("needs a value:", argv[i]);
      const char* value = argv[++i];
      const uint32_t number = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
      if (option == "--shape") {
        if (pass == 1) continue;
        const Spec* found = find_spec(value);
        if (found == nullptr) return fail("no such shape:", value);
        spec = *found;
      } else if (option == "--type") {
        bool known = false;
        for (const TypeInfo& info : kTypes)
          if (std::string_view(value) == info.name) {
            type = info.type;
            known = true;
          }
        if (!known) return fail("no such type:", value);
      } else if (option == "--seed") {
        seed = std::strtoull(value, nullptr, 10);
      } else if (option == "--arch") {
        if (pass == 1) spec.arch = value;
      } else {
        uint32_t* target = option == "--layers"     ? &spec.layers
                           : option == "--embd"     ? &spec.embd
                           : option == "--heads"    ? &spec.heads
                           : option == "--kv-heads" ? &spec.kv_heads
                           : option == "--head-dim" ? &spec.head_dim
                           : option == "--ff"       ? &spec.ff
                           : option == "--vocab"    ? &spec.vocab
                           : option == "--context"  ? &spec.context
                           : option == "--window"   ? &spec.window
                                                    : nullptr;
        if (target != nullptr) {
          if (pass == 1) *target = number;
        } else if (option == "--tied") {
          if (pass == 1) spec.tied = number != 0;
        } else if (option == "--biases") {
          if (pass == 1) spec.biases = number != 0;
        } else {
          return fail("no such option:", argv[i - 1]);
        }
      }
    }
  }
  std::FILE* out = std::fopen(argv[1], "wb");
  if (out == nullptr) return fail("cannot write", argv[1]);
  bool good = true;
  write(make(spec, type, seed, fim),
        [&](const uint8_t* data, size_t n) { good = good && std::fwrite(data, 1, n, out) == n; });
  good = std::fclose(out) == 0 && good;
  return good ? 0 : fail("cannot write", argv[1]);
}
