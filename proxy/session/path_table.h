/* A hash table of interned paths: open addressing, linear probing, entries moved up on removal, so that no
 * tombstones pile up under one-shot watches. The pool and every watch set stand on it; what a slot means is
 * theirs. Pure; allocates when it grows or shrinks, nowhere else. */
#ifndef PROXY_SESSION_PATH_TABLE_H
#define PROXY_SESSION_PATH_TABLE_H

#include <stdint.h>

#include "zkproto/err.h"

struct px_path;

/* The hash stands here too: neither probing nor growing touches the path itself. */
struct px_path_slot {
    struct px_path *path; /* NULL = free; borrowed, the owner counts references */
    uint32_t hash;
    uint32_t bits; /* the owner's */
};

/* Embedded; all zero = empty. count <= 3/4 of capacity, and after growing more than 3/8: at most 43 bytes an
 * entry. capacity is a power of two, or 0 while slots is NULL. */
struct px_path_table {
    struct px_path_slot *slots;
    uint32_t capacity;
    uint32_t count;
};

void px_path_table_done(struct px_path_table *table);
/* Afterwards one insert fits. RC_NOMEM: nothing has changed. */
enum rc px_path_table_reserve(struct px_path_table *table) RC_MUST_CHECK;
/* The path must not be in it, and must fit. Valid, as every slot, until the next insert or erase. */
struct px_path_slot *px_path_table_insert(struct px_path_table *table, struct px_path *path, uint32_t hash);
/* By identity; NULL when it is not there. */
struct px_path_slot *px_path_table_find(const struct px_path_table *table, const struct px_path *path,
                                        uint32_t hash);
/* All slots that may have this hash, *ref_at going from `hash` on; NULL at the end. */
struct px_path_slot *px_path_table_probe(const struct px_path_table *table, uint32_t *ref_at);
/* Gives memory back when little is left in it. */
void px_path_table_erase(struct px_path_table *table, struct px_path_slot *slot);

#endif
