"""Which watch events were due, and whether a client's stream holds exactly those.

A stream is what one connection saw, in order:
    Armed   a watch was set; the reply's header zxid says at which state (protocol.md §2.5: the events of
            exactly the transactions up to that zxid come before the reply)
    Seen    a reply with a greater zxid than any before: everything up to it must have been told by now
    Event   a watch event
What was due follows from Armed and the servers' transactions alone, never from the events received.
"""
import bisect
import collections
import dataclasses

from .txnlog import CHILDREN_CHANGED, CREATED, DELETED

Armed = collections.namedtuple("Armed", "zxid kind path")
Seen = collections.namedtuple("Seen", "zxid")
Event = collections.namedtuple("Event", "type path")
Due = collections.namedtuple("Due", "zxid type path lasting")  # lasting: told by a persistent watch too

DATA, CHILD, PERSISTENT, RECURSIVE = "data", "child", "persistent", "recursive"
REPEATED_MAX = 400  # events: more than any session gets between two pings of a move


def parent_of(path):
    return path.rpartition("/")[0] or "/"


def ancestors(path):
    while path != "/":
        path = parent_of(path)
        yield path


class Tables:
    """The two watch tables of one connection, as WatchManager and DataTree of 3.6–3.8 keep them."""

    def __init__(self):
        self._data, self._child = {}, {}

    def arm(self, kind, path):
        if kind == DATA:
            self._data[path] = DATA
        elif kind == CHILD:
            self._child[path] = CHILD
        else:
            self._data[path] = self._child[path] = kind

    def apply(self, txn):
        """The events a transaction causes, each as Due."""
        for kind, path in txn.changes:
            told, lasting = self._trigger(self._data, kind, path)
            if kind == DELETED:  # one event, whichever table knows the node
                in_child, lasting_child = self._trigger(self._child, kind, path)
                told, lasting = told or in_child, lasting or lasting_child
            if told:
                yield Due(txn.zxid, kind, path, lasting)
            if kind in (CREATED, DELETED):
                parent = parent_of(path)
                told, lasting = self._trigger(self._child, CHILDREN_CHANGED, parent)
                if told:
                    yield Due(txn.zxid, CHILDREN_CHANGED, parent, lasting)

    @staticmethod
    def _trigger(table, kind, path):
        """(an event is due, a lasting watch is among the causes); removes the one-shot watch."""
        mode = table.get(path)
        lasting = mode == PERSISTENT
        once = mode in (DATA, CHILD)
        if once:
            del table[path]
        if kind != CHILDREN_CHANGED:
            above = any(table.get(ancestor) == RECURSIVE for ancestor in ancestors(path))
            lasting = lasting or mode == RECURSIVE or above
        return once or lasting, lasting


def due_events(stream, txns):
    """Every event due on a connection, from its registrations and the transactions (ordered by zxid)."""
    tables, due, at = Tables(), [], 0
    for item in stream:
        if isinstance(item, Armed):
            while at < len(txns) and txns[at].zxid <= item.zxid:
                due += tables.apply(txns[at])
                at += 1
            tables.arm(item.kind, item.path)
    for txn in txns[at:]:
        due += tables.apply(txn)
    return due


@dataclasses.dataclass
class Verdict:
    """problem: None, or where the stream first differs. doubled: repeated events of lasting watches."""
    due: int = 0
    told: int = 0
    doubled: int = 0
    problem: str = None


class Matcher:
    """Follows a stream along the events due, as a set of possible positions: (told, replaying from).

    Up to 3.8 events carry no zxid, so that after a move a proxy can only repeat what lasting watches told
    between two states (protocol.md §4.3 step 7): a repeated suffix, as a whole and in order. Where equal
    events make more than one reading possible all are kept; the one with the fewest repetitions counts.
    """

    def __init__(self, due, may_repeat):
        self._due = due
        self._lasting = collections.defaultdict(list)  # (type, path) -> where lasting watches told it
        for index, event in enumerate(due if may_repeat else ()):
            if event.lasting:
                self._lasting[event.type, event.path].append(index)
        self._places = {(0, 0): 0}  # (told, replaying) -> repetitions so far; told == replaying: no replay

    def event(self, item):
        """False when the event is not due here."""
        following = {}
        for (told, replaying), doubled in self._places.items():
            for place, more in self._steps(told, replaying, item):
                following[place] = min(doubled + more, following.get(place, doubled + more))
        if following:
            self._places = following
        return bool(following)

    def _is(self, index, item):
        return (self._due[index].type, self._due[index].path) == item

    def _steps(self, told, replaying, item):
        if replaying < told:
            if self._is(replaying, item):
                yield (told, self._next_lasting(replaying + 1, told)), 1
            return
        if told < len(self._due) and self._is(told, item):
            yield (told + 1, told + 1), 0
        places = self._lasting.get(item, ())
        first = bisect.bisect_left(places, told - REPEATED_MAX)
        for back in places[first:bisect.bisect_left(places, told)]:
            yield (told, self._next_lasting(back + 1, told)), 1

    def _next_lasting(self, index, told):
        """One-shot events are not repeated: they are no part of a replay."""
        while index < told and not self._due[index].lasting:
            index += 1
        return index

    def reached(self, zxid):
        """False when an event of a transaction up to zxid has not been told."""
        kept = {place: doubled for place, doubled in self._places.items()
                if place[0] == len(self._due) or self._due[place[0]].zxid > zxid}
        if kept:
            self._places = kept
        return bool(kept)

    def finished(self):
        """Ends the stream: a replay must be complete. The repetitions of the best reading, or None."""
        whole = [doubled for (told, replaying), doubled in self._places.items() if told == replaying]
        return min(whole) if whole else None

    def expected(self):
        told = max(place[0] for place in self._places)
        return self._due[told] if told < len(self._due) else None


def judge(stream, txns, may_repeat=True):
    """Compares a stream with what was due. may_repeat: repetitions of lasting watches are only counted.

    Events after the last Seen may be missing (the connection ended); before it everything must be there.
    """
    due = due_events(stream, txns)
    matcher = Matcher(due, may_repeat)
    verdict = Verdict(told=sum(isinstance(item, Event) for item in stream))
    last_zxid = max((item.zxid for item in stream if isinstance(item, Seen)), default=0)
    verdict.due = sum(event.zxid <= last_zxid for event in due)
    for index, item in enumerate(stream):
        if isinstance(item, Event) and not matcher.event(item):
            verdict.problem = (f"{shown(item)} is not due here, but {shown(matcher.expected())}; "
                               f"{around(stream, index)}")
            return verdict
        if isinstance(item, Seen) and not matcher.reached(item.zxid):
            verdict.problem = (f"a reply shows {item.zxid:#x}, but nothing told of "
                               f"{shown(matcher.expected())}; {around(stream, index)}")
            return verdict
    doubled = matcher.finished()
    if doubled is None:
        verdict.problem = "events are repeated in part: order lost"
    verdict.doubled = doubled or 0
    return verdict


def shown(event):
    if event is None:
        return "nothing"
    name = {1: "Created", 2: "Deleted", 3: "DataChanged", 4: "ChildrenChanged"}[event.type]
    return f"{name} {event.path}" + (f" of {event.zxid:#x}" if isinstance(event, Due) else "")


def around(stream, index):
    """The few items before, for a person who must find out what happened."""
    texts = [shown(item) if isinstance(item, Event) else
             f"{item.kind} watch on {item.path} at {item.zxid:#x}" if isinstance(item, Armed) else
             f"reply at {item.zxid:#x}" for item in stream[max(0, index - 6):index]]
    return "before it: " + ", ".join(texts)
