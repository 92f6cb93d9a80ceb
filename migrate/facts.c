/* Questions to the facts that several rules ask: see facts.h. */
#include "migrate/facts.h"

const char *mig_health_name(enum mig_health health)
{
    static const char *const names[MIG_HEALTH_COUNT] = {
#define HEALTH_NAME(name, text) text,
        MIG_HEALTHS(HEALTH_NAME)
#undef HEALTH_NAME
    };
    return (uint32_t)health < MIG_HEALTH_COUNT ? names[health] : "?";
}

const struct mig_server_facts *mig_facts_server(const struct mig_facts *facts, int32_t id)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].id == id)
            return &facts->servers[i];
    return NULL;
}

static bool answered_within(const struct mig_facts *facts, const struct mig_server_facts *server,
                            int64_t max_age_ms)
{
    bool is_silent = server->health == MIG_HEALTH_DOWN || server->health == MIG_HEALTH_NOT_SERVING;
    return !is_silent && server->srvr_at_ms > 0 && facts->now_ms - server->srvr_at_ms <= max_age_ms;
}

bool mig_server_is_serving(const struct mig_facts *facts, const struct mig_server_facts *server,
                           int64_t max_age_ms)
{
    return server->health == MIG_HEALTH_SERVING && answered_within(facts, server, max_age_ms);
}

/* What its own words and the config say; the epoch is compared by the caller. */
static bool may_lead(const struct mig_server_facts *server, const struct zkp_config *config)
{
    if (server->srvr.mode != ZKP_MODE_LEADER)
        return false;
    if (config == NULL)
        return true;
    const struct zkp_server *member = zkp_config_find(config, server->id);
    if (member == NULL || member->role != ZKP_ROLE_PARTICIPANT)
        return false;
    bool has_count = server->mntr_seen == MIG_SEEN_DATA && server->mntr.synced_followers >= 0 &&
                     server->mntr_at_ms >= server->srvr_at_ms;
    return !has_count || server->mntr.synced_followers >= (int64_t)(zkp_config_voters(config) / 2);
}

struct mig_leader mig_facts_leader_in(const struct mig_facts *facts, const struct zkp_config *config,
                                      int64_t max_age_ms)
{
    struct mig_leader leader = {.id = -1};
    int64_t highest = 0;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        /* A server with an ensemble of its own says nothing about ours. */
        bool is_ours = config == NULL || zkp_config_find(config, server->id) != NULL;
        if (!answered_within(facts, server, max_age_ms) || !is_ours)
            continue;
        int64_t epoch = mig_zxid_epoch(server->srvr.zxid);
        if (epoch > highest)
            highest = epoch;
        if (may_lead(server, config) && (leader.id < 0 || epoch > leader.epoch))
            leader = (struct mig_leader){.id = server->id,
                                         .epoch = epoch,
                                         .zxid = server->srvr.zxid,
                                         .observed_at_ms = server->srvr_at_ms};
    }
    if (leader.id >= 0 && leader.epoch < highest)
        leader = (struct mig_leader){.id = -1};
    return leader;
}

struct mig_leader mig_facts_leader(const struct mig_facts *facts, int64_t max_age_ms)
{
    return mig_facts_leader_in(facts, facts->config, max_age_ms);
}
