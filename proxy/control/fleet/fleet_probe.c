/* A server's address, its probers and what they answer (fleet.h). */
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/resolve.h"
#include "proxy/control/fleet/fleet_int.h"
#include "proxy/log.h"

#define RESOLVE_EVERY_MS  30000 /* addresses behind names change rarely; a dead one is asked again soon */
#define RESOLVE_RETRY_MS  2000
#define SLOW_WORDS_FACTOR 2    /* conf and mntr are asked at half the pace of srvr: 3.5's mntr is expensive */
#define LIVE_REPLY_MAX_MS 5000 /* "replies lately": long enough for pings of idle sessions */
#define UNASKED_TOLD_MS   10000 /* from one line about questions that can't be put to the next */

/* --- questions --- */

/* changes is read first: what is counted behind it, it does not know yet, and is a change then. */
static struct px_ours ours_now(const struct server *server)
{
    const struct px_shared_slot *slot = &server->fleet->shared->slots[server->slot];
    uint32_t changes = atomic_load_explicit(&slot->session_changes, memory_order_acquire);
    return (struct px_ours){
        .changes = changes,
        .sessions = atomic_load_explicit(&slot->session_count, memory_order_relaxed),
        .details = server->details_asked,
        .asks_details = server->details && mig_prober_is_asking(server->details),
    };
}

static void on_asking(void *context, enum zkp_word word)
{
    struct server *server = context;
    if (word == ZKP_WORD_SRVR)
        server->asked = ours_now(server);
    else
        server->details_asked++;
}

/* --- answers --- */

