/* What the plan's witness saw, through the engine's records: none says less than the one before, whatever
 * happens to the daemon, and a plan that waits for days does not fill the disk with them. The witness is a
 * counter here; records come from the engine on the simulated ensemble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/engine/history.h"
#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000
#define WRITE_MS  100
#define STARTED   1700000000123

/* A plan that waits at a gate with a witness that has begun. */
static struct sim *waiting(void)
{
    struct sim *sim = sim_new();
    sim->conf.confirm_remove = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "confirmation of \"remove\"", MINUTE_MS));
    struct mig_witness_facts *witness = &sim->facts.witness;
    snprintf(witness->plan_id, sizeof witness->plan_id, "%s", sim->view.plan_id);
    witness->account.started_wall_ms = STARTED;
    return sim;
}

static struct mig_witness_figures *figures(struct sim *sim)
{
    return &sim->facts.witness.account.figures;
}

static void write_for(struct sim *sim, int64_t ms)
{
    for (int64_t passed_ms = 0; passed_ms < ms; passed_ms += WRITE_MS) {
        figures(sim)->writes++;
        figures(sim)->acked++;
        figures(sim)->events++;
        (void)sim_run_for(sim, WRITE_MS);
    }
}

static const struct mig_record *last(const struct sim *sim)
{
    return &sim->records[sim->record_count - 1];
}

/* A daemon that was just started: no witness has run in it. */
static void restart(struct sim *sim)
{
    sim->facts.witness = (struct mig_witness_facts){.plan_id = ""};
    sim_restart(sim);
}

static void assert_never_less(const struct sim *sim)
{
    for (uint32_t i = 1; i < sim->record_count; i++) {
        const struct mig_witness_account *before = &sim->records[i - 1].witness;
        const struct mig_witness_account *now = &sim->records[i].witness;
        assert_true(now->figures.acked >= before->figures.acked);
        assert_true(before->started_wall_ms == 0 || now->started_wall_ms == before->started_wall_ms);
    }
}

static void a_new_life_goes_on(void **state)
{
    (void)state;
    struct sim *sim = waiting();
    write_for(sim, 20000);
    const struct mig_witness_facts seen = sim->facts.witness;
    const uint64_t kept = last(sim)->witness.figures.acked;
    assert_true(kept >= seen.account.figures.acked - 60); /* five seconds, and a tick */
    restart(sim);
    (void)sim_run_for(sim, 100);
    assert_int_equal(last(sim)->kind, MIG_RECORD_RESTARTED);
    assert_int_equal(last(sim)->witness.figures.acked, kept);
    sim->facts.witness = seen; /* it has begun with what was kept, and gone on */
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    assert_never_less(sim);
    assert_int_equal(last(sim)->kind, MIG_RECORD_FINISHED);
    assert_memory_equal(&last(sim)->witness, &seen.account, sizeof seen.account);
    struct mig_history *history = calloc(1, sizeof *history);
    for (uint32_t i = 0; i < sim->record_count; i++)
        mig_history_take(history, &sim->records[i]);
    assert_memory_equal(&history->witness, &seen.account, sizeof seen.account);
    free(history);
    sim_free(sim);
}

/* Another plan's figures are not this one's, whichever of the two the witness ran for. */
static void a_new_plan_begins_with_nothing(void **state)
{
    (void)state;
    struct sim *sim = waiting();
    write_for(sim, 6000);
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    assert_int_equal(last(sim)->witness.figures.acked, 60);
    uint32_t before = sim->record_count;
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS));
    assert_true(sim->record_count > before);
    for (uint32_t i = before; i < sim->record_count; i++)
        assert_int_equal(sim->records[i].witness.started_wall_ms, 0);
    sim_free(sim);
}

/* Two days at a gate, in steps of a minute: what is on disk is never behind by more than a share of it. */
static void a_long_wait_is_cheap(void **state)
{
    (void)state;
    struct sim *sim = waiting();
    uint32_t before = sim->record_count;
    write_for(sim, 60000);
    assert_in_range(sim->record_count - before, 10, 13); /* each five seconds, to begin with */
    before = sim->record_count;
    for (int minute = 0; minute < 2 * 24 * 60; minute++) {
        figures(sim)->acked += 600;
        sim->facts.now_ms += MINUTE_MS;
        (void)sim_run_for(sim, 2 * SIM_STEP_MS);
        const uint64_t kept = last(sim)->witness.figures.acked;
        assert_true(figures(sim)->acked - kept <= kept / MIG_WITNESS_KEPT_SHARE);
    }
    assert_in_range(sim->record_count - before, 100, 360);
    sim_free(sim);
}

static void a_fault_is_written_soon(void **state)
{
    (void)state;
    struct sim *sim = waiting();
    figures(sim)->acked = figures(sim)->writes = 1000000;
    (void)sim_run_for(sim, 6000);
    figures(sim)->disconnects = 1;
    (void)sim_run_for(sim, 6000);
    assert_int_equal(last(sim)->kind, MIG_RECORD_TALLY);
    assert_int_equal(last(sim)->witness.figures.disconnects, 1);
    figures(sim)->stall_ms = 4000;
    (void)sim_run_for(sim, 6000);
    assert_int_equal(last(sim)->witness.figures.stall_ms, 4000);
    sim_free(sim);
}

/* The daemon is told to stop: the witness ends, and all it has seen is written, however little it is. */
static void an_end_is_written_at_once(void **state)
{
    (void)state;
    struct sim *sim = waiting();
    figures(sim)->acked = 1000000;
    (void)sim_run_for(sim, 6000);
    uint32_t before = sim->record_count;
    figures(sim)->acked++;
    sim->facts.witness.has_ended = true;
    (void)sim_run_for(sim, 10 * SIM_STEP_MS);
    assert_int_equal(sim->record_count, before + 1);
    assert_int_equal(last(sim)->witness.figures.acked, 1000001);
    sim_free(sim);
}

/* Clients go on while a failed plan waits for somebody, so does the witness; and a restart meanwhile is told.
 */
static void a_failed_plan_is_still_witnessed(void **state)
{
    (void)state;
    struct sim *sim = waiting();
    sim->fault = SIM_REFUSED;
    sim->fault_err = -8; /* bad arguments */
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    write_for(sim, 10000);
    const uint64_t kept = last(sim)->witness.figures.acked;
    assert_int_equal(last(sim)->kind, MIG_RECORD_TALLY);
    assert_true(kept >= 40);
    restart(sim);
    (void)sim_run_for(sim, 100);
    assert_int_equal(sim->view.phase, MIG_PHASE_FAILED);
    assert_int_equal(last(sim)->kind, MIG_RECORD_RESTARTED);
    assert_int_equal(last(sim)->witness.figures.acked, kept);
    restart(sim); /* those records are read again, too */
    (void)sim_run_for(sim, 100);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    sim->confirms = true;
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    assert_never_less(sim);
    assert_true(last(sim)->witness.figures.acked == kept);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_life_goes_on),        cmocka_unit_test(a_new_plan_begins_with_nothing),
        cmocka_unit_test(a_long_wait_is_cheap),      cmocka_unit_test(a_fault_is_written_soon),
        cmocka_unit_test(an_end_is_written_at_once), cmocka_unit_test(a_failed_plan_is_still_witnessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
