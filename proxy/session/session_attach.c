/* From one server to another, up to the ConnectResponse: SEEKING, JOINING (protocol.md §4.3 steps 1–4, §4.4).
 * Pure. While it moves, a session's old server is still connected and its events go on; after a loss there is
 * none. What follows the ConnectResponse: session_restore.c. */
#include <stdlib.h>
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/assert.h"
#include "zkproto/header.h"

/* --- the transfer's own life --- */

void session_transfer_free(struct session_data *data)
{
    struct session_transfer *transfer = data->transfer;

    if (transfer == NULL)
        return;
    px_buffer_done(&transfer->events);
    px_buffer_done(&transfer->old_events);
    px_buffer_done(&transfer->out);
    px_buffer_done(&transfer->events_out);
    px_buffer_done(&transfer->again);
    px_buffer_done(&transfer->looks);
    free(transfer);
    data->transfer = NULL;
}

void session_transfer_end(struct session_data *data, struct px_actions *actions, bool is_good)
{
    bool is_move = data->transfer->is_move;

    data->transfer->is_over = true; /* its buffers are still pointed to */
    if (is_good)
        actions->outcome = is_move ? PX_OUTCOME_MOVED : PX_OUTCOME_REATTACHED;
    else
        actions->outcome = is_move ? PX_OUTCOME_MOVE_LOST : PX_OUTCOME_REATTACH_LOST;
}

enum px_session_state session_seek(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions, bool is_move, enum px_session_state otherwise)
{
    struct session_transfer *transfer;

    ASSERT(data->transfer == NULL);
    transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL)
        return otherwise;
    transfer->is_move = is_move;
    transfer->has_old = is_move;
    transfer->stage_ms = event->now_ms;
    transfer->old_zxid = data->marker;
    transfer->has_shown = is_move && !data->is_marker_last;
    data->transfer = transfer;
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_SEEKING;
}

bool session_has_lasting_watches(const struct session_data *data)
{
    return px_watch_set_count(&data->watches, ZKP_LIST_PERSISTENT) +
               px_watch_set_count(&data->watches, ZKP_LIST_RECURSIVE) >
           0;
}

int64_t session_seen_zxid(const struct session_data *data)
{
    int64_t zxid = data->marker > data->last_zxid ? data->marker : data->last_zxid;

    if (data->transfer != NULL && data->transfer->old_zxid > zxid)
        return data->transfer->old_zxid;
    return zxid;
}

/* --- losing a server --- */

/* A reply proves that the session was alive after its request was sent, not more. */
void session_note_proof(struct session_data *data, int64_t sent_ms)
{
    if (sent_ms > data->proof_ms)
        data->proof_ms = sent_ms;
}

/* What the ensemble grants may be less than the client was told. */
static int32_t life_ms(const struct session_data *data)
{
    return data->server_timeout_ms < data->timeout_ms ? data->server_timeout_ms : data->timeout_ms;
}

/* Nobody believes in a session longer than the ensemble does (design.md §4). Without a leader nobody's time
 * runs, so who was alive then was alive at that moment. */
static int64_t alive_ms(const struct session_data *data, const struct px_event *event)
{
    if (event->nobody_expires_ms > data->proof_ms &&
        event->nobody_expires_ms - data->proof_ms < life_ms(data))
        return event->nobody_expires_ms;
    return data->proof_ms;
}

/* The client would give up by itself then: it has heard nothing since, or a ping answered a third earlier. */
static bool is_too_late(struct session_data *data, const struct px_event *event)
{
    data->proof_ms = alive_ms(data, event);
    return event->now_ms - data->proof_ms >= life_ms(data) / 3 * 2;
}

/* Can its server be replaced without the client's noticing, and honestly? */
static bool is_replaceable(const struct session_data *data, const struct px_event *event)
{
    if (data->write_count > 0 || data->unkept_count > 0 || event->is_server_mid_frame ||
        event->is_client_mid_frame)
        return false;
    if (data->has_sasl || data->has_lost_auth || data->is_attached_read_only || data->is_local ||
        data->watches.is_unknown)
        return false;
    if (data->ends_with_server || data->sent_again == SESSION_SENT_AGAIN_MAX)
        return false;
    return event->now_ms - data->heard_ms < data->timeout_ms / 2; /* a zombie must not steal the session */
}

/* Our pings to the lost server will not be answered. */
static void forget_own(struct session_data *data)
{
    for (uint32_t left = data->pipeline.count; left > 0; left--) {
        struct px_request request = *px_request_queue_head(&data->pipeline);
        px_request_queue_pop(&data->pipeline);
        if (request.kind != PX_REQUEST_OURS) /* into the place just freed */
            ASSERT(px_request_queue_push(&data->pipeline, &data->watches.space->blocks, request) == RC_OK);
    }
    session_rest(data);
}

