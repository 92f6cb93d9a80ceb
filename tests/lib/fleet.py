"""The hundred clients of the tests of moves. kazoo's write, read, watch, hold ephemerals and locks; raw ones
have every kind of watch, authentication and protected nodes. Afterwards: did any of them notice?"""
import dataclasses
import time

from .lockers import Lockers
from .raw_load import Swarm, mixed_roles
from .txnlog import committed
from .workload import Workload, source_port

WRITES_PER_SECOND_KAZOO = 30
RAW_INTERVAL = 0.3  # seconds: about 60 writes per second by raw sessions


@dataclasses.dataclass
class Sizes:
    """How many sessions of which kind; 100 in all."""
    workers: int = 52
    lockers: int = 8
    raw: int = 40


@dataclasses.dataclass
class Seen:
    """What the clients saw. disturbances() is empty when nobody could know that anything happened."""
    disconnects: list
    changed_ports: list
    new_sessions: list
    expired: int
    unknown: int
    broken: list            # promises not kept, texts
    streams: list           # texts: where a stream of events is not what was due
    events: int             # told to raw sessions
    doubled: int            # of them repeated by lasting watches
    acked: int
    writes_per_second: float
    longest_operation: float  # seconds, of any client
    longest_gap: float        # seconds without an acknowledged write of a kazoo client

    def disturbances(self):
        found = self.disconnects + self.changed_ports + self.new_sessions + self.broken + self.streams
        found += [f"{self.expired} sessions expired"] if self.expired else []
        return found + ([f"{self.unknown} writes of unknown outcome"] if self.unknown else [])

    def __str__(self):
        return (f"{self.acked} writes ({self.writes_per_second:.0f}/s), {self.unknown} of unknown outcome, "
                f"{len(self.disconnects)} disconnects, {self.events} events to raw sessions "
                f"({self.doubled} repeated, {len(self.streams)} streams wrong), "
                f"longest operation {self.longest_operation * 1000:.0f} ms, "
                f"longest time without a write {self.longest_gap * 1000:.0f} ms")


class Fleet:
    """Owned by the test, which ends it with stop(), whatever happened."""

    def __init__(self, address, sizes=None):
        sizes = sizes or Sizes()
        self.workload = Workload(address, sizes.workers, writes_per_second=WRITES_PER_SECOND_KAZOO)
        self.lockers = Lockers(address, sizes.lockers)
        self.swarm = Swarm(address, mixed_roles(sizes.raw, RAW_INTERVAL))
        self._ports = {}
        self._began = None

    def start(self):
        """The nodes of lib/raw_load.make_tree must be there."""
        self.workload.start()
        self.lockers.start()
        self.swarm.start()
        self._began = time.monotonic()
        self._ports = {client: source_port(client) for client in self._kazoo_clients()}
        return self

    def stop(self):
        for part in (self.workload, self.lockers, self.swarm):
            part.stop()

    def wait_progress(self):
        """Everybody does something: about a second's worth."""
        self.workload.wait_progress(WRITES_PER_SECOND_KAZOO)
        self.lockers.wait_turns()
        self.swarm.wait_progress(50)

    def forget_stalls(self):
        """The longest times are counted from here."""
        self.workload.forget_stalls()
        self.swarm.forget_stalls()

    def _kazoo_clients(self):
        return [one.client for one in (*self.workload.workers, *self.lockers.lockers)]

    @property
    def session_ids(self):
        return self.workload.session_ids | self.lockers.session_ids | self.swarm.session_ids

    def finish(self, servers, direct):
        """Stops all writing and compares; what the clients saw. direct: a client straight to the ensemble."""
        ports = {client: source_port(client) for client in self._kazoo_clients()}
        self.workload.stop_writing()
        self.lockers.stop_locking()
        self.swarm.complete()
        report = self.workload.verify(direct)
        acked = report.acked + self.swarm.acked
        verdicts = self.swarm.verdicts(committed(servers))
        moved = [f"{client.client_id} has port {ports[client]}, had {port}"
                 for client, port in self._ports.items() if ports[client] != port]
        return Seen(
            disconnects=self.swarm.disconnects + self._kazoo_disconnects(report),
            changed_ports=moved + [f"{role} has another port" for role in self.swarm.changed_ports],
            new_sessions=self.lockers.lost_sessions(),
            expired=report.expired, unknown=report.unknown + self.swarm.unknown,
            broken=report.problems() + self.lockers.problems() + self.swarm.problems,
            streams=[f"{role}: {verdict.problem}" for role, verdict in verdicts if verdict.problem],
            events=sum(verdict.told for _, verdict in verdicts),
            doubled=sum(verdict.doubled for _, verdict in verdicts), acked=acked,
            writes_per_second=acked / (time.monotonic() - self._began),
            longest_operation=max(report.longest_operation, self.swarm.longest_wait),
            longest_gap=report.longest_gap)

    def _kazoo_disconnects(self, report):
        found = [f"{report.disconnects} disconnects of kazoo's clients"] if report.disconnects else []
        count = self.lockers.disconnects
        return found + ([f"{count} disconnects of kazoo's lock holders"] if count else [])
