/* Life of the engine and one call's order of events. What each phase does is in engine_<topic>.c, going from
 * one to the next in engine_phase.c; the shape is described in engine_int.h. */
#include "migrate/engine/engine.h"

#include <stdlib.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

static engine_handler *const handlers[MIG_PHASE_COUNT] = {
    [MIG_PHASE_PREFLIGHT] = phase_preflight, [MIG_PHASE_JOINING] = phase_joining,
    [MIG_PHASE_ADDING] = phase_adding,       [MIG_PHASE_CATCHING_UP] = phase_catching_up,
    [MIG_PHASE_SWITCHING] = phase_switching, [MIG_PHASE_REMOVING] = phase_removing,
    [MIG_PHASE_VERIFYING] = phase_verifying, [MIG_PHASE_ROLLING_BACK] = phase_rolling_back,
};

struct mig_engine *mig_engine_new(const struct conf *conf, const struct mig_switches *switches)
{
    struct mig_engine *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
#if PX_TEST_SWITCHES
    if (switches != NULL)
        e->switches = *switches;
#else
    (void)switches; /* a release never runs without its safety rules */
#endif
    e->phase = MIG_PHASE_IDLE;
    rolling_forget(e);
    prove_forget(e);
    e->ledger = ledger_new();
    if (e->ledger == NULL) {
        free(e);
        return NULL;
    }
    e->draft_rc = mig_plan_make(conf, 0, 0, &e->draft, &e->draft_err);
    return e;
}

void mig_engine_free(struct mig_engine *engine)
{
    if (engine != NULL)
        ledger_free(engine->ledger);
    free(engine);
}

void mig_engine_bar(struct mig_engine *engine, const char *why)
{
    mig_text_set(engine->barred, sizeof(engine->barred), "%s", why);
}

bool mig_engine_plan_runs(const struct mig_engine *engine)
{
    return mig_phase_is_running(engine->phase) || (engine->phase == MIG_PHASE_FAILED && engine->has_changed);
}

enum rc mig_engine_configure(struct mig_engine *engine, const struct conf *conf)
{
    if (mig_engine_plan_runs(engine))
        return RC_REFUSED;
    engine->draft_rc = mig_plan_make(conf, 0, 0, &engine->draft, &engine->draft_err);
    engine->findings.count = 0;
    return RC_OK;
}

/* The newest config known: what we read ourselves may be ahead of the last probe. */
const struct zkp_config *engine_newest_config(const struct mig_engine *e, const struct mig_facts *f)
{
    if (!e->has_expected || !mig_engine_plan_runs(e))
        return f->config;
    return f->config != NULL && f->config->version > e->expected.version ? f->config : &e->expected;
}

struct run run_begin(struct mig_engine *e, const struct mig_facts *f, struct mig_effects *out)
{
    struct run r = {.e = e, .f = f, .out = out, .config = engine_newest_config(e, f)};
    r.leader = mig_facts_leader_in(f, r.config, GATE_AGE_MAX_MS);
    return r;
}

enum mig_phase engine_phase(const struct mig_engine *e)
{
    return e->phase == MIG_PHASE_FAILED ? e->failed_phase : e->phase;
}

bool engine_goes_back(const struct mig_engine *e)
{
    return engine_phase(e) == MIG_PHASE_ROLLING_BACK || e->phase == MIG_PHASE_ROLLED_BACK;
}

bool engine_gate_is_open(const struct mig_engine *e, enum mig_gate gate)
{
    return !e->plan.confirm[gate] || e->confirmed[gate];
}

enum mig_gate engine_waiting_gate(const struct mig_engine *e)
{
    enum mig_gate gate = MIG_GATE_NONE;
    if (e->phase == MIG_PHASE_SWITCHING)
        gate = MIG_GATE_SWITCH;
    else if (e->phase == MIG_PHASE_REMOVING && !data_is_due(e))
        gate = MIG_GATE_REMOVE;
    else if (e->phase == MIG_PHASE_VERIFYING && engine_step_is_done(e, MIG_DO_VERIFY, -1))
        gate = MIG_GATE_FINISH;
    return engine_gate_is_open(e, gate) ? MIG_GATE_NONE : gate;
}

const struct mig_drained *mig_engine_drained(const struct mig_engine *engine)
{
    return &engine->drained;
}

int64_t engine_limit_ms(const struct mig_engine *e, const struct mig_facts *f)
{
    if (e->phase == MIG_PHASE_JOINING || rolling_waits_for_people(e))
        return e->plan.join_timeout_ms;
    int64_t rate = e->plan.switch_rate > 0 ? e->plan.switch_rate : 1;
    if (e->phase == MIG_PHASE_SWITCHING || e->phase == MIG_PHASE_ROLLING_BACK)
        return e->plan.step_timeout_ms + f->sessions.total * 1000 / rate + engine_canary_patience_ms(e);
    return e->plan.step_timeout_ms;
}

