"""Changes what a stopped server has stored, the way a broken disk or a wrong restore would: ZooKeeper starts with
it, and nobody but a comparison notices."""
import pathlib
import struct
import zlib

from .txnlog import FILE_HEADER_BYTES, RECORD_END
from .waiting import wait_for


def forge(server, genuine, forged):
    """Replaces bytes in the server's transaction logs, with checksums that are right; returns how often.

    Only records whose length stays the same: nothing else in a log depends on them.
    """
    assert not server.running and len(genuine) == len(forged)
    return sum(_forge_file(path, genuine, forged) for path in _logs(server))


def wait_stored(server, genuine):
    """Until the server has these bytes on its disk: a majority without it may have acknowledged them."""
    def stored():
        return any(genuine in data[at:end] for data in map(pathlib.Path.read_bytes, _logs(server))
                   for at, end in _records(data))
    wait_for(stored, 30, f"server {server.id} stores {genuine!r}")


def _logs(server):
    return list((server.directory / "data" / "version-2").glob("log.*"))


def _records(data):
    """(begin, end) of each whole record; its checksum lies 12 bytes before the begin."""
    at = FILE_HEADER_BYTES + 12
    while at <= len(data):
        length = struct.unpack_from(">i", data, at - 4)[0]
        end = at + length
        if length <= 0 or end >= len(data) or data[end] != RECORD_END:
            return
        yield at, end
        at = end + 1 + 12


def _forge_file(path, genuine, forged):
    data = bytearray(path.read_bytes())
    count = 0
    for at, end in _records(data):
        if genuine in data[at:end]:
            record = bytes(data[at:end]).replace(genuine, forged)
            data[at:end] = record
            struct.pack_into(">q", data, at - 12, zlib.adler32(record))
            count += 1
    path.write_bytes(data)
    return count
