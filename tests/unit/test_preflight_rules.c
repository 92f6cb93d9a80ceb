/* One test per rule of preflight: a world in which one fact is wrong gives exactly the findings of its row,
 * and its neighbour, where the same fact is just right, gives none. Every rule of the table must have a row.
 */
#include "migrate/plan/estimate.h"
#include "tests/unit/preflight_bench.h"

#include <stdio.h>

typedef void change(struct world *w);

/* --- facts that are wrong, and their neighbours --- */

static struct zkp_conf_answer *conf_of(struct world *w, int32_t id)
{
    return &sim_server(w->sim, id)->answer;
}

static struct mig_survey *survey(struct world *w)
{
    return &w->sim->facts.survey;
}

static struct zkp_server *line(struct world *w, int32_t id)
{
    return id <= 3 ? &w->sim->conf.source.servers[id - 1] : &w->sim->conf.target.servers[id - 4];
}

static void is_down(struct world *w, int32_t id)
{
    server(w, id)->health = MIG_HEALTH_DOWN;
    strcpy(server(w, id)->health_reason, "connection refused");
}

static void version(struct world *w, int32_t id, const char *text)
{
    strcpy(server(w, id)->srvr.version, text);
}

static void versions(struct world *w, const char *text)
{
    for (int32_t id = 1; id <= 6; id++)
        version(w, id, text);
}

