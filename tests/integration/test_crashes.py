"""Servers that die (kill -9) or hang (SIGSTOP) under load: who was not waiting for a write notices nothing.

What was due is seen by a client connected straight to a server that stays. A session's client is closed only
when the outcome of its own write is unknown, and when it would otherwise believe in its session for longer
than the ensemble does.
"""
import time

import pytest
from kazoo.retry import KazooRetry

from lib.livesession import (CHILDREN_CHANGED, CREATED, DATA_CHANGED, GET_CHILDREN, KazooSession, LiveSession,
                             assert_undisturbed)
from lib.raw import CLOSE, EXISTS, GET_DATA, Closed, RawClient, ustring
from lib.waiting import wait_for

SERVERS = (1, 2, 3)
ROOT, NOW, LATER, NEW, COUNTER = "/c", "/c/now", "/c/later", "/c/new", "/c/counter"
CLOSED, REQUESTS = "zkferry_client_closed_total", "zkferry_requests_total"
QUICK_PROBES = {"interval": "500ms", "plan_interval": "200ms", "timeout": "1s", "admin_server_port": 0}
# A hung leader is given up after this many ticks: well before a third of the sessions' 10 s is over.
QUICK_SYNC = {"syncLimit": 3}
RECOVERY_SECONDS = 30


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
            for path in (ROOT, NOW, LATER):
                direct.create(path)
            direct.create(COUNTER, b"0")
        address = proxy.clients
        self.idle = [sessions(LiveSession, address) for _ in SERVERS]
        self.readers = [sessions(LiveSession, address, reads=COUNTER) for _ in SERVERS]
        self.kazoos = [sessions(KazooSession, address, COUNTER) for _ in SERVERS]
        self.quiet = self.idle + self.readers + self.kazoos
        for session in self.idle + self.readers:
            assert session.watch(EXISTS, NEW) != 0
            for opcode, path in ((GET_DATA, NOW), (GET_DATA, LATER), (GET_CHILDREN, ROOT)):
                assert session.watch(opcode, path) == 0
        for session in self.kazoos:
            session.watch_data(NOW)
            session.watch_data(LATER)

    @property
    def ids(self):
        return {session.id for session in self.quiet}

    def spread(self, kinds, victim):
        """The victim has at least one session of each kind."""
        attached = self.ensemble[victim].sessions()
        missing = [name for name, ids in kinds.items() if not ids & attached]
        assert not missing, f"server {victim} has no {missing}"

    def go_elsewhere(self, ids, left):
        """Until these sessions are on the servers left; ends at once when a quiet one is disturbed."""
        def missing():
            assert_undisturbed(self.quiet)
            return ids - set().union(*(self.ensemble[sid].sessions() for sid in left))
        wait_for(lambda: not missing(), RECOVERY_SECONDS, f"`cons` of {left} list all {len(ids)} sessions")

    def change_later(self, direct):
        """What the watches that have outlived the fault must still show."""
        direct.set(LATER, b"1")
        direct.create(NEW)

    def events_arrived(self):
        """Each one-shot watch's event, exactly once."""
        raw = sorted([(DATA_CHANGED, NOW), (DATA_CHANGED, LATER), (CREATED, NEW), (CHILDREN_CHANGED, ROOT)])
        for session in self.idle + self.readers:
            wait_for(lambda s=session: len(s.events) >= len(raw), 10, f"events of {session.id:#x}")
            assert sorted(session.events) == raw
        for session in self.kazoos:
            wait_for(lambda s=session: len(s.events) >= 2, 10, f"events of {session.id:#x}")
            assert sorted(session.events) == [("CHANGED", LATER), ("CHANGED", NOW)]

    def everybody_writes(self):
        for session in self.quiet:
            assert session.set(NOW, b"own") == 0

    def everybody_reads(self):
        before = {session: session.read_count for session in self.readers + self.kazoos}
        wait_for(lambda: all(session.read_count > count for session, count in before.items()), 10,
                 "reads go on")


