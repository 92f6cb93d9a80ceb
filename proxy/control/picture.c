/* Puts together what control knows at a moment: facts for the engine, its view, the routes. */
#include <stdio.h>
#include <string.h>

#include "migrate/monotonic.h"
#include "proxy/control/control_int.h"
#include "proxy/control/report/report_witness.h"
#include "proxy/control/tally.h"

static void observe_sessions(struct px_control *control)
{
    struct mig_facts *facts = &control->facts;
    struct px_crew_totals totals = px_crew_totals(control->crew);
    facts->sessions = (struct mig_session_facts){.total = totals.sessions, .waiting = totals.waiting};
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (server->side == MIG_SIDE_TARGET)
            facts->sessions.target += server->our_sessions;
        else
            facts->sessions.source += server->our_sessions;
    }
}

static void observe_canaries(struct px_control *control)
{
    struct mig_facts *facts = &control->facts;
    facts->canary = px_crew_canary(control->crew);
    for (uint32_t i = 0; i < facts->server_count; i++)
        facts->canary.sessions += facts->servers[i].our_canaries;
}

static void observe_hold(struct px_control *control)
{
    uint64_t id = px_director_hold_id(control->director);
    struct px_crew_hold hold = {.is_held = false, .unquiesced = -1};
    if (id != 0)
        hold = px_crew_hold(control->crew, id);
    control->facts.hold = (struct mig_hold_facts){.id = id,
                                                  .is_held = hold.is_held,
                                                  .unquiesced = hold.unquiesced,
                                                  .detached = px_crew_totals(control->crew).detached};
}

static void observe_witness(struct px_control *control)
{
    struct mig_witness_facts *facts = &control->facts.witness;
    struct px_witness_result result;
    px_witness_result(control->witness, &result);
    snprintf(facts->plan_id, sizeof facts->plan_id, "%s", result.plan_id);
    facts->has_ended = result.ended_wall_ms != 0;
    facts->account =
        (struct mig_witness_account){.started_wall_ms = result.started_wall_ms, .figures = result.figures};
}

static bool passes_config_node(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].config_node == CONF_GUARD_PASS)
            return true;
    return false;
}

void px_control_judge(struct px_control *control)
{
    const struct mig_engine *engine = control->engine;
    mig_engine_view(engine, &control->facts, &control->view);
    mig_route(mig_engine_traffic(engine), mig_engine_drained(engine), &control->facts, &control->routes);
}

void px_control_observe(struct px_control *control)
{
    struct mig_facts *facts = &control->facts;
    facts->now_ms = mig_now_ms();
    facts->wall_ms = mig_wall_ms();
    px_fleet_facts(control->fleet, facts);
    px_links_facts(control->links, facts);
    px_verify_facts(control->verify, facts);
    px_survey_facts(control->survey, facts);
    px_strangers_facts(&control->strangers, facts);
    observe_sessions(control);
    observe_canaries(control);
    observe_hold(control);
    observe_witness(control);
    const struct px_session_counts counts = px_control_counts(control);
    px_tally(control->crew, &counts, &facts->tally);
    facts->source_binds = control->conf->bind_source.count;
    facts->target_binds = control->conf->bind_target.count;
    facts->request_max_bytes = control->conf->request_bytes;
    facts->whole_max_bytes = control->conf->whole_bytes;
    facts->passes_config_node = passes_config_node(control->conf);
    px_control_judge(control);
}

void px_control_witness(const struct px_control *control, struct px_witness_result *ret_result)
{
    px_witness_result(control->witness, ret_result);
    if (strcmp(ret_result->plan_id, control->history->plan.id) != 0)
        px_report_witness_recorded(control->history, ret_result);
}

struct px_session_counts px_control_counts(const struct px_control *control)
{
    const struct px_crew *crew = control->crew;
    return (struct px_session_counts){
        .moved = px_crew_metric(crew, PX_METRIC_MOVE_DONE),
        .returned = px_crew_metric(crew, PX_METRIC_CLOSED_RETURNED),
        .failed = px_crew_metric(crew, PX_METRIC_MOVE_LOST) + px_crew_metric(crew, PX_METRIC_REATTACH_LOST) +
                  px_crew_metric(crew, PX_METRIC_CLOSED_UNKNOWN_OUTCOME),
        .expired = px_crew_metric(crew, PX_METRIC_CLOSED_EXPIRED),
    };
}
