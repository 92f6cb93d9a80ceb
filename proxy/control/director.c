/* See director.h. */
#include "proxy/control/director.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/resolve.h"

struct px_director {
    struct px_crew *crew;
    struct px_fleet *fleet;
    struct px_directive *current; /* one reference */
    struct px_hold hold;
    int64_t nobody_expires_ms; /* the latest ever seen */
    bool is_stopping;
    int64_t stop_deadline_ms;
};

struct px_director *px_director_new(struct px_crew *crew, struct px_fleet *fleet)
{
    struct px_director *director = calloc(1, sizeof *director);
    if (!director)
        return NULL;
    *director = (struct px_director){.crew = crew, .fleet = fleet, .current = px_directive_new()};
    if (!director->current) {
        free(director);
        return NULL;
    }
    return director;
}

void px_director_free(struct px_director *director)
{
    if (!director)
        return;
    px_directive_unref(director->current);
    free(director);
}

void px_director_hold(struct px_director *director, const struct px_hold *hold)
{
    director->hold = *hold;
}

void px_director_release(struct px_director *director, uint64_t hold_id)
{
    if (director->hold.id == hold_id)
        director->hold = (struct px_hold){0};
}

uint64_t px_director_hold_id(const struct px_director *director)
{
    return director->hold.id;
}

bool px_director_leader_leaves(const struct px_director *director)
{
    return director->hold.exit_epoch != 0;
}

void px_director_stop(struct px_director *director, int64_t deadline_ms)
{
    director->is_stopping = true;
    director->stop_deadline_ms = deadline_ms;
}

/* A bare check (opcode 13) corrupts the server before 3.8.5 and in 3.9.0–3.9.2 (pitfall P18). */
static bool check_is_harmful(const char *version)
{
    int64_t number = zkp_version_number(version);
    bool is_fixed_38 = number >= zkp_version_number("3.8.5") && number < zkp_version_number("3.9.0");
    return !(is_fixed_38 || number >= zkp_version_number("3.9.3"));
}

/* ZOOKEEPER-4466; an unknown version counts as an old one. */
static bool has_watch_modes(const char *version)
{
    return zkp_version_number(version) >= zkp_version_number("3.9.0");
}

static void fill_server(struct px_server_directive *out, const struct mig_server_facts *server,
                        const struct mig_route *route, bool is_leader, const struct mig_address *address)
{
    *out = (struct px_server_directive){
        .in_use = true,
        .admit = route->is_eligible,
        .is_serving = server->health == MIG_HEALTH_SERVING,
        .stands_in = route->stands_in,
        .is_read_only = server->srvr.mode == ZKP_MODE_READ_ONLY,
        .empties = route->empties,
        .admit_canaries = route->is_canary_eligible,
        .canaries_empty = route->canaries_empty,
        .is_leader = is_leader,
        .has_watch_modes = has_watch_modes(server->srvr.version),
        .id = server->id,
        .side = server->side == MIG_SIDE_TARGET ? PX_SIDE_TARGET : PX_SIDE_SOURCE,
        .zxid = server->health == MIG_HEALTH_PROXY ? 0 : server->srvr.zxid,
    };
    if (address) {
        out->address_count = 1;
        out->addresses[0].storage = address->storage;
        out->addresses[0].length = address->length;
    }
}

static void fill_binds(const struct conf_binds *binds, enum px_side side, struct px_directive *out)
{
    for (uint32_t i = 0; i < binds->count && i < PX_BINDS_MAX; i++) {
        struct mig_address address;
        if (mig_address_numeric(binds->hosts[i], 0, &address) != RC_OK)
            continue; /* conf has checked that it is numeric */
        struct px_address *place = &out->binds[side][out->bind_count[side]++];
        place->storage = address.storage;
        place->length = address.length;
    }
}

