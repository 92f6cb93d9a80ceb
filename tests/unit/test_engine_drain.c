/* Drain and undrain: who may be drained, what becomes of it in the journal and over a restart, and that a
 * plan and a drained server never meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static int setup(void **state)
{
    struct sim *sim = sim_new();
    (void)sim_run_for(sim, 1000);
    *state = sim;
    return 0;
}

static int teardown(void **state)
{
    sim_free(*state);
    return 0;
}

static struct mig_route route_of(const struct sim *sim, int32_t id)
{
    struct mig_routes routes;
    sim_routes(sim, &routes);
    return routes.routes[id - 1];
}

static void drain(struct sim *sim, int32_t id)
{
    struct mig_answer answer = sim_drain(sim, MIG_COMMAND_DRAIN, id);
    assert_string_equal(answer.code, "");
    (void)sim_run_for(sim, 1000);
    assert_true(route_of(sim, id).is_drained);
}

static void assert_refused(struct mig_answer answer, int http_status, const char *code)
{
    assert_string_equal(answer.code, code);
    assert_int_equal(answer.http_status, http_status);
    assert_int_not_equal(answer.rc, RC_OK);
    assert_true(strlen(answer.message) > 0 && strlen(answer.hint) > 0);
}

static void test_empties_and_fills_again(void **state)
{
    struct sim *sim = *state;
    struct mig_answer answer = sim_drain(sim, MIG_COMMAND_DRAIN, 2);
    assert_int_equal(answer.rc, RC_OK);
    assert_non_null(strstr(answer.message, "7 sessions leave server 2"));
    assert_false(route_of(sim, 2).is_drained); /* not before its record is on disk */
    (void)sim_run_for(sim, 1000);
    assert_int_equal(sim_server(sim, 2)->sessions, 0);
    assert_string_equal(route_of(sim, 2).reason, "drained");
    assert_int_equal(sim_drain(sim, MIG_COMMAND_UNDRAIN, 2).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    assert_true(route_of(sim, 2).is_admitted);
    assert_int_equal(sim->record_count, 2);
    assert_int_equal(sim->records[0].kind, MIG_RECORD_DRAINED);
    assert_int_equal(sim->records[1].kind, MIG_RECORD_UNDRAINED);
    assert_int_equal(sim->records[1].server, 2);
}

