"""`zkferry verify` on real servers: equal is equal, also under load; what was altered is found, by path."""
import itertools
import json
import threading

import pytest
from kazoo.security import make_digest_acl

from lib.forgery import forge, wait_stored
from lib.frontdoor import MntrDoor
from lib.migration import SOURCES, findings, plan_targets, start_joiners, wait_gate
from lib.waiting import wait_for

NODES = 300


def make_tree(client, count=NODES):
    """Some depth, data of some sizes, an ACL, an ephemeral."""
    for number in range(count):
        client.create(f"/tree/{number % 10}/n{number}", b"x" * (number % 50), makepath=True)
    client.create("/tree/guarded", b"", acl=[make_digest_acl("user", "password", all=True)])
    client.create("/tree/ephemeral", b"", ephemeral=True)


def started(make_proxy, ensemble, *args, **options):
    """A proxy that knows who leads."""
    proxy = make_proxy(ensemble.lines([1, 2, 3]), *args, **options)
    wait_for(lambda: proxy.status()["leader"] > 0, 20, "the leader is known")
    return proxy


def verify(proxy, *args, status=0):
    """`zkferry verify --json`: what it says at the end."""
    done = proxy.cli("verify", "--json", *args, deadline=90)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def equal_at_last(proxy, is_wanted=lambda answer: True):
    """While data change: no comparison finds a difference, and one gets to the end of them; what that one says.

    Until then counts may differ, or a node never stand still: what is incomplete, says so.
    """
    def compared():
        answer = json.loads(proxy.cli("verify", "--json", deadline=90).stdout)
        assert found(answer, "different") == {}, answer
        return answer if answer["outcome"] == "equal" and is_wanted(answer) else None
    return wait_for(compared, 60, "a comparison without any doubt")


def found(answer, kind):
    return {(item["server"], item["path"]): item["what"] for item in answer["findings"]
            if item["kind"] == kind}


def restart_forged(ensemble, sid, *replacements):
    """The server comes back with other data, and follows."""
    server = ensemble[sid]
    for genuine, _ in replacements:
        wait_stored(server, genuine)
    server.stop()
    for genuine, forged in replacements:
        assert forge(server, genuine, forged) == 1
    ensemble.start([sid])


def follower_and_other(ensemble):
    """Two followers; the leader stays who it is."""
    return sorted({1, 2, 3} - {ensemble.leader()})


def wait_level(ensemble):
    """Until every server has everything: counts are compared, too, and no sync helps them."""
    wait_for(lambda: len({server.zxid() for server in ensemble.running()}) == 1, 30, "all have the same zxid")


@pytest.mark.sanitizer
def test_equal_ensemble(ensemble, make_proxy):
    proxy = started(make_proxy, ensemble)
    with ensemble.client(super_user=True) as client:
        make_tree(client)
        wait_level(ensemble)
        assert proxy.get("/v1/verify").json["state"] == "none"
        answer = verify(proxy)
        assert answer["outcome"] == "equal" and answer["state"] == "done", answer
        assert answer["findings"] == [] and answer["at"] == ""
        assert answer["compared"] > NODES + 12
        assert answer["skipped"] == ["/zookeeper/zkferry", "/zookeeper/config"]
        servers = {row["id"]: row for row in answer["servers"]}
        assert set(servers) == {1, 2, 3} - {answer["leader"]}
        for row in servers.values():
            assert (row["compared"], row["different"]) == (answer["compared"], 0)
            assert (row["counts"], row["counts_detail"]) == ("equal", "")
            assert row["digest"] == "equal" and int(row["digest_zxid"], 16) % 128 == 0
    one = follower_and_other(ensemble)[0]
    assert [row["id"] for row in verify(proxy, str(one))["servers"]] == [one]
    assert proxy.get("/v1/verify").json["servers"][0]["id"] == one
    text = proxy.cli("verify", "--watch").stdout
    assert "outcome   equal" in text and f"server {one}" in text
    assert "event=verify.done" in proxy.log()


@pytest.mark.sanitizer
def as_prometheus(name, value):
    """As the PrometheusMetricsProvider of the field prints them: every number with a fraction."""
    return f"{value}.0" if value.lstrip("-").isdigit() else value


