"""The proxy's picture of watches is the servers': its gauges against `wchs` and `mntr` of every server, after
registration, events, removal, and SetWatches on a new connection (Debian's ZooKeeper 3.8.0)."""
import re
import struct

import pytest

from lib.ensemble import DirectClient
from lib.raw import EXISTS, GET_DATA, RawClient, ustring
from lib.waiting import SCALE, wait_for

pytestmark = pytest.mark.sanitizer

SYNC, GET_CHILDREN, GET_CHILDREN2, CHECK_WATCHES, REMOVE_WATCHES = 9, 8, 12, 17, 18
SET_WATCHES, SET_WATCHES2, ADD_WATCH = 101, 105, 106
CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4
PERSISTENT, RECURSIVE = 0, 1
CHILDREN, DATA, ANY = 1, 2, 3
NO_NODE, NO_AUTH, NO_WATCHER, MARSHALLING = -101, -102, -121, -5
ROOT = "/watched"


@pytest.fixture
def admin(shared_ensemble):
    """A client straight to a server, which changes what is watched; it watches nothing itself."""
    with shared_ensemble.client() as client:
        client.create(ROOT)
        yield client
        client.delete(ROOT, recursive=True)


@pytest.fixture
def proxy(shared_ensemble, make_proxy, admin):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]))
    yield proxy
    agree(proxy, shared_ensemble)  # every test leaves nothing: the servers' tables end empty, and so do ours


@pytest.fixture
def raw(proxy):
    with RawClient(proxy.clients) as client:
        yield client.attach()


def in_servers(ensemble):
    """(entries of all data tables, entries of all tables); a persistent watch is in both tables."""
    data = total = 0
    for server in ensemble.running():
        data += int(re.search(r"^Total watches:(\d+)$", server.word("wchs"), re.M)[1])
        total += int(re.search(r"^zk_watch_count\s+(\d+)$", server.word("mntr"), re.M)[1])
    return data, total


def agree(proxy, ensemble, data=0, child=0, persistent=0, recursive=0, shadowed=0):
    """The gauges are these, and the servers say the same.

    shadowed: persistent watches that a one-shot data watch has put out of the data table (up to 3.8).
    """
    wanted = {"data": data, "child": child, "persistent": persistent, "recursive": recursive}
    modes = persistent + recursive - shadowed
    tables = (data + modes, data + modes + child + persistent + recursive)

    def seen():
        gauges = proxy.metrics().by_label("zkferry_watches", "kind")
        return gauges, in_servers(ensemble)
    try:
        wait_for(lambda: seen() == (wanted, tables), 20, "")
    except AssertionError:
        assert seen() == (wanted, tables)


def catch_up(client):
    """The server of a client may be behind the one that took another client's write."""
    assert client.call(SYNC, ustring("/"))[0] == 0


def read(client, opcode, path, watch=True):
    error, _ = client.call(opcode, ustring(path) + struct.pack(">?", watch))
    return error


def path_int(client, opcode, path, value):
    error, _ = client.call(opcode, ustring(path) + struct.pack(">i", value))
    return error


def paths(*lists):
    return b"".join(struct.pack(">i", len(one)) + b"".join(map(ustring, one)) for one in lists)


def event(client):
    """The next frame, which must be an event: its type and path."""
    xid, _, body = client.receive()
    assert xid == -1
    kind, _, length = struct.unpack_from(">iii", body)
    return kind, body[12:12 + length].decode()


def test_reads_register_on_success_only(proxy, raw, shared_ensemble, admin):
    admin.create(ROOT + "/secret", acl=[])
    catch_up(raw)
    assert read(raw, GET_DATA, ROOT) == 0
    agree(proxy, shared_ensemble, data=1)
    assert read(raw, EXISTS, ROOT) == 0  # the same watch once more
    assert read(raw, EXISTS, ROOT + "/none") == NO_NODE  # registered all the same
    agree(proxy, shared_ensemble, data=2)
    assert read(raw, GET_CHILDREN, ROOT) == 0
    assert read(raw, GET_CHILDREN2, ROOT + "/secret", watch=False) in (0, NO_AUTH)
    agree(proxy, shared_ensemble, data=2, child=1)
    for opcode in (GET_DATA, GET_CHILDREN, GET_CHILDREN2):
        assert read(raw, opcode, ROOT + "/none2") == NO_NODE
        assert read(raw, opcode, ROOT, watch=False) == 0
    agree(proxy, shared_ensemble, data=2, child=1)
    raw.close()


def test_events_take_one_shot_watches_away(proxy, raw, shared_ensemble, admin):
    new, old = ROOT + "/new", ROOT + "/old"
    admin.create(old)
    catch_up(raw)
    assert read(raw, EXISTS, new) == NO_NODE
    assert read(raw, GET_DATA, old) == 0
    assert read(raw, GET_CHILDREN2, old) == 0
    assert read(raw, GET_CHILDREN, ROOT) == 0
    agree(proxy, shared_ensemble, data=2, child=2)
    admin.set(old, b"1")
    assert event(raw) == (DATA_CHANGED, old)
    agree(proxy, shared_ensemble, data=1, child=2)
    admin.create(new)
    assert {event(raw), event(raw)} == {(CREATED, new), (CHILDREN_CHANGED, ROOT)}
    agree(proxy, shared_ensemble, child=1)
    assert read(raw, EXISTS, old) == 0
    agree(proxy, shared_ensemble, data=1, child=1)
    admin.delete(old)  # one event, two watches
    assert event(raw) == (DELETED, old)
    agree(proxy, shared_ensemble)
    assert raw.ping()


