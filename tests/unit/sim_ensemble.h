/* A small ZooKeeper ensemble inside a test: three servers with one log of transactions, each at its own place
 * in it; a tree of six nodes; the watch tables of protocol.md §2, with the one-mode quirk of up to 3.8; one
 * session with its owner (§3.2), its expiry clock, and any number of connections. Time and order of
 * everything are the caller's. Header only.
 *
 * Replies of the pipeline carry the server's place in the log as their body, and events carry it where
 * WatcherEvent has its state (negative for SetWatches' catch-up events): the client's oracle in sim_client.h
 * reads them there, the core does not look. Not here: ACLs, multi, closeSession, ephemerals. */
#ifndef TESTS_UNIT_SIM_ENSEMBLE_H
#define TESTS_UNIT_SIM_ENSEMBLE_H

#include <string.h>

#include "proxy/session/watch_set.h"
#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
#include "zkproto/zkerr.h"

#define SIM_SERVERS   3
#define SIM_PATHS     6
#define SIM_LOG_MAX   1024
#define SIM_CONNS     16
#define SIM_QUEUE     64
#define SIM_FRAME_MAX 400
#define SIM_SID       0x100000000000001ll
#define SIM_NONE      (-1)

static const char *const sim_names[SIM_PATHS] = {"/a", "/a/b", "/a/c", "/d", "/d/e", "/f"};
static const int sim_parents[SIM_PATHS] = {SIM_NONE, 0, 0, SIM_NONE, 3, SIM_NONE};

enum sim_change { SIM_NOTHING, SIM_CREATE, SIM_DELETE, SIM_SET };

struct sim_txn {
    int64_t zxid;
    enum sim_change change;
    int path;
    int32_t xid; /* of the client's write; 0 = somebody else's */
};

struct sim_node {
    bool exists;
    int changed; /* place in the log: mzxid */
    int touched; /* of its children: pzxid */
};

struct sim_tree {
    struct sim_node nodes[SIM_PATHS];
};

/* Watch tables: data, child. */
enum { SIM_DATA, SIM_CHILD };
enum { SIM_ONCE = 1, SIM_LASTS = 2, SIM_BELOW = 4 };

struct sim_tables {
    uint8_t bits[2][SIM_PATHS];
    int since[2][SIM_PATHS];     /* of a one-shot watch: place in the log */
    bool was_missing[SIM_PATHS]; /* set by exists on a missing node */
};

struct sim_fired {
    int32_t type;
    int path;
};

struct sim_frame {
    uint32_t length; /* of the body */
    int64_t at_ms;
    bool has_more; /* events of one transaction travel together */
    uint8_t body[SIM_FRAME_MAX];
};

struct sim_queue {
    uint32_t head;
    uint32_t count;
    struct sim_frame ring[SIM_QUEUE];
};

struct sim_conn {
    int server;
    bool has_proxy;  /* the proxy's end is open */
    bool has_server; /* the server's end is open */
    bool is_attached;
    int awaited;     /* its head request waits for this place in the log; SIM_NONE = not begun */
    int once_set;    /* place at which SetWatches registered, SIM_NONE = not yet */
    int lasting_set; /* the same of SetWatches2 */
    struct sim_tables tables;
    struct sim_queue to_server;
    struct sim_queue to_proxy;
};

struct sim_server {
    bool is_alive;
    bool is_hung;
    int applied;        /* transactions of the log */
    int64_t hung_epoch; /* it hangs since then */
    int32_t timeout_max_ms;
    struct sim_tree tree;
};

struct sim_ensemble {
    enum px_watch_rule rule;
    int64_t now_ms;
    int leader; /* SIM_NONE: nobody serves */
    int64_t epoch;
    int64_t leaderless_ms; /* last seen without */
    int log_count;
    int owner; /* of the session; SIM_NONE before it was made */
    bool is_expired;
    int64_t touched_ms;
    int32_t timeout_ms;
    struct sim_server servers[SIM_SERVERS];
    struct sim_conn conns[SIM_CONNS];
    struct sim_txn log[SIM_LOG_MAX];
};

/* --- queues --- */

