/* See route.h. Linear over the slots: there are at most 64. */
#include "proxy/net/route.h"

static uint32_t load_of(const struct px_shared *shared, uint32_t slot)
{
    const struct px_shared_slot *row = &shared->slots[slot];

    return atomic_load_explicit(&row->session_count, memory_order_relaxed) +
           atomic_load_explicit(&row->connect_count, memory_order_relaxed);
}

static bool has_place(const struct px_shared *shared, uint32_t slot)
{
    return atomic_load_explicit(&shared->slots[slot].connect_count, memory_order_relaxed) < PX_CONNECTS_MAX;
}

static bool is_candidate(const struct px_server_directive *server)
{
    return server->in_use && server->admit && server->is_serving && server->address_count > 0;
}

struct route_scan {
    uint32_t best; /* PX_SLOT_NONE = none yet */
    int64_t best_rank;
    bool has_tried;
    bool has_busy;
    bool has_behind;
};

static void consider(struct route_scan *scan, uint32_t slot, int64_t rank)
{
    if (scan->best == PX_SLOT_NONE || rank < scan->best_rank) {
        scan->best = slot;
        scan->best_rank = rank;
    }
}

static void scan_slot(struct route_scan *scan, const struct px_directive *directive,
                      const struct px_shared *shared, const struct px_route_ask *ask, uint32_t slot)
{
    int64_t zxid = px_shared_zxid(shared, directive, slot);

    if ((ask->tried >> slot & 1) != 0)
        scan->has_tried = true;
    else if (!ask->ignores_zxid && zxid < ask->zxid)
        scan->has_behind = true;
    else if (!has_place(shared, slot))
        scan->has_busy = true;
    else
        consider(scan, slot, ask->ignores_zxid ? -zxid : (int64_t)load_of(shared, slot));
}

enum px_route px_route_pick(const struct px_directive *directive, const struct px_shared *shared,
                            const struct px_route_ask *ask, uint32_t *ret_slot)
{
    struct route_scan scan = {.best = PX_SLOT_NONE};

    if (!directive->has_leader)
        return PX_ROUTE_NONE;
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (is_candidate(&directive->servers[slot]))
            scan_slot(&scan, directive, shared, ask, slot);
    if (scan.best != PX_SLOT_NONE) {
        *ret_slot = scan.best;
        return PX_ROUTE_FOUND;
    }
    if (scan.has_busy)
        return PX_ROUTE_BUSY;
    if (scan.has_behind)
        return PX_ROUTE_BEHIND;
    return scan.has_tried ? PX_ROUTE_EXHAUSTED : PX_ROUTE_NONE;
}
