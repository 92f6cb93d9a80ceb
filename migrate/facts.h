/* Everything observed about servers, ensemble, lock and sessions at one moment: the engine's only view of
 * the world. Filled by the control thread from probes, admin session and worker reports; borrowed by the
 * engine for one call, never kept. Pure: no I/O, no clock. */
#ifndef MIGRATE_FACTS_H
#define MIGRATE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/engine/canary.h"
#include "migrate/engine/tally.h"
#include "migrate/engine/witness.h"
#include "migrate/preflight/survey.h"
#include "zkproto/server.h"
#include "zkproto/word.h"

#define MIG_SERVERS_MAX 32u  /* sources + targets of one plan; ensembles have 3 to 9 members */
#define MIG_NO_SERVER   (-1) /* where a server id could stand; ids are 0 and greater */
#define MIG_TEXT_MAX    512u
#define MIG_PLAN_ID_MAX 40u

enum mig_side { MIG_SIDE_SOURCE, MIG_SIDE_TARGET };

#define MIG_HEALTHS(X)                                                                                       \
    X(UNKNOWN, "unknown")         /* not probed yet */                                                       \
    X(SERVING, "serving")         /* srvr gave data, risen */                                                \
    X(NOT_SERVING, "not_serving") /* answers "not currently serving requests" */                             \
    X(DOWN, "down")               /* no answer, fallen */                                                    \
    X(FULL, "full")               /* closes new connections at once while live sessions get replies */       \
    X(PROXY, "proxy")             /* zkferry answers there: this one, or another; it is no server */

enum mig_health {
#define MIG_HEALTH_ENUM(name, text) MIG_HEALTH_##name,
    MIG_HEALTHS(MIG_HEALTH_ENUM)
#undef MIG_HEALTH_ENUM
        MIG_HEALTH_COUNT
};
const char *mig_health_name(enum mig_health health); /* never NULL */

/* How an optional source of facts (conf, mntr, AdminServer) behaves on a server. */
enum mig_seen {
    MIG_SEEN_UNKNOWN,     /* not asked yet, or the last answer was not usable (not serving, cut) */
    MIG_SEEN_DATA,        /* the fields are filled */
    MIG_SEEN_NOT_ALLOWED, /* not in the whitelist and AdminServer gives nothing either */
};

/* From mntr or AdminServer's monitor; -1 = the answer has no such key (role or version). */
struct mig_mntr {
    int64_t synced_followers; /* leader only; counts voters and non-voting followers (protocol.md §1.5) */
    int64_t synced_non_voting;
    int64_t znode_count;
    int64_t ephemerals_count;
    int64_t data_size;
    int64_t global_sessions;
    char peer_state[64]; /* "following - broadcast"; "" = unknown */
    int64_t local_sessions;
    int64_t digest_mismatches;
    int64_t uptime_ms; /* of its present role, so at most the process's */
};

#define MIG_OTHERS_MAX    8u
#define MIG_ALONE_SAMPLES 3u /* one may miss a client that is just connecting anew */

/* A connection to a server, by its own `cons`. */
struct mig_other {
    int64_t session_id;
    char address[64]; /* "127.0.0.1:39884" */
};

/* One server. Times are the monotonic clock of struct mig_facts.now_ms, 0 = never. */
struct mig_server_facts {
    int32_t id;
    enum mig_side side;
    const struct zkp_server *spec; /* as written in the configuration file; borrowed */
    enum mig_health health;        /* after rise/fall hysteresis */
    char health_reason[128];       /* "connection refused", "" when serving */
    int64_t health_since_ms;
    int64_t probed_at_ms; /* the last probe round of this server ended, whatever it gave */
    /* srvr: the last answer, by itself and without hysteresis; silence is none */
    bool shows_service;        /* data of a server that takes writes */
    int64_t not_serving_at_ms; /* it said "not serving": when the question was sent; else 0 */
    int64_t gone_at_ms;        /* nobody listened there: when that was seen last; 0 = never */
    /* srvr: the last answer with data; it may be older than health says */
    int64_t srvr_at_ms; /* when the question was sent; 0 = never answered */
    struct zkp_srvr srvr;
    /* conf, or AdminServer's configuration + voting_view: what this server really uses ("activation") */
    enum mig_seen conf_seen;
    int64_t conf_at_ms;                 /* when the question was sent */
    const struct zkp_conf_answer *conf; /* NULL unless MIG_SEEN_DATA; borrowed */
    enum mig_seen mntr_seen;
    int64_t mntr_at_ms;
    struct mig_mntr mntr;
    char dial_trouble[96]; /* why no session can be attached to it now; "" = nothing is known against it */
    /* AdminServer's system_properties: asked by preflight only, as others of them may be secrets. */
    enum mig_seen properties_seen;
    int64_t properties_at_ms; /* when the question was sent, whatever it gave */
    int64_t jute_max_bytes;   /* the longest request it takes (jute.maxbuffer, or its default) */
    int64_t our_sessions;     /* client sessions attached through us, with the witness */
    int64_t witness_sessions; /* of them, the witness's: 0 or 1 */
    int64_t our_canaries;     /* those of them that go first in a switch */
    /* Connections of ours among those that the last srvr counts: at least, at most. What came, went or was
     * being made while it was asked is in `most` only. */
    int64_t ours_least;
    int64_t ours_most;
    int64_t strangers; /* connections not of this proxy, at least, in two answers in a row; -1 = not known */
    /* The last MIG_ALONE_SAMPLES answers in a row can't have counted anybody but us: when the first of them
     * was asked for. 0 = somebody is there, or it can't be said. */
    int64_t alone_since_ms;
    bool hides_srvr; /* srvr is not in its whitelist, and AdminServer gives nothing either */
    /* Why the last question could not even be put: this host lacks descriptors, ports or memory. All that is
     * known of the server is older. "" = it could. */
    char unasked[64];
    /* cons, asked for at the straggler gate only: sessions there, without those of our own that the shell
     * knows */
    int64_t cons_at_ms; /* when the question was sent; 0 = never answered */
    uint32_t other_count;
    struct mig_other others[MIG_OTHERS_MAX]; /* the first of them */
};

