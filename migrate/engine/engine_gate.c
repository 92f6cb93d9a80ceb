/* Conditions that a step waits for. Each answers from facts alone, asks for fresher ones when they are too
 * old, and says in run_wait what is missing. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/engine/unseen.h"
#include "migrate/text.h"
#include "zkproto/assert.h"
#include "zkproto/zkerr.h"

bool gate_confirm(struct run *r, enum mig_gate gate)
{
    if (engine_gate_is_open(r->e, gate))
        return true;
    char todo[128];
    mig_text_set(todo, sizeof(todo), "`zkferry confirm %s` goes on, `zkferry pause` does not lose anything",
                 mig_gate_name(gate));
    run_wait(r, todo, "confirmation of \"%s\"", mig_gate_name(gate));
    r->e->due_from_ms = r->f->now_ms; /* people have no deadline */
    return false;
}

void gate_wait_leader(struct run *r)
{
    char unseen[MIG_TEXT_MAX];
    mig_unseen_leader_text(r->f, r->config, unseen, sizeof(unseen));
    if (mig_facts_is_led(r->f))
        run_wait(r, "leaderServes=yes on every server, and its client port reachable from here",
                 "a leader that is seen to lead; %s", unseen);
    else
        run_wait(r, "see why the members do not form a quorum", "a leader that is proven to lead");
}

