/* See tally.h. */
#include "proxy/control/tally.h"

#include <stdio.h>
#include <string.h>

#define PAUSES "zkferry_pause_seconds"

/* The families that say what became of sessions. */
static bool is_about_sessions(const char *family)
{
    static const char *const families[] = {"zkferry_client_closed_total", "zkferry_moves_total",
                                           "zkferry_reattaches_total", "zkferry_returned_instead_total",
                                           "zkferry_returns_total"};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i], family) == 0)
            return true;
    return false;
}

static void add_metrics(const struct px_crew *crew, struct mig_tally *tally)
{
    char name[MIG_TALLY_NAME_MAX];
    for (int metric = 0; metric < PX_METRIC_COUNT; metric++) {
        const struct px_metric_row *row = px_metric_row((enum px_metric)metric);
        if (!is_about_sessions(row->name))
            continue;
        snprintf(name, sizeof name, "%s{%s}", row->name, row->labels);
        mig_tally_add(tally, name, px_crew_metric(crew, (enum px_metric)metric));
    }
}

static void pause_name(char name[MIG_TALLY_NAME_MAX], enum px_stall stall, uint32_t bucket)
{
    char bound[24] = "+Inf";
    if (bucket < PX_LATENCY_BUCKETS)
        snprintf(bound, sizeof bound, "%g", px_latency_bounds_us[bucket] / 1e6);
    snprintf(name, MIG_TALLY_NAME_MAX, PAUSES "{why=\"%s\",le=\"%s\"}", px_stall_name(stall), bound);
}

/* Each bucket by itself: counts of different lives are added, and the highest one says how long at most. */
static void add_pauses(const struct px_crew *crew, struct mig_tally *tally)
{
    char name[MIG_TALLY_NAME_MAX];
    for (int stall = PX_STALL_NONE + 1; stall < PX_STALL_COUNT; stall++)
        for (uint32_t bucket = 0; bucket <= PX_LATENCY_BUCKETS; bucket++) {
            uint64_t count = 0;
            for (uint32_t worker = 0; worker < px_crew_count(crew); worker++)
                count += atomic_load_explicit(&px_crew_metrics(crew, worker)->stalls[stall].counts[bucket],
                                              memory_order_relaxed);
            if (count == 0)
                continue;
            pause_name(name, (enum px_stall)stall, bucket);
            mig_tally_add(tally, name, count);
        }
}

void px_tally(const struct px_crew *crew, const struct px_session_counts *counts, struct mig_tally *ret_tally)
{
    ret_tally->count = 0;
    mig_tally_add(ret_tally, MIG_TALLY_MOVED, counts->moved);
    mig_tally_add(ret_tally, MIG_TALLY_RETURNED, counts->returned);
    mig_tally_add(ret_tally, MIG_TALLY_FAILED, counts->failed);
    mig_tally_add(ret_tally, MIG_TALLY_EXPIRED, counts->expired);
    add_pauses(crew, ret_tally);
    add_metrics(crew, ret_tally);
}

double px_tally_longest_pause(const struct mig_tally *tally)
{
    char name[MIG_TALLY_NAME_MAX];
    for (uint32_t bucket = PX_LATENCY_BUCKETS + 1; bucket > 0; bucket--)
        for (int stall = PX_STALL_NONE + 1; stall < PX_STALL_COUNT; stall++) {
            pause_name(name, (enum px_stall)stall, bucket - 1);
            if (mig_tally_of(tally, name) > 0)
                return bucket - 1 < PX_LATENCY_BUCKETS ? px_latency_bounds_us[bucket - 1] / 1e6 : -1;
        }
    return 0;
}
