/* The ring behind the FIFOs of one session. Pure; allocates when it grows, nowhere else. */
#include "proxy/session/request_queue.h"

#include <stdlib.h>

#include "zkproto/assert.h"

_Static_assert(sizeof(struct px_request) == 16, "a deep pipeline costs 16 bytes per request");

static struct px_request *slots_of(struct px_request_queue *queue)
{
    return queue->ring != NULL ? queue->ring : queue->own;
}

void px_request_queue_init(struct px_request_queue *queue)
{
    *queue = (struct px_request_queue){.capacity = PX_REQUESTS_INLINE};
}

void px_request_queue_done(struct px_request_queue *queue)
{
    free(queue->ring);
    px_request_queue_init(queue);
}

static enum rc queue_grow(struct px_request_queue *queue)
{
    uint32_t capacity = queue->capacity * 2;
    struct px_request *ring;

    if (capacity > PX_REQUESTS_MAX)
        return RC_FULL;
    ring = malloc(capacity * sizeof(*ring));
    if (ring == NULL)
        return RC_NOMEM;
    for (uint32_t i = 0; i < queue->count; i++)
        ring[i] = slots_of(queue)[(queue->head + i) & (queue->capacity - 1)];
    free(queue->ring);
    queue->ring = ring;
    queue->head = 0;
    queue->capacity = capacity;
    return RC_OK;
}

enum rc px_request_queue_push(struct px_request_queue *queue, struct px_request request)
{
    if (queue->count == queue->capacity) {
        enum rc grown = queue_grow(queue);
        if (grown != RC_OK)
            return grown;
    }
    slots_of(queue)[(queue->head + queue->count) & (queue->capacity - 1)] = request;
    queue->count++;
    return RC_OK;
}

const struct px_request *px_request_queue_head(const struct px_request_queue *queue)
{
    const struct px_request *slots = queue->ring != NULL ? queue->ring : queue->own;

    return queue->count == 0 ? NULL : &slots[queue->head];
}

const struct px_request *px_request_queue_at(const struct px_request_queue *queue, uint32_t n)
{
    const struct px_request *slots = queue->ring != NULL ? queue->ring : queue->own;

    ASSERT(n < queue->count);
    return &slots[(queue->head + n) & (queue->capacity - 1)];
}

void px_request_queue_pop(struct px_request_queue *queue)
{
    ASSERT(queue->count > 0);
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
}

void px_request_queue_trim(struct px_request_queue *queue)
{
    if (queue->count == 0 && queue->ring != NULL)
        px_request_queue_done(queue);
}
