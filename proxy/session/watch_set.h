/* The watches of one session as its server has them: a data table and a child table, each path in them with
 * a mode (protocol.md §2.1, §2.2). Entered on replies, removed by events, by the rules of the server's
 * version; read when a session moves. Owned by the session, worker thread only; pure.
 *
 * Where the set may know more than the server: an event that the server's ACL filter swallowed consumed its
 * one-shot watch silently. Setting such a watch again elsewhere is harmless: the filter is there too.
 *
 * Not here: requests that wait for their reply (watch_queue.h), frames (session_watch.c). */
#ifndef PROXY_SESSION_WATCH_SET_H
#define PROXY_SESSION_WATCH_SET_H

#include <stdbool.h>

#include "proxy/session/block_cache.h"
#include "proxy/session/path_pool.h"
#include "proxy/session/path_table.h"
#include "zkproto/request.h"

/* Paths one session may watch, unless its worker says otherwise: 4 MB of table, ten times what a large
 * cache recipe needs. */
#define PX_WATCHES_MAX 100000u
/* … and what their names may take, unanswered requests included. */
#define PX_WATCH_BYTES_MAX (64u * 1024u * 1024u)

/* How a server treats a second mode on a path: up to 3.8 each table has one mode per path and the last
 * registration wins (addWatch and then getData with a watch leave a one-shot data watch); from 3.9 they
 * stand side by side (ZOOKEEPER-4466). */
enum px_watch_rule { PX_WATCH_ONE_MODE, PX_WATCH_ALL_MODES };

/* What all sets, and the sessions around them, of one worker share. Owned by the worker. */
struct px_watch_space {
    struct px_path_pool *paths;
    struct px_block_cache blocks;    /* the sessions' */
    uint32_t watches_max;            /* paths per session */
    uint32_t totals[ZKP_LIST_COUNT]; /* over all sets */
    uint64_t overflow_count;         /* sets that became unknown */
};

/* RC_NOMEM. seed: see px_path_pool_new. */
enum rc px_watch_space_init(struct px_watch_space *space, uint64_t seed) RC_MUST_CHECK;
void px_watch_space_done(struct px_watch_space *space); /* no set may be left */

/* Embedded in a session; a session without watches allocates nothing. Once unknown it is empty and stays so:
 * the session is served on, but can't be moved with its watches any more. */
struct px_watch_set {
    struct px_watch_space *space;
    struct px_path_table table;      /* bits: watch_set.c */
    uint32_t path_bytes;             /* <= PX_WATCH_BYTES_MAX */
    uint32_t counts[ZKP_LIST_COUNT]; /* each <= table.count */
    bool is_unknown;
};

void px_watch_set_init(struct px_watch_set *set, struct px_watch_space *space);
void px_watch_set_done(struct px_watch_set *set);

/* A watch as the lists of SetWatches2 name them; DATA and EXIST replace each other: the server has one data
 * table. Takes a reference of its own. Over a limit or out of memory the set becomes unknown. */
void px_watch_set_add(struct px_watch_set *set, struct px_path *path, enum zkp_watch_list list,
                      enum px_watch_rule rule);
/* Is there a watch that gives the client this event? */
bool px_watch_set_awaits(const struct px_watch_set *set, const struct zkp_watcher_event *event);
/* … a one-shot watch? SetWatches catches up with nothing else. */
bool px_watch_set_awaits_once(const struct px_watch_set *set, const struct zkp_watcher_event *event);
/* A watch event was passed to the client. */
void px_watch_set_event(struct px_watch_set *set, const struct zkp_watcher_event *event);
/* A removeWatches of this type (protocol.md §2.2) succeeded. */
void px_watch_set_remove(struct px_watch_set *set, struct px_path *path, int32_t type,
                         enum px_watch_rule rule);
/* The set can't be followed any more: counted once. */
void px_watch_set_give_up(struct px_watch_set *set);

/* How many different paths / how many of a list. */
uint32_t px_watch_set_paths(const struct px_watch_set *set);
uint32_t px_watch_set_count(const struct px_watch_set *set, enum zkp_watch_list list);
/* Walks a list: *ref_at starts at 0; false at the end. The path is borrowed; a change of the set ends the
 * walk. Order: none. On one-mode servers a path may be in PERSISTENT or RECURSIVE because of one of its two
 * tables only; SetWatches2 elsewhere sets both, which is what the client once asked for. */
bool px_watch_set_next(const struct px_watch_set *set, enum zkp_watch_list list, uint32_t *ref_at,
                       struct zkp_slice *ret_path);
/* The same over all paths, with what is known of each; and back, into a set that has not got the path. The
 * bits are part of what export.h writes. RC_MALFORMED: no such bits, or the path is there already. Over a
 * limit or out of memory the set becomes unknown. */
bool px_watch_set_next_any(const struct px_watch_set *set, uint32_t *ref_at, struct zkp_slice *ret_path,
                           uint32_t *ret_bits);
enum rc px_watch_set_put(struct px_watch_set *set, struct zkp_slice path, uint32_t bits) RC_MUST_CHECK;
bool px_watch_set_has(const struct px_watch_set *set, enum zkp_watch_list list, struct zkp_slice path);

#endif
