"""The daemon dies at a named place of the plan, is started again, and the plan ends as if nothing had been.

One set of six servers goes back and forth: what was removed keeps following the leader without a vote, which
is just what a joiner does. So each death costs a plan, not six starts of a JVM.
"""
import collections
import http.client
import re
import signal

import pytest

from lib.ensemble import Ensemble
from lib.migration import SOURCES, TARGETS, assert_attached, assert_kept, assert_migrated, start_joiners
from lib.proxy import Proxy
from lib.waiting import wait_for
from lib.workload import Workload

PROBES = {"interval": "500ms", "plan_interval": "200ms", "admin_server_port": 0}
LOCKS = "/zookeeper/zkferry"
SESSIONS, WRITES_PER_SECOND = 4, 20
# Background work happens more or less often from run to run; dying at one passing covers the place.
SHORT = ("before.JOURNAL.intent.add.4",   # decided, nothing written yet
         "begun.JOURNAL.step.add.5",      # a record is being written
         "begun.RECONFIG:2",              # sent, the answer is lost
         "result.RECONFIG_RESULT:3",      # answered, not yet recorded
         "before.JOURNAL.outcome.remove.1",
         "begun.HOLD")                    # clients are held, the leader is about to leave


class Shuttle:
    """Six servers, three of them members; each plan brings the other three in."""

    def __init__(self):
        self.ensemble = Ensemble()
        self.members, self.others = SOURCES, TARGETS
        self.rounds = 0

    def start(self):
        self.ensemble.start()
        for sid in TARGETS:
            self.ensemble.planned(sid)
        start_joiners(self.ensemble)

    def wait_settled(self):
        """The removed ones follow again, and no lock of a daemon that died after its plan is left."""
        with self.ensemble.client(self.members[0], super_user=True) as client:
            wait_for(lambda: not client.exists(LOCKS) or not client.get_children(LOCKS), 60, "no lock is left")
        self.ensemble.wait_serving(self.members + self.others)
        leader = self.ensemble[self.ensemble.leader()]

        def follow():
            return all(self.ensemble[sid].zxid() >> 32 == leader.zxid() >> 32 for sid in self.others)
        wait_for(follow, 60, f"servers {self.others} follow")

    def place(self, name):
        """A place named for the plan 1,2,3 -> 4,5,6, as it is called in this direction."""
        if self.members == SOURCES:
            return name
        return re.sub(r"(add|remove)\.([1-6])", lambda m: f"{m[1]}.{(int(m[2]) + 2) % 6 + 1}", name)

    def run(self, failpoint=None):
        """One plan; the names of the places passed. With a failpoint: dies there and is started again."""
        self.rounds += 1
        self.wait_settled()
        with Proxy(self.ensemble.lines(self.members), self.ensemble.lines(self.others), confirm=[],
                   config={"probes": PROBES}, failpoint=failpoint and self.place(failpoint)) as proxy:
            proxy.pin_ports()
            load = Workload(proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND,
                            root=f"/load{self.rounds}").start()
            try:
                self._migrate(proxy, failpoint)
                load.wait_progress(WRITES_PER_SECOND)
                assert_migrated(self.ensemble, self.others)
                assert_attached(self.ensemble, load.session_ids, self.others)
                assert_kept(load, self.ensemble, self.others[0])
            finally:
                load.stop()
            lines = proxy.failpoint_log.read_text().splitlines()
        passed = [self.place(line.split()[0]) for line in lines]  # the renaming is its own inverse
        self.members, self.others = self.others, self.members
        return passed

    def _migrate(self, proxy, failpoint):
        answered = False
        try:
            proxy.start_migration()
            answered = True
        except (http.client.HTTPException, ConnectionError):
            assert failpoint, "no answer to start"
        if failpoint:
            assert proxy.expect_death(60) == -signal.SIGKILL, f"{failpoint}: the daemon did not die there"
            proxy.failpoint = None
            proxy.start()
            if proxy.status()["phase"] == "idle":  # it died before the plan was on disk
                assert not answered, f"{failpoint}: start was answered 200 and the plan is gone"
                proxy.start_migration()
        proxy.wait_phase("finished")


@pytest.fixture(scope="module")
def shuttle_holder():
    """The servers; replaced after a failure, which may leave them anywhere."""
    holder = {}
    yield holder
    if "shuttle" in holder:
        holder["shuttle"].ensemble.stop()


@pytest.fixture
def shuttle(request, shuttle_holder):
    if "shuttle" not in shuttle_holder:
        shuttle_holder["shuttle"] = Shuttle()
        shuttle_holder["shuttle"].start()
    yield shuttle_holder["shuttle"]
    if getattr(request.node, "has_failed", True):
        broken = shuttle_holder.pop("shuttle")
        broken.ensemble.print_logs()
        broken.ensemble.stop()


@pytest.mark.limit(240)
def test_places_are_passed(shuttle):
    """A clean run passes every place of the short list, and before and after every kind of effect."""
    passed = collections.Counter(shuttle.run())
    for place in SHORT:
        name, _, nth = place.partition(":")
        assert passed[name] >= int(nth or 1), f"{place}: passed {passed[name]} times in {sorted(passed)}"
    for effect in ("TAKE_LOCK", "PROBE_RECONFIG", "CHECK_SUPER", "RECONFIG", "BARRIER", "HOLD", "RELEASE",
                   "DROP_LOCK", "READ_CONFIG"):
        assert passed[f"before.{effect}"] and passed[f"begun.{effect}"], effect
    for step in ("add.4", "add.5", "add.6", "remove.1", "remove.2", "remove.3"):
        for record in ("intent", "outcome", "step"):
            assert passed[f"before.JOURNAL.{record}.{step}"] and passed[f"begun.JOURNAL.{record}.{step}"]


@pytest.mark.sanitizer
@pytest.mark.limit(240)
@pytest.mark.parametrize("place", SHORT)
def test_killed_and_restarted(shuttle, place):
    shuttle.run(place)


def places_of_the_plan(passed):
    """The first passing of each place since `start`, as NAME:N (a barrier comes before any plan)."""
    begin = passed.index("before.JOURNAL.plan")
    before = collections.Counter(passed[:begin])
    return [f"{name}:{before[name] + 1}" for name in dict.fromkeys(passed[begin:])]


@pytest.mark.full
@pytest.mark.limit(3600)
def test_killed_at_every_place(shuttle):
    """Every place that two clean runs, one in each direction, both pass after the start."""
    runs = [set(places_of_the_plan(shuttle.run())) for _ in range(2)]
    places = sorted(runs[0] & runs[1])
    assert len(places) > 50
    for place in places:
        print(f"dies at {place}", flush=True)
        shuttle.run(place)
