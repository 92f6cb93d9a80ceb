/* Between the files of the admin connection. All library calls are made from zk_pump (zkclient.c), never
 * from inside the library's own callbacks: those only note what happened. */
#ifndef MIGRATE_ZKCLIENT_INT_H
#define MIGRATE_ZKCLIENT_INT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <utlist.h>
#include <zookeeper/zookeeper.h>

#include "migrate/zkclient/zkclient.h"
#include "migrate/zkclient/zkclient_door.h"
#include "migrate/zkclient/zkclient_relay.h"

#define ZK_HOST_MAX      80u   /* numeric address and port */
#define ZK_LOCK_DATA_MAX 1024u /* what a lock's holder writes about itself; ours is shorter */
#define ZK_CONFIG_MAX    (64u * 1024u)

/* One request of the owner: a chain of library calls, one at a time. Owned by zk->requests. */
struct zk_request {
    struct zk_request *prev;
    struct zk_request *next;
    struct mig_zk *zk;
    enum mig_zk_op op;
    uint64_t seq;
    int64_t deadline_ms;
    int stage;        /* meaning: the op's; 0 = nothing was called yet */
    bool is_called;   /* the library owes an answer */
    bool has_answer;  /* it came: answer_err, stat, data */
    bool is_done;     /* rc is set; to be reported */
    bool is_reported; /* a late answer may still come: kept for it, then freed */
    int answer_err;
    struct Stat stat;
    char *data; /* malloc'ed, NUL-terminated */
    uint32_t data_length;
    /* arguments */
    char *joining; /* RECONFIG; LOCK: the data to write */
    char *leaving; /* RECONFIG; LOCK: the prefix that tells our own data */
    int64_t from_version;
    uint32_t tries;
    uint64_t connection;  /* COMMITTED_CONFIG: the one the barrier was sent on */
    uint32_t path_length; /* LOCK: components of the root made so far */
    zoo_op_t multi[2];
    zoo_op_result_t multi_results[2];
    char *path;              /* READ_NODE, READ_CHILDREN, the plain calls */
    char *value;             /* CREATE, SET: what to write */
    int32_t version;         /* SET */
    bool sync_first;         /* READ_NODE */
    struct mig_hash_key key; /* READ_NODE */
    struct Stat data_stat;   /* READ_NODE: came with the data */
    /* result */
    enum rc rc;
    int32_t zk_err;
    struct zkp_config *config; /* malloc'ed */
    struct mig_node node;      /* kind and stat are set at the end, hashes as they come */
    struct mig_names names;    /* bytes are malloc'ed */
    struct mig_stat seen;      /* SET, GET_WATCHED */
    char text[MIG_ZK_TEXT_MAX];
};

struct zk_log_gate {
    int64_t window_ms; /* when the current window began */
    uint32_t lines;
    uint32_t dropped;
};

/* Owned by the control thread. handle == NULL between the end of one handle and the next try. */
struct mig_zk {
    struct event_base *base;
    struct mig_zk_callbacks callbacks;
    struct mig_address address;
    char host[ZK_HOST_MAX]; /* the server, for people */
    const char *super;      /* a secret of zkproto/secret.h; NULL = none */
    int32_t timeout_ms;
    char root[MIG_ZK_ROOT_MAX];
    char lock_path[MIG_ZK_ROOT_MAX + 8];
    char never_path[MIG_ZK_ROOT_MAX + 8];

    zhandle_t *handle;
    struct zk_door door;    /* the handle's only address */
    struct zk_relay *relay; /* NULL = no way to the server, nor one that is being made */
    int64_t dial_at_ms;     /* with a handle and no relay */
    bool has_socket;        /* the library has one; without it must not be called before a relay is READY */
    char refusal[MIG_ZK_TEXT_MAX]; /* why a connection was closed for what the server had sent, until the next
                                      one stands; "" = it was not */
    struct event io;               /* one-shot, assigned anew before every wait */
    int fd;                        /* what the library wants watched; -1 = nothing */
    struct event *wake;   /* activated by hand; not the timer, whose activation event_add takes back */
    struct event *timer;  /* deadlines */
    int64_t reopen_at_ms; /* with handle == NULL */
    int64_t heard_at_ms;  /* last time the server was heard; 0 = never in this session */
    int32_t granted_ms;   /* session timeout, 0 = not known */
    struct mig_zk_session session;

