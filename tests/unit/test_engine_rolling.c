/* A rolling plan on the simulated ensemble: by hooks, by hand, with a leader that has to give up leading, and
 * what holds it up. That nobody is restarted with sessions, while it leads or while another one is missing is
 * asserted in sim_ensemble.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *rolling(uint32_t servers, int32_t leader, bool has_hook)
{
    struct sim *sim = sim_new_kind(CONF_KIND_ROLLING, servers, 0, NULL);
    sim->leader = leader;
    sim_hooks(sim, false, false, has_hook, false);
    return sim;
}

static void finishes(struct sim *sim)
{
    (void)sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100); /* the last effects */
    sim_assert_finished(sim);
    for (uint32_t i = 0; i < sim->config.server_count; i++)
        assert_int_equal(sim->config.servers[i].role, ZKP_ROLE_PARTICIPANT);
}

static enum mig_step_state step_state(struct sim *sim, const char *name)
{
    return mig_steps_named((struct mig_steps *)(uintptr_t)sim->view.steps, name)->state;
}

static void assert_restarts(const struct sim *sim, const int32_t *order)
{
    uint32_t count = 0;
    for (; order[count] != 0; count++)
        assert_int_equal(sim->hooks[count].server, order[count]);
    assert_int_equal(sim->hook_count, count);
}

/* The person at the console. */
static void restart_by_hand(struct sim *sim, int32_t id)
{
    char text[64];
    snprintf(text, sizeof(text), "you to restart server %d", id);
    assert_true(sim_until_waiting(sim, text, MINUTE_MS));
    sim_restart_server(sim, id, "3.9.5");
}

/* The leader last, after one change of its role and back. */
static void test_by_hooks(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 1, true);
    sim_start(sim, NULL);
    finishes(sim);
    assert_restarts(sim, (const int32_t[]){2, 3, 1, 0});
    assert_int_equal(sim->reconfigs, 2);
    assert_int_equal(sim->order[0], -1);
    assert_int_equal(sim->order[1], 1);
    assert_int_equal(sim->holds, 1);
    sim_free(sim);
}

static void test_by_hand(void **state)
{
    (void)state;
    struct sim *sim = rolling(5, 5, false);
    sim_start(sim, NULL);
    for (int32_t id = 1; id <= 5; id++) {
        restart_by_hand(sim, id);
        assert_true(sim_until_waiting(sim, "to be back", MINUTE_MS));
    }
    finishes(sim);
    sim_free(sim);
}

/* Nobody is sent to the one that is to be restarted; afterwards it is like the others. */
static void test_sessions_leave_and_may_return(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    struct mig_routes routes;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "you to restart server 1", MINUTE_MS));
    (void)sim_run_for(sim, 10 * MINUTE_MS); /* people take their time */
    sim_routes(sim, &routes);
    assert_false(routes.routes[0].is_admitted);
    assert_false(routes.routes[0].is_drained); /* that is for operators */
    assert_true(routes.routes[1].is_admitted);
    sim_restart_server(sim, 1, "3.9.4"); /* the same version: it is a new start all the same */
    assert_true(sim_until_waiting(sim, "you to restart server 2", MINUTE_MS));
    sim_routes(sim, &routes);
    assert_true(routes.routes[0].is_admitted);
    assert_false(routes.routes[1].is_admitted);
    sim_free(sim);
}

/* Another server is down: nothing is restarted until it is back. */
static void test_one_at_a_time(void **state)
{
    (void)state;
    struct sim *sim = rolling(5, 5, true);
    sim_up(sim, 4, false);
    sim_server(sim, 4)->sessions = 0;
    sim_start(sim, "server-down-4");
    assert_true(sim_until_waiting(sim, "server 4 to be synced; server 1 must not be missing", MINUTE_MS));
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->hook_count, 0);
    sim_up(sim, 4, true);
    finishes(sim);
    sim_free(sim);
}

