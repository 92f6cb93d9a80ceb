/* Writes a session's state (export.h). Pure. The reader, field by field the same: session_import.c.
 * Not written: counts that follow from the requests, and what only exists on the way to another server. */
#include "proxy/session/export.h"
#include "proxy/session/export_int.h"
#include "zkproto/cursor.h"

/* Appends; the first failure sticks. */
struct writer {
    struct px_buffer *out;
    enum rc rc;
};

static void put_raw(struct writer *w, struct zkp_slice bytes)
{
    if (w->rc == RC_OK)
        w->rc = px_buffer_append(w->out, bytes.ptr, bytes.len);
}

static void put_i32(struct writer *w, int32_t value)
{
    uint8_t bytes[4];

    zkp_store_i32(bytes, value);
    put_raw(w, zkp_slice_of(bytes, sizeof(bytes)));
}

static void put_i64(struct writer *w, int64_t value)
{
    uint8_t bytes[8];

    zkp_store_i64(bytes, value);
    put_raw(w, zkp_slice_of(bytes, sizeof(bytes)));
}

static void put_bytes(struct writer *w, struct zkp_slice bytes)
{
    put_i32(w, (int32_t)bytes.len);
    put_raw(w, bytes);
}

static int32_t flags_of(const struct session_data *data)
{
    int32_t flags = 0;

#define PUT_FLAG(name) flags |= data->name ? 1 << EXPORT_FLAG_##name : 0;
    EXPORT_FLAGS(PUT_FLAG)
#undef PUT_FLAG
    return flags;
}

static void put_facts(struct writer *w, const struct session_data *data)
{
    put_i32(w, flags_of(data));
    put_i64(w, data->session_id);
    put_i64(w, data->last_zxid);
    put_i64(w, data->marker);
    put_i64(w, data->proof_ms);
    put_i64(w, data->heard_ms);
    put_i64(w, data->established_ms);
    put_i64(w, data->deadline_ms);
    put_i64(w, (int64_t)data->received_count);
    put_i64(w, (int64_t)data->sent_count);
    put_i32(w, data->timeout_ms);
    put_i32(w, data->server_timeout_ms);
    put_i32(w, data->last_xid);
    put_i32(w, data->sent_again);
    put_i32(w, zkp_op_row((enum zkp_op_index)data->last_op)->number);
    put_raw(w, zkp_slice_of(data->password, ZKP_PASSWORD_LEN));
}

static void put_requests(struct writer *w, const struct px_request_queue *queue)
{
    put_i32(w, (int32_t)queue->count);
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct px_request *request = px_request_queue_at(queue, i);
        put_i32(w, request->xid);
        put_i32(w, (int32_t)request->sent_us);
        put_i32(w, (int32_t)request->detail);
        put_i32(w, zkp_op_row((enum zkp_op_index)request->op)->number);
        put_i32(w, request->kind);
        put_i32(w, request->watch);
        put_i32(w, request->is_kept);
    }
}

static void put_wishes(struct writer *w, const struct px_watch_queue *wishes)
{
    put_i32(w, (int32_t)wishes->count);
    for (uint32_t i = 0; i < wishes->count; i++) {
        const struct px_watch_wish *wish = &wishes->ring[(wishes->head + i) & (wishes->capacity - 1)];
        put_bytes(w, px_path_bytes(wish->path));
        put_i32(w, wish->value);
    }
}

static void put_watches(struct writer *w, const struct px_watch_set *watches)
{
    struct zkp_slice path;
    uint32_t bits;

    put_i32(w, watches->is_unknown);
    put_i32(w, (int32_t)px_watch_set_paths(watches));
    for (uint32_t at = 0; px_watch_set_next_any(watches, &at, &path, &bits);) {
        put_bytes(w, path);
        put_i32(w, (int32_t)bits);
    }
}

/* Its server is about to end it, and another process's queue has no such request. */
static bool has_refused(const struct session_data *data)
{
    for (uint32_t i = 0; data->ends_with_server && i < data->pipeline.count; i++)
        if (px_request_queue_at(&data->pipeline, i)->kind == PX_REQUEST_REFUSED)
            return true;
    return false;
}

/* A reply that is answered here stands at the head only while its bytes did not fit (has_more). */
static bool may_export(const struct px_session *session)
{
    const struct session_data *data = session_data_of(session);
    enum px_session_state state = px_session_state(session);
    const struct px_request *head = px_request_queue_head(&data->pipeline);

    return (state == PX_SESSION_ACTIVE || state == PX_SESSION_HELD) && !has_refused(data) &&
           (head == NULL || head->kind != PX_REQUEST_LOCAL);
}

enum rc px_session_export(const struct px_session *session, struct px_buffer *out)
{
    const struct session_data *data = session_data_of(session);
    struct writer w = {.out = out, .rc = RC_OK};

    if (!may_export(session))
        return RC_REFUSED;
    put_i32(&w, PX_EXPORT_VERSION);
    put_i32(&w, px_session_state(session) == PX_SESSION_HELD ? EXPORT_HELD : EXPORT_ACTIVE);
    put_facts(&w, data);
    put_requests(&w, &data->pipeline);
    put_requests(&w, &data->out_of_band);
    put_bytes(&w, px_buffer_slice(&data->kept));
    put_bytes(&w, px_buffer_slice(&data->auths));
    put_i32(&w, (int32_t)data->auth_done);
    put_wishes(&w, &data->wishes);
    put_watches(&w, &data->watches);
    return w.rc;
}
