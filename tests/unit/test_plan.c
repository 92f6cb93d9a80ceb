/* Making plans, comparing configs, proving a leader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

static int setup(void **state)
{
    *state = sim_new();
    return 0;
}

static int teardown(void **state)
{
    sim_free(*state);
    return 0;
}

static void assert_refused(const struct conf *conf, const char *text)
{
    static struct mig_plan plan;
    struct err err = {.text = ""};
    assert_int_equal(mig_plan_make(conf, 1, 1, &plan, &err), RC_REFUSED);
    assert_non_null(strstr(err.text, text));
}

static void test_steps(void **state)
{
    struct sim *sim = *state;
    static struct mig_plan plan;
    struct mig_steps steps;
    assert_int_equal(mig_plan_make(&sim->conf, 0x1234, 0xab, &plan, NULL), RC_OK);
    assert_string_equal(plan.id, "1234-000000ab");
    mig_plan_steps(&plan, &steps);
    const char *names[] = {"preflight", "lock",    "join",     "add.4",    "add.5",    "add.6",  "catch_up",
                           "switch",    "compare", "remove.1", "remove.2", "remove.3", "verify", "finish"};
    assert_int_equal(steps.count, sizeof(names) / sizeof(names[0]));
    for (uint32_t i = 0; i < steps.count; i++)
        assert_string_equal(steps.items[i].name, names[i]);
    assert_int_equal(mig_steps_named(&steps, "remove.2")->server, 2);
    assert_null(mig_steps_named(&steps, "remove.4"));
}

static void assert_steps(const struct conf *conf, const char *expected)
{
    static struct mig_plan plan;
    static struct mig_steps steps;
    char names[512] = "";
    assert_int_equal(mig_plan_make(conf, 1, 1, &plan, NULL), RC_OK);
    mig_plan_steps(&plan, &steps);
    for (uint32_t i = 0; i < steps.count; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", steps.items[i].name);
    assert_string_equal(names, expected);
}

static const char *completed(struct sim *sim, int32_t id)
{
    static struct mig_plan plan;
    static char text[ZKP_SERVER_TEXT_MAX];
    assert_int_equal(mig_plan_make(&sim->conf, 1, 1, &plan, NULL), RC_OK);
    plan.original = sim->config;
    mig_plan_complete(&plan, &sim->facts);
    assert_true(zkp_server_format(mig_plan_line(&plan, id), text, sizeof(text)) > 0);
    return text;
}

/* Reconfig takes no line without a client part, and a static file gives none. */
static void test_a_client_part_that_the_config_does_not_have(void **state)
{
    struct sim *sim = *state;
    struct zkp_conf_answer *conf = &sim_server(sim, 1)->answer;
    sim_tick(sim); /* fills the facts */
    assert_string_equal(completed(sim, 1), "server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181");
    conf->client_port = 2181;
    assert_string_equal(completed(sim, 1), "server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181");
    conf->client_port = 12181; /* our way there leads through other ports */
    assert_string_equal(completed(sim, 1), "server.1=10.0.0.1:2888:3888:participant;12181");
    sim->facts.servers[0].conf = NULL;
    assert_string_equal(completed(sim, 1), "server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181");
    sim->conf.source.servers[0].client_host[0] = '\0';
    assert_string_equal(completed(sim, 1), "server.1=10.0.0.1:2888:3888:participant;2181");
}

/* What it says itself stays; the roles stay; a mixed config is one, too. */
static void test_a_client_part_that_is_there_stays(void **state)
{
    struct sim *sim = *state;
    sim_tick(sim);
    struct zkp_server *second = &sim->config.servers[1];
    second->client_port = 2199;
    sim->config.servers[2].role = sim->conf.source.servers[2].role = ZKP_ROLE_OBSERVER;
    assert_string_equal(completed(sim, 2), "server.2=10.0.0.2:2888:3888:participant;2199");
    assert_string_equal(completed(sim, 3), "server.3=10.0.0.3:2888:3888:observer;10.0.0.3:2181");
    assert_string_equal(completed(sim, 1), "server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181");
}

