#!/usr/bin/env python3
"""Compare inlay's speed with llama.cpp's, on the same GGUF files.

    compare.py --inlay build/bin/inlay --llama llama-bench --out result model-Q4_0.gguf …

The machine's speed drifts, so the programs take turns: inlay, llama.cpp, llama.cpp, inlay (A B B A; with
several settings: A B C C B A; a setting that cannot run is left out), `--rounds` times, each turn a process
of its own. Before and after each round a calibration measures what the machine reads and multiplies; rounds in which that changed by more
than 5 % do not count, unless fewer than half would be left. Printed are medians over all turns, in tokens
per second, for each program at whichever of its settings is the best in that test, and their ratio. A ratio
is also taken in each round by itself: the least and the greatest of those say how much to trust it.

Both programs are measured by the same rules: ppN reads N tokens into the cache and computes the last one's
logits; tgN writes N tokens, one at a time, without sampling; "@ dN" with N tokens in the cache already.
Batches as each makes them unless told otherwise (256 tokens, 512). "cold" is the time from the start of the
process to its end for one prompt, with the file in the page cache. Peak memory is the process's, mapped pages
of the file included; less than this script's own 25 MiB cannot be told.

"of limit" is the share of what the machine can do: in writing, the bytes that a token must read, over what
as many threads read from memory in four streams; in reading, the products that the prompt needs, over what
the cores multiply with the best instruction of the SIMD target that inlay used.

--out NAME writes NAME.md (the table), NAME.json (everything needed to repeat and to check it) and NAME.svg.
"""
import argparse
import json
import os
import shlex
import statistics
import sys

import measuring
import picture

DRIFT = 0.05


def numbers(text):
    return [int(part) for part in text.split(",")]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", metavar="MODEL.gguf")
    p.add_argument("--inlay", default="build/bin/inlay", help="the program inlay (%(default)s)")
    p.add_argument("--inlay-settings", action="append", metavar="ARGUMENTS",
                   help="a setting of 'inlay bench' to try; may be given several times (its defaults, and "
                        "'--weights packed' if it has that)")
    p.add_argument("--llama", default="llama-bench", metavar="COMMAND",
                   help="llama.cpp's llama-bench, with leading arguments if need be; '' measures inlay alone (%(default)s)")
    p.add_argument("--llama-model-dir", metavar="HOST:SEEN",
                   help="where llama-bench sees the models, if it runs in a container or chroot")
    p.add_argument("--llama-settings", action="append", metavar="ARGUMENTS",
                   help="a setting of llama-bench to try, such as '-fa off'; may be given several times "
                        "(its defaults, and '-fa off')")
    p.add_argument("--calibrate", metavar="PROGRAM", help="bench_calibrate (the one beside inlay)")
    p.add_argument("-t", "--threads", type=numbers, default=[1, 2], metavar="N,…")
    p.add_argument("-p", "--prompt", type=numbers, default=[512], metavar="N,…", help="tokens to read; 0: none (512)")
    p.add_argument("-n", "--generate", type=numbers, default=[64], metavar="N,…", help="tokens to write; 0: none (64)")
    p.add_argument("-d", "--depth", type=numbers, default=[0], metavar="N,…", help="tokens in the cache before (0)")
    p.add_argument("--kv", type=lambda text: text.split(","), default=["f16"], metavar="TYPE,…",
                   help="types of the KV cache (f16)")
    p.add_argument("--cold", type=int, default=0, metavar="N", help="also a cold start with a prompt of N tokens")
    p.add_argument("--no-warmup", action="store_true", help="in both programs; put a short prompt first in -p then")
    p.add_argument("--rounds", type=int, default=6, help="(%(default)s)")
    p.add_argument("--out", metavar="NAME", help="write NAME.md, NAME.json and NAME.svg")
    p.add_argument("--at-least", type=float, metavar="RATIO", help="exit with 1 if a ratio is below this")
    a = p.parse_args()
    if a.inlay_settings is None:
        has_packed = "--weights" in measuring.run([a.inlay, "bench", "--help"])[0]
        a.inlay_settings = ["", "--weights packed"] if has_packed else [""]
    if a.llama_settings is None:
        a.llama_settings = ["", "-fa off"]
    a.calibrate = a.calibrate or measuring.program_beside(a.inlay, "bench_calibrate")
    return a


class Inlay:
    engine = "inlay"

    def __init__(self, a, setting):
        self.a, self.setting = a, setting.split()
        self.name = " ".join(["inlay", *self.setting])
        self.version = None
        self.work = {}  # by test: what inlay says of it

    def command(self, model, threads, prompt, generate, depth, kv, no_warmup):
        return ([self.a.inlay, "bench", model, "-t", joined(threads), "-p", joined(prompt), "-n", joined(generate),
                 "-d", joined(depth), "--kv", kv, "-r", "1", "--json"]
                + ["--no-warmup"] * no_warmup + self.setting)

    def speeds(self, output):
        result = {}
        for row in json.loads(output):
            test = (row["test"], row["kv"], row["threads"])
            self.version = {k: row[k] for k in ("inlay", "target")}
            self.work[test] = row
            result[test] = row["tokens_per_second"]
        return result


