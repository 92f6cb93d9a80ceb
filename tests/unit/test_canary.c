/* What is measured of canaries: percentiles out of buckets, the window of what is usual, limits at their
 * edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/engine/canary.h"

static const uint32_t bounds_us[] = {1000, 10000, 100000};
static const struct mig_canary_facts empty = {.bucket_count = 4, .bounds_us = bounds_us};
static const struct conf_canary limits = {
    .share = 500, .errors = 1000, .latency = 20000, .latency_floor_ms = 5, .expired = 1, .returned = 2};

static int64_t p99(const int64_t counts[4])
{
    struct mig_group_facts from = {.latency = {7, 7, 7, 7}};
    struct mig_group_facts to = from;
    for (uint32_t i = 0; i < 4; i++)
        to.latency[i] += counts[i];
    return mig_measures_of(&empty, &from, &to).p99_us;
}

static void percentiles_out_of_buckets(void **state)
{
    (void)state;
    assert_int_equal(p99((const int64_t[]){0, 0, 0, 0}), 0);
    assert_int_equal(p99((const int64_t[]){1000, 0, 0, 0}), 990);
    assert_int_equal(p99((const int64_t[]){990, 10, 0, 0}), 1000);
    assert_int_equal(p99((const int64_t[]){980, 20, 0, 0}), 5500); /* the middle of its bucket */
    assert_int_equal(p99((const int64_t[]){0, 0, 1, 0}), 100000);
    assert_int_equal(p99((const int64_t[]){0, 0, 0, 5}), 100000); /* at least that */
}

/* Of a hundred requests, five accidents. */
static void a_few_slow_ones_are_spared(void **state)
{
    (void)state;
    assert_int_equal(p99((const int64_t[]){95, 0, 5, 0}), 1000);
    assert_int_equal(p99((const int64_t[]){94, 0, 6, 0}), 10000 + 90000 / 6);
    assert_int_equal(p99((const int64_t[]){490, 0, 10, 0}), 10000 + 90000 * 5 / 10);
}

static void differences_between_two_moments(void **state)
{
    (void)state;
    const struct mig_group_facts from = {
        .troubles = 5, .expired = 2, .returned = 1, .latency = {10, 20, 0, 0}};
    const struct mig_group_facts to = {.troubles = 7, .expired = 3, .returned = 1, .latency = {15, 26, 1, 0}};
    struct mig_measures seen = mig_measures_of(&empty, &from, &to);
    assert_int_equal(seen.troubles, 2);
    assert_int_equal(seen.expired, 1);
    assert_int_equal(seen.returned, 0);
    assert_int_equal(seen.requests, 12);
}

static void assert_within(const struct mig_measures *usual, struct mig_measures seen)
{
    char text[512] = "";
    if (mig_canary_exceeds(&limits, usual, &seen, text, sizeof(text)))
        fail_msg("%s", text);
}

static void assert_exceeds(const struct mig_measures *usual, struct mig_measures seen, const char *expected)
{
    char text[512] = "";
    assert_true(mig_canary_exceeds(&limits, usual, &seen, text, sizeof(text)));
    assert_string_equal(text, expected);
}

static void limits_at_their_edge(void **state)
{
    (void)state;
    const struct mig_measures calm = {.ms = 1000, .sessions = 100, .requests = 1000, .p99_us = 4000};
    const struct mig_measures good = {.ms = 1000, .sessions = 20, .requests = 100, .p99_us = 8000};
    struct mig_measures seen = good;
    assert_within(&calm, seen);
    seen.troubles = 2;
    assert_within(&calm, seen);
    seen.troubles = 3;
    assert_exceeds(&calm, seen,
                   "errors: 3 of 20 canaries (15.00%) were cut off, lost their server or were not taken; the "
                   "limit is 10.00% above the usual 0.00%");
    seen = good;
    seen.expired = 1;
    seen.returned = 2;
    assert_within(&calm, seen);
    seen.expired = 2;
    assert_exceeds(&calm, seen, "expired: 2 canaries; the limit is 1 above the usual 0.0");
    seen.expired = 0;
    seen.returned = 3;
    assert_exceeds(&calm, seen, "returned: 3 canaries; the limit is 2 above the usual 0.0");
    seen = good;
    seen.p99_us = 8100;
    assert_exceeds(
        &calm, seen,
        "latency: the 99th percentile of the canaries is 8.1 ms; the limit is 8.0 ms, it was 4.0 ms "
        "before");
}

/* Per session and time: ten times as many sessions for half the time may have five times as many troubles. */
static void what_is_usual_is_scaled(void **state)
{
    (void)state;
    const struct mig_measures usual = {.ms = 2000, .sessions = 10, .troubles = 10, .expired = 2};
    const struct mig_measures seen = {.ms = 1000, .sessions = 100, .troubles = 50 + 10, .expired = 10 + 1};
    struct mig_measures more = seen;
    assert_within(&usual, seen);
    more.troubles++;
    assert_exceeds(
        &usual, more,
        "errors: 61 of 100 canaries (61.00%) were cut off, lost their server or were not taken; the "
        "limit is 10.00% above the usual 50.00%");
    more = seen;
    more.expired++;
    assert_exceeds(&usual, more, "expired: 12 canaries; the limit is 1 above the usual 10.0");
}

static void few_or_fast_requests_are_never_slow(void **state)
{
    (void)state;
    const struct mig_measures calm = {.ms = 1000, .sessions = 9, .requests = 1000, .p99_us = 100};
    const struct mig_measures unknown = {.ms = 1000, .sessions = 9, .requests = 19, .p99_us = 100};
    const struct mig_measures slow = {.ms = 1000, .sessions = 9, .requests = 20, .p99_us = 90000};
    struct mig_measures seen = slow;
    assert_exceeds(
        &calm, slow,
        "latency: the 99th percentile of the canaries is 90.0 ms; the limit is 5.0 ms, it was 0.1 ms "
        "before");
    assert_within(&unknown, slow); /* nothing to compare with */
    seen.requests = 19;
    assert_within(&calm, seen);
    seen = slow;
    seen.p99_us = 5000; /* the floor */
    assert_within(&calm, seen);
}

static void the_lookback_looks_back_one_window(void **state)
{
    (void)state;
    struct mig_lookback lookback = {.count = 0};
    struct mig_canary_facts facts = empty;
    assert_int_equal(mig_lookback_usual(&lookback, &facts, 1000).ms, 0);
    for (int64_t now_ms = 1000; now_ms <= 101000; now_ms += 100) { /* one trouble per second */
        facts.rest.troubles = now_ms / 1000;
        mig_lookback_note(&lookback, &facts, now_ms < 91000 ? 10 : 20, now_ms, 8000);
    }
    struct mig_measures usual = mig_lookback_usual(&lookback, &facts, 101000);
    assert_in_range(usual.ms, 7000, 9000);
    assert_in_range(usual.troubles, 7, 9);
    assert_int_equal(usual.sessions, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_out_of_buckets),
        cmocka_unit_test(a_few_slow_ones_are_spared),
        cmocka_unit_test(differences_between_two_moments),
        cmocka_unit_test(limits_at_their_edge),
        cmocka_unit_test(what_is_usual_is_scaled),
        cmocka_unit_test(few_or_fast_requests_are_never_slow),
        cmocka_unit_test(the_lookback_looks_back_one_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
