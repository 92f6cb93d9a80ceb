/* The paths that the sessions of one worker watch, each kept once and counted: ten thousand clients with a
 * watch on one node share its name. Owned by the worker, worker thread only; pure. */
#ifndef PROXY_SESSION_PATH_POOL_H
#define PROXY_SESSION_PATH_POOL_H

#include "zkproto/err.h"
#include "zkproto/slice.h"

struct px_path_pool;
struct px_path; /* equal paths of one pool are the same pointer */

/* seed: any number clients can't guess, so that they can't choose paths that collide. NULL when out of
 * memory. */
struct px_path_pool *px_path_pool_new(uint64_t seed);
/* NULL is fine. No path may be held any more. */
void px_path_pool_free(struct px_path_pool *pool);
/* How many different paths are held. */
uint32_t px_path_pool_count(const struct px_path_pool *pool);

/* One more reference to the path with these bytes, which are copied when it is a new one. RC_NOMEM. */
enum rc px_path_pool_take(struct px_path_pool *pool, struct zkp_slice bytes,
                          struct px_path **ret_path) RC_MUST_CHECK;
/* Borrowed; NULL when nobody holds it. */
struct px_path *px_path_pool_find(const struct px_path_pool *pool, struct zkp_slice bytes);
/* One more reference / one less, the last one frees. */
void px_path_ref(struct px_path *path);
void px_path_drop(struct px_path_pool *pool, struct px_path *path);

struct zkp_slice px_path_bytes(const struct px_path *path); /* borrowed */
uint32_t px_path_hash(const struct px_path *path);

#endif
