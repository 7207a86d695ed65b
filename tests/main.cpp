// The test program's main. Every tests/<folder>/<name>_test.cpp is linked with it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
