/* Named counters of what sessions went through: the engine carries them from the workers into the journal
 * without knowing what they mean. Names are those of the metrics, or the four of MIG_TALLY_…. Pure. */
#ifndef MIGRATE_TALLY_H
#define MIGRATE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#define MIG_TALLY_MAX      112u /* close reasons, moves, returns: 40; buckets of pauses: 60; most are 0 */
#define MIG_TALLY_NAME_MAX 64u

/* What people ask for first; the rest are the reasons. */
#define MIG_TALLY_MOVED    "moved"
#define MIG_TALLY_RETURNED "returned"
#define MIG_TALLY_FAILED   "failed"
#define MIG_TALLY_EXPIRED  "expired"

struct mig_tally {
    uint32_t count; /* those that are not 0 */
    struct {
        char name[MIG_TALLY_NAME_MAX];
        uint64_t value;
    } items[MIG_TALLY_MAX];
};

/* Adds to the one of this name. What does not fit, or has too long a name, is dropped. */
void mig_tally_add(struct mig_tally *tally, const char *name, uint64_t value);
uint64_t mig_tally_of(const struct mig_tally *tally, const char *name); /* 0 when there is none */
/* base + now - from; counters only grow. */
void mig_tally_since(const struct mig_tally *base, const struct mig_tally *now, const struct mig_tally *from,
                     struct mig_tally *ret_tally);
bool mig_tally_same(const struct mig_tally *a, const struct mig_tally *b);

#endif