enum px_session_state session_lose_server(struct session_data *data, const struct px_event *event,
                                          struct px_actions *actions)
{
    bool has_misfit = data->has_misfit;

    data->has_misfit = false;
    if (data->write_count > 0)
        return session_close(actions, PX_CLOSE_UNKNOWN_OUTCOME);
    if (!is_replaceable(data, event) || is_too_late(data, event))
        return session_close(actions, data->ends_with_server ? PX_CLOSE_REFUSED
                                      : has_misfit           ? PX_CLOSE_SERVER_PROTOCOL
                                                             : PX_CLOSE_SERVER_GONE);
    if (session_seek(data, event, actions, false, PX_SESSION_DEAD) == PX_SESSION_DEAD)
        return session_close(actions, PX_CLOSE_NO_MEMORY);
    forget_own(data);
    return PX_SESSION_SEEKING;
}

enum px_session_state on_server_lost(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    (void)here;
    return session_lose_server(data, event, actions);
}

/* A server that hangs may still answer: a write that is under way is waited for as long as its client would.
 */
enum px_session_state on_server_silent(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions, enum px_session_state here)
{
    if (is_too_late(data, event))
        return session_close(actions,
                             data->write_count > 0 ? PX_CLOSE_UNKNOWN_OUTCOME : PX_CLOSE_SERVER_GONE);
    if (!is_replaceable(data, event) ||
        session_seek(data, event, actions, false, PX_SESSION_DEAD) == PX_SESSION_DEAD)
        return here;
    forget_own(data);
    session_act(actions, PX_ACTION_DROP_SERVER);
    return PX_SESSION_SEEKING;
}

/* --- the client meanwhile --- */

/* Answered by us for a third of its timeout: then the client, which gives up after two thirds of silence,
 * does so no later than its session can end. Later pings wait for the server like any request. */
enum px_session_state on_client_ping(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    struct zkp_reply_header header = {.xid = ZKP_XID_PING, .zxid = data->last_zxid};
    uint8_t *bytes;

    data->proof_ms = alive_ms(data, event);
    data->heard_ms = event->now_ms;
    if (event->is_server_mid_frame || event->now_ms - data->proof_ms >= life_ms(data) / 3)
        return here;
    session_act(actions, PX_ACTION_DROP);
    bytes = session_send(actions, PX_ACTION_SEND_CLIENT, ZKP_REPLY_HEADER_LEN + 4);
    ASSERT(bytes != NULL && zkp_reply_header_frame(header, bytes, ZKP_REPLY_HEADER_LEN + 4) > 0);
    return here;
}

static enum px_session_state give_up(struct session_data *data, struct px_actions *actions)
{
    session_transfer_end(data, actions, false);
    return session_close(actions, PX_CLOSE_SERVER_GONE);
}

enum px_session_state on_seek_tick(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions, enum px_session_state here)
{
    return is_too_late(data, event) ? give_up(data, actions) : here;
}

/* --- the old server meanwhile --- */

enum px_session_state on_old_gone(struct session_data *data, const struct px_event *event,
                                  struct px_actions *actions, enum px_session_state here)
{
    (void)event;
    if (data->transfer->has_old)
        session_act(actions, PX_ACTION_DROP_SERVER);
    data->transfer->has_old = false;
    return here;
}

enum px_session_state session_pass_old_event(struct session_data *data, const struct px_event *event,
                                             struct px_actions *actions, enum px_session_state here)
{
    struct zkp_reply_header header;

    if (zkp_reply_header_decode(event->body, &header) == RC_OK &&
        header.zxid > data->transfer->old_event_zxid)
        data->transfer->old_event_zxid = header.zxid;
    data->transfer->has_shown = true;
    return on_reply(data, event, actions, here);
}

void session_old_marker(struct session_transfer *transfer, int64_t zxid)
{
    if (zxid <= 0) /* the leader's answer to auth */
        return;
    transfer->has_shown = false;
    if (zxid > transfer->old_zxid)
        transfer->old_zxid = zxid;
}

/* Only events come, and perhaps the answer to a marker that an attempt before asked for. */
enum px_session_state on_old_frame(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions, enum px_session_state here)
{
    struct zkp_reply_header header;
    bool has_header = zkp_reply_header_decode(event->body, &header) == RC_OK;
    struct session_transfer *transfer = data->transfer;

    if (has_header && header.xid == ZKP_XID_EVENT)
        return session_pass_old_event(data, event, actions, here);
    session_act(actions, PX_ACTION_DROP);
    if (!has_header || !transfer->awaits_old)
        return on_old_gone(data, event, actions, here);
    transfer->awaits_old = false;
    session_old_marker(transfer, header.zxid);
    return here;
}

