/* Rollback on the simulated ensemble: from every moment of every kind of plan, and with kill -9 at every
 * moment of the way back, everything ends as it was before. Invariants are asserted in
 * tests/lib/sim_ensemble.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

struct scene {
    enum conf_kind kind;
    uint32_t sources;
    uint32_t targets;
    int32_t leaving[4]; /* ends with 0 */
    int32_t leader;
};

static const struct scene migrate = {CONF_KIND_MIGRATE, 3, 3, {0}, 3};
static const struct scene scenes[] = {
    {CONF_KIND_MIGRATE, 3, 3, {0}, 3},
    {CONF_KIND_EXPAND, 3, 2, {0}, 2},
    {CONF_KIND_SHRINK, 5, 0, {3, 5, 0}, 5},
    {CONF_KIND_REPLACE, 3, 2, {1, 2, 0}, 1},
};
#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

static struct sim *started(const struct scene *scene)
{
    struct sim *sim = sim_new_kind(scene->kind, scene->sources, scene->targets, scene->leaving);
    for (uint32_t i = 0; i < scene->targets; i++)
        sim_up(sim, (int32_t)(scene->sources + i) + 1, true);
    sim->leader = scene->leader;
    sim->conf.confirm_finish = true; /* there is no way back behind it */
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, NULL);
    return sim;
}

static void rolls_back(struct sim *sim)
{
    (void)sim_until(sim, MIG_PHASE_ROLLED_BACK, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100); /* the last effects */
    sim_assert_rolled_back(sim);
}

static void wait_for_finish_gate(struct sim *sim)
{
    for (int i = 0; sim->view.waiting_gate != MIG_GATE_FINISH && i < 5000; i++)
        sim_tick(sim);
    assert_int_equal(sim->view.waiting_gate, MIG_GATE_FINISH);
}

/* Between two leaders it is not offered: the next moment at which it is. */
static void command_rollback(struct sim *sim)
{
    for (int i = 0; !sim->view.can[MIG_COMMAND_ROLLBACK] && i < 500; i++)
        sim_tick(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_int_equal(sim->view.phase, MIG_PHASE_ROLLING_BACK);
}

static int64_t ticks_of(const struct scene *scene)
{
    struct sim *sim = started(scene);
    int64_t began_ms = sim->facts.now_ms;
    wait_for_finish_gate(sim);
    int64_t took_ms = sim->facts.now_ms - began_ms;
    sim_free(sim);
    return took_ms / SIM_STEP_MS;
}

static void test_from_every_moment(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SCENES; i++)
        for (int64_t ticks = ticks_of(&scenes[i]) + 1; ticks >= 0; ticks--) {
            struct sim *sim = started(&scenes[i]);
            (void)sim_run_for(sim, ticks * SIM_STEP_MS);
            command_rollback(sim);
            rolls_back(sim);
            sim_free(sim);
        }
}

/* Everything was done: everything is undone, the targets' leader last. */
static void test_whole_way_back(void **state)
{
    (void)state;
    struct sim *sim = started(&migrate);
    wait_for_finish_gate(sim);
    assert_int_equal(sim->leader, 4);
    uint32_t holds = sim->holds;
    command_rollback(sim);
    rolls_back(sim);
    const int32_t order[] = {4, 5, 6, -1, -2, -3, 1, 2, 3, -5, -6, -4};
    assert_int_equal(sim->reconfigs, 12);
    assert_memory_equal(sim->order, order, sizeof(order));
    assert_int_equal(sim->holds, holds + 1);
    assert_int_equal(sim->records[sim->record_count - 1].kind, MIG_RECORD_ROLLED_BACK);
    sim_free(sim);
}

/* The scenes are static ensembles; here some members, or all, say where they listen for clients. */
static void test_whole_way_back_with_client_parts(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 3; first++) {
        struct sim *sim = started(&migrate);
        for (uint32_t i = first; i < 3; i++)
            sim->config.servers[i] = sim->conf.source.servers[i];
        wait_for_finish_gate(sim);
        command_rollback(sim);
        rolls_back(sim);
        assert_int_equal(sim->reconfigs, 12);
        sim_free(sim);
    }
}

static enum mig_step_state state_of(const struct sim *sim, const char *name)
{
    for (uint32_t i = 0; i < sim->view.steps->count; i++)
        if (strcmp(sim->view.steps->items[i].name, name) == 0)
            return sim->view.steps->items[i].state;
    fail_msg("no step %s", name);
    return MIG_STEP_COUNT;
}

