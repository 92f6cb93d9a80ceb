/* Where the client library connects to, since it can be given nothing but an address: a port of the loopback
 * that belongs to one handle, kept over reconnects, as the library's watches and session are. Whoever is not
 * the library's own socket is turned away. Control thread. */
#ifndef MIGRATE_ZKCLIENT_DOOR_H
#define MIGRATE_ZKCLIENT_DOOR_H

#include <stdint.h>

#include "zkproto/err.h"

/* Owned by the mig_zk. fd -1: none. */
struct zk_door {
    int fd;
    uint16_t port;
};

/* RC_IO. */
enum rc zk_door_open(struct zk_door *door, struct err *err) RC_MUST_CHECK;
void zk_door_close(struct zk_door *door);
/* The port of the library's own socket on its way through the door; 0 = it has none. */
uint16_t zk_door_port_of(int library_fd);
/* The other end of the connection that comes from that port, set up and non-blocking, the caller's; everybody
 * else who waits there is closed. RC_AGAIN: it has not arrived, wait until the door's fd is readable. RC_IO.
 */
enum rc zk_door_admit(const struct zk_door *door, uint16_t port, int *ret_fd, struct err *err) RC_MUST_CHECK;

#endif
