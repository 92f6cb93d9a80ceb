"""Clients that do not speak the protocol: closed, counted by reason, and they cost nothing that stays."""
import os
import random
import socket
import struct

import pytest

from lib.livesession import LiveSession, assert_undisturbed
from lib.raw import RawClient, connect_request
from lib.waiting import SCALE, wait_for

CONNECTIONS = 2000
# Buffers, arenas and the kernel's page granularity; a leak of 1 KB per connection would be 2 MB.
GROWTH_KB = 1500
CLOSED = "zkferry_client_closed_total"
ONE_MIB = 1 << 20
# Only where it is to pass: elsewhere a busy machine must not need longer for its first bytes.
SHORT_HANDSHAKE = {"limits": {"handshake_timeout": "1500ms"}}
LONG_HANDSHAKE = {"limits": {"handshake_timeout": "60s"}}

CONNECT = struct.pack(">iqiqi16s?", 0, 0, 10000, 0, 16, bytes(16), False)


def frame(body):
    return struct.pack(">i", len(body)) + body


@pytest.fixture
def proxy(shared_ensemble, make_proxy):
    return make_proxy(shared_ensemble.lines([1, 2, 3]), config=LONG_HANDSHAKE)


def connect(proxy):
    host, port = proxy.clients.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=30 * SCALE)


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, f"closed after {len(data)} of {size} bytes"
        data += part
    return data


def read_frame(connection):
    return read_exactly(connection, struct.unpack(">i", read_exactly(connection, 4))[0])


def attach(proxy):
    """A socket with a session of its own."""
    connection = connect(proxy)
    connection.sendall(frame(CONNECT))
    answer = read_frame(connection)
    assert struct.unpack_from(">iiq", answer)[1] > 0, "no session"
    return connection


def closed_by_peer(connection):
    """Reads to the end; the peer must close, with or without RST."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def counted(proxy, reason):
    return proxy.metrics().value(CLOSED, reason=reason)


def expect_close(proxy, connection, sent, reason):
    """The proxy closes a connection on which this was sent, and counts it under that reason."""
    before = counted(proxy, reason)
    try:
        connection.sendall(sent)
    except ConnectionError:
        pass  # closed in the middle of what we sent
    assert closed_by_peer(connection)
    connection.close()
    wait_for(lambda: counted(proxy, reason) == before + 1, 20, f"{CLOSED}{{reason={reason}}} counts it")


LENGTHS = ((-1, "frame_length"), (-2**31, "frame_length"), (0, "frame_length"),
           (ONE_MIB, "frame_too_big"), (2**31 - 1, "frame_too_big"))


@pytest.mark.sanitizer
@pytest.mark.parametrize("length,reason", LENGTHS)
def test_bad_length_before_connect(proxy, length, reason):
    expect_close(proxy, connect(proxy), struct.pack(">i", length), reason)


@pytest.mark.sanitizer
@pytest.mark.parametrize("length,reason", LENGTHS[:3])
def test_bad_length_after_connect(proxy, length, reason):
    expect_close(proxy, attach(proxy), struct.pack(">i", length), reason)


@pytest.mark.sanitizer
@pytest.mark.parametrize("length", [ONE_MIB, 2**31 - 1])
def test_a_session_may_say_what_the_server_refuses(proxy, length):
    """How long a session's requests may be is the servers' to say; what was begun is of unknown outcome."""
    set_data = struct.pack(">iii", length, 1, 5)
    expect_close(proxy, attach(proxy), set_data, "unknown_outcome")


@pytest.mark.sanitizer
@pytest.mark.parametrize("body", [b"", b"\0", bytes(27), CONNECT[:20], b"GET / HTTP/1.1\r\n\r\n",
                                  CONNECT[:24] + struct.pack(">i", 2**31 - 1)],
                         ids=["empty", "one_byte", "zeros", "half", "http", "password_length"])
def test_first_frame_is_no_connect_request(proxy, body):
    reason = "bad_connect" if body else "frame_length"
    expect_close(proxy, connect(proxy), frame(body), reason)


def test_what_servers_leave_unread_behind_a_connect_request(shared_ensemble, proxy):
    """They read the record and one byte more, and so does the proxy: up to 1 KB, of which it says so."""
    surplus = 1024 - len(CONNECT)
    for behind in (b"", b"\0", b"\xff", bytes(surplus)):
        for address in (shared_ensemble.addresses([1]), proxy.clients):
            with RawClient(address) as client:
                client.send_frame(CONNECT + behind)
                assert client.read_connect() != 0
                assert len(client.connect_reply) == 37
                assert client.get("/none")[0] == -101
                with RawClient(address) as again:  # the same when it comes back
                    again.send_frame(connect_request(client.session_id, client.password) + behind)
                    assert again.read_connect() == client.session_id
    expect_close(proxy, connect(proxy), frame(CONNECT + bytes(surplus + 1)), "frame_too_big")


def test_request_without_a_whole_header(proxy):
    expect_close(proxy, attach(proxy), frame(b"\0\0\0\1\0\0"), "bad_request")


@pytest.mark.sanitizer
def test_garbage(proxy):
    """Random bytes: whatever they look like, the connection ends and the others go on."""
    noise = random.Random(20240229)
    for _ in range(50):
        connection = connect(proxy)
        try:
            connection.sendall(noise.randbytes(noise.randint(8, 4000)))
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # reset already; shutdown calls that "not connected"
            pass
        assert closed_by_peer(connection)
        connection.close()
    attach(proxy).close()


@pytest.mark.sanitizer
def test_half_a_frame_then_gone(proxy):
    before = counted(proxy, "client_gone")
    for open_one in (connect, attach):
        connection = open_one(proxy)
        connection.sendall(struct.pack(">i", 45) + b"\0" * 10)
        connection.close()
    wait_for(lambda: counted(proxy, "client_gone") == before + 2, 20, "both are counted")


@pytest.mark.sanitizer
def test_silent_client(shared_ensemble, make_proxy):
    """Connects and says nothing, or stops within its first frame: closed after the handshake time."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), config=SHORT_HANDSHAKE)
    for said in (b"", b"\0\0", frame(CONNECT)[:30]):
        expect_close(proxy, connect(proxy), said, "handshake_timeout")


