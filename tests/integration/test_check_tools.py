"""What tests/check.sh says of failures: the reason can be read, and what only failed once is run again."""
import base64
import pathlib
import re
import subprocess
import sys

TOOLS = pathlib.Path(__file__).parents[1] / "tools"
CRASHING = bytes(range(256)) * 2

TESTS = """
import os, pathlib, sys
import pytest

@pytest.fixture
def daemon(request):
    yield
    print("--- server 1 ---\\nfar too much", file=sys.stderr)
    print("--- zkferryd ---\\n" + "old line\\n" * 200 + "event=the.last", file=sys.stderr)

def test_good():
    pass

def test_bad(daemon):
    assert 1 + 1 == 3, "arithmetic"

@pytest.mark.parametrize("word", ["a b", "c"])
def test_at_second_try(word):
    seen = pathlib.Path(f"seen-{word}")
    was_seen = seen.exists()
    seen.touch()
    assert was_seen or word == "c"

@pytest.fixture
def bad_end():
    yield
    assert False, "at the end"

def test_bad_end(bad_end):
    assert os.environ["ZKFERRY_BUILD"] == "build-x" and os.environ["ZKFERRY_DEADLINE_SCALE"] == "7"

@pytest.mark.other
def test_of_others():
    assert False

def test_skipped():
    pytest.skip("nothing to see")
"""
DYING = """
import os
def test_dies():
    os._exit(3)
def test_behind_it():
    pass
"""
CONFTEST = """
def pytest_configure(config):
    for name in ("other", "alone"):
        config.addinivalue_line("markers", name)
"""
# Each says when it began and ended; whoever is alone must have nobody beside it.
TIMED = """
import pathlib, time
import pytest

def note(name):
    began = time.monotonic()
    deadline = began + 60
    while NEEDS and not pathlib.Path(NEEDS).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    pathlib.Path(f"times-{name}").write_text(f"{began} {time.monotonic()}")

MARK
def test_it():
    note(NAME)
"""


def run_tests(directory, files, *more, status):
    tests = directory / "tests" / "integration"
    tests.mkdir(parents=True)
    for name, text in {"conftest.py": CONFTEST, **files}.items():
        (tests / name).write_text(text)
    done = subprocess.run([sys.executable, TOOLS / "run_integration.py", "--root", directory, "--logs",
                           directory / "logs", *more, "build-x:7:not other"],
                          capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_failures_are_run_again_and_explained(tmp_path):
    out = run_tests(tmp_path, {"test_some.py": TESTS}, status=1)
    assert out.splitlines()[-1] == "3 passed, 2 failed", out  # one at its second try
    assert re.search(r"^\S+ flaky: tests/integration/test_some.py::test_at_second_try\[a b\]", out, re.M), out
    assert out.count(" flaky: ") == 1
    assert re.findall(r"^FAILED: \S+::(\w+)", out, re.M) == ["test_bad", "test_bad_end"], out
    assert "arithmetic" in out and "at the end" in out
    assert "event=the.last" in out and out.count("old line") == 39 and "far too much" not in out
    kept = "".join(path.read_text() for path in (tmp_path / "logs").rglob("*.log"))
    assert "far too much" in kept and kept.count("old line") == 400  # of both times


def test_a_dead_run_is_no_pass(tmp_path):
    out = run_tests(tmp_path, {"test_dying.py": DYING, "test_fine.py": "def test_fine():\n    pass\n"}, status=1)
    assert out.splitlines()[-1] == "2 passed, 1 failed", out
    assert "flaky: tests/integration/test_dying.py::test_behind_it" in out
    assert "pytest ended with 3" in out


def test_a_broken_module_is_no_pass(tmp_path):
    out = run_tests(tmp_path, {"test_broken.py": "import nothing_like_this\n"}, status=1)
    assert out.splitlines()[-1] == "0 passed, 1 failed" and "nothing_like_this" in out


def test_nothing_found_is_no_pass(tmp_path):
    out = run_tests(tmp_path, {"test_others.py": "import pytest\n@pytest.mark.other\ndef test_a():\n    pass\n"},
                    status=1)
    assert out.splitlines() == ["no tests for build-x", "0 passed, 1 failed"]


def timed(name, mark="", needs=""):
    return TIMED.replace("MARK", mark).replace("NEEDS", repr(needs)).replace("NAME", repr(name))


def test_files_run_together_and_who_is_alone_is_alone(tmp_path):
    files = {"test_a.py": timed("a", needs="times-b"), "test_b.py": timed("b"),  # a ends only when b has run, too
             "test_alone.py": timed("alone", "@pytest.mark.alone")}
    out = run_tests(tmp_path, files, "-j", "2", status=0)
    assert out.splitlines()[-1] == "3 passed, 0 failed", out
    times = {name: [float(word) for word in (tmp_path / f"times-{name}").read_text().split()]
             for name in ("a", "b", "alone")}
    assert times["b"][0] < times["a"][1] and times["alone"][0] > max(times["a"][1], times["b"][1])


def test_a_crashing_input_is_printed(tmp_path):
    programs = tmp_path / "programs"
    corpora = tmp_path / "corpus"
    for directory in (programs, corpora):
        directory.mkdir()
    (tmp_path / "input").write_bytes(CRASHING)
    (programs / "fuzz_good").write_text("#!/bin/sh\nexit 0\n")
    (programs / "fuzz_bad").write_text(f"""#!/bin/sh
for word; do case $word in -artifact_prefix=*) prefix=${{word#*=}} ;; esac; done
echo "==1== ERROR: libFuzzer: deadly signal"; seq 500
cp {tmp_path}/input "${{prefix}}crash-1"
exit 77
""")
    for program in programs.iterdir():
        program.chmod(0o755)
    done = subprocess.run([sys.executable, TOOLS / "run_fuzz.py", "--programs", programs, "--corpora", corpora,
                           "--logs", tmp_path, "--seconds", "1", "fuzz_good", "fuzz_bad"],
                          capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (1, "1 passed, 1 failed"), done.stdout + done.stderr
    assert "==1== ERROR: libFuzzer: deadly signal" in lines and "500" not in lines
    place = next(number for number, line in enumerate(lines) if line.startswith("fuzz_bad-crash-1: 512 bytes"))
    assert base64.b64decode(lines[place + 1]) == CRASHING
