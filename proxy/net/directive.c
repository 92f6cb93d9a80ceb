/* Reference counting of directives. Any thread. */
#include "proxy/net/directive.h"

#include <stddef.h>
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
    const size_t plain = offsetof(struct px_directive, version); /* refcount may be changing meanwhile */
    struct px_directive *next = malloc(sizeof(*next));

    if (next == NULL)
        return NULL;
    atomic_init(&next->refcount, 1);
    /* With the padding: directives are compared as bytes (director.c). */
    memcpy((char *)next + plain, (const char *)from + plain, sizeof(*next) - plain);
    next->version = from->version + 1;
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
