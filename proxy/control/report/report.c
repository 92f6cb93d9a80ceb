/* Fills the schema's messages from the engine's view; see report.h. Everything lives in one block of fixed
 * rooms: a status page allocates nothing and can't fail half-way. */
#include "proxy/control/report/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/control/report/report_values.h"
#include "proxy/control/report/report_witness.h"

#define ADDRESS_MAX (ZKP_HOST_MAX + 16u)

/* Sets a scalar of a protobuf-c message together with its presence flag. */
#define PUT(message, field, value)                                                                           \
    do {                                                                                                     \
        (message)->has_##field = 1;                                                                          \
        (message)->field = (value);                                                                          \
    } while (0)

struct px_report {
    Zkf__Status status;
    Zkf__Servers servers_answer;
    Zkf__Plan plan;
    Zkf__Findings findings_answer;
    Zkf__Sessions sessions;
    Zkf__Quorum quorum;
    Zkf__Failure failure;
    Zkf__Server servers[MIG_SERVERS_MAX];
    Zkf__Server *server_refs[MIG_SERVERS_MAX];
    char addresses[MIG_SERVERS_MAX][ADDRESS_MAX];
    Zkf__Step steps[MIG_STEPS_MAX];
    Zkf__Step *step_refs[MIG_STEPS_MAX];
    Zkf__Finding findings[MIG_FINDINGS_MAX];
    Zkf__Finding *finding_refs[MIG_FINDINGS_MAX];
    char *can[MIG_COMMAND_COUNT];
    char *confirm[MIG_GATE_COUNT];
    char *accepted[MIG_ACCEPT_MAX];
    char hint[MIG_TEXT_MAX];
    struct px_report_witness witness;
};

struct px_report *px_report_new(void)
{
    return calloc(1, sizeof(struct px_report));
}

void px_report_free(struct px_report *report)
{
    free(report);
}

/* protobuf-c has no const strings; it only reads them when printing. */
static char *text_of(const char *text)
{
    union {
        const char *in;
        char *out;
    } cast = {.in = text ? text : ""};
    return cast.out;
}

/* Transactions behind the leader. Counters of different epochs can't be subtracted: -1. */
static int64_t lag_of(const struct mig_server_facts *server, const struct mig_leader *leader)
{
    if (leader->id < 0 || server->srvr_at_ms == 0 ||
        mig_zxid_epoch(server->srvr.zxid) != mig_zxid_epoch(leader->zxid))
        return -1;
    return server->srvr.zxid >= leader->zxid ? 0 : leader->zxid - server->srvr.zxid;
}

static void fill_address(const struct zkp_server *spec, char *buf)
{
    const char *host = zkp_server_client_host(spec);
    bool is_ipv6 = host && strchr(host, ':');
    snprintf(buf, ADDRESS_MAX, "%s%s%s:%u", is_ipv6 ? "[" : "", host ? host : "", is_ipv6 ? "]" : "",
             (unsigned)spec->client_port);
}

static int64_t wall_of(const struct mig_facts *facts, int64_t monotonic_ms)
{
    return monotonic_ms == 0 ? 0 : facts->wall_ms - (facts->now_ms - monotonic_ms);
}

/* The first thing that is against it. */
static const char *reason_of(const struct mig_server_facts *server, const struct mig_route *route)
{
    if (server->unasked[0] != '\0')
        return server->unasked;
    if (server->health != MIG_HEALTH_SERVING)
        return server->health_reason;
    return route->reason[0] != '\0' ? route->reason : server->dial_trouble;
}

static void fill_server(Zkf__Server *out, char *address, const struct mig_server_facts *server,
                        const struct mig_route *route, const struct mig_facts *facts,
                        const struct mig_leader *leader)
{
    zkf__server__init(out);
    fill_address(server->spec, address);
    PUT(out, id, server->id);
    PUT(out, side, server->side == MIG_SIDE_TARGET ? ZKF__SIDE__VALUE__target : ZKF__SIDE__VALUE__source);
    PUT(out, role, px_value_role(facts->config, server->id));
    PUT(out, mode, px_value_mode(server->srvr.mode));
    out->address = address;
    out->version = text_of(server->srvr.version);
    PUT(out, zxid, (uint64_t)server->srvr.zxid);
    PUT(out, lag, lag_of(server, leader));
    PUT(out, sessions, px_report_clients(server->our_sessions, server->witness_sessions));
    PUT(out, health, px_value_health(server->health));
    out->reason = text_of(reason_of(server, route));
    PUT(out, config_version,
        server->conf && server->conf->has_membership ? (uint64_t)server->conf->membership.version : 0);
    PUT(out, draining, route->empties);
    PUT(out, drained, route->is_drained);
    PUT(out, admitted, route->is_admitted);
    PUT(out, observed_at, wall_of(facts, server->srvr_at_ms));
}

