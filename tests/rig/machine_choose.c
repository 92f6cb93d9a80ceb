/* What may happen on the way: requests of the client, time, trouble, an export. */
#include "tests/rig/machine.h"

static void rig_ask(struct rig_machine *m, int32_t xid, int32_t op, struct zkp_slice rest)
{
    uint8_t body[64];

    zkp_store_i32(body, xid);
    zkp_store_i32(body + 4, op);
    if (rest.len > 0)
        memcpy(body + 8, rest.ptr, rest.len);
    rig_push_bytes(&m->e, &m->requests, zkp_slice_of(body, 8 + rest.len));
    m->client.said_ms = m->e.now_ms;
}

static void rig_ask_ping(struct rig_machine *m)
{
    if (m->requests.count > RIG_QUEUE - 8)
        return;
    m->client.pings++;
    rig_ask(m, ZKP_XID_PING, ZKP_OP_PING, (struct zkp_slice){0});
}

void rig_ask_auth(struct rig_machine *m)
{
    static const uint8_t digest[] = {0, 0, 0, 0, 0, 0, 0, 2, 'i', 'p', 0, 0, 0, 0};

    m->client.auths++;
    rig_ask(m, ZKP_XID_AUTH, ZKP_OP_AUTH, zkp_slice_of(digest, sizeof(digest)));
}

void rig_ask_any(struct rig_machine *m)
{
    static const int32_t ops[] = {ZKP_OP_EXISTS,   ZKP_OP_GET_DATA,  ZKP_OP_GET_CHILDREN,
                                  ZKP_OP_CREATE,   ZKP_OP_DELETE,    ZKP_OP_SET_DATA,
                                  ZKP_OP_SYNC,     ZKP_OP_ADD_WATCH, ZKP_OP_REMOVE_WATCHES,
                                  ZKP_OP_GET_DATA, ZKP_OP_EXISTS};
    struct rig_pending p = {.op = ops[rig_pick(m, 11)], .path = (int)rig_pick(m, RIG_PATHS)};
    uint8_t body[40];
    struct zkp_wr w = zkp_wr_over(body, sizeof(body));

    p.value = p.op == ZKP_OP_REMOVE_WATCHES ? 1 + (int32_t)rig_pick(m, 3) : (int32_t)rig_pick(m, 2);
    if (m->client.pending_count == RIG_PENDING_MAX || m->requests.count > RIG_QUEUE - 16)
        return;
    if (p.op == ZKP_OP_ADD_WATCH && !m->options.has_lasting)
        return;
    p.xid = ++m->client.next_xid;
    zkp_wr_buf(&w, zkp_slice_str(rig_names[p.path]));
    if (p.op == ZKP_OP_ADD_WATCH || p.op == ZKP_OP_REMOVE_WATCHES)
        zkp_wr_i32(&w, p.value);
    else if (p.op == ZKP_OP_EXISTS || p.op == ZKP_OP_GET_DATA || p.op == ZKP_OP_GET_CHILDREN)
        zkp_wr_bool(&w, p.value == 1);
    m->client.pending[m->client.pending_count++] = p;
    rig_ask(m, p.xid, p.op, zkp_slice_of(body, zkp_wr_len(&w)));
}

static void rig_client_tick(struct rig_machine *m)
{
    struct rig_client *c = &m->client;

    if (c->is_open && m->e.now_ms - c->said_ms >= c->timeout_ms / 3)
        rig_ask_ping(m);
    if (c->is_open && m->e.now_ms - c->heard_ms >= c->timeout_ms / 3 * 2)
        rig_step_kind(m, PX_EVENT_CLIENT_GONE);
}

static bool rig_is_old(const struct rig_machine *m, struct rig_queue *queue)
{
    return queue->count > 0 && m->e.now_ms - rig_front(queue)->at_ms >= RIG_DELAY_MS;
}

static void rig_no_delay(struct rig_machine *m)
{
    struct rig_conn *conn;

    rig_scan_pings(m);
    while (!m->is_closed && !m->is_paused && rig_is_old(m, &m->requests))
        rig_deliver_request(m);
    for (int i = 0; i < RIG_CONNS; i++)
        if (rig_is_old(m, &m->e.conns[i].to_server))
            rig_serve(&m->e, &m->e.conns[i]);
    conn = rig_conn_of(m, m->server);
    while (!m->is_closed && conn != NULL && conn == rig_conn_of(m, m->server) &&
           rig_is_old(m, &conn->to_proxy))
        rig_deliver_server(m);
    conn = rig_conn_of(m, m->next);
    if (!m->is_closed && conn != NULL && rig_is_old(m, &conn->to_proxy))
        rig_deliver_next(m);
}

