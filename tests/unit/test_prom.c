/* Metrics text, byte by byte, and promtool's opinion of it where promtool is installed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "proxy/admin/prom.h"
#include "proxy/admin/prom_workers.h"

static int setup(void **state)
{
    *state = evbuffer_new();
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    evbuffer_free(*state);
    return 0;
}

static const char *text_of(struct evbuffer *out)
{
    (void)evbuffer_add(out, "", 1);
    return (const char *)evbuffer_pullup(out, -1);
}

static void test_samples(void **state)
{
    struct px_prom prom;
    const struct px_prom_label labels[] = {{"server", "4"}, {"why", "a\"b\\c\nd\xff"}};

    px_prom_init(&prom, *state);
    px_prom_family(&prom, "zkferry_lag", PX_PROM_GAUGE, "Transactions behind the leader.");
    px_prom_sample(&prom, NULL, 0, 0.1);
    px_prom_sample(&prom, labels, 2, -3);
    px_prom_sample(&prom, labels, 1, NAN);
    px_prom_sample(&prom, labels, 1, -(double)INFINITY);
    px_prom_family(&prom, "zkferry_moves_total", PX_PROM_COUNTER, "Moves.");
    px_prom_count(&prom, labels, 1, UINT64_MAX);
    px_prom_count_literal(&prom, "", 1);
    px_prom_count_literal(&prom, "a=\"b\"", 2);
    assert_string_equal(text_of(*state), "# HELP zkferry_lag Transactions behind the leader.\n"
                                         "# TYPE zkferry_lag gauge\n"
                                         "zkferry_lag 0.1\n"
                                         "zkferry_lag{server=\"4\",why=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} -3\n"
                                         "zkferry_lag{server=\"4\"} NaN\n"
                                         "zkferry_lag{server=\"4\"} -Inf\n"
                                         "# HELP zkferry_moves_total Moves.\n"
                                         "# TYPE zkferry_moves_total counter\n"
                                         "zkferry_moves_total{server=\"4\"} 18446744073709551615\n"
                                         "zkferry_moves_total 1\n"
                                         "zkferry_moves_total{a=\"b\"} 2\n");
}

static void test_histograms_are_cumulative(void **state)
{
    static const double bounds[] = {0.001, 0.5};
    static const uint64_t counts[] = {2, 3, 1};
    const struct px_prom_label label = {"side", "source"};
    struct px_prom prom;

    px_prom_init(&prom, *state);
    px_prom_family(&prom, "zkferry_x_seconds", PX_PROM_HISTOGRAM, "X.");
    px_prom_histogram(&prom, &label, 1, bounds, counts, 2, 1.25);
    px_prom_histogram(&prom, NULL, 0, bounds, counts, 2, 0);
    assert_string_equal(text_of(*state), "# HELP zkferry_x_seconds X.\n"
                                         "# TYPE zkferry_x_seconds histogram\n"
                                         "zkferry_x_seconds_bucket{side=\"source\",le=\"0.001\"} 2\n"
                                         "zkferry_x_seconds_bucket{side=\"source\",le=\"0.5\"} 5\n"
                                         "zkferry_x_seconds_bucket{side=\"source\",le=\"+Inf\"} 6\n"
                                         "zkferry_x_seconds_sum{side=\"source\"} 1.25\n"
                                         "zkferry_x_seconds_count{side=\"source\"} 6\n"
                                         "zkferry_x_seconds_bucket{le=\"0.001\"} 2\n"
                                         "zkferry_x_seconds_bucket{le=\"0.5\"} 5\n"
                                         "zkferry_x_seconds_bucket{le=\"+Inf\"} 6\n"
                                         "zkferry_x_seconds_sum 0\n"
                                         "zkferry_x_seconds_count 6\n");
}

/* Every family stands once, whatever the order of the rows. */
static void assert_families_once(const char *text)
{
    const char *seen[256];
    size_t count = 0;

    for (const char *at = strstr(text, "# TYPE "); at != NULL; at = strstr(at + 1, "# TYPE ")) {
        size_t len = strcspn(at + 7, " ") + 1;

        for (size_t i = 0; i < count; i++)
            assert_true(strncmp(seen[i], at + 7, len) != 0);
        assert_true(count < 256);
        seen[count++] = at + 7;
    }
    assert_true(count > 10);
}

static void assert_promtool_is_content(const char *text)
{
    FILE *promtool;

    if (system("command -v promtool >/dev/null 2>&1") != 0)
        return; /* a Debian package that tests do not require */
    promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    assert_true(fputs(text, promtool) >= 0);
    assert_int_equal(pclose(promtool), 0);
}

static void test_the_workers_are_added_up(void **state)
{
    struct px_metrics *shards = calloc(2, sizeof *shards);
    struct px_server_directive *servers = calloc(PX_SLOTS_MAX, sizeof *servers);
    const struct px_metrics *list[] = {&shards[0], &shards[1]};
    struct px_prom prom;
    const char *text;

    assert_non_null(shards);
    assert_non_null(servers);
    servers[1].id = 4;
    servers[1].side = PX_SIDE_TARGET;
    px_metric_add(&shards[0], PX_METRIC_CLIENTS, 5);
    px_metric_sub(&shards[1], PX_METRIC_CLIENTS, 2); /* opened on one worker, closed on another */
    px_metric_bump(&shards[0].ops[1][ZKP_OPX_GET_DATA].requests, 7);
    px_metric_bump(&shards[1].ops[1][ZKP_OPX_GET_DATA].requests, 1);
    px_metric_bump(&shards[1].latency[PX_SIDE_TARGET][ZKP_OPX_PING].counts[PX_LATENCY_BUCKETS], 3);
    px_metric_bump(&shards[1].latency[PX_SIDE_TARGET][ZKP_OPX_PING].sum_us, 1500000);
    px_metrics_stall(&shards[0], PX_STALL_MOVED, 4000);
    px_metrics_stall(&shards[1], PX_STALL_MOVED, 6000);
    px_prom_init(&prom, *state);
    px_prom_workers(&prom, list, 2, servers);
    text = text_of(*state);
    assert_non_null(strstr(text, "zkferry_pause_seconds_bucket{why=\"moved\",le=\"0.005\"} 1\n"));
    assert_non_null(strstr(text, "zkferry_pause_seconds_sum{why=\"moved\"} 0.01\n"));
    assert_null(strstr(text, "why=\"held\""));
    assert_non_null(strstr(text, "\nzkferry_client_connections 3\n"));
    assert_non_null(
        strstr(text, "\nzkferry_requests_total{server=\"4\",side=\"target\",opcode=\"get_data\"} 8\n"));
    assert_non_null(
        strstr(text, "zkferry_latency_seconds_bucket{side=\"target\",opcode=\"ping\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "zkferry_latency_seconds_sum{side=\"target\",opcode=\"ping\"} 1.5\n"));
    assert_null(strstr(text, "opcode=\"create\""));
    assert_families_once(text);
    assert_promtool_is_content(text);
    free(shards);
    free(servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histograms_are_cumulative, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_workers_are_added_up, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
