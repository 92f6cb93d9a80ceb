"""The super user's password in a running daemon's memory: how often it is there, and who may look."""
import os
import re
import shutil
import subprocess

import pytest

from lib.proxy import BUILD
from lib.waiting import wait_for

PASSWORD = "a-password-found-nowhere-else-5b1d"
NOBODY = 65534
# The daemon's own, one for each of its connections, and what the C client keeps and sent for those.
COPIES_MAX = 12

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a process that is not dumpable")


def copies(pid, text):
    """How often text is in the memory of pid, and the flags of the mappings it is in."""
    found, flags = 0, []
    with open(f"/proc/{pid}/smaps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        start = end = count = 0
        for line in maps:
            if head := re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line):
                start, end = (int(part, 16) for part in head.groups())
                try:
                    memory.seek(start)
                    count = memory.read(end - start).count(text.encode())
                except (OSError, OverflowError):  # [vvar], [vsyscall]
                    count = 0
                found += count
            elif line.startswith("VmFlags:") and count:
                flags.append(line.split()[1:])
                count = 0
    return found, flags


def test_few_copies_and_the_own_one_locked(shared_ensemble, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), super_user="super:" + PASSWORD)
    proxy.get("/v1/preflight")
    found, flags = copies(proxy.pid, PASSWORD)
    assert 1 <= found <= COPIES_MAX, (found, flags)
    assert any({"lo", "dd", "wf"} <= set(line) for line in flags), flags
    assert copies(proxy.pid, PASSWORD[::-1])[0] == 0


def test_not_dumpable(shared_ensemble, make_proxy):
    """What a user's own process looks like to that user: /proc/PID is root's when it is not dumpable."""
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]), super_user="super:" + PASSWORD, start=False)
    program = shutil.copy(BUILD / "zkferryd", proxy.directory)
    for path in (proxy.directory, *proxy.directory.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    with open(proxy.log_path, "wb") as log, \
            subprocess.Popen([program, "-c", proxy.config_path], user=NOBODY, group=NOBODY, extra_groups=[],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=proxy.directory) as daemon, \
            subprocess.Popen(["cat"], user=NOBODY, group=NOBODY, stdin=subprocess.PIPE) as control:
        try:
            wait_for(lambda: "event=ready" in proxy.log(), 20, "zkferryd is ready")
            wait_for(lambda: os.stat(f"/proc/{control.pid}/mem").st_uid == NOBODY, 20, "cat runs")
            assert os.stat(f"/proc/{daemon.pid}/mem").st_uid == 0
            with open(f"/proc/{daemon.pid}/limits", encoding="ascii") as limits:
                assert re.search(r"Max core file size +0 +0 ", limits.read())
        finally:
            daemon.terminate()
            control.kill()
