/* The report's message from a history: every part of it, and what is not known yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/control/report/report_history.h"
#include "proxy/control/tally.h"

static void add_server(struct mig_servers *servers, const char *line)
{
    struct err err;
    assert_int_equal(zkp_server_parse(zkp_slice_str(line), &servers->servers[servers->count++], &err), RC_OK);
}

static struct mig_history *history_new(void)
{
    struct mig_history *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->outcome = MIG_OUTCOME_RUNNING;
    snprintf(h->plan.id, sizeof h->plan.id, "p-1");
    h->plan.kind = CONF_KIND_REPLACE;
    h->plan.created_wall_ms = 1000;
    add_server(&h->plan.sources, "server.1=a:2888:3888:participant;a:2181");
    add_server(&h->plan.targets, "server.4=d:2888:3888:participant;d:2181");
    h->plan.leaving = (struct mig_ids){.count = 1, .ids = {1}};
    h->plan.accept_count = 1;
    snprintf(h->plan.accept[0], sizeof h->plan.accept[0], "server-down-1");
    return h;
}

static void test_parts(void **state)
{
    (void)state;
    struct mig_history *h = history_new();
    struct px_report_history *report = px_report_history_new();
    const struct px_report_extras extras = {.verification = NULL};
    h->step_count = 1;
    h->steps[0] = (struct mig_done_step){.name = "add.4", .started_wall_ms = 1500, .took_ms = 250};
    h->reconfig_count = 2;
    h->reconfigs[0] = (struct mig_reconfig){.step = "add.4",
                                            .joining = "server.4=d",
                                            .leaving = "1",
                                            .from_version = 5,
                                            .to_version = 6,
                                            .via = 2,
                                            .is_decided = true,
                                            .is_applied = true,
                                            .sent_wall_ms = 1500,
                                            .decided_wall_ms = 1700,
                                            .hold_ms = 125};
    h->reconfigs[1] = (struct mig_reconfig){.step = "remove.1", .sent_wall_ms = 1800};
    h->moment_count = 1;
    h->moments[0] = (struct mig_moment){.wall_ms = 1600, .kind = MIG_RECORD_CONFIRMED, .text = "switch"};
    mig_tally_add(&h->tally, MIG_TALLY_MOVED, 9);
    mig_tally_add(&h->tally, "zkferry_moves_total{result=\"done\"}", 9);
    const Zkf__Report *message = px_report_history_fill(report, h, &extras, 3000);
    assert_string_equal(message->plan_id, "p-1");
    assert_string_equal(message->kind, "replace");
    assert_string_equal(message->outcome, "running");
    assert_true(message->seconds == 2.0); /* so far */
    assert_string_equal(message->sources[0], "server.1=a:2888:3888:participant;a:2181");
    assert_string_equal(message->targets[0], "server.4=d:2888:3888:participant;d:2181");
    assert_int_equal(message->leaving[0], 1);
    assert_string_equal(message->accepted[0], "server-down-1");
    assert_true(message->steps[0]->seconds == 0.25);
    assert_string_equal(message->reconfigs[0]->outcome, "applied");
    assert_true(message->reconfigs[0]->seconds == 0.2);
    assert_string_equal(message->reconfigs[1]->outcome, "open");
    assert_int_equal(message->holds, 1);
    assert_true(message->longest_hold_seconds == 0.125);
    assert_string_equal(message->moments[0]->what, "confirmed");
    assert_int_equal(message->sessions->moved, 9);
    assert_int_equal(message->sessions->n_reasons, 1);
    assert_string_equal(message->sessions->reasons[0]->name, "zkferry_moves_total{result=\"done\"}");
    assert_null(message->verification);
    px_report_history_free(report);
    free(h);
}

static void test_end(void **state)
{
    (void)state;
    struct mig_history *h = history_new();
    struct px_report_history *report = px_report_history_new();
    Zkf__Verify verify = ZKF__VERIFY__INIT;
    Zkf__Witness witness = ZKF__WITNESS__INIT;
    const struct px_report_extras extras = {.verification = &verify, .witness = &witness};
    h->outcome = MIG_OUTCOME_FAILED;
    h->ended_wall_ms = 4500;
    snprintf(h->failure, sizeof h->failure, "no leader");
    const Zkf__Report *message = px_report_history_fill(report, h, &extras, 99999);
    assert_true(message->seconds == 3.5);
    assert_string_equal(message->outcome, "failed");
    assert_string_equal(message->failure, "no leader");
    assert_ptr_equal(message->verification, &verify);
    assert_ptr_equal(message->witness, &witness);
    px_report_history_free(report);
    free(h);
}

/* The highest bucket that is not empty, of whatever reason. */
static void test_longest_pause(void **state)
{
    (void)state;
    struct mig_tally tally = {.count = 0};
    assert_true(px_tally_longest_pause(&tally) == 0);
    mig_tally_add(&tally, "zkferry_pause_seconds{why=\"moved\",le=\"0.005\"}", 7);
    assert_true(px_tally_longest_pause(&tally) == 0.005);
    mig_tally_add(&tally, "zkferry_pause_seconds{why=\"held\",le=\"0.25\"}", 1);
    assert_true(px_tally_longest_pause(&tally) == 0.25);
    mig_tally_add(&tally, "zkferry_pause_seconds{why=\"held\",le=\"+Inf\"}", 1);
    assert_true(px_tally_longest_pause(&tally) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_longest_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
