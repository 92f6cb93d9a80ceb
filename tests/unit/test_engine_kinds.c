/* expand, shrink and replace on the simulated ensemble: the same steps as a migration, in their own
 * selection, at whatever moment the daemon dies. Invariants that hold in every test are asserted in
 * sim_ensemble.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

/* What a plan is tried with. leader 0 = the simulation's own choice, dead 0 = everybody lives. */
struct scene {
    enum conf_kind kind;
    uint32_t sources;
    uint32_t targets;
    int32_t leaving[4]; /* ends with 0 */
    int32_t leader;
    int32_t dead;
    int32_t order[8]; /* of the changes, ends with 0 */
};

static const struct scene scenes[] = {
    {CONF_KIND_EXPAND, 3, 2, {0}, 0, 0, {4, 5, 0}},
    {CONF_KIND_SHRINK, 5, 0, {3, 5, 0}, 5, 0, {-3, -5, 0}},
    {CONF_KIND_SHRINK, 5, 0, {3, 5, 0}, 3, 0, {-5, -3, 0}}, /* the leader last, whatever its id */
    {CONF_KIND_SHRINK, 5, 0, {3, 5, 0}, 1, 0, {-3, -5, 0}}, /* the leader stays */
    {CONF_KIND_REPLACE, 3, 1, {2, 0}, 3, 0, {4, -2, 0}},
    {CONF_KIND_REPLACE, 3, 2, {2, 3, 0}, 3, 0, {4, 5, -2, -3, 0}},
    {CONF_KIND_REPLACE, 3, 1, {1, 0}, 3, 1, {4, -1, 0}}, /* {1 dead,2,3}+4 */
};
#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

static struct sim *prepared(const struct scene *scene)
{
    struct sim *sim = sim_new_kind(scene->kind, scene->sources, scene->targets, scene->leaving);
    for (uint32_t i = 0; i < scene->targets; i++)
        sim_up(sim, sim_id((int32_t)(scene->sources + i) + 1), true);
    if (scene->leader != 0)
        sim->leader = sim_id(scene->leader);
    if (scene->dead != 0) {
        sim_up(sim, sim_id(scene->dead), false);
        sim_server(sim, sim_id(scene->dead))->sessions = 0;
    }
    sim->conf.confirm_switch = sim->conf.confirm_remove = sim->conf.confirm_finish = true;
    sim->confirms = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    return sim;
}

static struct sim *started(const struct scene *scene)
{
    struct sim *sim = prepared(scene);
    assert_int_equal(mig_engine_traffic(sim->engine).ending, MIG_NO_SERVER);
    sim_start(sim, NULL);
    assert_int_equal(mig_engine_traffic(sim->engine).ending, MIG_NO_SERVER); /* nobody leaves yet */
    return sim;
}

static void finishes(struct sim *sim, const struct scene *scene)
{
    (void)sim_until(sim, MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100); /* the last effects */
    sim_assert_finished(sim);
    uint32_t count = 0;
    for (; scene->order[count] != 0; count++)
        assert_int_equal(sim->order[count], scene->order[count]);
    assert_int_equal(sim->reconfigs, count);
}

static bool leader_leaves(const struct scene *scene)
{
    for (uint32_t i = 0; scene->leaving[i] != 0; i++)
        if (scene->leaving[i] == scene->leader)
            return true;
    return false;
}

static void test_whole_way(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SCENES; i++) {
        struct sim *sim = started(&scenes[i]);
        finishes(sim, &scenes[i]);
        assert_int_equal(sim->holds, leader_leaves(&scenes[i])); /* everybody holds for it alone */
        assert_int_equal(sim->requests, sim->reconfigs - (scenes[i].dead != 0));
        sim_free(sim);
    }
}

static uint32_t effects_of(const struct scene *scene)
{
    struct sim *sim = started(scene);
    finishes(sim, scene);
    uint32_t count = sim->effects_done;
    sim_free(sim);
    return count;
}

static void test_crash_after_every_effect(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SCENES; i++)
        for (uint32_t crash = effects_of(&scenes[i]); crash > 0; crash--) {
            struct sim *sim = started(&scenes[i]);
            sim->crash_after = crash;
            (void)sim_until(sim, MIG_PHASE_COUNT, MINUTE_MS);
            assert_true(sim->has_crashed);
            sim_restart(sim);
            if (sim->view.phase == MIG_PHASE_IDLE) /* before the plan was on disk */
                sim_start(sim, NULL);
            finishes(sim, &scenes[i]);
            sim_free(sim);
        }
}

static void test_lost_replies(void **state)
{
    (void)state;
    const enum sim_fault faults[] = {SIM_LOST_APPLIED, SIM_LOST_DROPPED, SIM_NEVER_SENT};
    for (uint32_t i = 0; i < SCENES; i++)
        for (uint32_t f = 0; f < 3; f++) {
            struct sim *sim = started(&scenes[i]);
            sim->fault = faults[f];
            finishes(sim, &scenes[i]);
            assert_int_equal(sim->fault, SIM_NO_FAULT); /* it did happen */
            sim_free(sim);
        }
}