/* What was never done is neither shown as done nor undone. */
static void test_steps_are_true(void **state)
{
    (void)state;
    struct sim *sim = started(&migrate);
    while (sim->reconfigs < 2)
        sim_tick(sim);
    command_rollback(sim);
    rolls_back(sim);
    assert_int_equal(state_of(sim, "add.4"), MIG_STEP_DONE);
    assert_int_equal(state_of(sim, "add.5"), MIG_STEP_DONE);
    assert_int_equal(state_of(sim, "add.6"), MIG_STEP_SKIPPED);
    assert_int_equal(state_of(sim, "switch"), MIG_STEP_SKIPPED);
    assert_int_equal(state_of(sim, "remove.1"), MIG_STEP_SKIPPED);
    assert_int_equal(state_of(sim, "restore.1"), MIG_STEP_SKIPPED);
    assert_int_equal(state_of(sim, "catch_up_back"), MIG_STEP_SKIPPED);
    assert_int_equal(state_of(sim, "switch_back"), MIG_STEP_DONE);
    assert_int_equal(state_of(sim, "withdraw.5"), MIG_STEP_DONE);
    assert_int_equal(state_of(sim, "withdraw.6"), MIG_STEP_SKIPPED);
    assert_int_equal(state_of(sim, "verify_back"), MIG_STEP_DONE);
    sim_free(sim);
}

static void until_reconfigs(struct sim *sim, uint32_t count)
{
    while (sim->reconfigs < count)
        sim_tick(sim);
}

/* The moments of which each begins the way back with something else in flight. */
static const uint32_t moments[] = {2, 4, 6}; /* an add, the first removal, the leader's removal */
#define MOMENTS (sizeof(moments) / sizeof(moments[0]))

static struct sim *turned(uint32_t reconfigs)
{
    struct sim *sim = started(&migrate);
    until_reconfigs(sim, reconfigs);
    command_rollback(sim);
    return sim;
}

static void test_crash_after_every_effect(void **state)
{
    (void)state;
    for (uint32_t m = 0; m < MOMENTS; m++) {
        struct sim *whole = turned(moments[m]);
        uint32_t first = whole->effects_done;
        rolls_back(whole);
        uint32_t last = whole->effects_done;
        sim_free(whole);
        for (uint32_t crash = first + 1; crash <= last; crash++) {
            struct sim *sim = turned(moments[m]);
            sim->crash_after = crash;
            (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
            assert_true(sim->has_crashed);
            sim_restart(sim);
            if (sim->view.phase != MIG_PHASE_ROLLING_BACK && sim->view.phase != MIG_PHASE_ROLLED_BACK)
                command_rollback(sim); /* its record was not on disk: nobody was told that it would */
            rolls_back(sim);
            sim_free(sim);
        }
    }
}

static void test_lost_replies(void **state)
{
    (void)state;
    const enum sim_fault faults[] = {SIM_LOST_APPLIED, SIM_LOST_DROPPED, SIM_NEVER_SENT};
    for (uint32_t f = 0; f < 3; f++)
        for (int32_t server = 1; server <= 6; server++) {
            struct sim *sim = started(&migrate);
            wait_for_finish_gate(sim);
            command_rollback(sim);
            sim->fault = faults[f];
            sim->fault_at = server;
            rolls_back(sim);
            assert_int_equal(sim->fault, SIM_NO_FAULT); /* it did happen */
            assert_int_equal(sim->reconfigs, 12);
            sim_free(sim);
        }
}

static void test_leader_changes_on_the_way_back(void **state)
{
    (void)state;
    struct sim *sim = turned(4);
    until_reconfigs(sim, 6);
    sim_elect(sim, 5);
    rolls_back(sim);
    assert_int_equal(sim->order[sim->reconfigs - 1], -5);
    sim_free(sim);
}

/* A removed source that does not follow any more: there is no way back until it does. */
static void test_offered_while_every_source_follows(void **state)
{
    (void)state;
    struct sim *sim = started(&migrate);
    wait_for_finish_gate(sim);
    assert_true(sim->view.can[MIG_COMMAND_ROLLBACK]);
    sim_up(sim, 2, false);
    sim_tick(sim);
    assert_false(sim->view.can[MIG_COMMAND_ROLLBACK]);
    struct mig_answer answer = sim_command(sim, MIG_COMMAND_ROLLBACK, NULL);
    assert_string_equal(answer.code, "source_not_following");
    assert_non_null(strstr(answer.message, "server 2"));
    assert_int_equal(sim->view.phase, MIG_PHASE_VERIFYING);
    sim_up(sim, 2, true);
    sim_tick(sim);
    command_rollback(sim);
    rolls_back(sim);
    sim_free(sim);
}

/* A dead member that was replaced cannot be brought back; one that still is a member is as it was. */
static void test_dead_member(void **state)
{
    (void)state;
    struct sim *sim = sim_new_kind(CONF_KIND_REPLACE, 3, 1, (const int32_t[]){1, 0});
    sim_up(sim, 4, true);
    sim_up(sim, 1, false);
    sim_server(sim, 1)->sessions = 0;
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS));
    assert_true(sim->view.can[MIG_COMMAND_ROLLBACK]);
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    assert_false(sim->view.can[MIG_COMMAND_ROLLBACK]);
    sim_free(sim);
}

