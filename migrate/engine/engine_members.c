/* Phases adding and removing: one member after another, each by the machine of engine_change.c. */
#include "migrate/engine/engine_int.h"

/* A dead member that left in the same request has its step done, too. */
static void finish(struct run *r)
{
    struct change *c = &r->e->change;
    run_step_done(r, c->kind, c->server);
    if (c->partner != MIG_NO_SERVER) {
        run_step_start(r, MIG_DO_REMOVE, c->partner);
        run_step_done(r, MIG_DO_REMOVE, c->partner);
    }
    c->stage = CHANGE_NONE;
}

enum mig_phase members_drive(struct run *r)
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

/* Steps of a kind are in the order of ids; who leads is looked at anew each time. */
int32_t members_next(const struct run *r, enum mig_step_kind kind)
{
    int32_t leader = -1;
    for (uint32_t i = 0; i < r->e->steps.count; i++) {
        const struct mig_step *step = &r->e->steps.items[i];
        if (step->kind != kind || step->state == MIG_STEP_DONE || step->state == MIG_STEP_SKIPPED)
            continue;
        if (step->server != r->leader.id)
            return step->server;
        leader = step->server;
    }
    return leader;
}

enum mig_phase members_change(struct run *r, enum mig_step_kind kind, int32_t next)
{
    struct change *c = &r->e->change;
    if (c->stage == CHANGE_GATE && c->server != next) { /* the leader changed: only the order does */
        mig_steps_find(&r->e->steps, c->kind, c->server)->state = MIG_STEP_PENDING;
        c->stage = CHANGE_NONE;
    }
    if (c->stage == CHANGE_NONE)
        change_begin(r, kind, next);
    return members_drive(r);
}

static bool is_settled(const struct change *c)
{
    return c->stage == CHANGE_NONE || c->stage == CHANGE_GATE;
}

enum mig_phase phase_adding(struct run *r)
{
    int32_t next = members_next(r, MIG_DO_ADD);
    if (!is_settled(&r->e->change))
        return members_drive(r);
    return next < 0 ? MIG_PHASE_CATCHING_UP : members_change(r, MIG_DO_ADD, next);
}

enum mig_phase phase_removing(struct run *r)
{
    int32_t next = members_next(r, MIG_DO_REMOVE);
    if (!is_settled(&r->e->change))
        return members_drive(r);
    if (data_is_due(r->e))
        return data_drive(r);
    if (next < 0)
        return MIG_PHASE_VERIFYING;
    if (r->e->change.stage == CHANGE_NONE)
        run_step_start(r, MIG_DO_REMOVE, next);
    if (!gate_stragglers(r))
        return MIG_PHASE_REMOVING;
    if (!gate_confirm(r, MIG_GATE_REMOVE) || !gate_alone(r))
        return MIG_PHASE_REMOVING;
    return members_change(r, MIG_DO_REMOVE, next);
}
