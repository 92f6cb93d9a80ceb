/* See report_verify.h. Fixed rooms, like report.c: an answer allocates nothing and can't fail half-way. */
#include "proxy/control/report/report_verify.h"

#include <stdlib.h>

#define FINDINGS_MAX (MIG_VERIFY_KIND_COUNT * MIG_VERIFY_LISTED_MAX)

/* Sets a scalar of a protobuf-c message together with its presence flag. */
#define PUT(message, field, value)                                                                           \
    do {                                                                                                     \
        (message)->has_##field = 1;                                                                          \
        (message)->field = (value);                                                                          \
    } while (0)

struct px_report_verify {
    Zkf__Verify verify;
    Zkf__VerifyServer servers[MIG_SERVERS_MAX];
    Zkf__VerifyServer *server_refs[MIG_SERVERS_MAX];
    Zkf__VerifyFinding findings[FINDINGS_MAX];
    Zkf__VerifyFinding *finding_refs[FINDINGS_MAX];
    char *skipped[MIG_VERIFY_SKIPS_MAX];
};

struct px_report_verify *px_report_verify_new(void)
{
    return calloc(1, sizeof(struct px_report_verify));
}

void px_report_verify_free(struct px_report_verify *report)
{
    free(report);
}

/* protobuf-c has no const strings; it only reads them when printing. */
static char *text_of(const char *text)
{
    union {
        const char *in;
        char *out;
    } cast = {.in = text};
    return cast.out;
}

/* --- enums --- */

static Zkf__VerifyState__Value state_of(enum px_verify_state state)
{
    switch (state) {
    case PX_VERIFY_COUNTING:
        return ZKF__VERIFY_STATE__VALUE__counting;
    case PX_VERIFY_WALKING:
        return ZKF__VERIFY_STATE__VALUE__walking;
    case PX_VERIFY_DONE:
        return ZKF__VERIFY_STATE__VALUE__done;
    case PX_VERIFY_NONE:
        break;
    }
    return ZKF__VERIFY_STATE__VALUE__none;
}

static Zkf__VerifyOutcome__Value outcome_of(enum px_verify_outcome outcome)
{
    switch (outcome) {
    case PX_VERIFY_EQUAL:
        return ZKF__VERIFY_OUTCOME__VALUE__equal;
    case PX_VERIFY_DIFFERENT:
        return ZKF__VERIFY_OUTCOME__VALUE__different;
    case PX_VERIFY_INCOMPLETE:
        return ZKF__VERIFY_OUTCOME__VALUE__incomplete;
    case PX_VERIFY_INTERRUPTED:
        return ZKF__VERIFY_OUTCOME__VALUE__interrupted;
    case PX_VERIFY_PENDING:
        break;
    }
    return ZKF__VERIFY_OUTCOME__VALUE__pending;
}

static Zkf__VerifyCounts__Value counts_of(enum mig_counts_verdict verdict)
{
    switch (verdict) {
    case MIG_COUNTS_UNKNOWN:
        return ZKF__VERIFY_COUNTS__VALUE__unknown;
    case MIG_COUNTS_EQUAL:
        return ZKF__VERIFY_COUNTS__VALUE__equal;
    case MIG_COUNTS_DIFFERENT:
        return ZKF__VERIFY_COUNTS__VALUE__different;
    case MIG_COUNTS_PENDING:
        break;
    }
    return ZKF__VERIFY_COUNTS__VALUE__pending;
}

static Zkf__VerifyDigest__Value digest_of(enum mig_digest_verdict verdict)
{
    switch (verdict) {
    case MIG_DIGEST_EQUAL:
        return ZKF__VERIFY_DIGEST__VALUE__equal;
    case MIG_DIGEST_DIFFERENT:
        return ZKF__VERIFY_DIGEST__VALUE__different;
    case MIG_DIGEST_UNKNOWN:
        break;
    }
    return ZKF__VERIFY_DIGEST__VALUE__unknown;
}

static Zkf__VerifyFindingKind__Value kind_of(enum mig_verify_kind kind)
{
    switch (kind) {
    case MIG_VERIFY_UNREADABLE:
        return ZKF__VERIFY_FINDING_KIND__VALUE__unreadable;
    case MIG_VERIFY_UNSETTLED:
        return ZKF__VERIFY_FINDING_KIND__VALUE__unsettled;
    case MIG_VERIFY_DIFFERENT:
    case MIG_VERIFY_KIND_COUNT:
        break;
    }
    return ZKF__VERIFY_FINDING_KIND__VALUE__different;
}

