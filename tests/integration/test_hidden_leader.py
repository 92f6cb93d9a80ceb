"""An ensemble whose leader takes no clients (leaderServes=no), or is out of the proxy's reach: its followers serve,
so clients are admitted there, and what can't be done without the leader is said."""
from lib.migration import SOURCES, TARGETS, plan_targets
from lib.waiting import wait_for
from lib.zkserver import four_letter_word

NOT_SERVING = "not currently serving"


def isro(proxy):
    host, port = proxy.clients.rsplit(":", 1)
    return four_letter_word(host, int(port), "isro")


def start_without_leader(ensemble):
    """Starts servers of which the leader serves nobody; returns its id."""
    for server in ensemble.servers.values():
        if server.configured:
            server.start()

    def silent():
        running = ensemble.running()
        if sum(server.mode() == "follower" for server in running) < len(running) - 1:
            return None
        return [server.id for server in running if NOT_SERVING in server.word("srvr")]
    return wait_for(silent, 60, "all but the leader serve")[0]


def assert_clients_work(proxy, connect, hidden):
    wait_for(lambda: proxy.get("/readyz").status == 200, 30, "somebody is admitted")
    assert isro(proxy) == "rw"
    clients = [connect(proxy.clients).attach() for _ in range(4)]
    assert clients[0].create(f"/hidden-{clients[0].session_id}") == 0
    assert all(client.ping() for client in clients)
    used = {server["id"]: server["sessions"] for server in proxy.status()["servers"]}
    assert used.get(hidden, 0) == 0
    healthy = {"voters": 3, "alive": 3, "tolerates": 1}
    wait_for(lambda: proxy.status()["quorum"] == healthy, 30, "the quorum is known to be whole")
    assert "; leader not seen" in proxy.cli("status").stdout
    assert sum(used.values()) >= len(clients)


def assert_told(proxy, leader, words):
    """Preflight blocks and says whom it lacks; so does a verification, which compares with the leader."""
    wanted = f"leader-unseen-{leader}"

    def told():
        found = {item["id"]: item for item in proxy.get("/v1/preflight").json["findings"]}
        return found[wanted] if wanted in found and "config-unknown" not in found else None
    finding = wait_for(told, 40, "preflight tells of the leader")
    assert finding["severity"] == "block" and not finding["can_accept"]
    assert words in finding["seen"], finding
    verification = proxy.post("/v1/verify")
    assert verification.status == 503 and words in verification.text, verification


def test_a_leader_that_serves_nobody(make_ensemble, make_proxy, connect):
    ensemble = make_ensemble(properties={"zookeeper.leaderServes": "no"})
    leader = start_without_leader(ensemble)
    proxy = make_proxy(ensemble.lines(SOURCES), plan_targets(ensemble))
    assert_clients_work(proxy, connect, leader)
    assert_told(proxy, leader, f"server {leader} answers that it does not serve")


def test_a_leader_out_of_reach(ensemble, make_proxy, connect):
    """Nobody listens on the client port that its line names; then it has no line at all."""
    leader = ensemble.leader()
    closed = ensemble.planned(9).client_port
    lines = {sid: ensemble.server_line(sid) for sid in SOURCES}
    lines[leader] = lines[leader].replace(f";{ensemble[leader].address}", f";{ensemble[leader].host}:{closed}")
    proxy = make_proxy(lines.values(), plan_targets(ensemble))
    assert_clients_work(proxy, connect, leader)
    assert_told(proxy, leader, f"server {leader} is down (connection refused)")

    del lines[leader]
    proxy = make_proxy(lines.values(), ensemble.lines(TARGETS))
    assert_clients_work(proxy, connect, leader)
    assert_told(proxy, leader, f"server {leader} is in no line of the file")
