/* Between the halves of hooks.h: beginning a process (hooks_spawn.c) and living with it (hooks.c). */
#ifndef PROXY_CONTROL_HOOKS_HOOKS_INT_H
#define PROXY_CONTROL_HOOKS_HOOKS_INT_H

#include <sys/types.h>

#include "migrate/engine/effects.h"

/* A child that runs, leader of its own process group. The descriptors are the caller's to close. */
struct px_hook_child {
    pid_t pid;
    int pidfd;  /* readable when it has ended */
    int output; /* non-blocking; its stdout and stderr */
};

/* RC_REFUSED, RC_TOO_BIG, RC_NOMEM, RC_IO: nothing runs, err says why. */
enum rc px_hook_spawn(const struct mig_effect *effect, struct px_hook_child *ret_child,
                      struct err *err) RC_MUST_CHECK;

#endif