static void test_a_missing_client_part_is_no_difference(void **state)
{
    struct sim *sim = *state;
    struct zkp_server line = sim->conf.source.servers[0];
    assert_int_equal(sim->config.servers[0].client_port, 0);
    assert_true(mig_same_server(&line, &sim->config.servers[0]));
    assert_true(mig_same_server(&sim->config.servers[0], &line));
    struct zkp_server other = line;
    other.client_port++;
    assert_false(mig_same_server(&line, &other));
}

static void test_steps_of_the_other_kinds(void **state)
{
    struct sim *sim = *state;
    struct conf *conf = &sim->conf;
    conf->kind = CONF_KIND_EXPAND;
    conf->target.count = 2;
    assert_steps(conf, "preflight lock join add.4 add.5 catch_up verify finish ");
    conf->kind = CONF_KIND_REPLACE;
    conf->leaving = (struct conf_ids){.count = 2, .ids = {3, 1}};
    assert_steps(conf,
                 "preflight lock join add.4 add.5 catch_up switch compare remove.1 remove.3 verify finish ");
    conf->kind = CONF_KIND_SHRINK;
    conf->target.count = 0;
    assert_steps(conf, "preflight lock switch compare remove.1 remove.3 verify finish ");
    conf->verify = CONF_VERIFY_OFF;
    assert_steps(conf, "preflight lock switch remove.1 remove.3 verify finish ");
}

static void test_steps_with_hooks(void **state)
{
    struct sim *sim = *state;
    struct conf *conf = &sim->conf;
    sim_hooks(sim, true, true, true, true);
    conf->kind = CONF_KIND_EXPAND;
    conf->target.count = 1;
    assert_steps(conf, "preflight lock join backup add.4 catch_up verify finish ");
    conf->kind = CONF_KIND_SHRINK;
    conf->target.count = 0;
    conf->leaving = (struct conf_ids){.count = 1, .ids = {3}};
    assert_steps(conf, "preflight lock switch backup compare remove.3 verify finish stop.3 ");
    conf->kind = CONF_KIND_ROLLING;
    conf->leaving.count = 0;
    assert_steps(conf, "preflight lock backup restart.1 restart.2 restart.3 verify finish ");
}

/* Nobody is asked to confirm what the plan does not do. */
static void test_gates_of_the_other_kinds(void **state)
{
    struct sim *sim = *state;
    static struct mig_plan plan;
    sim->conf.kind = CONF_KIND_EXPAND;
    sim->conf.confirm_switch = sim->conf.confirm_remove = sim->conf.confirm_finish = true;
    assert_int_equal(mig_plan_make(&sim->conf, 1, 1, &plan, NULL), RC_OK);
    assert_false(plan.confirm[MIG_GATE_SWITCH]);
    assert_false(plan.confirm[MIG_GATE_REMOVE]);
    assert_true(plan.confirm[MIG_GATE_FINISH]);
}

static void test_final_members(void **state)
{
    struct sim *sim = *state;
    static struct mig_plan plan;
    sim->conf.kind = CONF_KIND_REPLACE;
    sim->conf.leaving = (struct conf_ids){.count = 1, .ids = {2}};
    sim->conf.target.count = 1;
    assert_int_equal(mig_plan_make(&sim->conf, 1, 1, &plan, NULL), RC_OK);
    assert_int_equal(mig_plan_final_count(&plan), 3);
    assert_true(mig_plan_leaves(&plan, 2));
    assert_false(mig_plan_leaves(&plan, 1));
    assert_false(mig_plan_leaves(&plan, 4));
    assert_false(mig_plan_is_final(&plan, &sim->config));
    assert_int_equal(mig_config_add(&sim->config, &sim->conf.target.servers[0]), RC_OK);
    assert_false(mig_plan_is_final(&plan, &sim->config)); /* one too many */
    mig_config_remove(&sim->config, 2);
    assert_true(mig_plan_is_final(&plan, &sim->config));
    sim->config.servers[0].client_port++;
    assert_false(mig_plan_is_final(&plan, &sim->config)); /* somebody else is at home there */
}

