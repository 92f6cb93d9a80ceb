"""Somebody on the path between zkferry and its servers, who writes into the servers' answers to zkferry's own sessions.

They use ZooKeeper's C client, which believes what it reads. Whatever it is: the connection it came on is closed, the
log says which server sent what, and the daemon goes on as if that server had closed the connection.
"""
import re
import struct

import pytest

from lib.forger import CONNECT, Forger, reply
from lib.migration import TARGETS, findings, plan_targets
from lib.raw import GET_DATA, buffer, ustring
from lib.waiting import wait_for

GET_ACL, GET_CHILDREN = 6, 8
UNASKED, EVENT_XID = 0x7000, -1
EXPIRED, SESSION_EVENT = -112, -1
REFUSED = "event=zkclient.log"


def session_event(frame):
    return reply(frame, struct.pack(">ii", SESSION_EVENT, EXPIRED) + ustring(""), xid=EVENT_XID)


# What instead of an answer: which, what is sent, what the log says of it.
ATTACKS = {
    "a reply nobody asked for": (GET_DATA, lambda frame: buffer(frame) + reply(frame, xid=UNASKED),
                                 f"xid {UNASKED}"),
    "a reply cut off": (GET_DATA, lambda frame: reply(frame, frame[16:40]), "don't fit"),
    "an end of the session": (GET_DATA, session_event, "at most 16"),
    "a frame without end": (GET_DATA, lambda frame: struct.pack(">i", 0x7fffffff) + frame, "at most"),
    "a long ConnectResponse": (CONNECT, lambda frame: buffer(frame + bytes(200)), "at most"),
    "no names": (GET_CHILDREN, lambda frame: reply(frame, struct.pack(">i", -1)), "don't fit"),
    "countless names": (GET_CHILDREN, lambda frame: reply(frame, struct.pack(">i", 0x0fffffff)), "don't fit"),
    "an ACL's end": (GET_ACL, lambda frame: reply(frame, frame[16:-68]), "don't fit"),
}


@pytest.fixture
def forgers(ensemble):
    made = [Forger(ensemble[sid]) for sid in (1, 2, 3)]
    yield made
    for forger in made:
        forger.close()


@pytest.fixture
def proxy(ensemble, forgers, make_proxy):
    """Its preflight is blocked, the config has other addresses: no plan is needed to make it ask."""
    plan_targets(ensemble)
    return make_proxy([forger.line for forger in forgers], ensemble.lines(TARGETS))


def attack_once(forgers, op, forged):
    """The next answer to such a request, whoever it is for."""
    def attack(asked, frame):
        if asked != op or is_attacked(forgers):
            return None
        return forged(frame)
    for forger in forgers:
        forger.attacked = 0
        forger.attack = attack


def is_attacked(forgers):
    return any(forger.attacked for forger in forgers)


@pytest.mark.sanitizer
def test_whatever_a_server_sends_ends_its_connection_only(forgers, proxy):
    wanted = {found for found in findings(proxy) if not found.startswith("direct-clients")}  # they come and go
    assert "members-differ" in wanted  # the ensemble has been read
    for op, forged, said in ATTACKS.values():
        before = len(proxy.log())
        attack_once(forgers, op, forged)
        wait_for(lambda: asked(proxy) and is_attacked(forgers), 20, f"an answer was forged: {said}")
        line = wait_for(lambda: logged(proxy, before, said), 20, f"the log says {said}")
        attacked = next(forger for forger in forgers if forger.attacked)
        assert f"127.0.0.1:{attacked.port}: " in line[0]
    assert wanted <= set(findings(proxy))


def asked(proxy):
    assert proxy.running, f"the daemon has ended: {proxy.log()[-300:]}"
    return proxy.get("/v1/preflight")


def logged(proxy, before, said):
    assert proxy.running, f"the daemon has ended: {proxy.log()[-300:]}"
    return re.search(rf"{REFUSED} .*{said}.*", proxy.log()[before:])
