/* What routing needs to know of the plan: whom it prefers, and whether the others give their sessions away.
 */
#include "migrate/engine/engine_int.h"

/* On the way back nothing is switched any more that was not switched as a whole. */
static bool has_switched(const struct mig_engine *e)
{
    if (engine_goes_back(e) || engine_step_is_done(e, MIG_DO_SWITCH, -1))
        return engine_step_is_done(e, MIG_DO_SWITCH, -1);
    return engine_phase(e) >= MIG_PHASE_SWITCHING && engine_gate_is_open(e, MIG_GATE_SWITCH) &&
           !engine_canary_is_pending(e);
}

/* From before the request is sent until its outcome is known; what is not decided may have happened. */
static int32_t ending_member(const struct mig_engine *e)
{
    const struct change *c = &e->change;
    bool is_open = change_in_flight(c) || c->is_undecided;
    return !is_open || c->is_role ? MIG_NO_SERVER : c->is_add ? c->partner : c->server;
}

struct mig_traffic mig_engine_traffic(const struct mig_engine *engine)
{
    struct mig_traffic traffic = {
        .prefer = MIG_PREFER_NONE, .resting = MIG_NO_SERVER, .ending = MIG_NO_SERVER};
    bool is_failed = engine->phase == MIG_PHASE_FAILED;
    if (!is_failed && !mig_phase_is_running(engine->phase))
        return traffic;
    traffic.plan = &engine->plan;
    traffic.ending = ending_member(engine);
    traffic.resting = rolling_resting(engine);
    if (engine->plan.kind == CONF_KIND_ROLLING) {
        traffic.is_emptying = !is_failed && !engine->is_paused;
        return traffic;
    }
    bool is_back = engine_goes_back(engine) && engine_step_is_over(engine, MIG_DO_CATCH_UP_BACK);
    bool is_switched = !is_back && has_switched(engine);
    bool moves = is_back || (is_switched && !engine_goes_back(engine));
    traffic.prefer = is_switched ? MIG_PREFER_STAYING : MIG_PREFER_SOURCES;
    traffic.is_emptying = moves && !is_failed && !engine->is_paused;
    engine_canary_traffic(engine, &traffic);
    return traffic;
}
