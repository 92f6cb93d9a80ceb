/* SIGHUP and POST /v1/reload: a new snapshot of the configuration, or a refusal that names the keys. */
#include <stdio.h>

#include "proxy/control/control_int.h"
#include "proxy/log.h"

#define REFUSALS_MAX 400u

enum rc px_control_set_servers(struct px_control *control)
{
    const struct conf *conf = control->conf;
    px_control_observe(control);
    const struct mig_plan *plan = control->view.plan;
    if (plan && mig_engine_plan_runs(control->engine))
        return px_fleet_set(control->fleet, plan->sources.servers, plan->sources.count, plan->targets.servers,
                            plan->targets.count);
    return px_fleet_set(control->fleet, conf->source.servers, conf->source.count, conf->target.servers,
                        conf->target.count);
}

/* Takes next. */
static enum rc apply(struct px_control *control, struct conf *next, struct err *err)
{
    bool plan_runs = mig_engine_plan_runs(control->engine);
    char refusals[REFUSALS_MAX];
    conf_reload_refusals(control->conf, next, plan_runs, refusals, sizeof refusals);
    if (refusals[0]) {
        conf_free(next);
        return err_set(err, RC_REFUSED, "cannot be changed %s: %s",
                       plan_runs ? "while a plan runs" : "without a restart", refusals);
    }
    /* The links first: when they refuse, the engine must not have taken the new plan already. */
    if (!plan_runs && (px_links_configure(control->links, next) != RC_OK ||
                       mig_engine_configure(control->engine, next) != RC_OK)) {
        conf_free(next);
        return err_set(err, RC_AGAIN, "an admin request is under way, try again");
    }
    if (!plan_runs)
        px_verify_cancel(control->verify, "the configuration was loaded anew");
    struct conf *old = control->conf;
    control->conf = next;
    px_crew_set_limits(control->crew, next);
    enum rc rc = px_control_set_servers(control);
    px_descriptors_judge(&control->descriptors, next);
    conf_free(old);
    return rc == RC_OK ? RC_OK : err_set(err, rc, "servers: %s", rc_text(rc));
}

static enum px_log_level log_level(enum rc rc)
{
    if (rc == RC_AGAIN) /* the caller tries again or says so */
        return PX_LOG_DEBUG;
    return rc == RC_OK ? PX_LOG_INFO : PX_LOG_ERROR;
}

enum rc px_control_reload(struct px_control *control, struct err *err)
{
    struct conf_problems problems = {0};
    struct conf *next = NULL;
    enum rc rc = conf_load(control->conf->file, &next, &problems);
    if (rc != RC_OK)
        rc = err_set(err, RC_INVALID, "%s", problems.text ? problems.text : rc_text(rc));
    else
        rc = apply(control, next, err);
    conf_problems_done(&problems);
    px_log(log_level(rc), "config.reload", "file=%s rc=%s why=%s", control->conf->file, rc_text(rc),
           rc == RC_OK ? "" : err->text);
    if (rc == RC_OK)
        event_active(control->wake, 0, 0);
    return rc;
}
