/* The numbers that threads share without a message: small atomics, relaxed, each with few writers
 * (style.md §8: besides mailboxes and metrics the only cross-thread memory). Owned by the control thread,
 * which creates it before the workers and frees it after them. */
#ifndef PROXY_NET_SHARED_H
#define PROXY_NET_SHARED_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/net/directive.h"

struct px_mailbox;
struct px_owner_map;

#define PX_WORKERS_MAX 256u
/* Connects in flight per server over all workers: its listen backlog is 50, beyond it SYNs are lost for
 * seconds (design.md §4, measured). */
#define PX_CONNECTS_MAX 32u

/* How a dial ended. X(name, label) */
#define PX_DIAL_RESULTS(X)                                                                                   \
    X(OK, "ok")                                                                                              \
    X(EXPIRED, "expired")     /* ConnectResponse says the session is gone: an answer, not a failure */       \
    X(REFUSED, "refused")     /* nobody listens */                                                           \
    X(TIMEOUT, "timeout")     /* no ConnectResponse in time */                                               \
    X(CLOSED, "closed")       /* FIN or RST without bytes: not serving, or behind the client's zxid */       \
    X(FULL, "full")           /* the same from a server whose live sessions get replies */                   \
    X(MALFORMED, "malformed") /* the first frame is no ConnectResponse */                                    \
    X(LOCAL, "local")         /* our side: no local address, no port, no route to it */                      \
    X(SHORTAGE, "shortage")   /* our side: no descriptor or memory for any server */                         \
    X(ABANDONED, "abandoned") /* the client went first */

enum px_dial_result {
#define PX_DIAL_ENUM(name, label) PX_DIAL_##name,
    PX_DIAL_RESULTS(PX_DIAL_ENUM)
#undef PX_DIAL_ENUM
        PX_DIAL_COUNT
};
const char *px_dial_result_name(enum px_dial_result result);

/* One per slot. All workers add and subtract, control reads. */
struct px_shared_slot {
    alignas(64) _Atomic(uint32_t) session_count; /* established */
    _Atomic(uint32_t) session_changes;           /* sessions that came or went, in all */
    _Atomic(uint32_t) own_count;                 /* of the sessions, the daemon's own */
    _Atomic(uint32_t) canary_count;              /* of these, those that go first in a switch */
    _Atomic(uint32_t) connect_count;             /* dials without their ConnectResponse, <= PX_CONNECTS_MAX */
    _Atomic(int64_t) zxid;                       /* highest seen in its replies */
    _Atomic(int64_t) last_reply_ms;              /* CLOCK_MONOTONIC, to 100 ms; 0 = never */
    _Atomic(uint64_t) dials[PX_DIAL_COUNT];
    _Atomic(int64_t) taken_ms;    /* a dial was answered last; CLOCK_MONOTONIC, 0 = never */
    _Atomic(int64_t) failed_ms;   /* a dial failed last */
    _Atomic(uint64_t) failed_how; /* its result, and above 32 bits the errno where this host refused */
};

/* Of the configuration, by control: a reload changes them. */
struct px_shared_limits {
    _Atomic(uint32_t) sessions_max;       /* clients that have said what they want, or have a session */
    _Atomic(uint32_t) silent_max;         /* clients that have not */
    _Atomic(uint32_t) silent_per_address; /* of one origin; 0 = no limit of its own */
    _Atomic(int32_t) handshake_timeout_ms;
    _Atomic(uint32_t)
        client_buffer_max; /* bytes queued for one slow peer before its source is no longer read */
};