static void test_pause_and_resume(void **state)
{
    (void)state;
    struct sim *sim = turned(4);
    until_reconfigs(sim, 5);
    assert_int_equal(sim_command(sim, MIG_COMMAND_PAUSE, NULL).rc, RC_OK);
    (void)sim_run_for(sim, MINUTE_MS); /* what is in flight ends first */
    uint32_t reconfigs = sim->reconfigs;
    sim_restart(sim);
    (void)sim_run_for(sim, 60 * MINUTE_MS);
    assert_true(sim->view.is_paused);
    assert_int_equal(sim->view.phase, MIG_PHASE_ROLLING_BACK);
    assert_int_equal(sim->reconfigs, reconfigs);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    rolls_back(sim);
    sim_free(sim);
}

/* The gates of the way there hold on the way back: a source that does not take the config on, a target whose
 * sessions do not leave. What it waited for is the reason of the failure, and retry goes on. */
static void test_gates_hold(void **state)
{
    (void)state;
    struct sim *sim = turned(6);
    sim_server(sim, 2)->is_stuck = true;
    assert_true(sim_until_waiting(sim, "server 2 to count with", MINUTE_MS));
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 10 * MINUTE_MS));
    assert_int_equal(sim->view.failed_phase, MIG_PHASE_ROLLING_BACK);
    assert_non_null(strstr(sim->view.failed_reason, "server 2 to count with"));
    assert_false(sim->view.can[MIG_COMMAND_ROLLBACK]); /* it goes back already: retry */
    (void)sim_run_for(sim, 100);
    sim_restart(sim);
    sim_server(sim, 2)->is_stuck = false;
    (void)sim_run_for(sim, 100);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    rolls_back(sim);
    sim_free(sim);
}

static void test_tolerance_holds(void **state)
{
    (void)state;
    struct sim *sim = turned(3);
    sim_up(sim, 2, false);
    assert_true(sim_until_waiting(sim, "more members to be alive", MINUTE_MS));
    assert_int_equal(sim->config.server_count, 5); /* 5 of 6 spare one, 4 of 5 too, 3 of 4 none */
    sim_up(sim, 2, true);
    rolls_back(sim);
    sim_free(sim);
}

/* A plan that has failed on the way there. */
static void test_after_a_failure(void **state)
{
    (void)state;
    struct sim *sim = started(&migrate);
    until_reconfigs(sim, 4);
    sim_server(sim, 5)->is_stuck = true;
    assert_true(sim_until(sim, MIG_PHASE_FAILED, 10 * MINUTE_MS));
    sim_server(sim, 5)->is_stuck = false;
    (void)sim_run_for(sim, 100);
    command_rollback(sim);
    (void)sim_run_for(sim, 100);
    sim_restart(sim);
    rolls_back(sim);
    sim_free(sim);
}

/* Nothing was changed: rolled back at once, without anything being asked of the ensemble. */
static void test_before_anything_changed(void **state)
{
    (void)state;
    struct sim *sim = started(&migrate);
    assert_true(sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS));
    command_rollback(sim);
    rolls_back(sim);
    assert_int_equal(sim->reconfigs, 0);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).http_status, 409);
    sim_start(sim, NULL); /* and the next plan is free to begin */
    wait_for_finish_gate(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "finish").rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).http_status, 409);
    sim_free(sim);
}