/* Somebody takes a member out meanwhile. */
static void test_foreign_change_stops(void **state)
{
    (void)state;
    struct sim *sim = rolling(5, 5, false);
    sim_start(sim, NULL);
    restart_by_hand(sim, 1);
    assert_true(sim_until_waiting(sim, "you to restart server 2", MINUTE_MS));
    sim_foreign_config(sim, 4);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 1000));
    assert_non_null(strstr(sim->view.failed_reason, "changed by somebody else"));
    assert_non_null(strstr(sim->view.failed_reason, "observed members 1,2,3,5"));
    sim_free(sim);
}

static void test_two_voters_are_refused(void **state)
{
    (void)state;
    struct sim *sim = rolling(2, 2, true);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "restart-costs-quorum"));
    sim_free(sim);
}

/* It comes back, but not as was wanted, or not with what it has missed. */
static void test_waits_for_version_and_zxid(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    strcpy(sim->conf.expected_version, "3.9.5");
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "you to restart server 1", MINUTE_MS));
    sim_restart_server(sim, 1, "3.9.4");
    assert_true(sim_until_waiting(sim, "server 1 to run version 3.9.5; it runs 3.9.4", MINUTE_MS));
    sim_restart_server(sim, 1, "3.9.5");
    sim_server(sim, 1)->is_slow = true;
    sim_server(sim, 3)->zxid = sim->epoch << 32 | (sim->counter += 5);
    assert_true(sim_until_waiting(sim, "to reach the leader's zxid", MINUTE_MS));
    (void)sim_run_for(sim, 10000);
    assert_int_equal(step_state(sim, "restart.1"), MIG_STEP_WAITING);
    sim_server(sim, 1)->is_slow = false;
    sim_server(sim, 1)->zxid = sim->epoch << 32 | sim->counter;
    restart_by_hand(sim, 2);
    restart_by_hand(sim, 3);
    finishes(sim);
    sim_free(sim);
}

static void test_hook_fails_then_retry(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, true);
    struct mig_routes routes;
    sim->hook_rc = RC_REFUSED;
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "hook restart of server 1 failed: exit status 3"));
    sim_routes(sim, &routes);
    assert_non_null(strstr(sim->view.failed_reason, "Server 1, which was to be restarted, gets no sessions"));
    assert_false(routes.routes[0].is_admitted); /* who knows what it will do next */
    assert_true(sim->view.can[MIG_COMMAND_RETRY]);
    assert_true(sim->view.can[MIG_COMMAND_ROLLBACK]);
    sim->hook_rc = RC_OK;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    assert_restarts(sim, (const int32_t[]){1, 1, 2, 3, 0});
    sim_free(sim);
}

/* A hook that says it has, but has not. */
static void test_hook_without_effect(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, true);
    sim->hook_is_idle = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "server 1 to go down and come back", MINUTE_MS));
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 10 * MINUTE_MS));
    assert_int_equal(sim->hook_count, 1);
    sim->hook_is_idle = false;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

/* The way back: the present server is awaited, nobody else is touched. */
static void test_rollback_ends_after_the_present_server(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    struct mig_routes routes;
    sim_start(sim, NULL);
    restart_by_hand(sim, 1);
    assert_true(sim_until_waiting(sim, "you to restart server 2", MINUTE_MS));
    sim_restart_server(sim, 2, "3.9.5");
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until_waiting(sim, "server 2 to be back", MINUTE_MS));
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_rolled_back(sim);
    assert_int_equal(step_state(sim, "restart.1"), MIG_STEP_DONE);
    assert_int_equal(step_state(sim, "restart.2"), MIG_STEP_SKIPPED);
    sim_routes(sim, &routes);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(routes.routes[i].is_admitted);
    sim_free(sim);
}

static void test_rollback_before_anything(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "sessions to leave server 1", MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_rolled_back(sim);
    sim_free(sim);
}

/* Between giving up leading and being a voter again: that is undone first. */
static void test_rollback_gives_the_vote_back(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, true);
    sim->fault_at = 3;
    sim_start(sim, NULL);
    while (sim->reconfigs == 0)
        sim_tick(sim);
    assert_int_equal(sim->order[0], -3);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_rolled_back(sim);
    assert_restarts(sim, (const int32_t[]){1, 2, 0});
    sim_free(sim);
}