static void no_config(struct world *w)
{
    w->sim->facts.config = NULL;
}
static void a_config(struct world *w)
{
    w->sim->facts.config = &w->sim->config;
}
static void source_gone(struct world *w)
{
    mig_config_remove(&w->sim->config, 2);
    for (int32_t id = 1; id <= 6; id++) /* they count with the same */
        conf_of(w, id)->membership = w->sim->config;
}
static void groups(struct world *w)
{
    w->sim->config.is_hierarchical = true;
}
static void version_zero(struct world *w)
{
    w->sim->config.version = 0;
    for (int32_t id = 1; id <= 6; id++)
        conf_of(w, id)->membership.version = 0;
}
static void leader_silent(struct world *w)
{
    server(w, 3)->srvr.mode = ZKP_MODE_FOLLOWER;
}
static void serves_nobody(struct world *w, int32_t id)
{
    server(w, id)->health = MIG_HEALTH_NOT_SERVING;
    server(w, id)->shows_service = false;
}
static void leader_serves_nobody(struct world *w)
{
    serves_nobody(w, 3);
}
static void leader_out_of_reach(struct world *w)
{
    is_down(w, 3);
    server(w, 3)->shows_service = false;
}
static void two_are_silent(struct world *w)
{
    serves_nobody(w, 3);
    serves_nobody(w, 2);
}
static void none_serves(struct world *w)
{
    for (int32_t id = 1; id <= 3; id++)
        serves_nobody(w, id);
}
static void leader_without_followers(struct world *w)
{
    server(w, 3)->mntr.synced_followers = 0;
}
static void leader_with_one_follower(struct world *w)
{
    server(w, 3)->mntr.synced_followers = 1;
}
static void no_credentials(struct world *w)
{
    w->sim->facts.has_credentials = false;
}
static void not_super(struct world *w)
{
    w->probes.is_super = false;
}
static void super_not_asked(struct world *w)
{
    w->probes.super_at_ms = 0;
}
static void disabled(struct world *w)
{
    w->probes.reconfig_err = ZKP_ERR_RECONFIG_DISABLED;
}
static void in_progress(struct world *w)
{
    w->probes.reconfig_err = ZKP_ERR_RECONFIG_IN_PROGRESS;
}
static void enabled(struct world *w)
{
    w->probes.reconfig_err = ZKP_ERR_BAD_VERSION;
}
static void lock_of_others(struct world *w)
{
    survey(w)->has_lock = true;
    strcpy(survey(w)->lock_holder, "instance=other pid=1");
}
static void lock_of_ours(struct world *w)
{
    lock_of_others(w);
    w->sim->facts.lock = MIG_LOCK_OURS;
}
static void lock_refused(struct world *w)
{
    w->sim->facts.lock = MIG_LOCK_FOREIGN;
    strcpy(w->sim->facts.lock_holder, "instance=other pid=1");
}
static void one_at_the_end(struct world *w)
{
    w->plan.targets.count = 1;
}
static void two_at_the_end(struct world *w)
{
    w->plan.targets.count = 2;
}
static void four_at_the_end(struct world *w)
{
    w->plan.kind = CONF_KIND_REPLACE;
    w->plan.leaving.count = 2;
}
static void restarts_of_three(struct world *w)
{
    w->plan.kind = CONF_KIND_ROLLING;
    w->plan.targets.count = w->plan.leaving.count = 0;
}
static void restarts_of_two(struct world *w)
{
    restarts_of_three(w);
    w->plan.sources.count = 2;
}
/* Three members, of which two vote. */
static void observer_at_the_end(struct world *w)
{
    w->plan.targets.servers[2].role = ZKP_ROLE_OBSERVER;
}
static void limit_of_targets(struct world *w, int32_t limit, int64_t sessions)
{
    for (int32_t id = 4; id <= 6; id++)
        conf_of(w, id)->max_client_cnxns = limit;
    w->sim->facts.sessions.total = sessions;
}
static void connections_too_few(struct world *w)
{
    limit_of_targets(w, 60, 113); /* 2 × 56: one server less, 4 of each kept for probes */
}
static void connections_just_enough(struct world *w)
{
    limit_of_targets(w, 60, 112);
}
static void limit_not_known(struct world *w)
{
    limit_of_targets(w, 60, 113);
    server(w, 6)->conf = NULL;
    w->switches.no_activation_check = true; /* that conf is missing is another rule's */
}
static void some_drained(struct world *w)
{
    assert_int_equal(mig_drained_set(&w->drained, 2, true), RC_OK);
}
static void none_drained(struct world *w)
{
    assert_int_equal(mig_drained_set(&w->drained, 2, false), RC_OK);
}
static void same_port(struct world *w)
{
    line(w, 5)->client_port = line(w, 4)->client_port;
    strcpy(line(w, 5)->client_host, zkp_server_client_host(line(w, 4)));
}
static void same_port_of_another_host(struct world *w)
{
    line(w, 5)->client_port = line(w, 4)->client_port;
    strcpy(line(w, 5)->client_host, "10.9.9.9");
}
static void mixed(struct world *w)
{
    version(w, 1, "3.5.10");
}
static void all_of_35(struct world *w)
{
    versions(w, "3.5.10");
}
static void leader_change(struct world *w, int64_t bytes, int32_t timeout_ms)
{
    server(w, 3)->mntr.data_size = bytes;
    mig_survey_timeout(survey(w), timeout_ms);
}
static void slow_leader_change(struct world *w)
{
    leader_change(w, 300000000, 4000); /* 250 ms + 2.4 s + 5 ms against 1.33 s */
}
static void quick_leader_change(struct world *w)
{
    leader_change(w, 100000000, 4000);
}
static void slow_but_patient(struct world *w)
{
    leader_change(w, 300000000, 10000);
}
static void timeout_below_minimum(struct world *w)
{
    mig_survey_timeout(survey(w), 3999);
}
static void timeout_above_maximum(struct world *w)
{
    mig_survey_timeout(survey(w), 40001);
}
static void timeouts_inside(struct world *w)
{
    mig_survey_timeout(survey(w), 4000);
    mig_survey_timeout(survey(w), 40000);
}
static void sampled(struct world *w, const struct mig_node *node)
{
    mig_survey_node(survey(w), "/a", node);
}
static void ip_acl(struct world *w)
{
    sampled(w, &(struct mig_node){.kind = MIG_NODE_PRESENT, .has_ip_acl = true});
}
static void plain_node(struct world *w)
{
    sampled(w, &(struct mig_node){.kind = MIG_NODE_PRESENT});
}
static void takes_ttl(struct world *w)
{
    survey(w)->takes_ttl = MIG_MAY;
}
static void takes_no_ttl(struct world *w)
{
    survey(w)->takes_ttl = MIG_MAY_NOT;
}
static void not_looked(struct world *w)
{
    survey(w)->asked_at_ms = 0;
}
static void looked_in_vain(struct world *w)
{
    strcpy(survey(w)->incomplete, "no server can be asked");
}
static void open_config(struct world *w)
{
    survey(w)->acl_lets_anyone = MIG_MAY;
    survey(w)->anyone_may_write = MIG_MAY;
}
static void closed_config(struct world *w)
{
    survey(w)->acl_lets_anyone = MIG_MAY_NOT;
    survey(w)->anyone_may_write = MIG_MAY_NOT;
}
static void skip_acl(struct world *w)
{
    survey(w)->acl_lets_anyone = MIG_MAY_NOT;
    survey(w)->anyone_may_write = MIG_MAY;
}
static void guard_off(struct world *w)
{
    w->sim->facts.passes_config_node = true;
}
static void guard_on(struct world *w)
{
    w->sim->facts.passes_config_node = false;
}
static void source_down(struct world *w)
{
    is_down(w, 2);
}
static void source_not_probed(struct world *w)
{
    server(w, 2)->health = MIG_HEALTH_UNKNOWN;
}
static void source_back(struct world *w)
{
    is_down(w, 2);
    server(w, 2)->health = MIG_HEALTH_SERVING;
}
static void source_not_serving(struct world *w)
{
    server(w, 2)->health = MIG_HEALTH_NOT_SERVING;
}
static void replaced_down(struct world *w)
{
    w->plan.kind = CONF_KIND_REPLACE;
    w->plan.leaving.count = 1;
    w->plan.targets.count = 1;
    is_down(w, 1);
}
static void replaced_up(struct world *w)
{
    replaced_down(w);
    server(w, 1)->health = MIG_HEALTH_SERVING;
}
static void target_down(struct world *w)
{
    is_down(w, 5);
}
static void srvr_hidden(struct world *w)
{
    server(w, 2)->health = MIG_HEALTH_UNKNOWN;
    server(w, 2)->hides_srvr = true;
}
static void full(struct world *w)
{
    server(w, 2)->health = MIG_HEALTH_FULL;
}
static void read_only(struct world *w)
{
    server(w, 2)->srvr.mode = ZKP_MODE_READ_ONLY;
}
static void unasked(struct world *w)
{
    strcpy(server(w, 2)->unasked, "not asked: Too many open files");
}
static void asked(struct world *w)
{
    server(w, 2)->unasked[0] = '\0';
}
static void proxied(struct world *w)
{
    server(w, 2)->srvr.mode = ZKP_MODE_PROXY;
    server(w, 2)->health = MIG_HEALTH_PROXY;
    server(w, 2)->srvr.zxid = INT64_C(9) << 32; /* not ours to say who leads */
    strcpy(server(w, 2)->health_reason, "Mode: proxy");
}
static void follows(struct world *w)
{
    server(w, 2)->srvr.mode = ZKP_MODE_FOLLOWER;
}
static void follows_again(struct world *w)
{
    follows(w);
    server(w, 2)->health = MIG_HEALTH_SERVING;
    server(w, 2)->srvr.zxid = server(w, 1)->srvr.zxid;
}
static void keeper(struct world *w)
{
    version(w, 2, "v23.3.1.2823");
    server(w, 2)->srvr.is_keeper = true;
}
static void no_version(struct world *w)
{
    version(w, 2, "unknown");
}
static void is_34(struct world *w)
{
    versions(w, "3.4.14");
}
static void is_354(struct world *w)
{
    versions(w, "3.5.4");
}
static void is_385(struct world *w)
{
    versions(w, "3.8.5");
}
static void is_391(struct world *w)
{
    versions(w, "3.9.1");
}
static void is_393(struct world *w)
{
    versions(w, "3.9.3");
}
static void is_394(struct world *w)
{
    versions(w, "3.9.4");
}
static void standalone(struct world *w)
{
    server(w, 1)->srvr.mode = ZKP_MODE_STANDALONE;
}
static void target_standalone(struct world *w)
{
    server(w, 4)->srvr.mode = ZKP_MODE_STANDALONE;
}
static void target_other_history(struct world *w)
{
    server(w, 4)->srvr.zxid = 0x700000001;
}
static void target_fresh(struct world *w)
{
    server(w, 4)->srvr.zxid = 0;
}
static void two_lead(struct world *w)
{
    server(w, 2)->srvr.mode = ZKP_MODE_LEADER;
    server(w, 2)->srvr.zxid = 0x100000000;
    server(w, 3)->srvr.zxid = 0x200000000;
    w->sim->facts.servers[0].srvr.zxid = 0x200000000;
    for (int32_t id = 4; id <= 6; id++)
        server(w, id)->srvr.zxid = 0x200000000;
    server(w, 2)->mntr.synced_followers = 0;
}
static void one_led_before(struct world *w)
{
    two_lead(w);
    server(w, 2)->srvr_at_ms--;
}
static void zxid_high(struct world *w)
{
    server(w, 1)->srvr.zxid = 0x1e6666667;
}
static void zxid_below(struct world *w)
{
    server(w, 1)->srvr.zxid = 0x1e6666666;
}
static void other_id(struct world *w)
{
    conf_of(w, 2)->server_id = 7;
}
static void own_id(struct world *w)
{
    conf_of(w, 2)->server_id = 2;
}
static void big_id(struct world *w)
{
    server(w, 6)->id = 255;
    conf_of(w, 6)->server_id = 255;
}
/* With one that runs already no server of the ensemble can have extended types, and so no TTL nodes. */
static void big_id_of_both(struct world *w)
{
    big_id(w);
    server(w, 1)->id = 300;
    conf_of(w, 1)->server_id = 300;
}
static void biggest_id(struct world *w)
{
    server(w, 6)->id = 254;
    conf_of(w, 6)->server_id = 254;
}
static void other_maximum(struct world *w)
{
    conf_of(w, 5)->max_session_timeout_ms = 20000;
}
static void other_tick(struct world *w)
{
    conf_of(w, 5)->tick_time_ms = 1000;
}
static void other_sync_limit(struct world *w)
{
    conf_of(w, 5)->sync_limit = 7;
}
static void init_limit(struct world *w, int32_t ticks)
{
    for (int32_t id = 1; id <= 6; id++)
        conf_of(w, id)->init_limit = ticks;
    server(w, 3)->mntr.data_size = 1000000000; /* 20 s to a joiner */
}
static void init_limit_short(struct world *w)
{
    init_limit(w, 9);
}
static void init_limit_right(struct world *w)
{
    init_limit(w, 10);
}
static void sync_limit(struct world *w, int32_t tick_ms)
{
    for (int32_t id = 1; id <= 6; id++) {
        conf_of(w, id)->tick_time_ms = tick_ms;
        conf_of(w, id)->sync_limit = 5;
    }
}
static void sync_limit_short(struct world *w)
{
    sync_limit(w, 199);
}
static void sync_limit_right(struct world *w)
{
    sync_limit(w, 200);
}
static void inactive(struct world *w)
{
    conf_of(w, 2)->membership.version--;
}
static void inactive_members(struct world *w)
{
    mig_config_remove(&conf_of(w, 2)->membership, 1);
}
static void active(struct world *w)
{
    conf_of(w, 2)->membership = w->sim->config;
}
static void unversioned(struct world *w)
{
    conf_of(w, 2)->membership.has_version = false;
}
static void conf_hidden(struct world *w)
{
    server(w, 2)->conf = NULL;
    server(w, 2)->conf_seen = MIG_SEEN_NOT_ALLOWED;
}
static void mntr_hidden(struct world *w)
{
    server(w, 2)->mntr_seen = MIG_SEEN_NOT_ALLOWED;
}
static void mntr_shown(struct world *w)
{
    server(w, 2)->mntr_seen = MIG_SEEN_DATA;
}
static void wildcard(struct world *w)
{
    strcpy(line(w, 4)->addresses[0].host, "0.0.0.0");
}
static void wildcard_client(struct world *w)
{
    strcpy(line(w, 4)->client_host, "0.0.0.0");
}
static void no_client_host(struct world *w)
{
    line(w, 4)->client_host[0] = '\0'; /* only a port: the quorum host */
}
static struct zkp_server *member(struct world *w, int32_t id)
{
    for (uint32_t i = 0; i < w->sim->config.server_count; i++)
        if (w->sim->config.servers[i].id == id)
            return &w->sim->config.servers[i];
    return NULL;
}
static void no_client_part(struct world *w)
{
    member(w, 1)->client_port = 0;
    member(w, 1)->client_host[0] = '\0';
}
static void a_client_part(struct world *w)
{
    *member(w, 1) = *line(w, 1);
}
static void two_addresses(struct world *w)
{
    line(w, 4)->address_count = 2;
    line(w, 4)->addresses[1] = line(w, 4)->addresses[0];
    line(w, 4)->addresses[1].quorum_port++;
}
static void two_addresses_and_35(struct world *w)
{
    all_of_35(w);
    two_addresses(w);
}
static void jute_hidden(struct world *w)
{
    server(w, 2)->properties_seen = MIG_SEEN_NOT_ALLOWED;
}
static void jute_shown(struct world *w)
{
    server(w, 2)->properties_seen = MIG_SEEN_DATA;
}
static void jute_of_a_target_low(struct world *w)
{
    for (int32_t id = 1; id <= 6; id++)
        server(w, id)->jute_max_bytes = id == 5 ? 0xfffff : 4 * 1024 * 1024;
}
static void jute_everywhere(struct world *w)
{
    server(w, 5)->jute_max_bytes = 4 * 1024 * 1024;
}
static void our_limit_low(struct world *w)
{
    w->sim->facts.request_max_bytes = 0xffffe;
}
static void our_limit_theirs(struct world *w)
{
    w->sim->facts.request_max_bytes = 0xfffff;
}
static void whole_limit_low(struct world *w)
{
    for (int32_t id = 1; id <= 6; id++)
        server(w, id)->jute_max_bytes = 4 * 1024 * 1024 + 1;
}
static void whole_limit_theirs(struct world *w)
{
    w->sim->facts.whole_max_bytes = 4 * 1024 * 1024 + 1;
}
static void by_name(struct world *w)
{
    strcpy(line(w, 4)->addresses[0].host, "zk4.example.org");
}
static void by_ipv6(struct world *w)
{
    strcpy(line(w, 4)->addresses[0].host, "2001:db8::4");
}
static void unresolved(struct world *w, int32_t id)
{
    survey(w)->unresolved_count = 1;
    survey(w)->unresolved[0].server = id;
    strcpy(survey(w)->unresolved[0].host, "zk4.example.org");
}
static void name_unresolved(struct world *w)
{
    unresolved(w, 4);
}
static void name_of_a_former_server(struct world *w)
{
    unresolved(w, 9);
}
static void unreached(struct world *w, int32_t id)
{
    survey(w)->unreached_count = 1;
    survey(w)->unreached[0] = (struct mig_unreached){id, "10.0.0.77", "No route to host"};
}
static void bind_unreached(struct world *w)
{
    unreached(w, 4);
}
static void bind_unreached_of_a_former_server(struct world *w)
{
    unreached(w, 9);
}
static void hook_unrunnable(struct world *w)
{
    strcpy(survey(w)->programs, "hooks.stop: /opt/stop: is not there");
}
static void hooks_runnable(struct world *w)
{
    survey(w)->programs[0] = '\0';
}
static void source_observes(struct world *w)
{
    line(w, 1)->role = ZKP_ROLE_OBSERVER;
}
static void target_observes(struct world *w)
{
    line(w, 4)->role = ZKP_ROLE_OBSERVER;
}
static void no_counts(struct world *w)
{
    server(w, 2)->mntr.znode_count = server(w, 2)->mntr.data_size = -1;
    server(w, 2)->mntr.synced_followers = -1; /* only a leader has it */
}
static void no_followers_shown(struct world *w)
{
    server(w, 3)->mntr.synced_followers = -1;
}
static void counts_shown(struct world *w)
{
    server(w, 2)->mntr.znode_count = 0;
}
static void strangers(struct world *w)
{
    server(w, 1)->strangers = 2;
}
static void strangers_where_it_stays(struct world *w)
{
    server(w, 4)->strangers = 2;
}
static void local_sessions(struct world *w)
{
    server(w, 1)->mntr.local_sessions = 1;
}
static void no_local_sessions(struct world *w)
{
    server(w, 1)->mntr.local_sessions = 0;
}
static void compared(struct world *w, enum mig_doubt_state verdict)
{
    server(w, 1)->mntr.digest_mismatches = 1;
    mig_doubt_begin(&w->probes.doubts, server(w, 1), w->sim->facts.now_ms)->verdict = verdict;
}
static void digests_differ(struct world *w)
{
    compared(w, MIG_DOUBT_DIFFERENT);
}
static void digests_not_compared(struct world *w)
{
    compared(w, MIG_DOUBT_NOT_COMPARED);
}
static void digests_grow(struct world *w)
{
    compared(w, MIG_DOUBT_EQUAL);
    server(w, 1)->mntr.digest_mismatches = 2;
    mig_doubt_begin(&w->probes.doubts, server(w, 1), w->sim->facts.now_ms)->verdict = MIG_DOUBT_EQUAL;
    server(w, 1)->mntr.digest_mismatches = 3;
}
static void digests_equal(struct world *w)
{
    compared(w, MIG_DOUBT_EQUAL);
}
static void digests_open(struct world *w)
{
    server(w, 1)->mntr.digest_mismatches = 1;
}
static void digests_not_told(struct world *w)
{
    server(w, 1)->mntr.digest_mismatches = -1;
}
static void digests_of_joiner(struct world *w)
{
    server(w, 4)->mntr.digest_mismatches = 1;
}
static void no_digests(struct world *w)
{
    server(w, 1)->mntr.digest_mismatches = 0;
}
static void joins_under_writes(struct world *w)
{
    strcpy(server(w, 4)->srvr.version, "3.9.2");
    w->probes.writes_per_s = 600;
}
static void joins_under_no_writes(struct world *w)
{
    joins_under_writes(w);
    w->probes.writes_per_s = 0;
}
static void joins_and_proves(struct world *w)
{
    joins_under_writes(w);
    w->plan.prove_joiners = true;
}

