/* A server's frame: an event, or the reply to the head of one of the two FIFOs. Which one is decided by the
 * heads, never by the sign of the xid: libraries use every int32 (protocol.md §1.3). Pure. */
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"
#include "zkproto/request.h"
#include "zkproto/zkerr.h"

#define LOCAL_REPLY_LEN (ZKP_REPLY_HEADER_LEN + 4u)

/* The FIFO whose head this reply answers, NULL when none. A pipeline head that was never sent can't be
 * answered: such heads are gone by now, see session_answer_local. */
static struct px_request_queue *queue_answered(const struct session_data *data, int32_t xid, int64_t zxid)
{
    const struct px_request *main = px_request_queue_head(&data->pipeline);
    const struct px_request *side = px_request_queue_head(&data->out_of_band);
    bool fits_main = main != NULL && main->xid == xid && main->kind != PX_REQUEST_REFUSED;
    bool fits_side = side != NULL && side->xid == xid;

    /* The same xid in both: only auth and sasl replies carry zxid 0 (protocol.md §1.3). */
    if (fits_side && (!fits_main || zxid == 0))
        return (struct px_request_queue *)&data->out_of_band;
    return fits_main ? (struct px_request_queue *)&data->pipeline : NULL;
}

static const struct px_request *request_answered(const struct session_data *data,
                                                 const struct zkp_reply_header *header)
{
    const struct px_request_queue *queue = queue_answered(data, header->xid, header->zxid);

    return queue == NULL ? NULL : px_request_queue_head(queue);
}

/* A client may have given a request this very xid. */
static bool is_event(const struct session_data *data, const struct zkp_reply_header *header)
{
    return header->xid == ZKP_XID_EVENT && request_answered(data, header) == NULL;
}

uint32_t session_reply_need(const struct session_data *data, uint32_t length, struct zkp_slice body)
{
    uint32_t need = ZKP_REPLY_HEADER_LEN;
    struct zkp_reply_header header;

    if (zkp_reply_header_decode(body, &header) != RC_OK)
        return need < length ? need : length;
    if (is_event(data, &header) &&
        (px_watch_set_paths(&data->watches) > 0 || data->filters_events || data->transfer != NULL))
        return length;
    if (data->hides_config && header.err == 0) {
        const struct px_request *request = request_answered(data, &header);
        if (request != NULL && request->kind != PX_REQUEST_FORWARDED)
            need = length;
    }
    return need < length ? need : length;
}

void session_answer_local(struct session_data *data, struct px_actions *actions)
{
    const struct px_request *request;

    while ((request = px_request_queue_head(&data->pipeline)) != NULL && request->kind == PX_REQUEST_LOCAL) {
        struct zkp_reply_header header = {request->xid, data->last_zxid, (int32_t)request->detail};
        uint8_t *bytes;

        /* Two places stay free: for the frame's own action and for a pause or resume behind it. */
        if (actions->count + 2 >= PX_ACTIONS_MAX ||
            (bytes = session_send(actions, PX_ACTION_SEND_CLIENT, LOCAL_REPLY_LEN)) == NULL) {
            actions->has_more = true;
            return;
        }
        ASSERT(zkp_reply_header_frame(header, bytes, LOCAL_REPLY_LEN) == LOCAL_REPLY_LEN);
        px_request_queue_pop(&data->pipeline);
        data->sent_count++;
    }
    session_rest(data);
}

/* Sends {header, body[0..length)} instead of the server's frame. */
static bool send_rewritten(struct px_actions *actions, struct zkp_slice header, const uint8_t *body,
                           uint32_t length)
{
    uint8_t *bytes = session_send(actions, PX_ACTION_SEND_CLIENT, 4 + ZKP_REPLY_HEADER_LEN + length);

    if (bytes == NULL)
        return false;
    zkp_store_i32(bytes, (int32_t)(ZKP_REPLY_HEADER_LEN + length));
    memcpy(bytes + 4, header.ptr, ZKP_REPLY_HEADER_LEN);
    memcpy(bytes + 4 + ZKP_REPLY_HEADER_LEN, body, length);
    return true;
}

static bool hide_stat(struct zkp_slice header, struct zkp_slice body, struct px_actions *actions)
{
    uint8_t stat[ZKP_STAT_LEN];

    if (body.len != ZKP_STAT_LEN)
        return false;
    memcpy(stat, body.ptr, ZKP_STAT_LEN);
    zkp_store_i32(stat + ZKP_STAT_DATA_LENGTH_OFFSET, 0);
    return send_rewritten(actions, header, stat, ZKP_STAT_LEN);
}

static bool hide_data(struct zkp_slice header, struct zkp_slice body, struct px_actions *actions)
{
    uint8_t hidden[4 + ZKP_STAT_LEN];
    uint32_t length = zkp_get_data_reply_hide(body, hidden, sizeof(hidden));

    return length > 0 && send_rewritten(actions, header, hidden, length);
}

