"""The main job on real servers: three sources become three targets while clients go on."""
import pathlib
import re

import pytest

from lib.migration import (TARGETS, assert_attached, assert_kept, assert_migrated, confirm, plan_targets,
                           start_joiners, start_with_files, wait_failed, wait_gate)
from lib.waiting import wait_for

STATIC = True  # members from static files, as most people start them

SESSIONS, WRITES_PER_SECOND, WRITES_WANTED = 20, 75, 50
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def scene(ensemble):
    """Sources that serve, and the lines of targets that do not exist yet."""
    plan_targets(ensemble)
    return ensemble


def proxy_for(make_proxy, ensemble, **options):
    return make_proxy(ensemble.lines([1, 2, 3]), ensemble.lines(TARGETS), **options)


@pytest.mark.sanitizer
@pytest.mark.limit(240)
def test_migration_under_load(scene, make_proxy, make_workload):
    proxy = proxy_for(make_proxy, scene)
    load = make_workload(proxy.clients, sessions=SESSIONS, writes_per_second=WRITES_PER_SECOND)
    load.wait_progress(WRITES_PER_SECOND)
    start_joiners(scene)
    proxy.start_migration()
    status = proxy.wait_phase("finished")
    load.wait_progress(WRITES_PER_SECOND)
    assert_migrated(scene)
    assert_attached(scene, load.session_ids)
    report = assert_kept(load, scene, TARGETS[0])
    assert report.expired == 0
    assert report.writes_per_second >= WRITES_WANTED
    assert report.events > 0 and report.reads > 0
    metrics = proxy.metrics()
    assert metrics.value("zkferry_client_closed_total", reason="unknown_outcome") == 0
    assert metrics.value("zkferry_client_closed_total", reason="expired") == 0
    assert metrics.value("zkferry_moves_total", result="done") >= SESSIONS
    assert status["sessions"]["returned"] == 0
    assert {step["state"] for step in status["steps"]} == {"done"}


def joiner_files(proxy, sid, directory):
    answer = proxy.cli("joiner-config", str(sid), "--dir", str(directory))
    assert answer.returncode == 0, answer.stderr
    return directory


def waits_for_target(proxy, sid):
    return wait_for(lambda: f"target {sid}" in proxy.status()["waiting_for"], 40,
                    f"waiting_for names target {sid}")


@pytest.mark.limit(180)
def test_targets_started_during_the_plan(scene, make_proxy, make_workload, tmp_path):
    """Each with the files of `zkferry joiner-config`; the status names the one that is missing."""
    proxy = proxy_for(make_proxy, scene)
    load = make_workload(proxy.clients, sessions=5, writes_per_second=20)
    assert proxy.cli("start").returncode == 0
    proxy.wait_phase("joining")
    for sid in TARGETS:
        waits_for_target(proxy, sid)
        files = pathlib.Path(tmp_path, str(sid))
        files.mkdir()
        start_with_files(scene, sid, joiner_files(proxy, sid, files))
    proxy.wait_phase("finished")
    load.wait_progress(20)
    assert_migrated(scene)
    assert_attached(scene, load.session_ids)
    assert_kept(load, scene, TARGETS[0])


@pytest.mark.limit(180)
def test_one_plan_at_a_time(scene, make_proxy):
    """A second start is refused here, and by the lock in the ensemble for any other daemon."""
    proxy = proxy_for(make_proxy, scene)
    assert proxy.cli("start").returncode == 0
    proxy.wait_phase("joining")
    again = proxy.cli("start")
    plan_id = proxy.status()["plan_id"]
    assert again.returncode == 1 and "it is joining" in again.stderr
    assert re.search(rf"plan {plan_id} \(migrate\) was started here at {MOMENT}", again.stderr), again.stderr
    other = proxy_for(make_proxy, scene)
    other.start_migration()
    reason = wait_failed(other)
    assert "plan-lock-held" in reason or "another controller holds the plan lock" in reason
    assert re.search(rf"host=\S+ pid={proxy.pid} since={MOMENT} note={plan_id}", reason), reason
    assert proxy.status()["phase"] == "joining"
    proxy.terminate()  # its plan is not over: the lock stays until its session ends
    wait_for(lambda: retried(other) == "joining", 60, "the other daemon gets the lock")


