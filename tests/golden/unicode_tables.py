#!/usr/bin/env python3
"""Writes include/inlay/text/unicode_tables-inl.hpp: general categories, lower case and base characters of Unicode 15.1.

    unicode_tables.py UnicodeData.txt > include/inlay/text/unicode_tables-inl.hpp

UnicodeData.txt is that of Unicode 15.0 (Debian 12: package unicode-data) or 15.1; what 15.1 added is listed here.
15.1 is the version that llama.cpp 0.7.0 classifies characters by. To stderr goes the hash of all characters' properties that
tests/text/unicode_test.cpp has.
"""
import sys

CATEGORIES = ("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co").split()
ADDED_IN_15_1 = [(0x2EBF0, 0x2EE5D, "Lo"), (0x2FFC, 0x2FFF, "So"), (0x31EF, 0x31EF, "So")]

category = ["Cn"] * 0x110000
lower, decomposed = {}, {}  # of single characters; the first character of a canonical decomposition
first = None
for line in open(sys.argv[1], encoding="ascii"):
    field = line.split(";")
    code = int(field[0], 16)
    if field[1].endswith(", First>"):
        first = code
    elif field[1].endswith(", Last>"):
        category[first:code + 1] = [field[2]] * (code + 1 - first)
    else:
        category[code] = field[2]
        if field[13]:
            lower[code] = int(field[13], 16)
        if field[5] and not field[5].startswith("<"):
            decomposed[code] = int(field[5].split()[0], 16)
for begin, last, name in ADDED_IN_15_1:
    category[begin:last + 1] = [name] * (last + 1 - begin)

CATEGORY_BLOCK, DECOMPOSITION_BLOCK = 32, 16  # entries between places that a search can begin at


def number(value):
    """The bytes of a number: 7 bits each, the lowest first, the eighth set but in the last."""
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value


def category_runs():
    """Bytes of all runs, and (code point, place in the bytes) where every so many begin."""
    starts = [c for c in range(0x110000) if c == 0 or category[c] != category[c - 1]]
    data, marks = [], []
    for i, (start, end) in enumerate(zip(starts, starts[1:] + [0x110000])):
        if i % CATEGORY_BLOCK == 0:
            marks.append((start, len(data)))
        short = end - start if end - start < 8 else 0
        data += [short << 5 | CATEGORIES.index(category[start])]
        data += [] if short else number(end - start)
    return data, marks


def base(code):
    while code in decomposed:
        code = decomposed[code]
    return code


def decompositions():
    """As category_runs, of code points and their base characters."""
    data, marks = [], []
    for i, code in enumerate(sorted(decomposed)):
        if i % DECOMPOSITION_BLOCK == 0:
            marks.append((code, len(data)))
            before, before_base = code - 1, 0
        change, gap = base(code) - before_base, code - before
        zigzag = 2 * change if change >= 0 else -2 * change - 1
        data += number(zigzag << 1 | (gap > 1))
        data += number(gap) if gap > 1 else []
        before, before_base = code, base(code)
    return data, marks


def lower_runs():
    """(first, distance of the last, step, difference) of characters that are one or two apart and equally far from their lower case."""
    codes = sorted(lower)
    i = 0
    while i < len(codes):
        best = (i, 1)
        for step in (1, 2):
            j = i
            while j + 1 < len(codes) and codes[j + 1] == codes[j] + step and \
                    lower[codes[j + 1]] - codes[j + 1] == lower[codes[i]] - codes[i]:
                j += 1
            best = max(best, (j, step), key=lambda b: b[0])
        j, step = best
        yield codes[i], codes[j] - codes[i], step, lower[codes[i]] - codes[i]
        i = j + 1


def print_numbers(numbers):
    row = " "
    for number in numbers:
        if len(row) + len(number) > 97:
            print(row)
            row = " "
        row += f" {number},"
    print(row)


def print_coded(name, data, marks):
    print(f"inline constexpr uint8_t k{name}[{len(data)}] = {{")
    print_numbers(map(str, data))
    print(f"}};\ninline constexpr CodeMark k{name}Marks[{len(marks)}] = {{")
    print_numbers(f"{{{code}, {at}}}" for code, at in marks)
    print("};\n")


print("""// Written by tests/golden/unicode_tables.py; do not edit. Unicode 15.1.
//
// Numbers are coded 7 bits to a byte, the lowest first; the eighth bit says that more follow.
#ifndef INLAY_TEXT_UNICODE_TABLES_INL_HPP_
#define INLAY_TEXT_UNICODE_TABLES_INL_HPP_

#include <cstdint>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// What is coded from a code point on begins at byte `at`.
struct CodeMark {
  uint32_t code, at;
};

// clang-format off
// Runs of code points of one general category, from 0 on: length << 5 | Category, or Category and
// then the length as a number.""")
print_coded("CategoryRuns", *category_runs())
runs = list(lower_runs())
print(f"""// Characters that have a lower case: each step-th from first to last, by adding the difference.
struct LowerRun {{
  uint32_t first : 18, reach : 12, step : 2;
  int32_t difference;
  constexpr uint32_t last() const noexcept {{ return first + reach; }}
}};
inline constexpr LowerRun kLowerRuns[{len(runs)}] = {{""")
print_numbers(f"{{{', '.join(map(str, run))}}}" for run in runs)
print("""};

// The first character of a canonical decomposition, as the change from that of the entry before,
// after a mark from 0: twice it, or -1 - twice it if it is negative; times two, plus one if a number
// follows, by which the code point is higher than the one before; else it is the next. Hangul is not
// in it: it is computed.""")
print_coded("Decompositions", *decompositions())
print("""// clang-format on

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNICODE_TABLES_INL_HPP_""")

checksum = 14695981039346656037  # FNV-1a of words
for code in range(0x110000):
    hangul = 0x1100 + (code - 0xAC00) // 588 if 0xAC00 <= code <= 0xD7A3 else None
    for word in (CATEGORIES.index(category[code]), lower.get(code, code), hangul or base(code)):
        checksum = (checksum ^ word) * 1099511628211 % 2**64
print(f"0x{checksum:016x}", file=sys.stderr)
