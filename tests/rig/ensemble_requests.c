/* What a simulated server answers, and when. */
#include "tests/rig/ensemble.h"

static void rig_reply(struct rig_ensemble *e, struct rig_conn *conn, int32_t xid, int32_t err)
{
    uint8_t body[24];

    zkp_store_i32(body, xid);
    zkp_store_i64(body + 4, rig_zxid(e, conn->server));
    zkp_store_i32(body + 12, err);
    zkp_store_i64(body + 16, e->servers[conn->server].applied);
    if (conn->has_proxy)
        rig_push_bytes(e, &conn->to_proxy, zkp_slice_of(body, sizeof(body)))->asked_ms = e->asked_ms;
}

static void rig_answer_connect(struct rig_ensemble *e, struct rig_conn *conn, int32_t timeout_ms)
{
    static const uint8_t password[ZKP_PASSWORD_LEN] = {5, 4, 3};
    static const uint8_t zeros[ZKP_PASSWORD_LEN];
    struct zkp_connect_response response = {
        .timeout_ms = timeout_ms,
        .session_id = timeout_ms > 0 ? RIG_SID : 0,
        .password = zkp_slice_of(timeout_ms > 0 ? password : zeros, ZKP_PASSWORD_LEN),
        .has_read_only = true};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_response_frame(&response, frame, sizeof(frame));

    if (conn->has_proxy)
        rig_push_bytes(e, &conn->to_proxy, zkp_slice_of(frame + 4, length - 4))->asked_ms = e->asked_ms;
    if (timeout_ms == 0)
        rig_close_server(conn);
}

static void rig_attach(struct rig_ensemble *e, struct rig_conn *conn, int32_t timeout_ms)
{
    for (int i = 0; i < RIG_CONNS; i++) /* the newer kills the older on one server */
        if (&e->conns[i] != conn && e->conns[i].server == conn->server && e->conns[i].is_attached)
            rig_close_server(&e->conns[i]);
    e->owner = conn->server;
    e->touched_ms = e->now_ms;
    e->timeout_ms = timeout_ms;
    conn->is_attached = true;
    rig_answer_connect(e, conn, timeout_ms);
    if (!conn->has_proxy)
        rig_close_server(conn); /* it finds the socket closed */
}

static void rig_connect(struct rig_ensemble *e, struct rig_conn *conn, struct zkp_slice body)
{
    int32_t max_ms = e->servers[conn->server].timeout_max_ms;
    struct zkp_connect_request request;

    ASSERT(zkp_connect_request_decode(body, &request) == RC_OK);
    if (request.last_zxid_seen > rig_zxid(e, conn->server)) {
        rig_close_server(conn);
        return;
    }
    if (request.session_id == 0 && e->owner == RIG_NONE) /* making a session is a transaction … */
        (void)rig_commit(e, RIG_NOTHING, 0, 0);
    while (request.session_id == 0 && e->servers[conn->server].applied < e->log_count)
        rig_apply(e, conn->server); /* … that is behind whoever answers */
    if (e->is_expired)
        rig_answer_connect(e, conn, 0);
    else
        rig_attach(e, conn, request.timeout_ms < max_ms ? request.timeout_ms : max_ms);
}

int rig_path_of(struct zkp_slice name)
{
    for (int i = 0; i < RIG_PATHS; i++)
        if (zkp_slice_eq(name, zkp_slice_str(rig_names[i])))
            return i;
    return RIG_NONE;
}

struct rig_setting {
    struct rig_ensemble *e;
    struct rig_conn *conn;
    int since;
};

static enum rc rig_set_path(void *context, enum zkp_watch_list list, struct zkp_slice name)
{
    struct rig_setting *set = context;
    int place = set->e->servers[set->conn->server].applied;
    int path = rig_path_of(name);
    int32_t type = rig_catch_up(&set->e->servers[set->conn->server].tree, path, list, set->since);

    if (type != 0)
        rig_send_event(set->e, set->conn, (struct rig_fired){type, path}, -1 - place, -1);
    else
        rig_watch(&set->conn->tables, set->e->rule, path, list, place);
    return RC_OK;
}

