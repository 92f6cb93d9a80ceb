/* Frames reach the session core; the next server is chosen and dialled. */
#include "tests/rig/machine.h"

void rig_scan_pings(struct rig_machine *m)
{
    while (m->is_paused && !m->is_closed && m->scanned < m->requests.count) {
        uint32_t at = (m->requests.head + m->scanned) % RIG_QUEUE;
        struct rig_frame *frame = &m->requests.ring[at];
        int pings = m->client.pings;
        if (zkp_load_i32(frame->body + 4) == ZKP_OP_PING)
            rig_step_kind(m, PX_EVENT_CLIENT_PING);
        if (zkp_load_i32(frame->body + 4) != ZKP_OP_PING || m->client.pings == pings) {
            m->scanned++;
            continue;
        }
        for (uint32_t i = m->scanned; i + 1 < m->requests.count; i++)
            m->requests.ring[(m->requests.head + i) % RIG_QUEUE] =
                m->requests.ring[(m->requests.head + i + 1) % RIG_QUEUE];
        m->requests.count--;
    }
}

void rig_deliver_request(struct rig_machine *m)
{
    struct rig_conn *conn = rig_conn_of(m, m->server);

    if (m->is_paused)
        rig_scan_pings(m);
    else if (m->requests.count > 0 && (conn == NULL || conn->to_server.count < RIG_QUEUE - 8))
        rig_step_frame(m, PX_EVENT_CLIENT_FRAME, &m->requests);
}

void rig_deliver_server(struct rig_machine *m)
{
    struct rig_conn *conn = rig_conn_of(m, m->server);
    bool has_more = true;

    while (conn != NULL && has_more && conn->to_proxy.count > 0 && m->server != RIG_NONE && !m->is_closed) {
        has_more = rig_front(&conn->to_proxy)->has_more;
        m->silent_ms = 0;
        rig_step_frame(m, PX_EVENT_SERVER_FRAME, &conn->to_proxy);
        if (conn != rig_conn_of(m, m->server))
            return;
    }
    if (conn == NULL || m->is_closed || m->server == RIG_NONE || conn->has_server || conn->to_proxy.count > 0)
        return;
    m->had_trouble = true;
    rig_hang_up(m, &m->server);
    rig_step_kind(m, PX_EVENT_SERVER_GONE);
}

static void rig_next_gone(struct rig_machine *m)
{
    rig_hang_up(m, &m->next);
    rig_step_kind(m, PX_EVENT_NEXT_GONE);
}

static void rig_dial(struct rig_machine *m)
{
    const struct rig_server *s = &m->e.servers[rig_conn_of(m, m->next)->server];

    m->is_dialling = false;
    if (!s->is_alive || !rig_conn_of(m, m->next)->has_server) {
        rig_next_gone(m);
        return;
    }
    rig_step_kind(m, PX_EVENT_DIALLED);
}

void rig_deliver_next(struct rig_machine *m)
{
    struct rig_conn *conn = rig_conn_of(m, m->next);
    bool has_more = true;

    if (conn == NULL)
        return;
    if (m->is_dialling) {
        rig_dial(m);
        return;
    }
    while (has_more && conn->to_proxy.count > 0 && conn == rig_conn_of(m, m->next) && !m->is_closed) {
        has_more = rig_front(&conn->to_proxy)->has_more;
        m->was_heard = true;
        rig_step_frame(m, PX_EVENT_NEXT_FRAME, &conn->to_proxy);
    }
    /* The rest of a batch that was adopted on the way is read in its new place. */
    if (conn != rig_conn_of(m, m->next) || m->is_closed || conn->to_proxy.count > 0)
        return;
    if (!conn->has_server ||
        (px_session_state(m->session) == PX_SESSION_JOINING && m->e.now_ms - m->dialled_ms > RIG_JOIN_MS))
        rig_next_gone(m);
}

static void rig_unrouted(struct rig_machine *m)
{
    struct px_event event = rig_event(m, PX_EVENT_UNROUTED);

    event.is_hopeless = m->may_go_home && m->tried != 0 && !m->was_heard;
    m->tried = 0;
    m->may_go_home = true;
    m->was_heard = false;
    rig_step(m, event);
}

void rig_route(struct rig_machine *m)
{
    bool is_detached = px_session_is_detached(m->session);
    struct px_event event = rig_event(m, PX_EVENT_ROUTED);
    int server = (int)rig_pick(m, RIG_SERVERS);

    if (!m->wants_route || m->next != RIG_NONE)
        return;
    for (int i = 0; i < RIG_SERVERS; i++, server = (server + 1) % RIG_SERVERS)
        if ((m->tried & 1u << server) == 0 && (server != m->home || (m->may_go_home && is_detached)))
            break;
    if ((m->tried & 1u << server) != 0 || (server == m->home && !(m->may_go_home && is_detached))) {
        rig_unrouted(m);
        return;
    }
    m->next = rig_open(&m->e, server);
    if (m->next == RIG_NONE)
        return;
    m->tried |= 1u << server;
    m->wants_route = false;
    m->is_dialling = true;
    m->dialled_ms = m->e.now_ms;
    event.known_zxid = rig_pick(m, 2) == 0 ? rig_zxid(&m->e, server) : 0;
    rig_step(m, event);
}

void rig_tell_applied(struct rig_machine *m)
{
    struct px_event event = rig_event(m, PX_EVENT_APPLIED);

    if (m->awaited_zxid == 0 || m->home == RIG_NONE || rig_zxid(&m->e, m->home) < m->awaited_zxid)
        return;
    m->awaited_zxid = 0;
    event.known_zxid = rig_zxid(&m->e, m->home);
    if (px_session_state(m->session) == PX_SESSION_RESTORING)
        rig_step(m, event);
}
