"""A forwarder in front of one real server, which makes it a difficult target on demand.

Clients of the server are given the door's address (Frontdoor.line); the ensemble itself knows only the real
one. Trouble meets only attachments of sessions that exist: probes' words and new sessions, so also the
control thread's own, pass untouched, and the server looks healthy. A LaggingDoor stands before the leader's
quorum port and keeps one follower behind. Threads: one that accepts, one or two per connection.
"""
import collections
import enum
import select
import socket
import struct
import threading
import time

from .ports import Ports

CONNECT_BYTES = 28        # of a ConnectRequest, to the end of its session id
WORD_LENGTH = 1 << 24     # a "length" above this is a four-letter word
REPLY_SECONDS = 20
PUMP_BYTES = 65536


class Mode(enum.Enum):
    """What an attachment of an existing session meets."""
    PASS = "pass"
    DROP = "drop"                    # the end instead of the server: it never hears of the session
    DROP_REPLY = "drop_reply"        # the server takes the session, and the end comes in place of its reply
    CLOSE_AFTER = "close_after"      # the reply arrives, and the end with it
    HANG = "hang"                    # nothing, for as long as the other end waits
    LATE = "late"                    # the same, but when the other end has given up, the server is asked
    SLOW = "slow"                    # the reply takes its time


class _Door:
    """A listener on a free port of 127.0.0.1 and the threads of its connections."""

    def __init__(self, host, port):
        self._to = (host, port)
        self._ports = Ports()
        self.port = self._ports.take()
        self._closing = threading.Event()
        self._sockets = set()
        self._threads = []
        self._listener = None
        self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._start(self._accept, self._listener)

    def shut(self):
        """New connections are refused; those that exist go on."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            self._listener.close()
            self._listener = None

    def close(self):
        self._closing.set()
        self.shut()
        for end in list(self._sockets):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # its thread was faster
        for thread in self._threads:
            thread.join()
        self._ports.release()

    def _start(self, run, *args):
        self._threads.append(threading.Thread(target=run, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self._start(self._guarded, near)

    def _guarded(self, near):
        try:
            self._keep(near)
            self._serve(near)
        except OSError:
            pass  # either end went away: the other one sees it below
        finally:
            self._end(near)

    def _keep(self, end):
        self._sockets.add(end)
        if self._closing.is_set():  # close() may not have seen it
            raise ConnectionError("the door is closed")

    def _end(self, end):
        self._sockets.discard(end)
        end.close()

    @property
    def connections(self):
        """Sockets open now, of both sides."""
        return len(self._sockets)

    def _dial(self):
        far = socket.create_connection(self._to, timeout=REPLY_SECONDS)
        self._keep(far)
        return far

    def _serve(self, near):
        raise NotImplementedError


class Frontdoor(_Door):
    """mode may change at any time; a connection meets the mode of the moment it attaches."""

    def __init__(self, server, slow_seconds=1.0):
        self.mode = Mode.PASS
        self.troubled = 0  # attachments that met trouble; one thread each, so read it as "at least"
        self._slow_seconds = slow_seconds
        self._server = server
        super().__init__(server.host, server.client_port)

    @property
    def line(self):
        """The server's line for the proxy's file, with the door in front."""
        return _line_behind(self._server, self.port)

    def _serve(self, near):
        first = _first_bytes(near)
        mode = self.mode if _attaches_existing(first) else Mode.PASS
        if mode is not Mode.PASS:
            self.troubled += 1
        if mode is Mode.DROP:
            return
        if mode in (Mode.HANG, Mode.LATE):
            first += _read_to_end(near)
            if mode is Mode.HANG or self._closing.is_set():
                return
        far = self._dial()
        try:
            far.sendall(first)
            if mode is Mode.PASS or self._reply_passes(mode, near, far):
                _pump(near, far)
        finally:
            self._end(far)

    def _reply_passes(self, mode, near, far):
        """Takes the server's reply, so that it has the session; whether the connection goes on."""
        reply = _read_frame(far)
        if mode is Mode.SLOW:
            self._closing.wait(self._slow_seconds)  # the fault itself, nothing is waited for
        if mode is Mode.CLOSE_AFTER:
            _send_with_end(near, reply)
        if mode is Mode.SLOW:
            near.sendall(reply)
        return mode is Mode.SLOW


