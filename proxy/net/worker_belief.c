/* Which servers take sessions, as this worker has seen itself: probes may be older than a crash or an
 * election. Worker thread. A server that hangs costs each session that tries it a second, and may take it
 * afterwards all the same (protocol.md §3.3, stale revalidation): it is left alone longer, and one that has
 * not been proven lately is tried by one session at a time. */
#include <string.h>

#include "proxy/log.h"
#include "proxy/net/worker_int.h"

#define BAD_MS    1000  /* refused, closed, or no way to it from here */
#define HUNG_MS   10000 /* no answer at all */
#define PROVEN_MS 5000  /* a ConnectResponse or a reply that new */
#define SCOUT_MS  20    /* between two tries of one that is not good */

/* An election is over by then; a client still has most of its patience. */
#define SHUT_MS 1000
#define TOLD_MS 10000 /* from one line about it to the next */

#define SHORTAGE_MS      100   /* then one dial may try whether descriptors and memory are there again */
#define SHORTAGE_TOLD_MS 10000 /* from one line about it to the next */

static void note_grant(struct px_worker *worker)
{
    struct px_shared_worker *row = &worker->shared->workers[worker->options.index];

    atomic_store_explicit(&row->refused_since_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&row->granted_ms, worker->now_ms, memory_order_relaxed);
}

void px_worker_note_refusal(struct px_worker *worker)
{
    struct px_shared_worker *row = &worker->shared->workers[worker->options.index];

    if (atomic_load_explicit(&row->refused_since_ms, memory_order_relaxed) == 0)
        atomic_store_explicit(&row->refused_since_ms, worker->now_ms, memory_order_relaxed);
    atomic_store_explicit(&row->refused_ms, worker->now_ms, memory_order_relaxed);
}

/* By workers, so that a flag of one that nobody connects to any more does not stay. */
static void publish_shut(struct px_worker *worker)
{
    struct px_shared_worker *row = &worker->shared->workers[worker->options.index];
    int64_t since_ms = worker->shut_since_ms[PX_GROUP_REST];

    if (since_ms == 0)
        since_ms = worker->shut_since_ms[PX_GROUP_CANARY];
    atomic_store_explicit(&row->shut_since_ms, since_ms, memory_order_relaxed);
}

void px_worker_note_shut(struct px_worker *worker, bool is_canary)
{
    int64_t *since_ms = &worker->shut_since_ms[is_canary ? PX_GROUP_CANARY : PX_GROUP_REST];

    if (*since_ms == 0)
        *since_ms = worker->now_ms;
    publish_shut(worker);
}

bool px_worker_is_shut(const struct px_worker *worker, bool is_canary)
{
    int64_t since_ms = worker->shut_since_ms[is_canary ? PX_GROUP_CANARY : PX_GROUP_REST];

    return since_ms != 0 && worker->now_ms - since_ms >= SHUT_MS;
}

static void note_open(struct px_worker *worker, uint32_t slot)
{
    const struct px_server_directive *server = &worker->directive->servers[slot];

    if (px_server_admits(server, false))
        worker->shut_since_ms[PX_GROUP_REST] = 0;
    if (px_server_admits(server, true))
        worker->shut_since_ms[PX_GROUP_CANARY] = 0;
    publish_shut(worker);
}

void px_worker_note_elsewhere(struct px_worker *worker, uint32_t slot)
{
    struct px_shared_worker *row = &worker->shared->workers[worker->options.index];

    px_metric_add(worker->metrics, PX_METRIC_ELSEWHERE, 1);
    atomic_store_explicit(&row->elsewhere_ms, worker->now_ms, memory_order_relaxed);
    worker->elsewhere_untold++;
    if (worker->elsewhere_told_ms != 0 && worker->now_ms - worker->elsewhere_told_ms < TOLD_MS)
        return;
    worker->elsewhere_told_ms = worker->now_ms;
    px_log(PX_LOG_ERROR, "connect.elsewhere", "server=%d sessions=%u why=%s",
           (int)worker->directive->servers[slot].id, worker->elsewhere_untold,
           "no session can be attached to the servers that the plan prefers");
    worker->elsewhere_untold = 0;
}

void px_worker_note_dial(struct px_worker *worker, uint32_t slot, enum px_dial_result result)
{
    worker->slot_ended_ms[slot] = worker->now_ms;
    if (result == PX_DIAL_SHORTAGE || result == PX_DIAL_ABANDONED)
        return; /* says nothing about the server */
    worker->is_back = worker->is_back || (result == PX_DIAL_OK && worker->slot_bad_ms[slot] != 0);
    worker->slot_bad_ms[slot] = 0;
    if (result == PX_DIAL_OK || result == PX_DIAL_EXPIRED) {
        worker->slot_ok_ms[slot] = worker->now_ms;
        note_grant(worker);
        note_open(worker, slot);
    } else {
        worker->slot_bad_ms[slot] = worker->now_ms + (result == PX_DIAL_TIMEOUT ? HUNG_MS : BAD_MS);
    }
}

void px_worker_note_shortage(struct px_worker *worker, int error)
{
    worker->dials_after_ms = worker->now_ms + SHORTAGE_MS;
    if (worker->now_ms - worker->dials_told_ms < SHORTAGE_TOLD_MS)
        return;
    worker->dials_told_ms = worker->now_ms;
    px_log(PX_LOG_ERROR, "dial.shortage", "why=%s waiting=%u", strerror(error),
           worker->link_counts[PX_SESSION_WAITING] + worker->link_counts[PX_SESSION_SEEKING]);
}

void px_worker_doubt(struct px_worker *worker, uint32_t slot)
{
    worker->slot_bad_ms[slot] = worker->now_ms + HUNG_MS;
    worker->slot_ok_ms[slot] = 0;
}

bool px_worker_is_proven(const struct px_worker *worker, uint32_t slot)
{
    int64_t since_ms = worker->now_ms - PROVEN_MS;

    return worker->slot_ok_ms[slot] > since_ms || worker->slot_reply_ms[slot] > since_ms;
}

static bool is_being_tried(const struct px_worker *worker, uint32_t slot)
{
    return worker->slot_begun_ms[slot] > worker->slot_ended_ms[slot];
}

static bool is_good(const struct px_worker *worker, uint32_t slot)
{
    if (worker->now_ms < worker->slot_bad_ms[slot])
        return false;
    if (px_worker_is_proven(worker, slot))
        return worker->directive->servers[slot].is_serving || worker->slot_ok_ms[slot] > 0;
    return worker->directive->servers[slot].is_serving && !is_being_tried(worker, slot);
}

uint64_t px_worker_bad_slots(const struct px_worker *worker)
{
    uint64_t mask = 0;

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (worker->now_ms < worker->slot_bad_ms[slot])
            mask |= 1ull << slot;
    return mask;
}

uint64_t px_worker_good_slots(const struct px_worker *worker)
{
    uint64_t mask = 0;

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (is_good(worker, slot))
            mask |= 1ull << slot;
    return mask;
}

uint64_t px_worker_tried_slots(const struct px_worker *worker)
{
    uint64_t mask = 0;

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (worker->slot_begun_ms[slot] != 0 && worker->now_ms - worker->slot_begun_ms[slot] < BAD_MS)
            mask |= 1ull << slot;
    return mask;
}

uint64_t px_worker_scout_slots(const struct px_worker *worker)
{
    uint64_t mask = 0;

    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        if (worker->now_ms - worker->slot_begun_ms[slot] >= SCOUT_MS && !is_being_tried(worker, slot))
            mask |= 1ull << slot;
    return mask;
}
