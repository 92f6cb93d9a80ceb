"""Limits are the servers': what they take goes through, what they refuse is refused by them, as without a proxy."""
import hashlib
import struct

import pytest
from kazoo.exceptions import KazooException

from lib.drains import moves_done, undrain, wait_admitted
from lib.ensemble import DirectClient, Ensemble
from lib.migration import findings
from lib.ports import Ports
from lib.raw import CREATE, OPEN_ACL, SET_DATA, Closed, buffer, ustring
from lib.waiting import SCALE, wait_for

MIB = 1 << 20
BIG = 3 * MIB
SERVERS_TAKE = 8 * MIB
WAIT = 60
CLOSED = "zkferry_client_closed_total"
NO_NODE = -101
SET_WATCHES = 101


@pytest.fixture(scope="module")
def roomy():
    """Servers that take requests of 8 MiB."""
    with Ensemble(properties={"jute.maxbuffer": str(SERVERS_TAKE)}, heap_mb=256) as ensemble:
        yield ensemble


@pytest.fixture
def proxy(roomy, make_proxy):
    return make_proxy(roomy.lines([1, 2, 3]))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def outcome(call, *args, **options):
    """What a client is told: the answer, or the name of its trouble."""
    try:
        return call(*args, **options)
    except KazooException as trouble:
        return type(trouble).__name__


def big_script(ensemble, hosts, root):
    """What a client of big nodes sees, as lines."""
    seen = []
    with ensemble.client() as helper:
        helper.ensure_path(root)
    with DirectClient(hosts=hosts, timeout=30.0) as client:
        client.start(timeout=WAIT * SCALE)
        talk(client, root, seen.append)
    return seen


def talk(client, root, note):
    note(outcome(client.create, root + "/a", b"a" * BIG))
    note(outcome(lambda: client.set(root + "/a", b"b" * (BIG + 7)).version))
    note(outcome(lambda: digest(client.get(root + "/a")[0])))
    multi = client.transaction()
    for name in "xyz":
        multi.create(f"{root}/{name}", name.encode() * (2 * MIB))
    multi.set_data(root + "/a", b"c" * MIB)
    note(outcome(lambda: [str(part) for part in multi.commit()][:3]))
    note(outcome(lambda: [digest(client.get(f"{root}/{name}")[0]) for name in "axyz"]))
    half_bad = client.transaction()
    half_bad.create(root + "/never", b"n" * BIG)
    half_bad.delete(root + "/missing")
    note(outcome(lambda: [type(part).__name__ for part in half_bad.commit()]))
    note(outcome(lambda: client.exists(root + "/never")))


def test_what_servers_take_goes_through(roomy, proxy):
    direct = big_script(roomy, roomy.addresses(), "/direct")
    assert direct[:2] == ["/direct/a", 1]  # control: the servers do take it
    proxied = big_script(roomy, proxy.clients, "/proxied")
    assert [str(line).replace("/proxied", "/direct") for line in proxied] == [str(line) for line in direct]


def try_request(client, body):
    """How a session's request ends, byte by byte: ("reply", error), or ("closed", what came before)."""
    try:
        client.send_frame(body)
        xid, error, _ = client.receive()
        return "reply", xid, error
    except (Closed, ConnectionError):
        return ("closed",)


def set_request(path, data):
    return struct.pack(">ii", 7, SET_DATA) + ustring(path) + buffer(data) + struct.pack(">i", -1)


def padded(size):
    """A setData whose frame has exactly that many bytes."""
    return set_request("/none", bytes(size - len(set_request("/none", b""))))


@pytest.mark.parametrize("size", [SERVERS_TAKE, SERVERS_TAKE + 1])
def test_the_servers_limit_is_the_limit(roomy, proxy, connect, size):
    direct = try_request(connect(roomy.addresses(), patience=WAIT).attach(), padded(size))
    assert direct == (("reply", 7, NO_NODE) if size == SERVERS_TAKE else ("closed",))
    assert try_request(connect(proxy.clients, patience=WAIT).attach(), padded(size)) == direct


