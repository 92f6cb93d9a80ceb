/* See routing.h for the rules. */
#include "migrate/engine/routing.h"

#include "zkproto/server.h"

static bool is_member(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    if (facts->config == NULL || facts->config->server_count == 0)
        return server->side == MIG_SIDE_SOURCE;
    return zkp_config_find(facts->config, server->id) != NULL;
}

static bool prefers(struct mig_traffic traffic, const struct mig_server_facts *server)
{
    switch (traffic.prefer) {
    case MIG_PREFER_NONE:
        return true;
    case MIG_PREFER_SOURCES:
        return server->side == MIG_SIDE_SOURCE;
    case MIG_PREFER_STAYING:
        return !mig_plan_leaves(traffic.plan, server->id);
    }
    return false;
}

/* Why a server is not eligible whatever the other servers do; "" = it may be. */
static const char *refusal(const struct mig_drained *drained, const struct mig_facts *facts,
                           const struct mig_server_facts *server)
{
    if (!is_member(facts, server))
        return facts->config == NULL ? "config not observed" : "not in the config";
    if (mig_drained_has(drained, server->id))
        return "drained";
    if (server->health == MIG_HEALTH_PROXY)
        return "a proxy answers there";
    return server->health == MIG_HEALTH_FULL ? "full" : "";
}

static bool stands_in(struct mig_traffic traffic, const struct mig_facts *facts,
                      const struct mig_server_facts *server)
{
    bool is_known_member = facts->config != NULL && is_member(facts, server);
    return is_known_member && traffic.ending != server->id;
}

static bool any_preferred(struct mig_traffic traffic, const struct mig_drained *drained,
                          const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (prefers(traffic, server) && server->health == MIG_HEALTH_SERVING &&
            refusal(drained, facts, server)[0] == '\0')
            return true;
    }
    return false;
}

static void judge(struct mig_route *route, const char *refusal, bool is_other,
                  const struct mig_server_facts *server)
{
    route->reason = refusal;
    if (route->reason[0] == '\0' && is_other)
        route->reason = "the plan prefers others";
    route->is_eligible = route->reason[0] == '\0';
    if (route->is_eligible && server->health != MIG_HEALTH_SERVING)
        route->reason = "not serving";
    route->is_admitted = route->reason[0] == '\0';
}

static bool must_empty(struct mig_traffic traffic, const struct mig_facts *facts,
                       const struct mig_server_facts *server, const struct mig_route *route,
                       bool has_preferred)
{
    if (!is_member(facts, server) || route->is_drained || server->health == MIG_HEALTH_PROXY)
        return true;
    if (traffic.resting == server->id)
        return traffic.is_emptying;
    return traffic.is_emptying && !prefers(traffic, server) && has_preferred;
}

static void route_all(struct mig_traffic traffic, const struct mig_drained *drained,
                      const struct mig_facts *facts, struct mig_routes *ret_routes)
{
    struct mig_drained shut = *drained;
    if (traffic.resting != MIG_NO_SERVER && mig_drained_set(&shut, traffic.resting, true) != RC_OK)
        shut = *drained; /* as full as it gets */
    bool has_preferred = any_preferred(traffic, &shut, facts);
    ret_routes->count = facts->server_count;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        struct mig_route *route = &ret_routes->routes[i];
        *route = (struct mig_route){.id = server->id, .is_drained = mig_drained_has(drained, server->id)};
        const char *why_not = refusal(&shut, facts, server);
        judge(route, why_not, has_preferred && !prefers(traffic, server), server);
        route->stands_in = why_not[0] == '\0' && stands_in(traffic, facts, server);
    }
    bool is_any_admitted = mig_routes_admit(ret_routes); /* sessions need somewhere to go */
    for (uint32_t i = 0; i < facts->server_count; i++) {
        struct mig_route *route = &ret_routes->routes[i];
        route->empties =
            is_any_admitted && must_empty(traffic, facts, &facts->servers[i], route, has_preferred);
    }
}

void mig_route(struct mig_traffic traffic, const struct mig_drained *drained, const struct mig_facts *facts,
               struct mig_routes *ret_routes)
{
    struct mig_traffic ahead = traffic;
    struct mig_routes canaries;
    if (traffic.canary_round != 0) {
        ahead.prefer = MIG_PREFER_STAYING;
        ahead.is_emptying = traffic.canaries_leave;
    }
    route_all(ahead, drained, facts, &canaries);
    route_all(traffic, drained, facts, ret_routes);
    ret_routes->canary_round = traffic.canary_round;
    for (uint32_t i = 0; i < ret_routes->count; i++) {
        ret_routes->routes[i].is_canary_eligible = canaries.routes[i].is_eligible;
        ret_routes->routes[i].canaries_empty = canaries.routes[i].empties;
    }
}

bool mig_routes_admit(const struct mig_routes *routes)
{
    for (uint32_t i = 0; i < routes->count; i++)
        if (routes->routes[i].is_admitted)
            return true;
    return false;
}
