/* What is kept in order to be sent again on another connection: unanswered reads, auth packets, watches.
 * Pure. Allocates when a buffer grows; the one of reads is given back as soon as none is unanswered. */
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

/* Java's chunk of SetWatches: servers' frame limit is 1 MiB (protocol.md §2.3). */
#define WATCHES_FRAME_MAX (128u * 1024u)

static enum rc append_i32(struct px_buffer *buffer, int32_t value)
{
    uint8_t bytes[4];

    zkp_store_i32(bytes, value);
    return px_buffer_append(buffer, bytes, sizeof(bytes));
}

static enum rc append_frame(struct px_buffer *buffer, struct zkp_slice body)
{
    uint8_t *frame = px_buffer_extend(buffer, ZKP_FRAME_PREFIX + body.len);

    if (frame == NULL)
        return RC_NOMEM;
    zkp_store_i32(frame, (int32_t)body.len);
    memcpy(frame + ZKP_FRAME_PREFIX, body.ptr, body.len);
    return RC_OK;
}

/* The frame at `offset`, prefix included. */
static struct zkp_slice frame_at(const struct px_buffer *buffer, uint32_t offset)
{
    const uint8_t *at = buffer->bytes + buffer->start + offset;

    return zkp_slice_of(at, ZKP_FRAME_PREFIX + (uint32_t)zkp_load_i32(at));
}

/* --- reads --- */

/* A ping needs no bytes. The client's own SetWatches can't be repeated: which of its catch-up events came is
 * told by the watch set, but not what else they would be now. */
static bool can_keep(const struct session_data *data, const struct px_event *event,
                     const struct px_request *request)
{
    if (request->op == ZKP_OPX_SET_WATCHES || request->op == ZKP_OPX_SET_WATCHES2)
        return false;
    return event->body.len == event->length &&
           data->kept.length + ZKP_FRAME_PREFIX + event->length <= SESSION_KEPT_MAX;
}

/* More than a block holds: goes on in an array of its own. */
static enum rc leave_block(struct session_data *data)
{
    struct px_buffer grown = {0};
    struct zkp_slice frames = px_buffer_slice(&data->kept);

    if (px_buffer_append(&grown, frames.ptr, frames.len) != RC_OK)
        return RC_NOMEM;
    session_kept_done(data);
    data->kept = grown;
    return RC_OK;
}

static enum rc append_kept(struct session_data *data, struct zkp_slice body)
{
    uint32_t length = ZKP_FRAME_PREFIX + body.len;

    if (data->kept.bytes == NULL && length <= PX_BLOCK_BYTES) {
        data->kept.bytes = px_block_take(&data->watches.space->blocks);
        if (data->kept.bytes == NULL)
            return RC_NOMEM;
        data->kept.capacity = PX_BLOCK_BYTES;
        data->keeps_in_block = true;
    }
    if (data->keeps_in_block && length > PX_BLOCK_BYTES - data->kept.length && leave_block(data) != RC_OK)
        return RC_NOMEM;
    return append_frame(&data->kept, body);
}

void session_kept_done(struct session_data *data)
{
    if (!data->keeps_in_block) {
        px_buffer_done(&data->kept);
        return;
    }
    px_block_give(&data->watches.space->blocks, data->kept.bytes);
    data->kept = (struct px_buffer){0};
    data->keeps_in_block = false;
}

void session_keep(struct session_data *data, const struct px_event *event, struct px_request *request)
{
    if (request->op == ZKP_OPX_PING)
        return;
    request->is_kept = can_keep(data, event, request) && append_kept(data, event->body) == RC_OK;
    if (!request->is_kept)
        data->unkept_count++;
}

void session_unkeep(struct session_data *data, const struct px_request *request)
{
    if (request->op == ZKP_OPX_PING)
        return;
    if (request->is_kept) {
        px_buffer_skip(&data->kept, frame_at(&data->kept, 0).len);
        return;
    }
    ASSERT(data->unkept_count > 0);
    data->unkept_count--;
}

void session_rest(struct session_data *data)
{
    struct px_watch_space *space = data->watches.space;

    px_request_queue_trim(&data->out_of_band, &space->blocks);
    if (data->pipeline.count > 0)
        return;
    px_request_queue_trim(&data->pipeline, &space->blocks);
    px_watch_queue_trim(&data->wishes, space->paths, &space->blocks);
    ASSERT(data->kept.length == 0);
    if (data->kept.bytes != NULL)
        session_kept_done(data);
}

static enum rc again_pipeline(const struct session_data *data, struct px_buffer *out)
{
    static const uint8_t ping[] = {0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, ZKP_OP_PING};
    uint32_t offset = 0;
    enum rc rc = RC_OK;

    for (uint32_t i = 0; i < data->pipeline.count && rc == RC_OK; i++) {
        const struct px_request *request = px_request_queue_at(&data->pipeline, i);
        struct zkp_slice frame = zkp_slice_of(ping, sizeof(ping));
        if (request->kind == PX_REQUEST_LOCAL)
            continue;
        if (request->op != ZKP_OPX_PING) {
            ASSERT(request->is_kept);
            frame = frame_at(&data->kept, offset);
            offset += frame.len;
        }
        rc = px_buffer_append(out, frame.ptr, frame.len);
    }
    return rc;
}

enum rc session_collect_again(struct session_data *data, struct px_buffer *out)
{
    uint32_t left = data->auths.length - data->auth_done;
    enum rc rc = RC_OK;

    if (left > 0)
        rc = px_buffer_append(out, data->auths.bytes + data->auths.start + data->auth_done, left);
    return rc == RC_OK ? again_pipeline(data, out) : rc;
}

/* --- auth --- */