def without_counts(name, value):
    """A figure that is there and is no number, and one that is not there at all."""
    return "NaN" if name == "zk_znode_count" else None if name == "zk_ephemerals_count" else as_prometheus(name, value)


@pytest.mark.parametrize("rewrite,counts,missing", [
    (as_prometheus, "equal", None), (without_counts, "unknown", "does not say how many")])
def test_numbers_as_other_providers_print_them(make_ensemble, make_proxy, rewrite, counts, missing):
    """They are numbers; one that is not shown is not compared, and preflight says so beforehand."""
    ensemble = make_ensemble().start()
    doors = [MntrDoor(ensemble[sid], rewrite) for sid in SOURCES]
    proxy = make_proxy([door.line for door in doors], plan_targets(ensemble))
    wait_for(lambda: proxy.status()["leader"] > 0, 20, "the leader is known, by what it prints or by its followers")
    with ensemble.client(super_user=True) as client:
        client.create("/more", b"x")
        wait_level(ensemble)
    rows = verify(proxy, *map(str, follower_and_other(ensemble)))["servers"]
    assert [row["counts"] for row in rows] == [counts, counts], rows
    assert all((missing or "") in row["counts_detail"] for row in rows), rows
    unshown = {name for name in findings(proxy) if name.startswith("figures-not-shown")}
    assert unshown == (set() if missing is None else {f"figures-not-shown-{sid}" for sid in SOURCES})
    assert all(door.rewritten for door in doors)
    for door in doors:
        door.close()


def test_changes_under_way_are_no_differences(ensemble, make_proxy):
    """Nodes that are written, created and deleted at every moment, on servers that are always a bit behind."""
    proxy = started(make_proxy, ensemble)
    stop = threading.Event()
    with ensemble.client() as client, ensemble.client() as writer:
        make_tree(client)
        client.create("/busy")

        def write():
            for number in itertools.count():
                if stop.is_set():
                    return
                writer.create(f"/busy/{number % 7}", b"")
                writer.set(f"/tree/{number % 10}/n{number % 10}", str(number).encode())
                writer.delete(f"/busy/{number % 7}")
        thread = threading.Thread(target=write)
        thread.start()
        try:
            equal_at_last(proxy, lambda answer: answer["rechecked"] > 0)
        finally:
            stop.set()
            thread.join()


def test_altered_data_is_found(ensemble, make_proxy):
    proxy = started(make_proxy, ensemble)
    with ensemble.client() as client:
        make_tree(client)
        client.create("/tree/0/forged", b"genuine data")
    altered, other = follower_and_other(ensemble)
    restart_forged(ensemble, altered, (b"genuine data", b"altered data"))
    answer = verify(proxy, status=1)
    assert answer["outcome"] == "different"
    assert found(answer, "different") == {(altered, "/tree/0/forged"): "data"}
    rows = {row["id"]: row for row in answer["servers"]}
    assert (rows[altered]["different"], rows[other]["different"]) == (1, 0)
    assert rows[other]["digest"] == "equal"
    assert verify(proxy, str(other))["outcome"] == "equal"
    text = proxy.cli("verify").stdout
    assert f"server {altered}  /tree/0/forged  (data)" in text
    with ensemble.client() as client:
        client.set("/tree/0/forged", b"written anew")  # to everybody
    wait_level(ensemble)
    assert verify(proxy)["outcome"] == "equal"


def test_missing_and_additional_nodes_are_found(ensemble, make_proxy):
    """Below a node that is missing nothing more is listed."""
    proxy = started(make_proxy, ensemble)
    with ensemble.client() as client:
        make_tree(client, 20)
        client.create("/tree/wanted", b"")
    altered = follower_and_other(ensemble)[0]
    restart_forged(ensemble, altered, (b"/tree/wanted", b"/tree/strays"))
    differences = found(verify(proxy, status=1), "different")
    assert set(differences) == {(altered, "/tree/wanted"), (altered, "/tree/strays")}
    assert differences[altered, "/tree/wanted"].startswith("missing here")
    assert differences[altered, "/tree/strays"].startswith("only here")


