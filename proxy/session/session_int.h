/* Inside the session core only: the data behind the state and the handlers by topic. A handler returns the
 * next state and cannot see the field that holds it (style.md §5). Which handler sees which event in which
 * state: the table in session_table.c. */
#ifndef PROXY_SESSION_SESSION_INT_H
#define PROXY_SESSION_SESSION_INT_H

#include "proxy/session/buffer.h"
#include "proxy/session/request_queue.h"
#include "proxy/session/session.h"
#include "proxy/session/watch_queue.h"
#include "proxy/session/watch_set.h"
#include "zkproto/header.h"

/* A connect waits as long as its client does: its own timeout, within these (design.md §4). */
#define SESSION_CONNECT_WAIT_MIN_MS 2000
#define SESSION_CONNECT_WAIT_MAX_MS 40000
/* After closeSession the server answers and sends FIN in milliseconds; a hung one is not waited for. */
#define SESSION_ENDING_MS 5000
/* Bytes of unanswered reads kept for a second try; a client that has more unanswered is not saved from a
 * crash of its server. As deep as a real pipeline of reads. */
#define SESSION_KEPT_MAX (64u * 1024u)
/* Servers that a request may take down, as far as can be seen, before its client is closed instead. */
#define SESSION_SENT_AGAIN_MAX 3
/* Auth packets to repeat on another server; who sends more is returned instead of moved. */
#define SESSION_AUTH_MAX (64u * 1024u)
/* What the next server may send before the move is over: a flood of watch events. */
#define SESSION_EVENTS_MAX (16u * 1024u * 1024u)

/* Markers are asked for at once this often, then once per tick: a server that is far behind is not drummed.
 */
#define SESSION_ROUNDS_AT_ONCE 32u

/* What a reconfig changes: one DataChanged, certainly (protocol.md §5.1). */
#define SESSION_CONFIG_NODE "/zookeeper/config"

/* xids of our own requests. On the next connection there are no others; auth on the old one is told by it. */
#define SESSION_XID_OURS INT32_MIN

/* RESTORING, in this order. */
enum session_stage {
    STAGE_AUTH,     /* the client's auth packets were repeated; their replies are awaited */
    STAGE_CATCH_UP, /* the next server must have applied what the client may have seen */
    STAGE_WATCHES,  /* SetWatches is out */
    STAGE_OLD,      /* the old server's events up to the settled zxid are awaited */
    STAGE_NEW,      /* the next server's events up to the old one's last are awaited */
    STAGE_FENCE,    /* the old server went early: the next one must have applied whatever it had shown */
    STAGE_PROOF,    /* is the only transaction missed our own reconfig? */
    STAGE_LOOK,     /* do the nodes under lasting watches show a change that was missed? */
};

/* A move or a re-attach under way. Lives from SEEKING until it is over; is_over: freed by the next step. */
struct session_transfer {
    enum session_stage stage;
    bool is_over;
    bool is_move;     /* asked for; otherwise its server was lost */
    bool has_old;     /* the old server's connection is open */
    bool was_asked;   /* JOINING: the ConnectRequest is out */
    bool is_in_doubt; /* one was left unanswered: who owns the session is not known (protocol.md §3.3) */
    bool is_low;      /* the next server may be behind what the client has seen */
    bool has_shown;   /* the old server's events behind its last marker were passed on */
    bool awaits_old;  /* a marker of the old server is under way */
    bool is_old_late; /* … since an attempt before this one */
    bool awaits_new;
    bool has_event_zxids; /* the next server is 3.9 or newer */
    bool was_looked;      /* at the nodes under lasting watches (session_look.c) */
    bool is_unclear;      /* … and they can't tell */
    bool is_exact;        /* old_zxid == new_zxid: events before events_cut came from the old server too */
    uint32_t auth_left;   /* replies */
    uint32_t frames_left; /* SetWatches replies */
    uint32_t rounds;      /* of markers */
    uint32_t cuts;        /* markers of both sides that did not meet */
    uint32_t elsewheres;  /* servers left because they could prove nothing */
    uint32_t events_cut;  /* bytes of `events` that came before the newest marker */
    uint32_t looks_sent;  /* bytes of `looks` that were asked for */
    uint32_t looks_out;   /* … and are not answered */
    uint32_t looks_made;
    int64_t look_ms;             /* when the last answer came */
    int64_t config_zxid;         /* of the config's change since the marker, as it was seen; 0 = none */
    int64_t asked_ms;            /* when the ConnectRequest went out */
    int64_t stage_ms;            /* since when it is in this stage */
    int64_t settled_zxid;        /* S of protocol.md §4.3: the watches are set there from this one on */
    int64_t old_zxid;            /* events up to it came from the old server, and were passed on */
    int64_t old_event_zxid;      /* highest of the old server's events that were passed on, from 3.9 */
    int64_t new_zxid;            /* >= settled_zxid: the next server's events up to it are in `events` */
    struct px_buffer looks;      /* nodes to look at, unanswered ones first */
    struct px_buffer events;     /* frames of the next server's events */
    struct px_buffer old_events; /* of the old server's, behind its last marker */
    struct px_buffer out;        /* what PUT actions point to: SetWatches, or events of the old server */
    struct px_buffer events_out; /* the same: events of the next server */
    struct px_buffer again;      /* the same: requests sent again */
};