static inline struct sim_frame *sim_push(struct sim_ensemble *e, struct sim_queue *queue, uint32_t length)
{
    struct sim_frame *frame = &queue->ring[(queue->head + queue->count) % SIM_QUEUE];

    ASSERT(queue->count < SIM_QUEUE && length <= SIM_FRAME_MAX);
    queue->count++;
    frame->length = length;
    frame->at_ms = e->now_ms;
    frame->has_more = false;
    return frame;
}

static inline void sim_push_bytes(struct sim_ensemble *e, struct sim_queue *queue, struct zkp_slice body)
{
    struct sim_frame *frame = sim_push(e, queue, body.len);

    if (body.len > 0)
        memcpy(frame->body, body.ptr, body.len);
}

static inline struct sim_frame *sim_front(struct sim_queue *queue)
{
    return queue->count == 0 ? NULL : &queue->ring[queue->head];
}

static inline void sim_pop(struct sim_queue *queue)
{
    ASSERT(queue->count > 0);
    queue->head = (queue->head + 1) % SIM_QUEUE;
    queue->count--;
}

/* --- watches --- */

static inline void sim_watch(struct sim_tables *tables, enum px_watch_rule rule, int path,
                             enum zkp_watch_list list, int place)
{
    bool is_one_mode = rule == PX_WATCH_ONE_MODE;
    uint8_t bit = list == ZKP_LIST_RECURSIVE ? SIM_BELOW : list == ZKP_LIST_PERSISTENT ? SIM_LASTS : SIM_ONCE;

    for (int table = SIM_DATA; table <= SIM_CHILD; table++) {
        if (bit == SIM_ONCE && (table == SIM_CHILD) != (list == ZKP_LIST_CHILD))
            continue;
        if (bit == SIM_BELOW && table == SIM_CHILD && !is_one_mode)
            continue;
        tables->bits[table][path] = (uint8_t)(is_one_mode ? bit : tables->bits[table][path] | bit);
        if (bit == SIM_ONCE)
            tables->since[table][path] = place;
    }
    if (list == ZKP_LIST_DATA || list == ZKP_LIST_EXIST)
        tables->was_missing[path] = list == ZKP_LIST_EXIST;
}

/* removeWatches 1, 2, 3. False: there was none. */
static inline bool sim_unwatch(struct sim_tables *tables, enum px_watch_rule rule, int path, int32_t type)
{
    uint8_t mask = rule == PX_WATCH_ONE_MODE || type == 3 ? 0xff : SIM_ONCE;
    bool had_any = false;

    for (int table = SIM_DATA; table <= SIM_CHILD; table++) {
        if ((type == 1 && table == SIM_DATA) || (type == 2 && table == SIM_CHILD))
            continue;
        had_any = had_any || (tables->bits[table][path] & mask) != 0;
        tables->bits[table][path] &= (uint8_t)~mask;
    }
    return had_any;
}

static inline bool sim_trigger(struct sim_tables *tables, int table, int path, int32_t type)
{
    uint8_t bits = tables->bits[table][path];
    bool fires = (bits & (SIM_ONCE | SIM_LASTS)) != 0;

    tables->bits[table][path] &= (uint8_t)~SIM_ONCE;
    for (int at = path; at != SIM_NONE && type != ZKP_EVENT_CHILDREN_CHANGED; at = sim_parents[at])
        fires = fires || (tables->bits[table][at] & SIM_BELOW) != 0;
    return fires;
}

/* What a transaction sends to the connection with these tables, in order; at most two. */
static inline int sim_fire(struct sim_tables *tables, const struct sim_txn *txn, struct sim_fired *ret_fired)
{
    int parent = txn->change == SIM_NOTHING || txn->change == SIM_SET ? SIM_NONE : sim_parents[txn->path];
    int32_t type = txn->change == SIM_CREATE ? ZKP_EVENT_CREATED : ZKP_EVENT_DATA_CHANGED;
    bool fires;
    int count = 0;

    if (txn->change == SIM_NOTHING)
        return 0;
    if (txn->change == SIM_DELETE)
        type = ZKP_EVENT_DELETED;
    fires = sim_trigger(tables, SIM_DATA, txn->path, type);
    if (txn->change == SIM_DELETE) /* one event for both tables */
        fires = sim_trigger(tables, SIM_CHILD, txn->path, type) || fires;
    if (fires)
        ret_fired[count++] = (struct sim_fired){type, txn->path};
    if (parent != SIM_NONE && sim_trigger(tables, SIM_CHILD, parent, ZKP_EVENT_CHILDREN_CHANGED))
        ret_fired[count++] = (struct sim_fired){ZKP_EVENT_CHILDREN_CHANGED, parent};
    return count;
}

