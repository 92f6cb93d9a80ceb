/* What only a preflight asks about the ensemble, beyond what servers are asked all the time: the ACLs of
 * a sample of znodes, who may write the config node, what the leader is able to, who holds the plan lock,
 * which names can be resolved, which session timeouts are in use. Plain data and the rules that fill it; the
 * connections that look are proxy/control/survey/survey.h. Pure. */
#ifndef MIGRATE_SURVEY_H
#define MIGRATE_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/verify/node.h"

#define MIG_SURVEY_PATH_MAX   128u /* of an example; longer ones are cut */
#define MIG_SURVEY_TEXT_MAX   256u
#define MIG_SURVEY_UNRESOLVED 32u /* one per server */
#define MIG_SURVEY_UNREACHED  16u /* those that are named */

enum mig_may { MIG_MAY_UNKNOWN, MIG_MAY_NOT, MIG_MAY };

/* A server whose quorum host the resolver here does not know. */
struct mig_unresolved {
    int32_t server;
    char host[MIG_SURVEY_PATH_MAX];
};

/* No connection from an address of `bind` gets to a server that serves. */
struct mig_unreached {
    int32_t server;
    char from[48]; /* numeric */
    char why[80];
};

/* One look; nothing in it is older than asked_at_ms (monotonic; 0 = nobody looked yet). */
struct mig_survey {
    int64_t asked_at_ms;
    char incomplete[MIG_SURVEY_TEXT_MAX]; /* why something could not be seen; "" = it could */
    /* a bounded walk over the tree, without /zookeeper */
    uint32_t nodes; /* read with their ACL */
    uint32_t ip_acls;
    char ip_acl_path[MIG_SURVEY_PATH_MAX];
    enum mig_may takes_ttl; /* the leader lets nodes have a TTL; no Stat shows which ones do */
    /* the config node */
    enum mig_may anyone_may_write; /* as a connection without credentials found out */
    enum mig_may acl_lets_anyone;  /* as its ACL says */
    /* the plan lock */
    bool has_lock;                         /* the node is there and it is not this daemon's */
    char lock_holder[MIG_SURVEY_TEXT_MAX]; /* what its holder wrote */
    /* sessions that go through this proxy; 0 = none, or not known */
    int32_t timeout_min_ms;
    int32_t timeout_max_ms;
    /* names in server lines */
    uint32_t unresolved_count;
    struct mig_unresolved unresolved[MIG_SURVEY_UNRESOLVED];
    /* this host */
    uint32_t unreached_count;
    struct mig_unreached unreached[MIG_SURVEY_UNREACHED];
    char programs[MIG_SURVEY_TEXT_MAX]; /* hooks whose program can't be run, and why; "" = they all can */
};

/* Counts a node of the sample. */
void mig_survey_node(struct mig_survey *survey, const char *path, const struct mig_node *node);
/* One established session's timeout. */
void mig_survey_timeout(struct mig_survey *survey, int32_t timeout_ms);

#endif
