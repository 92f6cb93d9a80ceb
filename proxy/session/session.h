/* The session core: one client's session as a state machine. Events in, actions out; it owns no socket, no
 * clock, no thread and no log, so every run can be replayed (style.md §5). It sees headers and the bodies it
 * asks for (px_session_*_need), never the bytes that are merely passed on.
 *
 *   client ──frame──▶ step ──FORWARD / DROP / SEND──▶ server          (proxy/net/link_*.c is the shell)
 *                       ▲
 *                       └── next: the server that is being attached to; ADOPT makes it the server
 *
 * A session has up to three connections: its client's, its server's, and the next server's while it is first
 * connected, moved, or attached anew after a crash. */
#ifndef PROXY_SESSION_SESSION_H
#define PROXY_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/session/reason.h"
#include "proxy/session/watch_set.h"
#include "zkproto/connect.h"
#include "zkproto/opcode.h"
#include "zkproto/slice.h"

/* X(name, label, are the client's requests passed on?, where it can go). The README's diagram is printed from
 * this table. */
#define PX_SESSION_STATES(X)                                                                                 \
    X(GREETING, "greeting", true, TO(CLAIMING) | TO(WAITING) | TO(DEAD))                                     \
    X(CLAIMING, "claiming", false, TO(WAITING) | TO(DEAD))                                                   \
    X(WAITING, "waiting", false, TO(DIALING) | TO(DEAD))                                                     \
    X(DIALING, "dialing", false, TO(WAITING) | TO(ACTIVE) | TO(DEAD))                                        \
    X(ACTIVE, "active", true,                                                                                \
      TO(RETURNING) | TO(HOLDING) | TO(LEAVING) | TO(SEEKING) | TO(ENDING) | TO(DEAD))                       \
    X(RETURNING, "returning", false, TO(ACTIVE) | TO(SEEKING) | TO(ENDING) | TO(DEAD))                       \
    X(HOLDING, "holding", false, TO(HELD) | TO(ACTIVE) | TO(SEEKING) | TO(ENDING) | TO(DEAD))                \
    X(HELD, "held", false, TO(ACTIVE) | TO(SEEKING) | TO(DEAD))                                              \
    X(LEAVING, "leaving", false, TO(ACTIVE) | TO(SEEKING) | TO(ENDING) | TO(DEAD))                           \
    X(SEEKING, "seeking", false, TO(JOINING) | TO(ACTIVE) | TO(DEAD))                                        \
    X(JOINING, "joining", false, TO(RESTORING) | TO(SEEKING) | TO(ACTIVE) | TO(DEAD))                        \
    X(RESTORING, "restoring", false, TO(ACTIVE) | TO(SEEKING) | TO(DEAD))                                    \
    X(ENDING, "ending", true, TO(DEAD))                                                                      \
    X(DEAD, "dead", false, 0u)
/* GREETING   nothing but the client's ConnectRequest may come
 * CLAIMING   the client attaches a session id: its older connection here, if any, lets go first
 * WAITING    for a server that may take it
 * DIALING    a server was chosen; its ConnectResponse is awaited
 * RETURNING  becomes quiet, then the client's socket is closed; its library comes back with the session
 * HOLDING    becomes quiet and keeps both sockets; HELD is the same, quiet
 * LEAVING    becomes quiet in order to move to another server
 * SEEKING    wants another server: it moves (the old one is still there), or its server was lost
 * JOINING    one was chosen; its ConnectResponse is awaited
 * RESTORING  attached there: auth and watches are set again, events of the old server come to an end
 * ENDING     closeSession was passed on: the server's FIN is expected */

enum px_session_state {
#define PX_SESSION_ENUM(name, label, is_read, targets) PX_SESSION_##name,
    PX_SESSION_STATES(PX_SESSION_ENUM)
#undef PX_SESSION_ENUM
        PX_SESSION_STATE_COUNT
};
const char *px_session_state_name(enum px_session_state state);
/* The table's own opinion; step asserts it. */
bool px_session_may_go(enum px_session_state from, enum px_session_state to);