static void test_repeated(void **state)
{
    struct sim *sim = *state;
    assert_int_equal(sim_drain(sim, MIG_COMMAND_UNDRAIN, 1).rc, RC_OK);
    drain(sim, 1);
    assert_int_equal(sim_drain(sim, MIG_COMMAND_DRAIN, 1).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    assert_int_equal(sim->record_count, 1); /* only what changed something */
}

static void test_refusals(void **state)
{
    struct sim *sim = *state;
    assert_refused(sim_drain(sim, MIG_COMMAND_DRAIN, 99), 404, "no_such_server");
    assert_refused(sim_drain(sim, MIG_COMMAND_UNDRAIN, INT32_MAX), 404, "no_such_server");
    assert_int_equal(sim_drain(sim, MIG_COMMAND_DRAIN, 1).rc, RC_OK);
    assert_refused(sim_drain(sim, MIG_COMMAND_DRAIN, 2), 409, "busy"); /* the record is not on disk yet */
    (void)sim_run_for(sim, 1000);
    sim_up(sim, 3, false);
    (void)sim_run_for(sim, 100);
    assert_refused(sim_drain(sim, MIG_COMMAND_DRAIN, 2), 409, "last_server");
    assert_int_equal(sim_drain(sim, MIG_COMMAND_DRAIN, 3).rc, RC_OK); /* a dead one may be */
    (void)sim_run_for(sim, 1000);
    assert_true(route_of(sim, 3).is_drained && !route_of(sim, 2).is_drained);
}

static void test_survives_a_restart(void **state)
{
    struct sim *sim = *state;
    drain(sim, 2);
    sim_restart(sim);
    (void)sim_run_for(sim, 1000);
    assert_true(route_of(sim, 2).is_drained);
    assert_int_equal(sim_drain(sim, MIG_COMMAND_UNDRAIN, 2).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    sim_restart(sim);
    assert_false(route_of(sim, 2).is_drained);
}

/* A crash before the record is on disk: never answered, never happened. */
static void test_not_on_disk_is_not_drained(void **state)
{
    struct sim *sim = *state;
    assert_int_equal(sim_drain(sim, MIG_COMMAND_DRAIN, 2).rc, RC_OK);
    sim_restart(sim);
    (void)sim_run_for(sim, 1000);
    assert_false(route_of(sim, 2).is_drained);
    sim->journal_fails = true;
    assert_int_equal(sim_drain(sim, MIG_COMMAND_DRAIN, 2).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    assert_false(route_of(sim, 2).is_drained);
    sim->journal_fails = false;
    drain(sim, 2); /* and it can be tried again */
}

/* Drained, then taken out of the file: the daemon starts, and the server can still be undrained. */
static void test_server_that_left_the_file(void **state)
{
    struct sim *sim = *state;
    struct err err = {.text = ""};
    const struct mig_record record = {.kind = MIG_RECORD_DRAINED, .server = 77};
    assert_int_equal(mig_engine_replay(sim->engine, &record, &err), RC_OK);
    assert_refused(sim_command(sim, MIG_COMMAND_START, NULL), 409, "servers_drained");
    assert_int_equal(sim_drain(sim, MIG_COMMAND_UNDRAIN, 77).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    assert_refused(sim_drain(sim, MIG_COMMAND_UNDRAIN, 77), 404, "no_such_server");
    assert_int_equal(sim_command(sim, MIG_COMMAND_START, NULL).rc, RC_OK);
    const struct mig_record broken = {.kind = MIG_RECORD_DRAINED, .server = 1000};
    assert_int_equal(mig_engine_replay(sim->engine, &broken, &err), RC_CORRUPT); /* a plan runs */
}

static void test_no_plan_while_drained(void **state)
{
    struct sim *sim = *state;
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    drain(sim, 2);
    assert_false(sim->view.can[MIG_COMMAND_START]);
    struct mig_answer answer = sim_command(sim, MIG_COMMAND_START, NULL);
    assert_refused(answer, 409, "servers_drained");
    assert_non_null(strstr(answer.message, "drained: 2"));
    assert_int_equal(sim_command(sim, MIG_COMMAND_PREFLIGHT, NULL).rc, RC_OK);
    (void)sim_run_for(sim, 2000);
    assert_string_equal(sim->view.findings->items[0].id, "servers-drained");
    assert_int_equal(sim_drain(sim, MIG_COMMAND_UNDRAIN, 2).rc, RC_OK);
    assert_refused(sim_command(sim, MIG_COMMAND_START, NULL), 409, "servers_drained"); /* not on disk yet */
    (void)sim_run_for(sim, 1000);
    sim_start(sim, NULL);
    assert_refused(sim_drain(sim, MIG_COMMAND_DRAIN, 2), 409, "plan_runs");
    assert_refused(sim_drain(sim, MIG_COMMAND_UNDRAIN, 2), 409, "plan_runs");
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    (void)sim_run_for(sim, 1000);
    drain(sim, 5); /* and afterwards again */
    assert_int_equal(sim_server(sim, 5)->sessions, 0);
}

/* A plan that failed before it changed anything does not run: drained servers keep it from being retried. */
static void test_failed_plan(void **state)
{
    struct sim *sim = *state;
    sim->is_super = false;
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    (void)sim_run_for(sim, 1000);
    drain(sim, 2);
    assert_refused(sim_command(sim, MIG_COMMAND_RETRY, NULL), 409, "servers_drained");
    sim_restart(sim);
    assert_int_equal(sim->view.phase, MIG_PHASE_FAILED);
    assert_true(route_of(sim, 2).is_drained);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empties_and_fills_again),
        TEST(test_repeated),
        TEST(test_refusals),
        TEST(test_survives_a_restart),
        TEST(test_not_on_disk_is_not_drained),
        TEST(test_server_that_left_the_file),
        TEST(test_no_plan_while_drained),
        TEST(test_failed_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