/* Owned by px_session; worker thread only. */
struct session_data {
    int64_t session_id; /* 0 = a new one, before its ConnectResponse */
    int64_t last_zxid;  /* the client has seen it; never goes down */
    int64_t marker;     /* zxid of the last reply of the server's pipeline: the events of exactly the
                           transactions up to it have come before it (protocol.md §2.5) */
    int64_t proof_ms;   /* when the request was sent whose reply last proved that the session is alive */
    int64_t heard_ms;
    int64_t established_ms;
    int64_t deadline_ms; /* what it is for follows from the state */
    uint64_t received_count;
    uint64_t sent_count;
    int32_t timeout_ms;        /* asked for; from the ConnectResponse on: negotiated */
    int32_t server_timeout_ms; /* what the present server made of it */
    int32_t last_xid;
    uint32_t write_count;  /* unanswered requests that may change state; <= pipeline.count */
    uint32_t paused_us;    /* when its client was last stopped from being read */
    uint32_t unkept_count; /* unanswered ones that can't be sent again though they change nothing */
    uint8_t last_op;       /* enum zkp_op_index */
    uint8_t sent_again;    /* how often the oldest request was */
    uint8_t password[ZKP_PASSWORD_LEN];
    bool has_password; /* 16 bytes were presented or assigned */
    bool is_confirmed; /* by a server's ConnectResponse */
    bool has_read_only;
    bool read_only;
    bool hides_config;
    bool is_marked;        /* becoming quiet: our marker is out, or answered */
    bool has_shown_config; /* an event of the config has come since then */
    bool is_marker_last;   /* no event has come behind the reply that `marker` is from */
    bool has_sasl;         /* obstacles to a move: enum px_obstacle */
    bool has_lost_auth;
    bool is_attached_read_only;
    bool is_local;
    bool has_misfit;                     /* its server is being lost for what it has sent */
    bool ends_with_server;               /* its server closes it for a reason: the client must see that */
    bool filters_events;                 /* it was attached anew: servers may know watches that have fired */
    bool keeps_in_block;                 /* `kept` is a block, not an array of its own */
    struct px_request_queue pipeline;    /* answered in order, pings included (protocol.md §4.1) */
    struct px_request_queue out_of_band; /* auth, sasl: answered in order, but past the pipeline */
    struct px_buffer kept;               /* frames of unanswered reads, oldest first */
    struct px_buffer auths;              /* auth frames, oldest first */
    uint32_t auth_done;                  /* bytes of them that were answered with success */
    struct px_watch_set watches;
    struct px_watch_queue wishes; /* one per pipeline request marked PX_REQUEST_WATCH_WISHED */
    struct session_transfer *transfer;
};

/* `here` is the state the event finds. */
typedef enum px_session_state px_handler(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions, enum px_session_state here);

/* session_table.c: what the event does in the state it finds. */
px_handler session_handle;

/* session_connect.c */
px_handler on_connect_request, on_connect_late, on_claim_late, on_admitted, on_denied, on_routed, on_dialled,
    on_connect_answer, on_connect_bad, on_connect_failed;