/* --- the table --- */

static const struct {
    const char *ids; /* all findings, in the order of the ids */
    change *fault;
    change *neighbour; /* has none of them */
} rows[] = {
    {"config-unknown", no_config, a_config},
    {"members-differ", source_gone, a_config},
    {"hierarchical", groups, a_config},
    {"reconfig-inactive", version_zero, a_config},
    {"no-leader server-not-serving-1 server-not-serving-2 server-not-serving-3", none_serves,
     leader_with_one_follower},
    {"leader-unseen", leader_silent, leader_with_one_follower},
    {"leader-unseen server-not-serving-2 server-not-serving-3", two_are_silent, leader_with_one_follower},
    {"leader-unseen-3", leader_serves_nobody, leader_with_one_follower},
    {"leader-unseen-3", leader_out_of_reach, leader_with_one_follower},
    {"leader-unseen-3", leader_without_followers, leader_with_one_follower},
    {"credentials-missing", no_credentials, enabled},
    {"super-wrong", not_super, enabled},
    {"super-unknown", super_not_asked, enabled},
    {"reconfig-disabled-3", disabled, enabled},
    {"reconfig-unknown-3", in_progress, enabled},
    {"plan-lock-held", lock_of_others, lock_of_ours},
    {"plan-lock-held", lock_refused, lock_of_ours},
    {"voters-few", one_at_the_end, enabled},
    {"tolerance-lost", two_at_the_end, enabled},
    {"tolerance-lost", observer_at_the_end, enabled},
    {"voters-even", four_at_the_end, enabled},
    {"members-differ restart-costs-quorum voters-even", restarts_of_two, restarts_of_three},
    {"connections-few", connections_too_few, connections_just_enough},
    {"connections-maybe-few", limit_not_known, connections_just_enough},
    {"servers-drained", some_drained, none_drained},
    {"address-clash-5", same_port, same_port_of_another_host},
    {"version-note-1 version-old-1 versions-mixed", mixed, is_394},
    {"leader-change-slow", slow_leader_change, quick_leader_change},
    {"leader-change-slow", slow_leader_change, slow_but_patient},
    {"timeouts-clamped-4 timeouts-clamped-5 timeouts-clamped-6", timeout_below_minimum, timeouts_inside},
    {"timeouts-clamped-4 timeouts-clamped-5 timeouts-clamped-6", timeout_above_maximum, timeouts_inside},
    {"ip-acls", ip_acl, plain_node},
    {"extended-types", takes_ttl, takes_no_ttl},
    {"not-sampled", not_looked, plain_node},
    {"not-sampled", looked_in_vain, plain_node},
    {"config-world-writable", open_config, closed_config},
    {"skip-acl", skip_acl, closed_config},
    {"config-node-passed", guard_off, guard_on},
    {"jute-maxbuffer-unknown", jute_hidden, jute_shown},
    {"jute-maxbuffer-differs-5", jute_of_a_target_low, jute_everywhere},
    {"request-limit-low", our_limit_low, our_limit_theirs},
    {"whole-limit-low", whole_limit_low, whole_limit_theirs},
    {"server-down-2", source_down, source_back},
    {"server-down-2", source_not_probed, source_back},
    {"server-not-serving-2", source_not_serving, source_back},
    {"leaving-server-down-1", replaced_down, replaced_up},
    {"target-not-started-5", target_down, enabled},
    {"srvr-not-allowed-2", srvr_hidden, source_back},
    {"server-full-2", full, source_back},
    {"server-is-a-proxy-2", proxied, follows_again},
    {"server-not-asked-2", unasked, asked},
    {"server-read-only-2", read_only, follows},
    {"foreign-keeper-2", keeper, is_394},
    {"version-unknown-2", no_version, is_394},
    {"version-refused-1 version-refused-2 version-refused-3 version-refused-4 version-refused-5 "
     "version-refused-6",
     is_34, is_394},
    {"version-refused-1 version-refused-2 version-refused-3 version-refused-4 version-refused-5 "
     "version-refused-6",
     is_354, is_385},
    {"version-note-1 version-note-2 version-note-3 version-note-4 version-note-5 version-note-6 "
     "version-old-1 version-old-2 version-old-3 version-old-4 version-old-5 version-old-6",
     is_391, is_394},
    {"version-note-1 version-note-2 version-note-3 version-note-4 version-note-5 version-note-6", is_393,
     is_394},
    {"standalone-1", standalone, enabled},
    {"target-own-ensemble-4", target_standalone, target_fresh},
    {"target-own-ensemble-4", target_other_history, target_fresh},
    {"second-leader-2", two_lead, one_led_before},
    {"zxid-nearly-full-1", zxid_high, zxid_below},
    {"id-mismatch-2", other_id, own_id},
    {"id-too-big-255", big_id, biggest_id},
    {"id-too-big-255", big_id, big_id_of_both},
    {"timeouts-differ-5", other_maximum, own_id},
    {"tick-differs-5", other_tick, own_id},
    {"tick-differs-5", other_sync_limit, own_id},
    {"init-limit-short-1 init-limit-short-2 init-limit-short-3 init-limit-short-4 init-limit-short-5 "
     "init-limit-short-6",
     init_limit_short, init_limit_right},
    {"sync-limit-short-1 sync-limit-short-2 sync-limit-short-3 sync-limit-short-4 sync-limit-short-5 "
     "sync-limit-short-6",
     sync_limit_short, sync_limit_right},
    {"reconfig-inactive-2", inactive, active},
    {"reconfig-inactive-2", inactive_members, active},
    {"activation-unversioned-2", unversioned, active},
    {"activation-unobservable-2", conf_hidden, active},
    {"mntr-not-allowed-2", mntr_hidden, mntr_shown},
    {"wildcard-address-4", wildcard, by_ipv6},
    {"wildcard-client-4", wildcard_client, no_client_host},
    {"client-part-missing-1", no_client_part, a_client_part},
    {"multi-address-4", two_addresses, enabled},
    {"multi-address-refused-4 version-note-1 version-note-2 version-note-3 version-note-4 version-note-5 "
     "version-note-6 version-old-1 version-old-2 version-old-3 version-old-4 version-old-5 version-old-6",
     two_addresses_and_35, is_394},
    {"address-by-name-4", by_name, by_ipv6},
    {"name-unresolved-4", name_unresolved, name_of_a_former_server},
    {"bind-unreached-4", bind_unreached, bind_unreached_of_a_former_server},
    {"hook-unrunnable", hook_unrunnable, hooks_runnable},
    {"figures-not-shown-2", no_counts, counts_shown},
    {"figures-not-shown-3", no_followers_shown, counts_shown},
    {"observer-1", source_observes, enabled},
    {"target-observer-4", target_observes, enabled},
    {"direct-clients-1", strangers, strangers_where_it_stays},
    {"local-sessions-1", local_sessions, no_local_sessions},
    {"digest-mismatch-1", digests_differ, digests_open},
    {"digest-mismatch-1", digests_not_compared, digests_equal},
    {"digest-mismatch-1", digests_grow, digests_equal},
    {"digest-equal-1", digests_equal, digests_differ},
    {"digest-not-compared-1", digests_open, no_digests},
    {"digest-not-compared-1", digests_not_told, no_digests},
    {"digest-not-compared-4", digests_of_joiner, no_digests},
    {"join-under-writes-4 version-note-4 version-old-4", joins_under_writes, joins_under_no_writes},
    {"join-under-writes-4 version-note-4 version-old-4", joins_under_writes, joins_and_proves},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* --- the tests --- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct mig_finding *)a)->id, ((const struct mig_finding *)b)->id);
}

