/* Digest mismatches that a server has counted (mntr, 3.6 and newer): a question, not an answer. A learner
 * that joins under write load may sync twice and count some although its tree is the leader's
 * (ZOOKEEPER-4394, protocol.md §5.3); only a comparison of its nodes tells. What was asked about each server,
 * and what came out. Pure. */
#ifndef MIGRATE_DOUBT_H
#define MIGRATE_DOUBT_H

#include "migrate/facts.h"

enum mig_doubt_state {
    MIG_DOUBT_NONE,         /* it has counted none; or it is older than digests */
    MIG_DOUBT_UNSEEN,       /* how many is not known: no usable answer yet */
    MIG_DOUBT_OPEN,         /* some, or it does not show how many: to be compared */
    MIG_DOUBT_EQUAL,        /* compared since it started to follow, and none has come since */
    MIG_DOUBT_DIFFERENT,    /* the comparison found a difference */
    MIG_DOUBT_NOT_COMPARED, /* the comparison did not get to its end */
    MIG_DOUBT_GROWS,        /* it goes on counting while it follows, after two comparisons */
};

/* The newest comparison of one server. */
struct mig_doubt {
    bool is_used;
    int32_t id;
    enum mig_doubt_state verdict;
    int64_t count; /* that it showed when it was asked for; -1 = it did not show it */
    int64_t asked_ms;
    bool has_grown; /* it was asked for because there were more than at the one before */
    char text[MIG_TEXT_MAX];
};

struct mig_doubts {
    struct mig_doubt items[MIG_SERVERS_MAX];
};

/* The mismatches it counts; -1 = not shown. */
int64_t mig_doubt_count(const struct mig_server_facts *server);
enum mig_doubt_state mig_doubt_of(const struct mig_doubts *doubts, const struct mig_server_facts *server);
/* NULL = never compared. */
const struct mig_doubt *mig_doubt_find(const struct mig_doubts *doubts, int32_t id);
/* A comparison of this server begins; its verdict is OPEN until it is written. NULL: no room, which more
 * servers than a plan can have would need. */
struct mig_doubt *mig_doubt_begin(struct mig_doubts *doubts, const struct mig_server_facts *server,
                                  int64_t now_ms);
/* For people: "3 digest mismatches since its start", "its digest mismatches are not shown". */
void mig_doubt_describe(const struct mig_server_facts *server, char *buf, uint32_t capacity);

#endif
