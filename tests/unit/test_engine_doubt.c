/* Digest mismatches are a question: the plan compares that server's nodes with the leader's. Members are
 * looked at before it begins, joiners before they are added, where it waits and never fails. And
 * migration.prove_joiners, which restarts each joiner before it is added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *with_targets(void)
{
    struct sim *sim = sim_new();
    sim->conf.join_timeout_ms = MINUTE_MS;
    sim->conf.verify = CONF_VERIFY_OFF; /* so every comparison is one that is counted here */
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    return sim;
}

static void start(struct sim *sim, const char *accept)
{
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, accept);
}

static void finishes(struct sim *sim, uint32_t comparisons)
{
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
    assert_int_equal(sim->comparisons, comparisons);
    sim_free(sim);
}

static const struct mig_finding *finding(const struct sim *sim, const char *id)
{
    for (uint32_t i = 0; i < sim->view.findings->count; i++)
        if (strcmp(sim->view.findings->items[i].id, id) == 0)
            return &sim->view.findings->items[i];
    return NULL;
}

/* Ten seconds, with five transactions in each fifth of one; asked for a preflight with each, or not. */
static bool says_that_it_writes(bool asks)
{
    struct sim *sim = with_targets();
    for (int32_t id = 1; id <= 6; id++)
        strcpy(sim_server(sim, id)->version, "3.8.0");
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    (void)sim_run_for(sim, 200);
    for (uint32_t i = 0; i < 50; i++) {
        if (asks)
            (void)sim_command(sim, MIG_COMMAND_PREFLIGHT, NULL);
        sim_write(sim, 5);
        (void)sim_run_for(sim, 200);
    }
    bool says = finding(sim, "join-under-writes-4") != NULL;
    sim_free(sim);
    return says;
}

/* A preflight's own sessions and its harmless reconfig are transactions, too. */
static void test_preflights_are_no_writes(void **state)
{
    (void)state;
    assert_true(says_that_it_writes(false));
    assert_false(says_that_it_writes(true));
}

static void test_nothing_is_compared_without_a_question(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    start(sim, NULL);
    finishes(sim, 0);
}

static void test_source_that_is_equal_is_a_note(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 1)->mismatches = 3;
    sim->data_is_slow = true;
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "server 1 to be compared", MINUTE_MS));
    (void)sim_run_for(sim, 5 * MINUTE_MS); /* a tree may be big */
    assert_int_equal(sim->view.phase, MIG_PHASE_PREFLIGHT);
    assert_int_equal(sim->comparisons, 1);
    assert_int_equal(sim->compared.count, 1);
    assert_int_equal(sim->compared.ids[0], 1);
    assert_true(sim->is_compared_full);
    sim_restart(sim);
    sim->data_is_slow = false;
    (void)sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS);
    assert_non_null(finding(sim, "digest-equal-1"));
    assert_int_equal(finding(sim, "digest-equal-1")->severity, MIG_INFO);
    assert_null(finding(sim, "digest-mismatch-1"));
    finishes(sim, 2);
}

static void test_source_that_differs_blocks(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 2)->mismatches = 1;
    sim->data_rc = RC_REFUSED;
    strcpy(sim->data_text, "1 nodes: /a on server 2");
    start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "digest-mismatch-2"));
    assert_non_null(strstr(sim->view.failed_reason, "/a on server 2"));
    assert_int_equal(sim->reconfigs, 0);
    sim->data_rc = RC_OK; /* rebuilt */
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim, 2);
}

/* What could not be compared is not equal. */
static void test_source_that_cannot_be_compared_blocks(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 2)->mismatches = 1;
    sim->data_rc = RC_IO;
    strcpy(sim->data_text, "server 2 was not connected");
    start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server 2 was not connected"));
    assert_int_equal(sim->comparisons, 3);
    sim_free(sim);

    sim = with_targets();
    sim_server(sim, 2)->mismatches = 1;
    sim->data_rc = RC_IO;
    start(sim, "digest-mismatch-2");
    finishes(sim, 3);
}