/* What SetWatches does with one path; returns the type of its catch-up event, 0 = registered. */
static inline int32_t sim_catch_up(const struct sim_tree *tree, int path, enum zkp_watch_list list, int since)
{
    const struct sim_node *node = &tree->nodes[path];

    switch (list) {
    case ZKP_LIST_DATA:
        return !node->exists ? ZKP_EVENT_DELETED : node->changed > since ? ZKP_EVENT_DATA_CHANGED : 0;
    case ZKP_LIST_EXIST:
        return node->exists ? ZKP_EVENT_CREATED : 0;
    case ZKP_LIST_CHILD:
        return !node->exists ? ZKP_EVENT_DELETED : node->touched > since ? ZKP_EVENT_CHILDREN_CHANGED : 0;
    case ZKP_LIST_PERSISTENT:
    case ZKP_LIST_RECURSIVE:
    case ZKP_LIST_COUNT:
        break;
    }
    return 0;
}

/* --- the log --- */

static inline void sim_grow(struct sim_tree *tree, const struct sim_txn *txn, int place)
{
    struct sim_node *node = &tree->nodes[txn->path];

    if (txn->change == SIM_NOTHING)
        return;
    node->exists = txn->change != SIM_DELETE;
    node->changed = place;
    if (txn->change == SIM_CREATE)
        node->touched = place;
    if (txn->change != SIM_SET && sim_parents[txn->path] != SIM_NONE)
        tree->nodes[sim_parents[txn->path]].touched = place;
}

static inline int64_t sim_zxid(const struct sim_ensemble *e, int server)
{
    int applied = e->servers[server].applied;
    int64_t zxid = applied == 0 ? 0 : e->log[applied - 1].zxid;

    return server == e->leader && zxid < e->epoch << 32 ? e->epoch << 32 : zxid;
}

/* The place of the last transaction up to this zxid. */
static inline int sim_place(const struct sim_ensemble *e, int64_t zxid)
{
    int place = e->log_count;

    while (place > 0 && e->log[place - 1].zxid > zxid)
        place--;
    return place;
}

static inline void sim_send_event(struct sim_ensemble *e, struct sim_conn *conn, struct sim_fired fired,
                                  int32_t place, int64_t zxid)
{
    struct zkp_watcher_event event = {
        .type = fired.type, .state = place, .path = zkp_slice_str(sim_names[fired.path])};
    uint8_t bytes[SIM_FRAME_MAX];
    uint32_t length = zkp_watcher_event_frame(zxid, &event, bytes, sizeof(bytes));

    if (conn->has_proxy)
        sim_push_bytes(e, &conn->to_proxy, zkp_slice_of(bytes + 4, length - 4));
}

static inline void sim_fire_to(struct sim_ensemble *e, struct sim_conn *conn, int place)
{
    const struct sim_txn *txn = &e->log[place - 1];
    int64_t zxid = e->rule == PX_WATCH_ALL_MODES ? txn->zxid : -1;
    struct sim_fired fired[2];
    int count = sim_fire(&conn->tables, txn, fired);

    for (int i = 0; i < count; i++)
        sim_send_event(e, conn, fired[i], place, zxid);
    if (count == 2 && conn->has_proxy)
        conn->to_proxy.ring[(conn->to_proxy.head + conn->to_proxy.count - 2) % SIM_QUEUE].has_more = true;
}

