/* The workers as control sees them: started and ended together, given sockets and directives, asked for
 * their numbers and sessions. Control thread. Not here: what a directive says (director.c). */
#ifndef PROXY_CONTROL_CREW_CREW_H
#define PROXY_CONTROL_CREW_CREW_H

#include "conf/conf.h"
#include "migrate/engine/canary.h"
#include "proxy/net/worker.h"

struct px_crew; /* owned by struct px_control */

struct px_crew_totals {
    uint32_t clients;  /* connections, with those not established */
    uint32_t placed;   /* of limits.sessions: those that have said what they want */
    uint32_t sessions; /* established */
    uint32_t waiting;  /* connects that wait for a server */
    uint32_t moving;   /* on their way to another server, or returning */
    uint32_t detached; /* established, without a server now */
};

struct px_crew_hold {
    bool is_held;       /* every worker has this hold in force */
    int64_t unquiesced; /* -1 while one of them has not */
};

/* All sessions of all workers; rows are borrowed for the call. is_complete: false when a worker did not
 * answer before the deadline. */
typedef void px_crew_list_fn(void *context, const struct px_session_row *rows, uint32_t count,
                             bool is_complete);

/* Starts conf->workers threads. control is borrowed: workers post there. */
enum rc px_crew_start(const struct conf *conf, struct px_mailbox *control, struct px_crew **ret_crew,
                      struct err *err) RC_MUST_CHECK;
/* Ends the threads (closing what is still open) and frees. NULL is fine. */
void px_crew_free(struct px_crew *crew);

/* What a reload may change for them. */
void px_crew_set_limits(struct px_crew *crew, const struct conf *conf);
/* Hands the socket to the worker with the fewest clients. */
void px_crew_adopt(struct px_crew *crew, const struct px_adopt *take_adopt);
/* Every worker gets a reference of its own; the caller keeps its one. */
void px_crew_publish(struct px_crew *crew, struct px_directive *directive);

struct px_crew_totals px_crew_totals(const struct px_crew *crew);
struct px_crew_hold px_crew_hold(const struct px_crew *crew, uint64_t hold_id);
/* How long every admitted server has been refusing all that asked for a new session; 0 = one was granted
 * since, or nobody has asked for ten seconds, so that one may be let try. */
int64_t px_crew_refused_for_ms(const struct px_crew *crew, int64_t now_ms);
/* No server that the plan prefers takes sessions, and within the last ten seconds one was given to another.
 */
bool px_crew_is_elsewhere(const struct px_crew *crew, int64_t now_ms);
/* Counters of the sessions that go first in a switch, and of the others. `sessions` is the caller's. */
struct mig_canary_facts px_crew_canary(struct px_crew *crew);
uint64_t px_crew_metric(const struct px_crew *crew, enum px_metric metric); /* over all workers */
uint32_t px_crew_count(const struct px_crew *crew);
const struct px_metrics *px_crew_metrics(const struct px_crew *crew, uint32_t worker);
struct px_shared *px_crew_shared(struct px_crew *crew);

/* Asks all workers; fn is called once, when the last has answered or when px_crew_tick finds the deadline
 * passed. RC_FULL: too many lists under way. */
enum rc px_crew_list(struct px_crew *crew, int64_t now_ms, px_crew_list_fn *fn, void *context) RC_MUST_CHECK;
/* An answer (PX_MSG_SESSIONS) from a worker; the message stays the caller's. */
void px_crew_sessions(struct px_crew *crew, const struct px_msg *msg);
void px_crew_tick(struct px_crew *crew, int64_t now_ms);

#endif