#define PX_SESSION_EVENTS(X)                                                                                 \
    X(CLIENT_FRAME, "client_frame") /* frame: header and what _client_need asked for is there */             \
    X(SERVER_FRAME, "server_frame") /* frame: the same with _server_need */                                  \
    X(NEXT_FRAME, "next_frame")     /* a whole frame */                                                      \
    X(CLIENT_BAD, "client_bad")     /* reason: the byte stream can't be framed */                            \
    X(SERVER_BAD, "server_bad")                                                                              \
    X(NEXT_BAD, "next_bad")                                                                                  \
    X(CLIENT_GONE, "client_gone") /* FIN, RST */                                                             \
    X(SERVER_GONE, "server_gone") /* FIN, RST; is_server_mid_frame, is_client_mid_frame */                   \
    X(NEXT_GONE, "next_gone")     /* FIN, RST, time-out; also a dial that failed */                          \
    X(SILENT, "silent")           /* nothing came from its server for long although something should have */ \
    X(ADMITTED, "admitted")       /* the owner map gave us the session id */                                 \
    X(DENIED, "denied")           /* its holder knows another password */                                    \
    X(ROUTED, "routed")           /* a server was chosen and is being dialled; known_zxid */                 \
    X(UNROUTED, "unrouted")       /* every server was tried; is_hopeless: nobody listened anywhere */        \
    X(DIALLED, "dialled")         /* TCP is up */                                                            \
    X(RETURN, "return")           /* deadline_ms; skips_drain */                                             \
    X(MOVE, "move")               /* deadline_ms */                                                          \
    X(HOLD, "hold")               /* deadline_ms */                                                          \
    X(RELEASE, "release")         /* the hold is over */                                                     \
    X(SETTLE, "settle")           /* a batch was walked; is_client_mid_frame, is_server_mid_frame */         \
    X(CLIENT_PING, "client_ping") /* a ping while requests wait; answered (and DROPped) or left waiting */   \
    X(PING, "ping")       /* ask the server for a sign of life, HELD: for a marker; is_client_mid_frame */   \
    X(APPLIED, "applied") /* its server has applied known_zxid (answer to AWAIT_APPLIED) */                  \
    X(SUPERSEDE, "supersede") /* the client came back elsewhere with the right password */                   \
    X(CONFLICT, "conflict")   /* a server gave out an id that is held here */                                \
    X(STOP, "stop")           /* close now */                                                                \
    X(TICK, "tick")           /* time passed; deadlines are looked at; nobody_expires_ms, own_zxid */        \
    X(CONTINUE, "continue")   /* after has_more */

enum px_event_kind {
#define PX_EVENT_ENUM(name, label) PX_EVENT_##name,
    PX_SESSION_EVENTS(PX_EVENT_ENUM)
#undef PX_EVENT_ENUM
        PX_EVENT_COUNT
};
const char *px_event_name(enum px_event_kind kind);

/* Plain; the slices are borrowed for the call. Fields an event does not name are ignored. */
struct px_event {
    enum px_event_kind kind;
    int64_t now_ms;        /* CLOCK_MONOTONIC, read once per loop turn */
    uint32_t now_us;       /* the same moment, low 32 bits of microseconds */
    uint32_t length;       /* a frame's length, without the prefix */
    struct zkp_slice body; /* what is there of it */
    int64_t deadline_ms;
    int64_t known_zxid;
    int64_t
        nobody_expires_ms; /* any: since then nobody's session can have expired (directive.h); 0 = never */
    int64_t own_zxid;      /* any: the transaction of a reconfig that was held for; 0 = none known */
    enum px_close_reason reason;
    bool check_is_harmful;         /* CLIENT_FRAME: a server's version dies of a bare check (pitfall P18) */
    enum px_watch_rule watch_rule; /* frames: by the version of the server they come from or go to */
    bool old_leads;                /* NEXT_FRAME: the old server is the leader */
    bool is_client_mid_frame;
    bool is_server_mid_frame;
    bool is_hopeless;
    bool skips_drain; /* test switches: RETURN; NEXT_FRAME */
    bool skips_auth;  /* NEXT_FRAME */
};

/* What a server sends although nobody may: such a server is lost, like one that closes. */
enum px_misfit {
    PX_MISFIT_SKIPPED,    /* the reply to a later request, with one before it unanswered: a server that has
                             lost its leader drops the writes that it waits for, and goes on with reads */
    PX_MISFIT_UNASKED,    /* the reply to nothing */
    PX_MISFIT_UNREADABLE, /* no frame, no reply header, or not the body that was asked for */
    PX_MISFIT_COUNT
};
const char *px_misfit_name(enum px_misfit misfit);

