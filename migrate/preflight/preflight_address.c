/* Preflight rules about the written lines: ids and addresses, without any answer of a server. */
#include <arpa/inet.h>
#include <strings.h>

#include "migrate/preflight/preflight_int.h"

/* Extended types keep the id in one byte, and a server with a greater one does not start with them
 * (EphemeralType.java, QuorumPeer.java): where such a server runs there is no TTL node. */
#define EXTENDED_ID_MAX 254

static bool is_name(const char *host)
{
    struct in6_addr address;
    return !zkp_host_is_wildcard(host) && inet_pton(AF_INET, host, &address) != 1 &&
           inet_pton(AF_INET6, host, &address) != 1;
}

static void check_hosts(struct rules *r, const struct mig_server_facts *server)
{
    const struct zkp_server *spec = server->spec;
    const char *name = spec->client_host;
    for (uint32_t i = 0; i < spec->address_count; i++) {
        if (zkp_host_is_wildcard(spec->addresses[i].host))
            rules_add(r, MIG_RULE_WILDCARD_ADDRESS, server->id, "quorum address %s", spec->addresses[i].host);
        if (is_name(spec->addresses[i].host))
            name = spec->addresses[i].host;
    }
    if (is_name(name))
        rules_add(r, MIG_RULE_ADDRESS_BY_NAME, server->id, "%s", name);
    if (spec->client_port != 0 && spec->client_host[0] != '\0' && zkp_host_is_wildcard(spec->client_host))
        rules_add(r, MIG_RULE_WILDCARD_CLIENT, server->id, "client address %s:%u", spec->client_host,
                  (unsigned)spec->client_port);
}

static void check_alternatives(struct rules *r, const struct mig_server_facts *server)
{
    uint32_t count = server->spec->address_count;
    if (count > 1)
        rules_add(r, rules_has_older(r) ? MIG_RULE_MULTI_ADDRESS_REFUSED : MIG_RULE_MULTI_ADDRESS, server->id,
                  "%u addresses", count);
}

/* Only what a plan may write: the members that it removes can come back, the leader of a rolling plan changes
 * its role. */
static void check_client_part(struct rules *r, const struct mig_server_facts *server)
{
    const struct zkp_config *config = r->facts->config;
    const struct zkp_server *found = config != NULL ? zkp_config_find(config, server->id) : NULL;
    bool is_written = r->plan->kind == CONF_KIND_ROLLING || mig_plan_leaves(r->plan, server->id);
    char text[ZKP_SERVER_TEXT_MAX];
    if (found == NULL || !is_written)
        return;
    struct zkp_server line = *found;
    if (mig_plan_client_part(r->plan, r->facts, &line) && zkp_server_format(&line, text, sizeof(text)) > 0)
        rules_add(r, MIG_RULE_CLIENT_PART_MISSING, server->id,
                  "its line in the config names no client port; written would be %s", text);
}

static void check_role(struct rules *r, const struct mig_server_facts *server)
{
    if (server->spec->role == ZKP_ROLE_OBSERVER)
        rules_add(r, server->side == MIG_SIDE_TARGET ? MIG_RULE_TARGET_OBSERVER : MIG_RULE_OBSERVER,
                  server->id, "role observer");
}

static bool is_without_ttl(const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].side == MIG_SIDE_SOURCE && facts->servers[i].id > EXTENDED_ID_MAX &&
            facts->servers[i].health == MIG_HEALTH_SERVING)
            return true;
    return false;
}

static void check_id(struct rules *r, const struct mig_server_facts *server)
{
    if (server->side == MIG_SIDE_TARGET && server->id > EXTENDED_ID_MAX && !is_without_ttl(r->facts))
        rules_add(r, MIG_RULE_ID_TOO_BIG, server->id, "id %d", server->id);
}

void rules_address(struct rules *r, const struct mig_server_facts *server)
{
    check_hosts(r, server);
    check_alternatives(r, server);
    check_role(r, server);
    check_client_part(r, server);
    check_id(r, server);
}

/* --- clashes --- */

#define ENDPOINTS_MAX (2u * ZKP_SERVER_ADDRESSES_MAX + 1u)

struct endpoint {
    const char *host;
    uint16_t port;
};

static uint32_t endpoints_of(const struct zkp_server *spec, struct endpoint ret_endpoints[ENDPOINTS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < spec->address_count; i++) {
        const struct zkp_server_address *address = &spec->addresses[i];
        ret_endpoints[count++] = (struct endpoint){address->host, address->quorum_port};
        ret_endpoints[count++] = (struct endpoint){address->host, address->election_port};
    }
    if (spec->client_port != 0)
        ret_endpoints[count++] = (struct endpoint){zkp_server_client_host(spec), spec->client_port};
    return count;
}

/* By value, names by their text: names that mean one host are not found out. */
static const struct endpoint *find_equal(const struct endpoint *endpoints, uint32_t count,
                                         const struct endpoint *wanted)
{
    for (uint32_t i = 0; i < count; i++)
        if (endpoints[i].port == wanted->port && zkp_host_eq(endpoints[i].host, wanted->host))
            return &endpoints[i];
    return NULL;
}

static void check_pair(struct rules *r, const struct zkp_server *a, const struct zkp_server *b)
{
    struct endpoint of_a[ENDPOINTS_MAX];
    struct endpoint of_b[ENDPOINTS_MAX];
    uint32_t count_a = endpoints_of(a, of_a);
    uint32_t count_b = endpoints_of(b, of_b);
    for (uint32_t i = 0; i < count_b; i++)
        if (find_equal(of_a, count_a, &of_b[i]) != NULL) {
            rules_add(r, MIG_RULE_ADDRESS_CLASH, b->id, "servers %d and %d both have %s:%u", a->id, b->id,
                      of_b[i].host, (unsigned)of_b[i].port);
            return;
        }
}

/* ZooKeeper's own check leaves loopback and wildcard addresses out, so it cannot be relied on. */
void rules_clashes(struct rules *r)
{
    for (uint32_t i = 0; i < r->facts->server_count; i++)
        for (uint32_t k = i + 1; k < r->facts->server_count; k++)
            check_pair(r, r->facts->servers[i].spec, r->facts->servers[k].spec);
}
