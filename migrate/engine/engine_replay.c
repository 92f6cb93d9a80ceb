/* Replay of the journal: intent only. What is true is asked of the ensemble afterwards (engine.h, "Restart").
 */
#include <stdlib.h>
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

static enum rc corrupt(const struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    return err_set(err, RC_CORRUPT, "a %s record cannot follow in phase %s", mig_record_name(record->kind),
                   mig_phase_name(e->phase));
}

static enum rc replay_plan(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if (record->plan == NULL)
        return err_set(err, RC_CORRUPT, "a plan record without a plan");
    bool is_same = e->phase == MIG_PHASE_PREFLIGHT && strcmp(record->plan->id, e->plan.id) == 0;
    if (is_same) { /* accepted by preflight: now it knows what it started with */
        e->plan = *record->plan;
        if (record->findings != NULL)
            e->findings = *record->findings;
        engine_adopt(e, &e->plan.original);
        mig_plan_complete(&e->plan, NULL); /* one that was begun by an older release */
        return RC_OK;
    }
    bool is_free = e->phase == MIG_PHASE_IDLE || e->phase == MIG_PHASE_FINISHED ||
                   e->phase == MIG_PHASE_ROLLED_BACK || (e->phase == MIG_PHASE_FAILED && !e->has_changed);
    if (!is_free)
        return corrupt(e, record, err);
    engine_take_plan(e, record->plan);
    if (record->findings != NULL)
        e->findings = *record->findings;
    e->phase = MIG_PHASE_PREFLIGHT;
    return RC_OK;
}

static void settle_change(struct mig_engine *e)
{
    if (!e->change.is_undecided)
        e->change.stage = CHANGE_NONE;
}

/* Only a rolling plan has no removals behind its switching. */
static bool skips_removals(const struct mig_engine *e, enum mig_phase next)
{
    return e->phase == MIG_PHASE_SWITCHING && next == MIG_PHASE_VERIFYING &&
           e->plan.kind != CONF_KIND_ROLLING;
}

/* The plan's second record has taken the place of those of these steps. */
static void replay_preflight(struct mig_engine *e, const struct mig_record *record)
{
    static const enum mig_step_kind kinds[] = {MIG_DO_PREFLIGHT, MIG_DO_LOCK};
    for (uint32_t i = 0; i < 2; i++) {
        struct mig_step *step = mig_steps_find(&e->steps, kinds[i], -1);
        step->state = MIG_STEP_DONE;
        step->started_wall_ms = e->plan.created_wall_ms;
        step->seconds_ms = record->wall_ms - e->plan.created_wall_ms;
    }
}

static enum rc replay_phase(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if ((uint32_t)record->phase >= MIG_PHASE_COUNT || !mig_phase_may_go(e->phase, record->phase) ||
        skips_removals(e, record->phase))
        return corrupt(e, record, err);
    if (e->phase == MIG_PHASE_PREFLIGHT)
        replay_preflight(e, record);
    e->phase = record->phase;
    settle_change(e);
    return RC_OK;
}

static enum rc replay_step(struct mig_engine *e, const struct mig_record *record, struct mig_step *step)
{
    if (record->is_done) {
        step->state = MIG_STEP_DONE;
        bool is_known = record->started_wall_ms != 0; /* not in journals of before */
        step->started_wall_ms = is_known ? record->started_wall_ms : e->replay_wall_ms;
        step->seconds_ms = record->wall_ms - step->started_wall_ms;
        settle_change(e);
        if (step->kind == MIG_DO_RESTART)
            rolling_forget(e);
    } else if (step->kind == MIG_DO_RESTART) {
        rolling_begun(e, record);
    }
    return RC_OK;
}

/* Which role it was is told by the line the member was to join with. */
static enum rc replay_role(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    struct zkp_server line;
    if (zkp_server_parse(zkp_slice_str(record->joining), &line, err) != RC_OK)
        return corrupt(e, record, err);
    e->change.is_add = e->change.is_role = true;
    e->change.role = line.role;
    e->change.partner = MIG_NO_SERVER;
    e->change.takes_leader = line.role == ZKP_ROLE_OBSERVER && record->via == line.id;
    e->has_changed = true;
    return RC_OK;
}

