#!/usr/bin/env python3
"""Checks the rules of include/inlay that no compiler checks. Prints file:line for each breach; exit code 1 if any.

  * A file includes only its own folder and the folders before it in FOLDERS (inlay.hpp and implementation.hpp, which
    tie everything together, excepted).
  * Nothing that ends the process, throws, prints, reads the environment, or allocates behind the host's back.
  * No mutable variable that outlives a call: a program that holds inlay can be unloaded.
  * ASCII only.

Usage: structure.py [INCLUDE_FOLDER]
"""

import pathlib
import re
import sys

FOLDERS = ["config", "core", "gguf", "tensor", "kernels", "text", "grammar", "chat", "plan", "arch", "model", "session",
           "completion", "c"]
SPINES = {"inlay.hpp", "implementation.hpp"}
C_HEADER = "inlay/inlay.h"  # the C interface, which c/ defines

HEADERS = """iostream ostream istream sstream fstream iomanip cstdio stdio.h string vector map unordered_map set
    unordered_set list deque functional memory regex thread mutex condition_variable future shared_mutex locale clocale
    stdexcept exception typeinfo typeindex any filesystem format cassert assert.h random""".split()

# Looked for in code without comments, strings and preprocessor lines.
WORDS = {
    r"\b(abort|exit|_exit|quick_exit|terminate|atexit)\s*\(": "ends the process, or runs after it",
    r"\b(throw|try|catch)\b": "exceptions",
    r"\b(dynamic_cast|typeid)\b": "RTTI",
    r"\b(f|s|sn|v|vf|vs|vsn)?printf\s*\(|\b(puts|fputs|putchar|perror)\s*\(": "printing",
    r"\bstd::(cout|cerr|clog)\b|\b(stdout|stderr)\b": "printing",
    r"\b(getenv|secure_getenv|setlocale)\s*\(": "the environment",
    r"\bstd::(string|vector|map|unordered_map|set|unordered_set|list|deque|function|shared_ptr|unique_ptr|thread"
    r"|mutex|condition_variable|async|regex|locale)\b": "allocates or throws",
    r"\bnew\s+[A-Za-z_:]": "new without placement allocates behind the host's back",
    r"(?<!=)\s\bdelete\b(\s*\[\s*\])?\s+[A-Za-z_*(]": "delete",
    r"\bthread_local\b": "a variable that outlives a call",
    r"\bassert\s*\(": "use INLAY_ASSERT",
    r"\b(near|far|small|hyper|interface|pascal|cdecl)\b": "a macro of windows.h",
    r"\b(Bool|None|Always|Opposite|Success|True|False)\b": "a macro of Xlib",
}
ALLOCATORS = r"\b(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|_aligned_malloc)\s*\("
ALLOCATORS_ALLOWED = {"core/memory-inl.hpp"}
HEADERS_ALLOWED = {("core/system-inl.hpp", "stdio.h")}  # POSIX declares rename() there

# `static` or `inline` before a variable that is not constexpr. Functions have a parenthesis before the first = ; {.
STATIC = re.compile(r"^\s*(?:static|inline|static\s+inline|inline\s+static)\s+(?!constexpr\b|namespace\b)([^=;{(]*)[=;{]")


def strip(text):
    """Code with comments and literals blanked, line breaks kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def breaches(name, text):
    """Yields (line number, what is wrong). `name`: path below the include folder, with slashes."""
    raw = text.split("\n")
    code = strip(text).split("\n")
    folder = name.split("/")[0] if "/" in name else "config"
    if folder not in FOLDERS:
        yield 1, f"folder {folder} is not in the list of folders"
        return
    allowed = FOLDERS[: FOLDERS.index(folder) + 1]
    for number, (line, stripped) in enumerate(zip(raw, code), 1):
        for c in line:
            if ord(c) > 126 or (ord(c) < 32 and c != "\n"):
                yield number, f"character U+{ord(c):04X}, expected ASCII"
                break
        include = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if include and name not in SPINES:
            quoted, path = include.group(1) == '"', include.group(2)
            if quoted and not path.startswith("inlay/"):
                yield number, f'include "{path}", expected "inlay/..."'
            elif quoted and not (path == C_HEADER and folder == "c"):
                other = path.split("/")[1].replace("config.hpp", "config")
                if other not in allowed:
                    yield number, f"{folder} includes {path}: only {', '.join(allowed)} may be included here"
            elif path in HEADERS and (name, path) not in HEADERS_ALLOWED:
                yield number, f"forbidden header <{path}>"
            elif path.startswith("hwy/") and folder != "kernels":
                yield number, "Highway belongs to kernels only"
        if re.match(r"\s*#\s*pragma\s+once", line):
            yield number, "pragma once: the amalgamated header includes itself"
        if stripped.lstrip().startswith("#"):
            continue
        for pattern, why in WORDS.items():
            found = re.search(pattern, stripped)
            if found:
                yield number, f"forbidden: {found.group(0).strip()} ({why})"
        found = re.search(ALLOCATORS, stripped)
        if found and name not in ALLOCATORS_ALLOWED:
            yield number, f"forbidden: {found.group(0).strip()} (memory comes from core/memory.hpp)"
        if STATIC.match(stripped) and "operator" not in stripped:
            yield number, "a variable that outlives a call, expected constexpr"


def self_test():
    """Each rule finds what it is for, and leaves alone what it is not for."""
    bad = {
        '#include "inlay/session/session.hpp"': "includes",
        '#include "gguf.hpp"': "expected",
        "#include <vector>": "header",
        "#include <hwy/highway.h>": "Highway",
        "  std::abort();": "process",
        "  throw 1;": "exceptions",
        '  std::printf("x");': "printing",
        "std::string s;": "allocates",
        "auto* p = new int;": "placement",
        "  delete p;": "delete",
        "  static int calls = 0;": "outlives",
        "inline int global;": "outlives",
        "  static const Table table = make();": "outlives",
        "  static Table table{1};": "outlives",
        "  free(p);": "memory",
        "// caf\u00e9": "ASCII",
        "#pragma once": "once",
        "  bool small = false;": "windows.h",
        "  enum class Kind { None };": "Xlib",
    }
    good = """#include "inlay/core/span.hpp"
#include <string_view>
// throw, abort(), "new int"
const char* s = "std::vector abort()";
static constexpr int kTable[] = {1, 2};
static Result<Gguf> open(const char* path, const Options& options = {}) noexcept;
inline Error& quote(Error& error) noexcept { return error; }
inline Model& Model::operator=(Model other) noexcept {
Thing(const Thing&) = delete;
new (place) T();
std::string_view v;
static_assert(sizeof(int) == 4);"""
    for line, why in bad.items():
        found = [what for _, what in breaches("gguf/x.hpp", line)]
        assert any(why in what for what in found), (line, found)
    found = list(breaches("gguf/x.hpp", good))
    assert not found, found


def main():
    self_test()
    default = pathlib.Path(__file__).resolve().parent.parent / "include" / "inlay"
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    files = sorted(root.rglob("*.hpp"))
    if not files:
        print(f"{root}: no headers")
        return 1
    count = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        for line, what in breaches(path.relative_to(root).as_posix(), text):
            print(f"{path}:{line}: {what}")
            count += 1
    print(f"{len(files)} headers, {count} breaches")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
