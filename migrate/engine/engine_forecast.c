/* Which plan a forecast is about, and from where it goes on: see forecast.h. */
#include "migrate/plan/forecast.h"

#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

static void assume_config(struct mig_forecast *forecast)
{
    const struct mig_servers *sources = &forecast->plan.sources;
    forecast->is_config_assumed = true;
    forecast->config.server_count = sources->count;
    memcpy(forecast->config.servers, sources->servers, sources->count * sizeof(sources->servers[0]));
}

/* The gates that are open already are not waited for any more. */
static void take_running(const struct mig_engine *e, struct mig_forecast *forecast)
{
    forecast->plan = e->plan;
    forecast->steps = e->steps;
    for (uint32_t gate = 0; gate < MIG_GATE_COUNT; gate++)
        forecast->plan.confirm[gate] = e->plan.confirm[gate] && !e->confirmed[gate];
}

static void take_draft(const struct mig_engine *e, struct mig_forecast *forecast)
{
    forecast->plan = e->draft;
    forecast->plan.id[0] = '\0';
    mig_plan_steps(&forecast->plan, &forecast->steps);
}

void mig_engine_forecast(const struct mig_engine *engine, const struct mig_facts *facts,
                         struct mig_forecast *ret_forecast)
{
    const struct zkp_config *config = engine_newest_config(engine, facts);
    memset(ret_forecast, 0, sizeof(*ret_forecast));
    ret_forecast->leader = -1;
    if (mig_engine_plan_runs(engine)) {
        take_running(engine, ret_forecast);
    } else if (engine->draft_rc == RC_OK) {
        take_draft(engine, ret_forecast);
    } else {
        mig_text_set(ret_forecast->refusal, sizeof(ret_forecast->refusal), "%s", engine->draft_err.text);
        return;
    }
    if (config != NULL && config->server_count > 0)
        ret_forecast->config = *config;
    else
        assume_config(ret_forecast);
    struct mig_leader leader = mig_facts_leader_in(facts, config, GATE_AGE_MAX_MS * 3);
    ret_forecast->leader = leader.id;
    mig_forecast(facts, &leader, ret_forecast);
}
