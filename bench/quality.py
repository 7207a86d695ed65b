#!/usr/bin/env python3
"""How far quantized models are from the file they were made of, in each of several engines.

    quality.py --reference model-f16.gguf --text some.cpp \\
        --engine 'inlay=build/bin/inlay logits {model} --out {out} {ids}' \\
        --engine 'llama.cpp=reference logits {model} --out {out} {ids}' model-Q4_0.gguf model-Q4_K_M.gguf …

For the first N tokens of a text, each engine computes the logits of every position with each file;
printed is the mean Kullback-Leibler divergence from the logits of the reference file in the first engine.
The divergence has two parts: what quantizing the weights cost, the same for all engines, and what an engine
adds by rounding activations. Each engine is compared with the last one position by position: the
difference of the means, and the standard error of that difference. Differences of less than two such
errors say nothing. The error of the logits, root mean square over the reference's standard deviation, scatters less
where a few positions make most of the divergence.

An engine is a name and a command that writes float32 [ids][vocabulary] to {out}.
"""
import argparse
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

import measuring


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", metavar="MODEL.gguf")
    p.add_argument("--reference", required=True, metavar="MODEL.gguf", help="the file that the others were quantized from")
    p.add_argument("--text", required=True, metavar="FILE")
    p.add_argument("--positions", type=int, default=512, metavar="N", help="(%(default)s)")
    p.add_argument("--engine", action="append", required=True, metavar="NAME=COMMAND", help="may be given several times")
    p.add_argument("--inlay", default="build/bin/inlay", help="splits the text into tokens (%(default)s)")
    p.add_argument("--divergence", metavar="PROGRAM", help="bench_divergence (the one beside inlay)")
    p.add_argument("--work", metavar="DIR", help="where logits are written for a moment (a temporary folder)")
    p.add_argument("--map", action="append", default=[], metavar="NAME=HOST:SEEN",
                   help="engine NAME sees the folder HOST as SEEN (a container, a chroot); files must be below it")
    p.add_argument("--out", metavar="FILE", help="write everything as JSON")
    a = p.parse_args()
    a.engine = dict(e.split("=", 1) for e in a.engine)
    a.map = {name: where.split(":", 1) for name, where in (m.split("=", 1) for m in a.map)}
    a.divergence = a.divergence or measuring.program_beside(a.inlay, "bench_divergence")
    return a


def seen(a, engine, path):
    path = os.path.abspath(path)
    if engine in a.map:
        host, there = a.map[engine]
        path = os.path.join(there, os.path.relpath(path, os.path.abspath(host)))
    return path


def logits(a, engine, model, ids, out):
    """Writes them. Returns the size of the vocabulary."""
    command = []
    for part in shlex.split(a.engine[engine]):
        if part == "{ids}":
            command += map(str, ids)
        else:
            command.append(part.format(model=seen(a, engine, model), out=seen(a, engine, out)))
    measuring.run(command)
    return os.path.getsize(out) // 4 // len(ids)


def divergences(a, vocabulary, reference, other):
    text, _, _ = measuring.run([a.divergence, str(vocabulary), reference, other])
    rows = [line.split() for line in text.splitlines()]
    return ([float(row[0]) for row in rows], statistics.fmean(int(row[1]) for row in rows),
            statistics.fmean(float(row[2]) for row in rows))


def main():
    a = arguments()
    with open(a.text, "rb") as f:
        done = subprocess.run([a.inlay, "tokenize", a.reference], stdin=f, capture_output=True, text=True, check=True)
    ids = [int(i) for i in done.stdout.split()][:a.positions]
    if len(ids) < a.positions:
        print(f"note: the text has {len(ids)} tokens only", file=sys.stderr)
    names, results = list(a.engine), []
    anchor = names[-1]
    print("| model | engine | mean divergence | to " + anchor + " | standard error | error of logits | most probable token the same |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=a.work) as folder:
        os.chmod(folder, 0o755)
        reference, other = os.path.join(folder, "reference"), os.path.join(folder, "other")
        vocabulary = logits(a, names[0], a.reference, ids, reference)
        for model in a.models:
            measured = {}
            for name in names:
                logits(a, name, model, ids, other)
                measured[name] = divergences(a, vocabulary, reference, other)
            for name in names:
                values, same, logit_error = measured[name]
                mean = statistics.fmean(values)
                differences = [x - y for x, y in zip(values, measured[anchor][0])]
                difference = statistics.fmean(differences)
                error = statistics.stdev(differences) / math.sqrt(len(differences))
                row = {"model": os.path.basename(model), "engine": name, "mean_divergence": mean,
                       "difference": difference, "standard_error": error, "same_token": same, "logit_error": logit_error}
                results.append(row)
                print(f"| {row['model']} | {name} | {mean:.3g} | "
                      + (f"{difference / (mean - difference):+.1%} | {error / (mean - difference):.1%}"
                         if name != anchor else " | ") + f" | {logit_error:.2%} | {same:.1%} |", flush=True)
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            json.dump({**measuring.machine(), "command": measuring.shown(sys.argv), "positions": len(ids),
                       "reference": os.path.basename(a.reference), "results": results}, f, indent=1)
            f.write("\n")
    worse = [r for r in results if r["difference"] > 2 * r["standard_error"]]
    for r in worse:
        print(f"worse than {anchor}: {r['model']} in {r['engine']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
