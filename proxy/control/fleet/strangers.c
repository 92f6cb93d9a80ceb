/* See strangers.h. */
#include "proxy/control/fleet/strangers.h"

#include <string.h>

static struct px_stranger *place_of(struct px_strangers *strangers, int32_t id)
{
    struct px_stranger *free_place = NULL;
    for (uint32_t i = 0; i < MIG_SERVERS_MAX; i++) {
        struct px_stranger *place = &strangers->servers[i];
        if (place->is_used && place->id == id)
            return place;
        if (!place->is_used && free_place == NULL)
            free_place = place;
    }
    if (free_place != NULL)
        *free_place = (struct px_stranger){.is_used = true, .id = id, .shown = -1};
    return free_place;
}

static void look_alone(struct px_stranger *place, const struct mig_server_facts *server)
{
    bool is_alone = server->srvr.connections >= 0 && server->srvr.connections <= server->ours_least;
    if (!is_alone) {
        place->alone_count = 0;
        return;
    }
    memmove(place->alone_at_ms + 1, place->alone_at_ms,
            (MIG_ALONE_SAMPLES - 1) * sizeof place->alone_at_ms[0]);
    place->alone_at_ms[0] = server->srvr_at_ms;
    if (place->alone_count < MIG_ALONE_SAMPLES)
        place->alone_count++;
}

static void look(struct px_stranger *place, const struct mig_server_facts *server)
{
    int64_t count = server->srvr.connections - server->ours_most;
    bool is_first = place->srvr_at_ms == 0;
    count = count > 0 ? count : 0;
    place->shown = is_first ? -1 : count < place->last ? count : place->last;
    place->last = count;
    place->srvr_at_ms = server->srvr_at_ms;
    look_alone(place, server);
}

void px_strangers_facts(struct px_strangers *strangers, struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        struct mig_server_facts *server = &facts->servers[i];
        struct px_stranger *place = place_of(strangers, server->id);
        server->strangers = -1;
        server->alone_since_ms = 0;
        if (place == NULL) /* reloads have named more servers than there are places */
            continue;
        if (server->srvr_at_ms == 0) /* not asked yet, or at another address now */
            *place = (struct px_stranger){.is_used = true, .id = server->id, .shown = -1};
        else if (server->srvr_at_ms != place->srvr_at_ms)
            look(place, server);
        server->strangers = place->shown;
        if (place->alone_count == MIG_ALONE_SAMPLES)
            server->alone_since_ms = place->alone_at_ms[MIG_ALONE_SAMPLES - 1];
    }
}