bool gate_leader(struct run *r)
{
    bool is_usable = r->leader.id >= 0 && r->e->barriered_epoch == r->leader.epoch;
    if (is_usable)
        return true;
    if (r->leader.id < 0)
        gate_wait_leader(r);
    else
        run_wait(r, "", "a committed transaction on the new leader, server %d", r->leader.id);
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

void gate_fail_foreign(struct run *r, const struct zkp_config *seen)
{
    char expected_ids[128];
    char seen_ids[128];
    char difference[192];
    mig_config_ids(&r->e->expected, expected_ids, sizeof(expected_ids));
    mig_config_ids(seen, seen_ids, sizeof(seen_ids));
    mig_config_difference(&r->e->expected, seen, difference, sizeof(difference));
    (void)engine_fail(r,
                      "the config was changed by somebody else: expected members %s with version %llx, "
                      "observed members %s with version %llx; %s",
                      expected_ids, (unsigned long long)r->e->expected.version, seen_ids,
                      (unsigned long long)seen->version,
                      difference[0] != '\0' ? difference : "the members are the same");
}

bool gate_config(struct run *r, bool *ret_is_foreign)
{
    const struct zkp_config *seen = r->f->config;
    const struct zkp_config *expected = &r->e->expected;
    bool is_stale =
        seen == NULL || r->f->config_at_ms < r->e->change.stage_since_ms || seen->version < expected->version;
    if (is_stale) {
        run_wait(r, "see that the admin session reaches a member", "a fresh read of /zookeeper/config");
        run_reprobe(r, MIG_PROBE_CONFIG);
        return false;
    }
    if (seen->version == expected->version && mig_same_members(seen, expected))
        return true;
    if (r->e->switches.no_foreign_gate) {
        engine_adopt(r->e, seen);
        return true;
    }
    gate_fail_foreign(r, seen);
    *ret_is_foreign = true;
    return false;
}

bool gate_probe(struct run *r, bool *ret_is_disabled)
{
    struct mig_engine *e = r->e;
    bool is_fresh = e->probes.reconfig_at_ms != 0 && e->probes.reconfig_via == r->leader.id &&
                    e->probes.reconfig_epoch == r->leader.epoch;
    if (is_fresh && e->probes.reconfig_err == ZKP_ERR_BAD_VERSION)
        return true;
    if (is_fresh && e->probes.reconfig_err == ZKP_ERR_RECONFIG_DISABLED) {
        (void)engine_fail(
            r, "the leader, server %d, has reconfigEnabled=false; set it to true there and restart it",
            r->leader.id);
        *ret_is_disabled = true;
        return false;
    }
    run_wait(r, "", "the answer of server %d to the harmless reconfig probe", r->leader.id);
    if (r->f->now_ms >= e->probe_retry_at_ms) {
        e->probe_retry_at_ms = r->f->now_ms + RETRY_MS;
        (void)run_ask(r, MIG_EFFECT_PROBE_RECONFIG, r->leader.id);
    }
    return false;
}

/* Live = could vote wrongly. A member that is down is the tolerance gate's business. */
static bool is_live(const struct run *r, const struct mig_server_facts *server)
{
    char id[MIG_FINDING_ID_MAX];
    mig_text_set(id, sizeof(id), "server-not-serving-%d", server->id);
    bool is_accepted =
        server->health == MIG_HEALTH_NOT_SERVING && mig_plan_accepts(&r->e->plan, "server-not-serving", id);
    return server->health != MIG_HEALTH_DOWN && !is_accepted;
}

static bool is_accepted_unseen(const struct run *r, int32_t id)
{
    char finding[MIG_FINDING_ID_MAX];
    mig_text_set(finding, sizeof(finding), "activation-unobservable-%d", id);
    return mig_plan_accepts(&r->e->plan, "activation-unobservable", finding);
}

/* Does this server count with the expected config? */
static bool uses_config(struct run *r, const struct mig_server_facts *server, int64_t since_ms)
{
    const struct zkp_config *expected = &r->e->expected;
    bool is_unseen = server->conf_seen == MIG_SEEN_NOT_ALLOWED;
    if (r->e->switches.no_activation_check || (is_unseen && is_accepted_unseen(r, server->id)))
        return true;
    if (is_unseen) {
        run_wait(r, "allow `conf` in 4lw.commands.whitelist or AdminServer on it",
                 "the member list server %d counts with; it does not show it", server->id);
        return false;
    }
    run_reprobe(r, MIG_PROBE_CONF);
    if (server->conf == NULL || server->conf_at_ms < since_ms) {
        run_wait(r, "see that the server answers", "a fresh `conf` of server %d", server->id);
        return false;
    }
    const struct zkp_config *used = &server->conf->membership;
    /* AdminServer shows no version; preflight has had that accepted. */
    bool is_version = !used->has_version || used->version == expected->version;
    if (server->conf->has_membership && is_version && mig_same_members(used, expected))
        return true;
    run_wait(r, "see reconfigEnabled=true on it; it must not be left out of step when others leave",
             "server %d to count with config version %llx; it counts with %llx", server->id,
             (unsigned long long)expected->version, (unsigned long long)used->version);
    return false;
}

static bool has_epoch(struct run *r, const struct mig_server_facts *server)
{
    if (mig_zxid_epoch(server->srvr.zxid) >= r->leader.epoch)
        return true;
    run_wait(r, "", "server %d to reach the leader's epoch %lld", server->id, (long long)r->leader.epoch);
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

static bool is_active(struct run *r, int32_t id, int64_t since_ms)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    if (server == NULL) {
        run_wait(r, "put the plan's servers back into the configuration file",
                 "server %d, which is not probed", id);
        return false;
    }
    return !is_live(r, server) || (uses_config(r, server, since_ms) && has_epoch(r, server));
}

bool gate_activation(struct run *r, int64_t since_ms, bool with_pending_targets)
{
    const struct mig_engine *e = r->e;
    for (uint32_t i = 0; i < e->expected.server_count; i++)
        if (!is_active(r, e->expected.servers[i].id, since_ms))
            return false;
    for (uint32_t i = 0; with_pending_targets && i < e->plan.targets.count; i++)
        if (!is_active(r, e->plan.targets.servers[i].id, since_ms))
            return false;
    return true;
}

bool gate_joiner(struct run *r, int32_t id, int64_t since_ms)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    const char *side = mig_servers_find(&r->e->plan.targets, id) != NULL ? "target" : "source";
    const char *start = "start it with the files of `zkferry joiner-config ID`";
    if (server == NULL)
        run_wait(r, "put the plan's servers back into the configuration file", "%s %d, which is not probed",
                 side, id);
    else if (server->health == MIG_HEALTH_NOT_SERVING)
        run_wait(r, "see its log; reconfigEnabled=true and the initial member list must be right on it",
                 "%s %d; it answers but does not serve, since %lld s", side, id,
                 (long long)((r->f->now_ms - server->health_since_ms) / 1000));
    else if (server->health != MIG_HEALTH_SERVING)
        run_wait(r, start, "%s %d to follow; it is %s (%s) since %lld s", side, id,
                 mig_health_name(server->health), server->health_reason,
                 (long long)((r->f->now_ms - server->health_since_ms) / 1000));
    else if (server->srvr_at_ms < since_ms)
        run_wait(r, "", "a fresh answer of %s %d", side, id);
    else if (server->srvr.mode != ZKP_MODE_FOLLOWER)
        run_wait(r, start, "%s %d to follow; its mode is %s", side, id, zkp_mode_name(server->srvr.mode));
    else if (mig_zxid_epoch(server->srvr.zxid) != r->leader.epoch)
        run_wait(r, "", "%s %d to reach the leader's epoch; its zxid is 0x%llx", side, id,
                 (unsigned long long)server->srvr.zxid);
    else
        return true;
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

/* 3.6+: the leader counts synced non-voting followers. Older ones do not, then each joiner's own srvr
 * decides. */
static bool leader_counts(struct run *r, int64_t pending, int64_t since_ms)
{
    const struct mig_server_facts *leader = mig_facts_server(r->f, r->leader.id);
    bool is_shown = leader != NULL && leader->mntr_seen == MIG_SEEN_DATA;
    if (leader != NULL && leader->mntr_seen == MIG_SEEN_UNKNOWN) {
        run_wait(r, "see that it answers `mntr`", "the leader to show how many synced joiners it counts");
        run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_MNTR);
        return false;
    }
    if (!is_shown || leader->mntr.synced_non_voting < 0)
        return true; /* each joiner has shown that it follows; preflight has told what is not shown */
    if (leader->mntr_at_ms >= since_ms && leader->mntr.synced_non_voting >= pending)
        return true;
    run_wait(r, "", "the leader to count %lld synced joiners; it counts %lld", (long long)pending,
             (long long)leader->mntr.synced_non_voting);
    run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_MNTR);
    return false;
}

