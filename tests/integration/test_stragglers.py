"""Exactly one client bypasses the proxy on a server that is about to leave: the plan waits for it as long as it is
there, whatever probes of our own come and go beside it (real servers; all orders: unit/test_strangers_orders.c)."""
import time

import pytest

from lib.migration import SOURCES, TARGETS, assert_migrated, plan_targets, start_joiners
from lib.waiting import wait_for

PROBES = {"interval": "300ms", "plan_interval": "100ms", "timeout": "1500ms", "admin_server_port": 0}


def held(ensemble, make_proxy, seconds):
    """Nothing is asked of it: a session that only pings, on a follower, the first one to leave."""
    targets = plan_targets(ensemble)
    start_joiners(ensemble)
    straggler = ensemble.client(next(sid for sid in SOURCES if sid != ensemble.leader()))
    proxy = make_proxy(ensemble.lines(SOURCES), targets, config={"probes": PROBES})
    proxy.start_migration()
    wait_for(lambda: "bypass" in proxy.status()["waiting_for"], 60, "the plan waits for somebody who bypasses it")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = proxy.status()
        assert status["phase"] == "removing", status
        assert "bypass" in status["waiting_for"], status
    assert ensemble.config(TARGETS[0]).ids == {*SOURCES, *TARGETS}
    assert straggler.connected
    straggler.stop()
    proxy.wait_phase("finished")
    assert_migrated(ensemble)


@pytest.mark.limit(120)
def test_one_straggler_holds_the_plan(ensemble, make_proxy):
    held(ensemble, make_proxy, 6)


@pytest.mark.full
@pytest.mark.limit(300)
def test_one_straggler_holds_the_plan_for_a_minute(ensemble, make_proxy):
    held(ensemble, make_proxy, 60)
