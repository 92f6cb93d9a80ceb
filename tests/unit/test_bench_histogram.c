/* The benchmark's histogram: how far off a percentile may be, and where buckets meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/bench/histogram.h"

static struct bench_histogram histogram; /* 30 KB: not on the stack */

static int clear(void **state)
{
    (void)state;
    bench_histogram_clear(&histogram);
    return 0;
}

/* Never below the value, and at most 1/64 above it. */
static void assert_kept(uint64_t value)
{
    bench_histogram_clear(&histogram);
    bench_histogram_add(&histogram, value);
    bench_histogram_add(&histogram, UINT64_MAX); /* else the maximum would cut what the bucket says */
    uint64_t found = bench_histogram_at(&histogram, 0.5);
    assert_true(found >= value);
    assert_true(found - value <= value / BENCH_SUB_BUCKETS);
}

static void test_every_size_is_known_to_a_64th(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint64_t power = (uint64_t)1 << bit;
        assert_kept(power - 1u);
        assert_kept(power);
        assert_kept(power + 1u);
        assert_kept(power + power / 3u);
    }
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 2u * BENCH_SUB_BUCKETS; value++) {
        assert_kept(value);
        assert_int_equal(bench_histogram_at(&histogram, 0.5), value);
    }
}

static void test_shares_count_values(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 100; value++)
        bench_histogram_add(&histogram, value);
    assert_int_equal(histogram.count, 100);
    assert_int_equal(bench_histogram_at(&histogram, 0.5), 50);
    assert_int_equal(bench_histogram_at(&histogram, 0.99), 99);
    assert_int_equal(bench_histogram_at(&histogram, 0.999), 100);
    assert_int_equal(bench_histogram_at(&histogram, 0.0), 1);
    assert_int_equal(bench_histogram_at(&histogram, 1.0), 100);
    assert_true(bench_histogram_mean(&histogram) == 50.5);
}

static void test_the_maximum_is_exact(void **state)
{
    (void)state;
    bench_histogram_add(&histogram, 1000003);
    assert_int_equal(bench_histogram_at(&histogram, 1.0), 1000003);
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(bench_histogram_at(&histogram, 0.99), 0);
    assert_true(bench_histogram_mean(&histogram) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_size_is_known_to_a_64th, clear),
        cmocka_unit_test_setup(test_small_values_are_exact, clear),
        cmocka_unit_test_setup(test_shares_count_values, clear),
        cmocka_unit_test_setup(test_the_maximum_is_exact, clear),
        cmocka_unit_test_setup(test_empty, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