static inline void sim_apply(struct sim_ensemble *e, int server)
{
    struct sim_server *s = &e->servers[server];
    int place = s->applied + 1;

    ASSERT(place <= e->log_count);
    s->applied = place;
    sim_grow(&s->tree, &e->log[place - 1], place);
    for (int i = 0; i < SIM_CONNS; i++)
        if (e->conns[i].has_server && e->conns[i].is_attached && e->conns[i].server == server)
            sim_fire_to(e, &e->conns[i], place);
}

static inline bool sim_is_possible(const struct sim_tree *tree, enum sim_change change, int path)
{
    bool exists = tree->nodes[path].exists;

    if (change != SIM_CREATE && !exists)
        return false;
    if (change == SIM_CREATE)
        return !exists && (sim_parents[path] == SIM_NONE || tree->nodes[sim_parents[path]].exists);
    for (int i = 0; change == SIM_DELETE && i < SIM_PATHS; i++)
        if (sim_parents[i] == path && tree->nodes[i].exists)
            return false;
    return true;
}

/* The leader applies at once; a failing write is a transaction, too. False: it fails. */
static inline bool sim_commit(struct sim_ensemble *e, enum sim_change change, int path, int32_t xid)
{
    int64_t last = sim_zxid(e, e->leader);
    bool is_possible = sim_is_possible(&e->servers[e->leader].tree, change, path);

    ASSERT(e->log_count < SIM_LOG_MAX);
    e->log[e->log_count++] = (struct sim_txn){
        .zxid = last + 1, .change = is_possible ? change : SIM_NOTHING, .path = path, .xid = xid};
    sim_apply(e, e->leader);
    return is_possible;
}

/* --- connections --- */

static inline void sim_close_server(struct sim_conn *conn)
{
    conn->has_server = conn->is_attached = false;
    conn->to_server.count = 0;
}

/* What the server has sent already still arrives, unless it is lost with the socket. */
static inline void sim_close_all(struct sim_ensemble *e, int server, bool loses_bytes)
{
    for (int i = 0; i < SIM_CONNS; i++) {
        struct sim_conn *conn = &e->conns[i];
        if (conn->server != server || !conn->has_server)
            continue;
        sim_close_server(conn);
        if (loses_bytes)
            conn->to_proxy.count = 0;
    }
}

/* SIM_NONE when there is no place left. */
static inline int sim_open(struct sim_ensemble *e, int server)
{
    for (int i = 0; i < SIM_CONNS; i++) {
        struct sim_conn *conn = &e->conns[i];
        if (conn->has_proxy || (conn->has_server && conn->to_server.count > 0))
            continue;
        conn->server = server;
        conn->has_proxy = conn->has_server = true;
        conn->is_attached = false;
        conn->awaited = conn->once_set = conn->lasting_set = SIM_NONE;
        conn->to_server.count = conn->to_proxy.count = 0;
        memset(&conn->tables, 0, sizeof(conn->tables));
        return i;
    }
    return SIM_NONE;
}

/* A ConnectRequest that is in the server's socket is still executed (protocol.md §3.3, 2). */
static inline void sim_abandon(struct sim_conn *conn)
{
    conn->has_proxy = false;
    conn->to_proxy.count = 0;
    if (conn->is_attached || conn->to_server.count == 0)
        sim_close_server(conn);
}

/* --- requests --- */

static inline void sim_reply(struct sim_ensemble *e, struct sim_conn *conn, int32_t xid, int32_t err)
{
    uint8_t body[24];

    zkp_store_i32(body, xid);
    zkp_store_i64(body + 4, sim_zxid(e, conn->server));
    zkp_store_i32(body + 12, err);
    zkp_store_i64(body + 16, e->servers[conn->server].applied);
    if (conn->has_proxy)
        sim_push_bytes(e, &conn->to_proxy, zkp_slice_of(body, sizeof(body)));
}

