/* Final reports as files: state_dir/reports/PLAN_ID.json. Written on the helper thread (temporary file, sync,
 * rename, sync of the directory); the one of the last plan is read at the start, before the loop runs, and
 * kept. Control thread. */
#ifndef PROXY_CONTROL_REPORT_REPORT_STORE_H
#define PROXY_CONTROL_REPORT_REPORT_STORE_H

#include "migrate/helper.h"
#include "zkproto/err.h"

#define PX_REPORT_MAX (8u * 1024u * 1024u) /* the largest history printed is below 1 MB */

struct px_report_store; /* owned by struct px_control */

/* helper is borrowed. NULL: out of memory. */
struct px_report_store *px_report_store_new(struct mig_helper *helper, const char *state_dir);
/* After mig_helper_free: no write may be under way. NULL is fine. */
void px_report_store_free(struct px_report_store *store);

/* Keeps the text and writes it; a failure is logged. plan_id is one of ours: [0-9a-f-] only. */
void px_report_store_put(struct px_report_store *store, const char *plan_id, char *take_text);
/* Blocks: reads the file of this plan, if there is one. RC_NOT_FOUND: there is none. */
enum rc px_report_store_load(struct px_report_store *store, const char *plan_id,
                             struct err *err) RC_MUST_CHECK;
/* The text kept for this plan; NULL = none. Valid until the next put. */
const char *px_report_store_get(const struct px_report_store *store, const char *plan_id);

#endif
