"""A whole migration to watch: three real source servers, zkferry, live clients, three real targets.

Run by tests/demo.sh. Everything lives in temporary directories and on loopback; exit code 0 when the plan
finished and every promise to the clients was kept.
"""
import argparse
import json
import sys
import time

from .ensemble import Ensemble
from .proxy import Proxy
from .waiting import wait_for
from .workload import Workload, source_port

SOURCES, TARGETS = (1, 2, 3), (4, 5, 6)
PLAN_SECONDS = 180


def say(text=""):
    print(text, flush=True)


class Follower:
    """Prints the plan's phases as they come and keeps when each began."""

    def __init__(self, proxy):
        self._proxy = proxy
        self._told = None
        self.began = []  # (phase, monotonic seconds)
        self.status = None

    def over(self):
        self.status = status = self._proxy.status()
        phase = status["phase"]
        if not self.began or self.began[-1][0] != phase:
            self.began.append((phase, time.monotonic()))
        sessions = status["sessions"]
        told = (f"  {phase:<12} sessions: {sessions['source']} on sources, {sessions['target']} on targets"
                + (f"; next: {status['next_step']}" if status["next_step"] else ""))
        if told != self._told:
            self._told = told
            say(told)
        return phase in ("finished", "failed", "rolled_back")

    def durations(self):
        ends = [moment for _, moment in self.began[1:]] + [time.monotonic()]
        return [(phase, end - moment) for (phase, moment), end in zip(self.began, ends)]


def table(rows):
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")


def print_sessions(follower, report, load, ensemble, moves):
    sessions = follower.status["sessions"]
    seen = set().union(*(ensemble[sid].sessions() for sid in TARGETS))
    say("\nsessions")
    table([("clients", str(report.sessions)),
           ("moves, each with the client's connection", moves),
           ("returns, each a reconnect", str(sessions["returned"])),
           ("seen by the targets' own `cons`", f"{len(load.session_ids & seen)} of {report.sessions}"),
           ("failed moves", str(sessions["failed"]))])


def print_result(follower, report, kept):
    say("\nduration per phase")
    table([(phase, f"{seconds:6.2f} s") for phase, seconds in follower.durations()
           if phase not in ("idle", "finished")])
    say("\nwhat the clients saw of the migration")
    table([("acknowledged writes", f"{report.acked} ({report.writes_per_second:.0f}/s), "
                                   f"{len(report.lost_writes)} lost, {len(report.doubled_writes)} doubled"),
           ("writes with unknown outcome", str(report.unknown)),
           ("reads", f"{report.reads}, {len(report.backwards)} went backwards"),
           ("watch events", f"{report.events}, {len(report.lost_events)} lost, "
                            f"{len(report.double_events)} doubled"),
           ("disconnects", str(report.disconnects)),
           ("clients with the TCP connection they began with", f"{kept} of {report.sessions}"),
           ("sessions expired", str(report.expired)),
           ("ephemerals lost", str(len(report.lost_ephemerals))),
           ("longest stall of a client", f"{report.longest_operation * 1000:.0f} ms"),
           ("longest time without a write", f"{report.longest_gap * 1000:.0f} ms")])


def migrate(ensemble, proxy, load):
    say("starting three target servers as joiners")
    for sid in TARGETS:
        ensemble.configure(sid)
    ensemble.start(TARGETS)
    load.forget_stalls()  # what the machine's start of three servers costs is none of the proxy's
    say("zkferry start")
    started = proxy.cli("start")
    say("  " + (started.stdout or started.stderr).strip().replace("\n", "\n  "))
    if started.returncode != 0:
        return None
    follower = Follower(proxy)
    wait_for(follower.over, PLAN_SECONDS, "the plan ends")
    load.wait_progress(load_writes(load))
    return follower


def moves_text(proxy):
    """Sessions may move more than once: to a target, and back when the leader goes."""
    results = proxy.metrics().by_label("zkferry_moves_total", "result")
    others = ", ".join(f"{count:.0f} {result}" for result, count in results.items()
                       if count and result != "done")
    return f"{results.get('done', 0):.0f}" + (f" ({others})" if others else "")


def load_writes(load):
    """About a second's worth: shows that everybody still works after the end."""
    return int(len(load.workers) / load.interval)


def run(clients):
    with Ensemble() as ensemble:
        say("starting three source servers")
        for sid in TARGETS:
            ensemble.planned(sid)
        with Proxy(ensemble.lines(SOURCES), ensemble.lines(TARGETS), confirm=[]) as proxy:
            say(f"zkferryd: clients on {proxy.clients}, admin on http://{proxy.admin}")
            load = Workload(proxy.clients, clients).start()
            try:
                load.wait_progress(load_writes(load))
                ports = [source_port(worker.client) for worker in load.workers]
                say(f"{clients} clients write, read, watch and hold ephemerals through it")
                follower = migrate(ensemble, proxy, load)
                if follower is None:
                    return 1
                kept = sum(source_port(worker.client) == port for worker, port in zip(load.workers, ports))
                with ensemble.client(TARGETS[0]) as direct:
                    report = load.verify(direct)
                print_sessions(follower, report, load, ensemble, moves_text(proxy))
                print_result(follower, report, kept)
                return verdict(follower, report, ensemble)
            finally:
                load.stop()


def verdict(follower, report, ensemble):
    problems = report.problems()
    if follower.status["phase"] != "finished":
        problems.append(f"the plan ended as {follower.status['phase']}: "
                        f"{json.dumps(follower.status.get('failed'))}")
    members = ensemble.config(TARGETS[0]).ids
    if members != set(TARGETS):
        problems.append(f"the ensemble's members are {sorted(members)}")
    say("\n" + ("\n".join(problems) if problems else
                f"finished: the ensemble is servers {', '.join(map(str, sorted(members)))}; every promise was kept"))
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=20)
    return run(parser.parse_args().clients)


if __name__ == "__main__":
    sys.exit(main())
