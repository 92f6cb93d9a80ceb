/* See strangers.h. */
#include "proxy/control/fleet/strangers.h"

static struct px_stranger *place_of(struct px_strangers *strangers, int32_t id)
{
    struct px_stranger *free_place = NULL;
    for (uint32_t i = 0; i < MIG_SERVERS_MAX; i++) {
        struct px_stranger *place = &strangers->servers[i];
        if (place->id == id)
            return place;
        if (place->id == 0 && free_place == NULL)
            free_place = place;
    }
    if (free_place != NULL)
        *free_place = (struct px_stranger){.id = id};
    return free_place;
}

static void look(struct px_stranger *place, const struct mig_server_facts *server)
{
    int64_t count = mig_server_strangers(server);
    bool is_first = place->srvr_at_ms == 0;
    place->shown = is_first ? 0 : count < place->last ? count : place->last;
    place->last = count;
    place->srvr_at_ms = server->srvr_at_ms;
}

void px_strangers_facts(struct px_strangers *strangers, struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        struct mig_server_facts *server = &facts->servers[i];
        struct px_stranger *place = place_of(strangers, server->id);
        if (place == NULL) /* reloads have named more servers than there are places */
            continue;
        if (server->srvr_at_ms != place->srvr_at_ms)
            look(place, server);
        server->strangers = place->shown;
    }
}
