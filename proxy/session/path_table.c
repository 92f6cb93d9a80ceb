/* Open addressing for path_table.h. Pure. */
#include "proxy/session/path_table.h"

#include <stdlib.h>

#include "proxy/session/alloc_int.h"
#include "zkproto/assert.h"

#define CAPACITY_MIN 4u /* most sessions watch a node or two */
#define CAPACITY_MAX (1u << 30)

_Static_assert(sizeof(struct px_path_slot) == 16, "a watch on a known path costs at most 16 / (3/8) bytes");

void px_path_table_done(struct px_path_table *table)
{
    free(table->slots);
    *table = (struct px_path_table){0};
}

struct px_path_slot *px_path_table_probe(const struct px_path_table *table, uint32_t *ref_at)
{
    struct px_path_slot *slot;

    if (table->capacity == 0)
        return NULL;
    slot = &table->slots[*ref_at & (table->capacity - 1)];
    ++*ref_at;
    return slot->path != NULL ? slot : NULL;
}

struct px_path_slot *px_path_table_find(const struct px_path_table *table, const struct px_path *path,
                                        uint32_t hash)
{
    struct px_path_slot *slot;
    uint32_t at = hash;

    while ((slot = px_path_table_probe(table, &at)) != NULL)
        if (slot->path == path)
            return slot;
    return NULL;
}

/* There is a free one: the table is never full. */
static struct px_path_slot *free_slot(const struct px_path_table *table, uint32_t hash)
{
    uint32_t mask = table->capacity - 1;
    uint32_t at = hash & mask;

    while (table->slots[at].path != NULL)
        at = (at + 1) & mask;
    return &table->slots[at];
}

static enum rc resize(struct px_path_table *table, uint32_t capacity)
{
    struct px_path_table next = {.capacity = capacity, .count = table->count};

    if (capacity > CAPACITY_MAX)
        return RC_NOMEM;
    next.slots = px_session_alloc(capacity * sizeof(*next.slots));
    if (next.slots == NULL)
        return RC_NOMEM;
    for (uint32_t i = 0; i < table->capacity; i++)
        if (table->slots[i].path != NULL)
            *free_slot(&next, table->slots[i].hash) = table->slots[i];
    free(table->slots);
    *table = next;
    return RC_OK;
}

enum rc px_path_table_reserve(struct px_path_table *table)
{
    if (table->capacity == 0)
        return resize(table, CAPACITY_MIN);
    if (table->count < table->capacity / 4 * 3)
        return RC_OK;
    return resize(table, table->capacity * 2);
}

struct px_path_slot *px_path_table_insert(struct px_path_table *table, struct px_path *path, uint32_t hash)
{
    struct px_path_slot *slot;

    ASSERT(table->count < table->capacity / 4 * 3);
    slot = free_slot(table, hash);
    *slot = (struct px_path_slot){.path = path, .hash = hash};
    table->count++;
    return slot;
}

static void shrink(struct px_path_table *table)
{
    if (table->count == 0)
        px_path_table_done(table);
    else if (table->capacity > CAPACITY_MIN && table->count < table->capacity / 4)
        (void)!resize(table, table->capacity / 2); /* without memory it stays large: no harm */
}

void px_path_table_erase(struct px_path_table *table, struct px_path_slot *slot)
{
    uint32_t mask = table->capacity - 1;
    uint32_t hole = (uint32_t)(slot - table->slots);

    for (uint32_t at = (hole + 1) & mask; table->slots[at].path != NULL; at = (at + 1) & mask) {
        uint32_t home = table->slots[at].hash & mask;
        /* Who may stand as early as the hole moves into it: its way there from home is no longer. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = (struct px_path_slot){0};
    table->count--;
    shrink(table);
}
