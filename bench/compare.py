#!/usr/bin/env python3
"""Compare inlay's speed with llama.cpp's, on the same GGUF files.

    compare.py --inlay build/bin/inlay --llama llama-bench --out result.json model-Q4_0.gguf …

The machine's speed drifts, so the programs take turns: inlay, llama.cpp, llama.cpp, inlay (A B B A; with
several settings of llama.cpp: A B C C B A), `--rounds` times, each turn a process of its own that warms up
before it measures. Printed are medians over all turns, in tokens per second, and the ratio of inlay to
llama.cpp at whichever of its settings is the faster for that test. A ratio is also taken in each
round by itself: the least and the greatest of those say how much to trust it.

Both programs are measured by the same rules: ppN reads N tokens into an empty cache and computes the last
one's logits; tgN writes N tokens, one at a time, without sampling. Cache in F16, batches of 512.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys


def numbers(text):
    return [int(part) for part in text.split(",")]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", metavar="MODEL.gguf")
    p.add_argument("--inlay", default="build/bin/inlay", help="the program inlay (%(default)s)")
    p.add_argument("--llama", default="llama-bench", metavar="COMMAND",
                   help="llama.cpp's llama-bench, with leading arguments if need be (%(default)s)")
    p.add_argument("--llama-model-dir", metavar="HOST:SEEN",
                   help="where llama-bench sees the models, if it runs in a container or chroot")
    p.add_argument("--llama-settings", action="append", metavar="ARGUMENTS",
                   help="a setting of llama-bench to try, such as '-fa off'; may be given several times "
                        "(its defaults, and '-fa off')")
    p.add_argument("-t", "--threads", type=numbers, default=[1, 2], metavar="N,…")
    p.add_argument("-p", "--prompt", type=int, default=512, metavar="N", help="tokens to read; 0: none")
    p.add_argument("-n", "--generate", type=int, default=64, metavar="N", help="tokens to write; 0: none")
    p.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    p.add_argument("--out", metavar="FILE", help="write everything as JSON")
    p.add_argument("--at-least", type=float, metavar="RATIO", help="exit with 1 if a ratio is below this")
    a = p.parse_args()
    if a.llama_settings is None:
        a.llama_settings = ["", "-fa off"]
    return a


def shown(command):
    """The command as a line, with file names for absolute paths: those say nothing to another reader."""
    return re.sub(r"(?<![^\s:'\"=])(?:/[^\s/:'\"]+)*/([^\s/:'\"]+)", r"\1", shlex.join(command))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}\nexited with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def run_inlay(a, model, threads):
    """One turn: ({test: tokens per second}, the command, the program's own rows)."""
    command = [a.inlay, "bench", model, "-t", str(threads), "-p", str(a.prompt), "-n", str(a.generate),
               "-r", "1", "--json"]
    rows = json.loads(run(command))
    return {row["test"]: row["tokens_per_second"] for row in rows}, command, rows


def run_llama(a, model, threads, setting):
    seen = os.path.abspath(model)
    if a.llama_model_dir:
        host, there = a.llama_model_dir.split(":", 1)
        seen = os.path.join(there, os.path.relpath(seen, os.path.abspath(host)))
    command = shlex.split(a.llama) + ["-m", seen, "-t", str(threads), "-p", str(a.prompt), "-n",
                                      str(a.generate), "-r", "1", "-o", "json"] + shlex.split(setting)
    rows = json.loads(run(command))
    speeds = {}
    for row in rows:
        name = f"tg{row['n_gen']}" if row["n_gen"] else f"pp{row['n_prompt']}"
        speeds[name] = statistics.median(row["samples_ts"])
    return speeds, command, rows


def cpu():
    try:
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def first_line(path):
    try:
        return open(path, encoding="utf-8").read().strip()
    except OSError:
        return None


def main():
    a = arguments()
    programs = ["inlay"] + [("llama.cpp " + s).strip() for s in a.llama_settings]
    tests = [f"pp{a.prompt}"] * (a.prompt > 0) + [f"tg{a.generate}"] * (a.generate > 0)
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shown(sys.argv),
        "cpu": cpu(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}",
        "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_before": os.getloadavg(), "rounds": a.rounds, "commands": {}, "versions": {}, "results": []}
    if report["load_before"][0] > 0.5:
        print(f"note: the machine is busy (load {report['load_before'][0]:.1f}); figures will be low and unsteady",
              file=sys.stderr)

    columns = ["model", "test", "threads"] + programs + ["ratio", "of rounds"]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    worst = float("inf")
    for model in a.models:
        for threads in a.threads:
            # samples[test][program]: one list per round, two turns each
            samples = {test: {program: [[] for _ in range(a.rounds)] for program in programs} for test in tests}
            for r in range(a.rounds):
                for i in [*range(len(programs)), *reversed(range(len(programs)))]:
                    if i == 0:
                        speeds, command, rows = run_inlay(a, model, threads)
                        report["versions"]["inlay"] = {k: rows[0][k] for k in ("inlay", "target")}
                    else:
                        speeds, command, rows = run_llama(a, model, threads, a.llama_settings[i - 1])
                        report["versions"]["llama.cpp"] = {
                            k: rows[0].get(k) for k in ("build_commit", "build_number")}
                    report["commands"][programs[i]] = shown(command)
                    for test in tests:
                        samples[test][programs[i]][r].append(speeds[test])
            for test in tests:
                medians = {p: statistics.median(x for turn in samples[test][p] for x in turn) for p in programs}
                best = max(programs[1:], key=medians.get)
                ratio = medians["inlay"] / medians[best]
                by_round = [statistics.mean(samples[test]["inlay"][r]) / statistics.mean(samples[test][best][r])
                            for r in range(a.rounds)]
                worst = min(worst, ratio)
                name = os.path.basename(model)
                print("| " + " | ".join(
                    [name, test, str(threads)] + [f"{medians[p]:.2f}" for p in programs]
                    + [f"{ratio:.2f}", f"{min(by_round):.2f} – {max(by_round):.2f}"]) + " |", flush=True)
                report["results"].append({
                    "model": name, "test": test, "threads": threads, "tokens_per_second": medians,
                    "llama_best": best, "ratio": ratio, "ratio_by_round": by_round, "samples": samples[test]})
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            json.dump(report, f, indent=1)
            f.write("\n")
    return 1 if a.at_least is not None and worst < a.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