int64_t engine_deadline_ms(const struct mig_engine *e, const struct mig_facts *f)
{
    if (e->hook.is_pending)
        return e->hook.since_ms + e->plan.hook_timeout_ms;
    return e->due_from_ms + engine_limit_ms(e, f);
}

/* After a leader change sessions that heard the new leader are refused by every follower until a transaction
 * commits (protocol.md §3.6): commit one, also when no plan runs. */
static bool background_barrier(struct run *r)
{
    struct mig_engine *e = r->e;
    bool is_due = r->leader.id >= 0 && e->barriered_epoch != r->leader.epoch && !change_in_flight(&e->change);
    if (!is_due || (e->barrier_at_ms != 0 && r->f->now_ms - e->barrier_at_ms < RETRY_MS))
        return false;
    e->barrier_at_ms = r->f->now_ms;
    (void)run_ask(r, MIG_EFFECT_BARRIER, r->leader.id);
    e->op.is_background = true;
    return true;
}

/* Outside a running plan: findings stay fresh, probes run when somebody asked for them. After a plan its own
 * findings stay until somebody asks for new ones. */
static void run_idle(struct run *r)
{
    struct mig_engine *e = r->e;
    bool is_fresh = e->phase == MIG_PHASE_IDLE || (e->wants_findings && !mig_engine_plan_runs(e));
    if (e->wants_probes) {
        bool is_seen = preflight_is_seen(r);
        if (!preflight_is_probed(r))
            preflight_probe(r);
        else
            e->wants_probes = !is_seen;
    }
    if (is_fresh && e->draft_rc == RC_OK)
        mig_preflight(&e->draft, r->f, &e->probes, &e->drained, &e->switches, &e->findings);
}

/* After a retry: what the ensemble is now, read behind a barrier, replaces what we expected. */
static enum mig_phase adopt_config(struct run *r)
{
    struct mig_engine *e = r->e;
    run_wait(r, "", "the config, read from the leader behind a barrier");
    const struct engine_op *op = run_take(r, MIG_EFFECT_READ_CONFIG);
    if (op != NULL && op->rc == RC_OK && op->has_config) {
        char difference[MIG_TEXT_MAX];
        struct zkp_config seen = op->config;
        if (e->plan.kind == CONF_KIND_ROLLING)
            rolling_restore_roles(e, &seen); /* the plan itself changes them for a moment */
        if (!mig_plan_fits(&e->plan, &seen, difference, sizeof(difference)))
            return engine_fail(r, "the config was changed by somebody else: %s", difference);
        engine_adopt(e, &op->config);
        bool is_short = e->phase > MIG_PHASE_ADDING && !engine_goes_back(e) && !engine_has_all_targets(e);
        return is_short ? MIG_PHASE_JOINING : e->phase;
    }
    if (op != NULL)
        e->adopt_retry_at_ms = r->f->now_ms + RETRY_MS;
    if (r->leader.id < 0)
        run_reprobe(r, MIG_PROBE_SRVR);
    else if (r->f->now_ms >= e->adopt_retry_at_ms)
        (void)run_ask(r, MIG_EFFECT_READ_CONFIG, r->leader.id);
    return e->phase;
}

static enum mig_phase past_deadline(struct run *r)
{
    const struct mig_step *step = engine_current_step(r->e);
    return engine_fail(r, "%s was not done within %lld s; it waited for: %s",
                       step != NULL ? step->name : mig_phase_name(r->e->phase),
                       (long long)(engine_limit_ms(r->e, r->f) / 1000), r->e->waiting);
}

static enum mig_phase run_phase(struct run *r)
{
    struct mig_engine *e = r->e;
    bool is_settled = !change_in_flight(&e->change);
    bool is_foreign = false;
    if (e->phase == MIG_PHASE_ROLLING_BACK && !e->has_changed)
        return MIG_PHASE_ROLLED_BACK; /* nothing was done that has to be undone */
    bool has_lock = e->phase == MIG_PHASE_PREFLIGHT || !is_settled || engine_lock(r, &is_foreign);
    if (is_foreign)
        return MIG_PHASE_FAILED; /* engine_lock wrote why */
    if (e->is_paused && is_settled) {
        e->due_from_ms = r->f->now_ms;
        return e->phase;
    }
    if (e->hook.is_pending)
        e->due_from_ms = r->f->now_ms; /* it has a time limit of its own */
    if (r->f->now_ms - e->due_from_ms >= engine_limit_ms(e, r->f))
        return past_deadline(r);
    if (!has_lock || e->op.is_pending)
        return e->phase;
    if (!e->has_expected && e->phase != MIG_PHASE_PREFLIGHT && is_settled)
        return adopt_config(r);
    if (hook_backup_is_due(e))
        return hook_backup(r);
    return handlers[e->phase](r);
}

