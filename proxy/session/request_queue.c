/* The ring behind the FIFOs of one session. Pure; allocates when it grows, nowhere else. */
#include "proxy/session/request_queue.h"

#include <stdlib.h>

#include "zkproto/assert.h"

#define CAPACITY_MIN (PX_BLOCK_BYTES / (uint32_t)sizeof(struct px_request))

_Static_assert(sizeof(struct px_request) == 16, "a deep pipeline costs 16 bytes per request");

static void ring_free(struct px_request *ring, uint32_t capacity, struct px_block_cache *blocks)
{
    if (capacity == CAPACITY_MIN)
        px_block_give(blocks, ring);
    else
        free(ring);
}

void px_request_queue_done(struct px_request_queue *queue, struct px_block_cache *blocks)
{
    ring_free(queue->ring, queue->capacity, blocks);
    *queue = (struct px_request_queue){0};
}

static enum rc queue_grow(struct px_request_queue *queue, struct px_block_cache *blocks)
{
    uint32_t capacity = queue->capacity == 0 ? CAPACITY_MIN : queue->capacity * 2;
    struct px_request *ring;

    if (capacity > PX_REQUESTS_MAX)
        return RC_FULL;
    ring = queue->capacity == 0 ? px_block_take(blocks) : malloc(capacity * sizeof(*ring));
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

enum rc px_request_queue_push(struct px_request_queue *queue, struct px_block_cache *blocks,
                              struct px_request request)
{
    if (queue->count == queue->capacity) {
        enum rc grown = queue_grow(queue, blocks);
        if (grown != RC_OK)
            return grown;
    }
    queue->ring[(queue->head + queue->count) & (queue->capacity - 1)] = request;
    queue->count++;
    return RC_OK;
}

const struct px_request *px_request_queue_at(const struct px_request_queue *queue, uint32_t n)
{
    ASSERT(n < queue->count);
    return &queue->ring[(queue->head + n) & (queue->capacity - 1)];
}

void px_request_queue_refuse(struct px_request_queue *queue, uint32_t n)
{
    ASSERT(n < queue->count);
    queue->ring[(queue->head + n) & (queue->capacity - 1)].kind = PX_REQUEST_REFUSED;
}

void px_request_queue_pop(struct px_request_queue *queue)
{
    ASSERT(queue->count > 0);
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
}
