/* The client of a simulated ensemble (sim_ensemble.h) and what it may rely on (protocol.md §4.1): replies in
 * order, nothing unsolicited, zxids and state never backwards, every event before the reply that shows the
 * change, each event that is due and no other. What is due is computed from the ensemble's log by watch
 * tables of its own, as if one server had served it all the time. Header only.
 *
 * After a crash of its server ZooKeeper's own contract is less: one-shot watches are caught up with by
 * SetWatches, events of lasting ones may not be missing but may come twice. */
#ifndef TESTS_UNIT_SIM_CLIENT_H
#define TESTS_UNIT_SIM_CLIENT_H

#include <stdio.h>

#include "tests/unit/sim_ensemble.h"

#define SIM_PENDING_MAX 32
#define SIM_DUE_MAX     256

struct sim_pending {
    int32_t xid;
    int32_t op;
    int path;
    int32_t value; /* watch flag, mode, or type */
};

struct sim_due {
    int place;
    struct sim_fired fired;
};

struct sim_client {
    struct sim_ensemble *e;
    bool is_open;
    int32_t timeout_ms;
    int32_t next_xid;
    int64_t heard_ms;
    int64_t said_ms;
    int64_t last_zxid;
    int pings; /* unanswered */
    int auths;
    int pending_count;
    struct sim_pending pending[SIM_PENDING_MAX];
    struct sim_tables armed;   /* by what was delivered */
    struct sim_tables perfect; /* by the log, up to `seen` */
    int seen;                  /* the client has evidence of the log up to here */
    int twice;                 /* events of lasting watches up to here may come again */
    int twice_caught_up;       /* the same as catch-up events of one-shot watches beside them */
    int due_count;
    struct sim_due due[SIM_DUE_MAX];
    int catch_up_count;
    struct sim_fired catch_ups[2 * SIM_PATHS];
    uint64_t events;
    uint64_t repeated;
    uint64_t replies;
    uint64_t transcript; /* hash of all that was heard */
    char fault[160];     /* the first broken promise; empty = none */
};

#define SIM_FAULT(client, ...)                                                                               \
    ((client)->fault[0] == '\0' ? (void)snprintf((client)->fault, sizeof((client)->fault), __VA_ARGS__)      \
                                : (void)0)

static inline void sim_client_begin(struct sim_client *c, struct sim_ensemble *e, int32_t timeout_ms)
{
    memset(c, 0, sizeof(*c));
    c->e = e;
    c->is_open = true;
    c->timeout_ms = timeout_ms;
    c->heard_ms = c->said_ms = e->now_ms;
}

/* --- what is due --- */

static inline void sim_add_due(struct sim_client *c, int place, struct sim_fired fired)
{
    if (c->due_count == SIM_DUE_MAX) {
        SIM_FAULT(c, "%d events are due", c->due_count);
        return;
    }
    c->due[c->due_count++] = (struct sim_due){place, fired};
}

static inline void sim_advance(struct sim_client *c, int place)
{
    for (; c->seen < place; c->seen++) {
        struct sim_fired fired[2];
        int count = sim_fire(&c->perfect, &c->e->log[c->seen], fired);
        for (int i = 0; i < count; i++)
            sim_add_due(c, c->seen + 1, fired[i]);
    }
}

static inline bool sim_is_same(struct sim_fired a, struct sim_fired b)
{
    return a.type == b.type && a.path == b.path;
}

/* One-shot watches that a delivered event has used up. */
static inline void sim_use_up(struct sim_tables *tables, struct sim_fired fired)
{
    if (fired.type != ZKP_EVENT_CHILDREN_CHANGED)
        tables->bits[SIM_DATA][fired.path] &= (uint8_t)~SIM_ONCE;
    if (fired.type == ZKP_EVENT_CHILDREN_CHANGED || fired.type == ZKP_EVENT_DELETED)
        tables->bits[SIM_CHILD][fired.path] &= (uint8_t)~SIM_ONCE;
}

static inline bool sim_is_lasting(const struct sim_client *c, struct sim_fired fired)
{
    uint8_t own = c->armed.bits[SIM_DATA][fired.path] | c->armed.bits[SIM_CHILD][fired.path];

    if ((own & SIM_LASTS) != 0)
        return true;
    for (int at = fired.path; at != SIM_NONE; at = sim_parents[at])
        if (((c->armed.bits[SIM_DATA][at] | c->armed.bits[SIM_CHILD][at]) & SIM_BELOW) != 0)
            return true;
    return false;
}

/* --- what comes --- */

static inline void sim_hear(struct sim_client *c, uint64_t what)
{
    c->transcript = (c->transcript ^ what) * 0x100000001b3u + 0x9e3779b97f4a7c15u;
}

