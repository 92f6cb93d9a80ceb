/* What control wants of the workers: versioned plain data, never a call (design.md §4 "Directives").
 * A directive is written by the control thread, then published and never changed again; workers share it
 * by reference count. Nothing in it is a pointer, so the same data can later travel between proxies.
 * Not here: what workers report back (shared.h) and single requests (msg.h). */
#ifndef PROXY_NET_DIRECTIVE_H
#define PROXY_NET_DIRECTIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/net/canary.h"
#include "zkproto/err.h"

/* A slot is a server's stable number inside this process: once a slot belongs to a server id it does so
 * until the process ends, also when the server leaves the table (in_use false). 64 = ZKP_SERVERS_MAX. */
#define PX_SLOTS_MAX     64u
#define PX_SLOT_NONE     UINT32_MAX
#define PX_ADDRESSES_MAX 8u  /* resolved addresses per server */
#define PX_BINDS_MAX     32u /* CONF_BINDS_MAX */
#define PX_REASON_MAX    160u

enum px_side { PX_SIDE_SOURCE, PX_SIDE_TARGET, PX_SIDE_COUNT };

const char *px_side_name(enum px_side side); /* "source", "target" */

/* Longest of all address families, with its length. */
struct px_address {
    struct sockaddr_storage storage;
    socklen_t length;
};

struct px_server_directive {
    bool in_use;
    bool admit;          /* sessions may go there whenever it serves: a member, preferred, not drained */
    bool is_serving;     /* probes say so */
    bool stands_in;      /* the plan prefers others: for those whom none of these takes */
    bool is_read_only;   /* without a quorum: only for clients that take that */
    bool empties;        /* its sessions leave, at the common pace: moved, or returned if they can't be */
    bool admit_canaries; /* the same two for those that go first in a switch */
    bool canaries_empty;
    bool is_leader; /* probes say so: it refuses pings of a session that has moved (protocol.md §3.2) */
    bool check_is_harmful; /* bare opcode 13 must be answered -6 by us (pitfall P18) */
    bool has_watch_modes;  /* from 3.9: the modes of watches on one path stand side by side */
    int32_t id;            /* ZooKeeper's server id */
    enum px_side side;
    int64_t zxid; /* highest known by probes; workers add what replies show (shared.h) */
    uint32_t address_count;
    struct px_address addresses[PX_ADDRESSES_MAX]; /* numeric, tried in turn over the dials */
};

/* MOVES: none begins, those under way finish; clients notice nothing. SERVER, ALL: requests of the sessions
 * on `slot`, or of all, wait in the proxy once nothing of theirs is outstanding. */
enum px_hold_scope { PX_HOLD_ALL, PX_HOLD_SERVER, PX_HOLD_MOVES };

/* A lease; id 0 = none. It ends by itself at deadline_ms, also when control is not heard any more, and, when
 * exit_epoch is set, as soon as every session that lost its server in it is attached again elsewhere. */
struct px_hold {
    uint64_t id;
    int64_t deadline_ms; /* CLOCK_MONOTONIC */
    enum px_hold_scope scope;
    uint32_t slot;         /* SERVER */
    int64_t exit_epoch;    /* != 0: a reconfig was sent to the leader of this epoch; servers will go */
    uint32_t leaving_slot; /* the leader that leaves; sessions still on it go last. PX_SLOT_NONE = nobody */
    int64_t own_zxid;      /* the reconfig's own transaction (the new config's version); 0 = not known yet */
};

static inline bool px_server_admits(const struct px_server_directive *server, bool is_canary)
{
    return is_canary ? server->admit_canaries : server->admit;
}

static inline bool px_server_empties(const struct px_server_directive *server, bool is_canary)
{
    return is_canary ? server->canaries_empty : server->empties;
}

/* In bytes; 0 = the default. */
struct px_byte_limits {
    uint32_t request; /* of a frame, as is the next; default: what the protocol can say */
    uint32_t reply;
    uint32_t whole; /* of one that must be there before any of it goes on */
    uint32_t held;  /* in all buffers of all workers' connections; more are filled to a little only */
};

struct px_directive {
    _Atomic(uint32_t) refcount; /* the only field that changes after publishing */
    uint64_t version;           /* grows; workers report the one they applied */
    struct px_server_directive servers[PX_SLOTS_MAX];
    uint32_t bind_count[PX_SIDE_COUNT]; /* 0 = the kernel chooses the local address */
    struct px_address binds[PX_SIDE_COUNT][PX_BINDS_MAX];
    uint32_t moves_per_second;   /* moves and returns, over all workers and servers; 0 = none begins */
    uint32_t quiesce_timeout_ms; /* how long one session may take to become quiet */
    struct px_byte_limits limits;
    struct px_hold hold;
    struct px_canary canary;
    bool has_leader; /* false: connects wait, and why_waiting says for what; but for those to read-only */
    /* CLOCK_MONOTONIC: the last probe round in which a majority of voters answered that it does not serve:
     * without a leader no session expires, so those alive then still were (design.md §4). 0 = never. */
    int64_t nobody_expires_ms;
    char why_waiting[PX_REASON_MAX];
    bool stop; /* return every session, accept none; ends at stop_deadline_ms */
    int64_t stop_deadline_ms;
};

/* A zeroed directive with one reference, the caller's. NULL when out of memory. */
struct px_directive *px_directive_new(void);
/* A copy to change and publish as the next version: refcount 1, version + 1. NULL when out of memory. */
struct px_directive *px_directive_next(const struct px_directive *from);
/* One more reference / one less, the last one frees. Any thread. unref accepts NULL. */
struct px_directive *px_directive_ref(struct px_directive *directive);
void px_directive_unref(struct px_directive *directive);

#endif
