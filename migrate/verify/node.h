/* What one read of a znode on one server gave, small enough to be kept: the Stat as it is, data and ACL as
 * keyed hashes. Read by migrate/zkclient/zkclient.h, compared by migrate/verify/verify.h. Pure data. */
#ifndef MIGRATE_NODE_H
#define MIGRATE_NODE_H

#include <stdbool.h>
#include <stdint.h>

/* The fields of ZooKeeper's Stat; all of them are the ensemble's, so equal on every server that has applied
 * the same transactions. Times in milliseconds since 1970. */
#define MIG_STAT_FIELDS(X)                                                                                   \
    X(int64_t, czxid)                                                                                        \
    X(int64_t, mzxid)                                                                                        \
    X(int64_t, pzxid)                                                                                        \
    X(int64_t, ctime)                                                                                        \
    X(int64_t, mtime)                                                                                        \
    X(int32_t, version)                                                                                      \
    X(int32_t, cversion)                                                                                     \
    X(int32_t, aversion)                                                                                     \
    X(int64_t, ephemeralOwner)                                                                               \
    X(int32_t, dataLength)                                                                                   \
    X(int32_t, numChildren)

struct mig_stat {
#define MIG_STAT_MEMBER(type, name) type name;
    MIG_STAT_FIELDS(MIG_STAT_MEMBER)
#undef MIG_STAT_MEMBER
};

enum mig_node_kind {
    MIG_NODE_ABSENT,
    MIG_NODE_PRESENT,    /* everything is filled in, all of one moment */
    MIG_NODE_STAT_ONLY,  /* its ACL keeps us out: neither data nor ACL nor children can be read */
    MIG_NODE_UNREADABLE, /* the server gave no answer that can be used */
};

struct mig_node {
    enum mig_node_kind kind;
    struct mig_stat stat;
    uint64_t data_hash; /* 0 = no data (jute's null) */
    uint64_t acl_hash;  /* entries in the server's order */
    bool has_ip_acl;    /* an entry of scheme ip: it means the client's address, which is now a proxy's */
    bool anyone_writes; /* world:anyone has the right to write */
};

/* Names of children as count NUL-terminated strings, one behind the other. Borrowed. */
struct mig_names {
    const char *bytes;
    uint32_t count;
};

/* The hashes' key: random per comparison, so that nobody can prepare data that looks equal. */
struct mig_hash_key {
    uint64_t words[2];
};

/* SipHash-2-4. */
uint64_t mig_hash(const struct mig_hash_key *key, const void *bytes, uint64_t length);

#endif
