/* Phases joining (each target follows as a non-voting, synced follower) and catching_up (its zxid keeps up),
 * with the catching up of restored sources on the way back. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

/* Blocks of targets that answer. They must persist: a server that just starts may look odd for a moment. */
static bool has_steady_block(struct run *r)
{
    struct mig_engine *e = r->e;
    for (uint32_t i = 0; i < e->plan.targets.count; i++) {
        int32_t id = e->plan.targets.servers[i].id;
        mig_preflight_target(&e->plan, r->f, id, &e->switches, &e->scratch);
        if (mig_findings_blocks(&e->scratch) == 0)
            continue;
        const struct mig_finding *finding = &e->scratch.items[0];
        if (e->finding_since_ms == 0)
            e->finding_since_ms = r->f->now_ms;
        run_wait(r, finding->todo, "target %d: %s (%s)", id, finding->id, finding->seen);
        run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_CONF | MIG_PROBE_CONFIG);
        if (r->f->now_ms - e->finding_since_ms < FINDING_STEADY_MS)
            return false;
        (void)engine_fail(r, "target %d: %s: %s; %s", id, finding->id, finding->seen, finding->todo);
        return true;
    }
    e->finding_since_ms = 0;
    return false;
}

/* An idle ensemble shows a joiner's zxid only after the next transaction. */
static void stir(struct run *r)
{
    struct mig_engine *e = r->e;
    if (e->op.is_pending || r->leader.id < 0 || r->f->now_ms - e->barrier_at_ms < JOIN_BARRIER_MS)
        return;
    e->barrier_at_ms = r->f->now_ms;
    (void)run_ask(r, MIG_EFFECT_BARRIER, r->leader.id);
    e->op.is_background = true;
}

enum mig_phase phase_joining(struct run *r)
{
    run_step_start(r, MIG_DO_JOIN, -1);
    prove_watch(r);
    if (has_steady_block(r))
        return MIG_PHASE_FAILED;
    enum hook_end started = hook_start_joiners(r);
    if (started != HOOK_ENDED)
        return started == HOOK_FAILED ? MIG_PHASE_FAILED : MIG_PHASE_JOINING;
    if (r->e->finding_since_ms != 0 || !gate_leader(r))
        return MIG_PHASE_JOINING;
    if (!gate_all_joiners(r, r->e->phase_since_ms)) {
        stir(r);
        return MIG_PHASE_JOINING;
    }
    enum hook_end proven = prove_joiners(r);
    if (proven != HOOK_ENDED)
        return proven == HOOK_FAILED ? MIG_PHASE_FAILED : MIG_PHASE_JOINING;
    run_step_done(r, MIG_DO_JOIN, -1);
    return MIG_PHASE_ADDING;
}

enum reached { REACHED, NOT_YET, MISSED };

/* Who has to catch up: the targets, on the way back the sources. */
static const struct mig_servers *latecomers(const struct run *r)
{
    bool is_source = engine_goes_back(r->e) || r->e->plan.kind == CONF_KIND_ROLLING;
    return is_source ? &r->e->plan.sources : &r->e->plan.targets;
}

static bool is_awaited(const struct run *r, int32_t id)
{
    if (r->e->plan.kind == CONF_KIND_ROLLING)
        return id == r->e->rolling.server;
    return !engine_goes_back(r->e) || engine_step_is_done(r->e, MIG_DO_RESTORE, id);
}

/* The target's question was sent after the leader's, so its answer includes what it had at that moment. */
static enum reached has_reached(const struct run *r, int32_t id, uint32_t index)
{
    const struct catch_up *c = &r->e->catch_up;
    const struct mig_server_facts *target = mig_facts_server(r->f, id);
    if (c->has_reached[index] || !is_awaited(r, id))
        return REACHED;
    bool is_late = r->f->now_ms - c->round_at_ms > r->e->plan.lag_ms + GATE_AGE_MAX_MS;
    if (target == NULL || target->srvr_at_ms < c->round_at_ms)
        return is_late ? MISSED : NOT_YET;
    int64_t took_ms = target->srvr_at_ms - c->round_at_ms;
    if (target->srvr.zxid >= c->zxid && took_ms <= r->e->plan.lag_ms)
        return REACHED;
    return took_ms > r->e->plan.lag_ms ? MISSED : NOT_YET;
}

static void begin_round(struct run *r, int64_t after_ms)
{
    struct catch_up *c = &r->e->catch_up;
    if (r->leader.id < 0 || r->leader.observed_at_ms <= after_ms)
        return;
    c->round_at_ms = r->leader.observed_at_ms;
    c->zxid = r->leader.zxid;
    memset(c->has_reached, 0, sizeof(c->has_reached));
}

static void judge_round(struct run *r)
{
    struct catch_up *c = &r->e->catch_up;
    bool is_all = true;
    const struct mig_servers *servers = latecomers(r);
    for (uint32_t i = 0; i < servers->count; i++) {
        enum reached reached = has_reached(r, servers->servers[i].id, i);
        c->has_reached[i] = reached == REACHED;
        is_all = is_all && reached == REACHED;
        if (reached == MISSED) {
            c->good_rounds = 0;
            c->missed = servers->servers[i].id;
            c->last_round_ms = c->round_at_ms;
            c->round_at_ms = 0;
            return;
        }
    }
    if (is_all) {
        c->good_rounds++;
        c->last_round_ms = c->round_at_ms;
        c->round_at_ms = 0;
    }
}

static void say_who_is_late(struct run *r)
{
    const struct catch_up *c = &r->e->catch_up;
    bool is_rolling = r->e->plan.kind == CONF_KIND_ROLLING;
    const char *who = engine_goes_back(r->e) || is_rolling ? "source" : "target";
    if (c->missed > 0)
        run_wait(r, "see the load and the disk of that server",
                 "all %ss to reach the leader's zxid within %d ms, %d times in a row; %s %d was late last",
                 who, r->e->plan.lag_ms, r->e->plan.catch_up_rounds, who, c->missed);
    else
        run_wait(r, "", "all %ss to reach the leader's zxid within %d ms, %d times in a row", who,
                 r->e->plan.lag_ms, r->e->plan.catch_up_rounds);
}

bool catch_up_is_done(struct run *r)
{
    struct catch_up *c = &r->e->catch_up;
    if (!gate_leader(r))
        return false;
    if (c->round_at_ms == 0)
        begin_round(r, c->last_round_ms > r->e->phase_since_ms ? c->last_round_ms : r->e->phase_since_ms - 1);
    if (c->round_at_ms != 0)
        judge_round(r);
    if (c->good_rounds >= r->e->plan.catch_up_rounds || r->e->switches.no_lag_gate)
        return true;
    say_who_is_late(r);
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

enum mig_phase phase_catching_up(struct run *r)
{
    run_step_start(r, MIG_DO_CATCH_UP, -1);
    if (!catch_up_is_done(r))
        return MIG_PHASE_CATCHING_UP;
    run_step_done(r, MIG_DO_CATCH_UP, -1);
    return r->e->plan.leaving.count > 0 ? MIG_PHASE_SWITCHING : MIG_PHASE_VERIFYING;
}
