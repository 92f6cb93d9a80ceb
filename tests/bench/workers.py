"""Throughput with two workers against one. The generator and the stub have one thread each beside them: what
this shows on fewer than four cores is how the cores are shared, not what a second worker is worth.
"""
from . import tools
from .peers import Zkferry

SESSIONS, OUTSTANDING = 64, 16
WORKERS = (1, 2)


def _throughput(proxy, plan):
    report = tools.load("run", proxy.address, sessions=SESSIONS, outstanding=OUTSTANDING, bare=1,
                        warmup=plan.warmup, seconds=plan.seconds)[0]
    return report["requests_per_second"]


def workers(upstream, plan):
    tools.load("run", upstream, requests=1)  # makes the nodes
    with Zkferry(upstream, workers=WORKERS[0]) as one, Zkferry(upstream, workers=WORKERS[1]) as two:
        for _ in range(plan.rounds):
            rates = [_throughput(proxy, plan) for proxy in (one, two)]
            for count, rate in zip(WORKERS, rates):
                yield f"requests/s, {SESSIONS} × {OUTSTANDING}, workers: {count}", "zkferryd", rate
            yield "throughput of two workers / of one", "zkferryd", rates[1] / rates[0]
