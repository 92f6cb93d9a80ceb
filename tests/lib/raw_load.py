"""Many raw sessions driven by one thread, which play the roles of lib/raw_roles.py at once.

begin() connects them all, complete() ends the streams when the writers are quiet, verdicts() compares what
each session was told with the servers' transactions.
"""
import functools
import itertools
import selectors
import threading
import time

from .raw import EXISTS, GET_DATA
from .raw_roles import Role, Script, Watcher, flickering, growing, reading, renewing, setting
from .raw_session import GET_CHILDREN, Session, digest_acl
from .waiting import wait_for
from .watch_oracle import PERSISTENT, RECURSIVE, judge

ROOT = "/raw"
TURN_SECONDS = 0.005
RETRY_SECONDS = 0.05
DIRECTORIES = ("set", "new", "flick", "dir", "tree", "secret")
NODES = 3  # of each kind


class Swarm:
    """Owned by the test, which ends it with stop(). Its thread alone touches the sessions until then."""

    def __init__(self, address, roles, *, authenticated=True, timeout_ms=10000):
        self.problems = []
        self.sessions = [Session(address, role, timeout_ms=timeout_ms, authenticated=authenticated,
                                 log_problem=self.problems.append) for role in roles]
        self.first_ports = {}
        self._selector = selectors.DefaultSelector()
        self._retries = {}  # session -> when
        self._is_quiet = self._is_completing = self._forgets = self._ends = False
        self._is_hushed = False  # the thread has seen _is_quiet: no role begins anything from here on
        self._thread = threading.Thread(target=self._run, name="swarm", daemon=True)

    # For the test's thread

    def start(self):
        for session in self.sessions:
            self._open(session)
        self._thread.start()
        wait_for(lambda: self._all(lambda s: s.is_ready), 30, "all raw sessions are ready")
        self.first_ports = {session: session.port for session in self.sessions}
        return self

    def wait_progress(self, writes=100, deadline=30):
        goal = self.acked + writes
        wait_for(lambda: self.acked >= goal, deadline, f"{writes} more acknowledged writes of raw sessions")

    def wait_told(self, events, deadline=30):
        """Until every watcher has been told that often: a quick machine makes its moves before much happens."""
        watchers = [session for session in self.sessions if isinstance(session.role, Watcher)]
        wait_for(lambda: all(session.told >= events for session in watchers), deadline,
                 f"{events} events for every watcher")

    def quiet(self):
        """No role begins anything any more; what is under way ends."""
        self._is_quiet = True
        wait_for(lambda: self._is_hushed, 30, "the swarm's thread knows it")
        wait_for(lambda: self._all(lambda s: s.is_over or (s.is_ready and s.outstanding == 0)), 30,
                 "nothing is outstanding in raw sessions")

    def complete(self):
        """Ends every stream behind all that was committed before. Other writers must be quiet, too."""
        if not self._is_quiet:
            self.quiet()
        self._is_completing = True
        wait_for(lambda: self._all(lambda s: s.is_over or s.is_complete), 30, "every raw session's sync")

    def forget_stalls(self):
        """The longest wait is counted from here."""
        self._forgets = True
        wait_for(lambda: not self._forgets, 30, "the swarm's thread has forgotten the longest waits")

    def stop(self):
        self._ends = True
        if self._thread.ident is not None:
            self._thread.join(10)
        for session in self.sessions:
            session.close()
        self._selector.close()

    def _all(self, condition):
        assert self._thread.is_alive(), "the swarm's thread has died"
        return all(condition(session) for session in self.sessions)

    # What it saw

    @property
    def acked(self):
        return sum(session.acked for session in self.sessions)

    @property
    def session_ids(self):
        return {session.session_id for session in self.sessions}

    @property
    def disconnects(self):
        return [text for session in self.sessions for text in session.disconnects]

    @property
    def changed_ports(self):
        return [str(session.role) for session, port in self.first_ports.items() if session.port != port]

    @property
    def unknown(self):
        return sum(session.unknown for session in self.sessions)

    @property
    def longest_wait(self):
        return max(session.longest_wait for session in self.sessions)

    def verdicts(self, txns):
        """[(role, Verdict)], one for every connection there was."""
        return [(str(session.role), judge(stream, txns))
                for session in self.sessions for stream in session.streams]

    # The loop

    def _run(self):
        while not self._ends:
            self._obey()
            for key, _ in self._selector.select(TURN_SECONDS):
                if not key.data.receive():
                    self._closed(key.data)
            now = time.monotonic()
            for session in self.sessions:
                self._turn(session, now)

    def _obey(self):
        """What the test's thread wants, between two turns: nothing of a turn is half done."""
        self._is_hushed = self._is_quiet
        if self._forgets:
            for session in self.sessions:
                session.longest_wait = 0.0
            self._forgets = False

    def _turn(self, session, now):
        if session in self._retries:
            if now >= self._retries[session]:
                self._open(session)
            return
        session.flush()
        session.ping_if_idle(now)
        if session.is_ready and not self._is_hushed:
            session.role.tick(session, now)
        if self._is_completing and session.is_ready and not session.is_completing:
            session.complete()

    def _open(self, session):
        self._retries.pop(session, None)
        try:
            session.connect()
        except OSError:
            self._retries[session] = time.monotonic() + RETRY_SECONDS
            return
        self._selector.register(session.socket, selectors.EVENT_READ, session)

    def _closed(self, session):
        self._selector.unregister(session.socket)
        session.close()
        self._retries[session] = float("inf") if session.is_over else time.monotonic() + RETRY_SECONDS


