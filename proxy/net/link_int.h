/* A link: one client connection, its session core and its server connection, on one worker. This is the
 * shell around the core: bytes and time become events, actions become bytes (style.md, "The one idea").
 * Inside proxy/net only; worker thread. */
#ifndef PROXY_NET_LINK_INT_H
#define PROXY_NET_LINK_INT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/net/conn.h"
#include "proxy/net/directive.h"
#include "proxy/net/hash.h"
#include "proxy/net/msg.h"
#include "proxy/net/owner_map.h"
#include "proxy/net/shared.h"
#include "proxy/session/session.h"

struct px_worker;
struct px_walk;

/* Owned by worker->links[its state]; freed by the sweep at the end of the loop turn in which it died. */
struct px_link {
    TAILQ_ENTRY(px_link) entry;
    UT_hash_handle hh; /* worker->by_token */
    struct px_worker *worker;
    struct px_session *core;
    struct px_walk *walk; /* the frames being walked, NULL outside */
    uint64_t token;       /* its number on this worker, never used twice */
    int64_t claimed_id;   /* held in the owner map; 0 = none */
    struct sockaddr_in6
        peer; /* or a sockaddr_in in it: a sockaddr_storage per session would cost 100 bytes */
    socklen_t peer_length;
    uint32_t listener;
    enum px_event_kind deferred; /* an event that an action caused; PX_EVENT_COUNT = none */
    /* routing */
    uint32_t slot;   /* PX_SLOT_NONE = no server */
    uint64_t tried;  /* bit per slot, since the last pause */
    bool has_place;  /* one of the slot's PX_CONNECTS_MAX */
    bool is_dialled; /* TCP was up */
    bool is_established;
    bool has_waited;
    int64_t retry_ms;        /* WAITING: not before */
    int64_t behind_since_ms; /* only its zxid stands against the servers left; 0 = not so */
    int64_t dial_deadline_ms;
    int64_t return_after_ms; /* a return that found it busy is tried again then */
    struct px_conn client;
    struct px_conn server;
};

TAILQ_HEAD(px_link_list, px_link);

/* link.c */
/* Takes the descriptor also when it fails (no memory). */
void px_link_adopt(struct px_worker *worker, const struct px_adopt *take_adopt);
struct px_event px_link_event(const struct px_link *link, enum px_event_kind kind);
/* One event through the core, its actions carried out, and what they caused likewise. */
void px_link_step(struct px_link *link, const struct px_event *event);
void px_link_step_kind(struct px_link *link, enum px_event_kind kind);
/* After every callback and order: what became possible is done, both connections wait for the right thing. */
void px_link_settle(struct px_link *link);
bool px_link_is_dead(const struct px_link *link);
/* Frees it; only the sweep. */
void px_link_free(struct px_link *link);
struct px_address px_link_peer(const struct px_link *link);
void px_link_row(const struct px_link *link, struct px_session_row *ret_row);

/* link_frames.c */
void px_link_on_event(evutil_socket_t fd, short what, void *conn);
/* Looks at what was left in conn->in. */
void px_link_walk_held(struct px_conn *conn);
/* The present frame to the other side / swallowed / rewritten. Only while walking. */
void px_walk_forward(struct px_link *link);
void px_walk_drop(struct px_link *link);
void px_walk_hide_multi(struct px_link *link, uint64_t mask);
/* What was collected goes out before anything else does. No-op outside a walk. */
void px_walk_flush(struct px_link *link);

/* link_dial.c */
/* Chooses a server and dials, until a dial is under way or nothing can be done now. */
void px_link_route(struct px_link *link);
void px_link_dial_ready(struct px_link *link); /* the socket is writable or failed */
/* Ends a dial that has no ConnectResponse: counts, closes the server connection; the core is not told. */
void px_link_dial_end(struct px_link *link, enum px_dial_result result);
/* The server's FIN or RST while DIALING. */
enum px_dial_result px_link_dial_closed(const struct px_link *link);
void px_link_place_give(struct px_link *link);

/* link_owner.c */
void px_link_claim(struct px_link *link, int64_t session_id);
/* After the ConnectResponse: the id it names is held, whatever was held before. */
void px_link_claim_established(struct px_link *link, int64_t session_id);
void px_link_unclaim(struct px_link *link);
/* Messages between workers. */
void px_owner_on_release(struct px_worker *worker, const struct px_msg *msg);
void px_owner_on_released(struct px_worker *worker, const struct px_msg *msg);

#endif
