/* Phases switching (sessions leave the servers that leave; routing does it, see routing.h) and verifying. */
#include <string.h>

#include "migrate/engine_int.h"
#include "migrate/text.h"

static int64_t sessions_left(const struct run *r)
{
    int64_t left = 0;
    for (uint32_t i = 0; i < r->f->server_count; i++)
        if (mig_plan_leaves(&r->e->plan, r->f->servers[i].id))
            left += r->f->servers[i].our_sessions;
    return left;
}

enum mig_phase phase_switching(struct run *r)
{
    run_step_start(r, MIG_DO_SWITCH, -1);
    if (!gate_confirm(r, MIG_GATE_SWITCH))
        return MIG_PHASE_SWITCHING;
    int64_t left = sessions_left(r);
    if (left > 0) {
        run_wait(r, "see `zkferry sessions` for those that stay",
                 "%lld sessions to leave the servers that leave; %lld are on those that stay",
                 (long long)left, (long long)(r->f->sessions.total - left));
        return MIG_PHASE_SWITCHING;
    }
    run_step_done(r, MIG_DO_SWITCH, -1);
    return MIG_PHASE_REMOVING;
}

/* The config read behind a barrier; done once per verification. */
static enum mig_phase read_members(struct run *r)
{
    struct mig_engine *e = r->e;
    const struct engine_op *op = run_take(r, MIG_EFFECT_READ_CONFIG);
    if (op != NULL && op->rc == RC_OK && op->has_config) {
        char ids[256];
        mig_config_ids(&op->config, ids, sizeof(ids));
        if (!mig_plan_is_final(&e->plan, &op->config))
            return engine_fail(
                r, "the config was changed by somebody else: its members are %s, not those of the plan", ids);
        engine_adopt(e, &op->config);
        e->has_read_config = true;
        return MIG_PHASE_VERIFYING;
    }
    if (op != NULL)
        e->adopt_retry_at_ms = r->f->now_ms + RETRY_MS;
    run_wait(r, "", "the config, read from the leader behind a barrier");
    if (r->f->now_ms >= e->adopt_retry_at_ms)
        (void)run_ask(r, MIG_EFFECT_READ_CONFIG, r->leader.id);
    return MIG_PHASE_VERIFYING;
}

static enum mig_phase verify(struct run *r)
{
    run_step_start(r, MIG_DO_VERIFY, -1);
    if (!gate_leader(r))
        return MIG_PHASE_VERIFYING;
    if (!r->e->has_read_config)
        return read_members(r);
    if (mig_plan_leaves(&r->e->plan, r->leader.id)) {
        run_wait(r, "", "a server that stays to lead; server %d does", r->leader.id);
        return MIG_PHASE_VERIFYING;
    }
    if (!gate_activation(r, r->e->phase_since_ms, false))
        return MIG_PHASE_VERIFYING;
    if (sessions_left(r) > 0) {
        run_wait(r, "", "%lld sessions to leave the servers that leave", (long long)sessions_left(r));
        return MIG_PHASE_VERIFYING;
    }
    run_step_done(r, MIG_DO_VERIFY, -1);
    return MIG_PHASE_VERIFYING;
}

enum mig_phase phase_verifying(struct run *r)
{
    if (!engine_step_is_done(r->e, MIG_DO_VERIFY, -1))
        return verify(r);
    run_step_start(r, MIG_DO_FINISH, -1);
    if (!gate_confirm(r, MIG_GATE_FINISH))
        return MIG_PHASE_VERIFYING;
    run_step_done(r, MIG_DO_FINISH, -1);
    return MIG_PHASE_FINISHED;
}
