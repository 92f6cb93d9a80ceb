/* Rows of the metric table and the two updates with some arithmetic. */
#include "proxy/net/metrics.h"

static const struct px_metric_row rows[PX_METRIC_COUNT] = {
#define METRIC_ROW(id, family, type, label_text, help_text)                                                  \
    [PX_METRIC_##id] = {                                                                                     \
        .name = (family), .kind = PX_METRIC_KIND_##type, .labels = (label_text), .help = (help_text)},
    PX_METRICS(METRIC_ROW)
#undef METRIC_ROW
};

const uint32_t px_latency_bounds_us[PX_LATENCY_BUCKETS] = {
    250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

const struct px_metric_row *px_metric_row(enum px_metric metric)
{
    return &rows[metric];
}

void px_metrics_request(struct px_metrics *metrics, uint32_t slot, enum zkp_op_index op, uint64_t bytes)
{
    struct px_op_metrics *row = &metrics->ops[slot][op];

    px_metric_bump(&row->requests, 1);
    px_metric_bump(&row->request_bytes, bytes);
}

/* Returns its bucket. */
static uint32_t latency_add(struct px_latency *latency, uint32_t latency_us)
{
    uint32_t bucket = 0;

    while (bucket < PX_LATENCY_BUCKETS && latency_us > px_latency_bounds_us[bucket])
        bucket++;
    px_metric_bump(&latency->counts[bucket], 1);
    px_metric_bump(&latency->sum_us, latency_us);
    return bucket;
}

void px_metrics_response(struct px_metrics *metrics, uint32_t slot, enum px_side side, enum px_group group,
                         enum zkp_op_index op, uint64_t bytes, uint32_t latency_us, uint32_t slow_us)
{
    struct px_op_metrics *row = &metrics->ops[slot][op];
    uint32_t bucket = latency_add(&metrics->latency[side][op], latency_us);

    px_metric_bump(&row->responses, 1);
    px_metric_bump(&row->response_bytes, bytes);
    px_metric_bump(latency_us > slow_us ? &row->slow : &row->fast, 1);
    if (op != ZKP_OPX_PING) /* servers answer it without work */
        px_metric_bump(&metrics->group_latency[group][bucket], 1);
}

void px_metrics_stall(struct px_metrics *metrics, enum px_stall stall, uint32_t stall_us)
{
    (void)latency_add(&metrics->stalls[stall], stall_us);
}
