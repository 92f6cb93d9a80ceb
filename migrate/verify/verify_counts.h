/* What servers count of their trees (mntr) compared with the reference's counts: taken between two of the
 * reference's, so that a server that follows it falls between them. Pure: told facts, says what to probe.
 * A hint beside the walk (verify.h), quick for trees of any size; not here: what it means for the outcome. */
#ifndef MIGRATE_VERIFY_COUNTS_H
#define MIGRATE_VERIFY_COUNTS_H

#include "migrate/facts.h"

/* As mntr names them. Data size is what ZooKeeper itself calls approximate. */
#define MIG_COUNTS(X)                                                                                        \
    X(znode_count, "znodes")                                                                                 \
    X(ephemerals_count, "ephemerals")                                                                        \
    X(data_size, "bytes of data")

enum mig_counts_verdict {
    MIG_COUNTS_PENDING,
    MIG_COUNTS_UNKNOWN, /* no mntr from it, or from the reference; text says so */
    MIG_COUNTS_EQUAL,   /* within the reference's counts before and after */
    MIG_COUNTS_DIFFERENT,
};

enum mig_counts_stage { MIG_COUNTS_BEFORE, MIG_COUNTS_SERVERS, MIG_COUNTS_AFTER, MIG_COUNTS_DONE };

struct mig_counts_server {
    int32_t id;
    enum mig_counts_verdict verdict;
    struct mig_mntr mntr;
    bool is_seen;
    char text[MIG_TEXT_MAX]; /* what differs, or why nothing is known; "" = equal */
};

/* Plain data, owned by the caller; read it freely, change it by the calls below only. */
struct mig_counts {
    int32_t reference;
    enum mig_counts_stage stage;
    int64_t asked_ms; /* by the present stage */
    bool has_asked;
    uint32_t rounds;
    int64_t next_look_ms; /* after a difference: not before */
    struct mig_mntr before;
    struct mig_mntr after;
    uint32_t count;
    struct mig_counts_server servers[MIG_SERVERS_MAX];
};

/* ids: count <= MIG_SERVERS_MAX servers to compare with the reference. */
void mig_counts_start(struct mig_counts *counts, int32_t reference, const int32_t *ids, uint32_t count);
/* Call it whenever there are new facts, and at least every second, until stage is MIG_COUNTS_DONE. True: mntr
 * is to be asked anew, of every server. */
bool mig_counts_step(struct mig_counts *counts, const struct mig_facts *facts);

#endif
