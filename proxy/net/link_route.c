/* Which server one link dials next: its first, or another one when it moves or has lost its own (design.md
 * §4). Worker thread. The choice itself: route.h; the dial: link_dial.c. */
#include <stdlib.h>

#include "proxy/log.h"
#include "proxy/net/link_int.h"
#include "proxy/net/route.h"
#include "proxy/net/worker_int.h"

#define BEHIND_WAIT_MS 1000 /* then the server itself decides: our numbers may be older than it is */
#define RETRY_MS       100  /* all were tried; each time twice as long, */
#define RETRY_MAX_MS   800  /* but a server that takes somebody again, or a directive, wakes all */
#define STAND_IN_MS    1000 /* nobody who is admitted takes it for so long: others may */
#define WAIT_MS        20   /* nobody qualifies: look again */

static const char *why_waits(const struct px_link *link, enum px_route route)
{
    switch (route) {
    case PX_ROUTE_BUSY:
        return "connects in flight";
    case PX_ROUTE_BEHIND:
        return "servers are behind the client";
    case PX_ROUTE_EXHAUSTED:
        return "every server refused";
    case PX_ROUTE_NONE:
    case PX_ROUTE_FOUND:
        break;
    }
    return link->worker->directive->why_waiting;
}

static void link_wait(struct px_link *link, enum px_route route, int64_t pause_ms)
{
    struct px_attempt *attempt = link->attempt;

    attempt->retry_ms = link->worker->now_ms + pause_ms;
    attempt->is_exhausted = route == PX_ROUTE_EXHAUSTED;
    if (attempt->has_waited || link->is_established)
        return;
    attempt->has_waited = true;
    px_metric_add(link->worker->metrics, PX_METRIC_CONNECT_WAITED, 1);
    px_log(PX_LOG_INFO, "connect.waits", "why=%s", why_waits(link, route));
}

/* --- a first connection --- */

/* Whether the zxid may be ignored by now. */
static bool behind_long_enough(struct px_link *link)
{
    struct px_attempt *attempt = link->attempt;

    if (attempt->behind_since_ms == 0)
        attempt->behind_since_ms = link->worker->now_ms;
    return link->worker->ignores_zxid || link->worker->now_ms - attempt->behind_since_ms >= BEHIND_WAIT_MS;
}

/* Everybody who is admitted was asked. What refuses a client for its zxid says nothing about other clients.
 */
static bool has_asked_long_enough(struct px_link *link)
{
    struct px_attempt *attempt = link->attempt;

    if (attempt->shut_since_ms == 0)
        attempt->shut_since_ms = link->worker->now_ms;
    if (px_session_state(link->core) == PX_SESSION_WAITING && px_session_is_new(link->core) &&
        px_session_last_zxid(link->core) == 0)
        px_worker_note_shut(link->worker, link->is_canary);
    return link->worker->now_ms - attempt->shut_since_ms >= STAND_IN_MS;
}

static struct px_route_ask first_ask(const struct px_link *link, uint64_t tried)
{
    return (struct px_route_ask){.zxid = link->worker->ignores_zxid ? 0 : px_session_last_zxid(link->core),
                                 .tried = tried,
                                 .home = PX_SLOT_NONE,
                                 .takes_read_only = px_session_takes_read_only(link->core),
                                 .is_canary = link->is_canary};
}

/* Who the plan does not prefer, but would take it, and has not failed lately. */
static bool pick_stand_in(const struct px_link *link, uint32_t *ret_slot)
{
    uint64_t skipped = link->attempt->tried | px_worker_bad_slots(link->worker);
    struct px_route_ask ask = first_ask(link, skipped);

    ask.takes_stand_ins = true;
    return px_route_pick(link->worker->directive, link->worker->shared, &ask, ret_slot) == PX_ROUTE_FOUND;
}

/* Also one that has failed lately is better than none. */
static enum px_route pick_any(struct px_link *link, uint32_t *ret_slot)
{
    struct px_worker *worker = link->worker;
    struct px_route_ask ask = first_ask(link, link->attempt->tried);
    enum px_route route = px_route_pick(worker->directive, worker->shared, &ask, ret_slot);