static inline void sim_answer_connect(struct sim_ensemble *e, struct sim_conn *conn, int32_t timeout_ms)
{
    static const uint8_t password[ZKP_PASSWORD_LEN] = {5, 4, 3};
    static const uint8_t zeros[ZKP_PASSWORD_LEN];
    struct zkp_connect_response response = {
        .timeout_ms = timeout_ms,
        .session_id = timeout_ms > 0 ? SIM_SID : 0,
        .password = zkp_slice_of(timeout_ms > 0 ? password : zeros, ZKP_PASSWORD_LEN),
        .has_read_only = true};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_response_frame(&response, frame, sizeof(frame));

    if (conn->has_proxy)
        sim_push_bytes(e, &conn->to_proxy, zkp_slice_of(frame + 4, length - 4));
    if (timeout_ms == 0)
        sim_close_server(conn);
}

static inline void sim_attach(struct sim_ensemble *e, struct sim_conn *conn, int32_t timeout_ms)
{
    for (int i = 0; i < SIM_CONNS; i++) /* the newer kills the older on one server */
        if (&e->conns[i] != conn && e->conns[i].server == conn->server && e->conns[i].is_attached)
            sim_close_server(&e->conns[i]);
    e->owner = conn->server;
    e->touched_ms = e->now_ms;
    e->timeout_ms = timeout_ms;
    conn->is_attached = true;
    sim_answer_connect(e, conn, timeout_ms);
    if (!conn->has_proxy)
        sim_close_server(conn); /* it finds the socket closed */
}

static inline void sim_connect(struct sim_ensemble *e, struct sim_conn *conn, struct zkp_slice body)
{
    int32_t max_ms = e->servers[conn->server].timeout_max_ms;
    struct zkp_connect_request request;

    ASSERT(zkp_connect_request_decode(body, &request) == RC_OK);
    if (request.last_zxid_seen > sim_zxid(e, conn->server)) {
        sim_close_server(conn);
        return;
    }
    if (request.session_id == 0 && e->owner == SIM_NONE) /* making a session is a transaction */
        (void)sim_commit(e, SIM_NOTHING, 0, 0);
    if (e->is_expired)
        sim_answer_connect(e, conn, 0);
    else
        sim_attach(e, conn, request.timeout_ms < max_ms ? request.timeout_ms : max_ms);
}

static inline int sim_path_of(struct zkp_slice name)
{
    for (int i = 0; i < SIM_PATHS; i++)
        if (zkp_slice_eq(name, zkp_slice_str(sim_names[i])))
            return i;
    return SIM_NONE;
}

struct sim_setting {
    struct sim_ensemble *e;
    struct sim_conn *conn;
    int since;
};

static inline enum rc sim_set_path(void *context, enum zkp_watch_list list, struct zkp_slice name)
{
    struct sim_setting *set = context;
    int place = set->e->servers[set->conn->server].applied;
    int path = sim_path_of(name);
    int32_t type = sim_catch_up(&set->e->servers[set->conn->server].tree, path, list, set->since);

    if (type != 0)
        sim_send_event(set->e, set->conn, (struct sim_fired){type, path}, -1 - place, -1);
    else
        sim_watch(&set->conn->tables, set->e->rule, path, list, place);
    return RC_OK;
}

static inline void sim_set_watches(struct sim_ensemble *e, struct sim_conn *conn, struct zkp_slice rest,
                                   bool is_set_watches2)
{
    struct sim_setting set = {.e = e, .conn = conn};
    int64_t relative_zxid;

    ASSERT(zkp_set_watches_decode(rest, is_set_watches2, &relative_zxid, NULL, NULL) == RC_OK);
    set.since = sim_place(e, relative_zxid);
    ASSERT(zkp_set_watches_decode(rest, is_set_watches2, &relative_zxid, sim_set_path, &set) == RC_OK);
    if (is_set_watches2)
        conn->lasting_set = e->servers[conn->server].applied;
    else
        conn->once_set = e->servers[conn->server].applied;
}

static inline int32_t sim_read(struct sim_ensemble *e, struct sim_conn *conn, int32_t op,
                               struct zkp_slice rest)
{
    const struct sim_server *s = &e->servers[conn->server];
    struct zkp_rd r = zkp_rd_over(rest);
    int path = sim_path_of(zkp_rd_buf(&r));
    enum zkp_watch_list list = op == ZKP_OP_GET_CHILDREN ? ZKP_LIST_CHILD : ZKP_LIST_DATA;
    bool exists = s->tree.nodes[path].exists;