@pytest.fixture
def scene(make_ensemble, make_proxy, sessions):
    ensemble = make_ensemble(cfg=QUICK_SYNC).start()
    proxy = make_proxy(ensemble.lines(SERVERS), config={"probes": QUICK_PROBES})
    return Scene(ensemble, proxy, sessions)


def assert_writers_lost_only_unknowns(load, proxy):
    """One connection loss for each write left unknown, at most one per writer, and nobody else closed."""
    for worker in load.workers:
        assert worker.suspended == worker.unknown <= 1, \
            f"{worker.path}: {worker.suspended} losses, {worker.unknown} unknown writes"
    losses = sum(worker.suspended for worker in load.workers)
    closed = {reason: count for reason, count in proxy.metrics().by_label(CLOSED, "reason").items() if count}
    closed.pop("word", None)
    assert closed == ({"unknown_outcome": losses} if losses else {})
    return losses


def resumed(ensemble, victim, survivor):
    """The victim runs again and has what the others had at that moment."""
    zxid = ensemble[survivor].zxid()
    ensemble[victim].thaw()
    wait_for(lambda: ensemble[victim].mode() == "follower" and ensemble[victim].zxid() >= zxid,
             RECOVERY_SECONDS, f"server {victim} follows again")


def crash(scene, make_workload, role, fault):
    ensemble, proxy = scene.ensemble, scene.proxy
    load = make_workload(proxy.clients, sessions=9, writes_per_second=90)
    load.wait_progress(45)
    leader = ensemble.leader()
    victim = leader if role == "leader" else ensemble.followers()[0]
    left = [sid for sid in SERVERS if sid != victim]
    scene.spread({"idle": {s.id for s in scene.idle}, "reader": {s.id for s in scene.readers},
                  "kazoo": {s.id for s in scene.kazoos}, "writer": load.session_ids}, victim)
    with ensemble.client(left[0]) as direct:
        getattr(ensemble[victim], {"kill": "kill9", "hang": "freeze"}[fault])()
        KazooRetry(max_tries=-1, delay=0.05, backoff=1)(direct.set, NOW, b"1")
        scene.go_elsewhere(scene.ids | load.session_ids, left)
        load.wait_progress(90)
        scene.change_later(direct)
        scene.events_arrived()
        scene.everybody_reads()
        losses = assert_writers_lost_only_unknowns(load, proxy)
        if fault == "hang":
            assert losses > 0, "every writer on the hung server waited for a read: this shows nothing"
            resumed(ensemble, victim, left[0])
            load.wait_progress(90)
        scene.everybody_writes()
        scene.everybody_reads()
        assert_undisturbed(scene.quiet)
        report = load.verify(direct)
    assert report.problems() == []
    assert assert_writers_lost_only_unknowns(load, proxy) == losses, "the resumed server cost a connection"
    print(f"{fault} of the {role}: {losses} of {len(load.workers)} writers lost their connection; longest "
          f"operation {report.longest_operation * 1000:.0f} ms")


FAULTS = [(role, fault) for fault in ("kill", "hang") for role in ("follower", "leader")]


@pytest.mark.parametrize("role,fault", FAULTS)
def test_a_server_is_lost_under_load(scene, make_workload, role, fault):
    crash(scene, make_workload, role, fault)


@pytest.mark.full
@pytest.mark.parametrize("_turn", range(5))
@pytest.mark.parametrize("role,fault", FAULTS)
def test_again_and_again(scene, make_workload, role, fault, _turn):
    crash(scene, make_workload, role, fault)


def on_server(ensemble, proxy, sessions, sid, count, **options):
    """That many sessions which are attached to this server."""
    made = [sessions(LiveSession, proxy.clients, **options) for _ in range(count * len(SERVERS))]
    attached = ensemble[sid].sessions()
    found = [session for session in made if session.id in attached]
    assert len(found) >= count
    return found[:count]


def requests_to(proxy, sid, opcode):
    return proxy.metrics().value(REQUESTS, server=str(sid), opcode=opcode)