/* session_serve.c */
px_handler on_request, on_reply, on_continue, on_active_tick, on_active_ping, on_close_session_tick,
    on_end_client_gone, on_end_server_gone;
px_handler on_bad, on_server_bad, on_client_gone, on_superseded, on_conflict, on_stop;
/* session_quiet.c */
px_handler on_return, on_hold, on_hold_again, on_move, on_release, on_returning_settle, on_holding_settle,
    on_leaving_settle, on_quiet_tick, on_held_tick, on_held_mark;
/* session_attach.c */
px_handler on_server_lost, on_server_silent, on_seek_routed, on_seek_unrouted, on_seek_tick, on_old_frame,
    on_old_gone, on_join_dialled, on_join_answer, on_join_failed, on_client_ping;
/* session_restore.c, session_drain.c */
px_handler on_restore_frame, on_restore_failed, on_restore_tick;
px_handler on_restore_old_frame, on_restore_old_gone, on_restore_applied;

/* session_attach.c */
/* Begins a transfer (SEEKING), or returns `otherwise` when memory is out. */
enum px_session_state session_seek(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions, bool is_move, enum px_session_state otherwise);
/* Its server is gone with the client's socket kept if that is honest; else the client is closed. */
enum px_session_state session_lose_server(struct session_data *data, const struct px_event *event,
                                          struct px_actions *actions);
/* Ends a transfer: outcome by whether it was a move. */
void session_transfer_end(struct session_data *data, struct px_actions *actions, bool is_good);
void session_transfer_free(struct session_data *data);
void session_note_proof(struct session_data *data, int64_t sent_ms);
/* Another try elsewhere; nothing of this attempt is kept. */
enum px_session_state session_seek_again(struct session_data *data, struct px_actions *actions);
/* Persistent and recursive ones: SetWatches catches up with nothing for them. */
bool session_has_lasting_watches(const struct session_data *data);
/* An event of the old server that no marker has followed yet; and a marker of it, which all its events up to
 * `zxid` came before. */
enum px_session_state session_pass_old_event(struct session_data *data, const struct px_event *event,
                                             struct px_actions *actions, enum px_session_state here);
void session_old_marker(struct session_transfer *transfer, int64_t zxid);
/* The highest zxid the client may have seen something of. */
int64_t session_seen_zxid(const struct session_data *data);

/* session_restore.c: the ConnectResponse was taken. */
enum px_session_state session_restore(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions);
void session_enter_stage(struct session_transfer *transfer, const struct px_event *event,
                         enum session_stage stage);
/* Asks the next server for a marker, now or with the next tick; with a sync. */
enum px_session_state session_ask_next(struct session_data *data, struct px_actions *actions);
void session_sync_next(struct session_data *data, struct px_actions *actions);
/* Who answered owns the session: it is attached elsewhere, or there again. */
enum px_session_state session_fail_attempt(struct session_data *data, struct px_actions *actions);
/* The event's frame with its prefix. RC_FULL, RC_NOMEM. */
enum rc session_append_event(struct px_buffer *to, const struct px_event *event) RC_MUST_CHECK;

/* session_drain.c: the watches are set on the next server. */
enum px_session_state session_enter_old(struct session_data *data, const struct px_event *event,
                                        struct px_actions *actions);
void session_ask_old(struct session_data *data, const struct px_event *event, struct px_actions *actions);
/* Both servers have a marker: are they at the same transaction? */
enum px_session_state session_compare(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions);
/* What the old server has sent up to now is the client's. RC_NOMEM. */
enum rc session_pass_old_events(struct session_data *data, struct px_actions *actions) RC_MUST_CHECK;

/* session_finish.c: everything is there: the next server becomes the server. */
enum px_session_state session_finish(struct session_data *data, const struct px_event *event,
                                     struct px_actions *actions);
/* What came in between can't be known. */
enum px_session_state session_lose_events(struct session_data *data, struct px_actions *actions);
/* Appends those events in `frames`, of the old or the next server, to `out` that the client waits for, and
 * takes their watches off the set. RC_NOMEM. */
