"""Sessions through the proxy: who holds them, where they go, how they end."""
import concurrent.futures
import functools
import re
import struct
import threading
import time

import pytest

from lib.ensemble import DirectClient
from lib.migration import (MEMBERS, TARGETS, assert_kept, assert_migrated, confirm, plan_targets,
                           start_joiners, wait_gate)
from lib.raw import (CHECK, CREATE_TTL, EXISTS, OPEN_ACL, PING, PING_XID, RECONFIG, SYNC, Closed, RawClient,
                     buffer, connect_request, ustring)
from lib.waiting import SCALE, wait_for

CLOSED = "zkferry_client_closed_total"
SLOW_PROBES = {"probes": {"interval": "30s", "plan_interval": "30s", "timeout": "3s", "admin_server_port": 0}}
NO_NODE, UNIMPLEMENTED, RECONFIG_DISABLED = -101, -6, -123


@pytest.fixture
def proxy(shared_ensemble, make_proxy):
    return make_proxy(shared_ensemble.lines([1, 2, 3]))


def counted(proxy, reason):
    return proxy.metrics().value(CLOSED, reason=reason)


def server_of(proxy, session_id):
    """The id of the server a session is attached to; None when the proxy lists no such session."""
    rows = proxy.get("/v1/sessions").json["sessions"]
    return next((row["server"] for row in rows if int(row["id"], 16) == session_id), None)


def states(proxy):
    """The state of every session by its id; the plan's own witness is one of them."""
    return {int(row["id"], 16): row["state"] for row in proxy.get("/v1/sessions").json["sessions"]}


# Connect flavours, sizes, unknown requests

@pytest.mark.sanitizer
@pytest.mark.parametrize("flavour,length", [(None, 36), (False, 37), (True, 37)])
def test_connect_flavours(proxy, connect, flavour, length):
    """44 bytes are answered by 36, 45 by 37 (protocol.md §1.2), and the session can be resumed in kind."""
    client = connect(proxy.clients)
    client.send_frame(connect_request(read_only=flavour))
    assert client.read_connect() != 0
    assert len(client.connect_reply) == length
    again = connect(proxy.clients)
    again.send_frame(connect_request(client.session_id, client.password, read_only=flavour))
    assert again.read_connect() == client.session_id
    assert len(again.connect_reply) == length


@pytest.mark.sanitizer
def test_unknown_session_is_expired(proxy, connect):
    """As a server says it: session id 0, then the end."""
    client = connect(proxy.clients)
    client.send_connect(session_id=0x1234567890, password=b"p" * 16)
    assert client.read_connect() == 0
    assert client.wait_closed() == b""
    wait_for(lambda: counted(proxy, "expired") == 1, 20, "it is counted")


@pytest.mark.sanitizer
def test_big_data(proxy, connect):
    """900 KB both ways, in one frame each."""
    data = bytes(range(256)) * 3600
    client = connect(proxy.clients).attach()
    assert client.create("/big", b"") == 0
    assert client.set("/big", data) == 0
    assert client.get("/big")[:2] == (0, data)
    client.call(2, ustring("/big") + struct.pack(">i", -1))


def unknown_request(address, opcode, body):
    """What a client sees of a request nobody knows: error or None, and what is left until the close."""
    with RawClient(address) as client:
        client.attach()
        client.send(opcode, body)
        try:
            _, error, _ = client.receive()
        except Closed:
            return None, b""
        return error, client.wait_closed()


@pytest.mark.sanitizer
@pytest.mark.parametrize("opcode", [77, 1000, 2**31 - 1])
def test_unknown_opcode_is_the_servers_business(shared_ensemble, proxy, opcode):
    direct = unknown_request(shared_ensemble.addresses(), opcode, b"\1\2\3\4")
    assert unknown_request(proxy.clients, opcode, b"\1\2\3\4") == direct


def refusal_behind(address, count):
    """`count` syncs and, in the same segment, what nobody knows: which answers arrive until the close."""
    frames = [struct.pack(">ii", xid, SYNC) + ustring("/") for xid in range(1, count + 1)]
    frames.append(struct.pack(">ii", count + 1, 1000))
    heard = []
    with RawClient(address) as client:
        client.attach()
        client.socket.sendall(b"".join(buffer(frame) for frame in frames))
        try:
            while True:
                heard.append(client.receive()[:2])
        except Closed:
            return heard


