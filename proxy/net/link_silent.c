/* What a client may take before it has said what it wants, and from then on: places, which are never more
 * than the limits say, over all workers. Those who say nothing never take the places of those who speak.
 * Worker thread. */
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"

/* The list of greeting links is in the order in which they came. NULL origin: of any. */
static struct px_link *oldest_silent(struct px_worker *worker, const struct px_origin *origin)
{
    struct px_link *link;

    TAILQ_FOREACH(link, &worker->links[PX_SESSION_GREETING], entry)
    if (link->is_silent && (origin == NULL || link->origin == origin))
        return link;
    return NULL;
}

/* True when somebody else had to go instead of it. */
static bool cut_oldest(struct px_worker *worker, const struct px_origin *origin, enum px_close_reason reason)
{
    struct px_link *victim = oldest_silent(worker, origin);

    if (victim == NULL)
        return false;
    px_link_step_bad(&victim->client, reason);
    return true;
}

static bool take_silence(struct px_link *link)
{
    const struct px_shared *shared = link->worker->shared;

    return px_origin_silence_take(
        link->origin, atomic_load_explicit(&shared->limits.silent_per_address, memory_order_relaxed));
}

static bool take_silence_of_all(struct px_link *link)
{
    struct px_shared *shared = link->worker->shared;

    return px_shared_take(&shared->silent_count,
                          atomic_load_explicit(&shared->limits.silent_max, memory_order_relaxed));
}

/* A worker's share of those of all, so that the new ones of one are not cut for the old ones of another. */
static bool is_share_full(const struct px_worker *worker)
{
    uint32_t max = atomic_load_explicit(&worker->shared->limits.silent_max, memory_order_relaxed);
    uint32_t share = max / worker->shared->worker_count;

    return worker->silent_count >= (share > 0 ? share : 1);
}

/* The oldest one gives way: who is honest speaks at once, and is not silent when the next ones come. When
 * this worker has none, the others have them all, and the new one goes. */
void px_link_fall_silent(struct px_link *link)
{
    struct px_worker *worker = link->worker;

    if (link->is_own)
        return;
    while (is_share_full(worker) && cut_oldest(worker, NULL, PX_CLOSE_SILENT_FULL))
        continue;
    while (!take_silence(link))
        if (!cut_oldest(worker, link->origin, PX_CLOSE_ADDRESS_SILENT)) {
            px_link_step_bad(&link->client, PX_CLOSE_ADDRESS_SILENT);
            return;
        }
    while (!take_silence_of_all(link))
        if (!cut_oldest(worker, NULL, PX_CLOSE_SILENT_FULL)) {
            px_origin_silence_give(link->origin);
            px_link_step_bad(&link->client, PX_CLOSE_SILENT_FULL);
            return;
        }
    link->is_silent = true;
    worker->silent_count++;
}

void px_link_speak(struct px_link *link)
{
    if (!link->is_silent)
        return;
    link->is_silent = false;
    link->worker->silent_count--;
    px_origin_silence_give(link->origin);
    px_shared_give(&link->worker->shared->silent_count);
}

bool px_link_take_place(struct px_link *link)
{
    struct px_shared *shared = link->worker->shared;

    if (!link->is_own && !link->has_place)
        link->has_place = px_shared_take(
            &shared->placed_count, atomic_load_explicit(&shared->limits.sessions_max, memory_order_relaxed));
    return link->is_own || link->has_place;
}

void px_link_give_place(struct px_link *link)
{
    if (link->has_place)
        px_shared_give(&link->worker->shared->placed_count);
    link->has_place = false;
}
