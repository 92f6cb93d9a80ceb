/* How long things take that depend on the data, from what servers report about themselves. Measured on 3.8.0
 * (design.md §4); estimates for people and warnings, never a deadline. Pure. */
#ifndef MIGRATE_ESTIMATE_H
#define MIGRATE_ESTIMATE_H

#include "migrate/facts.h"

/* The whole tree written to, or read from, a snapshot by one server; -1 = no server tells its data size. */
int64_t mig_estimate_snapshot_ms(const struct mig_facts *facts);
/* The tree sent to a joiner and loaded there: a snapshot read, sent and written. -1 = not known. */
int64_t mig_estimate_sync_ms(const struct mig_facts *facts);
/* From the removal of the leader until the last session is attached again: election, the new leader's
 * snapshot before it serves, and the sessions at the pace at which they re-attach. With no data size known
 * only what does not depend on it. */
int64_t mig_estimate_leader_change_ms(const struct mig_facts *facts);

#endif