    enum mig_zk_state state;
    enum mig_zk_state told_state;
    bool is_connected; /* what the library's watcher said last */
    int64_t connected_at_ms;
    uint64_t connection; /* counts them */
    bool must_replace;   /* the handle is of no use any more */
    bool must_tell_expired;
    const char *why;

    uint32_t changes; /* watches that have fired and were not told yet */
    struct zk_request *requests;
    uint32_t request_count;
    bool is_pumping;
    bool is_detached; /* the session lives on: no closeSession */
    bool is_freed;    /* by the owner, inside one of its callbacks: zk_pump finishes the work */
    struct zk_log_gate log_gate;
};

/* zkclient.c */
void zk_schedule(struct mig_zk *zk); /* pump in the next turn of the loop */

/* zkclient_handle.c: one library handle's life. */
void zk_handle_open(struct mig_zk *zk, int64_t now_ms);
/* Without blocking; closeSession goes out if is_orderly and the server was heard lately. Completions of what
 * was outstanding run inside. */
void zk_handle_close(struct mig_zk *zk, bool is_orderly, int64_t now_ms);
void zk_handle_arm(struct mig_zk *zk, int64_t now_ms);
void zk_handle_door_text(const struct mig_zk *zk, char *buf, size_t capacity); /* as the library names it */
/* The watcher's notes, expiry and hopeless states turned into zk->state and a new handle. */
void zk_handle_check(struct mig_zk *zk, int64_t now_ms);

/* zkclient_request.c */
void zk_requests_run(struct mig_zk *zk, int64_t now_ms); /* start, advance, time out */
void zk_requests_report(struct mig_zk *zk);              /* call done() for what is done; free it */
int64_t zk_requests_deadline(const struct mig_zk *zk);   /* the next one, INT64_MAX = none */
void zk_requests_free(struct mig_zk *zk);                /* all, silently; no handle any more */
/* The library's answers; data is the request. */
void zk_on_void(int err, const void *data);
void zk_on_stat(int err, const struct Stat *stat, const void *data);
void zk_on_data(int err, const char *value, int length, const struct Stat *stat, const void *data);
void zk_on_string(int err, const char *value, const void *data);
/* For answers of other kinds: what they bring is noted before. */
void zk_answer(struct zk_request *r, int err, const struct Stat *stat);
/* Call after every zoo_a*: an error means that nothing was sent and becomes the answer. */
void zk_called(struct zk_request *r, int stage, int err);
/* Sets the result; later calls for the same request are ignored. */
void zk_done(struct zk_request *r, enum rc rc, int32_t zk_err, const char *text);
/* The rc of an error that leaves no doubt or does not matter: IO, TIMEOUT or REFUSED with zk_err. */
void zk_done_failed(struct zk_request *r);
bool zk_err_is_servers(int err);
/* Of an error that no server has sent. */
const char *
zk_err_text(const struct zk_request *r); /* an answer of the ensemble, not an end of the connection */

/* A request without arguments; the owner's side of those with some adds them. */
enum rc zk_request_new(struct mig_zk *zk, enum mig_zk_op op, uint64_t seq, int64_t deadline_ms,
                       struct zk_request **ret_request) RC_MUST_CHECK;
void zk_request_free(struct mig_zk *zk, struct zk_request *r);

/* The library's Stat as ours. */
void zk_stat_copy(const struct Stat *stat, struct mig_stat *ret_stat);

/* zkclient_ops.c, zkclient_lock.c, zkclient_read.c, zkclient_plain.c: the next call of the chain, or zk_done.
 */
void zk_op_advance(struct zk_request *r);
void zk_lock_advance(struct zk_request *r);
void zk_lock_drop_advance(struct zk_request *r);
void zk_peek_lock_advance(struct zk_request *r);
void zk_read_node_advance(struct zk_request *r);
void zk_read_children_advance(struct zk_request *r);
void zk_create_advance(struct zk_request *r);
void zk_set_advance(struct zk_request *r);
void zk_get_watched_advance(struct zk_request *r);
void zk_delete_advance(struct zk_request *r);
/* What our lock says, and the beginning by which we know it; -1 = does not fit. */
int zk_lock_data(char *buf, size_t capacity, const char *instance, const char *note);
int zk_lock_prefix(char *buf, size_t capacity, const char *instance);

/* zkclient_log.c: brackets around library calls, so that its log lines find their connection. */
void zk_enter(struct mig_zk *zk);
void zk_leave(void);
void zk_on_log(const char *line);
void zk_log(struct mig_zk *zk, enum mig_zk_level level, const char *text); /* a line of our own */

#endif
