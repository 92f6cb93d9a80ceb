"""`zkferry drain ID` and `undrain ID`: one server is emptied for maintenance, outside of any plan."""
import pytest

from lib.drains import wait_admitted
from lib.migration import plan_targets
from lib.raw import RawClient
from lib.waiting import wait_for

SESSIONS = 9


@pytest.fixture
def ready(ensemble, make_proxy):
    """A proxy that knows all three servers to serve. It has a plan, so that drains and plans can meet."""
    proxy = make_proxy(ensemble.lines([1, 2, 3]), plan_targets(ensemble))
    wait_admitted(proxy, 1, 2, 3)
    return proxy


@pytest.fixture
def load(ready, make_workload):
    return make_workload(ready.clients, sessions=SESSIONS, writes_per_second=30)


def server_row(proxy, sid):
    return next(row for row in proxy.get("/v1/servers").json["servers"] if row["id"] == sid)


def drain(proxy, sid, call="drain"):
    answer = proxy.post(f"/v1/servers/{sid}/{call}")
    assert answer.status == 200, answer
    return answer.json["message"]


def wait_empty(proxy, ensemble, sid, session_ids):
    """By the proxy's own count and by the server's `cons`."""
    wait_for(lambda: server_row(proxy, sid)["sessions"] == 0, 20, f"server {sid} is empty")
    wait_for(lambda: not session_ids() & ensemble[sid].sessions(), 20, f"`cons` of {sid} has none of ours")


def assert_refused(answer, status, code):
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (status, code), answer
    assert error["message"] and error["hint"], answer


def new_sessions(proxy, count):
    """Clients with sessions made now, one after another; the caller closes them."""
    return [RawClient(proxy.clients).attach() for _ in range(count)]


def homes(ensemble, clients, ids=(1, 2, 3)):
    return {sid for sid in ids for client in clients if client.session_id in ensemble[sid].sessions()}


@pytest.mark.sanitizer
def test_empties_and_admits_again(ready, ensemble, load):
    assert "leave server 2" in drain(ready, 2)
    row = server_row(ready, 2)
    assert row["drained"] and not row["admitted"] and row["reason"] == "drained"
    assert ready.metrics().value("zkferry_server_drained", server="2") == 1
    wait_empty(ready, ensemble, 2, lambda: load.session_ids)
    clients = new_sessions(ready, 6)
    try:
        assert homes(ensemble, clients) <= {1, 3}
        load.wait_progress(30)
        assert server_row(ready, 2)["sessions"] == 0
        drain(ready, 2, "undrain")
        assert not server_row(ready, 2)["drained"]
        assert ready.metrics().value("zkferry_server_drained", server="2") == 0
        wait_for(lambda: clients.extend(new_sessions(ready, 1)) or 2 in homes(ensemble, clients), 20,
                 "server 2 gets new sessions again")
    finally:
        for client in clients:
            client.close()
    with ensemble.client(1) as direct:
        report = load.verify(direct)
    assert report.problems() == [] and (report.disconnects, report.expired) == (0, 0)
    for text in ("event=server.drained", "event=server.undrained", "path=/v1/servers/2/drain"):
        wait_for(lambda t=text: t in ready.log(), 20, f"{text} in the log")


def test_survives_a_crash(ready, ensemble, load):
    ready.pin_ports()
    drain(ready, 3)
    ready.kill9()
    ready.start()
    assert server_row(ready, 3)["drained"]
    load.wait_progress(30)
    wait_empty(ready, ensemble, 3, lambda: load.session_ids)
    drain(ready, 3, "undrain")
    ready.kill9()
    ready.start()
    assert not server_row(ready, 3)["drained"]
    load.wait_progress(30)


def test_command_line(ready, ensemble):
    done = ready.cli("drain", "1")
    assert done.returncode == 0 and "leave server 1" in done.stdout
    assert ready.cli("drain", "1").returncode == 0, "a repeated call is answered well"
    start = ready.cli("start")
    assert start.returncode == 1 and "zkferry undrain ID" in start.stderr
    unknown = ready.cli("drain", "77")
    assert unknown.returncode == 1 and "no server 77" in unknown.stderr
    done = ready.cli("undrain", "1")
    assert done.returncode == 0 and "admits sessions again" in done.stdout


def test_refusals(ready, ensemble):
    """Somebody must be left, and a plan moves sessions by rules of its own."""
    assert_refused(ready.post("/v1/servers/99/drain"), 404, "no_such_server")
    drain(ready, 1)
    assert_refused(ready.post("/v1/migration/start"), 409, "servers_drained")
    assert "start" not in ready.status()["can"]
    drain(ready, 2)
    assert_refused(ready.post("/v1/servers/3/drain"), 409, "last_server")
    drain(ready, 1, "undrain")
    drain(ready, 2, "undrain")
    ready.start_migration()
    ready.wait_phase("joining")
    assert_refused(ready.post("/v1/servers/1/drain"), 409, "plan_runs")
    assert_refused(ready.post("/v1/servers/1/undrain"), 409, "plan_runs")


def test_server_that_left_the_file(ready, ensemble):
    """Drained, then taken out of the configuration: the daemon starts, and it can still be undrained."""
    ready.pin_ports()
    drain(ready, 3)
    ready.config["source"] = ensemble.lines([1, 2])
    ready.write_config()
    ready.kill9()
    ready.start()
    assert_refused(ready.post("/v1/migration/start"), 409, "servers_drained")
    drain(ready, 3, "undrain")
    assert_refused(ready.post("/v1/servers/3/drain"), 404, "no_such_server")
