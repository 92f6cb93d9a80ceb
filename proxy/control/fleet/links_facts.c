/* What the admin sessions know and are, as facts; and which server one of them should be at. See links.h. */
#include <stdio.h>

#include "proxy/control/fleet/links_int.h"

bool px_links_is_usable(const struct mig_facts *facts, const struct mig_server_facts *server)
{
    return server->health == MIG_HEALTH_SERVING && server->srvr.mode != ZKP_MODE_READ_ONLY &&
           (!facts->config || zkp_config_find(facts->config, server->id));
}

int32_t px_links_best_server(const struct mig_facts *facts, int32_t not_this)
{
    int32_t best = MIG_NO_SERVER;
    bool best_is_target = false;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        bool is_target = server->side == MIG_SIDE_TARGET;
        if (server->id == not_this || !px_links_is_usable(facts, server) ||
            (best != MIG_NO_SERVER && (best_is_target || !is_target)))
            continue;
        best = server->id;
        best_is_target = is_target;
    }
    return best;
}

bool px_links_reconfig_pending(const struct px_links *links)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (links->links[i].zk && links->links[i].is_reconfiguring)
            return true;
    return false;
}

static void count_connection(struct mig_server_facts *server, const struct mig_zk *zk)
{
    if (zk)
        mig_server_own_connection(server, mig_zk_session_id(zk), mig_zk_connected_since_ms(zk));
}

void px_links_facts(const struct px_links *links, struct mig_facts *facts)
{
    facts->config = links->has_config ? &links->config : NULL;
    facts->config_at_ms = links->config_at_ms;
    facts->lock = links->lock.state;
    snprintf(facts->lock_holder, sizeof facts->lock_holder, "%s", links->lock.holder);
    facts->has_credentials = links->super[0] != '\0';
    for (uint32_t i = 0; i < facts->server_count; i++) {
        struct mig_server_facts *server = &facts->servers[i];
        if (links->lock.id == server->id)
            count_connection(server, links->lock.zk);
        for (uint32_t l = 0; l < LINKS_MAX; l++)
            if (links->links[l].id == server->id)
                count_connection(server, links->links[l].zk);
    }
}
