"""What one client address may take, and that nobody without a session keeps those out who want one."""
import select
import time

import pytest

from lib.raw import Closed, RawClient
from lib.waiting import wait_for

SOURCES = (1, 2, 3)
HOST, OTHER, EXEMPT = "127.0.0.50", "127.0.0.51", "127.0.0.52"
REFUSED = "zkferry_clients_refused_total"
PATIENT_MS = 60000
LONG = {"handshake_timeout": "10m"}


def refused(proxy, reason):
    return proxy.metrics().value(REFUSED, reason=reason)


@pytest.fixture
def limited(shared_ensemble, make_proxy):
    """Makes a proxy that admits, with such limits and two client ports."""
    def make(**limits):
        proxy = make_proxy(shared_ensemble.lines(SOURCES),
                           config={"limits": {**LONG, **limits},
                                   "listen": {"clients": ["127.0.0.1:0", "127.0.0.1:0"], "admin": "127.0.0.1:0"}})
        wait_for(lambda: proxy.get("/readyz").status == 200, 30, "a server is admitted")
        return proxy
    return make


@pytest.fixture
def knock(connect):
    """Opens connections from an address, to both client ports in turn; what the proxy does with them shows later."""
    def open_some(proxy, count, source):
        ports = proxy.clients.split(",")
        made = []
        for turn in range(count):
            try:
                made.append(connect(ports[turn % 2], source=source))
            except ConnectionError:
                pass  # closed while it was made
        return made
    return open_some


def closed_ones(clients):
    """Of those that have said nothing, or have been answered: who sees the end."""
    ready = select.select(clients, [], [], 0)[0]
    ended = []
    for one in ready:
        try:
            if one.recv(1) == b"":
                ended.append(one)
        except ConnectionError:
            ended.append(one)
    return ended


def reload(proxy):
    """Not while an admin request of its own is under way: that is to be tried again."""
    proxy.write_config()
    wait_for(lambda: proxy.reload().status == 200, 30, "the new limits hold")


def count_closed(clients):
    return len(closed_ones([client.socket for client in clients]))


def greet(clients):
    """All at once; those that got a session."""
    return answered([client for client in clients if says(client)])


def says(client):
    try:
        client.send_connect(timeout_ms=PATIENT_MS)
        return True
    except ConnectionError:
        return False


def answered(asking):
    taken = []
    for client in asking:
        try:
            if client.read_connect() != 0:
                taken.append(client)
        except Closed:
            pass
    return taken


def attaches(proxy, source):
    try:
        with RawClient(proxy.clients, source=source) as client:
            return client.attach(timeout_ms=PATIENT_MS).session_id != 0
    except (Closed, ConnectionError):
        return False


def test_silent_ones_keep_nobody_out(limited, knock):
    """One host, more connections without a word than limits.sessions has places: others get their sessions."""
    proxy = limited(sessions=200, per_address={"silent": 200})
    silent = knock(proxy, 250, HOST)
    guests = knock(proxy, 200, OTHER)
    assert len(greet(guests)) == 200
    wait_for(lambda: count_closed(silent) == 50, 30, "of one address 200 may be silent")
    assert refused(proxy, "address_silent") == 50
    assert refused(proxy, "sessions") == 0


def test_control_sessions_do_fill_the_places(limited, knock):
    """And then the limit is exact, however many come at once; four-letter words are answered all the same."""
    proxy = limited(sessions=20)
    taken = greet(knock(proxy, 100, HOST))
    assert len(taken) == 20
    assert not attaches(proxy, OTHER)
    assert refused(proxy, "sessions") == 81
    assert proxy.get("/readyz").status == 503
    with RawClient(proxy.clients) as word:
        word.socket.sendall(b"isro")
        assert word.wait_closed() == b"null"
    taken[0].close()
    wait_for(lambda: attaches(proxy, OTHER), 30, "the free place is taken")


