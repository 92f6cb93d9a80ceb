/* Questions to the facts that several rules ask: see facts.h. */
#include "migrate/facts.h"

#define ONE_ROUND_MS     1000  /* answers this close together tell of the same moment */
#define COUNT_AGE_MAX_MS 30000 /* mntr is asked for every ten seconds; three answers may be lost */

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
    bool is_silent = server->health == MIG_HEALTH_DOWN || server->health == MIG_HEALTH_NOT_SERVING ||
                     server->health == MIG_HEALTH_PROXY;
    return !is_silent && server->srvr_at_ms > 0 && facts->now_ms - server->srvr_at_ms <= max_age_ms;
}

bool mig_server_is_serving(const struct mig_facts *facts, const struct mig_server_facts *server,
                           int64_t max_age_ms)
{
    return server->health == MIG_HEALTH_SERVING && answered_within(facts, server, max_age_ms);
}

void mig_server_own_connection(struct mig_server_facts *server, int64_t session_id, int64_t since_ms)
{
    uint32_t kept = 0;
    server->ours_most++;
    server->ours_least += since_ms != 0 && since_ms < server->srvr_at_ms;
    for (uint32_t i = 0; i < server->other_count && session_id != 0; i++)
        if (server->others[i].session_id != session_id)
            server->others[kept++] = server->others[i];
    if (session_id != 0)
        server->other_count = kept;
}

/* Voters that say themselves that they follow. Until the first transaction after an election they show the
 * epoch before (protocol.md §3.6), never one behind it. */
static uint32_t voters_following(const struct mig_facts *facts, const struct zkp_config *config,
                                 int64_t epoch, int64_t max_age_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->server_count; i++) {
        const struct mig_server_facts *server = mig_facts_server(facts, config->servers[i].id);
        count += config->servers[i].role == ZKP_ROLE_PARTICIPANT && server != NULL &&
                 answered_within(facts, server, max_age_ms) && server->srvr.mode == ZKP_MODE_FOLLOWER &&
                 mig_zxid_epoch(server->srvr.zxid) <= epoch;
    }
    return count;
}

/* That enough follow it: a count that is as new as its word decides. Without one, a count of a moment ago or
 * the followers' own word will do; when nothing shows it, it is not proven. */
static bool is_followed(const struct mig_facts *facts, const struct mig_server_facts *server,
                        const struct zkp_config *config, int64_t max_age_ms)
{
    int64_t needed = zkp_config_voters(config) / 2;
    bool has_count = server->mntr_seen == MIG_SEEN_DATA && server->mntr.synced_followers >= 0;
    if (has_count && server->mntr_at_ms >= server->srvr_at_ms)
        return server->mntr.synced_followers >= needed;
    bool was_followed = has_count && server->mntr.synced_followers >= needed &&
                        facts->now_ms - server->mntr_at_ms <= COUNT_AGE_MAX_MS;
    return was_followed ||
           voters_following(facts, config, mig_zxid_epoch(server->srvr.zxid), max_age_ms) >= needed;
}

/* What its own words and the config say; the epoch is compared by the caller. */
static bool may_lead(const struct mig_facts *facts, const struct mig_server_facts *server,
                     const struct zkp_config *config, int64_t max_age_ms)
{
    if (server->srvr.mode != ZKP_MODE_LEADER)
        return false;
    if (config == NULL)
        return true;
    const struct zkp_server *member = zkp_config_find(config, server->id);
    if (member == NULL || member->role != ZKP_ROLE_PARTICIPANT)
        return false;
    return is_followed(facts, server, config, max_age_ms);
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
        if (may_lead(facts, server, config, max_age_ms) && (leader.id < 0 || epoch > leader.epoch))
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

/* While no config is known, the sources are. */
static bool is_member(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    if (facts->config == NULL)
        return server->side == MIG_SIDE_SOURCE;
    return zkp_config_find(facts->config, server->id) != NULL;
}

static bool follows(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    bool is_led = server->srvr.mode == ZKP_MODE_FOLLOWER || server->srvr.mode == ZKP_MODE_OBSERVER;
    return server->shows_service && is_led && is_member(facts, server);
}

static bool any_follows(const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (follows(facts, &facts->servers[i]))
            return true;
    return false;
}

static bool any_is_standalone(const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (server->shows_service && server->srvr.mode == ZKP_MODE_STANDALONE && is_member(facts, server))
            return true;
    }
    return false;
}

bool mig_facts_is_led(const struct mig_facts *facts)
{
    return any_follows(facts) || any_is_standalone(facts) || mig_facts_leader(facts, INT64_MAX).id >= 0;
}

static bool is_voter(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    if (facts->config == NULL)
        return server->side == MIG_SIDE_SOURCE;
    const struct zkp_server *member = zkp_config_find(facts->config, server->id);
    return member != NULL && member->role == ZKP_ROLE_PARTICIPANT;
}

bool mig_facts_nobody_serves(const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].shows_service && is_voter(facts, &facts->servers[i]))
            return false;
    return true;
}

/* Also those that are not in the file. */
static uint32_t voter_count(const struct mig_facts *facts)
{
    uint32_t count = 0;
    if (facts->config != NULL)
        return zkp_config_voters(facts->config);
    for (uint32_t i = 0; i < facts->server_count; i++)
        count += is_voter(facts, &facts->servers[i]);
    return count;
}

int64_t mig_facts_no_quorum_ms(const struct mig_facts *facts)
{
    int64_t asked_ms[MIG_SERVERS_MAX]; /* newest first */
    uint32_t count = 0;
    uint32_t majority = voter_count(facts) / 2 + 1;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        int64_t at_ms = facts->servers[i].not_serving_at_ms;
        if (at_ms == 0 || facts->now_ms - at_ms > ONE_ROUND_MS || !is_voter(facts, &facts->servers[i]))
            continue;
        uint32_t place = count++;
        for (; place > 0 && asked_ms[place - 1] < at_ms; place--)
            asked_ms[place] = asked_ms[place - 1];
        asked_ms[place] = at_ms;
    }
    return count >= majority && !any_follows(facts) ? asked_ms[majority - 1] : 0;
}
