/* The holds around reconfigs: of moves around each, of everybody around the leader's removal, what they say
 * of it, and how long they last. That no reconfig is sent without is asserted in tests/lib/sim_ensemble.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000
#define LEASE_MS  15000

static struct sim *with_switches(struct mig_switches switches)
{
    struct sim *sim = sim_new();
    mig_engine_free(sim->engine);
    sim->switches = switches;
    sim->engine = mig_engine_new(&sim->conf, &sim->switches);
    assert_non_null(sim->engine);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim_start(sim, NULL);
    return sim;
}

static struct sim *started(void)
{
    return with_switches((struct mig_switches){0});
}

static void finishes(struct sim *sim)
{
    (void)sim_until(sim, MIG_PHASE_FINISHED, 5 * MINUTE_MS);
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
}

static void until_hold(struct sim *sim, enum mig_hold_scope scope)
{
    for (int i = 0; i < 5000 && (sim->hold_id == 0 || sim->hold.scope != scope); i++)
        sim_tick(sim);
    assert_int_equal(sim->hold.scope, scope);
}

static void until_fault(struct sim *sim)
{
    for (int i = 0; i < 5000 && sim->fault != SIM_NO_FAULT; i++)
        sim_tick(sim);
    assert_int_equal(sim->fault, SIM_NO_FAULT);
}

static void test_every_reconfig_has_its_hold(void **state)
{
    (void)state;
    struct sim *sim = started();
    finishes(sim);
    assert_int_equal(sim->move_holds, 5);
    assert_int_equal(sim->holds, 1);
    sim_free(sim);
}

/* Moves under way are waited for; nothing is sent, and clients are not held. */
static void test_moves_end_first(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->moving = 3;
    assert_true(sim_until_waiting(sim, "3 moves to end", MINUTE_MS));
    assert_int_equal(sim->reconfigs, 0);
    assert_true(sim_until_waiting(sim, "3 moves were not over", MINUTE_MS));
    assert_int_equal(sim->hold_id, 0); /* moves go on for a while */
    assert_int_equal(sim->reconfigs, 0);
    sim->moving = 0;
    finishes(sim);
    assert_int_equal(sim->move_holds, 6);
    sim_free(sim);
}

/* Until the outcome is known: a lost reply and nobody to ask for it, for longer than the lease. */
static void test_lasts_until_the_outcome(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->fault = SIM_LOST_APPLIED;
    until_hold(sim, MIG_HOLD_MOVES);
    sim->is_deaf = true;
    until_fault(sim);
    uint64_t id = sim->hold_id;
    (void)sim_run_for(sim, 3 * LEASE_MS);
    assert_non_null(strstr(sim->view.waiting_for, "the outcome of the reconfig"));
    assert_int_equal(sim->hold_id, id);
    sim->is_deaf = false;
    finishes(sim);
    assert_int_equal(sim->move_holds, 5);
    sim_free(sim);
}

/* …also when the daemon died in between: the new one holds moves until it knows. */
static void test_restart_before_the_outcome(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->fault = SIM_LOST_APPLIED;
    sim->fault_at = 3; /* the leader's removal */
    until_fault(sim);
    sim_restart(sim);
    for (int i = 0; i < 500 && sim->hold_id == 0; i++)
        sim_tick(sim);
    assert_int_equal(sim->hold.scope, MIG_HOLD_MOVES);
    assert_int_equal(sim->hold.exit_epoch, 0); /* which epoch it was sent in is not known any more */
    finishes(sim);
    sim_free(sim);
}

/* What workers are told of the leader's removal, step by step. */
static void test_leader_leaves(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->unquiesced = 1;
    until_hold(sim, MIG_HOLD_ALL);
    uint64_t id = sim->hold_id;
    assert_int_equal(sim->hold.exit_epoch, 0); /* it can still be taken back */
    assert_int_equal(sim->hold.server, -1);
    sim->unquiesced = 0;
    sim->loses = 4;
    while (sim->hold.own_zxid == 0)
        sim_tick(sim);
    assert_int_equal(sim->hold_id, id);
    assert_int_equal(sim->hold.exit_epoch, 1);
    assert_int_equal(sim->hold.server, 3);
    assert_int_equal(sim->hold.own_zxid, sim->config.version);
    finishes(sim);
    sim_free(sim);
}

/* Sessions attach before the first transaction of the new epoch, if they are quick. */
static void test_waits_for_sessions(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->loses = 5;
    finishes(sim);
    assert_int_equal(sim->detached_at_commit, 0);
    assert_true(sim->commit_ms - sim->elected_ms < 300);
    sim_free(sim);
}

static void test_slow_sessions_are_not_waited_for(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->loses = 1000;
    assert_true(sim_until_waiting(sim, "sessions to attach to the members that stay", MINUTE_MS));
    finishes(sim);
    assert_true(sim->detached_at_commit > 0);
    assert_in_range(sim->commit_ms - sim->elected_ms, 300, 400);
    sim_free(sim);
}

/* Workers end a hold by themselves; once the reconfig is sent that is no error. */
static void test_workers_end_it(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->loses = 5;
    while (sim->hold.own_zxid == 0)
        sim_tick(sim);
    sim->hold_id = 0;
    finishes(sim);
    assert_int_equal(sim->holds, 1);
    sim_free(sim);
}

/* The hold of everybody is over before the outcome is known: clients go on, moves do not begin. */
static void test_long_outcome(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->fault = SIM_LOST_DROPPED;
    sim->fault_at = 3;
    until_hold(sim, MIG_HOLD_ALL);
    sim->is_deaf = true;
    until_fault(sim);
    (void)sim_run_for(sim, LEASE_MS - 1000);
    assert_int_equal(sim->hold.scope, MIG_HOLD_ALL);
    (void)sim_run_for(sim, 2000);
    assert_int_equal(sim->hold.scope, MIG_HOLD_MOVES);
    assert_true(sim->hold_id != 0);
    sim->is_deaf = false;
    finishes(sim);
    sim_free(sim);
}

/* Control run: the leader is removed while everybody goes on. */
static void test_no_hold_switch(void **state)
{
    (void)state;
    if (!PX_TEST_SWITCHES)
        skip();
    struct sim *sim = with_switches((struct mig_switches){.no_hold = true});
    sim->unquiesced = 9;
    finishes(sim);
    assert_int_equal(sim->holds, 0);
    assert_int_equal(sim->move_holds, 5);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reconfig_has_its_hold),
        cmocka_unit_test(test_moves_end_first),
        cmocka_unit_test(test_lasts_until_the_outcome),
        cmocka_unit_test(test_restart_before_the_outcome),
        cmocka_unit_test(test_leader_leaves),
        cmocka_unit_test(test_waits_for_sessions),
        cmocka_unit_test(test_slow_sessions_are_not_waited_for),
        cmocka_unit_test(test_workers_end_it),
        cmocka_unit_test(test_long_outcome),
        cmocka_unit_test(test_no_hold_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
