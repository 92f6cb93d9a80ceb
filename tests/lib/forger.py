"""Somebody on the path between the proxy and one real server, who writes into the server's stream.

A Forger forwards, and knows what is asked: what the server answers is given to `attack` first, frame by frame. The
session itself is genuine, and words (probes) pass untouched, so the server looks healthy. Clients' sessions come this
way too.
"""
import collections
import select
import struct

from .frontdoor import PUMP_BYTES, WORD_LENGTH, _Door
from .raw import buffer

CONNECT = 0      # the "opcode" of what a ConnectRequest is answered with
EVENT, PING = -1, -2
HEADER = ">iqi"  # of a reply: xid, zxid, err
HEADER_BYTES = 16
STAT = bytes(68)


class Forger(_Door):
    """attack(op, frame) -> bytes to send instead, or None: this one passes. frame is without its length."""

    def __init__(self, server):
        self.attack = None
        self.attacked = 0  # frames that were touched
        self.survived = 0  # of these, how often the other end went on and asked for more
        self._server = server
        super().__init__(server.host, server.client_port)

    @property
    def line(self):
        """The server's line for the proxy's file, with the forger in front."""
        return self._server.line.replace(f";{self._server.address}", f";127.0.0.1:{self.port}")

    def _serve(self, near):
        far = self._dial()
        try:
            self._talk(near, far)
        finally:
            self._end(far)

    def _talk(self, near, far):
        asked, answered = _Frames(), _Frames()
        owed = collections.deque()
        is_first = True
        is_touched = False
        while True:
            for ready in select.select([near, far], [], [])[0]:
                part = ready.recv(PUMP_BYTES)
                if not part:
                    return
                if ready is far:
                    touched = self._forged(near, answered.take(part), owed)
                    is_touched = is_touched or touched
                    continue
                self.survived += is_touched
                for frame in asked.take(part):
                    owed.append((0, CONNECT) if is_first else struct.unpack_from(">ii", frame))
                    is_first = False
                far.sendall(part)

    def _forged(self, near, frames, owed):
        is_touched = False
        for frame in frames:
            instead = self.attack and not isinstance(frame, _Word) and self.attack(_op_of(frame, owed), frame)
            if instead:
                self.attacked += 1
                is_touched = True
            near.sendall(instead or (frame if isinstance(frame, _Word) else buffer(frame)))
        return is_touched


class _Word(bytes):
    """A part of a stream that is not made of frames."""


class _Frames:
    """A stream of bytes as frames."""

    def __init__(self):
        self._data = b""
        self._is_text = False

    def take(self, part):
        self._data += part
        taken = []
        while len(self._data) >= 4:
            length = struct.unpack_from(">i", self._data)[0]
            self._is_text = self._is_text or not 0 <= length < WORD_LENGTH
            if self._is_text:
                taken.append(_Word(self._data))
                self._data = b""
            elif len(self._data) < 4 + length:
                break
            else:
                taken.append(self._data[4:4 + length])
                self._data = self._data[4 + length:]
        return taken


def _op_of(frame, owed):
    """Which request this answers; auth overtakes the others."""
    if owed and owed[0][1] == CONNECT:
        return owed.popleft()[1]
    xid = struct.unpack_from(">i", frame)[0]
    if xid == EVENT:
        return EVENT
    for place, (owed_xid, op) in enumerate(owed):
        if owed_xid == xid:
            del owed[place]
            return op
    return None


def reply(frame, body=b"", *, xid=None, err=0):
    """A reply as a frame: the header of a genuine one, with another body."""
    genuine_xid, zxid, _ = struct.unpack_from(HEADER, frame)
    return buffer(struct.pack(HEADER, genuine_xid if xid is None else xid, zxid, err) + body)
