/* See witness.h. ZooKeeper's promise that is checked for watches: a client gets the event of a change before
 * any answer that shows the change. */
#include "migrate/engine/witness.h"

#include <string.h>

#include "zkproto/assert.h"

void mig_witness_init(struct mig_witness *witness, const struct mig_witness_figures *so_far)
{
    memset(witness, 0, sizeof *witness);
    if (so_far != NULL)
        witness->figures = *so_far;
}

static void forget_node(struct mig_witness *w)
{
    w->has_node = false;
    w->is_version_known = w->is_unresolved = false;
    w->is_armed = w->is_written = w->is_acked = false;
}

static void lose_node(struct mig_witness *w)
{
    if (w->has_node)
        w->figures.ephemerals_lost++;
    forget_node(w);
}

static void note_stall(struct mig_witness *w, int64_t now_ms)
{
    int64_t waited_ms = mig_witness_waits_ms(w, now_ms);
    if (waited_ms > w->figures.stall_ms)
        w->figures.stall_ms = waited_ms;
}

/* Another czxid or owner under the same name: the one we created is gone. */
static void check_identity(struct mig_witness *w, const struct mig_witness_node *seen)
{
    if (w->has_node && (seen->czxid != w->node.czxid || seen->owner != w->node.owner))
        lose_node(w);
}

/* --- reads --- */

static void check_watch(struct mig_witness *w, int32_t version)
{
    if (!w->is_armed || version == w->armed_version)
        return;
    w->figures.events_missed++;
    w->owed_events++;
}

static bool is_right(const struct mig_witness *w, const struct mig_witness_event *event)
{
    int32_t version = event->node.version;
    if (!w->is_version_known)
        return true;
    if (version != w->node.version && !(w->is_unresolved && version == w->node.version + 1))
        return false;
    return event->value == version;
}

static void on_read(struct mig_witness *w, const struct mig_witness_event *event)
{
    check_identity(w, &event->node);
    check_watch(w, event->node.version);
    w->figures.gaps += !is_right(w, event);
    w->node = event->node;
    w->armed_version = event->node.version;
    w->has_node = w->is_version_known = w->is_armed = true;
    w->is_unresolved = w->is_written = w->is_acked = false;
}

/* --- writes --- */

static void on_sent(struct mig_witness *w)
{
    ASSERT(w->has_node && w->is_version_known && !w->is_written);
    w->figures.writes++;
    w->is_written = true;
}

static void on_acked(struct mig_witness *w, const struct mig_witness_event *event)
{
    note_stall(w, event->now_ms);
    w->acked_at_ms = event->now_ms;
    w->figures.acked++;
    check_identity(w, &event->node);
    if (!w->has_node)
        return; /* the next READ says what there is now */
    w->figures.gaps += event->node.version != w->node.version + 1;
    w->node.version = event->node.version;
    w->is_acked = true;
}

static void on_fired(struct mig_witness *w)
{
    if (!w->is_begun)
        return; /* the end of the node is an event too */
    w->figures.events++;
    if (w->owed_events > 0) {
        w->owed_events--;
        w->figures.events_late++;
    } else if (!w->is_armed || !w->is_written) {
        w->figures.events_doubled++;
    } else {
        w->figures.events_late += w->is_acked;
        w->is_armed = false;
    }
}

void mig_witness_step(struct mig_witness *w, const struct mig_witness_event *event)
{
    switch (event->kind) {
    case MIG_WITNESS_BEGUN:
        forget_node(w);
        w->is_begun = true;
        w->acked_at_ms = event->now_ms;
        return;
    case MIG_WITNESS_STOPPED:
        note_stall(w, event->now_ms);
        w->is_begun = false;
        return;
    case MIG_WITNESS_DISCONNECTED:
        w->figures.disconnects++;
        return;
    case MIG_WITNESS_EXPIRED:
        w->figures.expired++;
        lose_node(w);
        return;
    case MIG_WITNESS_READ:
        on_read(w, event);
        return;
    case MIG_WITNESS_SENT:
        on_sent(w);
        return;
    case MIG_WITNESS_ACKED:
        on_acked(w, event);
        return;
    case MIG_WITNESS_UNKNOWN:
        w->figures.unknown++;
        w->is_unresolved = true;
        return;
    case MIG_WITNESS_STALE:
        w->figures.gaps++;
        w->is_version_known = false;
        return;
    case MIG_WITNESS_GONE:
        lose_node(w);
        return;
    case MIG_WITNESS_REFUSED:
        w->figures.refused++;
        return;
    case MIG_WITNESS_FIRED:
        on_fired(w);
        return;
    case MIG_WITNESS_WATCHES_LOST:
        w->figures.watches_lost++;
        return;
    }
}

int64_t mig_witness_waits_ms(const struct mig_witness *w, int64_t now_ms)
{
    return w->is_begun ? now_ms - w->acked_at_ms : 0;
}

struct mig_witness_figures mig_witness_figures(const struct mig_witness *w, int64_t now_ms)
{
    struct mig_witness_figures figures = w->figures;
    int64_t waits_ms = mig_witness_waits_ms(w, now_ms);
    if (waits_ms > figures.stall_ms)
        figures.stall_ms = waits_ms;
    return figures;
}

bool mig_witness_is_clean(const struct mig_witness_figures *figures)
{
    return figures->acked > 0 && figures->unknown == 0 && figures->refused == 0 && figures->gaps == 0 &&
           figures->disconnects == 0 && figures->expired == 0 && figures->ephemerals_lost == 0 &&
           figures->events_late == 0 && figures->events_missed == 0 && figures->events_doubled == 0 &&
           figures->watches_lost == 0;
}

static bool is_ahead(uint64_t kept, uint64_t now)
{
    return now > kept && now - kept > kept / MIG_WITNESS_KEPT_SHARE;
}

bool mig_witness_outgrew(const struct mig_witness_figures *kept, const struct mig_witness_figures *now)
{
    bool is_worth_it = is_ahead((uint64_t)kept->stall_ms, (uint64_t)now->stall_ms);
#define LOOK(name, help) is_worth_it = is_worth_it || is_ahead(kept->name, now->name);
    MIG_WITNESS_COUNTS(LOOK)
#undef LOOK
    return is_worth_it;
}

int32_t mig_witness_version(const struct mig_witness *w)
{
    return w->node.version;
}