def retried(proxy):
    """The phase a retry ends in, after preflight."""
    assert proxy.post("/v1/migration/retry").status == 200

    def decided():
        phase = proxy.status()["phase"]
        return phase if phase != "preflight" else None
    return wait_for(decided, 40, "preflight ends")


class Gates:
    """A plan with every gate, driven by the command line only."""

    def __init__(self, proxy, load):
        self.proxy, self.load = proxy, load
        proxy.pin_ports()

    def restart(self, kill):
        if kill:
            self.proxy.kill9()
        self.proxy.restart()
        self.load.wait_progress(5)
        wait_for(lambda: self.proxy.status()["sessions"]["total"] == len(self.load.workers), 40, "all are back")

    def pause_over_a_restart(self, gate):
        """Paused means paused, also afterwards; traffic flows; resuming does not open the gate."""
        assert self.proxy.cli("pause").returncode == 0
        phase = self.proxy.status()["phase"]
        self.load.wait_progress(10)
        self.restart(kill=False)
        status = self.proxy.status()
        assert (status["phase"], status["paused"]) == (phase, True)
        assert "resume" in status["can"] and "paused" in status["waiting_for"]
        assert self.proxy.cli("resume").returncode == 0
        assert not wait_gate(self.proxy, gate)["paused"]

    def still_waits(self, gate, phase):
        """…after it was killed: a gate does not open by itself."""
        self.restart(kill=True)
        assert wait_gate(self.proxy, gate)["phase"] == phase

    def repeat(self, gate, waiting):
        """A repeated confirmation is answered well and opens nothing else."""
        for _ in range(3):
            assert confirm(self.proxy, gate) == 0
        assert wait_gate(self.proxy, waiting)


@pytest.mark.dynamic
@pytest.mark.limit(240)
def test_every_gate(scene, make_proxy, make_workload):
    proxy = proxy_for(make_proxy, scene, confirm=["switch", "remove", "finish"])
    load = make_workload(proxy.clients, sessions=5, writes_per_second=20)
    gates = Gates(proxy, load)
    start_joiners(scene)
    assert proxy.cli("start").returncode == 0
    status = wait_gate(proxy, "switch")
    assert status["sessions"]["target"] == 0, "sessions were moved before the switch was confirmed"
    assert scene.config().ids == {1, 2, 3, 4, 5, 6}
    assert confirm(proxy, "remove") == 1, "a gate was opened before its turn"
    gates.pause_over_a_restart("switch")
    gates.still_waits("switch", "switching")
    assert confirm(proxy, "switch") == 0
    assert wait_gate(proxy, "remove")["sessions"]["source"] == 0
    gates.repeat("switch", waiting="remove")
    assert scene.config().ids == {1, 2, 3, 4, 5, 6}
    gates.still_waits("remove", "removing")
    assert confirm(proxy, "remove") == 0
    wait_gate(proxy, "finish")
    gates.repeat("remove", waiting="finish")
    gates.still_waits("finish", "verifying")
    other = proxy.post("/v1/migration/confirm", {"plan_id": "another", "phase": "finish"})
    assert other.status == 409 and wait_gate(proxy, "finish")
    assert confirm(proxy, "finish") == 0
    proxy.wait_phase("finished")
    assert confirm(proxy, "finish") == 0
    assert_migrated(scene)
    assert_attached(scene, load.session_ids)
    assert_kept(load, scene, TARGETS[0])


@pytest.mark.limit(180)
def test_pause_in_the_middle(scene, make_proxy, make_workload):
    """Paused while joining: nothing is added although every target is there."""
    proxy = proxy_for(make_proxy, scene)
    load = make_workload(proxy.clients, sessions=3, writes_per_second=15)
    proxy.start_migration()
    proxy.wait_phase("joining")
    assert proxy.cli("pause").returncode == 0
    start_joiners(scene)
    load.wait_progress(30)
    status = proxy.status()
    assert (status["phase"], status["paused"]) == ("joining", True)
    assert scene.config().ids == {1, 2, 3}
    assert proxy.cli("pause").returncode == 1, "pausing twice is an error that says so"
    assert proxy.cli("resume").returncode == 0
    proxy.wait_phase("finished")
    assert_migrated(scene)
    assert_kept(load, scene, TARGETS[0])
