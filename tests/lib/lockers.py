"""Sessions that pass locks around with kazoo's recipe: an ephemeral, sequential node and a watch on the one
before. Two holders at once, a lock that never comes and a lost connection are all remembered."""
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.states import KazooState

from .waiting import SCALE, wait_for

ROOT = "/locks"
HOLD_SECONDS = 0.02
REST_SECONDS = 0.1
START_SECONDS = 30
LAST_TURN_SECONDS = 30  # how long the last holders may take once nobody begins anew


class Lock:
    """One lock and who holds it, as seen from outside ZooKeeper: all sessions live in this process."""

    def __init__(self, path):
        self.path = path
        self.turns = 0
        self.overlaps = 0
        self._holders = 0
        self._guard = threading.Lock()

    def __enter__(self):
        with self._guard:
            self.turns += 1
            self._holders += 1
            self.overlaps += self._holders > 1

    def __exit__(self, *_):
        with self._guard:
            self._holders -= 1


class Locker:
    """One session that wants one lock again and again."""

    def __init__(self, hosts, lock, stopping, timeout):
        self.lock = lock
        self.session_id = None
        self.disconnects = 0
        self.failed = []
        self._stopping = stopping
        self.client = KazooClient(hosts=hosts, timeout=timeout)
        self.thread = threading.Thread(target=self._run, name=f"locker of {lock.path}", daemon=True)

    def begin(self):
        self.client.add_listener(self._on_state)
        self.client.start(timeout=START_SECONDS * SCALE)
        self.session_id = self.client.client_id[0]
        self.client.ensure_path(ROOT)

    def _on_state(self, state):
        if state != KazooState.CONNECTED and not self._stopping.is_set():
            self.disconnects += 1

    def _run(self):
        while not self._stopping.is_set():
            try:
                with self.client.Lock(self.lock.path), self.lock:
                    self._stopping.wait(HOLD_SECONDS)
            except KazooException as trouble:
                self.failed.append(f"lock {self.lock.path}: {trouble!r}")
            self._stopping.wait(REST_SECONDS)


class Lockers:
    """start(), wait_turns(), stop_locking() and then the counters; stop() in any case."""

    def __init__(self, hosts, sessions, *, locks=2, timeout=10.0):
        self.stopping = threading.Event()
        self.locks = [Lock(f"{ROOT}/{number}") for number in range(locks)]
        self.lockers = [Locker(hosts, self.locks[number % locks], self.stopping, timeout)
                        for number in range(sessions)]

    def start(self):
        for locker in self.lockers:
            locker.begin()
        for locker in self.lockers:
            locker.thread.start()
        return self

    @property
    def session_ids(self):
        return {locker.session_id for locker in self.lockers}

    def wait_turns(self, turns=2, deadline=30):
        """Until every lock has been given that many times more."""
        goals = [(lock, lock.turns + turns) for lock in self.locks]
        wait_for(lambda: all(lock.turns >= goal for lock, goal in goals), deadline, "every lock is passed on")

    def stop_locking(self):
        self.stopping.set()
        for locker in self.lockers:
            locker.thread.join(LAST_TURN_SECONDS * SCALE)
            if locker.thread.is_alive():
                locker.failed.append(f"lock {locker.lock.path}: waited for ever")

    def problems(self):
        found = [text for locker in self.lockers for text in locker.failed]
        return found + [f"{lock.path} had two holders {lock.overlaps} times"
                        for lock in self.locks if lock.overlaps]

    def lost_sessions(self):
        return [f"the lock holder {locker.session_id:#x} has another session now" for locker in self.lockers
                if locker.client.client_id[0] != locker.session_id]

    @property
    def disconnects(self):
        return sum(locker.disconnects for locker in self.lockers)

    def stop(self):
        self.stopping.set()
        for locker in self.lockers:
            locker.client.stop()
            locker.client.close()
