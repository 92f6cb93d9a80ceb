"""What the sessions of lib/raw_load.py do: watch, read, wait, and change nodes in ways hard to follow.

A role is told what its session sees and answers by sending requests. Roles that write are scripts: generators
that yield a batch of requests, sent at once so that a move can fall between them, and get the replies. Every
script owns its nodes, so that any other result than the one it knows beforehand is an error.
"""
import itertools
import struct
import time

from .raw import EXISTS, GET_DATA, OPEN_ACL
from .raw_session import (GET_CHILDREN, NO_NODE, add_watch, create, delete, read, set_data)

LOOK_SECONDS = 0.5


class Role:
    """Keeps the session alive, no more: an idle client."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name

    def ready(self, session):
        """Connected and authenticated; also after a disconnect, when nothing of before is left."""

    def replied(self, session, request, reply):
        """The answer to one of this role's requests."""

    def told(self, session, event):
        """A watch event."""

    def tick(self, session, now):
        """The loop turns; not called any more when the load ends."""


class Watcher(Role):
    """Sets one-shot watches again after each event, by a read; and lasting ones once.

    reads: {path: opcode of the read}; lasting: [(kind, path)].
    """

    def __init__(self, name, reads=None, lasting=()):
        super().__init__(name)
        self._reads = dict(reads or {})
        self._lasting = list(lasting)
        self._next_look = 0.0

    def ready(self, session):
        for kind, path in self._lasting:
            session.send(add_watch(kind, path))
        for path, opcode in self._reads.items():
            session.send(read(opcode, path, watch=True))

    def told(self, session, event):
        if event.path in self._reads:
            session.send(read(self._reads[event.path], event.path, watch=True))

    def tick(self, session, now):
        """A reply now and then: what was due before it must have been told by then."""
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            session.send(read(EXISTS, "/"))

    def replied(self, session, request, reply):
        wanted = self._reads.get(request.path)
        if reply.error == NO_NODE and request.opcode in (GET_DATA, GET_CHILDREN):
            session.send(read(EXISTS, request.path, watch=True))  # tells when it is there
        elif reply.error not in (0, NO_NODE):
            session.fail(f"{request.opcode} {request.path}: error {reply.error}")
        elif reply.error == 0 and request.opcode == EXISTS and wanted == GET_CHILDREN:
            session.send(read(GET_CHILDREN, request.path, watch=True))


class Script(Role):
    """Runs a generator of batches, a pause between two of them; from its start after a disconnect."""

    _made = itertools.count()

    def __init__(self, name, script, interval):
        super().__init__(name)
        self._script = script
        self._interval = interval
        self._delay = interval * (next(Script._made) * 0.618 % 1)  # not all in the same moment
        self._steps = None
        self._replies, self._wanted = [], 0
        self._due = None  # when the next batch is to be sent; None while one is outstanding

    def ready(self, session):
        self._steps = self._script()
        self._replies = None
        self._due = time.monotonic() + self._delay

    def tick(self, session, now):
        if self._due is None or now < self._due:
            return
        self._due = None
        try:
            batch = self._steps.send(self._replies)
        except Unexpected as trouble:
            session.fail(str(trouble))
            self._steps = None  # its nodes are not what it thinks: it stops
            return
        self._replies, self._wanted = [], len(batch)
        for request in batch:
            session.send(request)

    def replied(self, session, request, reply):
        self._replies.append(reply)
        if len(self._replies) == self._wanted:
            self._due = time.monotonic() + self._interval


class Unexpected(Exception):
    """A reply that can't be, unless something was lost, doubled or refused on the way."""


def expect(replies, what):
    errors = [reply.error for reply in replies]
    if any(errors):
        raise Unexpected(f"{what}: errors {errors}")


def setting(path, acl=OPEN_ACL):
    """Each write names the version of the one before: a lost or doubled one is a BadVersion."""
    yield [delete(path)]  # whatever a script before has left
    expect((yield [create(path, b"0", acl)]), f"create {path}")
    for version in itertools.count():
        expect((yield [set_data(path, str(version).encode(), version)]), f"set {path} at version {version}")


def flickering(path, acl=OPEN_ACL):
    """Creates and deletes at once: who watches only sees it if no event is lost."""
    yield [delete(path)]
    while True:
        expect((yield [create(path, acl=acl), delete(path)]), f"create and delete {path}")


def renewing(path, acl=OPEN_ACL):
    """Deletes and creates at once: a catch-up would show it as changed."""
    yield [delete(path)]
    expect((yield [create(path, acl=acl)]), f"create {path}")
    while True:
        expect((yield [delete(path), create(path, acl=acl)]), f"delete and create {path}")


def growing(directory, numbers):
    """Children that come, change and go, each of a name never used again."""
    for number in numbers:
        path = f"{directory}/c{number:06}"
        expect((yield [create(path), set_data(path, b"1", 0)]), f"create and set {path}")
        expect((yield [delete(path, 1)]), f"delete {path}")


def reading(paths):
    """Reads in turn, without watches; no node may be seen as it was before."""
    newest = {}
    for path in itertools.cycle(paths):
        (reply,) = yield [read(GET_DATA, path)]
        if reply.error == NO_NODE:
            continue
        expect([reply], f"read {path}")
        mzxid = struct.unpack_from(">q", reply.body, len(reply.body) - 60)[0]  # the Stat's second long
        if mzxid < newest.get(path, 0):
            raise Unexpected(f"{path} goes back from {newest[path]:#x} to {mzxid:#x}")
        newest[path] = mzxid
