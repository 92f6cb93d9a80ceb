"""Live clients that write, read, watch and hold ephemerals, and remember enough to be checked later.

Each session owns one node and one ephemeral, writes an ever growing number into its node, and reads and
watches its neighbour's. What must hold whatever the proxy does meanwhile:
  - an acknowledged write is present, no write is applied twice (Stat.version counts them);
  - reads of one node through one session never go backwards;
  - a one-shot watch fires for a change, and not twice;
  - an ephemeral keeps its owner, a session never expires.
Run standalone it prints its counters until interrupted: workload.py HOST:PORT[,…] [sessions]
"""
import dataclasses
import logging
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import (ConnectionClosedError, ConnectionLoss, KazooException,
                              OperationTimeoutError, SessionExpiredError)
from kazoo.protocol.states import EventType, KazooState
from kazoo.retry import KazooRetry

from .waiting import wait_for

UNKNOWN_OUTCOME = (ConnectionLoss, ConnectionClosedError, OperationTimeoutError, SessionExpiredError)
ROOT = "/load"
START_SECONDS = 30
STOP_SECONDS = 5


class Worker:
    """One session. Its loop runs in a thread of its own; watches and states come on kazoo's threads."""

    def __init__(self, workload, index, count):
        self.path = f"{workload.root}/w{index:03}"
        self.ephemeral = f"{workload.root}/e{index:03}"
        self.neighbour = f"{workload.root}/w{(index + 1) % count:03}"
        self.session_id = None
        self.sent = self.acked = 0      # the last number sent / acknowledged
        self.acks = self.unknown = 0    # how many
        self.failed, self.backwards, self.double_events = [], [], []
        self.reads = self.events = self.suspended = self.lost = 0
        self.seen = {}                  # path -> greatest number read
        self.armed = None               # the value the pending watch was set at; None = no watch pending
        self.longest_operation = 0.0
        self._generation = 0            # of the watch: tells a second event from the event of the next watch
        self._lock = threading.Lock()   # over armed, _generation, events, double_events
        self._workload = workload
        self._delay = workload.interval * index / count  # so that not all write in the same moment
        retry = KazooRetry(max_tries=-1, delay=0.02, backoff=1.5, max_delay=0.5, max_jitter=0.1)
        self.client = KazooClient(hosts=workload.hosts, timeout=workload.timeout, connection_retry=retry)
        self.thread = threading.Thread(target=self._run, name=self.path, daemon=True)

    def begin(self):
        self.client.add_listener(self._on_state)
        self.client.start(timeout=START_SECONDS)
        self.session_id = self.client.client_id[0]
        self.client.ensure_path(self._workload.root)
        self.client.create(self.path, b"0")
        self.client.create(self.ephemeral, b"", ephemeral=True)

    def _on_state(self, state):
        if state == KazooState.SUSPENDED:
            self.suspended += 1
        elif state == KazooState.LOST and not self._workload.stopping.is_set():
            self.lost += 1

    def _run(self):
        stopping, interval = self._workload.stopping, self._workload.interval
        stopping.wait(self._delay)
        due = time.monotonic()
        while not stopping.is_set():
            self._write()
            self._read(self.neighbour)
            self._read(self.path)
            due = max(due + interval, time.monotonic() - 1.0)
            stopping.wait(max(0.0, due - time.monotonic()))

    def _timed(self, operation, *args, **options):
        began = time.monotonic()
        try:
            return operation(*args, **options)
        finally:
            self.longest_operation = max(self.longest_operation, time.monotonic() - began)

    def _write(self):
        self.sent += 1
        try:
            self._timed(self.client.set, self.path, str(self.sent).encode())
        except UNKNOWN_OUTCOME:
            self.unknown += 1
        except KazooException as trouble:
            self.failed.append(f"set {self.path}: {trouble!r}")
        else:
            self.acked = self.sent
            self.acks += 1
            self._workload.note_ack()

    def _read(self, path):
        watch = self._next_watch() if path == self.neighbour and self.armed is None else None
        try:
            data, _ = self._timed(self.client.get, path, watch=watch)
        except UNKNOWN_OUTCOME:
            self._arm(watch, None)
            return
        except KazooException as trouble:
            self.failed.append(f"get {path}: {trouble!r}")
            return
        self.reads += 1
        value = int(data)
        self._arm(watch, value)
        floor = max(self.seen.get(path, 0), self.acked if path == self.path else 0)
        if value < floor:
            self.backwards.append(f"{path}: {value} after {floor} in session {self.session_id:#x}")
        self.seen[path] = max(floor, value)

    def _next_watch(self):
        """A callback for one watch. The event may come before the read has returned."""
        self._generation += 1
        generation = self._generation
        fired = []

        def on_event(event):
            with self._lock:
                if event.type == EventType.NONE:  # connection lost: kazoo drops its watches
                    fired.append(event)
                    self._disarm(generation)
                    return
                self.events += 1
                if fired:
                    self.double_events.append(f"{event.path}: second event of one watch")
                fired.append(event)
                self._disarm(generation)
        on_event.fired = fired
        return on_event

    def _disarm(self, generation):
        if generation == self._generation:
            self.armed = None

    def _arm(self, watch, value):
        if watch is not None:
            with self._lock:
                self.armed = None if watch.fired else value

    def watch_is_missing(self, final):
        """A pending watch although the node has changed since it was set."""
        with self._lock:
            return self.armed is not None and self.armed < final


