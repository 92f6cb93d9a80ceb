/* What is measured of the sessions that go first in a switch, and when it is too much. Each figure is
 * compared with what was usual before: for all sessions, over a window as long as the observation. Pure.
 *
 * A *trouble* is a session that was cut off by its server's fault, that lost its server, or that no server
 * took twice in a row. Latency is from giving a request to a server to its reply, pings excepted. */
#ifndef MIGRATE_CANARY_H
#define MIGRATE_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

#define MIG_LATENCY_BUCKETS_MAX 24u
#define MIG_LOOKBACK_MAX        9u
/* Of a few requests the slowest in a hundred is an accident: so many of the slowest are left out at least,
 * and of fewer in all nothing is said. */
#define MIG_LATENCY_SPARED       5
#define MIG_LATENCY_REQUESTS_MIN 20

/* Counters since the daemon was started. Canaries are counted apart from the others while there are some. */
struct mig_group_facts {
    int64_t troubles;
    int64_t expired;
    int64_t returned;                         /* could not be moved */
    int64_t latency[MIG_LATENCY_BUCKETS_MAX]; /* requests by bucket */
};

struct mig_canary_facts {
    uint32_t round;   /* the round that every worker works by; 0 = none, or they are not agreed yet */
    int64_t sessions; /* canaries that are attached */
    struct mig_group_facts canaries;
    struct mig_group_facts rest;
    uint32_t bucket_count;     /* <= MIG_LATENCY_BUCKETS_MAX */
    const uint32_t *bounds_us; /* upper bounds of the buckets, bucket_count - 1 of them; constant */
};

/* What happened in a time. */
struct mig_measures {
    int64_t ms;
    int64_t sessions; /* that it happened to */
    int64_t troubles;
    int64_t expired;
    int64_t returned;
    int64_t requests;
    int64_t p99_us; /* of their latency; 0 without requests */
};

/* Between two moments of one group; ms and sessions are the caller's. */
struct mig_measures mig_measures_of(const struct mig_canary_facts *facts, const struct mig_group_facts *from,
                                    const struct mig_group_facts *to);
/* False: every figure is within its limit. True: writes the first that is not, with its limit, for people. */
bool mig_canary_exceeds(const struct conf_canary *limits, const struct mig_measures *usual,
                        const struct mig_measures *seen, char *buf, uint32_t capacity);

/* The last moments of all sessions, evenly spread over a window. Zeroed = empty. */
struct mig_lookback {
    uint32_t count;
    struct {
        int64_t at_ms;
        int64_t sessions;
        struct mig_group_facts group;
    } samples[MIG_LOOKBACK_MAX]; /* the oldest first */
};
/* Call often; keeps what is needed to look back span_ms. */
void mig_lookback_note(struct mig_lookback *lookback, const struct mig_canary_facts *facts, int64_t sessions,
                       int64_t now_ms, int64_t span_ms);
/* From the oldest moment until now; all 0 when there is none. */
struct mig_measures mig_lookback_usual(const struct mig_lookback *lookback,
                                       const struct mig_canary_facts *facts, int64_t now_ms);

#endif
