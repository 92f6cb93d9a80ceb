/* See zkclient_door.h. */
#include "migrate/zkclient/zkclient_door.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/sockets.h"

#define BACKLOG 16 /* for one connection, and strangers who want to be in its way */

static enum rc failed(struct err *err, const char *what)
{
    return err_set(err, RC_IO, "%s on the loopback: %s", what, strerror(errno));
}

enum rc zk_door_open(struct zk_door *door, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    door->fd = mig_socket_new(AF_INET);
    if (door->fd < 0)
        return failed(err, "a socket");
    if (bind(door->fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(door->fd, BACKLOG) != 0 ||
        getsockname(door->fd, (struct sockaddr *)&at, &length) != 0) {
        enum rc rc = failed(err, "a port");
        zk_door_close(door);
        return rc;
    }
    door->port = ntohs(at.sin_port);
    return RC_OK;
}

void zk_door_close(struct zk_door *door)
{
    if (door->fd >= 0)
        close(door->fd);
    door->fd = -1;
}

uint16_t zk_door_port_of(int library_fd)
{
    struct sockaddr_in at = {0};
    socklen_t length = sizeof at;
    if (getsockname(library_fd, (struct sockaddr *)&at, &length) != 0 || at.sin_family != AF_INET)
        return 0;
    return ntohs(at.sin_port);
}

static bool is_from(const struct sockaddr_in *peer, uint16_t port)
{
    return peer->sin_family == AF_INET && peer->sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
           ntohs(peer->sin_port) == port;
}

enum rc zk_door_admit(const struct zk_door *door, uint16_t port, int *ret_fd, struct err *err)
{
    for (;;) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        int fd = accept4(door->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && is_from(&peer, port)) {
            mig_socket_tune(fd);
            *ret_fd = fd;
            return RC_OK;
        }
        if (fd >= 0)
            close(fd);
        else if (errno == EAGAIN)
            return RC_AGAIN;
        else if (errno != ECONNABORTED && errno != EINTR)
            return failed(err, "accept");
    }
}
