#!/usr/bin/env python3
"""Build the corpus: C and C++ out of Debian source packages with permissive licences.

    corpus.py SCRATCH        # writes SCRATCH/{train.txt,heldout.txt,manifest.tsv,heldout.tsv}

Needs Debian with `deb-src` entries for main (or --apt-option, passed on to apt-get). Documents in
the two text files are separated by a NUL byte. manifest.tsv says what came from which package.
"""
import argparse
import hashlib
import pathlib
import re
import subprocess
import tarfile

# Source package: (licence of the files that are taken, folders that are taken; "" is all).
PACKAGES = {
    "abseil": ("Apache-2.0", ""),
    "assimp": ("BSD-3-Clause", "code/|include/"),
    "benchmark": ("Apache-2.0", ""),
    "box2d": ("MIT", ""),
    "bullet": ("Zlib", "src/"),
    "catch2": ("BSL-1.0", "src/|examples/"),
    "chipmunk": ("MIT", ""),
    "civetweb": ("MIT", "src/|include/|examples/"),
    "cjson": ("MIT", ""),
    "cli11": ("BSD-3-Clause", ""),
    "clipper": ("BSL-1.0", ""),
    "cmark": ("BSD-2-Clause", "src/"),
    "cpp-hocon": ("Apache-2.0", ""),
    "cpp-httplib": ("MIT", "httplib.h|example/"),
    "crossguid": ("MIT", ""),
    "curl": ("curl", "lib/|src/"),
    "doctest": ("MIT", "doctest/parts|examples/"),
    "draco": ("Apache-2.0", "src/"),
    "duktape": ("MIT", "src-input/"),
    "embree": ("Apache-2.0", "kernels/|common/|include/|tutorials/"),
    "expat": ("MIT", ""),
    "fast-float": ("MIT", ""),
    "fcl": ("BSD-3-Clause", ""),
    "flac": ("BSD-3-Clause", "src/libFLAC|include/"),
    "flatbuffers": ("Apache-2.0", "src/|include/|grpc/"),
    "fmtlib": ("MIT", ""),
    "gflags": ("BSD-3-Clause", ""),
    "glfw3": ("Zlib", "src/|include/|examples/|tests/"),
    "glm": ("MIT", "glm/"),
    "glslang": ("BSD-3-Clause", ""),
    "godot": ("MIT", "core/|scene/|servers/|modules/|main/|editor/|drivers/"),
    "googletest": ("BSD-3-Clause", ""),
    "harfbuzz": ("MIT", "src/hb-"),
    "highway": ("Apache-2.0", ""),
    "highwayhash": ("Apache-2.0", ""),
    "hiredis": ("BSD-3-Clause", ""),
    "howardhinnant-date": ("MIT", ""),
    "imgui": ("MIT", ""),
    "irrlicht": ("Zlib", "source/Irrlicht/[^/]*$|include/|examples/"),
    "jansson": ("MIT", ""),
    "jimtcl": ("BSD-2-Clause", ""),
    "json-c": ("MIT", ""),
    "kissfft": ("BSD-3-Clause", ""),
    "leveldb": ("BSD-3-Clause", ""),
    "libccd": ("BSD-3-Clause", ""),
    "libcds": ("BSL-1.0", "cds/"),
    "libcereal": ("BSD-3-Clause", "include/|sandbox/|unittests/"),
    "libebur128": ("MIT", ""),
    "libevent": ("BSD-3-Clause", ""),
    "libjsoncpp": ("MIT or public domain", ""),
    "libogg": ("BSD-3-Clause", ""),
    "libopenmpt": ("BSD-3-Clause", "common/|soundlib/|src/|libopenmpt/"),
    "libpng1.6": ("libpng", ""),
    "libsamplerate": ("BSD-2-Clause", ""),
    "libsdl2": ("Zlib", "src/|include/|test/"),
    "libsdl2-gfx": ("Zlib", ""),
    "libsdl2-image": ("Zlib", ""),
    "libsdl2-mixer": ("Zlib", ""),
    "libsdl2-net": ("Zlib", ""),
    "libsdl2-ttf": ("Zlib", ""),
    "libsfml": ("Zlib", "src/|include/|examples/"),
    "libstb": ("MIT or public domain", ""),
    "libtomcrypt": ("public domain", "src/"),
    "libuv1": ("MIT", ""),
    "libvorbis": ("BSD-3-Clause", "lib/|examples/"),
    "libwebp": ("BSD-3-Clause", ""),
    "libxkbcommon": ("MIT", ""),
    "libyaml": ("MIT", ""),
    "libzstd": ("BSD-3-Clause", "lib/|programs/|contrib/|examples/"),
    "lilv": ("ISC", ""),
    "lodepng": ("Zlib", ""),
    "lua5.4": ("MIT", ""),
    "lv2": ("ISC", ""),
    "lz4": ("BSD-2-Clause", "lib/"),
    "mapbox-variant": ("BSD-3-Clause", ""),
    "mbedtls": ("Apache-2.0", "library/|include/|programs/"),
    "meshoptimizer": ("MIT", "src/|demo/|gltf/"),
    "mimalloc": ("MIT", ""),
    "mosquitto": ("BSD-3-Clause", "lib/|src/|client/"),
    "mruby": ("MIT", "src/|include/|mrbgems/"),
    "ms-gsl": ("MIT", ""),
    "mujoco": ("Apache-2.0", "src/|simulate/|sample/"),
    "nghttp2": ("MIT", "lib/|src/|examples/"),
    "nginx": ("BSD-2-Clause", "src/"),
    "ninja-build": ("Apache-2.0", "src/"),
    "nlohmann-json3": ("MIT", "include/|docs/examples|docs/mkdocs"),
    "nng": ("MIT", "src/|demo/"),
    "ode": ("BSD-3-Clause", ""),
    "ogre-1.12": ("MIT", "OgreMain/|Components/|Samples/|PlugIns/"),
    "onetbb": ("Apache-2.0", "src/|include/|examples/"),
    "openexr": ("BSD-3-Clause", "src/"),
    "openfst": ("Apache-2.0", "src/"),
    "opus": ("BSD-3-Clause", "src/|celt/|silk/"),
    "poco": ("BSL-1.0", ""),
    "portaudio19": ("MIT", ""),
    "pugixml": ("MIT", "src/|docs/samples|tests/"),
    "pybind11": ("BSD-3-Clause", ""),
    "qhull": ("Qhull", "src/"),
    "range-v3": ("BSL-1.0", "include/|example/"),
    "rapidjson": ("MIT", "include/|example/|test/"),
    "re2": ("BSD-3-Clause", ""),
    "redis": ("BSD-3-Clause", "src/"),
    "rocksdb": ("Apache-2.0", ""),
    "rtaudio": ("MIT", ""),
    "rtmidi": ("MIT", ""),
    "simdjson": ("Apache-2.0", "src/|include/|tools/|examples/"),
    "snappy": ("BSD-3-Clause", ""),
    "sord": ("ISC", ""),
    "spdlog": ("MIT", ""),
    "speexdsp": ("BSD-3-Clause", ""),
    "spirv-tools": ("Apache-2.0", "source/|tools/"),
    "sqlite3": ("public domain", "src/|ext/"),
    "tinygltf": ("MIT", ""),
    "tinyobjloader": ("MIT", ""),
    "tinyxml2": ("Zlib", ""),
    "tree-sitter": ("MIT", "lib/src|lib/include"),
    "utf8proc": ("MIT", ""),
    "vulkan-tools": ("Apache-2.0", ""),
    "wabt": ("Apache-2.0", "src/"),
    "wayland": ("MIT", ""),
    "weston": ("MIT", ""),
    "wlroots": ("MIT", ""),
    "yaml-cpp": ("MIT", "src/|include/|util/"),
    "zlib": ("Zlib", ""),
}
HELD_OUT_PACKAGES = {"ninja-build"}  # held out whole; of the others, a hundredth of the files
PACKAGE_LIMIT = 2_500_000  # bytes taken from one package
EXTENSIONS = (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inl", ".ipp")
# Code of others inside a package may have another licence; generated code teaches nothing.
SKIPPED_PATH = re.compile(
    r"(third_?party|3rd_?party|external|extern|vendor|contrib/lib|deps|submodules|autogen|generated"
    r"|unicode|charset|codepage|fuzz|/win32/|/m4/|glad|/khronos/|KHR/|vulkan/vulkan|encodings"
    r"|_data\.|_table|tables\.|test.?data|\.pb\.|\.tab\.|lex\.|single_include|/assets?/|/debian/"
    r"|config\.h$|resource\.h$|font|/catch\.hpp|amalgam)", re.IGNORECASE)
GENERATED = re.compile(
    r"do not edit|auto-?generated|automatically generated|generated by|@generated", re.IGNORECASE)
OTHER_LICENCE = re.compile(r"General Public License|\bL?GPL\b|Mozilla Public", re.IGNORECASE)
LICENCE_WORDS = re.compile(r"copyright|licen[sc]e|\(c\)|©|warrant|permission|SPDX", re.IGNORECASE)
FIRST_COMMENT = re.compile(r"\s*(/\*.*?\*/|(?://[^\n]*\n\s*?)+)", re.DOTALL)


def download(package, folder, apt_options):
    """Fetch the upstream tar files of a source package; return them and the upstream version."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.tar.*")):
        subprocess.run(["apt-get", *apt_options, "-qq", "source", "--only-source",
                        "--tar-only", "--download-only", package],
                       cwd=folder, check=True, stderr=subprocess.DEVNULL)
    tars = [p for p in folder.glob("*.orig*.tar.*") if not p.name.endswith(".asc")]
    return tars, tars[0].name.split("_", 1)[1].split(".orig")[0]


def source_files(tar_path, folders):
    """Yield (path inside the package, text) of each C or C++ file below one of the folders."""
    wanted = re.compile(folders)
    with tarfile.open(tar_path) as tar:
        for member in tar:
            if not member.isfile() or not member.name.endswith(EXTENSIONS):
                continue
            path = member.name.split("/", 1)[-1]
            if (not 400 <= member.size <= 250_000 or SKIPPED_PATH.search("/" + path)
                    or not wanted.match(path)):
                continue
            try:
                yield path, tar.extractfile(member).read().decode("utf-8")
            except UnicodeDecodeError:
                continue


def clean(text):
    """Strip the licence comment and give all files one kind of line end and indentation."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\f", "")
    for _ in range(3):
        match = FIRST_COMMENT.match(text)
        if not match or not LICENCE_WORDS.search(match.group()):
            break
        text = text[match.end():]
    lines = []
    for line in text.split("\n"):
        line = line.rstrip()
        body = line.lstrip(" \t")
        indent = line[:len(line) - len(body)].expandtabs(4)
        lines.append(indent + body.replace("\t", " "))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    return text.strip("\n") + "\n"


