/* Runs hooks (migrate/engine/effects.h, RUN_HOOK): programs of the operator, as child processes in a process
 * group of their own, without a shell. What they print goes into the log, line by line (event=hook.output),
 * up to a limit. A time limit ends the whole group. Control thread; nothing here waits. Not here: when which
 * hook runs (the engine's business). */
#ifndef PROXY_CONTROL_HOOKS_HOOKS_H
#define PROXY_CONTROL_HOOKS_HOOKS_H

#include <event2/event.h>

#include "migrate/engine/effects.h"

struct px_hooks; /* owned by the control thread */

/* The hook's end: MIG_EVENT_HOOK_RESULT with the seq of its effect. From the loop, never from inside
 * px_hooks_run. Borrowed for the call. */
typedef void px_hook_ended_fn(void *context, const struct mig_event *event);

struct px_hooks *px_hooks_new(struct event_base *base, px_hook_ended_fn *ended, void *context);
/* Kills what still runs, with its group, and reports nothing. NULL is fine. */
void px_hooks_free(struct px_hooks *hooks);

/* Begins the hook of a RUN_HOOK effect; ended() follows, whatever happens. At most one runs: the engine asks
 * for the next only after the end of the last. */
void px_hooks_run(struct px_hooks *hooks, const struct mig_effect *effect);
bool px_hooks_is_busy(const struct px_hooks *hooks);

/* One argument with its placeholders {id}, {host}, {client_port} replaced. RC_TOO_BIG: it does not fit. Pure.
 */
enum rc px_hook_expand(const struct mig_hook_call *call, const char *argument, char *buf,
                       uint32_t capacity) RC_MUST_CHECK;

#endif
