/* The shared counters. Any thread; relaxed, because no other memory hangs on them. */
#include "proxy/net/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/net/owner_map.h"
#include "zkproto/assert.h"

#define TROUBLE_MS 10000 /* what is longer ago says nothing of now */

const char *px_dial_result_name(enum px_dial_result result)
{
    static const char *const names[PX_DIAL_COUNT] = {
#define DIAL_NAME(name, label) [PX_DIAL_##name] = (label),
        PX_DIAL_RESULTS(DIAL_NAME)
#undef DIAL_NAME
    };
    return names[result];
}

void px_dial_result_text(enum px_dial_result result, int error, char *buf, uint32_t capacity)
{
    static const char *const texts[PX_DIAL_COUNT] = {
        [PX_DIAL_OK] = "",
        [PX_DIAL_EXPIRED] = "it does not know the session",
        [PX_DIAL_REFUSED] = "nobody listens",
        [PX_DIAL_TIMEOUT] = "it does not answer",
        [PX_DIAL_CLOSED] = "it closes the connection: not serving, behind the client, or maxClientCnxns",
        [PX_DIAL_FULL] = "it closes new connections while others live: maxClientCnxns or maxCnxns",
        [PX_DIAL_MALFORMED] = "what it answers is not ZooKeeper's protocol",
        [PX_DIAL_LOCAL] = "there is no way to it from here",
        [PX_DIAL_SHORTAGE] = "this host lacks descriptors or memory",
        [PX_DIAL_ABANDONED] = "the client went first",
    };
    const char *why = error != 0 ? strerror(error) : "";

    (void)snprintf(buf, capacity, "%s%s%s", texts[result], error != 0 ? ": " : "", why);
}

struct px_shared *px_shared_new(uint32_t worker_count)
{
    struct px_shared *shared = aligned_alloc(alignof(struct px_shared), sizeof(*shared));

    ASSERT(worker_count > 0 && worker_count <= PX_WORKERS_MAX);
    if (shared == NULL)
        return NULL;
    memset(shared, 0, sizeof(*shared));
    shared->worker_count = worker_count;
    shared->owners = px_owner_map_new();
    if (shared->owners == NULL) {
        free(shared);
        return NULL;
    }
    return shared;
}

void px_shared_free(struct px_shared *shared)
{
    if (shared == NULL)
        return;
    px_owner_map_free(shared->owners);
    free(shared);
}

bool px_shared_take(_Atomic(uint32_t) *count, uint32_t max)
{
    uint32_t now = atomic_load_explicit(count, memory_order_relaxed);

    while (now < max)
        if (atomic_compare_exchange_weak_explicit(count, &now, now + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

void px_shared_give(_Atomic(uint32_t) *count)
{
    uint32_t before = atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);

    ASSERT(before > 0);
}

bool px_shared_connect_take(struct px_shared *shared, uint32_t slot, uint32_t max)
{
    return px_shared_take(&shared->slots[slot].connect_count, max);
}

void px_shared_connect_give(struct px_shared *shared, uint32_t slot)
{
    px_shared_give(&shared->slots[slot].connect_count);
}

void px_shared_descriptors_add(struct px_shared *shared, int64_t count)
{
    atomic_fetch_add_explicit(&shared->descriptor_count, count, memory_order_relaxed);
}

int64_t px_shared_descriptors(const struct px_shared *shared)
{
    return atomic_load_explicit(&shared->descriptor_count, memory_order_relaxed);
}

void px_shared_descriptors_limit(struct px_shared *shared, int64_t max)
{
    atomic_store_explicit(&shared->descriptor_max, max, memory_order_relaxed);
}

bool px_shared_may_move(const struct px_shared *shared)
{
    int64_t max = atomic_load_explicit(&shared->descriptor_max, memory_order_relaxed);

    return max == 0 || px_shared_descriptors(shared) < max;
}

void px_shared_zxid_raise(struct px_shared *shared, uint32_t slot, int64_t zxid)
{
    _Atomic(int64_t) *highest = &shared->slots[slot].zxid;
    int64_t now = atomic_load_explicit(highest, memory_order_relaxed);

    while (now < zxid)
        if (atomic_compare_exchange_weak_explicit(highest, &now, zxid, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
}

int64_t px_shared_zxid(const struct px_shared *shared, const struct px_directive *directive, uint32_t slot)
{
    int64_t seen = atomic_load_explicit(&shared->slots[slot].zxid, memory_order_relaxed);
    int64_t probed = directive->servers[slot].zxid;

    return seen > probed ? seen : probed;
}

/* Nobody who went first says anything about the server. */
void px_shared_dial_ended(struct px_shared *shared, uint32_t slot, enum px_dial_result result, int error,
                          int64_t now_ms)
{
    struct px_shared_slot *row = &shared->slots[slot];

    atomic_fetch_add_explicit(&row->dials[result], 1, memory_order_relaxed);
    if (result == PX_DIAL_ABANDONED)
        return;
    if (result == PX_DIAL_OK || result == PX_DIAL_EXPIRED) {
        atomic_store_explicit(&row->taken_ms, now_ms, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&row->failed_how, (uint64_t)(uint32_t)error << 32 | (uint32_t)result,
                          memory_order_relaxed);
    atomic_store_explicit(&row->failed_ms, now_ms, memory_order_relaxed);
}

enum px_dial_result px_shared_dial_trouble(const struct px_shared *shared, uint32_t slot, int64_t now_ms,
                                           int *ret_error)
{
    const struct px_shared_slot *row = &shared->slots[slot];
    int64_t failed_ms = atomic_load_explicit(&row->failed_ms, memory_order_relaxed);
    int64_t taken_ms = atomic_load_explicit(&row->taken_ms, memory_order_relaxed);
    uint64_t how = atomic_load_explicit(&row->failed_how, memory_order_relaxed);

    if (failed_ms == 0 || failed_ms < taken_ms || now_ms - failed_ms > TROUBLE_MS)
        return PX_DIAL_OK;
    *ret_error = (int)(how >> 32);
    return (enum px_dial_result)(how & UINT32_MAX);
}
