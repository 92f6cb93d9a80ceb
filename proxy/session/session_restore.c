/* RESTORING: attached to the next server; what made the session there must be made again, and the old
 * server's events must come to an end (protocol.md §4.3 steps 5–9). Pure.
 *
 *   AUTH ─▶ CATCH_UP ─▶ WATCHES ─▶ OLD ⇄ NEW ─▶ done          (session_finish.c)
 *             if it may be behind    └ while the old server is there; else FENCE
 *
 * Events of the next server wait in `events`. Those of the old one are passed on up to its last marker D, the
 * rest wait in `old_events`. When a marker N of the next server is at D exactly, each event up to there came
 * from the old server and each later one will come from the next: exactly once, for every kind of watch. */
#include "proxy/session/session_int.h"
#include "zkproto/assert.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

/* Markers are asked for at once this often, then once per tick: a server that is far behind is not drummed.
 */
#define ROUNDS_AT_ONCE 32u
/* Then duplicates of persistent watches' events are accepted: writes never pause long enough. */
#define ROUNDS_EXACT 30u
/* A healthy server takes milliseconds for any stage. */
#define STAGE_MS 1000

static bool has_lasting_watches(const struct session_data *data)
{
    return px_watch_set_count(&data->watches, ZKP_LIST_PERSISTENT) +
               px_watch_set_count(&data->watches, ZKP_LIST_RECURSIVE) >
           0;
}

static void ping_next(struct session_data *data, struct px_actions *actions)
{
    session_send_own(actions, PX_ACTION_SEND_NEXT, ZKP_XID_PING, ZKP_OP_PING);
    data->transfer->awaits_new = true;
    data->transfer->rounds++;
}

static void sync_next(struct session_data *data, struct px_actions *actions)
{
    session_send_own(actions, PX_ACTION_SEND_NEXT, SESSION_XID_OURS, ZKP_OP_SYNC);
    data->transfer->awaits_new = true;
    data->transfer->rounds++;
}

/* Another marker, now or with the next tick. */
static enum px_session_state ask_next(struct session_data *data, struct px_actions *actions)
{
    if (data->transfer->rounds < ROUNDS_AT_ONCE)
        ping_next(data, actions);
    return PX_SESSION_RESTORING;
}

static void ask_old(struct session_data *data, const struct px_event *event, struct px_actions *actions)
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

/* The attempt failed; who answered owns the session, so it is attached elsewhere or here again. */
static enum px_session_state fail_attempt(struct session_data *data, struct px_actions *actions)
{
    data->transfer->is_in_doubt = true;
    session_act(actions, PX_ACTION_DROP_NEXT);
    return session_seek_again(data, actions);
}

/* --- the way through the stages --- */

static void enter_stage(struct session_transfer *transfer, const struct px_event *event,
                        enum session_stage stage)
{
    transfer->stage = stage;
    transfer->stage_ms = event->now_ms;
}

static bool needs_exactness(const struct session_data *data, const struct px_event *event)
{
    return data->transfer->has_old && has_lasting_watches(data) && event->watch_rule == PX_WATCH_ONE_MODE &&
           data->transfer->rounds < ROUNDS_EXACT;
}

/* Both sides have a marker >= the settled zxid. */
static enum px_session_state compare(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (transfer->new_zxid < transfer->old_zxid)
        return ask_next(data, actions);
    transfer->is_exact = transfer->new_zxid == transfer->old_zxid;
    if (transfer->is_exact || !needs_exactness(data, event))
        return session_finish(data, event, actions);
    enter_stage(data->transfer, event, STAGE_OLD);
    ask_old(data, event, actions);
    return PX_SESSION_RESTORING;
}

static enum px_session_state enter_old(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (!transfer->has_old)
        return session_finish(data, event, actions);
    if (transfer->frames_left == 0 && transfer->settled_zxid == 0) /* no watches: no events to miss */
        return session_finish(data, event, actions);
    if (event->skips_drain)
        return session_finish(data, event, actions);
    enter_stage(transfer, event, STAGE_NEW);
    if (transfer->settled_zxid <= transfer->old_zxid)
        return compare(data, event, actions);
    enter_stage(transfer, event, STAGE_OLD);
    if (event->old_leads)
        session_act(actions, PX_ACTION_AWAIT_APPLIED)->zxid = transfer->settled_zxid;
    else
        ask_old(data, event, actions);
    return PX_SESSION_RESTORING;
}

