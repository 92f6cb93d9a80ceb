/* Preflight rules: a healthy world gives nothing that blocks; each fault gives exactly its finding. */
#include "tests/unit/preflight_bench.h"

static const struct mig_finding *found(struct world *w, const char *id)
{
    judge(w);
    for (uint32_t i = 0; i < w->findings.count; i++) {
        const struct mig_finding *finding = &w->findings.items[i];
        assert_true(finding->seen[0] != '\0' && finding->why[0] != '\0' && finding->todo[0] != '\0');
        if (strcmp(finding->id, id) == 0)
            return finding;
    }
    return NULL;
}

static void assert_block(struct world *w, const char *id)
{
    const struct mig_finding *finding = found(w, id);
    assert_non_null(finding);
    assert_int_equal(finding->severity, MIG_BLOCK);
    assert_true(mig_findings_blocks(&w->findings) > 0);
}

static void assert_severity(struct world *w, const char *id, enum mig_severity severity)
{
    const struct mig_finding *finding = found(w, id);
    assert_non_null(finding);
    assert_int_equal(finding->severity, severity);
}

static void test_healthy(void **state)
{
    struct world *w = *state;
    judge(w);
    assert_int_equal(w->findings.count, 0);
}

static void test_source_down(void **state)
{
    struct world *w = *state;
    server(w, 2)->health = MIG_HEALTH_DOWN;
    assert_block(w, "server-down-2");
    strcpy(w->plan.accept[0], "server-down-2");
    w->plan.accept_count = 1;
    judge(w);
    assert_int_equal(mig_findings_blocks(&w->findings), 0);
    server(w, 1)->health = MIG_HEALTH_DOWN; /* accepted for 2, not for 1 */
    assert_block(w, "server-down-1");
}

static void test_target_not_started(void **state)
{
    struct world *w = *state;
    server(w, 5)->health = MIG_HEALTH_DOWN;
    assert_severity(w, "target-not-started-5", MIG_INFO);
    assert_int_equal(mig_findings_blocks(&w->findings), 0);
}

static void test_target_with_own_data(void **state)
{
    struct world *w = *state;
    server(w, 4)->srvr.zxid = 0x700000001;
    assert_block(w, "target-own-ensemble-4");
    server(w, 4)->srvr.zxid = 0; /* a fresh joiner */
    assert_null(found(w, "target-own-ensemble-4"));
    server(w, 4)->srvr.mode = ZKP_MODE_STANDALONE;
    assert_block(w, "target-own-ensemble-4");
}

static void test_versions(void **state)
{
    struct world *w = *state;
    strcpy(server(w, 1)->srvr.version, "3.5.4");
    assert_block(w, "version-refused-1");
    strcpy(server(w, 1)->srvr.version, "3.4.14");
    assert_block(w, "version-refused-1");
    strcpy(server(w, 1)->srvr.version, "3.5.5");
    assert_severity(w, "version-old-1", MIG_WARN);
    strcpy(server(w, 1)->srvr.version, "3.6.1");
    assert_severity(w, "version-old-1", MIG_WARN);
    strcpy(server(w, 1)->srvr.version, "3.8.5");
    assert_severity(w, "version-old-1", MIG_WARN);
    strcpy(server(w, 1)->srvr.version, "3.9.3");
    assert_severity(w, "version-note-1", MIG_INFO);
    assert_null(found(w, "version-old-1"));
    strcpy(server(w, 1)->srvr.version, "v23.8");
    assert_block(w, "version-unknown-1");
}

static void test_activation(void **state)
{
    struct world *w = *state;
    struct zkp_conf_answer *answer = &sim_server(w->sim, 2)->answer;
    answer->membership.version--;
    assert_block(w, "reconfig-inactive-2");
    assert_false(found(w, "reconfig-inactive-2")->can_accept);
    answer->membership.version++;
    assert_null(found(w, "reconfig-inactive-2"));
    mig_config_remove(&answer->membership, 1);
    assert_block(w, "reconfig-inactive-2");
    w->switches.no_activation_check = true; /* the control run */
    assert_null(found(w, "reconfig-inactive-2"));
}

/* AdminServer's voting_view: members without the config's version. */
static void test_activation_without_version(void **state)
{
    struct world *w = *state;
    struct zkp_conf_answer *answer = &sim_server(w->sim, 2)->answer;
    answer->membership.has_version = false;
    answer->membership.version = 0;
    assert_block(w, "activation-unversioned-2");
    assert_true(found(w, "activation-unversioned-2")->can_accept);
    assert_null(found(w, "reconfig-inactive-2"));
    mig_config_remove(&answer->membership, 1);
    assert_block(w, "reconfig-inactive-2");
    assert_null(found(w, "activation-unversioned-2"));
}

