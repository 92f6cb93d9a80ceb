"""Rollback of a migration on real servers, under load, from four places: everything is as before, and no
client has noticed either way."""
import re
import signal

import pytest

from lib.migration import (SOURCES, TARGETS, assert_attached, assert_kept, assert_migrated, confirm,
                           plan_targets, start_joiners, wait_gate)
from lib.waiting import wait_for
from lib.workload import source_port

STATIC = True  # members from static files, as most people start them

SESSIONS, WRITES_PER_SECOND = 15, 45
GATES = ("switch", "remove", "finish")


def roll_back(proxy):
    """`zkferry rollback`, as soon as it is offered: between two leaders it is not."""
    wait_for(lambda: proxy.cli("rollback").returncode == 0, 30, "a rollback is accepted")


def after_adding(proxy, _ensemble):
    wait_gate(proxy, "switch")


def after_the_switch(proxy, _ensemble):
    wait_gate(proxy, "switch")
    assert confirm(proxy, "switch") == 0
    wait_gate(proxy, "remove")


def after_the_first_removal(proxy, ensemble):
    after_the_switch(proxy, ensemble)
    assert confirm(proxy, "remove") == 0
    wait_for(lambda: len(ensemble.config(TARGETS[0]).ids) < 6, 30, "a source is removed")


def after_the_leaders_removal(proxy, ensemble):
    after_the_switch(proxy, ensemble)
    assert confirm(proxy, "remove") == 0
    wait_gate(proxy, "finish")
    assert_migrated(ensemble)


@pytest.fixture
def scene(request, ensemble, make_proxy):
    """Joiners that wait for a plan with all its gates; an indirect parameter is a failpoint of its daemon."""
    lines = plan_targets(ensemble)
    start_joiners(ensemble)
    return ensemble, make_proxy(ensemble.lines(SOURCES), lines, confirm=GATES,
                                failpoint=getattr(request, "param", None))


def assert_as_before(ensemble, proxy):
    status = proxy.wait_phase("rolled_back", deadline=90)
    assert {step["state"] for step in status["steps"]} <= {"done", "skipped"}
    assert_migrated(ensemble, SOURCES)
    return status


@pytest.mark.limit(180)
@pytest.mark.parametrize("place", [
    after_adding, pytest.param(after_the_switch, marks=pytest.mark.full),
    pytest.param(after_the_first_removal, marks=pytest.mark.dynamic),
    pytest.param(after_the_leaders_removal, marks=pytest.mark.sanitizer)])
