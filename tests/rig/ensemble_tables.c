/* The watch tables of a simulated server (protocol.md §2), also those the client computes what is due by. */
#include "tests/rig/ensemble.h"

void rig_watch(struct rig_tables *tables, enum px_watch_rule rule, int path, enum zkp_watch_list list,
               int place)
{
    bool is_one_mode = rule == PX_WATCH_ONE_MODE;
    uint8_t bit = list == ZKP_LIST_RECURSIVE ? RIG_BELOW : list == ZKP_LIST_PERSISTENT ? RIG_LASTS : RIG_ONCE;

    for (int table = RIG_DATA; table <= RIG_CHILD; table++) {
        if (bit == RIG_ONCE && (table == RIG_CHILD) != (list == ZKP_LIST_CHILD))
            continue;
        if (bit == RIG_BELOW && table == RIG_CHILD && !is_one_mode)
            continue;
        tables->bits[table][path] = (uint8_t)(is_one_mode ? bit : tables->bits[table][path] | bit);
        if (bit == RIG_ONCE)
            tables->since[table][path] = place;
    }
    if (list == ZKP_LIST_DATA || list == ZKP_LIST_EXIST)
        tables->was_missing[path] = list == ZKP_LIST_EXIST;
}

bool rig_unwatch(struct rig_tables *tables, enum px_watch_rule rule, int path, int32_t type)
{
    uint8_t mask = rule == PX_WATCH_ONE_MODE || type == 3 ? 0xff : RIG_ONCE;
    bool had_any = false;

    for (int table = RIG_DATA; table <= RIG_CHILD; table++) {
        if ((type == 1 && table == RIG_DATA) || (type == 2 && table == RIG_CHILD))
            continue;
        had_any = had_any || (tables->bits[table][path] & mask) != 0;
        tables->bits[table][path] &= (uint8_t)~mask;
    }
    return had_any;
}

static bool rig_trigger(struct rig_tables *tables, int table, int path, int32_t type)
{
    uint8_t bits = tables->bits[table][path];
    bool fires = (bits & (RIG_ONCE | RIG_LASTS)) != 0;

    tables->bits[table][path] &= (uint8_t)~RIG_ONCE;
    for (int at = path; at != RIG_NONE && type != ZKP_EVENT_CHILDREN_CHANGED; at = rig_parents[at])
        fires = fires || (tables->bits[table][at] & RIG_BELOW) != 0;
    return fires;
}

int rig_fire(struct rig_tables *tables, const struct rig_txn *txn, struct rig_fired *ret_fired)
{
    int parent = txn->change == RIG_NOTHING || txn->change == RIG_SET ? RIG_NONE : rig_parents[txn->path];
    int32_t type = txn->change == RIG_CREATE ? ZKP_EVENT_CREATED : ZKP_EVENT_DATA_CHANGED;
    bool fires;
    int count = 0;

    if (txn->change == RIG_NOTHING)
        return 0;
    if (txn->change == RIG_DELETE)
        type = ZKP_EVENT_DELETED;
    fires = rig_trigger(tables, RIG_DATA, txn->path, type);
    if (txn->change == RIG_DELETE) /* one event for both tables */
        fires = rig_trigger(tables, RIG_CHILD, txn->path, type) || fires;
    if (fires)
        ret_fired[count++] = (struct rig_fired){type, txn->path};
    if (parent != RIG_NONE && rig_trigger(tables, RIG_CHILD, parent, ZKP_EVENT_CHILDREN_CHANGED))
        ret_fired[count++] = (struct rig_fired){ZKP_EVENT_CHILDREN_CHANGED, parent};
    return count;
}

int32_t rig_catch_up(const struct rig_tree *tree, int path, enum zkp_watch_list list, int since)
{
    const struct rig_node *node = &tree->nodes[path];

    switch (list) {
    case ZKP_LIST_DATA:
        return !node->exists ? ZKP_EVENT_DELETED : node->changed > since ? ZKP_EVENT_DATA_CHANGED : 0;
    case ZKP_LIST_EXIST:
        return node->exists ? ZKP_EVENT_CREATED : 0;
    case ZKP_LIST_CHILD:
        return !node->exists ? ZKP_EVENT_DELETED : node->touched > since ? ZKP_EVENT_CHILDREN_CHANGED : 0;
    case ZKP_LIST_PERSISTENT:
    case ZKP_LIST_RECURSIVE:
    case ZKP_LIST_COUNT:
        break;
    }
    return 0;
}