static inline void sim_on_catch_up(struct sim_client *c, struct sim_fired fired, int place)
{
    for (int i = 0; i < c->catch_up_count; i++)
        if (sim_is_same(c->catch_ups[i], fired)) {
            c->catch_ups[i] = c->catch_ups[--c->catch_up_count];
            sim_use_up(&c->armed, fired);
            c->transcript += (uint64_t)(fired.type * 64 + fired.path) << 32; /* in any order */
            return;
        }
    c->repeated++;
    if (place > c->twice_caught_up || !sim_is_lasting(c, fired))
        SIM_FAULT(c, "catch-up event %d of %s was not due", fired.type, sim_names[fired.path]);
}

static inline void sim_on_event(struct sim_client *c, struct sim_fired fired, int place)
{
    if (place < 0) {
        sim_on_catch_up(c, fired, -1 - place);
        return;
    }
    sim_advance(c, place);
    sim_hear(c, (uint64_t)(fired.type * 64 + fired.path + place * 4096));
    if (c->due_count > 0 && c->due[0].place == place && sim_is_same(c->due[0].fired, fired)) {
        memmove(c->due, c->due + 1, (size_t)--c->due_count * sizeof(c->due[0]));
        sim_use_up(&c->armed, fired);
        return;
    }
    c->repeated++;
    if (place > c->twice || !sim_is_lasting(c, fired))
        SIM_FAULT(c, "event %d of %s at %d: due are %d, the first is %d of %s at %d; twice up to %d",
                  fired.type, sim_names[fired.path], place, c->due_count, c->due[0].fired.type,
                  sim_names[c->due[0].fired.path], c->due[0].place, c->twice);
}

