/* Admin sessions to servers (migrate/zkclient/zkclient.h): one connection per server that is needed at the
 * moment, a monitor that keeps reading /zookeeper/config, and the session that holds the plan lock, which
 * moves to another server when its own leaves. Control thread. Not here: what a result means (the engine). */
#ifndef PROXY_CONTROL_FLEET_LINKS_H
#define PROXY_CONTROL_FLEET_LINKS_H

#include "conf/conf.h"
#include "migrate/engine/effects.h"
#include "proxy/control/fleet/fleet.h"

struct event_base;
struct px_links;

struct px_links_callbacks {
    void *context;
    /* The result of an effect, as the event the engine expects. Borrowed. */
    void (*result)(void *context, const struct mig_event *event);
    /* Config or lock have changed. */
    void (*changed)(void *context);
};

/* instance: the state directory's id for the lock, borrowed. conf: credentials and state root, copied.
 * NULL: out of memory. */
struct px_links *px_links_new(struct event_base *base, struct px_fleet *fleet, const struct conf *conf,
                              const char *instance, const struct px_links_callbacks *callbacks);
/* Ends the sessions; the lock goes with its session only when drop_lock was carried out, otherwise it is
 * left to the next life of this daemon. NULL is fine. */
void px_links_free(struct px_links *links);

/* New credentials: connections are made anew when next needed. */
enum rc px_links_configure(struct px_links *links, const struct conf *conf) RC_MUST_CHECK;

/* Carries out TAKE_LOCK, DROP_LOCK, PROBE_RECONFIG, CHECK_SUPER, RECONFIG, BARRIER, READ_CONFIG. A result
 * follows later for those that have one, also on every failure. */
void px_links_run(struct px_links *links, const struct mig_effect *effect);
/* A reconfig was sent and its outcome has not come back. */
bool px_links_reconfig_pending(const struct px_links *links);

/* Ask for the config now. */
void px_links_kick(struct px_links *links);
/* Keeps the monitor and the lock on living members, reads the config every interval, closes connections
 * nobody has used for a while. facts: the newest, borrowed. */
void px_links_tick(struct px_links *links, const struct mig_facts *facts, int32_t interval_ms);
/* Fills config, config_at_ms, lock and lock_holder, adds its connections to the servers' ours_least and
 * ours_most. */
void px_links_facts(const struct px_links *links, struct mig_facts *facts);

#endif
