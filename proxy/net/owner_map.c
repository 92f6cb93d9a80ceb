/* A sharded hash map from session id to its holder. Locks are held for a few instructions. */
#include "proxy/net/owner_map.h"

#include <pthread.h>
#include <stdlib.h>

#include "proxy/net/hash.h"

/* Enough that two workers rarely meet; a shard costs 64 bytes. */
#define OWNER_SHARDS 64u

struct owner_entry {
    int64_t session_id;
    struct px_owner owner;
    UT_hash_handle hh;
};

struct owner_shard {
    pthread_mutex_t lock;
    struct owner_entry *entries;
};

struct px_owner_map {
    struct owner_shard shards[OWNER_SHARDS];
};

static struct owner_shard *shard_of(struct px_owner_map *map, int64_t session_id)
{
    /* Ids of one server count up: a multiplication spreads them (Fibonacci hashing). */
    uint64_t mixed = (uint64_t)session_id * 0x9e3779b97f4a7c15u;

    return &map->shards[mixed >> 58];
}

struct px_owner_map *px_owner_map_new(void)
{
    struct px_owner_map *map = calloc(1, sizeof(*map));

    if (map == NULL)
        return NULL;
    for (uint32_t i = 0; i < OWNER_SHARDS; i++)
        pthread_mutex_init(&map->shards[i].lock, NULL);
    return map;
}

static void shard_done(struct owner_shard *shard)
{
    struct owner_entry *entry;
    struct owner_entry *next;

    HASH_ITER(hh, shard->entries, entry, next)
    {
        HASH_DEL(shard->entries, entry);
        free(entry);
    }
    pthread_mutex_destroy(&shard->lock);
}

void px_owner_map_free(struct px_owner_map *map)
{
    if (map == NULL)
        return;
    for (uint32_t i = 0; i < OWNER_SHARDS; i++)
        shard_done(&map->shards[i]);
    free(map);
}

static bool same_owner(struct px_owner a, struct px_owner b)
{
    return a.worker == b.worker && a.token == b.token;
}

static enum rc claim_locked(struct owner_shard *shard, int64_t session_id, struct px_owner owner,
                            struct px_owner *ret_holder)
{
    struct owner_entry *entry;

    HASH_FIND(hh, shard->entries, &session_id, sizeof(session_id), entry);
    if (entry != NULL) {
        if (same_owner(entry->owner, owner))
            return RC_OK;
        *ret_holder = entry->owner;
        return RC_EXISTS;
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return RC_NOMEM;
    entry->session_id = session_id;
    entry->owner = owner;
    HASH_ADD(hh, shard->entries, session_id, sizeof(entry->session_id), entry);
    return RC_OK;
}

enum rc px_owner_claim(struct px_owner_map *map, int64_t session_id, struct px_owner owner,
                       struct px_owner *ret_holder)
{
    struct owner_shard *shard = shard_of(map, session_id);
    enum rc rc;

    pthread_mutex_lock(&shard->lock);
    rc = claim_locked(shard, session_id, owner, ret_holder);
    pthread_mutex_unlock(&shard->lock);
    return rc;
}

void px_owner_release(struct px_owner_map *map, int64_t session_id, struct px_owner owner)
{
    struct owner_shard *shard = shard_of(map, session_id);
    struct owner_entry *entry;

    pthread_mutex_lock(&shard->lock);
    HASH_FIND(hh, shard->entries, &session_id, sizeof(session_id), entry);
    if (entry != NULL && same_owner(entry->owner, owner)) {
        HASH_DEL(shard->entries, entry);
        free(entry);
    }
    pthread_mutex_unlock(&shard->lock);
}

uint64_t px_owner_count(struct px_owner_map *map)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < OWNER_SHARDS; i++) {
        pthread_mutex_lock(&map->shards[i].lock);
        count += HASH_COUNT(map->shards[i].entries);
        pthread_mutex_unlock(&map->shards[i].lock);
    }
    return count;
}
