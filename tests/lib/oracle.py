"""The oracle: one client script whose transcript must not depend on what lies between client and servers.

Run directly and through the proxy it must say the same, up to session ids, zxids and times. Stats are
therefore noted as versions, counts and the *relations* between their zxids; everything else literally.
"""
import hashlib
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.states import EventType
from kazoo.security import make_acl, make_digest_acl

from .raw import RawClient
from .raw_session import auth_frame
from .waiting import SCALE, wait_for

ROOT = "/oracle"
WAIT = 30
BIG = 1_000_000          # bytes: close to the servers' limit of 1 MiB for a request
MANY, LONG = 4500, 280   # children whose names together exceed 1 MiB: replies have no such limit


class Script:
    """Two sessions, a and b, on the same address; every step appends lines to the transcript."""

    def __init__(self, hosts, change=None):
        self.hosts = hosts
        self.change = change  # a deliberate deviation: shows that the comparison can fail
        self.lines = []
        self._lock = threading.Lock()
        self._clients = []

    def run(self):
        """The transcript. Leaves nothing behind."""
        try:
            self.a, self.b = self._client(), self._client()
            if self.a.exists(ROOT):
                self.a.delete(ROOT, recursive=True)
            self.a.create(ROOT)
            for step in (self.nodes, self.errors, self.multi, self.watches, self.ephemerals, self.sequences,
                         self.access, self.sizes, self.locks, self.elections, self.pipeline):
                self.note("##", step.__name__)
                step()
            self.a.delete(ROOT, recursive=True)
        finally:
            for client in self._clients:
                client.stop()
                client.close()
        return self.lines

    def _client(self, **options):
        client = KazooClient(hosts=self.hosts, timeout=10.0, **options)
        client.start(timeout=WAIT * SCALE)
        self._clients.append(client)
        return client

    def note(self, *parts):
        with self._lock:
            self.lines.append(" ".join(str(part) for part in parts))

    def call(self, what, operation, *args, **options):
        """Notes the result of one call, or the name of its error."""
        try:
            result = operation(*args, **options)
        except KazooException as error:
            self.note(what, "->", type(error).__name__)
            return None
        self.note(what, "->", self.shown(result))
        return result

    def shown(self, value):
        if hasattr(value, "mzxid"):
            return self.shown_stat(value)
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(self.shown(item) for item in value) + "]"
        if isinstance(value, Exception):
            return type(value).__name__
        if isinstance(value, bytes) and len(value) > 100:
            return f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:16]}"
        return repr(value)

    def shown_stat(self, stat):
        owners = {0: "none", self.a.client_id[0]: "a", self.b.client_id[0]: "b"}
        relation = ("modified" if stat.mzxid > stat.czxid else "new") + \
                   (" children-later" if stat.pzxid > stat.mzxid else "")
        return (f"stat(v{stat.version} c{stat.cversion} a{stat.aversion} len={stat.dataLength} "
                f"children={stat.numChildren} owner={owners.get(stat.ephemeralOwner, 'other')} {relation} "
                f"time={self.shown_times(stat)})")

    @staticmethod
    def shown_times(stat):
        """A change may come within the millisecond of the creation, or later."""
        if stat.version == 0:
            return "same" if stat.mtime == stat.ctime else "differ"
        return "ordered" if stat.mtime >= stat.ctime else "backwards"

    # The steps

    def nodes(self):
        a, path = self.a, ROOT + "/n"
        self.call("create", a.create, path, b"one")
        self.call("get", a.get, path)
        self.call("set", a.set, path, b"two")
        self.call("set version", a.set, path, b"three", version=1)
        if self.change:
            self.call("set again", a.set, path, self.change)
        self.call("exists", a.exists, path)
        self.call("exists not", a.exists, ROOT + "/none")
        self.call("create child", a.create, path + "/child", b"")
        self.call("create with stat", a.create, path + "/statted", b"x", include_data=True)
        self.call("children", lambda: sorted(a.get_children(path)))
        self.call("children with stat", lambda: [sorted(a.get_children(path)), a.get(path)[1]])
        self.call("empty data", a.get, path + "/child")
        self.call("sync", self.b.sync, path)
        self.call("other session reads", self.b.get, path)
        self.call("ensure_path", a.ensure_path, ROOT + "/deep/er/est")
        self.call("unicode", a.create, ROOT + "/ünï", "grüße".encode())
        self.call("delete", a.delete, path + "/child")
        self.call("get root", lambda: sorted(a.get_children(ROOT)))

    def errors(self):
        a = self.a
        self.call("get missing", a.get, ROOT + "/none")
        self.call("set missing", a.set, ROOT + "/none", b"")
        self.call("delete missing", a.delete, ROOT + "/none")
        self.call("create existing", a.create, ROOT + "/n")
        self.call("create orphan", a.create, ROOT + "/none/child")
        self.call("bad version", a.set, ROOT + "/n", b"", version=77)
        self.call("not empty", a.delete, ROOT + "/deep")
        self.call("children of missing", a.get_children, ROOT + "/none")
        self.call("still fine", a.get, ROOT + "/n")

    def multi(self):
        a = self.a
        good = a.transaction()
        good.create(ROOT + "/m", b"1")
        good.check(ROOT + "/m", 0)
        good.set_data(ROOT + "/m", b"2")
        good.create(ROOT + "/m/x", b"")
        good.delete(ROOT + "/m/x")
        self.call("multi", good.commit)
        bad = a.transaction()
        bad.set_data(ROOT + "/m", b"3")
        bad.check(ROOT + "/m", 99)
        bad.create(ROOT + "/m/y", b"")
        self.call("multi fails", bad.commit)
        self.call("nothing of it", lambda: [a.get(ROOT + "/m"), a.get_children(ROOT + "/m")])

    def watches(self):
        """Each step waits for its event, so that the order in the transcript is certain."""
        path = ROOT + "/w"
        self._expect("created", lambda fn: self.a.exists(path, watch=fn), lambda: self.b.create(path, b""))
        self._expect("changed", lambda fn: self.a.get(path, watch=fn), lambda: self.b.set(path, b"1"))
        self._expect("child", lambda fn: self.a.get_children(path, watch=fn), lambda: self.b.create(path + "/c"))
        self._expect("child gone", lambda fn: self.a.get_children(path, watch=fn),
                     lambda: self.b.delete(path + "/c"))
        fired = []
        self.a.get(path, watch=fired.append)
        self.b.set(path, b"2")
        self.b.set(path, b"3")
        wait_for(lambda: fired, WAIT, "the event of a one-shot watch")
        self.a.sync(path)
        self.note("two changes, one-shot watch:", len(fired))
        self._expect("deleted", lambda fn: self.a.get(path, watch=fn), lambda: self.b.delete(path))
        self._expect("created again", lambda fn: self.a.exists(path, watch=fn), lambda: self.b.create(path))

    def _expect(self, what, arm, act):
        fired = []
        self.call("arm " + what, lambda: arm(fired.append))
        act()
        event = wait_for(lambda: fired, WAIT, f"the event {what}")[0]
        self.note("event", what, event.type, event.path)

    def ephemerals(self):
        path = ROOT + "/eph"
        guest = self._client()
        self.call("ephemeral", self.a.create, path + "-a", b"", ephemeral=True)
        guest.create(path + "-guest", b"", ephemeral=True)
        self.call("owner", self.a.exists, path + "-a")
        self._catch_up(self.b)
        self.call("seen by b", self.b.exists, path + "-a")
        self.call("no children", self.a.create, path + "-a/child")
        gone = []
        self.b.exists(path + "-guest", watch=gone.append)
        guest.stop()
        event = wait_for(lambda: gone, WAIT, "the ephemeral of a closed session goes")[0]
        self.note("event", event.type == EventType.DELETED, event.path)
        self.call("after close", self.b.exists, path + "-guest")

    def sequences(self):
        self.a.create(ROOT + "/seq")
        for client in (self.a, self.b, self.a):
            self.call("sequence", client.create, ROOT + "/seq/s-", b"", sequence=True)
        self.call("ephemeral sequence", self.b.create, ROOT + "/seq/e-", b"", sequence=True, ephemeral=True)
        self.call("all", lambda: sorted(self.b.get_children(ROOT + "/seq")))

    @staticmethod
    def _catch_up(client):
        """Another session has written: the server of this one may be behind (ZooKeeper promises no more)."""
        client.sync(ROOT)

    def access(self):
        path = ROOT + "/acl"
        owner = self._client()
        self.call("add_auth", owner.add_auth, "digest", "oracle:word")
        acl = make_digest_acl("oracle", "word", all=True)
        self.call("create protected", owner.create, path, b"secret", acl=[acl])
        self.call("owner reads", owner.get, path)
        self._catch_up(self.a)
        self.call("stranger reads", self.a.get, path)
        self.call("stranger writes", self.a.set, path, b"")
        self.call("get_acls", owner.get_acls, path)
        self.call("open for reading", owner.set_acls, path, [acl, make_acl("world", "anyone", read=True)])
        self._catch_up(self.a)
        self.call("stranger reads now", self.a.get, path)
        self.call("stranger still may not write", self.a.set, path, b"")
        late = self._client(auth_data=[("digest", "oracle:word")])
        self.call("auth at connect", late.set, path, b"by late")
        self.call("invalid acl", self.a.create, ROOT + "/bad-acl", b"", acl=[make_acl("nonsense", "x", all=True)])
        self._fail_auth()
        self.call("delete protected", owner.delete, path)

    def _fail_auth(self):
        """What kazoo says next depends on whether the server's end of the connection has come already."""
        refused = self._client()
        self.call("unknown scheme", refused.add_auth, "nonsense", "x:y")
        with RawClient(self.hosts) as raw:
            raw.attach().send_frame(auth_frame("nonsense", "x:y"))
            self.note("reply to a failed auth", *raw.receive()[:2], "then", raw.wait_closed())

    def sizes(self):
        path = ROOT + "/big"
        data = bytes(range(256)) * (BIG // 256)
        self.call("big create", self.a.create, path, data)
        self._catch_up(self.b)
        self.call("big get", self.b.get, path)
        self.call("big set", self.b.set, path, data[::-1])
        self._catch_up(self.a)
        self.call("big again", self.a.get, path)
        self.a.create(ROOT + "/many")
        for pending in [self.a.create_async(f"{ROOT}/many/{i:0{LONG}}") for i in range(MANY)]:
            pending.get(timeout=60)
        self._catch_up(self.b)
        children = sorted(self.b.get_children(ROOT + "/many"))
        self.note("many", len(children), hashlib.sha256("".join(children).encode()).hexdigest()[:16])
        for pending in [self.b.delete_async(f"{ROOT}/many/{name}") for name in children]:
            pending.get(timeout=60)
        victim = self._client()
        self.call("over the limit", victim.create, ROOT + "/huge", b"x" * 1_100_000)
        wait_for(lambda: victim.connected, WAIT, "the library is back after the server hung up")
        self.call("back again", victim.exists, ROOT + "/huge")

    def locks(self):
        order = []
        first = self.a.Lock(ROOT + "/lock", "first")
        second = self.b.Lock(ROOT + "/lock", "second")
        self.note("acquired", first.acquire(timeout=WAIT))
        self.note("busy", second.acquire(blocking=False))
        self._catch_up(self.a)  # or it might still see the place that the second one has just left

        def wait_in_line():
            with second:
                order.append("second")
        waiter = threading.Thread(target=wait_in_line)
        waiter.start()
        wait_for(lambda: len(first.contenders()) == 2, WAIT, "the second contender is in line")
        self.note("contenders", first.contenders())
        order.append("first")
        first.release()
        waiter.join(WAIT)
        self.note("order", order)
        semaphore = self.a.Semaphore(ROOT + "/sem", max_leases=1)
        self.note("semaphore", semaphore.acquire(timeout=WAIT), semaphore.release())

    def elections(self):
        leaders, release = [], threading.Event()

        def lead(name):
            leaders.append(name)
            release.wait(WAIT)
        runs = []
        for client, name in ((self.a, "a"), (self.b, "b")):
            election = client.Election(ROOT + "/election", name)
            runs.append(threading.Thread(target=election.run, args=(lead, name)))
            runs[-1].start()
            place = len(runs)
            wait_for(lambda e=election, n=place: len(e.contenders()) == n, WAIT, f"{name} stands for election")
        wait_for(lambda: leaders, WAIT, "somebody leads")
        self.note("leads", leaders)
        release.set()
        for run in runs:
            run.join(WAIT)
        self.note("led", leaders)

    def pipeline(self):
        """Many requests outstanding at once, of every class; replies must keep the order."""
        path = ROOT + "/pipe"
        self.a.create(path, b"0")
        finished, pending = [], []
        for i in range(300):
            operation = (self.a.set_async, self.a.get_async, self.a.exists_async)[i % 3]
            pending.append(operation(path, b"%d" % i) if i % 3 == 0 else operation(path))
            pending[-1].rawlink(lambda _result, i=i: finished.append(i))
        results = [request.get(timeout=60) for request in pending]
        self.note("pipelined values", [results[i][0] for i in range(1, 300, 3)][-5:])
        self.note("versions grow", [results[i].version for i in range(0, 300, 3)] == list(range(1, 101)))
        wait_for(lambda: len(finished) == 300, WAIT, "every request is answered")
        self.note("in order", finished == list(range(300)))


def transcript(hosts, change=None):
    return Script(hosts, change).run()
