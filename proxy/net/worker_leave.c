/* Sessions leave servers that empty, at the common pace: moved, or returned when they can't be; and all of
 * them when the proxy ends. Worker thread. */
#include "proxy/net/worker_int.h"

/* How many sessions one tick may look at: the rest has its turn 10 ms later. */
#define LEAVE_SCAN_MAX 256u
#define SECOND_US      1000000
#define PROBE_MS       30 /* a round takes some milliseconds */
#define SCOUT_PAUSE_MS 5  /* in which a session without requests gets its marker */

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

static void link_move(struct px_link *link)
{
    struct px_event event = px_link_event(link, PX_EVENT_MOVE);

    event.deadline_ms = quiesce_deadline(link->worker);
    px_link_step(link, &event);
    px_link_settle(link);
}

static void count_instead(struct px_worker *worker, enum px_obstacle obstacle)
{
    static const enum px_metric metrics[PX_OBSTACLE_COUNT] = {
        [PX_OBSTACLE_SASL] = PX_METRIC_INSTEAD_SASL,   [PX_OBSTACLE_WATCHES] = PX_METRIC_INSTEAD_WATCHES,
        [PX_OBSTACLE_AUTH] = PX_METRIC_INSTEAD_AUTH,   [PX_OBSTACLE_READ_ONLY] = PX_METRIC_INSTEAD_READ_ONLY,
        [PX_OBSTACLE_LOCAL] = PX_METRIC_INSTEAD_LOCAL,
    };

    px_metric_add(worker->metrics, metrics[obstacle], 1);
}

static void link_leave(struct px_link *link)
{
    enum px_obstacle obstacle = px_session_obstacle(link->core);

    if (obstacle == PX_OBSTACLE_NONE) {
        link_move(link);
        return;
    }
    count_instead(link->worker, obstacle);
    link_return(link, quiesce_deadline(link->worker));
}

static uint32_t moves_under_way(const struct px_worker *worker)
{
    const uint32_t *counts = worker->link_counts;

    return counts[PX_SESSION_LEAVING] + counts[PX_SESSION_SEEKING] + counts[PX_SESSION_JOINING] +
           counts[PX_SESSION_RESTORING];
}

/* A session that waits for one of the few places waits with its client's requests: better not begin. */
static bool has_room(const struct px_worker *worker)
{
    uint32_t share = PX_CONNECTS_MAX / worker->shared->worker_count;

    return worker->skips_pacing || moves_under_way(worker) < (share > 4 ? share : 4);
}

/* A server that has not been proven lately is tried by one session; whoever looked for it meanwhile would not
 * find it, and have waited for nothing. One that is still waiting for its client's requests tries nobody. */
static bool may_scout(const struct px_worker *worker)
{
    const uint32_t *counts = worker->link_counts;

    return counts[PX_SESSION_SEEKING] + counts[PX_SESSION_JOINING] + counts[PX_SESSION_RESTORING] == 0 &&
           worker->now_ms - worker->leave_begun_ms >= SCOUT_PAUSE_MS;
}

/* Somebody must be able to take it, or the client would only wait. */
static bool has_taker(const struct px_link *link)
{
    uint32_t slot = px_link_taker(link);

    return slot != PX_SLOT_NONE && (px_worker_is_proven(link->worker, slot) || may_scout(link->worker));
}

static bool is_due(const struct px_link *link)
{
    return px_server_empties(&link->worker->directive->servers[link->slot], link->is_canary) &&
           link->worker->now_ms >= link->again_ms && px_session_may_leave(link->core, link->worker->now_ms) &&
           has_taker(link);
}

static void fill_credit(struct px_worker *worker)
{
    int64_t passed_us = (worker->now_ms - worker->leave_filled_ms) * 1000;

    worker->leave_filled_ms = worker->now_ms;
    worker->leave_credit_us += passed_us;
    if (worker->leave_credit_us > SECOND_US / 10)
        worker->leave_credit_us = SECOND_US / 10; /* no burst after a calm */
}

/* This worker's share of moves_per_second, as time per session. */
static int64_t leave_cost_us(const struct px_worker *worker)
{
    if (worker->skips_pacing)
        return 0;
    return (int64_t)SECOND_US * worker->shared->worker_count / worker->directive->moves_per_second;
}

bool px_worker_wants_leave(const struct px_worker *worker)
{
    return worker->any_empties && !worker->directive->stop && worker->hold.id == 0 &&
           worker->directive->moves_per_second > 0;
}

/* Which server takes them is decided by zxids: what is known of one without sessions is as old as the last
 * probe. So a probe comes first, and one now and then while it lasts. */
static bool has_fresh_probes(struct px_worker *worker)
{
    if (worker->leave_since_ms == 0)
        worker->leave_since_ms = worker->now_ms;
    px_worker_kick_probe(worker, PX_KICK_MS);
    return worker->now_ms - worker->leave_since_ms >= PROBE_MS;
}

void px_worker_tick_leave(struct px_worker *worker)
{
    struct px_link_list *active = &worker->links[PX_SESSION_ACTIVE];
    uint32_t scan = worker->link_counts[PX_SESSION_ACTIVE];
    int64_t cost_us;

    if (!px_worker_wants_leave(worker))
        worker->leave_since_ms = 0;
    if (!px_worker_wants_leave(worker) || scan == 0 || !has_fresh_probes(worker))
        return;
    cost_us = leave_cost_us(worker);
    fill_credit(worker);
    if (scan > LEAVE_SCAN_MAX && !worker->skips_pacing)
        scan = LEAVE_SCAN_MAX;
    while (scan-- > 0 && worker->leave_credit_us >= 0 && has_room(worker)) {
        struct px_link *link = TAILQ_FIRST(active);
        if (is_due(link)) {
            worker->leave_credit_us -= cost_us;
            worker->leave_begun_ms = worker->now_ms;
            link_leave(link);
        } else {
            TAILQ_REMOVE(active, link, entry); /* looked at: behind the others */
            TAILQ_INSERT_TAIL(active, link, entry);
        }
    }
}

void px_worker_turn_leave(struct px_worker *worker)
{
    if (moves_under_way(worker) < worker->moves_before)
        px_worker_tick_leave(worker);
    worker->moves_before = moves_under_way(worker);
}

static void return_one(struct px_link *link, void *context)
{
    const struct px_worker *worker = context;

    if (worker->now_ms >= link->again_ms)
        link_return(link, worker->directive->stop_deadline_ms);
}

/* The proxy ends: every session is returned, without pace, because all must be gone in time. */
void px_worker_tick_stop(struct px_worker *worker)
{
    if (worker->directive == NULL || !worker->directive->stop)
        return;
    if (worker->now_ms >= worker->directive->stop_deadline_ms) {
        for (enum px_session_state state = 0; state < PX_SESSION_DEAD; state++)
            px_worker_step_state(worker, state, PX_EVENT_STOP, 0);
        return;
    }
    for (enum px_session_state state = 0; state <= PX_SESSION_DIALING; state++)
        px_worker_step_state(worker, state, PX_EVENT_STOP, 0);
    px_worker_each(worker, PX_SESSION_ACTIVE, return_one, worker);
}
