/* A sharded hash map from session id to its holder, chained through the claims themselves: a session costs no
 * allocation here. Locks are held for a few instructions. */
#include "proxy/net/owner_map.h"

#include <pthread.h>
#include <stdlib.h>

#include "zkproto/assert.h"

/* Enough that two workers rarely meet; an empty shard costs 64 bytes. */
#define OWNER_SHARDS   64u
#define BUCKETS_MIN    16u
#define BUCKET_FILLING 2u /* claims per bucket; more make the shard grow */

SLIST_HEAD(bucket, px_claim);

struct owner_shard {
    pthread_mutex_t lock;
    struct bucket *buckets;
    uint32_t bucket_count; /* a power of two, or 0 while buckets is NULL */
    uint32_t count;
};

struct px_owner_map {
    struct owner_shard shards[OWNER_SHARDS];
};

/* Ids of one server count up: a multiplication spreads them (Fibonacci hashing). */
static uint64_t mix(int64_t session_id)
{
    uint64_t id = (uint64_t)session_id;

    return (id ^ id >> 32) * 0x9e3779b97f4a7c15u;
}

static struct owner_shard *shard_of(struct px_owner_map *map, int64_t session_id)
{
    return &map->shards[mix(session_id) >> 58];
}

static struct bucket *bucket_of(struct bucket *buckets, uint32_t count, int64_t session_id)
{
    return &buckets[(uint32_t)(mix(session_id) >> 26) & (count - 1)];
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

void px_owner_map_free(struct px_owner_map *map)
{
    if (map == NULL)
        return;
    for (uint32_t i = 0; i < OWNER_SHARDS; i++) {
        free(map->shards[i].buckets);
        pthread_mutex_destroy(&map->shards[i].lock);
    }
    free(map);
}

static struct px_claim *find_locked(const struct owner_shard *shard, int64_t session_id)
{
    struct px_claim *claim;

    if (shard->bucket_count == 0)
        return NULL;
    SLIST_FOREACH(claim, bucket_of(shard->buckets, shard->bucket_count, session_id), entry)
    if (claim->session_id == session_id)
        return claim;
    return NULL;
}

/* Without memory the chains become longer: no harm, unless there is no bucket at all. */
static enum rc grow_locked(struct owner_shard *shard)
{
    uint32_t count = shard->bucket_count == 0 ? BUCKETS_MIN : shard->bucket_count * 2;
    struct bucket *buckets = calloc(count, sizeof(*buckets));

    if (buckets == NULL)
        return shard->bucket_count == 0 ? RC_NOMEM : RC_OK;
    for (uint32_t i = 0; i < shard->bucket_count; i++) {
        struct px_claim *claim;
        while ((claim = SLIST_FIRST(&shard->buckets[i])) != NULL) {
            SLIST_REMOVE_HEAD(&shard->buckets[i], entry);
            SLIST_INSERT_HEAD(bucket_of(buckets, count, claim->session_id), claim, entry);
        }
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
    return RC_OK;
}

static enum rc claim_locked(struct owner_shard *shard, struct px_claim *claim, int64_t session_id,
                            uint64_t *ret_holder)
{
    const struct px_claim *holder = find_locked(shard, session_id);

    if (holder != NULL && holder != claim) {
        *ret_holder = holder->token;
        return RC_EXISTS;
    }
    if (holder == claim)
        return RC_OK;
    if (shard->count >= shard->bucket_count * BUCKET_FILLING && grow_locked(shard) != RC_OK)
        return RC_NOMEM;
    claim->session_id = session_id;
    SLIST_INSERT_HEAD(bucket_of(shard->buckets, shard->bucket_count, session_id), claim, entry);
    shard->count++;
    return RC_OK;
}

enum rc px_owner_claim(struct px_owner_map *map, struct px_claim *claim, int64_t session_id,
                       uint64_t *ret_holder)
{
    struct owner_shard *shard = shard_of(map, session_id);
    enum rc rc;

    ASSERT(session_id != 0 && (claim->session_id == 0 || claim->session_id == session_id));
    pthread_mutex_lock(&shard->lock);
    rc = claim_locked(shard, claim, session_id, ret_holder);
    pthread_mutex_unlock(&shard->lock);
    return rc;
}

void px_owner_release(struct px_owner_map *map, struct px_claim *claim)
{
    struct owner_shard *shard = shard_of(map, claim->session_id);

    if (claim->session_id == 0)
        return;
    pthread_mutex_lock(&shard->lock);
    SLIST_REMOVE(bucket_of(shard->buckets, shard->bucket_count, claim->session_id), claim, px_claim, entry);
    claim->session_id = 0;
    shard->count--;
    pthread_mutex_unlock(&shard->lock);
}

struct px_claim *px_owner_find(struct px_owner_map *map, int64_t session_id, uint32_t worker)
{
    struct owner_shard *shard = shard_of(map, session_id);
    struct px_claim *claim;

    pthread_mutex_lock(&shard->lock);
    claim = find_locked(shard, session_id);
    if (claim != NULL && px_token_worker(claim->token) != worker)
        claim = NULL;
    pthread_mutex_unlock(&shard->lock);
    return claim;
}

uint64_t px_owner_count(struct px_owner_map *map)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < OWNER_SHARDS; i++) {
        pthread_mutex_lock(&map->shards[i].lock);
        count += map->shards[i].count;
        pthread_mutex_unlock(&map->shards[i].lock);
    }
    return count;
}
