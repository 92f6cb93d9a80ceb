/* One helper thread for what would block the control loop: fdatasync of the journal and name resolution.
 * Jobs run one after the other in the order they were submitted; their ends are reported in the same order,
 * in the loop of the event_base given to mig_helper_new. Every function here belongs to that loop's thread.
 * It knows nothing about its jobs and never drops one: a submitted job runs and its end is reported. */
#ifndef MIGRATE_HELPER_H
#define MIGRATE_HELPER_H

#include "zkproto/err.h"

struct event_base;
struct mig_helper; /* owned by whoever called mig_helper_new */

/* The journal has one append in flight, names are resolved at reloads: a queue this long means that the
 * disk or the resolver stands still. */
#define MIG_HELPER_JOBS_MAX 64u

typedef void mig_job_fn(void *arg);  /* on the helper thread; may block */
typedef void mig_done_fn(void *arg); /* in the loop, after the job; arg is visible as the job left it */

enum rc mig_helper_new(struct event_base *base, struct mig_helper **ret_helper,
                       struct err *err) RC_MUST_CHECK;
/* Runs what is queued to its end, joins the thread, reports every end, frees. Blocks as long as that takes;
 * the owners of the args must still live. NULL is fine. Not from within a done function. */
void mig_helper_free(struct mig_helper *helper);

/* arg is borrowed until done(arg). RC_FULL: MIG_HELPER_JOBS_MAX are waiting; RC_CLOSED: mig_helper_free has
 * begun; RC_NOMEM. On an error neither function is called. */
enum rc mig_helper_submit(struct mig_helper *helper, mig_job_fn *job, mig_done_fn *done,
                          void *arg) RC_MUST_CHECK;

#endif
