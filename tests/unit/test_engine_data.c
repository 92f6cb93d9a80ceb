/* The comparison of data inside a plan: when it is asked for and of whom, and that a difference stops the
 * plan before a server leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *started(enum conf_verify verify, const char *accept)
{
    struct sim *sim = sim_new();
    sim->conf.confirm_remove = sim->confirms = true;
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->conf.verify = verify;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, accept);
    return sim;
}

static void finishes(struct sim *sim, uint32_t comparisons)
{
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
    assert_int_equal(sim->comparisons, comparisons);
    sim_free(sim);
}

static void test_before_the_first_removal_and_at_the_end(void **state)
{
    (void)state;
    struct sim *sim = started(CONF_VERIFY_COUNTS, NULL);
    assert_true(sim_until_waiting(sim, "to be compared", MINUTE_MS));
    while (sim->comparisons == 0)
        sim_tick(sim);
    assert_int_equal(sim->reconfigs, 3);
    assert_int_equal(sim->view.waiting_gate, MIG_GATE_NONE); /* nobody confirms what is not known yet */
    assert_int_equal(sim->compared.count, 3);
    assert_int_equal(sim->compared.ids[0], 4);
    assert_false(sim->is_compared_full);
    (void)sim_until(sim, MIG_PHASE_VERIFYING, MINUTE_MS);
    while (sim->comparisons == 1)
        sim_tick(sim);
    assert_int_equal(sim->compared.count, 2); /* the third leads */
    finishes(sim, 2);

    sim = started(CONF_VERIFY_FULL, NULL);
    while (sim->comparisons == 0)
        sim_tick(sim);
    assert_true(sim->is_compared_full);
    finishes(sim, 2);
    finishes(started(CONF_VERIFY_OFF, NULL), 0);
}

static void test_difference_stops_the_plan(void **state)
{
    (void)state;
    struct sim *sim = started(CONF_VERIFY_COUNTS, NULL);
    sim->data_rc = RC_REFUSED;
    strcpy(sim->data_text, "1 nodes: /a on server 5");
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "/a on server 5"));
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->reconfigs, 3); /* nobody has left */
    assert_int_equal(sim->comparisons, 1);
    assert_true(sim->view.can[MIG_COMMAND_RETRY] && sim->view.can[MIG_COMMAND_ROLLBACK]);
    sim_restart(sim);
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_FAILED);
    sim->data_rc = RC_OK;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim, 3);
}

static void test_without_the_gate_it_goes_on(void **state)
{
    (void)state;
    if (!PX_TEST_SWITCHES)
        skip();
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->switches.no_data_gate = true;
    sim->data_rc = RC_REFUSED;
    mig_engine_free(sim->engine);
    sim->engine = mig_engine_new(&sim->conf, &sim->switches);
    sim_start(sim, NULL);
    finishes(sim, 0);
}

/* A big tree takes as long as it takes; the operator may turn back meanwhile. */
static void test_long_comparison(void **state)
{
    (void)state;
    struct sim *sim = started(CONF_VERIFY_FULL, NULL);
    sim->data_is_slow = true;
    assert_true(sim_until_waiting(sim, "to be compared", MINUTE_MS));
    (void)sim_run_for(sim, 60 * MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_REMOVING);
    assert_int_equal(sim->comparisons, 1);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_rolled_back(sim);
    assert_int_equal(sim->comparisons, 1);
    sim_free(sim);
}

/* A restart in the middle asks again; one behind it does not. */
static void test_restart(void **state)
{
    (void)state;
    struct sim *sim = started(CONF_VERIFY_COUNTS, NULL);
    sim->data_is_slow = true;
    while (sim->comparisons == 0)
        sim_tick(sim);
    sim_restart(sim);
    sim->data_is_slow = false;
    while (sim->comparisons == 1)
        sim_tick(sim);
    (void)sim_run_for(sim, 1000);
    sim_restart(sim);
    finishes(sim, 3);
}

static void test_not_begun_is_tried_again(void **state)
{
    (void)state;
    struct sim *sim = started(CONF_VERIFY_COUNTS, NULL);
    sim->data_rc = RC_AGAIN;
    strcpy(sim->data_text, "a verification is running");
    assert_true(sim_until_waiting(sim, "a verification is running", MINUTE_MS));
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_REMOVING);
    assert_true(sim->comparisons > 10);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 3 * MINUTE_MS)); /* but not for ever */
    assert_non_null(strstr(sim->view.failed_reason, "a verification is running"));
    sim_free(sim);
}

static void test_could_not_be_compared(void **state)
{
    (void)state;
    struct sim *sim = started(CONF_VERIFY_COUNTS, NULL);
    sim->data_rc = RC_IO;
    strcpy(sim->data_text, "server 5 was not connected");
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server 5 was not connected"));
    assert_int_equal(sim->comparisons, 3);
    assert_int_equal(sim->reconfigs, 3);
    sim_free(sim);

    sim = started(CONF_VERIFY_COUNTS, "data-not-compared");
    sim->data_rc = RC_IO;
    finishes(sim, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_the_first_removal_and_at_the_end),
        cmocka_unit_test(test_difference_stops_the_plan),
        cmocka_unit_test(test_without_the_gate_it_goes_on),
        cmocka_unit_test(test_long_comparison),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_not_begun_is_tried_again),
        cmocka_unit_test(test_could_not_be_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
