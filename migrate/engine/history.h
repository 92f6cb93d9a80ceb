/* What a plan has done, put together from its journal's records alone, so that a report made after a crash
 * says the same. Fed with every record of the replay and every record that is on disk since. Pure. */
#ifndef MIGRATE_HISTORY_H
#define MIGRATE_HISTORY_H

#include "migrate/engine/effects.h"

#define MIG_RECONFIGS_MAX 128u /* two per server there and back, and tries that were refused */
#define MIG_MOMENTS_MAX   128u

enum mig_outcome {
    MIG_OUTCOME_NONE, /* no plan */
    MIG_OUTCOME_RUNNING,
    MIG_OUTCOME_FAILED, /* a retry makes it run again */
    MIG_OUTCOME_FINISHED,
    MIG_OUTCOME_ROLLED_BACK,
};
const char *mig_outcome_name(enum mig_outcome outcome); /* "", "running", "failed", … */

struct mig_reconfig {
    char step[MIG_STEP_NAME_MAX];
    char joining[MIG_RECORD_TEXT_MAX];
    char leaving[MIG_LEAVING_TEXT_MAX];
    int64_t from_version;
    int64_t to_version; /* 0 = not known */
    int32_t via;
    bool is_decided;
    bool is_applied;
    int64_t sent_wall_ms;
    int64_t decided_wall_ms;
    int64_t hold_ms; /* all sessions held; 0 = they did not */
    char text[MIG_TEXT_MAX];
};

struct mig_moment {
    int64_t wall_ms;
    enum mig_record_kind kind; /* CONFIRMED, PAUSED, RESUMED, FAILED, RETRY, ROLLBACK, RESTARTED */
    char text[MIG_TEXT_MAX];
};

struct mig_done_step {
    char name[MIG_STEP_NAME_MAX];
    int64_t started_wall_ms;
    int64_t took_ms;
};

/* Some hundred KB: on the heap. */
struct mig_history {
    enum mig_outcome outcome;
    struct mig_plan plan;
    int64_t ended_wall_ms; /* 0 = it has not */
    char failure[MIG_TEXT_MAX];
    struct mig_findings findings; /* those the plan began with */
    struct mig_tally tally;
    struct mig_witness_account witness;
    int64_t milestone_wall_ms; /* of the record before; when a step's own beginning is not known */
    bool is_cut;               /* more happened than there is room for */
    uint32_t step_count;
    struct mig_done_step steps[MIG_STEPS_MAX];
    uint32_t reconfig_count;
    struct mig_reconfig reconfigs[MIG_RECONFIGS_MAX];
    uint32_t moment_count;
    struct mig_moment moments[MIG_MOMENTS_MAX];
};

/* The next record, in the journal's order. A PLAN record of another plan begins anew. */
void mig_history_take(struct mig_history *history, const struct mig_record *record);
bool mig_history_has_ended(const struct mig_history *history); /* finished, rolled back, or failed for now */
/* How often all sessions held, and how long at most. */
uint32_t mig_history_holds(const struct mig_history *history, int64_t *ret_longest_ms);

#endif
