/* The admin port's calls (proxy/admin/admin.h): questions are answered from the newest picture. Commands are
 * in ops_command.c. */
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/plan/joiner.h"
#include "migrate/zkferry.pb-c.h"
#include "proxy/admin/prom_workers.h"
#include "proxy/control/control_int.h"
#include "proxy/control/gauges.h"
#include "proxy/log.h"
#include "proxy/net/address.h"

#define SESSION_ADDRESS_MAX  80u
#define PREFLIGHT_TIMEOUT_MS 6000 /* below PX_ADMIN_REPLY_TIMEOUT_MS; a standalone server has no config */

static void refresh(struct px_control *control)
{
    px_control_observe(control);
    const struct px_session_counts counts = px_control_counts(control);
    px_report_fill(control->report, &control->view, &control->facts, &control->routes, &counts);
    struct px_witness_result witness;
    px_control_witness(control, &witness);
    px_report_fill_witness(control->report, &witness);
}

static void op_status(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    refresh(control);
    px_admin_reply_message(reply, &px_report_status(control->report)->base);
}

static void answer_preflight(struct px_control *control, struct px_admin_reply reply)
{
    refresh(control);
    px_admin_reply_message(reply, &px_report_findings(control->report)->base);
}

void px_control_answer_preflights(struct px_control *control)
{
    struct px_preflight_calls *calls = &control->preflights;
    bool is_known = !control->view.preflight_pending && control->facts.config_at_ms >= calls->asked_at_ms;
    bool is_over = control->facts.now_ms >= calls->asked_at_ms + PREFLIGHT_TIMEOUT_MS;
    if (calls->count == 0 || !(is_known || is_over))
        return; /* when it is over, the findings say what is not known */
    for (uint32_t i = 0; i < calls->count; i++)
        answer_preflight(control, calls->replies[i]);
    calls->count = 0;
}

/* The harmless probes are asked anew; the answer waits for theirs. */
static void op_preflight(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    struct px_preflight_calls *calls = &control->preflights;
    const struct mig_command command = {.kind = MIG_COMMAND_PREFLIGHT};
    struct mig_answer answer;
    px_control_observe(control);
    mig_engine_command(control->engine, &control->facts, &command, &answer, &control->effects);
    px_control_carry_out(control);
    px_links_kick(control->links);
    if (calls->count == PX_PREFLIGHT_CALLS_MAX) {
        answer_preflight(control, reply);
        return;
    }
    if (calls->count == 0)
        calls->asked_at_ms = control->facts.now_ms;
    calls->replies[calls->count++] = reply;
}

static void op_servers(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    refresh(control);
    px_admin_reply_message(reply, &px_report_servers(control->report)->base);
}

/* --- sessions --- */

struct session_call {
    struct px_control *control;
    struct px_admin_reply reply;
};

struct session_room {
    Zkf__Session message;
    char client[SESSION_ADDRESS_MAX];
};

static void fill_session(const struct px_control *control, const struct px_session_row *row,
                         struct session_room *room)
{
    Zkf__Session *out = &room->message;
    const struct px_server_directive *servers = px_director_current(control->director)->servers;
    union {
        const char *in;
        char *out;
    } state = {.in = row->state};
    zkf__session__init(out);
    px_address_text((const struct sockaddr *)&row->client.storage, room->client, sizeof room->client);
    out->has_id = out->has_server = out->has_timeout_ms = out->has_outstanding = out->has_zxid = 1;
    out->has_canary = 1;
    out->canary = row->is_canary;
    out->id = (uint64_t)row->session_id;
    out->client = room->client;
    out->server = row->slot < PX_SLOTS_MAX ? servers[row->slot].id : 0;
    out->timeout_ms = row->timeout_ms;
    out->state = state.out;
    out->outstanding = row->outstanding_count;
    out->zxid = (uint64_t)row->last_zxid;
}

static void on_sessions(void *context, const struct px_session_row *rows, uint32_t count, bool is_complete)
{
    struct session_call *call = context;
    struct session_room *rooms = calloc(count + 1, sizeof *rooms);
    Zkf__Session **refs = calloc(count + 1, sizeof *refs);
    if (rooms && refs) {
        for (uint32_t i = 0; i < count; i++) {
            fill_session(call->control, &rows[i], &rooms[i]);
            refs[i] = &rooms[i].message;
        }
        Zkf__SessionList list = ZKF__SESSION_LIST__INIT;
        list.n_sessions = count;
        list.sessions = refs;
        list.has_total = 1;
        list.total = is_complete ? count : px_crew_totals(call->control->crew).clients;
        px_admin_reply_message(call->reply, &list.base);
    } else {
        px_admin_reply_error(call->reply, 500, "nomem", rc_text(RC_NOMEM), "");
    }
    free(rooms);
    free(refs);
    free(call);
}

