/* What the client library has asked on one connection and the server still owes it: every frame of both is
 * shown to the ledger before it is passed on, and none passes that would not have its place (protocol.md
 * §1.2, §1.3). The library itself believes what it reads: a reply too many is an assertion of it, a short one
 * reads free memory. Pure. */
#ifndef MIGRATE_ZKCLIENT_LEDGER_H
#define MIGRATE_ZKCLIENT_LEDGER_H

#include "zkproto/err.h"
#include "zkproto/slice.h"

#define ZK_OWED_MAX  128u /* requests of the owner are limited to 64; pings, auth and watches come on top */
#define ZK_MULTI_MAX 4u   /* sub-operations of one multi; the plan lock's has two */
/* Of what a session of ours reads: data is smaller, and a list of 700,000 children is not longer. The library
 * needs several times as much for the shortest names. */
#define ZK_FRAME_MAX (16u << 20)

struct zk_owed {
    int32_t xid;
    int32_t op;
    uint32_t path_length;
    uint32_t multi_count;
    int32_t multi[ZK_MULTI_MAX];
};

/* Owned by the relay of one connection; zero it to begin. */
struct zk_ledger {
    bool has_asked;     /* the ConnectRequest has passed */
    bool is_attached;   /* and its answer */
    int64_t session_id; /* asked for, 0 = a new one; then the one that was given */
    uint32_t first;     /* owed[first … first + count), modulo ZK_OWED_MAX */
    uint32_t count;
    struct zk_owed owed[ZK_OWED_MAX]; /* answered in order */
    uint32_t pings;                   /* owed too, in any order */
    uint32_t auths;
    uint32_t set_watches;
    bool may_fire; /* a watch was asked for: events may come */
};

/* A frame of the library, without its length. RC_MALFORMED: not what a library of ours sends; RC_FULL. */
enum rc zk_ledger_request(struct zk_ledger *ledger, struct zkp_slice body, struct err *err) RC_MUST_CHECK;
/* Whether a frame of the server may be so long that begins with these bytes (all of it, or at least its reply
 * header), so that nothing is kept for one that may not. RC_TOO_BIG, RC_MALFORMED. */
enum rc zk_ledger_length(const struct zk_ledger *ledger, uint32_t length, struct zkp_slice begin,
                         struct err *err) RC_MUST_CHECK;
/* A frame of the server, without its length. Anything but RC_OK: it must not be passed on, and the connection
 * is of no use any more; err says what is wrong with it. */
enum rc zk_ledger_reply(struct zk_ledger *ledger, struct zkp_slice body, struct err *err) RC_MUST_CHECK;

#endif
