/* See canary.h. */
#include "migrate/engine/canary.h"

#include <stdio.h>
#include <string.h>

#include "migrate/text.h"

/* --- measures --- */

/* Within a bucket latencies count as evenly spread; those above the last bound, as that bound. */
static int64_t p99_of(const struct mig_canary_facts *facts, const int64_t *counts, int64_t requests)
{
    int64_t slowest = requests / 100 > MIG_LATENCY_SPARED ? requests / 100 : MIG_LATENCY_SPARED;
    int64_t rank = requests > slowest ? requests - slowest : requests; /* how many are at most that slow */
    int64_t below = 0;

    for (uint32_t i = 0; i + 1 < facts->bucket_count; i++) {
        int64_t from_us = i > 0 ? facts->bounds_us[i - 1] : 0;
        if (below + counts[i] >= rank && counts[i] > 0)
            return from_us + (facts->bounds_us[i] - from_us) * (rank - below) / counts[i];
        below += counts[i];
    }
    return requests > 0 && facts->bucket_count > 1 ? facts->bounds_us[facts->bucket_count - 2] : 0;
}

struct mig_measures mig_measures_of(const struct mig_canary_facts *facts, const struct mig_group_facts *from,
                                    const struct mig_group_facts *to)
{
    struct mig_measures measures = {.troubles = to->troubles - from->troubles,
                                    .expired = to->expired - from->expired,
                                    .returned = to->returned - from->returned};
    int64_t counts[MIG_LATENCY_BUCKETS_MAX] = {0};

    for (uint32_t i = 0; i < facts->bucket_count; i++) {
        counts[i] = to->latency[i] - from->latency[i];
        measures.requests += counts[i];
    }
    measures.p99_us = p99_of(facts, counts, measures.requests);
    return measures;
}

/* --- limits --- */

/* What would have happened to so many sessions in that time if everything was as before. */
static double expected(const struct mig_measures *usual, const struct mig_measures *seen, int64_t happened)
{
    double usual_time = (double)usual->sessions * (double)usual->ms;

    if (usual_time <= 0)
        return 0;
    return (double)happened * (double)seen->sessions * (double)seen->ms / usual_time;
}

static double percent_of(double part, int64_t whole)
{
    return whole > 0 ? 100.0 * part / (double)whole : 0;
}

static bool has_errors(const struct conf_canary *limits, const struct mig_measures *usual,
                       const struct mig_measures *seen, char *buf, uint32_t capacity)
{
    double basis = expected(usual, seen, usual->troubles);
    double limit = basis + (double)seen->sessions * (double)limits->errors / 10000.0;

    if ((double)seen->troubles <= limit)
        return false;
    mig_text_set(
        buf, capacity,
        "errors: %lld of %lld canaries (%.2f%%) were cut off, lost their server or were not taken; the "
        "limit is %.2f%% above the usual %.2f%%",
        (long long)seen->troubles, (long long)seen->sessions,
        percent_of((double)seen->troubles, seen->sessions), (double)limits->errors / 100.0,
        percent_of(basis, seen->sessions));
    return true;
}

static bool is_slow(const struct conf_canary *limits, const struct mig_measures *usual,
                    const struct mig_measures *seen, char *buf, uint32_t capacity)
{
    int64_t limit_us = usual->p99_us * limits->latency / 10000;

    if (limit_us < limits->latency_floor_ms * INT64_C(1000))
        limit_us = limits->latency_floor_ms * INT64_C(1000);
    if (usual->requests < MIG_LATENCY_REQUESTS_MIN || seen->requests < MIG_LATENCY_REQUESTS_MIN ||
        seen->p99_us <= limit_us)
        return false;
    mig_text_set(
        buf, capacity,
        "latency: the 99th percentile of the canaries is %.1f ms; the limit is %.1f ms, it was %.1f ms "
        "before",
        (double)seen->p99_us / 1000.0, (double)limit_us / 1000.0, (double)usual->p99_us / 1000.0);
    return true;
}

static bool are_too_many(const char *name, int64_t count, int32_t limit, double basis, char *buf,
                         uint32_t capacity)
{
    if ((double)count <= basis + (double)limit)
        return false;
    mig_text_set(buf, capacity, "%s: %lld canaries; the limit is %d above the usual %.1f", name,
                 (long long)count, limit, basis);
    return true;
}

bool mig_canary_exceeds(const struct conf_canary *limits, const struct mig_measures *usual,
                        const struct mig_measures *seen, char *buf, uint32_t capacity)
{
    return has_errors(limits, usual, seen, buf, capacity) ||
           are_too_many("expired", seen->expired, limits->expired, expected(usual, seen, usual->expired), buf,
                        capacity) ||
           are_too_many("returned", seen->returned, limits->returned, expected(usual, seen, usual->returned),
                        buf, capacity) ||
           is_slow(limits, usual, seen, buf, capacity);
}

/* --- lookback --- */

static void drop_oldest(struct mig_lookback *lookback)
{
    lookback->count--;
    memmove(&lookback->samples[0], &lookback->samples[1], lookback->count * sizeof(lookback->samples[0]));
}

void mig_lookback_note(struct mig_lookback *lookback, const struct mig_canary_facts *facts, int64_t sessions,
                       int64_t now_ms, int64_t span_ms)
{
    int64_t pace_ms = span_ms / (MIG_LOOKBACK_MAX - 1);

    if (lookback->count > 0 && now_ms - lookback->samples[lookback->count - 1].at_ms < pace_ms)
        return;
    if (lookback->count == MIG_LOOKBACK_MAX)
        drop_oldest(lookback);
    lookback->samples[lookback->count].at_ms = now_ms;
    lookback->samples[lookback->count].sessions = sessions;
    lookback->samples[lookback->count++].group = facts->rest;
}

struct mig_measures mig_lookback_usual(const struct mig_lookback *lookback,
                                       const struct mig_canary_facts *facts, int64_t now_ms)
{
    struct mig_measures usual = {.ms = 0};
    int64_t sessions = 0;

    if (lookback->count == 0)
        return usual;
    usual = mig_measures_of(facts, &lookback->samples[0].group, &facts->rest);
    usual.ms = now_ms - lookback->samples[0].at_ms;
    for (uint32_t i = 0; i < lookback->count; i++)
        sessions += lookback->samples[i].sessions;
    usual.sessions = sessions / lookback->count;
    return usual;
}
