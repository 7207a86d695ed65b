#!/usr/bin/env python3
"""What inlay promises to the program that holds it, measured, beside llama.cpp's library where that can be measured too.
Writes the table in README.md of this folder.

    promises.py [ROW…] [options]      rows: the table's second column; all by default

What was measured is kept in promises.json, so that rows can be measured one by one, in a quiet moment each; the table is
written from that file. Rows that need what is not given (a model, llama.cpp, the tests' program) are left as they were.

  --model FILE        a GGUF model of about 1B parameters, for the rows that open one
  --tests PROGRAM     build/bin/inlay_tests_tree, for the rows that are tests
  --hosting PROGRAM   build/bin/bench_hosting
  --frames PROGRAM    build/bin/bench_frames
  --characters PROGRAM  build/bin/bench_characters
  --mutated PROGRAM   build/bin/bench_mutated
  --llama-root DIR    a system with llama.cpp's library and headers (/ or a chroot, for which this must be root)
  --llama-model FILE  the model's name there
  --highway DIR       the folder that holds hwy/highway.h; looked for as the build does if not given
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from include_cost import cost, highway
from measuring import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
DEMO = ROOT / "examples/demo_model/inlay-demo.gguf"
RECORD, TABLE = HERE / "promises.json", HERE / "README.md"
BEGIN, END = "<!-- promises: written by promises.py -->", "<!-- end of promises -->"

# A plug-in with nothing that it does not need.
TRIMMED = ["-O2", "-DINLAY_ARCHITECTURES=inlay::arch::Llama", "-DINLAY_TYPES=f16,q8_0,q4_0",
           "-DINLAY_VOCABULARIES=sentence_piece,byte_pairs", "-march=x86-64-v3",
           "-DHWY_COMPILE_ONLY_STATIC", "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables",
           "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-Wl,-z,noseparate-code"]  # fmt: skip
SIZES = ("trimmed", "everything")  # rows of
TAKING = r"(m|c|re)alloc|reallocarray|str(n)?dup|operator new(\[\])?\(.*\)"
PRINTING = r"(__)?v?f?printf(_chk)?|puts|fputs|fputc|putchar|fwrite|getenv|secure_getenv|setlocale"
ENDING = r"abort|_?exit|_Exit|__assert_fail|ggml_abort|std::terminate\(\)"
# Loads and unloads a library; prints how many of its kind are mapped after that.
RELOAD = """#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char** argv) {
  for (int i = 0; i < 100; ++i) {
    void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) return puts(dlerror()), 1;
    dlclose(library);
  }
  int left = 0;
  char line[4096];
  FILE* maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps)) left += strstr(line, argv[2]) != NULL;
  return printf("%d\\n", left), argc != 3;
}
"""


def output(*command, **options):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, check=True, **options).stdout


def calls(libraries, names):
    """How many calls of functions of these names are in the libraries' code."""
    pattern = re.compile(rf"\b(call|jmp)\w*\s.*<({names})(@plt)?>")
    return sum(len([line for line in output("objdump", "-dC", "--no-show-raw-insn", library).split("\n") if pattern.search(line)])
               for library in libraries)


def section(library, name):
    """A section's size in bytes; 0 without it."""
    for line in output("readelf", "-SW", library).replace("[ ", "[").split("\n"):
        columns = line.split()
        if len(columns) > 6 and columns[1] == name:
            return int(columns[5], 16)
    return 0


def stripped_size(libraries, folder):
    total = 0
    for library in libraries:
        copy = folder / "stripped"
        shutil.copyfile(library, copy)
        output("strip", copy)
        total += copy.stat().st_size
    return total


def both_times(rows, work):
    """p99 / p99.9 of bench_frames' overruns, and of the loop that only looks at the clock."""
    times = [f"{rows[name]['p99_us'] / 1000:.2f} / {rows[name]['p99.9_us'] / 1000:.2f} ms" for name in (work, "clock")]
    return f"{times[0]} ({times[1]})"


def in_frames(rows, work):
    """Those, and of the slices that the system left alone."""
    row = rows[work]
    alone = f"{row['alone_p99.9_us'] / 1000:.2f} ms in {row['alone']:,} of {row['times']:,}"
    return f"{both_times(rows, work)}; {alone}; {row['of_free']:.0%}"


