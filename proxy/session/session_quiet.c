/* Becoming quiet: RETURNING, HOLDING and HELD, LEAVING. Pure.
 * Quiet = both FIFOs empty and a frame boundary in both directions (design.md §4): then nothing is in doubt,
 * and the sockets may be closed, kept, or changed at will. A marker, a ping of ours, says up to which zxid
 * the server's events have come (protocol.md §4.2); a session that stays attached is quiet with its marker
 * only. */
#include "proxy/session/session_int.h"
#include "zkproto/assert.h"

static bool is_quiet(const struct session_data *data, const struct px_event *event)
{
    return data->pipeline.count == 0 && data->out_of_band.count == 0 && !event->is_client_mid_frame &&
           !event->is_server_mid_frame;
}

/* Quiet, and the marker came back. */
static bool is_settled(struct session_data *data, const struct px_event *event, struct px_actions *actions)
{
    if (!is_quiet(data, event))
        return false;
    if (!data->is_marked)
        data->is_marked = session_ask_server(data, event, actions, ZKP_OPX_PING);
    return data->pipeline.count == 0 && data->is_marked;
}

static enum px_session_state begin(struct session_data *data, const struct px_event *event,
                                   enum px_session_state next)
{
    data->deadline_ms = event->deadline_ms;
    data->is_marked = false;
    return next;
}

enum px_session_state on_return(struct session_data *data, const struct px_event *event,
                                struct px_actions *actions, enum px_session_state here)
{
    (void)here;
    if (event->skips_drain)
        return session_close(actions, PX_CLOSE_RETURNED);
    return begin(data, event, PX_SESSION_RETURNING);
}

enum px_session_state on_hold(struct session_data *data, const struct px_event *event,
                              struct px_actions *actions, enum px_session_state here)
{
    (void)actions;
    (void)here;
    return begin(data, event, PX_SESSION_HOLDING);
}

/* A new lease takes over. */
enum px_session_state on_hold_again(struct session_data *data, const struct px_event *event,
                                    struct px_actions *actions, enum px_session_state here)
{
    (void)actions;
    data->deadline_ms = event->deadline_ms;
    return here;
}

enum px_session_state on_move(struct session_data *data, const struct px_event *event,
                              struct px_actions *actions, enum px_session_state here)
{
    (void)actions;
    (void)here;
    return begin(data, event, PX_SESSION_LEAVING);
}

/* Back to normal. Its client was not read, so its silence proves nothing. */
static enum px_session_state resume(struct session_data *data, const struct px_event *event)
{
    data->heard_ms = event->now_ms;
    return PX_SESSION_ACTIVE;
}

enum px_session_state on_release(struct session_data *data, const struct px_event *event,
                                 struct px_actions *actions, enum px_session_state here)
{
    (void)actions;
    (void)here;
    return resume(data, event);
}

enum px_session_state on_returning_settle(struct session_data *data, const struct px_event *event,
                                          struct px_actions *actions, enum px_session_state here)
{
    return is_quiet(data, event) ? session_close(actions, PX_CLOSE_RETURNED) : here;
}

enum px_session_state on_holding_settle(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions, enum px_session_state here)
{
    return is_settled(data, event, actions) ? PX_SESSION_HELD : here;
}

/* The last reply is as good a marker as the answer to a ping while no event has come behind it: if anything
 * was written since, the next server's marker is beyond it, and the old one is asked then (session_drain.c).
 * Not the leader: of a session that has moved it can't be asked any more. And an exact cut, which lasting
 * watches need, is the easier to find the newer the first marker is. */
static bool has_marker(const struct session_data *data, const struct px_event *event)
{
    return data->is_marker_last && !event->old_leads && !session_has_lasting_watches(data);
}

enum px_session_state on_leaving_settle(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions, enum px_session_state here)
{
    if (!is_quiet(data, event) || !(has_marker(data, event) || is_settled(data, event, actions)))
        return here;
    return session_seek(data, event, actions, true, PX_SESSION_ACTIVE);
}

/* The lease, or the patience with a busy client, ends by itself. */
enum px_session_state on_quiet_tick(struct session_data *data, const struct px_event *event,
                                    struct px_actions *actions, enum px_session_state here)
{
    if (event->now_ms < data->deadline_ms)
        return here;
    if (here == PX_SESSION_LEAVING)
        actions->outcome = PX_OUTCOME_BUSY;
    return resume(data, event);
}

/* The client's pings wait with its requests: ours keep the session alive, so that a hold may last. */
enum px_session_state on_held_tick(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions, enum px_session_state here)
{
    if (event->now_ms >= data->deadline_ms)
        return resume(data, event);
    if (data->pipeline.count == 0 && event->now_ms - data->proof_ms >= data->server_timeout_ms / 4)
        (void)session_ask_server(data, event, actions, ZKP_OPX_PING); /* without memory its time runs out */
    return here;
}

/* Everybody is quiet now: behind a sync, the marker says how far the ensemble itself has come. */
enum px_session_state on_held_mark(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions, enum px_session_state here)
{
    (void)session_ask_server(data, event, actions,
                             ZKP_OPX_SYNC); /* without memory nothing can be proven later */
    return here;
}