static void on_srvr(struct server *server, const struct mig_probe_answer *answer)
{
    bool is_data = answer->kind == MIG_PROBE_KIND_DATA;
    bool is_refusal = answer->kind == MIG_PROBE_KIND_NOT_SERVING;
    server->probed_at_ms = answer->observed_at_ms;
    bool is_server = is_data && answer->srvr->mode != ZKP_MODE_PROXY;
    server->shows_service = is_server && answer->srvr->mode != ZKP_MODE_READ_ONLY;
    server->not_serving_at_ms = is_refusal ? answer->asked_at_ms : 0;
    server->hides_srvr = answer->kind == MIG_PROBE_KIND_NOT_ALLOWED;
    if (answer->kind == MIG_PROBE_KIND_CONN_REFUSED)
        server->gone_at_ms = answer->asked_at_ms;
    if (!is_data)
        return;
    server->srvr_at_ms = answer->asked_at_ms;
    server->srvr = *answer->srvr;
    server->before = server->asked;
    server->after = ours_now(server);
    server->counts_asker = !answer->from_admin_server;
    if (is_server)
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

static void on_properties(struct server *server, const struct mig_probe_answer *answer)
{
    server->properties_seen = seen_of(answer, server->properties_seen);
    server->properties_at_ms = answer->asked_at_ms;
    server->jute_max_bytes = answer->jute_max_bytes;
}

/* Connections without a session are probes: ours, or somebody's who looks at the server. */
static void on_cons_line(void *context, const struct zkp_cons_line *line)
{
    struct server *server = context;
    if (line->session_id == 0 || server->other_count == MIG_OTHERS_MAX)
        return;
    struct mig_other *other = &server->others[server->other_count++];
    other->session_id = line->session_id;
    snprintf(other->address, sizeof other->address, "%.*s", (int)line->address.len,
             (const char *)line->address.ptr);
}

static void on_cons(struct server *server, const struct mig_probe_answer *answer)
{
    if (answer->kind != MIG_PROBE_KIND_DATA)
        return;
    server->cons_at_ms = answer->asked_at_ms;
    server->other_count = 0;
    zkp_cons_walk(answer->cons, on_cons_line, server);
}

/* Says nothing about the server: what was known of it stays, with its age. */
static void on_unasked(struct server *server, const struct mig_probe_answer *answer)
{
    struct px_fleet *fleet = server->fleet;
    fleet->unasked_count++;
    if (answer->word == ZKP_WORD_SRVR)
        snprintf(server->unasked, sizeof server->unasked, "%s", answer->reason);
    if (fleet->unasked_told_ms != 0 && answer->asked_at_ms - fleet->unasked_told_ms < UNASKED_TOLD_MS)
        return;
    fleet->unasked_told_ms = answer->asked_at_ms;
    px_log(PX_LOG_ERROR, "probe.shortage", "server=%d word=%s why=%s unasked=%llu", server->spec.id,
           zkp_word_text(answer->word), answer->reason, (unsigned long long)fleet->unasked_count);
}

static void on_answer(void *context, const struct mig_probe_answer *answer)
{
    struct server *server = context;
    if (answer->word == ZKP_WORD_SRVR)
        server->unasked[0] = '\0';
    if (answer->kind == MIG_PROBE_KIND_NOT_ASKED)
        on_unasked(server, answer);
    else if (answer->word == ZKP_WORD_SRVR)
        on_srvr(server, answer);
    else if (answer->word == ZKP_WORD_CONF)
        on_conf(server, answer);
    else if (answer->word == ZKP_WORD_MNTR)
        on_mntr(server, answer);
    else if (answer->word == ZKP_WORD_CONS)
        on_cons(server, answer);
    else if (answer->word == ZKP_WORD_ENVI)
        on_properties(server, answer);
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
    if (is_good && server->details) /* a restarted server may have other settings */
        mig_prober_kick(server->details, MIG_PROBE_CONF | MIG_PROBE_MNTR);
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
    mig_prober_set_interval(server->details, MIG_PROBE_CONF | MIG_PROBE_MNTR,
                            interval_ms * SLOW_WORDS_FACTOR);
}

static enum rc open_probers(struct server *server)
{
    const struct px_fleet *fleet = server->fleet;
    struct mig_prober_callbacks callbacks = {
        .context = server,
        .asking = on_asking,
        .answer = on_answer,
        .has_live_sessions = on_has_live_sessions,
    };
    enum rc rc = mig_prober_new(fleet->base, &server->address, &fleet->options, &callbacks, &server->details);
    callbacks.health = on_health; /* srvr decides it */
    if (rc == RC_OK)
        rc = mig_prober_new(fleet->base, &server->address, &fleet->options, &callbacks, &server->prober);
    return rc;
}

void fleet_stop_probes(struct server *server)
{
    mig_prober_free(server->prober);
    mig_prober_free(server->details);
    server->prober = server->details = NULL;
}

static void set_address(struct server *server, const struct mig_address *address)
{
    server->address = *address;
    if (server->prober) {
        mig_prober_set_address(server->prober, address);
        mig_prober_set_address(server->details, address);
    } else if (open_probers(server) == RC_OK) {
        set_intervals(server);
    } else {
        fleet_stop_probes(server);
        px_log(PX_LOG_ERROR, "server.prober", "server=%d why=%s", server->spec.id, rc_text(RC_NOMEM));
    }
}

static void on_resolved(void *context, enum rc rc, const struct mig_address *address, const char *text)
{
    struct server *server = context;
    server->is_resolving = false;
    server->resolve_at_ms = mig_now_ms() + (rc == RC_OK ? RESOLVE_EVERY_MS : RESOLVE_RETRY_MS);
    if (server->fleet->is_stopped || !server->is_used)
        return;
    if (server->is_stale) {
        server->is_stale = false;
        fleet_resolve(server);
        return;
    }
    if (rc == RC_OK) {
        set_address(server, address);
        server->fleet->changed(server->fleet->context);
        return;
    }
    server->fleet->unasked_count += rc == RC_FULL;
    px_log(PX_LOG_WARN, "server.resolve", "server=%d host=%s why=%s", server->spec.id,
           zkp_server_client_host(&server->spec), text);
    snprintf(server->health_reason, sizeof server->health_reason, "%s", text);
}

void fleet_resolve(struct server *server)
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
            fleet_resolve(server);
    }
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

static void kick(struct server *server, uint32_t words)
{
    if (!server->prober)
        return;
    if (words & MIG_PROBE_SRVR)
        mig_prober_kick(server->prober, MIG_PROBE_SRVR);
    if (words & ~MIG_PROBE_SRVR)
        mig_prober_kick(server->details, words & ~MIG_PROBE_SRVR);
}

void px_fleet_kick(struct px_fleet *fleet, uint32_t words)
{
    for (uint32_t i = 0; i < fleet->slot_count; i++)
        kick(&fleet->servers[i], words);
}
