/* The first stage of phase switching: some sessions go ahead and are watched (canary.h says by what). Within
 * the limits the others follow; beyond one the plan pauses and the canaries go back to where they came from.
 *
 *     none ──begin──▶ moving ──all are there──▶ observing ──time is over──▶ step "canary" is done
 *      ▲                 └───────a limit is broken──────┴──▶ breached (paused) ──resume──▶ begin
 *
 * Who is a canary the workers know (proxy/net/canary.h), by round: the engine judges nothing before all of
 * them work by its own. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

bool engine_canary_is_pending(const struct mig_engine *e)
{
    for (uint32_t i = 0; i < e->steps.count; i++)
        if (e->steps.items[i].kind == MIG_DO_CANARY)
            return e->steps.items[i].state != MIG_STEP_DONE;
    return false;
}

void engine_canary_reset(struct mig_engine *e)
{
    e->canary.stage = CANARY_NONE;
    e->canary.reason[0] = '\0';
}

int64_t engine_canary_patience_ms(const struct mig_engine *e)
{
    return e->canary.stage == CANARY_OBSERVING ? e->plan.canary.observe_ms : 0;
}

int64_t engine_canary_until_ms(const struct mig_engine *e)
{
    bool is_on = e->phase == MIG_PHASE_SWITCHING && e->canary.stage == CANARY_OBSERVING;
    return is_on ? e->canary.observe_since_ms + e->plan.canary.observe_ms : 0;
}

bool engine_canary_is_breached(const struct mig_engine *e)
{
    return e->phase == MIG_PHASE_SWITCHING && e->canary.stage == CANARY_BREACHED;
}

/* Nobody is measured who has just been a canary: they are on their way back, perhaps from a sick server. */
static bool is_usual_time(const struct run *r)
{
    const struct canary *c = &r->e->canary;
    return c->stage == CANARY_NONE || (c->stage == CANARY_BREACHED && r->f->sessions.target == 0);
}

void engine_canary_watch(struct run *r)
{
    const struct mig_engine *e = r->e;
    const struct conf_canary *canary = mig_engine_plan_runs(e) ? &e->plan.canary : &e->draft.canary;
    if (conf_canary_is_on(canary) && is_usual_time(r))
        mig_lookback_note(&r->e->lookback, &r->f->canary, r->f->sessions.total, r->f->now_ms,
                          canary->observe_ms);
}

/* What was measured before an earlier try is kept unless there was time for a whole new window. */
static void take_usual(struct run *r)
{
    struct canary *c = &r->e->canary;
    struct mig_measures usual = mig_lookback_usual(&r->e->lookback, &r->f->canary, r->f->now_ms);
    if (!c->has_usual || usual.ms >= r->e->plan.canary.observe_ms)
        c->usual = usual;
    c->has_usual = true;
    r->e->lookback.count = 0;
}

static void begin(struct run *r)
{
    struct canary *c = &r->e->canary;
    take_usual(r);
    engine_canary_reset(r->e);
    c->stage = CANARY_MOVING;
    c->round++;
    c->begun = r->f->canary.canaries;
    c->begun_ms = r->f->now_ms;
    c->sessions = 0;
    r->e->due_from_ms = r->f->now_ms;
    run_journal(r, MIG_RECORD_CANARY_BEGUN)->usual = c->usual;
    run_log(r, "plan.canary.begun", "usual is: %lld sessions, %lld troubles in %lld ms, p99 %lld us",
            (long long)c->usual.sessions, (long long)c->usual.troubles, (long long)c->usual.ms,
            (long long)c->usual.p99_us);
}

static void breach(struct run *r, const char *reason)
{
    struct mig_engine *e = r->e;
    run_wait(r, "", "%s", reason);
    e->canary.stage = CANARY_BREACHED;
    mig_text_set(e->canary.reason, sizeof(e->canary.reason), "%s", reason);
    e->is_paused = true;
    e->due_from_ms = r->f->now_ms;
    mig_text_set(run_journal(r, MIG_RECORD_CANARY_BREACHED)->text, MIG_TEXT_MAX, "%s", reason);
    run_log(r, "plan.canary.breached", "%s", reason);
}

static struct mig_measures measure(struct run *r)
{
    struct canary *c = &r->e->canary;
    if (c->begun_ms == 0)
        c->begun_ms = r->f->now_ms; /* restart: the counters began anew, too */
    if (r->f->canary.sessions > c->sessions)
        c->sessions = r->f->canary.sessions;
    struct mig_measures seen = mig_measures_of(&r->f->canary, &c->begun, &r->f->canary.canaries);
    seen.ms = r->f->now_ms - c->begun_ms;
    seen.sessions = c->sessions;
    return seen;
}

