"""Moves: all sessions drained from one real server to another and back.

Beside it the raw re-attach rate of the same two servers. The third server leads and is drained, so that both
of the others do the same work.
"""
import contextlib
import time

from lib.ensemble import Ensemble
from lib.proxy import Proxy
from lib.waiting import wait_for

from . import tools

WATCHES, WATCH_PATHS = 5, 100
PROBES, PROBE_MS = 32, 5
SWITCH_RATE = 100000   # no limit: the server's own pace is what is asked for
MOVES_DEADLINE = 120
RATE_ROW = "sessions taken to another server, per s"  # direct: nothing but attaching
RATE_ROWS = {RATE_ROW: 0, f"{RATE_ROW}, their watches set there": WATCHES}  # direct: with so many watches
LOOK_SECONDS = 0.05  # short of a drain, long beside what a look costs
LONG_PAUSE_MS = 10
PAUSE_ROW = f"moved sessions that paused longer than {LONG_PAUSE_MS} ms"
DEFAULT_RATE = 500     # conf/schema.c


def _row(proxy, sid):
    return next(row for row in proxy.get("/v1/servers").json["servers"] if row["id"] == sid)


def _sessions(proxy, sid):
    return _row(proxy, sid)["sessions"]


def _drain(proxy, sid):
    answer = proxy.post(f"/v1/servers/{sid}/drain")
    assert answer.status == 200, answer


def _undrain(proxy, sid):
    answer = proxy.post(f"/v1/servers/{sid}/undrain")
    assert answer.status == 200, answer
    wait_for(lambda: _row(proxy, sid)["admitted"], 20, f"server {sid} admits sessions")


def _raw(ensemble, pair, plan):
    """Re-attaches per second without any proxy, there and back."""
    addresses = [ensemble[sid].address for sid in pair]
    for row, watches in RATE_ROWS.items():
        for report in tools.load("reattach", *addresses, sessions=plan.moved, rounds=2, watches=watches,
                                 paths=WATCH_PATHS):
            yield row, "direct", report["reattaches_per_second"]


def _pauses(row, report):
    for point in ("p50", "p99", "max"):
        yield f"{row}, {point}, ms", "zkferryd", report["worst_us"][point] / 1e3


def _move(proxy, source, target):
    """Everybody from source to target: [(when, how many are left)], from before the first to after the last."""
    _undrain(proxy, target)
    looks = [(time.monotonic(), _sessions(proxy, source))]
    _drain(proxy, source)
    while looks[-1][1] > 0:
        assert looks[-1][0] - looks[0][0] < MOVES_DEADLINE, f"server {source} does not empty: {looks[-1]}"
        time.sleep(LOOK_SECONDS)
        left = _sessions(proxy, source)
        looks.append((time.monotonic(), left))
    return looks


def _rate_under_way(looks):
    """Between the first and the last look at which some had left and some had not."""
    moving = [look for look in looks if 0 < look[1] < looks[0][1]]
    if len(moving) < 2:
        return []
    (began, before), (ended, after) = moving[0], moving[-1]
    return [(before - after) / (ended - began)]


def _pauses_by_length(proxy):
    """{upper bound in seconds: how many moved sessions were paused for at most so long}."""
    return proxy.metrics().by_label("zkferry_pause_seconds_bucket", "le", why="moved")


def _move_counting(proxy, source, target):
    """(what _move returns, per cent of the sessions that were paused for longer than LONG_PAUSE_MS)."""
    before = _pauses_by_length(proxy)
    looks = _move(proxy, source, target)
    counts = {le: count - before.get(le, 0) for le, count in _pauses_by_length(proxy).items()}
    return looks, 100 * (1 - counts[str(LONG_PAUSE_MS / 1000)] / counts["+Inf"])


def _rate(proxy, _holding, source, target):
    looks, paused_long = _move_counting(proxy, source, target)
    for row in RATE_ROWS:
        for rate in _rate_under_way(looks):
            yield row, "zkferryd", rate
    yield "sessions per s of a whole drain", "zkferryd", looks[0][1] / (looks[-1][0] - looks[0][0])
    yield f"{PAUSE_ROW}, without a limit, %", "zkferryd", paused_long


def _paced(proxy, _holding, source, target):
    yield f"{PAUSE_ROW}, {DEFAULT_RATE}/s, %", "zkferryd", _move_counting(proxy, source, target)[1]


def _waits(proxy, holding, source, target):
    """What each probing session had to wait at most: while all move, and in as long a time without moves."""
    holding.report()
    looks = _move(proxy, source, target)
    report = holding.report()
    yield from _pauses("longest wait of a moved session", report)
    yield "sessions lost in moves", "zkferryd", report["lost"]
    yield "reads failed in moves", "zkferryd", report["failed"]
    time.sleep(looks[-1][0] - looks[0][0])
    yield from _pauses("longest wait of one that is not moved", holding.report())


def _there_and_back(proxy, pair, plan, measure, **options):
    with tools.Holding(proxy.clients, sessions=plan.moved, watches=WATCHES, paths=WATCH_PATHS,
                       **options) as holding:
        assert _sessions(proxy, pair[0]) == plan.moved
        yield from measure(proxy, holding, *pair)
        yield from measure(proxy, holding, *reversed(pair))
    wait_for(lambda: not any(_sessions(proxy, sid) for sid in pair), 60, "the sessions are gone")


def _results(proxy):
    for result, count in proxy.metrics().by_label("zkferry_moves_total", "result").items():
        yield f"moves in all: {result}", "zkferryd", count


@contextlib.contextmanager
def _proxy(ensemble, leader, pair, rate):
    """Ready, everybody on the first of the pair."""
    migration = {"kind": "shrink", "leaving": [leader], "confirm": [], "switch_rate": rate}
    with Proxy(ensemble.lines([1, 2, 3]), config={"workers": 1, "migration": migration}) as proxy:
        wait_for(lambda: proxy.get("/readyz").status == 200, 20, "the proxy is ready")
        _drain(proxy, leader)
        _drain(proxy, pair[1])
        yield proxy


def moves(plan):
    with Ensemble() as ensemble:
        leader = ensemble.leader()
        pair = [sid for sid in (1, 2, 3) if sid != leader]
        with _proxy(ensemble, leader, pair, SWITCH_RATE) as proxy:
            for _ in range(plan.move_rounds):
                yield from _raw(ensemble, pair, plan)
                yield from _there_and_back(proxy, pair, plan, _rate)  # nobody reads, as in the raw run
                yield from _there_and_back(proxy, pair, plan, _waits, probes=PROBES, probe_ms=PROBE_MS)
            yield from _results(proxy)
        with _proxy(ensemble, leader, pair, DEFAULT_RATE) as proxy:
            yield from _there_and_back(proxy, pair, plan, _paced)
