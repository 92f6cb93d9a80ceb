#!/usr/bin/python3
"""Runs the integration tests: file by file, several at a time, on one or more builds.

run_integration.py [-j N] [--root DIR] [--class-archive FILE] --logs DIR BUILD:SCALE:MARKERS…

Each test of tests/integration that fits the markers runs against BUILD with deadlines multiplied by SCALE. Those marked `alone`
run by themselves when all others have ended. FILE is written, for quicker starts of the servers. A test that fails runs once more, by itself: if it passes then, it
counts as passed, and `flaky: NAME` says so. Everything pytest has printed stays in the logs; printed here is what a
reader needs to see the reason. The last line is "N passed, N failed".
"""
import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import platform
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from lib import class_archive  # noqa: E402 - the path above must come first

# They take longest, so they begin first: the order costs time only.
LONGEST = ("test_verify", "test_sessions", "test_trouble", "test_targets", "test_watches")
AGAIN_MAX = 12  # more failures than that are no accident: they are not run again
REASON_LINES = 25  # of a failure's traceback
LOG_LINES = 40  # of the daemon's log
LINE_CHARACTERS = 400
PASSED, SKIPPED = "passed", "skipped"


@dataclasses.dataclass
class Suite:
    """The tests against one build."""
    build: str
    scale: str
    markers: str

    @property
    def name(self):
        return pathlib.Path(self.build).name

    @property
    def wrapper(self):
        """The personality bit keeps TSan's shadow memory clear of randomised mappings; children inherit it."""
        return ["setarch", platform.machine(), "-R"] if self.name.endswith("tsan") else []


@dataclasses.dataclass
class Job:
    """Tests that one pytest process runs."""
    suite: Suite
    name: str
    tests: list


@dataclasses.dataclass
class Result:
    outcome: str  # passed, skipped, or why not
    printed: str  # by the test and its fixtures


class Runner:
    def __init__(self, root, logs):
        self.root = root
        self.logs = logs
        self._say_lock = threading.Lock()

    def say(self, text):
        with self._say_lock:
            print(time.strftime("%H:%M:%S"), text, flush=True)

    def _pytest(self, suite, *args):
        command = ["setpriv", "--pdeathsig", "KILL", *suite.wrapper, sys.executable, "-m", "pytest", "-q",
                   "-p", "no:cacheprovider", "--rootdir", self.root, *args]
        env = {**os.environ, "ZKFERRY_BUILD": suite.build, "ZKFERRY_DEADLINE_SCALE": suite.scale}
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", env=env, cwd=self.root, check=False)

    def collect(self, suite, more):
        """The ids of the tests, in their order."""
        done = self._pytest(suite, "--collect-only", "--disable-warnings", "-m", f"({suite.markers}) and {more}",
                            "tests/integration")
        if done.returncode not in (0, 5):
            give_up(f"{done.stdout}\npytest can't collect the tests")
        return [line for line in done.stdout.splitlines() if "::" in line]

    def run(self, job):
        """Each test's Result by its id. A test without a report, because pytest died, has failed."""
        log = self.logs / job.suite.name / job.name
        log.parent.mkdir(parents=True, exist_ok=True)
        report = log.with_suffix(".xml")
        report.unlink(missing_ok=True)
        began = time.monotonic()
        done = self._pytest(job.suite, "--tb=short", "--durations=5", f"--junitxml={report}", "-o",
                            "junit_family=xunit1", "-o", "junit_logging=all", *job.tests)
        log.with_suffix(".log").write_text(done.stdout)
        died = f"pytest ended with {done.returncode}\n{done.stdout}"
        results = {test: Result(died, "") for test in job.tests}
        results.update(results_of(report))
        bad = [test for test, result in results.items() if result.outcome not in (PASSED, SKIPPED)]
        self.say(f"{job.suite.name} {job.name}: {len(results) - len(bad)} passed, {len(bad)} failed "
                 f"({time.monotonic() - began:.0f} s)")
        return results

    def again(self, suite, results):
        """Runs once more what failed, one after the other. Returns the names of those that passed then."""
        flaky = []
        failed = failed_of(results)
        for number, test in enumerate(failed if len(failed) <= AGAIN_MAX else []):
            self.say(f"{suite.name}: once more: {test}")
            second = self.run(Job(suite, f"again-{number + 1}", [test])).get(test)
            if second.outcome == PASSED:
                flaky.append(test)
        return flaky


