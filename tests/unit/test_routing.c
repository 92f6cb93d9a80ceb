/* Routing: the observed config and health decide, the file's sides only say what is preferred. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

static int setup(void **state)
{
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim_tick(sim);
    *state = sim;
    return 0;
}

static int teardown(void **state)
{
    sim_free(*state);
    return 0;
}

/* One letter per server: A admitted, R returns its sessions, B both, - none. */
static void assert_routes(struct sim *sim, enum mig_traffic traffic, const char *expected)
{
    struct mig_routes routes;
    char seen[SIM_SERVERS + 1] = "";
    mig_route(traffic, &sim->facts, &routes);
    assert_int_equal(routes.count, SIM_SERVERS);
    for (uint32_t i = 0; i < routes.count; i++) {
        const struct mig_route *route = &routes.routes[i];
        seen[i] = (char)(route->is_admitted ? (route->return_sessions ? 'B' : 'A')
                                            : (route->return_sessions ? 'R' : '-'));
        assert_int_equal(route->is_admitted, route->reason[0] == '\0');
    }
    assert_string_equal(seen, expected);
}

static void all_are_members(struct sim *sim)
{
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(mig_config_add(&sim->config, &sim->conf.target.servers[i]), RC_OK);
}

static void test_members_only(void **state)
{
    struct sim *sim = *state;
    assert_routes(sim, MIG_TRAFFIC_MEMBERS, "AAARRR");
    assert_routes(sim, MIG_TRAFFIC_SOURCES, "AAARRR");
    /* Switched too early would still not route to a server that is no voter. */
    assert_routes(sim, MIG_TRAFFIC_TARGETS, "AAARRR");
}

static void test_before_and_after_the_switch(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    assert_routes(sim, MIG_TRAFFIC_MEMBERS, "AAAAAA");
    assert_routes(sim, MIG_TRAFFIC_SOURCES, "AAA---");
    assert_routes(sim, MIG_TRAFFIC_TARGETS, "RRRAAA");
    assert_routes(sim, MIG_TRAFFIC_TARGETS_STILL, "---AAA");
}

/* A wiped state directory and the old file: the plan is forgotten, the members are the targets. */
static void test_forgotten_plan(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    for (int32_t id = 1; id <= 3; id++)
        mig_config_remove(&sim->config, id);
    assert_routes(sim, MIG_TRAFFIC_MEMBERS, "RRRAAA");
    assert_routes(sim, MIG_TRAFFIC_SOURCES, "RRRAAA");
}

static void test_health(void **state)
{
    struct sim *sim = *state;
    all_are_members(sim);
    sim->facts.servers[4].health = MIG_HEALTH_NOT_SERVING;
    sim->facts.servers[5].health = MIG_HEALTH_FULL;
    assert_routes(sim, MIG_TRAFFIC_TARGETS, "RRRA--");
    sim->facts.servers[3].health = MIG_HEALTH_DOWN; /* no target is left: better a source than nobody */
    assert_routes(sim, MIG_TRAFFIC_TARGETS, "AAA---");
    for (uint32_t i = 0; i < 3; i++)
        sim->facts.servers[i].health = MIG_HEALTH_DOWN;
    assert_routes(sim, MIG_TRAFFIC_TARGETS, "------");
}

static void test_config_not_observable(void **state)
{
    struct sim *sim = *state;
    sim->facts.config = NULL;
    sim->facts.servers[1].health = MIG_HEALTH_UNKNOWN;
    assert_routes(sim, MIG_TRAFFIC_MEMBERS, "A-ARRR");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_members_only), TEST(test_before_and_after_the_switch), TEST(test_forgotten_plan),
        TEST(test_health),       TEST(test_config_not_observable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