def test_a_reload_changes_how_long_it_may_be_silent(proxy):
    """Of those that come afterwards."""
    proxy.config["limits"] = {"handshake_timeout": "100ms"}
    proxy.write_config()
    wait_for(lambda: proxy.reload().status == 200, 30, "the new time holds")
    expect_close(proxy, connect(proxy), b"", "handshake_timeout")


def test_the_limit_itself_is_accepted(proxy):
    """0xfffff bytes are what a server accepts (protocol.md §1.1), so the proxy must not be stricter."""
    connection = attach(proxy)
    path = b"/none"
    padding = 0xfffff - (8 + 4 + len(path) + 4 + 4)
    request = struct.pack(">iii", 7, 5, len(path)) + path + struct.pack(">i", padding) + bytes(padding) + \
        struct.pack(">i", -1)
    connection.sendall(frame(request))
    xid, _, error = struct.unpack_from(">iqi", read_frame(connection))
    assert (xid, error) == (7, -101)
    connection.close()


def misbehave(proxy, index):
    """One short connection; which kind depends on the index."""
    kinds = (b"", b"\0\0", struct.pack(">i", -1), struct.pack(">i", ONE_MIB), frame(b"\0" * 9),
             frame(CONNECT)[:20], os.urandom(64), frame(CONNECT) + struct.pack(">i", 0))
    connection = connect(proxy)
    try:
        connection.sendall(kinds[index % len(kinds)])
        connection.shutdown(socket.SHUT_WR)
    except OSError:  # reset already; shutdown calls that "not connected"
        pass
    closed_by_peer(connection)
    connection.close()


def test_memory_does_not_grow(proxy):
    """What a burst needed is given back within seconds; what leaks is not."""
    live = LiveSession(proxy.clients)
    before_closed = sum(proxy.metrics().by_label(CLOSED, "reason").values())
    for index in range(CONNECTIONS // 4):  # lets pools and arenas reach their size
        misbehave(proxy, index)
    warm = proxy.rss_kb()
    for index in range(CONNECTIONS):
        misbehave(proxy, index)
    wanted = before_closed + CONNECTIONS + CONNECTIONS // 4
    wait_for(lambda: sum(proxy.metrics().by_label(CLOSED, "reason").values()) >= wanted, 20, "all are counted")
    wait_for(lambda: proxy.metrics().value("zkferry_client_connections") == 1, 20, "only the live one is left")
    wait_for(lambda: proxy.rss_kb() - warm < GROWTH_KB, 20, f"not more than {GROWTH_KB} KB above {warm} KB")
    assert_undisturbed([live])
    live.close()
