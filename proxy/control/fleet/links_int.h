/* What links.c (admin connections, monitor), links_facts.c (what they know) and links_lock.c (plan lock)
 * share. Control thread. */
#ifndef PROXY_CONTROL_FLEET_LINKS_INT_H
#define PROXY_CONTROL_FLEET_LINKS_INT_H

#include "migrate/zkclient/zkclient.h"
#include "proxy/control/fleet/links.h"

#define LINKS_MAX                   16u /* the leader, the monitor, and what a leader change leaves behind */
#define PX_LINKS_REQUEST_TIMEOUT_MS 15000 /* for every request but a reconfig */

struct link {
    struct px_links *owner;
    struct mig_zk *zk; /* NULL = free place */
    int32_t id;
    int64_t used_ms;
    uint32_t pending; /* unanswered requests */
    bool is_reading;  /* the monitor's read is one of them */
    bool is_reconfiguring;
};

struct lock {
    struct mig_zk *zk; /* NULL = no lock session */
    int32_t id;        /* the server it is attached to */
    int64_t away_since_ms;
    uint32_t pending;
    bool is_dropping;
    enum mig_lock_state state;
    char holder[MIG_TEXT_MAX];
};

struct px_links {
    struct event_base *base;
    struct px_fleet *fleet;
    struct px_links_callbacks callbacks;
    const char *instance;
    const char *super; /* shared with the configuration it came from */
    char state_root[ZKP_HOST_MAX];
    struct link links[LINKS_MAX];
    struct lock lock;
    int32_t monitor_id; /* or MIG_NO_SERVER */
    int64_t read_at_ms; /* when the config is to be read next */
    bool has_config;
    struct zkp_config config;
    int64_t config_at_ms;
    int64_t asked_at_ms;
};

/* A connection to a server, with the credentials; session: to attach, NULL = a new one. RC_NOT_FOUND: the
 * server has no address. */
enum rc px_links_open(struct px_links *links, int32_t id, const struct mig_zk_session *session,
                      const struct mig_zk_callbacks *callbacks, struct mig_zk **ret_zk) RC_MUST_CHECK;
void px_links_log(void *context, enum mig_zk_level level, const char *text);
void px_links_report(struct px_links *links, enum mig_event_kind kind, const struct mig_zk_result *result);
/* The result of an effect that could not even be asked. */
void px_links_report_failure(struct px_links *links, const struct mig_effect *effect, enum mig_zk_op op,
                             const char *why);
/* A member that serves, or anybody who serves while no config is known. */
bool px_links_is_usable(const struct mig_facts *facts, const struct mig_server_facts *server);
/* The usable one to stay with; targets first, since they stay. MIG_NO_SERVER
 * = none; not_this may be that, too. */
int32_t px_links_best_server(const struct mig_facts *facts, int32_t not_this);

void px_links_lock_take(struct px_links *links, const struct mig_effect *effect);
void px_links_lock_drop(struct px_links *links, const struct mig_effect *effect);
/* The lock's session goes where the ensemble stays: off a server that is no member or does not answer, and
 * to a target as soon as one is a member. */
void px_links_lock_follow(struct px_links *links, const struct mig_facts *facts);
/* At the end: a lock that is ours is left to the next life of this daemon. */
void px_links_lock_leave(struct px_links *links);

#endif