@pytest.mark.sanitizer
def test_refusal_overtakes(shared_ensemble, proxy):
    """The server answers it before what is in its pipeline; whose doing the end is must be seen, too."""
    count = 50
    refusal = (count + 1, UNIMPLEMENTED)
    assert refusal in refusal_behind(shared_ensemble.addresses(), count)
    heard = refusal_behind(proxy.clients, count)
    assert refusal in heard
    assert [xid for xid, _ in heard if xid <= count] == list(range(1, len(heard))), "in order"
    assert heard[-1] != refusal or len(heard) <= count, "it did not overtake: nothing was tried"
    assert counted(proxy, "refused") == 1
    assert counted(proxy, "server_protocol") == proxy.metrics().value("zkferry_server_misfits_total") == 0


# Guard

@pytest.mark.sanitizer
def test_guard_hides_the_members(proxy, connect):
    """/zookeeper/config looks like a standalone server's: data of length 0, not null."""
    client = connect(proxy.clients).attach()
    error, data, stat = client.get(MEMBERS)
    assert (error, data) == (0, b"")
    assert len(stat) == 68
    data_length = struct.unpack_from(">i", stat, 52)[0]
    assert data_length == 0
    error, stat = client.call(EXISTS, ustring(MEMBERS) + b"\0")
    assert error == 0 and struct.unpack_from(">i", stat, 52)[0] == 0


@pytest.mark.sanitizer
def test_guard_refuses_without_closing(proxy, connect):
    """reconfig and a bare check are answered here, in order, and the connection goes on."""
    client = connect(proxy.clients).attach()
    body = ustring("") + ustring("1") + ustring("") + struct.pack(">q", -1)
    first = client.send(EXISTS, ustring("/none") + b"\0")
    second = client.send(RECONFIG, body)
    third = client.send(CHECK, ustring("/") + struct.pack(">i", -1))
    fourth = client.send(EXISTS, ustring("/none") + b"\0")
    answers = [client.receive()[:2] for _ in range(4)]
    assert answers == [(first, NO_NODE), (second, RECONFIG_DISABLED), (third, UNIMPLEMENTED), (fourth, NO_NODE)]
    metrics = proxy.metrics()
    assert metrics.value("zkferry_guarded_total", what="reconfig") == 1
    assert metrics.value("zkferry_guarded_total", what="check") == 1
    assert client.ping()


# A mode without a ttl, and the ttl that stands for none.
DEADLY = ustring("/deadly") + buffer(b"") + OPEN_ACL + struct.pack(">iq", 0, -1)
BAD_ARGUMENTS = -8


def test_guard_stops_the_deadly_create_ttl(shared_ensemble, proxy, connect):
    client = connect(proxy.clients).attach()
    assert client.call(CREATE_TTL, DEADLY) == (BAD_ARGUMENTS, b"")
    assert client.call(CREATE_TTL, DEADLY[:-1]) == (BAD_ARGUMENTS, b""), "what can't be read is no better"
    assert client.get("/deadly")[0] == NO_NODE
    assert proxy.metrics().value("zkferry_guarded_total", what="create_ttl") == 2
    assert all(shared_ensemble[sid].running for sid in (1, 2, 3))


@pytest.mark.full
def test_the_deadly_create_ttl_is_deadly(make_ensemble):
    """What the guard is for: no quorum is left without it."""
    ensemble = make_ensemble().start()
    with RawClient(ensemble[1].address) as client:
        client.attach()
        with pytest.raises(Closed):
            client.call(CREATE_TTL, DEADLY)
    wait_for(lambda: sum(ensemble[sid].running for sid in (1, 2, 3)) <= 1, 60, "who applied it has ended")
    wait_for(lambda: not any(ensemble[sid].mode() for sid in (1, 2, 3)), 60, "no server serves")


def test_guard_can_be_told_to_pass(shared_ensemble, make_proxy, connect):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), config={"guard": {"config_node": "pass"}})
    client = connect(proxy.clients).attach()
    assert b"server.1=" in client.get(MEMBERS)[1]


# Owner map

@pytest.mark.sanitizer
def test_client_comes_back_while_its_old_connection_exists(proxy, connect):
    """The newest connection with the right password gets the session; the old one is closed."""
    old = connect(proxy.clients).attach()
    assert old.create("/owner", b"", ephemeral=True) == 0
    for _ in range(8):  # both workers, and the same one
        new = connect(proxy.clients)
        assert new.resume(old) == old.session_id
        assert old.wait_closed() == b""
        assert new.ping()
        old = new
    assert new.get("/owner")[0] == 0, "the ephemeral is gone"
    wait_for(lambda: proxy.metrics().value("zkferry_session_takeovers_total") == 8, 20, "takeovers are counted")
    wait_for(lambda: counted(proxy, "superseded") == 8, 20, "the closed ones are counted")


