/* Compares the trees of servers with the tree of one of them, the reference (the leader), node by node:
 * existence, data, every field of Stat, ACL. The pure core: it says which server to ask for what
 * (mig_verify_next), is told the answers, and decides what is equal, what is different and what must be
 * looked at again because it may only be a change under way. Owns no connection, clock or log. One thread.
 *
 * A difference counts when the reference showed the same node before and after a server, asked behind a
 * `sync`, showed the same other one, twice in a row: whatever the reference had committed before, the server
 * has applied by then. Everything else is read again after a pause. A node that is written all the time is
 * never equal; there the server must be, some rounds in a row, at a moment between the two readings of the
 * reference (then the node counts as moving), and is different when it never is.
 *
 * Not here: counts (verify_counts.h), connections and their loss (proxy/control/verify/verify.h). Nodes
 * created during the walk behind its back are not visited: they are younger than it. */
#ifndef MIGRATE_VERIFY_H
#define MIGRATE_VERIFY_H

#include <stdbool.h>

#include "migrate/facts.h"
#include "migrate/verify/node.h"
#include "zkproto/err.h"

struct mig_verify; /* owned by the caller */

#define MIG_VERIFY_ALL           UINT32_MAX
#define MIG_VERIFY_REFERENCE     0u   /* index of the reference among the servers */
#define MIG_VERIFY_IN_FLIGHT_MAX 16u  /* per server: clients' requests must not queue behind ours */
#define MIG_VERIFY_LISTED_MAX    100u /* findings kept by path, of each kind; all are counted */
#define MIG_VERIFY_SKIPS_MAX     4u
#define MIG_VERIFY_PATH_MAX      1024u /* of a path in options; those of nodes have no limit of ours */

enum mig_verify_op {
    MIG_VERIFY_READ,        /* the node */
    MIG_VERIFY_READ_SYNCED, /* the node, behind a sync on the same connection */
    MIG_VERIFY_CHILDREN,
};

/* One thing to ask. path is borrowed until the next call. */
struct mig_verify_ask {
    uint64_t ticket;
    uint32_t server;
    enum mig_verify_op op;
    const char *path;
};

/* DIFFERENT is the verdict people look for; the others say what could not be compared. */
#define MIG_VERIFY_KINDS(X)                                                                                  \
    X(DIFFERENT, "different")                                                                                \
    X(UNREADABLE, "unreadable") /* an ACL keeps us out, or a server never gave a usable answer */            \
    X(UNSETTLED, "unsettled")   /* changed faster than it could be compared, every time */

enum mig_verify_kind {
#define MIG_VERIFY_KIND_ENUM(name, text) MIG_VERIFY_##name,
    MIG_VERIFY_KINDS(MIG_VERIFY_KIND_ENUM)
#undef MIG_VERIFY_KIND_ENUM
        MIG_VERIFY_KIND_COUNT
};
const char *mig_verify_kind_name(enum mig_verify_kind kind);

struct mig_verify_finding {
    uint32_t server; /* index, or MIG_VERIFY_ALL */
    char *path;
    char what[MIG_TEXT_MAX]; /* "data; mzxid 0x5, on the leader 0x7" */
};

struct mig_verify_server {
    uint64_t compared;
    uint64_t different;
    bool is_given_up;
    char why[MIG_TEXT_MAX]; /* with is_given_up */
};

struct mig_verify_report {
    uint64_t compared;  /* nodes */
    uint64_t rechecked; /* of them: not equal at first sight */
    uint64_t moving;    /* of them: written all the time; always between what the reference showed */
    uint64_t totals[MIG_VERIFY_KIND_COUNT];
    uint32_t listed[MIG_VERIFY_KIND_COUNT]; /* <= MIG_VERIFY_LISTED_MAX */
    const struct mig_verify_finding *findings[MIG_VERIFY_KIND_COUNT];
    uint32_t server_count; /* with the reference */
    const struct mig_verify_server *servers;
};

struct mig_verify_options {
    uint32_t server_count; /* 2 … MIG_SERVERS_MAX, with the reference */
    /* Subtrees that are not compared; NULL ends the list. Copied. */
    const char *skips[MIG_VERIFY_SKIPS_MAX];
    const char *from; /* nodes before this path (in the order of the walk) are not compared; "" = all */
};

/* Servers are down until mig_verify_server_is_up says otherwise. RC_INVALID: a path is none or too long. */
enum rc mig_verify_new(const struct mig_verify_options *options, struct mig_verify **ret_verify,
                       struct err *err) RC_MUST_CHECK;
void mig_verify_free(struct mig_verify *verify); /* NULL is fine */

/* The next thing to ask; false = nothing at the moment. now_ms: monotonic. */
bool mig_verify_next(struct mig_verify *verify, int64_t now_ms, struct mig_verify_ask *ret_ask);
/* When mig_verify_next is to be called again although no answer came; INT64_MAX = no such time. */
int64_t mig_verify_due_ms(const struct mig_verify *verify);

/* Each ask has exactly one of these. Tickets that are not known any more are ignored. */
void mig_verify_node(struct mig_verify *verify, uint64_t ticket, const struct mig_node *node, int64_t now_ms);
void mig_verify_children(struct mig_verify *verify, uint64_t ticket, const struct mig_names *names,
                         int64_t now_ms);
/* No answer. The same is asked again when the server is up; is_hopeless counts against the node, which is
 * UNREADABLE after some of them. */
void mig_verify_failed(struct mig_verify *verify, uint64_t ticket, bool is_hopeless, int64_t now_ms);

/* Only servers that are up are asked. */
void mig_verify_server_is_up(struct mig_verify *verify, uint32_t server, bool is_up);
/* The server is not asked any more. Without the reference, or without any other, the walk is over. */
void mig_verify_give_up(struct mig_verify *verify, uint32_t server, const char *why, int64_t now_ms);

bool mig_verify_is_over(const struct mig_verify *verify);
/* The whole tree was walked: over, and not for lack of the reference, of all others, or of memory. */
bool mig_verify_is_complete(const struct mig_verify *verify);
/* Over and not complete: why. "" otherwise. */
const char *mig_verify_why(const struct mig_verify *verify);
/* Every node before this path was compared: `from` of a walk that goes on with this one. "" = all were.
 * Returns false when it does not fit. */
bool mig_verify_at(const struct mig_verify *verify, char *buf, uint32_t capacity);
/* Borrowed, and as it stands at the moment. */
const struct mig_verify_report *mig_verify_report(const struct mig_verify *verify);

#endif
