/* See origins.h. Chained buckets; only the counts are touched by other threads. */
#include "proxy/net/origins.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/net/shared.h"

#define BUCKETS_MIN 64u
#define WINDOW_MS   1000 /* then an origin may come as often as ever: nothing is left to remember */

struct px_origin {
    SLIST_ENTRY(px_origin) entry;
    struct px_origins *owner;
    uint8_t bytes[8];
    uint8_t length; /* 4, 8; 0 = an address of another family */
    _Atomic(bool) is_exempt;
    _Atomic(uint32_t) open_count;
    _Atomic(uint32_t) silent_count; /* <= open_count */
    int64_t tokens_milli;           /* connects it may make at once, in thousandths */
    int64_t at_ms;                  /* when that was right, which is when it came last */
};

SLIST_HEAD(bucket, px_origin);

struct px_origins {
    struct bucket *buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t count;
    uint64_t seed;
    int64_t swept_ms;
    _Atomic(uint32_t) open_count;
};

const char *px_refusal_name(enum px_refusal refusal)
{
    static const char *const names[] = {
#define REFUSAL_NAME(name, label, key) label,
        PX_REFUSALS(REFUSAL_NAME)
#undef REFUSAL_NAME
    };
    return names[refusal];
}

const char *px_refusal_key(enum px_refusal refusal)
{
    static const char *const keys[] = {
#define REFUSAL_KEY(name, label, key) key,
        PX_REFUSALS(REFUSAL_KEY)
#undef REFUSAL_KEY
    };
    return keys[refusal];
}

struct px_origins *px_origins_new(uint64_t seed)
{
    struct px_origins *origins = calloc(1, sizeof(*origins));

    if (origins == NULL)
        return NULL;
    origins->buckets = calloc(BUCKETS_MIN, sizeof(*origins->buckets));
    if (origins->buckets == NULL) {
        free(origins);
        return NULL;
    }
    origins->bucket_count = BUCKETS_MIN;
    origins->seed = seed;
    return origins;
}

void px_origins_free(struct px_origins *origins)
{
    if (origins == NULL)
        return;
    for (uint32_t i = 0; i < origins->bucket_count; i++) {
        struct px_origin *origin;
        while ((origin = SLIST_FIRST(&origins->buckets[i])) != NULL) {
            SLIST_REMOVE_HEAD(&origins->buckets[i], entry);
            free(origin);
        }
    }
    free(origins->buckets);
    free(origins);
}

/* The finaliser of splitmix64, keyed. */
static struct bucket *bucket_of(const struct px_origins *origins, struct bucket *buckets, uint32_t count,
                                const uint8_t bytes[static 8])
{
    uint64_t x;

    memcpy(&x, bytes, sizeof(x));
    x ^= origins->seed;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return &buckets[(uint32_t)(x ^ x >> 31) & (count - 1)];
}

/* Without memory the chains become longer. */
static void grow(struct px_origins *origins)
{
    uint32_t count = origins->bucket_count * 2;
    struct bucket *buckets = calloc(count, sizeof(*buckets));

    if (buckets == NULL)
        return;
    for (uint32_t i = 0; i < origins->bucket_count; i++) {
        struct px_origin *origin;
        while ((origin = SLIST_FIRST(&origins->buckets[i])) != NULL) {
            SLIST_REMOVE_HEAD(&origins->buckets[i], entry);
            SLIST_INSERT_HEAD(bucket_of(origins, buckets, count, origin->bytes), origin, entry);
        }
    }
    free(origins->buckets);
    origins->buckets = buckets;
    origins->bucket_count = count;
}

static struct px_origin *find_or_add(struct px_origins *origins, const struct sockaddr *address)
{
    uint8_t bytes[16] = {0};
    uint8_t length = conf_address_bytes(address, bytes);
    struct px_origin *origin;

    if (length > 8) {
        length = 8;
        memset(bytes + 8, 0, 8);
    }
    SLIST_FOREACH(origin, bucket_of(origins, origins->buckets, origins->bucket_count, bytes), entry)
    if (origin->length == length && memcmp(origin->bytes, bytes, sizeof(origin->bytes)) == 0)
        return origin;
    if (origins->count >= origins->bucket_count)
        grow(origins);
    origin = calloc(1, sizeof(*origin));
    if (origin == NULL)
        return NULL;
    origin->owner = origins;
    memcpy(origin->bytes, bytes, sizeof(origin->bytes));
    origin->length = length;
    SLIST_INSERT_HEAD(bucket_of(origins, origins->buckets, origins->bucket_count, bytes), origin, entry);
    origins->count++;
    return origin;
}

