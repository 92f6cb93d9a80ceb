/* The admin port's calls about verification (verify.h). Not journaled: it changes nothing, and one that a
 * crash has ended is simply asked for again. */
#include "proxy/control/control_int.h"
#include "proxy/control/report_verify.h"

void px_control_verify(void *context, struct px_admin_reply reply, const struct px_admin_args *args)
{
    struct px_control *control = context;
    const struct px_verify_request request = {
        .ids = args->servers, .count = args->server_count, .from = args->from};
    struct err err;
    px_control_observe(control);
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
}
