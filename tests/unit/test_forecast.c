/* The dry run: what is said beforehand, word by word, and that the engine then does just that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/plan/forecast.h"
#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct mig_forecast *forecast_of(const struct sim *sim)
{
    struct mig_forecast *forecast = malloc(sizeof *forecast);
    assert_non_null(forecast);
    mig_engine_forecast(sim->engine, &sim->facts, forecast);
    return forecast;
}

/* "add.4 +4 -1 1,2,3,4 3/3/1>4/4/1": step, ids that join and leave, members and quorum afterwards. */
static void print_rows(const struct mig_forecast *forecast, char *buf, size_t capacity)
{
    buf[0] = '\0';
    for (uint32_t i = 0; i < forecast->count; i++) {
        const struct mig_forecast_step *step = &forecast->items[i];
        const struct mig_tolerance *t = &step->tolerance;
        size_t used = strlen(buf);
        snprintf(buf + used, capacity - used, "%s%s%.*s%s%s %s %d/%d/%d>%d/%d/%d\n", step->name,
                 step->joining[0] ? " +" : "", step->joining[0] ? 8 : 0, step->joining,
                 step->leaving[0] ? " -" : "", step->leaving, step->members, t->now.voters, t->now.alive,
                 t->now.tolerates, t->then.voters, t->then.alive, t->then.tolerates);
    }
}

static void assert_rows(const struct sim *sim, const char *expected)
{
    char rows[4096];
    struct mig_forecast *forecast = forecast_of(sim);
    print_rows(forecast, rows, sizeof rows);
    assert_string_equal(rows, expected);
    for (uint32_t i = 0; i < forecast->count; i++)
        assert_string_equal(forecast->items[i].risk, "");
    free(forecast);
}

static const struct mig_forecast_step *row(const struct mig_forecast *forecast, const char *name)
{
    for (uint32_t i = 0; i < forecast->count; i++)
        if (strcmp(forecast->items[i].name, name) == 0)
            return &forecast->items[i];
    fail_msg("no step %s", name);
    return NULL;
}

static struct sim *observed(struct sim *sim)
{
    (void)sim_run_for(sim, 2000);
    return sim;
}

static void test_migrate(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->leader = 2;
    observed(sim);
    assert_rows(sim, "preflight 1,2,3 3/3/1>3/3/1\n"
                     "lock 1,2,3 3/3/1>3/3/1\n"
                     "join 1,2,3 3/3/1>3/3/1\n"
                     "add.4 +server.4 1,2,3,4 3/3/1>4/4/1\n"
                     "add.5 +server.5 1,2,3,4,5 4/4/1>5/5/2\n"
                     "add.6 +server.6 1,2,3,4,5,6 5/5/2>6/6/2\n"
                     "catch_up 1,2,3,4,5,6 6/6/2>6/6/2\n"
                     "switch 1,2,3,4,5,6 6/6/2>6/6/2\n"
                     "compare 1,2,3,4,5,6 6/6/2>6/6/2\n"
                     "remove.1 -1 2,3,4,5,6 6/6/2>5/5/2\n"
                     "remove.3 -3 2,4,5,6 5/5/2>4/4/1\n"
                     "remove.2 -2 4,5,6 4/4/1>3/3/1\n" /* it leads */
                     "verify 4,5,6 3/3/1>3/3/1\n"
                     "finish 4,5,6 3/3/1>3/3/1\n");
    sim_free(sim);
}

