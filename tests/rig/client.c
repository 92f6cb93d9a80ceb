/* What is due to the client, what comes, and what may come after a change of servers; see client.h. */
#include "tests/rig/client.h"

void rig_client_begin(struct rig_client *c, struct rig_ensemble *e, int32_t timeout_ms)
{
    memset(c, 0, sizeof(*c));
    c->e = e;
    c->is_open = true;
    c->timeout_ms = timeout_ms;
    c->heard_ms = c->said_ms = e->now_ms;
}

static void rig_add_due(struct rig_client *c, int place, struct rig_fired fired)
{
    if (c->due_count == RIG_DUE_MAX) {
        RIG_FAULT(c, "%d events are due", c->due_count);
        return;
    }
    c->due[c->due_count++] = (struct rig_due){place, fired};
}

static void rig_advance(struct rig_client *c, int place)
{
    for (; c->seen < place; c->seen++) {
        struct rig_fired fired[2];
        int count = rig_fire(&c->perfect, &c->e->log[c->seen], fired);
        for (int i = 0; i < count; i++)
            rig_add_due(c, c->seen + 1, fired[i]);
    }
}

static bool rig_is_same(struct rig_fired a, struct rig_fired b)
{
    return a.type == b.type && a.path == b.path;
}

/* One-shot watches that a delivered event has used up. */
static void rig_use_up(struct rig_tables *tables, struct rig_fired fired)
{
    if (fired.type != ZKP_EVENT_CHILDREN_CHANGED)
        tables->bits[RIG_DATA][fired.path] &= (uint8_t)~RIG_ONCE;
    if (fired.type == ZKP_EVENT_CHILDREN_CHANGED || fired.type == ZKP_EVENT_DELETED)
        tables->bits[RIG_CHILD][fired.path] &= (uint8_t)~RIG_ONCE;
}

static bool rig_is_lasting(const struct rig_client *c, struct rig_fired fired)
{
    uint8_t own = c->armed.bits[RIG_DATA][fired.path] | c->armed.bits[RIG_CHILD][fired.path];

    if ((own & RIG_LASTS) != 0)
        return true;
    for (int at = fired.path; at != RIG_NONE; at = rig_parents[at])
        if (((c->armed.bits[RIG_DATA][at] | c->armed.bits[RIG_CHILD][at]) & RIG_BELOW) != 0)
            return true;
    return false;
}

static void rig_hear(struct rig_client *c, uint64_t what)
{
    c->transcript = (c->transcript ^ what) * 0x100000001b3u + 0x9e3779b97f4a7c15u;
}

static void rig_on_catch_up(struct rig_client *c, struct rig_fired fired, int place)
{
    for (int i = 0; i < c->catch_up_count; i++)
        if (rig_is_same(c->catch_ups[i], fired)) {
            c->catch_ups[i] = c->catch_ups[--c->catch_up_count];
            rig_use_up(&c->armed, fired);
            c->transcript += (uint64_t)(fired.type * 64 + fired.path) << 32; /* in any order */
            return;
        }
    c->repeated++;
    if (place > c->twice_caught_up || !rig_is_lasting(c, fired))
        RIG_FAULT(c, "catch-up event %d of %s was not due", fired.type, rig_names[fired.path]);
}

static void rig_on_event(struct rig_client *c, struct rig_fired fired, int place)
{
    if (place < 0) {
        rig_on_catch_up(c, fired, -1 - place);
        return;
    }
    rig_advance(c, place);
    rig_hear(c, (uint64_t)(fired.type * 64 + fired.path + place * 4096));
    if (c->due_count > 0 && c->due[0].place == place && rig_is_same(c->due[0].fired, fired)) {
        memmove(c->due, c->due + 1, (size_t)--c->due_count * sizeof(c->due[0]));
        rig_use_up(&c->armed, fired);
        return;
    }
    c->repeated++;
    if (place > c->twice || !rig_is_lasting(c, fired))
        RIG_FAULT(c, "event %d of %s at %d: due are %d, the first is %d of %s at %d; twice up to %d",
                  fired.type, rig_names[fired.path], place, c->due_count, c->due[0].fired.type,
                  rig_names[c->due[0].fired.path], c->due[0].place, c->twice);
}

