/* The proxy's shell of one session between a simulated client and ensemble: carries out the core's actions as
 * proxy/net/link*.c does, and lets a sequence of choices decide what happens next: requests, other clients'
 * transactions, deliveries, moves, holds, time, crashes. The same choices give the same run. Header only; for
 * the property test and the fuzz target of moves. */
#ifndef TESTS_UNIT_SIM_MACHINE_H
#define TESTS_UNIT_SIM_MACHINE_H

#include "proxy/session/export.h"
#include "proxy/session/session.h"
#include "tests/unit/sim_client.h"

#define SIM_TIMEOUT_MS 6000
#define SIM_STEP_MS    20
/* No frame of a server that runs is under way for longer: what a client believes because a frame came late is
 * not the proxy's doing. */
#define SIM_DELAY_MS 400
#define SIM_JOIN_MS  1000
/* A server that does not get on for so long is given up like one that has ended. */
#define SIM_STUCK_MS 1000

struct sim_options {
    enum px_watch_rule rule;
    bool has_trouble;  /* crashes, hangs, elections */
    bool has_lasting;  /* persistent and recursive watches */
    bool has_short;    /* a server that grants less time */
    bool has_deaf_old; /* the old server's end may come while it moves, without a crash of anything else */
    bool exports;      /* the session is written out and read in again now and then */
};

struct sim_machine {
    struct sim_options options;
    struct sim_ensemble e;
    struct sim_client client;
    struct px_watch_space spaces[2];
    int space; /* the one in use */
    struct px_session *session;
    struct px_actions actions;
    struct sim_queue requests; /* of the client, not yet stepped */
    uint32_t scanned;          /* … of which these are not pings to be answered here */
    bool is_paused;
    int server; /* connections; SIM_NONE */
    int next;
    int home; /* server id the session is attached to */
    bool wants_route;
    bool is_dialling; /* ROUTED, not yet DIALLED */
    int64_t dialled_ms;
    int64_t sought_ms; /* the move or re-attach began */
    uint32_t tried;
    bool may_go_home;
    bool was_heard;
    int64_t awaited_zxid;
    int64_t hold_until_ms;
    bool had_trouble;   /* since it began */
    bool is_inexact;    /* this move's old server leads, or was asked too often */
    uint32_t old_pings; /* of this move */
    int64_t silent_ms;  /* since when the server owes an answer to a ping; 0 = it does not */
    bool is_closed;
    enum px_close_reason reason;
    uint64_t outcomes[8];
    uint64_t exported;
    uint64_t export_bits;
    FILE *trace; /* NULL = none */
    uint32_t (*choose)(void *context, uint32_t below);
    void *context;
};

static inline uint32_t sim_pick(struct sim_machine *m, uint32_t below)
{
    return m->choose(m->context, below);
}

static inline struct sim_conn *sim_conn_of(struct sim_machine *m, int index)
{
    return index == SIM_NONE ? NULL : &m->e.conns[index];
}

/* --- actions --- */

static inline void sim_to_server(struct sim_machine *m, int index, struct zkp_slice frames)
{
    struct sim_conn *conn = sim_conn_of(m, index);

    while (frames.len > 0 && conn != NULL && conn->has_server) {
        uint32_t length = (uint32_t)zkp_load_i32(frames.ptr);
        sim_push_bytes(&m->e, &conn->to_server, zkp_slice_of(frames.ptr + 4, length));
        frames = zkp_slice_of(frames.ptr + 4 + length, frames.len - 4 - length);
    }
}

static inline void sim_to_client(struct sim_machine *m, struct zkp_slice frames)
{
    while (frames.len > 0) {
        uint32_t length = (uint32_t)zkp_load_i32(frames.ptr);
        struct zkp_slice body = zkp_slice_of(frames.ptr + 4, length);
        if (px_session_last_zxid(m->session) > 0 || length != 37) /* no ConnectResponse */
            sim_client_hears(&m->client, body);
        frames = zkp_slice_of(frames.ptr + 4 + length, frames.len - 4 - length);
    }
}

static inline void sim_hang_up(struct sim_machine *m, int *ref_index)
{
    struct sim_conn *conn = sim_conn_of(m, *ref_index);

    if (conn == NULL)
        return;
    if (!conn->is_attached && conn->to_server.count > 0)
        m->had_trouble = true; /* what is still in the socket is executed some time */
    sim_abandon(conn);
    *ref_index = SIM_NONE;
}

