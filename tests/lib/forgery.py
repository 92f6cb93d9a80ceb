"""Changes what a stopped server has stored, the way a broken disk or a wrong restore would: ZooKeeper starts with
it, and nobody but a comparison notices."""
import struct
import zlib

from .txnlog import FILE_HEADER_BYTES, RECORD_END


def forge(server, genuine, forged):
    """Replaces bytes in the server's transaction logs, with checksums that are right; returns how often.

    Only records whose length stays the same: nothing else in a log depends on them.
    """
    assert not server.running and len(genuine) == len(forged)
    return sum(_forge_file(path, genuine, forged)
               for path in (server.directory / "data" / "version-2").glob("log.*"))


def _forge_file(path, genuine, forged):
    data = bytearray(path.read_bytes())
    at, count = FILE_HEADER_BYTES, 0
    while at + 12 <= len(data):
        length = struct.unpack_from(">i", data, at + 8)[0]
        end = at + 12 + length
        if length <= 0 or end >= len(data) or data[end] != RECORD_END:
            break
        record = bytes(data[at + 12:end])
        if genuine in record:
            record = record.replace(genuine, forged)
            data[at + 12:end] = record
            struct.pack_into(">q", data, at, zlib.adler32(record))
            count += 1
        at = end + 1
    path.write_bytes(data)
    return count
