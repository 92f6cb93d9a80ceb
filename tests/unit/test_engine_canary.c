/* A switch in stages on the simulated ensemble: who goes first, what is too much for them, what happens then,
 * and at whatever moment the daemon dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define SECOND_MS  1000
#define MINUTE_MS  60000
#define OBSERVE_MS 20000
#define FIRSTS     3 /* of 21 sessions */

static struct sim *prepared(void)
{
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    for (int32_t id = 1; id <= FIRSTS; id++)
        sim_server(sim, id)->firsts = 1;
    sim->conf.confirm_switch = true;
    sim->conf.canary = (struct conf_canary){.share = 1000,
                                            .observe_ms = OBSERVE_MS,
                                            .errors = 1000,
                                            .latency = 30000,
                                            .latency_floor_ms = 5,
                                            .returned = 1};
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    (void)sim_run_for(sim, OBSERVE_MS); /* a window of what is usual */
    return sim;
}

static struct sim *started(void)
{
    struct sim *sim = prepared();
    sim_start(sim, NULL);
    return sim;
}

static int64_t on_targets(struct sim *sim)
{
    return sim->servers[3].sessions + sim->servers[4].sessions + sim->servers[5].sessions;
}

static int64_t firsts_on_targets(struct sim *sim)
{
    return sim->servers[3].firsts + sim->servers[4].firsts + sim->servers[5].firsts;
}

static void confirm_switch(struct sim *sim)
{
    while (sim->view.waiting_gate != MIG_GATE_SWITCH)
        sim_tick(sim);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "switch").rc, RC_OK);
}

static struct sim *observing(void)
{
    struct sim *sim = started();
    confirm_switch(sim);
    assert_true(sim_until_waiting(sim, "the observation of 3 canaries", MINUTE_MS));
    return sim;
}

static void finishes(struct sim *sim)
{
    sim->confirms = true;
    (void)sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100);
    sim_assert_finished(sim);
}

/* Paused with that figure, everybody back on the sources, and still so a while later. */
static void pauses_for(struct sim *sim, const char *figure, int64_t ms)
{
    assert_true(sim_until_waiting(sim, figure, 2 * MINUTE_MS));
    assert_true(sim->view.is_paused);
    assert_non_null(strstr(sim->view.waiting_for, "the plan has paused itself"));
    assert_true(sim->view.can[MIG_COMMAND_RESUME]);
    assert_true(sim->view.can[MIG_COMMAND_ROLLBACK]);
    (void)sim_run_for(sim, ms);
    assert_true(sim->view.is_paused);
    assert_int_equal(sim->view.phase, MIG_PHASE_SWITCHING);
    assert_int_equal(on_targets(sim), 0);
    assert_non_null(strstr(sim->view.waiting_for, figure));
}

static void pauses(struct sim *sim, const char *figure)
{
    pauses_for(sim, figure, 5 * MINUTE_MS); /* longer than the step's deadline: people have none */
}

static const struct mig_step *step(const struct sim *sim, const char *name)
{
    return mig_steps_named((struct mig_steps *)(uintptr_t)sim->view.steps, name);
}

static void test_canaries_first_then_the_rest(void **state)
{
    (void)state;
    struct sim *sim = started();
    while (sim->view.waiting_gate != MIG_GATE_SWITCH)
        sim_tick(sim);
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(on_targets(sim), 0); /* nobody before the confirmation */
    confirm_switch(sim);
    assert_true(sim_until_waiting(sim, "the observation of 3 canaries", MINUTE_MS));
    assert_non_null(strstr(sim->view.waiting_for, "then the other sessions follow"));
    (void)sim_run_for(sim, OBSERVE_MS - SECOND_MS);
    assert_int_equal(on_targets(sim), FIRSTS);
    assert_int_equal(firsts_on_targets(sim), FIRSTS);
    assert_int_equal(step(sim, "canary")->state, MIG_STEP_WAITING);
    assert_int_equal(step(sim, "switch")->state, MIG_STEP_PENDING);
    (void)sim_run_for(sim, 2 * SECOND_MS);
    assert_int_equal(step(sim, "canary")->state, MIG_STEP_DONE);
    assert_true(on_targets(sim) > FIRSTS);
    finishes(sim);
    sim_free(sim);
}

static void test_without_canaries_there_is_no_such_step(void **state)
{
    (void)state;
    struct sim *sim = prepared();
    sim->conf.canary.share = 0;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, NULL);
    confirm_switch(sim);
    assert_null(step(sim, "canary"));
    (void)sim_run_for(sim, 2 * SECOND_MS);
    assert_int_equal(on_targets(sim), 21);
    finishes(sim);
    sim_free(sim);
}

