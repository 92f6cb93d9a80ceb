/* Phases switching (sessions leave the servers that leave; routing does it, see routing.h) and verifying. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

/* Who gives its sessions away: those that leave, on the way back the targets. */
static bool gives_away(const struct mig_engine *e, int32_t id)
{
    return engine_goes_back(e) ? mig_servers_find(&e->plan.targets, id) != NULL
                               : mig_plan_leaves(&e->plan, id);
}

static int64_t sessions_left(const struct run *r)
{
    int64_t left = 0;
    for (uint32_t i = 0; i < r->f->server_count; i++)
        if (gives_away(r->e, r->f->servers[i].id))
            left += r->f->servers[i].our_sessions;
    return left;
}

/* Of those that are to take them; "" = nothing is known against them. */
static void add_troubles(const struct run *r, char *buf, uint32_t capacity)
{
    const char *start = "; no session can be attached to ";
    for (uint32_t i = 0; i < r->f->server_count; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        bool is_taker = !gives_away(r->e, server->id) && zkp_config_find(&r->e->expected, server->id) != NULL;
        if (!is_taker || server->dial_trouble[0] == '\0')
            continue;
        mig_text_add(buf, capacity, "%sserver %d: %s", start, server->id, server->dial_trouble);
        start = ", ";
    }
}

bool switch_is_done(struct run *r)
{
    char troubles[MIG_TEXT_MAX / 2] = "";
    int64_t left = sessions_left(r);
    if (left == 0)
        return true;
    add_troubles(r, troubles, sizeof(troubles));
    run_wait(r,
             troubles[0] == '\0'
                 ? "see `zkferry sessions` for those that stay"
                 : "see event=move.stayed in the log; new clients are given to the others meanwhile",
             "%lld sessions to leave the servers that leave; %lld are on those that stay%s", (long long)left,
             (long long)(r->f->sessions.total - left), troubles);
    return false;
}

enum mig_phase phase_switching(struct run *r)
{
    if (r->e->plan.kind == CONF_KIND_ROLLING)
        return rolling_phase(r);
    bool has_canaries = engine_canary_is_pending(r->e);
    run_step_start(r, has_canaries ? MIG_DO_CANARY : MIG_DO_SWITCH, -1);
    if (!gate_confirm(r, MIG_GATE_SWITCH))
        return MIG_PHASE_SWITCHING;
    if (has_canaries)
        engine_canary_run(r);
    if (has_canaries || !switch_is_done(r))
        return MIG_PHASE_SWITCHING;
    run_step_done(r, MIG_DO_SWITCH, -1);
    return MIG_PHASE_REMOVING;
}

static bool is_the_end(const struct mig_engine *e, const struct zkp_config *config)
{
    return engine_goes_back(e) ? mig_same_members(&e->plan.original, config)
                               : mig_plan_is_final(&e->plan, config);
}

/* The config read behind a barrier; done once per verification. */
static enum mig_phase read_members(struct run *r)
{
    struct mig_engine *e = r->e;
    const struct engine_op *op = run_take(r, MIG_EFFECT_READ_CONFIG);
    if (op != NULL && op->rc == RC_OK && op->has_config) {
        char ids[256];
        mig_config_ids(&op->config, ids, sizeof(ids));
        if (!is_the_end(e, &op->config))
            return engine_fail(
                r, "the config was changed by somebody else: its members are %s, not those of the plan", ids);
        engine_adopt(e, &op->config);
        e->has_read_config = true;
        return e->phase;
    }
    if (op != NULL)
        e->adopt_retry_at_ms = r->f->now_ms + RETRY_MS;
    run_wait(r, "", "the config, read from the leader behind a barrier");
    if (r->f->now_ms >= e->adopt_retry_at_ms)
        (void)run_ask(r, MIG_EFFECT_READ_CONFIG, r->leader.id);
    return e->phase;
}

enum mig_phase switch_verify(struct run *r, enum mig_step_kind kind)
{
    enum mig_phase same = r->e->phase;
    run_step_start(r, kind, -1);
    if (!gate_leader(r))
        return same;
    if (!r->e->has_read_config)
        return read_members(r);
    if (gives_away(r->e, r->leader.id)) {
        run_wait(r, "", "a server that stays to lead; server %d does", r->leader.id);
        return same;
    }
    if (!gate_activation(r, mig_steps_find(&r->e->steps, kind, -1)->started_ms, false) || !switch_is_done(r))
        return same;
    enum data_verdict data = kind == MIG_DO_VERIFY ? data_compare(r) : DATA_EQUAL;
    if (data == DATA_EQUAL)
        run_step_done(r, kind, -1);
    return data == DATA_DIFFERENT ? MIG_PHASE_FAILED : same;
}

enum mig_phase phase_verifying(struct run *r)
{
    if (!engine_step_is_done(r->e, MIG_DO_VERIFY, -1))
        return switch_verify(r, MIG_DO_VERIFY);
    if (engine_step_is_done(r->e, MIG_DO_FINISH, -1))
        return hook_stop_leavers(r);
    run_step_start(r, MIG_DO_FINISH, -1);
    if (!gate_confirm(r, MIG_GATE_FINISH))
        return MIG_PHASE_VERIFYING;
    run_step_done(r, MIG_DO_FINISH, -1);
    return hook_exists(r->e, CONF_HOOK_STOP) ? MIG_PHASE_VERIFYING : MIG_PHASE_FINISHED;
}