def is_good(raw, text):
    """Whether a file is worth learning from: hand-written code, not tables or other languages."""
    head = raw[:3000]
    if GENERATED.search(head) or OTHER_LICENCE.search(head) or len(text) < 300:
        return False
    lines = text.split("\n")
    digits = sum(c.isdigit() for c in text) / len(text)
    ascii_share = len(text) / len(text.encode())
    # Comments (much longer than code) and repetition both make poor examples.
    unique = len({s for s in map(str.strip, lines) if len(s) > 12})
    long_lines = sum(len(s.strip()) > 12 for s in lines)
    return (max(map(len, lines)) <= 240 and len(text) / len(lines) <= 70 and digits < 0.08
            and ascii_share > 0.99 and "\0" not in text and unique > 0.6 * long_lines
            and text.count(",") / len(text) < 0.05)


def windows(text):
    """Hashes of each run of three lines, blind to white space: what near-duplicates share."""
    lines = [s for s in ("".join(line.split()) for line in text.split("\n")) if len(s) > 4]
    return {hash(tuple(lines[i:i + 3])) for i in range(len(lines) - 2)}


def rank(name):
    """A fixed pseudo-random number in [0, 1) for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("--apt-option", action="append", default=[], metavar="-oKEY=VALUE")
    args = parser.parse_args()

    files, versions = [], {}
    for package, (_, folders) in PACKAGES.items():
        try:
            tars, versions[package] = download(
                package, args.scratch / "packages" / package, args.apt_option)
        except (subprocess.CalledProcessError, IndexError) as error:
            print(f"skipped {package}: {error}", flush=True)
            continue
        taken = [(package, path, clean(raw), raw) for tar in tars
                 for path, raw in source_files(tar, folders)]
        files += [(package, path, text) for package, path, text, raw in taken if is_good(raw, text)]

    def is_held_out(file):
        package, path, text = file
        return package in HELD_OUT_PACKAGES or (
            rank(f"{package}/{path}") < 0.01 and 1000 < len(text) < 40_000)

    held_out = [file for file in files if is_held_out(file)]
    held_out_windows = set().union(*(windows(text) for _, _, text in held_out))
    seen, train, used = set(), [], dict.fromkeys(versions, 0)
    for package, path, text in sorted((f for f in files if not is_held_out(f)),
                                      key=lambda f: rank(f"{f[0]}/{f[1]}")):
        found = windows(text)
        if (used[package] + len(text) > PACKAGE_LIMIT or not found
                or len(found & held_out_windows) > 0.1 * len(found)
                or len(found & seen) > 0.4 * len(found)):
            continue
        seen |= found
        used[package] += len(text)
        train.append((package, path, text))

    # A held-out file that shares much with the training files would flatter the model.
    held_out = [(package, path, text) for package, path, text in held_out
                if len(windows(text) & seen) <= 0.1 * len(windows(text))]
    (args.scratch / "train.txt").write_text("\0".join(text for *_, text in train))
    (args.scratch / "heldout.txt").write_text("\0".join(text for *_, text in held_out))
    (args.scratch / "heldout.tsv").write_text(
        "".join(f"{package}\t{path}\t{len(text.encode())}\n" for package, path, text in held_out))
    with open(args.scratch / "manifest.tsv", "w") as manifest:
        for package, version in versions.items():
            count = sum(p == package for p, *_ in train)
            manifest.write(
                f"{package}\t{version}\t{PACKAGES[package][0]}\t{count}\t{used[package]}\n")
    print(f"training: {len(train)} files, {sum(used.values())} bytes; "
          f"held out: {len(held_out)} files, {sum(len(t) for *_, t in held_out)} bytes")


if __name__ == "__main__":
    main()
