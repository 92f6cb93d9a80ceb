/* The client of a simulated ensemble (ensemble.h) and what it may rely on (protocol.md §4.1): replies in
 * order, nothing unsolicited, zxids and state never backwards, every event before the reply that shows the
 * change, each event that is due and no other. What is due is computed from the ensemble's log by watch
 * tables of its own, as if one server had served it all the time.
 *
 * After a crash of its server ZooKeeper's own contract is less: one-shot watches are caught up with by
 * SetWatches, events of lasting ones may not be missing but may come twice. */
#ifndef TESTS_RIG_CLIENT_H
#define TESTS_RIG_CLIENT_H

#include <stdio.h>

#include "tests/rig/ensemble.h"

#define RIG_PENDING_MAX 32
#define RIG_DUE_MAX     256

struct rig_pending {
    int32_t xid;
    int32_t op;
    int path;
    int32_t value; /* watch flag, mode, or type */
};

struct rig_due {
    int place;
    struct rig_fired fired;
};

struct rig_client {
    struct rig_ensemble *e;
    bool is_open;
    int32_t timeout_ms;
    int32_t next_xid;
    int64_t heard_ms;
    int64_t said_ms;
    int64_t last_zxid;
    int pings; /* unanswered */
    int auths;
    int pending_count;
    struct rig_pending pending[RIG_PENDING_MAX];
    struct rig_tables armed;   /* by what was delivered */
    struct rig_tables perfect; /* by the log, up to `seen` */
    int seen;                  /* the client has evidence of the log up to here */
    int twice;                 /* events of lasting watches up to here may come again */
    int twice_caught_up;       /* the same as catch-up events of one-shot watches beside them */
    int due_count;
    struct rig_due due[RIG_DUE_MAX];
    int catch_up_count;
    struct rig_fired catch_ups[2 * RIG_PATHS];
    uint64_t events;
    uint64_t repeated;
    uint64_t replies;
    uint64_t transcript; /* hash of all that was heard */
    char fault[160];     /* the first broken promise; empty = none */
};

#define RIG_FAULT(client, ...)                                                                               \
    ((client)->fault[0] == '\0' ? (void)snprintf((client)->fault, sizeof((client)->fault), __VA_ARGS__)      \
                                : (void)0)

void rig_client_begin(struct rig_client *c, struct rig_ensemble *e, int32_t timeout_ms);
/* A frame's body. */
void rig_client_hears(struct rig_client *c, struct zkp_slice body);
bool rig_has(const struct rig_tables *tables, uint8_t bits);
/* It is served by another connection, and the old one's events ended before they were drained. */
void rig_client_caught_up(struct rig_client *c, const struct rig_conn *conn);
/* The old connection was drained. Not up to the same place as the new one: then events of lasting watches may
 * come twice. From 3.9 their zxids prevent that, and the cut need not be exact; but an event that SetWatches
 * makes up for a one-shot watch on the same path has none. */
void rig_client_drained(struct rig_client *c, const struct rig_conn *conn, bool is_exact);

#endif
