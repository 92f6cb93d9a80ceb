"""What small messages behind one another cost: they are what a socket without TCP_NODELAY holds back, until the
client's delayed ACK (40 ms on Linux).

The client acknowledges as late as TCP allows, as one does that has nothing to say. The server is a real one.
"""
import socket
import struct
import time

from lib.ensemble import Ensemble
from lib.raw import EXISTS, GET_DATA, RawClient, ustring

from .peers import Stage

PATH = "/bench-delays"
EVENT = "watch event to client"
REPLY = {True: "reply behind a reply, client with NODELAY", False: "reply behind a reply, client without NODELAY"}
SETTLE_SECONDS = 0.05  # longer than a delayed ACK: each round begins with everything acknowledged


def _option(client, option, value):
    client.socket.setsockopt(socket.IPPROTO_TCP, option, value)


def seconds_to_event(client, writer):
    """The client sets a watch; its reply is not acknowledged yet when another client's write makes the event."""
    _option(client, socket.TCP_QUICKACK, 0)
    assert client.call(EXISTS, ustring(PATH) + struct.pack(">?", True))[0] == 0
    began = time.perf_counter()
    sent = writer.send_set(PATH, b"x")
    assert client.receive()[0] == -1, "no event"
    took = time.perf_counter() - began
    assert writer.receive()[:2] == (sent, 0)
    return took


def seconds_to_second_reply(client):
    """A read and, at once, a write, whose reply takes a moment longer."""
    _option(client, socket.TCP_QUICKACK, 0)
    began = time.perf_counter()
    first = client.send(GET_DATA, ustring(PATH) + b"\0")
    second = client.send_set(PATH, b"y")
    for xid in (first, second):
        assert client.receive()[:2] == (xid, 0)
    return time.perf_counter() - began


def measure(address, writer, count):
    """{row: seconds of each time} of what is at the address."""
    times = {row: [] for row in (EVENT, *REPLY.values())}
    with RawClient(address) as client:
        client.attach()
        for _ in range(count):
            _option(client, socket.TCP_NODELAY, 1)
            times[EVENT].append(seconds_to_event(client, writer))
            for nodelay, row in REPLY.items():
                time.sleep(SETTLE_SECONDS)
                _option(client, socket.TCP_NODELAY, int(nodelay))
                times[row].append(seconds_to_second_reply(client))
            time.sleep(SETTLE_SECONDS)
    return times


def at(share, seconds):
    return sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)]


def delays(plan):
    with Ensemble(1, cfg={"standaloneEnabled": "false"}, heap_mb=512) as ensemble:
        upstream = ensemble[1].address
        with RawClient(upstream) as writer, Stage(upstream) as stage:
            _option(writer, socket.TCP_NODELAY, 1)
            writer.attach(timeout_ms=40000)
            assert writer.create(PATH) == 0
            for _ in range(plan.rounds):
                for peer in stage.peers:
                    for row, seconds in measure(peer.address, writer, plan.delayed).items():
                        for name, share in (("p50", 0.5), ("p99", 0.99)):
                            yield f"{row}, {name}, µs", peer.name, at(share, seconds) * 1e6
