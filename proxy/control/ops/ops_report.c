/* GET /v1/report and /v1/events, and what feeds them. The history takes a record when it is on disk, so that
 * a report never tells more than a restart would; a plan that has ended gets its report as a file. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/monotonic.h"
#include "proxy/admin/pb_json.h"
#include "proxy/control/control_int.h"
#include "proxy/control/report/report_events.h"
#include "proxy/control/report/report_history.h"
#include "proxy/control/report/report_verify.h"
#include "proxy/control/report/report_witness.h"
#include "proxy/log.h"

/* Rooms of the parts that have a filler of their own. */
struct extras {
    struct px_report_extras view;
    struct px_verify_view verification; /* the message points into it */
    struct px_report_verify *verify;
    struct px_report_witness witness;
};

/* The figures are the journal's, so that the report's file is what is made from the journal alone. */
static void take_witness(const struct px_control *control, struct px_witness_result *ret_result)
{
    const struct mig_history *history = control->history;
    struct px_witness_result live = {.plan_id = ""};
    px_report_witness_recorded(history, ret_result);
    if (control->witness)
        px_witness_result(control->witness, &live);
    if (mig_history_has_ended(history) || strcmp(live.plan_id, history->plan.id) != 0)
        return;
    ret_result->is_running = live.is_running;
    ret_result->is_connected = live.is_connected;
    ret_result->session_id = live.session_id;
}

/* Only what belongs to the plan. NULL in control: not there yet, or not any more. */
static void take_extras(struct px_control *control, struct extras *ret_extras)
{
    const struct mig_plan *plan = &control->history->plan;
    struct px_verify_view *verification = &ret_extras->verification;
    struct px_witness_result witness;
    *ret_extras = (struct extras){.verification = {.state = PX_VERIFY_NONE}};
    if (control->verify)
        px_verify_view(control->verify, verification);
    take_witness(control, &witness);
    if (verification->state != PX_VERIFY_NONE && verification->started_wall_ms >= plan->created_wall_ms)
        ret_extras->verify = px_report_verify_new();
    if (ret_extras->verify)
        ret_extras->view.verification = px_report_verify_fill(ret_extras->verify, verification);
    ret_extras->view.witness = px_report_witness_fill(&ret_extras->witness, &witness);
}

/* malloc'ed; NULL: out of memory. */
static char *report_text(struct px_control *control)
{
    struct extras extras;
    struct px_report_history *report = px_report_history_new();
    json_t *json = NULL;
    take_extras(control, &extras);
    if (report)
        json =
            px_pb_json(&px_report_history_fill(report, control->history, &extras.view, mig_wall_ms())->base);
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
    json_decref(json);
    px_report_history_free(report);
    px_report_verify_free(extras.verify);
    return text;
}

static void write_report(struct px_control *control)
{
    char *text = report_text(control);
    if (text)
        px_report_store_put(control->reports, control->history->plan.id, text);
    else
        px_log(PX_LOG_ERROR, "report.failed", "plan=%s why=%s", control->history->plan.id, rc_text(RC_NOMEM));
}

/* --- the history --- */

void px_control_history_write(struct px_control *control, uint64_t seq, const struct mig_record *record)
{
    control->writing_seq = seq;
    *control->writing = *record; /* its plan and findings are the engine's, which waits for the disk */
}

static bool is_end(enum mig_record_kind kind)
{
    return kind == MIG_RECORD_FINISHED || kind == MIG_RECORD_ROLLED_BACK || kind == MIG_RECORD_FAILED;
}

void px_control_history_journaled(struct px_control *control, uint64_t seq, enum rc rc)
{
    if (rc != RC_OK || seq != control->writing_seq)
        return;
    mig_history_take(control->history, control->writing);
    if (is_end(control->writing->kind))
        write_report(control);
}

/* A file of an earlier end of the same plan (it was retried since) is not the report. */
static bool is_of_this_end(const struct px_control *control)
{
    const char *text = px_report_store_get(control->reports, control->history->plan.id);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    bool is_same = json_integer_value(json_object_get(json, "ended_at")) == control->history->ended_wall_ms;
    json_decref(json);
    return is_same;
}

void px_control_history_opened(struct px_control *control)
{
    struct err err = {.code = RC_OK};
    if (!mig_history_has_ended(control->history))
        return;
    enum rc rc = px_report_store_load(control->reports, control->history->plan.id, &err);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        px_log(PX_LOG_WARN, "report.unreadable", "why=%s", err.text);
    if (rc != RC_OK || !is_of_this_end(control))
        write_report(control); /* the daemon died between the record and the file */
}

/* --- calls --- */

void px_control_report(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    const struct mig_history *history = control->history;
    if (history->outcome == MIG_OUTCOME_NONE) {
        px_admin_reply_error(reply, 404, "no_plan", "no plan was started yet", "zkferry start");
        return;
    }
    const char *kept =
        mig_history_has_ended(history) ? px_report_store_get(control->reports, history->plan.id) : NULL;
    char *text = kept ? NULL : report_text(control);
    if (kept || text)
        px_admin_reply_json(reply, kept ? kept : text);
    else
        px_admin_reply_error(reply, 503, "nomem", rc_text(RC_NOMEM), "");
    free(text);
}

void px_control_events(void *context, struct px_admin_reply reply, const struct px_admin_args *args)
{
    const struct px_control *control = context;
    struct px_report_events *report = px_report_events_new();
    if (report)
        px_admin_reply_message(reply, &px_report_events_fill(report, control->events, args->since)->base);
    else
        px_admin_reply_error(reply, 503, "nomem", rc_text(RC_NOMEM), "");
    px_report_events_free(report);
}
