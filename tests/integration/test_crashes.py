"""Servers that die (kill -9) or hang (SIGSTOP) under load: who was not waiting for a write notices nothing.

What was due is seen by a client connected straight to a server that stays. A session's client is closed only
when the outcome of its own write is unknown, and when it would otherwise believe in its session for longer
than the ensemble does.
"""
import functools
import time

import pytest
from kazoo.exceptions import NodeExistsError
from kazoo.retry import KazooRetry

from lib.drains import wait_admitted
from lib.livesession import (CHILDREN_CHANGED, CREATED, DATA_CHANGED, GET_CHILDREN, KazooSession, LiveSession,
                             assert_undisturbed)
from lib.raw import CLOSE, EXISTS, GET_DATA, Closed, RawClient, ustring
from lib.waiting import wait_for

SERVERS = (1, 2, 3)
ROOT, NOW, LATER, NEW, COUNTER, DOUBT = "/c", "/c/now", "/c/later", "/c/new", "/c/counter", "/c/doubt"
NO_NODE = -101
CLOSED, REQUESTS = "zkferry_client_closed_total", "zkferry_requests_total"
QUICK_PROBES = {"interval": "500ms", "plan_interval": "200ms", "timeout": "1s", "admin_server_port": 0}
# A busy machine's pauses are no hangs: neither for libraries, which wait for half of two thirds of it …
SESSION_SECONDS = 15
# … nor for servers. A hung leader is given up well before a third of that is over.
QUICK_SYNC = {"syncLimit": 5}
RECOVERY_SECONDS = 60


@pytest.fixture
def sessions():
    """make(class, …): sessions that are closed at the end, also when the test failed."""
    made = []

    def make(kind, *args, **options):
        made.append(kind(*args, **options))
        return made[-1]
    yield make
    for session in made:
        session.close()


class Scene:
    """Three servers, the proxy, and every kind of session on each of the servers."""

    def __init__(self, ensemble, proxy, sessions):
        self.ensemble, self.proxy = ensemble, proxy
        with ensemble.client() as direct:
            for path in (ROOT, NOW, LATER, DOUBT):
                direct.create(path)
            direct.create(COUNTER, b"0")
        wait_admitted(proxy, *SERVERS)
        on_each = functools.partial(attached, ensemble, proxy, sessions, dict.fromkeys(SERVERS, 1))
        self.idle = on_each(LiveSession)
        self.readers = on_each(LiveSession, reads=COUNTER)
        self.idle_kazoos = on_each(KazooSession)
        self.reading_kazoos = on_each(KazooSession, reads=COUNTER)
        self.writers = on_each(LiveSession)
        self.raw = self.idle + self.readers
        self.kazoos = self.idle_kazoos + self.reading_kazoos
        self.quiet = self.raw + self.kazoos
        self.watch_everything()

    def watch_everything(self):
        for session in self.raw:
            assert session.watch(EXISTS, NEW) == NO_NODE
            for opcode, path in ((GET_DATA, NOW), (GET_DATA, LATER), (GET_CHILDREN, ROOT)):
                assert session.watch(opcode, path) == 0
        for session in self.kazoos:
            session.watch_data(NOW)
            session.watch_data(LATER)

    @property
    def ids(self):
        return {session.id for session in self.quiet}

    def spread(self, victim, load):
        """The victim has at least one session of each kind: else the test shows nothing."""
        attached = self.ensemble[victim].sessions()
        kinds = {name: {session.id for session in getattr(self, name)}
                 for name in ("idle", "readers", "idle_kazoos", "reading_kazoos", "writers")}
        kinds["load"] = load.session_ids
        missing = [name for name, ids in kinds.items() if not ids & attached]
        assert not missing, f"server {victim} has no {missing}"

    def writers_on(self, sid):
        attached = self.ensemble[sid].sessions()
        return [session for session in self.writers if session.id in attached]

    def go_elsewhere(self, ids, left):
        """Until these sessions are on the servers left; ends at once when a quiet one is disturbed."""
        def missing():
            assert_undisturbed(self.quiet)
            return ids - set().union(*(self.ensemble[sid].sessions() for sid in left))
        wait_for(lambda: not missing(), RECOVERY_SECONDS, f"`cons` of {left} list all {len(ids)} sessions")

    def change_later(self, direct):
        """What the watches that have outlived the fault must still show."""
        insist(direct.set, LATER, b"1")
        insist_on_node(direct, NEW)

    def events_arrived(self):
        """Each one-shot watch's event, exactly once."""
        raw = sorted([(DATA_CHANGED, NOW), (DATA_CHANGED, LATER), (CREATED, NEW), (CHILDREN_CHANGED, ROOT)])
        for session in self.raw:
            wait_for(lambda s=session: len(s.events) >= len(raw), 30, f"events of {session.id:#x}")
            assert sorted(session.events) == raw
        for session in self.kazoos:
            wait_for(lambda s=session: len(s.events) >= 2, 30, f"events of {session.id:#x}")
            assert sorted(session.events) == [("CHANGED", LATER), ("CHANGED", NOW)]

    def everybody_goes_on(self):
        before = {session: session.read_count for session in self.readers + self.reading_kazoos}
        wait_for(lambda: all(session.read_count > count for session, count in before.items()), 30,
                 "reads go on")
        for session in self.quiet:
            assert session.set(NOW, b"own") == 0
        assert_undisturbed(self.quiet)


