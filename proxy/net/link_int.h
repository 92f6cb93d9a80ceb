/* A link: one client connection, its session core and its server connection, on one worker; while a server is
 * looked for, an attempt with the connection to the next one. This is the shell around the core: bytes and
 * time become events, actions become bytes (style.md, "The one idea"). Inside proxy/net only; worker thread.
 */
#ifndef PROXY_NET_LINK_INT_H
#define PROXY_NET_LINK_INT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/net/conn.h"
#include "proxy/net/directive.h"
#include "proxy/net/msg.h"
#include "proxy/net/owner_map.h"
#include "proxy/net/shared.h"
#include "proxy/session/session.h"

struct px_worker;
struct px_walk;

/* How long a session that could not leave is left alone; when no server took it, twice as long each time. */
#define PX_LEAVE_AGAIN_MS  1000
#define PX_LEAVE_DOUBLINGS 3

/* Looking for a server: the first one, another one, or a new one after a crash. Owned by its link, from the
 * core's ROUTE until the server is adopted; an idle session has none. */
struct px_attempt {
    struct px_conn next;
    uint32_t slot;    /* being dialled; PX_SLOT_NONE = none */
    uint64_t tried;   /* bit per slot, since the last pause */
    uint64_t refused; /* bit per slot: nobody listened; of those since somebody did */
    bool has_place;   /* one of the slot's PX_CONNECTS_MAX */
    bool is_dialled;  /* TCP was up */
    bool is_answered; /* the ConnectResponse was good */
    bool is_adopted;  /* `next` becomes the link's server as soon as nobody walks its frames */
    bool may_go_home; /* the server it came from is as good as any */
    bool has_waited;
    bool is_exhausted;     /* all were tried: not before retry_ms, whatever places become free */
    int64_t retry_ms;      /* not before; 0 = at the end of this loop turn */
    int64_t pause_ms;      /* the last one after all were tried: the next is longer */
    int64_t shut_since_ms; /* nobody who is admitted has taken it since; 0 = they were not all asked yet */
    enum px_dial_result last_result; /* of the dial that ended last; PX_DIAL_OK = none has failed */
    uint32_t last_slot;              /* PX_SLOT_NONE = none */
    int last_error;                  /* errno where this host refused it, else 0 */
    int64_t behind_since_ms;         /* only its zxid stands against the servers left; 0 = not so */
    int64_t dial_deadline_ms;
};

/* An idle session's bytes, malloc's own included (the goal is 1 KB; tests/bench/run.sh --rows memory):
 *   336  this: 96 of them four empty buffers
 *   336  its core: 96 two empty queues and two empty buffers, 80 watches and wishes
 *     8  at most: its share of the owner map's buckets
 * It owns nothing else: buffers, blocks (block_cache.h), attempts and transfers go as soon as they are empty.
 * A watch costs 16 bytes in a table that is filled to 3/8 at least. */
#define PX_LINK_BYTES_MAX 344u /* sizeof; what goes beyond it belongs into the sum above */

/* Owned by worker->links[its state]; freed by the sweep at the end of the loop turn in which it died. */
struct px_link {
    TAILQ_ENTRY(px_link) entry;
    struct px_worker *worker;
    struct px_session *core;
    struct px_walk *walk; /* the frames being walked, NULL outside */
    struct px_attempt *attempt;
    struct px_claim claim;    /* in the owner map */
    struct px_origin *origin; /* its share in it, until the client's socket is closed; NULL when is_own */
    struct sockaddr_in6
        peer; /* or a sockaddr_in in it: a sockaddr_storage per session would cost 100 bytes */
    socklen_t peer_length;
    uint32_t listener;
    enum px_event_kind deferred; /* an event that an action caused; PX_EVENT_COUNT = none */
    uint32_t slot;               /* of its server; PX_SLOT_NONE = none yet */
    bool is_established;
    bool is_own;          /* a session of the daemon itself */
    bool is_canary;       /* goes first in the switch that is under way */
    bool is_silent;       /* counted as such, in state GREETING only */
    bool has_place;       /* one of limits.sessions */
    uint8_t stays;        /* moves in a row that came to nothing, because no server took it */
    int64_t again_ms;     /* a move, a return or a claim that came to nothing is tried again then */
    int64_t awaited_zxid; /* the core waits until `slot` has applied it; 0 = it does not */
    struct px_conn client;
    struct px_conn server;
};

TAILQ_HEAD(px_link_list, px_link);

/* link.c */
/* Takes the descriptor also when it fails (no memory). */
void px_link_adopt(struct px_worker *worker, const struct px_adopt *take_adopt);
/* An event with what the worker knows at this moment; frames are stepped with less (link_frames.c). */
struct px_event px_link_event(const struct px_link *link, enum px_event_kind kind);
/* One event through the core, its actions carried out, and what they caused likewise. */
void px_link_step(struct px_link *link, const struct px_event *event);
void px_link_step_kind(struct px_link *link, enum px_event_kind kind);
/* What may wait for one of its peers before the other is no longer read. */
uint32_t px_link_out_max(const struct px_link *link);
/* After every callback and order: what became possible is done, both connections wait for the right thing. */
void px_link_settle(struct px_link *link);
bool px_link_is_dead(const struct px_link *link);
/* Frees it; only the sweep. */
void px_link_free(struct px_link *link);
struct px_address px_link_peer(const struct px_link *link);
void px_link_row(const struct px_link *link, struct px_session_row *ret_row);

