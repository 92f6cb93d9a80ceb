/* What happens on a link, as metrics. Worker thread. */
#include "proxy/log.h"
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "proxy/session/request_queue.h"

#define STAYED_TOLD_MS 10000 /* from one line about moves that came to nothing to the next */

/* Rows of the groups stand together. */
static void count_in_group(const struct px_link *link, enum px_metric of_rest)
{
    px_metric_add(link->worker->metrics, of_rest + (link->is_canary ? PX_GROUP_CANARY : PX_GROUP_REST), 1);
}

/* The client was cut off, and neither its own doing nor a wish of ours was the cause. */
static bool is_trouble(enum px_close_reason reason)
{
    return reason == PX_CLOSE_SERVER_GONE || reason == PX_CLOSE_REFUSED ||
           reason == PX_CLOSE_EVENTS_UNKNOWN || reason == PX_CLOSE_UNKNOWN_OUTCOME ||
           reason == PX_CLOSE_NO_SERVER || reason == PX_CLOSE_OWNER_CONFLICT ||
           reason == PX_CLOSE_SERVER_PROTOCOL;
}

void px_link_count_close(struct px_link *link, enum px_close_reason reason)
{
    struct px_metrics *metrics = link->worker->metrics;

    if (is_trouble(reason))
        count_in_group(link, PX_METRIC_TROUBLES_REST);
    if (reason == PX_CLOSE_EXPIRED)
        count_in_group(link, PX_METRIC_EXPIRED_REST);
    if (reason == PX_CLOSE_RETURNED)
        count_in_group(link, PX_METRIC_RETURNED_REST);
    px_metric_add(metrics, PX_METRIC_CLOSED_CLIENT_GONE + reason, 1);
    px_metric_sub(metrics, PX_METRIC_CLIENTS, 1);
    if (reason == PX_CLOSE_RETURNED)
        px_metric_add(metrics, PX_METRIC_RETURN_DONE, 1);
    if (reason == PX_CLOSE_BAD_CONNECT || reason == PX_CLOSE_BAD_REQUEST || reason == PX_CLOSE_FRAME_LENGTH ||
        reason == PX_CLOSE_FRAME_TOO_BIG)
        px_metric_add(metrics, PX_METRIC_DECODE_CLIENT, 1);
}

static enum px_metric stayed_metric(enum px_dial_result result)
{
    static const enum px_metric metrics[PX_DIAL_COUNT] = {
        [PX_DIAL_OK] = PX_METRIC_STAYED_NO_SERVER,        [PX_DIAL_EXPIRED] = PX_METRIC_STAYED_NOT_KNOWN,
        [PX_DIAL_REFUSED] = PX_METRIC_STAYED_REFUSED,     [PX_DIAL_TIMEOUT] = PX_METRIC_STAYED_TIMEOUT,
        [PX_DIAL_CLOSED] = PX_METRIC_STAYED_CLOSED,       [PX_DIAL_FULL] = PX_METRIC_STAYED_FULL,
        [PX_DIAL_MALFORMED] = PX_METRIC_STAYED_MALFORMED, [PX_DIAL_LOCAL] = PX_METRIC_STAYED_LOCAL,
        [PX_DIAL_SHORTAGE] = PX_METRIC_STAYED_SHORTAGE,   [PX_DIAL_ABANDONED] = PX_METRIC_STAYED_NO_SERVER,
    };

    return metrics[result];
}

struct stay {
    uint32_t slot; /* of the server that did not take it; PX_SLOT_NONE = none was fit to be asked */
    enum px_dial_result result;
    int error;
};

/* What its last try met; when it found nobody to try, what the tries of others have met. */
static struct stay stay_of(const struct px_link *link)
{
    const struct px_worker *worker = link->worker;
    const struct px_attempt *attempt = link->attempt;
    struct stay stay = {.slot = PX_SLOT_NONE};

    if (attempt != NULL && attempt->last_result != PX_DIAL_OK)
        return (struct stay){attempt->last_slot, attempt->last_result, attempt->last_error};
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX && stay.result == PX_DIAL_OK; slot++) {
        const struct px_server_directive *server = &worker->directive->servers[slot];
        if (!server->in_use || slot == link->slot || !px_server_admits(server, link->is_canary))
            continue;
        stay.slot = slot;
        stay.result = px_shared_dial_trouble(worker->shared, slot, worker->now_ms, &stay.error);
    }
    return stay;
}

