/* An established session at rest: serving, closing, and the ends that all states share. Pure. */
#include "proxy/session/session_int.h"
#include "zkproto/header.h"

enum px_session_state on_bad(struct session_data *data, const struct px_event *event,
                             struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)here;
    return session_close(actions, event->reason);
}

enum px_session_state session_misfit(struct session_data *data, struct px_actions *actions,
                                     enum px_misfit misfit, enum px_session_state here)
{
    data->has_misfit = true;
    session_act(actions, PX_ACTION_LOSE_SERVER)->misfit = misfit;
    return here;
}

/* Its bytes make no frames any more; another server's may. */
enum px_session_state on_server_bad(struct session_data *data, const struct px_event *event,
                                    struct px_actions *actions, enum px_session_state here)
{
    if (event->reason != PX_CLOSE_SERVER_PROTOCOL)
        return on_bad(data, event, actions, here);
    return session_misfit(data, actions, PX_MISFIT_UNREADABLE, here);
}

enum px_session_state on_client_gone(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    return session_close(actions, PX_CLOSE_CLIENT_GONE);
}

/* The same client, once more: the newest connection wins. */
enum px_session_state on_superseded(struct session_data *data, const struct px_event *event,
                                    struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    return session_close(actions, PX_CLOSE_SUPERSEDED);
}

enum px_session_state on_conflict(struct session_data *data, const struct px_event *event,
                                  struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    return session_close(actions, PX_CLOSE_OWNER_CONFLICT);
}

enum px_session_state on_stop(struct session_data *data, const struct px_event *event,
                              struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    return session_close(actions, PX_CLOSE_SHUTDOWN);
}

enum px_session_state on_continue(struct session_data *data, const struct px_event *event,
                                  struct px_actions *actions, enum px_session_state here)
{
    (void)event;
    session_answer_local(data, actions);
    return here;
}

bool session_ask_server(struct session_data *data, const struct px_event *event, struct px_actions *actions,
                        enum zkp_op_index op)
{
    struct px_request request = {.xid = op == ZKP_OPX_PING ? ZKP_XID_PING : SESSION_XID_OURS,
                                 .sent_us = event->now_us,
                                 .op = (uint8_t)op,
                                 .kind = PX_REQUEST_OURS};

    if (px_request_queue_push(&data->pipeline, &data->watches.space->blocks, request) != RC_OK)
        return false;
    session_send_own(actions, PX_ACTION_SEND_SERVER, request.xid, zkp_op_row(op)->number);
    return true;
}

/* One at a time: a server that does not answer the first gets no second. */
enum px_session_state on_active_ping(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    if (data->pipeline.count == 0 && !event->is_client_mid_frame)
        (void)session_ask_server(data, event, actions,
                                 ZKP_OPX_PING); /* without memory the client's own pings must do */
    return here;
}

/* A server that grants less time than the client believes in needs more pings than the client sends; they
 * stop when the client has been silent so long that the session may end (design.md §4). */
static bool needs_ping(const struct session_data *data, const struct px_event *event)
{
    return data->server_timeout_ms < data->timeout_ms &&
           event->now_ms - data->proof_ms >= data->server_timeout_ms / 4 &&
           event->now_ms - data->heard_ms < data->timeout_ms - data->server_timeout_ms;
}

/* A client that is silent for its whole timeout is dead, or has a successor elsewhere: both legs go. */
enum px_session_state on_active_tick(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    if (event->now_ms - data->heard_ms >= data->timeout_ms)
        return session_close(actions, PX_CLOSE_SILENT);
    return needs_ping(data, event) ? on_active_ping(data, event, actions, here) : here;
}

enum px_session_state on_end_client_gone(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here)
{
    (void)event;
    if (data->pipeline.count == 0)
        return session_close(actions, PX_CLOSE_CLOSE_SESSION);
    session_act(actions, PX_ACTION_CLOSE_CLIENT);
    return here;
}

enum px_session_state on_end_server_gone(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here)
{
    (void)data;
    (void)event;
    (void)here;
    return session_close(actions, PX_CLOSE_CLOSE_SESSION);
}

enum px_session_state on_close_session_tick(struct session_data *data, const struct px_event *event,
                                            struct px_actions *actions, enum px_session_state here)
{
    if (event->now_ms < data->deadline_ms)
        return here;
    return session_close(actions, data->write_count > 0 ? PX_CLOSE_UNKNOWN_OUTCOME : PX_CLOSE_SERVER_GONE);
}
