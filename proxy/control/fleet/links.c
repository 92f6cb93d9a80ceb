/* See links.h. Requests of the monitor carry MONITOR_SEQ, those of the engine the effect's seq. The plan lock
 * is in links_lock.c, what is known in links_facts.c. */
#include "proxy/control/fleet/links.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "proxy/control/fleet/links_int.h"
#include "proxy/log.h"
#include "zkproto/secret.h"
#include "zkproto/zkerr.h"

#define LINK_IDLE_MS        15000
#define LINK_SESSION_MS     10000 /* our own sessions' timeout, as asked for */
#define RECONFIG_TIMEOUT_MS 20000 /* waits for acks of two quorums; then the outcome is unknown */
#define MONITOR_SEQ         (UINT64_C(1) << 63)

struct px_links *px_links_new(struct event_base *base, struct px_fleet *fleet, const struct conf *conf,
                              const char *instance, const struct px_links_callbacks *callbacks)
{
    struct px_links *links = calloc(1, sizeof *links);
    if (!links)
        return NULL;
    links->base = base;
    links->fleet = fleet;
    links->callbacks = *callbacks;
    links->instance = instance;
    links->super = zkp_secret_share(conf->super);
    snprintf(links->state_root, sizeof links->state_root, "%s", conf->state_root);
    return links;
}

static void link_close(struct link *link)
{
    mig_zk_free(link->zk);
    *link = (struct link){.owner = link->owner};
}

void px_links_free(struct px_links *links)
{
    if (!links)
        return;
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        link_close(&links->links[i]);
    px_links_lock_leave(links);
    zkp_secret_drop(links->super);
    free(links);
}

enum rc px_links_configure(struct px_links *links, const struct conf *conf)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) /* the monitor's read is only repeated */
        if (links->links[i].pending > (links->links[i].is_reading ? 1u : 0u))
            return RC_REFUSED;
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        link_close(&links->links[i]);
    links->monitor_id = MIG_NO_SERVER;
    links->read_at_ms = 0;
    zkp_secret_drop(links->super);
    links->super = zkp_secret_share(conf->super);
    snprintf(links->state_root, sizeof links->state_root, "%s", conf->state_root);
    return RC_OK;
}

void px_links_log(void *context, enum mig_zk_level level, const char *text)
{
    (void)context;
    px_log(level == MIG_ZK_LOG_INFO ? PX_LOG_DEBUG : PX_LOG_WARN, "zkclient.log", "text=%s", text);
}

/* --- results --- */

static enum mig_event_kind event_of(enum mig_zk_op op)
{
    switch (op) {
    case MIG_ZK_RECONFIG:
        return MIG_EVENT_RECONFIG_RESULT;
    case MIG_ZK_PROBE_RECONFIG:
        return MIG_EVENT_PROBE_RESULT;
    case MIG_ZK_CHECK_SUPER:
        return MIG_EVENT_SUPER_RESULT;
    case MIG_ZK_BARRIER:
    case MIG_ZK_SYNC:
        return MIG_EVENT_BARRIER_RESULT;
    case MIG_ZK_READ_CONFIG:
    case MIG_ZK_COMMITTED_CONFIG:
        return MIG_EVENT_CONFIG_RESULT;
    case MIG_ZK_LOCK:
    case MIG_ZK_LOCK_DROP:
    case MIG_ZK_READ_NODE: /* never asked for by an effect */
    case MIG_ZK_READ_CHILDREN:
    case MIG_ZK_CREATE:
    case MIG_ZK_SET:
    case MIG_ZK_GET_WATCHED:
    case MIG_ZK_DELETE:
    case MIG_ZK_PROBE_TTL:
    case MIG_ZK_PEEK_LOCK:
    case MIG_ZK_OP_COUNT:
        break;
    }
    return MIG_EVENT_LOCK_RESULT;
}