static inline void sim_adopt(struct sim_machine *m)
{
    bool is_first = m->home == SIM_NONE;
    struct sim_conn *old = sim_conn_of(m, m->server);

    if (!is_first && old == NULL)
        sim_client_caught_up(&m->client, sim_conn_of(m, m->next));
    else if (!is_first)
        sim_client_drained(&m->client, sim_conn_of(m, m->next), !m->is_inexact);
    if (old != NULL)
        sim_hang_up(m, &m->server);
    m->server = m->next;
    m->home = sim_conn_of(m, m->server)->server;
    m->next = SIM_NONE;
    m->awaited_zxid = m->silent_ms = 0;
    m->is_inexact = false;
    m->old_pings = 0;
}

static inline bool sim_has_write(const struct sim_machine *m)
{
    for (int i = 0; i < m->client.pending_count; i++)
        if (sim_is_write(m->client.pending[i].op))
            return true;
    return false;
}

/* A client is closed for one of these reasons only. */
static inline void sim_on_close(struct sim_machine *m, enum px_close_reason reason)
{
    bool is_late = m->e.now_ms - m->e.touched_ms >= m->e.timeout_ms / 2;
    bool is_due = m->had_trouble || is_late;

    m->is_closed = true;
    m->reason = reason;
    if (reason == PX_CLOSE_UNKNOWN_OUTCOME)
        is_due = is_due && sim_has_write(m);
    else if (reason == PX_CLOSE_EVENTS_UNKNOWN)
        is_due = (is_due || m->e.now_ms - m->sought_ms >= SIM_STUCK_MS) &&
                 sim_has(&m->client.armed, SIM_LASTS | SIM_BELOW);
    else if (reason == PX_CLOSE_EXPIRED)
        is_due = m->e.is_expired;
    else if (reason != PX_CLOSE_SERVER_GONE)
        is_due = reason == PX_CLOSE_CLIENT_GONE;
    if (!is_due)
        SIM_FAULT(&m->client, "closed for no good reason: %s", px_close_reason_name(reason));
    m->client.is_open = false;
}

static inline struct zkp_slice sim_sent(const struct sim_machine *m, const struct px_action *action)
{
    return zkp_slice_of(m->actions.bytes + action->send.offset, action->send.length);
}

static inline void sim_act(struct sim_machine *m, const struct px_event *event,
                           const struct px_action *action)
{
    uint8_t frame[4 + SIM_FRAME_MAX];

    switch (action->kind) {
    case PX_ACTION_FORWARD:
        zkp_store_i32(frame, (int32_t)event->length);
        memcpy(frame + 4, event->body.ptr, event->body.len);
        if (event->kind == PX_EVENT_CLIENT_FRAME)
            sim_to_server(m, m->server, zkp_slice_of(frame, 4 + event->length));
        else
            sim_to_client(m, zkp_slice_of(frame, 4 + event->length));
        break;
    case PX_ACTION_SEND_CLIENT:
        sim_to_client(m, sim_sent(m, action));
        break;
    case PX_ACTION_SEND_SERVER:
        sim_to_server(m, m->server, sim_sent(m, action));
        m->old_pings++;
        m->is_inexact = m->is_inexact || m->old_pings >= 15 || m->e.leader == m->home;
        break;
    case PX_ACTION_SEND_NEXT:
        sim_to_server(m, m->next, sim_sent(m, action));
        break;
    case PX_ACTION_PUT_CLIENT:
        sim_to_client(m, action->slice);
        break;
    case PX_ACTION_PUT_SERVER:
        sim_to_server(m, m->server, action->slice);
        break;
    case PX_ACTION_PUT_NEXT:
        sim_to_server(m, m->next, action->slice);
        break;
    case PX_ACTION_PAUSE_CLIENT:
    case PX_ACTION_RESUME_CLIENT:
        m->is_paused = action->kind == PX_ACTION_PAUSE_CLIENT;
        m->scanned = 0;
        break;
    case PX_ACTION_ROUTE:
        m->wants_route = true;
        break;
    case PX_ACTION_DROP_NEXT:
        sim_hang_up(m, &m->next);
        break;
    case PX_ACTION_ADOPT:
        sim_adopt(m);
        break;
    case PX_ACTION_DROP_SERVER:
        sim_hang_up(m, &m->server);
        break;
    case PX_ACTION_AWAIT_APPLIED:
        m->awaited_zxid = action->zxid;
        break;
    case PX_ACTION_CLOSE:
        sim_on_close(m, action->reason);
        break;
    case PX_ACTION_DROP:
    case PX_ACTION_CLAIM:
    case PX_ACTION_CLOSE_CLIENT:
    case PX_ACTION_HIDE_MULTI:
        break;
    }
}

