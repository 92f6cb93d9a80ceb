/* See report_history.h. */
#include "proxy/control/report/report_history.h"

#include <stdlib.h>

#include "proxy/control/tally.h"

/* Sets a scalar of a protobuf-c message together with its presence flag. */
#define PUT(message, field, value)                                                                           \
    do {                                                                                                     \
        (message)->has_##field = 1;                                                                          \
        (message)->field = (value);                                                                          \
    } while (0)

struct px_report_history {
    Zkf__Report report;
    Zkf__ReportSessions sessions;
    Zkf__Count counts[MIG_TALLY_MAX];
    Zkf__Count *count_refs[MIG_TALLY_MAX];
    Zkf__ReportStep steps[MIG_STEPS_MAX];
    Zkf__ReportStep *step_refs[MIG_STEPS_MAX];
    Zkf__Reconfig reconfigs[MIG_RECONFIGS_MAX];
    Zkf__Reconfig *reconfig_refs[MIG_RECONFIGS_MAX];
    Zkf__Moment moments[MIG_MOMENTS_MAX];
    Zkf__Moment *moment_refs[MIG_MOMENTS_MAX];
    Zkf__Finding findings[MIG_FINDINGS_MAX];
    Zkf__Finding *finding_refs[MIG_FINDINGS_MAX];
    char servers[2u * MIG_SERVERS_MAX][ZKP_SERVER_TEXT_MAX]; /* sources, then targets */
    char *server_refs[2u * MIG_SERVERS_MAX];
    char *accepted[MIG_ACCEPT_MAX];
};

struct px_report_history *px_report_history_new(void)
{
    return calloc(1, sizeof(struct px_report_history));
}

void px_report_history_free(struct px_report_history *report)
{
    free(report);
}

/* protobuf-c has no const strings and lists; it only reads them when printing. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void fill_steps(struct px_report_history *r, const struct mig_history *h)
{
    for (uint32_t i = 0; i < h->step_count; i++) {
        Zkf__ReportStep *out = r->step_refs[i] = &r->steps[i];
        zkf__report_step__init(out);
        out->name = text_of(h->steps[i].name);
        PUT(out, started_at, h->steps[i].started_wall_ms);
        PUT(out, seconds, (double)h->steps[i].took_ms / 1000.0);
    }
    r->report.n_steps = h->step_count;
    r->report.steps = r->step_refs;
}

static void fill_reconfig(Zkf__Reconfig *out, const struct mig_reconfig *reconfig)
{
    const char *decided = reconfig->is_applied ? "applied" : "not_applied";
    int64_t took_ms = reconfig->is_decided ? reconfig->decided_wall_ms - reconfig->sent_wall_ms : 0;
    zkf__reconfig__init(out);
    out->step = text_of(reconfig->step);
    out->joining = text_of(reconfig->joining);
    out->leaving = text_of(reconfig->leaving);
    PUT(out, from_version, (uint64_t)reconfig->from_version);
    PUT(out, to_version, (uint64_t)reconfig->to_version);
    PUT(out, via, reconfig->via);
    out->outcome = text_of(reconfig->is_decided ? decided : "open");
    PUT(out, sent_at, reconfig->sent_wall_ms);
    PUT(out, seconds, (double)took_ms / 1000.0);
    PUT(out, hold_seconds, (double)reconfig->hold_ms / 1000.0);
    out->detail = text_of(reconfig->text);
}

static void fill_reconfigs(struct px_report_history *r, const struct mig_history *h)
{
    int64_t longest_ms;
    PUT(&r->report, holds, mig_history_holds(h, &longest_ms));
    PUT(&r->report, longest_hold_seconds, (double)longest_ms / 1000.0);
    for (uint32_t i = 0; i < h->reconfig_count; i++) {
        r->reconfig_refs[i] = &r->reconfigs[i];
        fill_reconfig(&r->reconfigs[i], &h->reconfigs[i]);
    }
    r->report.n_reconfigs = h->reconfig_count;
    r->report.reconfigs = r->reconfig_refs;
}

static void fill_moments(struct px_report_history *r, const struct mig_history *h)
{
    for (uint32_t i = 0; i < h->moment_count; i++) {
        Zkf__Moment *out = r->moment_refs[i] = &r->moments[i];
        zkf__moment__init(out);
        PUT(out, at, h->moments[i].wall_ms);
        out->what = text_of(mig_record_name(h->moments[i].kind));
        out->detail = text_of(h->moments[i].text);
    }
    r->report.n_moments = h->moment_count;
    r->report.moments = r->moment_refs;
}

static void fill_sessions(struct px_report_history *r, const struct mig_tally *tally)
{
    Zkf__ReportSessions *out = &r->sessions;
    zkf__report_sessions__init(out);
    PUT(out, moved, mig_tally_of(tally, MIG_TALLY_MOVED));
    PUT(out, returned, mig_tally_of(tally, MIG_TALLY_RETURNED));
    PUT(out, failed, mig_tally_of(tally, MIG_TALLY_FAILED));
    PUT(out, expired, mig_tally_of(tally, MIG_TALLY_EXPIRED));
    for (uint32_t i = 0; i < tally->count; i++) {
        Zkf__Count *count = &r->counts[out->n_reasons];
        if (strncmp(tally->items[i].name, "zkferry_", 8) != 0)
            continue; /* told above */
        zkf__count__init(count);
        count->name = text_of(tally->items[i].name);
        PUT(count, value, tally->items[i].value);
        r->count_refs[out->n_reasons++] = count;
    }
    out->reasons = r->count_refs;
    r->report.sessions = out;
    PUT(&r->report, longest_pause_seconds, px_tally_longest_pause(tally));
}

