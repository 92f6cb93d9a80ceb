/* What /v1/report says: the schema's message filled from a plan's history. Control thread. */
#ifndef PROXY_CONTROL_REPORT_REPORT_HISTORY_H
#define PROXY_CONTROL_REPORT_REPORT_HISTORY_H

#include "migrate/engine/history.h"
#include "migrate/zkferry.pb-c.h"

/* Messages filled elsewhere. NULL = there is none; a verification is not in the journal, and lost when the
 * daemon dies before the plan's end. */
struct px_report_extras {
    const Zkf__Verify *verification;
    const Zkf__Witness *witness;
};

struct px_report_history; /* owned by the caller; overwritten by each fill */

struct px_report_history *px_report_history_new(void); /* NULL: out of memory */
void px_report_history_free(struct px_report_history *report);

/* wall_ms: now, for a plan that has not ended. The message points into all arguments and into the report. */
const Zkf__Report *px_report_history_fill(struct px_report_history *report, const struct mig_history *history,
                                          const struct px_report_extras *extras, int64_t wall_ms);

#endif
