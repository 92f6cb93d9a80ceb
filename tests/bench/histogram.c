/* See histogram.h. */
#include "tests/bench/histogram.h"

#include <math.h>
#include <string.h>

/* Values below 128 have a bucket each; above, the leading 7 bits choose one. */
static uint32_t shift_of(uint64_t value)
{
    uint32_t bits = 64u - (uint32_t)__builtin_clzll(value | 1u);
    return bits > BENCH_SUB_BITS + 1u ? bits - BENCH_SUB_BITS - 1u : 0u;
}

static uint32_t bucket_of(uint64_t value)
{
    uint32_t shift = shift_of(value);
    return shift * BENCH_SUB_BUCKETS + (uint32_t)(value >> shift);
}

static uint64_t highest_in(uint32_t bucket)
{
    if (bucket < 2u * BENCH_SUB_BUCKETS)
        return bucket;
    uint32_t shift = bucket / BENCH_SUB_BUCKETS - 1u;
    uint64_t lowest = (uint64_t)(bucket - shift * BENCH_SUB_BUCKETS) << shift;
    return lowest + (((uint64_t)1 << shift) - 1u);
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += (double)value;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->max)
        histogram->max = value;
}

void bench_histogram_clear(struct bench_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count);
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < BENCH_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= wanted && seen > 0) {
            uint64_t value = highest_in(bucket);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return 0;
}

double bench_histogram_mean(const struct bench_histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum / (double)histogram->count : 0.0;
}
