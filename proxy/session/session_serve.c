/* An established session: ACTIVE, on its way to quiet (RETURNING, HOLDING), HELD, ENDING. Pure.
 * Quiet = both FIFOs empty and a frame boundary in both directions (design.md §4): then nothing is in doubt,
 * and the sockets may be closed or kept at will. */
#include "proxy/session/session_int.h"

static bool is_quiet(const struct session_data *data, const struct px_event *event)
{
    return data->pipeline.count == 0 && data->out_of_band.count == 0 && !event->is_client_mid_frame &&
           !event->is_server_mid_frame;
}

static enum px_session_state lose_server(const struct session_data *data, struct px_actions *actions)
{
    return session_close(actions, data->write_count > 0 ? PX_CLOSE_UNKNOWN_OUTCOME : PX_CLOSE_SERVER_GONE);
}

static enum px_session_state continue_local(struct session_data *data, struct px_actions *actions,
                                            enum px_session_state here)
{
    session_answer_local(data, actions);
    return here;
}

/* A client that is silent for its whole timeout is dead, or has a successor elsewhere: both legs go. */
static enum px_session_state active_tick(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions)
{
    px_request_queue_trim(&data->pipeline);
    px_request_queue_trim(&data->out_of_band);
    px_watch_queue_trim(&data->wishes);
    if (event->now_ms - data->heard_ms >= data->timeout_ms)
        return session_close(actions, PX_CLOSE_SILENT);
    return PX_SESSION_ACTIVE;
}

static enum px_session_state begin_return(struct session_data *data, const struct px_event *event,
                                          struct px_actions *actions)
{
    if (event->skips_drain)
        return session_close(actions, PX_CLOSE_RETURNED);
    data->deadline_ms = event->deadline_ms;
    return PX_SESSION_RETURNING;
}

enum px_session_state session_active(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_CLIENT_FRAME:
        return session_request(data, event, actions, PX_SESSION_ACTIVE);
    case PX_EVENT_SERVER_FRAME:
        return session_reply(data, event, actions, PX_SESSION_ACTIVE);
    case PX_EVENT_CONTINUE:
        return continue_local(data, actions, PX_SESSION_ACTIVE);
    case PX_EVENT_CLIENT_BAD:
    case PX_EVENT_SERVER_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SERVER_GONE:
        return lose_server(data, actions);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_CONFLICT:
        return session_close(actions, PX_CLOSE_OWNER_CONFLICT);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_TICK:
        return active_tick(data, event, actions);
    case PX_EVENT_RETURN:
        return begin_return(data, event, actions);
    case PX_EVENT_HOLD:
        data->deadline_ms = event->deadline_ms;
        return PX_SESSION_HOLDING;
    case PX_EVENT_RELEASE: /* was not held */
    case PX_EVENT_SETTLE:  /* nothing waits for quiet */
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_ACTIVE;
}

/* Back to normal. Its client was not read, so its silence proves nothing. */
static enum px_session_state resume(struct session_data *data, const struct px_event *event)
{
    data->heard_ms = event->now_ms;
    return PX_SESSION_ACTIVE;
}

enum px_session_state session_returning(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_CLIENT_FRAME: /* the rest of one that had begun */
        return session_request(data, event, actions, PX_SESSION_RETURNING);
    case PX_EVENT_SERVER_FRAME:
        return session_reply(data, event, actions, PX_SESSION_RETURNING);
    case PX_EVENT_CONTINUE:
        return continue_local(data, actions, PX_SESSION_RETURNING);
    case PX_EVENT_SETTLE:
        return is_quiet(data, event) ? session_close(actions, PX_CLOSE_RETURNED) : PX_SESSION_RETURNING;
    case PX_EVENT_TICK:
        return event->now_ms >= data->deadline_ms ? resume(data, event) : PX_SESSION_RETURNING;
    case PX_EVENT_CLIENT_BAD:
    case PX_EVENT_SERVER_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SERVER_GONE:
        return lose_server(data, actions);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_CONFLICT:
        return session_close(actions, PX_CLOSE_OWNER_CONFLICT);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_RETURN: /* under way */
    case PX_EVENT_HOLD:   /* is about to leave anyway; asked again if it does not */
    case PX_EVENT_RELEASE:
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_RETURNING;
}

