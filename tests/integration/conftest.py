"""Fixtures: real servers, the proxy, live clients. On a failure both sides' logs are printed."""
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from lib.ensemble import Ensemble  # noqa: E402 - the path above must come first
from lib.proxy import Proxy  # noqa: E402
from lib.raw import RawClient  # noqa: E402
from lib.waiting import SCALE  # noqa: E402
from lib.workload import Workload  # noqa: E402

DEFAULT_LIMIT_SECONDS = 240
# Tests need not wait as long as operators do; and no other program's port 8080 is asked.
QUICK_PROBES = {"interval": "500ms", "plan_interval": "200ms", "admin_server_port": 0}


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitizer: also run against the ASan and TSan builds")
    config.addinivalue_line("markers", "dynamic: on members with dynamic files, in a module that says STATIC")
    config.addinivalue_line("markers", "full: only with tests/check.sh --full")
    config.addinivalue_line("markers", "alone: with no other test beside it: it measures time, CPU or memory")
    config.addinivalue_line("markers", "limit(seconds): how long the test may take in all")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails, with its stack, instead of holding up the whole run."""
    marker = item.get_closest_marker("limit")
    seconds = int((marker.args[0] if marker else DEFAULT_LIMIT_SECONDS) * SCALE)

    def too_long(_signal, _frame):
        raise AssertionError(f"the test took longer than {seconds} s")
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when != "teardown":
        item.has_failed = outcome.get_result().failed


def _failed(request):
    return getattr(request.node, "has_failed", True)  # no report yet: a fixture after ours failed


@pytest.fixture
def make_ensemble(request):
    """Makes ensembles (not started) that end with the test."""
    made = []

    is_static = getattr(request.module, "STATIC", False) and not request.node.get_closest_marker("dynamic")

    def make(*args, **options):
        made.append(Ensemble(*args, **{"static": is_static, **options}))
        return made[-1]
    yield make
    for ensemble in made:
        if _failed(request):
            ensemble.print_logs()
        ensemble.stop()


@pytest.fixture
def ensemble(make_ensemble):
    """Three servers that serve."""
    return make_ensemble().start()


@pytest.fixture
def connect():
    """Raw connections that are closed at the end."""
    opened = []

    def open_one(address, **options):
        opened.append(RawClient(address, **options))
        return opened[-1]
    yield open_one
    for client in opened:
        client.close()


@pytest.fixture(scope="module")
def shared_ensemble():
    """Three servers for all tests of a module; for tests that leave no trace."""
    with Ensemble() as ensemble:
        yield ensemble


@pytest.fixture
def make_proxy(request):
    """Makes proxies (started unless start=False) with quick probes; each must end cleanly."""
    made = []

    def make(*args, start=True, config=None, **options):
        made.append(Proxy(*args, config={"probes": QUICK_PROBES, **(config or {})}, **options))
        return made[-1].start() if start else made[-1]
    yield make
    for proxy in made:
        if _failed(request):  # the test has said what is wrong; a second error would only hide it
            proxy.print_log()
            proxy.abandon()
        else:
            proxy.close()


@pytest.fixture
def make_workload():
    """Starts workloads that are stopped at the end of the test, whatever happened."""
    made = []

    def make(*args, **options):
        made.append(Workload(*args, **options))
        return made[-1].start()
    yield make
    for workload in made:
        workload.stop()