/* server.0 runs in many ensembles, and ids above 254 do; whatever an id is, it is not "none". */
static void test_other_ids(void **state)
{
    static const int32_t firsts[] = {0, 300};
    for (uint32_t i = 0; i < 2; i++) {
        sim_first_id = firsts[i];
        test_whole_way(state);
        test_crash_after_every_effect(state);
        test_lost_replies(state);
    }
}

static int first_id_back(void **state)
{
    (void)state;
    sim_first_id = 1;
    return 0;
}

/* The sources of an expansion keep what they have, the new servers take part in what comes. */
static void test_expand_moves_nobody(void **state)
{
    (void)state;
    struct sim *sim = started(&scenes[0]);
    int64_t on_sources = sim->facts.sessions.source;
    struct mig_routes routes;
    sim->confirms = false;
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    sim_routes(sim, &routes);
    assert_false(routes.routes[3].is_admitted); /* not caught up yet */
    while (sim->view.waiting_gate != MIG_GATE_FINISH)
        sim_tick(sim);
    sim_routes(sim, &routes);
    for (uint32_t i = 0; i < routes.count; i++) {
        assert_true(routes.routes[i].is_admitted);
        assert_false(routes.routes[i].empties);
    }
    assert_int_equal(sim->facts.sessions.source, on_sources);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "finish").rc, RC_OK);
    finishes(sim, &scenes[0]);
    sim_free(sim);
}

static void test_nobody_is_sent_to_those_that_leave(void **state)
{
    (void)state;
    struct sim *sim = started(&scenes[1]);
    struct mig_routes routes;
    assert_true(sim_until(sim, MIG_PHASE_REMOVING, MINUTE_MS));
    sim_routes(sim, &routes);
    for (uint32_t i = 0; i < routes.count; i++) {
        bool leaves = routes.routes[i].id == 3 || routes.routes[i].id == 5;
        assert_int_equal(routes.routes[i].is_admitted, !leaves);
        assert_int_equal(routes.routes[i].empties, leaves);
    }
    finishes(sim, &scenes[1]);
    sim_free(sim);
}

/* Five voters with one of those dead that stay: a removal would leave none to spare. */
static void test_shrink_waits_for_tolerance(void **state)
{
    (void)state;
    struct sim *sim = started(&scenes[1]);
    assert_true(sim_until(sim, MIG_PHASE_SWITCHING, MINUTE_MS));
    sim_up(sim, 1, false);
    assert_true(sim_until_waiting(sim, "more members to be alive", MINUTE_MS));
    assert_int_equal(sim->config.server_count, 5);
    sim_up(sim, 1, true);
    finishes(sim, &scenes[1]);
    sim_free(sim);
}

static void test_shrink_too_far_is_blocked(void **state)
{
    (void)state;
    const struct scene scene = {CONF_KIND_SHRINK, 3, 0, {2, 0}, 0, 0, {0}};
    struct sim *sim = started(&scene);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "tolerance-lost"));
    assert_int_equal(sim->reconfigs, 0);
    sim_free(sim);
}

/* It came back before its replacement's turn: then it is a member like the others, and leaves in its own
 * turn. */
static void test_dead_member_returns(void **state)
{
    (void)state;
    struct sim *sim = started(&scenes[6]);
    assert_true(sim_until(sim, MIG_PHASE_JOINING, MINUTE_MS));
    sim_up(sim, 1, true);
    finishes(sim, &scenes[6]);
    assert_int_equal(sim->requests, 2);
    sim_free(sim);
}

static void test_dead_member_step_is_done_with_it(void **state)
{
    (void)state;
    struct sim *sim = started(&scenes[6]);
    assert_true(sim_until(sim, MIG_PHASE_CATCHING_UP, MINUTE_MS));
    assert_int_equal(mig_steps_named((struct mig_steps *)(uintptr_t)sim->view.steps, "remove.1")->state,
                     MIG_STEP_DONE);
    finishes(sim, &scenes[6]);
    sim_free(sim);
}

/* Somebody takes a staying server out: the plan says so and does not go on. */
static void test_foreign_change_stops(void **state)
{
    (void)state;
    struct sim *sim = started(&scenes[1]);
    assert_true(sim_until(sim, MIG_PHASE_REMOVING, MINUTE_MS));
    sim_foreign_config(sim, 2);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "somebody else"));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_way),
        cmocka_unit_test(test_crash_after_every_effect),
        cmocka_unit_test(test_lost_replies),
        cmocka_unit_test_teardown(test_other_ids, first_id_back),
        cmocka_unit_test(test_expand_moves_nobody),
        cmocka_unit_test(test_nobody_is_sent_to_those_that_leave),
        cmocka_unit_test(test_shrink_waits_for_tolerance),
        cmocka_unit_test(test_shrink_too_far_is_blocked),
        cmocka_unit_test(test_dead_member_returns),
        cmocka_unit_test(test_dead_member_step_is_done_with_it),
        cmocka_unit_test(test_foreign_change_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
