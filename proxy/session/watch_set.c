/* Two tables of the server as one table of bits. Pure. */
#include "proxy/session/watch_set.h"

#include "zkproto/assert.h"

/* As export.h writes them: who changes them raises PX_EXPORT_VERSION. */
enum watch_bit {
    DATA_FOUND = 1 << 0,   /* one-shot in the data table, the node was there */
    DATA_MISSING = 1 << 1, /* the same, set by exists on a missing node; never both */
    DATA_PERSISTENT = 1 << 2,
    DATA_RECURSIVE = 1 << 3,
    CHILD_ONCE = 1 << 4,
    CHILD_PERSISTENT = 1 << 5,
    CHILD_RECURSIVE = 1 << 6, /* up to 3.8 only: from 3.9 recursive watches are in the data table */
};

#define DATA_ONCE   (DATA_FOUND | DATA_MISSING)
#define DATA_TABLE  (DATA_ONCE | DATA_PERSISTENT | DATA_RECURSIVE)
#define CHILD_TABLE (CHILD_ONCE | CHILD_PERSISTENT | CHILD_RECURSIVE)
#define PERSISTENT  (DATA_PERSISTENT | CHILD_PERSISTENT)
#define RECURSIVE   (DATA_RECURSIVE | CHILD_RECURSIVE)

/* Any of these bits puts a path on the list. */
static const uint32_t list_bits[ZKP_LIST_COUNT] = {
    [ZKP_LIST_DATA] = DATA_FOUND,       [ZKP_LIST_EXIST] = DATA_MISSING,  [ZKP_LIST_CHILD] = CHILD_ONCE,
    [ZKP_LIST_PERSISTENT] = PERSISTENT, [ZKP_LIST_RECURSIVE] = RECURSIVE,
};

enum rc px_watch_space_init(struct px_watch_space *space, uint64_t seed)
{
    *space = (struct px_watch_space){.paths = px_path_pool_new(seed), .watches_max = PX_WATCHES_MAX};
    return space->paths != NULL ? RC_OK : RC_NOMEM;
}

void px_watch_space_done(struct px_watch_space *space)
{
    px_path_pool_free(space->paths);
    px_block_cache_done(&space->blocks);
    space->paths = NULL;
}

void px_watch_set_init(struct px_watch_set *set, struct px_watch_space *space)
{
    *set = (struct px_watch_set){.space = space};
}

/* The only writer of bits; counts follow, and a slot without bits goes. */
static void put_bits(struct px_watch_set *set, struct px_path_slot *slot, uint32_t bits)
{
    struct px_path *path = slot->path;

    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++) {
        uint32_t was = (slot->bits & list_bits[list]) != 0;
        uint32_t is = (bits & list_bits[list]) != 0;
        set->counts[list] += is - was;
        set->space->totals[list] += is - was;
    }
    slot->bits = bits;
    if (bits != 0)
        return;
    set->path_bytes -= px_path_bytes(path).len;
    px_path_table_erase(&set->table, slot);
    px_path_drop(set->space->paths, path);
}

void px_watch_set_done(struct px_watch_set *set)
{
    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++)
        set->space->totals[list] -= set->counts[list];
    for (uint32_t i = 0; i < set->table.capacity; i++)
        if (set->table.slots[i].path != NULL)
            px_path_drop(set->space->paths, set->table.slots[i].path);
    px_path_table_done(&set->table);
    *set = (struct px_watch_set){.space = set->space, .is_unknown = set->is_unknown};
}

void px_watch_set_give_up(struct px_watch_set *set)
{
    if (set->is_unknown)
        return;
    px_watch_set_done(set);
    set->is_unknown = true;
    set->space->overflow_count++;
}

static struct px_path_slot *slot_for(struct px_watch_set *set, struct px_path *path)
{
    struct px_path_slot *slot = px_path_table_find(&set->table, path, px_path_hash(path));
    uint32_t length = px_path_bytes(path).len;

    if (slot != NULL)
        return slot;
    if (set->table.count >= set->space->watches_max || length > PX_WATCH_BYTES_MAX - set->path_bytes ||
        px_path_table_reserve(&set->table) != RC_OK)
        return NULL;
    px_path_ref(path);
    set->path_bytes += length;
    return px_path_table_insert(&set->table, path, px_path_hash(path));
}

