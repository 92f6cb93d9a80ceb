/* The files a target server starts with, for `zkferry joiner-config ID` (protocol.md §5.3): participant,
 * listing the current members and itself only. Pure. */
#ifndef MIGRATE_JOINER_H
#define MIGRATE_JOINER_H

#include "migrate/facts.h"
#include "migrate/plan/plan.h"
#include "zkproto/err.h"

#define MIG_JOINER_TEXT_MAX 8192u

struct mig_joiner {
    char zoo_cfg[MIG_JOINER_TEXT_MAX];
    char dynamic[MIG_JOINER_TEXT_MAX]; /* no version line */
    char myid[16];
};

/* Timing values are a serving source's (`conf`), defaults with a comment where not observable. RC_NOT_FOUND:
 * id is no server of the file; RC_AGAIN: no config observed yet; RC_TOO_BIG. */
enum rc mig_joiner_config(const struct mig_facts *facts, int32_t id, struct mig_joiner *ret_joiner,
                          struct err *err) RC_MUST_CHECK;

#endif
