/* The metrics that control knows: servers, sessions by server, plan, quorum (design.md §6). Control thread.
 * Not here: the workers' counters (proxy/net/metric_table.h, printed by proxy/admin). */
#ifndef PROXY_CONTROL_GAUGES_H
#define PROXY_CONTROL_GAUGES_H

#include "migrate/engine/engine.h"
#include "migrate/engine/routing.h"
#include "proxy/admin/prom.h"
#include "proxy/control/descriptors.h"
#include "proxy/control/watchdog.h"
#include "proxy/control/witness/witness.h"
#include "proxy/net/origins.h"

struct px_gauges {
    const struct mig_facts *facts;
    const struct mig_routes *routes;
    const struct mig_view *view;
    const struct px_witness_result *witness;
    const uint64_t *refused_clients; /* by enum px_refusal: those that control has refused */
    uint64_t refused_sessions_full;  /* and those that workers have closed for a limit */
    uint64_t refused_silent;
    uint64_t refused_address_silent;
    uint64_t unasked_probes;
    uint64_t words_cut;
    uint64_t log_lines_dropped;
    uint64_t log_lines_left_out;
    const struct px_watchdog *watchdog;
    const struct px_descriptors *descriptors;
    uint32_t workers;
};

/* Writes whole families; borrowed arguments. */
void px_gauges_write(struct px_prom *prom, const struct px_gauges *gauges);

#endif
