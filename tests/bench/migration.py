"""A whole migration, three sources to three targets without confirms, and what its clients notice of it.

Small tree, tickTime 2000, targets that run already. Once with few sessions, once with as many as the
descriptors of one process allow, moved as fast as the servers take them.
"""
from lib.ensemble import Ensemble
from lib.migration import TARGETS, assert_migrated, plan_targets, start_joiners
from lib.proxy import Proxy

from . import tools
from .moves import SWITCH_RATE, WATCH_PATHS, WATCHES
from .table import DETAIL

FEW = 100
PROBES, PROBE_MS = 100, 20
HEAP_MB = 256
MIGRATION_DEADLINE = 300


def _clients(row, report):
    yield f"{row}: longest wait of a client, ms", "zkferryd", report["worst_us"]["max"] / 1e3
    yield f"{row}: disconnects", "zkferryd", report["lost"]
    yield f"{row}: failed reads", "zkferryd", report["failed"]


def _plan_seen(row, proxy, status):
    yield f"{row}, s", "zkferryd", sum(step["seconds"] for step in status["steps"])
    for step in status["steps"]:
        yield f"{DETAIL}{row}: {step['name']}, s", "zkferryd", step["seconds"]
    for count in ("returned", "failed", "expired"):
        yield f"{row}: sessions {count}", "zkferryd", status["sessions"][count]
    for result, count in proxy.metrics().by_label("zkferry_moves_total", "result").items():
        yield f"{DETAIL}{row}: moves, {result}", "zkferryd", count


def _migrate(proxy, holding):
    """The plan's last status and what the clients saw from its start to its end."""
    holding.report()
    proxy.start_migration()
    status = proxy.wait_phase("finished", deadline=MIGRATION_DEADLINE)
    return status, holding.report()


def _measure(sessions):
    row = f"migration of {sessions:,} sessions"
    with Ensemble(cfg={"tickTime": 2000}, heap_mb=HEAP_MB) as ensemble:
        plan_targets(ensemble)
        with Proxy(ensemble.lines([1, 2, 3]), ensemble.lines(TARGETS), config={"workers": 1},
                   migration={"switch_rate": SWITCH_RATE}) as proxy:
            start_joiners(ensemble)
            with tools.Holding(proxy.clients, sessions=sessions, watches=WATCHES, paths=WATCH_PATHS,
                               probes=min(PROBES, sessions), probe_ms=PROBE_MS) as holding:
                status, report = _migrate(proxy, holding)
                assert report["sessions"] + report["lost"] == sessions, report
                assert_migrated(ensemble)
                yield from _plan_seen(row, proxy, status)
                yield from _clients(row, report)


def migration(plan):
    for sessions in (FEW, plan.migrated):
        yield from _measure(sessions)
