"""A switch in stages on real servers and under load: who goes first, what is too much, and what happens then."""
import threading

import pytest

from lib.heartbeats import Heartbeats
from lib.migration import (SOURCES, TARGETS, assert_attached, assert_kept, assert_migrated, confirm,
                           plan_targets, start_joiners, wait_gate)
from lib.raw import RawClient
from lib.waiting import wait_for
from lib.workload import source_port

SESSIONS, WRITES_PER_SECOND = 16, 48
GUEST = "127.0.0.2"  # an address of this machine that nobody else connects from
SHARE_WHOLE, MASK = 10000, (1 << 64) - 1
SLOW = {"latency": "100%", "latency_floor": "600ms"}  # half of a stutter, more than a busy machine's accidents
PATIENT = {"latency_floor": "5s"}  # new servers on a busy machine are slow, and that is not the subject
OBSERVE_SECONDS = 12  # a test looks while it lasts; a hung server is given up after 4 s
OBSERVE = {"observe": f"{OBSERVE_SECONDS}s"}


def in_share(session_id, share):
    """What proxy/net/canary.c promises for ever: share is in hundredths of a percent."""
    mixed = session_id & MASK
    mixed = ((mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9) & MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94d049bb133111eb) & MASK
    return ((mixed ^ mixed >> 31) >> 32) * SHARE_WHOLE >> 32 < share


