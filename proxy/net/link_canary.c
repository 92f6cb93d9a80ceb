/* Whether a link's session goes first in a switch (canary.h), and how many do on each server. Worker thread.
 * Looked at when the client has connected, when its session id is known, and when the directive changes: the
 * hot path only reads the answer. Sessions of the daemon itself are no clients: they go with the others. */
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"

/* The session stays where it is; when it moves, or ends, px_link_count_session counts. */
static void count_change(const struct px_link *link, bool is_more)
{
    _Atomic(uint32_t) *count = &link->worker->shared->slots[link->slot].canary_count;

    if (is_more)
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
}

void px_link_judge_canary(struct px_link *link, int64_t session_id)
{
    const struct px_directive *directive = link->worker->directive;
    const struct sockaddr *peer = link->peer_length > 0 ? (const struct sockaddr *)&link->peer : NULL;
    bool is_canary =
        !link->is_own && directive != NULL && px_canary_has(&directive->canary, session_id, peer);

    if (is_canary == link->is_canary)
        return;
    link->is_canary = is_canary;
    if (link->is_established)
        count_change(link, is_canary);
}

void px_worker_judge_canaries(struct px_worker *worker)
{
    for (enum px_session_state state = 0; state < PX_SESSION_DEAD; state++) {
        struct px_link *link;
        TAILQ_FOREACH(link, &worker->links[state], entry)
        px_link_judge_canary(link, link->claim.session_id);
    }
    atomic_store_explicit(&worker->shared->workers[worker->options.index].canary_round,
                          worker->directive->canary.round, memory_order_release);
}
