"""One session of a client of our own, driven by a loop: what libraries hide is written down here.

It checks what every client relies on (protocol.md §4.1): replies in the order of the requests and none that
nobody asked for, header zxids that never go backwards. What the connection saw is kept as a stream for
lib/watch_oracle.py, and every disconnect with what was outstanding. The loop (lib/raw_load.py) calls it from
one thread; it never waits, but for the TCP connect.
"""
import base64
import collections
import hashlib
import socket
import struct
import time

from .raw import (CREATE, EXISTS, GET_DATA, OPEN_ACL, PING, PING_XID, SET_DATA, buffer, connect_request,
                  ustring)
from .watch_oracle import CHILD, DATA, PERSISTENT, RECURSIVE, Armed, Event, Seen

DELETE, GET_CHILDREN, SYNC, AUTH, ADD_WATCH = 2, 8, 9, 100, 106
EVENT_XID, AUTH_XID = -1, -4
NO_NODE = -101
WRITES = (CREATE, DELETE, SET_DATA)
WATCH_OF = {EXISTS: DATA, GET_DATA: DATA, GET_CHILDREN: CHILD}
MODES = {PERSISTENT: 0, RECURSIVE: 1}
USER, PASSWORD = "ferryman", "obol"
READ_BYTES = 1 << 18
CONNECT_SECONDS = 15

Request = collections.namedtuple("Request", "opcode path body watch")  # watch: the kind it sets, or None
Reply = collections.namedtuple("Reply", "error body")
Sent = collections.namedtuple("Sent", "xid request at")


def digest_acl(user=USER, password=PASSWORD):
    """All rights for one user only: whoever has not authenticated neither reads nor is told anything."""
    secret = base64.b64encode(hashlib.sha1(f"{user}:{password}".encode()).digest()).decode()
    return struct.pack(">ii", 1, 31) + ustring("digest") + ustring(f"{user}:{secret}")


def auth_frame(scheme, secret):
    return struct.pack(">iii", AUTH_XID, AUTH, 0) + ustring(scheme) + buffer(secret.encode())


def create(path, data=b"", acl=OPEN_ACL):
    return Request(CREATE, path, ustring(path) + buffer(data) + acl + struct.pack(">i", 0), None)


def delete(path, version=-1):
    return Request(DELETE, path, ustring(path) + struct.pack(">i", version), None)


def set_data(path, data, version=-1):
    return Request(SET_DATA, path, ustring(path) + buffer(data) + struct.pack(">i", version), None)


def read(opcode, path, watch=False):
    """exists, getData or getChildren; watch: sets the one-shot watch of that read."""
    kind = WATCH_OF[opcode] if watch else None
    return Request(opcode, path, ustring(path) + struct.pack(">?", watch), kind)


def add_watch(kind, path):
    return Request(ADD_WATCH, path, ustring(path) + struct.pack(">i", MODES[kind]), kind)


def sync(path="/"):
    return Request(SYNC, path, ustring(path), None)


