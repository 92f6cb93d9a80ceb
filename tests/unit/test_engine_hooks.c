/* Hooks on the simulated ensemble: which runs when, and what becomes of the plan when one fails, hangs, or
 * the daemon dies meanwhile. Invariants that hold in every test are asserted in sim_ensemble.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *with_hooks(bool has_start, bool has_stop, bool has_backup)
{
    struct sim *sim = sim_new();
    sim_hooks(sim, has_start, has_stop, false, has_backup);
    for (int32_t id = 4; !has_start && id <= 6; id++)
        sim_up(sim, id, true);
    return sim;
}

static void finishes(struct sim *sim)
{
    (void)sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100); /* the last effects */
    sim_assert_finished(sim);
}

static void assert_hook(const struct sim *sim, uint32_t index, enum conf_hook hook, int32_t server)
{
    assert_true(index < sim->hook_count);
    assert_int_equal(sim->hooks[index].hook, hook);
    assert_int_equal(sim->hooks[index].server, server);
}

static uint32_t runs_of(const struct sim *sim, enum conf_hook hook)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->hook_count; i++)
        count += sim->hooks[i].hook == hook;
    return count;
}

/* Joiners are started, the leader is backed up, members change, leavers are stopped: nobody is needed. */
static void test_unattended(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(true, true, true);
    sim_start(sim, NULL);
    finishes(sim);
    assert_int_equal(sim->hook_count, 7);
    for (int32_t i = 0; i < 3; i++)
        assert_hook(sim, (uint32_t)i, CONF_HOOK_START, 4 + i);
    assert_hook(sim, 3, CONF_HOOK_BACKUP, 3);
    assert_int_equal(sim->hooks[3].requests, 0); /* before the first change */
    for (int32_t i = 0; i < 3; i++) {
        assert_hook(sim, (uint32_t)i + 4, CONF_HOOK_STOP, 1 + i);
        assert_int_equal(sim->hooks[i + 4].requests, 6);
    }
    sim_free(sim);
}

static void test_running_joiners_are_not_started(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(true, false, false);
    sim_up(sim, 5, true);
    sim_start(sim, NULL);
    finishes(sim);
    assert_int_equal(sim->hook_count, 2);
    assert_hook(sim, 0, CONF_HOOK_START, 4);
    assert_hook(sim, 1, CONF_HOOK_START, 6);
    sim_free(sim);
}

/* Sources are stopped only when somebody has said that there is no way back. */
static void test_stop_waits_for_finish(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(false, true, false);
    sim->conf.confirm_finish = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "confirmation of \"finish\"", MINUTE_MS));
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->hook_count, 0);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "finish").rc, RC_OK);
    assert_true(sim_until_waiting(sim, "hook stop of server 1 to end", MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).http_status, 409); /* too late */
    finishes(sim);
    assert_int_equal(runs_of(sim, CONF_HOOK_STOP), 3);
    sim_free(sim);
}

static void test_backup_fails_then_retry(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(false, false, true);
    sim->hook_rc = RC_REFUSED;
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "hook backup of server 3 failed: exit status 3"));
    assert_non_null(strstr(sim->view.failed_reason, "Nothing was changed"));
    assert_int_equal(sim->reconfigs, 0);
    sim->hook_rc = RC_OK;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    assert_int_equal(sim->hook_count, 2);
    sim_free(sim);
}

static void test_hanging_hook_is_ended(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(true, false, false);
    sim->hook_hangs = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "hook start of server 4 to end", MINUTE_MS));
    assert_non_null(strstr(sim->view.waiting_for, ", until ")); /* its own limit, not the step's hour */
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 2 * MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "it was ended"));
    sim->hook_hangs = false;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

/* A pause says that the program still runs; its end is not lost. */
static void test_pause_during_a_hook(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(false, false, true);
    sim->hook_hangs = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "hook backup of server 3 to end", MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_PAUSE, NULL).rc, RC_OK);
    assert_true(sim_until_waiting(sim, "hook backup of server 3 still runs", MINUTE_MS));
    (void)sim_run_for(sim, 2 * MINUTE_MS);
    assert_null(strstr(sim->view.waiting_for, "still runs"));
    assert_int_equal(sim->view.phase, MIG_PHASE_ADDING);
    sim->hook_hangs = false;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS)); /* it did time out meanwhile */
    sim_free(sim);
}

/* The way back needs no backup, and stops nobody. */
static void test_rollback_forgets_hooks(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(false, true, true);
    sim->hook_hangs = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "hook backup of server 3 to end", MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 2 * MINUTE_MS);
    sim_assert_rolled_back(sim);
    assert_int_equal(sim->hook_count, 1);
    sim_free(sim);
}

/* The record that should have been written before the program ran was not: it did not run either. */
static void test_journal_fails_before_a_hook(void **state)
{
    (void)state;
    struct sim *sim = with_hooks(false, false, true);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    sim->journal_fails = true;
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    sim->journal_fails = false;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    assert_int_equal(sim->hook_count, 1);
    sim_free(sim);
}

static void test_crash_after_every_effect(void **state)
{
    (void)state;
    struct sim *whole = with_hooks(true, true, true);
    sim_start(whole, NULL);
    finishes(whole);
    uint32_t effects = whole->effects_done;
    sim_free(whole);
    for (uint32_t crash = effects; crash > 0; crash--) {
        struct sim *sim = with_hooks(true, true, true);
        sim_start(sim, NULL);
        sim->crash_after = crash;
        (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
        assert_true(sim->has_crashed);
        sim_restart(sim);
        if (sim->view.phase == MIG_PHASE_IDLE) /* before the plan was on disk */
            sim_start(sim, NULL);
        finishes(sim);
        assert_true(runs_of(sim, CONF_HOOK_BACKUP) <= 2); /* the one whose end nobody saw, once more */
        assert_true(sim->hook_count <= 8);
        sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unattended),
        cmocka_unit_test(test_running_joiners_are_not_started),
        cmocka_unit_test(test_stop_waits_for_finish),
        cmocka_unit_test(test_backup_fails_then_retry),
        cmocka_unit_test(test_hanging_hook_is_ended),
        cmocka_unit_test(test_pause_during_a_hook),
        cmocka_unit_test(test_rollback_forgets_hooks),
        cmocka_unit_test(test_journal_fails_before_a_hook),
        cmocka_unit_test(test_crash_after_every_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