/* --- choosing --- */

enum px_session_state on_seek_routed(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;

    (void)actions;
    (void)here;
    transfer->was_asked = false;
    transfer->is_low = !transfer->has_old || event->known_zxid < session_seen_zxid(data);
    return PX_SESSION_JOINING;
}

/* No server took it. Where it was it can stay, unless an attempt was left without an answer: then the old
 * server may not own it any more, and only attaching again tells (protocol.md §3.3). */
enum px_session_state on_seek_unrouted(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions, enum px_session_state here)
{
    struct session_transfer *transfer = data->transfer;

    if (transfer->has_old && !transfer->is_in_doubt) {
        transfer->is_over = true;
        actions->outcome = PX_OUTCOME_STAYED;
        data->heard_ms = event->now_ms;
        return PX_SESSION_ACTIVE;
    }
    if (!transfer->has_old && event->is_hopeless)
        return give_up(data, actions);
    if (transfer->has_old)
        (void)on_old_gone(data, event, actions, here);
    session_act(actions, PX_ACTION_ROUTE);
    return here;
}

/* --- joining --- */

static void send_connect(const struct session_data *data, int64_t zxid, struct px_actions *actions)
{
    struct zkp_connect_request request = {.last_zxid_seen = zxid,
                                          .timeout_ms = data->timeout_ms,
                                          .session_id = data->session_id,
                                          .password = zkp_slice_of(data->password, ZKP_PASSWORD_LEN),
                                          .has_read_only = data->has_read_only};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_request_frame(&request, frame, sizeof(frame));
    uint8_t *bytes = session_send(actions, PX_ACTION_SEND_NEXT, length);

    ASSERT(length > 0 && bytes != NULL);
    memcpy(bytes, frame, length);
}

/* A server that is, or may be, behind what the client has seen would close without a word, which proves
 * nothing; it is let catch up after it has answered instead (STAGE_CATCH_UP). */
enum px_session_state on_join_dialled(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions, enum px_session_state here)
{
    data->transfer->was_asked = true;
    data->transfer->asked_ms = event->now_ms;
    send_connect(data, data->transfer->is_low ? 0 : session_seen_zxid(data), actions);
    return here;
}

enum px_session_state session_seek_again(struct session_data *data, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    px_buffer_done(&transfer->events);
    px_buffer_done(&transfer->looks);
    if (session_pass_old_events(data, actions) != RC_OK) {
        session_transfer_end(data, actions, false);
        return session_close(actions, PX_CLOSE_NO_MEMORY);
    }
    transfer->is_exact = transfer->awaits_new = transfer->was_looked = transfer->is_unclear = false;
    transfer->looks_sent = transfer->looks_out = transfer->looks_made = 0;
    transfer->config_zxid = 0;
    transfer->auth_left = transfer->frames_left = transfer->rounds = transfer->cuts = 0;
    transfer->settled_zxid = transfer->new_zxid = 0;
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_SEEKING;
}

enum px_session_state on_join_failed(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    (void)here;
    data->transfer->is_in_doubt = data->transfer->is_in_doubt || data->transfer->was_asked;
    if (event->kind == PX_EVENT_NEXT_BAD)
        session_act(actions, PX_ACTION_DROP_NEXT);
    return session_seek_again(data, actions);
}

/* The session is not known there. While its old server still serves it, it is a local one (protocol.md §3.4)
 * or that server will say itself that it has ended. */
static enum px_session_state not_known(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    session_act(actions, PX_ACTION_DROP_NEXT);
    if (!transfer->has_old || transfer->is_in_doubt) {
        session_transfer_end(data, actions, false);
        return session_close(actions, PX_CLOSE_EXPIRED);
    }
    data->is_local = true;
    data->heard_ms = event->now_ms;
    transfer->is_over = true;
    actions->outcome = PX_OUTCOME_STAYED;
    return PX_SESSION_ACTIVE;
}

enum px_session_state on_join_answer(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    struct zkp_connect_response response;
    struct px_event bad = *event;

    bad.kind = PX_EVENT_NEXT_BAD;
    if (event->body.len < event->length || zkp_connect_response_decode(event->body, &response) != RC_OK)
        return on_join_failed(data, &bad, actions, here);
    session_act(actions, PX_ACTION_DROP);
    if (response.timeout_ms <= 0 || response.session_id == 0)
        return not_known(data, event, actions);
    if (response.session_id != data->session_id || (response.has_read_only && response.read_only))
        return on_join_failed(data, &bad, actions, here);
    data->server_timeout_ms = response.timeout_ms;
    session_note_proof(data, data->transfer->asked_ms);
    data->transfer->is_in_doubt = false;
    return session_restore(data, event, actions);
}
