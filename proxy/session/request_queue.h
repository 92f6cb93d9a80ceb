/* Requests that wait for their reply, oldest first: 16 bytes each, in a ring. A few fit into the queue
 * itself, so that a client with one request at a time never allocates; a ring grows on demand and is given
 * back when the queue has been empty for a while (px_request_queue_trim). Pure. */
#ifndef PROXY_SESSION_REQUEST_QUEUE_H
#define PROXY_SESSION_REQUEST_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "zkproto/err.h"

/* What becomes of the reply. */
enum px_request_kind {
    PX_REQUEST_FORWARDED,  /* passes as it is */
    PX_REQUEST_HIDE_DATA,  /* getData of the config node */
    PX_REQUEST_HIDE_STAT,  /* exists of the config node */
    PX_REQUEST_HIDE_MULTI, /* multiRead with the config node among its paths; detail = bit per result */
    PX_REQUEST_LOCAL,      /* never sent to the server; detail = the error we answer */
    PX_REQUEST_OURS,       /* a ping of the proxy: the client never hears of it */
};

/* What the reply means to the session's watches. */
enum px_request_watch {
    PX_REQUEST_WATCH_NONE,
    PX_REQUEST_WATCH_WISHED, /* decides about the oldest wish (watch_queue.h) */
    PX_REQUEST_WATCH_SENT,   /* SetWatches: they are in the set already */
};

struct px_request {
    int32_t xid;      /* what the reply will carry */
    uint32_t sent_us; /* low 32 bits of the loop's clock */
    uint32_t detail;
    uint8_t op;      /* enum zkp_op_index */
    uint8_t kind;    /* enum px_request_kind */
    uint8_t watch;   /* enum px_request_watch */
    uint8_t is_kept; /* a read whose bytes are in kept.h */
};

#define PX_REQUESTS_INLINE 2u /* one request and one ping: most clients */
/* More than any client has outstanding; the shell stops reading a client long before (worker_int.h). */
#define PX_REQUESTS_MAX 65536u

/* Embedded in a session. count <= capacity; capacity is PX_REQUESTS_INLINE while ring is NULL and a power
 * of two always. */
struct px_request_queue {
    struct px_request *ring;
    uint32_t head;
    uint32_t count;
    uint32_t capacity;
    struct px_request own[PX_REQUESTS_INLINE];
};

void px_request_queue_init(struct px_request_queue *queue);
void px_request_queue_done(struct px_request_queue *queue);
/* RC_FULL over PX_REQUESTS_MAX, RC_NOMEM. */
enum rc px_request_queue_push(struct px_request_queue *queue, struct px_request request) RC_MUST_CHECK;
/* The oldest one, NULL when empty; valid until the next push or pop. */
const struct px_request *px_request_queue_head(const struct px_request_queue *queue);
void px_request_queue_pop(struct px_request_queue *queue); /* must not be empty */
/* The n-th oldest; n < count. */
const struct px_request *px_request_queue_at(const struct px_request_queue *queue, uint32_t n);
/* Frees the ring of an empty queue. */
void px_request_queue_trim(struct px_request_queue *queue);

#endif
