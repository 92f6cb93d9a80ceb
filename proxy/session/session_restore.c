/* RESTORING: attached to the next server; what made the session there must be made again (protocol.md §4.3
 * steps 5, 6 and 9). Pure.
 *
 *   AUTH ─▶ CATCH_UP ─▶ WATCHES ─▶ OLD ⇄ NEW ─▶ done          (session_drain.c, session_finish.c)
 *             if it may be behind    └ while the old server is there; else FENCE, and for lasting watches
 *                                      PROOF or LOOK (session_look.c)
 *
 * Events of the next server wait in `events`. */
#include "proxy/session/session_int.h"
#include "zkproto/assert.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

/* A healthy server takes milliseconds for any stage. */
#define STAGE_MS 1000
/* What became of our reconfig is known after two quorums and a new leader; its client is closed otherwise. */
#define PROOF_MAX_MS 3000

static void ping_next(struct session_data *data, struct px_actions *actions)
{
    session_send_own(actions, PX_ACTION_SEND_NEXT, ZKP_XID_PING, ZKP_OP_PING);
    data->transfer->awaits_new = true;
    data->transfer->rounds++;
}

void session_sync_next(struct session_data *data, struct px_actions *actions)
{
    session_send_own(actions, PX_ACTION_SEND_NEXT, SESSION_XID_OURS, ZKP_OP_SYNC);
    data->transfer->awaits_new = true;
    data->transfer->rounds++;
}

/* Another marker, now or with the next tick. */
enum px_session_state session_ask_next(struct session_data *data, struct px_actions *actions)
{
    if (data->transfer->rounds < SESSION_ROUNDS_AT_ONCE)
        ping_next(data, actions);
    return PX_SESSION_RESTORING;
}

/* The attempt failed; who answered owns the session, so it is attached elsewhere or here again. */
enum px_session_state session_fail_attempt(struct session_data *data, struct px_actions *actions)
{
    data->transfer->is_in_doubt = true;
    session_act(actions, PX_ACTION_DROP_NEXT);
    return session_seek_again(data, actions);
}

/* --- the way through the stages --- */

void session_enter_stage(struct session_transfer *transfer, const struct px_event *event,
                         enum session_stage stage)
{
    transfer->stage = stage;
    transfer->stage_ms = event->now_ms;
}

static enum px_session_state enter_watches(struct session_data *data, const struct px_event *event,
                                           struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    session_enter_stage(data->transfer, event, STAGE_WATCHES);
    transfer->settled_zxid = 0;
    px_buffer_done(&transfer->out);
    if (session_watches_frames(data, transfer->old_zxid, &transfer->out, &transfer->frames_left) != RC_OK)
        return session_fail_attempt(data, actions);
    if (transfer->frames_left == 0)
        return session_enter_old(data, event, actions);
    session_put(actions, PX_ACTION_PUT_NEXT, px_buffer_slice(&transfer->out));
    return PX_SESSION_RESTORING;
}

static enum px_session_state enter_catch_up(struct session_data *data, const struct px_event *event,
                                            struct px_actions *actions)
{
    if (!data->transfer->is_low)
        return enter_watches(data, event, actions);
    session_enter_stage(data->transfer, event, STAGE_CATCH_UP);
    session_sync_next(data, actions);
    return PX_SESSION_RESTORING;
}

enum px_session_state session_restore(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    session_enter_stage(data->transfer, event, STAGE_AUTH);
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

enum rc session_append_event(struct px_buffer *to, const struct px_event *event)
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
    return session_append_event(&data->transfer->events, event) == RC_OK
               ? PX_SESSION_RESTORING
               : session_fail_attempt(data, actions);
}

static enum px_session_state on_auth_reply(struct session_data *data, const struct px_event *event,
                                           const struct zkp_reply_header *header, struct px_actions *actions)
{
    if (header->err != 0)
        return session_fail_attempt(data, actions);
    data->transfer->auth_left--;
    return data->transfer->auth_left == 0 ? enter_catch_up(data, event, actions) : PX_SESSION_RESTORING;
}

static enum px_session_state on_watches_reply(struct session_data *data, const struct px_event *event,
                                              const struct zkp_reply_header *header,
                                              struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (header->xid != SESSION_XID_OURS || header->err != 0)
        return session_fail_attempt(data, actions);
    transfer->settled_zxid = transfer->new_zxid = header->zxid;
    transfer->events_cut = transfer->events.length;
    transfer->frames_left--;
    transfer->rounds = 0;
    return transfer->frames_left == 0 ? session_enter_old(data, event, actions) : PX_SESSION_RESTORING;
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
            return session_ask_next(data, actions);
        transfer->rounds = 0;
        return enter_watches(data, event, actions);
    case STAGE_NEW:
        return session_compare(data, event, actions);
    case STAGE_FENCE:
        if (header->xid == SESSION_XID_OURS) /* the sync; a ping may have been under way before it */
            return session_finish(data, event, actions);
        session_sync_next(data, actions);
        break;
    case STAGE_AUTH:
    case STAGE_WATCHES:
    case STAGE_OLD:
    case STAGE_PROOF:
    case STAGE_LOOK:
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
        return session_fail_attempt(data, actions);
    transfer->has_event_zxids = event->watch_rule == PX_WATCH_ALL_MODES;
    if (header.xid == ZKP_XID_EVENT)
        return keep_event(data, event, actions);
    session_act(actions, PX_ACTION_DROP);
    session_note_proof(data, transfer->stage_ms); /* nothing of this stage was sent before it */
    if (transfer->stage == STAGE_AUTH)
        return on_auth_reply(data, event, &header, actions);
    if (transfer->stage == STAGE_WATCHES)
        return on_watches_reply(data, event, &header, actions);
    if (transfer->stage == STAGE_LOOK)
        return on_look_reply(data, event, &header, actions);
    if (!transfer->awaits_new || header.err != 0)
        return session_fail_attempt(data, actions);
    return on_marker(data, event, &header, actions);
}

enum px_session_state on_restore_failed(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions, enum px_session_state here)
{
    (void)here;
    if (event->kind == PX_EVENT_NEXT_BAD && data->transfer->stage == STAGE_LOOK)
        return session_lose_events(data, actions); /* a list too long to be looked at, elsewhere too */
    if (event->kind == PX_EVENT_NEXT_BAD)
        return session_fail_attempt(data, actions);
    data->transfer->is_in_doubt = true;
    return session_seek_again(data, actions);
}

/* For the proof as long as the session certainly lives (design.md §4, local ping answers). */
static int64_t stage_limit_ms(const struct session_data *data)
{
    int64_t third = data->timeout_ms / 3;

    if (data->transfer->stage != STAGE_PROOF || third <= STAGE_MS)
        return STAGE_MS;
    return third < PROOF_MAX_MS ? third : PROOF_MAX_MS;
}

static bool is_stuck(const struct session_data *data, const struct px_event *event)
{
    if (data->transfer->stage == STAGE_LOOK)
        return event->now_ms - data->transfer->look_ms >= STAGE_MS;
    return event->now_ms - data->transfer->stage_ms >= stage_limit_ms(data);
}

/* Whoever does not get on is left: the old server without its last events, or the next one. */
static enum px_session_state leave_stuck(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here)
{
    if (data->transfer->stage == STAGE_OLD)
        return on_restore_old_gone(data, event, actions, here);
    return session_fail_attempt(data, actions);
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
        session_ask_old(data, event, actions);
    return here;
}
