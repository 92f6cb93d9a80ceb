/* Reads what session_export.c has written (export.h). Pure. Nothing in the bytes is believed that a later
 * step relies on: counts are recomputed, and what has to fit together is compared. */
#include "proxy/session/export.h"

#include <string.h>

#include "proxy/session/export_int.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"

static enum zkp_op_class class_of(uint8_t op)
{
    return zkp_op_row((enum zkp_op_index)op)->class;
}

static bool is_read(uint8_t op)
{
    return class_of(op) == ZKP_CLASS_READ || class_of(op) == ZKP_CLASS_ORDERED;
}

/* --- what the numbers must be --- */

static enum rc take_flags(struct session_data *data, int32_t flags)
{
    if ((flags & -(1 << EXPORT_FLAG_COUNT)) != 0)
        return RC_MALFORMED;
#define TAKE_FLAG(name) data->name = (flags & 1 << EXPORT_FLAG_##name) != 0;
    EXPORT_FLAGS(TAKE_FLAG)
#undef TAKE_FLAG
    return RC_OK;
}

static enum rc take_facts(struct zkp_rd *r, struct session_data *data)
{
    enum rc rc = take_flags(data, zkp_rd_i32(r));
    struct zkp_slice password;
    int32_t sent_again;

    data->session_id = zkp_rd_i64(r);
    data->last_zxid = zkp_rd_i64(r);
    data->marker = zkp_rd_i64(r);
    data->proof_ms = zkp_rd_i64(r);
    data->heard_ms = zkp_rd_i64(r);
    data->established_ms = zkp_rd_i64(r);
    data->deadline_ms = zkp_rd_i64(r);
    data->received_count = (uint64_t)zkp_rd_i64(r);
    data->sent_count = (uint64_t)zkp_rd_i64(r);
    data->timeout_ms = zkp_rd_i32(r);
    data->server_timeout_ms = zkp_rd_i32(r);
    data->last_xid = zkp_rd_i32(r);
    sent_again = zkp_rd_i32(r);
    data->sent_again = (uint8_t)sent_again;
    data->last_op = (uint8_t)zkp_op_index(zkp_rd_i32(r));
    password = zkp_rd_raw(r, ZKP_PASSWORD_LEN);
    if (rc != RC_OK || zkp_rd_state(r) != RC_OK || data->session_id == 0 || data->timeout_ms <= 0 ||
        data->server_timeout_ms <= 0 || data->proof_ms < 0 || data->heard_ms < 0 || sent_again < 0 ||
        sent_again > SESSION_SENT_AGAIN_MAX)
        return RC_MALFORMED;
    memcpy(data->password, password.ptr, ZKP_PASSWORD_LEN);
    data->has_password = data->is_confirmed = true; /* in both states */
    return RC_OK;
}

/* What may stand in which queue, so that its reply finds what it settles. */
static bool fits_queue(const struct px_request *request, bool is_out_of_band)
{
    bool is_sent = request->kind != PX_REQUEST_LOCAL;

    if (is_out_of_band)
        return class_of(request->op) == ZKP_CLASS_OUT_OF_BAND && request->kind == PX_REQUEST_FORWARDED &&
               request->watch == PX_REQUEST_WATCH_NONE && !request->is_kept;
    if (class_of(request->op) == ZKP_CLASS_OUT_OF_BAND || class_of(request->op) == ZKP_CLASS_SESSION)
        return false;
    if (request->kind == PX_REQUEST_OURS)
        return is_read(request->op) && request->watch == PX_REQUEST_WATCH_NONE && !request->is_kept;
    if (request->is_kept || request->watch != PX_REQUEST_WATCH_NONE)
        return is_sent && is_read(request->op) && request->op != ZKP_OPX_PING;
    return true;
}

static enum rc take_request(struct zkp_rd *r, bool is_out_of_band, struct px_request *ret_request)
{
    struct px_request request = {.xid = zkp_rd_i32(r)};
    int32_t kind;
    int32_t watch;
    int32_t is_kept;

