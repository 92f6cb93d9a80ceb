/* See fleet.h. */
#include "proxy/control/fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/resolve.h"
#include "proxy/log.h"
#include "zkproto/assert.h"

#define RESOLVE_EVERY_MS  30000 /* addresses behind names change rarely; a dead one is asked again soon */
#define RESOLVE_RETRY_MS  2000
#define SLOW_WORDS_FACTOR 2    /* conf and mntr are asked at half the pace of srvr: 3.5's mntr is expensive */
#define LIVE_REPLY_MAX_MS 5000 /* "replies lately": long enough for pings of idle sessions */

struct server {
    struct px_fleet *fleet;
    uint32_t slot;
    bool is_used; /* false: gone from the configuration, the slot stays its own */
    struct zkp_server spec;
    enum mig_side side;
    struct mig_address address; /* length 0 = not resolved yet */
    bool is_resolving;
    bool is_stale; /* the name being resolved is no longer ours */
    int64_t resolve_at_ms;
    struct mig_prober *prober;
    /* last answers */
    enum mig_health health;
    char health_reason[128];
    int64_t health_since_ms;
    int64_t probed_at_ms;
    int64_t srvr_at_ms;
    struct zkp_srvr srvr;
    enum mig_seen conf_seen;
    int64_t conf_at_ms;
    struct zkp_conf_answer *conf; /* owned; NULL unless data */
    enum mig_seen mntr_seen;
    int64_t mntr_at_ms;
    struct mig_mntr mntr;
};

struct px_fleet {
    struct event_base *base;
    struct mig_helper *helper;
    struct px_shared *shared;
    px_fleet_changed_fn *changed;
    void *context;
    struct mig_prober_options options;
    int32_t interval_ms;
    bool is_stopped;
    uint32_t slot_count;
    struct server servers[PX_SLOTS_MAX];
};

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

static void server_stop(struct server *server)
{
    mig_prober_free(server->prober);
    server->prober = NULL;
}

