/* Which client connection of this process holds a session id (design.md §4: a client that attaches an id
 * another connection still holds has to wait until that one has let go). Sharded by session id, a mutex per
 * shard, nothing else is ever locked inside. Any thread. */
#ifndef PROXY_NET_OWNER_MAP_H
#define PROXY_NET_OWNER_MAP_H

#include <stdint.h>
#include <sys/queue.h>

#include "zkproto/err.h"

struct px_owner_map;

/* A client connection of the process: its worker in the uppermost byte, below it a number there that is never
 * used twice. */
#define PX_TOKEN_WORKER_SHIFT 56

static inline uint32_t px_token_worker(uint64_t token)
{
    return (uint32_t)(token >> PX_TOKEN_WORKER_SHIFT);
}

/* A connection's place in the map, embedded in its link and written by the map only, but for the token. While
 * it holds an id it must neither move nor be freed. */
struct px_claim {
    SLIST_ENTRY(px_claim) entry; /* under the shard's lock */
    int64_t session_id;          /* held; 0 = none */
    uint64_t token;
};

struct px_owner_map *px_owner_map_new(void); /* NULL when out of memory */
void px_owner_map_free(struct px_owner_map *map);

/* RC_OK: `claim`, which holds no other id, holds this one now (or did already). RC_EXISTS: *ret_holder does.
 * RC_NOMEM. session_id is not 0. */
enum rc px_owner_claim(struct px_owner_map *map, struct px_claim *claim, int64_t session_id,
                       uint64_t *ret_holder) RC_MUST_CHECK;
/* Lets go; nothing happens when it holds none. */
void px_owner_release(struct px_owner_map *map, struct px_claim *claim);
/* The claim on that id if a connection of this worker has it, else NULL. Only for that worker's thread:
 * nobody else may keep it from being freed. */
struct px_claim *px_owner_find(struct px_owner_map *map, int64_t session_id, uint32_t worker);
/* How many ids are held; for tests and status. */
uint64_t px_owner_count(struct px_owner_map *map);

#endif