/* --- events --- */

static inline struct px_event sim_event(const struct sim_machine *m, enum px_event_kind kind)
{
    return (struct px_event){.kind = kind,
                             .now_ms = m->e.now_ms,
                             .now_us = (uint32_t)m->e.now_ms * 1000,
                             .watch_rule = m->e.rule,
                             .nobody_expires_ms = m->e.leaderless_ms,
                             .old_leads = m->home != SIM_NONE && m->home == m->e.leader};
}

/* One line per step: time, event and its frame's first words, state before and after, actions by number. */
static inline void sim_trace(const struct sim_machine *m, const struct px_event *event,
                             enum px_session_state before)
{
    if (m->trace == NULL || m->client.fault[0] != '\0')
        return;
    fprintf(m->trace, "%lld %s", (long long)m->e.now_ms, px_event_name(event->kind));
    if (event->body.len >= 16)
        fprintf(m->trace, " [xid %d zxid %llx/%d err %d]", zkp_load_i32(event->body.ptr),
                (unsigned long long)zkp_load_i64(event->body.ptr + 4), zkp_load_i32(event->body.ptr + 4),
                zkp_load_i32(event->body.ptr + 12));
    if (event->body.len >= 28 && zkp_load_i32(event->body.ptr) == ZKP_XID_EVENT)
        fprintf(m->trace, " type %d at %d %.*s", zkp_load_i32(event->body.ptr + 16),
                zkp_load_i32(event->body.ptr + 20), (int)event->body.len - 28, event->body.ptr + 28);
    fprintf(m->trace, " log %d leader %d: %s -> %s:", m->e.log_count, m->e.leader,
            px_session_state_name(before), px_session_state_name(px_session_state(m->session)));
    for (uint32_t i = 0; i < m->actions.count; i++)
        fprintf(m->trace, " %d", m->actions.list[i].kind);
    fprintf(m->trace, "\n");
}

static inline void sim_step_once(struct sim_machine *m, const struct px_event *event)
{
    enum px_session_state before = px_session_state(m->session);

    px_session_step(m->session, event, &m->actions);
    sim_trace(m, event, before);
    m->outcomes[m->actions.outcome]++;
    for (uint32_t i = 0; i < m->actions.count && !m->is_closed; i++)
        sim_act(m, event, &m->actions.list[i]);
    if (before != PX_SESSION_SEEKING && px_session_state(m->session) == PX_SESSION_SEEKING &&
        before != PX_SESSION_JOINING && before != PX_SESSION_RESTORING) {
        m->sought_ms = m->e.now_ms;
        m->old_pings = 0;
        m->is_inexact = false;
        m->tried = 1u << m->home; /* another server first */
        m->may_go_home = m->was_heard = false;
    }
}

static inline bool sim_waits_for_quiet(const struct sim_machine *m)
{
    enum px_session_state state = px_session_state(m->session);

    return state == PX_SESSION_RETURNING || state == PX_SESSION_HOLDING || state == PX_SESSION_LEAVING;
}

static inline void sim_step(struct sim_machine *m, struct px_event event)
{
    sim_step_once(m, &event);
    while (m->actions.has_more && !m->is_closed) {
        event.kind = PX_EVENT_CONTINUE;
        sim_step_once(m, &event);
    }
    if (!m->is_closed && sim_waits_for_quiet(m)) {
        event = sim_event(m, PX_EVENT_SETTLE);
        sim_step_once(m, &event);
    }
}

static inline void sim_step_kind(struct sim_machine *m, enum px_event_kind kind)
{
    sim_step(m, sim_event(m, kind));
}

static inline void sim_step_frame(struct sim_machine *m, enum px_event_kind kind, struct sim_queue *queue)
{
    struct sim_frame frame = *sim_front(queue);
    struct px_event event = sim_event(m, kind);

    sim_pop(queue);
    event.length = frame.length;
    event.body = zkp_slice_of(frame.body, frame.length);
    sim_step(m, event);
}

/* --- deliveries --- */

/* Pings among what waits are answered while that is honest. */
static inline void sim_scan_pings(struct sim_machine *m)
{
    while (m->is_paused && !m->is_closed && m->scanned < m->requests.count) {
        uint32_t at = (m->requests.head + m->scanned) % SIM_QUEUE;
        struct sim_frame *frame = &m->requests.ring[at];
        int pings = m->client.pings;
        if (zkp_load_i32(frame->body + 4) == ZKP_OP_PING)
            sim_step_kind(m, PX_EVENT_CLIENT_PING);
        if (zkp_load_i32(frame->body + 4) != ZKP_OP_PING || m->client.pings == pings) {
            m->scanned++;
            continue;
        }
        for (uint32_t i = m->scanned; i + 1 < m->requests.count; i++)
            m->requests.ring[(m->requests.head + i) % SIM_QUEUE] =
                m->requests.ring[(m->requests.head + i + 1) % SIM_QUEUE];
        m->requests.count--;
    }
}

