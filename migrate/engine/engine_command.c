/* Commands of the admin port: what is allowed when (states.h's table and the conditions beside it), and what
 * each does. Every command that changes the plan is journalled before anything follows from it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

static bool can_start(const struct mig_engine *e)
{
    bool is_free = e->phase != MIG_PHASE_FAILED || !e->has_changed;
    return is_free && e->draft_rc == RC_OK && !engine_is_draining(e);
}

/* In a failed plan that has changed nothing there is nothing to take back; once finish is confirmed, servers
 * may be stopped at any moment. */
static bool can_roll_back(const struct mig_engine *e, const struct mig_facts *f)
{
    bool is_live = e->phase != MIG_PHASE_FAILED || e->has_changed;
    return is_live && !engine_goes_back(e) && !engine_step_is_done(e, MIG_DO_FINISH, -1) &&
           rollback_obstacle(e, f) == MIG_NO_SERVER;
}

bool engine_can(const struct mig_engine *e, const struct mig_facts *f, enum mig_command_kind kind)
{
    if (!mig_phase_allows(e->phase, kind) || (e->barred[0] != '\0' && kind != MIG_COMMAND_PREFLIGHT))
        return false;
    switch (kind) {
    case MIG_COMMAND_START:
        return can_start(e);
    case MIG_COMMAND_CONFIRM:
        return engine_waiting_gate(e) != MIG_GATE_NONE || e->has_stragglers;
    case MIG_COMMAND_PAUSE:
        return !e->is_paused;
    case MIG_COMMAND_RESUME:
        return e->is_paused;
    case MIG_COMMAND_RETRY:
        return !engine_is_draining(e);
    case MIG_COMMAND_DRAIN:
    case MIG_COMMAND_UNDRAIN:
        return !mig_engine_plan_runs(e);
    case MIG_COMMAND_ROLLBACK:
        return can_roll_back(e, f);
    case MIG_COMMAND_PREFLIGHT:
    case MIG_COMMAND_COUNT:
        break;
    }
    return true;
}

static void answer_ok(struct mig_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    answer->rc = RC_OK;
    answer->http_status = 200;
    answer->code = "";
}

void engine_refuse(struct mig_answer *answer, int http_status, const char *code, const char *hint,
                   const char *format, ...)
{
    memset(answer, 0, sizeof(*answer));
    answer->rc = http_status == 400 ? RC_INVALID : RC_REFUSED;
    answer->http_status = http_status;
    answer->code = code;
    mig_text_set(answer->hint, sizeof(answer->hint), "%s", hint);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(answer->message, sizeof(answer->message), format, args);
    va_end(args);
}

static void refuse_draining(const struct mig_engine *e, struct mig_answer *answer)
{
    char ids[128];
    mig_drained_ids(&e->drained, ids, sizeof(ids));
    if (ids[0] == '\0')
        mig_text_set(ids, sizeof(ids), "%d", e->drain.server); /* its record is being written */
    engine_refuse(answer, 409, "servers_drained", "`zkferry undrain ID`, then start again",
                  "servers are drained: %s; a plan moves sessions by rules of its own", ids);
}

static void refuse_begin(const struct mig_engine *e, enum mig_command_kind kind, struct mig_answer *answer)
{
    if (kind == MIG_COMMAND_START && e->draft_rc != RC_OK)
        engine_refuse(answer, 409, "no_plan", "correct the configuration file and reload", "%s",
                      e->draft_err.text);
    else if (kind == MIG_COMMAND_START && e->phase == MIG_PHASE_FAILED && e->has_changed)
        engine_refuse(answer, 409, "plan_changed_members", "`zkferry retry` goes on with it",
                      "plan %s has failed, but it has changed the ensemble", e->plan.id);
    else
        refuse_draining(e, answer);
}

static void refuse_rollback(const struct mig_engine *e, const struct mig_facts *f, struct mig_answer *answer)
{
    int32_t obstacle = rollback_obstacle(e, f);
    if (engine_goes_back(e))
        engine_refuse(answer, 409, "not_allowed_now", "`zkferry retry` goes on with it",
                      "plan %s is being rolled back already", e->plan.id);
    else if (engine_step_is_done(e, MIG_DO_FINISH, -1))
        engine_refuse(answer, 409, "not_allowed_now", "`zkferry status` lists what can be called now",
                      "plan %s was confirmed to finish; there is no way back", e->plan.id);
    else if (obstacle == MIG_NO_SERVER)
        engine_refuse(answer, 409, "nothing_changed", "`zkferry retry`, or `zkferry start` for a new plan",
                      "plan %s has failed before it changed anything", e->plan.id);
    else
        engine_refuse(answer, 409, "source_not_following",
                      "start it with its data and the member list of `zkferry joiner-config ID`; see "
                      "`zkferry servers`",
                      "server %d is not seen following the present leader; only then there is a way back",
                      obstacle);
}

