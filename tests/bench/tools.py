"""Measuring tools around a process: the load generator, strace, callgrind, the kernel's memory accounting."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from lib.waiting import wait_for

from .peers import PROGRAMS

LOAD_DEADLINE = 600
IDLE_TIMEOUT_MS = 40000
REST_SECONDS = 2  # zkferryd gives back what a burst needed within two of its ticks, a second


def _options(options):
    return [text for key, value in options.items() if value is not None
            for text in ("--" + key.replace("_", "-"), str(value))]


def load(mode, *addresses, **options):
    """Runs bench_load to its end; its reports, one per line. A failed run is no measurement: it raises."""
    done = subprocess.run([str(PROGRAMS / "bench_load"), mode, *addresses, *_options(options)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LOAD_DEADLINE,
                          check=False)
    assert done.returncode == 0, f"bench_load {mode} {options}: {done.stderr.strip()}"
    return [json.loads(line) for line in done.stdout.splitlines()]


class Holding:
    """bench_load hold as a context: sessions that are there; report() says what they saw since the last."""

    def __init__(self, address, **options):
        options.setdefault("timeout_ms", IDLE_TIMEOUT_MS)
        command = ["setpriv", "--pdeathsig", "KILL", str(PROGRAMS / "bench_load"), "hold", address]
        self._process = subprocess.Popen(command + _options(options), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._read()  # ready

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        _, text = self._process.communicate(timeout=60)
        assert kind is not None or self._process.returncode == 0, f"bench_load hold: {text.strip()}"

    def _read(self):
        line = self._process.stdout.readline()
        assert line, f"bench_load hold: {self._process.stderr.read().strip()}"
        return json.loads(line)

    def report(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()


def anonymous_bytes(pid):
    """User-space memory of its own: heap, stacks; not program text, not the kernel's socket buffers."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Anonymous:\s+(\d+) kB", text, re.M)[1]) * 1024


def resting_bytes(pid):
    """The same of a process at rest: when nothing was given back for a while after what it had to do."""
    lowest, since = anonymous_bytes(pid), time.monotonic()

    def is_at_rest():
        nonlocal lowest, since
        now = anonymous_bytes(pid)
        if now < lowest:
            lowest, since = now, time.monotonic()
        return time.monotonic() - since >= REST_SECONDS
    wait_for(is_at_rest, 60, f"memory of {pid} at rest")
    return anonymous_bytes(pid)


def system_calls(peer, work):
    """{name: calls} of a running peer while work() lasts."""
    table = peer.directory / "strace"
    command = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(table), "-p", str(peer.pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        line = tracer.stderr.readline()  # "strace: Process N attached" (with M threads)
        assert "attached" in line, f"strace: {line}"
        wait_for(lambda: _all_traced(peer.pid), 10, "strace has all threads")
        work()
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
    return {name: int(calls) for calls, name in re.findall(r"^\s*(\d+)\s+(\w+)$", table.read_text(), re.M)
            if name != "total"}


def _all_traced(pid):
    statuses = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status")]
    return all(re.search(r"^TracerPid:\s+[1-9]", text, re.M) for text in statuses)


class Instructions:
    """A peer under callgrind, as a context. count() says what work made it execute in user space."""

    def __init__(self, make, upstream):
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="zkferry-callgrind-"))
        out = self._directory / "out"
        try:
            self.peer = make(upstream, prefix=["valgrind", "--tool=callgrind", "--separate-threads=yes",
                                               f"--callgrind-out-file={out}"])
        except BaseException:
            shutil.rmtree(self._directory)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.stop()
        shutil.rmtree(self._directory)

    def _command(self, command):
        subprocess.run(["vgdb", f"--pid={self.peer.pid}", command], check=True, capture_output=True,
                       timeout=60)

    def count(self, work):
        """Of the busiest thread: the one that serves clients. What others do by the clock does not repeat."""
        self._command("zero")
        work()
        before = set(self._directory.iterdir())
        self._command("dump")
        dumps = set(self._directory.iterdir()) - before  # one per thread
        sums = [re.search(r"^(?:summary|totals): (\d+)", dump.read_text(), re.M) for dump in dumps]
        assert sums and all(sums), f"callgrind left no sum for {self.peer.name}"
        return max(int(found[1]) for found in sums)