    if (op == ZKP_OP_ADD_WATCH) {
        list = zkp_rd_i32(&r) == 0 ? ZKP_LIST_PERSISTENT : ZKP_LIST_RECURSIVE;
        sim_watch(&conn->tables, e->rule, path, list, s->applied);
        return 0;
    }
    if (op == ZKP_OP_REMOVE_WATCHES)
        return sim_unwatch(&conn->tables, e->rule, path, zkp_rd_i32(&r)) ? 0 : ZKP_ERR_NO_WATCHER;
    if (!exists && op == ZKP_OP_EXISTS)
        list = ZKP_LIST_EXIST;
    if (zkp_rd_bool(&r) && (exists || op == ZKP_OP_EXISTS))
        sim_watch(&conn->tables, e->rule, path, list, s->applied);
    return exists ? 0 : ZKP_ERR_NO_NODE;
}

/* Proposed when it comes first, answered when this server has applied it. False: it waits. */
static inline bool sim_write(struct sim_ensemble *e, struct sim_conn *conn, int32_t op, struct zkp_slice rest,
                             int32_t xid, int32_t *ret_err)
{
    enum sim_change change = op == ZKP_OP_CREATE ? SIM_CREATE : op == ZKP_OP_DELETE ? SIM_DELETE : SIM_SET;
    struct zkp_rd r = zkp_rd_over(rest);

    if (conn->awaited == SIM_NONE) {
        if (op == ZKP_OP_SYNC)
            conn->awaited = e->log_count;
        else {
            (void)sim_commit(e, change, sim_path_of(zkp_rd_buf(&r)), xid);
            conn->awaited = e->log_count;
        }
    }
    if (e->servers[conn->server].applied < conn->awaited)
        return false;
    *ret_err = op != ZKP_OP_SYNC && e->log[conn->awaited - 1].change == SIM_NOTHING ? ZKP_ERR_NO_NODE : 0;
    conn->awaited = SIM_NONE;
    return true;
}

static inline bool sim_is_write(int32_t op)
{
    return op == ZKP_OP_CREATE || op == ZKP_OP_DELETE || op == ZKP_OP_SET_DATA;
}

/* The owner rule of protocol.md §3.2: FIN without a reply. */
static inline bool sim_refuses(struct sim_ensemble *e, struct sim_conn *conn, int32_t op)
{
    if (e->is_expired || e->leader == SIM_NONE)
        return true;
    if (e->owner == conn->server || conn->awaited != SIM_NONE)
        return false;
    if (sim_is_write(op))
        (void)sim_commit(e, SIM_NOTHING, 0, 0); /* SessionMoved consumes a zxid */
    return sim_is_write(op) || conn->server == e->leader;
}

static inline void sim_request(struct sim_ensemble *e, struct sim_conn *conn, struct zkp_slice body)
{
    int32_t xid = zkp_load_i32(body.ptr);
    int32_t op = zkp_load_i32(body.ptr + 4);
    struct zkp_slice rest = zkp_slice_of(body.ptr + 8, body.len - 8);
    uint8_t auth[16] = {0};
    int32_t err = 0;

    if (op == ZKP_OP_AUTH && conn->has_proxy) { /* past the pipeline, and no sign of life */
        zkp_store_i32(auth, xid);
        sim_push_bytes(e, &conn->to_proxy, zkp_slice_of(auth, sizeof(auth)));
    }
    if (op == ZKP_OP_AUTH) {
        sim_pop(&conn->to_server);
        return;
    }
    if (sim_refuses(e, conn, op)) {
        sim_close_server(conn);
        return;
    }
    e->touched_ms = e->now_ms;
    if ((sim_is_write(op) || op == ZKP_OP_SYNC) && !sim_write(e, conn, op, rest, xid, &err))
        return;
    if (op == ZKP_OP_SET_WATCHES || op == ZKP_OP_SET_WATCHES2)
        sim_set_watches(e, conn, rest, op == ZKP_OP_SET_WATCHES2);
    else if (!sim_is_write(op) && op != ZKP_OP_SYNC && op != ZKP_OP_PING)
        err = sim_read(e, conn, op, rest);
    sim_reply(e, conn, xid, err);
    sim_pop(&conn->to_server);
}

