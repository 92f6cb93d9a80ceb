/* Files of a joiner: current members and itself only, timing values of the sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/plan/joiner.h"
#include "tests/lib/sim_ensemble.h"

static void test_files(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    struct mig_joiner joiner;
    sim->servers[0].answer.tick_time_ms = 1500;
    sim_dynamic(sim);
    sim_tick(sim);
    assert_int_equal(mig_joiner_config(&sim->facts, 5, &joiner, NULL), RC_OK);
    assert_string_equal(joiner.myid, "5\n");
    assert_string_equal(joiner.dynamic, "server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181\n"
                                        "server.2=10.0.0.2:2888:3888:participant;10.0.0.2:2181\n"
                                        "server.3=10.0.0.3:2888:3888:participant;10.0.0.3:2181\n"
                                        "server.5=10.0.0.5:2888:3888:participant;10.0.0.5:2181\n");
    assert_non_null(strstr(joiner.zoo_cfg, "tickTime=1500\n"));
    assert_non_null(strstr(joiner.zoo_cfg, "maxSessionTimeout=40000\n"));
    assert_non_null(strstr(joiner.zoo_cfg, "reconfigEnabled=true\n"));
    assert_null(strstr(joiner.zoo_cfg, "version="));
    assert_non_null(strstr(joiner.zoo_cfg, "dataDir must be empty"));
    sim_free(sim);
}

/* The members' lines are the config's; its own is whole, or nobody could add it. */
static void test_files_of_a_static_ensemble(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    struct mig_joiner joiner;
    sim_tick(sim);
    assert_int_equal(mig_joiner_config(&sim->facts, 5, &joiner, NULL), RC_OK);
    assert_string_equal(joiner.dynamic, "server.1=10.0.0.1:2888:3888:participant\n"
                                        "server.2=10.0.0.2:2888:3888:participant\n"
                                        "server.3=10.0.0.3:2888:3888:participant\n"
                                        "server.5=10.0.0.5:2888:3888:participant;10.0.0.5:2181\n");
    sim_free(sim);
}

/* A server that is a member already lists itself once. */
static void test_member_lists_itself_once(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    struct mig_joiner joiner;
    sim_tick(sim);
    assert_int_equal(mig_joiner_config(&sim->facts, 2, &joiner, NULL), RC_OK);
    const char *first = strstr(joiner.dynamic, "server.2=");
    assert_non_null(first);
    assert_null(strstr(first + 1, "server.2="));
    assert_non_null(strstr(joiner.zoo_cfg, "dataDir is the one it had"));
    sim_free(sim);
}

static void test_refusals(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    struct mig_joiner joiner;
    struct err err;
    sim_tick(sim);
    assert_int_equal(mig_joiner_config(&sim->facts, 9, &joiner, &err), RC_NOT_FOUND);
    sim->facts.config = NULL;
    assert_int_equal(mig_joiner_config(&sim->facts, 5, &joiner, &err), RC_AGAIN);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_files_of_a_static_ensemble),
        cmocka_unit_test(test_member_lists_itself_once),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
