/* The small arrays that a session needs only while requests wait for their replies, from one stock per
 * worker: a session that has nothing outstanding owns none. Last in, first out, so that the few that are in
 * use at a time stay in the CPU's cache, whichever sessions are busy. Owned by the worker, worker thread
 * only; pure. */
#ifndef PROXY_SESSION_BLOCK_CACHE_H
#define PROXY_SESSION_BLOCK_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* 32 requests, or the bytes of a dozen reads. */
#define PX_BLOCK_BYTES 512u
/* Spare ones; more than sessions of one worker are busy within one loop turn. */
#define PX_BLOCKS_SPARE_MAX 256u

struct px_block {
    struct px_block *next;
};

/* Embedded; all zero = empty. count <= PX_BLOCKS_SPARE_MAX. */
struct px_block_cache {
    struct px_block *first;
    uint32_t count;
};

/* Frees the spare ones. */
void px_block_cache_done(struct px_block_cache *cache);

/* Both stand here because every request comes by. PX_BLOCK_BYTES of garbage, which may also be realloc'ed and
 * freed; NULL when out of memory. */
static inline void *px_block_take(struct px_block_cache *cache)
{
    struct px_block *block = cache->first;

    if (block == NULL)
        return malloc(PX_BLOCK_BYTES);
    cache->first = block->next;
    cache->count--;
    return block;
}

static inline void px_block_give(struct px_block_cache *cache, void *take_block)
{
    struct px_block *block = take_block;

    if (cache->count == PX_BLOCKS_SPARE_MAX) {
        free(block);
        return;
    }
    block->next = cache->first;
    cache->first = block;
    cache->count++;
}

#endif