/* A move that came to nothing. */
static void count_stayed(struct px_link *link)
{
    struct px_worker *worker = link->worker;
    const struct px_server_directive *servers = worker->directive->servers;
    struct stay stay = stay_of(link);
    char why[128] = "no server looked fit to take it";

    px_metric_add(worker->metrics, stayed_metric(stay.result), 1);
    worker->stayed_untold++;
    if (worker->stayed_told_ms != 0 && worker->now_ms - worker->stayed_told_ms < STAYED_TOLD_MS)
        return;
    worker->stayed_told_ms = worker->now_ms;
    if (stay.result != PX_DIAL_OK)
        px_dial_result_text(stay.result, stay.error, why, sizeof(why));
    px_log(PX_LOG_WARN, "move.stayed", "from=%d to=%d moves=%u result=%s why=%s", (int)servers[link->slot].id,
           stay.slot == PX_SLOT_NONE ? -1 : (int)servers[stay.slot].id, worker->stayed_untold,
           px_dial_result_name(stay.result), why);
    worker->stayed_untold = 0;
}

void px_link_count_outcome(struct px_link *link, enum px_outcome outcome)
{
    static const enum px_metric metrics[] = {
        [PX_OUTCOME_MOVED] = PX_METRIC_MOVE_DONE,
        [PX_OUTCOME_STAYED] = PX_METRIC_MOVE_STAYED,
        [PX_OUTCOME_BUSY] = PX_METRIC_MOVE_BUSY,
        [PX_OUTCOME_MOVE_LOST] = PX_METRIC_MOVE_LOST,
        [PX_OUTCOME_REATTACHED] = PX_METRIC_REATTACH_DONE,
        [PX_OUTCOME_REATTACH_LOST] = PX_METRIC_REATTACH_LOST,
    };

    if (outcome == PX_OUTCOME_NONE)
        return;
    px_metric_add(link->worker->metrics, metrics[outcome], 1);
    /* A refusal may be a race: the server was behind by a moment. Of a lost session its close is counted. */
    if (outcome == PX_OUTCOME_REATTACHED || (outcome == PX_OUTCOME_STAYED && link->stays > 0))
        count_in_group(link, PX_METRIC_TROUBLES_REST);
    if (outcome == PX_OUTCOME_STAYED || outcome == PX_OUTCOME_BUSY)
        link->again_ms = link->worker->now_ms + (PX_LEAVE_AGAIN_MS << link->stays);
    if (outcome != PX_OUTCOME_STAYED)
        link->stays = 0;
    else if (link->stays < PX_LEAVE_DOUBLINGS)
        link->stays++;
    if (outcome == PX_OUTCOME_STAYED)
        count_stayed(link);
}

static void count(_Atomic(uint32_t) *value, bool is_more)
{
    if (is_more)
        atomic_fetch_add_explicit(value, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(value, 1, memory_order_relaxed);
}

void px_link_count_session(const struct px_link *link, uint32_t slot, bool is_more)
{
    struct px_shared_slot *row = &link->worker->shared->slots[slot];

    count(&row->session_changes, true);
    count(&row->session_count, is_more);
    if (link->is_own)
        count(&row->own_count, is_more);
    if (link->is_canary)
        count(&row->canary_count, is_more);
}

static enum px_metric guard_metric(const struct px_actions *actions)
{
    if (actions->request_kind != PX_REQUEST_LOCAL)
        return PX_METRIC_GUARD_CONFIG_HIDDEN;
    if (actions->op == ZKP_OPX_RECONFIG)
        return PX_METRIC_GUARD_RECONFIG;
    return actions->op == ZKP_OPX_CREATE_TTL ? PX_METRIC_GUARD_CREATE_TTL : PX_METRIC_GUARD_CHECK;
}

void px_link_count_note(const struct px_link *link, const struct px_event *event,
                        const struct px_actions *actions)
{
    struct px_metrics *metrics = link->worker->metrics;
    uint64_t bytes = 4 + (uint64_t)event->length;

    switch (actions->note) {
    case PX_NOTE_REQUEST:
        if (actions->request_kind != PX_REQUEST_LOCAL)
            px_metrics_request(metrics, link->slot, actions->op, bytes);
        if (actions->request_kind == PX_REQUEST_FORWARDED)
            break;
        px_metric_add(metrics, guard_metric(actions), 1);
        break;
    case PX_NOTE_REPLY:
        px_metrics_response(metrics, link->slot, link->worker->directive->servers[link->slot].side,
                            link->is_canary ? PX_GROUP_CANARY : PX_GROUP_REST, actions->op, bytes,
                            event->now_us - actions->sent_us, link->worker->slow_us);
        break;
    case PX_NOTE_EVENT:
        px_metric_add(metrics, PX_METRIC_WATCH_EVENTS, 1);
        break;
    case PX_NOTE_NONE:
        break;
    }
}