static void rig_register(struct rig_client *c, const struct rig_pending *p, int32_t err, int place)
{
    enum zkp_watch_list list = ZKP_LIST_DATA;

    if (p->op == ZKP_OP_REMOVE_WATCHES && err == 0) {
        (void)rig_unwatch(&c->armed, c->e->rule, p->path, p->value);
        (void)rig_unwatch(&c->perfect, c->e->rule, p->path, p->value);
    }
    if (p->op == ZKP_OP_ADD_WATCH)
        list = p->value == 0 ? ZKP_LIST_PERSISTENT : ZKP_LIST_RECURSIVE;
    else if (p->op == ZKP_OP_GET_CHILDREN)
        list = ZKP_LIST_CHILD;
    else if (p->op == ZKP_OP_EXISTS && err != 0)
        list = ZKP_LIST_EXIST;
    else if ((p->op != ZKP_OP_EXISTS && p->op != ZKP_OP_GET_DATA) || err != 0)
        return;
    if ((list == ZKP_LIST_CHILD && err != 0) || (p->op != ZKP_OP_ADD_WATCH && p->value == 0))
        return;
    rig_watch(&c->armed, c->e->rule, p->path, list, place);
    rig_watch(&c->perfect, c->e->rule, p->path, list, place);
}

/* Whoever sees the log up to here has had every event up to here. */
static void rig_on_place(struct rig_client *c, int place)
{
    if (place < c->seen)
        RIG_FAULT(c, "a reply of the state at %d after evidence of %d", place, c->seen);
    rig_advance(c, place);
    if (c->due_count > 0)
        RIG_FAULT(c, "event %d of %s at %d was not given before the reply at %d", c->due[0].fired.type,
                  rig_names[c->due[0].fired.path], c->due[0].place, place);
    if (c->catch_up_count > 0)
        RIG_FAULT(c, "catch-up event %d of %s was not given", c->catch_ups[0].type,
                  rig_names[c->catch_ups[0].path]);
}

static void rig_on_reply(struct rig_client *c, int32_t xid, int32_t err, int place)
{
    struct rig_pending p = c->pending[0];

    if (c->pending_count == 0 || p.xid != xid) {
        RIG_FAULT(c, "reply to %d, expected %d of %d", xid, p.xid, c->pending_count);
        return;
    }
    memmove(c->pending, c->pending + 1, (size_t)--c->pending_count * sizeof(c->pending[0]));
    if (place < 0)
        RIG_FAULT(c, "the proxy answered request %d itself", xid);
    else
        rig_register(c, &p, err, place);
    c->replies++;
}

void rig_client_hears(struct rig_client *c, struct zkp_slice body)
{
    struct zkp_reply_header header;
    int place = RIG_NONE;

    ASSERT(zkp_reply_header_decode(body, &header) == RC_OK);
    c->heard_ms = c->e->now_ms;
    if (header.zxid > 0 && header.zxid < c->last_zxid)
        RIG_FAULT(c, "zxid went back to %llx", (unsigned long long)header.zxid);
    if (header.zxid > c->last_zxid)
        c->last_zxid = header.zxid;
    if (header.xid == ZKP_XID_EVENT) {
        struct zkp_watcher_event event;
        ASSERT(zkp_watcher_event_decode(zkp_slice_of(body.ptr + 16, body.len - 16), &event) == RC_OK);
        c->events++;
        rig_on_event(c, (struct rig_fired){event.type, rig_path_of(event.path)}, event.state);
        return;
    }
    if (body.len == 24) {
        place = (int)zkp_load_i64(body.ptr + 16);
        rig_on_place(c, place);
    }
    rig_hear(c, (uint64_t)(uint32_t)header.xid << 32 ^ (uint64_t)header.zxid ^ (uint32_t)header.err);
    if (header.xid == ZKP_XID_PING && --c->pings < 0)
        RIG_FAULT(c, "a ping was answered twice");
    else if (header.xid == ZKP_XID_AUTH && --c->auths < 0)
        RIG_FAULT(c, "an auth was answered twice");
    else if (header.xid != ZKP_XID_PING && header.xid != ZKP_XID_AUTH)
        rig_on_reply(c, header.xid, header.err, place);
}

