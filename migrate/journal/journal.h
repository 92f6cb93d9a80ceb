/* The journal as the control thread sees it: opened and replayed at start (blocking, before the loop runs),
 * then appended to without waiting: the helper thread writes and syncs, the end comes back as a call from
 * the loop. The engine's rule "nothing behind a JOURNAL effect before the record is on disk" is kept by
 * waiting for that call; this file keeps the order. Control thread only. */
#ifndef MIGRATE_JOURNAL_H
#define MIGRATE_JOURNAL_H

#include "migrate/engine/effects.h"
#include "migrate/helper.h"

struct mig_journal; /* owned by the control thread */

/* One record of the replay, in order; borrowed for the call. Not RC_OK: the open fails with it. */
typedef enum rc mig_replay_fn(void *context, const struct mig_record *record, struct err *err);
/* The record with this seq is on disk (RC_OK), or is not and err says why; later appends may still work
 * (a full disk) or not (a failed sync: the journal stays broken until it is opened again). */
typedef void mig_journaled_fn(void *context, uint64_t seq, enum rc rc, const struct err *err);

struct mig_journal_callbacks {
    void *context;
    mig_replay_fn *replay;       /* only inside mig_journal_open */
    mig_journaled_fn *journaled; /* from the loop, in the order of the appends */
};

/* state_dir/journal, locked by state_dir/lock as long as it is open. RC_EXISTS: another daemon uses the
 * directory; RC_CORRUPT: err names the record's number and offset; a torn last record is cut. */
enum rc mig_journal_open(const char *state_dir, struct mig_helper *helper,
                         const struct mig_journal_callbacks *callbacks, struct mig_journal **ret_journal,
                         struct err *err) RC_MUST_CHECK;
/* The directory is taken and has its id, but its journal is left alone, and every append fails with `why`:
 * for a daemon that goes on without a plan because the journal can't be read. */
enum rc mig_journal_open_barred(const char *state_dir, struct mig_helper *helper,
                                const struct mig_journal_callbacks *callbacks, const char *why,
                                struct mig_journal **ret_journal, struct err *err) RC_MUST_CHECK;
/* Bytes of a last record that a crash had left in pieces, cut off by the open. */
uint64_t mig_journal_cut(const struct mig_journal *journal);

/* After mig_helper_free: no append may be in flight. NULL is fine. */
void mig_journal_free(struct mig_journal *journal);

/* Copies the record; journaled(seq) follows. A PLAN record begins a new file that replaces the old one in
 * one step: what a finished plan wrote is not needed any more, and nobody is drained when a plan begins.
 * RC_FULL, RC_NOMEM, RC_TOO_BIG: nothing was started and no call follows. */
enum rc mig_journal_append(struct mig_journal *journal, uint64_t seq, const struct mig_record *record,
                           struct err *err) RC_MUST_CHECK;

/* The id of the state directory (32 hex digits); for the plan lock. */
const char *mig_journal_instance(const struct mig_journal *journal);

#endif
