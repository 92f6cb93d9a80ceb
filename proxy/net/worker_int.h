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
#define PX_INFLIGHT_MAX        4096u
#define PX_INFLIGHT_RESUME     2048u
#define PX_WHOLE_BYTES_DEFAULT (4u * 1024u * 1024u)
#define PX_HELD_BYTES_DEFAULT  (256u * 1024u * 1024u)
/* What every connection may still fill when all together hold too much: enough for what libraries send at
 * rest, and little for 15,000 of them. */
#define PX_HELD_LITTLE (16u * 1024u)
/* Frames that are collected whole at one time, of those that are longer than this: in sum that many times
 * limits.whole_bytes, twice that as arrays grow. Libraries' SetWatches end at 128 KiB. */
#define PX_COLLECTORS_MAX    16u
#define PX_COLLECT_FREE      (256u * 1024u)
#define PX_CONNECT_FRAME_MAX 1024u /* a ConnectResponse has 37 bytes */
#define PX_KICK_MS           200   /* a new client can wait for a probe round … */
#define PX_KICK_SOON_MS      10    /* … a session in the middle of a move should not */
#define PX_TICK_MS           10    /* while something waits for a deadline that clients feel */
#define PX_SLOW_TICK_MS      500   /* timeouts of sessions are in seconds */

/* A request over a server's usual jute.maxbuffer. The last few of a worker are remembered, to say what a
 * server that closed may have closed for. */
#define PX_BIGS 8u
struct px_big {
    uint64_t token; /* of its link's claim; 0 = none */
    int32_t xid;
    uint32_t length;
};

struct px_linger;
TAILQ_HEAD(px_linger_list, px_linger);

struct px_worker {
    struct px_worker_options options;
    pthread_t thread;           /* control thread */
    struct px_mailbox *box;     /* any thread pushes */
    struct px_metrics *metrics; /* any thread reads */
    struct px_shared *shared;
    struct px_poller poller;
    struct px_polled wake; /* the mailbox's */
    int32_t tick_ms;       /* from one tick to the next */
    int64_t tick_at_ms;    /* the next one */
    int64_t slow_tick_ms;  /* when the slow part ran last */
    uint8_t *scratch;
    uint32_t greeting_max; /* bytes of a ConnectRequest */
    bool is_stopping;
    bool is_clock_stale; /* the clock is read once per loop turn, when somebody asks */
    int64_t now_ms;
    uint32_t now_us;
    uint32_t slow_us;
    struct px_directive *directive; /* NULL before the first */
    struct px_byte_limits limits;   /* the directive's, completed: this worker's share of `held` */
    uint64_t held_bytes;            /* the buffers of all its connections */
    uint32_t collector_count;       /* connections that have a place, see px_conn_collect */
    bool wants_places;              /* others wait for one */
    struct px_big bigs[PX_BIGS];
    uint32_t next_big;
    bool any_empties; /* one of its servers does, be it of canaries only */
    struct px_link_list links[PX_SESSION_STATE_COUNT];
    uint32_t link_counts[PX_SESSION_STATE_COUNT];
    uint32_t silent_count; /* links that are */
    struct px_watch_space watch_space;
    uint64_t last_token;
    struct px_linger_list lingers;
    /* routing; times are CLOCK_MONOTONIC, 0 = never */
    int64_t slot_ok_ms[PX_SLOTS_MAX];     /* a ConnectResponse came last */
    int64_t slot_ended_ms[PX_SLOTS_MAX];  /* a dial ended last, however */
    int64_t slot_begun_ms[PX_SLOTS_MAX];  /* a dial began last */
    int64_t slot_bad_ms[PX_SLOTS_MAX];    /* not before, unless there is no better one */
    int64_t slot_pinged_ms[PX_SLOTS_MAX]; /* our ping is out and nothing has come since */
    int64_t pulse_ms;                     /* when slots were last looked at */
    uint32_t turn;                        /* over addresses and local addresses */
    uint32_t free_places; /* connects that ended in this loop turn: so many waiting ones go on */
    int64_t kick_ms;      /* when control was last asked for a probe round */
    int64_t slot_reply_ms[PX_SLOTS_MAX];
    int64_t slot_zxid[PX_SLOTS_MAX];
    int64_t shut_since_ms[PX_GROUP_COUNT]; /* nobody admitted has taken a new session since; 0 = they take */
    int64_t elsewhere_told_ms;             /* when that was last logged, and how often it had happened then */
    int64_t stayed_told_ms;                /* the same of moves that came to nothing */
    uint32_t elsewhere_untold;
    uint32_t stayed_untold;
    bool is_back; /* a server that had failed takes sessions: all who wait look again in this turn */
    int64_t dials_after_ms; /* no dial before: the process had no descriptor, port or memory for one */
    int64_t dials_told_ms;  /* when that was last logged */
    /* orders */
    struct px_hold hold;     /* in force; id 0 = none */
    uint64_t hold_ended_id;  /* the last one that is over, so that it does not begin again */
    bool has_marked;         /* all workers were quiet in it: last markers are out */
    bool is_marked;          /* … and back */
    uint32_t lost_in_hold;   /* sessions whose server was lost in it */
    int64_t own_zxid;        /* for px_event.own_zxid */
    int64_t leave_credit_us; /* token bucket: each move or return costs a second divided by the rate */
    int64_t leave_filled_ms;
    int64_t leave_since_ms; /* a server empties since then; 0 = none does */
    int64_t leave_begun_ms; /* a move or return began last */
    uint32_t moves_before;  /* under way at the end of the last loop turn */
    bool skips_drain;       /* test switches */
    bool ignores_zxid;
    bool skips_move_drain;
    bool skips_auth;
    bool skips_pacing;
    bool stalls;
};

