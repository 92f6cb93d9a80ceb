"""A server that answers a later request without having answered the one before it: it is taken for lost.

Servers do that when they have lost their leader (seen with 3.8.0 under load): the write that waits for its
commit is let go, and the read behind it still answered. No client may hear of it out of order, and nobody can
know what became of the write.
"""
import pytest

from lib.drains import drain, undrain, wait_admitted
from lib.frontdoor import ForgetfulDoor
from lib.raw import GET_DATA, Closed, RawClient, ustring
from lib.waiting import wait_for

DOOR, OTHERS = 2, (1, 3)
NODE = "/misfit"
CLOSED, MISFITS = "zkferry_client_closed_total", "zkferry_server_misfits_total"


@pytest.fixture
def door(ensemble):
    with ForgetfulDoor(ensemble[DOOR]) as made:
        yield made


@pytest.fixture
def proxy(ensemble, door, make_proxy):
    return make_proxy([ensemble[1].line, door.line, ensemble[3].line])


@pytest.fixture
def client(ensemble, proxy):
    """On the server behind the door; the node has version 0."""
    with ensemble.client() as direct:
        direct.create(NODE, b"0")
    wait_admitted(proxy, DOOR, *OTHERS)
    for other in OTHERS:
        drain(proxy, ensemble, other, set())
    with RawClient(proxy.clients) as made:
        made.attach()
        assert made.session_id in ensemble[DOOR].sessions()
        for other in OTHERS:
            undrain(proxy, other)
        yield made


def send_read(client):
    return client.send(GET_DATA, ustring(NODE) + b"\0")


def version_of(ensemble):
    with ensemble.client() as direct:
        return direct.exists(NODE).version


def count(proxy, name, **labels):
    return proxy.metrics().value(name, **labels)


@pytest.mark.sanitizer
def test_a_write_passed_over_is_told(ensemble, proxy, door, client):
    first = send_read(client)
    write = client.send_set(NODE, b"1")
    door.forget(write)
    send_read(client)
    assert client.receive()[:2] == (first, 0)
    with pytest.raises(Closed):
        client.receive()  # neither the write's reply nor the read's
    assert door.forgotten == 1, "the door let everything pass"
    assert count(proxy, CLOSED, reason="unknown_outcome") == 1
    assert count(proxy, MISFITS, what="skipped") == count(proxy, MISFITS) == 1
    assert version_of(ensemble) == 1, "the write was done, once"
    with RawClient(proxy.clients) as again:
        assert again.resume(client) == client.session_id, "the session lives"
        assert again.get(NODE)[1] == b"1"


def test_a_read_passed_over_is_asked_again(ensemble, proxy, door, client):
    proxy.expects_misfits = True  # no ZooKeeper lets go of a read
    first = send_read(client)
    door.forget(first)
    second = send_read(client)
    assert client.receive()[:2] == (first, 0)
    assert client.receive()[:2] == (second, 0)
    assert door.forgotten == 1, "the door let everything pass"
    assert count(proxy, "zkferry_reattaches_total", result="done") == 1
    assert count(proxy, MISFITS, what="skipped") == 1
    assert client.set(NODE, b"1") == 0
    assert version_of(ensemble) == 1
    wait_for(lambda: "event=server.misfit" in proxy.log(), 20, "a line says so")
    assert count(proxy, CLOSED, reason="server_protocol") == 0
