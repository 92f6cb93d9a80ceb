/* What each event does in each state: one cell per pair that means something. Pure. */
#include "proxy/session/session_int.h"

/* However a session stands, these end it. */
#define ENDS        [PX_EVENT_CLIENT_BAD] = on_bad, [PX_EVENT_SUPERSEDE] = on_superseded, [PX_EVENT_STOP] = on_stop
#define CLIENT_ENDS [PX_EVENT_CLIENT_GONE] = on_client_gone
/* … and an established one also these. */
#define ESTABLISHED_ENDS ENDS, [PX_EVENT_SERVER_BAD] = on_server_bad, [PX_EVENT_CONFLICT] = on_conflict
/* While its client's requests go through, if only the rest of one that had begun. */
#define SERVES                                                                                               \
    [PX_EVENT_CLIENT_FRAME] = on_request, [PX_EVENT_SERVER_FRAME] = on_reply,                                \
    [PX_EVENT_CONTINUE] = on_continue
#define MASKED [PX_EVENT_SERVER_GONE] = on_server_lost, [PX_EVENT_SILENT] = on_server_silent
/* The old server of a session that moves. */
#define OLD_SERVER                                                                                           \
    [PX_EVENT_SERVER_FRAME] = on_old_frame, [PX_EVENT_SERVER_BAD] = on_old_gone,                             \
    [PX_EVENT_SERVER_GONE] = on_old_gone

static px_handler *const handlers[PX_SESSION_STATE_COUNT][PX_EVENT_COUNT] = {
    [PX_SESSION_GREETING] = {[PX_EVENT_CLIENT_FRAME] = on_connect_request,
                             [PX_EVENT_CLIENT_BAD] = on_bad,
                             [PX_EVENT_STOP] = on_stop,
                             CLIENT_ENDS,
                             [PX_EVENT_TICK] = on_connect_late},
    [PX_SESSION_CLAIMING] = {[PX_EVENT_ADMITTED] = on_admitted,
                             [PX_EVENT_DENIED] = on_denied,
                             ENDS,
                             CLIENT_ENDS,
                             [PX_EVENT_TICK] = on_claim_late},
    [PX_SESSION_WAITING] =
        {[PX_EVENT_ROUTED] = on_routed, ENDS, CLIENT_ENDS, [PX_EVENT_TICK] = on_claim_late},
    /* The dial has a deadline of its own, within the connect's. */
    [PX_SESSION_DIALING] = {[PX_EVENT_DIALLED] = on_dialled,
                            [PX_EVENT_NEXT_FRAME] = on_connect_answer,
                            [PX_EVENT_NEXT_BAD] = on_connect_bad,
                            [PX_EVENT_NEXT_GONE] = on_connect_failed,
                            ENDS,
                            CLIENT_ENDS},
    [PX_SESSION_ACTIVE] =
        {SERVES, MASKED, ESTABLISHED_ENDS,
         CLIENT_ENDS, [PX_EVENT_TICK] = on_active_tick, [PX_EVENT_PING] = on_active_ping,
         [PX_EVENT_RETURN] = on_return, [PX_EVENT_HOLD] = on_hold, [PX_EVENT_MOVE] = on_move},
    [PX_SESSION_RETURNING] = {SERVES, MASKED, ESTABLISHED_ENDS,
                              CLIENT_ENDS, [PX_EVENT_CLIENT_PING] = on_client_ping,
                              [PX_EVENT_SETTLE] = on_returning_settle, [PX_EVENT_TICK] = on_quiet_tick},
    [PX_SESSION_HOLDING] =
        {SERVES, MASKED, ESTABLISHED_ENDS,
         CLIENT_ENDS, [PX_EVENT_CLIENT_PING] = on_client_ping, [PX_EVENT_SETTLE] = on_holding_settle,
         [PX_EVENT_HOLD] = on_hold_again, [PX_EVENT_RELEASE] = on_release, [PX_EVENT_TICK] = on_quiet_tick},
    /* Watch events and replies to our pings go on. */
    [PX_SESSION_HELD] = {[PX_EVENT_SERVER_FRAME] = on_reply,
                         MASKED,
                         ESTABLISHED_ENDS,
                         CLIENT_ENDS,
                         [PX_EVENT_CLIENT_PING] = on_client_ping,
                         [PX_EVENT_PING] = on_held_mark,
                         [PX_EVENT_HOLD] = on_hold_again,
                         [PX_EVENT_RELEASE] = on_release,
                         [PX_EVENT_TICK] = on_held_tick},
    [PX_SESSION_LEAVING] = {SERVES, MASKED, ESTABLISHED_ENDS,
                            CLIENT_ENDS, [PX_EVENT_CLIENT_PING] = on_client_ping,
                            [PX_EVENT_SETTLE] = on_leaving_settle, [PX_EVENT_TICK] = on_quiet_tick},
    [PX_SESSION_SEEKING] = {OLD_SERVER, ENDS, CLIENT_ENDS, [PX_EVENT_CONFLICT] = on_conflict,
                            [PX_EVENT_CLIENT_PING] = on_client_ping, [PX_EVENT_ROUTED] = on_seek_routed,
                            [PX_EVENT_UNROUTED] = on_seek_unrouted, [PX_EVENT_TICK] = on_seek_tick},
    [PX_SESSION_JOINING] = {OLD_SERVER, ENDS, CLIENT_ENDS, [PX_EVENT_CONFLICT] = on_conflict,
                            [PX_EVENT_CLIENT_PING] = on_client_ping, [PX_EVENT_DIALLED] = on_join_dialled,
                            [PX_EVENT_NEXT_FRAME] = on_join_answer, [PX_EVENT_NEXT_BAD] = on_join_failed,
                            [PX_EVENT_NEXT_GONE] = on_join_failed, [PX_EVENT_TICK] = on_seek_tick},
    [PX_SESSION_RESTORING] = {[PX_EVENT_SERVER_FRAME] = on_restore_old_frame,
                              [PX_EVENT_SERVER_BAD] = on_restore_old_gone,
                              [PX_EVENT_SERVER_GONE] = on_restore_old_gone,
                              ENDS,
                              CLIENT_ENDS,
                              [PX_EVENT_CONFLICT] = on_conflict,
                              [PX_EVENT_CLIENT_PING] = on_client_ping,
                              [PX_EVENT_NEXT_FRAME] = on_restore_frame,
                              [PX_EVENT_NEXT_BAD] = on_restore_failed,
                              [PX_EVENT_NEXT_GONE] = on_restore_failed,
                              [PX_EVENT_APPLIED] = on_restore_applied,
                              [PX_EVENT_TICK] = on_restore_tick},
    /* A library may close its socket right behind closeSession: the server leg stays until the server has
     * answered, because an early close could lose the request. */
    [PX_SESSION_ENDING] =
        {SERVES, ESTABLISHED_ENDS, [PX_EVENT_CLIENT_GONE] = on_end_client_gone,
         [PX_EVENT_SERVER_GONE] = on_end_server_gone, [PX_EVENT_TICK] = on_close_session_tick},
};

enum px_session_state session_handle(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions, enum px_session_state here)
{
    px_handler *const handler = event->kind < PX_EVENT_COUNT ? handlers[here][event->kind] : NULL;

    return handler == NULL ? here : handler(data, event, actions, here);
}
