/* Phases adding and removing: one member after another, each by the machine of engine_change.c. */
#include "migrate/engine_int.h"
#include "zkproto/assert.h"

/* A dead member that left in the same request has its step done, too. */
static void finish(struct run *r)
{
    struct change *c = &r->e->change;
    run_step_done(r, c->kind, c->server);
    if (c->partner != 0) {
        run_step_start(r, MIG_DO_REMOVE, c->partner);
        run_step_done(r, MIG_DO_REMOVE, c->partner);
    }
    c->stage = CHANGE_NONE;
}

/* Carries the running change on. */
static enum mig_phase drive(struct run *r)
{
    struct change *c = &r->e->change;
    enum mig_phase same = r->e->phase;
    run_step_start(r, c->kind, c->server);
    enum change_stage stage = change_run(r);
    if (stage == CHANGE_FAILED)
        return MIG_PHASE_FAILED;
    if (stage == CHANGE_DONE && r->e->journal_seq == 0)
        finish(r);
    return same;
}

enum mig_phase phase_adding(struct run *r)
{
    struct mig_engine *e = r->e;
    if (e->change.stage != CHANGE_NONE)
        return drive(r);
    for (uint32_t i = 0; i < e->plan.targets.count; i++) {
        int32_t id = e->plan.targets.servers[i].id;
        if (engine_step_is_done(e, MIG_DO_ADD, id))
            continue;
        change_begin(r, MIG_DO_ADD, id);
        return drive(r);
    }
    return MIG_PHASE_CATCHING_UP;
}

/* Lowest id first, the leader last; who leads is looked at anew each time. -1 = none is left. */
static int32_t next_leaver(const struct run *r)
{
    const struct mig_engine *e = r->e;
    int32_t leader = -1;
    for (uint32_t i = 0; i < e->plan.leaving.count; i++) {
        int32_t id = e->plan.leaving.ids[i];
        if (engine_step_is_done(e, MIG_DO_REMOVE, id))
            continue;
        if (id != r->leader.id)
            return id;
        leader = id;
    }
    return leader;
}

enum mig_phase phase_removing(struct run *r)
{
    struct mig_engine *e = r->e;
    struct change *c = &e->change;
    int32_t next = next_leaver(r);
    bool is_settled = c->stage == CHANGE_NONE || c->stage == CHANGE_GATE;
    if (!is_settled)
        return drive(r);
    if (next < 0)
        return MIG_PHASE_VERIFYING;
    if (c->stage == CHANGE_GATE && c->server != next) { /* the leader changed: only the order does */
        mig_steps_find(&e->steps, MIG_DO_REMOVE, c->server)->state = MIG_STEP_PENDING;
        c->stage = CHANGE_NONE;
    }
    run_step_start(r, MIG_DO_REMOVE, next);
    if (!gate_confirm(r, MIG_GATE_REMOVE))
        return MIG_PHASE_REMOVING;
    if (c->stage == CHANGE_NONE)
        change_begin(r, MIG_DO_REMOVE, next);
    return drive(r);
}