@dataclasses.dataclass
class Report:
    """What the clients saw. problems() is empty when every promise was kept."""
    sessions: int = 0
    seconds: float = 0.0
    acked: int = 0
    unknown: int = 0
    reads: int = 0
    events: int = 0
    disconnects: int = 0
    expired: int = 0
    longest_operation: float = 0.0  # seconds one call took
    longest_gap: float = 0.0        # seconds without any acknowledged write
    failed: list = dataclasses.field(default_factory=list)
    lost_writes: list = dataclasses.field(default_factory=list)
    doubled_writes: list = dataclasses.field(default_factory=list)
    lost_ephemerals: list = dataclasses.field(default_factory=list)
    backwards: list = dataclasses.field(default_factory=list)
    lost_events: list = dataclasses.field(default_factory=list)
    double_events: list = dataclasses.field(default_factory=list)

    @property
    def writes_per_second(self):
        return self.acked / self.seconds if self.seconds else 0.0

    def problems(self):
        found = [f"{self.expired} sessions expired"] if self.expired else []
        for name in ("failed", "lost_writes", "doubled_writes", "lost_ephemerals", "backwards",
                     "lost_events", "double_events"):
            found += [f"{name}: {what}" for what in getattr(self, name)]
        return found


class Workload:
    """start(), let the test do its thing, stop_writing() or verify(), stop()."""

    def __init__(self, hosts, sessions=20, *, writes_per_second=60, root=ROOT, timeout=10.0):
        self.hosts = hosts
        self.root = root
        self.timeout = timeout
        self.interval = sessions / writes_per_second
        self.stopping = threading.Event()
        self.longest_gap = 0.0
        self._last_ack = None
        self._ack_lock = threading.Lock()
        self._began = self._ended = None
        self._closed = False
        self.workers = [Worker(self, index, sessions) for index in range(sessions)]
        logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # disconnects are counted here, not logged

    def start(self):
        for worker in self.workers:
            worker.begin()
        self._began = self._last_ack = time.monotonic()
        for worker in self.workers:
            worker.thread.start()
        return self

    def note_ack(self):
        with self._ack_lock:
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - self._last_ack)
            self._last_ack = now

    def forget_stalls(self):
        """The longest times are counted from here."""
        with self._ack_lock:
            self.longest_gap, self._last_ack = 0.0, time.monotonic()
        for worker in self.workers:
            worker.longest_operation = 0.0

    @property
    def session_ids(self):
        return {worker.session_id for worker in self.workers}

    @property
    def acks(self):
        return sum(worker.acks for worker in self.workers)

    def wait_progress(self, writes=100, deadline=30):
        """Until that many more writes are acknowledged: the clients are alive now."""
        goal = self.acks + writes
        wait_for(lambda: self.acks >= goal, deadline, f"{writes} more acknowledged writes")

    def stop_writing(self):
        """Ends the loops; sessions, watches and ephemerals stay."""
        self.stopping.set()
        for worker in self.workers:
            if worker.thread.ident is not None:
                worker.thread.join(60)
                assert not worker.thread.is_alive(), f"{worker.path}: an operation never ended"
        self._ended = self._ended or time.monotonic()

    def stop(self):
        """Closes the sessions: their ephemerals go. Also works when nobody answers any more."""
        if self._closed:
            return
        self._closed = True
        self.stopping.set()
        patience = time.monotonic() + STOP_SECONDS
        started = [worker for worker in self.workers if worker.thread.ident is not None]
        for worker in started:
            worker.thread.join(max(0.0, patience - time.monotonic()))
        for worker in self.workers:
            worker.client.stop()  # fails what is still waiting for an answer
            worker.client.close()
        for worker in started:
            worker.thread.join(STOP_SECONDS)

    def verify(self, direct):
        """Stops writing and checks, with a client straight to the ensemble, what must hold."""
        self.stop_writing()
        direct.sync(self.root)
        report = Report(sessions=len(self.workers), seconds=self._ended - self._began,
                        longest_gap=self.longest_gap)
        for worker in self.workers:
            self._add_counters(report, worker)
            self._check_writes(report, worker, direct)
            self._check_ephemeral(report, worker, direct)
        self._check_watches(report)
        return report

    @staticmethod
    def _add_counters(report, worker):
        report.acked += worker.acks
        report.unknown += worker.unknown
        report.reads += worker.reads
        report.events += worker.events
        report.disconnects += worker.suspended
        report.longest_operation = max(report.longest_operation, worker.longest_operation)
        report.failed += worker.failed
        report.backwards += worker.backwards
        report.double_events += worker.double_events
        now = worker.client.client_id
        if worker.lost or (now is not None and now[0] != worker.session_id):
            report.expired += 1

    @staticmethod
    def _check_writes(report, worker, direct):
        data, stat = direct.get(worker.path)
        if not worker.acked <= int(data) <= worker.sent:
            report.lost_writes.append(f"{worker.path} is {int(data)}, acknowledged {worker.acked}")
        if stat.version < worker.acks:
            report.lost_writes.append(f"{worker.path}: {stat.version} of {worker.acks} acknowledged writes")
        if stat.version > worker.acks + worker.unknown:
            report.doubled_writes.append(f"{worker.path}: version {stat.version}, only {worker.acks} "
                                         f"acknowledged and {worker.unknown} unknown")

    @staticmethod
    def _check_ephemeral(report, worker, direct):
        stat = direct.exists(worker.ephemeral)
        if stat is None:
            report.lost_ephemerals.append(f"{worker.ephemeral} is gone")
        elif stat.ephemeralOwner != worker.session_id:
            report.lost_ephemerals.append(f"{worker.ephemeral} belongs to {stat.ephemeralOwner:#x}")

    def _check_watches(self, report):
        final = {worker.path: worker.sent for worker in self.workers}
        pairs = [(worker, final[worker.neighbour]) for worker in self.workers
                 if final[worker.neighbour] == self._acked(worker.neighbour)]

        def missing():
            return [worker for worker, value in pairs if worker.watch_is_missing(value)]
        try:
            wait_for(lambda: not missing(), 20, "every changed node's watch fires")
        except AssertionError:
            report.lost_events += [f"watch of {worker.neighbour} set at {worker.armed}"
                                   for worker in missing()]

    def _acked(self, path):
        return next(worker.acked for worker in self.workers if worker.path == path)


def source_port(client):
    """The local TCP port of kazoo's connection, None without one: another port means another connection."""
    connection = client._connection._socket  # kazoo shows it nowhere else
    try:
        return connection.getsockname()[1] if connection is not None else None
    except OSError:
        return None


def remove_tree(direct, root=ROOT):
    direct.delete(root, recursive=True)


def main(hosts, sessions):
    workload = Workload(hosts, sessions).start()
    pause = threading.Event()
    try:
        while True:
            pause.wait(1.0)
            print(f"acked={workload.acks} longest_gap={workload.longest_gap:.3f}s "
                  f"disconnects={sum(w.suspended for w in workload.workers)}", flush=True)
    except KeyboardInterrupt:
        workload.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
