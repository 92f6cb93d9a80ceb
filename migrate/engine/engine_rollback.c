/* Phase rolling_back: the way back, by the same machines and gates. What is in flight ends first; then
 * sources that had left are restored and catch up, sessions go back to the sources, targets are withdrawn,
 * the leader last. What the config shows to be as before is skipped. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

static bool is_accepted_down(const struct mig_engine *e, int32_t id)
{
    char finding[MIG_FINDING_ID_MAX];
    mig_text_set(finding, sizeof(finding), "server-down-%d", id);
    bool is_named = e->plan.kind != CONF_KIND_MIGRATE && mig_plan_leaves(&e->plan, id);
    return is_named || mig_plan_accepts(&e->plan, "server-down", finding);
}

/* A source that was down from the start, and still is a member, is as it was. */
static bool is_as_before(const struct mig_engine *e, const struct zkp_config *config, int32_t id)
{
    return config != NULL && zkp_config_find(config, id) != NULL && is_accepted_down(e, id);
}

int32_t rollback_obstacle(const struct mig_engine *e, const struct mig_facts *f)
{
    const struct zkp_config *config = engine_newest_config(e, f);
    struct mig_leader leader = mig_facts_leader_in(f, config, GATE_AGE_MAX_MS * 3);
    bool is_rolling = e->plan.kind == CONF_KIND_ROLLING; /* it waits for the one that is missing itself */
    for (uint32_t i = 0; !is_rolling && e->has_changed && i < e->plan.sources.count; i++) {
        int32_t id = e->plan.sources.servers[i].id;
        if (!server_is_synced(f, id, &leader) && !is_as_before(e, config, id))
            return id;
    }
    return MIG_NO_SERVER;
}

void rollback_mark_steps(struct mig_engine *e)
{
    for (uint32_t i = 0; e->has_expected && i < e->steps.count; i++) {
        struct mig_step *step = &e->steps.items[i];
        bool is_member = step->server >= 0 && zkp_config_find(&e->expected, step->server) != NULL;
        bool is_done = (step->kind == MIG_DO_ADD && is_member) || (step->kind == MIG_DO_REMOVE && !is_member);
        if (is_done && step->state == MIG_STEP_SKIPPED) {
            step->state = MIG_STEP_DONE;
            step->detail[0] = '\0';
        }
    }
}

void rollback_turn(struct mig_engine *e)
{
    mig_plan_turn_back(&e->plan, &e->steps);
    rollback_mark_steps(e);
    e->failed_reason[0] = '\0';
    e->is_paused = false;
    doubt_forget(e);
    memset(&e->data, 0, sizeof(e->data)); /* what is under way is of no interest any more */
    if (!change_in_flight(&e->change))
        e->change.stage = CHANGE_NONE;
}

void rollback_end(struct mig_engine *e)
{
    for (uint32_t i = 0; i < e->steps.count; i++)
        if (e->steps.items[i].state == MIG_STEP_PENDING)
            e->steps.items[i].state = MIG_STEP_SKIPPED;
}

/* A change of the way there whose outcome is open; once it is known, the way back begins. */
static enum mig_phase settle(struct run *r)
{
    struct change *c = &r->e->change;
    if (change_in_flight(c) && change_run(r) == CHANGE_FAILED)
        return MIG_PHASE_FAILED;
    if (!change_in_flight(c) && r->e->journal_seq == 0)
        c->stage = CHANGE_NONE;
    return MIG_PHASE_ROLLING_BACK;
}

/* Steps that would change nothing: a source that never left, a target that never joined. */
static void skip_needless(struct run *r)
{
    bool has_restored = false;
    for (uint32_t i = 0; i < r->e->steps.count; i++) {
        struct mig_step *step = &r->e->steps.items[i];
        bool is_member = step->server >= 0 && zkp_config_find(&r->e->expected, step->server) != NULL;
        bool is_needless = (step->kind == MIG_DO_RESTORE && is_member) ||
                           (step->kind == MIG_DO_WITHDRAW && !is_member) ||
                           (step->kind == MIG_DO_CATCH_UP_BACK && !has_restored);
        if (step->state == MIG_STEP_PENDING && is_needless) {
            step->state = MIG_STEP_SKIPPED;
            mig_text_set(step->detail, sizeof(step->detail), "it is as before the plan");
        }
        has_restored = has_restored || (step->kind == MIG_DO_RESTORE && step->state != MIG_STEP_SKIPPED);
    }
}

/* Each step has its own deadline. */
static void start(struct run *r, enum mig_step_kind kind)
{
    if (mig_steps_find(&r->e->steps, kind, -1)->state == MIG_STEP_PENDING)
        r->e->due_from_ms = r->f->now_ms;
    run_step_start(r, kind, -1);
}

static enum mig_phase catch_up_back(struct run *r)
{
    start(r, MIG_DO_CATCH_UP_BACK);
    if (catch_up_is_done(r))
        run_step_done(r, MIG_DO_CATCH_UP_BACK, -1);
    return MIG_PHASE_ROLLING_BACK;
}

static enum mig_phase switch_back(struct run *r)
{
    start(r, MIG_DO_SWITCH_BACK);
    if (switch_is_done(r))
        run_step_done(r, MIG_DO_SWITCH_BACK, -1);
    return MIG_PHASE_ROLLING_BACK;
}

static enum mig_phase verify_back(struct run *r)
{
    if (engine_step_is_done(r->e, MIG_DO_VERIFY_BACK, -1))
        return MIG_PHASE_ROLLED_BACK;
    start(r, MIG_DO_VERIFY_BACK);
    return switch_verify(r, MIG_DO_VERIFY_BACK);
}

enum mig_phase phase_rolling_back(struct run *r)
{
    const struct change *c = &r->e->change;
    if (r->e->plan.kind == CONF_KIND_ROLLING)
        return rolling_back(r);
    bool is_of_the_way_there = c->kind == MIG_DO_ADD || c->kind == MIG_DO_REMOVE;
    if (c->stage != CHANGE_NONE && is_of_the_way_there)
        return settle(r);
    if (c->stage != CHANGE_NONE && c->stage != CHANGE_GATE)
        return members_drive(r);
    rollback_mark_steps(r->e);
    skip_needless(r);
    int32_t next = members_next(r, MIG_DO_RESTORE);
    if (next >= 0)
        return members_change(r, MIG_DO_RESTORE, next);
    if (!engine_step_is_over(r->e, MIG_DO_CATCH_UP_BACK))
        return catch_up_back(r);
    if (!engine_step_is_over(r->e, MIG_DO_SWITCH_BACK))
        return switch_back(r);
    next = members_next(r, MIG_DO_WITHDRAW);
    return next >= 0 ? members_change(r, MIG_DO_WITHDRAW, next) : verify_back(r);
}
