"""What strangers may cost before they have a session: their first frame, what they send behind it, and what is left
when they have gone. No server answers here, so whoever greets stays without one.

The control runs switch the limit off (test builds only): the same bytes then fill the memory.
"""
import resource
import selectors
import struct

import pytest

from lib.ports import Ports
from lib.raw import RawClient, connect_request
from lib.waiting import SCALE, wait_for

GREETING = struct.pack(">i", 45) + connect_request(timeout_ms=120000)  # so long it may wait
KB = 1024
MB = 1024 * KB
BURST = 6000
CONNECTIONS = "zkferry_client_connections"


@pytest.fixture
def nobody():
    """Lines of servers that are not there."""
    ports = Ports()
    yield [f"server.{sid}=127.0.0.1:{ports.take()}:{ports.take()};127.0.0.1:{ports.take()}" for sid in (1, 2, 3)]
    ports.release()


@pytest.fixture
def strangers():
    """Makes connections that are closed at the end."""
    opened = []

    def make(proxy, count):
        made = [RawClient(proxy.clients).socket for _ in range(count)]
        opened.extend(made)
        return made
    yield make
    for stranger in opened:
        stranger.close()


def pour(sockets, data):
    """Sends to all of them what they take, until each has taken all or takes no more; how many closed instead."""
    left = {stranger: memoryview(data) for stranger in sockets}
    closed = 0
    with selectors.DefaultSelector() as selector:
        for stranger in sockets:
            stranger.setblocking(False)
            selector.register(stranger, selectors.EVENT_WRITE)
        while ready := selector.select(SCALE):
            for key, _ in ready:
                try:
                    left[key.fileobj] = left[key.fileobj][key.fileobj.send(left[key.fileobj]):]
                    is_over = not left[key.fileobj]
                except ConnectionError:
                    closed += 1
                    is_over = True
                if is_over:
                    selector.unregister(key.fileobj)
            if not selector.get_map():
                break
    return closed


def are_counted(proxy, count, **labels):
    name = "zkferry_sessions" if labels else CONNECTIONS
    wait_for(lambda: proxy.metrics().value(name, **labels) == count, 30, f"{name} {labels} is {count}")


def closed_for_length(proxy):
    return proxy.metrics().value("zkferry_client_closed_total", reason="frame_too_big")


def greet_with_1_mb(proxy, strangers):
    return pour(strangers(proxy, 150), struct.pack(">i", 0xfffff) + bytes(900 * KB))


def send_ahead(proxy, strangers):
    assert pour(strangers(proxy, 150), GREETING + bytes(256 * KB)) == 0
    are_counted(proxy, 150, state="waiting")


# What, and how much it may take; its control takes at least twice as much.
COSTS = ((greet_with_1_mb, 6 * MB), (send_ahead, 2 * MB))


@pytest.mark.parametrize("act,most", COSTS)
def test_before_a_session_little_is_kept(nobody, make_proxy, strangers, act, most):
    proxy = make_proxy(nobody)
    before = proxy.rss_kb()
    act(proxy, strangers)
    wait_for(lambda: closed_for_length(proxy) == (150 if act is greet_with_1_mb else 0), 30, "all have been looked at")
    assert (proxy.rss_kb() - before) * KB < most


@pytest.mark.parametrize("act,most", COSTS)
def test_control_without_the_limit_it_fills_the_memory(nobody, make_proxy, strangers, act, most):
    proxy = make_proxy(nobody, switches=["long_greetings"])
    before = proxy.rss_kb()
    act(proxy, strangers)
    wait_for(lambda: (proxy.rss_kb() - before) * KB > 2 * most, 30, f"more than {2 * most} bytes are kept")


def test_the_memory_of_a_burst_goes_back(nobody, make_proxy, strangers):
    """6,000 strangers that wait, with as much behind their greetings as is read; 3.4 MB used to stay for good."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    proxy = make_proxy(nobody)
    before = proxy.rss_kb()
    made = []
    for _ in range(BURST):
        made += strangers(proxy, 1)
        made[-1].sendall(GREETING + bytes(KB))  # who says nothing for long makes room for others
    are_counted(proxy, BURST, state="waiting")
    assert proxy.rss_kb() - before > BURST  # a KB each: there is something to give back
    for stranger in made:
        stranger.close()
    wait_for(lambda: proxy.rss_kb() - before < 1.5 * KB, 60, f"not more than 1.5 MB above {before} KB")


def test_a_long_greeting_is_refused_before_its_body(nobody, make_proxy, strangers):
    proxy = make_proxy(nobody)
    before = proxy.metrics().value("zkferry_client_closed_total", reason="frame_too_big")
    for stranger in strangers(proxy, 3):
        stranger.sendall(struct.pack(">i", 1025))
        assert stranger.recv(1) == b""
    wait_for(lambda: proxy.metrics().value("zkferry_client_closed_total", reason="frame_too_big") == before + 3, 20,
             "all are counted")
