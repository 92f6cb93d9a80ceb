/* Who asks for verification (verify.h): the admin port's calls, and the plan. Not journaled: it changes
 * nothing, and one that a crash has ended is simply asked for again. */
#include <inttypes.h>
#include <stdio.h>

#include "migrate/text.h"
#include "proxy/control/control_int.h"
#include "proxy/control/report/report_verify.h"

#define NAMED_MAX 3u /* of the findings, in the sentence that stops a plan */

#define PLANS_TURN_MS 5000

/* --- the plan's --- */

static void name_findings(const struct px_verify_view *view, char *buf, uint32_t capacity)
{
    const struct mig_verify_report *report = view->report;
    mig_text_set(buf, capacity, "%" PRIu64 " nodes", report->totals[MIG_VERIFY_DIFFERENT]);
    for (uint32_t i = 0; i < report->listed[MIG_VERIFY_DIFFERENT] && i < NAMED_MAX; i++) {
        const struct mig_verify_finding *finding = &report->findings[MIG_VERIFY_DIFFERENT][i];
        mig_text_add(buf, capacity, "%s %.60s on server %d (%.60s)", i == 0 ? ":" : ",", finding->path,
                     view->ids[finding->server], finding->what);
    }
    mig_text_add(buf, capacity, "; `zkferry verify` compares again");
}

static enum rc result_of(const struct px_verify_view *view)
{
    switch (view->outcome) {
    case PX_VERIFY_EQUAL:
        return RC_OK;
    case PX_VERIFY_DIFFERENT:
        return RC_REFUSED;
    case PX_VERIFY_INCOMPLETE: /* what could not be compared is not equal: a person may accept it by name */
    case PX_VERIFY_INTERRUPTED:
    case PX_VERIFY_PENDING:
        break;
    }
    return RC_IO;
}

/* The plan's has ended: the engine is told. */
static void report_to_plan(struct px_control *control)
{
    struct px_verify_view view;
    struct mig_event event = {.kind = MIG_EVENT_VERIFY_RESULT, .seq = control->verify_seq};
    if (control->verify_seq == 0 || px_verify_is_running(control->verify))
        return;
    px_verify_view(control->verify, &view);
    event.rc = result_of(&view);
    if (event.rc == RC_REFUSED)
        name_findings(&view, event.text, sizeof event.text);
    else
        mig_text_set(event.text, sizeof event.text, "%s", view.reason);
    control->verify_seq = 0;
    px_control_queue(control, &event);
}

void px_control_verify_plan(struct px_control *control, const struct mig_effect *effect)
{
    const struct px_verify_request request = {
        .ids = effect->compare.ids, .count = effect->compare.count, .from = "", .is_light = !effect->is_full};
    struct mig_event event = {.kind = MIG_EVENT_VERIFY_RESULT, .seq = effect->seq, .rc = RC_AGAIN};
    struct err err;
    if (px_verify_start(control->verify, &control->facts, control->conf->state_root, &request, &err) ==
        RC_OK) {
        control->verify_seq = effect->seq;
        control->verify_wanted_ms = 0;
        return;
    }
    control->verify_wanted_ms = control->facts.now_ms;
    snprintf(event.text, sizeof event.text, "%s", err.text);
    px_control_queue(control, &event);
}

/* --- the admin port's --- */

/* It was put off for one of ours, and asks again once a second: who compares back to back must not keep it
 * from its turn. */
static bool plan_comes_first(const struct px_control *control)
{
    return control->verify_wanted_ms != 0 &&
           control->facts.now_ms - control->verify_wanted_ms < PLANS_TURN_MS;
}

void px_control_verify(void *context, struct px_admin_reply reply, const struct px_admin_args *args)
{
    struct px_control *control = context;
    const struct px_verify_request request = {
        .ids = args->servers, .count = args->server_count, .from = args->from};
    struct err err;
    px_control_observe(control);
    report_to_plan(control); /* before its result is replaced */
    if (plan_comes_first(control)) {
        err_set(&err, RC_REFUSED, "the plan's own comparison comes first");
        px_admin_reply_rc(reply, &err, "GET /v1/verify shows it as soon as it has begun");
        return;
    }
    if (px_verify_start(control->verify, &control->facts, control->conf->state_root, &request, &err) !=
        RC_OK) {
        px_admin_reply_rc(reply, &err, "GET /v1/verify shows how the last one stands or went");
        return;
    }
    event_active(control->wake, 0, 0);
    px_admin_reply_done(reply,
                        "the data of the servers is being compared, GET /v1/verify shows how it stands");
}

void px_control_verification(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    struct px_report_verify *report = px_report_verify_new();
    struct px_verify_view view;
    if (!report) {
        px_admin_reply_error(reply, 503, "nomem", rc_text(RC_NOMEM), "");
        return;
    }
    px_verify_view(control->verify, &view);
    px_admin_reply_message(reply, &px_report_verify_fill(report, &view)->base);
    px_report_verify_free(report);
}

/* While clients wait for a hold's end, the servers are theirs. */
void px_control_tick_verify(struct px_control *control)
{
    const struct px_director *director = control->director;
    bool is_quiet = px_director_hold_id(director) != 0 || px_director_leader_leaves(director);
    px_verify_tick(control->verify, &control->facts, is_quiet);
    report_to_plan(control);
}
