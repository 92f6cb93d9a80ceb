/* The session core is stepped and its actions are carried out. */
#include "tests/rig/machine.h"

uint32_t rig_pick(struct rig_machine *m, uint32_t below)
{
    return m->choose(m->context, below);
}

struct rig_conn *rig_conn_of(struct rig_machine *m, int index)
{
    return index == RIG_NONE ? NULL : &m->e.conns[index];
}

static void rig_to_server(struct rig_machine *m, int index, struct zkp_slice frames)
{
    struct rig_conn *conn = rig_conn_of(m, index);

    while (frames.len > 0 && conn != NULL && conn->has_server) {
        uint32_t length = (uint32_t)zkp_load_i32(frames.ptr);
        rig_push_bytes(&m->e, &conn->to_server, zkp_slice_of(frames.ptr + 4, length));
        frames = zkp_slice_of(frames.ptr + 4 + length, frames.len - 4 - length);
    }
}

static void rig_to_client(struct rig_machine *m, struct zkp_slice frames)
{
    while (frames.len > 0) {
        uint32_t length = (uint32_t)zkp_load_i32(frames.ptr);
        struct zkp_slice body = zkp_slice_of(frames.ptr + 4, length);
        if (px_session_last_zxid(m->session) > 0 || length != 37) /* no ConnectResponse */
            rig_client_hears(&m->client, body);
        frames = zkp_slice_of(frames.ptr + 4 + length, frames.len - 4 - length);
    }
}

void rig_hang_up(struct rig_machine *m, int *ref_index)
{
    struct rig_conn *conn = rig_conn_of(m, *ref_index);

    if (conn == NULL)
        return;
    if (!conn->is_attached && conn->to_server.count > 0)
        m->had_trouble = true; /* what is still in the socket is executed some time */
    rig_abandon(conn);
    *ref_index = RIG_NONE;
}

/* Everything up to there came before the old server's last reply. */
static int rig_marked_place(const struct rig_machine *m)
{
    struct px_session_facts facts;

    px_session_facts_get(m->session, &facts);
    return rig_place(&m->e, facts.marker);
}

static void rig_adopt(struct rig_machine *m)
{
    bool is_first = m->home == RIG_NONE;
    struct rig_conn *old = rig_conn_of(m, m->server);

    if (!is_first && old == NULL && rig_has(&m->client.armed, RIG_LASTS | RIG_BELOW))
        m->gaps += rig_conn_of(m, m->next)->lasting_set > m->marked;
    if (!is_first && old == NULL)
        rig_client_caught_up(&m->client, rig_conn_of(m, m->next));
    else if (!is_first)
        rig_client_drained(&m->client, rig_conn_of(m, m->next), !m->is_inexact);
    if (old != NULL)
        rig_hang_up(m, &m->server);
    m->server = m->next;
    m->home = rig_conn_of(m, m->server)->server;
    m->next = RIG_NONE;
    m->awaited_zxid = m->silent_ms = 0;
    m->is_inexact = false;
    m->old_pings = 0;
}

static bool rig_has_write(const struct rig_machine *m)
{
    for (int i = 0; i < m->client.pending_count; i++)
        if (rig_is_write(m->client.pending[i].op))
            return true;
    return false;
}

/* Where a one-shot watch took one of a lasting watch's two tables, the other half is set whole elsewhere
 * (px_watch_set_next), and is answered for as a whole. */
static void rig_make_whole(struct rig_tables *tables)
{
    for (int path = 0; path < RIG_PATHS; path++) {
        uint8_t lasting =
            (tables->bits[RIG_DATA][path] | tables->bits[RIG_CHILD][path]) & (RIG_LASTS | RIG_BELOW);
        tables->bits[RIG_DATA][path] |= lasting;
        tables->bits[RIG_CHILD][path] |= lasting;
    }
}

/* Something happened that a lasting watch might have told, or that hides whether a missing node was there. */
static bool rig_is_doubtful(const struct rig_machine *m)
{
    struct rig_tables tables = m->client.armed;
    struct rig_fired fired[2];

    rig_make_whole(&tables);
    for (int place = m->marked; place < m->e.log_count; place++)
        if (m->e.log[place].change == RIG_CREATE || m->e.log[place].change == RIG_DELETE ||
            rig_fire(&tables, &m->e.log[place], fired) > 0)
            return true;
    return false;
}

/* A client is closed for one of these reasons only. */
static void rig_on_close(struct rig_machine *m, enum px_close_reason reason)
{
    bool is_late = m->e.now_ms - m->e.touched_ms >= m->e.timeout_ms / 2 ||
                   m->e.now_ms - m->proved_ms >= m->e.timeout_ms / 3;
    bool is_due = m->had_trouble || is_late;

    m->is_closed = true;
    m->reason = reason;
    if (reason == PX_CLOSE_UNKNOWN_OUTCOME)
        is_due = is_due && rig_has_write(m);
    else if (reason == PX_CLOSE_EVENTS_UNKNOWN)
        is_due = (is_due || m->e.now_ms - m->sought_ms >= RIG_STUCK_MS) &&
                 rig_has(&m->client.armed, RIG_LASTS | RIG_BELOW) && rig_is_doubtful(m);
    else if (reason == PX_CLOSE_EXPIRED)
        is_due = m->e.is_expired;
    else if (reason != PX_CLOSE_SERVER_GONE)
        is_due = reason == PX_CLOSE_CLIENT_GONE;
    if (!is_due)
        RIG_FAULT(&m->client, "closed for no good reason: %s", px_close_reason_name(reason));
    m->client.is_open = false;
}

static struct zkp_slice rig_sent(const struct rig_machine *m, const struct px_action *action)
{
    return zkp_slice_of(m->actions.bytes + action->send.offset, action->send.length);
}