/* Passes the reply on in the form the request's kind asks for; false when it is not what was asked. */
static bool pass_reply(const struct px_event *event, const struct px_request *request, int32_t err,
                       struct px_actions *actions)
{
    struct zkp_slice header = zkp_slice_of(event->body.ptr, ZKP_REPLY_HEADER_LEN);
    struct zkp_slice rest =
        zkp_slice_of(event->body.ptr + ZKP_REPLY_HEADER_LEN, event->body.len - ZKP_REPLY_HEADER_LEN);

    if (err != 0 || request->kind == PX_REQUEST_FORWARDED) {
        session_act(actions, PX_ACTION_FORWARD);
        return true;
    }
    if (request->kind == PX_REQUEST_HIDE_MULTI) {
        session_act(actions, PX_ACTION_HIDE_MULTI)->mask = request->detail;
        return true;
    }
    session_act(actions, PX_ACTION_DROP);
    return request->kind == PX_REQUEST_HIDE_STAT ? hide_stat(header, rest, actions)
                                                 : hide_data(header, rest, actions);
}

static void note_proof(struct session_data *data, const struct px_event *event,
                       const struct px_request *request)
{
    session_note_proof(data, event->now_ms - (uint32_t)(event->now_us - request->sent_us) / 1000);
}

static void note_marker(struct session_data *data, int64_t zxid)
{
    if (zxid <= 0) /* out of the pipeline, or a refusal */
        return;
    data->marker = zxid;
    data->is_marker_last = true;
    data->has_shown_config = false;
}

/* What an answered request was, taken off all books. */
static void settle_request(struct session_data *data, const struct px_event *event,
                           const struct px_request *request, const struct zkp_reply_header *header)
{
    enum zkp_op_class class = zkp_op_row((enum zkp_op_index)request->op)->class;

    if (class == ZKP_CLASS_OUT_OF_BAND) {
        session_auth_answered(data, request->op, header->err);
        return;
    }
    note_proof(data, event, request);
    data->sent_again = 0;
    note_marker(data, header->zxid);
    if (request->watch != PX_REQUEST_WATCH_NONE)
        session_watch_reply(data, event, request, header->err);
    if (class == ZKP_CLASS_READ || class == ZKP_CLASS_ORDERED) {
        session_unkeep(data, request);
        return;
    }
    ASSERT(data->write_count > 0);
    data->write_count--;
}

/* After these errors the server closes the connection, and the client has to see that (protocol.md §1.3). */
static bool is_last_word(int32_t err)
{
    return err == ZKP_ERR_UNIMPLEMENTED || err == ZKP_ERR_AUTH_FAILED ||
           err == ZKP_ERR_SESSION_CLOSED_REQUIRE_SASL_AUTH;
}

static enum px_session_state answer_ours(struct session_data *data, const struct px_event *event,
                                         const struct zkp_reply_header *header, struct px_actions *actions,
                                         enum px_session_state here)
{
    struct px_request request = *px_request_queue_head(&data->pipeline);

    session_act(actions, PX_ACTION_DROP);
    px_request_queue_pop(&data->pipeline);
    note_proof(data, event, &request);
    note_marker(data, header->zxid);
    session_answer_local(data, actions);
    return here;
}

/* A server answers an operation that it does not know where it reads it, before what is still in its
 * pipeline, with -6, and closes (protocol.md §1.3: UnimplementedRequestProcessor.java). */
static bool is_refusal(const struct px_event *event, const struct zkp_reply_header *header)
{
    return header->err == ZKP_ERR_UNIMPLEMENTED && header->zxid == -1 &&
           event->length == ZKP_REPLY_HEADER_LEN;
}

/* The client gets the answer as without a proxy. What waits before it may still be answered, or the FIN comes
 * first: its outcome is as unknown as it was. */
static bool pass_refusal(struct session_data *data, const struct px_event *event,
                         const struct zkp_reply_header *header, struct px_actions *actions)
{
    if (!is_refusal(event, header))
        return false;
    for (uint32_t i = 0; i < data->pipeline.count; i++) {
        const struct px_request *request = px_request_queue_at(&data->pipeline, i);
        if (request->xid != header->xid || request->kind != PX_REQUEST_FORWARDED)
            continue;
        if (session_may_change_state(request->op)) {
            ASSERT(data->write_count > 0);
            data->write_count--;
        }
        actions->note = PX_NOTE_REPLY;
        actions->op = (enum zkp_op_index)request->op;
        actions->sent_us = request->sent_us;
        px_request_queue_refuse(&data->pipeline, i);
        session_act(actions, PX_ACTION_FORWARD);
        data->sent_count++;
        data->ends_with_server = true;
        return true;
    }
    return false;
}