void session_auth_sent(struct session_data *data, const struct px_event *event, uint8_t op)
{
    if (op == ZKP_OPX_SASL)
        data->has_sasl = true;
    if (op == ZKP_OPX_SASL || data->has_lost_auth)
        return;
    if (event->body.len < event->length ||
        data->auths.length + ZKP_FRAME_PREFIX + event->length > SESSION_AUTH_MAX ||
        append_frame(&data->auths, event->body) != RC_OK)
        data->has_lost_auth = true;
}

/* One that failed is not repeated; the server is about to close the connection for it. */
void session_auth_answered(struct session_data *data, uint8_t op, int32_t err)
{
    uint32_t length;

    if (op == ZKP_OPX_SASL || data->has_lost_auth)
        return;
    length = frame_at(&data->auths, data->auth_done).len;
    if (err == 0)
        data->auth_done += length;
    else
        px_buffer_cut(&data->auths, data->auth_done, length);
}

uint32_t session_auth_count(const struct session_data *data)
{
    uint32_t count = 0;

    for (uint32_t at = 0; at < data->auth_done; at += frame_at(&data->auths, at).len)
        count++;
    return count;
}

/* --- watches --- */

/* A SetWatches frame being written: up to three lists of paths, counts filled in at the end. */
struct watches_frame {
    struct px_buffer *out;
    uint32_t begin;     /* of the frame in `out` */
    uint32_t count_at;  /* of the present list's count */
    int32_t path_count; /* in the present list */
    uint32_t total;     /* in the frame */
};

static void put_i32(struct watches_frame *frame, uint32_t offset, int32_t value)
{
    zkp_store_i32(frame->out->bytes + frame->out->start + offset, value);
}

static enum rc frame_begin(struct watches_frame *frame, int64_t relative_zxid, int32_t op)
{
    enum rc rc;

    frame->begin = frame->out->length;
    frame->total = 0;
    rc = append_i32(frame->out, 0);
    if (rc == RC_OK)
        rc = append_i32(frame->out, SESSION_XID_OURS);
    if (rc == RC_OK)
        rc = append_i32(frame->out, op);
    if (rc == RC_OK)
        rc = append_i32(frame->out, (int32_t)(relative_zxid >> 32));
    if (rc == RC_OK)
        rc = append_i32(frame->out, (int32_t)(relative_zxid & 0xffffffff));
    return rc;
}

static enum rc list_begin(struct watches_frame *frame)
{
    frame->count_at = frame->out->length;
    frame->path_count = 0;
    return append_i32(frame->out, 0);
}

static enum rc add_path(struct watches_frame *frame, struct zkp_slice path)
{
    enum rc rc = append_i32(frame->out, (int32_t)path.len);

    if (rc == RC_OK)
        rc = px_buffer_append(frame->out, path.ptr, path.len);
    frame->path_count++;
    frame->total++;
    put_i32(frame, frame->count_at, frame->path_count);
    return rc;
}

static enum rc frame_end(struct watches_frame *frame, uint32_t lists_left)
{
    enum rc rc = RC_OK;

    while (lists_left-- > 0 && rc == RC_OK)
        rc = list_begin(frame);
    put_i32(frame, frame->begin, (int32_t)(frame->out->length - frame->begin - ZKP_FRAME_PREFIX));
    return rc;
}

/* Where the walk over the lists stands. */
struct watches_walk {
    uint32_t list;
    uint32_t at;
    uint32_t end; /* list behind the last one of this kind of frame */
};

static enum rc fill_frame(const struct px_watch_set *set, struct watches_walk *walk,
                          struct watches_frame *frame)
{
    struct zkp_slice path;
    enum rc rc = list_begin(frame);

    while (rc == RC_OK) {
        if (frame->out->length - frame->begin >= WATCHES_FRAME_MAX)
            return frame_end(frame, walk->end - walk->list - 1);
        if (px_watch_set_next(set, (enum zkp_watch_list)walk->list, &walk->at, &path)) {
            rc = add_path(frame, path);
            continue;
        }
        walk->at = 0;
        if (++walk->list == walk->end)
            return frame_end(frame, 0);
        rc = list_begin(frame);
    }
    return rc;
}

/* One more frame for lists [walk->list .. end); lists before the first are empty in it. */
static enum rc one_frame(const struct session_data *data, int64_t relative_zxid, struct watches_walk *walk,
                         struct watches_frame *frame, uint32_t *ret_count)
{
    int32_t op = walk->end == ZKP_LIST_COUNT ? ZKP_OP_SET_WATCHES2 : ZKP_OP_SET_WATCHES;
    enum rc rc = frame_begin(frame, relative_zxid, op);

    for (uint32_t list = 0; list < walk->list && rc == RC_OK; list++)
        rc = list_begin(frame);
    if (rc == RC_OK)
        rc = fill_frame(&data->watches, walk, frame);
    if (rc == RC_OK && frame->total > 0)
        (*ret_count)++;
    else
        frame->out->length = frame->begin;
    return rc;
}

/* Lasting ones first: up to 3.8 a path has one mode per table and the last registration wins, so that a
 * one-shot watch which has replaced half a lasting one does so again. */
enum rc session_watches_frames(const struct session_data *data, int64_t relative_zxid, struct px_buffer *out,
                               uint32_t *ret_count)
{
    struct watches_walk walks[] = {{ZKP_LIST_PERSISTENT, 0, ZKP_LIST_COUNT},
                                   {ZKP_LIST_DATA, 0, ZKP_LIST_PERSISTENT}};
    struct watches_frame frame = {.out = out};
    enum rc rc = RC_OK;

    *ret_count = 0;
    for (uint32_t i = 0; i < 2; i++)
        while (walks[i].list < walks[i].end && rc == RC_OK)
            rc = one_frame(data, relative_zxid, &walks[i], &frame, ret_count);
    return rc;
}