    if (route != PX_ROUTE_BEHIND)
        return route;
    px_worker_kick_probe(worker, PX_KICK_MS);
    if (!behind_long_enough(link))
        return route;
    ask.ignores_zxid = true;
    return px_route_pick(worker->directive, worker->shared, &ask, ret_slot);
}

/* While nobody who is admitted takes sessions, one try of each in a second is enough for all of them to know
 * when that is over. */
static enum px_route link_pick(struct px_link *link, uint32_t *ret_slot)
{
    struct px_worker *worker = link->worker;
    bool is_shut = px_worker_is_shut(worker, link->is_canary);
    uint64_t resting = px_worker_bad_slots(worker) | (is_shut ? px_worker_tried_slots(worker) : 0);
    struct px_route_ask ask = first_ask(link, link->attempt->tried | resting);
    enum px_route route = px_route_pick(worker->directive, worker->shared, &ask, ret_slot);

    if (route == PX_ROUTE_FOUND || route == PX_ROUTE_BUSY)
        return route;
    if (is_shut && pick_stand_in(link, ret_slot))
        return PX_ROUTE_FOUND;
    route = pick_any(link, ret_slot);
    if (route == PX_ROUTE_EXHAUSTED && has_asked_long_enough(link) && pick_stand_in(link, ret_slot))
        return PX_ROUTE_FOUND;
    return route;
}

static int64_t longer_pause(struct px_attempt *attempt)
{
    attempt->pause_ms = attempt->pause_ms == 0 ? RETRY_MS : 2 * attempt->pause_ms;
    if (attempt->pause_ms > RETRY_MAX_MS)
        attempt->pause_ms = RETRY_MAX_MS;
    return attempt->pause_ms;
}

static void link_pause(struct px_link *link, enum px_route route)
{
    if (route == PX_ROUTE_EXHAUSTED) {
        link->attempt->tried = 0;
        if (px_session_is_new(link->core))
            px_worker_note_refusal(link->worker);
        link_wait(link, route, longer_pause(link->attempt));
        return;
    }
    if (route == PX_ROUTE_NONE)
        px_worker_kick_probe(link->worker, PX_KICK_MS);
    link_wait(link, route, WAIT_MS);
}

static void route_first(struct px_link *link)
{
    while (px_session_state(link->core) == PX_SESSION_WAITING) {
        uint32_t slot;
        enum px_route route = link_pick(link, &slot);
        if (route != PX_ROUTE_FOUND) {
            link_pause(link, route);
            break;
        }
        if (px_link_dial(link, slot) && px_session_state(link->core) == PX_SESSION_WAITING) {
            link_wait(link, PX_ROUTE_BUSY, WAIT_MS);
            break;
        }
    }
}

/* --- another server for a session that has, or had, one --- */

static struct px_route_ask seek_ask(const struct px_link *link)
{
    const struct px_attempt *attempt = link->attempt;
    struct px_route_ask ask = {.zxid = px_session_last_zxid(link->core),
                               .is_attached = true,
                               .serving = px_worker_good_slots(link->worker),
                               .ignores_places = link->worker->skips_pacing,
                               .home = PX_SLOT_NONE,
                               .is_canary = link->is_canary};

    ask.tried = 1ull << link->slot;
    if (attempt == NULL)
        return ask;
    ask.tried = attempt->tried;
    if (attempt->may_go_home)
        ask.home = link->slot;
    return ask;
}

static enum px_route pick_good(const struct px_link *link, uint32_t *ret_slot)
{
    struct px_route_ask ask = seek_ask(link);

    return px_route_pick(link->worker->directive, link->worker->shared, &ask, ret_slot);
}

static void allow_home(struct px_link *link)
{
    link->attempt->may_go_home = true;
    link->attempt->tried &= ~(1ull << link->slot);
}

/* A session that was cut off, when nobody whom the plan prefers is good: who looks good among the others. */
static bool pick_good_stand_in(struct px_link *link, uint32_t *ret_slot)
{
    struct px_route_ask ask = seek_ask(link);

    if (!has_asked_long_enough(link))
        return false;
    ask.takes_stand_ins = true;
    return px_route_pick(link->worker->directive, link->worker->shared, &ask, ret_slot) == PX_ROUTE_FOUND;
}

