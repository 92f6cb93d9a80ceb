/* What directives and the passing of time do to a worker's sessions: holds, paced returns, stop, deadlines,
 * waiting connects. Worker thread. */
#include "proxy/log.h"
#include "proxy/net/linger.h"
#include "proxy/net/route.h"
#include "proxy/net/worker_int.h"

/* How many sessions one tick may look at for returns: the rest has its turn 10 ms later. */
#define RETURN_SCAN_MAX 256u
#define SECOND_US       1000000

/* A step may move a link to another list, not free it: the sweep does that later. */
static void step_state(struct px_worker *worker, enum px_session_state state, enum px_event_kind kind,
                       int64_t deadline_ms)
{
    struct px_link *link = TAILQ_FIRST(&worker->links[state]);

    while (link != NULL) {
        struct px_link *next = TAILQ_NEXT(link, entry);
        struct px_event event = px_link_event(link, kind);
        event.deadline_ms = deadline_ms;
        event.reason = PX_CLOSE_SHUTDOWN;
        px_link_step(link, &event);
        px_link_settle(link);
        link = next;
    }
}

void px_worker_stop_all(struct px_worker *worker)
{
    for (enum px_session_state state = 0; state < PX_SESSION_DEAD; state++)
        step_state(worker, state, PX_EVENT_STOP, 0);
    px_linger_done(worker);
    /* The loop may not come round again: the sweep's work is done here. */
    while (!TAILQ_EMPTY(&worker->links[PX_SESSION_DEAD]))
        px_link_free(TAILQ_FIRST(&worker->links[PX_SESSION_DEAD]));
}

static void hold_begin(struct px_worker *worker, const struct px_hold *hold)
{
    if (worker->hold_id == 0)
        px_metric_add(worker->metrics, PX_METRIC_HOLD_BEGUN, 1);
    worker->hold_id = hold->id;
    worker->hold_deadline_ms = hold->deadline_ms;
    step_state(worker, PX_SESSION_HELD, PX_EVENT_HOLD, hold->deadline_ms);
    step_state(worker, PX_SESSION_HOLDING, PX_EVENT_HOLD, hold->deadline_ms);
    step_state(worker, PX_SESSION_ACTIVE, PX_EVENT_HOLD, hold->deadline_ms);
}

static void hold_end(struct px_worker *worker, enum px_metric how)
{
    worker->hold_ended_id = worker->hold_id;
    worker->hold_id = 0;
    px_metric_add(worker->metrics, how, 1);
    step_state(worker, PX_SESSION_HELD, PX_EVENT_RELEASE, 0);
    step_state(worker, PX_SESSION_HOLDING, PX_EVENT_RELEASE, 0);
    px_worker_route_waiting(worker, true);
}

static void apply_hold(struct px_worker *worker, const struct px_hold *hold)
{
    if (hold->id == worker->hold_id && hold->deadline_ms == worker->hold_deadline_ms)
        return;
    if (hold->id == 0 && worker->hold_id != 0)
        hold_end(worker, PX_METRIC_HOLD_RELEASED);
    else if (hold->id != 0 && hold->id != worker->hold_ended_id && worker->now_ms < hold->deadline_ms)
        hold_begin(worker, hold);
}

void px_worker_apply(struct px_worker *worker, struct px_directive *take_directive)
{
    /* Messages of one sender arrive in order, so an older version can only be a mistake of ours. */
    if (worker->directive != NULL && take_directive->version < worker->directive->version) {
        px_directive_unref(take_directive);
        return;
    }
    px_directive_unref(worker->directive);
    worker->directive = take_directive;
    apply_hold(worker, &take_directive->hold);
    px_worker_route_waiting(worker, true);
    atomic_store_explicit(&worker->shared->workers[worker->options.index].directive_version,
                          take_directive->version, memory_order_release);
}

bool px_worker_may_route(const struct px_worker *worker)
{
    return worker->directive != NULL && worker->hold_id == 0 && !worker->directive->stop;
}

void px_worker_route_waiting(struct px_worker *worker, bool all)
{
    uint32_t budget = all ? worker->link_counts[PX_SESSION_WAITING] : worker->free_places;
    struct px_link *link = TAILQ_FIRST(&worker->links[PX_SESSION_WAITING]);

    worker->free_places = 0;
    if (budget == 0 || !px_worker_may_route(worker))
        return;
    for (; link != NULL; budget -= budget > 0) {
        struct px_link *next = TAILQ_NEXT(link, entry);
        /* New ones (retry 0) stand at the end; those before them only have the places that became free. */
        if (budget > 0 || link->retry_ms == 0)
            px_link_route(link);
        link = next;
    }
}

static void tick_waiting(struct px_worker *worker)
{
    struct px_link *link = TAILQ_FIRST(&worker->links[PX_SESSION_WAITING]);

    if (!px_worker_may_route(worker))
        return;
    while (link != NULL) {
        struct px_link *next = TAILQ_NEXT(link, entry);
        if (worker->now_ms >= link->retry_ms)
            px_link_route(link);
        link = next;
    }
}

static void tick_dialing(struct px_worker *worker)
{
    struct px_link *link = TAILQ_FIRST(&worker->links[PX_SESSION_DIALING]);

    while (link != NULL) {
        struct px_link *next = TAILQ_NEXT(link, entry);
        if (worker->now_ms >= link->dial_deadline_ms) {
            px_link_dial_end(link, PX_DIAL_TIMEOUT);
            px_link_step_kind(link, PX_EVENT_SERVER_GONE);
            px_link_settle(link);
        }
        link = next;
    }
}

