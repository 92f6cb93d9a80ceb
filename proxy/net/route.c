/* See route.h. Linear over the slots: there are at most 64. */
#include "proxy/net/route.h"

/* Transactions behind that weigh as much as one session. */
#define LAG_PER_SESSION 64
#define READ_ONLY_RANK  (INT64_C(1) << 50) /* behind all others */

static uint32_t load_of(const struct px_shared *shared, uint32_t slot)
{
    const struct px_shared_slot *row = &shared->slots[slot];

    return atomic_load_explicit(&row->session_count, memory_order_relaxed) +
           atomic_load_explicit(&row->connect_count, memory_order_relaxed);
}

static bool has_place(const struct px_shared *shared, const struct px_route_ask *ask, uint32_t slot)
{
    if (ask->ignores_places)
        return true;
    return atomic_load_explicit(&shared->slots[slot].connect_count, memory_order_relaxed) < PX_CONNECTS_MAX;
}

static bool is_candidate(const struct px_directive *directive, const struct px_route_ask *ask, uint32_t slot)
{
    const struct px_server_directive *server = &directive->servers[slot];
    bool is_serving = ask->is_attached ? (ask->serving >> slot & 1) != 0 : server->is_serving;
    bool is_admitted = px_server_admits(server, ask->is_canary) || slot == ask->home ||
                       (ask->takes_stand_ins && server->stands_in);
    bool is_led = directive->has_leader || ask->is_attached;
    bool is_fit = server->is_read_only ? ask->takes_read_only : is_led;

    return server->in_use && is_admitted && is_serving && is_fit && server->address_count > 0;
}

struct route_scan {
    uint32_t best; /* PX_SLOT_NONE = none yet */
    int64_t best_rank;
    int64_t newest; /* zxid */
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

/* The newest zxid that probes have shown of any server. */
static int64_t newest_zxid(const struct px_directive *directive)
{
    int64_t newest = 0;

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (directive->servers[slot].in_use && directive->servers[slot].zxid > newest)
            newest = directive->servers[slot].zxid;
    return newest;
}

/* What a server lacks compared with what the same probes saw elsewhere, as if it were sessions: one that is
 * far behind makes a session wait, and one of an older epoch than the client has seen perhaps for long
 * (protocol.md §3.6). That a client has seen more than we know of a server of its epoch says nothing: nobody
 * may have asked. */
static int64_t lag_rank(int64_t seen, int64_t newest, int64_t zxid)
{
    if (zxid >> 32 < seen >> 32)
        return INT64_C(1) << 40;
    if (zxid >= newest || zxid >> 32 < newest >> 32)
        return 0;
    return (newest - zxid) / LAG_PER_SESSION;
}

/* Less is better. */
static int64_t rank_of(const struct route_scan *scan, const struct px_shared *shared,
                       const struct px_route_ask *ask, uint32_t slot, int64_t zxid)
{
    int64_t load = (int64_t)load_of(shared, slot);

    if (ask->ignores_zxid)
        return -zxid;
    return ask->is_attached ? load + lag_rank(ask->zxid, scan->newest, zxid) : load;
}

/* What a server without a quorum says of its zxid is no number (-1): it judges the client itself. */
static void scan_slot(struct route_scan *scan, const struct px_directive *directive,
                      const struct px_shared *shared, const struct px_route_ask *ask, uint32_t slot)
{
    int64_t zxid = px_shared_zxid(shared, directive, slot);
    bool is_read_only = directive->servers[slot].is_read_only;
    bool skips_zxid = ask->ignores_zxid || ask->is_attached || is_read_only;
    int64_t rank = rank_of(scan, shared, ask, slot, zxid);

    if ((ask->tried >> slot & 1) != 0)
        scan->has_tried = true;
    else if (!skips_zxid && zxid < ask->zxid)
        scan->has_behind = true;
    else if (!has_place(shared, ask, slot))
        scan->has_busy = true;
    else
        consider(scan, slot, is_read_only ? rank + READ_ONLY_RANK : rank);
}

enum px_route px_route_pick(const struct px_directive *directive, const struct px_shared *shared,
                            const struct px_route_ask *ask, uint32_t *ret_slot)
{
    struct route_scan scan = {.best = PX_SLOT_NONE, .newest = newest_zxid(directive)};

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (is_candidate(directive, ask, slot))
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
