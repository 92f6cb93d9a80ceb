/* Preflight rules about one server's settings, as `conf` or AdminServer shows them. */
#include "migrate/plan/estimate.h"
#include "migrate/preflight/preflight_int.h"

#define SYNC_LIMIT_MIN_MS 1000 /* a pause of a JVM with a big heap is longer */

/* What the server counts with must be what /zookeeper/config shows, else removing the others splits the
 * brain (protocol.md, "Measured later"). */
static void check_activation(struct rules *r, const struct mig_server_facts *server)
{
    const struct zkp_config *config = r->facts->config;
    const struct zkp_config *used = &server->conf->membership;
    if (config == NULL || config->server_count == 0)
        return;
    if (!server->conf->has_membership)
        rules_add(r, MIG_RULE_RECONFIG_INACTIVE, server->id, "its conf shows no membership");
    else if (used->has_version && used->version != config->version)
        rules_add(r, MIG_RULE_RECONFIG_INACTIVE, server->id,
                  "its conf shows version %llx, the config has %llx", (unsigned long long)used->version,
                  (unsigned long long)config->version);
    else if (!mig_same_members(used, config))
        rules_add(r, MIG_RULE_RECONFIG_INACTIVE, server->id, "its conf shows other members than the config");
    else if (!used->has_version)
        rules_add(r, MIG_RULE_ACTIVATION_UNVERSIONED, server->id,
                  "AdminServer shows its members, not the config's version");
}

static const struct zkp_conf_answer *reference_conf(const struct rules *r)
{
    for (uint32_t i = 0; i < r->facts->server_count; i++)
        if (r->facts->servers[i].conf != NULL)
            return r->facts->servers[i].conf;
    return NULL;
}

static void check_timeouts(struct rules *r, const struct mig_server_facts *server,
                           const struct zkp_conf_answer *reference)
{
    const struct zkp_conf_answer *conf = server->conf;
    if (conf->min_session_timeout_ms != reference->min_session_timeout_ms ||
        conf->max_session_timeout_ms != reference->max_session_timeout_ms)
        rules_add(r, MIG_RULE_TIMEOUTS_DIFFER, server->id, "%d..%d ms, server %d has %d..%d ms",
                  conf->min_session_timeout_ms, conf->max_session_timeout_ms, reference->server_id,
                  reference->min_session_timeout_ms, reference->max_session_timeout_ms);
}

static void check_ticks(struct rules *r, const struct mig_server_facts *server,
                        const struct zkp_conf_answer *reference)
{
    const struct zkp_conf_answer *conf = server->conf;
    if (conf->tick_time_ms != reference->tick_time_ms || conf->init_limit != reference->init_limit ||
        conf->sync_limit != reference->sync_limit)
        rules_add(r, MIG_RULE_TICK_DIFFERS, server->id,
                  "tickTime %d, initLimit %d, syncLimit %d; server %d has %d, %d, %d", conf->tick_time_ms,
                  conf->init_limit, conf->sync_limit, reference->server_id, reference->tick_time_ms,
                  reference->init_limit, reference->sync_limit);
}

static void check_limits(struct rules *r, const struct mig_server_facts *server)
{
    int64_t init_ms = (int64_t)server->conf->init_limit * server->conf->tick_time_ms;
    int64_t sync_ms = (int64_t)server->conf->sync_limit * server->conf->tick_time_ms;
    int64_t needed_ms = mig_estimate_sync_ms(r->facts);
    if (init_ms > 0 && needed_ms > init_ms)
        rules_add(r, MIG_RULE_INIT_LIMIT_SHORT, server->id,
                  "initLimit is %lld ms, the data may take a joiner about %lld ms", (long long)init_ms,
                  (long long)needed_ms);
    if (sync_ms > 0 && sync_ms < SYNC_LIMIT_MIN_MS)
        rules_add(r, MIG_RULE_SYNC_LIMIT_SHORT, server->id, "syncLimit is %lld ms", (long long)sync_ms);
}

void rules_conf(struct rules *r, const struct mig_server_facts *server)
{
    const struct zkp_conf_answer *reference = reference_conf(r);
    if (server->conf->server_id != server->id)
        rules_add(r, MIG_RULE_ID_MISMATCH, server->id, "it says serverId=%d", server->conf->server_id);
    check_timeouts(r, server, reference);
    check_ticks(r, server, reference);
    check_limits(r, server);
    if (!r->switches->no_activation_check)
        check_activation(r, server);
}
