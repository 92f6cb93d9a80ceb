/* From the client's first byte to the ConnectResponse: GREETING, CLAIMING, WAITING, DIALING. Pure.
 * Connect frames: protocol.md §1.2. The client's flavour (with or without the readOnly byte) is kept
 * towards both sides, whatever a server sends (pitfall P37). */
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/assert.h"

static void password_keep(struct session_data *data, struct zkp_slice password)
{
    data->has_password = password.len == ZKP_PASSWORD_LEN;
    if (data->has_password)
        memcpy(data->password, password.ptr, ZKP_PASSWORD_LEN);
}

static int64_t connect_deadline(const struct px_event *event, int32_t timeout_ms)
{
    int32_t wait_ms = timeout_ms;

    if (wait_ms < SESSION_CONNECT_WAIT_MIN_MS)
        wait_ms = SESSION_CONNECT_WAIT_MIN_MS;
    if (wait_ms > SESSION_CONNECT_WAIT_MAX_MS)
        wait_ms = SESSION_CONNECT_WAIT_MAX_MS;
    return event->now_ms + wait_ms;
}

static enum px_session_state take_connect(struct session_data *data, const struct px_event *event,
                                          struct px_actions *actions)
{
    struct zkp_connect_request request;

    if (event->body.len < event->length || zkp_connect_request_decode(event->body, &request) != RC_OK)
        return session_close(actions, PX_CLOSE_BAD_CONNECT);
    data->session_id = request.session_id;
    data->last_zxid = request.last_zxid_seen;
    data->timeout_ms = request.timeout_ms;
    data->has_read_only = request.has_read_only;
    data->read_only = request.read_only;
    data->heard_ms = event->now_ms;
    data->deadline_ms = connect_deadline(event, request.timeout_ms);
    password_keep(data, request.password);
    if (data->session_id != 0) {
        session_act(actions, PX_ACTION_CLAIM)->session_id = data->session_id;
        return PX_SESSION_CLAIMING;
    }
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_WAITING;
}

enum px_session_state session_greeting(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_CLIENT_FRAME:
        return take_connect(data, event, actions);
    case PX_EVENT_CLIENT_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_TICK:
        return event->now_ms >= data->deadline_ms ? session_close(actions, PX_CLOSE_HANDSHAKE_TIMEOUT)
                                                  : PX_SESSION_GREETING;
    case PX_EVENT_SERVER_FRAME: /* no server yet */
    case PX_EVENT_SERVER_BAD:
    case PX_EVENT_SERVER_GONE:
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_CONFLICT:
    case PX_EVENT_SUPERSEDE: /* holds no session id */
    case PX_EVENT_RETURN:    /* nothing to return, hold or settle */
    case PX_EVENT_HOLD:
    case PX_EVENT_RELEASE:
    case PX_EVENT_SETTLE:
    case PX_EVENT_CONTINUE:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_GREETING;
}

/* What a server answers to a wrong password (protocol.md §1.2), then FIN. */
static enum px_session_state refuse_password(const struct session_data *data, struct px_actions *actions)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_expired_frame(data->has_read_only, frame, sizeof(frame));
    uint8_t *bytes = session_send(actions, PX_ACTION_SEND_CLIENT, length);

    ASSERT(bytes != NULL);
    memcpy(bytes, frame, length);
    return session_close(actions, PX_CLOSE_WRONG_PASSWORD);
}

enum px_session_state session_claiming(struct session_data *data, const struct px_event *event,
                                       struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_ADMITTED:
        session_act(actions, PX_ACTION_ROUTE);
        return PX_SESSION_WAITING;
    case PX_EVENT_DENIED:
        return refuse_password(data, actions);
    case PX_EVENT_CLIENT_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SUPERSEDE: /* the same client, once more: the newest connection wins */
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_TICK:
        return event->now_ms >= data->deadline_ms ? session_close(actions, PX_CLOSE_NO_SERVER)
                                                  : PX_SESSION_CLAIMING;
    case PX_EVENT_CLIENT_FRAME: /* not read in this state */
    case PX_EVENT_SERVER_FRAME: /* no server yet */
    case PX_EVENT_SERVER_BAD:
    case PX_EVENT_SERVER_GONE:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_CONFLICT:
    case PX_EVENT_RETURN: /* not established */
    case PX_EVENT_HOLD:
    case PX_EVENT_RELEASE:
    case PX_EVENT_SETTLE:
    case PX_EVENT_CONTINUE:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_CLAIMING;
}