static bool is_awaited(const struct px_request_queue *queue, int32_t xid)
{
    for (uint32_t i = 0; i < queue->count; i++)
        if (px_request_queue_at(queue, i)->xid == xid)
            return true;
    return false;
}

/* Nothing of it reaches the client. */
static enum px_session_state refuse(struct session_data *data, struct px_actions *actions,
                                    enum px_misfit misfit, enum px_session_state here)
{
    session_act(actions, PX_ACTION_DROP);
    return session_misfit(data, actions, misfit, here);
}

static enum px_session_state refuse_unordered(struct session_data *data, int32_t xid,
                                              struct px_actions *actions, enum px_session_state here)
{
    bool is_later = is_awaited(&data->pipeline, xid) || is_awaited(&data->out_of_band, xid);

    return refuse(data, actions, is_later ? PX_MISFIT_SKIPPED : PX_MISFIT_UNASKED, here);
}

/* Nothing waits any more, or what waits next is ours to answer. */
static bool may_go_on(const struct session_data *data)
{
    const struct px_request *next = px_request_queue_head(&data->pipeline);

    return next == NULL || next->kind == PX_REQUEST_LOCAL || data->out_of_band.ring != NULL;
}

static enum px_session_state answer_head(struct session_data *data, const struct px_event *event,
                                         const struct zkp_reply_header *header, struct px_actions *actions,
                                         enum px_session_state here)
{
    struct px_request_queue *queue = queue_answered(data, header->xid, header->zxid);
    struct px_request request;

    if (queue == NULL && pass_refusal(data, event, header, actions))
        return here;
    if (queue == NULL)
        return refuse_unordered(data, header->xid, actions, here);
    request = *px_request_queue_head(queue);
    if (request.kind == PX_REQUEST_OURS)
        return answer_ours(data, event, header, actions, here);
    if (!pass_reply(event, &request, header->err, actions))
        return session_misfit(data, actions, PX_MISFIT_UNREADABLE, here);
    px_request_queue_pop(queue);
    settle_request(data, event, &request, header);
    /* 0 and -1 tell nothing (auth, refusals: protocol.md §4.2). */
    if (header->zxid > data->last_zxid)
        data->last_zxid = header->zxid;
    data->ends_with_server = data->ends_with_server || is_last_word(header->err);
    actions->note = PX_NOTE_REPLY;
    actions->op = (enum zkp_op_index)request.op;
    actions->sent_us = request.sent_us;
    data->sent_count++;
    if (may_go_on(data))
        session_answer_local(data, actions);
    return here;
}

/* While it is held the next reply may never come: a marker behind each event leaves less in doubt when its
 * server goes (session_finish.c). What waits for a reply already gets one. */
static void note_shown(struct session_data *data, const struct px_event *event, struct px_actions *actions,
                       enum px_session_state here)
{
    struct zkp_watcher_event shown;

    if (!session_has_lasting_watches(data))
        return;
    if (zkp_watcher_event_decode(
            zkp_slice_of(event->body.ptr + ZKP_REPLY_HEADER_LEN, event->body.len - ZKP_REPLY_HEADER_LEN),
            &shown) == RC_OK &&
        zkp_slice_eq(shown.path, zkp_slice_str(SESSION_CONFIG_NODE)))
        data->has_shown_config = true;
    if (here == PX_SESSION_HELD && data->pipeline.count == 0)
        (void)session_ask_server(data, event, actions, ZKP_OPX_PING); /* without memory, more is in doubt */
}

static enum px_session_state pass_event(struct session_data *data, const struct px_event *event,
                                        const struct zkp_reply_header *header, struct px_actions *actions,
                                        enum px_session_state here)
{
    bool is_awaited = session_watch_event(data, event->body, false);

    data->is_marker_last = false;
    if (!is_awaited && data->filters_events) {
        session_act(actions, PX_ACTION_DROP);
        actions->dropped_events++;
        return here;
    }
    if (header->zxid > data->last_zxid) /* from 3.9 */
        data->last_zxid = header->zxid;
    session_act(actions, PX_ACTION_FORWARD);
    actions->note = PX_NOTE_EVENT;
    data->sent_count++;
    note_shown(data, event, actions, here);
    return here;
}

enum px_session_state on_reply(struct session_data *data, const struct px_event *event,
                               struct px_actions *actions, enum px_session_state here)
{
    struct zkp_reply_header header;

    if (zkp_reply_header_decode(event->body, &header) != RC_OK)
        return refuse(data, actions, PX_MISFIT_UNREADABLE, here);
    if (is_event(data, &header))
        return pass_event(data, event, &header, actions, here);
    return answer_head(data, event, &header, actions, here);
}