static void ids_found(struct world *w, char *buf, size_t capacity)
{
    judge(w);
    qsort(w->findings.items, w->findings.count, sizeof(w->findings.items[0]), by_id);
    buf[0] = '\0';
    for (uint32_t i = 0; i < w->findings.count; i++) {
        const struct mig_finding *finding = &w->findings.items[i];
        size_t length = strlen(buf);
        assert_true(finding->seen[0] != '\0' && finding->why[0] != '\0' && finding->todo[0] != '\0');
        snprintf(buf + length, capacity - length, "%s%s", length > 0 ? " " : "", finding->id);
    }
}

static void in_new_world(change *what, char *buf, size_t capacity)
{
    void *state;
    assert_int_equal(setup(&state), 0);
    what(state);
    ids_found(state, buf, capacity);
    assert_int_equal(teardown(&state), 0);
}

/* The rows' first id names the rule that is meant. */
static void first_id(const char *ids, char *buf, size_t capacity)
{
    snprintf(buf, capacity, "%.*s", (int)strcspn(ids, " "), ids);
}

static void each_fault_gives_its_finding(void **state)
{
    (void)state;
    char found[1024];
    for (size_t i = 0; i < ROWS; i++) {
        in_new_world(rows[i].fault, found, sizeof(found));
        assert_string_equal(found, rows[i].ids);
    }
}