/* The leader is what others are compared with. */
static void test_leader_is_compared_with_all_others(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 3)->mismatches = 9;
    start(sim, NULL);
    (void)sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS);
    assert_int_equal(sim->comparisons, 1);
    assert_int_equal(sim->compared.count, 2);
    assert_int_equal(sim->compared.ids[0], 1);
    assert_non_null(finding(sim, "digest-equal-3"));
    finishes(sim, 1);
}

static void test_joiner_that_is_equal_is_added(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 5)->mismatches = 3;
    sim->data_is_slow = true;
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "nodes of server 5 to be compared", MINUTE_MS));
    (void)sim_run_for(sim, 3 * MINUTE_MS); /* longer than the step may take */
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->reconfigs, 0);
    assert_non_null(finding(sim, "digest-not-compared-5"));
    sim_restart(sim);
    sim->data_is_slow = false;
    finishes(sim, 2);
}

static void test_joiner_that_differs_is_waited_for(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 5)->mismatches = 3;
    sim->data_rc = RC_REFUSED;
    strcpy(sim->data_text, "1 nodes: /a on server 5");
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "server 5 to be rebuilt", MINUTE_MS));
    assert_non_null(strstr(sim->view.waiting_for, "/a on server 5"));
    (void)sim_run_for(sim, 3 * MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->comparisons, 1); /* nobody compares the same thing again and again */
    assert_int_equal(sim->reconfigs, 0);
    sim->data_rc = RC_OK;
    sim_restart_server(sim, 5, "3.9.4"); /* rebuilt: without mismatches, and equal all the same */
    finishes(sim, 2);
}

static void test_joiner_that_cannot_be_compared_is_waited_for(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 5)->mismatches = 3;
    sim->data_rc = RC_IO;
    strcpy(sim->data_text, "server 5 was not connected");
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "server 5 was not connected", MINUTE_MS));
    (void)sim_run_for(sim, 3 * MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->reconfigs, 0);
    sim->data_rc = RC_OK;
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    sim_free(sim);
}

/* A count may grow once more while the learner is still at it; one that goes on growing is no such thing. */
static void test_joiner_that_goes_on_counting_is_waited_for(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 5)->mismatches = 1;
    sim_server(sim, 6)->is_up = false; /* what the plan waits for meanwhile */
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target 6", MINUTE_MS));
    assert_int_equal(sim->comparisons, 1);
    sim_server(sim, 5)->mismatches = 3;
    (void)sim_run_for(sim, 5000);
    assert_int_equal(sim->comparisons, 2);
    sim_server(sim, 5)->mismatches = 4;
    sim_up(sim, 6, true);
    assert_true(sim_until_waiting(sim, "more of them while it follows", MINUTE_MS));
    (void)sim_run_for(sim, 3 * MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->comparisons, 2);
    sim_restart_server(sim, 5, "3.9.4");
    finishes(sim, 2);
}

/* Not shown is not none. */
static void test_joiner_that_does_not_show_them_is_compared(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim_server(sim, 4)->hides_mntr = true;
    sim_server(sim, 6)->mismatches = -1;
    start(sim, NULL);
    finishes(sim, 2);

    sim = with_targets();
    strcpy(sim_server(sim, 4)->version, "3.5.10"); /* has no digests to count */
    sim_server(sim, 4)->mismatches = -1;
    start(sim, NULL);
    finishes(sim, 0);
}

static void test_a_server_that_comes_back_is_asked_too(void **state)
{
    (void)state;
    struct sim *sim = sim_new_kind(CONF_KIND_ROLLING, 3, 0, NULL);
    sim->conf.verify = CONF_VERIFY_OFF;
    sim_hooks(sim, false, false, true, false);
    sim_server(sim, 1)->mismatches_after = 2;
    start(sim, NULL);
    finishes(sim, 1);
}

/* --- migration.prove_joiners --- */

static struct sim *proving(bool has_hook)
{
    struct sim *sim = with_targets();
    sim->conf.prove_joiners = CONF_ON;
    if (has_hook)
        sim_hooks(sim, false, false, true, false);
    start(sim, NULL);
    return sim;
}

