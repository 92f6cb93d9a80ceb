/* HDR-style histogram of non-negative values: every power of two is split into 64 equal buckets, so a value
 * is known to 1/64 of itself over the whole range, and below 128 exactly. Fixed size, no allocation. One
 * thread. */
#ifndef TESTS_BENCH_HISTOGRAM_H
#define TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define BENCH_SUB_BITS    6u
#define BENCH_SUB_BUCKETS (1u << BENCH_SUB_BITS)
#define BENCH_BUCKETS     ((64u - BENCH_SUB_BITS + 1u) * BENCH_SUB_BUCKETS)

/* All zero = empty. */
struct bench_histogram {
    uint64_t count;
    uint64_t max;
    double sum;
    uint64_t buckets[BENCH_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value);
void bench_histogram_clear(struct bench_histogram *histogram);
/* The smallest v for which at least `share` (0 to 1) of the values are <= v, up to 1/64 too large; 0 when
 * empty. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share);
double bench_histogram_mean(const struct bench_histogram *histogram);

#endif
