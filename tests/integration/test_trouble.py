"""What goes wrong around a plan: it stops in a named state, says what to do, loses nothing, and can go on."""
import pytest

from lib.heartbeats import Heartbeats
from lib.migration import (SOURCES, TARGETS, assert_attached, assert_kept, assert_migrated, confirm, findings,
                           forget, plan_targets, start_joiners, wait_failed, wait_gate, wait_seen)
from lib.ports import Ports
from lib.raw import Closed, RawClient
from lib.waiting import wait_for

pytestmark = pytest.mark.limit(240)  # servers start and restart one after the other

RECONFIG_OFF = {"reconfigEnabled": "false"}
QUICK_JOIN = {"join_timeout": "8s"}  # those that do start are seen to follow by then


@pytest.fixture
def scene(make_ensemble, make_proxy, make_workload):
    """make(ensemble options…, proxy options…): sources that serve, a proxy with a plan, live clients."""
    class Scene:
        def __init__(self, *, started=SOURCES, proxy=None, workload=True, **options):
            self.ensemble = make_ensemble(**options)
            if started == SOURCES:
                self.ensemble.start([1, 3])  # equal zxids: the highest id leads
                self.ensemble.start([2])
            else:
                self.ensemble.start(started)
            plan_targets(self.ensemble)
            self.proxy = make_proxy(self.ensemble.lines(SOURCES), self.ensemble.lines(TARGETS), **(proxy or {}))
            self.load = make_workload(self.proxy.clients, sessions=4, writes_per_second=20) if workload else None

        def start(self, accept=()):
            answer = self.proxy.post("/v1/migration/start", {"accept": list(accept)})
            assert answer.status == 200, answer

        def retry(self):
            assert self.proxy.cli("retry").returncode == 0

        def fails_with(self, *words):
            """Failed, with these words in the reason; clients do not notice."""
            self.start()
            return self.stopped_with(*words)

        def stopped_with(self, *words):
            reason = wait_failed(self.proxy)
            missing = [word for word in words if word not in reason]
            assert not missing, f"{missing} not in: {reason}"
            status = self.proxy.status()
            assert "retry" in status["can"] and status["failed"]["hint"]
            if self.load:
                self.load.wait_progress(10)
            return reason

        def goes_on(self, phase="joining"):
            self.retry()
            self.proxy.wait_phase(phase, deadline=60)
            if self.load:
                assert_kept(self.load, self.ensemble)

        def finishes(self):
            self.proxy.wait_phase("finished")
            assert_migrated(self.ensemble)
            assert_attached(self.ensemble, self.load.session_ids)
            assert_kept(self.load, self.ensemble, TARGETS[0])
    return Scene


# Preflight

def test_preflight_then_start(scene):
    """One call gives the whole picture, so that `zkferry preflight && zkferry start` means something."""
    here = scene()
    preflight = here.proxy.cli("preflight")
    assert preflight.returncode == 0, preflight.stdout
    assert "target-not-started-4" in preflight.stdout
    assert here.proxy.cli("start").returncode == 0
    here.proxy.wait_phase("joining")


def test_wrong_super_password(scene):
    here = scene(proxy={"super_user": "super:wrong"})
    here.fails_with("super-wrong", "Nothing was changed")
    assert "wrong" not in here.proxy.log().replace("super-wrong", ""), "the password is in the log"
    here.proxy.super_path.write_text("super:admin\n")
    assert here.proxy.cli("reload").returncode == 0
    here.goes_on()


def enable_reconfig(ensemble, ids):
    """As an operator would: one server after the other."""
    for sid in ids:
        server = ensemble[sid]
        server.stop()
        path = server.directory / "zoo.cfg"
        path.write_text(path.read_text().replace("reconfigEnabled=false", "reconfigEnabled=true"))
        ensemble.start([sid])


def test_reconfig_disabled_everywhere(scene):
    here = scene(cfg=RECONFIG_OFF)
    assert "reconfig-disabled-3" in findings(here.proxy)
    assert here.proxy.cli("preflight").returncode == 1
    here.fails_with("reconfig-disabled-3")
    enable_reconfig(here.ensemble, [1, 2, 3])
    wait_seen(here.proxy, *SOURCES)
    wait_for(lambda: here.proxy.status()["leader"] in SOURCES, 40, "the proxy knows the leader")
    here.goes_on()


def preflight_with_deaf_followers(scene, **proxy):
    """The split-brain case (protocol.md's head): the leader takes reconfigs, the followers ignore them."""
    here = scene(server_cfg={1: RECONFIG_OFF, 2: RECONFIG_OFF}, proxy=proxy)
    assert here.ensemble.leader() == 3
    return here, findings(here.proxy)


