/* See prom_workers.h. */
#include "proxy/admin/prom_workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PX_PROM_KIND_OF_COUNTER PX_PROM_COUNTER
#define PX_PROM_KIND_OF_GAUGE   PX_PROM_GAUGE

struct shards {
    const struct px_metrics *const *shard;
    size_t count;
};

static void write_table(struct px_prom *prom, const struct shards *all)
{
    static const struct {
        const char *name;
        const char *labels;
        const char *help;
        enum px_prom_kind kind;
    } rows[PX_METRIC_COUNT] = {
#define ROW(id, family, metric_kind, printed, text) {family, printed, text, PX_PROM_KIND_OF_##metric_kind},
        PX_METRICS(ROW)
#undef ROW
    };

    for (size_t m = 0; m < PX_METRIC_COUNT; m++) {
        uint64_t sum = 0;

        for (size_t i = 0; i < all->count; i++)
            sum += px_metric_get(all->shard[i], (enum px_metric)m);
        if (m == 0 || strcmp(rows[m].name, rows[m - 1].name) != 0) /* rows of a family stand together */
            px_prom_family(prom, rows[m].name, rows[m].kind, rows[m].help);
        px_prom_count_literal(prom, rows[m].labels, sum);
    }
}

/* The counters of struct px_op_metrics: each a family of its own. */
static const struct op_family {
    const char *name;
    const char *help;
    size_t offset;
} op_families[] = {
    {"zkferry_requests_total", "Requests given to servers.", offsetof(struct px_op_metrics, requests)},
    {"zkferry_request_bytes_total", "Bytes of requests given to servers.",
     offsetof(struct px_op_metrics, request_bytes)},
    {"zkferry_responses_total", "Replies got from servers.", offsetof(struct px_op_metrics, responses)},
    {"zkferry_response_bytes_total", "Bytes of replies got from servers.",
     offsetof(struct px_op_metrics, response_bytes)},
    {"zkferry_fast_responses_total", "Replies within the latency threshold.",
     offsetof(struct px_op_metrics, fast)},
    {"zkferry_slow_responses_total", "Replies over the latency threshold.",
     offsetof(struct px_op_metrics, slow)},
};

static uint64_t op_counter(const struct px_op_metrics *metrics, size_t offset)
{
    const _Atomic(uint64_t) *counter = (const void *)((const char *)metrics + offset);

    return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t op_sum(const struct shards *all, size_t slot, size_t op, size_t offset)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < all->count; i++)
        sum += op_counter(&all->shard[i]->ops[slot][op], offset);
    return sum;
}

static void write_op_family(struct px_prom *prom, const struct shards *all,
                            const struct px_server_directive *servers, const struct op_family *family)
{
    px_prom_family(prom, family->name, PX_PROM_COUNTER, family->help);
    for (size_t slot = 0; slot < PX_SLOTS_MAX; slot++) {
        char id[16];

        (void)snprintf(id, sizeof id, "%" PRId32, servers[slot].id);
        for (size_t op = 0; op < ZKP_OPX_COUNT; op++) {
            const struct px_prom_label labels[] = {{"server", id},
                                                   {"side", px_side_name(servers[slot].side)},
                                                   {"opcode", zkp_op_row((enum zkp_op_index)op)->name}};

            if (op_sum(all, slot, op, offsetof(struct px_op_metrics, requests)) > 0)
                px_prom_count(prom, labels, 3, op_sum(all, slot, op, family->offset));
        }
    }
}

/* The sum over all shards of the histogram at `offset` of struct px_metrics; nothing when it is empty. */
static void write_histogram(struct px_prom *prom, const struct shards *all, size_t offset,
                            const struct px_prom_label *labels, size_t label_count)
{
    uint64_t counts[PX_LATENCY_BUCKETS + 1] = {0};
    double bounds[PX_LATENCY_BUCKETS];
    uint64_t sum_us = 0;
    uint64_t total = 0;

    for (size_t b = 0; b < PX_LATENCY_BUCKETS; b++)
        bounds[b] = px_latency_bounds_us[b] / 1e6;
    for (size_t i = 0; i < all->count; i++) {
        const struct px_latency *latency = (const struct px_latency *)((const char *)all->shard[i] + offset);

        sum_us += atomic_load_explicit(&latency->sum_us, memory_order_relaxed);
        for (size_t b = 0; b <= PX_LATENCY_BUCKETS; b++) {
            uint64_t count = atomic_load_explicit(&latency->counts[b], memory_order_relaxed);

            counts[b] += count;
            total += count;
        }
    }
    if (total > 0)
        px_prom_histogram(prom, labels, label_count, bounds, counts, PX_LATENCY_BUCKETS,
                          (double)sum_us / 1e6);
}

static void write_latencies(struct px_prom *prom, const struct shards *all)
{
    px_prom_family(prom, "zkferry_latency_seconds", PX_PROM_HISTOGRAM,
                   "Time from giving a request to a server to its reply.");
    for (size_t side = 0; side < PX_SIDE_COUNT; side++) {
        for (size_t op = 0; op < ZKP_OPX_COUNT; op++) {
            const struct px_prom_label labels[] = {{"side", px_side_name((enum px_side)side)},
                                                   {"opcode", zkp_op_row((enum zkp_op_index)op)->name}};
            write_histogram(prom, all, offsetof(struct px_metrics, latency[side][op]), labels, 2);
        }
    }
}

static void write_stalls(struct px_prom *prom, const struct shards *all)
{
    px_prom_family(prom, "zkferry_pause_seconds", PX_PROM_HISTOGRAM,
                   "Time in which a client was not read: its session changed servers, or was held.");
    for (size_t stall = PX_STALL_NONE + 1; stall < PX_STALL_COUNT; stall++) {
        const struct px_prom_label label = {"why", px_stall_name((enum px_stall)stall)};
        write_histogram(prom, all, offsetof(struct px_metrics, stalls[stall]), &label, 1);
    }
}

void px_prom_workers(struct px_prom *prom, const struct px_metrics *const *shards, size_t shard_count,
                     const struct px_server_directive *servers)
{
    const struct shards all = {.shard = shards, .count = shard_count};

    write_table(prom, &all);
    for (size_t i = 0; i < sizeof op_families / sizeof op_families[0]; i++)
        write_op_family(prom, &all, servers, &op_families[i]);
    write_latencies(prom, &all);
    write_stalls(prom, &all);
}
