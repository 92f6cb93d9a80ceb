/* See unseen.h. */
#include "migrate/engine/unseen.h"

#include "migrate/text.h"

static bool follows(const struct mig_server_facts *server)
{
    return server != NULL && server->shows_service && server->srvr.mode == ZKP_MODE_FOLLOWER;
}

static bool is_voter(const struct zkp_server *member)
{
    return member->role == ZKP_ROLE_PARTICIPANT;
}

int32_t mig_unseen_leader(const struct mig_facts *facts, const struct zkp_config *config)
{
    int32_t other = -1;
    int64_t epoch = -1;
    for (uint32_t i = 0; config != NULL && i < config->server_count; i++) {
        const struct mig_server_facts *server = mig_facts_server(facts, config->servers[i].id);
        if (!is_voter(&config->servers[i]))
            continue;
        if (!follows(server)) {
            if (other >= 0)
                return -1;
            other = config->servers[i].id;
            continue;
        }
        if (epoch >= 0 && epoch != mig_zxid_epoch(server->srvr.zxid))
            return -1;
        epoch = mig_zxid_epoch(server->srvr.zxid);
    }
    return epoch >= 0 ? other : -1;
}

uint32_t mig_unseen_followers(const struct mig_facts *facts, const struct zkp_config *config)
{
    uint32_t count = 0;
    int64_t highest = -1;
    for (uint32_t i = 0; i < config->server_count; i++) {
        const struct mig_server_facts *server = mig_facts_server(facts, config->servers[i].id);
        if (!is_voter(&config->servers[i]) || !follows(server))
            continue;
        int64_t epoch = mig_zxid_epoch(server->srvr.zxid);
        if (epoch > highest)
            count = 0;
        if (epoch >= highest) {
            highest = epoch;
            count++;
        }
    }
    return count;
}

static void add_other(const struct mig_server_facts *server, int32_t id, char *buf, uint32_t capacity)
{
    if (server == NULL)
        mig_text_add(buf, capacity, "; server %d is in no line of the file", id);
    else if (server->health == MIG_HEALTH_NOT_SERVING)
        mig_text_add(buf, capacity, "; server %d answers that it does not serve", id);
    else if (server->health != MIG_HEALTH_SERVING)
        mig_text_add(buf, capacity, "; server %d is %s (%s)", id, mig_health_name(server->health),
                     server->health_reason);
    else if (server->mntr_seen == MIG_SEEN_DATA && server->mntr.synced_followers >= 0)
        mig_text_add(buf, capacity, "; server %d says Mode: %s, with %lld synced followers", id,
                     zkp_mode_name(server->srvr.mode), (long long)server->mntr.synced_followers);
    else
        mig_text_add(buf, capacity, "; server %d says Mode: %s", id, zkp_mode_name(server->srvr.mode));
}

void mig_unseen_leader_text(const struct mig_facts *facts, const struct zkp_config *config, char *buf,
                            uint32_t capacity)
{
    const char *separator = "";
    mig_text_set(buf, capacity, "%s", "no server is seen to lead, but these follow: ");
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (follows(&facts->servers[i])) {
            mig_text_add(buf, capacity, "%s%d", separator, facts->servers[i].id);
            separator = ", ";
        }
    for (uint32_t i = 0; config != NULL && i < config->server_count; i++) {
        const struct mig_server_facts *server = mig_facts_server(facts, config->servers[i].id);
        if (is_voter(&config->servers[i]) && !follows(server))
            add_other(server, config->servers[i].id, buf, capacity);
    }
}