static inline void sim_register(struct sim_client *c, const struct sim_pending *p, int32_t err, int place)
{
    enum zkp_watch_list list = ZKP_LIST_DATA;

    if (p->op == ZKP_OP_REMOVE_WATCHES && err == 0) {
        (void)sim_unwatch(&c->armed, c->e->rule, p->path, p->value);
        (void)sim_unwatch(&c->perfect, c->e->rule, p->path, p->value);
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
    sim_watch(&c->armed, c->e->rule, p->path, list, place);
    sim_watch(&c->perfect, c->e->rule, p->path, list, place);
}

/* Whoever sees the log up to here has had every event up to here. */
static inline void sim_on_place(struct sim_client *c, int place)
{
    if (place < c->seen)
        SIM_FAULT(c, "a reply of the state at %d after evidence of %d", place, c->seen);
    sim_advance(c, place);
    if (c->due_count > 0)
        SIM_FAULT(c, "event %d of %s at %d was not given before the reply at %d", c->due[0].fired.type,
                  sim_names[c->due[0].fired.path], c->due[0].place, place);
    if (c->catch_up_count > 0)
        SIM_FAULT(c, "catch-up event %d of %s was not given", c->catch_ups[0].type,
                  sim_names[c->catch_ups[0].path]);
}

static inline void sim_on_reply(struct sim_client *c, int32_t xid, int32_t err, int place)
{
    struct sim_pending p = c->pending[0];

    if (c->pending_count == 0 || p.xid != xid) {
        SIM_FAULT(c, "reply to %d, expected %d of %d", xid, p.xid, c->pending_count);
        return;
    }
    memmove(c->pending, c->pending + 1, (size_t)--c->pending_count * sizeof(c->pending[0]));
    if (place < 0)
        SIM_FAULT(c, "the proxy answered request %d itself", xid);
    else
        sim_register(c, &p, err, place);
    c->replies++;
}

/* A frame's body. */
static inline void sim_client_hears(struct sim_client *c, struct zkp_slice body)
{
    struct zkp_reply_header header;
    int place = SIM_NONE;

    ASSERT(zkp_reply_header_decode(body, &header) == RC_OK);
    c->heard_ms = c->e->now_ms;
    if (header.zxid > 0 && header.zxid < c->last_zxid)
        SIM_FAULT(c, "zxid went back to %llx", (unsigned long long)header.zxid);
    if (header.zxid > c->last_zxid)
        c->last_zxid = header.zxid;
    if (header.xid == ZKP_XID_EVENT) {
        struct zkp_watcher_event event;
        ASSERT(zkp_watcher_event_decode(zkp_slice_of(body.ptr + 16, body.len - 16), &event) == RC_OK);
        c->events++;
        sim_on_event(c, (struct sim_fired){event.type, sim_path_of(event.path)}, event.state);
        return;
    }
    if (body.len == 24) {
        place = (int)zkp_load_i64(body.ptr + 16);
        sim_on_place(c, place);
    }
    sim_hear(c, (uint64_t)(uint32_t)header.xid << 32 ^ (uint64_t)header.zxid ^ (uint32_t)header.err);
    if (header.xid == ZKP_XID_PING && --c->pings < 0)
        SIM_FAULT(c, "a ping was answered twice");
    else if (header.xid == ZKP_XID_AUTH && --c->auths < 0)
        SIM_FAULT(c, "an auth was answered twice");
    else if (header.xid != ZKP_XID_PING && header.xid != ZKP_XID_AUTH)
        sim_on_reply(c, header.xid, header.err, place);
}

/* --- another server --- */

static inline void sim_expect_catch_up(struct sim_client *c, struct sim_fired fired)
{
    for (int i = 0; i < c->catch_up_count; i++)
        if (sim_is_same(c->catch_ups[i], fired))
            return;
    c->catch_ups[c->catch_up_count++] = fired;
}

static inline void sim_tree_at(const struct sim_ensemble *e, int place, struct sim_tree *ret_tree)
{
    memset(ret_tree, 0, sizeof(*ret_tree));
    for (int i = 0; i < place; i++)
        sim_grow(ret_tree, &e->log[i], i + 1);
}

static inline void sim_expect_path(struct sim_client *c, const struct sim_conn *conn, int path)
{
    struct sim_tree tree;
    int32_t type = 0;

    sim_tree_at(c->e, conn->once_set, &tree);
    if ((c->armed.bits[SIM_DATA][path] & SIM_ONCE) != 0)
        type = sim_catch_up(&tree, path, c->armed.was_missing[path] ? ZKP_LIST_EXIST : ZKP_LIST_DATA,
                            c->armed.since[SIM_DATA][path]);
    if (type != 0)
        sim_expect_catch_up(c, (struct sim_fired){type, path});
    type = 0;
    if ((c->armed.bits[SIM_CHILD][path] & SIM_ONCE) != 0)
        type = sim_catch_up(&tree, path, ZKP_LIST_CHILD, c->armed.since[SIM_CHILD][path]);
    if (type != 0)
        sim_expect_catch_up(c, (struct sim_fired){type, path});
}

static inline bool sim_has(const struct sim_tables *tables, uint8_t bits)
{
    for (int path = 0; path < SIM_PATHS; path++)
        if (((tables->bits[SIM_DATA][path] | tables->bits[SIM_CHILD][path]) & bits) != 0)
            return true;
    return false;
}

/* Nothing of a lasting watch fell between the old server's last event and the new server's registration. */
static inline void sim_check_lasting(struct sim_client *c, const struct sim_conn *conn)
{
    struct sim_tables tables = c->armed;

    if (conn->lasting_set == SIM_NONE)
        SIM_FAULT(c, "lasting watches were not set again");
    for (int path = 0; path < SIM_PATHS; path++) {
        tables.bits[SIM_DATA][path] &= (uint8_t)~SIM_ONCE;
        tables.bits[SIM_CHILD][path] &= (uint8_t)~SIM_ONCE;
    }
    for (int place = c->seen; place < conn->lasting_set; place++) {
        struct sim_fired fired[2];
        if (sim_fire(&tables, &c->e->log[place], fired) > 0)
            SIM_FAULT(c, "event %d of %s at %d is lost", fired[0].type, sim_names[fired[0].path], place + 1);
    }
}

/* It is served by another connection, and the old one's events ended before they were drained. */
static inline void sim_client_caught_up(struct sim_client *c, const struct sim_conn *conn)
{
    bool has_once = sim_has(&c->armed, SIM_ONCE);

    if (c->due_count > 0)
        SIM_FAULT(c, "%d events are due at a loss", c->due_count);
    if (has_once && conn->once_set == SIM_NONE)
        SIM_FAULT(c, "one-shot watches were not set again");
    if (sim_has(&c->armed, SIM_LASTS | SIM_BELOW))
        sim_check_lasting(c, conn);
    for (int path = 0; path < SIM_PATHS && has_once; path++)
        sim_expect_path(c, conn, path);
    c->perfect = c->armed;
    for (int i = 0; i < c->catch_up_count; i++)
        sim_use_up(&c->perfect, c->catch_ups[i]);
    c->twice = c->twice_caught_up = c->seen;
    if (has_once && conn->once_set > c->seen)
        c->seen = conn->once_set;
}

/* The old connection was drained. Not up to the same place as the new one: then events of lasting watches may
 * come twice. From 3.9 their zxids prevent that, and the cut need not be exact; but an event that SetWatches
 * makes up for a one-shot watch on the same path has none. */
static inline void sim_client_drained(struct sim_client *c, const struct sim_conn *conn, bool is_exact)
{
    if (c->e->rule == PX_WATCH_ALL_MODES)
        c->twice_caught_up = conn->once_set;
    else if (!is_exact) {
        c->twice_caught_up = conn->once_set;
        c->twice = c->seen;
    }
}

#endif