def assert_names_deaf_followers(found):
    for sid in (1, 2):
        assert f"reconfig-inactive-{sid}" in found, sorted(found)
        assert found[f"reconfig-inactive-{sid}"]["severity"] == "block"
        assert found[f"reconfig-inactive-{sid}"]["server"] == sid
    assert "reconfig-inactive-3" not in found


def test_reconfig_disabled_on_followers_only(scene):
    here, found = preflight_with_deaf_followers(scene)
    assert_names_deaf_followers(found)
    reason = here.fails_with("reconfig-inactive-1", "reconfig-inactive-2")
    assert "reconfig-inactive-3" not in reason
    assert here.ensemble.config(3).ids == set(SOURCES), "a member was added"
    enable_reconfig(here.ensemble, [1, 2])
    start_joiners(here.ensemble)
    wait_seen(here.proxy, 1, 2)
    here.retry()
    here.finishes()


def test_source_down_from_the_start(scene):
    here = scene(started=[2, 3])
    assert findings(here.proxy)["server-down-1"]["severity"] == "block"
    here.fails_with("server-down-1")
    here.ensemble.start([1])
    wait_for(lambda: "server-down-1" not in findings(here.proxy), 40, "the proxy sees server 1")
    here.goes_on()


def test_source_down_accepted(scene):
    """The members that are left can go on: a dead source is removed like the others."""
    here = scene(started=[2, 3])
    start_joiners(here.ensemble)
    here.start(accept=["server-down-1"])
    here.finishes()


def test_only_srvr_is_allowed(scene):
    """Nobody can see which members a server counts with: a block, unless accepted by name."""
    here = scene(cfg={"4lw.commands.whitelist": "srvr"})
    found = findings(here.proxy)
    for sid in SOURCES:
        assert found[f"activation-unobservable-{sid}"]["can_accept"]
    here.fails_with("activation-unobservable-1")
    start_joiners(here.ensemble)
    here.start(accept=["activation-unobservable"])
    here.proxy.wait_phase("finished")
    assert here.ensemble.config(4).ids == set(TARGETS)
    assert_kept(here.load, here.ensemble, 4)


@pytest.fixture
def ports():
    ports = Ports()
    yield ports
    ports.release()


def admin_server_options(ports, **server_cfg):
    """Servers with `srvr` only and AdminServer: one port for all, so each has an address of its own."""
    hosts = {sid: f"127.0.1.{sid}" for sid in SOURCES + TARGETS}
    port = ports.take("127.0.1.1")
    return {"cfg": {"4lw.commands.whitelist": "srvr", "admin.enableServer": "true", "admin.serverPort": port},
            "hosts": hosts,
            "server_cfg": {sid: {"admin.serverAddress": host, **server_cfg} for sid, host in hosts.items()},
            "proxy": {"config": {"probes": {"interval": "500ms", "plan_interval": "200ms",
                                            "admin_server_port": port}}}}


def test_admin_server_in_place_of_words(scene, ports):
    """It shows which members a server counts with, but not the config's version: before the first change a
    deaf follower looks the same. So that much has to be accepted; every later step is really seen."""
    here = scene(**admin_server_options(ports))
    found = findings(here.proxy)
    for sid in SOURCES:
        assert found[f"activation-unversioned-{sid}"]["can_accept"]
    assert not [name for name in found if "unobservable" in name or "mntr" in name], sorted(found)
    here.fails_with("activation-unversioned-1")
    start_joiners(here.ensemble)
    here.start(accept=["activation-unversioned"])
    here.proxy.wait_phase("finished")
    assert here.ensemble.config(4).ids == set(TARGETS)
    assert_kept(here.load, here.ensemble, 4)


@pytest.fixture
def hearts():
    with Heartbeats(interval=5.0) as hearts:
        yield hearts


def test_more_sessions_than_the_targets_take(scene, hearts):
    """maxClientCnxns left at its default of 60 per address, and all sessions come from the proxy's."""
    sessions = 120
    here = scene(server_cfg={sid: {"maxClientCnxns": None} for sid in TARGETS}, workload=False,
                 proxy={"confirm": ["switch", "remove"]})
    clients = [hearts.add(RawClient(here.proxy.clients).attach(timeout_ms=40000)) for _ in range(sessions)]
    start_joiners(here.ensemble)
    wait_for(lambda: "connections-few" in findings(here.proxy), 40, "preflight counts the sessions")
    here.fails_with("connections-few")
    here.proxy.config["bind"] = {"target": ["127.0.0.1", "127.0.0.2", "127.0.0.3"]}
    here.proxy.write_config()
    assert here.proxy.cli("reload").returncode == 0
    here.retry()
    wait_gate(here.proxy, "switch")
    assert confirm(here.proxy, "switch") == 0
    wait_gate(here.proxy, "remove")
    assert_attached(here.ensemble, {client.session_id for client in clients})
    assert confirm(here.proxy, "remove") == 0
    here.proxy.wait_phase("finished")
    assert_migrated(here.ensemble)
    hearts.assert_answered()  # each on the socket it began with
    for client in clients:
        client.close()


