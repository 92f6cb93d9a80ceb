"""Rolling restarts and hooks on real servers, under load: no client notices."""
import os
import pathlib
import stat
import textwrap
import threading

import pytest

from lib.migration import (SOURCES, TARGETS, assert_attached, assert_kept, assert_migrated, confirm,
                           plan_targets, start_joiners, wait_failed, wait_gate)
from lib.waiting import wait_for
from lib.workload import source_port

STATIC = True  # members from static files, as most people start them

SESSIONS, WRITES_PER_SECOND = 15, 45


class Host:
    """What an operator's hook would reach over ssh: it starts and stops servers, children of this test.

    The hook is a script that names what is to be done with which server in one fifo and waits for the
    answer in another one. Servers die with the thread that has started them, so this must outlive the
    ensemble: the fixture comes first.
    """

    def __init__(self, directory):
        self.ensemble = None
        self.orders, self.answers = directory / "orders", directory / "answers"
        os.mkfifo(self.orders)
        os.mkfifo(self.answers)
        self.done = []  # (what, server) in this order
        self._silent_from = None  # from so many orders on answers wait
        self._may_answer = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            words = self.orders.read_text().split()
            if words == ["end"]:
                return
            server = self.ensemble[int(words[1])]
            {"start": server.start, "stop": server.stop, "restart": server.restart}[words[0]]()
            self.done.append((words[0], server.id))
            if self._silent_from is not None and len(self.done) > self._silent_from:
                self._may_answer.wait()
            self.answers.write_text("done\n")

    def delay_answers(self):
        """What is done from now on is not answered before answer(): its hook goes on."""
        self._silent_from = len(self.done)

    def answer(self):
        self._may_answer.set()

    def servers(self, what):
        return [sid for done, sid in self.done if done == what]

    def script(self, path):
        """The hook, for every purpose."""
        return script(path, f"""\
            echo "$ZKFERRY_HOOK of $ZKFERRY_ID at $1"
            echo "$ZKFERRY_HOOK $ZKFERRY_ID" > {self.orders} && cat {self.answers}
            """)

    def end(self):
        self.answer()
        self.orders.write_text("end\n")
        self._thread.join(10)
        assert not self._thread.is_alive()


def script(path, text):
    """An executable file; returns its name as it goes into the configuration."""
    path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def host(tmp_path):
    one = Host(tmp_path)
    yield one
    one.end()


