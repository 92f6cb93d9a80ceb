/* The only writer of the phase: entering one, and what is said and kept when a plan fails. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

enum mig_phase engine_fail(struct run *r, const char *format, ...)
{
    char reason[MIG_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    mig_text_set(r->e->failed_reason, sizeof(r->e->failed_reason), "%s", reason);
    return MIG_PHASE_FAILED;
}

static void describe_what_is_left(struct run *r)
{
    struct mig_engine *e = r->e;
    char ids[256] = "unknown";
    if (r->config != NULL)
        mig_config_ids(r->config, ids, sizeof(ids));
    mig_text_add(e->failed_reason, sizeof(e->failed_reason),
                 ". Left: members %s, %lld sessions on sources, %lld on targets%s. ", ids,
                 (long long)r->f->sessions.source, (long long)r->f->sessions.target,
                 e->change.is_undecided ? ", the outcome of the last reconfig is not known" : "");
    if (rolling_resting(e) != MIG_NO_SERVER)
        mig_text_add(e->failed_reason, sizeof(e->failed_reason),
                     "Server %d, which was to be restarted, gets no sessions. ", rolling_resting(e));
    mig_text_add(e->failed_reason, sizeof(e->failed_reason), "%s",
                 e->has_changed ? "`retry` goes on from what is observed then"
                                : "Nothing was changed; `retry`, or correct the file, reload and `start`");
}

static void enter_failed(struct run *r, enum mig_phase from)
{
    struct mig_engine *e = r->e;
    run_release(r);
    e->failed_phase = from;
    if (!e->owed.is_told)
        describe_what_is_left(r);
    struct mig_step *step = engine_current_step(e);
    if (step != NULL) {
        step->state = MIG_STEP_FAILED;
        mig_text_set(step->detail, sizeof(step->detail), "%s", e->failed_reason);
    }
    if (e->owed.is_due) {
        owed_note(r, from);
    } else {
        struct mig_record *record = run_journal(r, MIG_RECORD_FAILED);
        record->phase = from;
        mig_text_set(record->text, sizeof(record->text), "%s", e->failed_reason);
    }
    if (!e->has_changed)
        (void)run_tell(r, MIG_EFFECT_DROP_LOCK);
    run_log(r, "plan.failed", "%s", e->failed_reason);
}

static void enter(struct run *r, enum mig_phase from)
{
    struct mig_engine *e = r->e;
    e->phase_since_ms = r->f->now_ms;
    e->due_from_ms = r->f->now_ms;
    e->wait_since_ms = r->f->now_ms;
    e->has_read_config = false;
    e->has_stragglers = false;
    e->alone_asked_ms = 0;
    memset(&e->catch_up, 0, sizeof(e->catch_up));
    memset(e->reprobed_at_ms, 0, sizeof(e->reprobed_at_ms));
    if (e->phase == MIG_PHASE_SWITCHING)
        engine_canary_reset(e);
    if (e->phase == MIG_PHASE_FAILED) {
        enter_failed(r, from);
    } else if (e->phase == MIG_PHASE_FINISHED) {
        (void)run_journal(r, MIG_RECORD_FINISHED);
        (void)run_tell(r, MIG_EFFECT_DROP_LOCK);
        run_log(r, "plan.finished", "plan %s", e->plan.id);
    } else if (e->phase == MIG_PHASE_ROLLED_BACK) {
        rollback_end(e);
        (void)run_journal(r, MIG_RECORD_ROLLED_BACK);
        (void)run_tell(r, MIG_EFFECT_DROP_LOCK);
        run_log(r, "plan.rolled_back", "plan %s", e->plan.id);
    } else if (from != MIG_PHASE_FAILED && e->phase != MIG_PHASE_PREFLIGHT &&
               e->phase != MIG_PHASE_ROLLING_BACK) {
        (void)run_journal(r, MIG_RECORD_PHASE); /* START, RETRY and ROLLBACK write records of their own */
        run_log(r, "plan.phase", "%s", mig_phase_name(e->phase));
    }
}

void engine_goto(struct run *r, enum mig_phase next)
{
    enum mig_phase from = r->e->phase;
    ASSERT(mig_phase_may_go(from, next));
    r->e->phase = next;
    r->e->waiting[0] = '\0';
    r->e->todo[0] = '\0';
    r->e->op.has_result = false;
    enter(r, from);
}