static const struct mig_unreached *unreached_of(const struct run *r, int32_t id)
{
    for (uint32_t i = 0; i < r->f->survey.unreached_count; i++)
        if (r->f->survey.unreached[i].server == id)
            return &r->f->survey.unreached[i];
    return NULL;
}

/* Probes come from another address than sessions: that it serves says nothing of those of `bind`. */
static bool gate_reach(struct run *r, int32_t id)
{
    char finding[MIG_FINDING_ID_MAX];
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    const struct mig_unreached *unreached = unreached_of(r, id);
    bool is_tried = server != NULL && r->f->survey.asked_at_ms >= server->health_since_ms;
    mig_text_set(finding, sizeof(finding), "bind-unreached-%d", id);
    if (r->f->target_binds == 0 || mig_plan_accepts(&r->e->plan, "bind-unreached", finding))
        return true;
    if (is_tried && unreached == NULL)
        return true;
    if (is_tried)
        run_wait(r, "see that this host has the address, and that it can connect to the server's client port",
                 "a connection from %s to target %d: %s", unreached->from, id, unreached->why);
    else
        run_wait(r, "", "a connection from each address of bind.target to target %d", id);
    run_reprobe(r, MIG_PROBE_SURVEY);
    return false;
}

bool gate_all_joiners(struct run *r, int64_t since_ms)
{
    int64_t pending = 0;
    for (uint32_t i = 0; i < r->e->plan.targets.count && !r->e->switches.no_synced_gate; i++) {
        int32_t id = r->e->plan.targets.servers[i].id;
        if (zkp_config_find(&r->e->expected, id) != NULL)
            continue;
        pending++;
        if (!gate_joiner(r, id, since_ms) || !gate_doubt(r, id) || !gate_super(r, id) || !gate_reach(r, id))
            return false;
    }
    return leader_counts(r, pending, since_ms);
}

bool gate_restored(struct run *r, int32_t id, int64_t since_ms)
{
    return gate_joiner(r, id, since_ms) && is_active(r, id, since_ms) && gate_doubt(r, id);
}

bool gate_leaver(struct run *r, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    if (server != NULL && server->our_sessions == 0)
        return true;
    if (server == NULL)
        run_wait(r, "put the plan's servers back into the configuration file",
                 "server %d, which is not probed: whether sessions are on it is not known", id);
    else
        run_wait(r, "", "%lld sessions to leave server %d", (long long)server->our_sessions, id);
    return false;
}

bool server_is_synced(const struct mig_facts *f, int32_t id, const struct mig_leader *leader)
{
    const struct mig_server_facts *server = mig_facts_server(f, id);
    if (server == NULL || leader->id < 0 || !mig_server_is_serving(f, server, GATE_AGE_MAX_MS * 3))
        return false;
    bool is_part = server->srvr.mode == ZKP_MODE_LEADER || server->srvr.mode == ZKP_MODE_FOLLOWER;
    return is_part && mig_zxid_epoch(server->srvr.zxid) == leader->epoch;
}