/* What is in the tables after one more registration. */
static uint32_t bits_after(uint32_t bits, enum zkp_watch_list list, enum px_watch_rule rule)
{
    bool is_one_mode = rule == PX_WATCH_ONE_MODE;

    switch (list) {
    case ZKP_LIST_DATA:
        return (bits & ~(uint32_t)(is_one_mode ? DATA_TABLE : DATA_ONCE)) | DATA_FOUND;
    case ZKP_LIST_EXIST:
        return (bits & ~(uint32_t)(is_one_mode ? DATA_TABLE : DATA_ONCE)) | DATA_MISSING;
    case ZKP_LIST_CHILD:
        return (is_one_mode ? bits & ~(uint32_t)CHILD_TABLE : bits) | CHILD_ONCE;
    case ZKP_LIST_PERSISTENT:
        return is_one_mode ? PERSISTENT : bits | PERSISTENT;
    case ZKP_LIST_RECURSIVE:
        return is_one_mode ? RECURSIVE : bits | DATA_RECURSIVE;
    case ZKP_LIST_COUNT:
        break;
    }
    return bits;
}

void px_watch_set_add(struct px_watch_set *set, struct px_path *path, enum zkp_watch_list list,
                      enum px_watch_rule rule)
{
    struct px_path_slot *slot;

    if (set->is_unknown)
        return;
    slot = slot_for(set, path);
    if (slot == NULL)
        px_watch_set_give_up(set);
    else
        put_bits(set, slot, bits_after(slot->bits, list, rule));
}

static void clear_bits(struct px_watch_set *set, const struct px_path *path, uint32_t bits)
{
    struct px_path_slot *slot = px_path_table_find(&set->table, path, px_path_hash(path));

    if (slot != NULL && (slot->bits & bits) != 0)
        put_bits(set, slot, slot->bits & ~bits);
}

/* Persistent watches stay, and of the recursive ones the event may name any descendant. */
static uint32_t bits_fired(int32_t type)
{
    switch (type) {
    case ZKP_EVENT_CREATED:
    case ZKP_EVENT_DATA_CHANGED:
        return DATA_ONCE;
    case ZKP_EVENT_DELETED: /* one event for both tables (DataTree.java: deleteNode) */
        return DATA_ONCE | CHILD_ONCE;
    case ZKP_EVENT_CHILDREN_CHANGED:
        return CHILD_ONCE;
    default: /* no other type travels */
        return 0;
    }
}

static uint32_t bits_at(const struct px_watch_set *set, struct zkp_slice bytes)
{
    const struct px_path *path = px_path_pool_find(set->space->paths, bytes);
    const struct px_path_slot *slot =
        path == NULL ? NULL : px_path_table_find(&set->table, path, px_path_hash(path));

    return slot == NULL ? 0 : slot->bits;
}

/* Which watches on the event's own path give it. */
static uint32_t bits_awaiting(int32_t type)
{
    switch (type) {
    case ZKP_EVENT_CREATED:
    case ZKP_EVENT_DATA_CHANGED:
        return DATA_TABLE;
    case ZKP_EVENT_DELETED:
        return DATA_TABLE | CHILD_TABLE;
    case ZKP_EVENT_CHILDREN_CHANGED:
        return CHILD_ONCE | CHILD_PERSISTENT;
    default:
        return 0;
    }
}

/* The parent's path; false when it was "/". */
static bool go_up(struct zkp_slice *ref_path)
{
    if (ref_path->len <= 1)
        return false;
    while (ref_path->len > 1 && ref_path->ptr[ref_path->len - 1] != '/')
        ref_path->len--;
    if (ref_path->len > 1)
        ref_path->len--; /* "/a/" to "/a"; "/" stays */
    return true;
}

