"""Pings for raw clients, as libraries send them: nobody is moved who may be gone, and who is silent expires."""
import threading

from .raw import Closed

INTERVAL = 1.0  # seconds: a sixth of half of the shortest timeout that tests use


class Heartbeats:
    """Usable with `with`. Between add() and the end only this class may talk to a client."""

    def __init__(self, interval=INTERVAL):
        self._interval = interval
        self._clients = []
        self._lost = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def add(self, client):
        with self._lock:
            self._clients.append(client)
        return client

    def assert_answered(self):
        """Everybody is answered now, on the socket it began with, and always was."""
        self._beat()
        assert self._lost == []

    def _run(self):
        while not self._ended.wait(self._interval):
            self._beat()

    def _beat(self):
        with self._lock:
            for client in list(self._clients):
                try:
                    client.ping()
                except (Closed, OSError, AssertionError) as trouble:
                    self._lost.append(f"session {client.session_id:#x}: {trouble!r}")
                    self._clients.remove(client)
