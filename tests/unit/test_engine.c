/* The migration engine on a simulated ensemble: the whole way, and what happens when the world does not play
 * along. Invariants that hold in every test are asserted in tests/lib/sim_ensemble.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"
#include "zkproto/zkerr.h"

#define MINUTE_MS 60000

static void targets_up(struct sim *sim)
{
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
}

static struct sim *started(const char *accept)
{
    struct sim *sim = sim_new();
    targets_up(sim);
    sim_start(sim, accept);
    return sim;
}

static void assert_order(const struct sim *sim, const int32_t order[6])
{
    assert_int_equal(sim->reconfigs, 6);
    assert_memory_equal(sim->order, order, 6 * sizeof(order[0]));
}

static void finishes(struct sim *sim)
{
    (void)sim_until(sim, MIG_PHASE_FINISHED, 5 * MINUTE_MS);
    (void)sim_run_for(sim, 100); /* the last effects */
    sim_assert_finished(sim);
}

static void test_whole_way(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    int64_t began_ms = sim->facts.now_ms;
    finishes(sim);
    assert_order(sim, (const int32_t[]){4, 5, 6, -1, -2, -3});
    assert_int_equal(sim->holds, 1); /* only the leader's removal */
    assert_true(sim->facts.now_ms - began_ms < 10000);
    sim_free(sim);
}

static void test_phases_in_order(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    finishes(sim);
    enum mig_phase phase = MIG_PHASE_PREFLIGHT;
    for (uint32_t i = 0; i < sim->record_count; i++)
        if (sim->records[i].kind == MIG_RECORD_PHASE) {
            assert_int_equal(sim->records[i].phase, phase + 1);
            phase = sim->records[i].phase;
        }
    assert_int_equal(phase, MIG_PHASE_VERIFYING);
    assert_int_equal(sim->records[sim->record_count - 1].kind, MIG_RECORD_FINISHED);
    sim_free(sim);
}

/* Leader with the lowest id: it still leaves last. */
static void test_leader_leaves_last(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->leader = 1;
    targets_up(sim);
    sim_start(sim, NULL);
    finishes(sim);
    assert_order(sim, (const int32_t[]){4, 5, 6, -2, -3, -1});
    sim_free(sim);
}

static void test_lost_replies(void **state)
{
    (void)state;
    const enum sim_fault faults[] = {SIM_LOST_APPLIED, SIM_LOST_DROPPED, SIM_NEVER_SENT};
    for (uint32_t f = 0; f < 3; f++)
        for (int32_t server = 1; server <= 6; server++) {
            struct sim *sim = started(NULL);
            sim->fault = faults[f];
            sim->fault_at = server;
            finishes(sim);
            assert_int_equal(sim->fault, SIM_NO_FAULT); /* it did happen */
            assert_order(sim, (const int32_t[]){4, 5, 6, -1, -2, -3});
            sim_free(sim);
        }
}

static uint32_t concluded_not_applied(const struct sim *sim)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->record_count; i++)
        count += sim->records[i].kind == MIG_RECORD_OUTCOME && !sim->records[i].is_done;
    return count;
}

/* The leader still shows the old config, although the change commits later: only what is read behind a later
 * commit decides. */
static void test_a_late_change_is_not_taken_for_none(void **state)
{
    (void)state;
    for (int32_t server = 1; server <= 6; server++) {
        struct sim *sim = started(NULL);
        sim->fault = SIM_LOST_LATE;
        sim->fault_at = server;
        finishes(sim);
        assert_false(sim->has_late);
        assert_int_equal(concluded_not_applied(sim), 0);
        assert_order(sim, (const int32_t[]){4, 5, 6, -1, -2, -3});
        sim_free(sim);
    }
}

/* Controls the test above: without the barrier before the read the conclusion is wrong. */
static void test_without_the_barrier_it_is(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    sim->fault = SIM_LOST_LATE;
    sim->fault_at = 5;
    sim->reads_early = true;
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(concluded_not_applied(sim), 1);
    assert_false(sim->has_late); /* it was applied all the same */
    sim_free(sim);
}

static void test_refused_for_a_while(void **state)
{
    (void)state;
    const int32_t errs[] = {ZKP_ERR_NEW_CONFIG_NO_QUORUM, ZKP_ERR_RECONFIG_IN_PROGRESS};
    for (uint32_t i = 0; i < 2; i++)
        for (int32_t server = 3; server <= 4; server++) {
            struct sim *sim = started(NULL);
            sim->fault = SIM_REFUSED;
            sim->fault_err = errs[i];
            sim->fault_at = server;
            finishes(sim);
            assert_order(sim, (const int32_t[]){4, 5, 6, -1, -2, -3});
            sim_free(sim);
        }
}

