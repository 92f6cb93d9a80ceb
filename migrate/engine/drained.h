/* The servers an operator has drained: they admit nobody and their sessions leave, until they are undrained.
 * A set of server ids, also of servers that the file no longer names. Pure. */
#ifndef MIGRATE_DRAINED_H
#define MIGRATE_DRAINED_H

#include <stdbool.h>
#include <stdint.h>

#include "zkproto/err.h"

#define MIG_DRAINED_MAX 64u /* twice the servers of a plan */

/* Zeroed = nobody. */
struct mig_drained {
    uint32_t count;
    int32_t ids[MIG_DRAINED_MAX]; /* ascending */
};

bool mig_drained_has(const struct mig_drained *drained, int32_t id);
bool mig_drained_any(const struct mig_drained *drained);
/* RC_INVALID: no server can have this id; RC_FULL. */
enum rc mig_drained_set(struct mig_drained *drained, int32_t id, bool is_drained) RC_MUST_CHECK;
/* "1,2" for people. */
void mig_drained_ids(const struct mig_drained *drained, char *buf, uint32_t capacity);

#endif