/* One per worker, written by that worker only. */
struct px_shared_worker {
    alignas(64) _Atomic(uint64_t) directive_version; /* applied */
    _Atomic(uint64_t) hold_id;                       /* the hold in force here, 0 = none */
    _Atomic(uint32_t) restless_count;                /* sessions that have something outstanding in it */
    _Atomic(uint32_t) unquiesced_count;              /* sessions that are not quiet yet in that hold */
    _Atomic(uint32_t) session_count;                 /* established */
    _Atomic(uint32_t) client_count;                  /* client connections, with those not established */
    _Atomic(uint32_t) waiting_count;                 /* connects that wait for a server */
    _Atomic(uint32_t) moving_count;   /* sessions on their way to another server, or returning */
    _Atomic(uint32_t) detached_count; /* established sessions that have no server now */
    _Atomic(uint32_t) lost_count;     /* sessions that lost their server in the hold in force */
    _Atomic(uint32_t) canary_round;   /* every session here knows whether it is a canary of it; 0 = none */
    /* CLOCK_MONOTONIC, 0 = never: a server answered a ConnectRequest last; since then, and last, every server
     * that is admitted has refused a client that asked for a new session. */
    _Atomic(int64_t) granted_ms;
    _Atomic(int64_t) refused_since_ms;
    _Atomic(int64_t) refused_ms;
    /* The same clock: nobody who is admitted takes clients since then, 0 = they do; and a client, or a
     * session without a server, was given to one that the plan does not prefer last. */
    _Atomic(int64_t) shut_since_ms;
    _Atomic(int64_t) elsewhere_ms;
    _Atomic(uint32_t) turn; /* of its loop: odd while it works, even while it waits */
};

struct px_shared {
    struct px_shared_slot slots[PX_SLOTS_MAX];
    struct px_shared_worker workers[PX_WORKERS_MAX];
    /* Descriptors of clients and their servers, of all workers and those on their way to one. */
    _Atomic(int64_t) descriptor_count;
    _Atomic(int64_t) descriptor_max; /* by control; see px_shared_may_move; 0 = no limit */
    struct px_shared_limits limits;
    /* Over all workers, at most what the limits say; the daemon's own are in neither. */
    _Atomic(uint32_t) placed_count;
    _Atomic(uint32_t) silent_count;
    uint32_t worker_count;                        /* set before the first worker starts */
    struct px_mailbox *mailboxes[PX_WORKERS_MAX]; /* by px_worker_start; complete before the first adopt */
    struct px_owner_map *owners;                  /* owned */
};

/* NULL when out of memory. worker_count <= PX_WORKERS_MAX. */
struct px_shared *px_shared_new(uint32_t worker_count);
/* After all workers are freed. NULL is fine. */
void px_shared_free(struct px_shared *shared);

/* One more, unless there are `max` already; one less. Any thread. */
bool px_shared_take(_Atomic(uint32_t) *count, uint32_t max);
void px_shared_give(_Atomic(uint32_t) *count);
/* Takes one of `max` places of a server, PX_CONNECTS_MAX but in tests; false when all are taken. Any thread.
 */
bool px_shared_connect_take(struct px_shared *shared, uint32_t slot, uint32_t max);
void px_shared_connect_give(struct px_shared *shared, uint32_t slot);
/* Any thread. */
void px_shared_descriptors_add(struct px_shared *shared, int64_t count);
int64_t px_shared_descriptors(const struct px_shared *shared);
void px_shared_descriptors_limit(struct px_shared *shared, int64_t max);
/* A session may have a third descriptor: those that are kept for probes, admin port and journal are not
 * needed for it. */
bool px_shared_may_move(const struct px_shared *shared);
/* Raises the slot's zxid; lower values are ignored. Any thread. */
void px_shared_zxid_raise(struct px_shared *shared, uint32_t slot, int64_t zxid);
/* How a dial ended; error: errno where this host itself refused it, else 0. Any thread. */
void px_shared_dial_ended(struct px_shared *shared, uint32_t slot, enum px_dial_result result, int error,
                          int64_t now_ms);
/* How a server's last dial failed, with errno or 0, when that was some seconds ago at most: no session can be
 * attached to it now. PX_DIAL_OK: none has failed since one was answered, or lately. Any thread. */
enum px_dial_result px_shared_dial_trouble(const struct px_shared *shared, uint32_t slot, int64_t now_ms,
                                           int *ret_error);
/* For people: "nobody listens", "from here: Cannot assign requested address". */
void px_dial_result_text(enum px_dial_result result, int error, char *buf, uint32_t capacity);
/* The highest zxid known of a server: by its replies and by the probes of `directive`. Any thread. */
int64_t px_shared_zxid(const struct px_shared *shared, const struct px_directive *directive, uint32_t slot);

#endif
