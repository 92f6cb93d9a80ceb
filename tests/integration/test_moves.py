"""Live sessions change servers and no client notices: whole plans and a thousand moves under load.

What clients must have been told is taken from the servers' transaction logs, never from these clients.
"""
import pytest

from lib.drains import connections_to, drain, move_about, undrain, wait_admitted
from lib.fleet import Fleet
from lib.migration import SOURCES, TARGETS, assert_attached, assert_migrated, plan_targets, start_joiners
from lib.raw_load import Swarm, make_tree, mixed_roles
from lib.raw_roles import Role
from lib.txnlog import committed
from lib.waiting import SCALE, wait_for

WRITES_PER_SECOND = 50
STALL_MAX = 5.0  # seconds: nobody would call it a move any more; the goal, 0.4, is for the reader
DATA_NODES, DATA_BYTES, DATA_BATCH = 200_000, 1000, 500


@pytest.fixture
def tell(capsys):
    """Prints what a person wants to read although the test has passed."""
    def say(text):
        with capsys.disabled():
            print(f"\n  {text}", flush=True)
    return say


@pytest.fixture
def launch():
    """Starts a Fleet or Swarm and stops it at the end of the test."""
    started = []

    def start(load):
        started.append(load)
        return load.start()
    yield start
    for load in started:
        load.stop()


def prepared(ensemble, targets=False):
    """The nodes that raw sessions rely on; and, when asked, lines of targets that do not run yet."""
    with ensemble.client() as direct:
        make_tree(direct)
    if targets:
        plan_targets(ensemble)
    return ensemble


# A whole plan

def migrate_fleet(ensemble, make_proxy, launch, *, sizes=None, switches=(), deadline=120):
    """A 3 -> 3 plan under the load of a fleet; (the proxy, its last status, what the clients saw)."""
    proxy = make_proxy(ensemble.lines(SOURCES), ensemble.lines(TARGETS), switches=switches)
    fleet = launch(Fleet(proxy.clients, sizes))
    fleet.wait_progress()
    assert_attached(ensemble, fleet.session_ids, SOURCES)
    start_joiners(ensemble)
    fleet.wait_progress()
    fleet.forget_stalls()
    proxy.start_migration()
    status = proxy.wait_phase("finished", deadline=deadline)
    fleet.wait_progress()
    assert_migrated(ensemble)
    assert_attached(ensemble, fleet.session_ids, TARGETS)
    with ensemble.client(TARGETS[0]) as direct:
        seen = fleet.finish(ensemble.servers.values(), direct)
    return proxy, status, seen


def assert_nobody_noticed(proxy, status, seen, sessions=100):
    assert seen.disturbances() == []
    assert seen.longest_operation < STALL_MAX * SCALE
    assert seen.writes_per_second >= WRITES_PER_SECOND / SCALE
    assert seen.events > 1000, "too few events to prove anything"
    metrics = proxy.metrics()
    assert metrics.value("zkferry_moves_total", result="done") >= sessions
    for name in ("zkferry_returns_total", "zkferry_returned_instead_total"):
        assert metrics.value(name) == 0, metrics.by_label(name, "result") or metrics.by_label(name, "reason")
    for reason in ("unknown_outcome", "expired"):
        assert metrics.value("zkferry_client_closed_total", reason=reason) == 0
    assert status["sessions"]["returned"] == status["sessions"]["expired"] == 0


@pytest.mark.sanitizer
@pytest.mark.limit(240)
def test_migration_without_a_disconnect(ensemble, make_proxy, launch, tell):
    proxy, status, seen = migrate_fleet(prepared(ensemble, targets=True), make_proxy, launch)
    tell(f"migration: {seen}")
    assert_nobody_noticed(proxy, status, seen)


