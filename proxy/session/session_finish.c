/* The end of a move or a re-attach: events that came meanwhile go to the client, once; unanswered reads go to
 * the new server; the client is read again (protocol.md §4.3 steps 8–11, §4.4). Pure. */
#include "proxy/session/session_int.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

/* Servers that led a new epoch but could not tell what the last one ended with; then the client is told. */
#define ELSEWHERES_MAX 4u
/* KeeperState of an event (protocol.md §1.4). */
#define CONNECTED 3

/* From 3.9 an event says which transaction fired it. */
static bool was_passed(const struct session_transfer *transfer, const struct zkp_reply_header *header)
{
    return header->zxid > 0 &&
           (header->zxid <= transfer->old_zxid || header->zxid <= transfer->old_event_zxid);
}

/* From 3.9 only an event of a transaction says which one: the others are what our SetWatches caught up with.
 * Its one-shot watch may have fired on the old server since; a lasting one on the same path must not be told
 * twice. */
static bool is_catch_up(const struct session_transfer *transfer, const struct zkp_reply_header *header)
{
    return transfer->has_event_zxids && header->zxid <= 0;
}

static enum rc deliver_one(struct session_data *data, bool is_old, struct zkp_slice frame,
                           struct px_buffer *out, struct px_actions *actions)
{
    struct zkp_slice body = zkp_slice_of(frame.ptr + ZKP_FRAME_PREFIX, frame.len - ZKP_FRAME_PREFIX);
    struct zkp_reply_header header;

    if (zkp_reply_header_decode(body, &header) != RC_OK || (!is_old && was_passed(data->transfer, &header)) ||
        !session_watch_event(data, body, !is_old && is_catch_up(data->transfer, &header))) {
        actions->dropped_events++;
        return RC_OK;
    }
    if (is_old && header.zxid > data->transfer->old_event_zxid)
        data->transfer->old_event_zxid = header.zxid;
    if (header.zxid > data->last_zxid)
        data->last_zxid = header.zxid;
    data->sent_count++;
    return px_buffer_append(out, frame.ptr, frame.len);
}

enum rc session_deliver(struct session_data *data, bool is_old, struct zkp_slice frames,
                        struct px_buffer *out, struct px_actions *actions)
{
    enum rc rc = RC_OK;

    while (frames.len > 0 && rc == RC_OK) {
        uint32_t length = ZKP_FRAME_PREFIX + (uint32_t)zkp_load_i32(frames.ptr);
        rc = deliver_one(data, is_old, zkp_slice_of(frames.ptr, length), out, actions);
        frames = zkp_slice_of(frames.ptr + length, frames.len - length);
    }
    return rc;
}

/* --- may events of lasting watches have been missed? --- */

enum verdict {
    NOTHING_MISSED,
    WAIT_FOR_PROOF, /* our own reconfig's zxid is about to be known */
    LOOK,           /* the nodes themselves may tell */
    ASK_ELSEWHERE,  /* this server leads the new epoch and can't tell how the last one ended */
    PERHAPS_MISSED,
};

/* What was seen of the nodes: no change, or the one that our own reconfig made. */
static enum verdict judge_looks(const struct session_transfer *transfer, const struct px_event *event)
{
    if (transfer->is_unclear)
        return PERHAPS_MISSED;
    if (transfer->config_zxid == 0 || transfer->config_zxid == event->own_zxid)
        return NOTHING_MISSED;
    return event->own_zxid < 0 ? WAIT_FOR_PROOF : PERHAPS_MISSED;
}

/* SetWatches2 catches up with nothing (protocol.md §2.3), so every transaction between the last marker and it
 * must be known not to concern the client: there is none, it is our own reconfig, or no node that a lasting
 * watch covers has changed. */
static enum verdict judge(const struct session_data *data, const struct px_event *event)
{
    const struct session_transfer *transfer = data->transfer;
    int64_t from = transfer->old_zxid;
    int64_t to = transfer->settled_zxid;
    enum verdict verdict;

    if (!session_has_lasting_watches(data) || transfer->has_old || to <= from)
        return NOTHING_MISSED;
    if (to == from + 1 && event->own_zxid == to)
        return NOTHING_MISSED;
    if (to == from + 1 && event->own_zxid < 0)
        return WAIT_FOR_PROOF;
    if (!transfer->was_looked)
        return LOOK;
    verdict = judge_looks(transfer, event);
    if (verdict != PERHAPS_MISSED)
        return verdict;
    if (event->own_zxid != 0 && to >> 32 > from >> 32 && (to & 0xffffffff) == 0 &&
        transfer->elsewheres < ELSEWHERES_MAX)
        return ASK_ELSEWHERE;
    return PERHAPS_MISSED;
}