static void test_texts(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->conf.confirm_switch = sim->conf.confirm_remove = sim->conf.confirm_finish = true;
    sim->leader = 3;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    observed(sim);
    sim->facts.sessions.total = 30;
    for (uint32_t i = 0; i < 3; i++)
        sim->facts.servers[i].our_sessions = 10;
    struct mig_forecast *forecast = forecast_of(sim);
    assert_string_equal(forecast->plan.id, "");
    assert_string_equal(forecast->refusal, "");
    assert_false(forecast->is_config_assumed);
    assert_int_equal(forecast->leader, 3);
    assert_string_equal(row(forecast, "join")->waits, "the start of targets 4,5,6");
    char line[ZKP_SERVER_TEXT_MAX];
    assert_true(zkp_server_format(&sim->conf.target.servers[1], line, sizeof line) > 0);
    assert_string_equal(row(forecast, "add.5")->joining, line);
    assert_string_equal(row(forecast, "add.5")->undo,
                        "`zkferry rollback` withdraws it; `zkferry pause` stops before the next");
    assert_string_equal(
        row(forecast, "switch")->impact,
        "30 sessions move, 500 per second, each with a pause of some ms; connections stay open");
    assert_string_equal(row(forecast, "switch")->waits, "`zkferry confirm switch`");
    assert_string_equal(row(forecast, "remove.1")->waits, "`zkferry confirm remove`");
    assert_string_equal(row(forecast, "remove.1")->impact,
                        "writes wait for the reconfig, some 10 ms; no session moves meanwhile");
    assert_string_equal(row(forecast, "remove.2")->waits, "");
    assert_string_equal(row(forecast, "remove.3")->impact,
                        "it leads: all 30 sessions hold until the new leader serves, about 257 ms; "
                        "connections stay open");
    assert_string_equal(row(forecast, "finish")->undo, "nothing: from here on there is no way back");
    assert_string_equal(row(forecast, "finish")->waits, "`zkferry confirm finish`");
    free(forecast);
    sim_free(sim);
}

/* The confirmation comes before the canaries, the observation counts. */
static void test_canaries(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->conf.confirm_switch = true;
    sim->conf.canary.share = 500;
    sim->conf.canary.observe_ms = 5 * MINUTE_MS;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    observed(sim);
    struct mig_forecast *forecast = forecast_of(sim);
    assert_string_equal(row(forecast, "canary")->waits, "`zkferry confirm switch`");
    assert_string_equal(row(forecast, "switch")->waits, "");
    assert_in_range(row(forecast, "canary")->takes_ms, 5 * MINUTE_MS, 6 * MINUTE_MS);
    assert_non_null(strstr(row(forecast, "canary")->impact, "beyond a limit they go back"));
    free(forecast);
    sim_free(sim);
}

static void test_times(void **state)
{
    (void)state;
    struct sim *sim = observed(sim_new());
    sim->facts.sessions.total = 9000;
    for (uint32_t i = 0; i < 3; i++) {
        sim->facts.servers[i].our_sessions = 3000;
        sim->facts.servers[i].mntr_seen = MIG_SEEN_DATA;
        sim->facts.servers[i].mntr.data_size = 300 * 1000 * 1000;
    }
    struct mig_forecast *forecast = forecast_of(sim);
    assert_int_equal(row(forecast, "switch")->takes_ms, 18100); /* at 500 per second */
    assert_int_equal(row(forecast, "compare")->takes_ms, 1000); /* counts only */
    assert_int_equal(row(forecast, "join")->takes_ms, 2000 + 2000 + 3 * 6000);
    char leader[MIG_STEP_NAME_MAX];
    snprintf(leader, sizeof leader, "remove.%d", (int)sim->leader);
    assert_int_equal(row(forecast, leader)->takes_ms, 500 + 250 + 2400 + 9000 / 4);
    int64_t sum = 0;
    for (uint32_t i = 0; i < forecast->count; i++)
        sum += forecast->items[i].takes_ms;
    assert_int_equal(forecast->takes_ms, sum);
    free(forecast);
    sim_free(sim);
}

static struct sim *of_kind(enum conf_kind kind, uint32_t sources, uint32_t targets, const int32_t *leaving,
                           int32_t leader, int32_t dead)
{
    struct sim *sim = sim_new_kind(kind, sources, targets, leaving);
    sim->leader = leader;
    if (dead != 0) {
        sim_up(sim, dead, false);
        sim_server(sim, dead)->sessions = 0;
    }
    return observed(sim);
}