def test_what_a_dead_server_left_unanswered(ensemble, make_proxy, sessions):
    """Frozen first, so that nothing is answered; then killed. Reads are asked again, writes never."""
    victim = ensemble.followers()[0]
    with ensemble.client(ensemble.leader()) as direct:
        direct.create(ROOT)
        direct.create(NOW, b"0")
        proxy = make_proxy(ensemble.lines(SERVERS))
        writer, closer, reader, idle = quiet = on_server(ensemble, proxy, sessions, victim, 4)
        assert [session.watch(GET_DATA, ROOT) for session in quiet] == [0] * 4
        ensemble[victim].freeze()
        write = writer.begin_set(NOW, b"1")
        end = closer.begin(CLOSE)
        reads = [reader.begin(GET_DATA, ustring(NOW) + b"\1"), reader.begin(EXISTS, ustring(NEW) + b"\1")]
        for opcode in ("set_data", "close_session", "get_data", "exists"):
            wait_for(lambda o=opcode: requests_to(proxy, victim, o) > 0, 10,
                     f"{opcode} is with server {victim}")
        ensemble[victim].kill9()
        assert [request.result()[0] for request in reads] == [0, -101]
        for request in (write, end):
            with pytest.raises(Closed):
                request.result()
        assert_writer_comes_back(proxy, writer, direct)
        direct.create(NEW)
        direct.set(ROOT, b"")
        wait_for(lambda: len(reader.events) >= 2 and idle.events, 10, "watches fire")
        assert idle.events == [(DATA_CHANGED, ROOT)]
        assert set(reader.events) >= {(CREATED, NEW), (DATA_CHANGED, ROOT)}
    assert_undisturbed([reader, idle])
    assert proxy.metrics().value(CLOSED, reason="unknown_outcome") == 2
    assert proxy.metrics().value(CLOSED, reason="server_gone") == 0


def assert_writer_comes_back(proxy, writer, direct):
    """One loss, the same session, and the write was done at most once."""
    with RawClient(proxy.clients) as again:
        assert again.resume(writer.client) == writer.id
        assert again.set(NOW, b"2") == 0
        assert direct.get(NOW)[1].version <= 2


HOLDER_TIMEOUT_MS = 6000
# What a proxy may need longer: the hung servers' clock is the same, dead ones must refuse first.
LATER_SECONDS = {"hang": 1.0, "kill": 2.0}


@pytest.mark.parametrize("fault", ["hang", "kill"])
def test_a_lock_holder_learns_it_as_early_as_without_us(ensemble, make_proxy, sessions, fault):
    """The whole ensemble is gone: nobody may hold on to a lock that the ensemble would give to another."""
    proxy = make_proxy(ensemble.lines(SERVERS), config={"probes": QUICK_PROBES})
    proxied = sessions(LiveSession, proxy.clients, timeout_ms=HOLDER_TIMEOUT_MS)
    direct = sessions(LiveSession, ensemble.addresses(), timeout_ms=HOLDER_TIMEOUT_MS)
    for session, lock in ((proxied, "/proxied"), (direct, "/direct")):
        assert session.client.timeout_ms == HOLDER_TIMEOUT_MS
        assert session.create_ephemeral(lock) == 0
    assert [session.call(EXISTS, ustring("/direct") + b"\0")[0] for session in (direct, proxied)] == [0, 0]
    began = time.monotonic()  # both were proven alive just now
    for sid in SERVERS:
        getattr(ensemble[sid], {"kill": "kill9", "hang": "freeze"}[fault])()
    wait_for(lambda: proxied.lost and direct.lost, 2 * HOLDER_TIMEOUT_MS / 1000, "both know it")
    seconds = {"direct": direct.lost[0] - began, "proxied": proxied.lost[0] - began}
    print(f"{fault}: connections lost after {seconds} s")
    assert seconds["proxied"] <= seconds["direct"] + LATER_SECONDS[fault], seconds
    assert seconds["proxied"] < HOLDER_TIMEOUT_MS / 1000, "its session could have expired before"