static void test_lost_replies(void **state)
{
    (void)state;
    const enum sim_fault faults[] = {SIM_LOST_APPLIED, SIM_LOST_DROPPED, SIM_NEVER_SENT};
    for (uint32_t f = 0; f < 3; f++) {
        struct sim *sim = rolling(3, 2, true);
        sim->fault = faults[f];
        sim_start(sim, NULL);
        finishes(sim);
        assert_int_equal(sim->fault, SIM_NO_FAULT); /* it did happen */
        assert_int_equal(sim->reconfigs, 2);
        sim_free(sim);
    }
}

/* A new leader while somebody is asked to restart that very server: it must not go on like this. */
static void test_the_one_to_be_restarted_leads(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "you to restart server 1", MINUTE_MS));
    sim_elect(sim, 1);
    (void)sim_run_for(sim, MINUTE_MS);
    restart_by_hand(sim, 2); /* the leader last */
    restart_by_hand(sim, 3);
    restart_by_hand(sim, 1);
    finishes(sim);
    sim_free(sim);
}

static void test_pause(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "you to restart server 1", MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_PAUSE, NULL).rc, RC_OK);
    sim_restart_server(sim, 1, "3.9.4");
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(step_state(sim, "restart.1"), MIG_STEP_WAITING);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    restart_by_hand(sim, 2); /* that of server 1 was seen */
    restart_by_hand(sim, 3);
    finishes(sim);
    sim_free(sim);
}

static void test_crash_after_every_effect(void **state)
{
    (void)state;
    struct sim *whole = rolling(3, 1, true);
    sim_start(whole, NULL);
    finishes(whole);
    uint32_t effects = whole->effects_done;
    sim_free(whole);
    for (uint32_t crash = effects; crash > 0; crash--) {
        struct sim *sim = rolling(3, 1, true);
        sim_start(sim, NULL);
        sim->crash_after = crash;
        (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
        assert_true(sim->has_crashed);
        sim_restart(sim);
        if (sim->view.phase == MIG_PHASE_IDLE) /* before the plan was on disk */
            sim_start(sim, NULL);
        finishes(sim);
        assert_true(sim->hook_count <= 4);
        sim_free(sim);
    }
}

/* We were not there when it was restarted: its uptime tells. */
static void test_restart_that_nobody_saw(void **state)
{
    (void)state;
    struct sim *sim = rolling(3, 3, false);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "you to restart server 1", MINUTE_MS));
    sim_restart(sim);
    sim->facts.now_ms += MINUTE_MS;
    sim->facts.wall_ms += MINUTE_MS;
    sim_server(sim, 1)->uptime_ms = 2 * MINUTE_MS; /* longer than we wait: not yet */
    assert_true(sim_until_waiting(sim, "you to restart server 1", MINUTE_MS));
    (void)sim_run_for(sim, 1000);
    assert_int_equal(step_state(sim, "restart.1"), MIG_STEP_WAITING);
    sim_server(sim, 1)->uptime_ms = 100;
    assert_true(sim_until_waiting(sim, "you to restart server 2", MINUTE_MS));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hooks),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_sessions_leave_and_may_return),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_foreign_change_stops),
        cmocka_unit_test(test_two_voters_are_refused),
        cmocka_unit_test(test_waits_for_version_and_zxid),
        cmocka_unit_test(test_hook_fails_then_retry),
        cmocka_unit_test(test_hook_without_effect),
        cmocka_unit_test(test_rollback_ends_after_the_present_server),
        cmocka_unit_test(test_rollback_before_anything),
        cmocka_unit_test(test_rollback_gives_the_vote_back),
        cmocka_unit_test(test_lost_replies),
        cmocka_unit_test(test_the_one_to_be_restarted_leads),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_crash_after_every_effect),
        cmocka_unit_test(test_restart_that_nobody_saw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
