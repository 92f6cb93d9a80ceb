/* What /v1/events says: the schema's message filled from the ring. Control thread. */
#ifndef PROXY_CONTROL_REPORT_REPORT_EVENTS_H
#define PROXY_CONTROL_REPORT_REPORT_EVENTS_H

#include "migrate/zkferry.pb-c.h"
#include "proxy/control/events.h"

struct px_report_events; /* owned by the caller; overwritten by each fill */

struct px_report_events *px_report_events_new(void); /* NULL: out of memory */
void px_report_events_free(struct px_report_events *report);

/* Those after `since`. The message points into the ring and into the report: print it before either changes.
 */
const Zkf__Events *px_report_events_fill(struct px_report_events *report, const struct px_events *events,
                                         uint64_t since);

#endif
