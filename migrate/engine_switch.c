/* Phases switching (sessions leave the sources; routing does it, see routing.h) and verifying. */
#include <string.h>

#include "migrate/engine_int.h"
#include "migrate/text.h"

static int64_t sessions_left(const struct run *r)
{
    int64_t left = 0;
    for (uint32_t i = 0; i < r->f->server_count; i++)
        if (r->f->servers[i].side == MIG_SIDE_SOURCE)
            left += r->f->servers[i].our_sessions;
    return left > r->f->sessions.source ? left : r->f->sessions.source;
}

enum mig_phase phase_switching(struct run *r)
{
    run_step_start(r, MIG_DO_SWITCH, -1);
    if (!gate_confirm(r, MIG_GATE_SWITCH))
        return MIG_PHASE_SWITCHING;
    int64_t left = sessions_left(r);
    if (left > 0) {
        run_wait(r, "see `zkferry sessions` for those that stay",
                 "%lld sessions to leave the sources; %lld are on targets", (long long)left,
                 (long long)r->f->sessions.target);
        return MIG_PHASE_SWITCHING;
    }
    run_step_done(r, MIG_DO_SWITCH, -1);
    return MIG_PHASE_REMOVING;
}

/* Exactly the targets, each with the plan's address. */
static bool are_the_targets(const struct mig_plan *plan, const struct zkp_config *config)
{
    if (config->server_count != plan->targets.count)
        return false;
    for (uint32_t i = 0; i < plan->targets.count; i++) {
        const struct zkp_server *member = zkp_config_find(config, plan->targets.servers[i].id);
        if (member == NULL || !mig_same_server(member, &plan->targets.servers[i]))
            return false;
    }
    return true;
}

/* The config read behind a barrier; done once per verification. */
static enum mig_phase read_members(struct run *r)
{
    struct mig_engine *e = r->e;
    const struct engine_op *op = run_take(r, MIG_EFFECT_READ_CONFIG);
    if (op != NULL && op->rc == RC_OK && op->has_config) {
        char ids[256];
        mig_config_ids(&op->config, ids, sizeof(ids));
        if (!are_the_targets(&e->plan, &op->config))
            return engine_fail(
                r, "the config was changed by somebody else: its members are %s, not the targets", ids);
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
    if (mig_servers_find(&r->e->plan.targets, r->leader.id) == NULL) {
        run_wait(r, "", "a target to lead; server %d does", r->leader.id);
        return MIG_PHASE_VERIFYING;
    }
    if (!gate_activation(r, r->e->phase_since_ms, false))
        return MIG_PHASE_VERIFYING;
    if (sessions_left(r) > 0) {
        run_wait(r, "", "%lld sessions to leave the sources", (long long)sessions_left(r));
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
