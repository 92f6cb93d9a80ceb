/* A plan's story by its journal: the same whoever tells it, the daemon that did it or one that was started
 * since. Records come from the engine on the simulated ensemble. */
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

static struct mig_history *history_from(const struct sim *sim, uint32_t first)
{
    struct mig_history *history = calloc(1, sizeof *history);
    assert_non_null(history);
    for (uint32_t i = first; i < sim->record_count; i++)
        mig_history_take(history, &sim->records[i]);
    return history;
}

static struct sim *started(void)
{
    struct sim *sim = sim_new();
    sim->confirms = true;
    sim->conf.confirm_remove = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    mig_tally_add(&sim->facts.tally, MIG_TALLY_MOVED, 1000); /* before the plan: not the plan's */
    sim_start(sim, NULL);
    return sim;
}

static void assert_steps(const struct mig_history *h, const char *expected)
{
    char names[512] = "";
    for (uint32_t i = 0; i < h->step_count; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", h->steps[i].name);
    assert_string_equal(names, expected);
}

static void test_whole_plan(void **state)
{
    (void)state;
    struct sim *sim = started();
    assert_true(sim_until(sim, MIG_PHASE_REMOVING, MINUTE_MS));
    mig_tally_add(&sim->facts.tally, MIG_TALLY_MOVED, 30);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    struct mig_history *h = history_from(sim, 0);
    assert_int_equal(h->outcome, MIG_OUTCOME_FINISHED);
    assert_true(mig_history_has_ended(h));
    assert_steps(
        h, "preflight lock join add.4 add.5 add.6 catch_up switch compare remove.1 remove.2 remove.3 verify "
           "finish ");
    assert_int_equal(h->reconfig_count, 6);
    int64_t version = h->plan.original.version;
    for (uint32_t i = 0; i < h->reconfig_count; i++) {
        const struct mig_reconfig *reconfig = &h->reconfigs[i];
        assert_true(reconfig->is_decided && reconfig->is_applied);
        assert_int_equal(reconfig->from_version, version);
        assert_true(reconfig->to_version > version);
        assert_int_equal(reconfig->joining[0] != '\0', i < 3);
        version = reconfig->to_version;
    }
    int64_t longest_ms;
    assert_int_equal(mig_history_holds(h, &longest_ms), 1);
    assert_true(longest_ms > 0 && longest_ms == h->reconfigs[5].hold_ms);
    assert_int_equal(mig_tally_of(&h->tally, MIG_TALLY_MOVED), 30);
    assert_int_equal(h->moment_count, 1);
    assert_string_equal(h->moments[0].text, "remove");
    free(h);
    sim_free(sim);
}

/* The journal begins with the plan's second record; what sessions went through in both lives is added up. */
static void test_over_a_crash(void **state)
{
    (void)state;
    struct sim *sim = started();
    mig_tally_add(&sim->facts.tally, MIG_TALLY_MOVED, 20);
    assert_true(sim_until(sim, MIG_PHASE_REMOVING, MINUTE_MS));
    (void)sim_run_for(sim, 40);
    sim->facts.tally.count = 0; /* a new daemon counts from 0 */
    sim_restart(sim);
    mig_tally_add(&sim->facts.tally, MIG_TALLY_MOVED, 3);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    uint32_t second = 1;
    while (sim->records[second].kind != MIG_RECORD_PLAN)
        second++;
    struct mig_history *h = history_from(sim, second);
    assert_int_equal(h->outcome, MIG_OUTCOME_FINISHED);
    assert_string_equal(h->steps[0].name, "preflight");
    assert_int_equal(h->step_count, 14);
    assert_int_equal(mig_tally_of(&h->tally, MIG_TALLY_MOVED), 23);
    bool is_told = false;
    for (uint32_t i = 0; i < h->moment_count; i++)
        is_told = is_told || h->moments[i].kind == MIG_RECORD_RESTARTED;
    assert_true(is_told);
    free(h);
    sim_free(sim);
}

/* While sessions move for minutes, the journal learns of it every few seconds. */
static void test_a_long_step_is_counted(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->confirms = false;
    assert_true(sim_until_waiting(sim, "confirmation of \"remove\"", MINUTE_MS));
    uint32_t before = sim->record_count;
    (void)sim_run_for(sim, 20000);
    assert_int_equal(sim->record_count, before); /* nothing happened */
    mig_tally_add(&sim->facts.tally, MIG_TALLY_FAILED, 1);
    (void)sim_run_for(sim, 20000);
    assert_int_equal(sim->record_count, before + 1);
    assert_int_equal(sim->records[before].kind, MIG_RECORD_TALLY);
    assert_int_equal(mig_tally_of(&sim->records[before].tally, MIG_TALLY_FAILED), 1);
    sim_free(sim);
}

static void test_failure_and_retry(void **state)
{
    (void)state;
    struct sim *sim = started();
    sim->fault = SIM_REFUSED;
    sim->fault_err = -8; /* bad arguments */
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    struct mig_history *h = history_from(sim, 0);
    assert_int_equal(h->outcome, MIG_OUTCOME_FAILED);
    assert_true(h->ended_wall_ms > 0);
    assert_non_null(strstr(h->failure, "the reconfig was refused"));
    assert_false(h->reconfigs[0].is_applied);
    free(h);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RETRY, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    h = history_from(sim, 0);
    assert_int_equal(h->outcome, MIG_OUTCOME_RUNNING);
    assert_int_equal(h->ended_wall_ms, 0);
    assert_string_equal(h->failure, "");
    assert_int_equal(h->reconfig_count, 4);
    free(h);
    sim_free(sim);
}

static void test_rolled_back(void **state)
{
    (void)state;
    struct sim *sim = started();
    assert_true(sim_until(sim, MIG_PHASE_REMOVING, MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, MINUTE_MS));
    (void)sim_run_for(sim, 100);
    struct mig_history *h = history_from(sim, 0);
    assert_int_equal(h->outcome, MIG_OUTCOME_ROLLED_BACK);
    assert_string_equal(h->reconfigs[h->reconfig_count - 1].step, h->steps[h->step_count - 2].name);
    assert_string_equal(h->steps[h->step_count - 1].name, "verify_back");
    free(h);
    sim_free(sim);
}

static const struct mig_finding *accepted(const struct mig_findings *findings, const char *id)
{
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->items[i].is_accepted && strcmp(findings->items[i].id, id) == 0)
            return &findings->items[i];
    return NULL;
}