static void test_each_joiner_is_restarted_before_it_is_added(void **state)
{
    (void)state;
    struct sim *sim = proving(true);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, 10 * MINUTE_MS));
    assert_int_equal(sim->hook_count, 3);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(sim->hooks[i].hook, CONF_HOOK_RESTART);
        assert_int_equal(sim->hooks[i].server, 4 + i);
    }
    assert_int_equal(sim->reconfigs, 0);
    finishes(sim, 0);
}

static void test_people_are_asked_to_restart_it(void **state)
{
    (void)state;
    struct sim *sim = proving(false);
    for (int32_t id = 4; id <= 6; id++) {
        char text[64];
        snprintf(text, sizeof(text), "you to restart target %d", id);
        assert_true(sim_until_waiting(sim, text, MINUTE_MS));
        (void)sim_run_for(sim, 3 * MINUTE_MS);
        assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
        assert_int_equal(sim->reconfigs, 0);
        sim_restart_server(sim, id, "3.9.4");
    }
    finishes(sim, 0);
}

static void test_unsound_log_is_rebuilt_and_proven_again(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim->conf.prove_joiners = CONF_ON;
    sim_hooks(sim, false, false, true, false);
    sim_server(sim, 5)->mismatches_after = 7;
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target 5 to be rebuilt: its log is not sound, 7", MINUTE_MS));
    assert_int_equal(sim->hook_count, 2);
    (void)sim_run_for(sim, 3 * MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->hook_count, 2); /* a hook that restarts it does not rebuild it */
    sim_server(sim, 5)->mismatches_after = 0;
    sim_restart_server(sim, 5, "3.9.4");
    assert_true(sim_until(sim, MIG_PHASE_ADDING, 10 * MINUTE_MS));
    assert_int_equal(sim->hook_count, 4); /* 4, 5, the rebuilt 5, 6 */
    assert_int_equal(sim->hooks[2].server, 5);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    sim_free(sim);
}

/* A new daemon asks again: what it has not seen it does not believe. */
static void test_proof_is_asked_again_after_a_crash(void **state)
{
    (void)state;
    struct sim *sim = proving(false);
    assert_true(sim_until_waiting(sim, "you to restart target 4", MINUTE_MS));
    sim_restart_server(sim, 4, "3.9.4");
    assert_true(sim_until_waiting(sim, "you to restart target 5", MINUTE_MS));
    sim_restart(sim);
    assert_true(sim_until_waiting(sim, "you to restart target 4", MINUTE_MS));
    assert_int_equal(sim->reconfigs, 0);
    sim_free(sim);
}

static void test_proof_needs_the_count(void **state)
{
    (void)state;
    struct sim *sim = with_targets();
    sim->conf.prove_joiners = CONF_ON;
    sim_hooks(sim, false, false, true, false);
    sim_server(sim, 4)->hides_mntr = true;
    start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target 4 to show how many", MINUTE_MS));
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    sim_server(sim, 4)->hides_mntr = false;
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preflights_are_no_writes),
        cmocka_unit_test(test_nothing_is_compared_without_a_question),
        cmocka_unit_test(test_source_that_is_equal_is_a_note),
        cmocka_unit_test(test_source_that_differs_blocks),
        cmocka_unit_test(test_source_that_cannot_be_compared_blocks),
        cmocka_unit_test(test_leader_is_compared_with_all_others),
        cmocka_unit_test(test_joiner_that_is_equal_is_added),
        cmocka_unit_test(test_joiner_that_differs_is_waited_for),
        cmocka_unit_test(test_joiner_that_cannot_be_compared_is_waited_for),
        cmocka_unit_test(test_joiner_that_goes_on_counting_is_waited_for),
        cmocka_unit_test(test_joiner_that_does_not_show_them_is_compared),
        cmocka_unit_test(test_a_server_that_comes_back_is_asked_too),
        cmocka_unit_test(test_each_joiner_is_restarted_before_it_is_added),
        cmocka_unit_test(test_people_are_asked_to_restart_it),
        cmocka_unit_test(test_unsound_log_is_rebuilt_and_proven_again),
        cmocka_unit_test(test_proof_is_asked_again_after_a_crash),
        cmocka_unit_test(test_proof_needs_the_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