static void rig_set_watches(struct rig_ensemble *e, struct rig_conn *conn, struct zkp_slice rest,
                            bool is_set_watches2)
{
    struct rig_setting set = {.e = e, .conn = conn};
    int64_t relative_zxid;

    ASSERT(zkp_set_watches_decode(rest, is_set_watches2, &relative_zxid, NULL, NULL) == RC_OK);
    set.since = rig_place(e, relative_zxid);
    ASSERT(zkp_set_watches_decode(rest, is_set_watches2, &relative_zxid, rig_set_path, &set) == RC_OK);
    if (is_set_watches2)
        conn->lasting_set = e->servers[conn->server].applied;
    else
        conn->once_set = e->servers[conn->server].applied;
}

static int32_t rig_read(struct rig_ensemble *e, struct rig_conn *conn, int32_t op, struct zkp_slice rest)
{
    const struct rig_server *s = &e->servers[conn->server];
    struct zkp_rd r = zkp_rd_over(rest);
    int path = rig_path_of(zkp_rd_buf(&r));
    enum zkp_watch_list list = op == ZKP_OP_GET_CHILDREN ? ZKP_LIST_CHILD : ZKP_LIST_DATA;
    bool exists = s->tree.nodes[path].exists;

    if (op == ZKP_OP_ADD_WATCH) {
        list = zkp_rd_i32(&r) == 0 ? ZKP_LIST_PERSISTENT : ZKP_LIST_RECURSIVE;
        rig_watch(&conn->tables, e->rule, path, list, s->applied);
        return 0;
    }
    if (op == ZKP_OP_REMOVE_WATCHES)
        return rig_unwatch(&conn->tables, e->rule, path, zkp_rd_i32(&r)) ? 0 : ZKP_ERR_NO_WATCHER;
    if (!exists && op == ZKP_OP_EXISTS)
        list = ZKP_LIST_EXIST;
    if (zkp_rd_bool(&r) && (exists || op == ZKP_OP_EXISTS))
        rig_watch(&conn->tables, e->rule, path, list, s->applied);
    return exists ? 0 : ZKP_ERR_NO_NODE;
}

static void rig_reply_look(struct rig_ensemble *e, struct rig_conn *conn, int32_t op, struct zkp_slice rest)
{
    uint8_t body[RIG_FRAME_MAX];
    struct zkp_rd r = zkp_rd_over(rest);
    int32_t err;
    uint32_t length = rig_look(e, conn->server, op, zkp_rd_buf(&r), body + 16, &err);

    ASSERT(!zkp_rd_bool(&r));
    zkp_store_i32(body, RIG_XID_LOOK);
    zkp_store_i64(body + 4, rig_zxid(e, conn->server));
    zkp_store_i32(body + 12, err);
    if (conn->has_proxy)
        rig_push_bytes(e, &conn->to_proxy, zkp_slice_of(body, 16 + length))->asked_ms = e->asked_ms;
}

/* Proposed when it comes first, answered when this server has applied it. False: it waits. */
static bool rig_write(struct rig_ensemble *e, struct rig_conn *conn, int32_t op, struct zkp_slice rest,
                      int32_t xid, int32_t *ret_err)
{
    enum rig_change change = op == ZKP_OP_CREATE ? RIG_CREATE : op == ZKP_OP_DELETE ? RIG_DELETE : RIG_SET;
    struct zkp_rd r = zkp_rd_over(rest);

    if (conn->awaited == RIG_NONE) {
        if (op == ZKP_OP_SYNC)
            conn->awaited = e->log_count;
        else {
            (void)rig_commit(e, change, rig_path_of(zkp_rd_buf(&r)), xid);
            conn->awaited = e->log_count;
        }
    }
    if (e->servers[conn->server].applied < conn->awaited)
        return false;
    *ret_err = op != ZKP_OP_SYNC && e->log[conn->awaited - 1].change == RIG_NOTHING ? ZKP_ERR_NO_NODE : 0;
    conn->awaited = RIG_NONE;
    return true;
}

