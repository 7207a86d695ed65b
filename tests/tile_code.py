#!/usr/bin/env python3
"""Do the tile kernels stay in registers?

  tile_code.py OBJECT     an object of tests/inlay.cpp, compiled for x86-64 with optimization

What makes them fast is invisible in their results: INLAY_PIN keeps sums in registers. Without it compilers compute all
products of an unrolled loop first and spill them, at less than half the speed. So this counts the vector instructions of
multiply_tile, multiply_wide_tile and multiply_plain_tile that access the stack, beside the products.
"""
import collections
import re
import subprocess
import sys

# Accesses to the stack for each product. With 16 registers the sums of a tile live there by design: 24 to 44 accesses for
# 80 to 136 products; without the pins there are more than there are products. With 32 registers nothing does.
LIMITS = (('N_AVX3', 0.05), ('VNNI', 0.9), ('', 0.6))
PRODUCT = re.compile(r'(\{vex\} )?v?p(maddubsw|maddwd|dpbusd)|vfmadd|mulps')
STACK = re.compile(r'\((%rsp|%rbp)')


def functions(path):
    found = collections.OrderedDict()
    name = None
    disassembly = subprocess.run(['objdump', '-d', '-C', '--no-show-raw-insn', path], check=True, capture_output=True,
                                 text=True).stdout
    for line in disassembly.splitlines():
        header = re.match(r'[0-9a-f]+ <(.*)>:', line)
        if header:
            match = re.search(r'(N_\w+)::(multiply_(?:wide_|plain_)?tile(?:<[^(]*>)?)\(', header[1])
            name = f'{match[1]} {match[2]}' if match else None
        elif name and '\t' in line and 'mm' in line:
            found.setdefault(name, []).append(line.split('\t')[-1])
    return found


def main():
    kernels = functions(sys.argv[1])
    if not kernels:
        sys.exit('no tile kernels in ' + sys.argv[1])
    failed = False
    for name, code in kernels.items():
        products = sum(bool(PRODUCT.match(i)) for i in code)
        stack = sum(bool(STACK.search(i)) for i in code)
        limit = next(limit for part, limit in LIMITS if part in name)
        spills = stack > limit * products + 2
        failed |= spills
        print(f'{name}: {products} products, {stack} accesses to the stack{" (too many)" if spills else ""}')
    sys.exit(failed)


if __name__ == '__main__':
    main()