/* link_silent.c */
/* There was nothing to read from it, or no whole greeting: may close others, or it. */
void px_link_fall_silent(struct px_link *link);
/* Its greeting has come, or it dies. */
void px_link_speak(struct px_link *link);
/* Its greeting has come; false: limits.sessions is reached. */
bool px_link_take_place(struct px_link *link);
void px_link_give_place(struct px_link *link);

/* link_close.c: the core is DEAD already; memory waits for the sweep. */
void px_link_die(struct px_link *link, enum px_close_reason reason);
/* Closes its server's connection for what it has sent; SERVER_GONE follows. */
void px_link_lose_server(struct px_link *link, enum px_misfit misfit);

/* link_count.c */
void px_link_count_close(struct px_link *link, enum px_close_reason reason);
void px_link_count_note(const struct px_link *link, const struct px_event *event,
                        const struct px_actions *actions);
void px_link_count_outcome(struct px_link *link, enum px_outcome outcome);
/* An established session came to that server, or went. */
void px_link_count_session(const struct px_link *link, uint32_t slot, bool is_more);

/* link_read.c */
px_polled_fn px_link_on_event;

/* link_frames.c */
/* On the stack of px_link_walk. Frames that go on unchanged and follow each other are one run. */
struct px_walk {
    struct px_conn *from;
    struct px_conn *to;
    const uint8_t *run;
    uint32_t run_length;
    struct zkp_slice frame; /* the present one, prefix included, as far as it is there */
    uint32_t frame_left;    /* what of it is still to come */
    bool was_dropped;       /* it, or a ping that was looked at out of turn */
    struct px_event event;  /* the present frame's; what frames have in common is set once */
};
/* How many bytes were dealt with; the rest has to be kept. */
uint32_t px_link_walk(struct px_conn *conn, struct zkp_slice in);
/* The longest frame that this connection may have now; beyond it ends. */
uint32_t px_link_frame_max(const struct px_conn *conn);
/* Looks at what was left in conn->in. */
void px_link_walk_held(struct px_conn *conn);
/* Its client has not said yet what it wants: the next frame is its ConnectRequest, or a word. */
bool px_conn_greets(const struct px_conn *conn);
enum px_event_kind px_link_kind_of(const struct px_conn *conn, enum px_event_kind client,
                                   enum px_event_kind server, enum px_event_kind next);
void px_link_step_bad(struct px_conn *conn, enum px_close_reason reason);
/* Where bytes for the server go: an adopted one is not in its place before the walk is over. */
struct px_conn *px_link_server(struct px_link *link);
/* The present frame to the other side / swallowed / rewritten. Only while walking. */
void px_walk_forward(struct px_link *link);
void px_walk_drop(struct px_link *link);
void px_walk_hide_multi(struct px_link *link, uint64_t mask);
/* What was collected goes out before anything else does. No-op outside a walk. */
void px_walk_flush(struct px_link *link);

/* link_big.c. body: what is there of the frame, which has `length` bytes. */
/* key: the limit of the configuration that it is over. */
void px_link_log_too_big(const struct px_conn *conn, const char *key, uint32_t length, uint32_t limit,
                         struct zkp_slice body);
/* A request that goes on, over a server's usual limit: its header at least is there. */
void px_link_note_big(struct px_link *link, uint32_t length, struct zkp_slice body);
/* Its server has closed: says so when it is such a request that was to be answered next. */
void px_link_log_lost_big(const struct px_link *link);

/* link_route.c */
/* The core wants a server: at the end of the loop turn, because a dial may fail at once, and then again. */
void px_link_want_server(struct px_link *link);
/* Chooses a server and dials, until a dial is under way or nothing can be done now. */
void px_link_route(struct px_link *link);
/* The server that would take it now, PX_SLOT_NONE = none would. */
uint32_t px_link_taker(const struct px_link *link);

/* link_canary.c */
/* session_id 0: not known yet. */
void px_link_judge_canary(struct px_link *link, int64_t session_id);

/* link_dial.c */
/* Begins a dial, and steps the core. True when a connect is under way, or no place is free. */
bool px_link_dial(struct px_link *link, uint32_t slot);
/* The socket is writable or failed; false: it failed, the core knows, another server may be tried. */
bool px_link_dial_ready(struct px_link *link);
/* The ConnectResponse came: the place goes to another one, whatever is still to do. */
void px_link_dial_answered(struct px_link *link);
/* Ends a dial: counts, gives its place back and, unless it is OK, closes the next connection; the core is not
 * told. */
void px_link_dial_end(struct px_link *link, enum px_dial_result result);
/* FIN or RST of a server that has not answered yet. */
enum px_dial_result px_link_dial_closed(const struct px_link *link);

/* link_adopt.c */
/* The core's ADOPT: the next server is the server; its connection moves in with px_link_move_in. */
void px_link_adopt_next(struct px_link *link, int64_t session_id);
/* Outside of walks: puts an adopted connection in its place. */
void px_link_move_in(struct px_link *link);
void px_link_attempt_free(struct px_link *link);

/* link_owner.c */
void px_link_claim(struct px_link *link, int64_t session_id);
/* After the ConnectResponse: the id it names is held, whatever was held before. */
void px_link_claim_established(struct px_link *link, int64_t session_id);
void px_link_unclaim(struct px_link *link);
/* Messages between workers. */
void px_owner_on_release(struct px_worker *worker, const struct px_msg *msg);
void px_owner_on_released(struct px_worker *worker, const struct px_msg *msg);
/* Newcomers ask again whose holder no server had confirmed yet: once it is, or is gone, there is an answer.
 */
void px_owner_tick(struct px_worker *worker);

#endif
