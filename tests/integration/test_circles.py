"""A line of `source` that leads back to a zkferry, as when a DNS name or a virtual address was pointed at it before
the file was written: it answers like a healthy server, and clients would go in circles."""
from lib.migration import findings, plan_targets
from lib.waiting import wait_for


def lines_with_detour(ensemble, sid, address):
    """All lines; that of one server names another client address."""
    return [line.replace(f";{ensemble[sid].address}", f";{address}") if line.startswith(f"server.{sid}=") else line
            for line in ensemble.lines([1, 2, 3])]


def rows(proxy):
    return {row["id"]: row for row in proxy.get("/v1/servers").json["servers"]}


def test_nobody_is_admitted_to_a_proxy(shared_ensemble, make_proxy, connect):
    front = make_proxy(shared_ensemble.lines([1, 2, 3]))
    wait_for(lambda: front.get("/readyz").status == 200, 20, "the other proxy serves")
    sid = shared_ensemble.followers()[0]
    proxy = make_proxy(lines_with_detour(shared_ensemble, sid, front.clients), plan_targets(shared_ensemble))
    wait_for(lambda: rows(proxy)[sid]["health"] == "proxy", 20, "it is recognised")
    wait_for(lambda: proxy.get("/readyz").status == 200, 20, "the others serve")
    clients = [connect(proxy.clients).attach() for _ in range(6)]
    assert all(client.ping() for client in clients)
    assert rows(proxy)[sid]["sessions"] == 0
    assert sum(row["sessions"] for row in rows(proxy).values()) == len(clients)
    found = findings(proxy)[f"server-is-a-proxy-{sid}"]
    assert found["severity"] == "block" and not found["can_accept"]