static enum rc replay_intent(struct mig_engine *e, const struct mig_record *record,
                             const struct mig_step *step, struct err *err)
{
    bool is_change = step->kind == MIG_DO_ADD || step->kind == MIG_DO_REMOVE ||
                     step->kind == MIG_DO_RESTORE || step->kind == MIG_DO_WITHDRAW ||
                     step->kind == MIG_DO_RESTART;
    if (!is_change || !mig_phase_is_running(e->phase))
        return corrupt(e, record, err);
    memset(&e->change, 0, sizeof(e->change));
    e->change.stage = CHANGE_DECIDE; /* until the outcome says otherwise */
    e->change.is_undecided = true;
    e->change.kind = step->kind;
    e->change.is_add = step->kind == MIG_DO_ADD || step->kind == MIG_DO_RESTORE;
    e->change.server = step->server;
    bool has_partner = e->change.is_add && record->leaving[0] != '\0';
    e->change.partner = has_partner ? atoi(record->leaving) : MIG_NO_SERVER;
    e->change.from_version = record->from_version;
    e->change.via = record->via;
    e->change.takes_leader = !e->change.is_add && record->via == step->server;
    if (step->kind == MIG_DO_RESTART)
        return replay_role(e, record, err);
    e->has_changed = true;
    return RC_OK;
}

static enum rc replay_outcome(struct mig_engine *e, const struct mig_record *record, struct mig_step *step,
                              struct err *err)
{
    if (!e->change.is_undecided || step->server != e->change.server)
        return corrupt(e, record, err);
    e->change.is_undecided = false;
    e->change.stage = CHANGE_NONE;
    e->expected.version = record->version;
    if (!record->is_done)
        return RC_OK;
    enum rc rc = change_apply(e, &e->expected);
    if (step->state == MIG_STEP_PENDING)
        step->state = MIG_STEP_RUNNING; /* what follows a change is still to be checked */
    else
        rollback_mark_steps(e);
    return rc;
}

static enum rc replay_for_step(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    struct mig_step *step = mig_steps_named(&e->steps, record->step);
    if (step == NULL)
        return err_set(err, RC_CORRUPT, "a %s record of a step \"%s\" that the plan has not",
                       mig_record_name(record->kind), record->step);
    if (record->kind == MIG_RECORD_STEP)
        return replay_step(e, record, step);
    if (record->kind == MIG_RECORD_INTENT)
        return replay_intent(e, record, step, err);
    return replay_outcome(e, record, step, err);
}

static enum rc replay_rollback(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if (!mig_phase_allows(e->phase, MIG_COMMAND_ROLLBACK) || engine_goes_back(e))
        return corrupt(e, record, err);
    if (e->phase == MIG_PHASE_FAILED)
        engine_reset_for_retry(e);
    rollback_turn(e);
    e->phase = MIG_PHASE_ROLLING_BACK;
    settle_change(e);
    return RC_OK;
}

static enum rc replay_end(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    enum mig_phase next = record->kind == MIG_RECORD_FINISHED ? MIG_PHASE_FINISHED : MIG_PHASE_ROLLED_BACK;
    if (!mig_phase_may_go(e->phase, next))
        return corrupt(e, record, err);
    if (next == MIG_PHASE_ROLLED_BACK)
        rollback_end(e);
    e->phase = next;
    return RC_OK;
}

static enum rc replay_failed(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if (!mig_phase_is_running(e->phase))
        return corrupt(e, record, err);
    e->failed_phase = e->phase;
    e->phase = MIG_PHASE_FAILED;
    mig_text_set(e->failed_reason, sizeof(e->failed_reason), "%s", record->text);
    return RC_OK;
}