enum px_session_state session_holding(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_CLIENT_FRAME: /* the rest of one that had begun */
        return session_request(data, event, actions, PX_SESSION_HOLDING);
    case PX_EVENT_SERVER_FRAME:
        return session_reply(data, event, actions, PX_SESSION_HOLDING);
    case PX_EVENT_CONTINUE:
        return continue_local(data, actions, PX_SESSION_HOLDING);
    case PX_EVENT_SETTLE:
        return is_quiet(data, event) ? PX_SESSION_HELD : PX_SESSION_HOLDING;
    case PX_EVENT_TICK: /* the lease ends by itself */
        return event->now_ms >= data->deadline_ms ? resume(data, event) : PX_SESSION_HOLDING;
    case PX_EVENT_RELEASE:
        return resume(data, event);
    case PX_EVENT_CLIENT_BAD:
    case PX_EVENT_SERVER_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SERVER_GONE:
        return lose_server(data, actions);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_CONFLICT:
        return session_close(actions, PX_CLOSE_OWNER_CONFLICT);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_HOLD: /* a new lease takes over */
        data->deadline_ms = event->deadline_ms;
        break;
    case PX_EVENT_RETURN: /* not during a hold */
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_HOLDING;
}

/* Nothing is outstanding, so a lost server leaves nothing in doubt: the client just comes back. */
enum px_session_state session_held(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_SERVER_FRAME: /* watch events go on; a reply would answer nothing */
        return session_reply(data, event, actions, PX_SESSION_HELD);
    case PX_EVENT_TICK:
        return event->now_ms >= data->deadline_ms ? resume(data, event) : PX_SESSION_HELD;
    case PX_EVENT_RELEASE:
        return resume(data, event);
    case PX_EVENT_CLIENT_BAD:
    case PX_EVENT_SERVER_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_CLIENT_GONE:
        return session_close(actions, PX_CLOSE_CLIENT_GONE);
    case PX_EVENT_SERVER_GONE:
        return session_close(actions, PX_CLOSE_SERVER_GONE);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_CONFLICT:
        return session_close(actions, PX_CLOSE_OWNER_CONFLICT);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_HOLD: /* a new lease takes over */
        data->deadline_ms = event->deadline_ms;
        break;
    case PX_EVENT_CLIENT_FRAME: /* not read in this state */
    case PX_EVENT_RETURN:       /* not during a hold */
    case PX_EVENT_SETTLE:
    case PX_EVENT_CONTINUE:
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_HELD;
}

/* A library may close its socket right behind closeSession: the server leg stays until the server has
 * answered, because an early close could lose the request. */
enum px_session_state session_ending(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions)
{
    switch (event->kind) {
    case PX_EVENT_CLIENT_FRAME:
        return session_request(data, event, actions, PX_SESSION_ENDING);
    case PX_EVENT_SERVER_FRAME:
        return session_reply(data, event, actions, PX_SESSION_ENDING);
    case PX_EVENT_CONTINUE:
        return continue_local(data, actions, PX_SESSION_ENDING);
    case PX_EVENT_CLIENT_GONE:
        if (data->pipeline.count == 0)
            return session_close(actions, PX_CLOSE_CLOSE_SESSION);
        session_act(actions, PX_ACTION_CLOSE_CLIENT);
        return PX_SESSION_ENDING;
    case PX_EVENT_SERVER_GONE:
        return session_close(actions, PX_CLOSE_CLOSE_SESSION);
    case PX_EVENT_TICK:
        return event->now_ms >= data->deadline_ms ? lose_server(data, actions) : PX_SESSION_ENDING;
    case PX_EVENT_CLIENT_BAD:
    case PX_EVENT_SERVER_BAD:
        return session_close(actions, event->reason);
    case PX_EVENT_SUPERSEDE:
        return session_close(actions, PX_CLOSE_SUPERSEDED);
    case PX_EVENT_CONFLICT:
        return session_close(actions, PX_CLOSE_OWNER_CONFLICT);
    case PX_EVENT_STOP:
        return session_close(actions, PX_CLOSE_SHUTDOWN);
    case PX_EVENT_RETURN: /* leaves by itself */
    case PX_EVENT_HOLD:
    case PX_EVENT_RELEASE:
    case PX_EVENT_SETTLE:
    case PX_EVENT_ADMITTED:
    case PX_EVENT_DENIED:
    case PX_EVENT_ROUTED:
    case PX_EVENT_DIALLED:
    case PX_EVENT_COUNT:
        break;
    }
    return PX_SESSION_ENDING;
}
