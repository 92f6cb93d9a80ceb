"""The benchmark's own tools: figures are worth something only if the generator notices what goes wrong."""
import socket
import subprocess
import threading

import pytest

from bench import delays, tools
from bench.peers import PROGRAMS, Stub, Zkferry
from lib.raw import RawClient
from lib.waiting import wait_for

REQUESTS = 3000
OPS = {"get": "get_data", "set": "set_data", "exists": "exists"}  # as the generator and as the protocol say


@pytest.fixture
def stub():
    with Stub() as running:
        yield running


def run_load(address, **options):
    return tools.load("run", address, requests=REQUESTS, outstanding=4, **options)[0]


def assert_plausible(report):
    """Every request has one latency, the points ascend, and the sum of all waits fits into the run's time."""
    latency = report["latency_us"]
    assert report["requests"] == latency["count"] == REQUESTS
    points = [latency[name] for name in ("p50", "p90", "p99", "p999", "max")]
    assert points == sorted(points) and points[0] > 0
    in_flight = latency["mean"] * REQUESTS / 1e6 / report["seconds"]
    assert 0 < in_flight <= report["sessions"] * report["outstanding"] * 1.05, "more waits than requests"


def run_each_op(address):
    for op in OPS:
        assert_plausible(run_load(address, op=op, sessions=16, bare=1))


def test_both_sides_count_the_same(stub):
    run_each_op(stub.address)
    asked = stub.counts()["requests"]
    assert [asked[name] for name in OPS.values()] == [REQUESTS] * len(OPS)


def test_the_proxy_counts_the_same(stub):
    """zkferryd's own admin session reads and writes now and then; it counts what its clients do."""
    with Zkferry(stub.address) as proxy:
        run_each_op(proxy.address)
        metrics = proxy.metrics()
    counted = {name: metrics.value("zkferry_requests_total", opcode=name) for name in OPS.values()}
    assert counted == dict.fromkeys(OPS.values(), REQUESTS)
    asked = stub.counts()["requests"]
    assert asked["exists"] == REQUESTS
    assert all(REQUESTS <= asked[name] < REQUESTS + 20 for name in OPS.values())


def test_open_loop_counts_from_due_times(stub):
    """One request at a time can't reach this rate: the wait for a turn must show."""
    report = tools.load("run", stub.address, sessions=1, outstanding=1, rate=2_000_000, warmup=0, seconds=0.3,
                        bare=1)[0]
    assert report["backlog"] > report["requests"], "the rate was reached after all"
    assert report["latency_us"]["max"] > 150_000, "waiting for a turn is not part of the latency"


def test_a_lost_reply_is_noticed():
    """The control: a server that drops one reply out of thousands must fail the run, not flatter it."""
    with Stub("--drop", "777") as stub:
        command = [PROGRAMS / "bench_load", "run", stub.address, "--requests", REQUESTS, "--outstanding", 4,
                   "--bare", 1]
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=100, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert "a reply to another request than the oldest" in done.stderr
        assert stub.counts()["dropped"] == 1


def test_holding_reports(stub):
    """Held sessions have their watches and say what they saw; re-attached ones are who they were."""
    with tools.Holding(stub.address, sessions=50, watches=5, probes=10, probe_ms=1, bare=1) as holding:
        before = tools.load("reattach", stub.address, stub.address, sessions=40, rounds=2)
        report = wait_for(lambda: report_of_all(holding, probes=10), 30, "every probing session had an answer")
    assert (report["sessions"], report["watches"], report["lost"], report["failed"]) == (50, 250, 0, 0)
    assert report["worst_us"]["max"] == report["latency_us"]["max"]
    assert [round_["sessions"] for round_ in before] == [40, 40]
    counts = stub.counts()
    assert (counts["sessions"], counts["reattaches"], counts["requests"]["exists"]) == (90, 80, 250)


def report_of_all(holding, probes):
    """What was seen since the last report, if that is long enough for each of these to have an answer."""
    report = holding.report()
    return report if report["worst_us"]["count"] == probes else None


class Nagling:
    """A forwarder for one client, without TCP_NODELAY towards it."""

    def __init__(self, upstream):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._upstream = upstream
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self):
        client, _ = self._listener.accept()
        host, port = self._upstream.rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._threads += [threading.Thread(target=pass_on, args=pair) for pair in ((client, server), (server, client))]
        for thread in self._threads[1:]:
            thread.start()


def pass_on(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass  # the other direction has ended
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def test_delays_show_a_missing_nodelay(shared_ensemble):
    """The control: what waits for a delayed ACK is in the rows, and is not where nothing waits for one."""
    upstream = shared_ensemble[shared_ensemble.leader()].address
    with RawClient(upstream) as writer, Nagling(upstream) as nagling:
        writer.attach(timeout_ms=40000)
        assert writer.create(delays.PATH) == 0

        def middles(address):
            return {row: delays.at(0.5, seconds) for row, seconds in delays.measure(address, writer, 15).items()}
        held_back = middles(nagling.address)
        assert min(held_back[row] for row in (delays.EVENT, delays.REPLY[True])) >= 0.035, held_back
        wait_for(lambda: max(middles(upstream).values()) < 0.035, 60, "nothing is held back without a proxy")