@pytest.fixture
def scene(make_ensemble, make_proxy, sessions):
    ensemble = make_ensemble(cfg=QUICK_SYNC).start()
    proxy = make_proxy(ensemble.lines(SERVERS), config={"probes": QUICK_PROBES})
    return Scene(ensemble, proxy, sessions)


# Who ends the connection of a writer: we, when its server is gone; the writer itself may do it first when its
# server only hangs, because the server may still answer.
ENDED_BY = {"kill": {"unknown_outcome"}, "hang": {"unknown_outcome", "client_gone"}}


def client_ends(proxy):
    """{reason: how often the proxy closed a client, or saw it go}; without words, which are no clients."""
    closed = proxy.metrics().by_label(CLOSED, "reason")
    return {reason: count for reason, count in closed.items() if count and reason != "word"}


def losses_of_unknowns(load, proxy, fault, doubtful):
    """One connection loss for each write left unknown, at most one per writer, and nobody else closed.

    doubtful: sessions with a write that nobody will answer. kazoo counts loss and unknown write in two threads,
    and the proxy counts by itself: so all is waited for until it agrees. Returns the number of losses.
    """
    def disagreement():
        texts = [f"{worker.path}: {worker.suspended} losses, {worker.unknown} unknown writes"
                 for worker in load.workers if not worker.suspended == worker.unknown <= 1]
        texts += [f"session {session.id:#x} is not lost" for session in doubtful if not session.lost]
        losses = len(doubtful) + sum(worker.suspended for worker in load.workers)
        closed = client_ends(proxy)
        if not closed.keys() <= ENDED_BY[fault] or sum(closed.values()) != losses:
            texts.append(f"{losses} losses, closed {closed}")
        return texts
    try:
        wait_for(lambda: not disagreement(), RECOVERY_SECONDS, "")
    except AssertionError:
        assert disagreement() == []
    return len(doubtful) + sum(worker.suspended for worker in load.workers)


def resumed(ensemble, victim, survivor):
    """The victim runs again and has what the others had at that moment."""
    zxid = ensemble[survivor].zxid()
    ensemble[victim].thaw()
    wait_for(lambda: ensemble[victim].mode() == "follower" and ensemble[victim].zxid() >= zxid,
             RECOVERY_SECONDS, f"server {victim} follows again")


def insist(operation, *args):
    """A client straight to a server may lose its connection with the leader: then once more."""
    KazooRetry(max_tries=-1, delay=0.05, backoff=1)(operation, *args)


def insist_on_node(direct, path):
    """The same for a create: one whose reply was lost may have made the node."""
    try:
        insist(direct.create, path)
    except NodeExistsError:
        pass