/* What was observed at the start is restored, too: the status page shows what was accepted. */
static void test_findings(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    for (int32_t id = 2; id <= 6; id++)
        sim_up(sim, id, id != 2);
    (void)sim_run_for(sim, 5000);
    sim_start(sim, "server-down-2");
    assert_true(sim_until(sim, MIG_PHASE_ADDING, MINUTE_MS));
    (void)sim_run_for(sim, 40);
    struct mig_history *h = history_from(sim, 0);
    assert_int_equal(h->plan.accept_count, 1);
    assert_non_null(accepted(&h->findings, "server-down-2"));
    uint32_t found = sim->view.findings->count;
    assert_int_equal(h->findings.count, found);
    free(h);
    sim_restart(sim);
    sim_tick(sim);
    assert_int_equal(sim->view.findings->count, found);
    assert_non_null(accepted(sim->view.findings, "server-down-2"));
    assert_int_equal(mig_steps_named((struct mig_steps *)(uintptr_t)sim->view.steps, "lock")->state,
                     MIG_STEP_DONE);
    sim_free(sim);
}

static void test_a_drain_is_no_plan(void **state)
{
    (void)state;
    struct mig_history *h = calloc(1, sizeof *h);
    mig_history_take(h, &(struct mig_record){.kind = MIG_RECORD_DRAINED, .server = 1});
    assert_int_equal(h->outcome, MIG_OUTCOME_NONE);
    assert_string_equal(mig_outcome_name(h->outcome), "");
    free(h);
}

static void test_tallies(void **state)
{
    (void)state;
    struct mig_tally base = {.count = 0};
    struct mig_tally from = {.count = 0};
    struct mig_tally now = {.count = 0};
    struct mig_tally sum;
    mig_tally_add(&base, "a", 5);
    mig_tally_add(&from, "a", 2);
    mig_tally_add(&now, "a", 3);
    mig_tally_add(&now, "b", 7);
    mig_tally_add(&now, "c", 0); /* takes no place */
    mig_tally_since(&base, &now, &from, &sum);
    assert_int_equal(sum.count, 2);
    assert_int_equal(mig_tally_of(&sum, "a"), 6);
    assert_int_equal(mig_tally_of(&sum, "b"), 7);
    assert_int_equal(mig_tally_of(&sum, "c"), 0);
    assert_true(mig_tally_same(&sum, &sum));
    assert_false(mig_tally_same(&sum, &now));
    for (uint32_t i = 0; i < 2 * MIG_TALLY_MAX; i++) {
        char name[MIG_TALLY_NAME_MAX];
        snprintf(name, sizeof name, "n%u", i);
        mig_tally_add(&now, name, 1);
    }
    assert_int_equal(now.count, MIG_TALLY_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_plan),
        cmocka_unit_test(test_over_a_crash),
        cmocka_unit_test(test_a_long_step_is_counted),
        cmocka_unit_test(test_failure_and_retry),
        cmocka_unit_test(test_rolled_back),
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_a_drain_is_no_plan),
        cmocka_unit_test(test_tallies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