static void test_an_expansion_has_none(void **state)
{
    (void)state;
    struct sim *sim = sim_new_kind(CONF_KIND_EXPAND, 3, 2, NULL);
    sim->conf.canary.share = 1000;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_up(sim, 4, true);
    sim_up(sim, 5, true);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS));
    assert_null(step(sim, "canary"));
    finishes(sim);
    sim_free(sim);
}

/* Each figure, at its limit and beyond it. */
static void test_each_limit_pauses(void **state)
{
    (void)state;
    static const struct {
        const char *figure;
        struct mig_group_facts seen;
        bool is_within;
    } cases[] = {
        {"errors: 1 of 3 canaries (33.33%)", {.troubles = 1}, false},
        {"expired: 1 canaries; the limit is 0", {.expired = 1}, false},
        {"returned: 1", {.returned = 1}, true},
        {"returned: 2 canaries; the limit is 1", {.returned = 2}, false},
    };
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sim *sim = observing();
        sim->facts.canary.canaries.troubles += cases[i].seen.troubles;
        sim->facts.canary.canaries.expired += cases[i].seen.expired;
        sim->facts.canary.canaries.returned += cases[i].seen.returned;
        if (cases[i].is_within)
            finishes(sim);
        else
            pauses(sim, cases[i].figure);
        sim_free(sim);
    }
}

static void test_slowness_pauses(void **state)
{
    (void)state;
    struct sim *sim = observing();
    sim->canary_bucket = 2; /* 10 to 100 ms, the floor is 5 */
    pauses(sim, "latency: the 99th percentile of the canaries is");
    assert_non_null(strstr(sim->view.waiting_for, "the limit is 5.0 ms, it was 1.0 ms before"));
    sim_free(sim);
}

/* The same troubles that everybody had before are no reason. */
static void test_limits_are_relative_to_before(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    for (int32_t id = 1; id <= FIRSTS; id++)
        sim_server(sim, id)->firsts = 1;
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->conf.canary = (struct conf_canary){
        .share = 1000, .observe_ms = OBSERVE_MS, .latency = 30000, .latency_floor_ms = 50};
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    (void)sim_run_for(sim, SECOND_MS);
    sim->facts.canary.rest.troubles += 21 * 2; /* two for each session in a window */
    (void)sim_run_for(sim, OBSERVE_MS - 2 * SECOND_MS);
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "the observation of 3 canaries", MINUTE_MS));
    (void)sim_run_for(sim, OBSERVE_MS * 3 / 4);
    sim->facts.canary.canaries.troubles += FIRSTS;
    (void)sim_run_for(sim, SECOND_MS);
    assert_false(sim->view.is_paused);
    sim->facts.canary.canaries.troubles += FIRSTS;
    pauses(sim, "errors: 6 of 3 canaries (200.00%)");
    sim_free(sim);
}

static void test_resume_begins_again(void **state)
{
    (void)state;
    struct sim *sim = observing();
    sim->facts.canary.canaries.troubles = 3;
    pauses(sim, "errors: 3 of 3 canaries");
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    assert_true(sim_until_waiting(sim, "the observation of 3 canaries", MINUTE_MS));
    assert_int_equal(on_targets(sim), FIRSTS); /* the whole stage, and the old troubles do not count */
    (void)sim_run_for(sim, OBSERVE_MS - SECOND_MS);
    assert_int_equal(step(sim, "canary")->state, MIG_STEP_WAITING);
    finishes(sim);
    sim_free(sim);
}

static void test_rollback_from_the_pause(void **state)
{
    (void)state;
    struct sim *sim = observing();
    sim->facts.canary.canaries.expired = 1;
    pauses(sim, "expired: 1 canaries");
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_rolled_back(sim);
    sim_free(sim);
}

static void test_rollback_while_observed(void **state)
{
    (void)state;
    struct sim *sim = observing();
    assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_ROLLED_BACK, 10 * MINUTE_MS));
    (void)sim_run_for(sim, 100);
    sim_assert_rolled_back(sim);
    sim_free(sim);
}

