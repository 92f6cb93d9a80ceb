"""The judge of watch streams judges right: what servers tell directly is exact, and every damage is seen.

No proxy here: this is what the tests of moves rest upon.
"""
import socket

import pytest

from lib.raw_load import ROOT, Swarm, make_tree, mixed_roles
from lib.txnlog import CREATED, DATA_CHANGED, DELETED, Txn, committed
from lib.waiting import wait_for
from lib.watch_oracle import DATA, RECURSIVE, Armed, Event, Seen, judge

SESSIONS, WRITES = 32, 600


@pytest.fixture(scope="module")
def record(shared_ensemble):
    """([(role, stream)], the servers' transactions) of a load straight on the servers."""
    with shared_ensemble.client() as direct:
        make_tree(direct)
    swarm = Swarm(shared_ensemble.addresses([2]), mixed_roles(SESSIONS, interval=0.1))
    try:
        swarm.start()
        swarm.wait_progress(WRITES)
        swarm.complete()
        txns = committed(shared_ensemble.running())
    finally:
        swarm.stop()
    assert swarm.problems == [] and swarm.disconnects == [] and swarm.unknown == 0
    return [(str(session.role), session.streams[0]) for session in swarm.sessions], txns


@pytest.fixture
def streams(record):
    """One stream per role."""
    return dict(record[0])


@pytest.fixture
def txns(record):
    return record[1]


def test_direct_streams_are_exact(record):
    everybody, txns = record
    for role, stream in everybody:
        verdict = judge(stream, txns, may_repeat=False)
        assert verdict.problem is None, f"{role}: {verdict.problem}"
        assert verdict.told >= verdict.due
        if "watcher" in role:
            assert verdict.due > WRITES // 10, f"{role} saw too little to prove anything: {verdict}"


def events_of(stream):
    return [index for index, item in enumerate(stream) if isinstance(item, Event)]


WATCHERS = ("one-shot watcher", "persistent watcher", "recursive watcher", "one-shot and recursive watcher")


@pytest.mark.parametrize("role", WATCHERS)
def test_a_dropped_event_is_seen(streams, txns, role):
    places = events_of(streams[role])
    for index in (places[0], places[len(places) // 2], places[-1]):
        damaged = streams[role][:index] + streams[role][index + 1:]
        assert judge(damaged, txns).problem, f"event {index} was dropped"


@pytest.mark.parametrize("role", WATCHERS)
def test_a_doubled_event_is_seen(streams, txns, role):
    """A one-shot watch's is an error. A lasting watch's is counted, and an error on a direct connection."""
    places = events_of(streams[role])
    for index in (places[0], places[len(places) // 2], places[-1]):
        stream = streams[role]
        damaged = stream[:index + 1] + stream[index:]
        assert judge(damaged, txns, may_repeat=False).problem, f"event {index} was doubled"
        verdict = judge(damaged, txns)
        assert verdict.problem or verdict.doubled == 1, f"event {index} was doubled"
        if role == "one-shot watcher":
            assert verdict.problem


@pytest.mark.parametrize("role", WATCHERS)
def test_swapped_events_are_seen(streams, txns, role):
    stream = streams[role]
    index = next(place for place in events_of(stream)[20:] if isinstance(stream[place + 1], Event)
                 and stream[place + 1] != stream[place])
    damaged = list(stream)
    damaged[index:index + 2] = reversed(stream[index:index + 2])
    assert judge(damaged, txns).problem


@pytest.mark.parametrize("role", WATCHERS)
def test_an_event_behind_the_reply_that_shows_the_change_is_seen(streams, txns, role):
    stream = streams[role]
    index = next(place for place in events_of(stream) if isinstance(stream[place + 1], Seen))
    damaged = list(stream)
    damaged[index:index + 2] = reversed(stream[index:index + 2])
    assert judge(damaged, txns).problem


@pytest.fixture
def swarm(ensemble):
    with ensemble.client() as direct:
        make_tree(direct)
    swarm = Swarm(ensemble.addresses(), mixed_roles(SESSIONS, interval=0.1))
    try:
        yield swarm.start()
    finally:
        swarm.stop()


def test_a_disconnect_is_seen(ensemble, swarm):
    """…and each of the two connections' streams is judged by itself."""
    swarm.wait_progress()
    victims = swarm.sessions[::5]
    for victim in victims:
        victim.socket.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: len(swarm.disconnects) == len(victims), 20, "the swarm sees its closed connections")
    swarm.wait_progress()
    swarm.complete()
    assert sorted(swarm.changed_ports) == sorted(str(victim.role) for victim in victims)
    verdicts = swarm.verdicts(committed(ensemble.running()))
    assert len(verdicts) == SESSIONS + len(victims)
    assert [verdict.problem for _, verdict in verdicts if verdict.problem] == []
    assert swarm.problems == []


def test_a_write_of_somebody_else_is_seen(ensemble, swarm):
    """Versions count what a script wrote: one more, or one less, is a problem."""
    swarm.wait_progress()
    with ensemble.client() as direct:
        wait_for(lambda: direct.exists(f"{ROOT}/set/0"), 20, "the setter has begun")
        direct.set(f"{ROOT}/set/0", b"not the script's")
    wait_for(lambda: swarm.problems, 20, "the setter finds a version that is not its own")
    assert "set /raw/set/0 at version" in swarm.problems[0] and "-103" in swarm.problems[0]


def test_a_repeated_suffix_is_counted():
    """What a move may leave of lasting watches: the last events once more, in order; not a part of them."""
    txns = [Txn(number, 0, 0, ((kind, path),)) for number, (kind, path) in enumerate(
        [(CREATED, "/a"), (DATA_CHANGED, "/a"), (CREATED, "/b"), (DELETED, "/b"), (DELETED, "/a")], start=1)]
    events = [Event(*txn.changes[0]) for txn in txns]
    armed = [Armed(0, RECURSIVE, "/")]
    assert judge(armed + events + [Seen(5)], txns).doubled == 0
    repeated = judge(armed + events[:4] + events[2:4] + events[4:] + [Seen(5)], txns)
    assert (repeated.problem, repeated.doubled) == (None, 2)
    assert judge(armed + events[:4] + events[2:3] + events[4:] + [Seen(5)], txns).problem, "half a repetition"
    once = [Armed(0, DATA, "/a"), events[0], events[0], Seen(1)]
    assert judge(once, txns[:1]).problem, "a one-shot event twice"
