/* Routing: the observed config and health decide, the file's sides only say what is preferred. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

/* Everybody is replaced; a test may let some stay. */
static struct mig_plan plan;
static const struct mig_traffic members = {.prefer = MIG_PREFER_NONE};
static const struct mig_traffic sources = {.prefer = MIG_PREFER_SOURCES, .plan = &plan};
static const struct mig_traffic staying = {.prefer = MIG_PREFER_STAYING, .is_emptying = true, .plan = &plan};
static const struct mig_traffic staying_still = {.prefer = MIG_PREFER_STAYING, .plan = &plan};

static int setup(void **state)
{
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim_tick(sim);
    assert_int_equal(mig_plan_make(&sim->conf, 1, 1, &plan, NULL), RC_OK);
    *state = sim;
    return 0;
}

static int teardown(void **state)
{
    sim_free(*state);
    return 0;
}

/* Per server: A admitted, e eligible but not serving, D empties (drains away), - none. No server both admits
 * and empties. */
static void assert_drained_routes(struct sim *sim, const struct mig_drained *drained,
                                  const struct mig_traffic *traffic, const char *expected)
{
    struct mig_routes routes;
    char seen[SIM_SERVERS + 1] = "";
    mig_route(*traffic, drained, &sim->facts, &routes);
    assert_int_equal(routes.count, SIM_SERVERS);
    for (uint32_t i = 0; i < routes.count; i++) {
        const struct mig_route *route = &routes.routes[i];
        seen[i] = '-';
        if (route->is_eligible)
            seen[i] = route->is_admitted ? 'A' : 'e';
        else if (route->empties)
            seen[i] = 'D';
        assert_false(route->is_eligible && route->empties);
        assert_int_equal(route->is_admitted, route->reason[0] == '\0');
        assert_true(route->is_eligible || !route->is_admitted);
        assert_int_equal(route->is_drained, mig_drained_has(drained, route->id));
    }
    assert_string_equal(seen, expected);
    assert_int_equal(mig_routes_admit(&routes), strchr(expected, 'A') != NULL);
}

static void assert_routes(struct sim *sim, const struct mig_traffic *traffic, const char *expected)
{
    static const struct mig_drained nobody;
    assert_drained_routes(sim, &nobody, traffic, expected);
}

static void all_are_members(struct sim *sim)
{
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(mig_config_add(&sim->config, &sim->conf.target.servers[i]), RC_OK);
}

static void test_members_only(void **state)
{
    struct sim *sim = *state;
    assert_routes(sim, &members, "AAADDD");
    assert_routes(sim, &sources, "AAADDD");
    /* Switched too early would still not route to a server that is no voter. */
    assert_routes(sim, &staying, "AAADDD");
}

/* What canaries do: as in assert_drained_routes. */
static void assert_canary_routes(struct sim *sim, const struct mig_traffic *traffic, const char *expected)
{
    static const struct mig_drained nobody;
    struct mig_routes routes;
    char seen[SIM_SERVERS + 1] = "";
    mig_route(*traffic, &nobody, &sim->facts, &routes);
    assert_int_equal(routes.canary_round, traffic->canary_round);
    for (uint32_t i = 0; i < routes.count; i++) {
        const struct mig_route *route = &routes.routes[i];
        seen[i] = route->is_canary_eligible ? 'A' : route->canaries_empty ? 'D' : '-';
        assert_false(route->is_canary_eligible && route->canaries_empty);
    }
    assert_string_equal(seen, expected);
}

static void test_canaries_are_ahead(void **state)
{
    struct sim *sim = *state;
    struct mig_traffic traffic = {
        .prefer = MIG_PREFER_SOURCES, .plan = &plan, .canary_round = 3, .canaries_leave = true};
    all_are_members(sim);
    assert_canary_routes(sim, &sources, "AAA---"); /* without canaries as for all */
    assert_canary_routes(sim, &staying, "DDDAAA");
    assert_routes(sim, &traffic, "AAA---");
    assert_canary_routes(sim, &traffic, "DDDAAA");
    traffic.canaries_leave = false; /* paused: new ones go on going there */
    assert_canary_routes(sim, &traffic, "---AAA");
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, false);
    sim_tick(sim);
    traffic.canaries_leave = true;
    assert_canary_routes(sim, &traffic, "AAAAAA"); /* better the others than nobody */
}

