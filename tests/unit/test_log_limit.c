/* What a source may cause in lines: a burst, then a rate; others are not touched by it; what was left out is
 * counted to the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>

#include "proxy/log_limit.h"

static struct px_log_limit limit;

static int setup(void **state)
{
    (void)state;
    memset(&limit, 0, sizeof(limit));
    return 0;
}

/* How many of so many lines go out, at one moment. */
static uint32_t lines(const char *event, const char *source, int64_t now_ms, uint32_t count)
{
    uint32_t out = 0, left_out;

    for (uint32_t i = 0; i < count; i++)
        out += px_log_limit_take(&limit, event, source, now_ms, &left_out);
    return out;
}

static void a_burst_then_a_rate(void **state)
{
    static const char event[] = "client.closed";
    uint32_t left_out;

    (void)state;
    assert_int_equal(lines(event, "10.0.0.1", 1000, 1000), PX_LOG_SOURCE_BURST);
    assert_int_equal(lines(event, "10.0.0.1", 2000, 1000), PX_LOG_SOURCE_RATE);
    assert_true(px_log_limit_take(&limit, event, "10.0.0.1", 3000, &left_out));
    assert_int_equal(left_out, 1000 - PX_LOG_SOURCE_RATE); /* those before were told a second ago */
    assert_true(px_log_limit_take(&limit, event, "10.0.0.1", 4000, &left_out));
    assert_int_equal(left_out, 0);
}

static void others_are_not_touched(void **state)
{
    static const char event[] = "client.closed", other[] = "server.health";

    (void)state;
    assert_int_equal(lines(event, "10.0.0.1", 1000, 1000000), PX_LOG_SOURCE_BURST);
    assert_int_equal(lines(event, "10.0.0.2", 1000, 5), 5);
    assert_int_equal(lines(other, "10.0.0.1", 1000, 5), 5);
    assert_int_equal(lines(other, "", 1000, 5), 5);
}

/* Many sources together: the kind has a limit of its own, and other kinds still get through. */
static void many_sources_together(void **state)
{
    static const char event[] = "client.closed", other[] = "server.health";
    uint32_t out = 0;
    char source[PX_LOG_SOURCE_MAX];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(source, sizeof(source), "10.1.%d.%d", i / 250, i % 250);
        out += lines(event, source, 1000, 1);
    }
    assert_int_equal(out, PX_LOG_EVENT_BURST);
    assert_int_equal(lines(other, "", 1000, 5), 5);
}

static void what_nobody_told_is_told(void **state)
{
    static const char event[] = "client.closed";
    const struct px_log_limit_row *row;
    uint32_t left_out = 0;

    (void)state;
    assert_int_equal(lines(event, "10.0.0.1", 1000, 120), PX_LOG_SOURCE_BURST);
    assert_null(px_log_limit_next(&limit, 1100, &left_out)); /* the next line may tell it */
    row = px_log_limit_next(&limit, 10000, &left_out);
    assert_non_null(row);
    assert_string_equal(row->event, event);
    assert_string_equal(row->source, "10.0.0.1");
    assert_int_equal(left_out, 120 - PX_LOG_SOURCE_BURST);
    assert_null(px_log_limit_next(&limit, 10000, &left_out));
}

static void plans_and_audits_are_exempt(void **state)
{
    (void)state;
    assert_true(px_log_limit_exempts("admin.call"));
    assert_true(px_log_limit_exempts("audit.reconfig"));
    assert_true(px_log_limit_exempts("plan.failed"));
    assert_false(px_log_limit_exempts("client.closed"));
    assert_false(px_log_limit_exempts("server.misfit"));
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(a_burst_then_a_rate), CASE(others_are_not_touched),
                                       CASE(many_sources_together), CASE(what_nobody_told_is_told),
                                       CASE(plans_and_audits_are_exempt)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