static void test_other_kinds(void **state)
{
    (void)state;
    struct sim *sim = of_kind(CONF_KIND_EXPAND, 3, 2, NULL, 1, 0);
    assert_rows(sim, "preflight 1,2,3 3/3/1>3/3/1\nlock 1,2,3 3/3/1>3/3/1\njoin 1,2,3 3/3/1>3/3/1\n"
                     "add.4 +server.4 1,2,3,4 3/3/1>4/4/1\nadd.5 +server.5 1,2,3,4,5 4/4/1>5/5/2\n"
                     "catch_up 1,2,3,4,5 5/5/2>5/5/2\nverify 1,2,3,4,5 5/5/2>5/5/2\n"
                     "finish 1,2,3,4,5 5/5/2>5/5/2\n");
    sim_free(sim);
    sim = of_kind(CONF_KIND_SHRINK, 5, 0, (const int32_t[]){3, 5, 0}, 3, 0);
    assert_rows(
        sim, "preflight 1,2,3,4,5 5/5/2>5/5/2\nlock 1,2,3,4,5 5/5/2>5/5/2\n"
             "switch 1,2,3,4,5 5/5/2>5/5/2\ncompare 1,2,3,4,5 5/5/2>5/5/2\nremove.5 -5 1,2,3,4 5/5/2>4/4/1\n"
             "remove.3 -3 1,2,4 4/4/1>3/3/1\nverify 1,2,4 3/3/1>3/3/1\nfinish 1,2,4 3/3/1>3/3/1\n");
    sim_free(sim);
    sim = of_kind(CONF_KIND_REPLACE, 3, 1, (const int32_t[]){1, 0}, 3, 1);
    assert_rows(sim, "preflight 1,2,3 3/2/0>3/2/0\nlock 1,2,3 3/2/0>3/2/0\njoin 1,2,3 3/2/0>3/2/0\n"
                     "add.4 +server.4 -1 2,3,4 3/2/0>3/3/1\ncatch_up 2,3,4 3/3/1>3/3/1\n"
                     "switch 2,3,4 3/3/1>3/3/1\ncompare 2,3,4 3/3/1>3/3/1\nremove.1 2,3,4 "
                     "3/3/1>3/3/1\nverify 2,3,4 3/3/1>3/3/1\n"
                     "finish 2,3,4 3/3/1>3/3/1\n");
    sim_free(sim);
}

/* The gate would hold, and the forecast says so in advance. */
static void test_rolling(void **state)
{
    (void)state;
    struct sim *sim = observed(sim_new_kind(CONF_KIND_ROLLING, 3, 0, NULL));
    assert_rows(sim, "preflight 1,2,3 3/3/1>3/3/1\n"
                     "lock 1,2,3 3/3/1>3/3/1\n"
                     "restart.1 1,2,3 3/3/1>3/3/1\n"
                     "restart.2 1,2,3 3/3/1>3/3/1\n"
                     "restart.3 1,2,3 3/3/1>3/3/1\n"
                     "verify 1,2,3 3/3/1>3/3/1\n"
                     "finish 1,2,3 3/3/1>3/3/1\n");
    sim->facts.servers[0].our_sessions = 0;
    sim->facts.servers[1].our_sessions = 1000;
    struct mig_forecast *forecast = forecast_of(sim);
    assert_int_equal(row(forecast, "restart.2")->takes_ms - row(forecast, "restart.1")->takes_ms, 2000);
    assert_non_null(strstr(row(forecast, "restart.2")->impact, "its sessions move to the others first"));
    free(forecast);
    sim_free(sim);
}

static void test_a_step_that_would_wait(void **state)
{
    (void)state;
    struct sim *sim = of_kind(CONF_KIND_SHRINK, 4, 0, (const int32_t[]){4, 0}, 1, 0);
    sim_up(sim, 2, false);
    (void)sim_run_for(sim, 5000);
    struct mig_forecast *forecast = forecast_of(sim);
    assert_string_equal(row(forecast, "remove.4")->risk, "");
    free(forecast);
    sim_free(sim);
    sim = of_kind(CONF_KIND_SHRINK, 5, 0, (const int32_t[]){4, 0}, 1, 0);
    sim_up(sim, 2, false);
    (void)sim_run_for(sim, 5000);
    forecast = forecast_of(sim);
    assert_string_equal(
        row(forecast, "remove.4")->risk,
        "it would wait: 4 of 5 voters are alive, after this step 0 failures would be tolerated");
    free(forecast);
    sim_free(sim);
}