static enum px_session_state enter_watches(struct session_data *data, const struct px_event *event,
                                           struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    enter_stage(data->transfer, event, STAGE_WATCHES);
    transfer->settled_zxid = 0;
    px_buffer_done(&transfer->out);
    if (session_watches_frames(data, transfer->old_zxid, &transfer->out, &transfer->frames_left) != RC_OK)
        return fail_attempt(data, actions);
    if (transfer->frames_left == 0)
        return enter_old(data, event, actions);
    session_put(actions, PX_ACTION_PUT_NEXT, px_buffer_slice(&transfer->out));
    return PX_SESSION_RESTORING;
}

static enum px_session_state enter_catch_up(struct session_data *data, const struct px_event *event,
                                            struct px_actions *actions)
{
    if (!data->transfer->is_low)
        return enter_watches(data, event, actions);
    enter_stage(data->transfer, event, STAGE_CATCH_UP);
    sync_next(data, actions);
    return PX_SESSION_RESTORING;
}

enum px_session_state session_restore(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    enter_stage(data->transfer, event, STAGE_AUTH);
    transfer->auth_left = event->skips_auth ? 0 : session_auth_count(data);
    if (transfer->auth_left == 0) {
        enum px_session_state next = enter_catch_up(data, event, actions);
        return next;
    }
    session_put(actions, PX_ACTION_PUT_NEXT,
                zkp_slice_of(data->auths.bytes + data->auths.start, data->auth_done));
    return PX_SESSION_RESTORING;
}

/* --- the next server's frames --- */

static enum rc append_event(struct px_buffer *to, const struct px_event *event)
{
    uint8_t prefix[ZKP_FRAME_PREFIX];
    enum rc rc;

    if (event->body.len < event->length || event->length > SESSION_EVENTS_MAX - to->length)
        return RC_FULL;
    zkp_store_i32(prefix, (int32_t)event->length);
    rc = px_buffer_append(to, prefix, sizeof(prefix));
    return rc == RC_OK ? px_buffer_append(to, event->body.ptr, event->body.len) : rc;
}

static enum px_session_state keep_event(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions)
{
    session_act(actions, PX_ACTION_DROP);
    return append_event(&data->transfer->events, event) == RC_OK ? PX_SESSION_RESTORING
                                                                 : fail_attempt(data, actions);
}

static enum px_session_state on_auth_reply(struct session_data *data, const struct px_event *event,
                                           const struct zkp_reply_header *header, struct px_actions *actions)
{
    if (header->err != 0)
        return fail_attempt(data, actions);
    data->transfer->auth_left--;
    return data->transfer->auth_left == 0 ? enter_catch_up(data, event, actions) : PX_SESSION_RESTORING;
}

static enum px_session_state on_watches_reply(struct session_data *data, const struct px_event *event,
                                              const struct zkp_reply_header *header,
                                              struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (header->xid != SESSION_XID_OURS || header->err != 0)
        return fail_attempt(data, actions);
    transfer->settled_zxid = transfer->new_zxid = header->zxid;
    transfer->events_cut = transfer->events.length;
    transfer->frames_left--;
    transfer->rounds = 0;
    return transfer->frames_left == 0 ? enter_old(data, event, actions) : PX_SESSION_RESTORING;
}

static enum px_session_state on_marker(struct session_data *data, const struct px_event *event,
                                       const struct zkp_reply_header *header, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    transfer->awaits_new = false;
    transfer->new_zxid = header->zxid;
    transfer->events_cut = transfer->events.length;
    switch (transfer->stage) {
    case STAGE_CATCH_UP:
        if (header->zxid < session_seen_zxid(data))
            return ask_next(data, actions);
        transfer->rounds = 0;
        return enter_watches(data, event, actions);
    case STAGE_NEW:
        return compare(data, event, actions);
    case STAGE_FENCE:
        if (header->xid == SESSION_XID_OURS) /* the sync; a ping may have been under way before it */
            return session_finish(data, event, actions);
        sync_next(data, actions);
        break;
    case STAGE_AUTH:
    case STAGE_WATCHES:
    case STAGE_OLD:
    case STAGE_PROOF:
        break;
    }
    return PX_SESSION_RESTORING;
}

enum px_session_state on_restore_frame(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;
    struct zkp_reply_header header;

    (void)here;
    if (event->body.len < event->length || zkp_reply_header_decode(event->body, &header) != RC_OK)
        return fail_attempt(data, actions);
    if (header.xid == ZKP_XID_EVENT)
        return keep_event(data, event, actions);
    session_act(actions, PX_ACTION_DROP);
    data->proof_ms = event->now_ms;
    if (transfer->stage == STAGE_AUTH)
        return on_auth_reply(data, event, &header, actions);
    if (transfer->stage == STAGE_WATCHES)
        return on_watches_reply(data, event, &header, actions);
    if (!transfer->awaits_new || header.err != 0)
        return fail_attempt(data, actions);
    return on_marker(data, event, &header, actions);
}