/* Carried out in order, all of them, by the shell. */
enum px_action_kind {
    PX_ACTION_FORWARD,       /* this event's frame to the other side, as it is */
    PX_ACTION_DROP,          /* swallow this event's frame */
    PX_ACTION_HIDE_MULTI,    /* forward this event's frame with the results in `mask` hidden */
    PX_ACTION_SEND_CLIENT,   /* bytes[offset .. offset + length] */
    PX_ACTION_SEND_SERVER,   /* the same */
    PX_ACTION_SEND_NEXT,     /* the same */
    PX_ACTION_PUT_CLIENT,    /* slice: the core's, valid until the next step */
    PX_ACTION_PUT_SERVER,    /* the same */
    PX_ACTION_PUT_NEXT,      /* the same */
    PX_ACTION_PAUSE_CLIENT,  /* read no further than to the next frame boundary */
    PX_ACTION_RESUME_CLIENT, /* read again */
    PX_ACTION_CLAIM,         /* session_id: ask the owner map, answer with ADMITTED or DENIED */
    PX_ACTION_ROUTE,         /* choose a server and dial it, now or later: ROUTED, DIALLED or UNROUTED */
    PX_ACTION_DROP_NEXT,     /* close the next connection: its answer was none */
    PX_ACTION_ADOPT,       /* session_id is served by the next server from now on; the old connection goes */
    PX_ACTION_DROP_SERVER, /* close the server's connection */
    PX_ACTION_LOSE_SERVER, /* the same, and step with SERVER_GONE; misfit: what it has sent */
    PX_ACTION_AWAIT_APPLIED, /* zxid: step with APPLIED once the server is known to have applied it */
    PX_ACTION_CLOSE_CLIENT,  /* the client's connection only */
    PX_ACTION_CLOSE,         /* both, after what was sent; reason */
};

#define PX_ACTIONS_MAX      8u
#define PX_ACTION_BYTES_MAX 160u /* six local replies, or a connect frame, or a rewritten getData reply */

struct px_action {
    enum px_action_kind kind;
    union {
        struct {
            uint32_t offset;
            uint32_t length;
        } send;
        struct zkp_slice slice;
        uint64_t mask;
        int64_t session_id;
        int64_t zxid;
        enum px_close_reason reason;
        enum px_misfit misfit;
    };
};

/* What the frame of this event was, for metrics. */
enum px_note { PX_NOTE_NONE, PX_NOTE_REQUEST, PX_NOTE_REPLY, PX_NOTE_EVENT };

/* What became of a move or of a lost server, for metrics. */
enum px_outcome {
    PX_OUTCOME_NONE,
    PX_OUTCOME_MOVED,
    PX_OUTCOME_STAYED, /* no other server took it; it goes on where it was */
    PX_OUTCOME_BUSY,   /* it was not quiet in time */
    PX_OUTCOME_MOVE_LOST,
    PX_OUTCOME_REATTACHED,
    PX_OUTCOME_REATTACH_LOST,
};

/* Why a client was not read for a while, for metrics. */
#define PX_STALLS(X)                                                                                         \
    X(NONE, "")                                                                                              \
    X(MOVED, "moved")                                                                                        \
    X(REATTACHED, "reattached") /* its server was lost */                                                    \
    X(HELD, "held")                                                                                          \
    X(STAYED, "stayed") /* it was to leave its server, but did not */

enum px_stall {
#define PX_STALL_ENUM(name, label) PX_STALL_##name,
    PX_STALLS(PX_STALL_ENUM)
#undef PX_STALL_ENUM
        PX_STALL_COUNT
};
const char *px_stall_name(enum px_stall stall);

