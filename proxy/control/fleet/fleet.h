/* The servers of both sides as control sees them: a stable slot each, their numeric address, their prober
 * and the last answers, which become the facts of the engine. Control thread. Not here: admin connections
 * (links.h) and who gets sessions (director.h). */
#ifndef PROXY_CONTROL_FLEET_FLEET_H
#define PROXY_CONTROL_FLEET_FLEET_H

#include "conf/conf.h"
#include "migrate/facts.h"
#include "migrate/probe/probe.h"
#include "proxy/net/shared.h"

struct event_base;
struct px_fleet;

/* Called when an answer may have changed the facts. */
typedef void px_fleet_changed_fn(void *context);

/* base, helper and shared are borrowed. conf for the probes' options. NULL: out of memory. */
struct px_fleet *px_fleet_new(struct event_base *base, struct mig_helper *helper, struct px_shared *shared,
                              const struct conf *conf, px_fleet_changed_fn *changed, void *context);
/* Stops the probes; names may still be resolving. Before mig_helper_free. */
void px_fleet_stop(struct px_fleet *fleet);
void px_fleet_free(struct px_fleet *fleet); /* after mig_helper_free; NULL is fine */

/* These servers from now on. A server keeps its slot and its answers when its line is the same. Slots of
 * servers that are gone stay theirs. RC_FULL: more ids than slots were ever seen. */
enum rc px_fleet_set(struct px_fleet *fleet, const struct zkp_server *sources, uint32_t source_count,
                     const struct zkp_server *targets, uint32_t target_count) RC_MUST_CHECK;

/* srvr every interval; conf and mntr at a slower pace. */
void px_fleet_set_interval(struct px_fleet *fleet, int32_t interval_ms);
void px_fleet_kick(struct px_fleet *fleet, uint32_t words); /* MIG_PROBE_… bits */
void px_fleet_tick(struct px_fleet *fleet, int64_t now_ms); /* resolves names again from time to time */

/* Fills servers and server_count, ascending id, with our session counts. */
void px_fleet_facts(const struct px_fleet *fleet, struct mig_facts *facts);
/* NULL when there is no such server or no address yet. */
const struct mig_address *px_fleet_address(const struct px_fleet *fleet, int32_t id);
/* Questions that could not be put, for want of a descriptor, port or memory of this host. */
uint64_t px_fleet_unasked(const struct px_fleet *fleet);
/* PX_SLOT_NONE when there is no such server. */
uint32_t px_fleet_slot(const struct px_fleet *fleet, int32_t id);

#endif