static void test_refused_plans(void **state)
{
    struct sim *sim = *state;
    struct conf *conf = &sim->conf;
    conf->kind = CONF_KIND_ROLLING;
    assert_refused(conf, "rolling adds none");
    conf->kind = CONF_KIND_MIGRATE;
    conf->target.servers[0].role = ZKP_ROLE_OBSERVER;
    assert_refused(conf, "observer");
    conf->target.servers[0].role = ZKP_ROLE_PARTICIPANT;
    conf->target.servers[0].client_port = 0;
    assert_refused(conf, "no client port");
    conf->target.servers[0].client_port = 2181;
    conf->target.servers[0].id = 2;
    assert_refused(conf, "both source and target");
    conf->target.servers[0].id = 4;
    strcpy(conf->target.servers[0].addresses[0].host, conf->source.servers[1].addresses[0].host);
    assert_refused(conf, "same address");
    conf->target.count = 0;
    assert_refused(conf, "no target");
    conf->kind = CONF_KIND_SHRINK;
    assert_refused(conf, "names no servers");
    conf->leaving = (struct conf_ids){.count = 2, .ids = {2, 9}};
    assert_refused(conf, "no source");
    conf->leaving = (struct conf_ids){.count = 3, .ids = {1, 2, 3}};
    assert_refused(conf, "no server would be left");
    conf->target.count = 1;
    assert_refused(conf, "shrink adds none");
}

static void test_same_server(void **state)
{
    struct sim *sim = *state;
    struct zkp_server a = sim->conf.source.servers[0];
    struct zkp_server b = a;
    assert_true(mig_same_server(&a, &b));
    strcpy(b.client_host, "0.0.0.0");
    assert_true(mig_same_server(&a, &b));
    strcpy(b.client_host, "10.9.9.9");
    assert_false(mig_same_server(&a, &b));
    b.client_port = 0;
    assert_true(mig_same_server(&a, &b));
    b.role = ZKP_ROLE_OBSERVER;
    assert_false(mig_same_server(&a, &b));
}

static struct zkp_server server_of(const char *line)
{
    struct zkp_server server;
    assert_int_equal(zkp_server_parse(zkp_slice_str(line), &server, NULL), RC_OK);
    return server;
}

/* Java prints addresses in its long form and names as they were given. */
static void test_same_server_spelled_otherwise(void **state)
{
    (void)state;
    const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"server.1=[::1]:1:2;[::1]:3", "server.1=[0:0:0:0:0:0:0:1]:1:2;[0:0:0:0:0:0:0:1]:3", true},
        {"server.1=zk1.example:1:2;ZK1.example.:3", "server.1=ZK1.Example.:1:2;zk1.example:3", true},
        {"server.1=10.0.0.1:1:2;3", "server.1=[::ffff:10.0.0.1]:1:2;3", true},
        {"server.1=[::1]:1:2;3", "server.1=[::2]:1:2;3", false},
        {"server.1=[::1]:1:2;[::1]:3", "server.1=[::1]:1:2;[::2]:3", false},
        {"server.1=10.0.0.1:1:2;3", "server.1=10.0.0.2:1:2;3", false},
        {"server.1=zk1:1:2;3", "server.1=zk1.example:1:2;3", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct zkp_server a = server_of(cases[i].a), b = server_of(cases[i].b);
        if (mig_same_server(&a, &b) != cases[i].is_same || mig_same_server(&b, &a) != cases[i].is_same)
            fail_msg("%s <-> %s", cases[i].a, cases[i].b);
    }
}

