"""The continuity witness: a session of zkferry's own that proves a plan interrupts nobody, or says what did."""
import os
import re
import signal

import pytest

from lib.migration import TARGETS, assert_kept, assert_migrated, plan_targets, start_joiners, wait_gate
from lib.waiting import SCALE, wait_for

STATE_ROOT = "/zookeeper/zkferry"
COUNTS = ("writes", "acked", "unknown", "refused", "gaps", "disconnects", "expired", "ephemerals_lost",
          "events", "events_late", "events_missed", "events_doubled", "watches_lost")
WANTED = ("writes", "acked", "events")  # all others count faults
STALL_MAX = 2.0  # measured: 0.4, and 0.7 on a machine with a load of 15 per core
STALL = 1.2  # long enough to be told
SESSIONS, WRITES_PER_SECOND = 5, 20


@pytest.fixture
def scene(ensemble):
    """Sources that serve, and the lines of targets that do not exist yet."""
    plan_targets(ensemble)
    return ensemble


def proxy_for(make_proxy, ensemble, **options):
    return make_proxy(ensemble.lines([1, 2, 3]), ensemble.lines(TARGETS), **options)


def witness(proxy):
    return proxy.status()["witness"] or {}


def faults(said):
    return {name: said[name] for name in COUNTS if name not in WANTED and said[name]}


def wait_acked(proxy, more=10, deadline=60):
    """Until that many more of its writes are acknowledged; returns what it says then."""
    goal = witness(proxy).get("acked", 0) + more
    return wait_for(lambda: (said := witness(proxy)) and said["acked"] >= goal and said, deadline,
                    f"{more} more acknowledged writes of the witness")


def is_over(said):
    """A write may be unanswered when it is told to end; with its session's end the figures stand."""
    return not said["running"] and int(said["session_id"], 16) == 0


def assert_nothing_left(ensemble, sid):
    """Neither lock nor witness nor the root they lived under; not even for a moment longer than the plan."""
    with ensemble.client(sid, super_user=True) as client:
        wait_for(lambda: not client.exists(STATE_ROOT), 20, f"{STATE_ROOT} is removed")


def assert_metrics_agree(proxy):
    """Counts are between those of two statuses: one that still runs writes on meanwhile."""
    before, metrics, after = witness(proxy), proxy.metrics(), witness(proxy)
    counts = {name: metrics.value(f"zkferry_witness_{name}_total") for name in COUNTS}
    assert all(before[name] <= counts[name] <= after[name] for name in COUNTS), (before, counts, after)
    assert metrics.value("zkferry_witness_clean") == before["clean"] == after["clean"]
    assert metrics.value("zkferry_witness_running") == before["running"] == after["running"]
    stall = metrics.value("zkferry_witness_stall_seconds")
    assert before["stall_seconds"] - 1e-6 <= stall <= after["stall_seconds"] + 1e-6


