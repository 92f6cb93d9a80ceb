/* The session core: one client's session as a state machine. Events in, actions out; it owns no socket, no
 * clock, no thread and no log, so every run can be replayed (style.md §5). It sees headers and the bodies it
 * asks for (px_session_*_need), never the bytes that are merely passed on.
 *
 *   client ──frame──▶ step ──FORWARD / DROP / SEND──▶ server          (proxy/net/link_*.c is the shell)
 *
 * Not here yet: moving with the client's socket kept. It will add states between HELD and ACTIVE. */
#ifndef PROXY_SESSION_SESSION_H
#define PROXY_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/session/reason.h"
#include "proxy/session/watch_set.h"
#include "zkproto/connect.h"
#include "zkproto/opcode.h"
#include "zkproto/slice.h"

/* X(name, label, is the client read?, where it can go). The README's diagram is printed from this table. */
#define PX_SESSION_STATES(X)                                                                                 \
    X(GREETING, "greeting", true, TO(CLAIMING) | TO(WAITING) | TO(DEAD))                                     \
    X(CLAIMING, "claiming", false, TO(WAITING) | TO(DEAD))                                                   \
    X(WAITING, "waiting", false, TO(DIALING) | TO(DEAD))                                                     \
    X(DIALING, "dialing", false, TO(WAITING) | TO(ACTIVE) | TO(DEAD))                                        \
    X(ACTIVE, "active", true, TO(RETURNING) | TO(HOLDING) | TO(ENDING) | TO(DEAD))                           \
    X(RETURNING, "returning", false, TO(ACTIVE) | TO(ENDING) | TO(DEAD))                                     \
    X(HOLDING, "holding", false, TO(HELD) | TO(ACTIVE) | TO(ENDING) | TO(DEAD))                              \
    X(HELD, "held", false, TO(ACTIVE) | TO(DEAD))                                                            \
    X(ENDING, "ending", true, TO(DEAD))                                                                      \
    X(DEAD, "dead", false, 0u)
/* GREETING   nothing but the client's ConnectRequest may come
 * CLAIMING   the client attaches a session id: its older connection here, if any, lets go first
 * WAITING    for a server that may take it
 * DIALING    a server was chosen; its ConnectResponse is awaited
 * RETURNING  becomes quiet, then the client's socket is closed; its library comes back with the session
 * HOLDING    becomes quiet and keeps both sockets; HELD is the same, quiet
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
    X(CLIENT_BAD, "client_bad")     /* reason: the byte stream can't be framed */                            \
    X(SERVER_BAD, "server_bad")                                                                              \
    X(CLIENT_GONE, "client_gone") /* FIN, RST */                                                             \
    X(SERVER_GONE, "server_gone") /* FIN, RST; also a dial that failed */                                    \
    X(ADMITTED, "admitted")       /* the owner map gave us the session id */                                 \
    X(DENIED, "denied")           /* its holder knows another password */                                    \
    X(ROUTED, "routed")           /* a server was chosen and is being dialled */                             \
    X(DIALLED, "dialled")         /* TCP is up */                                                            \
    X(RETURN, "return")           /* deadline_ms; skips_drain */                                             \
    X(HOLD, "hold")               /* deadline_ms */                                                          \
    X(RELEASE, "release")         /* the hold is over */                                                     \
    X(SETTLE, "settle")           /* a batch was walked; is_client_mid_frame, is_server_mid_frame */         \
    X(SUPERSEDE, "supersede")     /* the client came back elsewhere with the right password */               \
    X(CONFLICT, "conflict")       /* a server gave out an id that is held here */                            \
    X(STOP, "stop")               /* close now */                                                            \
    X(TICK, "tick")               /* time passed; deadlines are looked at */                                 \
    X(CONTINUE, "continue")       /* after has_more */

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
    enum px_close_reason reason;
    bool check_is_harmful;         /* CLIENT_FRAME: the server's version dies of a bare check (pitfall P18) */
    enum px_watch_rule watch_rule; /* both frames: by the server's version */
    bool is_client_mid_frame;
    bool is_server_mid_frame;
    bool skips_drain; /* test switch */
};

/* Carried out in order, all of them, by the shell. */
enum px_action_kind {
    PX_ACTION_FORWARD,       /* this event's frame to the other side, as it is */
    PX_ACTION_DROP,          /* swallow this event's frame */
    PX_ACTION_HIDE_MULTI,    /* forward this event's frame with the results in `mask` hidden */
    PX_ACTION_SEND_CLIENT,   /* bytes[offset .. offset + length] */
    PX_ACTION_SEND_SERVER,   /* the same */
    PX_ACTION_PAUSE_CLIENT,  /* read no further than to the next frame boundary */
    PX_ACTION_RESUME_CLIENT, /* read again */
    PX_ACTION_CLAIM,         /* session_id: ask the owner map, answer with ADMITTED or DENIED */
    PX_ACTION_ROUTE,         /* choose a server and dial it, now or later; answer with ROUTED, DIALLED */
    PX_ACTION_REJECT_DIAL,   /* close the server connection: its answer was none */
    PX_ACTION_ESTABLISHED,   /* session_id is served by this server from now on */
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
        uint64_t mask;
        int64_t session_id;
        enum px_close_reason reason;
    };
};

/* What the frame of this event was, for metrics. */
enum px_note { PX_NOTE_NONE, PX_NOTE_REQUEST, PX_NOTE_REPLY, PX_NOTE_EVENT };

struct px_actions {
    uint32_t count;
    bool has_more; /* step again with CONTINUE */
    enum px_note note;
    enum zkp_op_index op; /* REQUEST, REPLY */
    uint8_t request_kind; /* REQUEST: enum px_request_kind */
    uint32_t sent_us;     /* REPLY: now_us of its request */
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

enum px_session_state px_session_state(const struct px_session *session);
uint32_t px_session_outstanding(const struct px_session *session);
/* The highest zxid the client has seen: its own claim, then what was passed to it. */
int64_t px_session_last_zxid(const struct px_session *session);
/* CLAIMING .. DIALING: until when the client's connect may wait. */
int64_t px_session_deadline_ms(const struct px_session *session);
/* ACTIVE, and its client was heard within half its timeout: a zombie that is returned would steal the
 * session from its living successor (design.md §4). */
bool px_session_may_return(const struct px_session *session, int64_t now_ms);
/* Is this the password of the session? Constant time. A session that no server has confirmed yet knows
 * none: true, because then the server decides. */
bool px_session_password_fits(const struct px_session *session, struct zkp_slice password);
/* What the client presented in its ConnectRequest; a null slice when it was not 16 bytes. */
struct zkp_slice px_session_password(const struct px_session *session);

/* What its server watches for the client, up to the last frame stepped. Borrowed. */
const struct px_watch_set *px_session_watches(const struct px_session *session);

/* For /v1/sessions and `cons`. */
struct px_session_facts {
    int64_t session_id;
    int64_t last_zxid;
    int64_t heard_ms;
    int64_t established_ms;
    int32_t timeout_ms;
    int32_t last_xid;
    enum zkp_op_index last_op;
    uint64_t received_count;
    uint64_t sent_count;
};
void px_session_facts_get(const struct px_session *session, struct px_session_facts *ret_facts);

#endif
