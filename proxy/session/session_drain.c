/* RESTORING, the other side: the old server's events come to an end while the next server's are kept. Pure.
 *
 * Those of the old one are passed on up to its last marker D, the rest wait in `old_events`. When a marker N
 * of the next server is at D exactly, each event up to there came from the old server and each later one will
 * come from the next: exactly once, for every kind of watch (protocol.md §4.3 step 7). The leader can't be
 * asked for a marker: it closes on a ping of a session that has moved. What it has applied is known from
 * others, and its answer to auth, which bypasses the pipeline, ends the stream. */
#include "proxy/session/session_int.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

/* Then duplicates of persistent watches' events are accepted: writes never pause long enough. */
#define CUTS_MAX 15u

void session_ask_old(struct session_data *data, const struct px_event *event, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (transfer->awaits_old)
        return;
    transfer->awaits_old = true;
    transfer->rounds++;
    if (event->old_leads)
        session_send_own(actions, PX_ACTION_SEND_SERVER, SESSION_XID_OURS, ZKP_OP_AUTH);
    else
        session_send_own(actions, PX_ACTION_SEND_SERVER, ZKP_XID_PING, ZKP_OP_PING);
}

static bool needs_exactness(const struct session_data *data, const struct px_event *event)
{
    return data->transfer->has_old && session_has_lasting_watches(data) &&
           event->watch_rule == PX_WATCH_ONE_MODE && data->transfer->cuts < CUTS_MAX;
}

/* Both sides have a marker >= the settled zxid. */
enum px_session_state session_compare(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (transfer->new_zxid < transfer->old_zxid)
        return session_ask_next(data, actions);
    transfer->is_exact = transfer->new_zxid == transfer->old_zxid;
    if (transfer->is_exact || !needs_exactness(data, event))
        return session_finish(data, event, actions);
    transfer->cuts++;
    session_enter_stage(data->transfer, event, STAGE_OLD);
    session_ask_old(data, event, actions);
    return PX_SESSION_RESTORING;
}

/* The client was shown events of a state that no zxid is known of; what a sync brings is not older. */
static enum px_session_state fence(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions)
{
    session_enter_stage(data->transfer, event, STAGE_FENCE);
    session_sync_next(data, actions);
    return PX_SESSION_RESTORING;
}

/* First it must be known to have applied the settled zxid; then its answer to auth ends the stream. */
static enum px_session_state ask_leader(struct session_data *data, struct px_actions *actions)
{
    data->transfer->is_old_late = data->transfer->awaits_old;
    session_act(actions, PX_ACTION_AWAIT_APPLIED)->zxid = data->transfer->settled_zxid;
    return PX_SESSION_RESTORING;
}

enum px_session_state session_enter_old(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (event->skips_drain)
        return session_finish(data, event, actions);
    if (!transfer->has_old || transfer->settled_zxid == 0) /* no watches: no events to miss */
        return transfer->has_shown ? fence(data, event, actions) : session_finish(data, event, actions);
    session_enter_stage(transfer, event, STAGE_NEW);
    if (transfer->settled_zxid <= transfer->old_zxid && !transfer->has_shown)
        return session_compare(data, event, actions);
    session_enter_stage(transfer, event, STAGE_OLD);
    if (event->old_leads)
        return ask_leader(data, actions);
    session_ask_old(data, event, actions);
    return PX_SESSION_RESTORING;
}

static enum px_session_state no_memory(struct session_data *data, struct px_actions *actions)
{
    session_transfer_end(data, actions, false);
    return session_close(actions, PX_CLOSE_NO_MEMORY);
}

static enum px_session_state keep_old_event(struct session_data *data, const struct px_event *event,
                                            struct px_actions *actions)
{
    session_act(actions, PX_ACTION_DROP);
    return session_append_event(&data->transfer->old_events, event) == RC_OK ? PX_SESSION_RESTORING
                                                                             : no_memory(data, actions);
}

enum rc session_pass_old_events(struct session_data *data, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;
    enum rc rc;

    if (transfer->old_events.length == 0)
        return RC_OK; /* an action of this very step may point to what was passed before */
    transfer->has_shown = true;
    px_buffer_done(&transfer->out);
    rc = session_deliver(data, true, px_buffer_slice(&transfer->old_events), &transfer->out, actions);
    px_buffer_done(&transfer->old_events);
    session_put(actions, PX_ACTION_PUT_CLIENT, px_buffer_slice(&transfer->out));
    return rc;
}

/* The leader's answer to auth has no zxid: its events up to the settled one have come. */
static enum px_session_state on_leader_marker(struct session_data *data, const struct px_event *event,
                                              struct px_actions *actions)
{
    data->transfer->old_zxid = data->transfer->settled_zxid;
    return fence(data, event, actions);
}

static enum px_session_state on_old_marker(struct session_data *data, const struct px_event *event,
                                           const struct zkp_reply_header *header, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    transfer->awaits_old = false;
    if (session_pass_old_events(data, actions) != RC_OK)
        return no_memory(data, actions);
    session_old_marker(transfer, header->zxid);
    if (transfer->stage != STAGE_OLD) /* asked for in an attempt that failed */
        return PX_SESSION_RESTORING;
    if (header->xid != ZKP_XID_PING && transfer->is_old_late)
        return ask_leader(data, actions); /* the same: it says nothing about this attempt's zxid */
    if (header->xid != ZKP_XID_PING)
        return on_leader_marker(data, event, actions);
    if (transfer->old_zxid >= transfer->settled_zxid) {
        session_enter_stage(transfer, event, STAGE_NEW);
        return session_compare(data, event, actions);
    }
    if (transfer->rounds < SESSION_ROUNDS_AT_ONCE)
        session_ask_old(data, event, actions);
    return PX_SESSION_RESTORING;
}

enum px_session_state on_restore_old_frame(struct session_data *data, const struct px_event *event,
                                           struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;
    struct zkp_reply_header header;

    if (zkp_reply_header_decode(event->body, &header) != RC_OK)
        return on_restore_old_gone(data, event, actions, here);
    if (header.xid == ZKP_XID_EVENT)
        return transfer->stage < STAGE_OLD ? session_pass_old_event(data, event, actions, here)
                                           : keep_old_event(data, event, actions);
    session_act(actions, PX_ACTION_DROP);
    if (!transfer->awaits_old || (header.xid != ZKP_XID_PING && header.xid != SESSION_XID_OURS))
        return on_restore_old_gone(data, event, actions, here);
    return on_old_marker(data, event, &header, actions);
}

/* Its events end here. Before it came to the settled zxid that is as after a crash: what was missed of
 * one-shot watches SetWatches has caught up with. Afterwards the next server has everything. */
enum px_session_state on_restore_old_gone(struct session_data *data, const struct px_event *event,
                                          struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;

    (void)on_old_gone(data, event, actions, here);
    if (transfer->stage < STAGE_OLD)
        return here;
    if (transfer->stage > STAGE_OLD) {
        px_buffer_done(&transfer->old_events);
        return here;
    }
    if (session_pass_old_events(data, actions) != RC_OK)
        return no_memory(data, actions);
    return fence(data, event, actions);
}

/* The leader has fired what it applied; its answer to auth, which bypasses the pipeline, ends the stream. */
enum px_session_state on_restore_applied(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;
    struct px_event leads = *event;

    leads.old_leads = true;
    if (transfer->stage == STAGE_OLD && transfer->has_old && !transfer->awaits_old &&
        event->known_zxid >= transfer->settled_zxid)
        session_ask_old(data, &leads, actions);
    return here;
}