enum mig_lock_state { MIG_LOCK_UNKNOWN, MIG_LOCK_NONE, MIG_LOCK_OURS, MIG_LOCK_FOREIGN };

struct mig_session_facts {
    int64_t total;
    int64_t source;
    int64_t target;
    int64_t waiting; /* connects that wait for a server */
};

/* What the workers say about the hold with this id; 0 = no hold. */
struct mig_hold_facts {
    uint64_t id;
    bool is_held;       /* every worker has acknowledged the hold and takes no new requests */
    int64_t unquiesced; /* sessions that are not quiet, or still move; -1 = not all workers have reported */
    int64_t detached;   /* established sessions that have no server now */
};

/* What the newest witness of this life has seen, together with the lives before. */
struct mig_witness_facts {
    char plan_id[MIG_PLAN_ID_MAX]; /* whose; "" = none has run in this life */
    bool has_ended;                /* it does not run now: the account stays as it is */
    struct mig_witness_account account;
};

struct mig_facts {
    int64_t now_ms;  /* monotonic, > 0 */
    int64_t wall_ms; /* since 1970, for people and plan ids only */
    uint32_t server_count;
    struct mig_server_facts servers[MIG_SERVERS_MAX]; /* sources and targets, ascending id */
    /* /zookeeper/config read through the admin session; NULL = not observable (standalone, no session yet) */
    const struct zkp_config *config;
    int64_t config_at_ms;
    enum mig_lock_state lock;
    char lock_holder[MIG_TEXT_MAX]; /* content of the lock node when it is somebody else's */
    struct mig_session_facts sessions;
    struct mig_hold_facts hold;
    bool has_credentials;
    uint32_t source_binds; /* local addresses for connections to sources, 0 counts as 1 */
    uint32_t target_binds; /* the same for targets */
    struct mig_survey survey;
    int64_t request_max_bytes; /* limits.request_bytes; 0 = none of our own */
    int64_t whole_max_bytes;   /* limits.whole_bytes */
    bool passes_config_node;   /* a listener shows clients the real /zookeeper/config */
    struct mig_tally tally;    /* what sessions have gone through since the daemon began */
    struct mig_canary_facts canary;
    struct mig_witness_facts witness;
};

/* NULL when there is none. */
const struct mig_server_facts *mig_facts_server(const struct mig_facts *facts, int32_t id);
/* SERVING with an answer to srvr not older than max_age_ms. */
bool mig_server_is_serving(const struct mig_facts *facts, const struct mig_server_facts *server,
                           int64_t max_age_ms);

/* A connection of our own, to a session that has this id (0 = none yet) since since_ms (0 = not yet): it is
 * none of the others, and among those counted when it stood before the count was asked for. Call it while
 * facts are put together, after the answers were filled. */
void mig_server_own_connection(struct mig_server_facts *server, int64_t session_id, int64_t since_ms);

/* A proven leader. epoch is zxid >> 32. */
struct mig_leader {
    int32_t id; /* -1 = none proven */
    int64_t epoch;
    int64_t zxid;
    int64_t observed_at_ms;
};

/* "Mode: leader" alone proves nothing (protocol.md §1.5: a removed leader keeps saying it for a tick): the
 * candidate must be a voter of the observed config (when there is one), have the highest epoch of all
 * servers that answered within max_age_ms, and enough synced followers: by its mntr when that is as new as
 * its srvr; else by an older one, or by the followers' own answers. What nothing shows is not proven. A
 * standalone server is no leader. */
struct mig_leader mig_facts_leader(const struct mig_facts *facts, int64_t max_age_ms);
/* The same with a config that the caller knows to be newer; NULL = none. */
struct mig_leader mig_facts_leader_in(const struct mig_facts *facts, const struct zkp_config *config,
                                      int64_t max_age_ms);

/* The ensemble has a leader, whether anybody has seen it or not: it is proven, or a member serves as a
 * follower or observer, which none does without one. A leader may serve nobody (leaderServes=no), be out of
 * reach, or not be in our file (pitfall P28). A standalone server needs none. */
bool mig_facts_is_led(const struct mig_facts *facts);

/* No voter shows that it serves: no quorum, or nobody can be reached. */
bool mig_facts_nobody_serves(const struct mig_facts *facts);
/* A moment at which there was no quorum: within the last second a majority of the voters (of the sources,
 * while no config is known) said themselves that they do not serve, none has said otherwise since, and no
 * member's last answer shows that it follows: a leader may serve nobody and have a quorum all the same, the
 * others of which follow. The oldest of these answers counts, by when it was asked. 0 = no such majority. */
int64_t mig_facts_no_quorum_ms(const struct mig_facts *facts);

static inline int64_t mig_zxid_epoch(int64_t zxid)
{
    return zxid >> 32;
}

#endif
