"""README.md tells the truth about what can be compared: keys, metrics, transitions."""
import pathlib
import re
import subprocess

import pytest

from lib.proxy import BUILD

README = pathlib.Path(__file__).parents[2] / "README.md"


def section(title):
    text = README.read_text()
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_configuration_table_is_the_programs_own():
    printed = subprocess.run([BUILD / "zkferryd", "--help-config"], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() in section("Configuration")


def test_every_metric_is_named_and_no_other(shared_ensemble, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1]))
    families = set(re.findall(r"^# TYPE (\S+)", proxy.get("/metrics").text, re.M))
    named = set(re.findall(r"^\| `(zkferry_\w+)", section("Metrics"), re.M))
    assert families, "no metrics at all"
    assert named == families


@pytest.mark.parametrize("command", ["preflight", "start", "status", "confirm", "pause", "resume", "retry",
                                     "joiner-config", "verify", "plan", "events", "report"])
def test_commands_of_the_runbook_exist(command):
    helped = subprocess.run([BUILD / "zkferry", "--help"], check=True, capture_output=True, text=True)
    assert f"zkferry {command}" in README.read_text()
    assert command in helped.stdout
