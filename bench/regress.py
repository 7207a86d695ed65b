#!/usr/bin/env python3
"""What got slower than what was recorded, in a few minutes.

    regress.py                            compares with bench/recorded.json; exits with 1 if something got slower
    regress.py --record                   writes the file's part for this machine's SIMD targets anew

Nothing here is in seconds: a kernel's figure is the share of the products, or of the bytes of memory, that
the machine was measured to manage at the same time (bench_calibrate, bench_kernels); the engine's figure is the
same share of a whole prompt or of writing, with the model in this repository and with those that are given.
So figures of one kind of core can be compared with another machine's of that kind. Recorded are medians of five
rounds; a figure that is more than 5 % below is measured up to five times more, and the best counts: what still
is slower then is slower.
"""
import argparse
import json
import os
import statistics
import sys

import measuring

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = ["q4_0", "q8_0", "q2_K", "q3_K", "q4_K", "q5_K", "q6_K", "iq4_xs", "f16"]
SLOWER, ROUNDS = 0.05, 5


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="*", metavar="MODEL.gguf", help="measured besides the demo model")
    p.add_argument("--inlay", default="build/bin/inlay", help="bench_kernels and bench_calibrate lie beside it (%(default)s)")
    p.add_argument("--target", action="append", metavar="NAME", help="may be given several times (AVX2 and the best)")
    p.add_argument("--types", default=",".join(TYPES), metavar="TYPE,…", help="(%(default)s)")
    p.add_argument("--seconds", type=float, default=0.05, help="for each kernel and round (%(default)s)")
    p.add_argument("--recorded", default=os.path.join(HERE, "recorded.json"), metavar="FILE")
    p.add_argument("--record", action="store_true")
    a = p.parse_args()
    a.kernels = measuring.program_beside(a.inlay, "bench_kernels")
    a.calibrate = measuring.program_beside(a.inlay, "bench_calibrate")
    a.models = [os.path.join(HERE, "..", "examples", "demo_model", "inlay-demo.gguf")] + a.models
    return a


def kernels(a, target, types):
    """Shares by name: type, layout of the weights, columns."""
    shares = {}
    for layout in ("mapped", "packed"):
        for hot, columns in ((True, "1,4,16"), (False, "1,64,512")):
            text, _, _ = measuring.run([a.kernels, "--target", target, "--type", ",".join(types), "--n", columns,
                                        "--hot", str(int(hot)), "--packed", str(int(layout == "packed")),
                                        "--seconds", str(a.seconds), "--json", "1"])
            for row in json.loads(text)[1:]:  # the first is the machine
                name = f"{row['type']} {layout} n {row['n']}{' from memory' if row['cold'] else ''}"
                shares[name] = row["of_reads" if row["cold"] else "of_multiplies"]
    return shares


def engine(a, target, model):
    """Shares by name: model, test, threads."""
    shares, calibration = {}, measuring.Calibration(a.calibrate, [1, 2])
    text, _, _ = measuring.run([a.inlay, "bench", model, "-t", "1,2", "-p", "8,64,512", "-n", "32", "-r", "3", "--target",
                                target, "--json"])
    for row in json.loads(text):
        if row["test"].startswith("pp"):
            kind = "f32" if row["type"] in ("f32", "f16", "bf16") else "int8"
            limit = (row["threads"] * calibration.multiply(target, kind) * int(row["test"][2:]) / row["products"])
        else:
            limit = calibration.read(row["threads"]) / row["read_bytes_per_token"]
        shares[f"{short(model)} {row['test']} threads {row['threads']}"] = row["max"] / limit
    return shares


def short(model):
    return os.path.basename(model).removesuffix(".gguf")


def measure(a, target, only=None):
    """One round; of the types and models in `only` if given."""
    types = [t for t in a.types.split(",") if only is None or t in only]
    shares = kernels(a, target, types) if types else {}
    for model in a.models:
        if only is None or short(model) in only:
            shares |= engine(a, target, model)
    return shares


def slower(now, before):
    return {k: now[k] / v - 1 for k, v in before.items() if k in now and now[k] < (1 - SLOWER) * v}


def main():
    a = arguments()
    recorded = json.loads(measuring.file_line(a.recorded) or "{}")
    best = json.loads(measuring.run([a.inlay, "bench", a.models[0], "-t", "1", "-p", "1", "-n", "0", "-r", "1", "--json"])[0])
    targets = a.target or list(dict.fromkeys(["AVX2", best[0]["target"]]))
    status = 0
    for target in targets:
        if a.record:
            rounds = [measure(a, target) for _ in range(ROUNDS)]
            machine = measuring.machine()
            recorded[target] = {**{k: machine[k] for k in ("cpu", "cores", "date")},
                                "shares": {k: round(statistics.median(r[k] for r in rounds), 4) for k in rounds[0]}}
            continue
        before, now = recorded.get(target, {}).get("shares", {}), {}
        lost = before
        for attempt in range(1 + ROUNDS):
            if lost:
                again = measure(a, target, {name.split()[0] for name in lost} if attempt else None)
                now = {k: max(now.get(k, 0), again.get(k, 0)) for k in now | again}
                lost = slower(now, before)
        if not before:
            print(f"{target}: nothing recorded")
            continue
        print(f"{target}, recorded on {recorded[target]['cpu']}, {recorded[target]['date'][:10]}: "
              f"{len(set(now) & set(before))} compared, {len(lost)} slower by more than {SLOWER:.0%}")
        for name, change in sorted(lost.items(), key=lambda item: item[1]):
            print(f"  {change:+.0%}  {name}: {now[name]:.1%} of what the machine can do, was {before[name]:.1%}")
            status = 1
    if a.record:
        with open(a.recorded, "w", encoding="utf-8") as f:
            json.dump(recorded, f, indent=1)
            f.write("\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
