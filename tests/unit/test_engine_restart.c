/* kill -9 at every point of a migration: after each effect, with the result of that effect lost, the engine
 * is made anew from the journal and must reach the same end by itself. A paused or waiting plan is still so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *started(void)
{
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->conf.confirm_switch = true;
    sim->conf.confirm_remove = true;
    sim->conf.confirm_finish = true;
    sim->confirms = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, NULL);
    return sim;
}

static void finishes(struct sim *sim)
{
    (void)sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
    assert_int_equal(sim->reconfigs, 6); /* each change exactly once */
}

static uint32_t effects_of_a_run(void)
{
    struct sim *sim = started();
    finishes(sim);
    uint32_t count = sim->effects_done;
    sim_free(sim);
    return count;
}

/* Before the plan is on disk there is nothing to go on with. */
static void go_on(struct sim *sim)
{
    sim_restart(sim);
    if (sim->view.phase == MIG_PHASE_IDLE)
        sim_start(sim, NULL);
}

static void test_crash_after_every_effect(void **state)
{
    (void)state;
    uint32_t count = effects_of_a_run();
    assert_true(count > 50);
    for (uint32_t crash = 1; crash <= count; crash++) {
        struct sim *sim = started();
        sim->crash_after = crash;
        (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
        assert_true(sim->has_crashed);
        go_on(sim);
        finishes(sim);
        sim_free(sim);
    }
}

/* A second crash soon after the first: what a restart does must be restartable too. */
static void test_crash_twice(void **state)
{
    (void)state;
    uint32_t count = effects_of_a_run();
    for (uint32_t crash = 2; crash <= count; crash += 3)
        for (uint32_t again = 1; again <= 7; again += 2) {
            struct sim *sim = started();
            sim->crash_after = crash;
            (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
            go_on(sim);
            sim->crash_after = sim->effects_done + again;
            (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
            go_on(sim);
            finishes(sim);
            sim_free(sim);
        }
}

/* Lost replies and a crash together: the outcome is decided by the restarted engine. */
static void test_crash_with_unknown_outcome(void **state)
{
    (void)state;
    const enum sim_fault faults[] = {SIM_LOST_APPLIED, SIM_LOST_DROPPED};
    for (uint32_t f = 0; f < 2; f++)
        for (uint32_t after = 0; after < 3; after++) {
            struct sim *sim = started();
            sim->fault = faults[f];
            sim->fault_at = 3;
            while (sim->fault != SIM_NO_FAULT)
                sim_tick(sim);
            for (uint32_t i = 0; i < after; i++)
                sim_tick(sim);
            go_on(sim);
            finishes(sim);
            sim_free(sim);
        }
}

/* Every prefix of the journal can be replayed, and the phase is the one the last record says. */
static void test_every_prefix_replays(void **state)
{
    (void)state;
    struct sim *sim = started();
    finishes(sim);
    for (uint32_t count = 0; count <= sim->record_count; count++) {
        struct mig_engine *engine = mig_engine_new(&sim->conf, NULL);
        struct err err = {.text = ""};
        enum mig_phase phase = MIG_PHASE_IDLE;
        for (uint32_t i = 0; i < count; i++) {
            const struct mig_record *record = &sim->records[i];
            assert_int_equal(mig_engine_replay(engine, record, &err), RC_OK);
            if (record->kind == MIG_RECORD_PLAN)
                phase = MIG_PHASE_PREFLIGHT;
            else if (record->kind == MIG_RECORD_PHASE)
                phase = record->phase;
            else if (record->kind == MIG_RECORD_FINISHED)
                phase = MIG_PHASE_FINISHED;
        }
        mig_engine_view(engine, &sim->facts, &sim->view);
        assert_int_equal(sim->view.phase, phase);
        mig_engine_free(engine);
    }
    sim_free(sim);
}

static void test_record_out_of_place(void **state)
{
    (void)state;
    struct sim *sim = started();
    finishes(sim);
    struct err err;
    for (uint32_t skip = 0; skip < sim->record_count; skip++) {
        if (sim->records[skip].kind != MIG_RECORD_PHASE)
            continue;
        struct mig_engine *engine = mig_engine_new(&sim->conf, NULL);
        enum rc rc = RC_OK;
        for (uint32_t i = 0; i < sim->record_count && rc == RC_OK; i++)
            if (i != skip)
                rc = mig_engine_replay(engine, &sim->records[i], &err);
        assert_int_equal(rc, RC_CORRUPT);
        assert_true(strlen(err.text) > 0);
        mig_engine_free(engine);
    }
    sim_free(sim);
}

static void test_paused_stays_paused(void **state)
{
    (void)state;
    struct sim *sim = started();
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_PAUSE, NULL).rc, RC_OK);
    (void)sim_run_for(sim, MINUTE_MS); /* what is in flight ends first */
    uint32_t reconfigs = sim->reconfigs;
    assert_true(reconfigs < 3);
    sim_restart(sim);
    assert_true(sim->view.is_paused);
    (void)sim_run_for(sim, 60 * MINUTE_MS);
    assert_true(sim->view.is_paused);
    assert_int_equal(sim->reconfigs, reconfigs);
    assert_int_equal(sim->view.phase, MIG_PHASE_ADDING);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

static void test_waiting_stays_waiting(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->confirms = false;
    const enum mig_gate gates[] = {MIG_GATE_SWITCH, MIG_GATE_REMOVE, MIG_GATE_FINISH};
    for (uint32_t i = 0; i < 3; i++) {
        while (sim->view.waiting_gate != gates[i])
            sim_tick(sim);
        (void)sim_run_for(sim, 60 * MINUTE_MS); /* people have no deadline */
        assert_int_equal(sim->view.waiting_gate, gates[i]);
        sim_restart(sim);
        (void)sim_run_for(sim, MINUTE_MS);
        assert_int_equal(sim->view.waiting_gate, gates[i]);
        assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, mig_gate_name(gates[i])).rc, RC_OK);
        while (i < 2 && sim->view.waiting_gate == gates[i])
            sim_tick(sim);
        sim_tick(sim);
        sim_restart(sim); /* a confirmed gate stays open */
        (void)sim_run_for(sim, 20);
        assert_int_not_equal(sim->view.waiting_gate, gates[i]);
    }
    finishes(sim);
    sim_free(sim);
}

static void test_failed_stays_failed(void **state)
{
    (void)state;
    struct sim *sim = started();
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    sim_foreign_config(sim, 5);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    (void)sim_run_for(sim, 1000);
    sim_restart(sim);
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->view.phase, MIG_PHASE_FAILED);
    assert_non_null(strstr(sim->view.failed_reason, "somebody else"));
    assert_true(mig_engine_plan_runs(sim->engine));
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    (void)sim_run_for(sim, 1000);
    sim_restart(sim); /* a crash behind the retry */
    (void)sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_after_every_effect),   cmocka_unit_test(test_crash_twice),
        cmocka_unit_test(test_crash_with_unknown_outcome), cmocka_unit_test(test_every_prefix_replays),
        cmocka_unit_test(test_record_out_of_place),        cmocka_unit_test(test_paused_stays_paused),
        cmocka_unit_test(test_waiting_stays_waiting),      cmocka_unit_test(test_failed_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
