/* Chunks of blocks, and their way back to the kernel. Pure. */
#include "proxy/session/block_cache.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "zkproto/assert.h"

/* Aligned to its size, so that a block's address leads to its chunk. */
#define CHUNK_BYTES ((uintptr_t)64 * 1024)
/* What pings need is not given up every time. */
#define SPARE_KEPT 16u

/* The first block of its own memory. Owned by the cache; in `open` while it has blocks to carve. */
struct px_block_chunk {
    LIST_ENTRY(px_block_chunk) entry;
    struct px_block *free;
    uint32_t fresh; /* index of the first block that was never carved: pages are touched one by one */
    uint32_t used;  /* carved and not put back */
};

#define CHUNK_BLOCKS (uint32_t)(CHUNK_BYTES / PX_BLOCK_BYTES)

_Static_assert(sizeof(struct px_block_chunk) <= PX_BLOCK_BYTES, "a chunk begins with itself");

static struct px_block_chunk *chunk_of(struct px_block *block)
{
    return (struct px_block_chunk *)((uintptr_t)block & ~(CHUNK_BYTES - 1));
}

static bool is_full(const struct px_block_chunk *chunk)
{
    return chunk->free == NULL && chunk->fresh == CHUNK_BLOCKS;
}

/* Maps twice as much and gives back what stands before and behind the aligned half. */
static uint8_t *map_aligned(void)
{
    uint8_t *all = mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t before;

    if (all == MAP_FAILED)
        return NULL;
    before = -(uintptr_t)all & (CHUNK_BYTES - 1);
    if (before > 0)
        munmap(all, before);
    munmap(all + before + CHUNK_BYTES, CHUNK_BYTES - before);
    return all + before;
}

static struct px_block_chunk *open_chunk(struct px_block_cache *cache)
{
    struct px_block_chunk *chunk = LIST_FIRST(&cache->open);

    if (chunk != NULL)
        return chunk;
    chunk = (struct px_block_chunk *)map_aligned();
    if (chunk == NULL)
        return NULL;
    chunk->fresh = 1;
    LIST_INSERT_HEAD(&cache->open, chunk, entry);
    cache->chunk_count++;
    return chunk;
}

void *px_block_carve(struct px_block_cache *cache)
{
    struct px_block_chunk *chunk = open_chunk(cache);
    struct px_block *block;

    if (chunk == NULL)
        return NULL;
    block = chunk->free;
    if (block != NULL)
        chunk->free = block->next;
    else
        block = (struct px_block *)((uint8_t *)chunk + PX_BLOCK_BYTES * chunk->fresh++);
    chunk->used++;
    if (is_full(chunk))
        LIST_REMOVE(chunk, entry);
    return block;
}

static void put_back(struct px_block_cache *cache, struct px_block *block)
{
    struct px_block_chunk *chunk = chunk_of(block);

    if (is_full(chunk)) /* first, so that the fullest ones are filled up again and others empty */
        LIST_INSERT_HEAD(&cache->open, chunk, entry);
    block->next = chunk->free;
    chunk->free = block;
    if (--chunk->used > 0)
        return;
    LIST_REMOVE(chunk, entry);
    munmap(chunk, CHUNK_BYTES);
    cache->chunk_count--;
}

/* Those go that lay longest. */
static void keep_spare(struct px_block_cache *cache, uint32_t count)
{
    struct px_block **end = &cache->spare;
    struct px_block *block;

    if (count >= cache->spare_count)
        return;
    for (uint32_t i = 0; i < count; i++)
        end = &(*end)->next;
    block = *end;
    *end = NULL;
    while (block != NULL) {
        struct px_block *next = block->next;
        put_back(cache, block);
        block = next;
    }
    cache->spare_count = count;
}

void px_block_cache_trim(struct px_block_cache *cache)
{
    uint32_t needed = cache->spare_count - cache->spare_min;

    keep_spare(cache, needed > SPARE_KEPT ? needed : SPARE_KEPT);
    cache->spare_min = cache->spare_count;
}

void px_block_cache_done(struct px_block_cache *cache)
{
    keep_spare(cache, 0);
    ASSERT(cache->chunk_count == 0);
}
