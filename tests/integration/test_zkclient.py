"""The admin connection and the prober (migrate/zkclient/zkclient.h, probe.h) against real servers, without the daemon."""
import subprocess

import pytest

from lib.proxy import BUILD
from lib.waiting import SCALE

pytestmark = pytest.mark.sanitizer


def test_every_expectation_of_the_program_holds(shared_ensemble):
    ports = [shared_ensemble[sid].address.rsplit(":", 1)[1] for sid in (1, 2)]
    ran = subprocess.run([BUILD / "tests" / "zkclient_smoke", *ports], capture_output=True, text=True, timeout=90 * SCALE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
