/* See tally.h. */
#include "migrate/engine/tally.h"

#include <stddef.h>
#include <string.h>

static int32_t place_of(const struct mig_tally *tally, const char *name)
{
    for (uint32_t i = 0; i < tally->count; i++)
        if (strcmp(tally->items[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

void mig_tally_add(struct mig_tally *tally, const char *name, uint64_t value)
{
    int32_t place = place_of(tally, name);
    size_t length = strlen(name);
    if (value == 0)
        return;
    if (place < 0) {
        if (tally->count == MIG_TALLY_MAX || length >= MIG_TALLY_NAME_MAX)
            return;
        place = (int32_t)tally->count++;
        memcpy(tally->items[place].name, name, length + 1);
        tally->items[place].value = 0;
    }
    tally->items[place].value += value;
}

uint64_t mig_tally_of(const struct mig_tally *tally, const char *name)
{
    int32_t place = place_of(tally, name);
    return place < 0 ? 0 : tally->items[place].value;
}

void mig_tally_since(const struct mig_tally *base, const struct mig_tally *now, const struct mig_tally *from,
                     struct mig_tally *ret_tally)
{
    struct mig_tally sum = *base;
    for (uint32_t i = 0; i < now->count; i++) {
        uint64_t before = mig_tally_of(from, now->items[i].name);
        uint64_t value = now->items[i].value;
        mig_tally_add(&sum, now->items[i].name, value > before ? value - before : 0);
    }
    *ret_tally = sum;
}

bool mig_tally_same(const struct mig_tally *a, const struct mig_tally *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (mig_tally_of(b, a->items[i].name) != a->items[i].value)
            return false;
    return true;
}
