/* Which server takes a client: among the admitted, serving ones whose zxid is not behind what the client has
 * seen, the one with the fewest sessions (design.md §4). Reads a directive and the shared counters; changes
 * neither. Worker threads. */
#ifndef PROXY_NET_ROUTE_H
#define PROXY_NET_ROUTE_H

#include "proxy/net/directive.h"
#include "proxy/net/shared.h"

enum px_route {
    PX_ROUTE_FOUND,
    PX_ROUTE_NONE,      /* no leader, or nobody fit for it is admitted and serving: wait for control */
    PX_ROUTE_BUSY,      /* those that fit have PX_CONNECTS_MAX connects in flight: wait for one to end */
    PX_ROUTE_BEHIND,    /* only the zxid stands against those left */
    PX_ROUTE_EXHAUSTED, /* every one that fits was tried: begin anew after a pause */
};

struct px_route_ask {
    int64_t zxid;      /* the highest the client has seen */
    uint64_t tried;    /* bit per slot */
    bool ignores_zxid; /* take the one with the highest zxid; it will judge itself */
    bool is_attached;  /* a session that has, or had, a server: `serving` decides instead of the probes, and a
                            server that lags is let catch up: it counts as fuller, not as unfit */
    uint64_t serving;  /* is_attached: bit per slot */
    uint32_t home;     /* also a candidate, admitted or not; PX_SLOT_NONE = none */
    bool takes_read_only; /* a server without a quorum will do when there is no other */
    bool is_canary;       /* it may be admitted elsewhere than the others */
    bool takes_stand_ins; /* nobody who admits takes it: those that the plan prefers less will do */
    bool ignores_places;  /* test switch */
};

/* FOUND: *ret_slot is set. */
enum px_route px_route_pick(const struct px_directive *directive, const struct px_shared *shared,
                            const struct px_route_ask *ask, uint32_t *ret_slot);

#endif
