/* The straggler gate: no server leaves while somebody bypasses the proxy on it, unless that is accepted by
 * name, at the start or at the gate; what was accepted survives a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *prepared(bool confirm_remove)
{
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->conf.confirm_remove = confirm_remove;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_server(sim, 2)->strangers = 3;
    return sim;
}

static void finishes(struct sim *sim)
{
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
    sim_free(sim);
}

static void waits(struct sim *sim)
{
    assert_true(
        sim_until_waiting(sim, "server 2, which is about to leave, has 3, from 10.9.9.9:4711", MINUTE_MS));
    assert_non_null(strstr(sim->view.waiting_for, "--accept stragglers-2"));
    assert_non_null(strstr(sim->view.waiting_for, ", until ")); /* not for ever, confirm gate or not */
    assert_int_equal(sim->reconfigs, 3);
    assert_true(sim->view.can[MIG_COMMAND_CONFIRM]);
}

static void test_waits_until_they_are_gone(void **state)
{
    (void)state;
    struct sim *sim = prepared(false);
    sim_start(sim, NULL);
    waits(sim);
    sim_server(sim, 2)->strangers = 0;
    finishes(sim);
}

static void test_fails_at_its_deadline(void **state)
{
    (void)state;
    struct sim *sim = prepared(false);
    sim_start(sim, NULL);
    waits(sim);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 3 * MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "has 3, from 10.9.9.9:4711"));
    assert_int_equal(sim->reconfigs, 3);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    waits(sim);
    sim_free(sim);
}

static void test_accepted_at_the_start(void **state)
{
    (void)state;
    struct sim *sim = prepared(false);
    sim_start(sim, "stragglers");
    finishes(sim);
}

/* Also in a plan that has no gate there. */
static void test_accepted_at_the_gate(void **state)
{
    (void)state;
    for (int confirm_remove = 0; confirm_remove < 2; confirm_remove++) {
        struct sim *sim = prepared(confirm_remove);
        sim_start(sim, NULL);
        waits(sim);
        assert_int_equal(sim_confirm(sim, "remove", "stragglers-1").rc, RC_OK);
        (void)sim_run_for(sim, 1000);
        waits(sim); /* the gate is confirmed, but it was not these */
        assert_int_equal(sim_confirm(sim, "remove", "stragglers-2").rc, RC_OK);
        sim_tick(sim);
        sim_restart(sim);
        finishes(sim);
    }
}

static void test_confirming_alone_accepts_nobody(void **state)
{
    (void)state;
    struct sim *sim = prepared(true);
    sim_start(sim, NULL);
    waits(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    (void)sim_run_for(sim, MINUTE_MS);
    waits(sim);
    sim_free(sim);
}

/* Nothing is accepted for a gate that the plan has not reached. */
static void test_not_before_its_time(void **state)
{
    (void)state;
    struct sim *sim = prepared(true);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    assert_string_equal(sim_confirm(sim, "remove", "stragglers-2").code, "not_waiting");
    waits(sim);
    assert_string_equal(sim_confirm(sim, "finish", "stragglers-2").code, "not_waiting");
    assert_string_equal(sim_confirm(sim, "remove", "stragglers-2,stragglers-3").code, "bad_accept");
    struct mig_answer misspelt = sim_confirm(sim, "remove", "straglers-2");
    assert_string_equal(misspelt.message, "there is nothing to accept by the name \"straglers-2\"");
    sim_free(sim);
}

static void test_only_before_the_first_removal(void **state)
{
    (void)state;
    struct sim *sim = prepared(false);
    sim_server(sim, 2)->strangers = 0;
    sim_start(sim, NULL);
    while (sim->reconfigs < 4)
        sim_tick(sim);
    sim_server(sim, 2)->strangers = 2;
    finishes(sim);
}

/* Nothing that is seen speaks against it, and nothing for it: the gate can't see, and says so. */
static void test_what_cannot_be_seen_is_not_nobody(void **state)
{
    (void)state;
    struct sim *sim = prepared(false);
    sim_server(sim, 2)->strangers = 0;
    sim_server(sim, 2)->hides_count = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "3 answers of server 2 in a row", MINUTE_MS));
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->reconfigs, 3);
    assert_non_null(strstr(sim->view.waiting_for, "--accept stragglers-2"));
    assert_int_equal(sim_confirm(sim, "remove", "stragglers-2").rc, RC_OK);
    finishes(sim);
}

static void test_it_is_seen_in_the_end(void **state)
{
    (void)state;
    struct sim *sim = prepared(false);
    sim_server(sim, 2)->strangers = 0;
    sim_server(sim, 2)->hides_count = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "3 answers of server 2 in a row", MINUTE_MS));
    sim_server(sim, 2)->hides_count = false;
    finishes(sim);
}

/* We can't reach it; its clients can. */
static void test_silence_is_not_nobody(void **state)
{
    (void)state;
    struct sim *sim = prepared(true);
    sim_server(sim, 2)->strangers = 0;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "confirmation of \"remove\"", MINUTE_MS));
    sim_server(sim, 2)->is_cut_off = true;
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    (void)sim_run_for(sim, MINUTE_MS);
    assert_true(sim_until_waiting(sim, "3 answers of server 2 in a row", MINUTE_MS));
    assert_int_equal(sim->reconfigs, 3);
    sim_free(sim);
}

static void test_a_server_that_is_gone_has_no_clients(void **state)
{
    (void)state;
    struct sim *sim = prepared(true);
    sim_start(sim, NULL);
    waits(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    sim_server(sim, 2)->is_up = false;
    finishes(sim);
}

static void test_without_the_gate_they_lose_their_server(void **state)
{
    (void)state;
    if (!PX_TEST_SWITCHES)
        skip();
    struct sim *sim = prepared(false);
    sim->switches.no_straggler_gate = true;
    mig_engine_free(sim->engine);
    sim->engine = mig_engine_new(&sim->conf, &sim->switches);
    sim_start(sim, NULL);
    finishes(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_until_they_are_gone),
        cmocka_unit_test(test_fails_at_its_deadline),
        cmocka_unit_test(test_accepted_at_the_start),
        cmocka_unit_test(test_accepted_at_the_gate),
        cmocka_unit_test(test_confirming_alone_accepts_nobody),
        cmocka_unit_test(test_not_before_its_time),
        cmocka_unit_test(test_only_before_the_first_removal),
        cmocka_unit_test(test_what_cannot_be_seen_is_not_nobody),
        cmocka_unit_test(test_it_is_seen_in_the_end),
        cmocka_unit_test(test_silence_is_not_nobody),
        cmocka_unit_test(test_a_server_that_is_gone_has_no_clients),
        cmocka_unit_test(test_without_the_gate_they_lose_their_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
