"""Persistent watches over the removal of the leader.

A new connection cannot catch up what a persistent watch has missed (protocol.md §2.3). So when every
transaction in between is provably the plan's own, or none of them touched what is watched, the session goes on;
else its client is closed and counted, because only the client can then find out what it has missed.
"""
import itertools
import re
import struct
import threading

import pytest
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss

from lib.livesession import (CREATED, DATA_CHANGED, PERSISTENT, RECURSIVE, LiveSession, assert_undisturbed)
from lib.migration import SOURCES, TARGETS, assert_attached, assert_migrated, plan_targets, start_joiners
from lib.raw import CREATE_TTL, OPEN_ACL, RawClient, buffer, ustring
from lib.txnlog import committed
from lib.waiting import wait_for

ONE, ALL = "/one", "/all"
WRITES_AFTER = 20
SESSION_SECONDS = 20  # a busy machine's pauses must not look like lost servers
LIMIT = pytest.mark.limit(240)
REPEATED = pytest.mark.parametrize(
    "_turn", [0, *(pytest.param(turn, marks=pytest.mark.full) for turn in range(1, 6))])


class Scene:
    """Sources, targets that are joiners, one session per kind of persistent watch."""

    def __init__(self, ensemble, proxy):
        self.ensemble, self.proxy = ensemble, proxy
        with ensemble.client() as direct:
            direct.create(ONE, b"0")
            direct.create(ALL)
        start_joiners(ensemble)
        self.one, self.all = self.sessions = [LiveSession(proxy.clients, timeout=SESSION_SECONDS) for _ in range(2)]
        self.one.add_watch(ONE, PERSISTENT)
        self.all.add_watch(ALL, RECURSIVE)

    def migrate(self):
        self.proxy.start_migration()
        self.proxy.wait_phase("finished")
        assert_migrated(self.ensemble)

    def closed(self):
        """How many of our sessions were closed for it: the plan's witness has one, too, which is not asked here."""
        ours = {session.id & 0xffffffffffffffff for session in self.sessions}
        told = re.findall(r"event=client\.closed reason=events_unknown .*?\bsid=0x([0-9a-f]+)", self.proxy.log())
        return sum(int(sid, 16) in ours for sid in told)

    def lost(self):
        return sum(session.lost is not None for session in self.sessions)

    def close(self):
        for session in self.sessions:
            session.close()


@pytest.fixture
def scene(ensemble, make_proxy):
    plan_targets(ensemble)
    made = Scene(ensemble, make_proxy(ensemble.lines(SOURCES), ensemble.lines(TARGETS)))
    yield made
    made.close()


@pytest.mark.sanitizer
@LIMIT
@REPEATED
def test_they_survive_when_only_we_write(scene, _turn):
    """Nobody else commits anything: what is between the two connections is the plan's own."""
    scene.migrate()
    assert_undisturbed(scene.sessions)
    assert_attached(scene.ensemble, {session.id for session in scene.sessions})
    assert [session.events for session in scene.sessions] == [[], []], "events of nothing"
    with scene.ensemble.client(TARGETS[0]) as direct:
        for number in range(WRITES_AFTER):
            direct.set(ONE, b"%d" % number)
            direct.create(f"{ALL}/{number}")
    wait_for(lambda: all(len(session.events) >= WRITES_AFTER for session in scene.sessions), 30, "all events")
    assert scene.one.events == [(DATA_CHANGED, ONE)] * WRITES_AFTER
    assert scene.all.events == [(CREATED, f"{ALL}/{number}") for number in range(WRITES_AFTER)]
    assert scene.one.set(ONE, b"end") == 0
    assert_undisturbed(scene.sessions)
    assert scene.closed() == 0


PERSISTENT_WITH_TTL, DELETE_CONTAINER = 5, 20
ASIDE = "/aside"
LEFT_TO_DELETE = 3000
# The leader looks every 50 ms and deletes up to one node per millisecond.
SELF_CLEANING = {"zookeeper.extendedTypesEnabled": "true", "znode.container.checkIntervalMs": "50",
                 "znode.container.maxPerMinute": "60000"}


@pytest.fixture
def cleaning_scene(make_ensemble, make_proxy):
    """Servers that delete nodes by themselves; the daemon stops just before the leader is to leave."""
    ensemble = make_ensemble(properties=SELF_CLEANING).start()
    plan_targets(ensemble)
    proxy = make_proxy(ensemble.lines(SOURCES), ensemble.lines(TARGETS),
                       failpoint=f"before.JOURNAL.intent.remove.{ensemble.leader()}:1:stop")
    made = Scene(ensemble, proxy)
    yield made
    made.close()