static inline void sim_deliver_request(struct sim_machine *m)
{
    struct sim_conn *conn = sim_conn_of(m, m->server);

    if (m->is_paused)
        sim_scan_pings(m);
    else if (m->requests.count > 0 && (conn == NULL || conn->to_server.count < SIM_QUEUE - 8))
        sim_step_frame(m, PX_EVENT_CLIENT_FRAME, &m->requests);
}

static inline void sim_deliver_server(struct sim_machine *m)
{
    struct sim_conn *conn = sim_conn_of(m, m->server);
    bool has_more = true;

    while (conn != NULL && has_more && conn->to_proxy.count > 0 && m->server != SIM_NONE && !m->is_closed) {
        has_more = sim_front(&conn->to_proxy)->has_more;
        m->silent_ms = 0;
        sim_step_frame(m, PX_EVENT_SERVER_FRAME, &conn->to_proxy);
        if (conn != sim_conn_of(m, m->server))
            return;
    }
    if (conn == NULL || m->is_closed || m->server == SIM_NONE || conn->has_server || conn->to_proxy.count > 0)
        return;
    m->had_trouble = true;
    sim_hang_up(m, &m->server);
    sim_step_kind(m, PX_EVENT_SERVER_GONE);
}

static inline void sim_next_gone(struct sim_machine *m)
{
    sim_hang_up(m, &m->next);
    sim_step_kind(m, PX_EVENT_NEXT_GONE);
}

static inline void sim_dial(struct sim_machine *m)
{
    const struct sim_server *s = &m->e.servers[sim_conn_of(m, m->next)->server];

    m->is_dialling = false;
    if (!s->is_alive || !sim_conn_of(m, m->next)->has_server) {
        sim_next_gone(m);
        return;
    }
    sim_step_kind(m, PX_EVENT_DIALLED);
}

static inline void sim_deliver_next(struct sim_machine *m)
{
    struct sim_conn *conn = sim_conn_of(m, m->next);
    bool has_more = true;

    if (conn == NULL)
        return;
    if (m->is_dialling) {
        sim_dial(m);
        return;
    }
    while (has_more && conn->to_proxy.count > 0 && conn == sim_conn_of(m, m->next) && !m->is_closed) {
        has_more = sim_front(&conn->to_proxy)->has_more;
        m->was_heard = true;
        sim_step_frame(m, PX_EVENT_NEXT_FRAME, &conn->to_proxy);
    }
    /* The rest of a batch that was adopted on the way is read in its new place. */
    if (conn != sim_conn_of(m, m->next) || m->is_closed || conn->to_proxy.count > 0)
        return;
    if (!conn->has_server ||
        (px_session_state(m->session) == PX_SESSION_JOINING && m->e.now_ms - m->dialled_ms > SIM_JOIN_MS))
        sim_next_gone(m);
}

/* --- routing --- */

static inline void sim_unrouted(struct sim_machine *m)
{
    struct px_event event = sim_event(m, PX_EVENT_UNROUTED);

    event.is_hopeless = m->may_go_home && m->tried != 0 && !m->was_heard;
    m->tried = 0;
    m->may_go_home = true;
    m->was_heard = false;
    sim_step(m, event);
}

static inline void sim_route(struct sim_machine *m)
{
    bool is_detached = px_session_is_detached(m->session);
    struct px_event event = sim_event(m, PX_EVENT_ROUTED);
    int server = (int)sim_pick(m, SIM_SERVERS);

    if (!m->wants_route || m->next != SIM_NONE)
        return;
    for (int i = 0; i < SIM_SERVERS; i++, server = (server + 1) % SIM_SERVERS)
        if ((m->tried & 1u << server) == 0 && (server != m->home || (m->may_go_home && is_detached)))
            break;
    if ((m->tried & 1u << server) != 0 || (server == m->home && !(m->may_go_home && is_detached))) {
        sim_unrouted(m);
        return;
    }
    m->next = sim_open(&m->e, server);
    if (m->next == SIM_NONE)
        return;
    m->tried |= 1u << server;
    m->wants_route = false;
    m->is_dialling = true;
    m->dialled_ms = m->e.now_ms;
    event.known_zxid = sim_pick(m, 2) == 0 ? sim_zxid(&m->e, server) : 0;
    sim_step(m, event);
}

