/* See sockets.h. */
#include "migrate/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void set(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void mig_socket_tune(int fd)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, MIG_SOCKET_IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, MIG_SOCKET_INTERVAL_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, MIG_SOCKET_PROBES);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, MIG_SOCKET_UNACKED_MS);
}

void mig_socket_outlast(int fd, int32_t session_timeout_ms)
{
    if (session_timeout_ms < MIG_SOCKET_UNACKED_MS)
        return;
    bool has_room = session_timeout_ms <= INT32_MAX - MIG_SOCKET_UNACKED_MS;
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, has_room ? session_timeout_ms + MIG_SOCKET_UNACKED_MS : INT32_MAX);
}

int mig_socket_new(sa_family_t family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && family != AF_UNIX)
        mig_socket_tune(fd);
    return fd;
}

bool mig_socket_is_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == EADDRNOTAVAIL;
}

int mig_socket_lack(sa_family_t family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}
