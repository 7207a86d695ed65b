#include <inlay.hpp>

const char* message_from_other_file() {
  static const auto result = inlay::Model::open("no such file");
  return result.error().message();
}
