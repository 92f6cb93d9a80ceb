/* What /v1/plan says about steps that are still to be done: rows of the schema filled from a forecast.
 * Control thread. */
#ifndef PROXY_CONTROL_REPORT_REPORT_PLAN_H
#define PROXY_CONTROL_REPORT_REPORT_PLAN_H

#include "migrate/plan/forecast.h"
#include "migrate/zkferry.pb-c.h"

struct px_report_plan; /* owned by the caller; overwritten by each fill */

struct px_report_plan *px_report_plan_new(void); /* NULL: out of memory */
void px_report_plan_free(struct px_report_plan *report);

/* The room for a forecast; the rows point into it. */
struct mig_forecast *px_report_plan_forecast(struct px_report_plan *report);
/* A copy of plan with what the forecast says. It points into both. */
const Zkf__Plan *px_report_plan_fill(struct px_report_plan *report, const Zkf__Plan *plan);

#endif
