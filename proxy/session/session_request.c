/* A client's request: which FIFO it waits in, and what the guard makes of it (design.md §4). Pure. */
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"
#include "zkproto/request.h"
#include "zkproto/zkerr.h"

#define CONFIG_NODE_LEN ((uint32_t)sizeof(SESSION_CONFIG_NODE) - 1)

static bool is_config_node(struct zkp_slice path)
{
    return zkp_slice_eq(path, zkp_slice_of(SESSION_CONFIG_NODE, CONFIG_NODE_LEN));
}

static enum zkp_op_class class_of(uint8_t op)
{
    return zkp_op_row((enum zkp_op_index)op)->class;
}

/* The watches and the guard look into it. */
static bool is_looked_into(const struct zkp_op_row *row)
{
    return row->may_watch || row->number == ZKP_OP_REMOVE_WATCHES || row->number == ZKP_OP_MULTI_READ ||
           row->number == ZKP_OP_CREATE_TTL;
}

/* What changes nothing is kept whole until it is answered, unless it is longer than anything that is kept;
 * and auth until the session ends (session_again.c). Writes stream, but for the one that is looked into. */
static uint32_t body_need(uint32_t length, int32_t type)
{
    const struct zkp_op_row *row = zkp_op_row(zkp_op_index(type));

    if (is_looked_into(row))
        return length;
    switch (row->class) {
    case ZKP_CLASS_READ:
    case ZKP_CLASS_ORDERED:
        return length <= SESSION_KEPT_MAX ? length : ZKP_REQUEST_HEADER_LEN;
    case ZKP_CLASS_OUT_OF_BAND:
        return length;
    case ZKP_CLASS_WRITE:
    case ZKP_CLASS_SESSION:
    case ZKP_CLASS_UNKNOWN:
        break;
    }
    return ZKP_REQUEST_HEADER_LEN;
}

uint32_t session_request_need(uint32_t length, struct zkp_slice body)
{
    uint32_t need = ZKP_REQUEST_HEADER_LEN;

    if (body.len >= ZKP_REQUEST_HEADER_LEN)
        need = body_need(length, zkp_load_i32(body.ptr + 4));
    return need < length ? need : length;
}

struct multi_hide {
    uint32_t index;
    uint32_t mask;
};

static enum rc note_config(void *context, int32_t type, struct zkp_slice path)
{
    struct multi_hide *hide = context;

    /* 32 bits fit the request's record. No client library mixes the config node into longer multiReads. */
    if (type == ZKP_OP_GET_DATA && is_config_node(path) && hide->index < 32)
        hide->mask |= 1u << hide->index;
    hide->index++;
    return RC_OK;
}

static void guard_multi_read(struct zkp_slice body, struct px_request *request)
{
    struct multi_hide hide = {0};

    if (zkp_multi_request_walk(body, note_config, &hide) == RC_OK && hide.mask != 0) {
        request->kind = PX_REQUEST_HIDE_MULTI;
        request->detail = hide.mask;
    } /* one that can't be read is the server's to refuse */
}

/* Every read comes here: no cursor for the one string at its front. */
static bool reads_config_node(struct zkp_slice body)
{
    const uint8_t *length = body.ptr + ZKP_REQUEST_HEADER_LEN;

    return body.len >= ZKP_REQUEST_HEADER_LEN + 4 + CONFIG_NODE_LEN &&
           zkp_load_i32(length) == (int32_t)CONFIG_NODE_LEN &&
           memcmp(length + 4, SESSION_CONFIG_NODE, CONFIG_NODE_LEN) == 0;
}

static void answer_locally(struct px_request *request, enum zkp_err err)
{
    request->kind = PX_REQUEST_LOCAL;
    request->detail = (uint32_t)err;
}

/* CreateMode.java */
enum { MODE_TTL = 5, MODE_SEQUENTIAL_TTL = 6 };

/* A createTTL of another mode, with a ttl that stands for none, becomes a transaction that ends every server
 * that applies it, now and at each start: seen with 3.5.10 to 3.9.4, whatever extendedTypesEnabled says, so
 * it is no matter of versions. Within a multi it is a plain create. What can't be read might be one. */
static bool is_deadly_ttl(struct zkp_slice frame)
{
    struct zkp_create_ttl request;
    struct zkp_slice body =
        zkp_slice_of(frame.ptr + ZKP_REQUEST_HEADER_LEN, frame.len - ZKP_REQUEST_HEADER_LEN);

    if (zkp_create_ttl_decode(body, &request) != RC_OK)
        return true;
    return request.flags != MODE_TTL && request.flags != MODE_SEQUENTIAL_TTL && request.ttl < 0;
}