bool px_watch_set_awaits(const struct px_watch_set *set, const struct zkp_watcher_event *event)
{
    struct zkp_slice path = event->path;
    /* Up to 3.8 half a recursive watch can be left: the child table's half gives deletions only. */
    uint32_t from_above = event->type == ZKP_EVENT_DELETED ? RECURSIVE : DATA_RECURSIVE;

    if (set->table.count == 0)
        return false;
    if ((bits_at(set, path) & bits_awaiting(event->type)) != 0)
        return true;
    if (event->type == ZKP_EVENT_CHILDREN_CHANGED || set->counts[ZKP_LIST_RECURSIVE] == 0)
        return false;
    while (go_up(&path))
        if ((bits_at(set, path) & from_above) != 0)
            return true;
    return false;
}

bool px_watch_set_awaits_once(const struct px_watch_set *set, const struct zkp_watcher_event *event)
{
    return (bits_at(set, event->path) & bits_fired(event->type)) != 0;
}

void px_watch_set_event(struct px_watch_set *set, const struct zkp_watcher_event *event)
{
    const struct px_path *path;

    if (set->table.count == 0)
        return;
    path = px_path_pool_find(set->space->paths, event->path);
    if (path != NULL)
        clear_bits(set, path, bits_fired(event->type));
}

/* Types of removeWatches (Watcher.java: WatcherType). Up to 3.8 a table forgets the path whatever its mode
 * there; from 3.9 a type stands for a mode (DataTree.java: removeWatch). */
static uint32_t bits_removed(int32_t type, enum px_watch_rule rule)
{
    bool is_one_mode = rule == PX_WATCH_ONE_MODE;

    switch (type) {
    case 1: /* children */
        return is_one_mode ? CHILD_TABLE : CHILD_ONCE;
    case 2: /* data */
        return is_one_mode ? DATA_TABLE : DATA_ONCE;
    case 3: /* any */
        return DATA_TABLE | CHILD_TABLE;
    case 4: /* persistent; up to 3.8 an error, as 5 */
        return PERSISTENT;
    case 5: /* persistent recursive */
        return RECURSIVE;
    default:
        return 0;
    }
}

void px_watch_set_remove(struct px_watch_set *set, struct px_path *path, int32_t type,
                         enum px_watch_rule rule)
{
    clear_bits(set, path, bits_removed(type, rule));
}

uint32_t px_watch_set_paths(const struct px_watch_set *set)
{
    return set->table.count;
}

uint32_t px_watch_set_count(const struct px_watch_set *set, enum zkp_watch_list list)
{
    return set->counts[list];
}

bool px_watch_set_next(const struct px_watch_set *set, enum zkp_watch_list list, uint32_t *ref_at,
                       struct zkp_slice *ret_path)
{
    while (*ref_at < set->table.capacity) {
        const struct px_path_slot *slot = &set->table.slots[(*ref_at)++];
        if (slot->path != NULL && (slot->bits & list_bits[list]) != 0) {
            *ret_path = px_path_bytes(slot->path);
            return true;
        }
    }
    return false;
}

bool px_watch_set_next_any(const struct px_watch_set *set, uint32_t *ref_at, struct zkp_slice *ret_path,
                           uint32_t *ret_bits)
{
    while (*ref_at < set->table.capacity) {
        const struct px_path_slot *slot = &set->table.slots[(*ref_at)++];
        if (slot->path != NULL) {
            *ret_path = px_path_bytes(slot->path);
            *ret_bits = slot->bits;
            return true;
        }
    }
    return false;
}

enum rc px_watch_set_put(struct px_watch_set *set, struct zkp_slice bytes, uint32_t bits)
{
    struct px_path_slot *slot;
    struct px_path *path;

    if (bits == 0 || (bits & ~(uint32_t)(DATA_TABLE | CHILD_TABLE)) != 0 || (bits & DATA_ONCE) == DATA_ONCE ||
        bits_at(set, bytes) != 0)
        return RC_MALFORMED;
    if (set->is_unknown)
        return RC_OK;
    if (px_path_pool_take(set->space->paths, bytes, &path) != RC_OK) {
        px_watch_set_give_up(set);
        return RC_OK;
    }
    slot = slot_for(set, path);
    if (slot == NULL)
        px_watch_set_give_up(set);
    else
        put_bits(set, slot, bits);
    px_path_drop(set->space->paths, path);
    return RC_OK;
}

bool px_watch_set_has(const struct px_watch_set *set, enum zkp_watch_list list, struct zkp_slice path)
{
    return (bits_at(set, path) & list_bits[list]) != 0;
}
