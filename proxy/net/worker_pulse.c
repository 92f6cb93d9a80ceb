/* Servers that hang without closing: SIGSTOP, a lost route. A server from which nothing has come for a while
 * is sent one ping on one of its sessions; when nothing comes then either, each of its sessions is told as
 * soon as that is long for its own timeout (design.md §4, "Crash of a server"). Worker thread. */
#include <string.h>

#include "proxy/net/worker_int.h"

#define PULSE_MS      400
#define STANDSTILL_MS (3 * PX_SLOW_TICK_MS)
#define SILENT_PART   6   /* of a session's timeout; the rest is for attaching it elsewhere */
#define SILENT_MIN_MS 300 /* pauses of a JVM are not hangs */

static struct px_link *link_on(struct px_worker *worker, uint32_t slot)
{
    struct px_link *link;

    TAILQ_FOREACH(link, &worker->links[PX_SESSION_ACTIVE], entry)
    if (link->slot == slot && link->server.stream_left == 0 && link->client.stream_left == 0)
        return link;
    return NULL;
}

/* A session with something outstanding asks by itself, but for one whose request is half passed on: its
 * server may well be silent until the rest has come. */
static void ping_slot(struct px_worker *worker, uint32_t slot)
{
    struct px_link *link = link_on(worker, slot);

    if (link == NULL)
        return;
    worker->slot_pinged_ms[slot] = worker->now_ms;
    if (px_session_outstanding(link->core) == 0)
        px_metric_add(worker->metrics, PX_METRIC_PINGS_SENT, 1);
    px_link_step_kind(link, PX_EVENT_PING);
    px_link_settle(link);
}

static bool is_silent_for(const struct px_link *link)
{
    struct px_session_facts facts;
    int64_t patience_ms;

    px_session_facts_get(link->core, &facts);
    patience_ms = facts.timeout_ms / SILENT_PART;
    if (patience_ms < SILENT_MIN_MS)
        patience_ms = SILENT_MIN_MS;
    return link->worker->now_ms - link->worker->slot_pinged_ms[link->slot] >= patience_ms;
}

static void tell_one(struct px_link *link, void *context)
{
    struct px_worker *worker = context;

    if (worker->slot_pinged_ms[link->slot] == 0 || !is_silent_for(link))
        return;
    px_worker_doubt(worker, link->slot);
    px_link_step_kind(link, PX_EVENT_SILENT);
    px_link_settle(link);
}

static void tell_silent(struct px_worker *worker, enum px_session_state state)
{
    px_worker_each(worker, state, tell_one, worker);
}

void px_worker_tick_pulse(struct px_worker *worker)
{
    static const enum px_session_state states[] = {PX_SESSION_ACTIVE, PX_SESSION_LEAVING,
                                                   PX_SESSION_RETURNING, PX_SESSION_HOLDING, PX_SESSION_HELD};
    uint32_t pulse_ms = worker->options.pulse_ms == 0 ? PULSE_MS : worker->options.pulse_ms;
    bool is_any_silent = false;

    if (worker->directive == NULL || worker->now_ms - worker->pulse_ms < PX_SLOW_TICK_MS / 5)
        return;
    /* After a standstill of our own the answers are in the sockets, unread. */
    if (worker->now_ms - worker->pulse_ms > STANDSTILL_MS)
        memset(worker->slot_pinged_ms, 0, sizeof(worker->slot_pinged_ms));
    worker->pulse_ms = worker->now_ms;
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++) {
        if (!worker->directive->servers[slot].in_use)
            continue;
        if (worker->slot_pinged_ms[slot] != 0)
            is_any_silent = true;
        else if (worker->now_ms - worker->slot_reply_ms[slot] >= pulse_ms)
            ping_slot(worker, slot);
    }
    for (size_t i = 0; is_any_silent && i < sizeof(states) / sizeof(states[0]); i++)
        tell_silent(worker, states[i]);
}
