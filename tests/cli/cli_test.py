#!/usr/bin/env python3
"""The command-line program, from outside: what it prints, where, and what it exits with.

    cli_test.py INLAY [MAKE_MODEL]

INLAY is the program to test; MAKE_MODEL the built tests/support/make_model, which is compiled here if it is not
given. Models have random weights: what they write means nothing, but is the same each time.
"""
import array
import json
import math
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
VERBS = ["complete", "fim", "tokenize", "detokenize", "logits", "greedy", "choose", "matches", "chat", "template", "info", "bench"]
INLAY = ""
FOLDER = ""
MODEL = ""  # a vocabulary of bytes and some words, FIM tokens, 300 tokens, 4096 positions
VOCAB = 300
CONTEXT = 4096


def run(*arguments, text=b"", binary=None):
    done = subprocess.run([binary or INLAY, *map(str, arguments)], input=text, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def path(name):
    return os.path.join(FOLDER, name)


def write(name, content):
    with open(path(name), "wb") as f:
        f.write(content)
    return path(name)


def gguf(pairs, tensors=()):
    """A GGUF file: pairs of (key, value) with value a str, int, or list of str; tensors of (name, type, dims, bytes)."""
    def text(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()

    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, value in pairs:
        out += text(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + text(value)
        elif isinstance(value, int):
            out += struct.pack("<II", 4, value)
        else:
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    data = b""
    for name, kind, dims, content in tensors:
        out += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims)
        out += struct.pack("<IQ", kind, len(data))
        data += content + b"\0" * (-len(content) % 32)
    return out + b"\0" * (-len(out) % 32) + data


class Case(unittest.TestCase):
    def good(self, *arguments, text=b""):
        status, out, err = run(*arguments, text=text)
        self.assertEqual((status, err), (0, b""), f"{arguments}")
        return out

    def one_line(self, expected_status, *arguments, says="", text=b""):
        """Wrong use or a failure: nothing on stdout, one line on stderr that contains `says`."""
        status, out, err = run(*arguments, text=text)
        self.assertEqual(status, expected_status, f"{arguments}: {err!r}")
        self.assertEqual(out, b"", f"{arguments}")
        self.assertRegex(err.decode(), r"\Ainlay[^\n]*\n\Z", f"{arguments}")
        self.assertIn(says, err.decode())


class Use(Case):
    def test_wrong_use_is_one_line_that_says_what_is_right(self):
        wrong = [
            ([], "complete"), (["frobnicate", MODEL], "complete"), (["-x"], "complete"),
            (["complete"], "MODEL"), (["complete", MODEL, "more"], "MODEL"),
            (["complete", MODEL, "-p"], "-p TEXT"), (["complete", MODEL, "--nosuch"], "--help"),
            (["complete", MODEL, "-p", "a", "-f", "b"], "one of them"),
            (["complete", MODEL, "-n", "-1"], "whole number"), (["complete", MODEL, "-n", "3x"], "whole number"),
            (["complete", MODEL, "-n", ""], "whole number"), (["complete", MODEL, "-n", " 3"], "whole number"),
            (["complete", MODEL, "-n", "4294967296"], "4294967295"), (["complete", MODEL, "-n", "1.5"], "whole number"),
            (["complete", MODEL, "--temp", "nan"], "from 0 to 100"), (["complete", MODEL, "--temp", "warm"], "number"),
            (["complete", MODEL, "--temp", "0x1"], "number"), (["complete", MODEL, "--temp", "-1"], "from 0"),
            (["complete", MODEL, "--temp", "1e99"], "number"), (["complete", MODEL, "--temp", ""], "number"),
            (["complete", MODEL, "--top-p", "1.01"], "from 0 to 1"), (["complete", MODEL, "--min-p", "1,0"], "number"),
            (["complete", MODEL, "--repeat-penalty", "0"], "number"),
            (["complete", MODEL, "--seed", "18446744073709551616"], "18446744073709551615"),
            (["complete", MODEL, "--threads", "0"], "from 1"), (["complete", MODEL, "--ctx=many"], "whole number"),
            (["fim", MODEL], "--prefix FILE --suffix FILE"), (["fim", MODEL, "--prefix", "a"], "--suffix"),
            (["tokenize"], "MODEL"), (["tokenize", MODEL, "--no-special=1"], "no value"),
            (["detokenize", MODEL], "ID"), (["detokenize", MODEL, "x"], "whole number"),
            (["detokenize", MODEL, "--", "-1"], "whole number"),
            (["logits", MODEL], "ID"), (["logits", MODEL, "1", "2.0"], "whole number"),
            (["logits", MODEL, "--target", "ABACUS", "1"], "one of"), (["logits", MODEL, "--batch", "0", "1"], "from 1"),
            (["complete", MODEL, "--samplers", "top_k;best"], "no sampler best"),
            (["complete", MODEL, "--sampler-seq", "kz"], "no sampler z"), (["complete", MODEL, "--mirostat", "3"], "to 2"),
            (["complete", MODEL, "--logit-bias", "12"], "15043"), (["complete", MODEL, "--logit-bias", "x+1"], "15043"),
            (["complete", MODEL, "--repeat-last-n", "-2"], "-1 for all"), (["complete", MODEL, "--logprobs", "65"], "64"),
            (["choose", MODEL], "OPTION"), (["choose", MODEL, "-p", "a", "-f", "b", "c"], "one of them"),
            (["greedy", MODEL], "ID"), (["greedy", MODEL, "--n", "x", "1"], "whole number"),
            (["greedy", MODEL, "2147483648"], "whole number"),
            (["info"], "MODEL"), (["info", MODEL, "--ctx", "-5"], "whole number"),
            (["bench", MODEL, "-t", "1,,2"], "commas"), (["bench", MODEL, "-t", "0"], "from 1"),
            (["complete", MODEL, "--weights", "fast"], "mapped or packed"), (["bench", MODEL, "--cache"], "--cache FILE"),
            (["bench", MODEL, "-r", "0"], "from 1"), (["bench", MODEL, "-p", "1,"], "commas"),
            (["bench", MODEL, "--kv", "f16,"], "commas"), (["bench", MODEL, "--kv", "q4_0"], "q8_0"),
        ]
        for arguments, says in wrong:
            with self.subTest(arguments=arguments):
                self.one_line(2, *arguments, says=says)

    def test_help(self):
        listed = self.good("--help").decode()
        for verb in VERBS:
            self.assertRegex(listed, rf"(?m)^  {verb} ")
            text = self.good(verb, "--help").decode()
            self.assertTrue(text.startswith(f"inlay {verb} "), text)
            self.assertEqual(text, self.good(verb, "-h").decode())
            self.assertTrue(all(len(line) <= 110 for line in text.splitlines()), text)
        for option in ("-p -f -n --temp --top-k --top-p --min-p --typical --top-nsigma --xtc-probability --xtc-threshold "
                       "--dynatemp-range --dynatemp-exp --min-keep --repeat-penalty --repeat-last-n --frequency-penalty "
                       "--presence-penalty --dry-multiplier --dry-base --dry-allowed-length --dry-penalty-last-n "
                       "--dry-sequence-breaker --mirostat --mirostat-lr --mirostat-ent --adaptive-target "
                       "--adaptive-decay --samplers --sampler-seq --ignore-eos --logit-bias --seed --stop --logprobs "
                       "--threads --ctx").split():
            self.assertRegex(self.good("complete", "--help").decode(), rf"(?m)^  {option} ")
        for option in "--out --threads --batch --target".split():
            self.assertRegex(self.good("logits", "--help").decode(), rf"(?m)^  {option} ")

    def test_version(self):
        self.assertRegex(self.good("--version").decode(), r"\Ainlay \d+\.\d+\.\d+\n\Z")

    def test_failures_are_one_line(self):
        nowhere = path("nowhere.gguf")
        junk = write("junk.gguf", b"This is no model. " * 100)
        for arguments in (["complete", nowhere, "-p", "x"], ["tokenize", nowhere], ["detokenize", nowhere, 1],
                          ["logits", nowhere, 1], ["greedy", nowhere, 1], ["info", nowhere], ["bench", nowhere],
                          ["complete", junk, "-p", "x"], ["info", junk], ["tokenize", junk],
                          ["complete", MODEL, "-f", path("no.txt")],
                          ["fim", MODEL, "--prefix", path("no.txt"), "--suffix", junk],
                          ["detokenize", MODEL, VOCAB], ["logits", MODEL, VOCAB], ["greedy", MODEL, 1, VOCAB],
                          ["logits", MODEL, "--out", path("no/such/folder"), 1]):
            with self.subTest(arguments=arguments):
                self.one_line(1, *arguments)

    def test_prompt_longer_than_context(self):
        self.one_line(1, "complete", MODEL, "--ctx", 16, "-p", "x" * 100, says="")

    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        for arguments in (["tokenize", MODEL], ["complete", MODEL, "-n", "8", "-p", "x"], ["info", MODEL]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([INLAY, *arguments], input=b"x", stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertRegex(done.stderr.decode(), r"\Ainlay: [^\n]*\n\Z")


class Tokens(Case):
    def test_form(self):
        self.assertRegex(self.good("tokenize", MODEL, text=b"Hello, world"), rb"\A\d+( \d+)+\n\Z")
        self.assertEqual(self.good("tokenize", MODEL, text=b""), b"1\n")  # BOS
        self.assertEqual(self.good("tokenize", "--no-special", MODEL, text=b""), b"")
        with_bos = self.good("tokenize", MODEL, text=b"abc")
        self.assertEqual(with_bos, b"1 " + self.good("tokenize", MODEL, "--no-special", text=b"abc"))

    def test_parsing_of_control_tokens(self):
        parsed = self.good("tokenize", MODEL, "--no-special", text=b"a</s>b").split()
        plain = self.good("tokenize", MODEL, "--no-special", "--no-parse", text=b"a</s>b").split()
        self.assertIn(b"2", parsed)
        self.assertNotIn(b"2", plain)

    def test_round_trip(self):
        texts = [b"Hello, world\n", b"  two spaces", b"", b"\n\n\n", "Grüße, 世界 🎉".encode(), bytes(range(256)) * 3,
                 b"\0\0a\0", b"\xff\xfebroken\xe2\x82utf-8", b"x" * 100_000]
        for text in texts:
            for flags in ([], ["--no-special"]):
                with self.subTest(text=text[:30], flags=flags):
                    ids = self.good("tokenize", MODEL, *flags, "--no-parse", text=text)
                    self.assertEqual(self.good("detokenize", MODEL, "-", text=ids), text)
        words = self.good("tokenize", MODEL, text=b"one two").decode().split()
        self.assertEqual(self.good("detokenize", MODEL, *words), b"one two")

    def test_control_tokens_are_shown_on_request(self):
        self.assertEqual(self.good("detokenize", MODEL, 1, 2), b"")
        self.assertEqual(self.good("detokenize", MODEL, "--special", 1, 2), b"<s></s>")


class Evaluate(Case):
    IDS = [1, 17, 250, 3, 99, 42, 42, 42, 200, 7]

    def all_logits(self, *options, ids=None):
        out = path("logits.f32")
        self.assertEqual(self.good("logits", MODEL, "--out", out, *options, *(ids or self.IDS)), b"")
        with open(out, "rb") as f:
            values = array.array("f", f.read())
        self.assertEqual(len(values), len(ids or self.IDS) * VOCAB)
        return values

    def test_text_and_file_agree(self):
        values = self.all_logits()
        lines = self.good("logits", MODEL, *self.IDS).decode().splitlines()
        self.assertEqual(len(lines), len(self.IDS))
        for i, line in enumerate(lines):
            row = values[i * VOCAB:(i + 1) * VOCAB]
            best = sorted(range(VOCAB), key=lambda j: (-row[j], j))[:5]
            self.assertEqual(line, f"{i}:" + "".join(f" {j}={row[j]:.6g}" for j in best))

    def test_threads_change_no_bit(self):
        one = self.all_logits("--threads", 1)
        for threads in (2, 5):
            self.assertEqual(self.all_logits("--threads", threads), one)

    def test_batches_and_targets_agree(self):
        """Not bit for bit: sums are taken in another order. The bound is far above float rounding for logits of a few
        units, and far below what a wrong mask or offset would cause."""
        reference = self.all_logits()
        spread = max(reference) - min(reference)
        _, _, err = run("logits", MODEL, "--target", "none", 1)
        names = re.search(r"one of (.*) on this machine", err.decode()).group(1).split(", ")
        for options in [["--batch", 1], ["--batch", 3]] + [["--target", name] for name in names]:
            with self.subTest(options=options):
                other = self.all_logits(*options)
                self.assertLess(max(abs(a - b) for a, b in zip(reference, other)), 0.02 * spread)

    def test_greedy_is_the_argmax_of_logits(self):
        ids = list(self.IDS)
        out = self.good("greedy", MODEL, "--n", 5, *ids)
        self.assertRegex(out, rb"\A\d+( \d+){4}\n\Z")
        for expected in map(int, out.split()):
            row = self.all_logits("--batch", 512, ids=ids)[-VOCAB:]
            # The last token is computed alone there and in a batch here: only a clear winner must be the same.
            self.assertGreaterEqual(row[expected], max(row) - 0.02 * (max(row) - min(row)))
            ids.append(expected)
        self.assertEqual(len(self.good("greedy", MODEL, 1).split()), 16)
        self.assertEqual(self.good("greedy", MODEL, "--n", 0, 1), b"")

    def test_ids_from_standard_input(self):
        expected = self.good("greedy", MODEL, *self.IDS)
        self.assertEqual(self.good("greedy", MODEL, "-", text=" ".join(map(str, self.IDS)).encode() + b"\n"), expected)


class Weights(Case):
    def setUp(self):
        self.cache = path("weights.packed")
        if os.path.exists(self.cache):
            os.remove(self.cache)

    def test_matches(self):
        schema = write("schema.json", b'{"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}')
        gbnf = write("grammar.gbnf", b'root ::= [a-z]+ "!"')
        for option, value, text, status in (
                ("--schema", schema, b'{"b": null, "a": 3}\n', 0), ("--schema", schema, b'{"b": 3}', 1),
                ("--grammar", gbnf, b"abc!", 0), ("--grammar", gbnf, b"abc", 1), ("--grammar", gbnf, b"abc!\n", 1),
                ("--regex", "a{2,3}(b|c)", b"aac", 0), ("--regex", "a{2,3}(b|c)", b"ac", 1)):
            self.assertEqual(run("matches", option, value, text=text), (status, b"", b""), (option, text))
        for option, value, reason in (
                ("--regex", "a(?=b)", "look-ahead"), ("--grammar", write("bad.gbnf", b"root ::= x"), "rule x is not defined"),
                ("--schema", write("bad.json", b'{"uniqueItems": true, "type": "array"}'), "uniqueItems"),
                ("--schema", path("none.json"), "none.json")):
            status, out, err = run("matches", option, value)
            self.assertEqual((status, out), (2, b""))
            self.assertRegex(err.decode(), f"^inlay: .*{reason}.*\n$")
            status, out, err = run("complete", MODEL, "-p", "x", option, value)
            self.assertEqual((status, out), (2, b""))
            self.assertIn(reason, err.decode())
        self.assertEqual(run("matches")[0], 2)
        self.assertEqual(run("matches", "--regex", "a", "--grammar", gbnf)[0], 2)

    def test_complete_in_a_form(self):
        for seed in range(3):
            text = self.good("complete", MODEL, "-p", "x", "--regex", "[0-9]{3}-[a-f]{2}(true|false)", "--seed", seed)
            self.assertRegex(text.decode(), r"\A[0-9]{3}-[a-f]{2}(true|false)\Z")
        status, out, err = run("complete", MODEL, "-p", "x", "--regex", "[0-9]{30}", "-n", 3)
        self.assertEqual((status, err), (1, b"inlay: ended before the form was complete (-n, --ctx)\n"))

    def test_a_cache_changes_no_text(self):
        for verb, *options in (("complete", "-p", "int x", "-n", 20), ("greedy", "--n", 10), ("logits",)):
            ids = () if verb == "complete" else (1, 70, 45)
            mapped = self.good(verb, MODEL, *options, *ids)
            self.assertEqual(self.good(verb, MODEL, *options, "--weights", "mapped", *ids), mapped)
            expected = self.good(verb, MODEL, *options, "--weights", "packed", *ids)
            for _ in range(2):
                cached = self.good(verb, MODEL, *options, "--weights=packed", "--cache", self.cache, *ids)
                self.assertEqual(cached, expected)
        self.assertGreater(os.path.getsize(self.cache), 1000)

    def test_cache_beside_the_model(self):
        self.good("greedy", MODEL, "--weights", "packed", "--cache", "auto", 1)
        self.assertGreater(os.path.getsize(MODEL + ".packed"), 1000)
        os.remove(MODEL + ".packed")
        self.good("greedy", MODEL, "--cache", "auto", 1)  # mapped: nothing to keep
        self.assertFalse(os.path.exists(MODEL + ".packed"))

    def test_cache_that_is_no_good_is_told_and_made_again(self):
        expected = self.good("greedy", MODEL, "--weights", "packed", "--cache", self.cache, 1)
        with open(self.cache, "r+b") as f:
            f.seek(-9, os.SEEK_END)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        status, out, err = run("greedy", MODEL, "--weights", "packed", "--cache", self.cache, 1)
        self.assertEqual((status, out), (0, expected))
        self.assertRegex(err, rb"\Ainlay: cache of packed weights: [^\n]*packing again: [^\n]*\n\Z")
        self.assertEqual(self.good("greedy", MODEL, "--weights", "packed", "--cache", self.cache, 1), expected)


class Complete(Case):
    OPTIONS = ["complete", "--temp", "0.9", "-n", "40", "--threads", "1"]

    def test_sources_of_the_prompt(self):
        prompt = b"int main() {\n  return "
        expected = self.good(*self.OPTIONS, MODEL, "-p", prompt.decode())
        self.assertNotEqual(expected, b"")
        self.assertEqual(self.good(*self.OPTIONS, MODEL, "-f", write("prompt.txt", prompt)), expected)
        self.assertEqual(self.good(*self.OPTIONS, MODEL, text=prompt), expected)
        self.assertEqual(self.good(*self.OPTIONS, MODEL, "-f", "-", text=prompt), expected)
        self.assertNotEqual(self.good(*self.OPTIONS, MODEL, text=prompt + b"\0\xff\n\x1a"), expected)

    def test_seeds(self):
        texts = [self.good(*self.OPTIONS, MODEL, "-p", "x", "--seed", seed) for seed in (1, 1, 2, 2 ** 64 - 1)]
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(len(set(texts)), 3)
        greedy = [self.good("complete", MODEL, "-p", "x", "-n", 20, "--temp", 0, "--seed", s) for s in (1, 2)]
        self.assertEqual(greedy[0], greedy[1])

    def test_greedy_text_is_greedy_tokens(self):
        """Both are argmax, from caches of F16 and F32: a model of random weights has few near ties in 12 tokens."""
        ids = self.good("tokenize", MODEL, text=b"fn").decode().split()
        following = self.good("greedy", MODEL, "--n", 12, *ids).decode().split()
        text = self.good("detokenize", MODEL, *ids, *following)
        self.assertEqual(b"fn" + self.good("complete", MODEL, "-p", "fn", "-n", 12, "--temp", 0), text)

    def test_top_k_one_is_greedy(self):
        greedy = self.good("complete", MODEL, "-p", "q", "-n", 20, "--temp", 0)
        self.assertEqual(self.good("complete", MODEL, "-p", "q", "-n", 20, "--top-k", 1, "--seed", 5), greedy)

    def test_samplers(self):
        """Each of them changes something, or is off as it says."""
        base = ["complete", MODEL, "-p", "xyxyxyxyxyxy xyxy", "-n", 60, "--temp", 1.5, "--top-k", 0, "--seed", 3]
        free = self.good(*base)
        for changed in (["--typical", 0.3], ["--top-nsigma", 0.5], ["--xtc-probability", 1, "--xtc-threshold", 0.01],
                        ["--dynatemp-range", 1], ["--repeat-penalty", 1.8, "--repeat-last-n", -1],
                        ["--frequency-penalty", 2], ["--presence-penalty", 3], ["--mirostat", 1], ["--mirostat", 2],
                        ["--mirostat", 2, "--mirostat-ent", 1], ["--samplers", "top_k", "--top-k", 3],
                        ["--sampler-seq", "ta", "--adaptive-target", 0.1],
                        ["--dry-multiplier", 20, "--dry-allowed-length", 1, "--dry-sequence-breaker", "none"]):
            with self.subTest(changed=changed):
                self.assertNotEqual(self.good(*base, *changed), free)
        for off in (["--typical", 1], ["--top-nsigma", -1], ["--xtc-probability", 0], ["--dynatemp-exp", 3],
                    ["--repeat-last-n", 5], ["--mirostat", 0], ["--mirostat-lr", 1], ["--dry-base", 2],
                    ["--samplers", "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"],
                    ["--adaptive-target", 0.1], ["--min-keep", 0], ["--logit-bias", "7+0"]):
            with self.subTest(off=off):
                self.assertEqual(self.good(*base, *off), free)

    def test_biases(self):
        first = self.good("complete", MODEL, "-p", "x", "-n", 1, "--temp", 0, "--logprobs", 0)
        best = json.loads(first)["id"]
        other = json.loads(self.good("complete", MODEL, "-p", "x", "-n", 1, "--temp", 0, "--logprobs", 0,
                                     "--logit-bias", f"{best}-inf"))
        self.assertNotEqual(other["id"], best)
        wanted = json.loads(self.good("complete", MODEL, "-p", "x", "-n", 1, "--temp", 0, "--logprobs", 0,
                                      "--logit-bias", f"{other['id']}+100"))
        self.assertEqual(wanted, other)

    def test_logprobs(self):
        lines = self.good("complete", MODEL, "-p", "int main", "-n", 12, "--temp", 0, "--logprobs", 4).decode().splitlines()
        self.assertLessEqual(len(lines), 12)
        for line in map(json.loads, lines):
            top = line["top_logprobs"]
            self.assertEqual(len(top), 4)
            self.assertEqual((line["token"], line["id"], line["logprob"]),
                             (top[0]["token"], top[0]["id"], top[0]["logprob"]))
            self.assertEqual([t["logprob"] for t in top], sorted((t["logprob"] for t in top), reverse=True))
            self.assertLess(sum(math.exp(t["logprob"]) for t in top), 1)

    def test_choose(self):
        options = ["int", "return 0;", "return", "x"]
        lines = self.good("choose", MODEL, "-p", "int main() {", *options).decode().splitlines()
        rows = [line.split("\t") for line in lines]
        self.assertEqual(sorted(row[2] for row in rows), sorted(options))
        shares = [float(row[0]) for row in rows]
        self.assertEqual(shares, sorted(shares, reverse=True))
        self.assertAlmostEqual(sum(shares), 1, places=4)
        for row in rows:
            self.assertAlmostEqual(float(row[0]), shares[0] * math.exp(float(row[1]) - float(rows[0][1])), places=3)
        self.assertEqual(self.good("choose", MODEL, *options, text=b"int main() {").decode().splitlines(), lines)
        self.assertEqual(self.good("choose", MODEL, "-p", "x", "only").decode().split("\t")[0], "1.000000")
        means = self.good("choose", MODEL, "--per-token", "-p", "int main() {", *options).decode()
        self.assertNotEqual(means.splitlines(), lines)
        self.one_line(1, "choose", MODEL, "-p", "y" * 9000, "a", "b", says="context")

    def test_stop_texts(self):
        for seed in range(100):  # what random weights write, no two SIMD targets write alike
            options = [*self.OPTIONS, MODEL, "-p", "stop", "--seed", seed]
            full = self.good(*options)
            words = re.findall(rb"[!-~]{2,}", full[4:])  # printable, so that they can be arguments
            if len(words) > 2:
                break
        else:
            self.fail(f"no seed writes three words: {full}")
        for word in (words[0][:1], words[1], words[-1]):
            cut = full[:full.index(word)]
            self.assertEqual(self.good(*options, "--stop", word.decode()), cut)
            self.assertEqual(self.good(*options, "--stop", "not in there at all", "--stop", word.decode()), cut)

    def test_length(self):
        """-n counts tokens: a longer text begins with the shorter one. What is not ASCII may be an unfinished
        character, so only text before that is compared."""
        longest = self.good("complete", MODEL, "-p", "x", "--temp", 0.9, "-n", 30)
        for n in (1, 2, 10):
            text = self.good("complete", MODEL, "-p", "x", "--temp", 0.9, "-n", n)
            self.assertLess(len(text), len(longest))
            self.assertTrue(longest.startswith(re.match(rb"[\0-\x7f]*", text).group()), (text, longest))

    def test_context_ends(self):
        status, _, err = run("complete", MODEL, "-p", "x", "-n", 0, "--ctx", 32, "--temp", 0)
        self.assertEqual(status, 0)
        self.assertRegex(err.decode(), r"\A(inlay: ended because the context of \d+ tokens is full[^\n]*\n)?\Z")

    def test_fim(self):
        before, after = write("before.c", b"int add(int a, int b) {\n"), write("after.c", b"\n}\n")
        text = self.good("fim", MODEL, "--prefix", before, "--suffix", after, "-n", 20, "--seed", 4)
        self.assertNotEqual(text, b"")
        self.assertEqual(text, self.good("fim", MODEL, "--prefix", "-", "--suffix", after, "-n", 20, "--seed", 4,
                                         text=b"int add(int a, int b) {\n"))
        # Too long, and without tokens for it: what is nearest counts, the first text is continued.
        long = write("long.c", b"int n;\n" * 2000)
        self.assertNotEqual(self.good("fim", MODEL, "--prefix", long, "--suffix", long, "-n", 20, "--seed", 4), b"")
        self.assertNotEqual(self.good("fim", path("plain.gguf"), "--prefix", before, "--suffix", after, "-n", 20, "--seed", 4), b"")
        self.one_line(1, "fim", MODEL, "--prefix", before, "--suffix", after, "--ctx", 12, says="no room")


def rest_of(terminal):
    """What still comes from a pseudo-terminal, until its other end is closed."""
    seen = b""
    try:
        while more := os.read(terminal, 1000):
            seen += more
    except OSError:  # how Linux says that the other end is closed
        pass
    return seen


@unittest.skipUnless(os.path.exists("/proc/self/status"), "needs Linux's /proc")
class Interrupt(Case):
    LONG = ["-n", 0, "--ctx", 120000, "--threads", 1, "--temp", 0, "--ignore-eos"]  # with slow.gguf: minutes

    def start(self, *arguments, **streams):
        return subprocess.Popen([INLAY, *map(str, arguments)], stderr=subprocess.PIPE,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **streams)

    def end(self, process):
        """Sends the signal once the program has begun to catch it, and has worked for a while: most of the time it is
        not opening the file then. Returns the exit status."""
        def is_at_work():
            with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
                caught = re.search(r"SigCgt:\s*(\w+)", f.read())
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
                ticks = int(f.read().rpartition(")")[2].split()[11])  # of the processor, outside the kernel
            return int(caught.group(1), 16) >> (signal.SIGINT - 1) & 1 and ticks >= 0.2 * os.sysconf("SC_CLK_TCK")

        while not is_at_work():
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        return process.wait()

    def test_while_writing(self):
        process = self.start("complete", path("slow.gguf"), "-p", "prompt", *self.LONG,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertNotEqual(process.stdout.read(1), b"")
        rest = threading.Thread(target=process.stdout.read)  # a full pipe would keep it waiting
        rest.start()
        self.assertEqual(self.end(process), 130)
        rest.join()
        self.assertEqual(process.stderr.read(), b"")
        process.stdout.close()
        process.stderr.close()

    def test_while_reading_the_prompt(self):
        """No output yet: the signal must stop the prompt's computation."""
        process = self.start("complete", path("slow.gguf"), "-f", write("long.txt", b"y " * 50000), *self.LONG,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(self.end(process), 130)
        process.stdout.close()
        process.stderr.close()

    def test_other_verbs(self):
        for arguments in (["bench", path("slow.gguf"), "-p", 50000, "-n", 50000],
                          ["greedy", path("slow.gguf"), "--n", 50000, 1],
                          ["logits", path("slow.gguf"), *[5] * 50000]):
            process = self.start(*arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self.assertEqual(self.end(process), 130, arguments)
            process.stderr.close()

    def test_terminal_is_left_clean(self):
        ours, theirs = pty.openpty()
        process = self.start("complete", path("slow.gguf"), "-p", "prompt", *self.LONG, stdin=theirs,
                             stdout=theirs, env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        seen = b""
        while len(seen) < 30:
            seen += os.read(ours, 1000)
        rest = []
        reader = threading.Thread(target=lambda: rest.append(rest_of(ours)))
        reader.start()
        self.assertEqual(self.end(process), 130)
        reader.join()
        seen += rest[0]
        os.close(ours)
        process.stderr.close()
        self.assertTrue(seen.startswith(b"\x1b[2mprompt\x1b[0m"), seen[:40])
        self.assertTrue(seen.endswith(b"\n"), seen[-40:])
        self.assertEqual(seen.count(b"\x1b[2m") + seen.count(b"\x1b[0m"), 2)  # in the text, too, there is some \x1b[


class Info(Case):
    def test_model(self):
        text = self.good("info", MODEL, "--ctx", 256).decode()
        self.assertIn('general.architecture', text)
        self.assertIn('"llama"', text)
        self.assertRegex(text, rf"string\[{VOCAB}\] .*…\n")
        tensors = re.search(r"(?ms)^tensors.*?^  all +(\d+) +(\d+) +(\d+)", text)
        rows = re.findall(r"(?m)^  (f32|q\w+|f16|bf16|iq\w+) +(\d+) +(\d+) +(\d+)", text)
        for column in range(3):
            self.assertEqual(sum(int(row[column + 1]) for row in rows), int(tensors.group(column + 1)))
        memory = {k.strip(): int(v) for k, v in re.findall(r"(?m)^  (KV cache|activations|other|total) +(\d+)  ", text)}
        self.assertEqual(memory["KV cache"] + memory["activations"] + memory["other"], memory["total"])
        self.assertGreater(memory["KV cache"], 0)
        weights = {k: int(v) for k, v in re.findall(r"(?m)^  (mapped|packed) +(\d+)  ", text)}
        self.assertEqual(weights["mapped"], os.path.getsize(MODEL))
        self.assertGreater(weights["packed"], 0)
        larger = self.good("info", MODEL, "--ctx", 512).decode()
        self.assertEqual(int(re.search(r"KV cache +(\d+)", larger).group(1)), 2 * memory["KV cache"])

    def test_vocabulary_without_weights(self):
        name = "line\nbreak \x1b[31m \"quoted\" " + "ä" * 60
        file = write("vocab.gguf", gguf([("general.architecture", "llama"), ("tokenizer.ggml.model", "none"),
                                         ("general.name", name)]))
        text = self.good("info", file).decode()
        self.assertIn("cannot run it: ", text)
        self.assertIn(r'"line\nbreak \x1b[31m \"quoted\" ää', text)
        self.assertIn(f"… ({len(name.encode())} bytes)", text)
        self.assertNotIn("\x1b", text)

    def test_unknown_architecture_and_type(self):
        file = write("strange.gguf", gguf([("general.architecture", "abacus")],
                                          [("beads", 0, [32], b"\0" * 128), ("rods", 9, [32], b"\0" * 36)]))
        text = self.good("info", file).decode()
        self.assertRegex(text, r"q8_1 +1 +32 +36  36 B \(no kernel\)")
        self.assertIn("abacus", text[text.index("cannot run it"):])


class Bench(Case):
    def test_json(self):
        rows = json.loads(self.good("bench", MODEL, "-t", "1,2", "-p", "32,16", "-n", 4, "-r", 2, "--json"))
        self.assertEqual([(row["test"], row["threads"]) for row in rows],
                         [(test, threads) for threads in (1, 2) for test in ("pp32", "pp16", "tg4")])
        for row in rows:
            self.assertGreater(row["tokens_per_second"], 0)
            self.assertLessEqual(row["min"], row["tokens_per_second"])
            self.assertLessEqual(row["tokens_per_second"], row["max"])
            self.assertEqual((row["runs"], len(row["samples"])), (2, 2))
            self.assertEqual(row["model"], os.path.basename(MODEL))
            self.assertEqual((row["weights"], row["packed_bytes"]), ("mapped", 0))
        packed = json.loads(self.good("bench", MODEL, "-t", 1, "-p", 0, "-n", 2, "--json", "--weights", "packed"))
        self.assertEqual(packed[0]["weights"], "packed")
        info = self.good("info", MODEL).decode()
        self.assertEqual(packed[0]["packed_bytes"], int(re.search(r"(?m)^  packed +(\d+)  ", info).group(1)))
        self.assertEqual(json.loads(self.good("bench", MODEL, "-p", 0, "-n", 0, "--json")), [])

    def test_table(self):
        text = self.good("bench", MODEL, "-t", 1, "-p", 8, "-n", 2, "-r", 1).decode()
        self.assertRegex(text, r"(?m)^test +cache +threads +tokens/s")
        self.assertRegex(text, r"(?m)^pp8 +f16 +1 +[\d.]+")
        self.assertRegex(text, r"(?m)^tg2 +f16 +1 +[\d.]+")

    def test_depths_and_caches(self):
        rows = json.loads(self.good("bench", MODEL, "-t", 1, "-p", 8, "-n", 2, "-d", "0,96", "--kv", "f16,q8_0", "-r", 1,
                                    "--no-warmup", "--json"))
        self.assertEqual([(row["test"], row["kv"]) for row in rows],
                         [(test, kv) for kv in ("f16", "q8_0") for test in ("pp8", "tg2", "pp8 @ d96", "tg2 @ d96")])
        self.assertGreater(rows[2]["kv_bytes"], rows[0]["kv_bytes"])
        self.assertGreater(rows[0]["kv_bytes"], rows[4]["kv_bytes"])


class Template(Case):
    REQUEST = b'{"messages":[{"role":"user","content":"Hi"}],"add_generation_prompt":true,"bos_token":"<s>"}'

    def test_a_file_and_a_model(self):
        file = write("t.jinja", b"{{ bos_token }}{% for m in messages %}\n[{{ m.role }}] {{ m.content }}\n{% endfor %}")
        self.assertEqual(run("template", file, text=self.REQUEST), (0, b"<s>[user] Hi\n", b""))
        status, prompt, err = run("template", MODEL, text=self.REQUEST)  # it has none: ChatML
        self.assertEqual((status, prompt), (0, b"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"))
        self.assertIn(b"no chat template", err)

    def test_what_goes_wrong(self):
        for source, message in ((b"{{ raise_exception('Nope') }}", b"line 1: Nope"), (b"{% if %}", b"expected an expression"),
                             (b"{{ x.y }}", b"'x' is undefined")):
            status, out, err = run("template", write("bad.jinja", source), text=self.REQUEST)
            self.assertEqual((status, out), (1, b""))
            self.assertIn(message, err)
        for request in (b"", b"{", b"[]"):
            self.assertEqual(run("template", write("t.jinja", b"x"), text=request)[:2], (1, b""))
        self.assertEqual(run("template", path("missing.jinja"), text=self.REQUEST)[:2], (1, b""))


class Chat(Case):
    def test_a_conversation_from_a_pipe(self):
        status, out, err = run("chat", MODEL, "-n", 5, "--temp", 0, "--system", "S", text=b"a b\n/prompt\n/stats\n")
        self.assertEqual(status, 0, err)
        self.assertIn(b"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na b<|im_end|>\n<|im_start|>assistant\n", out)
        self.assertRegex(out, rb"prompt: \d+ tokens, 0 of them kept")
        self.assertRegex(out, rb"answer: [0-5] tokens")

    def test_commands(self):
        status, out, err = run("chat", MODEL, "-n", 3, "--temp", 0, text=b"a\n/undo\nb\n/again\n/clear\n/prompt\n/exit\nc\n")
        self.assertEqual(status, 0, err)
        self.assertTrue(out.endswith(b"<|im_start|>assistant\n\n"), out)
        self.assertNotIn(b"<|im_start|>user", out)

    def test_a_line_is_edited_in_a_terminal(self):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([INLAY, "chat", MODEL, "-n", "2", "--temp", "0"], stdin=theirs, stdout=theirs,
                                   stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        seen = b""

        def wait_for(text):
            nonlocal seen
            while text not in seen:
                seen += os.read(ours, 1000)
            seen = seen[seen.index(text) + len(text):]

        # Keys are sent when the program asks for them: before that the terminal would take them for its own.
        wait_for(b"\r> ")
        # A letter is inserted before the last; a word back; the line's first letter is deleted.
        os.write(ours, b"x ac\x1b[Db\x1b[1;5D\xc3\xa9\x1b[H\x1b[3~\x7f\r")
        wait_for(b"\n\r> ")
        os.write(ours, b"/prompt\r")
        wait_for("user\r\n éabc<|im_end|>".encode())
        wait_for(b"\n\r> ")
        # Three lines that are pasted are one message; each of the two characters is two columns wide.
        os.write(ours, "\x1b[200~one\ntwo\r\nthree\x1b[201~日本".encode())
        wait_for("one⏎two⏎three日本\x1b[K\r\x1b[19C".encode())
        os.write(ours, b"\r")
        wait_for(b"\n\r> ")
        os.write(ours, b"/prompt\r")
        wait_for("user\r\none\r\ntwo\r\nthree日本<|im_end|>".encode())
        wait_for(b"\n\r> ")
        os.write(ours, b"y\x15\x04")
        self.assertEqual(process.wait(), 0)
        os.close(ours)

    def test_a_dumb_terminal_gets_no_escape_codes(self):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([INLAY, "chat", MODEL, "-n", "2", "--temp", "0"], stdin=theirs, stdout=theirs,
                                   stderr=theirs, env={**os.environ, "TERM": "dumb"})
        os.close(theirs)
        os.write(ours, b"abx\x7fc\n/prompt\n/exit\n")  # the terminal itself deletes the x
        seen = rest_of(ours)
        self.assertEqual(process.wait(), 0, seen)
        os.close(ours)
        self.assertIn(b"> ", seen)
        self.assertIn(b"user\r\nabc<|im_end|>", seen)
        self.assertNotIn(b"\x1b", seen)

    def test_an_unknown_command_says_so(self):
        status, out, err = run("chat", MODEL, "-n", 1, text=b"/nope\r\n")
        self.assertEqual(status, 0, err)
        self.assertIn(b"there is no command /nope\n/again", out.replace(b"\r", b""))

    def test_tools_of_a_template_without_calls(self):
        status, out, err = run("chat", MODEL, "-n", 1, "--tools", write("tools.json", b'[{"name":"f"}]'), text=b"a\n")
        self.assertEqual(status, 0, err)
        self.assertIn(b"no form of tool calls that is known", err)

    def test_tools_must_be_json(self):
        status, out, err = run("chat", MODEL, "--tools", write("tools.json", b"{"), text=b"a\n")
        self.assertEqual(status, 1)
        self.assertIn(b"tools.json: JSON, line 1", err)


class Examples(Case):
    """The other examples, where they were built beside the program."""

    def example(self, name):
        file = os.path.join(os.path.dirname(INLAY), name)
        if not os.path.exists(file):
            self.skipTest(f"{name} was not built")
        return file

    def test_hello_writes_what_the_program_writes(self):
        expected = self.good("complete", MODEL, "-p", "int x", "-n", 200)
        self.assertEqual(run(MODEL, "int x", binary=self.example("hello")), (0, expected, b""))

    def test_frames_and_jobs_write_the_same(self):
        """One thread in steps of 2 ms, and four tasks on a host's threads. (The program above may use another SIMD
        target: these two are compiled for fewer.)"""
        status, text, err = run(MODEL, "int x", binary=self.example("frame_loop"))
        self.assertEqual(status, 0, err)
        self.assertGreater(len(text), 50)
        self.assertEqual(run(MODEL, "int x", binary=self.example("job_system")), (0, text, b""))

    def test_custom_architecture(self):
        program = self.example("custom_architecture")
        for file, expected in (("model", (0, b"llama, 2 layers\n", b"")), ("larch", (0, b"larch, 2 layers\n", b"")),
                               ("qwen3", (1, b"", b"architecture qwen3 is not in this build, which has llama larch\n"))):
            self.assertEqual(run(path(file + ".gguf"), binary=program), expected)


def make_models(make_model):
    global MODEL
    if make_model is None:
        make_model = path("make_model")
        source = os.path.join(HERE, "..", "support", "make_model.cpp")
        subprocess.run([os.environ.get("CXX", "c++"), "-std=c++17", "-O1", source, "-o", make_model], check=True)
    MODEL = path("model.gguf")
    common = ["--shape", "llama-mha", "--vocab", str(VOCAB), "--context", str(CONTEXT), "--type", "q8_0"]
    subprocess.run([make_model, MODEL, *common, "--fim"], check=True)
    subprocess.run([make_model, path("plain.gguf"), *common], check=True)
    subprocess.run([make_model, path("qwen3.gguf"), "--shape", "qwen3-gqa2"], check=True)
    with open(path("qwen3.gguf"), "rb") as f:  # the names are of one length: no offset changes
        write("larch.gguf", f.read().replace(b"qwen3", b"larch"))
    # Small enough to be made in a second, and with a small cache; attention over so many positions takes minutes.
    subprocess.run([make_model, path("slow.gguf"), *common, "--context", "120000", "--layers", "12", "--embd", "512",
                    "--heads", "8", "--kv-heads", "1", "--head-dim", "64", "--ff", "1024"], check=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    INLAY = os.path.abspath(sys.argv.pop(1))
    given = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    with tempfile.TemporaryDirectory() as FOLDER:
        make_models(given and os.path.abspath(given))
        program = unittest.main(exit=False)
    sys.exit(not program.result.wasSuccessful())