def test_persistent_watches_stay(proxy, raw, shared_ensemble, admin):
    assert path_int(raw, ADD_WATCH, ROOT + "/p", PERSISTENT) == 0
    assert path_int(raw, ADD_WATCH, ROOT, RECURSIVE) == 0
    assert path_int(raw, ADD_WATCH, ROOT + "/x", 7) == MARSHALLING
    agree(proxy, shared_ensemble, persistent=1, recursive=1)
    admin.create(ROOT + "/p")
    admin.create(ROOT + "/p/c")
    admin.set(ROOT + "/p", b"1")
    admin.delete(ROOT + "/p/c")
    admin.delete(ROOT + "/p")
    while event(raw) != (DELETED, ROOT + "/p"):
        pass
    agree(proxy, shared_ensemble, persistent=1, recursive=1)
    raw.close()


def test_a_one_shot_watch_shadows_a_persistent_one(proxy, raw, shared_ensemble, admin):
    assert path_int(raw, ADD_WATCH, ROOT, PERSISTENT) == 0
    assert read(raw, GET_DATA, ROOT) == 0
    agree(proxy, shared_ensemble, data=1, persistent=1, shadowed=1)
    admin.set(ROOT, b"1")
    assert event(raw) == (DATA_CHANGED, ROOT)
    agree(proxy, shared_ensemble, persistent=1, shadowed=1)
    assert path_int(raw, ADD_WATCH, ROOT, PERSISTENT) == 0
    agree(proxy, shared_ensemble, persistent=1)
    raw.close()


def test_removal(proxy, raw, shared_ensemble):
    for opcode in (GET_DATA, GET_CHILDREN):
        assert read(raw, opcode, ROOT) == 0
    assert path_int(raw, ADD_WATCH, "/r", RECURSIVE) == 0
    assert path_int(raw, CHECK_WATCHES, ROOT, ANY) == 0
    assert path_int(raw, REMOVE_WATCHES, "/none", ANY) == NO_WATCHER
    agree(proxy, shared_ensemble, data=1, child=1, recursive=1)
    assert path_int(raw, REMOVE_WATCHES, ROOT, CHILDREN) == 0
    agree(proxy, shared_ensemble, data=1, recursive=1)
    assert path_int(raw, REMOVE_WATCHES, ROOT, DATA) == 0
    agree(proxy, shared_ensemble, recursive=1)
    assert path_int(raw, REMOVE_WATCHES, "/r", ANY) == 0
    agree(proxy, shared_ensemble)


@pytest.mark.parametrize("opcode", [SET_WATCHES, SET_WATCHES2])
def test_set_watches_on_a_new_connection(proxy, raw, shared_ensemble, admin, opcode):
    changed, same = ROOT + "/changed", ROOT + "/same"
    admin.create(changed)
    admin.create(same)
    catch_up(raw)
    for path in (changed, same):
        assert read(raw, GET_DATA, path) == 0
        assert read(raw, GET_CHILDREN, path) == 0
    agree(proxy, shared_ensemble, data=2, child=2)
    raw.close()
    agree(proxy, shared_ensemble)
    admin.set(changed, b"1")
    with RawClient(proxy.clients) as back:
        assert back.resume(raw) == raw.session_id
        catch_up(back)
        lists = [[changed, same], [ROOT + "/none", changed], [changed, same]]
        modes = [[ROOT + "/p"], [ROOT]] if opcode == SET_WATCHES2 else []
        back.send_frame(struct.pack(">iiq", -8, opcode, raw.zxid) + paths(*lists, *modes))
        assert event(back) == (DATA_CHANGED, changed)  # what was missed …
        assert event(back) == (CREATED, changed)  # … and an exist watch on a node that is there
        assert back.receive()[:2] == (-8, 0)
        agree(proxy, shared_ensemble, data=2, child=2, persistent=len(modes) // 2, recursive=len(modes) // 2)


def test_kazoo(proxy, shared_ensemble, admin):
    fired = []
    with DirectClient(hosts=proxy.clients, timeout=10.0) as client:
        client.start(timeout=30 * SCALE)
        for number in range(200):
            client.exists(f"{ROOT}/{number}", watch=fired.append)
        client.get_children(ROOT, watch=fired.append)
        client.get(ROOT, watch=fired.append)
        agree(proxy, shared_ensemble, data=201, child=1)
        for number in range(100):
            admin.create(f"{ROOT}/{number}")
        wait_for(lambda: len(fired) == 101, 20, "every watch that was due has fired")
        agree(proxy, shared_ensemble, data=101)
    assert proxy.metrics().value("zkferry_watch_overflow_total") == 0


def test_many_sessions_on_the_same_paths(proxy, shared_ensemble, admin):
    clients = [RawClient(proxy.clients).attach() for _ in range(20)]
    try:
        for client in clients:
            assert read(client, GET_DATA, ROOT) == 0
            assert path_int(client, ADD_WATCH, ROOT + "/all", RECURSIVE) == 0
        agree(proxy, shared_ensemble, data=20, recursive=20)
        admin.set(ROOT, b"1")
        assert [event(client) for client in clients] == [(DATA_CHANGED, ROOT)] * 20
        agree(proxy, shared_ensemble, recursive=20)
    finally:
        for client in clients:
            client.close()
