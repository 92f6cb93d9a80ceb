"""Servers on IPv6: people write [::1], ZooKeeper prints [0:0:0:0:0:0:0:1], and it is one address."""
import socket

import pytest

from lib.migration import SOURCES, TARGETS, plan_targets, start_joiners


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
@pytest.mark.limit(180)
def test_a_plan_in_the_short_form(make_ensemble, make_proxy, connect):
    ensemble = make_ensemble(hosts={sid: "::1" for sid in SOURCES + TARGETS}).start()
    proxy = make_proxy(ensemble.lines(SOURCES), plan_targets(ensemble),
                       config={"migration": {"kind": "migrate", "confirm": []}})
    assert "[::1]" in ensemble.lines(SOURCES)[0]
    client = connect(proxy.clients, patience=60).attach(timeout_ms=120000)  # it sends no pings
    assert client.create("/six", b"0") == 0
    start_joiners(ensemble)
    proxy.start_migration()
    proxy.wait_phase("finished")
    config = ensemble.config(TARGETS[0])
    assert config.ids == set(TARGETS)
    assert all("[0:0:0:0:0:0:0:1]" in line for line in config.members.values()), "the long form was not seen"
    assert client.set("/six", b"1") == 0, "it has its first connection"
    assert client.session_id in set().union(*(ensemble[sid].sessions() for sid in TARGETS))
