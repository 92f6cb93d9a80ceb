/* What directives and the passing of time do to a worker's sessions: deadlines, and who waits for a server.
 * Worker thread. Not here: holds (worker_hold.c), who leaves (worker_leave.c), hung servers (worker_pulse.c).
 */
#include <string.h>

#include "proxy/log.h"
#include "proxy/net/linger.h"
#include "proxy/net/route.h"
#include "proxy/net/worker_int.h"
#include "zkproto/frame.h"

void px_worker_each(struct px_worker *worker, enum px_session_state state, px_link_fn *fn, void *context)
{
    struct px_link_list *list = &worker->links[state];

    /* What was looked at goes behind the others first: wherever a call puts links, the next one is in front.
     */
    for (uint32_t left = worker->link_counts[state]; left > 0 && !TAILQ_EMPTY(list); left--) {
        struct px_link *link = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, link, entry);
        TAILQ_INSERT_TAIL(list, link, entry);
        fn(link, context);
    }
}

static void step_one(struct px_link *link, void *context)
{
    const struct px_event *given = context;
    struct px_event event = px_link_event(link, given->kind);

    event.deadline_ms = given->deadline_ms;
    event.reason = PX_CLOSE_SHUTDOWN;
    px_link_step(link, &event);
    px_link_settle(link);
}

void px_worker_step_state(struct px_worker *worker, enum px_session_state state, enum px_event_kind kind,
                          int64_t deadline_ms)
{
    struct px_event event = {.kind = kind, .deadline_ms = deadline_ms};

    px_worker_each(worker, state, step_one, &event);
}

void px_worker_stop_all(struct px_worker *worker)
{
    for (enum px_session_state state = 0; state < PX_SESSION_DEAD; state++)
        px_worker_step_state(worker, state, PX_EVENT_STOP, 0);
    px_linger_done(worker);
    /* The loop may not come round again: the sweep's work is done here. */
    while (!TAILQ_EMPTY(&worker->links[PX_SESSION_DEAD]))
        px_link_free(TAILQ_FIRST(&worker->links[PX_SESSION_DEAD]));
}

static void apply_one(struct px_link *link, void *context)
{
    struct px_worker *worker = context;
    int64_t zxid = px_shared_zxid(worker->shared, worker->directive, link->slot);

    if (link->awaited_zxid != 0 && zxid >= link->awaited_zxid) {
        struct px_event event = px_link_event(link, PX_EVENT_APPLIED);
        event.known_zxid = zxid;
        link->awaited_zxid = 0;
        px_link_step(link, &event);
        px_link_settle(link);
    } else if (link->awaited_zxid != 0) {
        px_worker_kick_probe(worker, PX_KICK_SOON_MS);
    }
}

static void step_applied(struct px_worker *worker)
{
    px_worker_each(worker, PX_SESSION_RESTORING, apply_one, worker);
}

/* Once per directive: the loop asks in every turn, and the table is 74 KiB. */
static bool any_empties(const struct px_directive *directive)
{
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (directive->servers[slot].empties || directive->servers[slot].canaries_empty)
            return true;
    return false;
}

static void take_limits(struct px_worker *worker, struct px_byte_limits limits)
{
    worker->limits.request = limits.request != 0 ? limits.request : ZKP_SERVER_FRAME_MAX;
    worker->limits.reply = limits.reply != 0 ? limits.reply : ZKP_SERVER_FRAME_MAX;
    worker->limits.whole = limits.whole != 0 ? limits.whole : PX_WHOLE_BYTES_DEFAULT;
    worker->limits.held =
        (limits.held != 0 ? limits.held : PX_HELD_BYTES_DEFAULT) / worker->shared->worker_count;
}

void px_worker_apply(struct px_worker *worker, struct px_directive *take_directive)
{
    /* Messages of one sender arrive in order, so an older version can only be a mistake of ours. */
    if (worker->directive != NULL && take_directive->version < worker->directive->version) {
        px_directive_unref(take_directive);
        return;
    }
    bool has_other_canaries =
        worker->directive == NULL ||
        memcmp(&worker->directive->canary, &take_directive->canary, sizeof(take_directive->canary)) != 0;
    px_directive_unref(worker->directive);
    worker->directive = take_directive;
    worker->any_empties = any_empties(take_directive);
    take_limits(worker, take_directive->limits);
    if (has_other_canaries)
        px_worker_judge_canaries(worker);
    px_worker_apply_hold(worker, &take_directive->hold);
    step_applied(worker);
    px_worker_route_waiting(worker, true);
    atomic_store_explicit(&worker->shared->workers[worker->options.index].directive_version,
                          take_directive->version, memory_order_release);
}

/* First connects wait for the end of a hold; sessions that have lost their server are what it waits for. */
static bool may_route(const struct px_worker *worker, enum px_session_state state)
{
    if (worker->directive == NULL || state == PX_SESSION_SEEKING)
        return worker->directive != NULL;
    return !worker->directive->stop && (worker->hold.id == 0 || worker->hold.scope == PX_HOLD_MOVES);
}

/* New ones (retry 0) stand at the end; those before them only have the places that became free. Who was
 * refused by all, or whose dial failed at once, has none of them: its time has to pass. */
