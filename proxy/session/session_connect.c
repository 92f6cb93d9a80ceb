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

enum px_session_state on_connect_request(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here)
{
    struct zkp_connect_request request;

    (void)here;

    if (event->body.len < event->length || zkp_connect_request_decode(event->body, &request) != RC_OK)
        return session_close(actions, PX_CLOSE_BAD_CONNECT);
    data->session_id = request.session_id;
    data->last_zxid = request.last_zxid_seen;
    data->marker = request.last_zxid_seen;
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

enum px_session_state on_connect_late(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions, enum px_session_state here)
{
    return event->now_ms >= data->deadline_ms ? session_close(actions, PX_CLOSE_HANDSHAKE_TIMEOUT) : here;
}

enum px_session_state on_claim_late(struct session_data *data, const struct px_event *event,
                                    struct px_actions *actions, enum px_session_state here)
{
    return event->now_ms >= data->deadline_ms ? session_close(actions, PX_CLOSE_NO_SERVER) : here;
}

enum px_session_state on_admitted(struct session_data *data, const struct px_event *event,
                                  struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_WAITING;
}

/* What a server answers to a wrong password (protocol.md §1.2), then FIN. */
enum px_session_state on_denied(struct session_data *data, const struct px_event *event,
                                struct px_actions *actions, enum px_session_state here)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_expired_frame(data->has_read_only, frame, sizeof(frame));
    uint8_t *bytes = session_send(actions, PX_ACTION_SEND_CLIENT, length);

    (void)event;
    (void)here;
    ASSERT(bytes != NULL);
    memcpy(bytes, frame, length);
    return session_close(actions, PX_CLOSE_WRONG_PASSWORD);
}

enum px_session_state on_routed(struct session_data *data, const struct px_event *event,
                                struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)actions;
    (void)here;
    return PX_SESSION_DIALING;
}

enum px_session_state on_dialled(struct session_data *data, const struct px_event *event,
                                 struct px_actions *actions, enum px_session_state here)
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

    data->proof_ms = event->now_ms; /* of the ConnectResponse, if one comes */
    if (data->has_password)
        request.password = zkp_slice_of(data->password, ZKP_PASSWORD_LEN);
    length = zkp_connect_request_frame(&request, frame, sizeof(frame));
    bytes = session_send(actions, PX_ACTION_SEND_NEXT, length);
    ASSERT(length > 0 && bytes != NULL);
    memcpy(bytes, frame, length);
    return here;
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

enum px_session_state on_connect_bad(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    session_act(actions, PX_ACTION_DROP_NEXT);
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_WAITING;
}

enum px_session_state on_connect_failed(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    session_act(actions, PX_ACTION_ROUTE);
    return PX_SESSION_WAITING;
}

static void established(struct session_data *data, const struct px_event *event,
                        const struct zkp_connect_response *response)
{
    data->session_id = response->session_id;
    data->timeout_ms = response->timeout_ms;
    data->server_timeout_ms = response->timeout_ms;
    password_keep(data, response->password);
    data->is_confirmed = true;
    data->is_attached_read_only = response->has_read_only && response->read_only;
    data->established_ms = event->now_ms;
    data->heard_ms = event->now_ms;
}

/* A server in read-only mode answers a new session with a bare error frame instead (protocol.md §3.4):
 * no ConnectResponse, so another server is tried. */
enum px_session_state on_connect_answer(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions, enum px_session_state here)
{
    struct zkp_connect_response response;

    if (event->body.len < event->length || zkp_connect_response_decode(event->body, &response) != RC_OK ||
        response.password.len != ZKP_PASSWORD_LEN)
        return on_connect_bad(data, event, actions, here);
    session_act(actions, PX_ACTION_DROP);
    if (response.timeout_ms <= 0 || response.session_id == 0) {
        answer_connect(data, response, actions);
        return session_close(actions, PX_CLOSE_EXPIRED);
    }
    established(data, event, &response);
    /* In this order: who knows the id could attach it elsewhere before we hold it. */
    session_act(actions, PX_ACTION_ADOPT)->session_id = data->session_id;
    answer_connect(data, response, actions);
    return PX_SESSION_ACTIVE;
}
