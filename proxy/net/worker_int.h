/* A worker from the inside. proxy/net only; everything here is the worker thread's, except what the comment
 * of a field says. */
#ifndef PROXY_NET_WORKER_INT_H
#define PROXY_NET_WORKER_INT_H

#include <pthread.h>

#include "proxy/net/link_int.h"
#include "proxy/net/worker.h"

#define PX_SCRATCH_SIZE (256u * 1024u) /* one recv; also bounds how far a buffer overshoots its limit */
/* One client's unanswered requests before it is no longer read, and when it is again: as deep as any real
 * pipeline, and 64 KiB of records. */
#define PX_INFLIGHT_MAX    4096u
#define PX_INFLIGHT_RESUME 2048u
/* A frame that must be seen whole: requests end at 1 MiB, replies to them may be somewhat larger. */
#define PX_WHOLE_FRAME_MAX   (4u * 1024u * 1024u)
#define PX_CONNECT_FRAME_MAX 1024u /* a ConnectResponse has 37 bytes */
#define PX_TICK_MS           10    /* while something waits for a deadline that clients feel */
#define PX_SLOW_TICK_MS      1000  /* timeouts of sessions are in seconds */

struct px_linger;
TAILQ_HEAD(px_linger_list, px_linger);

struct px_worker {
    struct px_worker_options options;
    pthread_t thread;           /* control thread */
    struct px_mailbox *box;     /* any thread pushes */
    struct px_metrics *metrics; /* any thread reads */
    struct px_shared *shared;
    struct event_base *base;
    struct event *tick;
    int32_t tick_ms;      /* what the timer is set to */
    int64_t slow_tick_ms; /* when the slow part ran last */
    uint8_t *scratch;
    bool is_stopping;
    bool is_clock_stale; /* the clock is read once per loop turn, when somebody asks */
    int64_t now_ms;
    uint32_t now_us;
    uint32_t slow_us;
    struct px_directive *directive; /* NULL before the first */
    struct px_link_list links[PX_SESSION_STATE_COUNT];
    uint32_t link_counts[PX_SESSION_STATE_COUNT];
    struct px_watch_space watch_space;
    struct px_link *by_token;
    uint64_t last_token;
    struct px_linger_list lingers;
    /* routing */
    uint32_t turn;        /* over addresses and local addresses */
    uint32_t free_places; /* connects that ended in this loop turn: so many waiting ones go on */
    int64_t kick_ms;      /* when control was last asked for a probe round */
    int64_t slot_reply_ms[PX_SLOTS_MAX];
    int64_t slot_zxid[PX_SLOTS_MAX];
    /* orders */
    uint64_t hold_id;       /* in force, 0 = none */
    uint64_t hold_ended_id; /* the last one that is over, so that it does not begin again */
    int64_t hold_deadline_ms;
    int64_t return_credit_us; /* token bucket: each return costs a second divided by the rate */
    int64_t return_filled_ms;
    bool skips_drain; /* test switches */
    bool ignores_zxid;
};

/* worker.c */
void px_worker_clock(struct px_worker *worker); /* refreshes now_ms, now_us if they are of another turn */
void px_worker_kick_probe(struct px_worker *worker);
/* worker_orders.c */
void px_worker_apply(struct px_worker *worker, struct px_directive *take_directive);
void px_worker_tick(struct px_worker *worker);
bool px_worker_is_busy(const struct px_worker *worker); /* the fast tick is needed */
void px_worker_stop_all(struct px_worker *worker);
bool px_worker_may_route(const struct px_worker *worker);
/* Waiting connects go on when places became free, or when their time has come. */
void px_worker_route_waiting(struct px_worker *worker, bool all);

#endif