/* A person's pause stands still: canaries stay where they are, and the stage goes on from there. */
static void test_pause_stands_still(void **state)
{
    (void)state;
    struct sim *sim = observing();
    assert_int_equal(sim_command(sim, MIG_COMMAND_PAUSE, NULL).rc, RC_OK);
    (void)sim_run_for(sim, 60 * MINUTE_MS);
    assert_int_equal(on_targets(sim), FIRSTS);
    assert_int_equal(step(sim, "canary")->state, MIG_STEP_WAITING);
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

static void test_nobody_chosen_is_no_proof(void **state)
{
    (void)state;
    struct sim *sim = started();
    for (int32_t id = 1; id <= FIRSTS; id++)
        sim_server(sim, id)->firsts = 0;
    confirm_switch(sim);
    pauses(sim, "no session was a canary");
    sim_server(sim, 2)->firsts = 1; /* one has come */
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    finishes(sim);
    sim_free(sim);
}

static void test_without_limits_it_goes_on(void **state)
{
    if (!PX_TEST_SWITCHES)
        skip();
    (void)state;
    struct sim *sim = prepared();
    sim->switches.no_canary_limits = true;
    mig_engine_free(sim->engine);
    sim->engine = mig_engine_new(&sim->conf, &sim->switches);
    sim_start(sim, NULL);
    confirm_switch(sim);
    assert_true(sim_until_waiting(sim, "the observation of 3 canaries", MINUTE_MS));
    sim->facts.canary.canaries.troubles = 3;
    finishes(sim);
    sim_free(sim);
}

/* To the end, or to the pause. Returns how many effects it took; crashes behind one of them unless that is 0,
 * and then reaches the same all the same. */
static uint32_t run_and_crash(uint32_t crash, bool is_bad)
{
    struct sim *sim = started();
    sim->confirms = true;
    sim->crash_after = crash;
    while (!sim->has_crashed && sim->view.phase != MIG_PHASE_FINISHED && !sim->view.is_paused) {
        sim_tick(sim);
        if (is_bad && strstr(sim->view.waiting_for, "the observation of 3") != NULL)
            sim->facts.canary.canaries.troubles = 3;
    }
    uint32_t effects = sim->effects_done;
    if (sim->has_crashed)
        sim_restart(sim);
    if (sim->view.phase == MIG_PHASE_IDLE)
        sim_start(sim, NULL);
    if (sim->view.is_paused) {
        pauses_for(sim, "errors: 3 of 3 canaries", SECOND_MS);
        assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    }
    finishes(sim);
    sim_free(sim);
    return effects;
}

static void test_crash_after_every_effect(void **state)
{
    (void)state;
    uint32_t good = run_and_crash(0, false);
    uint32_t bad = run_and_crash(0, true); /* the last one is the record of the pause */
    for (uint32_t crash = 1; crash <= good; crash++)
        (void)run_and_crash(crash, false);
    for (uint32_t crash = bad - 3; crash <= bad; crash++)
        (void)run_and_crash(crash, true);
}

static void test_a_crash_keeps_the_canaries_where_they_are(void **state)
{
    (void)state;
    struct sim *sim = observing();
    sim_restart(sim);
    (void)sim_run_for(sim, OBSERVE_MS / 2);
    assert_int_equal(firsts_on_targets(sim), FIRSTS);
    assert_int_equal(on_targets(sim), FIRSTS);
    assert_int_equal(step(sim, "canary")->state, MIG_STEP_WAITING);
    sim->facts.canary.canaries.troubles = 3; /* what was usual before is still known */
    pauses(sim, "the limit is 10.00% above the usual 0.00%");
    sim_restart(sim);
    pauses(sim, "the limit is 10.00% above the usual 0.00%");
    sim_free(sim);
}

static void test_records_out_of_place(void **state)
{
    (void)state;
    struct sim *sim = started();
    struct err err;
    const enum mig_record_kind kinds[] = {MIG_RECORD_CANARY_BEGUN, MIG_RECORD_CANARY_BREACHED};
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    for (uint32_t i = 0; i < 2; i++) {
        const struct mig_record record = {.kind = kinds[i]};
        assert_int_equal(mig_engine_replay(sim->engine, &record, &err), RC_CORRUPT);
        assert_true(strlen(err.text) > 0);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canaries_first_then_the_rest),
        cmocka_unit_test(test_without_canaries_there_is_no_such_step),
        cmocka_unit_test(test_an_expansion_has_none),
        cmocka_unit_test(test_each_limit_pauses),
        cmocka_unit_test(test_slowness_pauses),
        cmocka_unit_test(test_limits_are_relative_to_before),
        cmocka_unit_test(test_resume_begins_again),
        cmocka_unit_test(test_rollback_from_the_pause),
        cmocka_unit_test(test_rollback_while_observed),
        cmocka_unit_test(test_pause_stands_still),
        cmocka_unit_test(test_nobody_chosen_is_no_proof),
        cmocka_unit_test(test_without_limits_it_goes_on),
        cmocka_unit_test(test_crash_after_every_effect),
        cmocka_unit_test(test_a_crash_keeps_the_canaries_where_they_are),
        cmocka_unit_test(test_records_out_of_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
