/* What bench_stub answers to frames: see stub.h. Pure. */
#include "tests/bench/stub.h"
#include "zkproto/connect.h"
#include "zkproto/header.h"
#include "zkproto/request.h"
#include "zkproto/zkerr.h"

#define SESSION_ID_SHIFT 56 /* ZooKeeper keeps the server's id in the first byte */
#define PATH_MAX_BYTES   512u

static const uint8_t zeros[ZKP_STAT_LEN];
static const char config_path[] = "/zookeeper/config";

void stub_state_init(struct stub_state *state, int32_t server_id, uint32_t value_bytes)
{
    memset(state, 0, sizeof *state);
    memset(state->value, 'x', sizeof state->value);
    state->server_id = server_id;
    state->value_bytes = value_bytes;
    state->zxid = STUB_FIRST_ZXID;
    state->last_session = (int64_t)server_id << SESSION_ID_SHIFT;
}

static int32_t clamped(int32_t timeout_ms)
{
    if (timeout_ms < STUB_TIMEOUT_MIN)
        return STUB_TIMEOUT_MIN;
    return timeout_ms > STUB_TIMEOUT_MAX ? STUB_TIMEOUT_MAX : timeout_ms;
}

enum rc stub_connect(struct stub_state *state, struct zkp_slice body, struct zkp_wr *out)
{
    struct zkp_connect_request request;
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    enum rc rc = zkp_connect_request_decode(body, &request);
    if (rc != RC_OK)
        return rc;
    bool is_new = request.session_id == 0;
    state->counts.sessions += is_new;
    state->counts.reattaches += !is_new;
    struct zkp_connect_response response = {
        .timeout_ms = clamped(request.timeout_ms),
        .session_id = is_new ? ++state->last_session : request.session_id,
        .password = zkp_slice_of(zeros, ZKP_PASSWORD_LEN),
        .has_read_only = request.has_read_only,
    };
    zkp_wr_raw(out, zkp_slice_of(frame, zkp_connect_response_frame(&response, frame, sizeof frame)));
    return zkp_wr_done(out);
}

/* --- replies --- */

static void header(struct stub_state *state, int32_t xid, int32_t err, struct zkp_wr *out)
{
    zkp_wr_i32(out, xid);
    zkp_wr_i64(out, state->zxid);
    zkp_wr_i32(out, err);
}

static void stat(uint32_t value_bytes, struct zkp_wr *out)
{
    zkp_wr_raw(out, zkp_slice_of(zeros, ZKP_STAT_DATA_LENGTH_OFFSET));
    zkp_wr_i32(out, (int32_t)value_bytes);
    zkp_wr_raw(out, zkp_slice_of(zeros, ZKP_STAT_LEN - ZKP_STAT_DATA_LENGTH_OFFSET - 4u));
}

static void data_and_stat(const struct stub_state *state, struct zkp_wr *out)
{
    zkp_wr_buf(out, zkp_slice_of(state->value, state->value_bytes));
    stat(state->value_bytes, out);
}

static void ok(struct stub_state *state, int32_t xid, struct zkp_wr *out)
{
    header(state, xid, ZKP_ERR_OK, out);
}

static struct zkp_slice path_of(struct zkp_slice body)
{
    struct zkp_rd r =
        zkp_rd_over(zkp_slice_of(body.ptr + ZKP_REQUEST_HEADER_LEN, body.len - ZKP_REQUEST_HEADER_LEN));
    struct zkp_slice path = zkp_rd_buf(&r);
    if (path.len > PATH_MAX_BYTES)
        path.len = PATH_MAX_BYTES;
    return path;
}

static bool is_missing(struct zkp_slice body)
{
    return zkp_slice_eq(path_of(body), zkp_slice_str(config_path));
}

static void read_reply(struct stub_state *state, const struct zkp_request_header *request,
                       struct zkp_slice body, struct zkp_wr *out)
{
    if (is_missing(body)) {
        header(state, request->xid, ZKP_ERR_NO_NODE, out);
        return;
    }
    ok(state, request->xid, out);
    if (request->type == ZKP_OP_GET_DATA)
        data_and_stat(state, out);
    else
        stat(state->value_bytes, out);
}

static void children_reply(struct stub_state *state, const struct zkp_request_header *request,
                           struct zkp_wr *out)
{
    ok(state, request->xid, out);
    zkp_wr_i32(out, 0); /* no children */
    if (request->type == ZKP_OP_GET_CHILDREN2)
        stat(state->value_bytes, out);
}

static void path_reply(struct stub_state *state, const struct zkp_request_header *request,
                       struct zkp_slice body, struct zkp_wr *out)
{
    ok(state, request->xid, out);
    zkp_wr_buf(out, path_of(body));
    if (request->type == ZKP_OP_CREATE2)
        stat(0, out);
}

static void set_reply(struct stub_state *state, const struct zkp_request_header *request, struct zkp_wr *out)
{
    ok(state, request->xid, out);
    stat(state->value_bytes, out);
}

static void other_reply(struct stub_state *state, const struct zkp_request_header *request,
                        struct zkp_wr *out)
{
    if (request->type == ZKP_OP_ADD_WATCH) {
        ok(state, request->xid, out);
        zkp_wr_i32(out, ZKP_ERR_OK);
    } else if (zkp_op_index(request->type) == ZKP_OPX_UNKNOWN || request->type == ZKP_OP_MULTI) {
        header(state, request->xid, ZKP_ERR_UNIMPLEMENTED, out);
    } else { /* ping, auth, setWatches, removeWatches, delete, closeSession: a header is all */
        ok(state, request->xid, out);
    }
}

static void reply(struct stub_state *state, const struct zkp_request_header *request, struct zkp_slice body,
                  struct zkp_wr *out)
{
    switch (request->type) {
    case ZKP_OP_EXISTS:
    case ZKP_OP_GET_DATA:
        read_reply(state, request, body, out);
        return;
    case ZKP_OP_GET_CHILDREN:
    case ZKP_OP_GET_CHILDREN2:
        children_reply(state, request, out);
        return;
    case ZKP_OP_CREATE:
    case ZKP_OP_CREATE2:
    case ZKP_OP_SYNC:
        path_reply(state, request, body, out);
        return;
    case ZKP_OP_SET_DATA:
        set_reply(state, request, out);
        return;
    default:
        other_reply(state, request, out);
    }
}

static bool must_drop(struct stub_state *state, enum zkp_op_index op)
{
    bool drops = op == ZKP_OPX_GET_DATA && state->counts.requests[op] == state->drop_at;
    state->counts.dropped += drops;
    return drops;
}

enum rc stub_answer(struct stub_state *state, struct zkp_slice body, struct zkp_wr *out)
{
    struct zkp_request_header request;
    if (zkp_request_header_decode(body, &request) != RC_OK)
        return RC_MALFORMED;
    enum zkp_op_index op = zkp_op_index(request.type);
    state->counts.requests[op]++;
    if (must_drop(state, op))
        return RC_OK;
    if (zkp_op_row(op)->class == ZKP_CLASS_WRITE)
        state->zxid++;
    uint8_t *mark = zkp_wr_frame_begin(out);
    reply(state, &request, body, out);
    enum rc rc = zkp_wr_done(out);
    if (rc != RC_OK)
        return rc;
    zkp_wr_frame_end(out, mark);
    return request.type == ZKP_OP_CLOSE_SESSION ? RC_CLOSED : RC_OK;
}
