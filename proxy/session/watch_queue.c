/* The ring behind watch_queue.h. Pure. */
#include "proxy/session/watch_queue.h"

#include <stdlib.h>

#include "proxy/session/alloc_int.h"
#include "zkproto/assert.h"

#define CAPACITY_MIN (PX_BLOCK_BYTES / (uint32_t)sizeof(struct px_watch_wish))

static void ring_free(struct px_watch_wish *ring, uint32_t capacity, struct px_block_cache *blocks)
{
    if (capacity == CAPACITY_MIN)
        px_block_give(blocks, ring);
    else
        free(ring);
}

static enum rc grow(struct px_watch_queue *queue, struct px_block_cache *blocks)
{
    uint32_t capacity = queue->capacity == 0 ? CAPACITY_MIN : queue->capacity * 2;
    struct px_watch_wish *ring =
        capacity == CAPACITY_MIN ? px_block_take(blocks) : px_session_alloc(capacity * sizeof(*ring));

    if (ring == NULL)
        return RC_NOMEM;
    for (uint32_t i = 0; i < queue->count; i++)
        ring[i] = queue->ring[(queue->head + i) & (queue->capacity - 1)];
    ring_free(queue->ring, queue->capacity, blocks);
    queue->ring = ring;
    queue->head = 0;
    queue->capacity = capacity;
    return RC_OK;
}

enum rc px_watch_queue_push(struct px_watch_queue *queue, struct px_path_pool *pool,
                            struct px_block_cache *blocks, struct px_watch_wish take_wish)
{
    if (queue->count == queue->capacity && grow(queue, blocks) != RC_OK) {
        px_path_drop(pool, take_wish.path);
        return RC_NOMEM;
    }
    queue->ring[(queue->head + queue->count) & (queue->capacity - 1)] = take_wish;
    queue->count++;
    queue->path_bytes += px_path_bytes(take_wish.path).len;
    return RC_OK;
}

struct px_watch_wish px_watch_queue_pop(struct px_watch_queue *queue)
{
    struct px_watch_wish wish;

    ASSERT(queue->count > 0);
    wish = queue->ring[queue->head];
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
    queue->path_bytes -= px_path_bytes(wish.path).len;
    return wish;
}

void px_watch_queue_done(struct px_watch_queue *queue, struct px_path_pool *pool,
                         struct px_block_cache *blocks)
{
    while (queue->count > 0)
        px_path_drop(pool, px_watch_queue_pop(queue).path);
    ring_free(queue->ring, queue->capacity, blocks);
    *queue = (struct px_watch_queue){0};
}
