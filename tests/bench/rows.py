"""The rows of the table: each takes the plan of the run and yields (row, peer, value) samples.

The same row of the same peer may come many times, one per round: medians are formed later. Peers take turns
within a round, so that whatever else the machine does falls on all of them.
"""
from . import tools
from .peers import PROXIES, Stage, Zkferry
from .table import DETAIL

SHAPES = ((16, 1), (64, 16), (1000, 1))
COUNTED_SHAPES = ((1, 1), (16, 1), (64, 16))
OPEN_SESSIONS, OPEN_RATE = 64, 4000
IN_FLIGHT = 32
WATCHES, WATCH_PATHS = 10, 100
DETAIL_MIN = 0.02  # calls per request; below it is what a few connects more or less make


def shape_name(shape):
    return f"{shape[0]:,} × {shape[1]}"


def _latencies(row, peer, result):
    for point in ("p50", "p99", "p999"):
        yield f"{row}, {point}, µs", peer.name, result["latency_us"][point]


def _closed(peer, shape, plan):
    sessions, outstanding = shape
    result = tools.load("run", peer.address, sessions=sessions, outstanding=outstanding, cpu_of=peer.pid,
                        warmup=plan.warmup, seconds=plan.seconds, bare=1)[0]
    name = shape_name(shape)
    if peer.pid:
        yield f"CPU per request, {name}, µs", peer.name, result["cpu_ns"] / 1e3 / result["requests"]
    yield f"requests/s, {name}", peer.name, result["requests_per_second"]
    yield from _latencies(f"latency, {name}", peer, result)


def _open(peer, plan):
    result = tools.load("run", peer.address, sessions=OPEN_SESSIONS, outstanding=16, rate=OPEN_RATE,
                        warmup=plan.warmup, seconds=plan.seconds, bare=1)[0]
    yield from _latencies(f"latency at {OPEN_RATE:,}/s", peer, result)


def _connects(peer, plan):
    result = tools.load("connect", peer.address, requests=plan.connects, in_flight=IN_FLIGHT,
                        cpu_of=peer.pid)[0]
    yield f"connects/s, {IN_FLIGHT} at a time", peer.name, result["connects_per_second"]
    if peer.pid:
        yield "CPU per connect, µs", peer.name, result["cpu_ns"] / 1e3 / result["connects"]


def loads(upstream, plan, server):
    """Time, CPU and latency; `server` stands in front of each row's name."""
    with Stage(upstream) as stage:
        tools.load("run", upstream, requests=1)  # makes the nodes
        for _ in range(plan.rounds):
            for measure in (*[lambda peer, shape=shape: _closed(peer, shape, plan) for shape in SHAPES],
                            lambda peer: _open(peer, plan), lambda peer: _connects(peer, plan)):
                for peer in stage.peers:
                    for row, name, value in measure(peer):
                        yield f"{server}: {row}", name, value


def _held_bytes(make, upstream, sessions, watches):
    """Memory of a fresh process before and with the sessions."""
    with make(upstream) as peer:
        before = tools.resting_bytes(peer.pid)
        with tools.Holding(peer.address, sessions=sessions, watches=watches, paths=WATCH_PATHS, bare=1):
            return tools.resting_bytes(peer.pid) - before


def memory(upstream, plan):
    for _ in range(plan.memory_rounds):
        for make in PROXIES:
            idle = _held_bytes(make, upstream, plan.held, 0)
            yield "memory per idle session, B", make.name, idle / plan.held
            if make is Zkferry:
                watching = _held_bytes(make, upstream, plan.held, WATCHES)
                yield "memory per watch, B", make.name, (watching - idle) / (plan.held * WATCHES)


def _requests(peer, shape, count):
    tools.load("run", peer.address, sessions=shape[0], outstanding=shape[1], requests=count, bare=1)


def system_calls(upstream, plan):
    """The difference of a run and one of twice its length: connecting, probes and timers drop out."""
    with Stage(upstream) as stage:
        for shape in COUNTED_SHAPES:
            for peer in stage.peers[1:]:
                once, twice = (tools.system_calls(peer, lambda n=n: _requests(peer, shape, n))
                               for n in (plan.counted, 2 * plan.counted))
                row = f"system calls per request, {shape_name(shape)}"
                yield row, peer.name, (sum(twice.values()) - sum(once.values())) / plan.counted
                for call in sorted(set(once) | set(twice)):
                    each = (twice.get(call, 0) - once.get(call, 0)) / plan.counted
                    if abs(each) >= DETAIL_MIN:
                        yield f"{DETAIL}{call}, {row}", peer.name, each


def instructions(upstream, plan):
    for make in PROXIES:
        with tools.Instructions(make, upstream) as under:
            for shape in COUNTED_SHAPES:
                once, twice = (under.count(lambda n=n: _requests(under.peer, shape, n))
                               for n in (plan.instructed, 2 * plan.instructed))
                row = f"user instructions per request, {shape_name(shape)}"
                yield row, make.name, (twice - once) / plan.instructed