def test_silent_ones_are_bounded_in_sum(limited, knock, connect):
    """From however many addresses: the one that has been silent for longest gives way, nobody else."""
    proxy = limited(silent=20)
    session = connect(proxy.clients, source=HOST).attach(timeout_ms=PATIENT_MS)
    silent = [knock(proxy, 1, f"127.0.1.{host}")[0] for host in range(1, 61)]
    wait_for(lambda: count_closed(silent) == 40, 30, "20 are left")
    assert not closed_ones([client.socket for client in silent[-8:]])  # each of two workers has ten
    assert refused(proxy, "silent") == 40
    assert len(greet(silent[-8:])) == 8
    assert session.ping()
    assert attaches(proxy, OTHER)


def test_silent_ones_of_one_address(limited, knock):
    """A reload changes how many; a client that speaks makes room for the next."""
    proxy = limited(per_address={"silent": 10})
    silent = knock(proxy, 30, HOST)
    wait_for(lambda: count_closed(silent) == 20, 30, "10 are left")
    assert refused(proxy, "address_silent") == 20
    assert attaches(proxy, HOST)  # who speaks at once is not silent
    proxy.config["limits"]["per_address"]["silent"] = 0
    reload(proxy)
    more = knock(proxy, 30, HOST)
    assert len(greet(more)) == 30
    assert refused(proxy, "address_silent") == 20


def test_connections_of_one_address(limited, knock):
    """Counted where they are accepted: never one too many, over both ports and both workers."""
    proxy = limited(per_address={"connections": 5, "exempt": [f"{EXEMPT}/32"]})
    taken = greet(knock(proxy, 40, HOST))
    assert len(taken) == 5
    assert refused(proxy, "address_connections") == 35
    assert len(greet(knock(proxy, 10, EXEMPT))) == 10
    assert attaches(proxy, OTHER) and not attaches(proxy, HOST)
    taken.pop().close()
    wait_for(lambda: attaches(proxy, HOST), 30, "the free place is taken")
    proxy.config["limits"]["per_address"]["connections"] = 8
    reload(proxy)
    wait_for(lambda: proxy.metrics().value("zkferry_client_connections") == 14, 30, "the last guest has gone")
    assert len(greet(knock(proxy, 40, HOST))) == 4
    assert "key=limits.per_address.connections" in proxy.log()
    assert proxy.log().count("event=client.refused") <= 25  # 20 at once, 2 a second


def test_lingering_ones_count(limited, knock, connect):
    """A refused session's socket stays until the client has closed it, and is the address's for so long."""
    proxy = limited(per_address={"connections": 2})
    expired = knock(proxy, 2, HOST)
    for client in expired:
        client.send_connect(session_id=0x1234, password=bytes(16))
        assert client.read_connect() == 0
    assert not attaches(proxy, HOST)
    for client in expired:
        client.close()
    wait_for(lambda: attaches(proxy, HOST), 30, "their places are free")


def test_connects_per_second(limited, knock):
    proxy = limited(per_address={"connects_per_second": 5, "exempt": [EXEMPT]})
    begun = time.monotonic()
    taken = greet(knock(proxy, 60, HOST))
    most = 5 * (time.monotonic() - begun + 1)
    assert 5 <= len(taken) <= most
    assert refused(proxy, "address_rate") == 60 - len(taken)
    assert len(greet(knock(proxy, 60, EXEMPT))) == 60
    assert attaches(proxy, OTHER)
    wait_for(lambda: attaches(proxy, HOST), 30, "later it may come again")


def test_by_default_a_host_may_have_many(limited, knock):
    """As a gateway has: all at once, and again when all of them have lost their connection."""
    proxy = limited()
    for _ in range(2):
        taken = answered([client for _ in range(800) for client in knock(proxy, 1, HOST) if says(client)])
        assert len(taken) == 800
        for client in taken:
            client.close()
    assert sum(proxy.metrics().by_label(REFUSED, "reason").values()) == 0
