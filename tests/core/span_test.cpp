#include "inlay/core/span.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string_view>
#include <type_traits>
#include <vector>

using inlay::Span;

TEST_CASE("a span of anything that has data and size") {
  int array[] = {1, 2, 3};
  std::vector<int> vector = {4, 5};
  const std::vector<int> constant = {6};
  const std::array<int, 2> fixed = {7, 8};
  CHECK(Span<int>(array).size() == 3);
  CHECK(Span<int>(vector).data() == vector.data());
  CHECK(Span<const int>(constant)[0] == 6);
  CHECK(Span<const int>(fixed).size() == 2);
  CHECK(Span<const char>(std::string_view("ab")).size() == 2);
  const Span<int> span = array;
  const Span<const int> view = span;
  CHECK(view.data() == array);
  span[1] = 20;
  CHECK(array[1] == 20);
  int sum = 0;
  for (int x : view) sum += x;
  CHECK(sum == 24);
  CHECK_FALSE(std::is_constructible_v<Span<int>, const std::vector<int>&>);
  CHECK_FALSE(std::is_constructible_v<Span<int>, Span<const int>>);
  CHECK(Span<int>().empty());
}

TEST_CASE("a part of a span is cut to what there is") {
  const int array[] = {0, 1, 2, 3, 4};
  const Span<const int> span = array;
  CHECK(span.subspan(2).size() == 3);
  CHECK(span.subspan(2)[0] == 2);
  CHECK(span.subspan(1, 2).size() == 2);
  CHECK(span.subspan(4, 10).size() == 1);
  CHECK(span.subspan(5).empty());
  CHECK(span.subspan(6, SIZE_MAX).empty());
  CHECK(span.subspan(SIZE_MAX, SIZE_MAX).empty());
}