def test_servers_with_their_default_refuse_themselves(shared_ensemble, make_proxy, connect):
    """Control: the refusal comes from the server, looks as without the proxy, and the log says what it may be."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]))
    others = connect(proxy.clients).attach()
    for hosts in (shared_ensemble.addresses(), proxy.clients):
        assert try_request(connect(hosts).attach(), padded(BIG)) == ("closed",)
        assert try_request(connect(hosts).attach(), padded(MIB - 1)) == ("reply", 7, NO_NODE)
    wait_for(lambda: "event=request.lost" in proxy.log(), 20, "the log says that a big request was lost")
    line = next(line for line in proxy.log().splitlines() if "event=request.lost" in line)
    assert f"bytes={BIG}" in line and "jute.maxbuffer" in line
    assert proxy.metrics().value(CLOSED, reason="unknown_outcome") == 1
    assert others.ping()  # nobody else noticed, and the server is not thought ill of
    assert "event=server.health" not in proxy.log().partition("event=request.lost")[2]


def test_a_limit_of_our_own_is_named(roomy, make_proxy, connect):
    proxy = make_proxy(roomy.lines([1, 2, 3]), config={"limits": {"request_bytes": "2m", "reply_bytes": "1m"}})
    assert try_request(connect(proxy.clients).attach(), padded(2 * MIB)) == ("reply", 7, NO_NODE)
    assert try_request(connect(proxy.clients).attach(), padded(2 * MIB + 1)) == ("closed",)
    wait_for(lambda: proxy.metrics().value(CLOSED, reason="frame_too_big") == 1, 20, "it is counted")
    assert f"key=limits.request_bytes bytes={2 * MIB + 1}" in wait_for_line(proxy, "frame.too_big")
    with roomy.client() as helper:
        helper.ensure_path("/reply")
        helper.create("/reply/big", b"r" * (MIB + MIB // 2))
        reader = connect(proxy.clients).attach()
        with pytest.raises(Closed):
            reader.get("/reply/big")
        wait_for(lambda: "key=limits.reply_bytes" in proxy.log(), 20, "the log names the key")
        helper.delete("/reply/big")
    # The key can be changed while sessions go on.
    client = connect(proxy.clients).attach()
    proxy.config["limits"] = {"request_bytes": 0, "reply_bytes": 0}
    proxy.write_config()
    proxy.reload()
    wait_for(lambda: try_request(connect(proxy.clients).attach(), padded(BIG)) == ("reply", 7, NO_NODE), 20,
             "the new limit holds")
    assert client.ping()


def wait_for_line(proxy, event):
    return wait_for(lambda: next((line for line in proxy.log().splitlines() if f"event={event}" in line), None), 20,
                    f"the log has event={event}")


def set_watches(size):
    """SetWatches of many paths, of about that many bytes."""
    paths = [ustring(f"/watched/{index:091d}") for index in range(size // 104)]
    nothing = struct.pack(">i", 0)
    return struct.pack(">iiq", -8, SET_WATCHES, 0) + struct.pack(">i", len(paths)) + b"".join(paths) + nothing * 2


def test_what_must_be_seen_whole_has_a_limit(roomy, proxy, connect):
    """A SetWatches is kept: up to limits.whole_bytes it goes through, beyond it is refused by that name."""
    direct = connect(roomy.addresses(), patience=WAIT).attach(timeout_ms=30000)
    assert try_request(direct, set_watches(3 * MIB))[0] == "reply"  # events of nodes that are not there
    assert try_request(connect(proxy.clients, patience=WAIT).attach(timeout_ms=30000), set_watches(3 * MIB))[0] == \
        "reply"
    assert try_request(connect(proxy.clients).attach(), set_watches(5 * MIB)) == ("closed",)
    assert "key=limits.whole_bytes" in wait_for_line(proxy, "frame.too_big")
    assert proxy.metrics().value(CLOSED, reason="limit") == 1


def test_a_session_moves_between_the_halves_of_its_request(roomy, proxy, connect):
    """The move waits for the end of a request that is half passed on, and the session goes over behind it."""
    wait_admitted(proxy, 1, 2, 3)
    with roomy.client() as helper:
        helper.ensure_path("/halves")
    client = connect(proxy.clients, patience=WAIT).attach(timeout_ms=30000)
    home = wait_for(lambda: next((s.id for s in roomy.running() if client.session_id in s.sessions()), None), 20,
                    "the session is on a server")
    body = struct.pack(">ii", 1, CREATE) + ustring("/halves/node") + buffer(b"h" * BIG) + OPEN_ACL + bytes(4)
    frame = buffer(body)
    before = moves_done(proxy)
    client.socket.sendall(frame[:BIG // 2])
    assert proxy.post(f"/v1/servers/{home}/drain").status in (200, 202)
    wait_for(lambda: proxy.metrics().value("zkferry_sessions", state="leaving") == 1, 20, "the session is leaving")
    assert moves_done(proxy) == before
    client.socket.sendall(frame[BIG // 2:])
    xid, error, _ = client.receive()
    assert (xid, error) == (1, 0)
    wait_for(lambda: moves_done(proxy) == before + 1 and client.session_id not in roomy[home].sessions(), 30,
             "the session has moved")
    error, data, _ = client.get("/halves/node")
    assert error == 0 and digest(data) == digest(b"h" * BIG)
    undrain(proxy, home)


def test_preflight_says_what_it_sees(make_ensemble, make_proxy):
    """One server takes less than the others: named where AdminServer shows it, and where it doesn't, that it
    does not. No word of ZooKeeper's tells."""
    ports = Ports()
    port = ports.take("127.0.0.1")
    hosts = {sid: f"127.0.0.{sid}" for sid in (1, 2, 3)}
    ensemble = make_ensemble(
        hosts=hosts, properties={"jute.maxbuffer": str(SERVERS_TAKE)},
        server_properties={2: {"jute.maxbuffer": "0x1fffff"}},
        server_cfg={sid: {"admin.enableServer": "true" if sid != 3 else "false", "admin.serverPort": port,
                          "admin.serverAddress": hosts[sid]} for sid in hosts}).start()
    proxy = make_proxy(ensemble.lines([1, 2, 3]), [ensemble.planned(4).line],
                       config={"probes": {"interval": "500ms", "plan_interval": "200ms", "admin_server_port": port},
                               "limits": {"request_bytes": "7m"}})
    found = wait_for(lambda: (f := findings(proxy)) and "jute-maxbuffer-differs-2" in f and f, 40, "it is found")
    assert found["jute-maxbuffer-differs-2"]["seen"] == f"jute.maxbuffer is {0x1fffff}, server 1 has {SERVERS_TAKE}"
    assert found["request-limit-low"]["seen"] == f"limits.request_bytes is {7 * MIB}, server 1 takes {SERVERS_TAKE}"
    assert "of server 3:" in found["jute-maxbuffer-unknown"]["seen"]
    assert "jute-maxbuffer-differs-1" not in found and "jute-maxbuffer-differs-3" not in found
    ports.release()