/* --- an event that is certain --- */

/* Our reconfig fell between the marker and the next server's registration: the config has changed, once. What
 * the old server did not tell, nobody else will: SetWatches catches up for one-shot watches only. */
static bool owes_config(const struct session_data *data, const struct px_event *event,
                        const struct zkp_watcher_event *changed)
{
    const struct session_transfer *transfer = data->transfer;
    int64_t own = event->own_zxid;

    return !transfer->has_old && own > transfer->old_zxid && own <= transfer->settled_zxid &&
           !data->has_shown_config && !px_watch_set_awaits_once(&data->watches, changed) &&
           px_watch_set_awaits(&data->watches, changed);
}

static enum rc tell_config(struct session_data *data, const struct px_event *event,
                           struct px_actions *actions)
{
    static const struct zkp_slice path = {(const uint8_t *)SESSION_CONFIG_NODE,
                                          sizeof(SESSION_CONFIG_NODE) - 1};
    struct zkp_watcher_event changed = {.type = ZKP_EVENT_DATA_CHANGED, .state = CONNECTED, .path = path};
    uint8_t frame[64];
    uint32_t length;

    if (data->watches.is_unknown || !owes_config(data, event, &changed))
        return RC_OK;
    length = zkp_watcher_event_frame(data->transfer->has_event_zxids ? event->own_zxid : -1, &changed, frame,
                                     sizeof(frame));
    return session_deliver(data, true, zkp_slice_of(frame, length), &data->transfer->events_out, actions);
}

/* --- the end --- */

static enum px_session_state fail(struct session_data *data, struct px_actions *actions,
                                  enum px_close_reason reason)
{
    session_transfer_end(data, actions, false);
    return session_close(actions, reason);
}

/* Where both servers' events were cut at the same transaction, the old one's were the client's. */
static struct zkp_slice events_left(const struct session_transfer *transfer)
{
    uint32_t skip = transfer->is_exact ? transfer->events_cut : 0;

    if (transfer->events.length == skip)
        return (struct zkp_slice){0};
    return zkp_slice_of(transfer->events.bytes + transfer->events.start + skip,
                        transfer->events.length - skip);
}

static enum rc collect(struct session_data *data, const struct px_event *event, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;
    enum rc rc = tell_config(data, event, actions);

    if (rc == RC_OK)
        rc = session_deliver(data, false, events_left(transfer), &transfer->events_out, actions);
    return rc == RC_OK ? session_collect_again(data, &transfer->again) : rc;
}

static void settle(struct session_data *data, const struct px_event *event)
{
    const struct session_transfer *transfer = data->transfer;
    int64_t marker =
        transfer->new_zxid > transfer->settled_zxid ? transfer->new_zxid : transfer->settled_zxid;

    if (marker >= data->marker) {
        data->marker = marker;
        data->is_marker_last = !transfer->has_shown && transfer->events.length == transfer->events_cut;
    }
    data->heard_ms = event->now_ms; /* it was not read: its silence proves nothing */
    data->filters_events = true;
    if (data->kept.length > 0)
        data->sent_again++;
}

static enum px_session_state become_served(struct session_data *data, const struct px_event *event,
                                           struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (collect(data, event, actions) != RC_OK)
        return fail(data, actions, PX_CLOSE_NO_MEMORY);
    settle(data, event);
    session_act(actions, PX_ACTION_ADOPT)->session_id = data->session_id;
    session_put(actions, PX_ACTION_PUT_CLIENT, px_buffer_slice(&transfer->events_out));
    session_put(actions, PX_ACTION_PUT_SERVER, px_buffer_slice(&transfer->again));
    session_transfer_end(data, actions, true);
    session_answer_local(data, actions);
    return PX_SESSION_ACTIVE;
}

enum px_session_state session_lose_events(struct session_data *data, struct px_actions *actions)
{
    return fail(data, actions, PX_CLOSE_EVENTS_UNKNOWN);
}

enum px_session_state session_finish(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    switch (judge(data, event)) {
    case NOTHING_MISSED:
        return become_served(data, event, actions);
    case WAIT_FOR_PROOF:
        if (transfer->stage != STAGE_PROOF)
            transfer->stage_ms = event->now_ms;
        transfer->stage = STAGE_PROOF;
        return PX_SESSION_RESTORING;
    case LOOK:
        return session_look(data, event, actions);
    case ASK_ELSEWHERE:
        transfer->elsewheres++;
        transfer->is_in_doubt = true;
        session_act(actions, PX_ACTION_DROP_NEXT);
        return session_seek_again(data, actions);
    case PERHAPS_MISSED:
        break;
    }
    return session_lose_events(data, actions);
}