/* --- parts --- */

static void fill_server(Zkf__VerifyServer *out, const struct px_verify_view *view, uint32_t index)
{
    const struct mig_verify_server *server = &view->report->servers[index];
    const struct mig_counts_server *counts = &view->counts->servers[index - 1]; /* has no reference */
    zkf__verify_server__init(out);
    PUT(out, id, view->ids[index]);
    PUT(out, compared, server->compared);
    PUT(out, different, server->different);
    PUT(out, counts, counts_of(counts->verdict));
    out->counts_detail = text_of(counts->text);
    PUT(out, digest, digest_of(view->digests[index].verdict));
    PUT(out, digest_zxid, (uint64_t)view->digests[index].zxid);
    PUT(out, given_up, server->is_given_up);
    out->reason = text_of(server->why);
}

/* Without the reference: it is what the others are compared with. */
static size_t fill_servers(struct px_report_verify *r, const struct px_verify_view *view)
{
    size_t count = 0;
    for (uint32_t i = 1; i < view->count; i++, count++) {
        fill_server(&r->servers[count], view, i);
        r->server_refs[count] = &r->servers[count];
    }
    return count;
}

static void fill_finding(Zkf__VerifyFinding *out, const struct px_verify_view *view,
                         enum mig_verify_kind kind, const struct mig_verify_finding *finding)
{
    zkf__verify_finding__init(out);
    PUT(out, kind, kind_of(kind));
    PUT(out, server, finding->server < view->count ? view->ids[finding->server] : -1);
    out->path = finding->path;
    out->what = text_of(finding->what);
}

static size_t fill_findings(struct px_report_verify *r, const struct px_verify_view *view)
{
    size_t count = 0;
    for (int kind = 0; view->report && kind < MIG_VERIFY_KIND_COUNT; kind++)
        for (uint32_t i = 0; i < view->report->listed[kind]; i++) {
            fill_finding(&r->findings[count], view, (enum mig_verify_kind)kind,
                         &view->report->findings[kind][i]);
            r->finding_refs[count] = &r->findings[count];
            count++;
        }
    return count;
}

static void fill_totals(Zkf__Verify *out, const struct mig_verify_report *report)
{
    PUT(out, compared, report->compared);
    PUT(out, rechecked, report->rechecked);
    PUT(out, different, report->totals[MIG_VERIFY_DIFFERENT]);
    PUT(out, unreadable, report->totals[MIG_VERIFY_UNREADABLE]);
    PUT(out, unsettled, report->totals[MIG_VERIFY_UNSETTLED]);
    PUT(out, moving, report->moving);
}

static size_t fill_skipped(struct px_report_verify *r, const struct px_verify_view *view)
{
    size_t count = 0;
    while (count < MIG_VERIFY_SKIPS_MAX && view->skips[count]) {
        r->skipped[count] = text_of(view->skips[count]);
        count++;
    }
    return count;
}

const Zkf__Verify *px_report_verify_fill(struct px_report_verify *r, const struct px_verify_view *view)
{
    Zkf__Verify *out = &r->verify;
    zkf__verify__init(out);
    PUT(out, state, state_of(view->state));
    PUT(out, outcome, outcome_of(view->outcome));
    out->reason = text_of(view->reason);
    out->at = text_of(view->at);
    PUT(out, started_at, view->started_wall_ms);
    PUT(out, seconds, (double)view->took_ms / 1000.0);
    if (view->count > 0)
        PUT(out, leader, view->ids[MIG_VERIFY_REFERENCE]);
    if (view->expected > 0)
        PUT(out, expected, view->expected);
    PUT(out, counts_only, view->is_counts_only);
    if (view->report)
        fill_totals(out, view->report);
    out->n_servers = fill_servers(r, view);
    out->servers = r->server_refs;
    out->n_findings = fill_findings(r, view);
    out->findings = r->finding_refs;
    out->n_skipped = fill_skipped(r, view);
    out->skipped = r->skipped;
    return out;
}