enum rc session_deliver(struct session_data *data, bool is_old, struct zkp_slice frames,
                        struct px_buffer *out, struct px_actions *actions) RC_MUST_CHECK;
/* session_look.c: asks the next server; session_finish once it is known. */
enum px_session_state session_look(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions);
enum px_session_state on_look_reply(struct session_data *data, const struct px_event *event,
                                    const struct zkp_reply_header *header, struct px_actions *actions);

/* session_again.c: what is kept in order to be sent again. */
void session_keep(struct session_data *data, const struct px_event *event, struct px_request *request);
void session_unkeep(struct session_data *data, const struct px_request *request);
/* Whatever is in it. */
void session_kept_done(struct session_data *data);
/* Gives back what only unanswered requests need, once there are none. */
void session_rest(struct session_data *data);
void session_auth_sent(struct session_data *data, const struct px_event *event, uint8_t op);
void session_auth_answered(struct session_data *data, uint8_t op, int32_t err);
uint32_t session_auth_count(const struct session_data *data); /* answered with success */
/* Unanswered requests as they have to be sent on another connection. RC_NOMEM. */
enum rc session_collect_again(struct session_data *data, struct px_buffer *out) RC_MUST_CHECK;
/* SetWatches frames for all watches into `out`; *ret_count of them. RC_NOMEM. */
enum rc session_watches_frames(const struct session_data *data, int64_t relative_zxid, struct px_buffer *out,
                               uint32_t *ret_count) RC_MUST_CHECK;

/* session_request.c: `here` is the state to stay in; closeSession leads to ENDING, nonsense to DEAD. */
uint32_t session_request_need(uint32_t length, struct zkp_slice body);
/* Its loss without an answer leaves the client in doubt. op: enum zkp_op_index. */
bool session_may_change_state(uint8_t op);
/* Sends a request of ours, ping or sync, to the server; false when memory is out. */
bool session_ask_server(struct session_data *data, const struct px_event *event, struct px_actions *actions,
                        enum zkp_op_index op);
/* session_reply.c */
uint32_t session_reply_need(const struct session_data *data, uint32_t length, struct zkp_slice body);
/* After a request was answered: answers the local ones that are at the pipeline's head now; sets has_more
 * when the bytes are full. */
void session_answer_local(struct session_data *data, struct px_actions *actions);
/* session_watch.c. Only for requests that may set or remove a watch; marks them. */
void session_watch_request(struct session_data *data, const struct px_event *event,
                           struct px_request *request);
/* The reply to a marked request. */
void session_watch_reply(struct session_data *data, const struct px_event *event,
                         const struct px_request *request, int32_t err);
/* Takes what an event fires off the set. False: the client does not wait for it (any more). `body`: whole
 * where there are watches. is_catch_up: it is for a one-shot watch, if at all. */
bool session_watch_event(struct session_data *data, struct zkp_slice body, bool is_catch_up);

/* session.c: for export and import. A new session in this state, all else zero; NULL when out of memory. */
struct px_session *session_new_in(enum px_session_state state, struct px_watch_space *space);
const struct session_data *session_data_of(const struct px_session *session);
struct session_data *session_data_edit(struct px_session *session);

/* session_serve.c: its server is as good as gone; the shell says so next. */
enum px_session_state session_misfit(struct session_data *data, struct px_actions *actions,
                                     enum px_misfit misfit, enum px_session_state here);

/* session.c: building actions. */
struct px_action *session_act(struct px_actions *actions, enum px_action_kind kind);
/* Room for `length` bytes to send; NULL when they do not fit (has_more is the caller's business). */
uint8_t *session_send(struct px_actions *actions, enum px_action_kind kind, uint32_t length);
/* A request of ours: ping, sync of "/", or auth of a scheme that changes nothing. */
void session_send_own(struct px_actions *actions, enum px_action_kind kind, int32_t xid, int32_t type);
/* PUT_*: nothing for an empty slice. */
void session_put(struct px_actions *actions, enum px_action_kind kind, struct zkp_slice slice);
/* CLOSE with a reason; returns DEAD so that handlers can return it. */
enum px_session_state session_close(struct px_actions *actions, enum px_close_reason reason);

#endif
