/* One admin connection to ONE server: the ZooKeeper client library in the control loop (stack.md §1; all
 * traps named there are dealt with here). Requests are asynchronous, each with a deadline and exactly one
 * answer. A connection comes back by itself; the session is kept across reconnects until it expires, then a
 * new one is made and the owner is told.
 * The library believes what it reads, so it never reads a server's bytes: a relay between the two passes what
 * answers to a request of ours and closes the connection otherwise (zkclient_relay.h).
 * ONE thread for all connections of the process, the control thread: the library has static state. SIGPIPE is
 * ignored in the process.
 * It keeps no opinion about plans: what a lost reconfig reply means is the engine's business. */
#ifndef MIGRATE_ZKCLIENT_H
#define MIGRATE_ZKCLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/resolve.h"
#include "migrate/verify/node.h"
#include "zkproto/err.h"
#include "zkproto/server.h"

struct event_base;
struct mig_zk; /* owned by the control thread */

#define MIG_ZK_TEXT_MAX     512u
#define MIG_ZK_REQUESTS_MAX 64u /* unanswered requests per connection; the engine has a handful */
#define MIG_ZK_PASSWORD_LEN 16u
#define MIG_ZK_ROOT_MAX     256u

/* Enough to attach the same session on another server. id 0 = none. The password is no secret in ZooKeeper
 * (protocol.md §1.2), still it is never logged. */
struct mig_zk_session {
    int64_t id;
    uint8_t password[MIG_ZK_PASSWORD_LEN];
};

#define MIG_ZK_OPS(X)                                                                                        \
    X(READ_CONFIG, "read_config")           /* config; zk_err NO_NODE before 3.5 */                          \
    X(COMMITTED_CONFIG, "committed_config") /* a barrier, then READ_CONFIG on the same connection */         \
    X(RECONFIG, "reconfig")                 /* config: the new one */                                        \
    X(PROBE_RECONFIG, "probe_reconfig")     /* zk_err: BAD_VERSION = enabled (protocol.md §5.1) */          \
    X(CHECK_SUPER, "check_super")           /* OK = the password is right, REFUSED = it is not */            \
    X(BARRIER, "barrier")                   /* a transaction issued after the call has committed */          \
    X(SYNC, "sync")                         /* the server has everything its leader had committed */         \
    X(LOCK, "lock")                         /* OK = ours; EXISTS: text = the holder's data */                \
    X(LOCK_DROP, "lock_drop")               /* OK = not ours any more */                                     \
    X(PROBE_TTL, "probe_ttl")         /* zk_err: NO_NODE = nodes may have a TTL, UNIMPLEMENTED = not */      \
    X(PEEK_LOCK, "peek_lock")         /* OK: text = what its holder wrote; NOT_FOUND = nobody has it */      \
    X(READ_NODE, "read_node")         /* node; AGAIN: it changed between data and ACL, every time */         \
    X(READ_CHILDREN, "read_children") /* names; a node that is not there has none */                         \
    X(CREATE, "create")               /* an ephemeral; EXISTS: it is there already */                        \
    X(SET, "set")                     /* stat */                                                             \
    X(GET_WATCHED, "get_watched")     /* stat, data */                                                       \
    X(DELETE, "delete")

enum mig_zk_op {
#define MIG_ZK_OP_ENUM(name, text) MIG_ZK_##name,
    MIG_ZK_OPS(MIG_ZK_OP_ENUM)
#undef MIG_ZK_OP_ENUM
        MIG_ZK_OP_COUNT
};
const char *mig_zk_op_name(enum mig_zk_op op);

/* What became of a request. Borrowed for the call.
 * rc of RECONFIG and PROBE_RECONFIG: OK; REFUSED = the ensemble said no, zk_err says why, nothing changed;
 * UNKNOWN = it was sent and no answer came (connection lost, deadline); IO = surely never sent.
 * SET likewise. PROBE_RECONFIG is OK when an answer came, whatever it was. CHECK_SUPER: OK, REFUSED, IO,
 * TIMEOUT.
 * All others: OK, REFUSED (zk_err), EXISTS (LOCK, CREATE), AGAIN (LOCK), IO, TIMEOUT; configs also NOT_FOUND
 * (standalone, or older than 3.5) and CORRUPT (not understood). */
struct mig_zk_result {
    uint64_t seq;
    enum mig_zk_op op;
    enum rc rc;
    int32_t zk_err; /* the server's answer, 0 when there was none */
    const struct zkp_config *config;
    const struct mig_node *node;   /* READ_NODE, when OK */
    const struct mig_names *names; /* READ_CHILDREN, when OK */
    const struct mig_stat *stat;   /* SET, GET_WATCHED, when OK */
    const char *data;              /* GET_WATCHED, when OK: ends with NUL, "" = none */
    const char *text;              /* "" or a sentence for people */
};

enum mig_zk_state { MIG_ZK_CONNECTING, MIG_ZK_CONNECTED, MIG_ZK_STATE_COUNT };

enum mig_zk_level { MIG_ZK_LOG_ERROR, MIG_ZK_LOG_WARN, MIG_ZK_LOG_INFO };