class Scene:
    """A migration that has begun and waits for `confirm switch`, with live clients that are watched."""

    def __init__(self, ensemble, make_proxy, make_workload, *, canary, percent=50, **options):
        self.ensemble = ensemble
        lines = plan_targets(ensemble)
        start_joiners(ensemble)
        self.proxy = make_proxy(ensemble.lines(SOURCES), lines, confirm=("switch",),
                                migration={"canary": {"share": f"{percent}%", **canary}, "witness": False}, **options)
        self.proxy.pin_ports()  # clients find it again after a restart
        self.load = make_workload(self.proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
        self.proxy.start_migration()
        wait_gate(self.proxy, "switch")
        self.load.wait_progress(WRITES_PER_SECOND)
        self.chosen = {sid for sid in self.load.session_ids if in_share(sid, percent * SHARE_WHOLE // 100)}
        self.ports = self._source_ports()

    def _source_ports(self):
        return [source_port(worker.client) for worker in self.load.workers]

    def step(self, name):
        return next(step for step in self.proxy.status()["steps"] if step["name"] == name)

    def canaries(self):
        """As the proxy says."""
        return {int(row["id"], 16) for row in self.proxy.get("/v1/sessions").json["sessions"] if row["canary"]}

    def on_targets(self):
        """As the servers say."""
        return set().union(*(self.ensemble[sid].sessions() for sid in TARGETS))

    def observe(self):
        """Confirms the switch; until the canaries, and nobody else, are on targets and observed."""
        assert confirm(self.proxy, "switch") == 0
        self.wait_observed()

    def wait_observed(self):
        wait_for(lambda: "the observation of" in self.proxy.status()["waiting_for"], 30, "an observation")
        wait_for(lambda: self.on_targets() & self.load.session_ids == self.chosen, 20, "the share on targets")

    def wait_paused(self):
        wait_for(lambda: self.proxy.status()["paused"], 60, "the plan pauses")

    def wait_breach(self, figure):
        """Until the plan has paused itself and everybody is back; returns the status."""
        self.wait_paused()
        status = self.proxy.status()
        assert "the plan has paused itself" in status["waiting_for"] and figure in status["waiting_for"], status
        assert status["phase"] == "switching" and "resume" in status["can"]
        wait_for(lambda: "rollback" in self.proxy.status()["can"], 40, "rollback is offered")
        wait_for(lambda: self.proxy.status()["sessions"]["target"] == 0, 40, "the canaries are back")
        wait_for(lambda: self.canaries() == set(), 20, "nobody is a canary any more")
        assert_attached(self.ensemble, self.load.session_ids, SOURCES)
        assert figure in self.proxy.cli("status").stdout
        wait_for(lambda: "event=plan.canary.breached" in self.proxy.log(), 20, "the log tells")
        return status

    def resume(self):
        assert self.proxy.cli("resume").returncode == 0

    def wait_stage(self):
        wait_for(lambda: self.step("canary")["state"] == "done", OBSERVE_SECONDS + 40, "the stage is done")

    def finish(self):
        """To the end; nobody has noticed."""
        status = self.proxy.wait_phase("finished")
        self.load.wait_progress(WRITES_PER_SECOND)
        assert {step["state"] for step in status["steps"]} == {"done"}
        assert_migrated(self.ensemble)
        assert_attached(self.ensemble, self.load.session_ids)
        assert self._source_ports() == self.ports, "a client has another connection"
        report = assert_kept(self.load, self.ensemble, TARGETS[0])
        assert report.disconnects == report.unknown == 0
        assert status["sessions"]["returned"] == status["sessions"]["failed"] == 0
        return status


@pytest.fixture
def scene(ensemble, make_proxy, make_workload):
    def begin(**options):
        return Scene(ensemble, make_proxy, make_workload, **options)
    return begin


class Stutter:
    """A server that stands still most of the time, but never so long that somebody gives it up."""

    def __init__(self, server):
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        while not self._ended.wait(0.2):
            self._server.freeze()
            self._ended.wait(1.2)
            self._server.thaw()


def busiest_target(ensemble, session_ids):
    """The target with the most of these sessions, which are on targets."""
    def found():
        here = {sid: ensemble[sid].sessions() & session_ids for sid in TARGETS}
        busiest = max(TARGETS, key=lambda sid: len(here[sid]))
        return ensemble[busiest] if here[busiest] else None
    return wait_for(found, 20, f"`cons` of the targets list {session_ids}")


@pytest.mark.limit(180)
def test_some_go_first(scene):
    """The share by its hash and the clients by their address, old and new; then the others; nobody notices."""
    run = scene(canary={"clients": [GUEST + "/32"], **OBSERVE, **PATIENT})
    proxy = run.proxy
    with RawClient(proxy.clients, source=GUEST) as early, RawClient(proxy.clients, source=GUEST) as late, \
            Heartbeats() as hearts:
        hearts.add(early.attach(timeout_ms=40000))
        run.observe()
        hearts.add(late.attach(timeout_ms=40000))
        first = run.chosen | {early.session_id, late.session_id}
        assert 0 < len(run.chosen) < SESSIONS
        wait_for(lambda: first <= run.on_targets() and run.canaries() == first, 20, "the guests are on targets")
        wait_for(lambda: proxy.status()["sessions"]["canaries"] == len(first), 20, "they are counted")
        assert run.step("canary")["state"] == "waiting" and run.step("switch")["state"] == "pending"
        hearts.assert_answered()
        run.finish()
        hearts.assert_answered()
    assert run.step("switch")["started_at"] >= run.step("canary")["started_at"] + OBSERVE_SECONDS * 1000


@pytest.mark.limit(300)
def test_a_hung_target_pauses_the_plan(scene):
    """Its canary is attached elsewhere, and that is one too many: the figure and its limit are named, all go
    back, nobody is cut off. Repaired and resumed, the plan finishes."""
    run = scene(percent=0, canary={"clients": [GUEST], **OBSERVE, **PATIENT})
    with RawClient(run.proxy.clients, source=GUEST) as guest, Heartbeats() as hearts:
        hearts.add(guest.attach(timeout_ms=12000))
        run.observe()
        hung = busiest_target(run.ensemble, {guest.session_id})
        hung.freeze()
        try:
            run.wait_paused()
        finally:
            hung.thaw()
        status = run.wait_breach("errors: 1 of 1 canaries (100.00%)")
        assert "the limit is 1.00% above the usual" in status["waiting_for"]
        hearts.assert_answered()
        run.resume()
        run.wait_observed()
        run.wait_stage()
        run.finish()
        hearts.assert_answered()


@pytest.mark.full
@pytest.mark.limit(180)
def test_a_slow_target_pauses_the_plan(scene):
    """The limit is named, the canaries go back, nobody is cut off. Repaired and resumed, it finishes."""
    run = scene(canary={**OBSERVE, **SLOW})
    run.observe()
    with Stutter(busiest_target(run.ensemble, run.chosen)):
        run.wait_breach("latency: the 99th percentile of the canaries is")
    run.load.wait_progress(WRITES_PER_SECOND)
    run.resume()
    run.wait_observed()
    run.finish()


@pytest.mark.full
@pytest.mark.limit(180)
def test_without_limits_it_goes_on(scene):
    """Control run: what paused the plan above, does not."""
    run = scene(canary={**OBSERVE, **SLOW}, switches=["no_canary_limits"])
    run.observe()
    with Stutter(busiest_target(run.ensemble, run.chosen)):
        run.wait_stage()
    run.finish()


@pytest.mark.full
@pytest.mark.limit(180)
def test_a_lost_target_pauses_the_plan(scene):
    """A crash is no slowness: its canaries are attached elsewhere or, in the middle of a write, cut off."""
    run = scene(canary={"observe": "30s", **PATIENT})
    run.observe()
    lost = busiest_target(run.ensemble, run.chosen)
    lost.kill9()
    run.wait_breach("errors: ")
    run.ensemble.start([lost.id])
    run.load.wait_progress(WRITES_PER_SECOND)
    wait_for(lambda: run.proxy.cli("rollback").returncode == 0, 40, "a rollback is accepted")
    run.proxy.wait_phase("rolled_back", deadline=90)
    assert_migrated(run.ensemble, SOURCES)
    assert_kept(run.load, run.ensemble, SOURCES[0])


@pytest.mark.full
@pytest.mark.limit(180)
def test_the_same_go_first_after_a_crash(scene):
    """kill -9 while they are observed: their clients come back to the targets, the others to the sources."""
    run = scene(canary={**OBSERVE, **PATIENT})
    run.observe()
    run.proxy.kill9()
    run.proxy.start()
    wait_for(lambda: run.proxy.status()["sessions"]["total"] == SESSIONS, 40, "all clients are back")
    run.wait_observed()
    wait_for(lambda: run.canaries() == run.chosen, 20, "the same are canaries")
    run.proxy.wait_phase("finished")
    assert_migrated(run.ensemble)
    assert_kept(run.load, run.ensemble, TARGETS[0])
