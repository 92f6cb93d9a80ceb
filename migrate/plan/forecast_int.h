/* Shared by the files of the forecast. */
#ifndef MIGRATE_FORECAST_INT_H
#define MIGRATE_FORECAST_INT_H

#include "migrate/plan/forecast.h"

/* Where the forecast stands: the world after the steps before. */
struct outlook {
    const struct mig_plan *plan;
    const struct mig_facts *now;
    struct mig_facts *then; /* a copy in which joiners follow as soon as they have joined */
    struct mig_leader leader;
    struct zkp_config config;
    bool has_asked_removal; /* the confirmation of the first removal is said once */
    bool removes_leader;    /* of the step at hand */
};

/* forecast_text.c: impact, undo, waits of the step; its kind, server and config are set. */
void forecast_describe(struct outlook *o, struct mig_forecast_step *step);

/* forecast_time.c */
int64_t forecast_takes_ms(const struct outlook *o, const struct mig_forecast_step *step);
int64_t forecast_leaving_sessions(const struct outlook *o, bool goes_back); /* how many have to move */
bool forecast_follows(const struct outlook *o, int32_t id);                 /* already, as a joiner does */

#endif