def test_more_sessions_than_the_sources_take(make_ensemble, make_proxy, hearts):
    """Each server takes 10 connections of one address: what does not fit waits, the rest is untouched."""
    ensemble = make_ensemble(cfg={"maxClientCnxns": 10}).start()
    proxy = make_proxy(ensemble.lines(SOURCES))
    clients = [hearts.add(RawClient(proxy.clients).attach(timeout_ms=20000)) for _ in range(18)]
    for _ in range(40):  # one by one: a server counts a connection only some time after it has accepted it
        with RawClient(proxy.clients) as late:
            late.send_connect(timeout_ms=3000)
            if not gets_session(late):
                break
        clients.append(hearts.add(RawClient(proxy.clients).attach(timeout_ms=20000)))
    else:
        pytest.fail("more sessions than the servers take were let in")
    assert proxy.metrics().value("zkferry_client_closed_total", reason="no_server") == 1
    hearts.assert_answered()
    for client in clients:
        client.close()


def gets_session(client):
    try:
        return client.read_connect() != 0
    except Closed:
        return False


# Joining

def test_reconfig_disabled_on_a_target(scene):
    """It never serves (protocol.md's head); the plan says which one and why it may be."""
    here = scene(server_cfg={5: RECONFIG_OFF}, proxy={"migration": QUICK_JOIN})
    for sid in TARGETS:
        here.ensemble.configure(sid)
    here.ensemble.start([4, 6])
    here.ensemble[5].start()
    wait_seen(here.proxy, 4, 6)
    here.fails_with("target 5")
    enable_reconfig(here.ensemble, [5])
    wait_seen(here.proxy, 5)
    here.retry()
    here.finishes()


def test_target_that_never_starts(scene):
    here = scene(proxy={"migration": QUICK_JOIN})
    start_joiners(here.ensemble, [4, 5])
    wait_seen(here.proxy, 4, 5)
    here.fails_with("target 6", "Nothing was changed")
    start_joiners(here.ensemble, [6])
    wait_seen(here.proxy, 6)
    here.retry()
    here.finishes()


def test_target_with_another_ensembles_data(scene):
    here = scene()
    stranger = here.ensemble.configure(4, members=[])
    here.ensemble.start([4])
    wait_for(lambda: stranger.mode() == "standalone", 20, "it is an ensemble of its own")
    with here.ensemble.client(4) as direct:
        direct.create("/mine", b"another history")
    wait_for(lambda: "target-own-ensemble-4" in findings(here.proxy), 40, "preflight sees it")
    here.fails_with("target-own-ensemble-4")
    with here.ensemble.client(4) as direct:
        assert direct.exists("/mine"), "the other ensemble's data were touched"
    forget(here.ensemble, 4)
    start_joiners(here.ensemble)
    wait_seen(here.proxy, 4)
    wait_for(lambda: "target-own-ensemble-4" not in findings(here.proxy), 40, "the proxy sees the new server")
    here.retry()
    here.finishes()


def test_target_with_another_ensembles_data_appears_later(scene):
    """The same, but the server starts when the plan waits for it."""
    here = scene()
    here.start()
    here.proxy.wait_phase("joining")
    here.ensemble.configure(4, members=[])
    here.ensemble.start([4])
    here.stopped_with("target 4", "target-own-ensemble-4")
    assert here.ensemble.config(1).ids == set(SOURCES)
    forget(here.ensemble, 4)
    start_joiners(here.ensemble)
    wait_seen(here.proxy, 4)  # what the other one has shown is a reason to fail again
    here.retry()
    here.finishes()


# Between our steps

def test_config_changed_by_somebody_else(scene):
    """A gate is open for people: one of them removes a source, and puts a target out."""
    here = scene(proxy={"confirm": ["remove"]})
    start_joiners(here.ensemble)
    here.start()
    wait_gate(here.proxy, "remove")
    foreign = here.ensemble.reconfig(leaving=[1])
    assert confirm(here.proxy, "remove") == 0
    here.stopped_with("changed by somebody else", "1,2,3,4,5,6", "2,3,4,5,6", f"{foreign.version:x}")
    assert here.ensemble.config(4).ids == {2, 3, 4, 5, 6}, "the plan went on over a foreign change"
    here.retry()
    here.finishes()