static bool is_too_much(struct run *r, const struct mig_measures *seen)
{
    char reason[MIG_TEXT_MAX];
    if (r->e->switches.no_canary_limits)
        return false;
    if (!mig_canary_exceeds(&r->e->plan.canary, &r->e->canary.usual, seen, reason, sizeof(reason)))
        return false;
    breach(r, reason);
    return true;
}

static int64_t canaries_left(const struct run *r)
{
    int64_t left = 0;
    for (uint32_t i = 0; i < r->f->server_count; i++)
        if (mig_plan_leaves(&r->e->plan, r->f->servers[i].id))
            left += r->f->servers[i].our_canaries;
    return left;
}

static void observe(struct run *r, const struct mig_measures *seen)
{
    struct canary *c = &r->e->canary;
    if (c->stage != CANARY_OBSERVING) {
        c->stage = CANARY_OBSERVING;
        c->observe_since_ms = r->f->now_ms;
        r->e->due_from_ms = r->f->now_ms;
    }
    run_wait(
        r, "",
        "the observation of %lld canaries, %lld s in all; so far %lld requests with a 99th percentile of "
        "%.1f ms (usual is %.1f ms), %lld troubles, %lld expired, %lld returned",
        (long long)seen->sessions, (long long)(r->e->plan.canary.observe_ms / 1000),
        (long long)seen->requests, (double)seen->p99_us / 1000.0, (double)c->usual.p99_us / 1000.0,
        (long long)seen->troubles, (long long)seen->expired, (long long)seen->returned);
    if (r->f->now_ms < c->observe_since_ms + r->e->plan.canary.observe_ms)
        return;
    if (seen->sessions == 0 && !r->e->switches.no_canary_limits) {
        breach(r,
               "no session was a canary, so nothing was observed; among so few sessions a share may choose "
               "nobody: let a client of migration.canary.clients connect, or take the plan back and raise "
               "migration.canary.share");
        return;
    }
    run_step_done(r, MIG_DO_CANARY, -1);
    engine_canary_reset(r->e);
    r->e->due_from_ms = r->f->now_ms;
}

void engine_canary_run(struct run *r)
{
    struct canary *c = &r->e->canary;
    if (c->stage == CANARY_NONE || c->stage == CANARY_BREACHED) { /* breached, and resumed since */
        begin(r);
        return;
    }
    if (r->f->canary.round != c->round) {
        run_wait(r, "", "all workers to know which sessions go first");
        return;
    }
    struct mig_measures seen = measure(r);
    if (is_too_much(r, &seen))
        return;
    int64_t left = canaries_left(r);
    if (left == 0 || c->stage == CANARY_OBSERVING) /* a new one begins on a server that leaves */
        observe(r, &seen);
    else
        run_wait(r, "see `zkferry sessions` for those that stay",
                 "%lld canaries to leave the servers that leave; %lld go first", (long long)left,
                 (long long)seen.sessions);
}

void engine_canary_traffic(const struct mig_engine *e, struct mig_traffic *traffic)
{
    const struct canary *c = &e->canary;
    bool is_on = engine_phase(e) == MIG_PHASE_SWITCHING && engine_canary_is_pending(e);
    bool is_failed = e->phase == MIG_PHASE_FAILED;
    if (!is_on || c->stage == CANARY_NONE)
        return;
    if (c->stage == CANARY_BREACHED) {
        traffic->is_emptying = !is_failed; /* also while paused: that is what the pause is for */
        return;
    }
    traffic->canary_round = c->round;
    traffic->canaries_leave = !is_failed && !e->is_paused;
}

enum rc engine_canary_replay(struct mig_engine *e, const struct mig_record *record)
{
    struct canary *c = &e->canary;
    bool is_begun = record->kind == MIG_RECORD_CANARY_BEGUN;
    if (e->phase != MIG_PHASE_SWITCHING || !engine_canary_is_pending(e))
        return RC_CORRUPT;
    if (!is_begun && c->stage != CANARY_MOVING)
        return RC_CORRUPT;
    if (is_begun) {
        c->stage = CANARY_MOVING;
        c->round++;
        c->usual = record->usual;
        c->has_usual = true;
    } else {
        c->stage = CANARY_BREACHED;
        mig_text_set(c->reason, sizeof(c->reason), "%s", record->text);
        e->is_paused = true;
    }
    return RC_OK;
}