    request.sent_us = (uint32_t)zkp_rd_i32(r);
    request.detail = (uint32_t)zkp_rd_i32(r);
    request.op = (uint8_t)zkp_op_index(zkp_rd_i32(r));
    kind = zkp_rd_i32(r);
    watch = zkp_rd_i32(r);
    is_kept = zkp_rd_i32(r);
    if (kind < 0 || kind > PX_REQUEST_OURS || watch < 0 || watch > PX_REQUEST_WATCH_SENT || is_kept < 0 ||
        is_kept > 1)
        return RC_MALFORMED;
    request.kind = (uint8_t)kind;
    request.watch = (uint8_t)watch;
    request.is_kept = (uint8_t)is_kept;
    if (!fits_queue(&request, is_out_of_band))
        return RC_MALFORMED;
    *ret_request = request;
    return RC_OK;
}

static enum rc take_requests(struct zkp_rd *r, bool is_out_of_band, struct px_block_cache *blocks,
                             struct px_request_queue *queue)
{
    uint32_t count = zkp_rd_count(r, EXPORT_REQUEST_LEN);
    enum rc rc = count <= PX_REQUESTS_MAX ? RC_OK : RC_MALFORMED;

    for (uint32_t i = 0; i < count && rc == RC_OK; i++) {
        struct px_request request;
        rc = take_request(r, is_out_of_band, &request);
        if (rc == RC_OK)
            rc = px_request_queue_push(queue, blocks, request);
    }
    return rc;
}

/* --- frames --- */

/* How many frames `bytes` is made of, up to `end`, which is the end of one; UINT32_MAX when it is not. */
static uint32_t frames_until(struct zkp_slice bytes, uint32_t end)
{
    uint32_t count = 0;
    uint32_t at = 0;

    for (; at < end && end <= bytes.len; count++) {
        uint32_t left = bytes.len - at;
        int32_t length = left < 4 ? 0 : zkp_load_i32(bytes.ptr + at);
        if (length < (int32_t)ZKP_REQUEST_HEADER_LEN || (uint32_t)length > left - 4)
            return UINT32_MAX;
        at += 4 + (uint32_t)length;
    }
    return at == end ? count : UINT32_MAX;
}

static enum rc take_bytes(struct zkp_rd *r, uint32_t max, struct px_buffer *ret_buffer)
{
    struct zkp_slice bytes = zkp_rd_buf(r);

    if (bytes.ptr == NULL || bytes.len > max)
        return RC_MALFORMED;
    return px_buffer_append(ret_buffer, bytes.ptr, bytes.len);
}

static uint32_t count_auths(const struct px_request_queue *queue)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < queue->count; i++)
        count += px_request_queue_at(queue, i)->op == ZKP_OPX_AUTH;
    return count;
}

static enum rc take_frames(struct zkp_rd *r, struct session_data *data)
{
    enum rc rc = take_bytes(r, SESSION_KEPT_MAX, &data->kept);
    struct zkp_slice auths;
    uint32_t all;
    uint32_t done;

    if (rc == RC_OK)
        rc = take_bytes(r, SESSION_AUTH_MAX, &data->auths);
    if (rc != RC_OK)
        return rc;
    data->auth_done = (uint32_t)zkp_rd_i32(r);
    auths = px_buffer_slice(&data->auths);
    all = frames_until(auths, auths.len);
    done = frames_until(auths, data->auth_done);
    if (all == UINT32_MAX || done == UINT32_MAX)
        return RC_MALFORMED;
    return data->has_lost_auth || all - done == count_auths(&data->out_of_band) ? RC_OK : RC_MALFORMED;
}

/* --- watches --- */

static enum rc take_wishes(struct zkp_rd *r, struct session_data *data)
{
    struct px_watch_space *space = data->watches.space;
    enum rc rc = RC_OK;

    for (uint32_t left = zkp_rd_count(r, 8); left > 0 && rc == RC_OK; left--) {
        struct px_watch_wish wish = {0};
        struct zkp_slice path = zkp_rd_buf(r);
        wish.value = zkp_rd_i32(r);
        if (path.ptr == NULL || zkp_rd_state(r) != RC_OK)
            return RC_MALFORMED;
        rc = px_path_pool_take(space->paths, path, &wish.path);
        if (rc == RC_OK)
            rc = px_watch_queue_push(&data->wishes, space->paths, &space->blocks, wish);
    }
    return rc;
}