static enum rc replay_retry(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if (e->phase != MIG_PHASE_FAILED || !mig_phase_is_running(record->phase))
        return corrupt(e, record, err);
    engine_reset_for_retry(e);
    e->failed_reason[0] = '\0';
    e->phase = record->phase;
    e->is_paused = false;
    return RC_OK;
}

static enum rc replay_flag(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if (!mig_phase_is_running(e->phase))
        return corrupt(e, record, err);
    if (record->kind != MIG_RECORD_CONFIRMED)
        e->is_paused = record->kind == MIG_RECORD_PAUSED;
    else if ((uint32_t)record->gate < MIG_GATE_COUNT)
        e->confirmed[record->gate] = true;
    bool is_full = record->kind == MIG_RECORD_CONFIRMED && accept_add(&e->plan, record->text) != RC_OK;
    return is_full ? corrupt(e, record, err) : RC_OK;
}

/* The server may have left the file since. */
static enum rc replay_drain(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    if (mig_engine_plan_runs(e))
        return corrupt(e, record, err);
    if (mig_drained_set(&e->drained, record->server, record->kind == MIG_RECORD_DRAINED) != RC_OK)
        return err_set(err, RC_CORRUPT, "a %s record of server %d", mig_record_name(record->kind),
                       record->server);
    return RC_OK;
}

static enum rc replay_hook(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    enum conf_hook hook = conf_hook_named(record->text);
    if (hook == CONF_HOOK_COUNT || !mig_phase_is_running(e->phase))
        return corrupt(e, record, err);
    if (record->is_done)
        hook_mark(e, hook, record->server);
    return RC_OK;
}

static enum rc replay_record(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    switch (record->kind) {
    case MIG_RECORD_PLAN:
        return replay_plan(e, record, err);
    case MIG_RECORD_PHASE:
        return replay_phase(e, record, err);
    case MIG_RECORD_STEP:
    case MIG_RECORD_INTENT:
    case MIG_RECORD_OUTCOME:
        return replay_for_step(e, record, err);
    case MIG_RECORD_CONFIRMED:
    case MIG_RECORD_PAUSED:
    case MIG_RECORD_RESUMED:
        return replay_flag(e, record, err);
    case MIG_RECORD_FAILED:
        return replay_failed(e, record, err);
    case MIG_RECORD_RETRY:
        return replay_retry(e, record, err);
    case MIG_RECORD_FINISHED:
    case MIG_RECORD_ROLLED_BACK:
        return replay_end(e, record, err);
    case MIG_RECORD_ROLLBACK:
        return replay_rollback(e, record, err);
    case MIG_RECORD_DRAINED:
    case MIG_RECORD_UNDRAINED:
        return replay_drain(e, record, err);
    case MIG_RECORD_HOOK:
        return replay_hook(e, record, err);
    case MIG_RECORD_TALLY:
    case MIG_RECORD_RESTARTED:
        return mig_engine_plan_runs(e) ? RC_OK : corrupt(e, record, err);
    case MIG_RECORD_CANARY_BEGUN:
    case MIG_RECORD_CANARY_BREACHED:
        return engine_canary_replay(e, record) == RC_OK ? RC_OK : corrupt(e, record, err);
    case MIG_RECORD_COUNT:
        break;
    }
    return err_set(err, RC_CORRUPT, "a record of unknown kind %d", (int)record->kind);
}

enum rc engine_replay_record(struct mig_engine *e, const struct mig_record *record, struct err *err)
{
    enum rc rc = replay_record(e, record, err);
    bool is_milestone = record->kind == MIG_RECORD_PLAN || record->kind == MIG_RECORD_PHASE ||
                        record->kind == MIG_RECORD_STEP;
    if (rc == RC_OK && is_milestone)
        e->replay_wall_ms = record->wall_ms;
    tally_replay(e, record);
    return rc;
}

enum rc mig_engine_replay(struct mig_engine *engine, const struct mig_record *record, struct err *err)
{
    return engine_replay_record(engine, record, err);
}