@pytest.mark.full
@pytest.mark.limit(240)
@pytest.mark.parametrize("turn", range(10))
def test_migrations_in_a_row(ensemble, make_proxy, launch, tell, turn):
    proxy, status, seen = migrate_fleet(prepared(ensemble, targets=True), make_proxy, launch)
    tell(f"migration {turn}: {seen}")
    assert_nobody_noticed(proxy, status, seen)


@pytest.mark.full
@pytest.mark.limit(600)
def test_migration_with_long_ticks(make_ensemble, make_proxy, launch, tell):
    ensemble = make_ensemble(cfg={"tickTime": 2000}).start()
    proxy, status, seen = migrate_fleet(prepared(ensemble, targets=True), make_proxy, launch, deadline=300)
    tell(f"migration with tickTime 2000: {seen}")
    assert_nobody_noticed(proxy, status, seen)


def fill(direct):
    """About 200 MB, in batches that fit a request."""
    direct.create("/data")
    for first in range(0, DATA_NODES, DATA_BATCH):
        batch = direct.transaction()
        for number in range(first, first + DATA_BATCH):
            batch.create(f"/data/{number:06}", bytes(DATA_BYTES))
        assert not any(isinstance(result, Exception) for result in batch.commit())


@pytest.mark.full
@pytest.mark.limit(900)
def test_migration_with_much_data(make_ensemble, make_proxy, launch, tell):
    """A new leader writes a snapshot before it serves: how long clients wait for that is printed."""
    # By default a leader keeps the last 500 requests in memory: of fill()'s that would be 250 MB more.
    ensemble = make_ensemble(heap_mb=1024, cfg={"initLimit": 60},
                             properties={"zookeeper.commitLogCount": 20}).start()
    with ensemble.client(ensemble.leader(), timeout=30.0) as direct:
        fill(direct)
    proxy, status, seen = migrate_fleet(prepared(ensemble, targets=True), make_proxy, launch, deadline=500)
    tell(f"migration with 200 MB: {seen}")
    assert seen.disturbances() == []
    assert status["sessions"]["returned"] == 0


# Moves alone

WRITE_INTERVAL = 0.1  # seconds: about 200 writes a second, so that every move meets some
EVENTS_MIN = 50       # per watcher: fewer would prove nothing


def move_swarm(ensemble, make_proxy, launch, moves, *, sessions=32, switches=(), events=0):
    """Raw sessions of all kinds are moved that many times; (proxy, swarm, verdicts, moves per second)."""
    proxy = make_proxy(ensemble.lines(SOURCES), switches=switches)
    swarm = launch(Swarm(proxy.clients, mixed_roles(sessions, WRITE_INTERVAL)))
    swarm.wait_progress(50)
    swarm.forget_stalls()
    rate = move_about(proxy, ensemble, swarm.session_ids, moves)
    swarm.wait_progress(50)
    swarm.wait_told(events)
    swarm.complete()
    return proxy, swarm, swarm.verdicts(committed(ensemble.running())), rate


def broken_streams(verdicts):
    return [f"{role}: {verdict.problem}" for role, verdict in verdicts if verdict.problem]


def described(moves, swarm, verdicts, rate):
    told, doubled = (sum(getattr(verdict, name) for _, verdict in verdicts) for name in ("told", "doubled"))
    return (f"{moves} moves, {rate:.0f}/s: {swarm.acked} writes, {told} events, {doubled} of lasting watches "
            f"repeated, longest wait {swarm.longest_wait * 1000:.0f} ms")


@pytest.mark.parametrize("moves", [
    pytest.param(200, marks=[pytest.mark.sanitizer, pytest.mark.limit(200)]),
    pytest.param(1000, marks=[pytest.mark.full, pytest.mark.limit(600)])])