def test_what_cannot_be_read_is_said(ensemble, make_proxy):
    """Without credentials a protected node is no reason to call everything equal."""
    proxy = started(make_proxy, ensemble, super_user=None)
    with ensemble.client() as client:
        make_tree(client, 20)
    answer = verify(proxy, status=1)
    assert answer["outcome"] == "incomplete" and "unreadable" in answer["reason"]
    assert set(found(answer, "unreadable")) == {(-1, "/tree/guarded")}
    assert answer["different"] == 0


def test_goes_on_from_a_path(ensemble, make_proxy):
    proxy = started(make_proxy, ensemble)
    with ensemble.client() as client:
        make_tree(client)
    wait_level(ensemble)
    whole = verify(proxy)["compared"]
    rest = verify(proxy, "--from", "/tree/7")["compared"]
    assert 3 * NODES / 10 <= rest < whole / 2


def test_refusals(ensemble, make_proxy):
    proxy = started(make_proxy, ensemble)
    leader = proxy.status()["leader"]

    def refused(body):
        answer = proxy.post("/v1/verify", body)
        return answer.status, answer.json["error"]["message"]
    assert refused({"servers": [99]}) == (404, "there is no server 99")
    assert refused({"servers": [leader]})[0] == 400
    assert refused({"from": "tree"})[0] == 400
    assert proxy.get("/v1/verify").json["state"] == "none"
    silent = ensemble[follower_and_other(ensemble)[0]]
    silent.freeze()  # its answers are waited for
    assert proxy.post("/v1/verify").status == 200
    assert refused(None) == (409, "a verification is running")
    silent.thaw()
    wait_for(lambda: proxy.get("/v1/verify").json["state"] == "done", 60, "the first one ends")
    assert proxy.cli("verify", str(leader)).returncode == 1


def test_lost_server_is_given_up(ensemble, make_proxy):
    """The others are compared to the end all the same."""
    proxy = started(make_proxy, ensemble)
    with ensemble.client() as client:
        make_tree(client)
    lost, other = follower_and_other(ensemble)
    ensemble[lost].kill9()
    answer = verify(proxy, status=1)
    rows = {row["id"]: row for row in answer["servers"]}
    assert answer["outcome"] == "incomplete"
    assert rows[lost]["given_up"] and f"server {lost} was not connected" in rows[lost]["reason"]
    assert rows[other]["compared"] == answer["compared"] > NODES


def verify_until(proxy, phase):
    """One comparison after the other, whatever the plan does meanwhile; returns what was found different. The last
    one is the plan's own, which would have to wait for a gap between ours."""
    differences = []

    def ended():
        status = proxy.status()
        assert status["phase"] != "failed", f"the plan failed: {status['failed']}"
        if status["phase"] != "verifying":
            proxy.post("/v1/verify")  # refused while one runs, and while nobody leads
        answer = proxy.get("/v1/verify").json
        differences.extend(item for item in answer["findings"] if item["kind"] == "different")
        return status["phase"] == phase
    wait_for(ended, 120, f"phase {phase}")
    return differences


@pytest.mark.limit(300)
def test_targets_of_a_plan(ensemble, make_proxy, make_workload):
    """Joined, followed, under load: the targets have what the leader has. Comparing goes on while sessions move and
    the leader leaves, and nobody notices."""
    proxy = make_proxy(ensemble.lines([1, 2, 3]), plan_targets(ensemble), confirm=["switch"])
    with ensemble.client() as client:
        make_tree(client)
    load = make_workload(proxy.clients, sessions=9, writes_per_second=50)
    proxy.start_migration()
    proxy.wait_phase("joining")
    start_joiners(ensemble)
    wait_gate(proxy, "switch")
    assert [row["id"] for row in equal_at_last(proxy)["servers"]] == [4, 5, 6]
    assert proxy.cli("confirm", "switch").returncode == 0
    assert verify_until(proxy, "finished") == []
    wait_for(lambda: proxy.get("/v1/verify").json["state"] == "done", 60, "the last one ends")
    assert {row["id"] for row in equal_at_last(proxy)["servers"]} < {4, 5, 6}
    with ensemble.client(4) as direct:
        report = load.verify(direct)
    assert report.problems() == [] and report.disconnects == 0
