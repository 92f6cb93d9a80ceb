"""What every socket of the daemon is set to, and what clients notice of it."""
import http.client
import socket
import statistics
import struct
import time

import pytest

from lib.drains import wait_admitted
from lib.raw import EXISTS, GET_DATA, RawClient, ustring
from lib.sockets import is_closed_on_exec, tcp_sockets
from lib.waiting import wait_for

ROUNDS = 15
KINDS = {"client listener", "admin listener", "client", "admin call", "server"}


LONG_TIMEOUT_MS = 300_000
UNACKED_MS = 120_000
SUSPENDED_SECONDS = 150  # longer than that
WANTED, WANTED_BYTES = 30, 500_000  # more than the kernel takes on both sides


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def kind_of(copy, proxy, server_ports):
    here = copy.getsockname()[1]
    if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        ours = {port_of(proxy.clients): "client listener", port_of(proxy.admin): "admin listener"}
        return ours.get(here)  # others: where the client library of our own sessions connects, on the loopback
    try:
        there = copy.getpeername()[1]
    except OSError:
        return None  # it is just going
    if here == port_of(proxy.clients):
        return "client"
    if here == port_of(proxy.admin):
        return "admin call"
    return "server" if there in server_ports else None


def test_every_kind_of_socket(shared_ensemble, make_proxy):
    """Listeners and those they accept, sessions' and probes' connections to servers, admin calls."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]))
    wait_admitted(proxy, 1, 2, 3)
    server_ports = {shared_ensemble[sid].client_port for sid in (1, 2, 3)}
    call = http.client.HTTPConnection(proxy.admin)
    call.request("GET", "/healthz")
    call.getresponse().read()
    seen = {}
    with RawClient(proxy.clients) as client:
        client.attach()
        for fd, copy in tcp_sockets(proxy.pid):
            kind = kind_of(copy, proxy, server_ports)
            seen.setdefault(kind, []).append({
                "nodelay": copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
                "keepalive": copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                "idle": copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                "unacked": copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                "cloexec": is_closed_on_exec(proxy.pid, fd)})
            copy.close()
    call.close()
    seen.pop(None, None)
    assert set(seen) == KINDS
    for kind, sockets in seen.items():
        for options in sockets:
            assert options == {"nodelay": 1, "keepalive": 1, "idle": 60, "unacked": UNACKED_MS, "cloexec": True}, kind


def has_peer(copy, address):
    try:
        return copy.getpeername()[1] == address[1]  # Java's are IPv6
    except OSError:
        return False  # it listens, or is just going


def peer_of(client, pid):
    """The other end of a client's connection, in that process."""
    here = client.socket.getsockname()
    found = None
    for _, copy in tcp_sockets(pid):
        if has_peer(copy, here):
            found = copy
        else:
            copy.close()
    return found


def unacknowledged(peer):
    """Segments of its that the client has not acknowledged."""
    return struct.unpack_from("=I", peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]


def seconds_of_second_events(address, pid, writer, path):
    """Two events in a row, a moment apart, to a client that has nothing to say in between and acknowledges as
    late as TCP allows: how long the second takes from the moment in which its writer was answered."""
    times = []
    paths = [path + "-1", path + "-2"]
    with RawClient(address) as client:
        client.attach()
        peer = peer_of(client, pid)
        for each in paths:
            assert writer.create(each) == 0
        for _ in range(ROUNDS):
            for each in paths:
                client.call(EXISTS, ustring(each) + struct.pack(">?", True))
            wait_for(lambda: unacknowledged(peer) == 0, 20, "all is acknowledged")
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            assert writer.set(paths[0], b"x") == 0
            assert client.receive()[0] == -1
            assert writer.set(paths[1], b"x") == 0
            answered = time.monotonic()
            assert client.receive()[0] == -1
            times.append(time.monotonic() - answered)
        peer.close()
    return statistics.median(times)


def test_an_event_behind_an_event_waits_for_no_ack(shared_ensemble, make_proxy):
    """Without TCP_NODELAY on the accepted socket it waits for the client's delayed ACK: 40 ms, each time."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]))
    wait_admitted(proxy, 1, 2, 3)
    with RawClient(shared_ensemble[1].address) as writer:
        writer.attach()
        direct = seconds_of_second_events(shared_ensemble[1].address, shared_ensemble[1].pid, writer, "/sockets-direct")
        tries = iter(range(1000))

        def is_quick():  # a machine under load has slow moments, but not forty in a row like an ACK's
            path = f"/sockets-proxied{next(tries)}"
            return seconds_of_second_events(proxy.clients, proxy.pid, writer, path) < direct + 0.02
        wait_for(is_quick, 30, f"second events in less than 20 ms more than direct ({direct * 1000:.1f} ms)")


@pytest.fixture
def patient(make_ensemble):
    """A server that grants sessions of minutes."""
    return make_ensemble(1, cfg={"maxSessionTimeout": 2 * LONG_TIMEOUT_MS}).start()


def is_probing(peer):
    """The client's window is full, and its kernel has said so twice."""
    return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[4] >= 2  # tcpi_backoff


def user_timeout_ms(client, pid):
    peer = peer_of(client, pid)
    try:
        return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    finally:
        peer.close()


def test_a_client_may_be_silent_for_its_session_timeout(patient, make_proxy):
    """The kernel cuts nobody whose session still lives; those without a long one are cut as ever."""
    proxy = make_proxy(patient.lines([1]))
    wait_admitted(proxy, 1)
    with RawClient(proxy.clients) as usual, RawClient(proxy.clients) as long, RawClient(proxy.clients) as later:
        assert usual.attach().timeout_ms == 10_000
        assert long.attach(timeout_ms=LONG_TIMEOUT_MS).timeout_ms == LONG_TIMEOUT_MS
        assert later.resume(long) == long.session_id
        assert user_timeout_ms(usual, proxy.pid) == UNACKED_MS
        assert user_timeout_ms(later, proxy.pid) > LONG_TIMEOUT_MS


@pytest.mark.full
@pytest.mark.limit(400)
def test_a_suspended_client_goes_on(patient, make_proxy):
    """It reads nothing, its window is full, and it answers only what the kernel answers for it: after two and a half
    minutes everything is there, as it is without a proxy."""
    proxy = make_proxy(patient.lines([1]))
    wait_admitted(proxy, 1)
    data = b"x" * WANTED_BYTES
    with RawClient(proxy.clients) as client:
        client.attach(timeout_ms=LONG_TIMEOUT_MS)
        assert client.create("/sockets-big", data) == 0
        for _ in range(WANTED):
            client.send(GET_DATA, ustring("/sockets-big") + b"\0")
        peer = peer_of(client, proxy.pid)
        wait_for(lambda: is_probing(peer), 30, "the window is full")
        suspended = time.monotonic()
        wait_for(lambda: time.monotonic() - suspended > SUSPENDED_SECONDS, 2 * SUSPENDED_SECONDS, "it is woken up")
        peer.close()
        for _ in range(WANTED):
            _, error, body = client.receive()
            assert error == 0 and data in body
        assert client.ping()
