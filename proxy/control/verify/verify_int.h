/* What verify.c (one run from start to outcome), verify_start.c (who is compared), verify_links.c (its
 * connections) and verify_digests.c (ZooKeeper's own digests) share. Control thread. */
#ifndef PROXY_CONTROL_VERIFY_VERIFY_INT_H
#define PROXY_CONTROL_VERIFY_VERIFY_INT_H

#include "migrate/zkclient/zkclient.h"
#include "proxy/control/verify/verify.h"

/* One server's connection. Owned by px_verify; its index is the server's in the core. */
struct verify_conn {
    struct px_verify *owner;
    uint32_t index;
    struct mig_zk *zk; /* NULL = none */
    int64_t lost_ms;   /* since when it is not connected; 0 = it is */
    char why[MIG_TEXT_MAX];
    struct mig_prober *prober;   /* asks for digests; NULL = has answered */
    struct mig_digests *digests; /* NULL = none */
};

struct px_verify {
    struct event_base *base;
    struct px_fleet *fleet;
    struct px_links *links;
    struct event *wake;
    struct event *timer; /* pauses of nodes that change */
    enum px_verify_state state;
    enum px_verify_outcome outcome;
    char reason[PX_VERIFY_REASON_MAX];
    bool is_quiet;
    bool is_light;
    bool is_counts_only; /* counts and digests were enough */
    uint32_t count;      /* servers, the reference first */
    int32_t ids[MIG_SERVERS_MAX];
    struct verify_conn conns[MIG_SERVERS_MAX];
    char root[MIG_VERIFY_PATH_MAX];
    const char *skips[MIG_VERIFY_SKIPS_MAX];
    char at[MIG_VERIFY_PATH_MAX];
    int64_t started_ms;
    int64_t started_wall_ms;
    int64_t ended_ms;
    struct mig_hash_key key;
    struct mig_counts counts;
    bool has_asked_digests;
    struct px_verify_digest digests[MIG_SERVERS_MAX]; /* by index */
    struct mig_verify *core;                          /* NULL in state NONE */
};

/* verify.c */
void verify_schedule(struct px_verify *verify); /* go on in the next turn of the loop */

/* verify_links.c */
void verify_links_open(struct px_verify *verify); /* those that are missing */
void verify_links_close(struct px_verify *verify);
/* Those without a session: the next connect would make one, and that is a write. */
void verify_links_close_unborn(struct px_verify *verify);
/* Servers that were away for too long are given up. */
void verify_links_check(struct px_verify *verify, int64_t now_ms);
void verify_links_ask(struct px_verify *verify, const struct mig_verify_ask *ask, int64_t now_ms);

/* verify_digests.c */
void verify_digests_ask(struct px_verify *verify);
bool verify_digests_are_complete(const struct px_verify *verify); /* everybody has answered, or never will */
void verify_digests_judge(struct px_verify *verify);
void verify_digests_forget(struct px_verify *verify); /* what was asked and answered, not the verdicts */

#endif