def results_of(report):
    """What pytest's XML says; a test with several entries (it failed, and so did its teardown) fails by the first."""
    try:
        cases = xml.etree.ElementTree.parse(report).iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        return {}
    results = {}
    for case in cases:
        if case.get("file") is None:
            continue  # a module that could not be imported
        test = f"{case.get('file')}::{case.get('name')}"
        printed = "".join(part.text or "" for part in case if part.tag.startswith("system-"))
        outcome = PASSED
        for part in case:
            if part.tag in ("failure", "error"):
                outcome = part.text or part.get("message") or part.tag
            elif part.tag == "skipped":
                outcome = SKIPPED
        if test in results:
            printed = results[test].printed + printed
            outcome = outcome if results[test].outcome == PASSED else results[test].outcome
        results[test] = Result(outcome, printed)
    return results


def failed_of(results):
    return [test for test, result in results.items() if result.outcome not in (PASSED, SKIPPED)]


def last_lines(text, count):
    return [line[:LINE_CHARACTERS] for line in text.splitlines()[-count:]]


def reason_of(result):
    """The end of the traceback, and what the newest daemon has logged last."""
    lines = last_lines(result.outcome, REASON_LINES)
    daemons = re.findall(r"^--- zkferryd ---\n(.*?)(?=^--- |\Z)", result.printed, re.M | re.S)
    if daemons:
        lines += ["--- zkferryd, last lines ---", *last_lines(daemons[-1].rstrip(), LOG_LINES)]
    return "\n".join("    " + line for line in lines)


def jobs_of(suites, ids):
    """One per file and suite, the longest first."""
    jobs = []
    for suite in suites:
        files = {}
        for test in ids[suite.build]:
            files.setdefault(pathlib.Path(test.partition("::")[0]).stem, []).append(test)
        jobs += [Job(suite, name, tests) for name, tests in files.items()]
    rank = {name: place for place, name in enumerate(LONGEST)}
    return sorted(jobs, key=lambda job: rank.get(job.name, len(LONGEST)))


def give_up(reason):
    print(f"{reason}\n0 passed, 1 failed")
    sys.exit(1)


def run_suites(runner, suites, at_a_time):
    """Each suite's results."""
    results = {suite.build: {} for suite in suites}
    together = jobs_of(suites, {suite.build: runner.collect(suite, "not alone") for suite in suites})
    alone = jobs_of(suites, {suite.build: runner.collect(suite, "alone") for suite in suites})
    without = {suite.build for suite in suites} - {job.suite.build for job in together + alone}
    if without:
        give_up(f"no tests for {', '.join(without)}")
    for jobs, workers in ((together, at_a_time), (alone, 1)):
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for job, found in zip(jobs, pool.map(runner.run, jobs)):
                results[job.suite.build].update(found)
    return results


def report_on(runner, suite, results):
    """Prints what failed and why, and what only failed once. Returns how many have passed and failed."""
    failed = failed_of(results)
    flaky = runner.again(suite, results)
    for test in failed:
        print(f"{'failed once' if test in flaky else 'FAILED'}: {test} ({suite.name})\n{reason_of(results[test])}",
              flush=True)
    for test in flaky:
        runner.say(f"flaky: {test} ({suite.name})")
    bad = len(failed) - len(flaky)
    good = sum(result.outcome == PASSED for result in results.values()) + len(flaky)
    runner.say(f"integration tests, {suite.name}: {good} passed, {bad} failed")
    return good, bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", dest="at_a_time", type=int, default=1)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--class-archive", type=pathlib.Path)
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    parser.add_argument("suites", nargs="+", metavar="BUILD:SCALE:MARKERS")
    options = parser.parse_args()
    suites = [Suite(*text.split(":", 2)) for text in options.suites]
    if options.class_archive and class_archive.record(options.class_archive):
        class_archive.use(options.class_archive)
    runner = Runner(options.root.resolve(), options.logs.resolve())
    results = run_suites(runner, suites, options.at_a_time)
    totals = [report_on(runner, suite, results[suite.build]) for suite in suites]
    good, bad = (sum(column) for column in zip(*totals))
    print(f"{good} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
