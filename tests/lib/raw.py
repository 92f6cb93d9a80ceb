"""A client that speaks the protocol byte by byte: for what no library would do."""
import select
import socket
import struct

from .waiting import SCALE

PING_XID = -2
CREATE, EXISTS, GET_DATA, SET_DATA, SYNC, PING, CHECK, RECONFIG, CLOSE = 1, 3, 4, 5, 9, 11, 13, 16, -11
CREATE_TTL = 21
OPEN_ACL = struct.pack(">iii", 1, 31, 5) + b"world" + struct.pack(">i", 6) + b"anyone"


def ustring(text):
    data = text.encode("utf-8")
    return struct.pack(">i", len(data)) + data


def buffer(data):
    return struct.pack(">i", len(data)) + data


def connect_request(session_id=0, password=bytes(16), timeout_ms=10000, zxid=0, read_only=False):
    """read_only None: the old flavour without that byte."""
    body = struct.pack(">iqiq", 0, zxid, timeout_ms, session_id) + buffer(password)
    return body if read_only is None else body + struct.pack(">?", read_only)


class Closed(Exception):
    """The peer closed the connection."""


class RawClient:
    """One connection; usable with `with`. attach() or resume() gives it a session.

    source: the local address to connect from; all of 127.0.0.0/8 is this machine's.
    """

    def __init__(self, address, patience=15, source=None):
        host, port = address.split(",")[0].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=patience * SCALE,
                                               source_address=(source, 0) if source else None)
        self.session_id = self.timeout_ms = 0
        self.password = bytes(16)
        self.connect_reply = b""
        self.zxid = 0
        self._xid = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    # Frames

    def send_frame(self, body):
        self.socket.sendall(buffer(body))

    def _read(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionError as trouble:
                raise Closed from trouble
            if not part:
                raise Closed
            data += part
        return data

    def read_frame(self):
        return self._read(struct.unpack(">i", self._read(4))[0])

    def is_quiet(self):
        """Nothing to read and not closed, at this moment."""
        return not select.select([self.socket], [], [], 0)[0]

    def wait_closed(self):
        """Reads to the peer's close; returns what came before it."""
        data = b""
        try:
            while True:
                data += self._read(1)
        except Closed:
            return data

    # Session

    def send_connect(self, **options):
        self.send_frame(connect_request(**options))

    def read_connect(self):
        """Takes the ConnectResponse; the session id, 0 when the server says it is gone."""
        self.connect_reply = self.read_frame()
        _, self.timeout_ms, self.session_id, length = struct.unpack_from(">iiqi", self.connect_reply)
        self.password = self.connect_reply[20:20 + length]
        return self.session_id

    def attach(self, **options):
        self.send_connect(**options)
        assert self.read_connect() != 0, "no session"
        return self

    def resume(self, other, **options):
        """Attaches the session of another connection; its id, or 0."""
        self.send_connect(session_id=other.session_id, password=options.pop("password", other.password),
                          timeout_ms=options.pop("timeout_ms", other.timeout_ms),
                          zxid=options.pop("zxid", other.zxid))
        return self.read_connect()

    # Requests

    def send(self, opcode, body=b""):
        self._xid += 1
        self.send_frame(struct.pack(">ii", self._xid, opcode) + body)
        return self._xid

    def receive(self):
        """(xid, error, body) of the next frame."""
        frame = self.read_frame()
        xid, zxid, error = struct.unpack_from(">iqi", frame)
        self.zxid = max(self.zxid, zxid)
        return xid, error, frame[16:]

    def call(self, opcode, body=b""):
        """(error, body) of one request with nothing else outstanding."""
        sent = self.send(opcode, body)
        xid, error, reply = self.receive()
        assert xid == sent, f"reply to {xid}, not {sent}"
        return error, reply

    def ping(self):
        self.send_frame(struct.pack(">ii", PING_XID, PING))
        xid, error, _ = self.receive()
        assert (xid, error) == (PING_XID, 0)
        return True

    def create(self, path, data=b"", ephemeral=False):
        error, _ = self.call(CREATE, ustring(path) + buffer(data) + OPEN_ACL + struct.pack(">i", int(ephemeral)))
        return error

    def send_set(self, path, data):
        return self.send(SET_DATA, ustring(path) + buffer(data) + struct.pack(">i", -1))

    def set(self, path, data):
        """Error of a setData."""
        sent = self.send_set(path, data)
        xid, error, _ = self.receive()
        assert xid == sent
        return error

    def get(self, path):
        """(error, data, stat bytes)."""
        error, body = self.call(GET_DATA, ustring(path) + b"\0")
        if error:
            return error, None, b""
        length = struct.unpack_from(">i", body)[0]
        return 0, body[4:4 + length] if length >= 0 else None, body[4 + max(length, 0):]


def fill(server, source, timeout_ms):
    """Sessions from that address, until the server takes no more of it; it counts them a moment late."""
    taken = []
    while True:
        try:
            client = RawClient(server.address, source=source)
        except ConnectionError:
            return taken
        try:
            taken.append(client.attach(timeout_ms=timeout_ms))
        except (Closed, ConnectionError):  # closed before the request was written
            client.close()
            return taken
