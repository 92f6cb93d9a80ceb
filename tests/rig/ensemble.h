/* A small ZooKeeper ensemble inside a test: three servers with one log of transactions, each at its own place
 * in it; a tree of six nodes; the watch tables of protocol.md §2, with the one-mode quirk of up to 3.8; one
 * session with its owner (§3.2), its expiry clock, and any number of connections. Time and order of
 * everything are the caller's.
 *
 * Replies of the pipeline carry the server's place in the log as their body, and events carry it where
 * WatcherEvent has its state (negative for SetWatches' catch-up events): the client's oracle in client.h
 * reads them there, the core does not look. What the proxy asks for itself has real bodies. Not here: ACLs,
 * multi, closeSession, ephemerals. */
#ifndef TESTS_RIG_ENSEMBLE_H
#define TESTS_RIG_ENSEMBLE_H

#include <string.h>

#include "proxy/session/watch_set.h"
#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
#include "zkproto/zkerr.h"

#define RIG_SERVERS   3
#define RIG_PATHS     6
#define RIG_LOG_MAX   1024
#define RIG_CONNS     16
#define RIG_QUEUE     64
#define RIG_FRAME_MAX 400
#define RIG_SID       0x100000000000001ll
#define RIG_NONE      (-1)
#define RIG_XID_LOOK  INT32_MIN /* the proxy's own requests on a connection that it restores */

extern const char *const rig_names[RIG_PATHS];
extern const int rig_parents[RIG_PATHS];

enum rig_change { RIG_NOTHING, RIG_CREATE, RIG_DELETE, RIG_SET };

struct rig_txn {
    int64_t zxid;
    enum rig_change change;
    int path;
    int32_t xid; /* of the client's write; 0 = somebody else's */
};

struct rig_node {
    bool exists;
    int made;    /* place in the log: czxid */
    int changed; /* place in the log: mzxid */
    int touched; /* of its children: pzxid */
};

struct rig_tree {
    struct rig_node nodes[RIG_PATHS];
    int root_touched; /* pzxid of "/" */
};

/* Watch tables: data, child. */
enum { RIG_DATA, RIG_CHILD };
enum { RIG_ONCE = 1, RIG_LASTS = 2, RIG_BELOW = 4 };

struct rig_tables {
    uint8_t bits[2][RIG_PATHS];
    int since[2][RIG_PATHS];     /* of a one-shot watch: place in the log */
    bool was_missing[RIG_PATHS]; /* set by exists on a missing node */
};

struct rig_fired {
    int32_t type;
    int path;
};

struct rig_frame {
    uint32_t length; /* of the body */
    int64_t at_ms;
    int64_t asked_ms; /* an answer: when its request was sent; 0 = none, or no sign of life (auth) */
    bool has_more;    /* events of one transaction travel together */
    uint8_t body[RIG_FRAME_MAX];
};

struct rig_queue {
    uint32_t head;
    uint32_t count;
    struct rig_frame ring[RIG_QUEUE];
};

struct rig_conn {
    int server;
    bool has_proxy;  /* the proxy's end is open */
    bool has_server; /* the server's end is open */
    bool is_attached;
    int awaited;     /* its head request waits for this place in the log; RIG_NONE = not begun */
    int once_set;    /* place at which SetWatches registered, RIG_NONE = not yet */
    int lasting_set; /* the same of SetWatches2 */
    struct rig_tables tables;
    struct rig_queue to_server;
    struct rig_queue to_proxy;
};

struct rig_server {
    bool is_alive;
    bool is_hung;
    int applied;        /* transactions of the log */
    int64_t hung_epoch; /* it hangs since then */
    int32_t timeout_max_ms;
    struct rig_tree tree;
};