@pytest.mark.sanitizer
def test_wrong_password_takes_nothing(proxy, connect):
    """Directly on one server the thief would kill the old connection (protocol.md §1.2); not here."""
    owner = connect(proxy.clients).attach()
    for _ in range(4):
        thief = connect(proxy.clients)
        assert thief.resume(owner, password=b"x" * 16) == 0
        thief.wait_closed()
        assert owner.ping()
    wait_for(lambda: counted(proxy, "wrong_password") == 4, 20, "the thieves are counted")


def guess(proxy, owner, until):
    """Tries the owner's id with a password of its own, again and again; how often."""
    count = 0
    while not until.is_set():
        count += 1
        with RawClient(proxy.clients) as thief:
            try:
                assert thief.resume(owner, password=b"x" * 16) == 0
            except Closed:
                pass  # its connect may also have waited too long
    return count


def test_guesses_keep_no_owner_out(proxy, connect):
    """While it reconnects no server has confirmed it, and a guess is as good as its password."""
    owner = connect(proxy.clients).attach()
    over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        thieves = [pool.submit(guess, proxy, owner, over) for _ in range(4)]
        try:
            for _ in range(30):
                owner.close()
                again = connect(proxy.clients)
                assert again.resume(owner) == owner.session_id
                owner = again
        finally:
            over.set()
        assert all(thief.result() > 0 for thief in thieves)


# Servers that fail

def test_failed_dial_tries_the_next_server(make_ensemble, make_proxy, connect):
    """A server dies and the probes have not noticed: connects are not the ones to suffer."""
    ensemble = make_ensemble().start()
    proxy = make_proxy(ensemble.lines([1, 2, 3]), config=SLOW_PROBES)
    for sid in (1, 2, 3):
        wait_for(lambda sid=sid: proxy.metrics().value("zkferry_server_up", server=str(sid)), 70, "all are up")
    ensemble[ensemble.followers()[0]].kill9()
    for _ in range(6):
        assert connect(proxy.clients).attach().ping()
    assert proxy.metrics().value("zkferry_connects_retried_total") > 0


def test_connects_wait_while_there_is_no_leader(make_ensemble, make_proxy, connect):
    ensemble = make_ensemble().start()
    proxy = make_proxy(ensemble.lines([1, 2, 3]))
    stopped = ensemble.followers()
    for sid in stopped:
        ensemble[sid].kill9()
    wait_for(lambda: proxy.get("/readyz").status == 503, 60, "the proxy sees that nobody serves")
    impatient = connect(proxy.clients)
    impatient.send_connect(timeout_ms=1500)
    waiting = [connect(proxy.clients, patience=40) for _ in range(4)]
    for client in waiting:
        client.send_connect(timeout_ms=40000)
    assert impatient.wait_closed() == b"", "closed after its own timeout, without an answer"
    wait_for(lambda: counted(proxy, "no_server") == 1, 20, "it is counted")
    wait_for(lambda: proxy.metrics().value("zkferry_connects_waited_total") >= 5, 20, "all five have waited")
    wait_for(lambda: "connect.waits" in proxy.log(), 20, "the log says so")
    assert all(client.is_quiet() for client in waiting)
    ensemble.start(stopped)
    for client in waiting:
        assert client.read_connect() != 0
        assert client.ping()


def failed_dials_with_a_lagging_server(ensemble, make_proxy, **options):
    """A follower stands still while the others commit; clients that have seen the newest zxid connect.

    Returns how many dials failed. The routing by zxid never tries the one that can't serve them.
    """
    proxy = make_proxy(ensemble.lines([1, 2, 3]), config=SLOW_PROBES, **options)
    for sid in (1, 2, 3):
        wait_for(lambda sid=sid: proxy.metrics().value("zkferry_server_up", server=str(sid)), 70, "all are up")
    lagging = ensemble[ensemble.followers()[0]]
    leader = ensemble[ensemble.leader()]
    lagging.freeze()
    try:
        with RawClient(leader.address) as writer:  # directly, so that its zxid is surely the newest
            writer.attach()
            writer.create("/lag", b"")
            writer.set("/lag", b"1")
            clients = [RawClient(proxy.clients) for _ in range(6)]
            for client in clients:
                client.send_connect(zxid=writer.zxid)
            for client in clients:
                assert client.read_connect() != 0
                client.close()
        return proxy.metrics().value("zkferry_connects_retried_total")
    finally:
        lagging.thaw()


