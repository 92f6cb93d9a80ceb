"""Each gate of a plan, on real servers: what would be dangerous is there, the plan waits, says the right reason,
takes no step, and goes on when it is gone. And with the gates taken away (test builds only) the same plan does
what they are there to prevent."""
import re

import pytest

from lib.forgery import forge, wait_stored
from lib.migration import (SOURCES, TARGETS, assert_kept, assert_migrated, confirm, plan_targets,
                           start_joiners, wait_failed, wait_gate, wait_seen)
from lib.waiting import wait_for
from lib.zkserver import Server

GATES = ["no_synced_gate", "no_lag_gate", "no_data_gate", "no_straggler_gate", "no_tolerance_gate",
         "no_foreign_gate"]
SESSIONS, WRITES_PER_SECOND = 6, 30
# What stands still is soon seen to.
PROBES = {"interval": "300ms", "plan_interval": "200ms", "timeout": "1500ms", "admin_server_port": 0}


class Scene:
    """A plan 1,2,3 -> 4,5,6 with live clients."""

    def __init__(self, ensemble, make_proxy, make_workload, **options):
        self.ensemble = ensemble
        lines = plan_targets(ensemble)
        start_joiners(ensemble)
        self.proxy = make_proxy(ensemble.lines(SOURCES), lines, config={"probes": PROBES}, **options)
        self.load = make_workload(self.proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
        self.load.wait_progress(WRITES_PER_SECOND)

    def waits(self, *words, deadline=90):
        """The plan waits with these words; returns the sentence."""
        def waiting():
            status = self.proxy.status()
            assert status["phase"] != "failed", f"the plan failed: {status['failed']}"
            text = status["waiting_for"]
            return text if all(word in text for word in words) else None
        return wait_for(waiting, deadline, f"the plan waits for {words}")

    def members(self):
        return self.ensemble.config(SOURCES[0]).ids


@pytest.fixture
def scene(ensemble, make_proxy, make_workload):
    return lambda **options: Scene(ensemble, make_proxy, make_workload, **options)


def without_a_joiner(here, stop):
    """Joiner 6 stops in between: the plan is about to add 4, and has seen all of them follow."""
    here.proxy.start_migration()
    here.proxy.wait_stopped()
    stop(here.ensemble[6])
    here.proxy.go_on()


def forge_target(here, sid):
    """One target's data is not what the leader has, and nobody notices."""
    with here.ensemble.client() as client:
        client.create("/forged", b"genuine data")
    wait_stored(here.ensemble[sid], b"genuine data")
    here.ensemble[sid].stop()
    assert forge(here.ensemble[sid], b"genuine data", b"altered data") == 1
    here.ensemble.start([sid])
    wait_seen(here.proxy, sid)  # a server that looks down would not be compared


@pytest.mark.limit(300)
def test_each_gate_holds(scene):
    """One plan that meets everything: a joiner that stops, a target that lags, altered data, a straggler, a
    confirmation that is repeated, no tolerance left."""
    here = scene(confirm=["switch", "remove"], migration={"verify": "full"},
                 failpoint="before.JOURNAL.intent.add.4:1:stop")
    ensemble, proxy = here.ensemble, here.proxy

    without_a_joiner(here, Server.freeze)
    here.waits("target 6", "start it")
    assert here.members() == {1, 2, 3, 4}

    ensemble[4].freeze()
    ensemble[6].thaw()
    here.waits("target 4 was late last", "load and the disk")
    assert proxy.status()["phase"] == "catching_up"
    ensemble[4].thaw()
    wait_gate(proxy, "switch")

    forge_target(here, 5)
    wait_for(lambda: proxy.status()["quorum"]["alive"] == 6, 40, "all six follow again")
    straggler = ensemble.client(1)
    assert confirm(proxy, "switch") == 0
    reason = wait_failed(proxy)
    assert "/forged on server 5 (data)" in reason and here.members() == {1, 2, 3, 4, 5, 6}, reason
    straggler.set("/forged", b"written anew")
    assert proxy.cli("retry").returncode == 0

    port = straggler._connection._socket.getsockname()[1]  # kazoo has no other way to ask
    # srvr counts them, and the sentence stands; cons, which may answer later, adds who they are.
    text = here.waits("bypass the proxy", "server 1, which is about to leave, has 1", f"from 127.0.0.1:{port}")
    assert "--accept stragglers-1" in text
    assert confirm(proxy, "switch") == 0  # repeated: it opens nothing
    straggler.stop()
    wait_gate(proxy, "remove")

    struck = ensemble[6].sessions()
    ensemble[6].kill9()
    wait_for(lambda: proxy.status()["quorum"]["alive"] == 5, 40, "the loss is seen")
    assert confirm(proxy, "remove") == 0
    here.waits("more members to be alive", "bring the missing members back")
    assert len(ensemble.config(4).ids) == 5
    ensemble.start([6])
    proxy.wait_phase("finished")
    assert_migrated(ensemble)
    assert_kept(here.load, ensemble, TARGETS[0])
    cut = {worker.session_id: worker.suspended for worker in here.load.workers if worker.suspended}
    assert cut.keys() <= struck, "more than those with an unanswered write on the server that died"
    assert set(cut.values()) <= {1}, cut


@pytest.mark.limit(300)
def test_without_the_gates(scene):
    """Controls test_each_gate_holds: each of these would stop the plan."""
    here = scene(confirm=["switch"], migration={"verify": "full"}, switches=GATES,
                 failpoint="before.JOURNAL.intent.add.4:1:stop")
    without_a_joiner(here, Server.kill9)
    wait_gate(here.proxy, "switch")
    assert here.members() == {1, 2, 3, 4, 5, 6}, "a joiner that is dead was not added"
    assert here.ensemble[6].mode() is None
    forge_target(here, 5)
    straggler = here.ensemble.client(1)
    assert straggler.client_id[0] in here.ensemble[1].sessions()
    assert confirm(here.proxy, "switch") == 0
    here.proxy.wait_phase("finished")
    assert here.ensemble.config(4).ids == set(TARGETS), "one failure away from no quorum"
    data = {sid: here.ensemble.client(sid).get("/forged")[0] for sid in (4, 5)}
    assert data == {4: b"genuine data", 5: b"altered data"}


def followers_stop_behind_the_request(here):
    """The request is sent to the leader, and cannot commit."""
    here.proxy.start_migration()
    here.proxy.wait_stopped()
    leader = here.ensemble.leader()
    frozen = [here.ensemble[sid] for sid in SOURCES if sid != leader]
    for server in frozen:
        server.freeze()
    here.proxy.go_on()
    return frozen


def outcomes(proxy):
    """Of the reconfigs, by the log: "add.4 applied" …"""
    return re.findall(r"event=plan\.reconfig\.outcome .*?text=\W*(\S+ \w+)", proxy.log())


PATIENT = {"cfg": {"syncLimit": 100, "initLimit": 100}}


@pytest.fixture
def patient_scene(make_ensemble, make_proxy, make_workload):
    """Followers that stop are waited for by their leader, longer than the proxy waits for a reply."""
    ensemble = make_ensemble(**PATIENT).start()
    return lambda **options: Scene(ensemble, make_proxy, make_workload, confirm=["switch"],
                                   failpoint="before.RECONFIG:1:stop", **options)


@pytest.mark.full
@pytest.mark.limit(180)
def test_a_lost_reply_is_decided_behind_a_barrier(patient_scene):
    """The leader still shows the old config, although the change commits later: nothing is concluded."""
    here = patient_scene()
    frozen = followers_stop_behind_the_request(here)
    here.waits("the outcome of the reconfig; its reply was lost", "quorum")
    assert outcomes(here.proxy) == []
    for server in frozen:
        server.thaw()
    wait_gate(here.proxy, "switch")
    assert outcomes(here.proxy) == ["add.4 applied", "add.5 applied", "add.6 applied"]


@pytest.mark.full
def test_without_the_config_gate_a_foreign_change_is_taken(scene):
    """Controls test_trouble.test_config_changed_by_somebody_else: the plan would go on over it."""
    here = scene(confirm=["remove"], switches=["no_foreign_gate"])
    here.proxy.start_migration()
    wait_gate(here.proxy, "remove")
    here.ensemble.reconfig(leaving=[1])
    assert confirm(here.proxy, "remove") == 0
    here.proxy.wait_phase("finished")
    assert_migrated(here.ensemble)


@pytest.mark.full
def test_without_its_name_a_repeated_confirmation_opens_the_next_gate(scene):
    """Controls the repeated confirmation of test_each_gate_holds: here it lets the sources leave."""
    here = scene(confirm=["switch", "remove"], switches=["no_confirm_name"])
    here.proxy.start_migration()
    wait_gate(here.proxy, "switch")
    assert confirm(here.proxy, "switch") == 0
    wait_gate(here.proxy, "remove")
    assert confirm(here.proxy, "switch") == 0
    here.proxy.wait_phase("finished")
    assert_migrated(here.ensemble)
