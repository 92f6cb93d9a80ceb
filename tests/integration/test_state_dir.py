"""The state directory in trouble: full, gone, damaged, somebody else's. What could not be written has not
happened, whatever comes then; and without a plan to drive clients are served all the same."""
import resource

import pytest

from lib.migration import (SOURCES, TARGETS, assert_migrated, confirm, plan_targets, start_joiners, wait_failed,
                           wait_gate)
from lib.proxy import Proxy
from lib.raw import RawClient
from lib.waiting import wait_for


def limit_files(proxy, size):
    """What a full disk looks like, for this process only; the log's lines are lost meanwhile, too."""
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture
def plan(ensemble, make_proxy):
    """A migration that waits at its first gate."""
    lines = plan_targets(ensemble)
    start_joiners(ensemble)
    proxy = make_proxy(ensemble.lines(SOURCES), lines, confirm=["switch"])
    proxy.start_migration()
    wait_gate(proxy, "switch")
    return proxy


@pytest.mark.limit(240)
def test_full_disk_then_retry_then_a_crash(plan, ensemble):
    """5 of 5 times the daemon could never be started again."""
    limit_files(plan, 1)
    assert confirm(plan, "switch") == 1
    reason = wait_failed(plan)
    assert "journal" in reason and "File too large" in reason
    assert plan.cli("retry").returncode == 1  # nothing is acknowledged that is not on disk
    assert plan.status()["phase"] == "failed"
    size = (plan.state_dir / "journal").stat().st_size
    limit_files(plan, resource.RLIM_INFINITY)
    wait_for(lambda: (plan.state_dir / "journal").stat().st_size > size, 30, "the failure's record, by itself")
    plan.kill9()
    plan.start()
    assert plan.status()["phase"] == "failed"
    assert plan.cli("retry").returncode == 0
    plan.kill9()
    plan.start()
    wait_gate(plan, "switch")
    assert confirm(plan, "switch") == 0
    plan.wait_phase("finished")
    assert_migrated(ensemble, TARGETS)


def test_full_disk_at_start(ensemble, make_proxy):
    lines = plan_targets(ensemble)
    start_joiners(ensemble)
    proxy = make_proxy(ensemble.lines(SOURCES), lines)
    limit_files(proxy, 1)
    answer = proxy.post("/v1/migration/start")
    assert (answer.status, answer.json["error"]["code"]) == (500, "journal"), answer
    assert proxy.status()["phase"] == "idle"
    limit_files(proxy, resource.RLIM_INFINITY)
    proxy.kill9()
    proxy.start()
    assert proxy.status()["phase"] == "idle"
    proxy.start_migration()
    proxy.wait_phase("finished")


def test_what_a_restart_finds(plan):
    """Nothing of what was acknowledged is lost, whatever has become of the directory meanwhile."""
    vanish(plan)
    tear(plan)
    cannot_be_read(plan)


def vanish(plan):
    plan.state_dir.rename(plan.state_dir.with_name("away"))
    assert confirm(plan, "switch") == 1
    assert "removed or replaced" in wait_failed(plan)
    plan.state_dir.with_name("away").rename(plan.state_dir)
    plan.kill9()
    plan.start()  # what had been acknowledged is there; the confirmation was not
    wait_gate(plan, "switch")


def damage(proxy):
    """The first record's payload, which no crash can have done."""
    journal = proxy.state_dir / "journal"
    data = bytearray(journal.read_bytes())
    data[20] ^= 0xff
    journal.write_bytes(data)
    return data


def cannot_be_read(plan):
    """No client is kept out by it."""
    plan.kill9()
    data = damage(plan)
    plan.start()
    assert "event=journal.damaged" in plan.log()
    with RawClient(plan.clients) as client:
        client.attach().ping()
    status = plan.status()
    assert status["phase"] == "idle" and "no plan can be driven" in status["waiting_for"]
    assert not set(status["can"]) & {"start", "retry", "drain"}
    for path in ("/v1/migration/start", "/v1/servers/1/drain"):
        answer = plan.post(path)
        assert (answer.status, answer.json["error"]["code"]) == (409, "journal_damaged"), answer
    plan.terminate()
    assert (plan.state_dir / "journal").read_bytes() == data  # it is left for a person
    (plan.state_dir / "journal").rename(plan.state_dir / "journal.damaged")
    plan.start()
    assert plan.status()["phase"] == "idle" and "start" in plan.status()["can"]


def tear(plan):
    plan.kill9()
    with open(plan.state_dir / "journal", "ab") as journal:
        journal.write(b"\x07\x00")
    plan.start()
    assert "event=journal.cut bytes=2" in plan.log()
    wait_gate(plan, "switch")


def test_a_directory_that_others_may_write_is_refused():
    proxy = Proxy(["server.1=127.0.0.1:2888:3888;127.0.0.1:2181"])
    try:
        proxy.state_dir.chmod(0o777)
        proxy.start(wait=False)
        assert proxy.wait_exit() == 1
        assert "others may write there" in proxy.log()
    finally:
        proxy.abandon()
