/* Requests that set or remove a watch and wait for their reply: the path and what is wanted of it, oldest
 * first, in the order of the pipeline's marked requests. Other requests have no entry here, so that they
 * cost nothing. In a ring, which is a block of the worker's cache at first, and given back when the queue is
 * empty (px_watch_queue_trim). Owned by the session; pure; allocates when it grows, nowhere else. */
#ifndef PROXY_SESSION_WATCH_QUEUE_H
#define PROXY_SESSION_WATCH_QUEUE_H

#include "proxy/session/block_cache.h"
#include "proxy/session/path_pool.h"
#include "zkproto/err.h"

struct px_watch_wish {
    struct px_path *path; /* a reference of its own */
    int32_t value;        /* addWatch's mode, removeWatches' type */
};

/* Embedded; all zero = empty. count <= capacity, a power of two, or 0 while ring is NULL. */
struct px_watch_queue {
    struct px_watch_wish *ring;
    uint32_t head;
    uint32_t count;
    uint32_t capacity;
    uint32_t path_bytes;
};

/* Drops what is left. */
void px_watch_queue_done(struct px_watch_queue *queue, struct px_path_pool *pool,
                         struct px_block_cache *blocks);
/* Takes over the reference, also when it fails (RC_NOMEM). */
enum rc px_watch_queue_push(struct px_watch_queue *queue, struct px_path_pool *pool,
                            struct px_block_cache *blocks, struct px_watch_wish take_wish) RC_MUST_CHECK;
/* The oldest one, which goes with its reference to the caller; must not be empty. */
struct px_watch_wish px_watch_queue_pop(struct px_watch_queue *queue);
/* Gives the ring of an empty queue back. */
static inline void px_watch_queue_trim(struct px_watch_queue *queue, struct px_path_pool *pool,
                                       struct px_block_cache *blocks)
{
    if (queue->count == 0 && queue->ring != NULL)
        px_watch_queue_done(queue, pool, blocks);
}

#endif