enum px_session_state session_waiting(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_ROUTED:
        return PX_SESSION_DIALING;
    case PX_EVENT_CLIENT_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_TICK:
        return event->now_ms >= data->deadline_ms ? session_close(actions, PX_CLOSE_NO_SERVER)
                                                  : PX_SESSION_WAITING;
    case PX_EVENT_CLIENT_FRAME: /* not read in this state */
    case PX_EVENT_SERVER_FRAME: /* the last dial's connection is closed already */
    case PX_EVENT_SERVER_BAD:
    case PX_EVENT_SERVER_GONE:
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_CONFLICT:
    case PX_EVENT_RETURN: /* not established */
    case PX_EVENT_HOLD:
    case PX_EVENT_RELEASE:
    case PX_EVENT_SETTLE:
    case PX_EVENT_CONTINUE:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_WAITING;
}

static enum px_session_state send_connect(const struct session_data *data, struct px_actions *actions)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    struct zkp_connect_request request = {
        .last_zxid_seen = data->last_zxid,
        .timeout_ms = data->timeout_ms,
        .session_id = data->session_id,
        .has_read_only = data->has_read_only,
        .read_only = data->read_only,
    };
    uint32_t length;
    uint8_t *bytes;

    if (data->has_password)
        request.password = zkp_slice_of(data->password, ZKP_PASSWORD_LEN);
    length = zkp_connect_request_frame(&request, frame, sizeof(frame));
    bytes = session_send(actions, PX_ACTION_SEND_SERVER, length);
    ASSERT(length > 0 && bytes != NULL);
    memcpy(bytes, frame, length);
    return PX_SESSION_DIALING;
}

static void answer_connect(const struct session_data *data, struct zkp_connect_response response,
                           struct px_actions *actions)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length;
    uint8_t *bytes;

    response.has_read_only = data->has_read_only;
    length = zkp_connect_response_frame(&response, frame, sizeof(frame));
    bytes = session_send(actions, PX_ACTION_SEND_CLIENT, length);
    ASSERT(length > 0 && bytes != NULL);
    memcpy(bytes, frame, length);
}

static enum px_session_state reject(struct px_actions *actions)
{
    session_act(actions, PX_ACTION_REJECT_DIAL);
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_WAITING;
}

/* A server in read-only mode answers a new session with a bare error frame instead (protocol.md §3.4):
 * no ConnectResponse, so another server is tried. */
static enum px_session_state take_answer(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions)
{
    struct zkp_connect_response response;

    if (event->body.len < event->length || zkp_connect_response_decode(event->body, &response) != RC_OK ||
        response.password.len != ZKP_PASSWORD_LEN)
        return reject(actions);
    session_act(actions, PX_ACTION_DROP);
    if (response.timeout_ms <= 0 || response.session_id == 0) {
        answer_connect(data, response, actions);
        return session_close(actions, PX_CLOSE_EXPIRED);
    }
    data->session_id = response.session_id;
    data->timeout_ms = response.timeout_ms;
    password_keep(data, response.password);
    data->is_confirmed = true;
    data->established_ms = event->now_ms;
    data->heard_ms = event->now_ms;
    /* In this order: who knows the id could attach it elsewhere before we hold it. */
    session_act(actions, PX_ACTION_ESTABLISHED)->session_id = data->session_id;
    answer_connect(data, response, actions);
    return PX_SESSION_ACTIVE;
}

enum px_session_state session_dialing(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_DIALLED:
        return send_connect(data, actions);
    case PX_EVENT_SERVER_FRAME:
        return take_answer(data, event, actions);
    case PX_EVENT_SERVER_BAD:
        return reject(actions);
    case PX_EVENT_SERVER_GONE:
        session_act(actions, PX_ACTION_ROUTE);
        return PX_SESSION_WAITING;
    case PX_EVENT_CLIENT_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_TICK:         /* the dial has a deadline of its own, within the connect's */
    case PX_EVENT_CLIENT_FRAME: /* not read in this state */
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_CONFLICT:
    case PX_EVENT_RETURN: /* not established; the shell asks again when it is */
    case PX_EVENT_HOLD:
    case PX_EVENT_RELEASE:
    case PX_EVENT_SETTLE:
    case PX_EVENT_CONTINUE:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_DIALING;
}