static inline void sim_tell_applied(struct sim_machine *m)
{
    struct px_event event = sim_event(m, PX_EVENT_APPLIED);

    if (m->awaited_zxid == 0 || m->home == SIM_NONE || sim_zxid(&m->e, m->home) < m->awaited_zxid)
        return;
    m->awaited_zxid = 0;
    event.known_zxid = sim_zxid(&m->e, m->home);
    if (px_session_state(m->session) == PX_SESSION_RESTORING)
        sim_step(m, event);
}

/* --- the client --- */

static inline void sim_ask(struct sim_machine *m, int32_t xid, int32_t op, struct zkp_slice rest)
{
    uint8_t body[64];

    zkp_store_i32(body, xid);
    zkp_store_i32(body + 4, op);
    if (rest.len > 0)
        memcpy(body + 8, rest.ptr, rest.len);
    sim_push_bytes(&m->e, &m->requests, zkp_slice_of(body, 8 + rest.len));
    m->client.said_ms = m->e.now_ms;
}

static inline void sim_ask_ping(struct sim_machine *m)
{
    if (m->requests.count > SIM_QUEUE - 8)
        return;
    m->client.pings++;
    sim_ask(m, ZKP_XID_PING, ZKP_OP_PING, (struct zkp_slice){0});
}

static inline void sim_ask_auth(struct sim_machine *m)
{
    static const uint8_t digest[] = {0, 0, 0, 0, 0, 0, 0, 2, 'i', 'p', 0, 0, 0, 0};

    m->client.auths++;
    sim_ask(m, ZKP_XID_AUTH, ZKP_OP_AUTH, zkp_slice_of(digest, sizeof(digest)));
}

static inline void sim_ask_any(struct sim_machine *m)
{
    static const int32_t ops[] = {ZKP_OP_EXISTS,   ZKP_OP_GET_DATA,  ZKP_OP_GET_CHILDREN,
                                  ZKP_OP_CREATE,   ZKP_OP_DELETE,    ZKP_OP_SET_DATA,
                                  ZKP_OP_SYNC,     ZKP_OP_ADD_WATCH, ZKP_OP_REMOVE_WATCHES,
                                  ZKP_OP_GET_DATA, ZKP_OP_EXISTS};
    struct sim_pending p = {.op = ops[sim_pick(m, 11)], .path = (int)sim_pick(m, SIM_PATHS)};
    uint8_t body[40];
    struct zkp_wr w = zkp_wr_over(body, sizeof(body));

    p.value = p.op == ZKP_OP_REMOVE_WATCHES ? 1 + (int32_t)sim_pick(m, 3) : (int32_t)sim_pick(m, 2);
    if (m->client.pending_count == SIM_PENDING_MAX || m->requests.count > SIM_QUEUE - 16)
        return;
    if (p.op == ZKP_OP_ADD_WATCH && !m->options.has_lasting)
        return;
    p.xid = ++m->client.next_xid;
    zkp_wr_buf(&w, zkp_slice_str(sim_names[p.path]));
    if (p.op == ZKP_OP_ADD_WATCH || p.op == ZKP_OP_REMOVE_WATCHES)
        zkp_wr_i32(&w, p.value);
    else if (p.op == ZKP_OP_EXISTS || p.op == ZKP_OP_GET_DATA || p.op == ZKP_OP_GET_CHILDREN)
        zkp_wr_bool(&w, p.value == 1);
    m->client.pending[m->client.pending_count++] = p;
    sim_ask(m, p.xid, p.op, zkp_slice_of(body, zkp_wr_len(&w)));
}

static inline void sim_client_tick(struct sim_machine *m)
{
    struct sim_client *c = &m->client;

    if (c->is_open && m->e.now_ms - c->said_ms >= c->timeout_ms / 3)
        sim_ask_ping(m);
    if (c->is_open && m->e.now_ms - c->heard_ms >= c->timeout_ms / 3 * 2)
        sim_step_kind(m, PX_EVENT_CLIENT_GONE);
}

/* --- time --- */

static inline bool sim_is_old(const struct sim_machine *m, struct sim_queue *queue)
{
    return queue->count > 0 && m->e.now_ms - sim_front(queue)->at_ms >= SIM_DELAY_MS;
}

