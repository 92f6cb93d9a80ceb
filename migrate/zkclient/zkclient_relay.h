/* One connection of an admin session, between the client library and its server:
 *
 *     library -- door (loopback) -- relay -- leg -- server
 *
 * The leg is dialed first; only when it stands is the library let in. Frames pass whole, in both directions,
 * and each is shown to the ledger before: the library never sees a byte of a server that our own codec has
 * not accepted. A server that sends anything else loses its connection, and nothing besides happens. What
 * else than plain TCP may carry the leg has its place here, since the library never sees that socket.
 *
 *     DIALING -> READY -> JOINING -> OPEN      from each of them -> LOST
 *
 * It calls nobody back but `stirred`, from the loop. Control thread. */
#ifndef MIGRATE_ZKCLIENT_RELAY_H
#define MIGRATE_ZKCLIENT_RELAY_H

#include <stdint.h>

#include "migrate/resolve.h"
#include "migrate/zkclient/zkclient_door.h"
#include "zkproto/err.h"

struct event_base;
struct zk_relay; /* owned by its mig_zk; by itself once it is leaving */

enum zk_relay_state {
    ZK_RELAY_DIALING, /* the server */
    ZK_RELAY_READY,   /* the server accepts, the library may connect */
    ZK_RELAY_JOINING, /* the library has begun to */
    ZK_RELAY_OPEN,
    ZK_RELAY_LOST, /* zk_relay_loss says why; the library's socket ends when it has got what was accepted */
};

/* Begins to dial, for dial_ms at most. stirred(context): the state has changed. RC_NOMEM, RC_IO. */
enum rc zk_relay_new(struct event_base *base, const struct mig_address *server, int32_t dial_ms,
                     void (*stirred)(void *context), void *context, struct zk_relay **ret_relay,
                     struct err *err) RC_MUST_CHECK;
/* Nothing more is sent; the library's socket ends. NULL is fine. */
void zk_relay_free(struct zk_relay *relay);
/* Instead of free: closeSession goes out behind what the library has sent, if it had a session. Who waits for
 * the server to end the connection is the loop; nobody is told. NULL is fine. */
void zk_relay_leave(struct zk_relay *relay);
/* Before a loop ends: waits for those of it that are leaving, wait_ms in all, and frees them. */
void zk_relay_finish(const struct event_base *base, int32_t wait_ms);

enum zk_relay_state zk_relay_state(const struct zk_relay *relay);
/* Of a lost one. RC_MALFORMED, RC_TOO_BIG, RC_REFUSED: it was closed for what the server sent. RC_IO,
 * RC_CLOSED, RC_TIMEOUT, RC_NOMEM, RC_FULL. */
const struct err *zk_relay_loss(const struct zk_relay *relay);
/* READY -> JOINING: library_fd is the library's socket on its way through the door, which must live as long
 * as the relay. */
void zk_relay_join(struct zk_relay *relay, const struct zk_door *door, int library_fd);
/* Our end of the connection to the server. RC_NOT_FOUND. */
enum rc zk_relay_local_address(const struct zk_relay *relay, struct mig_address *ret_address) RC_MUST_CHECK;

#endif