/* The journal says when the way back began: every prefix replays to the phase its last record says. */
static void test_every_prefix_replays(void **state)
{
    (void)state;
    struct sim *sim = started(&migrate);
    wait_for_finish_gate(sim);
    command_rollback(sim);
    rolls_back(sim);
    for (uint32_t count = 0; count <= sim->record_count; count++) {
        struct mig_engine *engine = mig_engine_new(&sim->conf, NULL);
        struct err err = {.text = ""};
        enum mig_phase phase = MIG_PHASE_IDLE;
        for (uint32_t i = 0; i < count; i++) {
            const struct mig_record *record = &sim->records[i];
            assert_int_equal(mig_engine_replay(engine, record, &err), RC_OK);
            phase = record->kind == MIG_RECORD_PLAN ? MIG_PHASE_PREFLIGHT : record->phase;
        }
        mig_engine_view(engine, &sim->facts, &sim->view);
        assert_int_equal(sim->view.phase, phase);
        mig_engine_free(engine);
    }
    sim_free(sim);
}

/* The way back cannot begin twice, nor end before it began. */
static void test_records_out_of_place(void **state)
{
    (void)state;
    struct sim *sim = turned(4);
    rolls_back(sim);
    struct err err;
    for (uint32_t doubled = 0; doubled < sim->record_count; doubled++) {
        enum mig_record_kind kind = sim->records[doubled].kind;
        if (kind != MIG_RECORD_ROLLBACK && kind != MIG_RECORD_ROLLED_BACK)
            continue;
        struct mig_engine *engine = mig_engine_new(&sim->conf, NULL);
        for (uint32_t i = 0; i <= doubled; i++)
            assert_int_equal(mig_engine_replay(engine, &sim->records[i], &err), RC_OK);
        assert_int_equal(mig_engine_replay(engine, &sim->records[doubled], &err), RC_CORRUPT);
        mig_engine_free(engine);
    }
    sim_free(sim);
}

/* On the way back reconfigs go over targets: one that does not know the super user is not made a member. */
static void test_a_target_that_does_not_know_the_super_user(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim_server(sim, 5)->lacks_super = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target 5 to know the super user", 60000));
    assert_non_null(strstr(sim->view.waiting_for, "superDigest"));
    (void)sim_run_for(sim, 20000);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->reconfigs, 0);     /* nothing has been changed for it */
    sim_server(sim, 5)->lacks_super = false; /* its files were corrected, and it was started again */
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 600000));
    sim_free(sim);
}

/* Probes come from another address than sessions: a target that serves may be out of reach for all of them.
 */
static void test_a_target_that_no_session_reaches(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    struct mig_survey *survey = &sim->facts.survey;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target", 60000));
    survey->unreached_count = 1;
    survey->unreached[0] = (struct mig_unreached){5, "10.0.0.77", "No route to host"};
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    assert_true(sim_until_waiting(sim, "a connection from 10.0.0.77 to target 5: No route to host", 60000));
    (void)sim_run_for(sim, 20000);
    assert_int_equal(sim->view.phase, MIG_PHASE_JOINING);
    assert_int_equal(sim->reconfigs, 0);
    survey->unreached_count = 0;
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 600000));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_target_that_does_not_know_the_super_user),
        cmocka_unit_test(test_a_target_that_no_session_reaches),
        cmocka_unit_test(test_from_every_moment),
        cmocka_unit_test(test_whole_way_back),
        cmocka_unit_test(test_whole_way_back_with_client_parts),
        cmocka_unit_test(test_steps_are_true),
        cmocka_unit_test(test_crash_after_every_effect),
        cmocka_unit_test(test_lost_replies),
        cmocka_unit_test(test_leader_changes_on_the_way_back),
        cmocka_unit_test(test_offered_while_every_source_follows),
        cmocka_unit_test(test_dead_member),
        cmocka_unit_test(test_pause_and_resume),
        cmocka_unit_test(test_gates_hold),
        cmocka_unit_test(test_tolerance_holds),
        cmocka_unit_test(test_after_a_failure),
        cmocka_unit_test(test_before_anything_changed),
        cmocka_unit_test(test_every_prefix_replays),
        cmocka_unit_test(test_records_out_of_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
