"""One real ZooKeeper server process from Debian's packages, and how to ask it things."""
import dataclasses
import os
import pathlib
import re
import signal
import socket
import subprocess

from .waiting import SCALE, wait_for

CLASSPATH = ":".join("/usr/share/java/" + jar for jar in
                     ("zookeeper.jar", "slf4j-simple.jar", "netty-codec.jar", "servlet-api.jar"))
JVM = ["-Xss256k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
       "-Dorg.slf4j.simpleLogger.logFile=System.out", "-Dorg.slf4j.simpleLogger.showDateTime=true",
       "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
LOG_TAIL_LINES = 60
WORD_SECONDS = 20  # only bounds a hang: a busy machine may take long to answer
GLANCE_SECONDS = 3  # the same where no answer is an answer, so that frozen servers cost no more


class NotServing(Exception):
    """A server answers, but not as a member that serves: it may be about to."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A membership: as /zookeeper/config prints it, or as a server says it uses it."""
    members: dict  # id -> whole line "server.N=…"
    version: int

    @classmethod
    def parse(cls, text):
        members = {int(m[1]): m[0] for m in re.finditer(r"^server\.(\d+)=\S+", text, re.M)}
        version = re.search(r"^version=([0-9a-f]+)", text, re.M)
        return cls(members, int(version[1], 16) if version else -1)

    @property
    def ids(self):
        return set(self.members)


class Server:
    """Owned by its Ensemble. Every signal goes to the one pid started here."""

    def __init__(self, sid, directory, host, ports, properties, heap_mb):
        self.id = sid
        self.directory = directory
        self.host = host
        self.client_port, self.quorum_port, self.election_port = (ports.take(host) for _ in range(3))
        self._properties = properties
        self._heap_mb = heap_mb
        self._process = None
        self.exit_code = None

    @property
    def line(self):
        """The server in ZooKeeper's own syntax, as it goes into dynamic files and the proxy's YAML."""
        host = bracketed(self.host)
        return (f"server.{self.id}={host}:{self.quorum_port}:{self.election_port}:participant;"
                f"{host}:{self.client_port}")

    @property
    def address(self):
        return f"{bracketed(self.host)}:{self.client_port}"

    @property
    def pid(self):
        return self._process.pid if self._process else None

    @property
    def configured(self):
        return (self.directory / "zoo.cfg").exists()

    @property
    def static_line(self):
        """The same as most people write it, with clientPort= beside it."""
        return self.line.partition(";")[0].removesuffix(":participant")

    def write_files(self, zoo_cfg, dynamic):
        """Static and dynamic file and myid. Afterwards the server itself rewrites them."""
        self._write_static(zoo_cfg, [f"dynamicConfigFile={self.directory / 'zoo.cfg.dynamic'}"])
        (self.directory / "zoo.cfg.dynamic").write_text("\n".join(dynamic) + "\n")

    def write_static_file(self, zoo_cfg, members):
        """One file and myid, as before there was reconfig; the first committed config makes the server split it."""
        self._write_static(zoo_cfg, [f"clientPort={self.client_port}", f"clientPortAddress={self.host}", *members])

    def _write_static(self, zoo_cfg, more):
        (self.directory / "data").mkdir(parents=True)
        (self.directory / "data" / "myid").write_text(f"{self.id}\n")
        lines = [f"{key}={value}" for key, value in zoo_cfg.items() if value is not None]
        lines += [f"dataDir={self.directory / 'data'}", *more]
        (self.directory / "zoo.cfg").write_text("\n".join(lines) + "\n")

    def start(self):
        assert not self.running, f"server {self.id} is running already"
        properties = [f"-D{key}={value}" for key, value in self._properties.items() if value is not None]
        # pdeathsig: a test run killed with -9 leaves no server behind.
        command = ["setpriv", "--pdeathsig", "KILL", "java", f"-Xmx{self._heap_mb}m", *JVM, *properties,
                   "-cp", CLASSPATH, MAIN, str(self.directory / "zoo.cfg")]
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=subprocess.STDOUT, cwd=self.directory)
        self.exit_code = None

    @property
    def running(self):
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        self._process, self.exit_code = None, code
        return False

    def stop(self):
        """SIGTERM and wait; SIGKILL when it does not go."""
        if not self.running:
            return
        os.kill(self.pid, signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process, self.exit_code = None, self._process.returncode

    def kill9(self):
        """A server that dies between creating a log and writing its header can't start again (ZooKeeper 3.8)."""
        if self.running:
            logs = self.directory / "data" / "version-2"
            wait_for(lambda: all(log.stat().st_size for log in logs.glob("log.*")), 20, "no empty log")
            self._process.kill()
            self._process.wait()
            self._process, self.exit_code = None, -signal.SIGKILL

    def freeze(self):
        """Returns when it stands still: until a thread of its own has taken the signal the others work on."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_for(lambda: all(is_stopped(task) for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()), 20,
                 f"server {self.id} is stopped")

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def restart(self):
        self.stop()
        self.start()

    def wait_exit(self, deadline):
        wait_for(lambda: not self.running, deadline, f"server {self.id} exits")
        return self.exit_code

    def word(self, word, timeout=WORD_SECONDS):
        """A four-letter word's raw answer; OSError when nobody listens."""
        return four_letter_word(self.host, self.client_port, word, timeout)

    def mode(self, timeout=GLANCE_SECONDS):
        """leader, follower, … or None while the server does not serve."""
        if not self.running:
            return None
        try:
            found = re.search(r"^Mode: (\S+)", self.word("srvr", timeout), re.M)
        except OSError:
            return None
        return found[1] if found else None

    def zxid(self):
        return int(re.search(r"^Zxid: 0x([0-9a-f]+)", self.word("srvr"), re.M)[1], 16)

    def active(self):
        """The membership this server really counts with (protocol.md §5: only `conf` shows it)."""
        text = self.word("conf")
        if "membership:" not in text:  # no AssertionError: who waits for a membership goes on waiting
            raise NotServing(f"server {self.id} shows no membership: {text[:200]!r}")
        return Config.parse(text[text.index("membership:"):])

    def sessions(self):
        """Session ids attached to this server, from its own `cons`."""
        return {int(sid, 16) for sid in re.findall(r"sid=0x([0-9a-f]+)", self.word("cons"))}

    def log_tail(self):
        path = self.directory / "log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-LOG_TAIL_LINES:])


def is_stopped(task):
    """One thread, by its row in /proc; those that end meanwhile are no trouble either."""
    try:
        text = (task / "stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return True
    return text.rsplit(")", 1)[1].split()[0] in "TtXZ"


def bracketed(host):
    """As it stands before a port."""
    return f"[{host}]" if ":" in host else host


def four_letter_word(host, port, word, timeout=WORD_SECONDS):
    with socket.create_connection((host, port), timeout * SCALE) as connection:
        connection.sendall(word.encode("ascii"))
        answer = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return answer.decode("utf-8", "replace")
            answer += part
