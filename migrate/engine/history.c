/* See history.h. */
#include "migrate/engine/history.h"

#include <string.h>

#include "migrate/text.h"

const char *mig_outcome_name(enum mig_outcome outcome)
{
    static const char *const names[] = {"", "running", "failed", "finished", "rolled_back"};
    return names[outcome];
}

static void take_step(struct mig_history *h, const char *name, int64_t started_wall_ms, int64_t wall_ms)
{
    if (h->step_count == MIG_STEPS_MAX) {
        h->is_cut = true;
        return;
    }
    struct mig_done_step *step = &h->steps[h->step_count++];
    mig_text_set(step->name, sizeof(step->name), "%s", name);
    step->started_wall_ms = started_wall_ms != 0 ? started_wall_ms : h->milestone_wall_ms;
    step->took_ms = wall_ms - step->started_wall_ms;
}

/* The second record of a plan takes the place of what was before it in the file: then the first two steps are
 * known only as done. */
static void take_plan(struct mig_history *h, const struct mig_record *record)
{
    bool is_same = h->outcome != MIG_OUTCOME_NONE && strcmp(h->plan.id, record->plan->id) == 0;
    if (!is_same)
        memset(h, 0, sizeof(*h));
    h->plan = *record->plan;
    h->outcome = MIG_OUTCOME_RUNNING;
    h->milestone_wall_ms = record->wall_ms;
    if (record->findings != NULL)
        h->findings = *record->findings;
    if (!is_same && h->plan.original.server_count > 0) {
        take_step(h, "preflight", h->plan.created_wall_ms, record->wall_ms);
        take_step(h, "lock", record->wall_ms, record->wall_ms);
    }
}

static void take_intent(struct mig_history *h, const struct mig_record *record)
{
    if (h->reconfig_count == MIG_RECONFIGS_MAX) {
        h->is_cut = true;
        return;
    }
    struct mig_reconfig *reconfig = &h->reconfigs[h->reconfig_count++];
    *reconfig = (struct mig_reconfig){
        .from_version = record->from_version, .via = record->via, .sent_wall_ms = record->wall_ms};
    mig_text_set(reconfig->step, sizeof(reconfig->step), "%s", record->step);
    mig_text_set(reconfig->joining, sizeof(reconfig->joining), "%s", record->joining);
    mig_text_set(reconfig->leaving, sizeof(reconfig->leaving), "%s", record->leaving);
}

static void take_outcome(struct mig_history *h, const struct mig_record *record)
{
    struct mig_reconfig *reconfig = h->reconfig_count > 0 ? &h->reconfigs[h->reconfig_count - 1] : NULL;
    if (reconfig == NULL || reconfig->is_decided || strcmp(reconfig->step, record->step) != 0)
        return; /* its intent did not fit */
    reconfig->is_decided = true;
    reconfig->is_applied = record->is_done;
    reconfig->to_version = record->version;
    reconfig->decided_wall_ms = record->wall_ms;
    reconfig->hold_ms = record->hold_ms;
    mig_text_set(reconfig->text, sizeof(reconfig->text), "%s", record->text);
}

static void take_moment(struct mig_history *h, const struct mig_record *record, const char *text)
{
    if (h->moment_count == MIG_MOMENTS_MAX) {
        h->is_cut = true;
        return;
    }
    struct mig_moment *moment = &h->moments[h->moment_count++];
    moment->kind = record->kind;
    moment->wall_ms = record->wall_ms;
    mig_text_set(moment->text, sizeof(moment->text), "%s", text);
}

static void end(struct mig_history *h, const struct mig_record *record, enum mig_outcome outcome)
{
    h->outcome = outcome;
    h->ended_wall_ms = record->wall_ms;
    mig_text_set(h->failure, sizeof(h->failure), "%s", record->text);
}

static void go_on(struct mig_history *h)
{
    h->outcome = MIG_OUTCOME_RUNNING;
    h->ended_wall_ms = 0;
    h->failure[0] = '\0';
}

static void take(struct mig_history *h, const struct mig_record *record)
{
    switch (record->kind) {
    case MIG_RECORD_PLAN:
        take_plan(h, record);
        return;
    case MIG_RECORD_STEP:
        if (record->is_done)
            take_step(h, record->step, record->started_wall_ms, record->wall_ms);
        return;
    case MIG_RECORD_INTENT:
        take_intent(h, record);
        return;
    case MIG_RECORD_OUTCOME:
        take_outcome(h, record);
        return;
    case MIG_RECORD_CONFIRMED:
        take_moment(h, record, mig_gate_name(record->gate));
        return;
    case MIG_RECORD_PAUSED:
    case MIG_RECORD_RESUMED:
    case MIG_RECORD_RESTARTED:
    case MIG_RECORD_CANARY_BEGUN:
        take_moment(h, record, "");
        return;
    case MIG_RECORD_CANARY_BREACHED:
        take_moment(h, record, record->text);
        return;
    case MIG_RECORD_HOOK:
        if (record->is_done)
            take_moment(h, record, record->text);
        return;
    case MIG_RECORD_RETRY:
    case MIG_RECORD_ROLLBACK:
        take_moment(h, record, mig_phase_name(record->phase));
        go_on(h);
        return;
    case MIG_RECORD_FAILED:
        take_moment(h, record, record->text);
        end(h, record, MIG_OUTCOME_FAILED);
        return;
    case MIG_RECORD_FINISHED:
        end(h, record, MIG_OUTCOME_FINISHED);
        return;
    case MIG_RECORD_ROLLED_BACK:
        end(h, record, MIG_OUTCOME_ROLLED_BACK);
        return;
    case MIG_RECORD_PHASE:   /* steps say the same, and more */
    case MIG_RECORD_DRAINED: /* outside of plans */
    case MIG_RECORD_UNDRAINED:
    case MIG_RECORD_TALLY: /* what every record has */
    case MIG_RECORD_COUNT:
        return;
    }
}

void mig_history_take(struct mig_history *history, const struct mig_record *record)
{
    bool is_begin = record->kind == MIG_RECORD_PLAN;
    bool is_drain = record->kind == MIG_RECORD_DRAINED || record->kind == MIG_RECORD_UNDRAINED;
    if (is_drain || (history->outcome == MIG_OUTCOME_NONE && !is_begin) || (is_begin && record->plan == NULL))
        return;
    take(history, record);
    history->tally = record->tally;
    history->witness = record->witness;
    if (is_begin || record->kind == MIG_RECORD_PHASE || record->kind == MIG_RECORD_STEP)
        history->milestone_wall_ms = record->wall_ms;
}

bool mig_history_has_ended(const struct mig_history *history)
{
    return history->outcome != MIG_OUTCOME_NONE && history->outcome != MIG_OUTCOME_RUNNING;
}

uint32_t mig_history_holds(const struct mig_history *history, int64_t *ret_longest_ms)
{
    uint32_t count = 0;
    int64_t longest_ms = 0;
    for (uint32_t i = 0; i < history->reconfig_count; i++) {
        int64_t hold_ms = history->reconfigs[i].hold_ms;
        count += hold_ms > 0;
        longest_ms = hold_ms > longest_ms ? hold_ms : longest_ms;
    }
    *ret_longest_ms = longest_ms;
    return count;
}