struct px_actions {
    uint32_t count;
    bool has_more; /* step again with CONTINUE */
    enum px_note note;
    enum px_outcome outcome;
    enum px_stall stall;     /* != NONE: over with this step */
    uint32_t stall_us;       /* how long it was */
    uint32_t dropped_events; /* that the client has had from its last server already */
    enum zkp_op_index op;    /* REQUEST, REPLY */
    uint8_t request_kind;    /* REQUEST: enum px_request_kind */
    uint32_t sent_us;        /* REPLY: now_us of its request */
    uint32_t bytes_length;
    struct px_action list[PX_ACTIONS_MAX];
    uint8_t bytes[PX_ACTION_BYTES_MAX];
};

struct px_session;

/* hides_config: the guard for /zookeeper/config is on. deadline_ms: for the ConnectRequest. space: borrowed,
 * outlives the session. NULL when out of memory. */
struct px_session *px_session_new(bool hides_config, int64_t deadline_ms, struct px_watch_space *space);
void px_session_free(struct px_session *session); /* NULL is fine; wipes the password */

/* The only way in. ret_actions is overwritten. */
void px_session_step(struct px_session *session, const struct px_event *event,
                     struct px_actions *ret_actions);

/* How many bytes of a frame's body must be there for the step, given what is there already. At most
 * `length`; asks for more only when what it sees calls for it. Ask again with that many: the answer is
 * final when it is not larger than body.len. */
uint32_t px_session_client_need(const struct px_session *session, uint32_t length, struct zkp_slice body);
uint32_t px_session_server_need(const struct px_session *session, uint32_t length, struct zkp_slice body);
/* Frames of the next server are needed whole: they are ours or short. */

enum px_session_state px_session_state(const struct px_session *session);
uint32_t px_session_outstanding(const struct px_session *session);
/* The highest zxid the client has seen: its own claim, then what was passed to it. */
int64_t px_session_last_zxid(const struct px_session *session);
/* Its client has asked for a session of its own, and has seen nothing yet. */
bool px_session_is_new(const struct px_session *session);
/* Its client takes a server without a quorum, too (canBeReadOnly). */
bool px_session_takes_read_only(const struct px_session *session);
/* CLAIMING .. DIALING: until when the client's connect may wait. */
int64_t px_session_deadline_ms(const struct px_session *session);
/* ACTIVE, and its client was heard within half its timeout: a zombie that is moved or returned would steal
 * the session from its living successor (design.md §4). */
bool px_session_may_leave(const struct px_session *session, int64_t now_ms);
/* Attached once, and now without a server. */
bool px_session_is_detached(const struct px_session *session);

/* Why a session can't be moved and has to be returned instead. */
enum px_obstacle {
    PX_OBSTACLE_NONE,
    PX_OBSTACLE_SASL,      /* its tokens are bound to the connection (protocol.md §3.4) */
    PX_OBSTACLE_WATCHES,   /* its watches are not known any more */
    PX_OBSTACLE_AUTH,      /* more auth packets than are kept */
    PX_OBSTACLE_READ_ONLY, /* attached to a server without quorum */
    PX_OBSTACLE_LOCAL,     /* known to its server only */
    PX_OBSTACLE_COUNT
};
enum px_obstacle px_session_obstacle(const struct px_session *session);
/* Is this the password of the session? Constant time. Until a server has confirmed the session only what its
 * client presented is known of it: the same is the same client's, another one may be the right one. */
enum px_password { PX_PASSWORD_FITS, PX_PASSWORD_WRONG, PX_PASSWORD_UNDECIDED };
enum px_password px_session_password_judge(const struct px_session *session, struct zkp_slice password);
/* What the client presented in its ConnectRequest; a null slice when it was not 16 bytes. */
struct zkp_slice px_session_password(const struct px_session *session);

/* What its server watches for the client, up to the last frame stepped. Borrowed. */
const struct px_watch_set *px_session_watches(const struct px_session *session);

/* For /v1/sessions and `cons`. */
struct px_session_facts {
    int64_t session_id;
    int64_t last_zxid;
    int64_t marker; /* zxid of its server's last reply, ours included */
    int64_t heard_ms;
    int64_t established_ms;
    int32_t timeout_ms;
    int32_t last_xid;
    enum zkp_op_index last_op;
    int32_t awaited_xid; /* of the oldest unanswered request; 0 when there is none */
    enum zkp_op_index awaited_op;
    uint64_t received_count;
    uint64_t sent_count;
};
void px_session_facts_get(const struct px_session *session, struct px_session_facts *ret_facts);

#endif