static void test_before_and_after_the_switch(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    assert_routes(sim, &members, "AAAAAA");
    assert_routes(sim, &sources, "AAA---");
    assert_routes(sim, &staying, "DDDAAA");
    assert_routes(sim, &staying_still, "---AAA");
}

/* A rolling plan: the one that is to be restarted is shut, and empties unless the plan stands still. */
static void test_resting(void **state)
{
    struct sim *sim = *state;
    struct mig_traffic traffic = {.prefer = MIG_PREFER_NONE, .resting = 2, .is_emptying = true};
    all_are_members(sim);
    assert_routes(sim, &traffic, "ADAAAA");
    traffic.is_emptying = false;
    assert_routes(sim, &traffic, "A-AAAA");
    for (int32_t id = 1; id <= 6; id++)
        sim_up(sim, id, id == 2);
    sim_tick(sim);
    sim_tick(sim);
    traffic.is_emptying = true;
    assert_routes(sim, &traffic, "e-eeee"); /* nowhere to go: it keeps what it has */
}

/* shrink and replace: those that stay go on as before, the others get nobody and give theirs away. */
static void test_some_stay(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    plan.leaving.count = 2;
    assert_routes(sim, &sources, "AAA---");
    assert_routes(sim, &staying, "DDAAAA");
    assert_routes(sim, &staying_still, "--AAAA");
    plan.leaving.count = 0; /* expand: nobody is emptied, everybody takes new ones */
    assert_routes(sim, &staying, "AAAAAA");
}

/* A wiped state directory and the old file: the plan is forgotten, the members are the targets. */
static void test_forgotten_plan(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    for (int32_t id = 1; id <= 3; id++)
        mig_config_remove(&sim->config, id);
    assert_routes(sim, &members, "DDDAAA");
    assert_routes(sim, &sources, "DDDAAA");
}

static void test_health(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    sim->facts.servers[4].health = MIG_HEALTH_NOT_SERVING;
    sim->facts.servers[5].health = MIG_HEALTH_FULL;
    assert_routes(sim, &staying, "DDDAe-");
    sim->facts.servers[3].health = MIG_HEALTH_DOWN; /* no target is left: better a source than nobody */
    assert_routes(sim, &staying, "AAAee-");
    for (uint32_t i = 0; i < 3; i++)
        sim->facts.servers[i].health = MIG_HEALTH_DOWN;
    assert_routes(sim, &staying, "eeeee-"); /* who serves first is taken */
}

/* What leads back to zkferry is never eligible, whatever the workers believe of it, and gives away what it
 * has. */
static void test_a_proxy_is_no_server(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    sim->facts.servers[4].health = MIG_HEALTH_PROXY;
    assert_routes(sim, &staying, "DDDADA");
    static const struct mig_drained nobody;
    struct mig_routes routes;
    mig_route(staying, &nobody, &sim->facts, &routes);
    assert_string_equal(routes.routes[4].reason, "a proxy answers there");
}

/* S: stands in when none of those who are admitted takes a session. */
static void assert_stand_ins(struct sim *sim, const struct mig_traffic *traffic, const char *expected)
{
    static const struct mig_drained nobody;
    struct mig_routes routes;
    char seen[SIM_SERVERS + 1] = "";
    mig_route(*traffic, &nobody, &sim->facts, &routes);
    for (uint32_t i = 0; i < routes.count; i++)
        seen[i] = routes.routes[i].stands_in && !routes.routes[i].is_eligible ? 'S' : '-';
    assert_string_equal(seen, expected);
}