static void test_config_changes(void **state)
{
    struct sim *sim = *state;
    char ids[64];
    mig_config_remove(&sim->config, 2);
    assert_int_equal(mig_config_add(&sim->config, &sim->conf.target.servers[2]), RC_OK);
    assert_int_equal(mig_config_add(&sim->config, &sim->conf.source.servers[1]), RC_OK);
    mig_config_ids(&sim->config, ids, sizeof(ids));
    assert_string_equal(ids, "1,2,3,6"); /* ascending, whatever the order */
}

/* protocol.md §1.5: a removed leader keeps answering "Mode: leader" for a tick. */
static void test_leader_is_proven(void **state)
{
    struct sim *sim = *state;
    sim_up(sim, 4, true);
    sim_tick(sim);
    struct mig_server_facts *servers = sim->facts.servers;
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, 3);
    servers[0].srvr.mode = ZKP_MODE_LEADER; /* two claim it: the higher epoch leads */
    servers[0].srvr.zxid = 0x200000000;
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, 1);
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).epoch, 2);
    servers[0].srvr.mode = ZKP_MODE_FOLLOWER; /* a follower is ahead of the one that claims it */
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, -1);
    servers[0].srvr.zxid = 0x100000007;
    servers[2].mntr.synced_followers = 0; /* nobody follows it */
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, -1);
    servers[2].mntr.synced_followers = 1;
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, 3);
    sim->facts.now_ms += 6000; /* too old */
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, -1);
    sim->facts.now_ms -= 6000;
    mig_config_remove(&sim->config, 3); /* removed */
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, -1);
}

static void test_tolerance_of_facts(void **state)
{
    struct sim *sim = *state;
    sim_tick(sim);
    struct mig_quorum quorum = mig_quorum_of(&sim->facts);
    assert_int_equal(quorum.voters, 3);
    assert_int_equal(quorum.alive, 3);
    assert_int_equal(quorum.tolerates, 1);
    sim->facts.servers[0].health = MIG_HEALTH_DOWN;
    assert_int_equal(mig_quorum_of(&sim->facts).tolerates, 0);
    sim->facts.servers[1].health = MIG_HEALTH_DOWN;
    assert_int_equal(mig_quorum_of(&sim->facts).tolerates, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Server id said "not serving" to a question sent age_ms ago. */
static void refuses(struct sim *sim, int32_t id, int64_t age_ms)
{
    sim->facts.servers[id - 1].shows_service = false;
    sim->facts.servers[id - 1].not_serving_at_ms = sim->facts.now_ms - age_ms;
}

static void test_no_quorum(void **state)
{
    struct sim *sim = *state;
    sim_tick(sim);
    sim->facts.now_ms += 5000;
    int64_t now_ms = sim->facts.now_ms;
    refuses(sim, 1, 10);
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), 0); /* one of three */
    refuses(sim, 5, 10);                                      /* no voter */
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), 0);
    refuses(sim, 2, 400);
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), now_ms - 400); /* the older of the two */
    refuses(sim, 3, 100);
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), now_ms - 100); /* two are enough */
    refuses(sim, 2, 1100);
    refuses(sim, 3, 1001); /* too long ago to tell of the same moment */
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), 0);
    refuses(sim, 3, 100);
    sim->facts.config = NULL; /* the sources, then */
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), now_ms - 100);
}

/* leaderServes=no: the leader and a follower that still syncs say that they don't serve; the other follower
 * has both of them for its quorum. */
static void test_quorum_of_a_leader_that_serves_nobody(void **state)
{
    struct sim *sim = *state;
    sim_tick(sim);
    refuses(sim, 3, 10);
    refuses(sim, 1, 10);
    assert_int_equal(sim->facts.servers[1].srvr.mode, ZKP_MODE_FOLLOWER);
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), 0);
    sim->facts.servers[1].shows_service = false; /* the control: without its answer it was no quorum */
    assert_true(mig_facts_no_quorum_ms(&sim->facts) > 0);
}