static void test_refused_for_good_then_retry(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    sim->fault = SIM_REFUSED;
    sim->fault_err = ZKP_ERR_NO_AUTH;
    sim->fault_at = 3;
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "NO_AUTH"));
    assert_int_equal(sim->view.failed_phase, MIG_PHASE_REMOVING);
    (void)sim_run_for(sim, 100);
    assert_int_equal(sim->hold_id, 0); /* a failed plan never leaves a hold open */
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

/* A wait that may not end: what the plan waits for becomes the reason when the deadline passes. */
static void test_deadline(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    sim_server(sim, 2)->is_stuck = true;
    assert_true(sim_until_waiting(sim, "server 2 to count with", MINUTE_MS));
    assert_int_equal(sim->config.server_count, 4); /* not one step further */
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 3 * MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server 2 to count with"));
    assert_int_equal(sim->config.server_count, 4);
    sim_server(sim, 2)->is_stuck = false;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

/* Control run: without the activation check the same world goes on to split its brain. */
static void test_deadline_control(void **state)
{
    (void)state;
    if (!PX_TEST_SWITCHES)
        skip(); /* a release has no switch to take the rule away */
    struct sim *sim = sim_new();
    mig_engine_free(sim->engine);
    sim->switches.no_activation_check = true;
    sim->engine = mig_engine_new(&sim->conf, &sim->switches);
    targets_up(sim);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    sim_server(sim, 2)->is_stuck = true;
    finishes(sim);
    sim_free(sim);
}

static void test_preflight_blocks_inactive_follower(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    struct sim_server *follower = sim_server(sim, 1);
    follower->is_stuck = true;
    follower->answer.membership.version = 0;
    targets_up(sim);
    sim_start(sim, "reconfig-inactive-1"); /* cannot be accepted away */
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "reconfig-inactive-1"));
    assert_int_equal(sim->config.server_count, 3);
    (void)sim_run_for(sim, 100);
    assert_false(sim->has_lock);
    assert_false(mig_engine_plan_runs(sim->engine)); /* nothing was changed: reload and start are free */
    follower->is_stuck = false;
    sim_start(sim, NULL);
    finishes(sim);
    sim_free(sim);
}

static void test_hidden_conf_accepted_by_name(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim_server(sim, 2)->hides_conf = true;
    targets_up(sim);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "activation-unobservable-2"));
    sim_start(sim, "activation-unobservable-2");
    finishes(sim);
    sim_free(sim);
}

static void test_wrong_super_password(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim->is_super = false;
    targets_up(sim);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "super-wrong"));
    sim->is_super = true;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

static void test_joiner_missing_then_appears(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim_up(sim, 4, true);
    sim_up(sim, 5, true);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS));
    assert_true(sim_until_waiting(sim, "target 6", MINUTE_MS));
    assert_non_null(strstr(sim->view.waiting_for, "joiner-config"));
    (void)sim_run_for(sim, 10 * MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->config.server_count, 3);
    sim_up(sim, 6, true);
    finishes(sim);
    sim_free(sim);
}

/* A joiner that leaves between joining and its turn is waited for, not added blind. */
static void test_joiner_vanishes_before_add(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    sim_up(sim, 6, false);
    assert_true(sim_until_waiting(sim, "target 6", MINUTE_MS));
    assert_null(zkp_config_find(&sim->config, 6));
    sim_up(sim, 6, true);
    finishes(sim);
    sim_free(sim);
}

static void test_target_with_its_own_ensemble(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim_up(sim, 4, true);
    sim_up(sim, 5, true);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target 6", MINUTE_MS));
    sim_up(sim, 6, true);
    sim_server(sim, 6)->own_mode = ZKP_MODE_STANDALONE;
    sim_server(sim, 6)->zxid = 0x500000001;
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "target-own-ensemble-6"));
    assert_int_equal(sim->config.server_count, 3);
    sim_server(sim, 6)->own_mode = ZKP_MODE_UNKNOWN;
    sim_up(sim, 6, true);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

static void test_leader_changes_midway(void **state)
{
    (void)state;
    const enum mig_phase phases[] = {MIG_PHASE_JOINING, MIG_PHASE_ADDING, MIG_PHASE_CATCHING_UP,
                                     MIG_PHASE_SWITCHING, MIG_PHASE_REMOVING};
    for (uint32_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        struct sim *sim = started(NULL);
        assert_true(sim_until(sim, phases[i], MINUTE_MS));
        sim_elect(sim, 1);
        finishes(sim);
        assert_order(sim, (const int32_t[]){4, 5, 6, -2, -3, -1}); /* only the order changed */
        sim_free(sim);
    }
}

/* The new leader has reconfigEnabled=false: told, not tried. */
static void test_new_leader_without_reconfig(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_SWITCHING, MINUTE_MS));
    sim_elect(sim, 2);
    sim->probe_err = ZKP_ERR_RECONFIG_DISABLED;
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server 2, has reconfigEnabled=false"));
    sim_free(sim);
}