static void test_activation_of_a_target(void **state)
{
    struct world *w = *state;
    sim_server(w->sim, 6)->answer.membership.version = 0;
    mig_preflight_target(&w->plan, &w->sim->facts, 6, &w->switches, &w->findings);
    assert_int_equal(w->findings.count, 1);
    assert_string_equal(w->findings.items[0].id, "reconfig-inactive-6");
}

static void test_words_not_allowed(void **state)
{
    struct world *w = *state;
    server(w, 2)->conf = NULL;
    server(w, 2)->conf_seen = MIG_SEEN_NOT_ALLOWED;
    server(w, 2)->mntr_seen = MIG_SEEN_NOT_ALLOWED;
    assert_block(w, "activation-unobservable-2");
    assert_true(found(w, "activation-unobservable-2")->can_accept);
    assert_severity(w, "mntr-not-allowed-2", MIG_WARN);
}

static void test_probes(void **state)
{
    struct world *w = *state;
    w->probes.reconfig_err = ZKP_ERR_RECONFIG_DISABLED;
    assert_block(w, "reconfig-disabled-3");
    w->probes.reconfig_err = ZKP_ERR_RECONFIG_IN_PROGRESS;
    assert_block(w, "reconfig-unknown-3");
    w->probes.reconfig_at_ms = 0;
    assert_block(w, "reconfig-unknown");
    w->probes.is_super = false;
    assert_block(w, "super-wrong");
    w->probes.super_at_ms = 0;
    assert_block(w, "super-unknown");
    w->sim->facts.has_credentials = false;
    assert_block(w, "credentials-missing");
}

static void test_members(void **state)
{
    struct world *w = *state;
    mig_config_remove(&w->sim->config, 2);
    assert_block(w, "members-differ");
    assert_non_null(strstr(found(w, "members-differ")->seen, "server.2 is a source but not in the config"));
    assert_int_equal(mig_config_add(&w->sim->config, &w->sim->conf.source.servers[1]), RC_OK);
    w->sim->config.servers[0].addresses[0].quorum_port++;
    assert_non_null(strstr(found(w, "members-differ")->seen, "server.1 has another address"));
    w->sim->config.is_hierarchical = true;
    assert_block(w, "hierarchical");
    w->sim->config.version = 0;
    assert_block(w, "reconfig-inactive");
    w->sim->facts.config = NULL;
    assert_block(w, "config-unknown");
}

/* A static zoo.cfg lists no client addresses (protocol.md §5.1): not a difference. */
static void test_members_without_client_part(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 0; i < 3; i++) {
        w->sim->config.servers[i].client_port = 0;
        w->sim->config.servers[i].client_host[0] = '\0';
    }
    assert_null(found(w, "members-differ"));
}

static void test_leader(void **state)
{
    struct world *w = *state;
    server(w, 3)->srvr.mode = ZKP_MODE_FOLLOWER;
    assert_block(w, "leader-unseen");
    server(w, 3)->srvr.mode = ZKP_MODE_STANDALONE;
    assert_block(w, "standalone-3");
}

static void test_connections(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 3; i < 6; i++)
        w->sim->servers[i].answer.max_client_cnxns = 60;
    w->sim->facts.sessions.total = 112; /* two targets, 56 each: 4 are kept for probes */
    assert_null(found(w, "connections-few"));
    w->sim->facts.sessions.total = 113;
    assert_block(w, "connections-few");
    w->sim->facts.target_binds = 2;
    assert_null(found(w, "connections-few"));
    w->sim->facts.target_binds = 1;
    server(w, 6)->conf = NULL; /* not known: only told */
    assert_severity(w, "connections-maybe-few", MIG_WARN);
    for (uint32_t i = 3; i < 6; i++)
        w->sim->servers[i].answer.max_client_cnxns = 0;
    server(w, 6)->conf = &w->sim->servers[5].answer;
    assert_null(found(w, "connections-few"));
}

static void test_conf_values(void **state)
{
    struct world *w = *state;
    sim_server(w->sim, 2)->answer.server_id = 7;
    assert_block(w, "id-mismatch-2");
    sim_server(w->sim, 5)->answer.max_session_timeout_ms = 20000;
    assert_severity(w, "timeouts-differ-5", MIG_WARN);
    server(w, 1)->srvr.zxid = 0x1f0000000;
    assert_severity(w, "zxid-nearly-full-1", MIG_WARN);
}

