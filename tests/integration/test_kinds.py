"""Plans that are no migration, on real servers and under load: expand, shrink, replace. No client notices."""
import re

import pytest

from lib.migration import (SOURCES, assert_attached, assert_kept, assert_migrated, plan_targets,
                           start_joiners, wait_failed)
from lib.waiting import wait_for
from lib.workload import source_port

STATIC = True  # members from static files, as most people start them

SESSIONS, WRITES_PER_SECOND = 15, 45
FIVE = (1, 2, 3, 4, 5)


class Run:
    """A plan of one kind from three or five sources, with live clients that are watched."""

    def __init__(self, ensemble, make_proxy, make_workload, *, targets=(), **migration):
        self.ensemble = ensemble
        self.sources, self.targets = sorted(ensemble.servers), tuple(targets)
        lines = plan_targets(ensemble, targets)
        self.proxy = make_proxy(ensemble.lines(self.sources), lines,
                                config={"migration": {"confirm": [], **migration}})
        self.load = make_workload(self.proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
        self.load.wait_progress(WRITES_PER_SECOND)
        self._ports = self._source_ports()

    def _source_ports(self):
        return [source_port(worker.client) for worker in self.load.workers]

    def finish(self, members, accept=()):
        """To the end of the plan: these are the members, and nobody has noticed."""
        start_joiners(self.ensemble, self.targets)
        started = self.proxy.cli("start", *accept)
        assert started.returncode == 0, started
        status = self.proxy.wait_phase("finished")
        self.load.wait_progress(WRITES_PER_SECOND)
        assert {step["state"] for step in status["steps"]} == {"done"}
        assert_migrated(self.ensemble, sorted(members))
        assert_attached(self.ensemble, self.load.session_ids, members)
        assert self._source_ports() == self._ports, "a client has another connection"
        report = assert_kept(self.load, self.ensemble, min(members))
        assert report.disconnects == report.unknown == 0
        assert status["sessions"]["returned"] == status["sessions"]["failed"] == 0
        return status

    def moves(self):
        return self.proxy.metrics().value("zkferry_moves_total", result="done")

    def requests(self):
        """What was asked of the ensemble: (joining, leaving) of each reconfig, by the proxy's log."""
        lines = [line for line in self.proxy.log().splitlines() if "event=plan.reconfig.sent" in line]
        return [(bool(re.search(r'joining=\W*server', line)), bool(re.search(r'leaving=\W*\d', line)))
                for line in lines]


@pytest.fixture
def run(make_proxy, make_workload):
    def begin(ensemble, kind, **options):
        return Run(ensemble, make_proxy, make_workload, kind=kind, **options)
    return begin


@pytest.mark.sanitizer
def test_expand(ensemble, run, make_workload):
    """Three become five; nobody is moved, and the next clients spread over all of them."""
    plan = run(ensemble, "expand", targets=(4, 5))
    status = plan.finish(FIVE)
    assert plan.moves() == 0
    assert not {step["name"] for step in status["steps"]} & {"switch", "remove.1"}
    later = make_workload(plan.proxy.clients, SESSIONS, root="/later")
    for sid in (4, 5):
        wait_for(lambda sid=sid: later.session_ids & ensemble[sid].sessions(), 30, f"server {sid} gets sessions")


@pytest.mark.limit(180)
def test_ids_of_the_wild(make_ensemble, run):
    """server.0 leaves, and one joins whose id TTL nodes could not have."""
    ensemble = make_ensemble(first_id=0).start()
    plan = run(ensemble, "replace", targets=(300,), leaving=[0])
    plan.finish((1, 2, 300), accept=("--accept", "id-too-big-300"))


@pytest.mark.limit(180)
def test_shrink_with_the_leader(make_ensemble, run):
    """Five become three. The leader is among those that leave: last, and under a hold."""
    ensemble = make_ensemble(5).start()
    leader = ensemble.leader()
    other = min(set(FIVE) - {leader})
    plan = run(ensemble, "shrink", leaving=[leader, other])
    status = plan.finish(set(FIVE) - {leader, other})
    removals = [step for step in status["steps"] if step["name"].startswith("remove.")]
    assert max(removals, key=lambda step: step["started_at"])["server"] == leader
    assert plan.proxy.metrics().value("zkferry_holds_total") > 0
    for sid in (leader, other):
        wait_for(lambda sid=sid: not plan.load.session_ids & ensemble[sid].sessions(), 20,
                 f"`cons` of server {sid} lists nobody")


@pytest.mark.dynamic
def test_replace_a_live_member(ensemble, run):
    leaving = min(set(SOURCES) - {ensemble.leader()})
    plan = run(ensemble, "replace", targets=(4,), leaving=[leaving])
    plan.finish(set(SOURCES) - {leaving} | {4})
    assert plan.requests() == [(True, False), (False, True)]


@pytest.mark.sanitizer
def test_replace_a_dead_member(ensemble, run):
    """One request takes the dead one out and the new one in: two voters are alive all the time."""
    dead = min(set(SOURCES) - {ensemble.leader()})
    ensemble[dead].kill9()
    plan = run(ensemble, "replace", targets=(4,), leaving=[dead])
    plan.finish(set(SOURCES) - {dead} | {4})
    assert plan.requests() == [(True, True)]


def test_what_cannot_be_planned(ensemble, make_proxy):
    """Refused with the reason, before anything is changed."""
    before = ensemble.config()
    proxy = make_proxy(ensemble.lines(SOURCES),
                       config={"migration": {"kind": "shrink", "leaving": [2], "confirm": []}})
    proxy.start_migration()
    assert "tolerance-lost" in wait_failed(proxy)
    assert ensemble.config() == before