class Run:
    """A rolling plan with live clients that are watched."""

    def __init__(self, ensemble, make_proxy, make_workload, **migration):
        self.ensemble = ensemble
        config = {"migration": {"kind": "rolling", "confirm": ["finish"], **migration}}
        self.proxy = make_proxy(ensemble.lines(SOURCES), config=config)
        self.load = make_workload(self.proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
        self.load.wait_progress(WRITES_PER_SECOND)
        self._ports = self._source_ports()
        self.pids = {sid: ensemble[sid].pid for sid in SOURCES}

    def _source_ports(self):
        return [source_port(worker.client) for worker in self.load.workers]

    def finish(self, first_leader):
        """To the end of the plan: everybody is another process, the members are as before."""
        wait_gate(self.proxy, "finish", deadline=120)
        assert confirm(self.proxy, "finish") == 0
        status = self.proxy.wait_phase("finished", deadline=60)
        self.load.wait_progress(WRITES_PER_SECOND)
        steps = [step for step in status["steps"] if step["name"].startswith("restart.")]
        assert max(steps, key=lambda step: step["started_at"])["server"] == first_leader
        assert all(self.ensemble[sid].pid != pid for sid, pid in self.pids.items())
        assert_migrated(self.ensemble, SOURCES)
        assert_attached(self.ensemble, self.load.session_ids, SOURCES)
        assert self._source_ports() == self._ports, "a client has another connection"
        report = assert_kept(self.load, self.ensemble, 1)
        assert report.disconnects == report.unknown == 0
        assert status["sessions"]["returned"] == status["sessions"]["failed"] == 0


@pytest.fixture
def run(ensemble, make_proxy, make_workload):
    def begin(**options):
        return Run(ensemble, make_proxy, make_workload, **options)
    return begin


@pytest.mark.sanitizer
@pytest.mark.limit(240)
def test_by_hook(host, ensemble, run, tmp_path):
    """Unattended: the leader gives up leading before its turn, and every server is a new process."""
    host.ensemble, leader = ensemble, ensemble.leader()
    hook = host.script(tmp_path / "hook")
    plan = run(hooks={"restart": [hook, "{host}:{client_port}"]}, expected_version="3.8.0")
    plan.proxy.start_migration()
    plan.finish(leader)
    assert host.servers("restart") == [*(sid for sid in SOURCES if sid != leader), leader]
    assert f'restart of {leader} at {ensemble[leader].address}' in plan.proxy.log()


@pytest.mark.dynamic
@pytest.mark.limit(240)
def test_by_hand(ensemble, run):
    """The plan says whom to restart and sees that it was done, also when the daemon was away meanwhile."""
    leader = ensemble.leader()
    plan = run()
    plan.proxy.start_migration()
    for sid in [*(sid for sid in SOURCES if sid != leader), leader]:
        def asked(sid=sid):
            return f"you to restart server {sid}" in plan.proxy.status()["waiting_for"]
        wait_for(asked, 60, f"the plan asks for a restart of server {sid}")
        wait_for(lambda sid=sid: not plan.load.session_ids & ensemble[sid].sessions(), 20,
                 f"`cons` of server {sid} lists nobody")
        assert ensemble.leader() != sid
        ensemble[sid].restart()
    plan.finish(leader)


def test_failing_and_hanging_hooks(ensemble, make_proxy, tmp_path):
    """Backup comes before the first change. It fails, it hangs, it works: members change only then."""
    marks = tmp_path / "marks"
    mode = tmp_path / "mode"
    backup = script(tmp_path / "backup", f"""\
        echo "backup of $1"
        case $(cat {mode}) in
        fail) echo no space left >&2; exit 3;;
        hang) sleep 1000 & echo $! > {tmp_path / "child"}; wait;;
        esac
        echo "$ZKFERRY_PLAN" >> {marks}
        """)
    mode.write_text("fail")
    proxy = make_proxy(ensemble.lines(SOURCES), plan_targets(ensemble, (4,)),
                       migration={"kind": "expand", "hooks": {"backup": [backup, "{id}"]},
                                  "hook_timeout": "5s"})
    start_joiners(ensemble, (4,))
    before = ensemble.config()
    proxy.start_migration()
    reason = wait_failed(proxy)
    assert f"hook backup of server {ensemble.leader()} failed: exit status 3" in reason
    assert "no space left" in reason
    mode.write_text("hang")
    assert proxy.cli("retry").returncode == 0
    assert "it was ended after 5000 ms" in wait_failed(proxy)
    child = pathlib.Path("/proc", (tmp_path / "child").read_text().strip())
    wait_for(lambda: not child.exists(), 20, "its whole process group is gone")
    assert ensemble.config() == before and not marks.exists()
    mode.write_text("work")
    assert proxy.cli("retry").returncode == 0
    status = proxy.wait_phase("finished", deadline=60)
    assert marks.read_text().split() == [status["plan_id"]], "once per plan"
    names = [step["name"] for step in status["steps"]]
    assert names.index("backup") < names.index("add.4")
    assert_migrated(ensemble, (*SOURCES, 4))


@pytest.mark.full
@pytest.mark.limit(240)
def test_rollback_and_crash(host, ensemble, run, tmp_path):
    """Killed while its hook restarts a server: resumed. Rolled back later: nobody else is restarted."""
    host.ensemble, leader = ensemble, ensemble.leader()
    plan = run(hooks={"restart": [host.script(tmp_path / "hook")]})
    plan.proxy.start_migration()
    wait_for(lambda: host.servers("restart"), 60, "the first server was restarted")
    plan.proxy.kill9()
    host.delay_answers()
    plan.proxy.start()
    wait_for(lambda: len(host.servers("restart")) > 1, 60, "the plan goes on")
    wait_for(lambda: plan.proxy.cli("rollback").returncode == 0, 30, "a rollback is accepted")
    host.answer()
    plan.proxy.wait_phase("rolled_back", deadline=60)
    assert leader not in host.servers("restart")
    assert_migrated(ensemble, SOURCES)


@pytest.mark.full
@pytest.mark.limit(240)
def test_unattended_migration(host, ensemble, make_proxy, make_workload, tmp_path):
    """Joiners are started, the old servers stopped, by hooks alone."""
    host.ensemble = ensemble
    hook = [host.script(tmp_path / "hook"), "{host}"]
    lines = plan_targets(ensemble)
    for sid in TARGETS:
        ensemble.configure(sid)
    proxy = make_proxy(ensemble.lines(SOURCES), lines, migration={"hooks": {"start": hook, "stop": hook}})
    load = make_workload(proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
    load.wait_progress(WRITES_PER_SECOND)
    proxy.start_migration()
    proxy.wait_phase("finished", deadline=120)
    load.wait_progress(WRITES_PER_SECOND)
    assert host.servers("start") == list(TARGETS) and host.servers("stop") == list(SOURCES)
    assert not any(ensemble[sid].running for sid in SOURCES)
    assert_migrated(ensemble)
    report = assert_kept(load, ensemble, TARGETS[0])
    assert report.disconnects == report.unknown == 0