/* The session ends on every server at once. */
static void rig_expire(struct rig_machine *m)
{
    struct rig_ensemble *e = &m->e;

    if (e->leader == RIG_NONE || e->is_expired || e->now_ms < e->touched_ms + e->timeout_ms)
        return;
    e->is_expired = true;
    if (m->client.is_open)
        RIG_FAULT(&m->client, "it believes in a session that has ended");
    for (int i = 0; i < RIG_CONNS; i++)
        if (e->conns[i].is_attached)
            rig_close_server(&e->conns[i]);
}

/* A server that hangs does not close: it is asked, then given up (worker_pulse.c). */
static void rig_pulse(struct rig_machine *m)
{
    if (m->server == RIG_NONE || px_session_state(m->session) == PX_SESSION_DEAD)
        return;
    if (m->silent_ms == 0 && rig_conn_of(m, m->server)->to_server.count == 0)
        rig_step_kind(m, PX_EVENT_PING);
    if (m->silent_ms == 0)
        m->silent_ms = m->e.now_ms;
    else if (m->e.now_ms - m->silent_ms >= RIG_TIMEOUT_MS / 6 + RIG_DELAY_MS) {
        m->had_trouble = true;
        rig_step_kind(m, PX_EVENT_SILENT);
    }
}

void rig_pass_time(struct rig_machine *m, int64_t ms)
{
    for (int64_t end_ms = m->e.now_ms + ms; m->e.now_ms < end_ms && !m->is_closed;) {
        m->e.now_ms += RIG_STEP_MS;
        if (m->own_zxid < 0)
            m->own_zxid = m->own_later;
        if (m->e.leader == RIG_NONE)
            m->e.leaderless_ms = m->e.touched_ms = m->e.now_ms;
        rig_no_delay(m);
        if (!m->is_closed)
            rig_step_kind(m, PX_EVENT_TICK);
        if (!m->is_closed)
            rig_client_tick(m);
        if (!m->is_closed && m->e.now_ms % 400 == 0)
            rig_pulse(m);
        rig_expire(m);
    }
}

void rig_trouble(struct rig_machine *m)
{
    int server = (int)rig_pick(m, RIG_SERVERS);
    struct rig_server *s = &m->e.servers[server];
    uint32_t what = rig_pick(m, 4);

    if (!m->options.has_trouble)
        return;
    m->had_trouble = true;
    if (!s->is_alive && m->e.leader != RIG_NONE)
        rig_restart(&m->e, server);
    else if (!s->is_alive)
        s->is_alive = true;
    else if (s->is_hung)
        rig_wake(&m->e, server);
    else if (what < 2)
        rig_crash(&m->e, server, what == 0);
    else
        rig_hang(&m->e, server);
}

static void rig_commit_some(struct rig_machine *m)
{
    for (uint32_t left = rig_pick(m, 3); left > 0; left--) /* half of them sessions that come and go */
        (void)rig_commit(&m->e, rig_pick(m, 2) == 0 ? RIG_NOTHING : (enum rig_change)rig_pick(m, 4),
                         (int)rig_pick(m, RIG_PATHS), 0);
}

void rig_leave(struct rig_machine *m)
{
    struct rig_ensemble *e = &m->e;

    if (!m->options.has_leaving || e->leader == RIG_NONE || rig_leader_is_busy(m))
        return;
    if (px_session_state(m->session) == PX_SESSION_ACTIVE)
        rig_order(m, PX_EVENT_HOLD);
    if (px_session_state(m->session) != PX_SESSION_HELD)
        return;
    if (rig_pick(m, 3) == 0) {
        rig_step_kind(m, PX_EVENT_PING);
        return;
    }
    rig_commit_some(m);
    (void)rig_commit(e, RIG_NOTHING, 0, 0);
    m->own_later = e->log[e->log_count - 1].zxid;
    m->own_zxid = rig_pick(m, 2) == 0 ? -1 : m->own_later;
    rig_commit_some(m);
    for (int i = 0; i < RIG_SERVERS; i++)
        for (uint32_t left = rig_pick(m, 8); left > 0 && !rig_is_server_busy(m, i); left--)
            if (e->servers[i].is_alive && !e->servers[i].is_hung && e->servers[i].applied < e->log_count)
                rig_apply(e, i);
    m->had_trouble = true;
    rig_resign(e);
}

void rig_elect_any(struct rig_machine *m)
{
    int server = (int)rig_pick(m, RIG_SERVERS);

    while (rig_may_elect(&m->e) && (!m->e.servers[server].is_alive || m->e.servers[server].is_hung))
        server = (server + 1) % RIG_SERVERS;
    if (rig_may_elect(&m->e))
        rig_elect(&m->e, server);
}

void rig_end_old(struct rig_machine *m)
{
    struct rig_conn *conn = rig_conn_of(m, m->server);

    if (!m->options.has_deaf_old || m->next == RIG_NONE || conn == NULL || !conn->has_server)
        return;
    m->had_trouble = true;
    rig_close_server(conn);
}

void rig_export_now(struct rig_machine *m)
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
