/* GET /v1/plan: the plan that runs with what is left of it, else a preview of the next one. Changes nothing.
 */
#include "proxy/control/control_int.h"
#include "proxy/control/report/report_plan.h"

/* Without a plan that runs the answer is about the one `start` would make. */
static struct mig_view view_of(const struct px_control *control, const struct mig_forecast *forecast)
{
    struct mig_view view = control->view;
    if (mig_engine_plan_runs(control->engine))
        return view;
    view.plan = forecast->refusal[0] == '\0' ? &forecast->plan : NULL;
    view.plan_id = "";
    view.steps = &forecast->steps;
    return view;
}

void px_control_plan(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    struct px_report_plan *report = px_report_plan_new();
    if (!report) {
        px_admin_reply_error(reply, 503, "nomem", rc_text(RC_NOMEM), "");
        return;
    }
    struct mig_forecast *forecast = px_report_plan_forecast(report);
    px_control_observe(control);
    mig_engine_forecast(control->engine, &control->facts, forecast);
    const struct mig_view view = view_of(control, forecast);
    const struct px_session_counts counts = px_control_counts(control);
    px_report_fill(control->report, &view, &control->facts, &control->routes, &counts);
    px_admin_reply_message(reply, &px_report_plan_fill(report, px_report_plan(control->report))->base);
    px_report_plan_free(report);
}