static void test_no_plan(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->conf.kind = CONF_KIND_NONE;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    struct mig_forecast *forecast = forecast_of(observed(sim));
    assert_string_equal(forecast->refusal, "the configuration file has no migration section");
    assert_int_equal(forecast->count, 0);
    free(forecast);
    sim_free(sim);
}

/* Of a plan that runs: what is left. Another leader changes the order of what is left, and nothing else. */
static void test_what_is_left(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->conf.confirm_remove = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->leader = 1;
    observed(sim);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "confirmation of \"remove\"", MINUTE_MS));
    assert_rows(sim, "remove.2 -2 1,3,4,5,6 6/6/2>5/5/2\nremove.3 -3 1,4,5,6 5/5/2>4/4/1\n"
                     "remove.1 -1 4,5,6 4/4/1>3/3/1\nverify 4,5,6 3/3/1>3/3/1\nfinish 4,5,6 3/3/1>3/3/1\n");
    sim_elect(sim, 2);
    observed(sim);
    assert_rows(sim, "remove.1 -1 2,3,4,5,6 6/6/2>5/5/2\nremove.3 -3 2,4,5,6 5/5/2>4/4/1\n"
                     "remove.2 -2 4,5,6 4/4/1>3/3/1\nverify 4,5,6 3/3/1>3/3/1\nfinish 4,5,6 3/3/1>3/3/1\n");
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    const int32_t done[] = {4, 5, 6, -1, -3, -2};
    assert_memory_equal(sim->order, done, sizeof done);
    sim_free(sim);
}

/* The way back from behind the removals: everything returns, the targets leave, their leader last. */
static void test_way_back(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->conf.confirm_finish = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    observed(sim);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "confirmation of \"finish\"", MINUTE_MS));
    sim_elect(sim, 4);
    observed(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_rows(sim, "restore.1 +server.1 1,4,5,6 3/3/1>4/4/1\nrestore.2 +server.2 1,2,4,5,6 4/4/1>5/5/2\n"
                     "restore.3 +server.3 1,2,3,4,5,6 5/5/2>6/6/2\ncatch_up_back 1,2,3,4,5,6 6/6/2>6/6/2\n"
                     "switch_back 1,2,3,4,5,6 6/6/2>6/6/2\nwithdraw.5 -5 1,2,3,4,6 6/6/2>5/5/2\n"
                     "withdraw.6 -6 1,2,3,4 5/5/2>4/4/1\nwithdraw.4 -4 1,2,3 4/4/1>3/3/1\n"
                     "verify_back 1,2,3 3/3/1>3/3/1\n");
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 100); /* the last effects */
    sim_assert_rolled_back(sim);
    sim_free(sim);
}

/* Somebody else's change stops the plan, and the reason says which server. */
static void test_a_difference_is_named(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->conf.confirm_remove = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    observed(sim);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "confirmation of \"remove\"", MINUTE_MS));
    sim_foreign_config(sim, 5);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server.5 is gone"));
    sim_free(sim);
}

static void parse_into(struct zkp_config *config, const char *text)
{
    struct err err;
    assert_int_equal(zkp_config_parse(zkp_slice_str(text), config, &err), RC_OK);
}

static void test_differences(void **state)
{
    (void)state;
    static struct zkp_config now;
    static struct zkp_config then;
    char text[256];
    parse_into(&now, "server.1=a:1:2:participant;a:3\nserver.2=b:1:2:participant;b:3\n"
                     "server.3=c:1:2:participant;c:3\n");
    mig_config_difference(&now, &now, text, sizeof text);
    assert_string_equal(text, "");
    parse_into(&then, "server.1=a:1:2:observer;a:3\nserver.3=c:1:2:participant;c:3\n"
                      "server.9=x:1:2:participant;x:3\n");
    mig_config_difference(&now, &then, text, sizeof text);
    assert_string_equal(text, "server.1 has another address or role, server.2 is gone, server.9 is new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrate),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_canaries),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_a_step_that_would_wait),
        cmocka_unit_test(test_no_plan),
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_way_back),
        cmocka_unit_test(test_a_difference_is_named),
        cmocka_unit_test(test_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