static void test_written_lines(void **state)
{
    struct world *w = *state;
    strcpy(w->sim->conf.target.servers[0].addresses[0].host, "0.0.0.0");
    assert_block(w, "wildcard-address-4");
}

/* Nobody is led to less than they have: one failure tolerated, if it was. */
static void test_count_at_the_end(void **state)
{
    struct world *w = *state;
    w->plan.kind = CONF_KIND_REPLACE; /* one stays, three join */
    w->plan.leaving.count = 2;
    assert_severity(w, "voters-even", MIG_WARN);
    w->plan.leaving.count = 3;
    w->plan.targets.count = 2;
    assert_block(w, "tolerance-lost");
    w->plan.targets.count = 1;
    assert_block(w, "voters-few");
}

/* Who was named to leave may be dead; who stays may not. */
static void test_leaving_server_down(void **state)
{
    struct world *w = *state;
    w->plan.kind = CONF_KIND_REPLACE;
    w->plan.leaving.count = 1;
    server(w, 1)->health = MIG_HEALTH_DOWN;
    assert_severity(w, "leaving-server-down-1", MIG_WARN);
    assert_int_equal(mig_findings_blocks(&w->findings), 0);
    server(w, 2)->health = MIG_HEALTH_DOWN;
    assert_block(w, "server-down-2");
}

/* By name, by id, or by any of the rule's pitfalls; never what may not be accepted. */
static void test_accepted_by_pitfall(void **state)
{
    struct world *w = *state;
    server(w, 2)->conf = NULL;
    server(w, 2)->conf_seen = MIG_SEEN_NOT_ALLOWED;
    assert_string_equal(found(w, "activation-unobservable-2")->pitfall, "P6 P12 P28");
    const char *const names[] = {"activation-unobservable", "activation-unobservable-2", "P6", "P12", "P28"};
    const char *const others[] = {"activation-unobservable-1", "P1", "P2", "P61", "6", "P", ""};
    w->plan.accept_count = 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        strcpy(w->plan.accept[0], names[i]);
        assert_true(found(w, "activation-unobservable-2")->is_accepted);
        assert_int_equal(mig_findings_blocks(&w->findings), 0);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        strcpy(w->plan.accept[0], others[i]);
        assert_false(found(w, "activation-unobservable-2")->is_accepted);
    }
    strcpy(w->plan.accept[0], "P7");
    w->probes.is_super = false;
    assert_false(found(w, "super-wrong")->is_accepted);
}

/* A joiner shows how many connections it takes: what was only a warning is known then. */
static void test_room_is_judged_again_with_each_target(void **state)
{
    struct world *w = *state;
    w->sim->facts.sessions.total = 113;
    for (uint32_t i = 3; i < 6; i++)
        w->sim->servers[i].answer.max_client_cnxns = 60;
    mig_preflight_target(&w->plan, &w->sim->facts, 4, &w->switches, &w->findings);
    assert_int_equal(w->findings.count, 1);
    assert_string_equal(w->findings.items[0].id, "connections-few");
    w->sim->facts.sessions.total = 112;
    mig_preflight_target(&w->plan, &w->sim->facts, 4, &w->switches, &w->findings);
    assert_int_equal(w->findings.count, 0);
}

static void test_blocks_come_first(void **state)
{
    struct world *w = *state;
    strcpy(server(w, 1)->srvr.version, "3.8.0");
    server(w, 2)->mntr_seen = MIG_SEEN_NOT_ALLOWED;
    server(w, 3)->health = MIG_HEALTH_DOWN;
    judge(w);
    for (uint32_t i = 1; i < w->findings.count; i++)
        assert_true(w->findings.items[i - 1].severity >= w->findings.items[i].severity);
    assert_int_equal(w->findings.items[0].severity, MIG_BLOCK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_healthy),
        TEST(test_source_down),
        TEST(test_target_not_started),
        TEST(test_target_with_own_data),
        TEST(test_versions),
        TEST(test_activation),
        TEST(test_activation_without_version),
        TEST(test_activation_of_a_target),
        TEST(test_words_not_allowed),
        TEST(test_probes),
        TEST(test_members),
        TEST(test_members_without_client_part),
        TEST(test_leader),
        TEST(test_connections),
        TEST(test_conf_values),
        TEST(test_written_lines),
        TEST(test_count_at_the_end),
        TEST(test_leaving_server_down),
        TEST(test_accepted_by_pitfall),
        TEST(test_room_is_judged_again_with_each_target),
        TEST(test_blocks_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