class Llama:
    engine = "llama.cpp"

    def __init__(self, a, setting):
        self.a, self.setting = a, setting.split()
        self.name = " ".join(["llama.cpp", *self.setting])
        self.version = None

    def command(self, model, threads, prompt, generate, depth, kv, no_warmup):
        if self.a.llama_model_dir:
            host, there = self.a.llama_model_dir.split(":", 1)
            model = os.path.join(there, os.path.relpath(os.path.abspath(model), os.path.abspath(host)))
        return (shlex.split(self.a.llama)
                + ["-m", model, "-t", joined(threads), "-p", joined(prompt), "-n", joined(generate), "-d",
                   joined(depth), "-ctk", kv, "-ctv", kv, "-r", "1", "-o", "json"]
                + ["--no-warmup"] * no_warmup + self.setting)

    def speeds(self, output):
        result = {}
        for row in json.loads(output):
            name = f"tg{row['n_gen']}" if row["n_gen"] else f"pp{row['n_prompt']}"
            if row.get("n_depth"):
                name += f" @ d{row['n_depth']}"
            self.version = {k: row.get(k) for k in ("build_commit", "build_number", "cpu_info", "backends")}
            result[name, row["type_k"], row["n_threads"]] = statistics.median(row["samples_ts"])
        return result


def joined(values):
    return ",".join(map(str, values))


class Samples:
    """Of one model: for each test and program a list for each round."""

    def __init__(self, programs, rounds):
        self.programs, self.rounds = programs, rounds
        self.tests = {}     # (test, kv, threads): {program: [[…] for each round]}
        self.peak = {}      # (kv, program): bytes, the most of all turns
        self.commands = {}
        self.failed = set()  # (kv, program): settings that cannot run
        self.calibrations = []

    def add(self, test, program, r, value):
        of = self.tests.setdefault(test, {p.name: [[] for _ in range(self.rounds)] for p in self.programs})
        of[program.name][r].append(value)

    def drift(self, r):
        return self.calibrations[r].drift(self.calibrations[r + 1])

    def kept(self):
        steady = [r for r in range(self.rounds) if self.drift(r) <= DRIFT]
        return steady if 2 * len(steady) >= self.rounds else list(range(self.rounds))


def measure(a, model, programs):
    s = Samples(programs, a.rounds)
    s.calibrations.append(measuring.Calibration(a.calibrate, a.threads))
    for r in range(a.rounds):
        for program in programs + programs[::-1]:
            for kv in a.kv:
                command = program.command(model, a.threads, a.prompt, a.generate, a.depth, kv, a.no_warmup)
                if (kv, program.name) in s.failed:
                    continue
                output, _, peak = measuring.run(command, may_fail=bool(program.setting))
                if output is None:  # such as llama.cpp's quantized cache without flash attention
                    s.failed.add((kv, program.name))
                    continue
                s.commands[f"{program.name}, {kv}"] = measuring.shown(command)
                s.peak[kv, program.name] = max(peak, s.peak.get((kv, program.name), 0))
                for test, speed in program.speeds(output).items():
                    s.add(test, program, r, speed)
            if a.cold:
                for threads in a.threads:
                    command = program.command(model, [threads], [a.cold], [0], [0], a.kv[0], True)
                    _, seconds, _ = measuring.run(command)
                    s.commands[f"{program.name}, cold"] = measuring.shown(command)
                    s.add((f"cold{a.cold}", a.kv[0], threads), program, r, a.cold / seconds)
        s.calibrations.append(measuring.Calibration(a.calibrate, a.threads))
    return s


def limit(calibration, work, threads):
    """Tokens per second that the machine allows in a test, as `inlay bench` describes it."""
    if work["test"].startswith("tg"):
        return calibration.read(threads) / work["read_bytes_per_token"]
    rate = calibration.multiply(work["target"], "f32" if work["type"] in ("f32", "f16", "bf16") else "int8")
    return rate and threads * rate / (work["products"] / int(work["test"].split()[0][2:]))


