/* Which client connection of this process holds a session id (design.md §4: a client that attaches an id
 * another connection still holds has to wait until that one has let go). Sharded by session id, a mutex per
 * shard, nothing else is ever locked inside. Any thread. */
#ifndef PROXY_NET_OWNER_MAP_H
#define PROXY_NET_OWNER_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "zkproto/err.h"

struct px_owner_map;

/* A client connection: its worker and its number there. Numbers are never used twice. */
struct px_owner {
    uint32_t worker;
    uint64_t token;
};

struct px_owner_map *px_owner_map_new(void); /* NULL when out of memory */
void px_owner_map_free(struct px_owner_map *map);

/* RC_OK: `owner` holds the id now (or did already). RC_EXISTS: *ret_holder does. RC_NOMEM. */
enum rc px_owner_claim(struct px_owner_map *map, int64_t session_id, struct px_owner owner,
                       struct px_owner *ret_holder) RC_MUST_CHECK;
/* Lets go; nothing happens when somebody else holds it. */
void px_owner_release(struct px_owner_map *map, int64_t session_id, struct px_owner owner);
/* How many ids are held; for tests and status. */
uint64_t px_owner_count(struct px_owner_map *map);

#endif
