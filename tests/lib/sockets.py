"""The sockets of another process, looked at with the kernel's eyes (root, or the same user)."""
import ctypes
import os
import pathlib
import socket

_PIDFD_GETFD = 438  # no wrapper in Python's os
_libc = ctypes.CDLL(None, use_errno=True)


def tcp_sockets(pid):
    """A list of (fd, copy of the socket): the caller closes the copies."""
    found = []
    pidfd = os.pidfd_open(pid)
    try:
        for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                is_socket = os.readlink(entry).startswith("socket:")
            except FileNotFoundError:
                continue  # closed meanwhile
            if not is_socket:
                continue
            fd = _libc.syscall(_PIDFD_GETFD, pidfd, int(entry.name), 0)
            if fd < 0:
                continue
            copy = socket.socket(fileno=fd)
            if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.type == socket.SOCK_STREAM:
                found.append((int(entry.name), copy))
            else:
                copy.close()
    finally:
        os.close(pidfd)
    return found


def is_closed_on_exec(pid, fd):
    text = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="ascii")
    flags = next(line.split()[1] for line in text.splitlines() if line.startswith("flags:"))
    return bool(int(flags, 8) & os.O_CLOEXEC)
