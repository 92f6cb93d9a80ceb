/* Requests that wait for their reply, oldest first: 16 bytes each, in a ring, which is a block of the
 * worker's cache at first, and given back when the queue is empty (px_request_queue_trim). Pure. */
#ifndef PROXY_SESSION_REQUEST_QUEUE_H
#define PROXY_SESSION_REQUEST_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/session/block_cache.h"
#include "zkproto/err.h"

/* What becomes of the reply. */
enum px_request_kind {
    PX_REQUEST_FORWARDED,  /* passes as it is */
    PX_REQUEST_HIDE_DATA,  /* getData of the config node */
    PX_REQUEST_HIDE_STAT,  /* exists of the config node */
    PX_REQUEST_HIDE_MULTI, /* multiRead with the config node among its paths; detail = bit per result */
    PX_REQUEST_LOCAL,      /* never sent to the server; detail = the error we answer */
    PX_REQUEST_OURS,       /* a ping of the proxy: the client never hears of it */
    PX_REQUEST_REFUSED,    /* answered out of turn with the server's last word; nothing more comes for it */
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

/* More than any client has outstanding; the shell stops reading a client long before (worker_int.h). */
#define PX_REQUESTS_MAX 65536u

/* Embedded in a session; all zero = empty. count <= capacity; capacity is a power of two, or 0 while ring is
 * NULL. */
struct px_request_queue {
    struct px_request *ring;
    uint32_t head;
    uint32_t count;
    uint32_t capacity;
};

/* Drops what is left. */
void px_request_queue_done(struct px_request_queue *queue, struct px_block_cache *blocks);
/* RC_FULL over PX_REQUESTS_MAX, RC_NOMEM. */
enum rc px_request_queue_push(struct px_request_queue *queue, struct px_block_cache *blocks,
                              struct px_request request) RC_MUST_CHECK;
/* The oldest one, NULL when empty; valid until the next push or pop. */
static inline const struct px_request *px_request_queue_head(const struct px_request_queue *queue)
{
    return queue->count == 0 ? NULL : &queue->ring[queue->head];
}
void px_request_queue_pop(struct px_request_queue *queue); /* must not be empty */
/* The n-th oldest; n < count. */
const struct px_request *px_request_queue_at(const struct px_request_queue *queue, uint32_t n);
/* … becomes PX_REQUEST_REFUSED. */
void px_request_queue_refuse(struct px_request_queue *queue, uint32_t n);
/* Gives the ring of an empty queue back. */
static inline void px_request_queue_trim(struct px_request_queue *queue, struct px_block_cache *blocks)
{
    if (queue->count == 0 && queue->ring != NULL)
        px_request_queue_done(queue, blocks);
}

#endif
