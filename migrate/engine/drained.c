/* See drained.h. */
#include "migrate/engine/drained.h"

#include <string.h>

#include "migrate/text.h"

/* Where the id stands, or would. */
static uint32_t place_of(const struct mig_drained *drained, int32_t id)
{
    uint32_t i = 0;
    while (i < drained->count && drained->ids[i] < id)
        i++;
    return i;
}

bool mig_drained_has(const struct mig_drained *drained, int32_t id)
{
    uint32_t i = place_of(drained, id);
    return i < drained->count && drained->ids[i] == id;
}

bool mig_drained_any(const struct mig_drained *drained)
{
    return drained->count > 0;
}

enum rc mig_drained_set(struct mig_drained *drained, int32_t id, bool is_drained)
{
    uint32_t i = place_of(drained, id);
    if (id < 0)
        return RC_INVALID;
    if (is_drained == mig_drained_has(drained, id))
        return RC_OK;
    if (is_drained && drained->count == MIG_DRAINED_MAX)
        return RC_FULL;
    int32_t *place = &drained->ids[i];
    size_t behind = drained->count - i;
    if (is_drained) {
        memmove(place + 1, place, behind * sizeof *place);
        *place = id;
        drained->count++;
    } else {
        memmove(place, place + 1, (behind - 1) * sizeof *place);
        drained->count--;
    }
    return RC_OK;
}

void mig_drained_ids(const struct mig_drained *drained, char *buf, uint32_t capacity)
{
    buf[0] = '\0';
    for (uint32_t i = 0; i < drained->count; i++)
        mig_text_add(buf, capacity, "%s%d", i > 0 ? "," : "", drained->ids[i]);
}