static void fill_servers(struct px_report *r, const struct mig_view *view, const struct mig_facts *facts,
                         const struct mig_routes *routes)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        fill_server(&r->servers[i], r->addresses[i], &facts->servers[i], &routes->routes[i], facts,
                    &view->leader);
        r->server_refs[i] = &r->servers[i];
    }
}

static size_t fill_steps(struct px_report *r, const struct mig_steps *steps)
{
    for (uint32_t i = 0; i < steps->count; i++) {
        const struct mig_step *step = &steps->items[i];
        Zkf__Step *out = &r->steps[i];
        zkf__step__init(out);
        out->name = text_of(step->name);
        PUT(out, state, px_value_step_state(step->state));
        PUT(out, started_at, step->started_wall_ms);
        PUT(out, seconds, (double)step->seconds_ms / 1000.0);
        out->detail = text_of(step->detail);
        bool is_for_next = step->kind == MIG_DO_BACKUP && i + 1 < steps->count;
        PUT(out, phase, px_value_phase(px_value_phase_of_step(steps->items[is_for_next ? i + 1 : i].kind)));
        PUT(out, server, step->server);
        r->step_refs[i] = out;
    }
    return steps->count;
}

void px_report_finding(const struct mig_finding *finding, Zkf__Finding *out)
{
    zkf__finding__init(out);
    out->id = text_of(finding->id);
    out->rule = text_of(finding->rule);
    PUT(out, severity, px_value_severity(finding->severity));
    PUT(out, server, finding->server);
    PUT(out, can_accept, finding->can_accept);
    PUT(out, is_accepted, finding->is_accepted);
    out->seen = text_of(finding->seen);
    out->why = text_of(finding->why);
    out->todo = text_of(finding->todo);
    out->pitfall = text_of(finding->pitfall);
}

static size_t fill_findings(struct px_report *r, const struct mig_findings *findings)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        r->finding_refs[i] = &r->findings[i];
        px_report_finding(&findings->items[i], &r->findings[i]);
    }
    return findings->count;
}

static void fill_sessions(struct px_report *r, const struct mig_facts *facts,
                          const struct px_session_counts *counts)
{
    Zkf__Sessions *out = &r->sessions;
    zkf__sessions__init(out);
    const int64_t on_sources = px_report_witness_on(facts, MIG_SIDE_SOURCE);
    const int64_t on_targets = px_report_witness_on(facts, MIG_SIDE_TARGET);
    PUT(out, total, px_report_clients(facts->sessions.total, on_sources + on_targets));
    PUT(out, source, px_report_clients(facts->sessions.source, on_sources));
    PUT(out, target, px_report_clients(facts->sessions.target, on_targets));
    PUT(out, waiting, (uint32_t)facts->sessions.waiting);
    PUT(out, moved, counts->moved);
    PUT(out, returned, counts->returned);
    PUT(out, failed, counts->failed);
    PUT(out, expired, counts->expired);
    PUT(out, canaries, (uint32_t)facts->canary.sessions);
}

static void fill_quorum(struct px_report *r, const struct mig_quorum *quorum)
{
    zkf__quorum__init(&r->quorum);
    PUT(&r->quorum, voters, (uint32_t)quorum->voters);
    PUT(&r->quorum, alive, (uint32_t)quorum->alive);
    PUT(&r->quorum, tolerates, quorum->tolerates);
}

static size_t fill_can(struct px_report *r, const struct mig_view *view)
{
    size_t count = 0;
    for (int command = 0; command < MIG_COMMAND_COUNT; command++)
        if (view->can[command])
            r->can[count++] = text_of(mig_command_name((enum mig_command_kind)command));
    return count;
}

static size_t fill_accepted(struct px_report *r, const struct mig_plan *plan)
{
    uint32_t count = plan ? plan->accept_count : 0;
    for (uint32_t i = 0; i < count; i++)
        r->accepted[i] = text_of(plan->accept[i]);
    return count;
}