/* The share and the networks are the plan's: nobody's edit of the file changes who goes first in it. */
static void fill_canary(const struct mig_routes *routes, const struct mig_view *view, struct px_canary *out)
{
    memset(out, 0, sizeof *out);
    if (routes->canary_round == 0 || view->plan == NULL)
        return;
    out->round = routes->canary_round;
    out->share = (uint32_t)view->plan->canary.share;
    out->clients.count = view->plan->canary.clients.count;
    memcpy(out->clients.items, view->plan->canary.clients.items, sizeof out->clients.items);
}

/* The transaction is made by the leader, whoever that will be, and applied by all: one member that dies of it
 * is enough. Who has not said its version might be one. */
static void fill_harm(const struct mig_facts *facts, struct px_directive *out)
{
    bool check = false;

    for (uint32_t i = 0; i < facts->server_count; i++)
        check = check || check_is_harmful(facts->servers[i].srvr.version);
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        out->servers[slot].check_is_harmful = check && out->servers[slot].in_use;
}

static void fill(const struct px_director *director, const struct conf *conf, const struct mig_facts *facts,
                 const struct mig_routes *routes, const struct mig_view *view, struct px_directive *out)
{
    for (uint32_t i = 0; i < PX_SLOTS_MAX; i++)
        out->servers[i] = (struct px_server_directive){0};
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        uint32_t slot = px_fleet_slot(director->fleet, server->id);
        if (slot != PX_SLOT_NONE)
            fill_server(&out->servers[slot], server, &routes->routes[i], server->id == view->leader.id,
                        px_fleet_address(director->fleet, server->id));
    }
    fill_harm(facts, out);
    for (int side = 0; side < PX_SIDE_COUNT; side++)
        out->bind_count[side] = 0;
    fill_binds(&conf->bind_source, PX_SIDE_SOURCE, out);
    fill_binds(&conf->bind_target, PX_SIDE_TARGET, out);
    out->moves_per_second = (uint32_t)(view->plan ? view->plan->switch_rate : conf->switch_rate);
    out->quiesce_timeout_ms = (uint32_t)conf->quiesce_timeout_ms;
    out->limits = (struct px_byte_limits){.request = (uint32_t)conf->request_bytes,
                                          .reply = (uint32_t)conf->reply_bytes,
                                          .whole = (uint32_t)conf->whole_bytes,
                                          .held = (uint32_t)conf->buffers_max};
    out->hold = director->hold;
    fill_canary(routes, view, &out->canary);
    out->nobody_expires_ms = director->nobody_expires_ms;
    out->has_leader = view->leader.id >= 0 || mig_facts_is_led(facts);
    snprintf(out->why_waiting, sizeof out->why_waiting, "%s",
             out->has_leader ? "no admitted server serves" : "the ensemble has no leader");
    out->stop = director->is_stopping;
    out->stop_deadline_ms = director->stop_deadline_ms;
}

/* Everything behind the version. Both were zeroed as a whole, so padding compares equal. */
static bool same_content(const struct px_directive *a, const struct px_directive *b)
{
    const size_t from = offsetof(struct px_directive, servers);
    return memcmp((const char *)a + from, (const char *)b + from, sizeof *a - from) == 0;
}

enum rc px_director_update(struct px_director *director, const struct conf *conf,
                           const struct mig_facts *facts, const struct mig_routes *routes,
                           const struct mig_view *view)
{
    struct px_directive *next = px_directive_next(director->current);
    int64_t no_quorum_ms = mig_facts_no_quorum_ms(facts);
    if (!next)
        return RC_NOMEM;
    if (no_quorum_ms > director->nobody_expires_ms)
        director->nobody_expires_ms = no_quorum_ms;
    fill(director, conf, facts, routes, view, next);
    if (director->current->version > 0 && same_content(director->current, next)) {
        px_directive_unref(next);
        return RC_OK;
    }
    px_directive_unref(director->current);
    director->current = next;
    px_crew_publish(director->crew, next);
    return RC_OK;
}

const struct px_directive *px_director_current(const struct px_director *director)
{
    return director->current;
}