static void fill_findings(struct px_report_history *r, const struct mig_findings *findings)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        r->finding_refs[i] = &r->findings[i];
        px_report_finding(&findings->items[i], &r->findings[i]);
    }
    r->report.n_findings = findings->count;
    r->report.findings = r->finding_refs;
}

static size_t print_servers(struct px_report_history *r, const struct mig_servers *servers, uint32_t at)
{
    for (uint32_t i = 0; i < servers->count; i++) {
        if (zkp_server_format(&servers->servers[i], r->servers[at + i], ZKP_SERVER_TEXT_MAX) == 0)
            r->servers[at + i][0] = '\0';
        r->server_refs[at + i] = r->servers[at + i];
    }
    return servers->count;
}

static void fill_plan(struct px_report_history *r, const struct mig_plan *plan)
{
    Zkf__Report *out = &r->report;
    out->plan_id = text_of(plan->id);
    out->kind = text_of(conf_kind_name(plan->kind));
    out->n_sources = print_servers(r, &plan->sources, 0);
    out->sources = r->server_refs;
    out->n_targets = print_servers(r, &plan->targets, MIG_SERVERS_MAX);
    out->targets = r->server_refs + MIG_SERVERS_MAX;
    out->n_leaving = plan->leaving.count;
    out->leaving = (int32_t *)(uintptr_t)plan->leaving.ids;
    for (uint32_t i = 0; i < plan->accept_count; i++)
        r->accepted[i] = text_of(plan->accept[i]);
    out->n_accepted = plan->accept_count;
    out->accepted = r->accepted;
}

const Zkf__Report *px_report_history_fill(struct px_report_history *r, const struct mig_history *h,
                                          const struct px_report_extras *extras, int64_t wall_ms)
{
    Zkf__Report *out = &r->report;
    int64_t end_ms = h->ended_wall_ms != 0 ? h->ended_wall_ms : wall_ms;
    zkf__report__init(out);
    fill_plan(r, &h->plan);
    out->outcome = text_of(mig_outcome_name(h->outcome));
    PUT(out, started_at, h->plan.created_wall_ms);
    PUT(out, ended_at, h->ended_wall_ms);
    PUT(out, seconds, (double)(end_ms - h->plan.created_wall_ms) / 1000.0);
    out->failure = text_of(h->failure);
    fill_steps(r, h);
    fill_reconfigs(r, h);
    fill_sessions(r, &h->tally);
    fill_moments(r, h);
    fill_findings(r, &h->findings);
    out->verification = (Zkf__Verify *)(uintptr_t)extras->verification;
    out->witness = (Zkf__Witness *)(uintptr_t)extras->witness;
    PUT(out, is_cut, h->is_cut);
    out->version = text_of(ZKFERRY_VERSION);
    return out;
}