/* All together hold too much. */
static inline bool px_worker_is_short(const struct px_worker *worker)
{
    return worker->held_bytes > worker->limits.held;
}

/* worker.c */
void px_worker_clock(struct px_worker *worker); /* refreshes now_ms, now_us if they are of another turn */
/* Asks control for a probe round unless that was done less than pause_ms ago: all who wait want the same. */
void px_worker_kick_probe(struct px_worker *worker, int64_t pause_ms);
/* worker_orders.c */
void px_worker_apply(struct px_worker *worker, struct px_directive *take_directive);
void px_worker_tick(struct px_worker *worker);
bool px_worker_is_busy(const struct px_worker *worker); /* the fast tick is needed */
void px_worker_stop_all(struct px_worker *worker);
/* Calls fn for every link that is in a state now, in their order. It may move links to other lists, also back
 * to this one: they come behind the others. It ends after as many calls as there were links when it began,
 * whatever the calls put back. They may not free links. */
typedef void px_link_fn(struct px_link *link, void *context);
void px_worker_each(struct px_worker *worker, enum px_session_state state, px_link_fn *fn, void *context);
/* Steps every link that is in a state now, and settles it. */
void px_worker_step_state(struct px_worker *worker, enum px_session_state state, enum px_event_kind kind,
                          int64_t deadline_ms);
/* Links that look for a server go on: those that are new, and as many as places became free; or all. */
void px_worker_route_waiting(struct px_worker *worker, bool all);
/* worker_belief.c: which servers take sessions, by this worker's own experience. Bit per slot. */
/* Every server it may go to has refused a client that asked for a new session. */
void px_worker_note_refusal(struct px_worker *worker);
void px_worker_note_dial(struct px_worker *worker, uint32_t slot, enum px_dial_result result);
/* A new session has asked everybody who is admitted, and nobody took it. */
void px_worker_note_shut(struct px_worker *worker, bool is_canary);
/* Nobody who is admitted takes new sessions, for long enough: others may stand in, at once. */
bool px_worker_is_shut(const struct px_worker *worker, bool is_canary);
/* A session was attached to a server that the plan does not prefer, since no other took it. */
void px_worker_note_elsewhere(struct px_worker *worker, uint32_t slot);
void px_worker_doubt(struct px_worker *worker, uint32_t slot); /* it does not answer its sessions */
/* A dial failed for want of something that every dial needs (errno): none is tried for a moment. */
void px_worker_note_shortage(struct px_worker *worker, int error);
uint64_t px_worker_bad_slots(const struct px_worker *worker);            /* refused, closed or hung lately */
bool px_worker_is_proven(const struct px_worker *worker, uint32_t slot); /* it has answered us lately */
uint64_t px_worker_good_slots(const struct px_worker *worker);
uint64_t px_worker_tried_slots(const struct px_worker *worker); /* a dial began within the last second */
uint64_t px_worker_scout_slots(const struct px_worker *worker); /* not good, but not asked lately either */
/* worker_hold.c */
bool px_worker_holds(const struct px_worker *worker, const struct px_link *link);
void px_worker_apply_hold(struct px_worker *worker, const struct px_hold *hold);
void px_worker_tick_hold(struct px_worker *worker);
void px_worker_publish_hold(struct px_worker *worker);
/* worker_leave.c: sessions leave servers that empty. */
bool px_worker_wants_leave(const struct px_worker *worker);
void px_worker_tick_leave(struct px_worker *worker);
void px_worker_turn_leave(struct px_worker *worker); /* the places of moves that ended in it are taken */
void px_worker_tick_stop(struct px_worker *worker);
/* link_canary.c: every session is looked at anew. */
void px_worker_judge_canaries(struct px_worker *worker);
/* worker_pulse.c: servers that hang are found. */
void px_worker_tick_pulse(struct px_worker *worker);

#endif