static void fill_failure(struct px_report *r, const struct mig_view *view)
{
    zkf__failure__init(&r->failure);
    r->failure.reason = text_of(view->failed_reason);
    snprintf(r->hint, sizeof r->hint,
             "failed while %s; remove the cause, then `zkferry retry` goes on from what it finds%s",
             mig_phase_name(view->failed_phase),
             view->can[MIG_COMMAND_ROLLBACK] ? "; `zkferry rollback` takes the plan back" : "");
    r->failure.hint = r->hint;
    r->status.failed = view->phase == MIG_PHASE_FAILED ? &r->failure : NULL;
}

static void fill_status(struct px_report *r, const struct mig_view *view, const struct mig_facts *facts)
{
    Zkf__Status *out = &r->status;
    zkf__status__init(out);
    PUT(out, phase, px_value_phase(view->phase));
    PUT(out, paused, view->is_paused);
    out->plan_id = text_of(view->plan_id);
    out->waiting_for = text_of(view->waiting_for);
    out->next_step = text_of(view->next_step);
    out->n_can = fill_can(r, view);
    out->can = r->can;
    out->n_steps = fill_steps(r, view->steps);
    out->steps = r->step_refs;
    out->n_servers = facts->server_count;
    out->servers = r->server_refs;
    out->sessions = &r->sessions;
    out->quorum = &r->quorum;
    out->n_findings = fill_findings(r, view->findings);
    out->findings = r->finding_refs;
    out->n_accepted = fill_accepted(r, view->plan);
    out->accepted = r->accepted;
    fill_failure(r, view);
    PUT(out, config_version, facts->config ? (uint64_t)facts->config->version : 0);
    PUT(out, leader, view->leader.id);
    out->kind = text_of(view->plan ? conf_kind_name(view->plan->kind) : "");
    out->version = text_of(ZKFERRY_VERSION);
    PUT(out, now, facts->wall_ms);
}

static void fill_plan(struct px_report *r, const struct mig_view *view)
{
    size_t gates = 0;
    for (int gate = MIG_GATE_NONE + 1; view->plan && gate < MIG_GATE_COUNT; gate++)
        if (view->plan->confirm[gate])
            r->confirm[gates++] = text_of(mig_gate_name((enum mig_gate)gate));
    Zkf__Plan *out = &r->plan;
    zkf__plan__init(out);
    out->plan_id = r->status.plan_id;
    out->kind = r->status.kind;
    out->n_confirm = gates;
    out->confirm = r->confirm;
    out->n_steps = r->status.n_steps;
    out->steps = r->step_refs;
    out->n_findings = r->status.n_findings;
    out->findings = r->finding_refs;
    out->n_accepted = r->status.n_accepted;
    out->accepted = r->accepted;
    out->config = text_of("");
    PUT(out, startable, view->can[MIG_COMMAND_START] && mig_findings_blocks(view->findings) == 0);
    zkf__findings__init(&r->findings_answer);
    r->findings_answer.n_findings = out->n_findings;
    r->findings_answer.findings = r->finding_refs;
    PUT(&r->findings_answer, startable, out->startable);
}

void px_report_fill(struct px_report *r, const struct mig_view *view, const struct mig_facts *facts,
                    const struct mig_routes *routes, const struct px_session_counts *counts)
{
    fill_servers(r, view, facts, routes);
    fill_sessions(r, facts, counts);
    fill_quorum(r, &view->quorum);
    fill_status(r, view, facts);
    fill_plan(r, view);
    zkf__servers__init(&r->servers_answer);
    r->servers_answer.n_servers = r->status.n_servers;
    r->servers_answer.servers = r->server_refs;
    r->servers_answer.quorum = &r->quorum;
    PUT(&r->servers_answer, config_version, r->status.config_version);
    PUT(&r->servers_answer, leader, r->status.leader);
}

void px_report_fill_witness(struct px_report *r, const struct px_witness_result *witness)
{
    r->status.witness = px_report_witness_fill(&r->witness, witness);
}

const Zkf__Status *px_report_status(const struct px_report *report)
{
    return &report->status;
}

const Zkf__Servers *px_report_servers(const struct px_report *report)
{
    return &report->servers_answer;
}

const Zkf__Plan *px_report_plan(const struct px_report *report)
{
    return &report->plan;
}

const Zkf__Findings *px_report_findings(const struct px_report *report)
{
    return &report->findings_answer;
}
