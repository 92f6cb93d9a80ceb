"""What runs out: descriptors. Whoever has a server keeps it; whoever waits, waits; and the daemon still ends."""
import http.client
import json
import os
import re
import resource
import socket

import pytest

from lib.drains import wait_admitted
from lib.metrics import Metrics
from lib.raw import RawClient
from lib.waiting import SCALE, wait_for

WAITING = 12  # connects that come when there is nothing left


@pytest.fixture
def proxy(shared_ensemble, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), config={"workers": 1})
    wait_admitted(proxy, 1, 2, 3)
    return proxy


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


def lower(proxy, spare):
    """So many descriptors more than it has; returns the limit to go back to."""
    hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (descriptors(proxy) + spare, hard))
    return hard, hard


@pytest.fixture
def waiting(proxy):
    """Clients that are accepted, but have not said yet what they want."""
    clients = [RawClient(proxy.clients) for _ in range(WAITING)]
    wait_for(lambda: proxy.metrics().value("zkferry_client_connections") >= WAITING, 30, "they are accepted")
    yield clients
    for client in clients:
        client.close()


@pytest.mark.sanitizer
def test_out_of_descriptors(proxy, waiting):
    """Dials fail at once, and the worker's list of those who wait must not become a circle (5 of 5 before)."""
    with RawClient(proxy.clients) as session:
        session.attach()
        before = lower(proxy, 4)
        for client in waiting:
            client.send_connect()
        wait_for(lambda: "event=dial.shortage" in proxy.log(), 30, "a dial fails for want of a descriptor")
        for _ in range(50):
            session.ping()
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, before)
        for client in waiting:
            assert client.read_connect() != 0
            client.ping()
        assert len(re.findall("event=dial.shortage", proxy.log())) <= 3  # one line in ten seconds
    proxy.terminate()


@pytest.mark.sanitizer
def test_the_daemon_ends_without_descriptors(proxy, waiting):
    lower(proxy, 4)
    for client in waiting:
        client.send_connect()
    wait_for(lambda: "event=dial.shortage" in proxy.log(), 30, "a dial fails for want of a descriptor")
    proxy.terminate()


def test_the_limit_is_raised_and_compared(shared_ensemble, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), open_files=(150, 300), config={"workers": 1})
    assert resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE) == (300, 300)
    few = re.search(r"lvl=warn event=descriptors.few limit=300 needed=(\d+) sessions=15000 sessions_possible=(\d+)",
                    proxy.log())
    assert int(few[1]) > 30000 and 0 < int(few[2]) < 150
    metrics = proxy.metrics()
    assert metrics.value("zkferry_descriptors_max") == 300
    assert metrics.value("zkferry_descriptors_needed") == int(few[1])
    proxy.config["limits"] = {"sessions": int(few[2]) // 2}
    proxy.write_config()
    wait_for(lambda: proxy.reload().status == 200, 30, "the new limit is loaded")
    assert re.search(rf"lvl=info event=descriptors limit=300 needed=\d+ sessions={int(few[2]) // 2}", proxy.log())


def test_clients_leave_descriptors_for_others(shared_ensemble, make_proxy):
    """Many clients come: some wait in the listen queue, and nobody else notices."""
    count = 130
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), open_files=(256, 256),
                       config={"workers": 1, "probes": {"interval": "100ms", "admin_server_port": 0}})
    wait_admitted(proxy, 1, 2, 3)
    assert proxy.metrics().value("zkferry_accepts_paused_total") == 0
    clients = [RawClient(proxy.clients) for _ in range(count)]
    for client in clients:
        client.send_connect()
    wait_for(lambda: proxy.metrics().value("zkferry_accepts_paused_total") > 10, 30, "accepting has paused")
    wait_for(lambda: proxy.metrics().value("zkferry_sessions", state="active") ==
             proxy.metrics().value("zkferry_client_connections"), 30, "who was accepted has a session")
    metrics = proxy.metrics()
    inside = int(metrics.value("zkferry_client_connections"))
    assert 0 < inside < count
    assert metrics.value("zkferry_probes_unasked_total") == 0
    assert descriptors(proxy) < 256 - 64
    unready = proxy.get("/readyz")
    assert (unready.status, unready.text) == (503, "no descriptors are left for another client\n")
    served = [client for client in clients if not client.is_quiet()]
    assert len(served) == inside
    for client in served:
        assert client.read_connect() != 0
        client.ping()
        client.close()
    for client in clients:  # those who waited come next, as many at a time as there is room for
        if client not in served:
            assert client.read_connect() != 0
            client.ping()
            client.close()
    wait_for(lambda: proxy.get("/readyz").status == 200, 30, "there is room again")
    assert len(re.findall("event=accept.paused", proxy.log())) <= 1 + 10 * SCALE
    assert "event=dial.shortage" not in proxy.log() and "health=down" not in proxy.log()


def test_a_server_is_not_down_for_want_of_our_descriptors(shared_ensemble, make_proxy):
    """Not even the reserve is left, as when somebody lowers the limit: nobody was asked, so nobody is down."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]),
                       config={"workers": 1, "probes": {"interval": "100ms", "admin_server_port": 0}})
    wait_admitted(proxy, 1, 2, 3)
    hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[1]
    assert proxy.metrics().value("zkferry_probes_unasked_total") == 0
    admin = http.client.HTTPConnection(proxy.admin, timeout=30 * SCALE)

    def ask(path):
        admin.request("GET", path)
        return admin.getresponse().read().decode()
    with RawClient(proxy.clients) as session:
        session.attach()
        ask("/healthz")  # this connection is there already, and stays
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (3, hard))
        host, port = proxy.admin.rsplit(":", 1)
        late = socket.create_connection((host, int(port)))  # the admin port can't accept it, and must not spin
        wait_for(lambda: Metrics(ask("/metrics")).value("zkferry_probes_unasked_total") >= 3 * 5, 30,
                 "five rounds in which no server could be asked")
        session.ping()
        rows = json.loads(ask("/v1/servers"))["servers"]
        assert [row["health"] for row in rows] == ["serving"] * 3
        assert all("Too many open files" in row["reason"] for row in rows)
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (hard, hard))
        wait_for(lambda: all(row["reason"] == "" for row in json.loads(ask("/v1/servers"))["servers"]), 30,
                 "the servers are asked again")
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        late.settimeout(30 * SCALE)
        assert b"200 OK" in late.recv(4096)
    admin.close()
    late.close()
    log = proxy.log()
    assert "event=probe.shortage" in log and "health=down" not in log
    assert "Error from accept" not in log and "listener=admin" in log  # libevent's line, once a turn


def test_a_loop_that_does_not_turn_is_told(shared_ensemble, make_proxy):
    """The switch makes a worker sleep when a client comes; nothing else could be seen of it from outside."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), config={"workers": 1}, switches=["stall"])
    assert proxy.metrics().value("zkferry_slow_turns_total", thread="worker") == 0
    with RawClient(proxy.clients) as session:
        session.attach()
    wait_for(lambda: "event=loop.slow" in proxy.log(), 30, "the end of the slow turn in the log")
    stuck = re.search(r"lvl=error event=loop.stuck thread=worker-0 for_ms=(\d+)", proxy.log())
    assert stuck and int(stuck[1]) >= 1000
    assert proxy.metrics().value("zkferry_slow_turns_total", thread="worker") == 1
