"""What runs out: descriptors. Whoever has a server keeps it; whoever waits, waits; and the daemon still ends."""
import http.client
import json
import os
import re
import resource

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


@pytest.mark.sanitizer
def test_out_of_descriptors(proxy):
    """Dials fail at once, and the worker's list of those who wait must not become a circle (5 of 5 before)."""
    hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[1]
    with RawClient(proxy.clients) as session:
        session.attach()
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (descriptors(proxy) + 4, hard))
        waiting = []
        for _ in range(WAITING):
            client = RawClient(proxy.clients)  # the kernel takes it, be it accepted or not
            client.send_connect()
            waiting.append(client)
        wait_for(lambda: "event=dial.shortage" in proxy.log(), 30, "a dial fails for want of a descriptor")
        for _ in range(50):
            session.ping()
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (hard, hard))
        for client in waiting:
            assert client.read_connect() != 0
            client.ping()
            client.close()
        assert len(re.findall("event=dial.shortage", proxy.log())) <= 3  # one line in ten seconds
    proxy.terminate()


@pytest.mark.sanitizer
def test_the_daemon_ends_without_descriptors(proxy):
    hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (descriptors(proxy) + 4, hard))
    waiting = [RawClient(proxy.clients) for _ in range(WAITING)]
    for client in waiting:
        client.send_connect()
    wait_for(lambda: "event=dial.shortage" in proxy.log(), 30, "a dial fails for want of a descriptor")
    proxy.terminate()
    for client in waiting:
        client.close()


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
        wait_for(lambda: Metrics(ask("/metrics")).value("zkferry_probes_unasked_total") >= 3 * 5, 30,
                 "five rounds in which no server could be asked")
        session.ping()
        rows = json.loads(ask("/v1/servers"))["servers"]
        assert [row["health"] for row in rows] == ["serving"] * 3
        assert all("Too many open files" in row["reason"] for row in rows)
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (hard, hard))
        wait_for(lambda: all(row["reason"] == "" for row in json.loads(ask("/v1/servers"))["servers"]), 30,
                 "the servers are asked again")
    admin.close()
    assert "event=probe.shortage" in proxy.log()
    assert "health=down" not in proxy.log()


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
