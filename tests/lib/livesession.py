"""Sessions that live through a fault: each kept by a thread, they read, ping and remember what they saw.

A LiveSession speaks the protocol by itself and never comes back after a loss, so that a loss cannot hide. It
checks what clients rely on (replies in the order of their requests, no unasked reply, zxid and values of
reads never backwards) and keeps the libraries' clock: pings by a third of the timeout, gives up after two
thirds without a byte. A KazooSession shows the same of a library: its states and its TCP source port.
"""
import collections
import select
import struct
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.states import KazooState

from .raw import (CREATE, GET_DATA, OPEN_ACL, PING, PING_XID, SET_DATA, Closed, RawClient, buffer,
                  ustring)
from .waiting import SCALE

GET_CHILDREN, ADD_WATCH = 8, 106
CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4
PERSISTENT, RECURSIVE = 0, 1
EVENT_XID = -1
TURN_SECONDS = 0.02   # how long the thread waits for a frame before it looks at its clock
READ_SECONDS = 0.05   # a reader's pause between two reads
PATIENCE_SECONDS = 30


class Request:
    """One request on its way. The session's thread sets the reply; None when the connection ended first."""

    def __init__(self, xid):
        self.xid = xid
        self.done = threading.Event()
        self.reply = None

    def result(self):
        """(error, body); Closed when the connection ended before the reply."""
        assert self.done.wait(PATIENCE_SECONDS * SCALE), f"request {self.xid}: neither reply nor end"
        if self.reply is None:
            raise Closed
        return self.reply


class LiveSession:
    """reads: a node holding a number, read all the time. Requests may be sent from any thread."""

    def __init__(self, address, *, timeout=10.0, reads=None):
        self.client = RawClient(address).attach(timeout_ms=int(timeout * 1000))
        self.id = self.client.session_id
        self.lost = None        # (monotonic seconds, why)
        self.events = []        # (type, path)
        self.faults = []        # what a correct server never does
        self.read_count = 0
        self._reads = reads
        self._value = self._zxid = self._pings = self._xid = 0
        self._read_request = None
        self._requests = collections.deque()
        self._lock = threading.Lock()  # over _requests, _xid and sending
        self._heard = self._sent = self._read_at = time.monotonic()
        self._hushed = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"session {self.id:#x}", daemon=True)
        self._thread.start()

    def close(self):
        """Ends the thread and the connection, not the session."""
        self._closing.set()
        self._thread.join()
        self.client.close()

    def hush(self):
        """From now on it sends nothing and only listens, like a client whose machine has gone."""
        self._hushed.set()

    @property
    def silent_seconds(self):
        return time.monotonic() - self._sent

    @property
    def trouble(self):
        """Everything that must not have happened; empty for a session that noticed nothing."""
        lost = [f"lost: {self.lost[1]}"] if self.lost else []
        return [f"session {self.id:#x}: {what}" for what in lost + self.faults]

    # Requests

    def begin(self, opcode, body=b""):
        """Sends; the Request. On a lost connection it is over at once."""
        with self._lock:
            self._xid += 1
            request = Request(self._xid)
            if self.lost:
                request.done.set()
                return request
            self._requests.append(request)
            self._send(struct.pack(">ii", request.xid, opcode) + body)
        return request

    def call(self, opcode, body=b""):
        return self.begin(opcode, body).result()

    def begin_set(self, path, data):
        return self.begin(SET_DATA, ustring(path) + buffer(data) + struct.pack(">i", -1))

    def set(self, path, data):
        """Error of a setData; Closed when its outcome is unknown."""
        return self.begin_set(path, data).result()[0]

    def create_ephemeral(self, path):
        """Error of a create."""
        return self.call(CREATE, ustring(path) + buffer(b"") + OPEN_ACL + struct.pack(">i", 1))[0]

    def watch(self, opcode, path):
        """A read that leaves a one-shot watch; its error."""
        return self.call(opcode, ustring(path) + b"\1")[0]

    def add_watch(self, path, mode):
        assert self.call(ADD_WATCH, ustring(path) + struct.pack(">i", mode))[0] == 0

    def _send(self, frame):
        self._sent = time.monotonic()
        try:
            self.client.send_frame(frame)
        except OSError:
            pass  # the thread reads the end of the connection and says so

    # The thread

    def _run(self):
        try:
            while not self._closing.is_set():
                if not self._hushed.is_set():
                    self._ping_when_due()
                    self._read_when_due()
                if select.select([self.client.socket], [], [], TURN_SECONDS)[0]:
                    self._take(self.client.read_frame())
                elif not self._hushed.is_set():
                    self._give_up_when_silent()
        except (Closed, OSError) as end:
            self._end(str(end) or "closed by the peer")

    def _end(self, why):
        self.client.close()
        with self._lock:
            self.lost = (time.monotonic(), why)
            for request in self._requests:
                request.done.set()

    def _give_up_when_silent(self):
        """Only when nothing is there to be read: this thread itself may have been kept from running."""
        if time.monotonic() - self._heard > self.client.timeout_ms / 1000 * 2 / 3:
            raise Closed("nothing heard for two thirds of the timeout")

    def _ping_when_due(self):
        if time.monotonic() - self._sent >= self.client.timeout_ms / 1000 / 3:
            with self._lock:
                self._pings += 1
                self._send(struct.pack(">ii", PING_XID, PING))

    def _read_when_due(self):
        if self._reads is None or time.monotonic() < self._read_at:
            return
        if self._read_request and not self._read_request.done.is_set():
            return
        if self._read_request:
            self._check_read(*self._read_request.result())
        self._read_at = time.monotonic() + READ_SECONDS
        self._read_request = self.begin(GET_DATA, ustring(self._reads) + b"\0")

    def _check_read(self, error, body):
        if error:
            self.faults.append(f"read of {self._reads}: error {error}")
            return
        self.read_count += 1
        value = int(body[4:4 + struct.unpack_from(">i", body)[0]])
        if value < self._value:
            self.faults.append(f"{self._reads} is {value} after {self._value}")
        self._value = value

    def _take(self, frame):
        self._heard = time.monotonic()
        xid, zxid, error = struct.unpack_from(">iqi", frame)
        if xid == EVENT_XID:
            kind, _, length = struct.unpack_from(">iii", frame, 16)
            self.events.append((kind, frame[28:28 + length].decode()))
        elif xid == PING_XID:
            self._pings -= 1
            if self._pings < 0:
                self.faults.append("a ping nobody sent was answered")
        else:
            self._reply(xid, zxid, (error, frame[16:]))

    def _reply(self, xid, zxid, reply):
        if zxid < self._zxid:
            self.faults.append(f"zxid {zxid:#x} after {self._zxid:#x}")
        self._zxid = zxid
        with self._lock:
            request = self._requests.popleft() if self._requests else None
        if request is None or request.xid != xid:
            self.faults.append(f"reply to {xid}, due was {request and request.xid}")
        if request:
            request.reply = reply
            request.done.set()


