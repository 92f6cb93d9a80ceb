/* See routing.h for the rules. */
#include "migrate/routing.h"

#include "zkproto/server.h"

static bool is_member(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    if (facts->config == NULL || facts->config->server_count == 0)
        return server->side == MIG_SIDE_SOURCE;
    return zkp_config_find(facts->config, server->id) != NULL;
}

static bool prefers(enum mig_traffic traffic, enum mig_side side)
{
    switch (traffic) {
    case MIG_TRAFFIC_MEMBERS:
        return true;
    case MIG_TRAFFIC_SOURCES:
        return side == MIG_SIDE_SOURCE;
    case MIG_TRAFFIC_TARGETS:
    case MIG_TRAFFIC_TARGETS_STILL:
        return side == MIG_SIDE_TARGET;
    }
    return false;
}

static const char *refusal(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    if (!is_member(facts, server))
        return facts->config == NULL ? "config not observed" : "not in the config";
    if (server->health == MIG_HEALTH_FULL)
        return "full";
    return server->health == MIG_HEALTH_SERVING ? "" : "not serving";
}

static bool any_preferred(enum mig_traffic traffic, const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (prefers(traffic, facts->servers[i].side) && refusal(facts, &facts->servers[i])[0] == '\0')
            return true;
    return false;
}

static bool must_return(enum mig_traffic traffic, const struct mig_facts *facts,
                        const struct mig_server_facts *server, bool is_any_admitted, bool has_preferred)
{
    if (!is_member(facts, server))
        return is_any_admitted;
    return traffic == MIG_TRAFFIC_TARGETS && server->side == MIG_SIDE_SOURCE && has_preferred;
}

void mig_route(enum mig_traffic traffic, const struct mig_facts *facts, struct mig_routes *ret_routes)
{
    bool has_preferred = any_preferred(traffic, facts);
    bool is_any_admitted = false;
    ret_routes->count = facts->server_count;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        struct mig_route *route = &ret_routes->routes[i];
        *route = (struct mig_route){.id = server->id, .reason = refusal(facts, server)};
        if (route->reason[0] == '\0' && has_preferred && !prefers(traffic, server->side))
            route->reason = "the plan prefers the other side";
        route->is_admitted = route->reason[0] == '\0';
        is_any_admitted = is_any_admitted || route->is_admitted;
    }
    for (uint32_t i = 0; i < facts->server_count; i++)
        ret_routes->routes[i].return_sessions =
            must_return(traffic, facts, &facts->servers[i], is_any_admitted, has_preferred);
}
