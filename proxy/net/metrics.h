/* One worker's metrics: relaxed stores by the worker, relaxed loads by the control thread, which adds the
 * shards up (style.md §9). Not here: the rows (metric_table.h) and their text (admin). */
#ifndef PROXY_NET_METRICS_H
#define PROXY_NET_METRICS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "proxy/net/directive.h"
#include "proxy/net/metric_table.h"
#include "proxy/session/session.h"
#include "zkproto/opcode.h"

enum px_metric {
#define PX_METRIC_ENUM(id, name, kind, labels, help) PX_METRIC_##id,
    PX_METRICS(PX_METRIC_ENUM)
#undef PX_METRIC_ENUM
        PX_METRIC_COUNT
};

enum px_metric_kind { PX_METRIC_KIND_COUNTER, PX_METRIC_KIND_GAUGE };

struct px_metric_row {
    const char *name;
    enum px_metric_kind kind;
    const char *labels; /* "reason=\"returned\"" or "" */
    const char *help;
};
const struct px_metric_row *px_metric_row(enum px_metric metric);

/* Upper bounds of both histograms, in microseconds; one more bucket above. */
#define PX_LATENCY_BUCKETS 14u
extern const uint32_t px_latency_bounds_us[PX_LATENCY_BUCKETS];

/* Per server and opcode: zkferry_requests_total, zkferry_request_bytes_total, zkferry_responses_total,
 * zkferry_response_bytes_total, zkferry_fast_responses_total, zkferry_slow_responses_total
 * {server, side, opcode}. */
struct px_op_metrics {
    _Atomic(uint64_t) requests;
    _Atomic(uint64_t) request_bytes;
    _Atomic(uint64_t) responses;
    _Atomic(uint64_t) response_bytes;
    _Atomic(uint64_t) fast;
    _Atomic(uint64_t) slow;
};

/* zkferry_latency_seconds {side, opcode}: request given to the server -> reply from it.
 * zkferry_pause_seconds {why}: a client's requests waited in the proxy. */
struct px_latency {
    _Atomic(uint64_t) counts[PX_LATENCY_BUCKETS + 1]; /* own bucket, not cumulative */
    _Atomic(uint64_t) sum_us;
};

/* Sessions that go first in a switch are counted apart while they do. */
enum px_group { PX_GROUP_REST, PX_GROUP_CANARY, PX_GROUP_COUNT };

/* Owned by its worker, the only writer. */
struct px_metrics {
    alignas(64) _Atomic(uint64_t) values[PX_METRIC_COUNT];
    struct px_op_metrics ops[PX_SLOTS_MAX][ZKP_OPX_COUNT];
    struct px_latency latency[PX_SIDE_COUNT][ZKP_OPX_COUNT];
    struct px_latency stalls[PX_STALL_COUNT];
    _Atomic(uint64_t) group_latency[PX_GROUP_COUNT][PX_LATENCY_BUCKETS + 1]; /* of all opcodes but ping */
};

/* Single writer: a plain add that other threads may watch. */
static inline void px_metric_bump(_Atomic(uint64_t) *value, uint64_t by)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}
static inline void px_metric_add(struct px_metrics *metrics, enum px_metric metric, uint64_t by)
{
    px_metric_bump(&metrics->values[metric], by);
}
/* Gauges go up and down; unsigned wrap-around of the sum over all shards comes out right. */
static inline void px_metric_sub(struct px_metrics *metrics, enum px_metric metric, uint64_t by)
{
    px_metric_bump(&metrics->values[metric], 0 - by);
}
static inline void px_metric_set(struct px_metrics *metrics, enum px_metric metric, uint64_t value)
{
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}
static inline uint64_t px_metric_get(const struct px_metrics *metrics, enum px_metric metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

/* One request given to / one reply got from a server. Worker thread. */
void px_metrics_request(struct px_metrics *metrics, uint32_t slot, enum zkp_op_index op, uint64_t bytes);
void px_metrics_response(struct px_metrics *metrics, uint32_t slot, enum px_side side, enum px_group group,
                         enum zkp_op_index op, uint64_t bytes, uint32_t latency_us, uint32_t slow_us);
void px_metrics_stall(struct px_metrics *metrics, enum px_stall stall, uint32_t stall_us);

#endif