class ForgetfulDoor(_Door):
    """The reply with one xid does not pass; what comes behind it does, like from a server that has lost its
    leader and lets go of the write it waits for."""

    def __init__(self, server):
        self.forgotten = 0  # replies that did not pass
        self._xid = None
        self._server = server
        super().__init__(server.host, server.client_port)

    @property
    def line(self):
        return _line_behind(self._server, self.port)

    def forget(self, xid):
        """Once."""
        self._xid = xid

    def _serve(self, near):
        far = self._dial()
        try:
            self._start(_guard, _copy, near, far)
            self._copy_replies(far, near)
        finally:
            self._end(far)
            near.shutdown(socket.SHUT_RDWR)  # the other thread may be reading it: closing alone tells nobody

    def _copy_replies(self, far, near):
        data = b""
        while part := far.recv(PUMP_BYTES):
            data += part
            while len(data) >= 8:
                length, xid = struct.unpack_from(">ii", data)
                end = 4 + length
                if length > WORD_LENGTH or length < 0:  # a word's answer
                    end = len(data)
                elif len(data) < end:
                    break
                elif xid == self._xid:
                    self._xid = None
                    self.forgotten += 1
                    data = data[end:]
                    continue
                near.sendall(data[:end])
                data = data[end:]
        near.sendall(data)


class MntrDoor(_Door):
    """The server's answer to mntr as a metrics provider prints it: rewrite(name, value) gives the new value, or None for
    no line. Everything else passes."""

    def __init__(self, server, rewrite):
        self.rewritten = 0  # answers
        self._rewrite = rewrite
        self._server = server
        super().__init__(server.host, server.client_port)

    @property
    def line(self):
        return _line_behind(self._server, self.port)

    def _serve(self, near):
        first = _first_bytes(near)
        far = self._dial()
        try:
            far.sendall(first)
            if first.startswith(b"mntr"):
                near.sendall(self._printed(_read_to_end(far).decode()).encode())
            else:
                _pump(near, far)
        finally:
            self._end(far)

    def _printed(self, answer):
        lines = []
        for line in answer.splitlines():
            name, tab, value = line.partition("\t")
            value = self._rewrite(name, value)
            if value is not None:
                lines.append(f"{name}{tab}{value}\n")
        self.rewritten += 1
        return "".join(lines)


class LaggingDoor(_Door):
    """Everything the leader says to whoever comes this way arrives lag_seconds later, in order."""

    def __init__(self, leader, lag_seconds):
        self._lag_seconds = lag_seconds
        super().__init__(leader.host, leader.quorum_port)

    def _serve(self, near):
        far = self._dial()
        try:
            self._start(_guard, _copy, near, far)
            self._copy_late(far, near)
        finally:
            self._end(far)

    def _copy_late(self, far, near):
        waiting = collections.deque()  # (when due, bytes)
        while not self._closing.is_set():
            pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
            if select.select([far], [], [], pause)[0]:
                part = far.recv(PUMP_BYTES)
                if not part:
                    return
                waiting.append((time.monotonic() + self._lag_seconds, part))
            while waiting and waiting[0][0] <= time.monotonic():
                near.sendall(waiting.popleft()[1])


def _line_behind(server, port):
    return server.line.replace(f";{server.address}", f";127.0.0.1:{port}")


def _send_with_end(end, reply):
    """In one segment: on a busy machine the end alone may come so late that a write is already on its way,
    and nobody could know what became of it."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    end.sendall(reply)
    end.shutdown(socket.SHUT_RDWR)


def behind(server, leader, door):
    """Makes a server that has not been started follow the leader through a LaggingDoor.

    Only its own file says so: the ensemble must not hand out its config (reconfigEnabled=false).
    """
    path = server.directory / "zoo.cfg.dynamic"
    text = path.read_text()
    real = f"server.{leader.id}={leader.host}:{leader.quorum_port}:"
    assert real in text, text
    path.write_text(text.replace(real, f"server.{leader.id}=127.0.0.1:{door.port}:"))


def _first_bytes(near):
    """A word, or at least the part of a ConnectRequest that says whose session it is."""
    data = b""
    while len(data) < CONNECT_BYTES:
        part = near.recv(PUMP_BYTES)
        data += part
        if not part or (len(data) >= 4 and struct.unpack_from(">i", data)[0] > WORD_LENGTH):
            break
    return data


def _attaches_existing(first):
    return len(first) >= CONNECT_BYTES and struct.unpack_from(">q", first, 20)[0] != 0


def _read_to_end(near):
    data = b""
    while part := near.recv(PUMP_BYTES):
        data += part
    return data


def _read_frame(far):
    """One frame with its length; OSError when the server ends before."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack_from(">i", data)[0]:
        part = far.recv(PUMP_BYTES)
        if not part:
            raise ConnectionError("the server ended without a reply")
        data += part
    return data


def _copy(source, sink):
    while part := source.recv(PUMP_BYTES):
        sink.sendall(part)
    sink.shutdown(socket.SHUT_RDWR)


def _guard(run, *args):
    try:
        run(*args)
    except OSError:
        pass  # the connection has ended


def _pump(near, far):
    """Both ways, until one end goes."""
    peer = {near: far, far: near}
    while True:
        for ready in select.select([near, far], [], [])[0]:
            part = ready.recv(PUMP_BYTES)
            if not part:
                return
            peer[ready].sendall(part)
