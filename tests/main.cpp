// The test program's main. Every tests/<folder>/<name>_test.cpp is linked with it.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <inlay.hpp>

int main(int argc, char** argv) {
  inlay::request_amx();  // a target like others: tests run it where it is
  return doctest::Context(argc, argv).run();
}
