/* The few bodies the proxy reads or writes itself (protocol.md §1.4, §2.3, §2.4, §5.1). Pure, any thread;
 * paths are borrowed from the input. Every other body passes through unread. Paths are not validated here:
 * the server is the judge, and it registers watches on malformed ones too. */
#include "zkproto/request.h"

#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

#define STRING_MIN 4u /* a ustring is at least its length */

enum rc zkp_path_watch_decode(struct zkp_slice body, struct zkp_path_watch *ret_request)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_path_watch request;
    request.path = zkp_rd_buf(&r);
    request.watch = zkp_rd_bool(&r);
    if (!zkp_rd_done(&r))
        return RC_MALFORMED;
    *ret_request = request;
    return RC_OK;
}

enum rc zkp_path_int_decode(struct zkp_slice body, struct zkp_path_int *ret_request)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_path_int request;
    request.path = zkp_rd_buf(&r);
    request.value = zkp_rd_i32(&r);
    if (!zkp_rd_done(&r))
        return RC_MALFORMED;
    *ret_request = request;
    return RC_OK;
}

enum rc zkp_auth_decode(struct zkp_slice body, struct zkp_auth *ret_auth)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_auth auth;
    auth.type = zkp_rd_i32(&r);
    auth.scheme = zkp_rd_buf(&r);
    auth.auth = zkp_rd_buf(&r);
    if (!zkp_rd_done(&r))
        return RC_MALFORMED;
    *ret_auth = auth;
    return RC_OK;
}

/* SetWatches and SetWatches2 differ in nothing but the number of lists (protocol.md §2.3). */
static uint32_t list_count(bool is_set_watches2)
{
    return is_set_watches2 ? ZKP_LIST_COUNT : ZKP_LIST_PERSISTENT;
}

