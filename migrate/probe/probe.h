/* One prober per server: asks four-letter words (srvr, mntr, conf, cons) at intervals and on demand, tells
 * what came back, and keeps the server's health with rise/fall hysteresis. Where the whitelist forbids conf
 * or mntr and AdminServer's port is known, it asks there (protocol.md §5.4).
 * Control loop only; never blocks: one non-blocking socket at a time per server, one question per connection
 * as ZooKeeper wants it. It decides nothing: facts go to the owner. */
#ifndef MIGRATE_PROBE_H
#define MIGRATE_PROBE_H

#include "migrate/engine/effects.h"
#include "migrate/facts.h"
#include "migrate/resolve.h"
#include "zkproto/word.h"

/* Beside MIG_PROBE_SRVR, _CONF, _MNTR, _CONS, _PROPERTIES of effects.h. */
#define MIG_PROBE_HASH 32u

struct event_base;
struct mig_prober; /* owned by the control thread */

#define MIG_PROBE_KINDS(X)                                                                                   \
    X(DATA, "answered")                                                                                      \
    X(NOT_SERVING, "not serving")        /* says so itself */                                                \
    X(NOT_ALLOWED, "word not allowed")   /* not in the whitelist, and AdminServer is no help either */       \
    X(EMPTY, "closed without an answer") /* a connection limit does this */                                  \
    X(CONN_REFUSED, "connection refused")                                                                    \
    X(UNREACHABLE, "unreachable") /* other errors of connect, read or write */                               \
    X(TIMED_OUT, "no answer in time")                                                                        \
    X(MALFORMED, "answer not understood")                                                                    \
    X(NOT_ASKED, "not asked") /* this host had no descriptor, port or memory for it */

enum mig_probe_kind {
#define MIG_PROBE_KIND_ENUM(name, text) MIG_PROBE_KIND_##name,
    MIG_PROBE_KINDS(MIG_PROBE_KIND_ENUM)
#undef MIG_PROBE_KIND_ENUM
        MIG_PROBE_KIND_COUNT
};
const char *mig_probe_kind_text(enum mig_probe_kind kind); /* never NULL */

/* Borrowed for the call. With DATA the member of the word is set, the others are NULL or empty. */
struct mig_probe_answer {
    enum zkp_word word; /* SRVR, MNTR, CONF, CONS, HASH or ENVI */
    enum mig_probe_kind kind;
    int64_t asked_at_ms;    /* monotonic; when the question was sent: nothing in the answer is older */
    int64_t observed_at_ms; /* when the answer was complete */
    bool from_admin_server;
    const struct zkp_srvr *srvr;
    const struct mig_mntr *mntr;
    const struct zkp_conf_answer *conf;
    struct zkp_slice cons;  /* for zkp_cons_walk */
    struct zkp_slice hash;  /* for zkp_hash_walk */
    int64_t jute_max_bytes; /* ENVI, which stands for AdminServer's system_properties: the word has less */
    const char *reason;     /* a text for people: "connection refused"; "" with DATA */
};

struct mig_prober_callbacks {
    void *context;
    /* A question begins: its connection is made next. May be NULL. */
    void (*asking)(void *context, enum zkp_word word);
    /* After every question, whatever it gave. */
    void (*answer)(void *context, const struct mig_probe_answer *answer);
    /* The health has changed; reason "" when serving. May be NULL: mig_prober_health tells the same. */
    void (*health)(void *context, enum mig_health health, const char *reason);
    /* True when sessions of ours on this server have had replies lately: a server that closes or refuses new
     * connections then is FULL, not DOWN. May be NULL (never). */
    bool (*has_live_sessions)(void *context);
};

struct mig_prober_options {
    int32_t timeout_ms;  /* from connect to the end of the answer */
    uint16_t admin_port; /* AdminServer of the same host, 0 = do not ask there */
    uint32_t fall;       /* bad answers to srvr in a row until the health falls; 0 = 2 */
    uint32_t rise;       /* good ones until it rises; 0 = 1 */
};

/* Starts silent: nothing is asked before an interval is set or a word is kicked. */
enum rc mig_prober_new(struct event_base *base, const struct mig_address *address,
                       const struct mig_prober_options *options, const struct mig_prober_callbacks *callbacks,
                       struct mig_prober **ret_prober) RC_MUST_CHECK;
/* At any time, also from inside its own callbacks; no callback follows. NULL is fine. */
void mig_prober_free(struct mig_prober *prober);

/* Asks these words every interval_ms from now on, the first time at once; 0 = never. An interval that is
 * already set to the same value is left in its rhythm. */
void mig_prober_set_interval(struct mig_prober *prober, uint32_t words, int32_t interval_ms);
/* Asks these words now, or as soon as the question under way has ended. A word whose question is already on
 * the way is asked once more: its answer may be older than the reason for the kick. */
void mig_prober_kick(struct mig_prober *prober, uint32_t words);
/* The address may change when a name resolves anew; a question under way is finished with the old one. */
void mig_prober_set_address(struct mig_prober *prober, const struct mig_address *address);

enum mig_health mig_prober_health(const struct mig_prober *prober);
/* A question is on its way: one connection to the server. */
bool mig_prober_is_asking(const struct mig_prober *prober);

#endif