static inline void sim_no_delay(struct sim_machine *m)
{
    struct sim_conn *conn;

    sim_scan_pings(m);
    while (!m->is_closed && !m->is_paused && sim_is_old(m, &m->requests))
        sim_deliver_request(m);
    for (int i = 0; i < SIM_CONNS; i++)
        if (sim_is_old(m, &m->e.conns[i].to_server))
            sim_serve(&m->e, &m->e.conns[i]);
    conn = sim_conn_of(m, m->server);
    while (!m->is_closed && conn != NULL && conn == sim_conn_of(m, m->server) &&
           sim_is_old(m, &conn->to_proxy))
        sim_deliver_server(m);
    conn = sim_conn_of(m, m->next);
    if (!m->is_closed && conn != NULL && sim_is_old(m, &conn->to_proxy))
        sim_deliver_next(m);
}

/* The session ends on every server at once. */
static inline void sim_expire(struct sim_machine *m)
{
    struct sim_ensemble *e = &m->e;

    if (e->leader == SIM_NONE || e->is_expired || e->now_ms < e->touched_ms + e->timeout_ms)
        return;
    e->is_expired = true;
    if (m->client.is_open)
        SIM_FAULT(&m->client, "it believes in a session that has ended");
    for (int i = 0; i < SIM_CONNS; i++)
        if (e->conns[i].is_attached)
            sim_close_server(&e->conns[i]);
}

/* A server that hangs does not close: it is asked, then given up (worker_pulse.c). */
static inline void sim_pulse(struct sim_machine *m)
{
    if (m->server == SIM_NONE || px_session_state(m->session) == PX_SESSION_DEAD)
        return;
    if (m->silent_ms == 0 && sim_conn_of(m, m->server)->to_server.count == 0)
        sim_step_kind(m, PX_EVENT_PING);
    if (m->silent_ms == 0)
        m->silent_ms = m->e.now_ms;
    else if (m->e.now_ms - m->silent_ms >= SIM_TIMEOUT_MS / 6 + SIM_DELAY_MS) {
        m->had_trouble = true;
        sim_step_kind(m, PX_EVENT_SILENT);
    }
}

static inline void sim_pass_time(struct sim_machine *m, int64_t ms)
{
    for (int64_t end_ms = m->e.now_ms + ms; m->e.now_ms < end_ms && !m->is_closed;) {
        m->e.now_ms += SIM_STEP_MS;
        if (m->e.leader == SIM_NONE)
            m->e.leaderless_ms = m->e.touched_ms = m->e.now_ms;
        sim_no_delay(m);
        if (!m->is_closed)
            sim_step_kind(m, PX_EVENT_TICK);
        if (!m->is_closed)
            sim_client_tick(m);
        if (!m->is_closed && m->e.now_ms % 400 == 0)
            sim_pulse(m);
        sim_expire(m);
    }
}

/* --- trouble --- */

static inline void sim_trouble(struct sim_machine *m)
{
    int server = (int)sim_pick(m, SIM_SERVERS);
    struct sim_server *s = &m->e.servers[server];
    uint32_t what = sim_pick(m, 4);

    if (!m->options.has_trouble)
        return;
    m->had_trouble = true;
    if (!s->is_alive && m->e.leader != SIM_NONE)
        sim_restart(&m->e, server);
    else if (!s->is_alive)
        s->is_alive = true;
    else if (s->is_hung)
        sim_wake(&m->e, server);
    else if (what < 2)
        sim_crash(&m->e, server, what == 0);
    else
        sim_hang(&m->e, server);
}

static inline void sim_elect_any(struct sim_machine *m)
{
    int server = (int)sim_pick(m, SIM_SERVERS);

    while (sim_may_elect(&m->e) && (!m->e.servers[server].is_alive || m->e.servers[server].is_hung))
        server = (server + 1) % SIM_SERVERS;
    if (sim_may_elect(&m->e))
        sim_elect(&m->e, server);
}

/* Only the old server of a move ends: nothing else is lost. */
static inline void sim_end_old(struct sim_machine *m)
{
    struct sim_conn *conn = sim_conn_of(m, m->server);

    if (!m->options.has_deaf_old || m->next == SIM_NONE || conn == NULL || !conn->has_server)
        return;
    m->had_trouble = true;
    sim_close_server(conn);
}

/* --- export --- */

/* Choices of its own, so that a run with it and one without are the same. */
static inline void sim_export_now(struct sim_machine *m)
{
    struct px_buffer bytes = {0};
    struct px_session *fresh;

    m->export_bits = m->export_bits * 6364136223846793005u + 1442695040888963407u;
    if (!m->options.exports || m->export_bits >> 62 != 0 || m->is_closed ||
        px_session_export(m->session, &bytes) != RC_OK) {
        px_buffer_done(&bytes);
        return;
    }
    ASSERT(px_session_import(px_buffer_slice(&bytes), &m->spaces[1 - m->space], &fresh) == RC_OK);
    px_buffer_done(&bytes);
    px_session_free(m->session);
    m->session = fresh;
    m->space = 1 - m->space;
    m->exported++;
}

