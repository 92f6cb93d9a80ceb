/* States, the step, and what both kinds of handlers share. Pure. */
#include "proxy/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

struct px_session {
    enum px_session_state state;
    struct session_data data;
};

static const struct {
    const char *label;
    bool is_read;
    uint32_t targets;
} states[PX_SESSION_STATE_COUNT] = {
#define TO(name) (1u << PX_SESSION_##name)
#define STATE_ROW(name, text, reads, to)                                                                     \
    [PX_SESSION_##name] = {.label = (text), .is_read = (reads), .targets = (to)},
    PX_SESSION_STATES(STATE_ROW)
#undef STATE_ROW
#undef TO
};

const char *px_session_state_name(enum px_session_state state)
{
    return states[state].label;
}

bool px_session_may_go(enum px_session_state from, enum px_session_state to)
{
    return (states[from].targets & 1u << to) != 0;
}

const char *px_event_name(enum px_event_kind kind)
{
    static const char *const names[PX_EVENT_COUNT] = {
#define EVENT_NAME(name, label) [PX_EVENT_##name] = (label),
        PX_SESSION_EVENTS(EVENT_NAME)
#undef EVENT_NAME
    };
    return names[kind];
}

const char *px_close_reason_name(enum px_close_reason reason)
{
    static const char *const names[PX_CLOSE_COUNT] = {
#define REASON_NAME(A, name, label) [PX_CLOSE_##name] = (label),
        PX_CLOSE_REASONS(REASON_NAME, )
#undef REASON_NAME
    };
    return names[reason];
}

const char *px_misfit_name(enum px_misfit misfit)
{
    static const char *const names[PX_MISFIT_COUNT] = {[PX_MISFIT_SKIPPED] = "skipped",
                                                       [PX_MISFIT_UNASKED] = "unasked",
                                                       [PX_MISFIT_UNREADABLE] = "unreadable"};
    return names[misfit];
}

struct px_action *session_act(struct px_actions *actions, enum px_action_kind kind)
{
    struct px_action *action;

    ASSERT(actions->count < PX_ACTIONS_MAX);
    action = &actions->list[actions->count++];
    action->kind = kind;
    return action;
}

uint8_t *session_send(struct px_actions *actions, enum px_action_kind kind, uint32_t length)
{
    struct px_action *action;
    uint8_t *bytes = actions->bytes + actions->bytes_length;

    if (length > PX_ACTION_BYTES_MAX - actions->bytes_length || actions->count == PX_ACTIONS_MAX)
        return NULL;
    action = session_act(actions, kind);
    action->send.offset = actions->bytes_length;
    action->send.length = length;
    actions->bytes_length += length;
    return bytes;
}

/* sync of "/"; auth with the scheme every server has and that changes nothing (protocol.md §3.4). */
static struct zkp_slice own_body(int32_t type)
{
    static const uint8_t sync[] = {0, 0, 0, 1, '/'};
    static const uint8_t auth[] = {0, 0, 0, 0, 0, 0, 0, 2, 'i', 'p', 0, 0, 0, 0};

    if (type == ZKP_OP_SYNC)
        return zkp_slice_of(sync, sizeof(sync));
    if (type == ZKP_OP_AUTH)
        return zkp_slice_of(auth, sizeof(auth));
    return (struct zkp_slice){0};
}

void session_send_own(struct px_actions *actions, enum px_action_kind kind, int32_t xid, int32_t type)
{
    struct zkp_request_header header = {.xid = xid, .type = type};
    const uint32_t head = ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN;
    struct zkp_slice body = own_body(type);
    uint8_t *bytes = session_send(actions, kind, head + body.len);

    ASSERT(bytes != NULL);
    ASSERT(zkp_request_header_frame(header, bytes, head) == head);
    zkp_store_i32(bytes, (int32_t)(ZKP_REQUEST_HEADER_LEN + body.len));
    if (body.len > 0)
        memcpy(bytes + head, body.ptr, body.len);
}

void session_put(struct px_actions *actions, enum px_action_kind kind, struct zkp_slice slice)
{
    if (slice.len > 0)
        session_act(actions, kind)->slice = slice;
}

enum px_session_state session_close(struct px_actions *actions, enum px_close_reason reason)
{
    session_act(actions, PX_ACTION_CLOSE)->reason = reason;
    return PX_SESSION_DEAD;
}

const char *px_stall_name(enum px_stall stall)
{
    static const char *const names[] = {
#define STALL_NAME(name, label) label,
        PX_STALLS(STALL_NAME)
#undef STALL_NAME
    };
    return names[stall];
}

static enum px_stall stall_of(enum px_session_state before, enum px_outcome outcome)
{
    if (before < PX_SESSION_ACTIVE)
        return PX_STALL_NONE; /* its connect was being answered */
    if (outcome == PX_OUTCOME_MOVED)
        return PX_STALL_MOVED;
    if (outcome == PX_OUTCOME_REATTACHED)
        return PX_STALL_REATTACHED;
    return before == PX_SESSION_HOLDING || before == PX_SESSION_HELD ? PX_STALL_HELD : PX_STALL_STAYED;
}

/* The only writer of state, after session_new_in. */
static void session_goto(struct px_session *session, enum px_session_state next, const struct px_event *event,
                         struct px_actions *actions)
{
    enum px_session_state before = session->state;

    ASSERT(px_session_may_go(before, next));
    session->state = next;
    if (next == PX_SESSION_DEAD || states[before].is_read == states[next].is_read)
        return;
    session_act(actions, states[next].is_read ? PX_ACTION_RESUME_CLIENT : PX_ACTION_PAUSE_CLIENT);
    if (states[next].is_read) {
        actions->stall = stall_of(before, actions->outcome);
        actions->stall_us = event->now_us - session->data.paused_us;
    } else {
        session->data.paused_us = event->now_us;
    }
}

void px_session_step(struct px_session *session, const struct px_event *event, struct px_actions *ret_actions)
{
    enum px_session_state next;

    ret_actions->count = 0;
    ret_actions->bytes_length = 0;
    ret_actions->has_more = false;
    ret_actions->note = PX_NOTE_NONE;
    ret_actions->outcome = PX_OUTCOME_NONE;
    ret_actions->stall = PX_STALL_NONE;
    ret_actions->dropped_events = 0;
    if (session->data.transfer != NULL && session->data.transfer->is_over)
        session_transfer_free(&session->data);
    next = session_handle(&session->data, event, ret_actions, session->state);
    if (next != session->state)
        session_goto(session, next, event, ret_actions);
}

struct px_session *session_new_in(enum px_session_state state, struct px_watch_space *space)
{
    struct px_session *session = calloc(1, sizeof(*session));

    if (session == NULL)
        return NULL;
    session->state = state;
    px_watch_set_init(&session->data.watches, space);
    return session;
}

const struct session_data *session_data_of(const struct px_session *session)
{
    return &session->data;
}

struct session_data *session_data_edit(struct px_session *session)
{
    return &session->data;
}

struct px_session *px_session_new(bool hides_config, int64_t deadline_ms, struct px_watch_space *space)
{
    struct px_session *session = session_new_in(PX_SESSION_GREETING, space);

    if (session == NULL)
        return NULL;
    session->data.deadline_ms = deadline_ms;
    session->data.hides_config = hides_config;
    return session;
}

void px_session_free(struct px_session *session)
{
    struct px_watch_space *space;

    if (session == NULL)
        return;
    space = session->data.watches.space;
    px_request_queue_done(&session->data.pipeline, &space->blocks);
    px_request_queue_done(&session->data.out_of_band, &space->blocks);
    session_kept_done(&session->data);
    if (session->data.auths.bytes != NULL)
        explicit_bzero(session->data.auths.bytes, session->data.auths.capacity);
    px_buffer_done(&session->data.auths);
    session_transfer_free(&session->data);
    px_watch_queue_done(&session->data.wishes, space->paths, &space->blocks);
    px_watch_set_done(&session->data.watches);
    explicit_bzero(session->data.password, sizeof(session->data.password));
    free(session);
}

enum px_session_state px_session_state(const struct px_session *session)
{
    return session->state;
}

uint32_t px_session_outstanding(const struct px_session *session)
{
    return session->data.pipeline.count + session->data.out_of_band.count;
}

int64_t px_session_last_zxid(const struct px_session *session)
{
    return session->data.last_zxid;
}

bool px_session_is_new(const struct px_session *session)
{
    return session->data.session_id == 0 && session->data.last_zxid == 0;
}

bool px_session_takes_read_only(const struct px_session *session)
{
    return session->data.has_read_only && session->data.read_only;
}

int64_t px_session_deadline_ms(const struct px_session *session)
{
    return session->data.deadline_ms;
}

bool px_session_may_leave(const struct px_session *session, int64_t now_ms)
{
    return session->state == PX_SESSION_ACTIVE &&
           now_ms - session->data.heard_ms < session->data.timeout_ms / 2;
}

bool px_session_is_detached(const struct px_session *session)
{
    return session->data.transfer != NULL && !session->data.transfer->is_over &&
           !session->data.transfer->has_old;
}

enum px_obstacle px_session_obstacle(const struct px_session *session)
{
    const struct session_data *data = &session->data;

    if (data->has_sasl)
        return PX_OBSTACLE_SASL;
    if (data->has_lost_auth)
        return PX_OBSTACLE_AUTH;
    if (data->is_attached_read_only)
        return PX_OBSTACLE_READ_ONLY;
    if (data->is_local)
        return PX_OBSTACLE_LOCAL;
    return data->watches.is_unknown ? PX_OBSTACLE_WATCHES : PX_OBSTACLE_NONE;
}

static bool is_password(const struct session_data *data, struct zkp_slice password)
{
    uint8_t difference = 0;

    if (!data->has_password || password.len != ZKP_PASSWORD_LEN)
        return false;
    for (uint32_t i = 0; i < ZKP_PASSWORD_LEN; i++)
        difference |= (uint8_t)(password.ptr[i] ^ data->password[i]);
    return difference == 0;
}

enum px_password px_session_password_judge(const struct px_session *session, struct zkp_slice password)
{
    if (is_password(&session->data, password))
        return PX_PASSWORD_FITS;
    return session->data.is_confirmed ? PX_PASSWORD_WRONG : PX_PASSWORD_UNDECIDED;
}

struct zkp_slice px_session_password(const struct px_session *session)
{
    if (!session->data.has_password)
        return (struct zkp_slice){0};
    return zkp_slice_of(session->data.password, ZKP_PASSWORD_LEN);
}

const struct px_watch_set *px_session_watches(const struct px_session *session)
{
    return &session->data.watches;
}

void px_session_facts_get(const struct px_session *session, struct px_session_facts *ret_facts)
{
    const struct session_data *data = &session->data;
    const struct px_request *awaited = px_request_queue_head(&data->pipeline);

    *ret_facts = (struct px_session_facts){
        .session_id = data->session_id,
        .last_zxid = data->last_zxid,
        .marker = data->marker,
        .heard_ms = data->heard_ms,
        .established_ms = data->established_ms,
        .timeout_ms = data->timeout_ms,
        .last_xid = data->last_xid,
        .last_op = (enum zkp_op_index)data->last_op,
        .received_count = data->received_count,
        .sent_count = data->sent_count,
    };
    if (awaited == NULL)
        return;
    ret_facts->awaited_xid = awaited->xid;
    ret_facts->awaited_op = (enum zkp_op_index)awaited->op;
}

uint32_t px_session_client_need(const struct px_session *session, uint32_t length, struct zkp_slice body)
{
    if (session->state == PX_SESSION_GREETING)
        return length;
    return session_request_need(length, body);
}

uint32_t px_session_server_need(const struct px_session *session, uint32_t length, struct zkp_slice body)
{
    return session_reply_need(&session->data, length, body);
}
