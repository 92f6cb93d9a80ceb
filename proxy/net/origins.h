/* Where clients come from: what each address has open, and how fast it comes. One host may not take what all
 * need (ZooKeeper's maxClientCnxns does not see who is behind us). An origin is an IPv4 address, or an IPv6
 * network of 64 bits, which is what one host gets; IPv4 mapped into IPv6 is IPv4.
 *
 * Control decides at accept and is the only one that counts up; whoever closes the socket counts down, from
 * any thread. So a limit is never passed, however many workers and listeners there are. An origin without a
 * connection is forgotten a second after its last one: the table is as big as what is open, and
 * PX_ORIGINS_IDLE_MAX. */
#ifndef PROXY_NET_ORIGINS_H
#define PROXY_NET_ORIGINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "conf/network.h"

#define PX_ORIGINS_IDLE_MAX 16384u

/* Why a connection is closed at accept. X(name, label, the key that allows more) */
#define PX_REFUSALS(X)                                                                                       \
    X(CONNECTIONS, "connections", "limits.sessions")                                                         \
    X(ADDRESS_CONNECTIONS, "address_connections", "limits.per_address.connections")                          \
    X(ADDRESS_RATE, "address_rate", "limits.per_address.connects_per_second")                                \
    X(MEMORY, "memory", "")

enum px_refusal {
#define PX_REFUSAL_ENUM(name, label, key) PX_REFUSAL_##name,
    PX_REFUSALS(PX_REFUSAL_ENUM)
#undef PX_REFUSAL_ENUM
        PX_REFUSAL_COUNT /* also: not refused */
};
const char *px_refusal_name(enum px_refusal refusal);
const char *px_refusal_key(enum px_refusal refusal);

struct px_origin_limits {
    int64_t open_max;                    /* connections in all */
    uint32_t connections_max;            /* of one origin; 0 = no limit of its own */
    uint32_t connects_per_second;        /* of one origin, and as many at once; 0 = no limit */
    const struct conf_networks *exempts; /* from the limits of one origin */
};

struct px_origins; /* owned by control; outlives every connection */
struct px_origin;  /* one connection's share in its origin; given back with px_origin_leave */

/* NULL: out of memory. seed: so that nobody can choose addresses that meet in one bucket. */
struct px_origins *px_origins_new(uint64_t seed);
void px_origins_free(struct px_origins *origins); /* NULL is fine */
/* A connection was accepted: PX_REFUSAL_COUNT and its share, or why it must be closed. Control thread. */
enum px_refusal px_origins_enter(struct px_origins *origins, const struct sockaddr *address,
                                 const struct px_origin_limits *limits, int64_t now_ms,
                                 struct px_origin **ret_origin);
/* Its socket is closed. NULL, a connection of our own, is fine. Any thread. */
void px_origin_leave(struct px_origin *origin);
/* Once more / once less of its connections says nothing; false: `max` do already. 0 = no limit of its own,
 * like for NULL and those that are exempt. Any thread. */
bool px_origin_silence_take(struct px_origin *origin, uint32_t max);
void px_origin_silence_give(struct px_origin *origin);

/* Forgets those that are not needed, once a second. Control thread. */
void px_origins_tick(struct px_origins *origins, int64_t now_ms);
uint32_t px_origins_count(const struct px_origins *origins); /* origins that are remembered */
uint32_t px_origins_open(const struct px_origins *origins);  /* connections of all */

#endif