struct mig_zk_callbacks {
    void *context;
    void (*done)(void *context, const struct mig_zk_result *result);
    /* May be NULL. why: "" when connected. */
    void (*state)(void *context, enum mig_zk_state state, const char *why);
    /* The session is gone, and with it the lock: expired, or disconnected longer than its timeout (the
     * library does not notice that by itself). A new session is being made. May be NULL. */
    void (*expired)(void *context);
    /* The data of a node that was read with GET_WATCHED has changed; told before any answer that came behind
     * it. Once per watch, also over reconnects; a node's end is not told. May be NULL. */
    void (*changed)(void *context);
    /* A line of the library's log, rate-limited; comes from inside the library, so nothing of this file may
     * be called in it. May be NULL. */
    void (*log)(void *context, enum mig_zk_level level, const char *text);
};

struct mig_zk_options {
    struct mig_address address;
    const char *super;      /* "user:password" for addauth digest; NULL or "" = none; copied, wiped by free */
    int32_t timeout_ms;     /* of the session, as asked for */
    const char *state_root; /* znode of LOCK and BARRIER, "/zookeeper/zkferry"; copied */
    struct mig_zk_session session; /* id 0 = a new one */
};

/* Begins to connect. Callbacks come only from the loop, never from inside a call of the owner. */
enum rc mig_zk_new(struct event_base *base, const struct mig_zk_options *options,
                   const struct mig_zk_callbacks *callbacks, struct mig_zk **ret_zk,
                   struct err *err) RC_MUST_CHECK;
/* Ends the session (closeSession, so ephemerals go at once) when the server was heard lately, otherwise the
 * session is left to expire. It does not wait for the server: the connection ends in the loop, within 3 s.
 * Safe inside callbacks; none follows, also not for requests under way. NULL is fine. */
void mig_zk_free(struct mig_zk *zk);
/* Before the base is freed: waits up to 1.5 s for sessions that are being ended. Their memory goes in the
 * loop's next turn, like that of every connection. */
void mig_zk_finish(struct event_base *base);
/* Frees without ending the session; it lives for its timeout and can be attached elsewhere by giving
 * *ret_session to mig_zk_new. The plan lock survives a move to another server this way. id 0 = there was
 * none yet. */
void mig_zk_detach(struct mig_zk *zk, struct mig_zk_session *ret_session);

enum mig_zk_state mig_zk_state(const struct mig_zk *zk);
int64_t mig_zk_session_id(const struct mig_zk *zk); /* 0 = none yet */
/* Since when the connection that stands was seen to stand, monotonic; 0 = none does. */
int64_t mig_zk_connected_since_ms(const struct mig_zk *zk);
int32_t mig_zk_timeout_ms(const struct mig_zk *zk); /* as the server grants it */
/* Our end of the connection that stands or is being made. RC_NOT_FOUND: there is none. */
enum rc mig_zk_local_address(const struct mig_zk *zk, struct mig_address *ret_address) RC_MUST_CHECK;

/* Requests. They wait until the connection stands, at most until their deadline (monotonic, ms); done()
 * follows exactly once per accepted request. RC_FULL: too many unanswered; RC_NOMEM; RC_INVALID: a text is
 * too long. */
enum rc mig_zk_request(struct mig_zk *zk, enum mig_zk_op op, uint64_t seq, int64_t deadline_ms) RC_MUST_CHECK;
/* joining "server.4=…,server.5=…", leaving "1,2", each may be ""; from_version: the config must be this one,
 * else BAD_VERSION. Texts are copied. */
enum rc mig_zk_reconfig(struct mig_zk *zk, uint64_t seq, const char *joining, const char *leaving,
                        int64_t from_version, int64_t deadline_ms) RC_MUST_CHECK;
/* Takes the ephemeral state_root/lock; its data names the instance, pid, time and note (the plan id). A lock
 * left by the same instance in an earlier session is replaced in one multi. */
enum rc mig_zk_lock(struct mig_zk *zk, uint64_t seq, const char *instance, const char *note,
                    int64_t deadline_ms) RC_MUST_CHECK;
/* One znode, with or without a sync before. key: of the hashes, copied. */
enum rc mig_zk_read_node(struct mig_zk *zk, uint64_t seq, const char *path, bool sync_first,
                         const struct mig_hash_key *key, int64_t deadline_ms) RC_MUST_CHECK;
enum rc mig_zk_read_children(struct mig_zk *zk, uint64_t seq, const char *path,
                             int64_t deadline_ms) RC_MUST_CHECK;

/* Plain calls on one znode; texts are copied. CREATE makes an ephemeral that only its creator's identity may
 * touch, and no parents. SET expects the version; GET_WATCHED sets a one-shot data watch; DELETE takes any.
 */
enum rc mig_zk_create(struct mig_zk *zk, uint64_t seq, const char *path, const char *data,
                      int64_t deadline_ms) RC_MUST_CHECK;
enum rc mig_zk_set(struct mig_zk *zk, uint64_t seq, const char *path, const char *data, int32_t version,
                   int64_t deadline_ms) RC_MUST_CHECK;
enum rc mig_zk_get_watched(struct mig_zk *zk, uint64_t seq, const char *path,
                           int64_t deadline_ms) RC_MUST_CHECK;
enum rc mig_zk_delete(struct mig_zk *zk, uint64_t seq, const char *path, int64_t deadline_ms) RC_MUST_CHECK;

#endif
