// The engine that the tests are linked with: nothing but what a user writes.
#define INLAY_IMPLEMENTATION
#include <inlay.hpp>