static inline bool sim_is_busy(const struct sim_conn *conn)
{
    return conn->to_proxy.count > SIM_QUEUE - 20;
}

/* One request of one connection. */
static inline void sim_serve(struct sim_ensemble *e, struct sim_conn *conn)
{
    const struct sim_server *s = &e->servers[conn->server];
    struct sim_frame *frame = sim_front(&conn->to_server);

    if (!conn->has_server || frame == NULL || !s->is_alive || s->is_hung || sim_is_busy(conn) ||
        e->log_count > SIM_LOG_MAX - 8)
        return;
    if (e->leader == SIM_NONE) {
        sim_close_server(conn);
    } else if (!conn->is_attached) {
        struct zkp_slice body = zkp_slice_of(frame->body, frame->length);
        sim_pop(&conn->to_server);
        sim_connect(e, conn, body);
    } else {
        sim_request(e, conn, zkp_slice_of(frame->body, frame->length));
    }
}

/* --- trouble --- */

static inline void sim_lose_leader(struct sim_ensemble *e)
{
    e->leader = SIM_NONE;
    e->leaderless_ms = e->now_ms;
    for (int i = 0; i < SIM_SERVERS; i++) /* followers drop their clients at once */
        if (e->servers[i].is_alive && !e->servers[i].is_hung)
            sim_close_all(e, i, false);
}

static inline void sim_crash(struct sim_ensemble *e, int server, bool loses_bytes)
{
    e->servers[server].is_alive = false;
    e->servers[server].is_hung = false;
    sim_close_all(e, server, loses_bytes);
    if (e->leader == server)
        sim_lose_leader(e);
}

static inline void sim_hang(struct sim_ensemble *e, int server)
{
    e->servers[server].is_hung = true;
    e->servers[server].hung_epoch = e->epoch;
    if (e->leader == server)
        sim_lose_leader(e);
}

/* It finds a new leader, or none, and drops its clients. */
static inline void sim_wake(struct sim_ensemble *e, int server)
{
    e->servers[server].is_hung = false;
    if (e->servers[server].hung_epoch != e->epoch || e->leader == SIM_NONE)
        sim_close_all(e, server, false);
}

/* It serves when it has caught up. */
static inline void sim_restart(struct sim_ensemble *e, int server)
{
    e->servers[server].is_alive = true;
    while (e->servers[server].applied < e->log_count)
        sim_apply(e, server);
}

static inline bool sim_may_elect(const struct sim_ensemble *e)
{
    int ready = 0;

    for (int i = 0; i < SIM_SERVERS; i++)
        ready += e->servers[i].is_alive && !e->servers[i].is_hung;
    return e->leader == SIM_NONE && ready >= 2;
}

/* All that was committed survives; everyone gets a full fresh timeout. */
static inline void sim_elect(struct sim_ensemble *e, int server)
{
    for (int i = 0; i < SIM_SERVERS; i++)
        while (e->servers[i].is_alive && !e->servers[i].is_hung && e->servers[i].applied < e->log_count)
            sim_apply(e, i);
    e->epoch++;
    e->leader = server;
    e->leaderless_ms = e->touched_ms = e->now_ms;
}

static inline void sim_begin(struct sim_ensemble *e, enum px_watch_rule rule)
{
    e->rule = rule;
    e->now_ms = 1000;
    e->epoch = 1;
    e->leader = 0;
    e->leaderless_ms = 0;
    e->log_count = 0;
    e->owner = SIM_NONE;
    e->is_expired = false;
    e->touched_ms = e->now_ms;
    e->timeout_ms = 0;
    for (int i = 0; i < SIM_SERVERS; i++)
        e->servers[i] = (struct sim_server){.is_alive = true, .timeout_max_ms = 60000};
    for (int i = 0; i < SIM_CONNS; i++) {
        e->conns[i].has_proxy = e->conns[i].has_server = e->conns[i].is_attached = false;
        e->conns[i].to_server.count = e->conns[i].to_proxy.count = 0;
    }
}

#endif