static void guard_request(const struct session_data *data, const struct px_event *event,
                          struct px_request *request)
{
    if (request->op == ZKP_OPX_CHECK && event->check_is_harmful) {
        answer_locally(request, ZKP_ERR_UNIMPLEMENTED);
        return;
    }
    if (request->op == ZKP_OPX_CREATE_TTL && is_deadly_ttl(event->body)) {
        answer_locally(request, ZKP_ERR_BAD_ARGUMENTS);
        return;
    }
    if (request->op == ZKP_OPX_RECONFIG) {
        answer_locally(request, ZKP_ERR_RECONFIG_DISABLED);
        return;
    }
    if (!data->hides_config)
        return;
    if (request->op == ZKP_OPX_GET_DATA && reads_config_node(event->body))
        request->kind = PX_REQUEST_HIDE_DATA;
    else if (request->op == ZKP_OPX_EXISTS && reads_config_node(event->body))
        request->kind = PX_REQUEST_HIDE_STAT;
    else if (request->op == ZKP_OPX_MULTI_READ)
        guard_multi_read(
            zkp_slice_of(event->body.ptr + ZKP_REQUEST_HEADER_LEN, event->body.len - ZKP_REQUEST_HEADER_LEN),
            request);
}

static bool touches_watches(const struct px_request *request)
{
    return request->kind != PX_REQUEST_LOCAL &&
           (zkp_op_row((enum zkp_op_index)request->op)->may_watch || request->op == ZKP_OPX_REMOVE_WATCHES);
}

bool session_may_change_state(uint8_t op)
{
    switch (class_of(op)) {
    case ZKP_CLASS_WRITE:
    case ZKP_CLASS_SESSION:
    case ZKP_CLASS_UNKNOWN:
        return true;
    case ZKP_CLASS_READ:
    case ZKP_CLASS_ORDERED:
    case ZKP_CLASS_OUT_OF_BAND:
        break;
    }
    return false;
}

static enum rc enqueue(struct session_data *data, const struct px_event *event, struct px_request *request)
{
    bool is_out_of_band = class_of(request->op) == ZKP_CLASS_OUT_OF_BAND;
    enum rc rc;

    if (request->kind != PX_REQUEST_LOCAL && is_out_of_band)
        session_auth_sent(data, event, request->op);
    else if (request->kind != PX_REQUEST_LOCAL && session_may_change_state(request->op))
        data->write_count++;
    else if (request->kind != PX_REQUEST_LOCAL)
        session_keep(data, event, request);
    rc = px_request_queue_push(is_out_of_band ? &data->out_of_band : &data->pipeline,
                               &data->watches.space->blocks, *request);
    return rc;
}

static void note(struct session_data *data, const struct px_event *event, const struct px_request *request,
                 struct px_actions *actions)
{
    data->heard_ms = event->now_ms;
    data->last_op = request->op;
    data->received_count++;
    actions->note = PX_NOTE_REQUEST;
    actions->op = (enum zkp_op_index)request->op;
    actions->request_kind = request->kind;
}

enum px_session_state on_request(struct session_data *data, const struct px_event *event,
                                 struct px_actions *actions, enum px_session_state here)
{
    struct zkp_request_header header;
    struct px_request request = {.sent_us = event->now_us, .kind = PX_REQUEST_FORWARDED};
    enum rc rc;

    if (zkp_request_header_decode(event->body, &header) != RC_OK)
        return session_close(actions, PX_CLOSE_BAD_REQUEST);
    request.op = (uint8_t)zkp_op_index(header.type);
    /* The server answers every ping with xid -2 (FinalRequestProcessor.java: ping). */
    request.xid = request.op == ZKP_OPX_PING ? ZKP_XID_PING : header.xid;
    guard_request(data, event, &request);
    if (touches_watches(&request))
        session_watch_request(data, event, &request);
    rc = enqueue(data, event, &request);
    if (rc != RC_OK)
        return session_close(actions, rc == RC_NOMEM ? PX_CLOSE_NO_MEMORY : PX_CLOSE_LIMIT);
    note(data, event, &request, actions);
    data->last_xid = header.xid;
    if (request.kind == PX_REQUEST_LOCAL) {
        session_act(actions, PX_ACTION_DROP);
        session_answer_local(data, actions);
        return here;
    }
    session_act(actions, PX_ACTION_FORWARD);
    if (request.op != ZKP_OPX_CLOSE_SESSION || here == PX_SESSION_ENDING)
        return here;
    data->deadline_ms = event->now_ms + SESSION_ENDING_MS;
    return PX_SESSION_ENDING;
}
