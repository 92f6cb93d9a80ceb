/* What witness.c (when it runs, what it says) and witness_session.c (its session) share. Control thread. */
#ifndef PROXY_CONTROL_WITNESS_WITNESS_INT_H
#define PROXY_CONTROL_WITNESS_WITNESS_INT_H

#include "migrate/resolve.h"
#include "migrate/zkclient/zkclient.h"
#include "proxy/control/witness/witness.h"

#define WITNESS_WRITE_MS 100 /* between two writes; a stall is measured to this */
#define WITNESS_PATH_MAX (MIG_ZK_ROOT_MAX + 64u)

enum witness_state {
    WITNESS_IDLE,
    WITNESS_RUNNING,
    WITNESS_ENDING, /* its node is being deleted */
};

/* What the session does next; one request at a time. */
enum witness_stage {
    WITNESS_MAKE,      /* create the node */
    WITNESS_CLEAR,     /* one of an earlier session is there: delete it */
    WITNESS_READ,      /* read it and set the watch */
    WITNESS_WRITE,     /* at the next turn of the timer */
    WITNESS_UNMAKE,    /* the end: delete the node … */
    WITNESS_LEAVE_ROOT /* … and the state root, unless it is in use */
};

enum witness_watcher_stage {
    WATCHER_IDLE,
    WATCHER_DIALLING,
    WATCHER_GREETING, /* the ConnectResponse is awaited */
    WATCHER_ARMING,   /* addWatch is out */
    WATCHER_WATCHING,
    WATCHER_UNABLE, /* no such watches there */
};

/* witness_watcher.c */
struct witness_watcher {
    enum witness_watcher_stage stage;
    struct event *event; /* of the connection; NULL = none */
    struct mig_address address;
    int64_t said_ms;
    int64_t heard_ms;
    uint32_t set_count; /* addWatch answered */
    uint32_t length;    /* of what has come and is no whole frame yet */
    uint8_t bytes[2048];
};

struct px_witness {
    struct event_base *base;
    const char *instance;
    px_witness_held_fn *is_held;
    void *context;
    struct event *timer; /* every WITNESS_WRITE_MS unless idle */
    enum witness_state state;
    int64_t ending_deadline_ms;
    bool has_told_stall;
    struct mig_witness judge;
    struct witness_watcher watcher;
    struct px_witness_result result; /* plan and times; the rest is filled when asked for */
    /* the session */
    struct mig_zk *zk; /* NULL = idle */
    enum witness_stage stage;
    bool is_asked; /* a request is unanswered */
    char root[MIG_ZK_ROOT_MAX];
    char path[WITNESS_PATH_MAX];
};

/* witness.c */
void witness_judge(struct px_witness *witness, const struct mig_witness_event *event);
bool witness_is_same(const struct mig_address *local, const struct sockaddr *peer);

/* witness_session.c */
enum rc witness_session_open(struct px_witness *witness, const struct px_witness_order *order,
                             struct err *err) RC_MUST_CHECK;
/* A turn of the timer: a write is due, or what failed is tried again. */
void witness_session_turn(struct px_witness *witness);
/* The node and the root are deleted, then the session ends and the state is IDLE. */
void witness_session_end(struct px_witness *witness);
/* At once, and whatever it holds is left to expire. */
void witness_session_drop(struct px_witness *witness);

/* witness_watcher.c: only while RUNNING. */
void witness_watcher_begin(struct px_witness *witness, const struct mig_address *to);
void witness_watcher_turn(struct px_witness *witness);
void witness_watcher_end(struct px_witness *witness);
bool witness_watcher_is_peer(const struct px_witness *witness, const struct sockaddr *peer);

#endif