@pytest.mark.sanitizer
def test_a_migration_interrupts_nobody(scene, make_proxy, make_workload):
    """It is moved like any session, is not counted among the clients', and leaves nothing behind."""
    proxy = proxy_for(make_proxy, scene, confirm=["finish"])
    load = make_workload(proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
    assert proxy.status()["witness"] is None
    start_joiners(scene)
    proxy.start_migration()
    status = wait_gate(proxy, "finish")
    assert proxy.cli("pause").returncode == 0
    said = wait_acked(proxy)  # also while the plan is paused
    assert said["running"] and said["connected"] and said["plan_id"] == status["plan_id"]
    assert any(said["session_id"] == f"{sid:#x}" for server in TARGETS for sid in scene[server].sessions())
    sessions = proxy.status()["sessions"]
    assert sessions["total"] == sessions["target"] == SESSIONS
    assert proxy.cli("resume").returncode == 0
    assert proxy.cli("confirm", "finish").returncode == 0
    proxy.wait_phase("finished")
    said = wait_for(lambda: (now := witness(proxy)) and is_over(now) and now, 30, "the witness ends")
    assert said["clean"] and faults(said) == {}, said
    assert said["writes"] == said["acked"] > 20 and said["events"] >= said["acked"] - 1
    assert 0 < said["stall_seconds"] < STALL_MAX * SCALE
    assert_metrics_agree(proxy)
    log = proxy.log()
    assert "event=witness.fault" not in log and "event=witness.ended" in log and "event=witness.watching" in log
    assert_nothing_left(scene, TARGETS[0])
    assert_migrated(scene)
    assert_kept(load, scene, TARGETS[0])


def server_of(proxy, session_id):
    rows = proxy.get("/v1/sessions").json["sessions"]
    return next(row["server"] for row in rows if row["id"] == session_id)


def freeze_with_a_write_unanswered(proxy, servers):
    """Frozen between two writes there is nothing that could be left unknown: then once more."""
    def frozen():
        longest = max(STALL, wait_acked(proxy, more=1)["stall_seconds"])
        for server in servers:
            server.freeze()
        said = wait_for(lambda: (now := witness(proxy)) and now["stall_seconds"] > longest and now, 30,
                        "a stall is shown while it lasts")
        if said["writes"] > said["acked"]:
            return True
        for server in servers:
            server.thaw()
        return False
    wait_for(frozen, 60, "a write is unanswered")


def test_what_interrupts_it_is_said(scene, make_proxy):
    """The server it is on dies with a write unanswered: nobody can know what became of that write, and the
    client must be told by a lost connection. A stop in the middle of a plan takes its node along."""
    proxy = proxy_for(make_proxy, scene)
    proxy.start_migration()
    proxy.wait_phase("joining")
    assert faults(wait_acked(proxy)) == {}
    freeze_with_a_write_unanswered(proxy, [scene[sid] for sid in (1, 2, 3)])
    victim = server_of(proxy, witness(proxy)["session_id"])
    scene[victim].kill9()
    for sid in {1, 2, 3} - {victim}:
        scene[sid].thaw()
    said = wait_acked(proxy)
    found = set(faults(said)) - {"watches_lost"}  # when that session was on the same server
    assert not said["clean"] and found == {"unknown", "disconnects"}, said
    assert said["unknown"] == said["disconnects"] == 1 and said["stall_seconds"] > STALL
    for line in ("witness.stall ", "witness.stall_over ", "witness.fault plan=", "what=unknown"):
        assert line in proxy.log(), f"not in the log: {line}"
    assert_metrics_agree(proxy)
    other = min({1, 2, 3} - {victim})
    node = f"{STATE_ROOT}/witness-{(proxy.state_dir / 'instance').read_text().strip()}"
    with scene.client(other, super_user=True) as client:
        assert client.exists(node)
        proxy.terminate()
        client.sync(node)
        assert not client.exists(node), "a stopped daemon has left its node"
    assert_goes_on(proxy, said)


def test_a_persistent_watch_that_is_cut_is_said(scene, make_proxy):
    """Its node is written all the time: nobody can know which of its events a server that dies has kept."""
    proxy = proxy_for(make_proxy, scene)
    proxy.start_migration()
    proxy.wait_phase("joining")
    assert faults(wait_acked(proxy)) == {}
    wait_for(lambda: "event=witness.watching" in proxy.log(), 20, "it watches")
    own = witness(proxy)["session_id"]
    watcher = next(row for row in proxy.get("/v1/sessions").json["sessions"] if row["id"] != own)
    scene[watcher["server"]].kill9()
    said = wait_for(lambda: (now := witness(proxy))["watches_lost"] and now, 30, "it is told")
    assert said["watches_lost"] == 1 and not said["clean"], said
    wait_for(lambda: proxy.log().count("event=witness.watching") == 2, 30, "it watches again")
    assert proxy.metrics().value("zkferry_client_closed_total", reason="events_unknown") == 1


def assert_goes_on(proxy, said):
    """A stop costs nothing: the next daemon says at once all that the one before has seen."""
    acked = int(re.search(r"event=witness.ended .* acked=(\d+)", proxy.log()).group(1))
    proxy.start()
    now = witness(proxy)
    assert now["acked"] >= acked and faults(now) == faults(said), (now, acked)
    assert now["started_at"] == said["started_at"] and now["stall_seconds"] >= said["stall_seconds"], now


@pytest.mark.full
def test_an_expired_session_is_said(scene, make_proxy):
    """The whole daemon stands still for longer than the timeout; it goes on with another session and node."""
    proxy = proxy_for(make_proxy, scene)
    proxy.start_migration()
    proxy.wait_phase("joining")
    before = wait_acked(proxy)
    os.kill(proxy.pid, signal.SIGSTOP)
    node = f"{STATE_ROOT}/witness-{(proxy.state_dir / 'instance').read_text().strip()}"
    with scene.client(super_user=True) as client:
        wait_for(lambda: not client.exists(node), 40, "the session expires")
    os.kill(proxy.pid, signal.SIGCONT)
    said = wait_for(lambda: (now := witness(proxy)) and now["acked"] >= before["acked"] + 10 and now, 30,
                    "the witness writes again")
    assert said["session_id"] != before["session_id"]
    assert said["expired"] == said["ephemerals_lost"] == 1, said
    # Its watches went with the session: what they would have told is lost, too.
    assert set(faults(said)) <= {"expired", "ephemerals_lost", "disconnects", "unknown", "watches_lost"}, said


@pytest.mark.full
def test_a_rule_that_is_switched_off_is_found(scene, make_proxy):
    """Sessions that move without their credentials: the witness's own write is refused."""
    proxy = proxy_for(make_proxy, scene, switches=["no_auth_replay"])
    start_joiners(scene)
    proxy.start_migration()
    proxy.wait_phase("finished", deadline=90)
    assert faults(witness(proxy)).keys() & {"refused"}, witness(proxy)


@pytest.mark.full
def test_it_can_be_switched_off(scene, make_proxy):
    proxy = proxy_for(make_proxy, scene, migration={"witness": False})
    start_joiners(scene)
    proxy.start_migration()
    proxy.wait_phase("finished", deadline=90)
    assert proxy.status()["witness"] is None and "event=witness." not in proxy.log()
    assert_nothing_left(scene, TARGETS[0])
