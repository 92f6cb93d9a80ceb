/* Interned paths: a table from bytes to the one copy. Pure; a path is one allocation. */
#include "proxy/session/path_pool.h"

#include <stdlib.h>

#include "proxy/session/alloc_int.h"
#include "proxy/session/path_table.h"
#include "zkproto/assert.h"

/* Owned by the pool; lives while refcount > 0. */
struct px_path {
    uint32_t hash;
    uint32_t refcount; /* sets and unanswered requests that hold it */
    uint32_t length;
    uint8_t bytes[];
};

struct px_path_pool {
    uint64_t seed;
    struct px_path_table table;
};

/* Folded multiplication: each product bit depends on all bits of both factors. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_of(uint64_t seed, struct zkp_slice bytes)
{
    uint64_t hash = fold(seed ^ bytes.len, 0x9e3779b97f4a7c15u);
    uint64_t word;
    uint32_t at = 0;

    for (; bytes.len - at >= sizeof(word); at += (uint32_t)sizeof(word)) {
        memcpy(&word, bytes.ptr + at, sizeof(word));
        hash = fold(hash ^ word, 0xd6e8feb86659fd93u ^ seed);
    }
    word = 0;
    if (at < bytes.len)
        memcpy(&word, bytes.ptr + at, bytes.len - at);
    return (uint32_t)fold(hash ^ word, 0xc2b2ae3d27d4eb4fu ^ seed);
}

struct px_path_pool *px_path_pool_new(uint64_t seed)
{
    struct px_path_pool *pool = px_session_alloc(sizeof(*pool));

    if (pool != NULL)
        pool->seed = seed;
    return pool;
}

void px_path_pool_free(struct px_path_pool *pool)
{
    if (pool == NULL)
        return;
    ASSERT(pool->table.count == 0);
    px_path_table_done(&pool->table);
    free(pool);
}

uint32_t px_path_pool_count(const struct px_path_pool *pool)
{
    return pool->table.count;
}

static struct px_path *find(const struct px_path_pool *pool, struct zkp_slice bytes, uint32_t hash)
{
    const struct px_path_slot *slot;
    uint32_t at = hash;

    while ((slot = px_path_table_probe(&pool->table, &at)) != NULL)
        if (slot->hash == hash && zkp_slice_eq(px_path_bytes(slot->path), bytes))
            return slot->path;
    return NULL;
}

struct px_path *px_path_pool_find(const struct px_path_pool *pool, struct zkp_slice bytes)
{
    return find(pool, bytes, hash_of(pool->seed, bytes));
}

static enum rc add(struct px_path_pool *pool, struct zkp_slice bytes, uint32_t hash,
                   struct px_path **ret_path)
{
    struct px_path *path;

    if (px_path_table_reserve(&pool->table) != RC_OK)
        return RC_NOMEM;
    path = px_session_alloc(sizeof(*path) + bytes.len);
    if (path == NULL)
        return RC_NOMEM;
    path->hash = hash;
    path->refcount = 1;
    path->length = bytes.len;
    if (bytes.len > 0)
        memcpy(path->bytes, bytes.ptr, bytes.len);
    px_path_table_insert(&pool->table, path, hash);
    *ret_path = path;
    return RC_OK;
}

enum rc px_path_pool_take(struct px_path_pool *pool, struct zkp_slice bytes, struct px_path **ret_path)
{
    uint32_t hash = hash_of(pool->seed, bytes);
    struct px_path *path = find(pool, bytes, hash);

    if (path == NULL)
        return add(pool, bytes, hash, ret_path);
    px_path_ref(path);
    *ret_path = path;
    return RC_OK;
}

void px_path_ref(struct px_path *path)
{
    ASSERT(path->refcount < UINT32_MAX);
    path->refcount++;
}

void px_path_drop(struct px_path_pool *pool, struct px_path *path)
{
    ASSERT(path->refcount > 0);
    if (--path->refcount > 0)
        return;
    px_path_table_erase(&pool->table, px_path_table_find(&pool->table, path, path->hash));
    free(path);
}

struct zkp_slice px_path_bytes(const struct px_path *path)
{
    return zkp_slice_of(path->bytes, path->length);
}

uint32_t px_path_hash(const struct px_path *path)
{
    return path->hash;
}