static void op_sessions(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    struct session_call *call = malloc(sizeof *call);
    if (call) {
        *call = (struct session_call){.control = control, .reply = reply};
        if (px_crew_list(control->crew, mig_now_ms(), on_sessions, call) == RC_OK)
            return;
    }
    free(call);
    px_admin_reply_error(reply, 503, "busy", "too many lists of sessions are being made", "try again");
}

/* --- health, metrics --- */

static void op_healthz(void *context, struct px_admin_reply reply)
{
    (void)context;
    px_admin_reply_text(reply, 200, "ok\n");
}

static void op_readyz(void *context, struct px_admin_reply reply)
{
    struct px_control *control = context;
    char text[PX_REASON_MAX + 16];
    struct px_offer offer = px_control_offer(control);
    if (offer.kind == PX_OFFER_NOTHING) {
        snprintf(text, sizeof text, "%s\n", offer.why);
        px_admin_reply_text(reply, 503, text);
        return;
    }
    snprintf(text, sizeof text, "%s%s\n", offer.kind == PX_OFFER_READ_ONLY ? "read-only" : "ready",
             offer.is_elsewhere
                 ? ": clients are given to servers that the plan does not prefer; no session can "
                   "be attached to those that it does"
                 : "");
    px_admin_reply_text(reply, 200, text);
}

static void op_metrics(void *context, struct px_prom *prom)
{
    struct px_control *control = context;
    const struct px_metrics *shards[PX_WORKERS_MAX];
    uint32_t count = px_crew_count(control->crew);
    for (uint32_t i = 0; i < count; i++)
        shards[i] = px_crew_metrics(control->crew, i);
    px_prom_workers(prom, shards, count, px_director_current(control->director)->servers);
    px_control_observe(control);
    struct px_witness_result witness;
    px_control_witness(control, &witness);
    const struct px_gauges gauges = {
        .facts = &control->facts,
        .routes = &control->routes,
        .view = &control->view,
        .witness = &witness,
        .refused_clients = control->refused_clients,
        .refused_sessions_full = px_crew_metric(control->crew, PX_METRIC_CLOSED_SESSIONS_FULL),
        .refused_silent = px_crew_metric(control->crew, PX_METRIC_CLOSED_SILENT_FULL),
        .refused_address_silent = px_crew_metric(control->crew, PX_METRIC_CLOSED_ADDRESS_SILENT),
        .words_cut = px_words_cut(control->words),
        .unasked_probes = px_fleet_unasked(control->fleet),
        .watchdog = &control->watchdog,
        .descriptors = &control->descriptors,
        .log_lines_dropped = px_log_dropped(),
        .log_lines_left_out = px_log_left_out(),
        .workers = count};
    px_gauges_write(prom, &gauges);
}

/* --- others --- */

static void op_joiner_config(void *context, struct px_admin_reply reply, int32_t server_id)
{
    struct px_control *control = context;
    struct mig_joiner *joiner = calloc(1, sizeof *joiner);
    struct err err = {.code = RC_NOMEM};
    px_control_observe(control);
    enum rc rc = joiner ? mig_joiner_config(&control->facts, server_id, joiner, &err)
                        : err_set(&err, RC_NOMEM, "joiner");
    if (rc == RC_OK) {
        const struct px_admin_file files[] = {
            {"zoo.cfg", joiner->zoo_cfg}, {"zoo.cfg.dynamic", joiner->dynamic}, {"myid", joiner->myid}};
        px_admin_reply_files(reply, server_id, files, sizeof files / sizeof files[0]);
    } else {
        px_admin_reply_rc(reply, &err, "ids are those of `target` in the configuration file");
    }
    free(joiner);
}

static void op_reload(void *context, struct px_admin_reply reply)
{
    struct err err;
    if (px_control_reload(context, &err) == RC_OK)
        px_admin_reply_done(reply, "reloaded");
    else
        px_admin_reply_rc(reply, &err, "`zkferryd --check-config -c FILE` shows every problem of a file");
}

const struct px_admin_ops px_control_ops = {
    .status = op_status,
    .plan = px_control_plan,
    .preflight = op_preflight,
    .servers = op_servers,
    .sessions = op_sessions,
    .report = px_control_report,
    .events = px_control_events,
    .healthz = op_healthz,
    .readyz = op_readyz,
    .metrics = op_metrics,
    .joiner_config = op_joiner_config,
    .command = px_control_command,
    .drain = px_control_drain,
    .undrain = px_control_undrain,
    .verify = px_control_verify,
    .verification = px_control_verification,
    .reload = op_reload,
};
