/* Comparing and changing configs as the plan needs it: who is a member, what differs. Pure. */
#include <string.h>

#include "migrate/plan/plan.h"
#include "migrate/text.h"

static bool same_client(const struct zkp_server *a, const struct zkp_server *b)
{
    if (a->client_port == 0 || b->client_port == 0)
        return true;
    bool is_any = zkp_host_is_wildcard(a->client_host) || zkp_host_is_wildcard(b->client_host);
    return a->client_port == b->client_port && (is_any || zkp_host_eq(a->client_host, b->client_host));
}

bool mig_same_server(const struct zkp_server *a, const struct zkp_server *b)
{
    return a->id == b->id && a->role == b->role && zkp_server_same_addresses(a, b) && same_client(a, b);
}

bool mig_same_members(const struct zkp_config *a, const struct zkp_config *b)
{
    if (a->server_count != b->server_count)
        return false;
    for (uint32_t i = 0; i < a->server_count; i++) {
        const struct zkp_server *other = zkp_config_find(b, a->servers[i].id);
        if (other == NULL || !mig_same_server(&a->servers[i], other))
            return false;
    }
    return true;
}

enum rc mig_config_add(struct zkp_config *config, const struct zkp_server *server)
{
    mig_config_remove(config, server->id);
    if (config->server_count == ZKP_SERVERS_MAX)
        return RC_FULL;
    uint32_t at = config->server_count;
    while (at > 0 && config->servers[at - 1].id > server->id) {
        config->servers[at] = config->servers[at - 1];
        at--;
    }
    config->servers[at] = *server;
    config->server_count++;
    return RC_OK;
}

void mig_config_remove(struct zkp_config *config, int32_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < config->server_count; i++)
        if (config->servers[i].id != id)
            config->servers[kept++] = config->servers[i];
    config->server_count = kept;
}

void mig_config_ids(const struct zkp_config *config, char *buf, uint32_t capacity)
{
    mig_text_set(buf, capacity, "%s", "");
    for (uint32_t i = 0; i < config->server_count; i++)
        mig_text_add(buf, capacity, "%s%d", i > 0 ? "," : "", config->servers[i].id);
}

void mig_config_difference(const struct zkp_config *now, const struct zkp_config *then, char *buf,
                           uint32_t capacity)
{
    mig_text_set(buf, capacity, "%s", "");
    for (uint32_t i = 0; i < now->server_count; i++) {
        const struct zkp_server *other = zkp_config_find(then, now->servers[i].id);
        const char *gap = buf[0] == '\0' ? "" : ", ";
        if (other == NULL)
            mig_text_add(buf, capacity, "%sserver.%d is gone", gap, now->servers[i].id);
        else if (!mig_same_server(&now->servers[i], other))
            mig_text_add(buf, capacity, "%sserver.%d has another address or role", gap, other->id);
    }
    for (uint32_t i = 0; i < then->server_count; i++)
        if (zkp_config_find(now, then->servers[i].id) == NULL)
            mig_text_add(buf, capacity, "%sserver.%d is new", buf[0] == '\0' ? "" : ", ",
                         then->servers[i].id);
}

static bool is_member_as(const struct zkp_config *config, const struct zkp_server *server)
{
    const struct zkp_server *member = zkp_config_find(config, server->id);
    return member != NULL && mig_same_server(member, server);
}

bool mig_plan_is_final(const struct mig_plan *plan, const struct zkp_config *config)
{
    for (uint32_t i = 0; i < plan->targets.count; i++)
        if (!is_member_as(config, &plan->targets.servers[i]))
            return false;
    for (uint32_t i = 0; i < plan->sources.count; i++)
        if (!mig_plan_leaves(plan, plan->sources.servers[i].id) &&
            !is_member_as(config, &plan->sources.servers[i]))
            return false;
    return config->server_count == mig_plan_final_count(plan);
}

bool mig_plan_fits(const struct mig_plan *plan, const struct zkp_config *config, char *buf, uint32_t capacity)
{
    mig_text_set(buf, capacity, "%s", "");
    for (uint32_t i = 0; i < config->server_count; i++) {
        const struct zkp_server *member = &config->servers[i];
        const struct zkp_server *known = mig_servers_find(&plan->sources, member->id);
        if (known == NULL)
            known = mig_servers_find(&plan->targets, member->id);
        const char *gap = buf[0] == '\0' ? "" : "; ";
        if (known == NULL)
            mig_text_add(buf, capacity, "%sserver.%d is in the config but not in the plan", gap, member->id);
        else if (!mig_same_server(known, member))
            mig_text_add(buf, capacity,
                         "%sserver.%d has another address or role in the config than in the plan", gap,
                         member->id);
    }
    return buf[0] == '\0';
}