enum px_session_state on_restore_failed(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions, enum px_session_state here)
{
    (void)here;
    if (event->kind == PX_EVENT_NEXT_BAD)
        return fail_attempt(data, actions);
    data->transfer->is_in_doubt = true;
    return session_seek_again(data, actions);
}

/* --- the old server's frames --- */

static enum px_session_state no_memory(struct session_data *data, struct px_actions *actions)
{
    session_transfer_end(data, actions, false);
    return session_close(actions, PX_CLOSE_NO_MEMORY);
}

static enum px_session_state keep_old_event(struct session_data *data, const struct px_event *event,
                                            const struct zkp_reply_header *header, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    session_act(actions, PX_ACTION_DROP);
    if (header->zxid > transfer->old_event_zxid)
        transfer->old_event_zxid = header->zxid;
    return append_event(&transfer->old_events, event) == RC_OK ? PX_SESSION_RESTORING
                                                               : no_memory(data, actions);
}

enum rc session_pass_old_events(struct session_data *data, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;
    enum rc rc;

    px_buffer_done(&transfer->out);
    rc = session_deliver(data, true, px_buffer_slice(&transfer->old_events), &transfer->out, actions);
    px_buffer_done(&transfer->old_events);
    session_put(actions, PX_ACTION_PUT_CLIENT, px_buffer_slice(&transfer->out));
    return rc;
}

/* The leader's answer to auth has no zxid: its events up to the settled one have come, and nothing it has
 * sent is newer than what a sync brings. */
static enum px_session_state on_leader_marker(struct session_data *data, const struct px_event *event,
                                              struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    transfer->old_zxid = transfer->settled_zxid;
    enter_stage(transfer, event, STAGE_FENCE);
    sync_next(data, actions);
    return PX_SESSION_RESTORING;
}

static enum px_session_state on_old_marker(struct session_data *data, const struct px_event *event,
                                           const struct zkp_reply_header *header, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    transfer->awaits_old = false;
    if (session_pass_old_events(data, actions) != RC_OK)
        return no_memory(data, actions);
    if (header->zxid > transfer->old_zxid)
        transfer->old_zxid = header->zxid;
    if (transfer->stage != STAGE_OLD) /* asked for in an attempt that failed */
        return PX_SESSION_RESTORING;
    if (header->xid != ZKP_XID_PING)
        return on_leader_marker(data, event, actions);
    if (transfer->old_zxid >= transfer->settled_zxid) {
        enter_stage(transfer, event, STAGE_NEW);
        return compare(data, event, actions);
    }
    if (transfer->rounds < ROUNDS_AT_ONCE)
        ask_old(data, event, actions);
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
        return transfer->stage < STAGE_OLD ? on_reply(data, event, actions, here)
                                           : keep_old_event(data, event, &header, actions);
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
    transfer->is_low = true; /* the client may have had an event of a newer state than any zxid we know */
    if (transfer->stage < STAGE_OLD)
        return here;
    if (transfer->stage > STAGE_OLD) {
        px_buffer_done(&transfer->old_events);
        return here;
    }
    if (session_pass_old_events(data, actions) != RC_OK)
        return no_memory(data, actions);
    enter_stage(transfer, event, STAGE_FENCE);
    sync_next(data, actions);
    return here;
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
        ask_old(data, &leads, actions);
    return here;
}

static bool is_stuck(const struct session_data *data, const struct px_event *event)
{
    return event->now_ms - data->transfer->stage_ms >= STAGE_MS;
}

/* Whoever does not get on is left: the old server without its last events, or the next one. */
static enum px_session_state leave_stuck(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here)
{
    if (data->transfer->stage == STAGE_OLD)
        return on_restore_old_gone(data, event, actions, here);
    return fail_attempt(data, actions);
}

/* Markers that were not asked for at once; the end of patience. */
enum px_session_state on_restore_tick(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;

    if (on_seek_tick(data, event, actions, here) != here)
        return PX_SESSION_DEAD;
    if (transfer->stage == STAGE_PROOF) {
        struct px_event judged = *event;
        if (is_stuck(data, event))
            judged.own_zxid = 0; /* it will not be known any more */
        return session_finish(data, &judged, actions);
    }
    if (is_stuck(data, event))
        return leave_stuck(data, event, actions, here);
    if ((transfer->stage == STAGE_CATCH_UP || transfer->stage == STAGE_NEW) && !transfer->awaits_new)
        ping_next(data, actions);
    else if (transfer->stage == STAGE_OLD && !transfer->awaits_old && !event->old_leads)
        ask_old(data, event, actions);
    return here;
}