/* Who is cut off goes back to where it was when nobody else is good and that server still serves others: one
 * that hangs would take the session later, behind its back. Then to one that the plan does not prefer. Now
 * and then it also tries what does not look good. */
static enum px_route pick_next(struct px_link *link, uint32_t *ret_slot)
{
    enum px_route route = pick_good(link, ret_slot);
    struct px_route_ask ask;

    if (route == PX_ROUTE_FOUND || route == PX_ROUTE_BUSY || !px_session_is_detached(link->core))
        return route;
    if (!link->attempt->may_go_home) {
        allow_home(link);
        route = pick_good(link, ret_slot);
        if (route == PX_ROUTE_FOUND || route == PX_ROUTE_BUSY)
            return route;
    }
    if (pick_good_stand_in(link, ret_slot))
        return PX_ROUTE_FOUND;
    ask = seek_ask(link);
    ask.serving = px_worker_scout_slots(link->worker);
    return px_route_pick(link->worker->directive, link->worker->shared, &ask, ret_slot);
}

uint32_t px_link_taker(const struct px_link *link)
{
    struct px_route_ask ask = seek_ask(link);
    uint32_t slot = PX_SLOT_NONE;

    (void)px_route_pick(link->worker->directive, link->worker->shared, &ask, &slot);
    return slot;
}

/* Nobody listens anywhere, the server it came from included: a client of its own would know at once, too. */
static bool is_hopeless(const struct px_link *link)
{
    const struct px_directive *directive = link->worker->directive;
    const struct px_attempt *attempt = link->attempt;

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++) {
        const struct px_server_directive *server = &directive->servers[slot];
        bool counts = server->in_use && (px_server_admits(server, link->is_canary) || slot == link->slot);
        if (counts && (attempt->refused >> slot & 1) == 0)
            return false;
    }
    return attempt->refused != 0;
}

/* All were tried. A session that was cut off goes on trying, its last server included. */
static void step_unrouted(struct px_link *link)
{
    struct px_attempt *attempt = link->attempt;
    struct px_event event = px_link_event(link, PX_EVENT_UNROUTED);

    event.is_hopeless = is_hopeless(link);
    attempt->tried = 0;
    attempt->may_go_home = true;
    px_link_step(link, &event);
    if (px_session_state(link->core) == PX_SESSION_SEEKING)
        link_wait(link, PX_ROUTE_EXHAUSTED, WAIT_MS);
}

static void route_next(struct px_link *link)
{
    while (px_session_state(link->core) == PX_SESSION_SEEKING) {
        uint32_t slot;
        enum px_route route = pick_next(link, &slot);
        bool is_cut_off = px_session_is_detached(link->core);
        if (route == PX_ROUTE_FOUND && !px_link_dial(link, slot))
            continue;
        if (px_session_state(link->core) != PX_SESSION_SEEKING)
            return;
        if (route == PX_ROUTE_EXHAUSTED || (route == PX_ROUTE_NONE && !is_cut_off))
            step_unrouted(link);
        else
            link_wait(link, PX_ROUTE_BUSY, WAIT_MS);
        return;
    }
}

void px_link_want_server(struct px_link *link)
{
    struct px_attempt *attempt = link->attempt;

    if (attempt == NULL) {
        attempt = calloc(1, sizeof(*attempt));
        if (attempt == NULL) {
            link->client.is_broken = true; /* the end of the turn closes it */
            return;
        }
        px_conn_init(&attempt->next, link, PX_CONN_NEXT);
        attempt->slot = attempt->last_slot = PX_SLOT_NONE;
        attempt->tried = link->is_established ? 1ull << link->slot : 0;
        link->attempt = attempt;
    }
    attempt->retry_ms = 0;
    link->worker->free_places++;
}

void px_link_route(struct px_link *link)
{
    if (link->attempt != NULL && px_session_state(link->core) == PX_SESSION_WAITING)
        route_first(link);
    else if (link->attempt != NULL && px_session_state(link->core) == PX_SESSION_SEEKING)
        route_next(link);
    px_link_settle(link);
}