def strike(server, fault):
    (server.kill9 if fault == "kill" else server.freeze)()


def choose(ensemble, role):
    """(the victim, those that are left)"""
    victim = ensemble.leader() if role == "leader" else ensemble.followers()[0]
    return victim, [sid for sid in SERVERS if sid != victim]


def crash(scene, make_workload, role, fault):
    ensemble, proxy = scene.ensemble, scene.proxy
    load = make_workload(proxy.clients, sessions=9, writes_per_second=90, timeout=SESSION_SECONDS)
    load.wait_progress(45)
    victim, left = choose(ensemble, role)
    scene.spread(victim, load)
    # Where the writers of the load stand at that moment is luck, and nobody kept may be a writer.
    doubtful = scene.writers_on(victim) if fault == "hang" else []
    with ensemble.client(left[0]) as direct:
        strike(ensemble[victim], fault)
        for session in doubtful:
            session.begin_set(DOUBT, b"1")
        insist(direct.set, NOW, b"1")
        scene.go_elsewhere(scene.ids | load.session_ids, left)
        load.wait_progress(90)
        scene.change_later(direct)
        scene.events_arrived()
        losses = losses_of_unknowns(load, proxy, fault, doubtful)
        if fault == "hang":
            resumed(ensemble, victim, left[0])
            load.wait_progress(90)
        scene.everybody_goes_on()
        report = load.verify(direct)
    assert report.problems() == []
    after = losses_of_unknowns(load, proxy, fault, doubtful)
    assert after == losses, "the resumed server cost a connection"
    print(f"{fault} of the {role}: {losses} of {len(load.workers) + len(doubtful)} writers lost their connection; "
          f"longest operation {report.longest_operation * 1000:.0f} ms")


LIMIT = pytest.mark.limit(240)
FAULTS = [(role, fault) for fault in ("kill", "hang") for role in ("follower", "leader")]


@LIMIT
@pytest.mark.parametrize("role,fault", FAULTS)
def test_a_server_is_lost_under_load(scene, make_workload, role, fault):
    crash(scene, make_workload, role, fault)


@LIMIT
@pytest.mark.full
@pytest.mark.parametrize("_turn", range(5))
@pytest.mark.parametrize("role,fault", FAULTS)
def test_again_and_again(scene, make_workload, role, fault, _turn):
    crash(scene, make_workload, role, fault)


def attached(ensemble, proxy, sessions, wanted, kind, timeout=SESSION_SECONDS, **options):
    """Makes sessions of that kind until each of these servers has so many of them ({id: count}); all of them."""
    made = []

    def enough():
        made.append(sessions(kind, proxy.clients, timeout=timeout, **options))
        ids = {session.id for session in made}
        return all(len(ids & ensemble[sid].sessions()) >= count for sid, count in wanted.items())
    wait_for(enough, 30, f"sessions on servers {wanted}")
    return made


def on_server(ensemble, proxy, sessions, sid, count, **options):
    """Exactly that many sessions which are attached to this server; there may be others elsewhere."""
    wait_admitted(proxy, *SERVERS)
    made = attached(ensemble, proxy, sessions, {sid: count}, LiveSession, **options)
    there = ensemble[sid].sessions()
    found = [session for session in made if session.id in there]
    assert len(found) == count
    return found


class Unanswered:
    """Three sessions with requests that a frozen server will never answer, and an idle one beside them."""

    def __init__(self, proxy, victim, quartet):
        self.writer, self.closer, self.reader, self.idle = quartet
        assert [session.watch(GET_DATA, ROOT) for session in quartet] == [0] * 4
        victim.freeze()
        self.lost = [self.writer.begin_set(NOW, b"1"), self.closer.begin(CLOSE)]
        self.reads = [self.reader.begin(opcode, ustring(path) + b"\1")
                      for opcode, path in ((GET_DATA, NOW), (EXISTS, NEW))]
        for opcode in ("set_data", "close_session", "get_data", "exists"):
            wait_for(lambda o=opcode: proxy.metrics().value(REQUESTS, server=str(victim.id), opcode=o), 20,
                     f"{opcode} is with server {victim.id}")

    def events_arrived(self):
        due = sorted([(DATA_CHANGED, NOW), (DATA_CHANGED, ROOT), (CREATED, NEW)])
        wait_for(lambda: len(self.reader.events) >= len(due) and self.idle.events, 30, "the watches fire")
        assert sorted(self.reader.events) == due
        assert self.idle.events == [(DATA_CHANGED, ROOT)]