static void refuse_second(const struct mig_engine *e, struct mig_answer *answer)
{
    char since[32] = "?";
    time_t started = (time_t)(e->plan.created_wall_ms / 1000);
    struct tm tm;
    if (gmtime_r(&started, &tm) != NULL)
        (void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
    engine_refuse(answer, 409, "plan_runs", "`zkferry status` shows it; `zkferry rollback` takes it back",
                  "plan %s (%s) was started here at %s and is not over: it is %s%s", e->plan.id,
                  conf_kind_name(e->plan.kind), since, mig_phase_name(e->phase),
                  e->is_paused ? ", paused" : "");
}

static void refuse_now(const struct mig_engine *e, const struct mig_facts *f, enum mig_command_kind kind,
                       struct mig_answer *answer)
{
    bool is_begin = kind == MIG_COMMAND_START || kind == MIG_COMMAND_RETRY;
    bool is_drain = kind == MIG_COMMAND_DRAIN || kind == MIG_COMMAND_UNDRAIN;
    if (is_begin && mig_phase_allows(e->phase, kind))
        refuse_begin(e, kind, answer);
    else if (kind == MIG_COMMAND_START && mig_phase_is_running(e->phase))
        refuse_second(e, answer);
    else if (kind == MIG_COMMAND_ROLLBACK && mig_phase_allows(e->phase, kind))
        refuse_rollback(e, f, answer);
    else if (is_drain)
        engine_refuse(answer, 409, "plan_runs", "wait until the plan has ended; it moves sessions by itself",
                      "plan %s is %s: servers are drained outside of plans only", e->plan.id,
                      mig_phase_name(e->phase));
    else if (kind == MIG_COMMAND_PAUSE && e->is_paused)
        engine_refuse(answer, 409, "already_paused", "`zkferry resume` goes on", "plan %s is paused already",
                      e->plan.id);
    else if (kind == MIG_COMMAND_RESUME && mig_phase_is_running(e->phase))
        engine_refuse(answer, 409, "not_paused", "", "plan %s is not paused", e->plan.id);
    else
        engine_refuse(answer, 409, "not_allowed_now", "`zkferry status` lists what can be called now",
                      "%s is not allowed in phase %s", mig_command_name(kind), mig_phase_name(e->phase));
}

void engine_take_plan(struct mig_engine *e, const struct mig_plan *plan)
{
    e->plan = *plan;
    mig_plan_steps(&e->plan, &e->steps);
    memset(&e->change, 0, sizeof(e->change));
    memset(e->confirmed, 0, sizeof(e->confirmed));
    engine_canary_reset(e);
    e->canary.has_usual = false;
    e->findings.count = 0;
    hook_forget(e);
    rolling_forget(e);
    e->failed_reason[0] = '\0';
    e->is_paused = false;
    e->has_changed = false;
    e->has_expected = false;
}

static bool take_accepted(struct mig_plan *plan, const struct mig_command *command)
{
    if (command->accept_count > MIG_ACCEPT_MAX)
        return false;
    plan->accept_count = command->accept_count;
    for (uint32_t i = 0; i < command->accept_count; i++) {
        bool fits = strlen(command->accept[i]) < MIG_FINDING_ID_MAX;
        if (!fits || !mig_accept_is_known(command->accept[i]))
            return false;
        mig_text_set(plan->accept[i], MIG_FINDING_ID_MAX, "%s", command->accept[i]);
    }
    return true;
}

static void do_start(struct run *r, const struct mig_command *command, struct mig_answer *answer)
{
    struct mig_engine *e = r->e;
    if (!take_accepted(&e->draft, command)) {
        engine_refuse_accept(command, answer);
        return;
    }
    mig_plan_name(&e->draft, r->f->wall_ms, command->nonce);
    engine_take_plan(e, &e->draft);
    e->draft.accept_count = 0; /* what was accepted once is not accepted for ever */
    engine_reset_for_retry(e);
    tally_begin(r);
    run_journal(r, MIG_RECORD_PLAN)->plan = &e->plan;
    engine_goto(r, MIG_PHASE_PREFLIGHT);
    run_log(r, "plan.started", "plan %s", e->plan.id);
}

void engine_reset_for_retry(struct mig_engine *e)
{
    e->wants_findings = false;
    e->has_expected = false;
    e->change.stage = e->change.is_undecided ? CHANGE_DECIDE : CHANGE_NONE;
    e->change.retry_at_ms = 0;
    e->finding_since_ms = 0;
    e->stopped = 0;
    hook_forget(e);
    rolling_retry(e);
    memset(&e->data, 0, sizeof(e->data));
    memset(&e->supers, 0, sizeof(e->supers));
    doubt_forget(e);
    prove_forget(e);
    e->lock_at_ms = 0;
    e->probe_retry_at_ms = 0;
    e->adopt_retry_at_ms = 0;
    e->probes.reconfig_at_ms = 0; /* somebody may have changed what they showed */
    e->probes.super_at_ms = 0;
    e->op.has_result = false;
    e->op.is_background = e->op.is_pending; /* its result belongs to what has failed */
    for (uint32_t i = 0; i < e->steps.count; i++) {
        struct mig_step *step = &e->steps.items[i];
        bool is_first = step->kind == MIG_DO_PREFLIGHT || step->kind == MIG_DO_LOCK;
        if (step->state == MIG_STEP_FAILED && engine_phase(e) == MIG_PHASE_ROLLING_BACK)
            step->state = MIG_STEP_RUNNING; /* one that is pending may be skipped, unchecked */
        else if (step->state == MIG_STEP_FAILED || (is_first && e->failed_phase == MIG_PHASE_PREFLIGHT))
            step->state = MIG_STEP_PENDING;
    }
}

static void do_retry(struct run *r)
{
    struct mig_engine *e = r->e;
    engine_reset_for_retry(e);
    e->failed_reason[0] = '\0';
    e->is_paused = false;
    engine_goto(r, e->failed_phase);
    (void)run_journal(r, MIG_RECORD_RETRY);
    run_log(r, "plan.retry", "from %s", mig_phase_name(e->phase));
}

static void do_rollback(struct run *r)
{
    struct mig_engine *e = r->e;
    if (e->phase == MIG_PHASE_FAILED)
        engine_reset_for_retry(e); /* what is true now is read anew */
    run_log(r, "plan.rollback", "from %s", mig_phase_name(engine_phase(e)));
    rollback_turn(e);
    engine_goto(r, MIG_PHASE_ROLLING_BACK);
    (void)run_journal(r, MIG_RECORD_ROLLBACK);
}

static void do_pause(struct run *r, bool is_paused)
{
    r->e->is_paused = is_paused;
    r->e->due_from_ms = r->f->now_ms;
    (void)run_journal(r, is_paused ? MIG_RECORD_PAUSED : MIG_RECORD_RESUMED);
    run_log(r, is_paused ? "plan.paused" : "plan.resumed", "plan %s", r->e->plan.id);
}

static void carry_out(struct run *r, const struct mig_command *command, struct mig_answer *answer)
{
    switch (command->kind) {
    case MIG_COMMAND_PREFLIGHT:
        r->e->wants_probes = true;
        r->e->wants_findings = true;
        r->e->phase_since_ms = r->f->now_ms; /* answers must be newer */
        break;
    case MIG_COMMAND_START:
        do_start(r, command, answer);
        break;
    case MIG_COMMAND_CONFIRM:
        engine_confirm(r, command, answer);
        break;
    case MIG_COMMAND_PAUSE:
        do_pause(r, true);
        break;
    case MIG_COMMAND_RESUME:
        do_pause(r, false);
        break;
    case MIG_COMMAND_RETRY:
        do_retry(r);
        break;
    case MIG_COMMAND_DRAIN:
    case MIG_COMMAND_UNDRAIN:
        engine_drain(r, command, answer);
        break;
    case MIG_COMMAND_ROLLBACK:
        do_rollback(r);
        break;
    case MIG_COMMAND_COUNT:
        ASSERT(command->kind < MIG_COMMAND_COUNT); /* refused before */
    }
}

static bool names_other_plan(const struct mig_engine *e, const struct mig_command *command)
{
    bool is_named = command->plan_id != NULL && command->plan_id[0] != '\0';
    return is_named && strcmp(command->plan_id, e->plan.id) != 0;
}

static bool is_admissible(const struct mig_engine *e, const struct mig_facts *f,
                          const struct mig_command *command, struct mig_answer *answer)
{
    bool is_confirm = command->kind == MIG_COMMAND_CONFIRM;
    if (e->barred[0] != '\0' && command->kind != MIG_COMMAND_PREFLIGHT) {
        engine_refuse(answer, 409, "journal_damaged", "the log says it too (event=journal.damaged)", "%s",
                      e->barred);
    } else if (!ledger_has_room(e)) {
        engine_refuse(answer, 409, "busy", "try again", "the journal has not written what was asked before");
    } else if (names_other_plan(e, command)) {
        engine_refuse(answer, 409, "wrong_plan", "`zkferry status` shows the plan's id",
                      "the plan is %s, not %s", engine_has_plan(e) ? e->plan.id : "none", command->plan_id);
    } else if (is_confirm && mig_phase_allows(e->phase, command->kind) &&
               (command->plan_id == NULL || command->plan_id[0] == '\0')) {
        engine_refuse(answer, 400, "plan_id_missing", "`zkferry status` shows the plan's id",
                      "a confirmation must name the plan");
    } else if (is_confirm ? !mig_phase_allows(e->phase, command->kind) : !engine_can(e, f, command->kind)) {
        refuse_now(e, f, command->kind, answer);
    } else {
        return true;
    }
    return false;
}

void mig_engine_command(struct mig_engine *engine, const struct mig_facts *facts,
                        const struct mig_command *command, struct mig_answer *ret_answer,
                        struct mig_effects *ret_effects)
{
    ret_effects->count = 0;
    ledger_open(engine);
    struct run r = run_begin(engine, facts, ret_effects);
    answer_ok(ret_answer);
    if (!is_admissible(engine, facts, command, ret_answer))
        return;
    carry_out(&r, command, ret_answer);
    if (ret_answer->rc == RC_OK)
        engine_run(&r);
    if (!ledger_seal(&r))
        engine_refuse(ret_answer, 500, "journal", "`zkferry status` says more; please report it",
                      "what %s would write could not follow what is in the journal",
                      mig_command_name(command->kind));
}