static void test_who_stands_in(void **state)
{
    struct sim *sim = *state;
    struct mig_traffic traffic = staying;
    assert_stand_ins(sim, &sources, "------"); /* targets are no members yet */
    all_are_members(sim);
    assert_stand_ins(sim, &members, "------");
    assert_stand_ins(sim, &sources, "---SSS");
    assert_stand_ins(sim, &staying, "SSS---");
    sim->facts.servers[0].health = MIG_HEALTH_FULL;
    sim->facts.servers[1].health = MIG_HEALTH_PROXY;
    assert_stand_ins(sim, &staying, "--S---");
    sim->facts.servers[0].health = sim->facts.servers[1].health = MIG_HEALTH_SERVING;
    traffic.ending = 2; /* it may be no member any more */
    assert_stand_ins(sim, &traffic, "S-S---");
    traffic.resting = 3;
    assert_stand_ins(sim, &traffic, "S-----");
    mig_config_remove(&sim->config, 2);
    assert_stand_ins(sim, &staying, "S-S---");
    sim->facts.config = NULL; /* who is a member can't be said */
    assert_stand_ins(sim, &staying, "------");
}

static void test_config_not_observable(void **state)
{
    struct sim *sim = *state;
    sim->facts.config = NULL;
    sim->facts.servers[1].health = MIG_HEALTH_UNKNOWN;
    assert_routes(sim, &members, "AeADDD");
}

static void test_drained(void **state)
{
    struct sim *sim = *state;
    struct mig_drained drained = {0};
    all_are_members(sim);
    assert_int_equal(mig_drained_set(&drained, 2, true), RC_OK);
    assert_drained_routes(sim, &drained, &members, "ADAAAA");
    assert_drained_routes(sim, &drained, &sources, "ADA---"); /* of a failed plan */
    for (uint32_t i = 0; i < SIM_SERVERS; i++)
        if (i != 1)
            sim->facts.servers[i].health = MIG_HEALTH_DOWN;
    /* Nobody could take its sessions: they stay, but no new ones come. */
    assert_drained_routes(sim, &drained, &members, "e-eeee");
    assert_int_equal(mig_drained_set(&drained, 2, false), RC_OK);
    assert_drained_routes(sim, &drained, &members, "eAeeee");
}

static void test_drained_ids(void **state)
{
    (void)state;
    struct mig_drained drained = {0};
    char text[32];
    assert_false(mig_drained_any(&drained));
    assert_int_equal(mig_drained_set(&drained, 254, true), RC_OK);
    assert_int_equal(mig_drained_set(&drained, 9, true), RC_OK);
    assert_int_equal(mig_drained_set(&drained, -1, true), RC_INVALID);
    assert_int_equal(mig_drained_set(&drained, 0, true), RC_OK);
    assert_int_equal(mig_drained_set(&drained, INT32_MAX, true), RC_OK);
    assert_int_equal(mig_drained_set(&drained, 9, true), RC_OK); /* again */
    mig_drained_ids(&drained, text, sizeof(text));
    assert_string_equal(text, "0,9,254,2147483647");
    assert_int_equal(mig_drained_set(&drained, 9, false), RC_OK);
    assert_int_equal(mig_drained_set(&drained, 10, false), RC_OK);
    assert_false(mig_drained_has(&drained, 9));
    assert_true(mig_drained_has(&drained, 0) && mig_drained_has(&drained, INT32_MAX));
    for (int32_t id = 1000; drained.count < MIG_DRAINED_MAX; id++)
        assert_int_equal(mig_drained_set(&drained, id, true), RC_OK);
    assert_int_equal(mig_drained_set(&drained, 5, true), RC_FULL);
    assert_true(mig_drained_any(&drained));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_members_only),
        TEST(test_before_and_after_the_switch),
        TEST(test_forgotten_plan),
        TEST(test_health),
        TEST(test_a_proxy_is_no_server),
        TEST(test_who_stands_in),
        TEST(test_config_not_observable),
        TEST(test_drained),
        TEST(test_drained_ids),
        TEST(test_some_stay),
        TEST(test_resting),
        TEST(test_canaries_are_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