@pytest.mark.sanitizer
@pytest.mark.parametrize("role", ["follower", "leader"])
def test_what_a_dead_server_left_unanswered(ensemble, make_proxy, sessions, role):
    """Frozen first, so that nothing is answered; then killed. Reads are asked again, writes never."""
    victim, left = choose(ensemble, role)
    with ensemble.client(left[0]) as direct:
        direct.create(ROOT)
        direct.create(NOW, b"0")
        proxy = make_proxy(ensemble.lines(SERVERS))
        open_ones = Unanswered(proxy, ensemble[victim], on_server(ensemble, proxy, sessions, victim, 4))
        ensemble[victim].kill9()
        assert [request.result()[0] for request in open_ones.reads] == [0, NO_NODE]
        for request in open_ones.lost:
            with pytest.raises(Closed):
                request.result()
        assert_writer_comes_back(proxy, open_ones.writer, direct)
        insist_on_node(direct, NEW)
        insist(direct.set, ROOT, b"")
        open_ones.events_arrived()
    assert_undisturbed([open_ones.reader, open_ones.idle])
    closed = proxy.metrics().by_label(CLOSED, "reason")
    assert closed["unknown_outcome"] + closed["close_session"] == len(open_ones.lost)
    assert closed["unknown_outcome"] >= 1 and closed["server_gone"] == 0


def assert_writer_comes_back(proxy, writer, direct):
    """The same session; the write that the frozen server cannot have read was not done by anybody else."""
    with RawClient(proxy.clients) as again:
        assert again.resume(writer.client) == writer.id
        assert again.set(NOW, b"2") == 0
    insist(direct.sync, NOW)
    data, stat = direct.get(NOW)
    assert (data, stat.version) == (b"2", 1)


HOLDER_SECONDS = 6
# What a proxy may need longer: the hung servers' clock is the same, dead ones must refuse first.
LATER_SECONDS = {"hang": 1.0, "kill": 2.0}


def seconds_until_lost(ensemble, sessions, fault):
    """How long each connection outlives the last proof of its session, taken just before all servers go."""
    for session in sessions:
        assert session.call(EXISTS, ustring("/") + b"\0")[0] == 0
    began = time.monotonic()
    for sid in SERVERS:
        strike(ensemble[sid], fault)
    wait_for(lambda: all(session.lost for session in sessions), 60, "all know it")
    return [session.lost[0] - began for session in sessions]


@pytest.mark.parametrize("fault", ["hang", "kill"])
def test_a_lock_holder_learns_it_as_early_as_without_us(ensemble, make_proxy, sessions, fault):
    """The whole ensemble is gone: nobody may hold on to a lock that the ensemble would give to another."""
    proxy = make_proxy(ensemble.lines(SERVERS), config={"probes": QUICK_PROBES})
    holders = [sessions(LiveSession, address, timeout=HOLDER_SECONDS)
               for address in (ensemble.addresses(), proxy.clients)]
    for number, holder in enumerate(holders):
        assert holder.client.timeout_ms == HOLDER_SECONDS * 1000
        assert holder.create_ephemeral(f"/lock{number}") == 0
    direct, proxied = seconds_until_lost(ensemble, holders, fault)
    print(f"{fault} of all: connection lost after {direct:.2f} s directly, {proxied:.2f} s through the proxy")
    assert proxied <= direct + LATER_SECONDS[fault]
    assert proxied < HOLDER_SECONDS, "its session could have expired before"
