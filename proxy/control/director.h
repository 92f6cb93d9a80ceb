/* Makes the workers' directive out of routes, servers, hold and stop, and publishes it when it differs from
 * the last one. Control thread. Not here: the rules of routing (migrate/engine/routing.h). */
#ifndef PROXY_CONTROL_DIRECTOR_H
#define PROXY_CONTROL_DIRECTOR_H

#include "conf/conf.h"
#include "migrate/engine/engine.h"
#include "migrate/engine/routing.h"
#include "proxy/control/crew/crew.h"
#include "proxy/control/fleet/fleet.h"

struct px_director;

/* crew and fleet are borrowed. NULL: out of memory. */
struct px_director *px_director_new(struct px_crew *crew, struct px_fleet *fleet);
void px_director_free(struct px_director *director); /* NULL is fine */

/* A hold or a stop is published at once with the next px_director_update. */
void px_director_hold(struct px_director *director, const struct px_hold *hold); /* a new one, or renewed */
void px_director_release(struct px_director *director, uint64_t hold_id);        /* other ids are ignored */
uint64_t px_director_hold_id(const struct px_director *director);                /* 0 = none */
/* The leader has been told to leave, and the hold around it is not over: who has persistent watches keeps
 * them only if nothing is written before its session is attached again. */
bool px_director_leader_leaves(const struct px_director *director);
void px_director_stop(struct px_director *director, int64_t deadline_ms);

/* Publishes what is new. All arguments are borrowed for the call. */
enum rc px_director_update(struct px_director *director, const struct conf *conf,
                           const struct mig_facts *facts, const struct mig_routes *routes,
                           const struct mig_view *view) RC_MUST_CHECK;
/* The last published one: its servers turn slots into names. */
const struct px_directive *px_director_current(const struct px_director *director);

#endif