def test_no_server_behind_the_client_is_tried(shared_ensemble, make_proxy):
    assert failed_dials_with_a_lagging_server(shared_ensemble, make_proxy) == 0


# Moves and returns

# While a quorum stands still, nobody may take it for dead before the test has looked: servers give up after 30 s,
# the proxy (which asks for signs of life) after a sixth of the sessions' timeout.
PATIENT_SYNC = {"syncLimit": 60}
PATIENT_MS = 40000


def attached(proxy, connect):
    """Six sessions on the sources, and the node they write to."""
    clients = [connect(proxy.clients).attach(timeout_ms=PATIENT_MS) for _ in range(6)]
    assert clients[0].create("/drain") == 0
    return clients


def frozen_writes(ensemble, clients, members, leave):
    """An unanswered write of each client when it is to leave its server. True for those that get their reply.

    The quorum stands still for the moment of leaving, so that the writes surely are unanswered.
    """
    leader = ensemble.leader()
    frozen = [ensemble[sid] for sid in members if sid != leader]
    assert len(frozen) * 2 >= len(ensemble.config(leader).ids), "a majority answers: writes would commit"
    for client in clients:
        assert client.ping()
    for server in frozen:
        server.freeze()
    try:
        sent = [client.send_set("/drain", b"1") for client in clients]
        leave()
    finally:
        for server in frozen:
            server.thaw()
    return [answered(client, xid) for client, xid in zip(clients, sent)]


def answered(client, xid):
    try:
        return client.receive()[:2] == (xid, 0)
    except Closed:
        return False


def test_a_move_waits_for_the_reply(make_ensemble, make_proxy, connect):
    """Nothing is left unknown by the switch; session and socket are the same on the new server."""
    ensemble = make_ensemble(cfg=PATIENT_SYNC).start()
    plan_targets(ensemble)
    proxy = make_proxy(ensemble.lines([1, 2, 3]), ensemble.lines(TARGETS), confirm=["switch"])
    start_joiners(ensemble)
    proxy.start_migration()
    wait_gate(proxy, "switch")
    clients = attached(proxy, connect)

    def switch():
        assert confirm(proxy, "switch") == 0
        wait_for(lambda: {states(proxy).get(client.session_id) for client in clients} == {"leaving"}, 20,
                 "all sessions are asked to leave")
    assert frozen_writes(ensemble, clients, (1, 2, 3, 4), switch) == [True] * len(clients)
    for client in clients:
        wait_for(lambda client=client: server_of(proxy, client.session_id) in TARGETS, 20, "it is on a target")
        assert client.ping()
    assert counted(proxy, "unknown_outcome") == counted(proxy, "returned") == 0
    proxy.wait_phase("finished")
    assert_migrated(ensemble)


def replies_before_the_end(ensemble, make_proxy, connect, **options):
    """The same when the proxy is told to end; None for clients that are closed although they were answered."""
    proxy = make_proxy(ensemble.lines([1, 2, 3]), **options)
    clients = attached(proxy, connect)

    def end():
        proxy.signal_end()
        wait_for(lambda: "event=stop.begin" in proxy.log(), 20, "the proxy has been told")
        wait_for(lambda: not proxy.running or not any_active(proxy), 20, "all sessions are asked to return")
    replies = frozen_writes(ensemble, clients, (1, 2, 3), end)
    assert proxy.wait_exit() == 0
    return replies


def any_active(proxy):
    try:
        return proxy.metrics().value("zkferry_sessions", state="active") > 0
    except OSError:  # it has ended meanwhile
        return False


def test_a_return_waits_for_the_reply(make_ensemble, make_proxy, connect):
    patient = make_ensemble(cfg=PATIENT_SYNC).start()
    assert replies_before_the_end(patient, make_proxy, connect) == [True] * 6