static void route_one(struct px_link *link, void *context)
{
    uint32_t *budget = context;
    const struct px_attempt *attempt = link->attempt;

    if (attempt != NULL &&
        (attempt->retry_ms == 0 || (*budget > 0 && (!attempt->is_exhausted || *budget == UINT32_MAX))))
        px_link_route(link);
    if (*budget > 0 && *budget < UINT32_MAX)
        (*budget)--;
}

/* UINT32_MAX: all of them. */
static void route_state(struct px_worker *worker, enum px_session_state state, uint32_t budget)
{
    if (budget > 0 && may_route(worker, state))
        px_worker_each(worker, state, route_one, &budget);
}

void px_worker_route_waiting(struct px_worker *worker, bool all)
{
    uint32_t budget = worker->free_places;

    all = all || worker->is_back;
    worker->is_back = false;
    worker->free_places = 0;
    route_state(worker, PX_SESSION_SEEKING, all ? UINT32_MAX : budget);
    route_state(worker, PX_SESSION_WAITING, all ? UINT32_MAX : budget);
}

static void wait_one(struct px_link *link, void *context)
{
    const struct px_worker *worker = context;

    if (link->attempt != NULL && worker->now_ms >= link->attempt->retry_ms)
        px_link_route(link);
}

static void tick_waiting(struct px_worker *worker, enum px_session_state state)
{
    if (may_route(worker, state))
        px_worker_each(worker, state, wait_one, worker);
}

static void dial_one(struct px_link *link, void *context)
{
    const struct px_worker *worker = context;

    if (link->attempt == NULL || worker->now_ms < link->attempt->dial_deadline_ms)
        return;
    px_link_dial_end(link, PX_DIAL_TIMEOUT);
    px_link_step_kind(link, PX_EVENT_NEXT_GONE);
    px_link_settle(link);
}

static void tick_dialing(struct px_worker *worker, enum px_session_state state)
{
    px_worker_each(worker, state, dial_one, worker);
}

static bool has_place_to_give(const struct px_worker *worker)
{
    return worker->wants_places && worker->collector_count < PX_COLLECTORS_MAX;
}

static void give_place(struct px_conn *conn)
{
    struct px_worker *worker = conn->link->worker;

    if ((conn->pauses & PX_PAUSE_PLACE) == 0)
        return;
    if (worker->collector_count == PX_COLLECTORS_MAX) { /* waits on */
        worker->wants_places = true;
        return;
    }
    px_conn_pause(conn, PX_PAUSE_PLACE, false);
    conn->wants_walk = true; /* takes the place, when it still needs one */
    conn->has_more = true;
}

static void place_one(struct px_link *link, void *context)
{
    (void)context;
    give_place(&link->client);
    give_place(&link->server);
    if (link->client.wants_walk || link->server.wants_walk)
        px_link_settle(link);
}

static void tick_places(struct px_worker *worker)
{
    if (!has_place_to_give(worker))
        return;
    worker->wants_places = false;
    for (enum px_session_state state = 0; state < PX_SESSION_DEAD; state++)
        px_worker_each(worker, state, place_one, NULL);
}

bool px_worker_is_busy(const struct px_worker *worker)
{
    static const enum px_session_state states[] = {
        PX_SESSION_CLAIMING, PX_SESSION_WAITING, PX_SESSION_DIALING, PX_SESSION_RETURNING,
        PX_SESSION_LEAVING,  PX_SESSION_SEEKING, PX_SESSION_JOINING, PX_SESSION_RESTORING};

    if (worker->hold.id != 0 || has_place_to_give(worker))
        return true;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (worker->link_counts[states[i]] > 0)
            return true;
    return worker->link_counts[PX_SESSION_ACTIVE] > 0 &&
           (px_worker_wants_leave(worker) || (worker->directive != NULL && worker->directive->stop));
}

static void tick_slow(struct px_worker *worker)
{
    static const enum px_session_state states[] = {PX_SESSION_GREETING, PX_SESSION_ACTIVE, PX_SESSION_ENDING};

    if (worker->now_ms - worker->slow_tick_ms < PX_SLOW_TICK_MS)
        return;
    worker->slow_tick_ms = worker->now_ms;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        px_worker_step_state(worker, states[i], PX_EVENT_TICK, 0);
    px_linger_tick(worker);
    px_log_sweep();
    px_block_cache_trim(&worker->watch_space.blocks);
}

void px_worker_tick(struct px_worker *worker)
{
    static const enum px_session_state states[] = {
        PX_SESSION_CLAIMING, PX_SESSION_WAITING, PX_SESSION_RETURNING, PX_SESSION_LEAVING,
        PX_SESSION_SEEKING,  PX_SESSION_JOINING, PX_SESSION_RESTORING};

    px_worker_tick_hold(worker);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        px_worker_step_state(worker, states[i], PX_EVENT_TICK, 0);
    px_owner_tick(worker);
    tick_dialing(worker, PX_SESSION_DIALING);
    tick_dialing(worker, PX_SESSION_JOINING);
    if (worker->directive != NULL)
        step_applied(worker);
    tick_waiting(worker, PX_SESSION_SEEKING);
    tick_waiting(worker, PX_SESSION_WAITING);
    px_worker_tick_leave(worker);
    px_worker_tick_stop(worker);
    px_worker_tick_pulse(worker);
    tick_places(worker);
    tick_slow(worker);
}