def kilobytes(size):
    return f"{size / 1000:,.0f} kB"


class Promises:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.cxx = arguments.cxx
        self.highway = arguments.highway or highway()
        self.include = ["-std=c++17", "-I", ROOT / "single_include", "-isystem", self.highway]
        self.built = {}
        libraries = None
        if arguments.llama_root:
            libraries = next((d for d in (arguments.llama_root / "usr/lib").glob("*-linux-gnu") if (d / "libllama.so").exists()), None)
            if libraries is None:
                sys.exit(f"no libllama.so below {arguments.llama_root}/usr/lib")
        self.llama_folder = libraries

    # ---- what is measured ----

    def plugin(self, *flags):
        """A shared library with inlay in it and one function exported; (file, CPU seconds, compiler's peak MB)."""
        if flags not in self.built:
            library = self.folder / f"plugin{len(self.built)}.so"
            source = ROOT / "tests/consumers/two_versions/library.cpp"
            seconds, megabytes = cost([self.cxx, *self.include, "-DLIBRARY_FUNCTION=complete", "-fPIC", "-shared", *flags,
                                       source, "-pthread", "-o", library])
            self.built[flags] = library, seconds, megabytes
        return self.built[flags]

    def whole(self):
        return self.plugin("-O2", "-DINLAY_WITH_ALL")

    def llama(self):
        """llama.cpp's libraries: what a program loads for one kind of processor."""
        if self.llama_folder is None:
            return None
        names = ["libllama.so", "libggml.so", "libggml-base.so"]  # and what computes on AVX2
        backends = sorted(self.llama_folder.glob("ggml/**/libggml-cpu-haswell.so")) or sorted(self.llama_folder.glob("libggml-cpu*.so"))
        return [self.llama_folder / name for name in names] + backends[:1]

    @contextlib.contextmanager
    def lent(self, file):
        """The file's name in the system that has llama.cpp, while it is used there."""
        root = self.arguments.llama_root
        if str(root) == "/":
            yield file
            return
        there = root / "tmp" / file.name
        shutil.copy(file, there)
        there.chmod(0o755)
        try:
            yield f"/tmp/{file.name}"
        finally:
            there.unlink()

    def in_llama_root(self, program, *command, **options):
        """Runs a program that was built here in the system that has llama.cpp."""
        root = self.arguments.llama_root
        with self.lent(program) as name:
            return output(*([] if str(root) == "/" else ["chroot", root]), name, *command, **options)

    def hosting(self, *arguments):
        """bench_hosting's figures of inlay and of llama.cpp, with what the latter printed."""
        if self.arguments.model is None or self.arguments.hosting is None:
            return None, None
        key = ("hosting", arguments)
        if key not in self.built:
            ours = json.loads(output(self.arguments.hosting, self.arguments.model, *arguments))
            self.built[key] = ours, self.hosting_llama(*arguments)
        return self.built[key]

    def llama_program(self, source):
        """A program that uses llama.cpp's library; None without what it needs."""
        if self.llama_folder is None or self.arguments.llama_model is None:
            return None
        program = self.folder / f"{source.stem}-llama"
        if not program.exists():
            headers = self.folder / "headers"
            headers.mkdir(exist_ok=True)
            for pattern in ("llama*.h", "ggml*.h", "gguf.h"):
                for header in (self.arguments.llama_root / "usr/include").glob(pattern):
                    shutil.copyfile(header, headers / header.name)
            output(self.cxx, "-std=c++17", "-O2", "-DHOSTING_LLAMA", "-I", headers, source, *self.llama()[:3],
                   "-Wl,--unresolved-symbols=ignore-in-shared-libs", "-pthread", "-o", program)
        return program

    def hosting_llama(self, *arguments):
        program = self.llama_program(HERE / "hosting.cpp")
        if program is None:
            return None
        errors = self.folder / "errors"
        with errors.open("w") as file:
            result = json.loads(self.in_llama_root(program, self.arguments.llama_model, *arguments, stderr=file))
        result["printed"] = errors.stat().st_size
        return result

    def rows_of_frames(self, *arguments):
        """What bench_frames measures, by its name."""
        if self.arguments.frames is None or self.arguments.model is None:
            return None
        rows = json.loads(output(self.arguments.frames, self.arguments.model, *arguments, "json=1"))
        return {row["work"]: row for row in rows}

    def bench_characters(self):
        """What bench_characters measures, by its name."""
        if self.arguments.characters is None or self.arguments.model is None:
            return None
        if "characters" not in self.built:
            text = output(self.arguments.characters, self.arguments.model, "own=10", "separate=1", "written=2", "json=1")
            self.built["characters"] = {row["name"]: row for row in map(json.loads, text.splitlines())}
        return self.built["characters"]

    def llama_characters(self):
        """The same with llama.cpp's library."""
        program = self.llama_program(HERE / "llama/characters.cpp")
        if program is None:
            return None
        if "llama_characters" not in self.built:
            arguments = (self.arguments.llama_model, "50", "1000", "10")
            self.built["llama_characters"] = json.loads(self.in_llama_root(program, *arguments, stderr=subprocess.DEVNULL))
        return self.built["llama_characters"]

    def test(self, *cases):
        """Runs test cases of the suite; how many assertions held."""
        program = self.arguments.tests
        if program is None:
            return None, None
        text = output(program, "--no-colors", f"--test-case={','.join(cases)}")
        ran, held = (int(re.search(rf"{what}: +(\d+)", text).group(1)) for what in ("test cases", "assertions"))
        if ran == 0:
            sys.exit(f"no test case matches {cases}")
        return f"holds ({ran} test{'s' if ran > 1 else ''}, {held:,} assertions)", None

    def consumer(self, name):
        """Runs one of tests/consumers/check."""
        model = self.folder / "model.gguf"
        if not model.exists():
            maker = self.folder / "make_model"
            output(self.cxx, "-std=c++17", "-O1", "-I", ROOT / "tests", ROOT / "tests/support/make_model.cpp", "-o", maker)
            output(maker, model, "--shape", "llama-gqa", "--type", "q8_0")
        output(ROOT / "tests/consumers/check", name, stderr=subprocess.DEVNULL,
               env={**os.environ, "CXX": self.cxx, "INLAY_SOURCE": str(ROOT), "INLAY_HIGHWAY_DIR": str(self.highway),
                    "MODEL": str(model), "WORK": str(self.folder)})  # fmt: skip
        return "holds", None

    def both(self, measure):
        theirs = self.llama()
        return measure([self.whole()[0]]), None if theirs is None else measure(theirs)

    # ---- rows: (inlay, llama.cpp), None for what was not measured ----

    def exported(self):
        """Exported symbols, besides the plug-in's own function"""
        ours, theirs = self.both(lambda files: sum(len(output("nm", "-D", "--defined-only", f).split("\n")) - 1 for f in files))
        return str(ours - 1), theirs and f"{theirs:,}"

    def unique(self):
        """Symbols that are unique in the process and keep a library from being unloaded (GNU_UNIQUE)"""
        return self.both(lambda files: str(sum(output("nm", "-D", "--defined-only", f).count(" u ") for f in files)))

    def constructors(self):
        """Static constructors"""
        return self.both(lambda files: str(sum(section(f, ".init_array") // 8 - 1 for f in files)))

    def ending(self):
        """Calls that end the process (`abort`, `exit`, `std::terminate`, failed assertions)"""
        ours, theirs = self.both(lambda files: calls(files, ENDING))
        return str(ours), theirs and f"{theirs:,}"

    def printing(self):
        """Calls that print, or read the environment or the locale"""
        ours, theirs = self.both(lambda files: calls(files, PRINTING))
        return str(ours), theirs and f"{theirs:,}"

    def taking(self):
        """Calls that take memory past the host's allocator"""
        ours, theirs = self.both(lambda files: calls(files, TAKING))
        return str(ours), theirs and f"{theirs:,}"

    def globals(self):
        """Bytes of variables that outlive a call (24 of inlay's are the compiler's own)"""
        return self.both(lambda files: f"{sum(section(f, '.data') + section(f, '.bss') for f in files):,}")

    def reload(self):
        """Loaded and unloaded a hundred times: mappings left"""
        program = self.folder / "reload"
        source = self.folder / "reload.c"
        source.write_text(RELOAD)
        output("gcc", source, "-o", program, "-ldl")
        ours = output(program, self.whole()[0], "plugin").strip()
        theirs = self.llama() and self.in_llama_root(program, "libllama.so.0", "lib/x86_64-linux-gnu/libllama").strip()
        return ours, theirs

    def two_versions(self):
        """Two versions in one process, linked together and as plug-ins that are loaded and unloaded a hundred times: both write, no memory is lost"""
        return self.consumer("two_versions")

    def bundled(self):
        """`inlay-bundled.hpp` alone in a folder is all that a compiler needs, also in a file with another copy of Highway"""
        return self.consumer("bundled")

    def c_library(self):
        """A library of the C interface: functions exported, other symbols"""
        library = self.folder / "libinlay.so"
        folder = ROOT / "examples/c_library"
        output(self.cxx, *self.include, "-O1", "-DHWY_COMPILE_ONLY_STATIC", "-fPIC", "-shared", folder / "inlay_c.cpp",
               f"-Wl,--version-script={folder / 'exports.map'}", "-pthread", "-o", library)
        names = [line.split()[-1] for line in output("nm", "-D", "--defined-only", library).splitlines()]
        functions = [name for name in names if name.startswith("inlay_")]
        return f"{len(functions)}, {len(names) - len(functions)}", None

    def threads(self):
        """Threads started to open a model and read a prompt, default settings"""
        ours, theirs = self.hosting()
        return ours and str(ours["busy_threads"]), theirs and str(theirs["busy_threads"])

    def load(self):
        """Opening a model of 637 MB, in the page cache, in one call, blocks for"""
        ours, theirs = self.hosting()
        return ours and f"{ours['open_ms']:.1f} ms", theirs and f"{theirs['open_ms']:.0f} ms"

    def printed(self):
        """Text printed by that"""
        ours, theirs = self.hosting()
        return ours and "none", theirs and kilobytes(theirs["printed"])

    def cancel(self):
        """From a request to stop, while a prompt is read by one thread, to the return: median, largest of 60"""
        ours, theirs = self.hosting("1", "20")
        ours, theirs = (result and " / ".join(f"{us / 1000:.2f}" for us in result["cancel_us"]) + " ms" for result in (ours, theirs))
        return ours, theirs

    def cancel_opening(self):
        """The same while that model is opened: median, largest of 20"""
        ours, theirs = self.hosting("1", "20")
        ours, theirs = (result and " / ".join(f"{us / 1000:.1f}" for us in result["cancel_open_us"]) + " ms" for result in (ours, theirs))
        return ours, theirs

    def private(self):
        """Memory of the process's own after opening a model of 637 MB and reading 512 tokens, context 1024"""
        ours, theirs = self.hosting()
        ours, theirs = (result and f"{result['private_mib']:,.0f} MiB" for result in (ours, theirs))
        return ours, theirs

    def frames(self):
        """60 Hz loop, 2 ms for writing in each frame: p99 / p99.9 of what was taken beyond them (of a loop that only looks at the clock: this machine's own); p99.9 of the slices in which the system neither took the core away nor read from the disk; speed beside running freely"""
        rows = self.rows_of_frames("work=write", "budget=2000", "threads=1", "seconds=20")
        return rows and in_frames(rows, "write"), None

    def reading(self):
        """The same for reading a prompt"""
        rows = self.rows_of_frames("work=prompt", "budget=2000", "threads=1", "seconds=10")
        return rows and in_frames(rows, "prompt"), None

    def loading(self):
        """The same for opening that model through a read function, and mapped, in slices of 2 ms, in CPU time: p99 / p99.9 beyond them"""
        rows = self.rows_of_frames("work=open,map", "budget=2000", "threads=1", "seconds=10", "hz=0")
        times = rows and [f"{rows[name]['own_p99_us'] / 1000:.2f} / {rows[name]['own_p99.9_us'] / 1000:.2f} ms" for name in ("open", "map")]
        return times and "; ".join(times), None

    def packing(self):
        """And for packing its weights"""
        rows = self.rows_of_frames("work=pack", "budget=2000", "threads=1", "seconds=8", "hz=0")
        return rows and both_times(rows, "pack"), None

    def cancel_all(self):
        """Such requests, thousands of times, p50 / p99.9: reading a prompt; opening through a read function; packing (a loop that only looks whether it is to stop)"""
        rows = self.rows_of_frames("work=cancel,cancel_open,cancel_pack", "budget=2000", "threads=1", "seconds=8", "hz=0")
        times = rows and {name: f"{row['p50_us'] / 1000:.2f} / {row['p99.9_us'] / 1000:.2f} ms" for name, row in rows.items()}
        return times and f"{times['cancel']}; {times['c.open']}; {times['c.pack']} ({times['flag']})", None

    def characters(self):
        """Fifty characters with 1000 tokens in common and 10 of their own, one thread: ready to speak after; memory beside the model"""
        rows, theirs = self.bench_characters(), self.llama_characters()
        return tuple(row and f"{row['ready_s']:.1f} s; {row['mebibytes']:.0f} MiB" for row in (rows and rows["forks in turn"], theirs))

    def savegame(self):
        """One of these characters as bytes, without the common beginning: size, time to save, to restore"""
        row, theirs = self.bench_characters() and self.bench_characters()["what differs"], self.llama_characters()
        theirs = theirs and theirs["saved"]
        ours, theirs = (row and f"{kilobytes(row['bytes'])}, {row['save_s'] * 1000:.1f} ms, {row['restore_s'] * 1000:.1f} ms"
                        for row in (row, theirs))  # fmt: skip
        return ours, theirs and f"{theirs} (with the beginning)"

    def memory(self):
        """Memory taken by opening a model and by a session is what was said before, to the byte"""
        return self.test("a plan is exact*", "the plan is what create() takes*")

    def limit(self):
        """No more memory than `max_bytes` is ever taken, for a model and all that is made of it; the error says what is missing"""
        return self.test("a limit holds*", "*that a limit leaves no room*", "what the limit refuses*")

    def shared(self):
        """Forked sessions share the cache's pages until one of them writes there, and write what they would alone"""
        return self.test("forks with different ends*", "a fork's memory is what its plan says*", "a fork goes on*")

    def slices(self):
        """Work in slices of any budget, opening and packing too, gives what it gives in one go"""
        return self.test("steps of any budget*", "in slices: *", "in small steps*", "choosing in small steps*", "a large file is read in small pieces*",
                         "a large vocabulary is read in small pieces*", "opening in slices*")  # fmt: skip

    def jobs(self):
        """The host's job system, its threads, or inlay's, any number of them, none of its own too: the same bits"""
        return self.test("the host's jobs*", "logits are bit-equal for any number of threads*", "any threads pack the same*")

    def files(self):
        """A model in a part of a larger file, in memory, behind a read function: the same; each read that fails is an error"""
        return self.test("a part of a file*", "a model opened from a path*", "each read that fails*", "a valid file gives the same*")

    def allocations(self):
        """Whichever allocation fails: an error, and nothing is lost"""
        return self.test("when any one allocation fails*")

    def cancelled(self):
        """After a cancel, at any moment, the text goes on as if there had been none"""
        return self.test("cancelling*")

    def saved(self):
        """A session that was saved and restored goes on as if it had not been; what does not fit is refused"""
        return self.test("a restored session goes on*", "what cannot be restored is refused*")

    def saved_elsewhere(self):
        """And with another context, number of threads, SIMD target, packed weights; only what differs from a common beginning; in memory of any content"""
        return self.test("another context*", "only what differs from a common beginning*",
                         "what memory held before*", "saving and restoring take no memory*")  # fmt: skip

    def forked(self):
        """The process may fork with a model open"""
        return self.test("a process may fork*")

    def mutated(self):
        """Files with changed bytes, cut off, or failing while they are read: an error or a model, in bounded memory"""
        return self.test("a file of which any bytes were changed*", "a vocabulary of which any bytes*", "a read function that fails*", "a file cut off*")

    def survived(self):
        """A thousand such files, opened and read with in a process each: processes that ended or hung"""
        ours = self.arguments.mutated and output(self.arguments.mutated, DEMO)
        program, theirs = self.llama_program(HERE / "mutated.cpp"), None
        if program is not None:
            with self.lent(DEMO) as model:
                theirs = self.in_llama_root(program, model)
        ours, theirs = (text and "{ended}, {hung}".format(**json.loads(text)) for text in (ours, theirs))
        return ours, theirs

    def trimmed(self):
        """A plug-in with one architecture, three tensor types, one SIMD target, stripped (floor: 400 kB)"""
        theirs = self.llama()
        return (kilobytes(stripped_size([self.plugin(*TRIMMED)[0]], self.folder)),
                theirs and kilobytes(stripped_size(theirs, self.folder)) + " (nothing can be left out)")

    def everything(self):
        """Everything for x86, all SIMD targets, all optional parts, stripped (floor: 3 MB)"""
        theirs = self.llama()
        if theirs is not None:
            theirs = theirs[:3] + sorted(theirs[3].parent.glob("libggml-cpu-*.so"))
        return (kilobytes(stripped_size([self.whole()[0]], self.folder)),
                theirs and kilobytes(stripped_size(theirs, self.folder)))

    def compile(self):
        """Compiling that, CPU seconds and the compiler's memory"""
        _, seconds, megabytes = self.whole()
        return f"{seconds:.0f} s, {megabytes:,.0f} MB", None

    GROUPS = {
        "Symbols and life cycle": [exported, unique, constructors, ending, printing, taking, globals, reload, two_versions, forked, threads,
                                   printed],
        "Frames": [load, frames, reading, loading, packing, slices],
        "Cancelling": [cancel, cancel_opening, cancel_all, cancelled],
        "The host's own parts": [jobs, files, allocations],
        "Memory": [private, memory, limit, characters, shared],
        "Saved games": [savegame, saved, saved_elsewhere],
        "Hostile files": [mutated, survived],
        "One header": [bundled, c_library, trimmed, everything, compile],
    }  # fmt: skip
    ROWS = [row for rows in GROUPS.values() for row in rows]


def table(record):
    elsewhere = {}  # rows that were measured on another machine since
    for row in Promises.ROWS:
        for cpu in record["rows"].get(row.__name__, [])[2:]:
            elsewhere.setdefault(cpu, []).append(f"`{row.__name__}`")
    others = "".join(f" inlay's figures of {', '.join(rows)}: {cpu}." for cpu, rows in elsewhere.items())
    lines = [BEGIN, "", f"{record['cpu']}, {record['date'][:10]}; llama.cpp {record['llama']}.{others}", "",
             "| promise | row | inlay | llama.cpp |", "|---|---|---|---|"]  # fmt: skip
    for group, rows in Promises.GROUPS.items():
        lines.append(f"| **{group}** | | | |")
        for row in rows:
            ours, theirs = record["rows"].get(row.__name__, ["not measured", None])[:2]
            lines.append(f"| {row.__doc__} | `{row.__name__}` | {ours} | {theirs or '-'} |")
    return "\n".join([*lines, "", END])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [row.__name__ for row in Promises.ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(names))
    parser.add_argument("--cxx", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--highway")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--tests", type=pathlib.Path)
    parser.add_argument("--hosting", type=pathlib.Path)
    parser.add_argument("--frames", type=pathlib.Path)
    parser.add_argument("--characters", type=pathlib.Path)
    parser.add_argument("--mutated", type=pathlib.Path)
    parser.add_argument("--llama-root", type=pathlib.Path)
    parser.add_argument("--llama-model")
    parser.add_argument("--llama-version", default="0.7.0")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(names)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")

    here = machine()
    with tempfile.TemporaryDirectory() as folder:
        promises = Promises(arguments, pathlib.Path(folder))
        for row in Promises.ROWS:
            name = row.__name__
            if arguments.rows and name not in arguments.rows:
                continue
            ours, theirs = row(promises)
            print(f"{name:16}{ours or 'not measured':30}{theirs or ''}", flush=True)
            if ours is None:
                continue
            record = json.loads(RECORD.read_text()) if RECORD.exists() else {"rows": {}}
            before = record["rows"].get(name, [None, None])
            record["rows"][name] = [ours, theirs if theirs is not None else before[1]]
            if not arguments.rows or "cpu" not in record:
                record.update(cpu=here["cpu"], date=here["date"], llama=arguments.llama_version)
            elif here["cpu"] != record["cpu"] and name not in SIZES:  # which are the same on every machine
                record["rows"][name].append(here["cpu"])
            RECORD.write_text(json.dumps(record, indent=1) + "\n")
    text = TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    TABLE.write_text(before + table(json.loads(RECORD.read_text())) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
