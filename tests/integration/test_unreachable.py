"""Servers that are well, by their own words, and that no session can be attached to from here: probes come from another
address than sessions, which have those of `bind`."""
import pytest

from lib.migration import (SOURCES, TARGETS, assert_attached, assert_kept, confirm, findings, plan_targets,
                           start_joiners, wait_gate)
from lib.raw import fill
from lib.waiting import wait_for

pytestmark = pytest.mark.limit(240)

FAR = "127.0.0.77"
PATIENT_MS = 120000
FEW = {"maxClientCnxns": 8, "maxSessionTimeout": PATIENT_MS}


def test_preflight_tries_what_a_plan_will_need(make_ensemble, make_proxy, tmp_path):
    """A server that serves, and takes nobody from an address of `bind`; hooks whose programs can't be run."""
    ensemble = make_ensemble(server_cfg={2: FEW}).start()
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    runs = tmp_path / "runs"
    runs.write_text("#!/bin/sh\n")
    runs.chmod(0o755)
    hooks = {"start": [str(tmp_path / "none"), "{id}"], "stop": [str(plain)], "backup": [str(runs)],
             "restart": [str(tmp_path / "{id}")]}
    proxy = make_proxy(ensemble.lines(SOURCES), plan_targets(ensemble), migration={"hooks": hooks},
                       config={"bind": {"source": ["127.0.0.78", FAR]}})
    places = fill(ensemble[2], FAR, PATIENT_MS)
    found = findings(proxy)
    assert found["bind-unreached-2"]["seen"].startswith(f"from {FAR}: the server closes it"), found
    assert found["bind-unreached-2"]["severity"] == found["hook-unrunnable"]["severity"] == "block"
    seen = found["hook-unrunnable"]["seen"]
    assert f"hooks.start: {tmp_path / 'none'}: is not there" in seen
    assert f"hooks.stop: {plain}: may not be executed" in seen
    assert "backup" not in seen and "restart" not in seen
    for place in places:
        place.close()
    (tmp_path / "none").write_bytes(runs.read_bytes())
    (tmp_path / "none").chmod(0o755)
    plain.chmod(0o755)
    wait_for(lambda: not {"bind-unreached-2", "hook-unrunnable"} & set(findings(proxy)), 30, "all is as it must be")


def on_servers(ensemble, ids):
    return set().union(*(ensemble[sid].sessions() for sid in ids))


def test_new_clients_are_given_to_servers_that_work(make_ensemble, make_proxy, make_workload, connect):
    """No target takes a session from the address that the proxy has for them: until one does, clients are given to the
    sources, which stand there and work; it is said so, and why no session moves."""
    ensemble = make_ensemble(server_cfg={sid: FEW for sid in TARGETS}).start()
    plan_targets(ensemble)
    proxy = make_proxy(ensemble.lines(SOURCES), ensemble.lines(TARGETS), confirm=["switch", "remove"],
                       config={"bind": {"target": [FAR]}})
    load = make_workload(proxy.clients, sessions=3, writes_per_second=10)
    start_joiners(ensemble)
    assert proxy.cli("start").returncode == 0
    wait_gate(proxy, "switch")
    assert proxy.metrics().value("zkferry_connects_elsewhere_total") == 0
    assert proxy.get("/readyz").text == "ready\n"
    places = [place for sid in TARGETS for place in fill(ensemble[sid], FAR, PATIENT_MS)]
    assert confirm(proxy, "switch") == 0
    client = connect(proxy.clients, patience=30)
    session = client.attach(timeout_ms=30000).session_id
    assert session in on_servers(ensemble, SOURCES)

    status = wait_for(lambda: next((s for s in [proxy.status()] if "no session can be attached" in s["waiting_for"]),
                                   None), 30, "the plan says why no session moves")
    assert "server 4: " in status["waiting_for"], status["waiting_for"]
    wait_for(lambda: all("maxClientCnxns" in row["reason"] for row in proxy.status()["servers"] if row["id"] in TARGETS),
             30, "each target's row says why")
    assert "given to servers that the plan does not prefer" in proxy.get("/readyz").text
    assert proxy.get("/readyz").status == 200
    assert proxy.metrics().value("zkferry_connects_elsewhere_total") >= 1
    wait_for(lambda: sum(proxy.metrics().value("zkferry_moves_stayed_total", reason=reason)
                         for reason in ("closed", "full")) >= 1, 60, "a move that stays says why")
    wait_for(lambda: all(f"event={name}" in proxy.log() for name in ("connect.elsewhere", "move.stayed")), 30,
             "the log has both")

    for place in places:
        place.close()
    wait_gate(proxy, "remove")
    assert_attached(ensemble, {session})
    wait_for(lambda: proxy.get("/readyz").text == "ready\n", 30, "the targets take clients")
    assert connect(proxy.clients).attach().session_id in on_servers(ensemble, TARGETS)
    assert_kept(load, ensemble, 4)