static int32_t tolerates(int32_t voters, int32_t alive)
{
    int32_t spare = alive - (voters / 2 + 1);
    return spare >= 0 ? spare : -1;
}

struct mig_quorum quorum_of(const struct mig_facts *f, const struct zkp_config *config,
                            const struct mig_leader *leader)
{
    struct mig_quorum quorum = {.tolerates = -1};
    if (config == NULL)
        return quorum;
    for (uint32_t i = 0; i < config->server_count; i++) {
        if (config->servers[i].role != ZKP_ROLE_PARTICIPANT)
            continue;
        quorum.voters++;
        if (server_is_synced(f, config->servers[i].id, leader))
            quorum.alive++;
    }
    quorum.tolerates = tolerates(quorum.voters, quorum.alive);
    return quorum;
}

struct mig_quorum quorum_shown(const struct mig_facts *f, const struct zkp_config *config,
                               const struct mig_leader *leader)
{
    struct mig_quorum quorum = quorum_of(f, config, leader);
    int32_t followers = leader->id < 0 && config != NULL ? (int32_t)mig_unseen_followers(f, config) : 0;
    if (followers == 0)
        return quorum;
    quorum.alive = followers < quorum.voters ? followers + 1 : quorum.voters;
    quorum.tolerates = tolerates(quorum.voters, quorum.alive);
    return quorum;
}

struct mig_quorum mig_quorum_of(const struct mig_facts *facts)
{
    struct mig_leader leader = mig_facts_leader(facts, GATE_AGE_MAX_MS * 3);
    return quorum_shown(facts, facts->config, &leader);
}

struct mig_tolerance mig_tolerance_of(const struct mig_facts *facts, const struct zkp_config *now,
                                      const struct zkp_config *then, const struct mig_leader *leader)
{
    struct mig_tolerance t = {.now = quorum_of(facts, now, leader), .then = quorum_of(facts, then, leader)};
    int32_t wanted = t.now.tolerates < 1 ? t.now.tolerates : 1;
    t.is_kept = t.now.tolerates >= 0 && t.then.tolerates >= wanted;
    return t;
}

/* A joiner counts as alive: its own gate has seen that it follows. */
bool gate_tolerance(struct run *r)
{
    struct zkp_config then = r->e->expected;
    enum rc rc = change_apply(r->e, &then);
    ASSERT(rc == RC_OK); /* a plan has fewer servers than a config can */
    struct mig_tolerance t = mig_tolerance_of(r->f, &r->e->expected, &then, &r->leader);
    if (t.is_kept || r->e->switches.no_tolerance_gate)
        return true;
    run_wait(r, "bring the missing members back",
             "more members to be alive: %d of %d voters are, after this step %d failures would be tolerated",
             t.now.alive, t.now.voters, t.then.tolerates);
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

bool engine_has_all_targets(const struct mig_engine *e)
{
    for (uint32_t i = 0; i < e->plan.targets.count; i++)
        if (zkp_config_find(&e->expected, e->plan.targets.servers[i].id) == NULL)
            return false;
    return true;
}

/* On the way back the steps of the way there are history. */
static bool is_undone(const struct mig_engine *e, enum mig_step_kind kind, bool is_member)
{
    if (engine_goes_back(e))
        return (kind == MIG_DO_RESTORE && !is_member) || (kind == MIG_DO_WITHDRAW && is_member);
    return (kind == MIG_DO_ADD && !is_member) || (kind == MIG_DO_REMOVE && is_member);
}

void engine_adopt(struct mig_engine *e, const struct zkp_config *config)
{
    e->expected = *config;
    e->has_expected = true;
    for (uint32_t i = 0; i < e->steps.count; i++) {
        struct mig_step *step = &e->steps.items[i];
        bool is_member = step->server >= 0 && zkp_config_find(config, step->server) != NULL;
        bool is_over =
            step->state == MIG_STEP_DONE || (engine_goes_back(e) && step->state == MIG_STEP_SKIPPED);
        if (is_over && is_undone(e, step->kind, is_member))
            step->state = MIG_STEP_PENDING;
    }
}