void px_fleet_stop(struct px_fleet *fleet)
{
    fleet->is_stopped = true;
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        server_stop(&fleet->servers[i]);
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

/* --- answers --- */

static void on_srvr(struct server *server, const struct mig_probe_answer *answer)
{
    server->probed_at_ms = answer->observed_at_ms;
    if (answer->kind != MIG_PROBE_KIND_DATA)
        return;
    server->srvr_at_ms = answer->asked_at_ms;
    server->srvr = *answer->srvr;
    px_shared_zxid_raise(server->fleet->shared, server->slot, answer->srvr->zxid);
}

static enum mig_seen seen_of(const struct mig_probe_answer *answer, enum mig_seen before)
{
    if (answer->kind == MIG_PROBE_KIND_DATA)
        return MIG_SEEN_DATA;
    if (answer->kind == MIG_PROBE_KIND_NOT_ALLOWED)
        return MIG_SEEN_NOT_ALLOWED;
    return before == MIG_SEEN_NOT_ALLOWED ? before : MIG_SEEN_UNKNOWN;
}

static void on_conf(struct server *server, const struct mig_probe_answer *answer)
{
    server->conf_seen = seen_of(answer, server->conf_seen);
    server->conf_at_ms = answer->asked_at_ms;
    if (server->conf_seen != MIG_SEEN_DATA) {
        free(server->conf);
        server->conf = NULL;
        return;
    }
    if (!server->conf)
        server->conf = malloc(sizeof *server->conf);
    if (server->conf)
        *server->conf = *answer->conf;
    else
        server->conf_seen = MIG_SEEN_UNKNOWN;
}

static void on_mntr(struct server *server, const struct mig_probe_answer *answer)
{
    server->mntr_seen = seen_of(answer, server->mntr_seen);
    server->mntr_at_ms = answer->asked_at_ms;
    if (server->mntr_seen == MIG_SEEN_DATA)
        server->mntr = *answer->mntr;
}

static void on_answer(void *context, const struct mig_probe_answer *answer)
{
    struct server *server = context;
    if (answer->word == ZKP_WORD_SRVR)
        on_srvr(server, answer);
    else if (answer->word == ZKP_WORD_CONF)
        on_conf(server, answer);
    else if (answer->word == ZKP_WORD_MNTR)
        on_mntr(server, answer);
    server->fleet->changed(server->fleet->context);
}

static void on_health(void *context, enum mig_health health, const char *reason)
{
    struct server *server = context;
    bool is_good = health == MIG_HEALTH_SERVING;
    px_log(is_good ? PX_LOG_INFO : PX_LOG_WARN, "server.health",
           "server=%d side=%s health=%s was=%s reason=%s", server->spec.id,
           server->side == MIG_SIDE_TARGET ? "target" : "source", mig_health_name(health),
           mig_health_name(server->health), reason);
    server->health = health;
    server->health_since_ms = mig_now_ms();
    snprintf(server->health_reason, sizeof server->health_reason, "%s", reason);
    if (is_good && server->prober) /* a restarted server may have other settings */
        mig_prober_kick(server->prober, MIG_PROBE_CONF | MIG_PROBE_MNTR);
    server->fleet->changed(server->fleet->context);
}

static bool on_has_live_sessions(void *context)
{
    const struct server *server = context;
    const struct px_shared_slot *slot = &server->fleet->shared->slots[server->slot];
    int64_t last_ms = atomic_load_explicit(&slot->last_reply_ms, memory_order_relaxed);
    return atomic_load_explicit(&slot->session_count, memory_order_relaxed) > 0 &&
           mig_now_ms() - last_ms < LIVE_REPLY_MAX_MS;
}

/* --- addresses and probers --- */

static void set_intervals(struct server *server)
{
    int32_t interval_ms = server->fleet->interval_ms;
    mig_prober_set_interval(server->prober, MIG_PROBE_SRVR, interval_ms);
    mig_prober_set_interval(server->prober, MIG_PROBE_CONF | MIG_PROBE_MNTR, interval_ms * SLOW_WORDS_FACTOR);
}

static void set_address(struct server *server, const struct mig_address *address)
{
    server->address = *address;
    if (server->prober) {
        mig_prober_set_address(server->prober, address);
        return;
    }
    const struct mig_prober_callbacks callbacks = {
        .context = server,
        .answer = on_answer,
        .health = on_health,
        .has_live_sessions = on_has_live_sessions,
    };
    if (mig_prober_new(server->fleet->base, address, &server->fleet->options, &callbacks, &server->prober) ==
        RC_OK)
        set_intervals(server);
    else
        px_log(PX_LOG_ERROR, "server.prober", "server=%d why=%s", server->spec.id, rc_text(RC_NOMEM));
}

static void resolve(struct server *server);

static void on_resolved(void *context, enum rc rc, const struct mig_address *address, const char *text)
{
    struct server *server = context;
    server->is_resolving = false;
    server->resolve_at_ms = mig_now_ms() + (rc == RC_OK ? RESOLVE_EVERY_MS : RESOLVE_RETRY_MS);
    if (server->fleet->is_stopped || !server->is_used)
        return;
    if (server->is_stale) {
        server->is_stale = false;
        resolve(server);
        return;
    }
    if (rc == RC_OK) {
        set_address(server, address);
        server->fleet->changed(server->fleet->context);
        return;
    }
    px_log(PX_LOG_WARN, "server.resolve", "server=%d host=%s why=%s", server->spec.id,
           zkp_server_client_host(&server->spec), text);
    snprintf(server->health_reason, sizeof server->health_reason, "%s", text);
}

static void resolve(struct server *server)
{
    const char *host = zkp_server_client_host(&server->spec);
    struct mig_address address;
    if (!host)
        return;
    if (mig_address_numeric(host, server->spec.client_port, &address) == RC_OK) {
        server->resolve_at_ms = INT64_MAX;
        set_address(server, &address);
        return;
    }
    server->resolve_at_ms = mig_now_ms() + RESOLVE_RETRY_MS;
    server->is_resolving =
        mig_resolve(server->fleet->helper, host, server->spec.client_port, on_resolved, server) == RC_OK;
}

void px_fleet_tick(struct px_fleet *fleet, int64_t now_ms)
{
    for (uint32_t i = 0; i < fleet->slot_count; i++) {
        struct server *server = &fleet->servers[i];
        if (server->is_used && !server->is_resolving && now_ms >= server->resolve_at_ms)
            resolve(server);
    }
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
    return host_a && host_b && strcmp(host_a, host_b) == 0 && a->client_port == b->client_port;
}

/* What was observed of another address says nothing about this one. */
static void forget(struct server *server)
{
    server_stop(server);
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
        resolve(server);
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
            server_stop(&fleet->servers[i]);
    return rc;
}

void px_fleet_set_interval(struct px_fleet *fleet, int32_t interval_ms)
{
    if (interval_ms == fleet->interval_ms)
        return;
    fleet->interval_ms = interval_ms;
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        if (fleet->servers[i].prober)
            set_intervals(&fleet->servers[i]);
}

void px_fleet_kick(struct px_fleet *fleet, uint32_t words)
{
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        if (fleet->servers[i].prober)
            mig_prober_kick(fleet->servers[i].prober, words);
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

/* --- facts --- */

static void fill(const struct server *server, struct mig_server_facts *out)
{
    const struct px_shared_slot *slot = &server->fleet->shared->slots[server->slot];
    *out = (struct mig_server_facts){
        .id = server->spec.id,
        .side = server->side,
        .spec = &server->spec,
        .health = server->health,
        .health_since_ms = server->health_since_ms,
        .probed_at_ms = server->probed_at_ms,
        .srvr_at_ms = server->srvr_at_ms,
        .srvr = server->srvr,
        .conf_seen = server->conf_seen,
        .conf_at_ms = server->conf_at_ms,
        .conf = server->conf,
        .mntr_seen = server->mntr_seen,
        .mntr_at_ms = server->mntr_at_ms,
        .mntr = server->mntr,
        .our_sessions = atomic_load_explicit(&slot->session_count, memory_order_relaxed),
    };
    snprintf(out->health_reason, sizeof out->health_reason, "%s", server->health_reason);
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