static int64_t quiesce_deadline(const struct px_worker *worker)
{
    return worker->now_ms + worker->directive->quiesce_timeout_ms;
}

static void link_return(struct px_link *link, int64_t deadline_ms)
{
    struct px_event event = px_link_event(link, PX_EVENT_RETURN);

    event.deadline_ms = deadline_ms;
    event.skips_drain = link->worker->skips_drain;
    px_link_step(link, &event);
    px_link_settle(link);
}

/* Somebody must be able to take it, or the client would only lose its connection. */
static bool has_taker(const struct px_link *link)
{
    const struct px_worker *worker = link->worker;
    struct px_route_ask ask = {.zxid = worker->ignores_zxid ? 0 : px_session_last_zxid(link->core)};
    uint32_t slot;

    return px_route_pick(worker->directive, worker->shared, &ask, &slot) == PX_ROUTE_FOUND;
}

static bool is_due(const struct px_link *link)
{
    return link->worker->directive->servers[link->slot].empties &&
           link->worker->now_ms >= link->return_after_ms &&
           px_session_may_return(link->core, link->worker->now_ms) && has_taker(link);
}

static void fill_credit(struct px_worker *worker)
{
    int64_t passed_us = (worker->now_ms - worker->return_filled_ms) * 1000;

    worker->return_filled_ms = worker->now_ms;
    worker->return_credit_us += passed_us;
    if (worker->return_credit_us > SECOND_US / 10)
        worker->return_credit_us = SECOND_US / 10; /* no burst after a calm */
}

/* This worker's share of moves_per_second, as time per return. */
static int64_t return_cost_us(const struct px_worker *worker)
{
    return (int64_t)SECOND_US * worker->shared->worker_count / worker->directive->moves_per_second;
}

static bool wants_returns(const struct px_worker *worker)
{
    if (worker->directive == NULL || worker->hold_id != 0 || worker->directive->moves_per_second == 0)
        return false;
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (worker->directive->servers[slot].empties)
            return true;
    return false;
}

static void tick_returns(struct px_worker *worker)
{
    struct px_link_list *active = &worker->links[PX_SESSION_ACTIVE];
    uint32_t scan = worker->link_counts[PX_SESSION_ACTIVE];
    int64_t cost_us;

    if (!wants_returns(worker))
        return;
    cost_us = return_cost_us(worker);
    fill_credit(worker);
    if (scan > RETURN_SCAN_MAX)
        scan = RETURN_SCAN_MAX;
    while (scan-- > 0 && worker->return_credit_us >= 0) {
        struct px_link *link = TAILQ_FIRST(active);
        if (is_due(link)) {
            worker->return_credit_us -= cost_us;
            link_return(link, quiesce_deadline(worker));
        } else {
            TAILQ_REMOVE(active, link, entry); /* looked at: behind the others */
            TAILQ_INSERT_TAIL(active, link, entry);
        }
    }
}

/* The proxy ends: every session is returned, without pace, because all must be gone in time. */
static void tick_stop(struct px_worker *worker)
{
    struct px_link *link = TAILQ_FIRST(&worker->links[PX_SESSION_ACTIVE]);

    if (worker->directive == NULL || !worker->directive->stop)
        return;
    if (worker->now_ms >= worker->directive->stop_deadline_ms) {
        for (enum px_session_state state = 0; state < PX_SESSION_DEAD; state++)
            step_state(worker, state, PX_EVENT_STOP, 0);
        return;
    }
    for (enum px_session_state state = 0; state <= PX_SESSION_DIALING; state++)
        step_state(worker, state, PX_EVENT_STOP, 0);
    while (link != NULL) {
        struct px_link *next = TAILQ_NEXT(link, entry);
        if (worker->now_ms >= link->return_after_ms)
            link_return(link, worker->directive->stop_deadline_ms);
        link = next;
    }
}

bool px_worker_is_busy(const struct px_worker *worker)
{
    return worker->hold_id != 0 || worker->link_counts[PX_SESSION_CLAIMING] > 0 ||
           worker->link_counts[PX_SESSION_WAITING] > 0 || worker->link_counts[PX_SESSION_DIALING] > 0 ||
           worker->link_counts[PX_SESSION_RETURNING] > 0 ||
           (worker->link_counts[PX_SESSION_ACTIVE] > 0 &&
            (wants_returns(worker) || (worker->directive != NULL && worker->directive->stop)));
}

static void tick_slow(struct px_worker *worker)
{
    static const enum px_session_state states[] = {PX_SESSION_GREETING, PX_SESSION_ACTIVE, PX_SESSION_HOLDING,
                                                   PX_SESSION_HELD, PX_SESSION_ENDING};

    if (worker->now_ms - worker->slow_tick_ms < PX_SLOW_TICK_MS)
        return;
    worker->slow_tick_ms = worker->now_ms;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        step_state(worker, states[i], PX_EVENT_TICK, 0);
    px_linger_tick(worker);
}

void px_worker_tick(struct px_worker *worker)
{
    if (worker->hold_id != 0 && worker->now_ms >= worker->hold_deadline_ms)
        hold_end(worker, PX_METRIC_HOLD_TIMED_OUT);
    step_state(worker, PX_SESSION_CLAIMING, PX_EVENT_TICK, 0);
    step_state(worker, PX_SESSION_WAITING, PX_EVENT_TICK, 0);
    step_state(worker, PX_SESSION_RETURNING, PX_EVENT_TICK, 0);
    tick_dialing(worker);
    tick_waiting(worker);
    tick_returns(worker);
    tick_stop(worker);
    tick_slow(worker);
}