/* --- a run --- */

static inline void sim_apply_some(struct sim_machine *m)
{
    int server = (int)sim_pick(m, SIM_SERVERS);
    struct sim_server *s = &m->e.servers[server];

    for (uint32_t left = 1 + sim_pick(m, 3); left > 0; left--) {
        for (int i = 0; i < SIM_CONNS; i++)
            if (m->e.conns[i].has_server && m->e.conns[i].server == server && sim_is_busy(&m->e.conns[i]))
                return;
        if (s->is_alive && !s->is_hung && s->applied < m->e.log_count)
            sim_apply(&m->e, server);
    }
}

static inline bool sim_leader_is_busy(const struct sim_machine *m)
{
    for (int i = 0; i < SIM_CONNS; i++)
        if (m->e.conns[i].server == m->e.leader && sim_is_busy(&m->e.conns[i]))
            return true;
    return m->e.log_count > SIM_LOG_MAX / 2;
}

static inline void sim_others_write(struct sim_machine *m)
{
    enum sim_change change = (enum sim_change)(SIM_CREATE + sim_pick(m, 3));
    int path = (int)sim_pick(m, SIM_PATHS);

    if (m->e.leader != SIM_NONE && !sim_leader_is_busy(m))
        (void)sim_commit(&m->e, change, path, 0);
}

static inline void sim_order(struct sim_machine *m, enum px_event_kind kind)
{
    struct px_event event = sim_event(m, kind);

    if (kind == PX_EVENT_MOVE && !px_session_may_leave(m->session, m->e.now_ms))
        return;
    if (kind == PX_EVENT_MOVE && px_session_obstacle(m->session) != PX_OBSTACLE_NONE)
        return;
    event.deadline_ms = m->e.now_ms + 1500;
    sim_step(m, event);
}

static inline void sim_choose_step(struct sim_machine *m)
{
    uint32_t what = sim_pick(m, 64);

    if (what < 5)
        sim_ask_any(m);
    else if (what < 12)
        sim_others_write(m);
    else if (what < 20)
        sim_apply_some(m);
    else if (what < 32)
        sim_serve(&m->e, &m->e.conns[sim_pick(m, SIM_CONNS / 4)]);
    else if (what < 38)
        sim_deliver_request(m);
    else if (what < 45)
        sim_deliver_server(m);
    else if (what < 51)
        sim_deliver_next(m);
    else if (what < 53)
        sim_route(m);
    else if (what < 55)
        sim_order(m, PX_EVENT_MOVE);
    else if (what == 55)
        sim_order(m, sim_pick(m, 2) == 0 ? PX_EVENT_HOLD : PX_EVENT_RELEASE);
    else if (what == 56)
        sim_trouble(m);
    else if (what == 57)
        sim_elect_any(m);
    else if (what == 58)
        sim_tell_applied(m);
    else if (what == 59)
        sim_end_old(m);
    else if (what == 60 && m->client.auths < 4 && m->requests.count < SIM_QUEUE - 16)
        sim_ask_auth(m);
    else if (what >= 61)
        sim_pass_time(m, SIM_STEP_MS << sim_pick(m, 3));
    if (!m->is_closed)
        sim_export_now(m);
}

/* Everything runs and nobody interferes: what is outstanding comes to an end. */
static inline void sim_settle_turn(struct sim_machine *m)
{
    for (int i = 0; i < SIM_SERVERS; i++)
        while (m->e.servers[i].is_alive && !sim_is_busy(&m->e.conns[0]) &&
               m->e.servers[i].applied < m->e.log_count)
            sim_apply(&m->e, i);
    for (int i = 0; i < SIM_CONNS; i++)
        sim_serve(&m->e, &m->e.conns[i]);
    if (!m->is_closed)
        sim_deliver_request(m);
    if (!m->is_closed)
        sim_deliver_server(m);
    if (!m->is_closed)
        sim_deliver_next(m);
    if (!m->is_closed)
        sim_route(m);
    if (!m->is_closed)
        sim_tell_applied(m);
}

static inline bool sim_is_settled(const struct sim_machine *m)
{
    return px_session_state(m->session) == PX_SESSION_ACTIVE && m->client.pending_count == 0 &&
           m->client.pings == 0 && m->client.auths == 0 && m->requests.count == 0;
}

