"""The benchmark's own tools: figures are worth something only if the generator notices what goes wrong."""
import subprocess

import pytest

from bench import tools
from bench.peers import PROGRAMS, Stub, Zkferry
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
