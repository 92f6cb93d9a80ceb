/* ZooKeeper's own digests of whole trees (the word `hash`, 3.6 and newer), compared: equal digests behind the
 * same transaction mean equal trees at that moment. A hint beside the walk (verify.h): the moment is past,
 * and neither ACLs nor /zookeeper are in it. Pure. */
#ifndef MIGRATE_VERIFY_DIGEST_H
#define MIGRATE_VERIFY_DIGEST_H

#include <stdbool.h>

#include "zkproto/word.h"

#define MIG_DIGESTS_MAX 1024u /* as many as a server keeps (DataTree.java: DIGEST_LOG_LIMIT) */

/* Plain data, owned by the caller. */
struct mig_digests {
    uint32_t count;
    struct zkp_digest items[MIG_DIGESTS_MAX]; /* as they came; the newest when there were more */
};

enum mig_digest_verdict {
    MIG_DIGEST_UNKNOWN, /* no digest of the same transaction */
    MIG_DIGEST_EQUAL,
    MIG_DIGEST_DIFFERENT,
};

/* text: the answer to `hash`; empty is fine. */
void mig_digests_read(struct mig_digests *digests, struct zkp_slice text);
/* By the newest transaction of which both have one; *ret_zxid is it, 0 with UNKNOWN. */
enum mig_digest_verdict mig_digests_compare(const struct mig_digests *a, const struct mig_digests *b,
                                            int64_t *ret_zxid);

#endif
