/* Holds: a lease in which requests wait in the proxy, or moves stand still (design.md §4). Worker thread; a
 * worker ends a hold by itself when its time is over or its purpose is met, also without control. */
#include "proxy/net/worker_int.h"

bool px_worker_holds(const struct px_worker *worker, const struct px_link *link)
{
    const struct px_hold *hold = &worker->hold;

    if (hold->id == 0 || hold->scope == PX_HOLD_MOVES)
        return false;
    return hold->scope == PX_HOLD_ALL || hold->slot == link->slot;
}

/* HOLD begins or renews it: who is not covered is left alone. */
static void hold_one(struct px_link *link, void *context)
{
    const struct px_worker *worker = context;

    if (!px_worker_holds(worker, link))
        return;
    struct px_event event = px_link_event(link, PX_EVENT_HOLD);
    event.deadline_ms = worker->hold.deadline_ms;
    px_link_step(link, &event);
    px_link_settle(link);
}

static void step_covered(struct px_worker *worker, enum px_session_state state)
{
    px_worker_each(worker, state, hold_one, worker);
}

static void hold_begin(struct px_worker *worker, const struct px_hold *hold)
{
    if (worker->hold.id != hold->id) {
        px_metric_add(worker->metrics, PX_METRIC_HOLD_BEGUN, 1);
        worker->lost_in_hold = 0;
        worker->has_marked = worker->is_marked = false;
    }
    worker->hold = *hold;
    step_covered(worker, PX_SESSION_HELD);
    step_covered(worker, PX_SESSION_HOLDING);
    step_covered(worker, PX_SESSION_ACTIVE);
}

static void hold_end(struct px_worker *worker, enum px_metric how)
{
    worker->hold_ended_id = worker->hold.id;
    worker->hold = (struct px_hold){0};
    px_metric_add(worker->metrics, how, 1);
    px_worker_step_state(worker, PX_SESSION_HELD, PX_EVENT_RELEASE, 0);
    px_worker_step_state(worker, PX_SESSION_HOLDING, PX_EVENT_RELEASE, 0);
    px_worker_route_waiting(worker, true);
}

static bool is_same(const struct px_hold *a, const struct px_hold *b)
{
    return a->id == b->id && a->deadline_ms == b->deadline_ms && a->exit_epoch == b->exit_epoch &&
           a->own_zxid == b->own_zxid;
}

/* A reconfig whose zxid is not known yet may still turn out to be the only transaction missed. */
static void note_own_zxid(struct px_worker *worker, const struct px_hold *hold)
{
    if (hold->own_zxid != 0)
        worker->own_zxid = hold->own_zxid;
    else if (hold->id != 0 && hold->exit_epoch != 0)
        worker->own_zxid = -1;
    else if (hold->id != 0 || worker->own_zxid < 0)
        worker->own_zxid = 0;
}

void px_worker_apply_hold(struct px_worker *worker, const struct px_hold *hold)
{
    note_own_zxid(worker, hold);
    if (is_same(hold, &worker->hold))
        return;
    if (hold->id == 0 && worker->hold.id != 0)
        hold_end(worker, PX_METRIC_HOLD_RELEASED);
    else if (hold->id != 0 && hold->id != worker->hold_ended_id && worker->now_ms < hold->deadline_ms)
        hold_begin(worker, hold);
}

/* --- the local end --- */

struct crew_sum {
    uint32_t lost;
    uint32_t detached;
};

static struct crew_sum sum_up(const struct px_shared *shared)
{
    struct crew_sum sum = {0};

    for (uint32_t i = 0; i < shared->worker_count; i++) {
        sum.lost += atomic_load_explicit(&shared->workers[i].lost_count, memory_order_relaxed);
        sum.detached += atomic_load_explicit(&shared->workers[i].detached_count, memory_order_relaxed);
    }
    return sum;
}

static void leave_leaver(struct px_link *link, void *context)
{
    bool *has_left = context;

    if (link->slot != link->worker->hold.leaving_slot)
        return;
    px_conn_close(&link->server);
    px_link_step_kind(link, PX_EVENT_SERVER_GONE);
    px_link_settle(link);
    *has_left = true;
}

/* Followers close at once when their leader leaves; it notices a tick later itself (protocol.md §5.5). */
static bool leave_the_leaver(struct px_worker *worker)
{
    bool has_left = false;

    px_worker_each(worker, PX_SESSION_HELD, leave_leaver, &has_left);
    return has_left;
}

/* The reconfig is known to have been applied, or a server has been seen in a later epoch. */
static bool has_leader_changed(const struct px_worker *worker)
{
    if (worker->hold.own_zxid != 0)
        return true;
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (px_shared_zxid(worker->shared, worker->directive, slot) >> 32 > worker->hold.exit_epoch)
            return true;
    return false;
}

/* Servers were lost, and everybody has one again: the new leader leads. One connection may also be lost for
 * reasons of its own, before anything has happened. */
static bool is_purpose_met(struct px_worker *worker)
{
    struct crew_sum sum = sum_up(worker->shared);

    if (worker->hold.exit_epoch == 0 || sum.lost == 0 || sum.detached > 0 || !has_leader_changed(worker))
        return false;
    return !leave_the_leaver(worker);
}

