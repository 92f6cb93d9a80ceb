/* See fleet.h. Addresses and probers are in fleet_probe.c. */
#include "proxy/control/fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/monotonic.h"
#include "proxy/control/fleet/fleet_int.h"

struct px_fleet *px_fleet_new(struct event_base *base, struct mig_helper *helper, struct px_shared *shared,
                              const struct conf *conf, px_fleet_changed_fn *changed, void *context)
{
    struct px_fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        return NULL;
    fleet->base = base;
    fleet->helper = helper;
    fleet->shared = shared;
    fleet->changed = changed;
    fleet->context = context;
    fleet->interval_ms = conf->probe_interval_ms;
    fleet->options = (struct mig_prober_options){.timeout_ms = conf->probe_timeout_ms,
                                                 .admin_port = (uint16_t)conf->admin_server_port};
    return fleet;
}

void px_fleet_stop(struct px_fleet *fleet)
{
    fleet->is_stopped = true;
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        fleet_stop_probes(&fleet->servers[i]);
}

void px_fleet_free(struct px_fleet *fleet)
{
    if (!fleet)
        return;
    px_fleet_stop(fleet);
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        free(fleet->servers[i].conf);
    free(fleet);
}

/* --- the table --- */

static struct server *find(const struct px_fleet *fleet, int32_t id)
{
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        if (fleet->servers[i].spec.id == id)
            return (struct server *)&fleet->servers[i];
    return NULL;
}

static bool same_client_address(const struct zkp_server *a, const struct zkp_server *b)
{
    const char *host_a = zkp_server_client_host(a);
    const char *host_b = zkp_server_client_host(b);
    return host_a && host_b && zkp_host_eq(host_a, host_b) && a->client_port == b->client_port;
}

/* What was observed of another address says nothing about this one. */
static void forget(struct server *server)
{
    fleet_stop_probes(server);
    free(server->conf);
    *server = (struct server){.fleet = server->fleet,
                              .slot = server->slot,
                              .is_resolving = server->is_resolving,
                              .is_stale = server->is_resolving};
}

static enum rc put(struct px_fleet *fleet, const struct zkp_server *spec, enum mig_side side)
{
    struct server *server = find(fleet, spec->id);
    if (!server) {
        if (fleet->slot_count == PX_SLOTS_MAX)
            return RC_FULL;
        server = &fleet->servers[fleet->slot_count];
        *server = (struct server){.fleet = fleet, .slot = fleet->slot_count++};
    } else if (!same_client_address(&server->spec, spec)) {
        forget(server);
    }
    server->is_used = true;
    server->side = side;
    server->spec = *spec;
    if (!server->prober && !server->is_resolving)
        fleet_resolve(server);
    return RC_OK;
}

enum rc px_fleet_set(struct px_fleet *fleet, const struct zkp_server *sources, uint32_t source_count,
                     const struct zkp_server *targets, uint32_t target_count)
{
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        fleet->servers[i].is_used = false;
    enum rc rc = RC_OK;
    for (uint32_t i = 0; i < source_count && rc == RC_OK; i++)
        rc = put(fleet, &sources[i], MIG_SIDE_SOURCE);
    for (uint32_t i = 0; i < target_count && rc == RC_OK; i++)
        rc = put(fleet, &targets[i], MIG_SIDE_TARGET);
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        if (!fleet->servers[i].is_used)
            fleet_stop_probes(&fleet->servers[i]);
    return rc;
}

const struct mig_address *px_fleet_address(const struct px_fleet *fleet, int32_t id)
{
    const struct server *server = find(fleet, id);
    return server && server->is_used && server->address.length ? &server->address : NULL;
}

uint32_t px_fleet_slot(const struct px_fleet *fleet, int32_t id)
{
    const struct server *server = find(fleet, id);
    return server ? server->slot : PX_SLOT_NONE;
}

uint64_t px_fleet_unasked(const struct px_fleet *fleet)
{
    return fleet->unasked_count;
}

/* --- facts --- */

static uint32_t load(const _Atomic(uint32_t) *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void fill(const struct server *server, struct mig_server_facts *out)
{
    const struct px_shared_slot *slot = &server->fleet->shared->slots[server->slot];
    uint32_t sessions = load(&slot->session_count);
    uint32_t own = load(&slot->own_count);
    *out = (struct mig_server_facts){
        .id = server->spec.id,
        .side = server->side,
        .spec = &server->spec,
        .health = server->health,
        .health_since_ms = server->health_since_ms,
        .probed_at_ms = server->probed_at_ms,
        .shows_service = server->shows_service,
        .not_serving_at_ms = server->not_serving_at_ms,
        .hides_srvr = server->hides_srvr,
        .gone_at_ms = server->gone_at_ms,
        .srvr_at_ms = server->srvr_at_ms,
        .srvr = server->srvr,
        .conf_seen = server->conf_seen,
        .conf_at_ms = server->conf_at_ms,
        .conf = server->conf,
        .mntr_seen = server->mntr_seen,
        .mntr_at_ms = server->mntr_at_ms,
        .mntr = server->mntr,
        .properties_seen = server->properties_seen,
        .properties_at_ms = server->properties_at_ms,
        .jute_max_bytes = server->jute_max_bytes,
        .our_sessions = sessions,
        .witness_sessions = own < sessions ? own : sessions, /* they are not counted in one moment */
        .our_canaries = atomic_load_explicit(&slot->canary_count, memory_order_relaxed),
    };
    int error = 0;
    enum px_dial_result trouble =
        px_shared_dial_trouble(server->fleet->shared, server->slot, mig_now_ms(), &error);
    px_dial_result_text(trouble, error, out->dial_trouble, sizeof out->dial_trouble);
    px_ours_counted(&server->before, &server->after, server->counts_asker, &out->ours_least, &out->ours_most);
    out->cons_at_ms = server->cons_at_ms;
    out->other_count = server->other_count;
    memcpy(out->others, server->others, sizeof out->others);
    snprintf(out->health_reason, sizeof out->health_reason, "%s", server->health_reason);
    snprintf(out->unasked, sizeof out->unasked, "%s", server->unasked);
}

void px_fleet_facts(const struct px_fleet *fleet, struct mig_facts *facts)
{
    facts->server_count = 0;
    for (uint32_t i = 0; i < fleet->slot_count; i++) {
        const struct server *server = &fleet->servers[i];
        if (!server->is_used || facts->server_count == MIG_SERVERS_MAX)
            continue;
        uint32_t at = facts->server_count++;
        for (; at > 0 && facts->servers[at - 1].id > server->spec.id; at--)
            facts->servers[at] = facts->servers[at - 1];
        fill(server, &facts->servers[at]);
    }
}
