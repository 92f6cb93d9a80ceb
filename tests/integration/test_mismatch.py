"""Digest mismatches on real servers are a question: the plan compares that server's nodes with the leader's."""
import re

from lib.forgery import forge, wait_stored
from lib.migration import forget, plan_targets, start_joiners
from lib.waiting import wait_for

GENUINE, ALTERED, LATER = b"genuine data", b"altered data", b"whatever came later"


def restart_forged(ensemble, sid, stored, files=None):
    """It replays another value than the others have, and counts that. A joiner needs its files once more: it has
    written the members it learned, without itself, over them."""
    server = ensemble[sid]
    wait_stored(server, stored)
    server.stop()
    assert forge(server, GENUINE, ALTERED) == 1
    for path, text in (files or {}).items():
        path.write_text(text)
    ensemble.start([sid])
    assert mismatches(server) > 0, "nothing is asked"


def mismatches(server):
    return int(re.search(r"zk_digest_mismatches_count\s+(\d+)", server.word("mntr")).group(1))


def start(ensemble, make_proxy, targets):
    proxy = make_proxy(ensemble.lines((1, 2, 3)), plan_targets(ensemble, targets),
                       config={"migration": {"kind": "expand", "confirm": []}})
    return proxy


def findings(status):
    return {finding["id"] for finding in status["findings"]}


def test_an_equal_member_is_a_note(ensemble, make_proxy):
    """What was replayed wrongly has been overwritten since: mismatches were counted, the data is equal."""
    with ensemble.client() as client:
        client.create("/forged", GENUINE)
        client.set("/forged", LATER)
    restart_forged(ensemble, min({1, 2, 3} - {ensemble.leader()}), LATER)
    proxy = start(ensemble, make_proxy, (4,))
    start_joiners(ensemble, (4,))
    proxy.start_migration()
    status = proxy.wait_phase("finished")
    assert [finding for finding in findings(status) if finding.startswith("digest-equal-")]


def test_a_joiner_that_differs_is_waited_for_until_it_is_rebuilt(ensemble, make_proxy):
    proxy = start(ensemble, make_proxy, (4,))
    directory = ensemble.configure(4).directory
    files = {path: path.read_text() for path in (directory / "zoo.cfg", directory / "zoo.cfg.dynamic")}
    ensemble.start([4])
    with ensemble.client() as client:
        client.create("/forged", GENUINE)
    restart_forged(ensemble, 4, GENUINE, files)
    proxy.start_migration()

    def waits():
        status = proxy.status()
        assert status["phase"] in ("preflight", "joining"), status
        return "server 4 to be rebuilt" in status["waiting_for"]
    wait_for(waits, 60, "the plan asks for a new server 4")
    assert proxy.status()["phase"] == "joining" and ensemble.config().ids == {1, 2, 3}
    forget(ensemble, 4)
    start_joiners(ensemble, (4,))
    proxy.wait_phase("finished")
    with ensemble.client(4) as client:
        assert client.get("/forged")[0] == GENUINE
