/* What a plan will do, step by step, before it does it (`zkferry plan`): the reconfigs as they will be sent,
 * the quorum before and after each, what clients notice, how to undo it, how long it takes. The same rules as
 * the engine's: order of removals (members_next), a dead member that leaves with its replacement
 * (mig_plan_dead_leaver), tolerance (mig_tolerance_of); only the facts of later steps are assumed: that the
 * joiners follow. Estimates are estimates. Pure; changes nothing. */
#ifndef MIGRATE_FORECAST_H
#define MIGRATE_FORECAST_H

#include "migrate/engine/engine.h"

#define MIG_FORECAST_TEXT_MAX 320u

struct mig_forecast_step {
    char name[MIG_STEP_NAME_MAX];
    enum mig_step_kind kind;
    int32_t server;                     /* of the step; -1 = none */
    char joining[MIG_RECORD_TEXT_MAX];  /* of the reconfig, as it will be sent; both "" = none is sent */
    char leaving[MIG_LEAVING_TEXT_MAX]; /* the same */
    char members[256];                  /* ids afterwards */
    struct mig_tolerance tolerance;     /* before and after */
    char risk[MIG_FORECAST_TEXT_MAX];   /* why the step would wait, as things are now; "" = it would not */
    char impact[MIG_FORECAST_TEXT_MAX]; /* what clients notice */
    char undo[MIG_FORECAST_TEXT_MAX];   /* which calls stop it or take it back */
    char waits[MIG_FORECAST_TEXT_MAX];  /* for what people do, not in takes_ms; "" = for nothing */
    int64_t takes_ms;
};

struct mig_forecast {
    char refusal[MIG_TEXT_MAX]; /* why there is no plan; "" = there is one */
    struct mig_plan plan;       /* the running one, or what `start` would make; id "" = a preview */
    struct zkp_config config;   /* from which it starts, or goes on */
    bool is_config_assumed;     /* it could not be observed: the sources are taken for its members */
    int32_t leader;             /* -1 = none is proven */
    struct mig_steps steps;     /* all of them, with those that are done */
    int64_t takes_ms;           /* all that is left */
    uint32_t count;
    struct mig_forecast_step items[MIG_STEPS_MAX]; /* what is left, in the order in which it will be done */
};

/* A plan that runs, from where it stands; else a preview of the next `start`. Some hundred KB: on the heap.
 */
void mig_engine_forecast(const struct mig_engine *engine, const struct mig_facts *facts,
                         struct mig_forecast *ret_forecast);

/* The same for a plan at hand. ret_forecast->plan, config, is_config_assumed, leader and steps are filled by
 * the caller, the rest here. */
void mig_forecast(const struct mig_facts *facts, const struct mig_leader *leader,
                  struct mig_forecast *forecast);

#endif