static void rig_expect_catch_up(struct rig_client *c, struct rig_fired fired)
{
    for (int i = 0; i < c->catch_up_count; i++)
        if (rig_is_same(c->catch_ups[i], fired))
            return;
    c->catch_ups[c->catch_up_count++] = fired;
}

static void rig_tree_at(const struct rig_ensemble *e, int place, struct rig_tree *ret_tree)
{
    memset(ret_tree, 0, sizeof(*ret_tree));
    for (int i = 0; i < place; i++)
        rig_grow(ret_tree, &e->log[i], i + 1);
}

static void rig_expect_path(struct rig_client *c, const struct rig_conn *conn, int path)
{
    struct rig_tree tree;
    int32_t type = 0;

    rig_tree_at(c->e, conn->once_set, &tree);
    if ((c->armed.bits[RIG_DATA][path] & RIG_ONCE) != 0)
        type = rig_catch_up(&tree, path, c->armed.was_missing[path] ? ZKP_LIST_EXIST : ZKP_LIST_DATA,
                            c->armed.since[RIG_DATA][path]);
    if (type != 0)
        rig_expect_catch_up(c, (struct rig_fired){type, path});
    type = 0;
    if ((c->armed.bits[RIG_CHILD][path] & RIG_ONCE) != 0)
        type = rig_catch_up(&tree, path, ZKP_LIST_CHILD, c->armed.since[RIG_CHILD][path]);
    if (type != 0)
        rig_expect_catch_up(c, (struct rig_fired){type, path});
}

bool rig_has(const struct rig_tables *tables, uint8_t bits)
{
    for (int path = 0; path < RIG_PATHS; path++)
        if (((tables->bits[RIG_DATA][path] | tables->bits[RIG_CHILD][path]) & bits) != 0)
            return true;
    return false;
}

/* Nothing of a lasting watch fell between the old server's last event and the new server's registration. */
static void rig_check_lasting(struct rig_client *c, const struct rig_conn *conn)
{
    struct rig_tables tables = c->armed;

    if (conn->lasting_set == RIG_NONE)
        RIG_FAULT(c, "lasting watches were not set again");
    for (int path = 0; path < RIG_PATHS; path++) {
        tables.bits[RIG_DATA][path] &= (uint8_t)~RIG_ONCE;
        tables.bits[RIG_CHILD][path] &= (uint8_t)~RIG_ONCE;
    }
    for (int place = c->seen; place < conn->lasting_set; place++) {
        struct rig_fired fired[2];
        if (rig_fire(&tables, &c->e->log[place], fired) > 0)
            RIG_FAULT(c, "event %d of %s at %d is lost", fired[0].type, rig_names[fired[0].path], place + 1);
    }
}

void rig_client_caught_up(struct rig_client *c, const struct rig_conn *conn)
{
    bool has_once = rig_has(&c->armed, RIG_ONCE);

    if (c->due_count > 0)
        RIG_FAULT(c, "%d events are due at a loss", c->due_count);
    if (has_once && conn->once_set == RIG_NONE)
        RIG_FAULT(c, "one-shot watches were not set again");
    if (rig_has(&c->armed, RIG_LASTS | RIG_BELOW))
        rig_check_lasting(c, conn);
    for (int path = 0; path < RIG_PATHS && has_once; path++)
        rig_expect_path(c, conn, path);
    c->perfect = c->armed;
    for (int i = 0; i < c->catch_up_count; i++)
        rig_use_up(&c->perfect, c->catch_ups[i]);
    c->twice = c->twice_caught_up = c->seen;
    if (has_once && conn->once_set > c->seen)
        c->seen = conn->once_set;
}

void rig_client_drained(struct rig_client *c, const struct rig_conn *conn, bool is_exact)
{
    if (c->e->rule == PX_WATCH_ALL_MODES)
        c->twice_caught_up = conn->once_set;
    else if (!is_exact) {
        c->twice_caught_up = conn->once_set;
        c->twice = c->seen;
    }
}
