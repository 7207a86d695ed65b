#!/usr/bin/env python3
"""The plug-in of examples/hot_reload is replaced twice while it writes: the text must be the one of a host that nobody
disturbed. It writes into a pipe that has room for one piece of text, so that it gets on as this test reads.

  hot_reload_test.py HOST MODEL PLUGIN_1 PLUGIN_2
"""

import fcntl
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile

HOST, MODEL, *PLUGINS = sys.argv[1:]
F_SETPIPE_SZ = 1031  # Python 3.10 has it in fcntl


def main():
    with tempfile.TemporaryDirectory() as folder:
        plugin = pathlib.Path(folder) / "plugin.so"

        def install(source, time):
            """As a linker that writes the file elsewhere first."""
            shutil.copy(source, plugin.with_suffix(".new"))
            os.utime(plugin.with_suffix(".new"), (time, time))
            os.replace(plugin.with_suffix(".new"), plugin)

        install(PLUGINS[0], 1)
        command = [HOST, str(plugin), MODEL]
        undisturbed = subprocess.run(command, check=True, capture_output=True).stdout
        ours, theirs = os.pipe2(os.O_DIRECT)  # of packets
        fcntl.fcntl(theirs, F_SETPIPE_SZ, os.sysconf("SC_PAGESIZE"))
        with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as host:
            os.close(theirs)
            text = os.read(ours, 4096)
            for number in (1, 0):
                install(PLUGINS[number], 3 - number)
                while host.stderr not in select.select([ours, host.stderr], [], [])[0]:
                    text += os.read(ours, 4096)
                line = host.stderr.readline().decode()
                print(line, end="")
                assert f"-> version {number + 1}," in line, line
            while more := os.read(ours, 4096):
                text += more
            assert host.wait() == 0, host.stderr.read()
        assert len(text) > 100, text
        assert text == undisturbed, f"{text}\nis not\n{undisturbed}"
        left = [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f"hot_reload_{host.pid}_")]
        assert not left, left


if __name__ == "__main__":
    main()
