/* A run from its start to its rest, choice by choice. */
#include "tests/rig/machine.h"

/* There is no room for the events of another transaction. */
bool rig_is_server_busy(const struct rig_machine *m, int server)
{
    for (int i = 0; i < RIG_CONNS; i++)
        if (m->e.conns[i].has_server && m->e.conns[i].server == server && rig_is_busy(&m->e.conns[i]))
            return true;
    return false;
}

static void rig_apply_some(struct rig_machine *m)
{
    int server = (int)rig_pick(m, RIG_SERVERS);
    struct rig_server *s = &m->e.servers[server];

    for (uint32_t left = 1 + rig_pick(m, 3); left > 0; left--) {
        if (rig_is_server_busy(m, server))
            return;
        if (s->is_alive && !s->is_hung && s->applied < m->e.log_count)
            rig_apply(&m->e, server);
    }
}

bool rig_leader_is_busy(const struct rig_machine *m)
{
    for (int i = 0; i < RIG_CONNS; i++)
        if (m->e.conns[i].server == m->e.leader && rig_is_busy(&m->e.conns[i]))
            return true;
    return m->e.log_count > RIG_LOG_MAX / 2;
}

static void rig_others_write(struct rig_machine *m)
{
    enum rig_change change = (enum rig_change)(RIG_CREATE + rig_pick(m, 3));
    int path = (int)rig_pick(m, RIG_PATHS);

    if (m->options.has_leaving && px_session_state(m->session) != PX_SESSION_ACTIVE && rig_pick(m, 16) > 0)
        change = RIG_NOTHING; /* everybody is held: what is left are the servers' own */
    if (m->e.leader != RIG_NONE && !rig_leader_is_busy(m))
        (void)rig_commit(&m->e, change, path, 0);
}

void rig_order(struct rig_machine *m, enum px_event_kind kind)
{
    struct px_event event = rig_event(m, kind);

    if (kind == PX_EVENT_MOVE && !px_session_may_leave(m->session, m->e.now_ms))
        return;
    if (kind == PX_EVENT_MOVE && px_session_obstacle(m->session) != PX_OBSTACLE_NONE)
        return;
    event.deadline_ms = m->e.now_ms + 1500;
    rig_step(m, event);
}

void rig_choose_step(struct rig_machine *m)
{
    uint32_t what = rig_pick(m, 64);

    if (what < 5)
        rig_ask_any(m);
    else if (what < 12)
        rig_others_write(m);
    else if (what < 20)
        rig_apply_some(m);
    else if (what < 32)
        rig_serve(&m->e, &m->e.conns[rig_pick(m, RIG_CONNS / 4)]);
    else if (what < 38)
        rig_deliver_request(m);
    else if (what < 45)
        rig_deliver_server(m);
    else if (what < 51)
        rig_deliver_next(m);
    else if (what < 53)
        rig_route(m);
    else if (what < 55)
        rig_order(m, PX_EVENT_MOVE);
    else if (what == 55)
        rig_order(m, rig_pick(m, 2) == 0 ? PX_EVENT_HOLD : PX_EVENT_RELEASE);
    else if (what == 56 && m->options.has_leaving)
        rig_leave(m);
    else if (what == 56)
        rig_trouble(m);
    else if (what == 57)
        rig_elect_any(m);
    else if (what == 58)
        rig_tell_applied(m);
    else if (what == 59 && m->options.has_leaving)
        rig_leave(m);
    else if (what == 59)
        rig_end_old(m);
    else if (what == 60 && m->client.auths < 4 && m->requests.count < RIG_QUEUE - 16)
        rig_ask_auth(m);
    else if (what >= 61)
        rig_pass_time(m, RIG_STEP_MS << rig_pick(m, 3));
    if (!m->is_closed)
        rig_export_now(m);
}

/* Everything runs and nobody interferes: what is outstanding comes to an end. */
static void rig_settle_turn(struct rig_machine *m)
{
    for (int i = 0; i < RIG_SERVERS; i++)
        while (m->e.servers[i].is_alive && !rig_is_server_busy(m, i) &&
               m->e.servers[i].applied < m->e.log_count)
            rig_apply(&m->e, i);
    for (int i = 0; i < RIG_CONNS; i++)
        rig_serve(&m->e, &m->e.conns[i]);
    if (!m->is_closed)
        rig_deliver_request(m);
    if (!m->is_closed)
        rig_deliver_server(m);
    if (!m->is_closed)
        rig_deliver_next(m);
    if (!m->is_closed)
        rig_route(m);
    if (!m->is_closed)
        rig_tell_applied(m);
}

