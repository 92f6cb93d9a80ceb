/* The continuity witness's judge: is what one session saw of its own node what an uninterrupted ensemble
 * would have shown it? The node is an ephemeral counter. Over and over it is read with a one-shot data watch
 * and then written with the version it must have, so that each answer proves the one before. Pure: events
 * with their times in, figures out; no I/O, no clock. The session itself is proxy/control/witness/witness.h.
 */
#ifndef MIGRATE_WITNESS_H
#define MIGRATE_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

/* All of them only grow. X(name, what it says) */
#define MIG_WITNESS_COUNTS(X)                                                                                \
    X(writes, "Writes sent.")                                                                                \
    X(acked, "Writes acknowledged.")                                                                         \
    X(unknown, "Writes without an answer: nobody can say whether they were done.")                           \
    X(refused, "Requests that were refused although nothing is wrong with them.")                            \
    X(gaps, "Answers that showed another version or value than the writes so far had made.")                 \
    X(disconnects, "Connections lost.")                                                                      \
    X(expired, "Sessions that expired.")                                                                     \
    X(ephemerals_lost, "Times the ephemeral was gone or another one than was created.")                      \
    X(events, "Watch events received.")                                                                      \
    X(events_late, "Watch events that came behind an answer that had shown their change.")                   \
    X(events_missed, "Changes that were read although their watch event had not come.")                      \
    X(events_doubled, "Watch events without a change since the watch was set.")                              \
    X(watches_lost, "Connections lost of a second session, which holds a persistent and a recursive watch.")

struct mig_witness_figures {
#define MIG_WITNESS_MEMBER(name, help) uint64_t name;
    MIG_WITNESS_COUNTS(MIG_WITNESS_MEMBER)
#undef MIG_WITNESS_MEMBER
    int64_t stall_ms; /* the longest time without an acknowledged write */
};

/* Of one plan, over all lives of the daemon: what the plan's records carry. Nothing is known of the time
 * between two lives, and nothing is counted for it. */
struct mig_witness_account {
    int64_t started_wall_ms; /* in the first life it ran in; 0 = it has not run yet */
    struct mig_witness_figures figures;
};

enum mig_witness_event_kind {
    MIG_WITNESS_BEGUN,        /* from now on writes are to be acknowledged; no node is known */
    MIG_WITNESS_STOPPED,      /* until the next BEGUN nothing is expected */
    MIG_WITNESS_DISCONNECTED, /* the connection was lost, the session may live on */
    MIG_WITNESS_EXPIRED,      /* the session is gone, and the node and the watch with it */
    MIG_WITNESS_READ,         /* node, value: read, and the watch is set */
    MIG_WITNESS_SENT,         /* a write; only after READ */
    MIG_WITNESS_ACKED,        /* node: … was acknowledged */
    MIG_WITNESS_UNKNOWN,      /* … has no answer and will have none */
    MIG_WITNESS_STALE,        /* … was refused: the version is another one */
    MIG_WITNESS_GONE,         /* a read or a write found no node; it is made anew */
    MIG_WITNESS_REFUSED,      /* a read or a write was refused for any other reason */
    MIG_WITNESS_FIRED,        /* the watch's event */
    MIG_WITNESS_WATCHES_LOST, /* the session with the lasting watches was cut */
};

/* Of the Stat. The first READ of a node says who it is. */
struct mig_witness_node {
    int64_t czxid;
    int64_t owner;
    int32_t version;
};

struct mig_witness_event {
    enum mig_witness_event_kind kind;
    int64_t now_ms; /* monotonic */
    struct mig_witness_node node;
    int64_t value; /* the number in the node; writes make it equal to the version */
};

/* Owned by its user; fields are the judge's own. */
struct mig_witness {
    struct mig_witness_figures figures;
    bool is_begun;
    int64_t acked_at_ms; /* the last acknowledgement, or BEGUN */
    bool has_node;
    bool is_version_known; /* false: the next READ may show any */
    bool is_unresolved;    /* a write with unknown outcome may have made one version more */
    struct mig_witness_node node;
    bool is_armed; /* a watch is set and its event has not come */
    int32_t armed_version;
    bool is_written;      /* since the watch was set */
    bool is_acked;        /* … and the answer has come */
    uint32_t owed_events; /* missed, but they may still come */
};

/* Figures go on from those so far; NULL = from 0. Borrowed for the call. */
void mig_witness_init(struct mig_witness *witness, const struct mig_witness_figures *so_far);
void mig_witness_step(struct mig_witness *witness, const struct mig_witness_event *event);

/* How long no write has been acknowledged, 0 unless begun. */
int64_t mig_witness_waits_ms(const struct mig_witness *witness, int64_t now_ms);
/* The figures at this moment: a stall that lasts is in stall_ms already. */
struct mig_witness_figures mig_witness_figures(const struct mig_witness *witness, int64_t now_ms);
/* Writes were acknowledged and nothing happened that a client of an uninterrupted ensemble would not see.
 * Stalls are not judged here: how long is too long depends on the clients. */
bool mig_witness_is_clean(const struct mig_witness_figures *figures);
/* Are any of them so far ahead of those kept that keeping them again is worth a write? A share and not a
 * number, so that a plan that waits for weeks does not fill the disk: what is kept is behind by at most that
 * share. */
bool mig_witness_outgrew(const struct mig_witness_figures *kept, const struct mig_witness_figures *now);
#define MIG_WITNESS_KEPT_SHARE 64u
/* The version the node has by everything known: a write expects it and makes the next one. */
int32_t mig_witness_version(const struct mig_witness *witness);

#endif
