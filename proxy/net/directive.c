/* Reference counting of directives. Any thread. */
#include "proxy/net/directive.h"

#include <stdlib.h>
#include <string.h>

#include "zkproto/assert.h"

const char *px_side_name(enum px_side side)
{
    return side == PX_SIDE_SOURCE ? "source" : "target";
}

struct px_directive *px_directive_new(void)
{
    struct px_directive *directive = calloc(1, sizeof(*directive));

    if (directive != NULL)
        atomic_init(&directive->refcount, 1);
    return directive;
}

struct px_directive *px_directive_next(const struct px_directive *from)
{
    struct px_directive *next = malloc(sizeof(*next));

    if (next == NULL)
        return NULL;
    /* Field by field: refcount is not plain data, other threads may be changing it. */
    atomic_init(&next->refcount, 1);
    next->version = from->version + 1;
    memcpy(next->servers, from->servers, sizeof(next->servers));
    memcpy(next->bind_count, from->bind_count, sizeof(next->bind_count));
    memcpy(next->binds, from->binds, sizeof(next->binds));
    next->returns_per_second = from->returns_per_second;
    next->quiesce_timeout_ms = from->quiesce_timeout_ms;
    next->hold = from->hold;
    next->has_leader = from->has_leader;
    memcpy(next->why_waiting, from->why_waiting, sizeof(next->why_waiting));
    next->stop = from->stop;
    next->stop_deadline_ms = from->stop_deadline_ms;
    return next;
}

struct px_directive *px_directive_ref(struct px_directive *directive)
{
    atomic_fetch_add_explicit(&directive->refcount, 1, memory_order_relaxed);
    return directive;
}

void px_directive_unref(struct px_directive *directive)
{
    uint32_t before;

    if (directive == NULL)
        return;
    before = atomic_fetch_sub_explicit(&directive->refcount, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        free(directive);
}