/* Who closes a connection does not touch its origin any more once it is counted down (release). */
static bool is_idle(const struct px_origin *origin, int64_t now_ms, int64_t window_ms)
{
    return atomic_load_explicit(&origin->open_count, memory_order_acquire) == 0 &&
           now_ms - origin->at_ms >= window_ms;
}

static void sweep(struct px_origins *origins, int64_t now_ms, int64_t window_ms)
{
    for (uint32_t i = 0; i < origins->bucket_count; i++) {
        struct px_origin *origin = SLIST_FIRST(&origins->buckets[i]);
        while (origin != NULL) {
            struct px_origin *next = SLIST_NEXT(origin, entry);
            if (is_idle(origin, now_ms, window_ms)) {
                SLIST_REMOVE(&origins->buckets[i], origin, px_origin, entry);
                free(origin);
                origins->count--;
            }
            origin = next;
        }
    }
}

void px_origins_tick(struct px_origins *origins, int64_t now_ms)
{
    if (now_ms - origins->swept_ms < WINDOW_MS)
        return;
    origins->swept_ms = now_ms;
    sweep(origins, now_ms, WINDOW_MS);
}

static bool take_token(struct px_origin *origin, uint32_t rate, int64_t now_ms)
{
    int64_t full = (int64_t)rate * 1000;
    int64_t passed_ms = now_ms - origin->at_ms;

    /* A second fills it: so long must nobody be remembered, and so long is what comes after it. */
    if (passed_ms >= WINDOW_MS || origin->at_ms == 0)
        origin->tokens_milli = full;
    else
        origin->tokens_milli += passed_ms * rate;
    if (origin->tokens_milli > full)
        origin->tokens_milli = full;
    origin->at_ms = now_ms;
    if (rate == 0)
        return true;
    if (origin->tokens_milli < 1000)
        return false;
    origin->tokens_milli -= 1000;
    return true;
}

static enum px_refusal judge(struct px_origin *origin, const struct px_origin_limits *limits, int64_t now_ms)
{
    bool is_exempt = atomic_load_explicit(&origin->is_exempt, memory_order_relaxed);
    uint32_t open = atomic_load_explicit(&origin->open_count, memory_order_relaxed);

    if (!is_exempt && limits->connections_max > 0 && open >= limits->connections_max)
        return PX_REFUSAL_ADDRESS_CONNECTIONS;
    if (!take_token(origin, is_exempt ? 0 : limits->connects_per_second, now_ms))
        return PX_REFUSAL_ADDRESS_RATE;
    return PX_REFUSAL_COUNT;
}

enum px_refusal px_origins_enter(struct px_origins *origins, const struct sockaddr *address,
                                 const struct px_origin_limits *limits, int64_t now_ms,
                                 struct px_origin **ret_origin)
{
    uint32_t open = px_origins_open(origins);
    struct px_origin *origin;
    enum px_refusal refusal;

    px_origins_tick(origins, now_ms);
    if ((int64_t)open >= limits->open_max)
        return PX_REFUSAL_CONNECTIONS;
    if (origins->count >= PX_ORIGINS_IDLE_MAX && origins->count - PX_ORIGINS_IDLE_MAX >= open)
        sweep(origins, now_ms, 0);
    origin = find_or_add(origins, address);
    if (origin == NULL)
        return PX_REFUSAL_MEMORY;
    atomic_store_explicit(&origin->is_exempt, conf_networks_have(limits->exempts, address),
                          memory_order_relaxed);
    refusal = judge(origin, limits, now_ms);
    if (refusal != PX_REFUSAL_COUNT)
        return refusal;
    atomic_fetch_add_explicit(&origin->open_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&origins->open_count, 1, memory_order_relaxed);
    *ret_origin = origin;
    return PX_REFUSAL_COUNT;
}

void px_origin_leave(struct px_origin *origin)
{
    struct px_origins *origins;

    if (origin == NULL)
        return;
    origins = origin->owner;
    atomic_fetch_sub_explicit(&origin->open_count, 1, memory_order_release);
    px_shared_give(&origins->open_count);
}

bool px_origin_silence_take(struct px_origin *origin, uint32_t max)
{
    if (origin == NULL)
        return true;
    if (max == 0 || atomic_load_explicit(&origin->is_exempt, memory_order_relaxed))
        max = UINT32_MAX;
    return px_shared_take(&origin->silent_count, max);
}

void px_origin_silence_give(struct px_origin *origin)
{
    if (origin != NULL)
        px_shared_give(&origin->silent_count);
}

uint32_t px_origins_count(const struct px_origins *origins)
{
    return origins->count;
}

uint32_t px_origins_open(const struct px_origins *origins)
{
    return atomic_load_explicit(&origins->open_count, memory_order_relaxed);
}
