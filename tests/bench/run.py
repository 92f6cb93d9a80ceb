"""Measures zkferryd beside HAProxy, nginx, a bare forwarder and no proxy at all; prints one table.

Everything runs on loopback of this machine: absolute figures are the machine's, ratios are what to look at.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import resource
import sys
import time

from lib.ensemble import Ensemble
from lib.proxy import BUILD

from . import delays, migration, moves, rows, workers
from .peers import Stub
from .table import Results


@dataclasses.dataclass
class Plan:
    """How much of everything."""
    rounds: int = 5
    warmup: float = 0.5
    seconds: float = 2.0
    connects: int = 4000
    delayed: int = 100
    held: int = 4000
    memory_rounds: int = 3
    counted: int = 20000
    instructed: int = 4000
    moved: int = 4000
    move_rounds: int = 3
    migrated: int = 9000  # two descriptors each, of the 20,000 that a process may have


QUICK = Plan(rounds=1, warmup=0.2, seconds=0.5, connects=500, delayed=20, held=1000, memory_rounds=1, counted=2000,
             instructed=1000, moved=500, move_rounds=1, migrated=500)


def with_stub(measure):
    def measured(plan):
        with Stub() as stub:
            yield from measure(stub.address, plan)
    return measured


def with_real(plan):
    """One real server, as an ensemble of its own: zkferryd waits for a leader."""
    with Ensemble(1, cfg={"standaloneEnabled": "false"}, heap_mb=512) as ensemble:
        yield from rows.loads(ensemble[1].address, plan, "ZooKeeper")


ROWS = {
    "stub": with_stub(lambda upstream, plan: rows.loads(upstream, plan, "stub")),
    "real": with_real,
    "delays": delays.delays,
    "memory": with_stub(rows.memory),
    "syscalls": with_stub(rows.system_calls),
    "instructions": with_stub(rows.instructions),
    "workers": with_stub(workers.workers),
    "moves": moves.moves,
    "migration": migration.migration,
}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def measure(plan, chosen):
    results = Results()
    for name in chosen:
        say(name)
        for row, peer, value in ROWS[name](plan):
            results.add(row, peer, value)
    return results


def machine():
    return {"kernel": platform.release(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0],
            "date": time.strftime("%Y-%m-%d %H:%M")}


def raise_file_limit():
    """Every child holds thousands of sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it works")
    parser.add_argument("--rounds", type=int, help="how often each row is measured (default 5)")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--json", type=pathlib.Path, default=BUILD / "bench.json", help="for all samples")
    chosen = parser.parse_args()
    unknown = set(chosen.rows.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"--rows: no {', '.join(sorted(unknown))}")
    return chosen


def main():
    chosen = arguments()
    plan = QUICK if chosen.quick else Plan()
    if chosen.rounds:
        plan = dataclasses.replace(plan, rounds=chosen.rounds, memory_rounds=chosen.rounds,
                                   move_rounds=chosen.rounds)
    raise_file_limit()
    about = machine()
    results = measure(plan, chosen.rows.split(","))
    chosen.json.write_text(json.dumps({"machine": about, "plan": dataclasses.asdict(plan),
                                       "rows": results.as_json()}, indent=1) + "\n")
    print(f"{about['cores']} cores, kernel {about['kernel']}, load before {about['load_before']:.1f}"
          + ("; --quick: not for comparing" if chosen.quick else "") + "\n")
    print(results.as_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
