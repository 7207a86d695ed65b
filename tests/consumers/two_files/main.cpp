// The header in two files, the implementation in one of them, included before and after it as well.
#include <inlay.hpp>
#define INLAY_IMPLEMENTATION
#include <inlay.hpp>
#include <inlay.hpp>

const char* message_from_other_file();

int main() {
  const auto here = inlay::Model::open("no such file");
  const std::string_view there = message_from_other_file();
  return !here && there == here.error().message() ? 0 : 1;
}
