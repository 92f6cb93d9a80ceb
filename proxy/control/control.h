/* The control thread: one event loop for signals, client ports, admin HTTP, probes, admin sessions, journal
 * and the migration engine. It turns observations into facts, the engine's effects into calls, and its routes
 * into directives for the workers (design.md §5). */
#ifndef PROXY_CONTROL_CONTROL_H
#define PROXY_CONTROL_CONTROL_H

#include "conf/conf.h"
#include "zkproto/err.h"

/* Runs the daemon until SIGTERM or SIGINT and everything has been ended in order. Takes conf. On an error
 * before clients are accepted err says why. */
enum rc px_control_run(struct conf *take_conf, struct err *err) RC_MUST_CHECK;

#endif