struct rig_ensemble {
    enum px_watch_rule rule;
    int64_t now_ms;
    int leader; /* RIG_NONE: nobody serves */
    int64_t epoch;
    int64_t leaderless_ms; /* last seen without */
    int log_count;
    int owner; /* of the session; RIG_NONE before it was made */
    bool is_expired;
    int64_t touched_ms;
    int64_t asked_ms; /* of the request that is being served */
    int32_t timeout_ms;
    struct rig_server servers[RIG_SERVERS];
    struct rig_conn conns[RIG_CONNS];
    struct rig_txn log[RIG_LOG_MAX];
};

/* --- watch tables, of a server's connection or the client's own idea of them --- */

void rig_watch(struct rig_tables *tables, enum px_watch_rule rule, int path, enum zkp_watch_list list,
               int place);
/* removeWatches 1, 2, 3. False: there was none. */
bool rig_unwatch(struct rig_tables *tables, enum px_watch_rule rule, int path, int32_t type);
/* What a transaction sends to the connection with these tables, in order; at most two. */
int rig_fire(struct rig_tables *tables, const struct rig_txn *txn, struct rig_fired *ret_fired);
/* What SetWatches does with one path; returns the type of its catch-up event, 0 = registered. */
int32_t rig_catch_up(const struct rig_tree *tree, int path, enum zkp_watch_list list, int since);

/* --- frames under way --- */

struct rig_frame *rig_push_bytes(struct rig_ensemble *e, struct rig_queue *queue, struct zkp_slice body);
struct rig_frame *rig_front(struct rig_queue *queue);
void rig_pop(struct rig_queue *queue);

/* --- the log: a place is an index in it --- */

void rig_grow(struct rig_tree *tree, const struct rig_txn *txn, int place);
int64_t rig_zxid(const struct rig_ensemble *e, int server);
/* The place of the last transaction up to this zxid. */
int rig_place(const struct rig_ensemble *e, int64_t zxid);
void rig_send_event(struct rig_ensemble *e, struct rig_conn *conn, struct rig_fired fired, int32_t place,
                    int64_t zxid);
void rig_apply(struct rig_ensemble *e, int server);
/* The leader applies at once; a failing write is a transaction, too. False: it fails. */
bool rig_commit(struct rig_ensemble *e, enum rig_change change, int path, int32_t xid);

/* --- connections --- */

void rig_close_server(struct rig_conn *conn);
/* What the server has sent already still arrives, unless it is lost with the socket. */
void rig_close_all(struct rig_ensemble *e, int server, bool loses_bytes);
/* RIG_NONE when there is no place left. */
int rig_open(struct rig_ensemble *e, int server);
/* A ConnectRequest that is in the server's socket is still executed (protocol.md §3.3, 2). */
void rig_abandon(struct rig_conn *conn);

/* --- requests --- */

/* The answer to a look of the proxy's own: exists or getChildren2, without a watch; its length. */
uint32_t rig_look(const struct rig_ensemble *e, int server, int32_t op, struct zkp_slice name, uint8_t *body,
                  int32_t *ret_err);
int rig_path_of(struct zkp_slice name);
bool rig_is_write(int32_t op);
bool rig_is_busy(const struct rig_conn *conn);
/* One request of one connection. */
void rig_serve(struct rig_ensemble *e, struct rig_conn *conn);
/* A server that has lost its leader drops the write that it waits for, and may answer what came behind it
 * before it closes (seen with 3.8.0). */
void rig_skip_write(struct rig_ensemble *e, struct rig_conn *conn);

/* --- the servers --- */

void rig_crash(struct rig_ensemble *e, int server, bool loses_bytes);
void rig_hang(struct rig_ensemble *e, int server);
/* It finds a new leader, or none, and drops its clients. */
void rig_wake(struct rig_ensemble *e, int server);
/* The leader leaves: nobody serves until another one is elected. */
void rig_resign(struct rig_ensemble *e);
/* It serves when it has caught up. */
void rig_restart(struct rig_ensemble *e, int server);
bool rig_may_elect(const struct rig_ensemble *e);
/* All that was committed survives; everyone gets a full fresh timeout. */
void rig_elect(struct rig_ensemble *e, int server);
void rig_begin(struct rig_ensemble *e, enum px_watch_rule rule);

#endif
