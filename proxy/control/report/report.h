/* What /v1/status, /v1/servers, /v1/plan and /v1/preflight say: messages of the schema filled from the
 * engine's view and the facts it saw. Control thread. Not here: the transport (proxy/admin) and what may be
 * done (the engine). */
#ifndef PROXY_CONTROL_REPORT_REPORT_H
#define PROXY_CONTROL_REPORT_REPORT_H

#include "migrate/engine/engine.h"
#include "migrate/engine/routing.h"
#include "migrate/zkferry.pb-c.h"

/* Counted by the workers since the daemon started. */
struct px_session_counts {
    uint64_t moved;
    uint64_t returned;
    uint64_t failed;
    uint64_t expired;
};

struct px_witness_result;
struct px_report; /* owned by the caller; one at a time is enough, it is overwritten by each fill */

struct px_report *px_report_new(void); /* NULL: out of memory */
void px_report_free(struct px_report *report);

/* One finding; out points into it. */
void px_report_finding(const struct mig_finding *finding, Zkf__Finding *out);

/* Fills all messages. The arguments are borrowed: the messages point into them, so they must stay as they
 * are until the messages have been printed. */
void px_report_fill(struct px_report *report, const struct mig_view *view, const struct mig_facts *facts,
                    const struct mig_routes *routes, const struct px_session_counts *counts);

/* Adds what the witness says, copied; nothing when none has run. */
void px_report_fill_witness(struct px_report *report, const struct px_witness_result *witness);

/* Valid until the next fill. */
const Zkf__Status *px_report_status(const struct px_report *report);
const Zkf__Servers *px_report_servers(const struct px_report *report);
const Zkf__Plan *px_report_plan(const struct px_report *report);
const Zkf__Findings *px_report_findings(const struct px_report *report);

#endif