/* No leader seen is not no leader: who follows has one. */
static void test_followers_are_led(void **state)
{
    struct sim *sim = *state;
    struct mig_server_facts *servers = sim->facts.servers;
    sim_tick(sim);
    refuses(sim, 3, 10);
    servers[2].health = MIG_HEALTH_NOT_SERVING;
    assert_int_equal(mig_facts_leader(&sim->facts, 5000).id, -1);
    assert_true(mig_facts_is_led(&sim->facts));
    assert_int_equal(mig_quorum_of(&sim->facts).alive, 3); /* two follow the third */
    assert_int_equal(mig_quorum_of(&sim->facts).tolerates, 1);
    servers[2].health = MIG_HEALTH_DOWN;
    servers[1].shows_service = false;
    assert_true(mig_facts_is_led(&sim->facts)); /* one is enough */
    assert_int_equal(mig_quorum_of(&sim->facts).alive, 2);
    assert_int_equal(mig_quorum_of(&sim->facts).tolerates, 0);
    servers[0].srvr.mode = ZKP_MODE_OBSERVER;
    assert_true(mig_facts_is_led(&sim->facts));
    servers[0].srvr.mode = ZKP_MODE_LEADER; /* a leader's own word proves nothing: it has an old epoch */
    servers[0].srvr.zxid = 1;
    assert_false(mig_facts_is_led(&sim->facts));
    servers[0].srvr.mode = ZKP_MODE_FOLLOWER;
    servers[0].shows_service = false; /* nor what it said before */
    assert_false(mig_facts_is_led(&sim->facts));
    assert_int_equal(mig_quorum_of(&sim->facts).alive, 0);
    assert_int_equal(mig_quorum_of(&sim->facts).tolerates, -1);
    servers[4].shows_service = true; /* a stranger's ensemble is not ours */
    servers[4].srvr.mode = ZKP_MODE_FOLLOWER;
    assert_false(mig_facts_is_led(&sim->facts));
    servers[0].shows_service = true;
    servers[0].srvr.mode = ZKP_MODE_STANDALONE;
    assert_true(mig_facts_is_led(&sim->facts));
}

/* A voter that is not in the file counts all the same. */
static void test_no_quorum_with_strangers(void **state)
{
    struct sim *sim = *state;
    sim_tick(sim);
    struct zkp_server stranger = sim->conf.target.servers[0];
    stranger.id = 9;
    assert_int_equal(mig_config_add(&sim->config, &stranger), RC_OK);
    refuses(sim, 1, 10);
    refuses(sim, 2, 10);
    assert_int_equal(mig_facts_no_quorum_ms(&sim->facts), 0); /* two of four */
    refuses(sim, 3, 10);
    assert_true(mig_facts_no_quorum_ms(&sim->facts) > 0);
}

static void test_nobody_serves(void **state)
{
    struct sim *sim = *state;
    sim_tick(sim);
    assert_false(mig_facts_nobody_serves(&sim->facts));
    for (int32_t id = 1; id <= 3; id++)
        refuses(sim, id, 0);
    assert_true(mig_facts_nobody_serves(&sim->facts));
    sim->facts.servers[4].shows_service = true; /* a server that is no member says nothing about ours */
    assert_true(mig_facts_nobody_serves(&sim->facts));
    sim->facts.servers[1].shows_service = true;
    assert_false(mig_facts_nobody_serves(&sim->facts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_steps),
        TEST(test_a_client_part_that_the_config_does_not_have),
        TEST(test_a_client_part_that_is_there_stays),
        TEST(test_a_missing_client_part_is_no_difference),
        TEST(test_steps_of_the_other_kinds),
        TEST(test_steps_with_hooks),
        TEST(test_gates_of_the_other_kinds),
        TEST(test_final_members),
        TEST(test_refused_plans),
        TEST(test_same_server),
        TEST(test_same_server_spelled_otherwise),
        TEST(test_config_changes),
        TEST(test_leader_is_proven),
        TEST(test_tolerance_of_facts),
        TEST(test_no_quorum),
        TEST(test_no_quorum_with_strangers),
        TEST(test_quorum_of_a_leader_that_serves_nobody),
        TEST(test_followers_are_led),
        TEST(test_nobody_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
