"""Four-letter words while there are thousands of sessions: who lists them all holds up nobody, whoever doesn't
read is cut, and whoever asks now and then is always answered. Against the benchmark's stub: no ZooKeeper
server is needed for it, and one connection is cheap."""
import contextlib
import re
import socket
import time

import pytest

from bench.peers import Stub
from bench.tools import Holding
from lib.waiting import SCALE, wait_for

SESSIONS = 1500
CROWD = 60  # connections that ask and never read; so many lists would be 20 MB
ROOM_KB = 12 * 1024
MONITOR = "127.0.0.2"


@pytest.fixture
def proxy(make_proxy):
    with Stub() as stub:
        proxy = make_proxy([f"server.1=127.0.0.1:1:2:participant;{stub.address}"],
                           config={"workers": 1, "probes": {"admin_server_port": 0}})
        wait_for(lambda: proxy.get("/readyz").status == 200, 30, "the stub is admitted")
        with Holding(proxy.clients, sessions=SESSIONS):
            yield proxy


def begin(proxy, word, source="127.0.0.1"):
    host, port = proxy.clients.rsplit(":", 1)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.bind((source, 0))
    connection.settimeout(30 * SCALE)
    connection.connect((host, int(port)))
    connection.sendall(word)
    return connection


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    connection.close()
    return b"".join(parts).decode()


def listed(text):
    return len(re.findall(r"^ /127\.0\.0\.1:\d+\[1\]\(", text, re.M))


def test_a_list_is_whole(proxy):
    """In many parts, read slowly: the sessions of one moment, each once, and what belongs behind them."""
    assert listed(read_all(begin(proxy, b"cons"))) >= SESSIONS
    text = read_all(begin(proxy, b"stat"))
    clients = re.findall(r"^ /(\S+)\[1\]", text, re.M)
    assert len(clients) == len(set(clients)) >= SESSIONS
    assert text.startswith("Zookeeper version: ") and text.rstrip().endswith("Node count: 0")
    assert int(re.search(r"^Connections: (\d+)$", text, re.M)[1]) >= SESSIONS


def test_a_crowd_that_does_not_read(proxy):
    read_all(begin(proxy, b"cons"))  # the memory that one list takes is there already
    before = proxy.rss_kb()
    assert proxy.metrics().value("zkferry_words_cut_total") == 0
    with contextlib.ExitStack() as stack:
        for number in range(CROWD):
            stack.enter_context(begin(proxy, b"cons" if number % 2 else b"stat"))
        for _ in range(10):
            assert listed(read_all(begin(proxy, b"cons", MONITOR))) >= SESSIONS
            assert proxy.get("/healthz").status == 200
            time.sleep(0.1)  # a monitor's own pace
        wait_for(lambda: proxy.metrics().value("zkferry_words_cut_total") >= CROWD - 32, 30,
                 "the oldest of the crowd are cut")
        assert proxy.rss_kb() - before < ROOM_KB
    assert "event=loop.slow" not in proxy.log()