def test_moves_under_write_load(ensemble, make_proxy, launch, tell, moves):
    """Every one-shot event exactly once, lasting watches in order without loss, writes and zxids exact."""
    proxy, swarm, verdicts, rate = move_swarm(prepared(ensemble), make_proxy, launch, moves,
                                              events=2 * EVENTS_MIN)
    tell(described(moves, swarm, verdicts, rate))
    assert swarm.disconnects == [] and swarm.changed_ports == [] and swarm.unknown == 0
    assert swarm.problems == []
    assert broken_streams(verdicts) == []
    assert all(verdict.due > EVENTS_MIN for role, verdict in verdicts if "watcher" in role), "too few events"
    metrics = proxy.metrics()
    assert metrics.value("zkferry_moves_total", result="lost") == 0
    assert metrics.value("zkferry_returns_total") == metrics.value("zkferry_returned_instead_total") == 0


# Pace

IDLE_SESSIONS = 240
IN_FLIGHT_MAX = 32  # per server (design.md §4): its listen backlog is 50
PROOFS = 6
RETRIED = "zkferry_connects_retried_total"
PROBES_MAX = 4      # connections that are not sessions
# Two of three servers stand still for a second or more: that is no reason yet to give up the third one, nor for
# idle clients to give up.
PATIENT_SYNC = {"syncLimit": 60}
IDLE_TIMEOUT_MS = 40000


def connects_in_flight(ensemble, make_proxy, launch, *, switches=()):
    """Drains one server while nobody accepts on the two others: how many connections one of them gets."""
    proxy = make_proxy(ensemble.lines(SOURCES), switches=switches)
    full, *others = SOURCES
    wait_admitted(proxy, *SOURCES)
    for sid in others:
        drain(proxy, ensemble, sid, set())
    swarm = launch(Swarm(proxy.clients, [Role(f"idle {number}") for number in range(IDLE_SESSIONS)],
                         timeout_ms=IDLE_TIMEOUT_MS))
    wait_for(lambda: swarm.session_ids <= ensemble[full].sessions(), 60, "one server has all sessions")
    for sid in others:
        undrain(proxy, sid)
    prove(proxy, ensemble, launch, others)
    opened = most_connects_while_frozen(proxy, ensemble, full, others)
    wait_for(lambda: not swarm.session_ids & ensemble[full].sessions(), 60, "the server is drained")
    assert swarm.disconnects == [] and swarm.problems == []
    return opened


def prove(proxy, ensemble, launch, others):
    """A worker sends one session first to a server that it has not seen taking any for seconds. So each of these
    gets a few, over both workers."""
    proofs = []

    def proven():
        roles = [Role(f"proof {number}") for number in range(PROOFS)]
        proofs.append(launch(Swarm(proxy.clients, roles, timeout_ms=IDLE_TIMEOUT_MS)))
        ids = set().union(*(proof.session_ids for proof in proofs))
        return all(ids & ensemble[sid].sessions() for sid in others)
    wait_for(proven, 30, "both are proven")


def most_connects_while_frozen(proxy, ensemble, full, others):
    """Drains `full` towards servers that accept nothing, until the first of its sessions gives up there; the
    greatest number of connections that one of them was given."""
    before = {sid: connections_to(ensemble[sid]) for sid in others}
    retried = proxy.metrics().value(RETRIED)
    most = 0

    def first_gives_up():
        nonlocal most
        most = max(most, *(connections_to(ensemble[sid]) - before[sid] for sid in others))
        return proxy.metrics().value(RETRIED) > retried
    for sid in others:
        ensemble[sid].freeze()
    try:
        assert proxy.post(f"/v1/servers/{full}/drain").status in (200, 202)
        wait_for(first_gives_up, 20, "a session gives up on a frozen server")
    finally:
        for sid in others:
            ensemble[sid].thaw()
    assert most > PROBES_MAX, "no moves began"
    return most


def test_connects_are_paced(make_ensemble, make_proxy, launch):
    patient = make_ensemble(cfg=PATIENT_SYNC).start()
    assert connects_in_flight(patient, make_proxy, launch) <= IN_FLIGHT_MAX + PROBES_MAX