bool rig_is_write(int32_t op)
{
    return op == ZKP_OP_CREATE || op == ZKP_OP_DELETE || op == ZKP_OP_SET_DATA;
}

/* The owner rule of protocol.md §3.2: FIN without a reply. */
static bool rig_refuses(struct rig_ensemble *e, struct rig_conn *conn, int32_t op)
{
    if (e->is_expired || e->leader == RIG_NONE)
        return true;
    if (e->owner == conn->server || conn->awaited != RIG_NONE)
        return false;
    if (rig_is_write(op))
        (void)rig_commit(e, RIG_NOTHING, 0, 0); /* SessionMoved consumes a zxid */
    return rig_is_write(op) || conn->server == e->leader;
}

static void rig_request(struct rig_ensemble *e, struct rig_conn *conn, struct zkp_slice body)
{
    int32_t xid = zkp_load_i32(body.ptr);
    int32_t op = zkp_load_i32(body.ptr + 4);
    struct zkp_slice rest = zkp_slice_of(body.ptr + 8, body.len - 8);
    uint8_t auth[16] = {0};
    int32_t err = 0;

    if (op == ZKP_OP_AUTH && conn->has_proxy) { /* past the pipeline, and no sign of life */
        zkp_store_i32(auth, xid);
        rig_push_bytes(e, &conn->to_proxy, zkp_slice_of(auth, sizeof(auth)));
    }
    if (op == ZKP_OP_AUTH) {
        rig_pop(&conn->to_server);
        return;
    }
    if (rig_refuses(e, conn, op)) {
        rig_close_server(conn);
        return;
    }
    e->touched_ms = e->now_ms;
    if ((rig_is_write(op) || op == ZKP_OP_SYNC) && !rig_write(e, conn, op, rest, xid, &err))
        return;
    if (xid == RIG_XID_LOOK && (op == ZKP_OP_EXISTS || op == ZKP_OP_GET_CHILDREN2)) {
        rig_reply_look(e, conn, op, rest);
        rig_pop(&conn->to_server);
        return;
    }
    if (op == ZKP_OP_SET_WATCHES || op == ZKP_OP_SET_WATCHES2)
        rig_set_watches(e, conn, rest, op == ZKP_OP_SET_WATCHES2);
    else if (!rig_is_write(op) && op != ZKP_OP_SYNC && op != ZKP_OP_PING)
        err = rig_read(e, conn, op, rest);
    rig_reply(e, conn, xid, err);
    rig_pop(&conn->to_server);
}

void rig_skip_write(struct rig_ensemble *e, struct rig_conn *conn)
{
    struct rig_frame *frame;

    if (!conn->has_server || conn->awaited == RIG_NONE || conn->to_server.count < 2 || rig_is_busy(conn))
        return;
    rig_pop(&conn->to_server);
    conn->awaited = RIG_NONE;
    frame = rig_front(&conn->to_server);
    e->asked_ms = frame->at_ms;
    if (!rig_is_write(zkp_load_i32(frame->body + 4)))
        rig_request(e, conn, zkp_slice_of(frame->body, frame->length));
}

bool rig_is_busy(const struct rig_conn *conn)
{
    return conn->to_proxy.count > RIG_QUEUE - 20;
}

void rig_serve(struct rig_ensemble *e, struct rig_conn *conn)
{
    const struct rig_server *s = &e->servers[conn->server];
    struct rig_frame *frame = rig_front(&conn->to_server);

    if (!conn->has_server || frame == NULL || !s->is_alive || s->is_hung || rig_is_busy(conn) ||
        e->log_count > RIG_LOG_MAX - 8)
        return;
    e->asked_ms = frame->at_ms;
    if (e->leader == RIG_NONE) {
        rig_close_server(conn);
    } else if (!conn->is_attached) {
        struct zkp_slice body = zkp_slice_of(frame->body, frame->length);
        rig_pop(&conn->to_server);
        rig_connect(e, conn, body);
    } else {
        rig_request(e, conn, zkp_slice_of(frame->body, frame->length));
    }
}
