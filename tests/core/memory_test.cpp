#include "inlay/core/memory.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <utility>

#include "support/counting_allocator.hpp"

using namespace inlay::detail;
using inlay::Allocator;
using inlay_test::CountingAllocator;

TEST_CASE("the C library's memory is aligned, and nothing is null") {
  for (size_t alignment : {size_t{1}, size_t{8}, size_t{16}, size_t{64}, size_t{4096}}) {
    for (size_t bytes : {size_t{1}, size_t{7}, size_t{64}, size_t{1000000}}) {
      void* memory = allocate(Allocator(), bytes, alignment);
      REQUIRE(memory != nullptr);
      CHECK(reinterpret_cast<uintptr_t>(memory) % alignment == 0);
      std::memset(memory, 1, bytes);
      release(Allocator(), memory, bytes, alignment);
    }
  }
  CHECK(allocate(Allocator(), 0) == nullptr);
  release(Allocator(), nullptr, 0);
}

TEST_CASE("the host's allocator is asked instead, with size and alignment") {
  CountingAllocator counting;
  const Allocator host = counting.get();
  CHECK(allocate(host, 0) == nullptr);
  CHECK(counting.calls() == 0);
  void* memory = allocate(host, 100, 32);
  CHECK(counting.live_bytes() == 100);
  release(host, memory, 100, 32);
  CHECK(counting.live_blocks() == 0);
  CHECK(counting.wrong_releases() == 0);
  release(host, nullptr, 100, 32);
  CHECK(counting.wrong_releases() == 0);
}

TEST_CASE("a host that frees everything at once gives no release function") {
  alignas(64) static char arena[256];
  Allocator host;
  host.allocate = [](void*, size_t, size_t) -> void* { return arena; };
  void* memory = allocate(host, 256);
  CHECK(memory == arena);
  release(host, memory, 256);
}

TEST_CASE("checked arithmetic reports every overflow") {
  uint64_t out = 5;
  CHECK(checked_mul(UINT32_MAX, UINT32_MAX, &out));
  CHECK(out == uint64_t{UINT32_MAX} * UINT32_MAX);
  CHECK(checked_mul(0, UINT64_MAX, &out));
  CHECK(out == 0);
  CHECK(checked_mul(UINT64_MAX, 0, &out));
  CHECK(checked_mul(UINT64_MAX, 1, &out));
  CHECK(out == UINT64_MAX);
  CHECK(checked_mul(UINT64_MAX / 3, 3, &out));
  CHECK_FALSE(checked_mul(UINT64_MAX / 3 + 1, 3, &out));
  CHECK_FALSE(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32, &out));
  CHECK_FALSE(checked_mul(UINT64_MAX, UINT64_MAX, &out));
  CHECK(checked_add(UINT64_MAX, 0, &out));
  CHECK(out == UINT64_MAX);
  CHECK_FALSE(checked_add(UINT64_MAX, 1, &out));
  CHECK_FALSE(checked_add(uint64_t{1} << 63, uint64_t{1} << 63, &out));
  CHECK(round_up(0, 32) == 0);
  CHECK(round_up(1, 32) == 32);
  CHECK(round_up(32, 32) == 32);
  CHECK(div_up(0, 3) == 0);
  CHECK(div_up(7, 3) == 3);
  CHECK(div_up(9, 3) == 3);
}

TEST_CASE("an array grows, moves and keeps its elements") {
  CountingAllocator counting;
  {
    Array<int> a(counting.get());
    CHECK(a.empty());
    for (int i = 0; i < 1000; ++i) REQUIRE(a.push_back(i));
    REQUIRE(a.push_back(a[7]));  // an element of its own, maybe while growing
    for (int i = 0; i < 1000; ++i) REQUIRE(a[static_cast<size_t>(i)] == i);
    CHECK(a.back() == 7);
    CHECK(a.size() == 1001);
    CHECK(reinterpret_cast<uintptr_t>(a.data()) % kAlignment == 0);
    const int more[] = {1, 2, 3};
    REQUIRE(a.append(more, 3));
    CHECK(a.back() == 3);
    REQUIRE(a.append(nullptr, 0));
    a.pop_back();
    a.truncate(5000);
    CHECK(a.size() == 1003);
    a.truncate(10);
    REQUIRE(a.resize(12));
    CHECK(a[9] == 9);
    CHECK(a[10] == 0);
    CHECK(a[11] == 0);

    Array<int> b = std::move(a);
    CHECK(b.size() == 12);
    CHECK(a.empty());
    Array<int> c(counting.get());
    REQUIRE(c.push_back(1));
    c = std::move(b);
    CHECK(c.size() == 12);
    int sum = 0;
    for (int x : c.span()) sum += x;
    CHECK(sum == 45);
    c.clear();
    CHECK(c.empty());
  }
  CHECK(counting.live_blocks() == 0);
  CHECK(counting.wrong_releases() == 0);
}

TEST_CASE("an array that cannot grow says so and stays as it was") {
  CountingAllocator counting(1);
  Array<int> a(counting.get());
  REQUIRE(a.reserve(2));
  REQUIRE(a.push_back(1));
  REQUIRE(a.push_back(2));
  CHECK_FALSE(a.push_back(3));
  CHECK(a.size() == 2);
  CHECK(a[0] == 1);
  CHECK(a[1] == 2);
  CHECK_FALSE(a.reserve(SIZE_MAX / 2));  // its size in bytes does not fit size_t
}

TEST_CASE("text in an array") {
  String s{Allocator()};
  REQUIRE(s.append("hello", 5));
  CHECK(view(s) == "hello");
}

namespace {

struct alignas(128) Aligned {
  explicit Aligned(int* counter) noexcept : alive(counter) { ++*alive; }
  ~Aligned() { --*alive; }
  int* alive;
};

}  // namespace

TEST_CASE("objects are made and destroyed in the host's memory") {
  CountingAllocator counting(1);
  int alive = 0;
  Aligned* object = create<Aligned>(counting.get(), &alive);
  REQUIRE(object != nullptr);
  CHECK(alive == 1);
  CHECK(reinterpret_cast<uintptr_t>(object) % 128 == 0);
  CHECK(create<Aligned>(counting.get(), &alive) == nullptr);
  CHECK(alive == 1);
  destroy(counting.get(), object);
  CHECK(alive == 0);
  destroy<Aligned>(counting.get(), nullptr);
  CHECK(counting.live_blocks() == 0);
  CHECK(counting.wrong_releases() == 0);
}