static enum rc watch_list_walk(struct zkp_rd *r, enum zkp_watch_list list, zkp_watch_path_fn *fn,
                               void *context)
{
    uint32_t count = zkp_rd_count(r, STRING_MIN);
    for (uint32_t i = 0; i < count; i++) {
        struct zkp_slice path = zkp_rd_buf(r);
        if (zkp_rd_state(r) != RC_OK)
            break;
        enum rc rc = fn ? fn(context, list, path) : RC_OK;
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK; /* the reader stays failed, the caller asks once at the end */
}

enum rc zkp_set_watches_decode(struct zkp_slice body, bool is_set_watches2, int64_t *ret_relative_zxid,
                               zkp_watch_path_fn *fn, void *context)
{
    struct zkp_rd r = zkp_rd_over(body);
    int64_t relative_zxid = zkp_rd_i64(&r);
    for (uint32_t list = 0; list < list_count(is_set_watches2); list++) {
        enum rc rc = watch_list_walk(&r, (enum zkp_watch_list)list, fn, context);
        if (rc != RC_OK)
            return rc;
    }
    if (!zkp_rd_done(&r))
        return RC_MALFORMED;
    *ret_relative_zxid = relative_zxid;
    return RC_OK;
}

uint32_t zkp_set_watches_frame(int32_t xid, bool is_set_watches2, int64_t relative_zxid,
                               const struct zkp_slice *const lists[ZKP_LIST_COUNT],
                               const uint32_t counts[ZKP_LIST_COUNT], uint8_t *buf, uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    uint8_t *mark = zkp_wr_frame_begin(&w);
    zkp_wr_i32(&w, xid);
    zkp_wr_i32(&w, is_set_watches2 ? ZKP_OP_SET_WATCHES2 : ZKP_OP_SET_WATCHES);
    zkp_wr_i64(&w, relative_zxid);
    for (uint32_t list = 0; list < list_count(is_set_watches2); list++) {
        zkp_wr_i32(&w, (int32_t)counts[list]);
        for (uint32_t i = 0; i < counts[list]; i++)
            zkp_wr_buf(&w, lists[list][i]);
    }
    zkp_wr_frame_end(&w, mark);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

enum rc zkp_watcher_event_decode(struct zkp_slice body, struct zkp_watcher_event *ret_event)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_watcher_event event;
    event.type = zkp_rd_i32(&r);
    event.state = zkp_rd_i32(&r);
    event.path = zkp_rd_buf(&r);
    if (!zkp_rd_done(&r))
        return RC_MALFORMED;
    *ret_event = event;
    return RC_OK;
}

uint32_t zkp_watcher_event_frame(int64_t zxid, const struct zkp_watcher_event *event, uint8_t *buf,
                                 uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    uint8_t *mark = zkp_wr_frame_begin(&w);
    zkp_wr_i32(&w, ZKP_XID_EVENT);
    zkp_wr_i64(&w, zxid);
    zkp_wr_i32(&w, ZKP_ERR_OK);
    zkp_wr_i32(&w, event->type);
    zkp_wr_i32(&w, event->state);
    zkp_wr_buf(&w, event->path);
    zkp_wr_frame_end(&w, mark);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

/* MultiHeader: before each sub-operation, each sub-result, and once more with is_done at the end. */
struct multi_header {
    int32_t type;
    bool is_done;
    int32_t err;
};

static struct multi_header rd_multi_header(struct zkp_rd *r)
{
    struct multi_header header;
    header.type = zkp_rd_i32(r);
    header.is_done = zkp_rd_bool(r);
    header.err = zkp_rd_i32(r);
    return header;
}

static void rd_acl(struct zkp_rd *r)
{
    uint32_t count = zkp_rd_count(r, 4 + STRING_MIN + STRING_MIN); /* {int perms, scheme, id} */
    for (uint32_t i = 0; i < count && zkp_rd_state(r) == RC_OK; i++) {
        zkp_rd_i32(r);
        zkp_rd_buf(r);
        zkp_rd_buf(r);
    }
}

/* What follows the path in a sub-operation (MultiTransactionRecord.java, MultiOperationRecord.java). */
static enum rc rd_sub_rest(struct zkp_rd *r, int32_t type)
{
    switch (type) {
    case ZKP_OP_CREATE:
    case ZKP_OP_CREATE2:
    case ZKP_OP_CREATE_CONTAINER:
    case ZKP_OP_CREATE_TTL:
        zkp_rd_buf(r);
        rd_acl(r);
        zkp_rd_i32(r);
        if (type == ZKP_OP_CREATE_TTL)
            zkp_rd_i64(r);
        return RC_OK;
    case ZKP_OP_SET_DATA:
        zkp_rd_buf(r);
        zkp_rd_i32(r);
        return RC_OK;
    case ZKP_OP_DELETE:
    case ZKP_OP_CHECK:
        zkp_rd_i32(r);
        return RC_OK;
    case ZKP_OP_GET_DATA:
    case ZKP_OP_GET_CHILDREN:
        zkp_rd_bool(r);
        return RC_OK;
    default: /* its length is unknown, so the walk cannot go on */
        return RC_MALFORMED;
    }
}

enum rc zkp_create_ttl_decode(struct zkp_slice body, struct zkp_create_ttl *ret_request)
{
    struct zkp_rd r = zkp_rd_over(body);

    zkp_rd_buf(&r); /* path */
    zkp_rd_buf(&r); /* data */
    rd_acl(&r);
    ret_request->flags = zkp_rd_i32(&r);
    ret_request->ttl = zkp_rd_i64(&r);
    return zkp_rd_state(&r);
}

enum rc zkp_multi_request_walk(struct zkp_slice body, zkp_multi_fn *fn, void *context)
{
    struct zkp_rd r = zkp_rd_over(body);
    for (;;) {
        struct multi_header header = rd_multi_header(&r);
        if (header.is_done)
            return zkp_rd_done(&r) ? RC_OK : RC_MALFORMED;
        struct zkp_slice path = zkp_rd_buf(&r);
        enum rc rc = rd_sub_rest(&r, header.type);
        if (rc != RC_OK || zkp_rd_state(&r) != RC_OK)
            return RC_MALFORMED;
        rc = fn ? fn(context, header.type, path) : RC_OK;
        if (rc != RC_OK)
            return rc;
    }
}

/* Writes {buffer, Stat} as it is or as an empty node's: dataLength must agree with the hidden data. */
static void wr_data_and_stat(struct zkp_wr *w, struct zkp_slice data, struct zkp_slice stat, bool is_hidden)
{
    if (!is_hidden) {
        zkp_wr_buf(w, data);
        zkp_wr_raw(w, stat);
        return;
    }
    zkp_wr_i32(w, 0);
    zkp_wr_raw(w, zkp_slice_of(stat.ptr, ZKP_STAT_DATA_LENGTH_OFFSET));
    zkp_wr_i32(w, 0);
    uint32_t rest = ZKP_STAT_DATA_LENGTH_OFFSET + 4;
    zkp_wr_raw(w, zkp_slice_of(stat.ptr + rest, ZKP_STAT_LEN - rest));
}

uint32_t zkp_get_data_reply_hide(struct zkp_slice body, uint8_t *buf, uint32_t capacity)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_slice data = zkp_rd_buf(&r);
    struct zkp_slice stat = zkp_rd_raw(&r, ZKP_STAT_LEN);
    if (!zkp_rd_done(&r))
        return 0;
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    wr_data_and_stat(&w, data, stat, true);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

enum { SUB_RESULT_ERROR = -1 }; /* MultiResponse.java: ZooDefs.OpCode.error, body {int err} */

/* Copies one sub-result behind its header; anything but what a multiRead can answer is malformed. */
static bool copy_sub_result(struct zkp_rd *r, struct zkp_wr *w, int32_t type, bool is_hidden)
{
    if (type == SUB_RESULT_ERROR) {
        zkp_wr_i32(w, zkp_rd_i32(r));
    } else if (type == ZKP_OP_GET_DATA) {
        struct zkp_slice data = zkp_rd_buf(r);
        struct zkp_slice stat = zkp_rd_raw(r, ZKP_STAT_LEN);
        if (zkp_rd_state(r) == RC_OK)
            wr_data_and_stat(w, data, stat, is_hidden);
    } else if (type == ZKP_OP_GET_CHILDREN) {
        const uint8_t *begin = r->pos;
        uint32_t count = zkp_rd_count(r, STRING_MIN);
        for (uint32_t i = 0; i < count && zkp_rd_state(r) == RC_OK; i++)
            zkp_rd_buf(r);
        zkp_wr_raw(w, zkp_slice_of(begin, (uint32_t)(r->pos - begin)));
    } else {
        return false;
    }
    return zkp_rd_state(r) == RC_OK;
}

static void wr_multi_header(struct zkp_wr *w, struct multi_header header)
{
    zkp_wr_i32(w, header.type);
    zkp_wr_bool(w, header.is_done);
    zkp_wr_i32(w, header.err);
}

uint32_t zkp_multi_read_reply_hide(struct zkp_slice body, uint64_t hide, uint8_t *buf, uint32_t capacity)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    for (uint32_t i = 0;; i++) {
        struct multi_header header = rd_multi_header(&r);
        wr_multi_header(&w, header);
        if (header.is_done)
            break;
        bool is_hidden = i < 64 && (hide >> i & 1) != 0;
        if (!copy_sub_result(&r, &w, header.type, is_hidden))
            return 0;
    }
    return zkp_rd_done(&r) && zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}