def leave_to_the_servers(ensemble, directory):
    """Nodes that have outlived their time when they are there."""
    with RawClient(ensemble[ensemble.leader()].address) as client:
        client.attach()
        for number in range(LEFT_TO_DELETE):
            client.send(CREATE_TTL, ustring(f"{directory}/{number:05}") + buffer(b"") + OPEN_ACL +
                        struct.pack(">iq", PERSISTENT_WITH_TTL, 1))
        for _ in range(LEFT_TO_DELETE):
            assert client.receive()[1] == 0


def of_the_servers_next_to_the_leaders_end(ensemble):
    """How many of the neighbours of the reconfig that ended the first epoch were deletions by the servers."""
    last = [txn for txn in committed(ensemble.servers.values()) if txn.zxid >> 32 == 1]
    reconfig = max(at for at, txn in enumerate(last) if (DATA_CHANGED, "/zookeeper/config") in txn.changes)
    return sum(txn.type == DELETE_CONTAINER for txn in last[reconfig - 3:reconfig + 4])


@LIMIT
@REPEATED
@pytest.mark.parametrize("directory", [ASIDE, ALL])
def test_they_survive_what_the_servers_do_themselves(cleaning_scene, directory, _turn):
    """Nobody writes, but nodes outlive their time: the leader deletes one after the other, also while all
    clients are held and it leaves. Who watches them is told of every one, or is closed."""
    scene = cleaning_scene
    with scene.ensemble.client() as direct:
        direct.create(ASIDE)
    scene.proxy.start_migration()
    scene.proxy.wait_stopped()
    leave_to_the_servers(scene.ensemble, directory)
    scene.proxy.go_on()
    scene.proxy.wait_phase("finished")
    assert of_the_servers_next_to_the_leaders_end(scene.ensemble) > 0, "the servers did nothing by themselves"
    assert scene.one.set(ONE, b"end") == 0
    assert_undisturbed([scene.one] if directory == ALL else scene.sessions)
    assert scene.closed() == scene.lost()
    if directory == ALL:
        assert_told_of_all(scene)


def assert_told_of_all(scene):
    """Everything that happened below, in order, by the servers' own logs; a closed session's events end early."""
    due = [change for txn in committed(scene.ensemble.servers.values()) for change in txn.changes
           if change[1].startswith(ALL + "/")]
    wait_for(lambda: scene.all.lost or len(set(scene.all.events)) == len(due), 60, "the last event")
    seen = list(dict.fromkeys(scene.all.events))
    assert seen == due[:len(seen)], [pair for pair in itertools.zip_longest(seen, due) if pair[0] != pair[1]][:3]
    print(f"{scene.lost()} of 2 sessions closed; {len(scene.all.events)} events of {len(due)}")


class Writer:
    """Creates one child after the other, past the proxy, and remembers those that are there."""

    def __init__(self, direct):
        self.paths = []  # acknowledged, or found to be there after a connection loss, in order
        self._direct = direct
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        number = 0
        while not self._stopping.is_set():
            path = f"{ALL}/{number:06}"
            if self._create(path):
                self.paths.append(path)
            number += 1

    def _create(self, path):
        try:
            self._direct.create(path)
            return True
        except (ConnectionLoss, ConnectionClosedError):
            self._direct.retry(self._direct.sync, path)
            return self._direct.retry(self._direct.exists, path) is not None


def assert_nothing_missing(events, paths, is_closed):
    """Every path's Created, in the order they were made; one of a closed session may end early.

    Again and in the same order is allowed: on servers before 3.9 a move can repeat what came last.
    """
    assert {kind for kind, _ in events} <= {CREATED}
    seen = list(dict.fromkeys(path for _, path in events))
    due = paths[:len(seen)] if is_closed else paths
    assert seen == due, f"{len(seen)} seen of {len(paths)}; missing {sorted(set(due) - set(seen))[:5]}"


@LIMIT
@REPEATED
def test_they_are_closed_or_exact_when_others_write(scene, _turn):
    """A client that writes straight to a server all the time: its transactions are between ours."""
    with scene.ensemble.client(TARGETS[0]) as direct:
        writer = Writer(direct)
        try:
            scene.migrate()
            count = len(writer.paths)
            wait_for(lambda: len(writer.paths) >= count + WRITES_AFTER, 30, "writes go on")
        finally:
            writer.stop()
        epochs = {direct.exists(path).czxid >> 32 for path in (writer.paths[0], writer.paths[-1])}
        assert len(epochs) == 2, "nobody wrote across the change of the leader"
    wait_for(lambda: scene.all.lost or scene.all.events[-1][1] == writer.paths[-1], 60, "the last event")
    assert_nothing_missing(scene.all.events, writer.paths, bool(scene.all.lost))
    assert all(session.faults == [] for session in scene.sessions)
    wait_for(lambda: scene.closed() == scene.lost(), 20, "each of the closed sessions has heard of it")
    assert_undisturbed([scene.one])  # nothing of what it watches was touched
    print(f"{scene.lost()} of 2 sessions were closed; {len(scene.all.events)} events, {len(writer.paths)} writes")