def test_rollback(scene, make_workload, place):
    ensemble, proxy = scene
    load = make_workload(proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
    load.wait_progress(WRITES_PER_SECOND)
    ports = [source_port(worker.client) for worker in load.workers]
    proxy.start_migration()
    place(proxy, ensemble)
    roll_back(proxy)
    status = assert_as_before(ensemble, proxy)
    load.wait_progress(WRITES_PER_SECOND)
    assert_attached(ensemble, load.session_ids, SOURCES)
    assert [source_port(worker.client) for worker in load.workers] == ports, "a client has another connection"
    report = assert_kept(load, ensemble, SOURCES[0])
    assert report.disconnects == report.unknown == 0
    assert status["sessions"]["returned"] == status["sessions"]["failed"] == 0


def in_joining(proxy, ensemble):
    """One target is not there yet."""
    start_joiners(ensemble, TARGETS[:2])
    proxy.start_migration()
    proxy.wait_phase("joining")


def in_adding(proxy, ensemble):
    """All targets were seen; the last one stands still before its turn comes."""
    start_joiners(ensemble)
    proxy.start_migration()
    proxy.wait_stopped()
    ensemble[TARGETS[2]].freeze()
    proxy.go_on()
    wait_for(lambda: f"target {TARGETS[2]}" in proxy.status()["waiting_for"], 90, "the plan waits for a target")
    assert proxy.status()["phase"] == "adding"
    assert ensemble.config(SOURCES[0]).ids == {*SOURCES, TARGETS[0]}


def in_catching_up(proxy, ensemble):
    """All are members, and one does not get on."""
    in_adding(proxy, ensemble)
    ensemble[TARGETS[0]].freeze()
    ensemble[TARGETS[2]].thaw()
    wait_for(lambda: "was late last" in proxy.status()["waiting_for"], 90, "the plan waits for a target")
    assert proxy.status()["phase"] == "catching_up"


@pytest.mark.full
@pytest.mark.limit(400)
@pytest.mark.parametrize("place", [in_joining, in_adding, in_catching_up])
def test_rollback_of_a_plan_that_waits(ensemble, make_proxy, make_workload, place):
    """What the plan waits for does not hinder the way back; what stands still, stands still on it."""
    lines = plan_targets(ensemble)
    failpoint = None if place is in_joining else "before.JOURNAL.intent.add.4:1:stop"
    proxy = make_proxy(ensemble.lines(SOURCES), lines, confirm=GATES, failpoint=failpoint)
    load = make_workload(proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
    load.wait_progress(WRITES_PER_SECOND)
    place(proxy, ensemble)
    roll_back(proxy)
    assert_as_before(ensemble, proxy)
    load.wait_progress(WRITES_PER_SECOND)
    report = assert_kept(load, ensemble, SOURCES[0])
    assert report.disconnects == report.unknown == 0


@pytest.mark.limit(180)
@pytest.mark.parametrize("scene", [f"before.JOURNAL.intent.restore.{SOURCES[1]}"], indirect=True)
def test_rollback_goes_on_after_a_crash(scene):
    """kill -9 once the first source is back; and the way is free for the next plan."""
    ensemble, proxy = scene
    proxy.start_migration()
    after_the_leaders_removal(proxy, ensemble)
    roll_back(proxy)
    assert proxy.expect_death() == -signal.SIGKILL
    assert ensemble.config(TARGETS[0]).ids == {*TARGETS, SOURCES[0]}
    proxy.failpoint = None
    proxy.start()
    status = assert_as_before(ensemble, proxy)
    moments = wait_for(lambda: proxy.get("/v1/report").json["moments"], 20, "a report")
    assert [moment["what"] for moment in moments][-2:] == ["rollback", "restarted"]
    assert "start" in status["can"] and "rollback" not in status["can"]


def health(proxy, sid):
    return next(row["health"] for row in proxy.get("/v1/servers").json["servers"] if row["id"] == sid)


def start_again(ensemble, proxy, sid, files):
    """With the member list of `zkferry joiner-config`; data and the other settings are still there."""
    assert proxy.cli("joiner-config", str(sid), "--dir", str(files)).returncode == 0
    directory = ensemble[sid].directory
    dynamic = directory / "zoo.cfg.dynamic"  # ZooKeeper has written others, with a version in their names
    dynamic.write_text((files / "zoo.cfg.dynamic").read_text())
    text = re.sub(r"^dynamicConfigFile=.*$", f"dynamicConfigFile={dynamic}",
                  (directory / "zoo.cfg").read_text(), flags=re.M)
    (directory / "zoo.cfg").write_text(text)
    ensemble.start([sid])


@pytest.mark.limit(180)
def test_no_way_back_without_the_sources(scene, tmp_path):
    """A removed source that was stopped would exit at its next start: rollback is not offered any more, until
    it has been started with its data and the member list of `zkferry joiner-config`."""
    ensemble, proxy = scene
    proxy.start_migration()
    after_the_leaders_removal(proxy, ensemble)
    wait_for(lambda: "rollback" in proxy.status()["can"], 30, "rollback is offered")
    ensemble[SOURCES[1]].stop()
    wait_for(lambda: health(proxy, SOURCES[1]) == "down", 30, "the proxy sees that it is down")
    assert "rollback" not in proxy.status()["can"]
    assert proxy.cli("rollback").returncode == 1
    wait_for(lambda: f"server {SOURCES[1]} is not seen following" in proxy.cli("rollback").stderr, 20,
             "the refusal names the one that hinders")
    start_again(ensemble, proxy, SOURCES[1], tmp_path)
    roll_back(proxy)
    assert_as_before(ensemble, proxy)
