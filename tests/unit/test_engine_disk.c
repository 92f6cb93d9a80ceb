/* One history: what is in memory, what is on disk and what commands append. Every write of the journal may
 * fail at any point of a plan, for once or for a while; then come commands, crashes and restarts in any
 * order. The journal that is on disk always replays, to the phase that the engine shows or, when a failure
 * could not be written, to the one it stood in; and with room on the disk the plan comes to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS   60000
#define SEEDS       24u
#define ACTIONS     160u
#define RECORDS_LOT 250u /* then the rest of the records is for the way to the end */

static struct sim *sim_of(void)
{
    struct sim *sim = sim_new_kind(CONF_KIND_MIGRATE, 3, 3, NULL);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->conf.confirm_switch = sim->conf.confirm_remove = sim->conf.confirm_finish = true;
    sim->confirms = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    return sim;
}

/* The disk tells the same story: a failed plan may be on disk in the phase in which it failed. */
static void assert_one_history(struct sim *sim)
{
    struct mig_engine *engine = sim_replay(sim);
    struct mig_view disk;
    mig_engine_view(engine, &sim->facts, &disk);
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
    if (sim->view.phase == MIG_PHASE_FAILED && disk.phase != MIG_PHASE_FAILED)
        assert_int_equal(disk.phase, sim->view.failed_phase);
    else if (sim->queued == 0)
        assert_int_equal(disk.phase, sim->view.phase);
    mig_engine_free(engine);
}

/* With room on the disk, whatever was done before. */
static void assert_ends(struct sim *sim)
{
    int64_t end_ms = sim->facts.now_ms + 30 * MINUTE_MS;
    sim->journal_fails = false;
    while (sim->view.phase != MIG_PHASE_FINISHED && sim->view.phase != MIG_PHASE_ROLLED_BACK) {
        assert_true(sim->facts.now_ms < end_ms);
        (void)sim_command(sim, MIG_COMMAND_UNDRAIN, NULL);
        if (sim->view.can[MIG_COMMAND_RESUME])
            (void)sim_command(sim, MIG_COMMAND_RESUME, NULL);
        if (sim->view.can[MIG_COMMAND_RETRY])
            (void)sim_command(sim, MIG_COMMAND_RETRY, NULL);
        else if (sim->view.can[MIG_COMMAND_START])
            (void)sim_command(sim, MIG_COMMAND_START, NULL);
        (void)sim_run_for(sim, 500);
        assert_one_history(sim);
    }
    (void)sim_run_for(sim, 500);
    assert_one_history(sim);
    if (sim->view.phase == MIG_PHASE_FINISHED)
        sim_assert_finished(sim);
    else
        sim_assert_rolled_back(sim);
}

/* How many records a plan without trouble writes. */
static uint32_t count_records(void)
{
    struct sim *sim = sim_of();
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 200);
    uint32_t count = sim->record_count;
    sim_free(sim);
    assert_true(count > 20);
    return count;
}

/* Ticks until so many records are on disk. */
static bool run_until_record(struct sim *sim, uint32_t count)
{
    int64_t end_ms = sim->facts.now_ms + 10 * MINUTE_MS;
    while (sim->record_count < count && sim->facts.now_ms < end_ms)
        sim_tick(sim);
    return sim->record_count == count;
}

/* The disk is full at that record, for a while; then there is room, somebody gives that command, and perhaps
 * the daemon is killed at once. */
static void fail_at(uint32_t record, enum mig_command_kind then, bool crashes)
{
    struct sim *sim = sim_of();
    sim->journal_capacity = record;
    sim->journal_fails = record == 0;
    sim_start(sim, NULL);
    if (record > 0)
        (void)run_until_record(sim, record);
    (void)sim_run_for(sim, 2000);
    assert_int_equal(sim->record_count, record);
    assert_one_history(sim);
    sim->journal_capacity = 0;
    sim->journal_fails = false;
    if (sim->view.can[then])
        (void)sim_command(sim, then, NULL);
    (void)sim_run_for(sim, crashes ? 2 * SIM_STEP_MS : 1000);
    if (crashes)
        sim_restart(sim);
    assert_one_history(sim);
    assert_ends(sim);
    sim_free(sim);
}

static void test_every_write_may_fail(void **state)
{
    (void)state;
    const enum mig_command_kind commands[] = {MIG_COMMAND_RETRY, MIG_COMMAND_ROLLBACK, MIG_COMMAND_START,
                                              MIG_COMMAND_PAUSE};
    uint32_t count = count_records();
    for (uint32_t record = 0; record < count; record++)
        for (uint32_t i = 0; i < 8; i++)
            fail_at(record, commands[i / 2], i % 2 != 0);
}

/* --- anything, in any order --- */

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void act(struct sim *sim, uint64_t *seed)
{
    static const enum mig_command_kind commands[] = {
        MIG_COMMAND_START,    MIG_COMMAND_PAUSE, MIG_COMMAND_RESUME,  MIG_COMMAND_RETRY,  MIG_COMMAND_RETRY,
        MIG_COMMAND_ROLLBACK, MIG_COMMAND_DRAIN, MIG_COMMAND_UNDRAIN, MIG_COMMAND_CONFIRM};
    uint32_t what = next_random(seed) % 20;
    if (what < 8)
        (void)sim_run_for(sim, 1 + next_random(seed) % 700);
    else if (what < 10)
        sim_tick(sim);
    else if (what < 13)
        sim->journal_fails = next_random(seed) % 2 != 0;
    else if (what < 14)
        sim_restart(sim);
    else
        (void)sim_command(sim, commands[next_random(seed) % (sizeof(commands) / sizeof(commands[0]))],
                          "switch");
}

static void test_anything_in_any_order(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= SEEDS; first++) {
        uint64_t seed = first;
        struct sim *sim = sim_of();
        sim_start(sim, NULL);
        for (uint32_t i = 0; i < ACTIONS && sim->record_count < RECORDS_LOT; i++) {
            act(sim, &seed);
            assert_one_history(sim);
            if (sim->view.phase == MIG_PHASE_FINISHED)
                break; /* the same plan can't be started once more */
        }
        assert_ends(sim);
        sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write_may_fail),
        cmocka_unit_test(test_anything_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
