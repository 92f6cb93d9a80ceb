/* The log of transactions and the queues of frames: what a server has applied, and what that fires. */
#include "tests/rig/ensemble.h"

static struct rig_frame *rig_push(struct rig_ensemble *e, struct rig_queue *queue, uint32_t length)
{
    struct rig_frame *frame = &queue->ring[(queue->head + queue->count) % RIG_QUEUE];

    ASSERT(queue->count < RIG_QUEUE && length <= RIG_FRAME_MAX);
    queue->count++;
    frame->length = length;
    frame->at_ms = e->now_ms;
    frame->asked_ms = 0;
    frame->has_more = false;
    return frame;
}

struct rig_frame *rig_push_bytes(struct rig_ensemble *e, struct rig_queue *queue, struct zkp_slice body)
{
    struct rig_frame *frame = rig_push(e, queue, body.len);

    if (body.len > 0)
        memcpy(frame->body, body.ptr, body.len);
    return frame;
}

struct rig_frame *rig_front(struct rig_queue *queue)
{
    return queue->count == 0 ? NULL : &queue->ring[queue->head];
}

void rig_pop(struct rig_queue *queue)
{
    ASSERT(queue->count > 0);
    queue->head = (queue->head + 1) % RIG_QUEUE;
    queue->count--;
}

void rig_grow(struct rig_tree *tree, const struct rig_txn *txn, int place)
{
    struct rig_node *node = &tree->nodes[txn->path];

    if (txn->change == RIG_NOTHING)
        return;
    node->exists = txn->change != RIG_DELETE;
    node->changed = place;
    if (txn->change == RIG_CREATE)
        node->touched = node->made = place;
    if (txn->change == RIG_SET)
        return;
    if (rig_parents[txn->path] != RIG_NONE)
        tree->nodes[rig_parents[txn->path]].touched = place;
    else
        tree->root_touched = place;
}

int64_t rig_zxid(const struct rig_ensemble *e, int server)
{
    int applied = e->servers[server].applied;
    int64_t zxid = applied == 0 ? 0 : e->log[applied - 1].zxid;

    return server == e->leader && zxid < e->epoch << 32 ? e->epoch << 32 : zxid;
}

int rig_place(const struct rig_ensemble *e, int64_t zxid)
{
    int place = e->log_count;

    while (place > 0 && e->log[place - 1].zxid > zxid)
        place--;
    return place;
}

void rig_send_event(struct rig_ensemble *e, struct rig_conn *conn, struct rig_fired fired, int32_t place,
                    int64_t zxid)
{
    struct zkp_watcher_event event = {
        .type = fired.type, .state = place, .path = zkp_slice_str(rig_names[fired.path])};
    uint8_t bytes[RIG_FRAME_MAX];
    uint32_t length = zkp_watcher_event_frame(zxid, &event, bytes, sizeof(bytes));

    if (conn->has_proxy)
        rig_push_bytes(e, &conn->to_proxy, zkp_slice_of(bytes + 4, length - 4));
}

static void rig_fire_to(struct rig_ensemble *e, struct rig_conn *conn, int place)
{
    const struct rig_txn *txn = &e->log[place - 1];
    int64_t zxid = e->rule == PX_WATCH_ALL_MODES ? txn->zxid : -1;
    struct rig_fired fired[2];
    int count = rig_fire(&conn->tables, txn, fired);

    for (int i = 0; i < count; i++)
        rig_send_event(e, conn, fired[i], place, zxid);
    if (count == 2 && conn->has_proxy)
        conn->to_proxy.ring[(conn->to_proxy.head + conn->to_proxy.count - 2) % RIG_QUEUE].has_more = true;
}

void rig_apply(struct rig_ensemble *e, int server)
{
    struct rig_server *s = &e->servers[server];
    int place = s->applied + 1;

    ASSERT(place <= e->log_count);
    s->applied = place;
    rig_grow(&s->tree, &e->log[place - 1], place);
    for (int i = 0; i < RIG_CONNS; i++)
        if (e->conns[i].has_server && e->conns[i].is_attached && e->conns[i].server == server)
            rig_fire_to(e, &e->conns[i], place);
}

static bool rig_is_possible(const struct rig_tree *tree, enum rig_change change, int path)
{
    bool exists = tree->nodes[path].exists;

    if (change != RIG_CREATE && !exists)
        return false;
    if (change == RIG_CREATE)
        return !exists && (rig_parents[path] == RIG_NONE || tree->nodes[rig_parents[path]].exists);
    for (int i = 0; change == RIG_DELETE && i < RIG_PATHS; i++)
        if (rig_parents[i] == path && tree->nodes[i].exists)
            return false;
    return true;
}

bool rig_commit(struct rig_ensemble *e, enum rig_change change, int path, int32_t xid)
{
    int64_t last = rig_zxid(e, e->leader);
    bool is_possible = rig_is_possible(&e->servers[e->leader].tree, change, path);

    ASSERT(e->log_count < RIG_LOG_MAX);
    e->log[e->log_count++] = (struct rig_txn){
        .zxid = last + 1, .change = is_possible ? change : RIG_NOTHING, .path = path, .xid = xid};
    rig_apply(e, e->leader);
    return is_possible;
}