static void advance_clock(struct run *r)
{
    struct mig_engine *e = r->e;
    if (e->phase_since_ms == 0) {
        e->phase_since_ms = r->f->now_ms;
        e->due_from_ms = r->f->now_ms;
        e->wait_since_ms = r->f->now_ms;
    }
    struct mig_step *step = engine_current_step(e);
    if (step != NULL && step->started_ms != 0)
        step->seconds_ms = r->f->now_ms - step->started_ms;
}

void engine_run(struct run *r)
{
    struct mig_engine *e = r->e;
    advance_clock(r);
    engine_canary_watch(r);
    doubt_watch_writes(r);
    hold_keep(r);
    if (e->journal_seq != 0 || owed_keep(r) || e->op.is_pending || background_barrier(r))
        return;
    if (mig_engine_plan_runs(e) && tally_keep(r))
        return;
    if (!mig_phase_is_running(e->phase)) {
        run_idle(r);
        return;
    }
    enum mig_phase next = run_phase(r);
    if (next != e->phase)
        engine_goto(r, next);
}

static void absorb_probe(struct mig_engine *e, const struct mig_facts *f, const struct mig_event *event)
{
    if (e->op.is_of_target) {
        super_absorb(e, f, event);
        return;
    }
    bool is_answer = event->rc == RC_OK || (event->kind == MIG_EVENT_SUPER_RESULT && event->rc == RC_REFUSED);
    if (!is_answer) {
        e->probe_retry_at_ms = f->now_ms + RETRY_MS;
    } else if (event->kind == MIG_EVENT_PROBE_RESULT) {
        e->probes.reconfig_at_ms = f->now_ms;
        e->probes.reconfig_err = event->zk_err;
        e->probes.reconfig_via = e->op.via;
        e->probes.reconfig_epoch = e->op.epoch;
    } else {
        e->probes.super_at_ms = f->now_ms;
        e->probes.is_super = event->rc == RC_OK;
    }
}

static void absorb_result(struct mig_engine *e, const struct mig_facts *f, const struct mig_event *event)
{
    struct engine_op *op = &e->op;
    if (!op->is_pending || op->seq != event->seq)
        return; /* late, or of a life before */
    op->is_pending = false;
    op->rc = event->rc;
    op->zk_err = event->zk_err;
    op->has_config = event->config != NULL;
    if (event->config != NULL)
        op->config = *event->config;
    mig_text_set(op->text, sizeof(op->text), "%s", event->text);
    if (op->kind == MIG_EFFECT_BARRIER && event->rc == RC_OK)
        e->barriered_epoch = op->epoch;
    bool is_probe = op->kind == MIG_EFFECT_PROBE_RECONFIG || op->kind == MIG_EFFECT_CHECK_SUPER;
    if (is_probe)
        absorb_probe(e, f, event);
    op->has_result = !op->is_background && !is_probe;
}

static void absorb_journaled(struct run *r, const struct mig_event *event)
{
    struct mig_engine *e = r->e;
    engine_drain_journaled(e, event);
    if (event->rc == RC_OK) {
        ledger_written(e, event->seq);
        if (event->seq == e->journal_seq)
            e->journal_seq = 0;
    } else if (e->journal_seq != 0) {
        ledger_lost(r, event->seq, event->text);
    }
}

void mig_engine_step(struct mig_engine *engine, const struct mig_facts *facts, const struct mig_event *event,
                     struct mig_effects *ret_effects)
{
    ret_effects->count = 0;
    ledger_open(engine);
    struct run r = run_begin(engine, facts, ret_effects);
    switch (event->kind) {
    case MIG_EVENT_TICK:
        break;
    case MIG_EVENT_JOURNALED:
        absorb_journaled(&r, event);
        break;
    case MIG_EVENT_LOCK_RESULT:
    case MIG_EVENT_PROBE_RESULT:
    case MIG_EVENT_SUPER_RESULT:
    case MIG_EVENT_RECONFIG_RESULT:
    case MIG_EVENT_BARRIER_RESULT:
    case MIG_EVENT_CONFIG_RESULT:
        absorb_result(engine, facts, event);
        break;
    case MIG_EVENT_HOOK_RESULT:
        hook_absorb(engine, event);
        break;
    case MIG_EVENT_VERIFY_RESULT:
        data_absorb(engine, event);
        doubt_absorb(engine, facts, event);
        break;
    case MIG_EVENT_COUNT:
        ASSERT(event->kind != MIG_EVENT_COUNT);
    }
    engine_run(&r);
    (void)ledger_seal(&r);
}