static void test_foreign_change_stops(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    sim_foreign_config(sim, 5);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "somebody else"));
    assert_non_null(strstr(sim->view.failed_reason, "observed members 1,2,3,4,6"));
    assert_true(mig_engine_plan_runs(sim->engine));
    /* The operator has seen it: retry adds the missing target again. */
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

static void test_member_outside_the_plan(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    struct zkp_server stranger = sim->conf.target.servers[0];
    stranger.id = 9;
    assert_int_equal(mig_config_add(&sim->config, &stranger), RC_OK);
    sim_foreign_config(sim, 0);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server.9"));
    sim_free(sim);
}

static void test_hold_not_quiesced(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    sim->unquiesced = 2;
    assert_true(sim_until_waiting(sim, "were not quiesced", MINUTE_MS));
    assert_int_equal(sim->hold_id, 0); /* clients get their turn */
    assert_non_null(zkp_config_find(&sim->config, 3));
    sim->unquiesced = 0;
    finishes(sim);
    assert_true(sim->holds >= 2);
    sim_free(sim);
}

static void test_tolerance(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_REMOVING, MINUTE_MS));
    /* 5 of 6 alive tolerate one failure, 4 of 5 too, 3 of 4 none: the second removal waits. */
    sim_up(sim, 5, false);
    assert_true(sim_until_waiting(sim, "more members to be alive", MINUTE_MS));
    assert_int_equal(sim->config.server_count, 5);
    assert_int_equal(sim->view.quorum.tolerates, 1);
    sim_up(sim, 5, true);
    finishes(sim);
    sim_free(sim);
}

static void test_source_down_from_the_start(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim_up(sim, 2, false);
    targets_up(sim);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "server-down-2"));
    sim_start(sim, "server-down-2");
    finishes(sim);
    sim_free(sim);
}

static void test_foreign_lock(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    strcpy(sim->lock, "another-plan");
    targets_up(sim);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "another-plan"));
    assert_int_equal(sim->config.server_count, 3);
    sim->lock[0] = '\0';
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

/* The admin session expired midway: no step without the lock. */
static void test_lock_lost_midway(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    sim->has_lock = false;
    sim->lock[0] = '\0';
    finishes(sim); /* check_reconfig asserts that it was taken again first */
    sim_free(sim);
}

static void test_journal_full(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    sim->journal_fails = true;
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "no space left"));
    uint32_t reconfigs = sim->reconfigs;
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->reconfigs, reconfigs);
    sim->journal_fails = false;
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

/* A target that does not keep up is named; the switch waits for it. */
static void test_slow_target(void **state)
{
    (void)state;
    struct sim *sim = started(NULL);
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    sim_server(sim, 6)->own_mode = ZKP_MODE_FOLLOWER; /* follows, but gets no transactions */
    sim_server(sim, 6)->zxid = 0x100000001;
    assert_true(sim_until_waiting(sim, "target 6 was late", MINUTE_MS));
    assert_int_equal(sim->view.phase, MIG_PHASE_CATCHING_UP);
    sim_server(sim, 6)->own_mode = ZKP_MODE_UNKNOWN;
    sim_up(sim, 6, true);
    finishes(sim);
    sim_free(sim);
}

/* Also without a plan: a leader change is followed by one transaction (protocol.md §3.6). */
static void test_epoch_trap_when_idle(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    (void)sim_run_for(sim, 3000);
    sim_elect(sim, 1);
    assert_int_equal(sim_server(sim, 2)->zxid >> 32, 1);
    (void)sim_run_for(sim, 3000);
    assert_int_equal(sim_server(sim, 2)->zxid >> 32, 2);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_way),
        cmocka_unit_test(test_phases_in_order),
        cmocka_unit_test(test_leader_leaves_last),
        cmocka_unit_test(test_lost_replies),
        cmocka_unit_test(test_a_late_change_is_not_taken_for_none),
        cmocka_unit_test(test_without_the_barrier_it_is),
        cmocka_unit_test(test_refused_for_a_while),
        cmocka_unit_test(test_refused_for_good_then_retry),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_deadline_control),
        cmocka_unit_test(test_preflight_blocks_inactive_follower),
        cmocka_unit_test(test_hidden_conf_accepted_by_name),
        cmocka_unit_test(test_wrong_super_password),
        cmocka_unit_test(test_joiner_missing_then_appears),
        cmocka_unit_test(test_joiner_vanishes_before_add),
        cmocka_unit_test(test_target_with_its_own_ensemble),
        cmocka_unit_test(test_leader_changes_midway),
        cmocka_unit_test(test_new_leader_without_reconfig),
        cmocka_unit_test(test_foreign_change_stops),
        cmocka_unit_test(test_member_outside_the_plan),
        cmocka_unit_test(test_hold_not_quiesced),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_source_down_from_the_start),
        cmocka_unit_test(test_foreign_lock),
        cmocka_unit_test(test_lock_lost_midway),
        cmocka_unit_test(test_journal_full),
        cmocka_unit_test(test_slow_target),
        cmocka_unit_test(test_epoch_trap_when_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
