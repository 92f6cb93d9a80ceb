/* What /v1/verify says: the schema's message filled from a verification's view. Control thread. */
#ifndef PROXY_CONTROL_REPORT_REPORT_VERIFY_H
#define PROXY_CONTROL_REPORT_REPORT_VERIFY_H

#include "migrate/zkferry.pb-c.h"
#include "proxy/control/verify/verify.h"

struct px_report_verify; /* owned by the caller; overwritten by each fill */

struct px_report_verify *px_report_verify_new(void); /* NULL: out of memory */
void px_report_verify_free(struct px_report_verify *report);

/* The message points into the view and into the report: print it before either changes. */
const Zkf__Verify *px_report_verify_fill(struct px_report_verify *report, const struct px_verify_view *view);

#endif