def evaluate(model, s):
    """The rows of the table, for one model."""
    rows, kept = [], s.kept()
    for (test, kv, threads), samples in s.tests.items():
        samples = {p: rounds for p, rounds in samples.items() if all(rounds)}
        medians = {p: statistics.median(x for r in kept for x in rounds[r]) for p, rounds in samples.items()}
        best = {}
        for program in s.programs:
            if medians.get(program.name, 0) > medians.get(best.get(program.engine), 0):
                best[program.engine] = program.name
        ours, theirs = best.get("inlay"), best.get("llama.cpp")
        if ours is None:
            continue
        row = {"model": os.path.basename(model), "test": test, "kv": kv, "threads": threads,
               "tokens_per_second": medians, "best": best, "samples": samples}
        if theirs:
            by_round = [statistics.mean(samples[ours][r]) / statistics.mean(samples[theirs][r]) for r in kept]
            row |= {"ratio": medians[ours] / medians[theirs], "ratio_by_round": by_round}
        work = s.programs[0].work.get((test, kv, threads))
        limits = [limit(c, work, threads) for c in s.calibrations] if work else []
        if limits and all(limits):
            row["limit"] = statistics.median(limits)
            row["of_limit"] = {engine: medians[name] / row["limit"] for engine, name in best.items()}
        rows.append(row)
    return rows


def percent(share):
    return "" if share is None else f"{100 * share:.0f} %"


def speed_table(rows):
    lines = ["| model | test | cache | threads | inlay | llama.cpp | ratio | of rounds | of limit: inlay | llama.cpp |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        def cell(engine):
            name = row["best"].get(engine)
            if name is None:
                return ""
            setting = name[len(engine):].strip()
            return f"{row['tokens_per_second'][name]:.2f}" + (f" ({setting})" if setting else "")
        by_round = row.get("ratio_by_round")
        share = row.get("of_limit", {})
        lines.append("| " + " | ".join([
            row["model"], row["test"], row["kv"], str(row["threads"]), cell("inlay"), cell("llama.cpp"),
            f"{row['ratio']:.2f}" if by_round else "",
            f"{min(by_round):.2f} – {max(by_round):.2f}" if by_round else "",
            percent(share.get("inlay")), percent(share.get("llama.cpp"))]) + " |")
    return "\n".join(lines)


def memory_table(memory):
    lines = ["| model | cache | program | peak MiB | more than file and cache, MiB |", "|---|---|---|---|---|"]
    for m in memory:
        extra = m["peak_bytes"] - m["file_bytes"] - m["kv_bytes"]
        lines.append(f"| {m['model']} | {m['kv']} | {m['program']} | {m['peak_bytes'] / 2**20:.0f} | {extra / 2**20:.0f} |")
    return "\n".join(lines)


def tables(report):
    return speed_table(report["results"]) + "\n\n" + memory_table(report["memory"])


def write(name, report):
    with open(name + ".json", "w", encoding="utf-8") as f:
        json.dump(report, f, indent=1)
        f.write("\n")
    with open(name + ".md", "w", encoding="utf-8") as f:
        f.write(f"{report['cpu']}, {report['cores']} cores, {report['date'][:10]}, "
                f"{report['versions']['inlay']['target']}\n\n{tables(report)}\n")
    with open(name + ".svg", "w", encoding="utf-8") as f:
        f.write(picture.draw(report))


def main():
    a = arguments()
    report = {**measuring.machine(), "command": measuring.shown(sys.argv), "rounds": a.rounds,
              "models": [], "commands": {}, "versions": {}, "results": [], "memory": [], "calibrations": {}}
    if report["load"][0] > 0.5:
        print(f"note: the machine is busy (load {report['load'][0]:.1f}); figures will be low and unsteady",
              file=sys.stderr)
    programs = [Inlay(a, s) for s in a.inlay_settings] + [Llama(a, s) for s in a.llama_settings if a.llama]
    left_out = []
    for model in a.models:
        s = measure(a, model, programs)
        rows = evaluate(model, s)
        name, size = os.path.basename(model), os.path.getsize(model)
        if not rows:
            left_out.append(name)
            print(f"{name}: inlay runs it with none of its settings", file=sys.stderr)
            continue
        kv_bytes = max(w["kv_bytes"] for w in programs[0].work.values())
        report["models"].append({"name": name, "bytes": size, "sha256": measuring.sha256(model)})
        report["results"] += rows
        report["memory"] += [{"model": name, "kv": kv, "program": p, "peak_bytes": peak, "file_bytes": size,
                              "kv_bytes": kv_bytes} for (kv, p), peak in s.peak.items()]
        report["commands"] |= s.commands
        report["calibrations"][name] = {
            "samples": [c.json for c in s.calibrations], "kept_rounds": s.kept(),
            "drift": [round(s.drift(r), 4) for r in range(a.rounds)]}
        dropped = a.rounds - len(s.kept())
        if dropped:
            print(f"{name}: {dropped} of {a.rounds} rounds dropped, the machine changed by more than 5 %", file=sys.stderr)
        elif max(s.drift(r) for r in range(a.rounds)) > DRIFT:
            print(f"{name}: the machine changed by more than 5 % in most rounds; all are counted", file=sys.stderr)
        report["versions"] = {p.engine: p.version for p in programs}
        if a.out:
            write(a.out, report)  # with each model: a long run may be ended
    print(tables(report))
    worst = min((row["ratio"] for row in report["results"] if "ratio" in row), default=float("inf"))
    return 1 if left_out or a.at_least is not None and worst < a.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