void px_links_report(struct px_links *links, enum mig_event_kind kind, const struct mig_zk_result *result)
{
    struct mig_event event = {.kind = kind,
                              .seq = result->seq,
                              .rc = result->rc,
                              .zk_err = result->zk_err,
                              .config = result->config};
    snprintf(event.text, sizeof event.text, "%s", result->text ? result->text : "");
    links->callbacks.result(links->callbacks.context, &event);
}

void px_links_report_failure(struct px_links *links, const struct mig_effect *effect, enum mig_zk_op op,
                             const char *why)
{
    const struct mig_zk_result result = {.seq = effect->seq, .op = op, .rc = RC_IO, .text = why};
    px_links_report(links, event_of(op), &result);
}

static void take_config(struct px_links *links, const struct mig_zk_result *result, int64_t asked_at_ms)
{
    if (result->rc != RC_OK || !result->config || result->config->server_count == 0)
        return;
    if (links->has_config && result->config->version < links->config.version)
        return; /* a server that is behind */
    if (!links->has_config || links->config.version != result->config->version)
        px_log(PX_LOG_INFO, "ensemble.config", "version=0x%" PRIx64 " members=%u",
               (uint64_t)result->config->version, result->config->server_count);
    links->config = *result->config;
    links->has_config = true;
    links->config_at_ms = asked_at_ms;
    links->callbacks.changed(links->callbacks.context);
}

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct link *link = context;
    struct px_links *links = link->owner;
    link->pending--;
    if (result->seq & MONITOR_SEQ) {
        link->is_reading = false;
        take_config(links, result, links->asked_at_ms);
        return;
    }
    if (result->op == MIG_ZK_RECONFIG) {
        link->is_reconfiguring = false;
        px_log(PX_LOG_INFO, "audit.reconfig_result", "server=%d rc=%s zk_err=%s", link->id,
               rc_text(result->rc), zkp_err_name(result->zk_err));
    }
    if (result->op == MIG_ZK_RECONFIG || result->op == MIG_ZK_COMMITTED_CONFIG)
        take_config(links, result, mig_now_ms());
    px_links_report(links, event_of(result->op), result);
}

/* --- connections --- */

enum rc px_links_open(struct px_links *links, int32_t id, const struct mig_zk_session *session,
                      const struct mig_zk_callbacks *callbacks, struct mig_zk **ret_zk)
{
    const struct mig_address *address = px_fleet_address(links->fleet, id);
    if (!address)
        return RC_NOT_FOUND;
    struct mig_zk_options options = {.address = *address,
                                     .super = links->super,
                                     .timeout_ms = LINK_SESSION_MS,
                                     .state_root = links->state_root};
    if (session)
        options.session = *session;
    struct err err;
    enum rc rc = mig_zk_new(links->base, &options, callbacks, ret_zk, &err);
    if (rc != RC_OK)
        px_log(PX_LOG_ERROR, "zkclient.open", "server=%d why=%s", id, err.text);
    return rc;
}

static struct link *link_get(struct px_links *links, int32_t id)
{
    struct link *place = NULL;
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &links->links[i];
        if (link->zk && link->id == id) {
            link->used_ms = mig_now_ms();
            return link;
        }
        if (!link->zk && !place)
            place = link;
    }
    if (!place)
        return NULL;
    *place = (struct link){.owner = links, .id = id, .used_ms = mig_now_ms()};
    const struct mig_zk_callbacks callbacks = {.context = place, .done = on_done, .log = px_links_log};
    return px_links_open(links, id, NULL, &callbacks, &place->zk) == RC_OK ? place : NULL;
}

static enum rc ask(struct link *link, enum mig_zk_op op, const struct mig_effect *effect)
{
    int64_t now_ms = mig_now_ms();
    enum rc rc;
    if (op == MIG_ZK_RECONFIG) {
        px_log(PX_LOG_INFO, "audit.reconfig", "server=%d joining=%s leaving=%s from_version=0x%" PRIx64,
               link->id, effect->joining, effect->leaving, (uint64_t)effect->from_version);
        rc = mig_zk_reconfig(link->zk, effect->seq, effect->joining, effect->leaving, effect->from_version,
                             now_ms + RECONFIG_TIMEOUT_MS);
        link->is_reconfiguring = rc == RC_OK;
    } else {
        rc = mig_zk_request(link->zk, op, effect->seq, now_ms + PX_LINKS_REQUEST_TIMEOUT_MS);
    }
    link->pending += rc == RC_OK;
    return rc;
}

