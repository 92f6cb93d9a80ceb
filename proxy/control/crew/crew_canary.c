/* What the workers say about the sessions that go first in a switch, added up. Control thread. */
#include "proxy/control/crew/crew.h"
#include "zkproto/assert.h"

_Static_assert(PX_LATENCY_BUCKETS + 1 <= MIG_LATENCY_BUCKETS_MAX, "mig_group_facts.latency is too small");

/* The one that all of them work by; 0 while they differ. */
static uint32_t round_of(const struct px_shared *shared)
{
    uint32_t round = atomic_load_explicit(&shared->workers[0].canary_round, memory_order_acquire);

    for (uint32_t i = 1; i < shared->worker_count; i++)
        if (atomic_load_explicit(&shared->workers[i].canary_round, memory_order_acquire) != round)
            return 0;
    return round;
}

static struct mig_group_facts group_of(const struct px_crew *crew, enum px_group group)
{
    struct mig_group_facts facts = {
        .troubles = (int64_t)px_crew_metric(crew, PX_METRIC_TROUBLES_REST + group),
        .expired = (int64_t)px_crew_metric(crew, PX_METRIC_EXPIRED_REST + group),
        .returned = (int64_t)px_crew_metric(crew, PX_METRIC_RETURNED_REST + group),
    };

    for (uint32_t worker = 0; worker < px_crew_count(crew); worker++) {
        const struct px_metrics *metrics = px_crew_metrics(crew, worker);
        for (uint32_t i = 0; i <= PX_LATENCY_BUCKETS; i++)
            facts.latency[i] +=
                (int64_t)atomic_load_explicit(&metrics->group_latency[group][i], memory_order_relaxed);
    }
    return facts;
}

struct mig_canary_facts px_crew_canary(struct px_crew *crew)
{
    return (struct mig_canary_facts){
        .round = round_of(px_crew_shared(crew)),
        .canaries = group_of(crew, PX_GROUP_CANARY),
        .rest = group_of(crew, PX_GROUP_REST),
        .bucket_count = PX_LATENCY_BUCKETS + 1,
        .bounds_us = px_latency_bounds_us,
    };
}