static void rig_act(struct rig_machine *m, const struct px_event *event, const struct px_action *action)
{
    uint8_t frame[4 + RIG_FRAME_MAX];

    switch (action->kind) {
    case PX_ACTION_FORWARD:
        zkp_store_i32(frame, (int32_t)event->length);
        memcpy(frame + 4, event->body.ptr, event->body.len);
        if (event->kind == PX_EVENT_CLIENT_FRAME)
            rig_to_server(m, m->server, zkp_slice_of(frame, 4 + event->length));
        else
            rig_to_client(m, zkp_slice_of(frame, 4 + event->length));
        break;
    case PX_ACTION_SEND_CLIENT:
        rig_to_client(m, rig_sent(m, action));
        break;
    case PX_ACTION_SEND_SERVER:
        rig_to_server(m, m->server, rig_sent(m, action));
        m->old_pings++;
        m->is_inexact = m->is_inexact || m->old_pings >= 15 || m->e.leader == m->home;
        break;
    case PX_ACTION_SEND_NEXT:
        rig_to_server(m, m->next, rig_sent(m, action));
        break;
    case PX_ACTION_PUT_CLIENT:
        rig_to_client(m, action->slice);
        break;
    case PX_ACTION_PUT_SERVER:
        rig_to_server(m, m->server, action->slice);
        break;
    case PX_ACTION_PUT_NEXT:
        rig_to_server(m, m->next, action->slice);
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
        rig_hang_up(m, &m->next);
        break;
    case PX_ACTION_ADOPT:
        rig_adopt(m);
        break;
    case PX_ACTION_DROP_SERVER:
        rig_hang_up(m, &m->server);
        break;
    case PX_ACTION_LOSE_SERVER:
        m->has_lost = true;
        m->misfits++;
        rig_hang_up(m, &m->server);
        break;
    case PX_ACTION_AWAIT_APPLIED:
        m->awaited_zxid = action->zxid;
        break;
    case PX_ACTION_CLOSE:
        rig_on_close(m, action->reason);
        break;
    case PX_ACTION_DROP:
    case PX_ACTION_CLAIM:
    case PX_ACTION_CLOSE_CLIENT:
    case PX_ACTION_HIDE_MULTI:
        break;
    }
}

struct px_event rig_event(const struct rig_machine *m, enum px_event_kind kind)
{
    return (struct px_event){.kind = kind,
                             .now_ms = m->e.now_ms,
                             .now_us = (uint32_t)m->e.now_ms * 1000,
                             .watch_rule = m->e.rule,
                             .nobody_expires_ms = m->e.leaderless_ms,
                             .own_zxid = m->own_zxid,
                             .old_leads = m->home != RIG_NONE && m->home == m->e.leader};
}

/* One line per step: time, event and its frame's first words, state before and after, actions by number. */
static void rig_trace(const struct rig_machine *m, const struct px_event *event, enum px_session_state before)
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

static void rig_step_once(struct rig_machine *m, const struct px_event *event)
{
    enum px_session_state before = px_session_state(m->session);

    px_session_step(m->session, event, &m->actions);
    rig_trace(m, event, before);
    m->outcomes[m->actions.outcome]++;
    for (uint32_t i = 0; i < m->actions.count && !m->is_closed; i++)
        rig_act(m, event, &m->actions.list[i]);
    if (before != PX_SESSION_SEEKING && px_session_state(m->session) == PX_SESSION_SEEKING &&
        before != PX_SESSION_JOINING && before != PX_SESSION_RESTORING) {
        m->sought_ms = m->e.now_ms;
        m->marked = rig_marked_place(m);
        m->old_pings = 0;
        m->is_inexact = false;
        m->tried = 1u << m->home; /* another server first */
        m->may_go_home = m->was_heard = false;
    }
}

static bool rig_waits_for_quiet(const struct rig_machine *m)
{
    enum px_session_state state = px_session_state(m->session);

    return state == PX_SESSION_RETURNING || state == PX_SESSION_HOLDING || state == PX_SESSION_LEAVING;
}

void rig_step(struct rig_machine *m, struct px_event event)
{
    rig_step_once(m, &event);
    while (m->actions.has_more && !m->is_closed) {
        event.kind = PX_EVENT_CONTINUE;
        rig_step_once(m, &event);
    }
    if (m->has_lost && !m->is_closed) {
        m->has_lost = false;
        event = rig_event(m, PX_EVENT_SERVER_GONE);
        rig_step_once(m, &event);
    }
    if (!m->is_closed && rig_waits_for_quiet(m)) {
        event = rig_event(m, PX_EVENT_SETTLE);
        rig_step_once(m, &event);
    }
}

void rig_step_kind(struct rig_machine *m, enum px_event_kind kind)
{
    rig_step(m, rig_event(m, kind));
}

/* What the old server says then is no proof any more. */
static bool rig_is_between(const struct rig_machine *m)
{
    enum px_session_state state = px_session_state(m->session);

    return state == PX_SESSION_SEEKING || state == PX_SESSION_JOINING || state == PX_SESSION_RESTORING;
}

void rig_step_frame(struct rig_machine *m, enum px_event_kind kind, struct rig_queue *queue)
{
    struct rig_frame frame = *rig_front(queue);
    struct px_event event = rig_event(m, kind);

    rig_pop(queue);
    if (kind == PX_EVENT_NEXT_FRAME || !rig_is_between(m))
        m->proved_ms = frame.asked_ms > m->proved_ms ? frame.asked_ms : m->proved_ms;
    event.length = frame.length;
    event.body = zkp_slice_of(frame.body, frame.length);
    rig_step(m, event);
}