static void run_on_link(struct px_links *links, const struct mig_effect *effect, enum mig_zk_op op)
{
    struct link *link = link_get(links, effect->via);
    enum rc rc = link ? ask(link, op, effect) : RC_NOT_FOUND;
    if (rc != RC_OK)
        px_links_report_failure(links, effect, op,
                                link ? rc_text(rc) : "no connection to that server is possible now");
}

/* --- effects --- */

void px_links_run(struct px_links *links, const struct mig_effect *effect)
{
    switch (effect->kind) {
    case MIG_EFFECT_TAKE_LOCK:
        px_links_lock_take(links, effect);
        return;
    case MIG_EFFECT_DROP_LOCK:
        px_links_lock_drop(links, effect);
        return;
    case MIG_EFFECT_PROBE_RECONFIG:
        run_on_link(links, effect, MIG_ZK_PROBE_RECONFIG);
        return;
    case MIG_EFFECT_CHECK_SUPER:
        run_on_link(links, effect, MIG_ZK_CHECK_SUPER);
        return;
    case MIG_EFFECT_RECONFIG:
        run_on_link(links, effect, MIG_ZK_RECONFIG);
        return;
    case MIG_EFFECT_BARRIER:
        run_on_link(links, effect, MIG_ZK_BARRIER);
        return;
    case MIG_EFFECT_READ_CONFIG:
        run_on_link(links, effect, MIG_ZK_COMMITTED_CONFIG);
        return;
    case MIG_EFFECT_JOURNAL:
    case MIG_EFFECT_HOLD:
    case MIG_EFFECT_RELEASE:
    case MIG_EFFECT_REPROBE:
    case MIG_EFFECT_LOG:
    case MIG_EFFECT_RUN_HOOK:
    case MIG_EFFECT_VERIFY:
    case MIG_EFFECT_COUNT:
        return; /* carried out elsewhere */
    }
}

/* --- the monitor --- */

void px_links_kick(struct px_links *links)
{
    links->read_at_ms = 0;
}

static void read_config(struct px_links *links, int64_t now_ms, int32_t interval_ms)
{
    struct link *link = links->monitor_id != MIG_NO_SERVER ? link_get(links, links->monitor_id) : NULL;
    if (!link || link->is_reading || now_ms < links->read_at_ms)
        return;
    links->read_at_ms = now_ms + interval_ms;
    links->asked_at_ms = now_ms;
    if (mig_zk_request(link->zk, MIG_ZK_READ_CONFIG, MONITOR_SEQ, now_ms + PX_LINKS_REQUEST_TIMEOUT_MS) ==
        RC_OK) {
        link->pending++;
        link->is_reading = true;
    }
}

static void choose_monitor(struct px_links *links, const struct mig_facts *facts)
{
    const struct mig_server_facts *now = mig_facts_server(facts, links->monitor_id);
    if (now && px_links_is_usable(facts, now))
        return;
    int32_t leader = mig_facts_leader(facts, INT64_MAX / 2).id;
    const struct mig_server_facts *candidate = mig_facts_server(facts, leader);
    links->monitor_id = candidate && px_links_is_usable(facts, candidate)
                            ? leader
                            : px_links_best_server(facts, MIG_NO_SERVER);
    links->read_at_ms = 0;
}

void px_links_tick(struct px_links *links, const struct mig_facts *facts, int32_t interval_ms)
{
    choose_monitor(links, facts);
    read_config(links, facts->now_ms, interval_ms);
    px_links_lock_follow(links, facts);
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &links->links[i];
        if (link->zk && link->id != links->monitor_id && link->pending == 0 &&
            facts->now_ms - link->used_ms > LINK_IDLE_MS)
            link_close(link);
    }
}
