/* Carries out the engine's effects in order (migrate/engine/effects.h): one queue, which stands still behind
 * a JOURNAL effect until the record is on disk. Results go back to the engine as events. Control thread. Not
 * here: how an effect is done (the table of functions given by control.c). */
#ifndef PROXY_CONTROL_RUNNER_H
#define PROXY_CONTROL_RUNNER_H

#include "migrate/engine/effects.h"
#include "zkproto/err.h"

struct px_runner;

/* Does one effect other than JOURNAL; a result, if the effect has one, comes later through the engine, never
 * from inside this call. The effect is borrowed for the call. */
typedef void px_effect_fn(void *context, const struct mig_effect *effect);
/* Appends the record; px_runner_journaled must follow, later. */
typedef void px_journal_fn(void *context, uint64_t seq, const struct mig_record *record);

struct px_runner *px_runner_new(px_effect_fn *run, px_journal_fn *journal, void *context);
void px_runner_free(struct px_runner *runner); /* NULL is fine */

/* Queues copies and runs what may run. RC_NOMEM: nothing of it was queued. */
enum rc px_runner_push(struct px_runner *runner, const struct mig_effects *effects) RC_MUST_CHECK;
/* The record of `seq` is on disk (RC_OK), or can't be: then everything queued behind it is dropped, and so is
 * what is pushed until px_runner_resume: it follows from something that did not happen. */
void px_runner_journaled(struct px_runner *runner, uint64_t seq, enum rc rc);
/* The engine is about to learn of the lost record. */
void px_runner_resume(struct px_runner *runner);
/* Between the two: no command may be given. */
bool px_runner_is_lost(const struct px_runner *runner);
/* Nothing queued and no record being written. */
bool px_runner_is_idle(const struct px_runner *runner);

#endif