static bool rig_is_settled(const struct rig_machine *m)
{
    return px_session_state(m->session) == PX_SESSION_ACTIVE && m->client.pending_count == 0 &&
           m->client.pings == 0 && m->client.auths == 0 && m->requests.count == 0;
}

static void rig_settle(struct rig_machine *m)
{
    for (int i = 0; i < RIG_SERVERS && m->options.has_trouble; i++) {
        if (m->e.servers[i].is_hung)
            rig_wake(&m->e, i);
        if (m->e.leader == RIG_NONE)
            m->e.servers[i].is_alive = true;
        else if (!m->e.servers[i].is_alive)
            rig_restart(&m->e, i);
    }
    rig_elect_any(m);
    if (rig_leader_is_busy(m) == false)
        (void)rig_commit(&m->e, RIG_NOTHING, 0, 0); /* out of the epoch's first zxid (protocol.md §3.6) */
    for (int turn = 0; turn < 2000 && !m->is_closed && !rig_is_settled(m); turn++) {
        rig_settle_turn(m);
        if (turn % 4 == 3)
            rig_pass_time(m, RIG_STEP_MS);
    }
    if (!m->is_closed && !rig_is_settled(m))
        RIG_FAULT(&m->client, "stuck: %s, %d requests unanswered",
                  px_session_state_name(px_session_state(m->session)), m->client.pending_count);
}

/* Each write of the client took effect once at most, and those answered did. */
static void rig_check_writes(struct rig_machine *m)
{
    static uint8_t counts[RIG_LOG_MAX];

    memset(counts, 0, sizeof(counts));
    for (int i = 0; i < m->e.log_count; i++)
        if (m->e.log[i].xid != 0 && ++counts[m->e.log[i].xid % RIG_LOG_MAX] > 1)
            RIG_FAULT(&m->client, "write %d was applied twice", m->e.log[i].xid);
}

static void rig_connect_client(struct rig_machine *m)
{
    struct zkp_connect_request request = {.timeout_ms = RIG_TIMEOUT_MS, .has_read_only = true};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_request_frame(&request, frame, sizeof(frame));
    struct px_event event = rig_event(m, PX_EVENT_CLIENT_FRAME);

    event.length = length - 4;
    event.body = zkp_slice_of(frame + 4, length - 4);
    rig_step(m, event);
    m->next = rig_open(&m->e, (int)rig_pick(m, RIG_SERVERS));
    m->wants_route = false;
    rig_step_kind(m, PX_EVENT_ROUTED);
    rig_step_kind(m, PX_EVENT_DIALLED);
    rig_serve(&m->e, rig_conn_of(m, m->next));
    rig_deliver_next(m);
    ASSERT(px_session_state(m->session) == PX_SESSION_ACTIVE);
}

void rig_start(struct rig_machine *m, const struct rig_options *options, uint32_t (*choose)(void *, uint32_t),
               void *context)
{
    m->options = *options;
    m->choose = choose;
    m->context = context;
    rig_begin(&m->e, options->rule);
    rig_client_begin(&m->client, &m->e, RIG_TIMEOUT_MS);
    ASSERT(px_watch_space_init(&m->spaces[0], 1) == RC_OK && px_watch_space_init(&m->spaces[1], 1) == RC_OK);
    m->space = 0;
    m->session = px_session_new(true, 5000, &m->spaces[0]);
    ASSERT(m->session != NULL);
    m->requests.head = m->requests.count = m->scanned = 0;
    m->is_paused = m->wants_route = m->is_dialling = m->had_trouble = m->has_lost = m->is_inexact =
        m->is_closed = false;
    m->server = m->next = m->home = RIG_NONE;
    m->tried = m->old_pings = 0;
    m->silent_ms = m->awaited_zxid = 0;
    m->proved_ms = m->e.now_ms;
    m->exported = m->misfits = m->gaps = 0;
    m->own_zxid = m->own_later = 0;
    m->export_bits = 1;
    memset(m->outcomes, 0, sizeof(m->outcomes));
    rig_connect_client(m);
    if (options->has_short)
        m->e.servers[rig_pick(m, RIG_SERVERS)].timeout_max_ms = RIG_TIMEOUT_MS / 2;
}

void rig_end(struct rig_machine *m)
{
    px_session_free(m->session);
    m->session = NULL;
    px_watch_space_done(&m->spaces[0]); /* asserts that no path is held */
    px_watch_space_done(&m->spaces[1]);
}

void rig_end_run(struct rig_machine *m)
{
    if (!m->is_closed && m->client.fault[0] == '\0')
        rig_settle(m);
    rig_check_writes(m);
}

void rig_run(struct rig_machine *m, int steps)
{
    for (int i = 0; i < steps && !m->is_closed && m->client.fault[0] == '\0'; i++)
        rig_choose_step(m);
    rig_end_run(m);
}