static enum rc take_watches(struct zkp_rd *r, struct px_watch_set *watches)
{
    int32_t is_unknown = zkp_rd_i32(r);
    uint32_t count = zkp_rd_count(r, 8);
    enum rc rc = RC_OK;

    if (is_unknown != 0)
        px_watch_set_give_up(watches);
    if (is_unknown < 0 || is_unknown > 1 || (is_unknown == 1 && count > 0))
        return RC_MALFORMED;
    for (; count > 0 && rc == RC_OK; count--) {
        struct zkp_slice path = zkp_rd_buf(r);
        uint32_t bits = (uint32_t)zkp_rd_i32(r);
        if (path.ptr == NULL || zkp_rd_state(r) != RC_OK)
            return RC_MALFORMED;
        rc = px_watch_set_put(watches, path, bits);
    }
    return rc;
}

/* --- what must fit together --- */

/* The counts that follow from the requests. */
static void count_request(struct session_data *data, const struct px_request *request, uint32_t *ref_kept,
                          uint32_t *ref_wished)
{
    *ref_kept += request->is_kept;
    *ref_wished += request->watch == PX_REQUEST_WATCH_WISHED;
    if (request->kind == PX_REQUEST_LOCAL || request->kind == PX_REQUEST_OURS || request->op == ZKP_OPX_PING)
        return;
    if (!is_read(request->op))
        data->write_count++;
    else if (!request->is_kept)
        data->unkept_count++;
}

static enum rc compare(struct session_data *data, bool is_held)
{
    const struct px_request *head = px_request_queue_head(&data->pipeline);
    struct zkp_slice frames = px_buffer_slice(&data->kept);
    uint32_t kept = 0;
    uint32_t wished = 0;

    for (uint32_t i = 0; i < data->pipeline.count; i++) {
        const struct px_request *request = px_request_queue_at(&data->pipeline, i);
        count_request(data, request, &kept, &wished);
        if (is_held && request->kind != PX_REQUEST_OURS)
            return RC_MALFORMED;
    }
    if (head != NULL && head->kind == PX_REQUEST_LOCAL)
        return RC_MALFORMED;
    if (is_held && data->out_of_band.count > 0)
        return RC_MALFORMED;
    return frames_until(frames, frames.len) == kept && data->wishes.count == wished ? RC_OK : RC_MALFORMED;
}

static enum rc take_data(struct zkp_rd *r, struct session_data *data, bool is_held)
{
    struct px_block_cache *blocks = &data->watches.space->blocks;
    enum rc rc = take_facts(r, data);

    if (rc == RC_OK)
        rc = take_requests(r, false, blocks, &data->pipeline);
    if (rc == RC_OK)
        rc = take_requests(r, true, blocks, &data->out_of_band);
    if (rc == RC_OK)
        rc = take_frames(r, data);
    if (rc == RC_OK)
        rc = take_wishes(r, data);
    if (rc == RC_OK)
        rc = take_watches(r, &data->watches);
    if (rc == RC_OK && !zkp_rd_done(r))
        rc = RC_MALFORMED;
    return rc == RC_OK ? compare(data, is_held) : rc;
}

enum rc px_session_import(struct zkp_slice bytes, struct px_watch_space *space,
                          struct px_session **ret_session)
{
    struct zkp_rd r = zkp_rd_over(bytes);
    int32_t version = zkp_rd_i32(&r);
    int32_t state = zkp_rd_i32(&r);
    struct px_session *session;
    enum rc rc;

    if (version != PX_EXPORT_VERSION || (state != EXPORT_ACTIVE && state != EXPORT_HELD))
        return RC_MALFORMED;
    session = session_new_in(state == EXPORT_HELD ? PX_SESSION_HELD : PX_SESSION_ACTIVE, space);
    if (session == NULL)
        return RC_NOMEM;
    rc = take_data(&r, session_data_edit(session), state == EXPORT_HELD);
    if (rc == RC_OK)
        *ret_session = session;
    else
        px_session_free(session);
    return rc;
}
