/* Between fleet.c (the table of servers, their facts) and fleet_probe.c (addresses, probers, answers).
 * Control thread. */
#ifndef PROXY_CONTROL_FLEET_FLEET_INT_H
#define PROXY_CONTROL_FLEET_FLEET_INT_H

#include "proxy/control/fleet/fleet.h"
#include "proxy/control/fleet/ours.h"

struct server {
    struct px_fleet *fleet;
    uint32_t slot;
    bool is_used; /* false: gone from the configuration, the slot stays its own */
    struct zkp_server spec;
    enum mig_side side;
    struct mig_address address; /* length 0 = not resolved yet */
    bool is_resolving;
    bool is_stale; /* the name being resolved is no longer ours */
    int64_t resolve_at_ms;
    /* Two, because one asks one question at a time: a slow mntr must not hold up the srvr that says whether
     * the server serves. Both or none. */
    struct mig_prober *prober;  /* srvr */
    struct mig_prober *details; /* conf, mntr */
    uint32_t details_asked;     /* questions of that one, in all */
    /* last answers */
    enum mig_health health;
    char health_reason[128];
    int64_t health_since_ms;
    int64_t probed_at_ms;
    bool shows_service;
    int64_t not_serving_at_ms;
    bool hides_srvr;
    char unasked[64]; /* why the last srvr could not be asked; "" = it was */
    int64_t gone_at_ms;
    int64_t srvr_at_ms;
    struct zkp_srvr srvr;
    struct px_ours asked;  /* when srvr was asked: now */
    struct px_ours before; /* when the last answered one was asked, and when the answer was there */
    struct px_ours after;
    bool counts_asker; /* it came as a word: AdminServer is no client of the server */
    enum mig_seen conf_seen;
    int64_t conf_at_ms;
    struct zkp_conf_answer *conf; /* owned; NULL unless data */
    enum mig_seen mntr_seen;
    int64_t mntr_at_ms;
    struct mig_mntr mntr;
    enum mig_seen properties_seen;
    int64_t properties_at_ms;
    int64_t jute_max_bytes;
    int64_t cons_at_ms;
    uint32_t other_count;
    struct mig_other others[MIG_OTHERS_MAX];
};

struct px_fleet {
    struct event_base *base;
    struct mig_helper *helper;
    struct px_shared *shared;
    px_fleet_changed_fn *changed;
    void *context;
    struct mig_prober_options options;
    int32_t interval_ms;
    bool is_stopped;
    uint64_t unasked_count;
    int64_t unasked_told_ms;
    uint32_t slot_count;
    struct server servers[PX_SLOTS_MAX];
};

/* fleet_probe.c */
void fleet_resolve(struct server *server); /* its address, then its probers start */
void fleet_stop_probes(struct server *server);

#endif
