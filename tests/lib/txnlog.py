"""What servers really committed, read from their transaction logs (protocol.md §6): the source of truth of
tests that ask whether a client was told of every change."""
import dataclasses
import struct
import zlib

CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4
HEADER = struct.Struct(">qiqqi")  # session, cxid, zxid, time, type
CREATE_TYPES, DELETE_TYPES, SET_TYPES = (1, 15, 19, 21), (2, 20), (5, 16)  # 16: reconfig writes its node
MULTI, CLOSE_SESSION = 14, -11
FILE_MAGIC, FILE_HEADER_BYTES, RECORD_END = b"ZKLG", 16, 0x42


@dataclasses.dataclass(frozen=True)
class Txn:
    """One committed transaction. changes: (event type, path) of each node it touched, in order."""
    zxid: int
    session: int
    type: int
    changes: tuple


class Broken(Exception):
    """The record does not hold what its type says."""


def read_string(record, at):
    length = struct.unpack_from(">i", record, at)[0]
    end = at + 4 + max(length, 0)
    if end > len(record):
        raise Broken
    return record[at + 4:end].decode("utf-8"), end


def read_changes(kind, record, at):
    """The changes one record stands for; those of a closed session are its ephemerals."""
    if kind in CREATE_TYPES:
        return [(CREATED, read_string(record, at)[0])]
    if kind in DELETE_TYPES:
        return [(DELETED, read_string(record, at)[0])]
    if kind in SET_TYPES:
        return [(DATA_CHANGED, read_string(record, at)[0])]
    if kind == MULTI:
        return list(multi_changes(record, at))
    if kind == CLOSE_SESSION:
        return list(closed_changes(record, at))
    return []  # errors, checks, ACLs, new sessions: nobody is told of them


def multi_changes(record, at):
    count, at = struct.unpack_from(">i", record, at)[0], at + 4
    for _ in range(count):
        kind, length = struct.unpack_from(">ii", record, at)
        yield from read_changes(kind, record, at + 8)
        at += 8 + max(length, 0)


def closed_changes(record, at):
    count, at = struct.unpack_from(">i", record, at)[0], at + 4
    for _ in range(count):
        path, at = read_string(record, at)
        yield DELETED, path


def read_file(path):
    """The transactions of one log file up to its end, or to the record that is being written right now."""
    data = path.read_bytes()
    assert not data or data[:4] == FILE_MAGIC, f"{path} is no transaction log"
    at = FILE_HEADER_BYTES
    while at + 12 <= len(data):
        checksum, length = struct.unpack_from(">qi", data, at)
        record = data[at + 12:at + 12 + length]
        at += 12 + length
        if length <= 0 or at >= len(data) or data[at] != RECORD_END or zlib.adler32(record) != checksum:
            return
        at += 1
        session, _, zxid, _, kind = HEADER.unpack_from(record)
        yield Txn(zxid, session, kind, tuple(read_changes(kind, record, HEADER.size)))


def committed(servers):
    """All transactions that any of these servers logged, by zxid; servers may have come and gone.

    Ask when the servers are quiet: what a leader has proposed but not committed is in its log too.
    """
    found = {}
    for server in servers:
        for path in sorted((server.directory / "data" / "version-2").glob("log.*")):
            for txn in read_file(path):
                known = found.setdefault(txn.zxid, txn)
                assert known == txn, f"server {server.id} has another transaction {txn.zxid:#x}"
    txns = [found[zxid] for zxid in sorted(found)]
    assert_no_gap(txns)
    return txns


def assert_no_gap(txns):
    """Within an epoch zxids count one by one: a hole would mean that events due are not known."""
    for before, after in zip(txns, txns[1:]):
        wanted = before.zxid + 1 if before.zxid >> 32 == after.zxid >> 32 else (after.zxid >> 32 << 32) + 1
        assert after.zxid == wanted, f"no log has {wanted:#x}, between {before.zxid:#x} and {after.zxid:#x}"
