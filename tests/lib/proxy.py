"""A zkferryd process: its files, its life, its admin port, and what must hold when it ends."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from .metrics import Metrics
from .waiting import SCALE, wait_for

BUILD = pathlib.Path(os.environ.get("ZKFERRY_BUILD", pathlib.Path(__file__).parents[2] / "build")).resolve()
SANITIZER_TEXT = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|invariant broken:")
# What a server that has lost its leader lets go of: the write, or sync, that it waits for.
LET_GO = {"create", "create2", "create_container", "create_ttl", "delete", "delete_container", "set_data", "set_acl",
          "check", "multi", "reconfig", "sync", "close_session"}
LOG_TAIL_LINES = 150
EXIT_DEADLINE = 20


class Answer:
    """An HTTP answer: status and, when the body is JSON, its value."""

    def __init__(self, status, text):
        self.status = status
        self.text = text

    @property
    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"<{self.status} {self.text[:300]}>"


def is_explained(line):
    """Of a server.misfit: the server answered a later request, and passed over what it may let go of. Anything
    else is a mistake of the server's, or of ours."""
    return re.search(r"\bwhat=skipped\b", line) and re.search(r"\bawaited_op=(\w+)", line)[1] in LET_GO


class Proxy:
    """Owned by the test (or its fixture), which ends it with close().

    source / target: server lines. config: further top-level keys, merged over the defaults below.
    open_files: (soft, hard) limit of descriptors it is started with.
    failpoint: ZKFERRY_FAILPOINT; switches: test-only switches (both need PX_TEST_SWITCHES=ON).
    """

    def __init__(self, source, target=None, *, config=None, super_user="super:admin", confirm=(),
                 migration=None, failpoint=None, switches=(), env=None, open_files=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zkferry-proxy-"))
        self.log_path = self.directory / "log"
        self.failpoint_log = self.directory / "failpoints"
        self.config_path = self.directory / "zkferry.yaml"
        self.super_path = self.directory / "super"
        self.state_dir = self.directory / "state"
        self.clients = self.admin = None
        self.killed = False
        self.expects_misfits = False  # of every kind
        self._process = None
        self._ready_offset = 0
        self.failpoint = failpoint
        self.switches = list(switches)
        self.open_files = open_files
        self._env = dict(env or {})
        self.config = {
            "listen": {"clients": ["127.0.0.1:0"], "admin": "127.0.0.1:0"},
            "workers": 2,
            "state_dir": str(self.state_dir),
            "source": list(source),
        }
        if target:
            self.config["target"] = list(target)
            self.config["migration"] = {"kind": "migrate", "confirm": list(confirm), **(migration or {})}
        if super_user:
            self.config["credentials"] = {"super_file": str(self.super_path)}
            self._write_secret(super_user)
        self.config.update(config or {})
        self.state_dir.mkdir(mode=0o700)
        self.write_config()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, _value, _trace):
        if kind is not None:
            self.print_log()
            self.abandon()
        else:
            self.close()

    # Files

    def _write_secret(self, text):
        self.super_path.touch(mode=0o600)
        self.super_path.write_text(text + "\n")

    def write_config(self):
        """Writes self.config; reload() makes a running daemon read it."""
        lines = []
        for key, value in self.config.items():
            if key in ("source", "target"):  # a block scalar, as people paste it
                lines += [f"{key}: |", *("  " + line for line in value)]
            else:
                lines.append(f"{key}: {json.dumps(value)}")  # JSON is YAML
        self.config_path.write_text("\n".join(lines) + "\n")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # Life

    def start(self, wait=True):
        assert not self.running, "the proxy is running already"
        env = {**os.environ, **self._env}
        env.pop("ZKFERRY_FAILPOINT", None)
        if self.failpoint:
            env["ZKFERRY_FAILPOINT"] = self.failpoint
        env["ZKFERRY_FAILPOINT_LOG"] = str(self.failpoint_log)
        if self.switches:
            env["ZKFERRY_TEST_SWITCHES"] = ",".join(self.switches)
        self._ready_offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        prefix = ["prlimit", f"--nofile={self.open_files[0]}:{self.open_files[1]}"] if self.open_files else []
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [*prefix, "setpriv", "--pdeathsig", "KILL", str(BUILD / "zkferryd"), "-c", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=self.directory)
        self.killed = False
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, deadline=20):
        """Until `event=ready` of this start; learns the addresses from it."""
        def ready():
            assert self.running, f"zkferryd exited with {self._process.returncode} before it was ready"
            with open(self.log_path, "rb") as log:
                log.seek(self._ready_offset)
                text = log.read().decode("utf-8", "replace")
            return re.search(r"event=ready\b.*\n", text)
        line = wait_for(ready, deadline, "event=ready in the log")[0]
        self.clients = re.search(r'\bclients="?([^\s"]+)', line)[1]
        self.admin = re.search(r'\badmin="?([^\s"]+)', line)[1]

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    @property
    def exit_code(self):
        return self._process.poll()

    def wait_exit(self, deadline=EXIT_DEADLINE):
        wait_for(lambda: not self.running, deadline, "zkferryd exits")
        return self._process.returncode

    def kill9(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.killed = True

    def wait_stopped(self, deadline=60):
        """Until a failpoint with ":stop" has stopped the daemon; go_on() lets it go on."""
        def stopped():
            text = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
            return text.rsplit(")", 1)[1].split()[0] == "T"
        wait_for(stopped, deadline, f"the daemon stops at {self.failpoint}")

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def expect_death(self, deadline=60):
        """Waits for a failpoint to kill the daemon; that death is part of the test."""
        code = self.wait_exit(deadline)
        self.killed = True
        return code

    def signal_end(self):
        """SIGTERM, without waiting for what it does."""
        self._process.terminate()

    def terminate(self, deadline=EXIT_DEADLINE):
        """SIGTERM must end it cleanly, within the deadline."""
        self._process.terminate()
        code = self.wait_exit(deadline)
        assert code == 0, f"zkferryd exited with {code} after SIGTERM"

    def restart(self, **start_options):
        """Clean stop (unless it is dead already) and start on the same files; ports may change."""
        if self.running:
            self.terminate()
        return self.start(**start_options)

    def pin_ports(self):
        """Writes the ports it got into the config, so that clients find it again after a restart."""
        self.config["listen"] = {"clients": self.clients.split(","), "admin": self.admin}
        self.write_config()

    def close(self):
        """The teardown every test gets: a clean exit and a clean log."""
        try:
            if self.running:
                self.terminate()
            elif self._process is not None and not self.killed:
                assert self._process.returncode == 0, f"zkferryd had exited with {self._process.returncode}"
            self.assert_clean_log()
        finally:
            if self.running:
                self.kill9()
            shutil.rmtree(self.directory, ignore_errors=True)

    def abandon(self):
        """The end after a failure: nothing is asserted any more."""
        self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)

    def assert_clean_log(self):
        text = self.log()
        trouble = SANITIZER_TEXT.search(text)
        assert not trouble, f"in the log: {text[trouble.start():trouble.start() + 4000]}"
        assert not re.search(r"\blvl=fatal\b", text), "lvl=fatal in the log"
        misfits = [line for line in text.splitlines()
                   if "event=server.misfit" in line and not self.expects_misfits and not is_explained(line)]
        assert not misfits, f"a reply of a server that fits nothing: {misfits[0]}"

    # Asking it

    def get(self, path, timeout=10.0):
        return self._request("GET", path, None, timeout)

    def post(self, path, body=None, timeout=10.0):
        return self._request("POST", path, body, timeout)

    def _request(self, method, path, body, timeout):
        connection = http.client.HTTPConnection(self.admin, timeout=timeout * SCALE)
        try:
            payload = json.dumps(body) if body is not None else None
            headers = {"Content-Type": "application/json"} if payload else {}
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode("utf-8"))
        finally:
            connection.close()

    def status(self):
        answer = self.get("/v1/status")
        assert answer.status == 200, answer
        return answer.json

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        return Metrics(answer.text)

    def cli(self, *args, deadline=30):
        """Runs zkferry against this daemon; returns the CompletedProcess with text output."""
        return subprocess.run([str(BUILD / "zkferry"), "--admin", f"http://{self.admin}", *args],
                              capture_output=True, text=True, timeout=deadline * SCALE, check=False)

    def reload(self):
        return self.post("/v1/reload")

    def hangup(self):
        os.kill(self.pid, signal.SIGHUP)

    def rss_kb(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])

    # The plan

    def start_migration(self):
        answer = self.post("/v1/migration/start")
        assert answer.status in (200, 202), answer
        return answer

    def wait_phase(self, *phases, deadline=120):
        """Until the plan is in one of these phases; a failed plan ends the wait at once."""
        def reached():
            status = self.status()
            if status["phase"] in phases:
                return status
            assert status["phase"] != "failed", f"the plan failed: {json.dumps(status, indent=1)}"
            return None
        return wait_for(reached, deadline, f"phase {' or '.join(phases)}")

    def print_log(self, stream=None):
        tail = "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:])
        print(f"--- zkferryd ---\n{tail}", file=stream or sys.stderr)
