/* Verification: the data of servers compared with the leader's (migrate/verify/verify.h), over connections of
 * its own, one per server. At most one runs at a time; its result stays until the next. It gives way: a
 * bounded number of requests per server, none while a hold's outcome depends on nobody writing (a session is
 * a write). Control thread. Not here: JSON (report_verify.h) and who may call it (ops_verify.c). */
#ifndef PROXY_CONTROL_VERIFY_VERIFY_H
#define PROXY_CONTROL_VERIFY_VERIFY_H

#include "migrate/verify/verify.h"
#include "migrate/verify/verify_counts.h"
#include "migrate/verify/verify_digest.h"
#include "proxy/control/fleet/links.h"

struct px_verify; /* owned by struct px_control */

enum px_verify_state { PX_VERIFY_NONE, PX_VERIFY_COUNTING, PX_VERIFY_WALKING, PX_VERIFY_DONE };

enum px_verify_outcome {
    PX_VERIFY_PENDING,
    PX_VERIFY_EQUAL,
    PX_VERIFY_DIFFERENT,
    PX_VERIFY_INCOMPLETE,  /* no difference in what could be compared, but that was not everything */
    PX_VERIFY_INTERRUPTED, /* the walk did not reach its end; it can go on from `at` */
};

#define PX_VERIFY_REASON_MAX 256u

struct px_verify_digest {
    enum mig_digest_verdict verdict;
    int64_t zxid; /* the transaction behind which it was so */
};

/* For whoever prints it. Borrowed; valid until the loop turns. */
struct px_verify_view {
    enum px_verify_state state;
    enum px_verify_outcome outcome;
    const char *reason; /* why it is INTERRUPTED or INCOMPLETE; "" otherwise */
    uint32_t count;     /* servers, with the reference, which is the first */
    const int32_t *ids;
    int64_t started_wall_ms;
    int64_t took_ms;                 /* so far */
    bool is_counts_only;             /* light, and no node had to be read */
    int64_t expected;                /* znodes of the reference as it counts them; -1 = not known */
    const char *at;                  /* a walk that goes on from here compares everything this one has not */
    const char *const *skips;        /* count is MIG_VERIFY_SKIPS_MAX, NULL ends it */
    const struct mig_counts *counts; /* NULL in state NONE */
    const struct px_verify_digest *digests; /* by index; the one of the reference means nothing */
    const struct mig_verify_report *report; /* NULL in state NONE */
};

struct px_verify_request {
    const int32_t *ids; /* count 0: every target, or every source where the file has no targets */
    uint32_t count;
    const char *from; /* "" = the whole tree */
    bool is_light;    /* nodes are read only when counts or ZooKeeper's own digests differ */
};

/* fleet and links are borrowed. NULL: out of memory. */
struct px_verify *px_verify_new(struct event_base *base, struct px_fleet *fleet, struct px_links *links);
void px_verify_free(struct px_verify *verify); /* before the links; NULL is fine */

/* Begins one. RC_REFUSED: one runs; RC_AGAIN: no leader is proven; RC_NOT_FOUND: no such server; RC_INVALID:
 * the leader itself, nothing to compare, a bad path. */
enum rc px_verify_start(struct px_verify *verify, const struct mig_facts *facts, const char *state_root,
                        const struct px_verify_request *request, struct err *err) RC_MUST_CHECK;
/* Call it with every new facts. is_quiet: nothing may be written by us now, not even a session. */
void px_verify_tick(struct px_verify *verify, const struct mig_facts *facts, bool is_quiet);
bool px_verify_is_running(const struct px_verify *verify);
/* Its connections have credentials that are not to be used any more. A running walk ends as interrupted. */
void px_verify_cancel(struct px_verify *verify, const char *why);
/* Adds its connections to the servers' ours_least and ours_most. */
void px_verify_facts(const struct px_verify *verify, struct mig_facts *facts);
void px_verify_view(struct px_verify *verify, struct px_verify_view *ret_view);

#endif
