/* The small arrays that a session needs only while requests wait for their replies, from one stock per
 * worker: a session that has nothing outstanding owns none. Last in, first out, so that the few that are in
 * use at a time stay in the CPU's cache, whichever sessions are busy. They stand in mappings of their own,
 * not between things that stay in the heap: after a burst, what is not needed any more goes back to the
 * kernel. Owned by the worker, worker thread only; pure. */
#ifndef PROXY_SESSION_BLOCK_CACHE_H
#define PROXY_SESSION_BLOCK_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* 32 requests, or the bytes of a dozen reads. */
#define PX_BLOCK_BYTES 512u

struct px_block {
    struct px_block *next;
};

struct px_block_chunk;
LIST_HEAD(px_block_chunks, px_block_chunk);

/* Embedded; all zero = empty. spare_min <= spare_count. */
struct px_block_cache {
    struct px_block *spare;
    uint32_t spare_count;
    uint32_t spare_min;          /* of spare_count, since the last trim: so many were not needed */
    struct px_block_chunks open; /* those that have blocks neither in use nor spare */
    uint32_t chunk_count;
};

/* All blocks were given back. */
void px_block_cache_done(struct px_block_cache *cache);
/* For now and then: gives up those blocks that were spare all the time since the last trim. */
void px_block_cache_trim(struct px_block_cache *cache);
/* One from a chunk; NULL when out of memory. Only px_block_take. */
void *px_block_carve(struct px_block_cache *cache);

/* Both stand here because every request comes by. PX_BLOCK_BYTES of garbage; NULL when out of memory. */
static inline void *px_block_take(struct px_block_cache *cache)
{
    struct px_block *block = cache->spare;

    if (block == NULL)
        return px_block_carve(cache);
    cache->spare = block->next;
    if (--cache->spare_count < cache->spare_min)
        cache->spare_min = cache->spare_count;
    return block;
}

static inline void px_block_give(struct px_block_cache *cache, void *take_block)
{
    struct px_block *block = take_block;

    block->next = cache->spare;
    cache->spare = block;
    cache->spare_count++;
}

#endif
