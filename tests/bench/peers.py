"""What stands between generator and server (nothing, HAProxy, nginx, the floor, zkferryd), and the stub.

Each is one process with one thread for its clients, started in the foreground with a directory of its own.
"""
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.request

from lib.metrics import Metrics
from lib.ports import Ports
from lib.proxy import BUILD
from lib.waiting import wait_for

HERE = pathlib.Path(__file__).parent
PROGRAMS = BUILD / "tests"
READY_SECONDS = 60  # under callgrind everything takes fifty times as long
STOP_SECONDS, STOP_TRIES = 5, 6


class Program:
    """Owned by whoever made it, who ends it with stop(); it dies with this process in any case."""

    name = None
    ends_by_stdin = False

    def __init__(self, prefix=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zkferry-bench-"))
        self.address = None
        self._ports = Ports()
        self._prefix = list(prefix)
        self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self._process.pid

    @property
    def log_path(self):
        return self.directory / "log"

    def _run(self, command, stdout=None):
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._prefix, *map(str, command)], stdin=subprocess.PIPE,
                stdout=stdout or log, stderr=log, cwd=self.directory, text=True)

    def _wait(self, condition, what):
        def ready():
            assert self._process.poll() is None, f"{self.name} exited: {self.log_path.read_text()[-2000:]}"
            return condition()
        try:
            return wait_for(ready, READY_SECONDS, f"{self.name}: {what}")
        except BaseException:  # nobody else will end what never began
            self.stop()
            raise

    def stop(self):
        """Ends it in its own way, so that tools around it can write their results; returns its stdout."""
        output = None
        if self._process is not None:
            output = self._end()
            self._process = None
        self._ports.release()
        shutil.rmtree(self.directory, ignore_errors=True)
        return output

    def _end(self):
        """Asks again: under valgrind nginx may miss a signal that comes just before its epoll_wait."""
        for _ in range(STOP_TRIES):
            if not self.ends_by_stdin:
                self._process.terminate()
            try:
                return self._process.communicate(timeout=STOP_SECONDS)[0]
            except subprocess.TimeoutExpired:
                pass
        self._process.kill()
        self._process.communicate()
        raise AssertionError(f"{self.name} did not end")

    def _listens(self):
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 1):
            return True

    def _take_address(self):
        self.address = f"127.0.0.1:{self._ports.take()}"

    def _fill_in(self, name, upstream):
        """A committed configuration with this run's addresses."""
        text = (HERE / "peers" / name).read_text()
        for key, value in {"LISTEN": self.address, "UPSTREAM": upstream, "DIRECTORY": self.directory}.items():
            text = text.replace(f"@{key}@", str(value))
        path = self.directory / name
        path.write_text(text)
        return path


class Announcing(Program):
    """One of our own programs: says its address on stdout and ends when stdin closes."""

    ends_by_stdin = True

    def __init__(self, command, prefix=()):
        super().__init__(prefix)
        self._run(command, stdout=subprocess.PIPE)
        line = self._wait(self._process.stdout.readline, "says its address")
        self.address = json.loads(line)["address"]


class Stub(Announcing):
    name = "stub"

    def __init__(self, *options):
        super().__init__([PROGRAMS / "bench_stub", *options])

    def counts(self):
        """Ends it; what it was asked."""
        return json.loads(self.stop())


class Floor(Announcing):
    name = "floor"

    def __init__(self, upstream, prefix=()):
        super().__init__([PROGRAMS / "bench_forward", "127.0.0.1:0", upstream], prefix)


class Haproxy(Program):
    name = "haproxy"

    def __init__(self, upstream, prefix=()):
        super().__init__(prefix)
        self._take_address()
        self._run(["haproxy", "-db", "-f", self._fill_in("haproxy.cfg", upstream)])
        self._wait(self._listens, "listens")


class Nginx(Program):
    name = "nginx"

    def __init__(self, upstream, prefix=()):
        super().__init__(prefix)
        self._take_address()
        config = self._fill_in("nginx.conf", upstream)
        self._run(["nginx", "-p", self.directory, "-e", "stderr", "-c", config])
        self._wait(self._listens, "listens")


class Zkferry(Program):
    """zkferryd with its defaults (guard, watches, histograms on), but one worker."""

    name = "zkferryd"

    def __init__(self, upstream, prefix=(), workers=1):
        super().__init__(prefix)
        self._take_address()
        self._admin = f"127.0.0.1:{self._ports.take()}"
        config = self.directory / "zkferry.yaml"
        config.write_text("\n".join([
            f'listen: {{clients: ["{self.address}"], admin: "{self._admin}"}}',
            f"workers: {workers}",
            f"state_dir: {self.directory}",
            "source: |",
            f"  server.1=127.0.0.1:1:2:participant;{upstream}", ""]))
        self._run([BUILD / "zkferryd", "-c", config])
        self._wait(lambda: self.metrics().value("zkferry_server_admitted") == 1, "admits clients")
        self._wait(self._listens, "listens")

    def metrics(self):
        with urllib.request.urlopen(f"http://{self._admin}/metrics", timeout=10) as answer:
            return Metrics(answer.read().decode())


class Direct:
    """No peer at all: the generator talks to the server."""

    name = "direct"
    pid = None

    def __init__(self, upstream):
        self.address = upstream

    def stop(self):
        """Nothing was started."""


PROXIES = (Haproxy, Nginx, Floor, Zkferry)


class Stage:
    """One of each in front of one server, all at the same time; idle ones cost next to nothing."""

    def __init__(self, upstream):
        self.peers = [Direct(upstream)]
        try:
            for make in PROXIES:
                self.peers.append(make(upstream))
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for peer in self.peers:
            peer.stop()