def test_zombies_are_left_alone(ensemble, make_proxy, connect):
    """A client not heard for half its timeout is not moved: it may live elsewhere by now."""
    plan_targets(ensemble)
    proxy = make_proxy(ensemble.lines([1, 2, 3]), ensemble.lines(TARGETS), confirm=["switch"])
    start_joiners(ensemble)
    proxy.start_migration()
    wait_gate(proxy, "switch")
    timeout_ms = 16000
    zombie = connect(proxy.clients).attach(timeout_ms=timeout_ms)
    silent_since = time.monotonic()
    live = connect(proxy.clients).attach(timeout_ms=timeout_ms)
    wait_for(lambda: live.ping() and time.monotonic() > silent_since + timeout_ms / 2000 + 0.2, 30,
             "one of the two is silent for half its timeout")
    assert confirm(proxy, "switch") == 0
    wait_for(lambda: live.ping() and server_of(proxy, live.session_id) in TARGETS, 30,
             "the living one is on a target")
    assert server_of(proxy, zombie.session_id) in (1, 2, 3)
    zombie.send_frame(struct.pack(">ii", PING_XID, PING))  # it lives after all
    assert zombie.receive()[:2] == (PING_XID, 0)
    both_live = functools.partial(all_ping, live, zombie)
    wait_for(lambda: both_live() and server_of(proxy, zombie.session_id) in TARGETS, 30, "so does the other")
    wait_for(lambda: both_live() and proxy.status()["phase"] == "finished", 120, "the plan is finished")
    assert both_live()


def all_ping(*clients):
    """Raw clients live only as long as the test speaks for them."""
    return all(client.ping() for client in clients)


# Life of the daemon

@pytest.mark.sanitizer
def test_sigterm_returns_the_clients(ensemble, make_proxy, make_workload):
    """Exit 0, nothing left unknown; the sessions live on through the next start."""
    proxy = make_proxy(ensemble.lines([1, 2, 3]))
    proxy.pin_ports()
    load = make_workload(proxy.clients, sessions=8, writes_per_second=40)
    load.wait_progress(40)
    proxy.terminate()
    done = re.search(r"event=stop\.done .*", proxy.log())
    assert done and "clients_cut=0" in done[0], proxy.log()[-500:]
    proxy.start()
    load.wait_progress(80)
    report = assert_kept(load, ensemble)
    assert report.disconnects >= 8


def test_reload_changes_the_next_plan(ensemble, make_proxy):
    """By SIGHUP, while no plan runs: sources, targets and the plan's kind are the new ones."""
    proxy = make_proxy(ensemble.lines([1, 2, 3]))
    assert proxy.post("/v1/migration/start").status == 409
    proxy.config["target"] = plan_targets(ensemble)
    proxy.config["migration"] = {"kind": "migrate", "confirm": []}
    proxy.write_config()
    proxy.hangup()
    wait_for(lambda: {row["id"] for row in proxy.get("/v1/servers").json["servers"]} == {1, 2, 3, 4, 5, 6}, 20,
             "the new servers are probed")
    with DirectClient(hosts=proxy.clients, timeout=10.0) as client:
        client.start(timeout=30 * SCALE)
        start_joiners(ensemble)
        proxy.start_migration()
        proxy.wait_phase("finished")
        assert client.exists("/") is not None
    assert_migrated(ensemble)


def test_reload_is_refused_while_a_plan_runs(shared_ensemble, make_proxy):
    plan_targets(shared_ensemble)
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), shared_ensemble.lines(TARGETS))
    proxy.start_migration()
    proxy.wait_phase("joining")
    proxy.config["target"] = shared_ensemble.lines(TARGETS[:2])
    proxy.config["limits"] = {"sessions": 99}
    proxy.write_config()
    refused = proxy.reload()
    assert refused.status == 409, refused
    assert "target" in refused.json["error"]["message"]
    proxy.hangup()
    wait_for(lambda: proxy.log().count("event=config.reload") == 2, 20, "SIGHUP is refused in the log")
    assert {row["id"] for row in proxy.get("/v1/servers").json["servers"]} == {1, 2, 3, 4, 5, 6}
    proxy.config["target"] = shared_ensemble.lines(TARGETS)
    proxy.write_config()
    assert proxy.reload().status == 200, "what a plan does not depend on may change"


def test_a_broken_file_changes_nothing(proxy):
    proxy.config["workers"] = "many"
    proxy.write_config()
    refused = proxy.reload()
    assert refused.status == 400 and "workers" in refused.text
    wait_for(lambda: proxy.get("/readyz").status == 200, 30, "it goes on as it was")


# Standalone

@pytest.mark.sanitizer
def test_standalone_server(make_ensemble, make_proxy, connect):
    """It has no members, no leader and no epoch: never migrated, but proxied."""
    alone = make_ensemble(1).start()
    wait_for(lambda: alone[1].mode() == "standalone", 20, "it stands alone")
    proxy = make_proxy(alone.lines([1]))
    client = connect(proxy.clients).attach()
    error, _ = client.call(EXISTS, ustring("/") + b"\0")
    assert error == 0