static void its_neighbour_does_not(void **state)
{
    (void)state;
    char found[1024];
    char id[MIG_FINDING_ID_MAX];
    for (size_t i = 0; i < ROWS; i++) {
        in_new_world(rows[i].neighbour, found, sizeof(found));
        first_id(rows[i].ids, id, sizeof(id));
        if (mig_pitfalls_name(found, id)) /* a list of words like any other */
            fail_msg("the neighbour of %s gives %s", id, found);
    }
}

/* "server-down" of "server-down-2" in a list of ids. */
static bool names_rule(const char *ids, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = ids; at != NULL; at = strchr(at, ' ') != NULL ? strchr(at, ' ') + 1 : NULL) {
        const char *rest = at + length;
        bool is_rule = strncmp(at, name, length) == 0;
        if (is_rule && (*rest == '\0' || *rest == ' ' || (*rest == '-' && rest[1] >= '0' && rest[1] <= '9')))
            return true;
    }
    return false;
}

static void every_rule_has_a_row(void **state)
{
    (void)state;
    for (int rule = 0; rule < MIG_RULE_COUNT; rule++) {
        const char *name = mig_rule_row((enum mig_rule)rule)->name;
        bool has_row = false;
        for (size_t i = 0; i < ROWS; i++)
            has_row = has_row || names_rule(rows[i].ids, name);
        if (!has_row)
            fail_msg("rule %s has no row", name);
    }
}

