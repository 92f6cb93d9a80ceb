/* uthash with a hash for 64-bit keys: two multiplications instead of a loop over bytes whose fall-throughs
 * clang rejects. Include this instead of uthash.h; every key must be 8 bytes. */
#ifndef PROXY_NET_HASH_H
#define PROXY_NET_HASH_H

#include <stdint.h>
#include <string.h>

static inline unsigned px_hash_u64(const void *key)
{
    uint64_t mixed;

    memcpy(&mixed, key, sizeof(mixed));
    mixed = (mixed ^ mixed >> 32) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing: ids count up */
    return (unsigned)(mixed >> 32);
}

#define HASH_FUNCTION(key, length, hash) ((hash) = px_hash_u64(key))
#include <uthash.h>

#endif
