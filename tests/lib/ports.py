"""Free TCP ports that two test runs on one machine cannot both get.

A port is held by an flock on a file named after it, for as long as the process lives. The range lies
below the kernel's ephemeral ports, so that no outgoing connection takes one between probe and bind.
"""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

FIRST, LAST = 15000, 31999


class Ports:
    """Owned by one Ensemble or test; release() gives all ports back."""

    def __init__(self):
        self._directory = pathlib.Path(tempfile.gettempdir()) / f"zkferry-ports-{os.getuid()}"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._locks = []

    def take(self, host="127.0.0.1"):
        for _ in range(1000):
            port = random.randint(FIRST, LAST)
            lock = open(self._directory / str(port), "w", encoding="ascii")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            if _bindable(host, port):
                self._locks.append(lock)
                return port
            lock.close()
        raise AssertionError("no free port found")

    def release(self):
        for lock in self._locks:
            lock.close()
        self._locks = []


def _bindable(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is no obstacle for Java either
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