static inline void sim_settle(struct sim_machine *m)
{
    for (int i = 0; i < SIM_SERVERS && m->options.has_trouble; i++) {
        if (m->e.servers[i].is_hung)
            sim_wake(&m->e, i);
        if (m->e.leader == SIM_NONE)
            m->e.servers[i].is_alive = true;
        else if (!m->e.servers[i].is_alive)
            sim_restart(&m->e, i);
    }
    sim_elect_any(m);
    if (sim_leader_is_busy(m) == false)
        (void)sim_commit(&m->e, SIM_NOTHING, 0, 0); /* out of the epoch's first zxid (protocol.md §3.6) */
    for (int turn = 0; turn < 2000 && !m->is_closed && !sim_is_settled(m); turn++) {
        sim_settle_turn(m);
        if (turn % 4 == 3)
            sim_pass_time(m, SIM_STEP_MS);
    }
    if (!m->is_closed && !sim_is_settled(m))
        SIM_FAULT(&m->client, "stuck: %s, %d requests unanswered",
                  px_session_state_name(px_session_state(m->session)), m->client.pending_count);
}

/* Each write of the client took effect once at most, and those answered did. */
static inline void sim_check_writes(struct sim_machine *m)
{
    static uint8_t counts[SIM_LOG_MAX];

    memset(counts, 0, sizeof(counts));
    for (int i = 0; i < m->e.log_count; i++)
        if (m->e.log[i].xid != 0 && ++counts[m->e.log[i].xid % SIM_LOG_MAX] > 1)
            SIM_FAULT(&m->client, "write %d was applied twice", m->e.log[i].xid);
}

static inline void sim_connect_client(struct sim_machine *m)
{
    struct zkp_connect_request request = {.timeout_ms = SIM_TIMEOUT_MS, .has_read_only = true};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_request_frame(&request, frame, sizeof(frame));
    struct px_event event = sim_event(m, PX_EVENT_CLIENT_FRAME);

    event.length = length - 4;
    event.body = zkp_slice_of(frame + 4, length - 4);
    sim_step(m, event);
    m->next = sim_open(&m->e, (int)sim_pick(m, SIM_SERVERS));
    m->wants_route = false;
    sim_step_kind(m, PX_EVENT_ROUTED);
    sim_step_kind(m, PX_EVENT_DIALLED);
    sim_serve(&m->e, sim_conn_of(m, m->next));
    sim_deliver_next(m);
    ASSERT(px_session_state(m->session) == PX_SESSION_ACTIVE);
}

static inline void sim_start(struct sim_machine *m, const struct sim_options *options,
                             uint32_t (*choose)(void *, uint32_t), void *context)
{
    m->options = *options;
    m->choose = choose;
    m->context = context;
    sim_begin(&m->e, options->rule);
    sim_client_begin(&m->client, &m->e, SIM_TIMEOUT_MS);
    ASSERT(px_watch_space_init(&m->spaces[0], 1) == RC_OK && px_watch_space_init(&m->spaces[1], 1) == RC_OK);
    m->space = 0;
    m->session = px_session_new(true, 5000, &m->spaces[0]);
    ASSERT(m->session != NULL);
    m->requests.head = m->requests.count = m->scanned = 0;
    m->is_paused = m->wants_route = m->is_dialling = m->had_trouble = m->is_inexact = m->is_closed = false;
    m->server = m->next = m->home = SIM_NONE;
    m->tried = m->old_pings = 0;
    m->silent_ms = m->awaited_zxid = 0;
    m->exported = 0;
    m->export_bits = 1;
    memset(m->outcomes, 0, sizeof(m->outcomes));
    sim_connect_client(m);
    if (options->has_short)
        m->e.servers[sim_pick(m, SIM_SERVERS)].timeout_max_ms = SIM_TIMEOUT_MS / 2;
}

static inline void sim_end(struct sim_machine *m)
{
    px_session_free(m->session);
    m->session = NULL;
    px_watch_space_done(&m->spaces[0]); /* asserts that no path is held */
    px_watch_space_done(&m->spaces[1]);
}

static inline void sim_end_run(struct sim_machine *m)
{
    if (!m->is_closed && m->client.fault[0] == '\0')
        sim_settle(m);
    sim_check_writes(m);
}

static inline void sim_run(struct sim_machine *m, int steps)
{
    for (int i = 0; i < steps && !m->is_closed && m->client.fault[0] == '\0'; i++)
        sim_choose_step(m);
    sim_end_run(m);
}

#endif
