"""Four-letter words on the client port: ZooKeeper's format, the proxy's own facts."""
import re

import pytest

from lib.ensemble import DirectClient
from lib.waiting import SCALE, wait_for
from lib.zkserver import four_letter_word

pytestmark = pytest.mark.sanitizer


@pytest.fixture
def proxy(shared_ensemble, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]))
    wait_for(lambda: proxy.get("/readyz").status == 200, 20, "a server is admitted")
    return proxy


@pytest.fixture
def client(proxy):
    """A session through the proxy, so that there is something to list."""
    with DirectClient(hosts=proxy.clients, timeout=10.0) as client:
        client.start(timeout=30 * SCALE)
        yield client


def ask(proxy, word):
    host, port = proxy.clients.rsplit(":", 1)
    return four_letter_word(host, int(port), word)


def test_ruok(proxy):
    assert ask(proxy, "ruok") == "imok"


def test_isro(proxy, client):
    assert ask(proxy, "isro") == "rw"


def test_srvr(proxy, client):
    text = ask(proxy, "srvr")
    assert re.search(r"^Zookeeper version: \S+", text, re.M)
    assert re.search(r"^Latency min/avg/max: \d+/[\d.]+/\d+$", text, re.M)
    assert int(re.search(r"^Connections: (\d+)$", text, re.M)[1]) >= 1
    assert re.search(r"^Outstanding: \d+$", text, re.M)
    assert re.search(r"^Zxid: 0x[0-9a-f]+$", text, re.M)
    assert re.search(r"^Mode: \w+$", text, re.M)


def test_stat_and_cons_list_the_client(proxy, client):
    local = client._connection._socket.getsockname()  # kazoo offers no other way to its address
    address = f"{local[0]}:{local[1]}"
    assert re.search(rf"^ ?/{re.escape(address)}\[\d+\]\(queued=\d+,recved=\d+,sent=\d+\)", ask(proxy, "stat"),
                     re.M)
    cons = ask(proxy, "cons")
    line = re.search(rf"^ ?/{re.escape(address)}\[\d+\]\((.*)\)", cons, re.M)
    assert line, cons
    assert f"sid={client.client_id[0]:#x}" in line[1].split(",")


def test_mntr(proxy, client):
    values = dict(line.split("\t", 1) for line in ask(proxy, "mntr").splitlines())
    assert "zk_version" in values and "zk_server_state" in values
    assert int(values["zk_num_alive_connections"]) >= 1
    assert int(values["zk_outstanding_requests"]) >= 0


def test_conf(proxy):
    text = ask(proxy, "conf")
    assert f"clientPort={proxy.clients.rsplit(':', 1)[1]}" in text.splitlines()


@pytest.mark.parametrize("word", ["envi", "dump", "wchs", "crst", "srst", "dirs", "hash"])
def test_other_words_are_refused_as_a_server_refuses(proxy, word):
    assert ask(proxy, word) == f"{word} is not executed because it is not in the whitelist.\n"


def test_the_whitelist_is_configurable(shared_ensemble, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), config={"words": ["ruok"]})
    assert ask(proxy, "ruok") == "imok"
    assert "not in the whitelist" in ask(proxy, "srvr")