def make_tree(direct):
    """The nodes all roles rely on; whatever a load before has left goes."""
    if direct.exists(ROOT):
        direct.delete(ROOT, recursive=True)
    for name in DIRECTORIES:
        direct.ensure_path(f"{ROOT}/{name}")


def nodes(directory):
    return [f"{ROOT}/{directory}/{number}" for number in range(NODES)]


def writers(interval):
    """14 sessions; about 24 writes per interval."""
    secret = digest_acl()
    kinds = (("setter", setting, "set"), ("renewer", renewing, "new"), ("flicker", flickering, "flick"))
    roles = [Script(f"{name} {path}", functools.partial(script, path), interval)
             for name, script, directory in kinds for path in nodes(directory)]
    set_path, new_path, flick_path = nodes("secret")
    roles += [Script("secret setter", lambda: setting(set_path, secret), interval),
              Script("secret renewer", lambda: renewing(new_path, secret), interval),
              Script("secret flicker", lambda: flickering(flick_path, secret), interval)]
    for directory in ("dir", "tree"):
        path, numbers = f"{ROOT}/{directory}", itertools.count()
        script = functools.partial(growing, path, numbers)
        roles.append(Script(f"grower {path}", script, interval))
    return roles


def one_shot_reads():
    """A read for every node that changes, and for the directory whose children do."""
    reads = {path: GET_DATA for name in ("set", "new", "secret") for path in nodes(name)}
    reads |= {path: EXISTS for path in (*nodes("flick"), nodes("secret")[2])}
    return reads | {f"{ROOT}/{name}": GET_CHILDREN for name in ("dir", "flick", "secret")}


def watchers(count):
    """Sessions with one-shot, persistent, recursive and mixed watches, in turn."""
    tree = f"{ROOT}/tree"
    persistent = (tree, f"{ROOT}/dir", *nodes("secret"), *nodes("new"))
    kinds = [lambda: Watcher("one-shot watcher", one_shot_reads()),
             lambda: Watcher("persistent watcher", lasting=[(PERSISTENT, path) for path in persistent]),
             lambda: Watcher("recursive watcher", lasting=[(RECURSIVE, ROOT)]),
             lambda: Watcher("one-shot and recursive watcher", one_shot_reads(), [(RECURSIVE, tree)])]
    return [kinds[number % len(kinds)]() for number in range(count)]


def mixed_roles(count, interval=0.2):
    """`count` roles: the writers, readers, idle clients and, half of all, watchers."""
    roles = writers(interval)
    roles += watchers(count // 2)
    everywhere = [path for name in ("set", "new", "secret") for path in nodes(name)]
    while len(roles) < count:
        reader = Script("reader", lambda: reading(everywhere), interval / 4)
        roles.append(reader if len(roles) % 2 else Role("idle"))
    return roles[:count]