class Session:
    """Owned by a Swarm. role: what this client does; it gets ready(), replied(), told() and tick()."""

    def __init__(self, address, role, *, timeout_ms=10000, authenticated=False, log_problem=print):
        self.role = role
        self.timeout_ms = timeout_ms
        self.session_id, self.password = 0, bytes(16)
        self.port = None               # the TCP source port: another one means another connection
        self.streams = []              # one per connection
        self.disconnects = []          # texts
        self.unknown = 0               # writes that were unanswered at a disconnect
        self.refused = 0               # attempts to come back that ended without an answer
        self.acked = self.told = 0     # writes answered well, events that came
        self.longest_wait = 0.0        # seconds between a request and its reply
        self.is_ready = self.is_over = False
        self.is_completing = self.is_complete = False
        self._address = address
        self._authenticated = authenticated
        self._problem = lambda text: log_problem(f"{role}, session {self.session_id:#x}: {text}")
        self._xid = 0
        self._out, self._in = bytearray(), bytearray()
        self._waiting = collections.deque()  # Sent, oldest first
        self._pings = collections.deque()    # when each was sent
        self._zxid = 0
        self._last_sent = 0.0
        self._is_connected = False           # the ConnectResponse has come
        self.socket = None

    # Connecting

    def connect(self):
        """Opens a connection, with the session it had if it had one."""
        host, port = self._address.split(",")[0].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]
        self.streams.append([])
        self._in.clear()
        self._out.clear()
        self._is_connected = False
        self._frame(connect_request(self.session_id, self.password, self.timeout_ms, self._zxid))

    def _connected(self, frame):
        _, self.timeout_ms, session_id, length = struct.unpack_from(">iiqi", frame)
        if session_id == 0:
            self._problem("the session has expired")
            self.is_over = True
            return
        if self.session_id not in (0, session_id):
            self._problem(f"got another session, {session_id:#x}")
        self.session_id, self.password = session_id, frame[20:20 + length]
        self._is_connected = True
        if self._authenticated:
            self._frame(auth_frame("digest", f"{USER}:{PASSWORD}"))
        else:
            self._ready()

    def _ready(self):
        self.is_ready = True
        self.role.ready(self)

    # Sending

    def send(self, request):
        self._xid += 1
        self._waiting.append(Sent(self._xid, request, time.monotonic()))
        self._frame(struct.pack(">ii", self._xid, request.opcode) + request.body)

    def ping_if_idle(self, now):
        """As libraries do: a third of the timeout without a request."""
        if self.is_ready and now - self._last_sent > self.timeout_ms / 3000:
            self._pings.append(now)
            self._frame(struct.pack(">ii", PING_XID, PING))

    def _frame(self, body):
        self._out += buffer(body)
        self._last_sent = time.monotonic()
        self.flush()

    def flush(self):
        """Writes what the kernel takes; the loop calls again for the rest."""
        try:
            while self._out:
                del self._out[:self.socket.send(self._out)]
        except OSError:
            pass  # full, or closed: then reading says so

    def complete(self):
        """Ends the stream: after this sync's reply nothing more is due, nor kept."""
        self.is_completing = True
        self.send(sync())

    @property
    def outstanding(self):
        return len(self._waiting)

    # Receiving

    def receive(self):
        """Handles what has come. False when the connection has ended."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self._ended()
            return False
        self._in += data
        at = 0
        while len(self._in) - at >= 4:
            length = struct.unpack_from(">i", self._in, at)[0]
            if len(self._in) - at - 4 < length:
                break
            self._take(bytes(self._in[at + 4:at + 4 + length]))
            at += 4 + length
        del self._in[:at]
        return True

    def _ended(self):
        if not self._is_connected:
            self.refused += 1  # an attempt that got no session back; libraries just try again
            return
        unanswered = [sent.request for sent in self._waiting]
        self.unknown += sum(request.opcode in WRITES for request in unanswered)
        what = ", ".join(f"op {request.opcode} {request.path}" for request in unanswered) or "nothing"
        self.disconnects.append(f"{self.role}: disconnected with {what} outstanding")
        self._waiting.clear()
        self._pings.clear()
        self.is_ready = False

    def _take(self, frame):
        if not self._is_connected:
            self._connected(frame)
            return
        xid, zxid, error = struct.unpack_from(">iqi", frame)
        if xid == EVENT_XID:
            self._told(frame[16:])
        elif xid == AUTH_XID:
            self._authenticated_reply(error)
        else:
            self._saw(xid, zxid)
            self._answered(xid, zxid, error, frame[16:])

    def _told(self, body):
        kind, _, length = struct.unpack_from(">iii", body)
        event = Event(kind, body[12:12 + length].decode("utf-8"))
        if self.is_complete:
            return
        self.told += 1
        self.streams[-1].append(event)
        self.role.told(self, event)

    def _authenticated_reply(self, error):
        if self.is_ready:
            self._problem("an unsolicited auth reply")
        elif error:
            self._problem(f"authentication failed with {error}")
        else:
            self._ready()

    def _saw(self, xid, zxid):
        """Zxids ≤ 0 say nothing (protocol.md §4.2)."""
        if 0 < zxid < self._zxid:
            self._problem(f"the reply to {xid} goes back from {self._zxid:#x} to {zxid:#x}")
        if zxid > self._zxid:
            self._zxid = zxid
            if not self.is_complete:  # nor are events kept any more
                self.streams[-1].append(Seen(zxid))

    def _answered(self, xid, zxid, error, body):
        if xid == PING_XID:
            if not self._pings:
                self._problem("an unsolicited ping reply")
            else:
                self._note_wait(self._pings.popleft())
            return
        if not self._waiting or self._waiting[0].xid != xid:
            wanted = self._waiting[0].xid if self._waiting else "none"
            self._problem(f"reply to {xid}, but {wanted} is due")
            return
        sent = self._waiting.popleft()
        self._note_wait(sent.at)
        self.acked += sent.request.opcode in WRITES and error == 0
        if sent.request.watch and (error == 0 or (error == NO_NODE and sent.request.opcode == EXISTS)):
            self.streams[-1].append(Armed(zxid, sent.request.watch, sent.request.path))
        if sent.request.opcode == SYNC:
            self.is_complete = True
        else:
            self.role.replied(self, sent.request, Reply(error, body))

    def _note_wait(self, since):
        self.longest_wait = max(self.longest_wait, time.monotonic() - since)

    def fail(self, text):
        """A role saw something that must not be."""
        self._problem(text)

    def close(self):
        if self.socket is not None:
            self.socket.close()
