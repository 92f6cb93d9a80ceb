/* What a burst of small blocks leaves behind goes back to the system, once, and only after a burst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/control/slack.h"

#define BLOCKS 40000u
#define BLOCK  700u /* a connection and its session core, about */
#define STAYS  100u /* one in so many */
#define SECOND 1000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_MALLOC true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_MALLOC true
#endif
#endif
#ifndef HAS_OWN_MALLOC
#define HAS_OWN_MALLOC false
#endif

static size_t resident_bytes(void)
{
    unsigned long all, resident;
    FILE *file = fopen("/proc/self/statm", "r");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Many blocks of which a few stay, so that free() alone can't give the others back. */
static void leave_slack(void **blocks)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK);
        assert_non_null(blocks[i]);
        *(volatile char *)blocks[i] = 1; /* every page is touched */
    }
    for (uint32_t i = 0; i < BLOCKS; i++)
        if (i % STAYS != 0)
            free(blocks[i]);
}

static void it_goes_back_after_a_burst(void **state)
{
    (void)state;
    static void *blocks[BLOCKS];
    struct px_slack slack;
    px_slack_init(&slack);
    size_t before = resident_bytes();
    assert_false(px_slack_tick(&slack, 10000, SECOND));
    leave_slack(blocks);
    size_t with = resident_bytes();
    if (!HAS_OWN_MALLOC)
        assert_true(with > before + BLOCKS * BLOCK * 3 / 4); /* else there is nothing to give back */
    assert_true(px_slack_tick(&slack, 100, 2 * SECOND));
    if (!HAS_OWN_MALLOC)
        assert_true(resident_bytes() < before + BLOCKS * BLOCK / 4);
    for (uint32_t i = 0; i < BLOCKS; i += STAYS)
        free(blocks[i]);
}

static void only_a_burst_is_one(void **state)
{
    (void)state;
    struct px_slack slack;
    px_slack_init(&slack);
    assert_false(px_slack_tick(&slack, 0, SECOND));
    assert_false(px_slack_tick(&slack, 511, SECOND));
    assert_false(px_slack_tick(&slack, 0, SECOND)); /* too few */
    assert_false(px_slack_tick(&slack, 10000, SECOND));
    assert_false(px_slack_tick(&slack, 5001, SECOND)); /* less than half of them have gone */
    assert_true(px_slack_tick(&slack, 5000, SECOND));
    assert_false(px_slack_tick(&slack, 5000, SECOND));
    assert_false(px_slack_tick(&slack, 0, 11 * SECOND - 1)); /* so soon after the last time */
    assert_true(px_slack_tick(&slack, 0, 11 * SECOND));
    assert_false(px_slack_tick(&slack, 0, 100 * SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_back_after_a_burst),
        cmocka_unit_test(only_a_burst_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
