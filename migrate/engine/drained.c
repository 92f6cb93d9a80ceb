/* See drained.h. */
#include "migrate/engine/drained.h"

#include "migrate/text.h"

static bool is_id(int32_t id)
{
    return id >= 0 && (uint32_t)id < MIG_DRAINED_IDS;
}

bool mig_drained_has(const struct mig_drained *drained, int32_t id)
{
    return is_id(id) && drained->has[id];
}

bool mig_drained_any(const struct mig_drained *drained)
{
    for (uint32_t id = 0; id < MIG_DRAINED_IDS; id++)
        if (drained->has[id])
            return true;
    return false;
}

enum rc mig_drained_set(struct mig_drained *drained, int32_t id, bool is_drained)
{
    if (!is_id(id))
        return RC_INVALID;
    drained->has[id] = is_drained;
    return RC_OK;
}

void mig_drained_ids(const struct mig_drained *drained, char *buf, uint32_t capacity)
{
    buf[0] = '\0';
    for (uint32_t id = 0; id < MIG_DRAINED_IDS; id++)
        if (drained->has[id])
            mig_text_add(buf, capacity, "%s%u", buf[0] != '\0' ? "," : "", id);
}
