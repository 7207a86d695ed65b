"""What the measuring scripts share: running programs, what the machine is and can do."""
import datetime
import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time


def run(command, may_fail=False):
    """(output, seconds from start to end, peak memory in bytes) of a program. One that fails ends this one too, unless
    it may: then the output is None."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            if may_fail:
                return None, seconds, 0
            sys.exit(f"{shlex.join(command)}\nexited with {process.returncode}: {errors.read().strip()[-500:]}")
        return out.read(), seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def shown(command):
    """The command as a line, with file names for absolute paths: those say nothing to another reader."""
    return re.sub(r"(?<![^\s:'\"=])(?:/[^\s/:'\"]+)*/([^\s/:'\"]+)", r"\1", shlex.join(command))


class Calibration:
    """What bench_calibrate measured, once."""

    def __init__(self, program, threads):
        text, _, _ = run([program, *map(str, sorted(set(threads)))])
        self.json = json.loads(text)

    def read(self, threads, streams=4):
        return next(r["rate"] for r in self.json["read_bytes_per_second"]
                    if (r["threads"], r["streams"]) == (threads, streams))

    def multiply(self, target, kind):
        """Products per second of one core; of the best target that is known if `target` is not."""
        rates = self.json["products_per_second"]
        if not rates:
            return None
        return rates.get(target, next(iter(rates.values())))[kind]

    def drift(self, other):
        """The largest relative change between two calibrations: of reading in four streams and of multiplying."""
        pairs = [(a["rate"], b["rate"]) for a, b in
                 zip(self.json["read_bytes_per_second"], other.json["read_bytes_per_second"]) if a["streams"] == 4]
        for target, rates in self.json["products_per_second"].items():
            pairs += [(rate, other.json["products_per_second"][target][kind]) for kind, rate in rates.items()]
        return max(abs(a - b) / min(a, b) for a, b in pairs)


def file_line(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().strip()
    except OSError:
        return None


def cpu():
    """(name, instruction sets) as the system gives them."""
    name, flags = platform.processor() or platform.machine(), ""
    for line in (file_line("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        if key.strip() in ("flags", "Features"):
            flags = value.strip()
    return name, flags


def machine():
    name, flags = cpu()
    here = os.path.dirname(os.path.abspath(__file__))
    commit = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": name, "cpu_flags": flags, "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "governor": file_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "huge_pages": file_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load": os.getloadavg(), "commit": commit.stdout.strip() or None}


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def program_beside(program, name):
    """`name` in the folder of `program`, where the build puts both."""
    return os.path.join(os.path.dirname(program) or ".", name)
