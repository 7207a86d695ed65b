#!/usr/bin/env python3
"""Writes include/inlay/text/unicode_tables-inl.hpp, the general categories of Unicode 15.1.

    unicode_tables.py UnicodeData.txt > include/inlay/text/unicode_tables-inl.hpp

UnicodeData.txt is that of Unicode 15.0 (Debian 12: package unicode-data) or 15.1; what 15.1 added is listed here.
15.1 is the version that llama.cpp 0.7.0 classifies characters by.
"""
import sys

CATEGORIES = ("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co").split()
ADDED_IN_15_1 = [(0x2EBF0, 0x2EE5D, "Lo"), (0x2FFC, 0x2FFF, "So"), (0x31EF, 0x31EF, "So")]

category = ["Cn"] * 0x110000
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
for begin, last, name in ADDED_IN_15_1:
    category[begin:last + 1] = [name] * (last + 1 - begin)

starts = [c for c in range(0x110000) if c == 0 or category[c] != category[c - 1]]
print(f"""// Written by tests/golden/unicode_tables.py; do not edit.
#ifndef INLAY_TEXT_UNICODE_TABLES_INL_HPP_
#define INLAY_TEXT_UNICODE_TABLES_INL_HPP_

#include <cstdint>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {{

// Where a run of code points of one general category begins: code point << 5 | Category.
// Unicode 15.1.
// clang-format off
inline constexpr uint32_t kCategoryRuns[{len(starts)}] = {{""")
row = " "
for code in starts:
    number = f" {code << 5 | CATEGORIES.index(category[code])},"
    if len(row) + len(number) > 100:
        print(row)
        row = " "
    row += number
print(row)
print("""};
// clang-format on

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNICODE_TABLES_INL_HPP_""")