/* P1 to P47: a rule, or a word about where else it is taken care of; not both. */
static void every_pitfall_is_answered(void **state)
{
    (void)state;
    for (int number = 1; number <= 47; number++) {
        char pitfall[8];
        uint32_t rules = 0;
        uint32_t elsewhere = 0;
        snprintf(pitfall, sizeof(pitfall), "P%d", number);
        for (int rule = 0; rule < MIG_RULE_COUNT; rule++)
            rules += mig_pitfalls_name(mig_rule_row((enum mig_rule)rule)->pitfalls, pitfall);
        for (const struct mig_pitfall_elsewhere *at = mig_pitfalls_elsewhere; at->pitfall != NULL; at++)
            elsewhere += strcmp(at->pitfall, pitfall) == 0;
        if ((rules > 0) == (elsewhere > 0))
            fail_msg("%s: %u rules, %u notes", pitfall, rules, elsewhere);
    }
}

/* Faults of a version: which ones, and up to where. */
static void faults_of_versions(void **state)
{
    struct world *w = *state;
    const struct {
        const char *version;
        const char *has;
        const char *has_not;
    } texts[] = {
        {"3.4.14", "knows no reconfig", "2172"},
        {"3.5.0", "2212", "knows no reconfig"},
        {"3.5.4", "2778", "2212"},
        {"3.5.7", "3769", "3644"},
        {"3.5.9", "3642", "3829"},
        {"3.6.1", "3829", "3769"},
        {"3.8.4", "4785", "3642"},
        {"3.8.5", "4394", "4785"},
        {"3.9.1", "4785", "3829"},
        {"3.9.2", "4394", "4785"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        version(w, 1, texts[i].version);
        judge(w);
        assert_true(w->findings.count > 0);
        const struct mig_finding *worst = &w->findings.items[0];
        for (uint32_t k = 0; k < w->findings.count && worst->server != 1; k++)
            worst = &w->findings.items[k];
        assert_non_null(strstr(worst->seen, texts[i].has));
        assert_null(strstr(worst->seen, texts[i].has_not));
        assert_non_null(strstr(worst->seen, texts[i].version));
    }
}

/* By the slower of bytes and nodes, of the server that has most; sessions on top. */
static void estimates(void **state)
{
    struct world *w = *state;
    struct mig_facts *facts = &w->sim->facts;
    for (int32_t id = 1; id <= 6; id++)
        server(w, id)->mntr_seen = MIG_SEEN_NOT_ALLOWED;
    facts->sessions.total = 0;
    assert_int_equal(mig_estimate_snapshot_ms(facts), -1);
    assert_int_equal(mig_estimate_sync_ms(facts), -1);
    assert_int_equal(mig_estimate_leader_change_ms(facts), 250);
    server(w, 3)->mntr_seen = MIG_SEEN_DATA;
    server(w, 3)->mntr.data_size = 300000000;
    server(w, 3)->mntr.znode_count = 1000;
    assert_int_equal(mig_estimate_snapshot_ms(facts), 2400);
    assert_int_equal(mig_estimate_sync_ms(facts), 6000);
    server(w, 3)->mntr.znode_count = 1000000;
    assert_int_equal(mig_estimate_snapshot_ms(facts), 8000);
    facts->sessions.total = 9000;
    assert_int_equal(mig_estimate_leader_change_ms(facts), 250 + 8000 + 2250);
}

static void a_misspelt_name_accepts_nothing(void **state)
{
    (void)state;
    assert_true(mig_accept_is_known("server-down"));
    assert_true(mig_accept_is_known("server-down-2"));
    assert_true(mig_accept_is_known("P28"));
    assert_true(mig_accept_is_known("stragglers-12"));
    assert_true(mig_accept_is_known("data-not-compared"));
    assert_false(mig_accept_is_known("server-down-"));
    assert_false(mig_accept_is_known("server-dow"));
    assert_false(mig_accept_is_known("server-down-2a"));
    assert_false(mig_accept_is_known("P2 P28"));
    assert_false(mig_accept_is_known("P99"));
    assert_false(mig_accept_is_known("2"));
    assert_false(mig_accept_is_known(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_gives_its_finding),
        cmocka_unit_test(its_neighbour_does_not),
        cmocka_unit_test(every_rule_has_a_row),
        cmocka_unit_test(every_pitfall_is_answered),
        cmocka_unit_test(a_misspelt_name_accepts_nothing),
        cmocka_unit_test_setup_teardown(faults_of_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(estimates, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