void px_worker_tick_hold(struct px_worker *worker)
{
    if (worker->hold.id == 0)
        return;
    /* First: a session that found its lease over by itself would be held again at once. */
    if (worker->now_ms >= worker->hold.deadline_ms) {
        hold_end(worker, PX_METRIC_HOLD_TIMED_OUT);
        return;
    }
    px_worker_step_state(worker, PX_SESSION_HOLDING, PX_EVENT_TICK, 0);
    px_worker_step_state(worker, PX_SESSION_HELD, PX_EVENT_TICK, 0);
    if (is_purpose_met(worker))
        hold_end(worker, PX_METRIC_HOLD_MET);
}

/* --- reports --- */

static uint32_t count_detached(const struct px_worker *worker)
{
    static const enum px_session_state states[] = {PX_SESSION_SEEKING, PX_SESSION_JOINING,
                                                   PX_SESSION_RESTORING};
    const struct px_link *link;
    uint32_t count = 0;

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        TAILQ_FOREACH(link, &worker->links[states[i]], entry)
    count += px_session_is_detached(link->core);
    return count;
}

static uint32_t count_on_slot(const struct px_worker *worker, enum px_session_state state)
{
    const struct px_link *link;
    uint32_t count = 0;

    TAILQ_FOREACH(link, &worker->links[state], entry)
    count += link->slot == worker->hold.slot;
    return count;
}

/* Sessions with something outstanding; for scope MOVES: on their way. Those without a server have nothing. */
static uint32_t count_restless(const struct px_worker *worker, uint32_t moving, uint32_t detached)
{
    const uint32_t *counts = worker->link_counts;

    if (worker->hold.id == 0)
        return 0;
    if (worker->hold.scope == PX_HOLD_MOVES)
        return moving;
    if (worker->hold.scope == PX_HOLD_SERVER)
        return count_on_slot(worker, PX_SESSION_ACTIVE) + count_on_slot(worker, PX_SESSION_HOLDING) + moving;
    return counts[PX_SESSION_ACTIVE] + counts[PX_SESSION_HOLDING] + counts[PX_SESSION_RETURNING] +
           counts[PX_SESSION_ENDING] + counts[PX_SESSION_DIALING] + moving - detached;
}

/* Only now, with everybody quiet, is a marker the zxid that the reconfig will follow: lasting watches survive
 * a change of the leader when that can be shown (design.md §4, "Hold"). */
static bool is_crew_quiet(const struct px_worker *worker)
{
    const struct px_shared *shared = worker->shared;

    for (uint32_t i = 0; i < shared->worker_count; i++)
        if (atomic_load_explicit(&shared->workers[i].hold_id, memory_order_acquire) != worker->hold.id ||
            atomic_load_explicit(&shared->workers[i].restless_count, memory_order_relaxed) > 0)
            return false;
    return true;
}

static bool has_lasting_watches(const struct px_link *link)
{
    const struct px_watch_set *watches = px_session_watches(link->core);

    return px_watch_set_count(watches, ZKP_LIST_PERSISTENT) +
               px_watch_set_count(watches, ZKP_LIST_RECURSIVE) >
           0;
}

static void mark_one(struct px_link *link, void *context)
{
    (void)context;
    if (!has_lasting_watches(link))
        return;
    px_link_step_kind(link, PX_EVENT_PING);
    px_link_settle(link);
}

static void mark(struct px_worker *worker)
{
    worker->has_marked = true;
    px_worker_each(worker, PX_SESSION_HELD, mark_one, NULL);
}

/* A ping alone is none: with one behind each event there may always be one under way. */
static bool awaits_marker(const struct px_link *link)
{
    struct px_session_facts facts;
    uint32_t outstanding = px_session_outstanding(link->core);

    if (outstanding != 1)
        return outstanding > 0;
    px_session_facts_get(link->core, &facts);
    return facts.awaited_op != ZKP_OPX_PING;
}

static bool are_markers_back(const struct px_worker *worker)
{
    const struct px_link *link;

    TAILQ_FOREACH(link, &worker->links[PX_SESSION_HELD], entry)
    if (awaits_marker(link))
        return false;
    return true;
}

/* Called once per loop turn. 0 = quiet and marked. */
static uint32_t advance(struct px_worker *worker, uint32_t restless)
{
    if (worker->hold.id == 0 || worker->hold.scope == PX_HOLD_MOVES || restless > 0)
        return restless;
    if (!worker->has_marked && is_crew_quiet(worker))
        mark(worker);
    if (worker->has_marked && !worker->is_marked)
        worker->is_marked = are_markers_back(worker);
    return worker->is_marked ? 0 : 1;
}

void px_worker_publish_hold(struct px_worker *worker)
{
    struct px_shared_worker *row = &worker->shared->workers[worker->options.index];
    const uint32_t *counts = worker->link_counts;
    uint32_t transfers =
        counts[PX_SESSION_SEEKING] + counts[PX_SESSION_JOINING] + counts[PX_SESSION_RESTORING];
    uint32_t detached = transfers == 0 ? 0 : count_detached(worker);
    uint32_t moving = transfers + counts[PX_SESSION_LEAVING];
    uint32_t restless = count_restless(worker, moving, detached);

    atomic_store_explicit(&row->moving_count, moving + counts[PX_SESSION_RETURNING], memory_order_relaxed);
    atomic_store_explicit(&row->lost_count, worker->lost_in_hold, memory_order_relaxed);
    atomic_store_explicit(&row->detached_count, detached, memory_order_relaxed);
    atomic_store_explicit(&row->restless_count, restless, memory_order_relaxed);
    atomic_store_explicit(&row->unquiesced_count, advance(worker, restless), memory_order_relaxed);
    /* Last, and in order: who sees the hold also sees how many are not quiet in it. */
    atomic_store_explicit(&row->hold_id, worker->hold.id, memory_order_release);
}