class KazooSession:
    """kazoo's client, reading one node all the time in a thread, or idle; usable next to LiveSessions."""

    def __init__(self, address, *, timeout=10.0, reads=None):
        self.states, self.faults, self.events = [], [], []
        self.read_count = 0
        self.client = KazooClient(hosts=address, timeout=timeout)
        self.client.start(timeout=PATIENCE_SECONDS * SCALE)
        self.client.add_listener(self._note_state)
        self.id = self.client.client_id[0]
        self._port = self._source_port()
        self._reads = reads
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"kazoo {self.id:#x}", daemon=True)
        self._thread.start()

    def close(self):
        self._closing.set()
        self.client.stop()  # fails a read that nobody answers
        self._thread.join()
        self.client.close()

    @property
    def trouble(self):
        faults = list(self.faults)
        if self.states:
            faults.append(f"states {self.states}")
        elif self._source_port() != self._port:
            faults.append("another TCP source port")
        return [f"kazoo session {self.id:#x}: {what}" for what in faults]

    def watch_data(self, path):
        """A one-shot watch. kazoo forgets it on a disconnect, with an event of type NONE."""
        self.client.get(path, watch=lambda event: self.events.append((event.type, event.path)))

    def set(self, path, data):
        """0 like LiveSession.set; kazoo's exceptions tell the rest."""
        self.client.set(path, data)
        return 0

    def _note_state(self, state):
        """start() returns before the listeners hear of the first connection; after a loss CONNECTED comes too."""
        if state != KazooState.CONNECTED or self.states:
            self.states.append(state)

    def _source_port(self):
        return self.client._connection._socket.getsockname()[1]

    def _run(self):
        while self._reads is not None and not self._closing.wait(READ_SECONDS):
            try:
                self.client.get(self._reads)
                self.read_count += 1
            except KazooException as trouble:
                if not self._closing.is_set():
                    self.faults.append(f"read: {trouble!r}")


def assert_undisturbed(sessions):
    """None of them noticed anything."""
    trouble = [what for session in sessions for what in session.trouble]
    assert trouble == [], "\n".join(trouble)
