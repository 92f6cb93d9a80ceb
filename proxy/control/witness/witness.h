/* The continuity witness: during a plan the daemon is a client of its own. A session through the first client
 * port writes a counter, watches it and owns it as an ephemeral; what it sees is judged by
 * migrate/engine/witness.h and is the operator's proof that nothing was interrupted. It is routed, held and
 * moved like any client's. Control thread. Not here: when it is wanted (drive.c), JSON (report_witness.h),
 * metrics (gauges.c). */
#ifndef PROXY_CONTROL_WITNESS_WITNESS_H
#define PROXY_CONTROL_WITNESS_WITNESS_H

#include <sys/socket.h>

#include "conf/conf.h"
#include "migrate/engine/witness.h"
#include "migrate/plan/plan.h"

struct event_base;
struct px_witness; /* owned by struct px_control */

/* Of one plan, with the lives of the daemon before this one. Plain data. */
struct px_witness_result {
    char plan_id[MIG_PLAN_ID_MAX]; /* "" = none has run yet */
    bool is_running;
    bool is_connected;
    bool is_clean;           /* see mig_witness_is_clean */
    int64_t session_id;      /* 0 = none now */
    int64_t started_wall_ms; /* in the first life it ran in */
    int64_t ended_wall_ms;   /* 0 = has not */
    struct mig_witness_figures figures;
};

struct px_witness_order {
    bool is_wanted;
    const char *plan_id;
    const struct conf *conf; /* credentials, state root, address of the client port */
    uint16_t port;           /* the real one of the first client port */
    int64_t now_ms;
    int64_t wall_ms;
    struct mig_witness_account so_far; /* of that plan, by its journal; taken when this life begins with it */
};

/* Is it so that requests of clients wait in the proxy now? Asked in the moment before a call that would wait
 * for an answer. */
typedef bool px_witness_held_fn(void *context);

/* instance: the state directory's id, so that no two daemons share a node; borrowed. NULL: out of memory. */
struct px_witness *px_witness_new(struct event_base *base, const char *instance, px_witness_held_fn *is_held,
                                  void *context);
/* Without waiting for anybody: a session that is still there is left to expire. NULL is fine. */
void px_witness_free(struct px_witness *witness);

/* Begins and ends it as ordered; borrowed for the call. The end deletes its node and, when nobody else uses
 * it, the state root; it takes a moment, at most PX_WITNESS_ENDING_MS. */
void px_witness_tick(struct px_witness *witness, const struct px_witness_order *order);
#define PX_WITNESS_ENDING_MS 3000
/* It runs, or has not ended yet. */
bool px_witness_is_active(const struct px_witness *witness);

/* Does that client's connection come from the witness? */
bool px_witness_is_peer(const struct px_witness *witness, const struct sockaddr *peer);

/* Of the newest plan it ran for in this life. */
void px_witness_result(const struct px_witness *witness, struct px_witness_result *ret_result);

#endif
