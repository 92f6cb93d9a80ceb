/* Preflight rules about one server as it answers; targets are looked at again when they appear. */
#include "migrate/preflight/preflight_int.h"
#include "migrate/text.h"

#define ZXID_COUNTER_WARN 0xe6666666u /* 90 % of the 32 bits after which an election is forced */

/* By the operator, one by one; in a migration all sources leave, and one that is down is not meant by that.
 */
static bool is_named_to_leave(const struct rules *r, int32_t id)
{
    return r->plan->kind != CONF_KIND_MIGRATE && mig_plan_leaves(r->plan, id);
}

static void check_target(struct rules *r, const struct mig_server_facts *server)
{
    if (server->health != MIG_HEALTH_SERVING)
        rules_add(r, MIG_RULE_TARGET_NOT_STARTED, server->id, "%s", mig_health_name(server->health));
}

static void check_source(struct rules *r, const struct mig_server_facts *server)
{
    if (server->id == r->unseen_leader)
        return; /* rules_ensemble has told: it is well, and leads */
    if (server->health == MIG_HEALTH_DOWN && is_named_to_leave(r, server->id))
        rules_add(r, MIG_RULE_LEAVING_SERVER_DOWN, server->id, "down: %s", server->health_reason);
    else if (server->health == MIG_HEALTH_NOT_SERVING)
        rules_add(r, MIG_RULE_SERVER_NOT_SERVING, server->id, "answers, but serves no requests");
    else if (server->health == MIG_HEALTH_DOWN || server->health == MIG_HEALTH_UNKNOWN)
        rules_add(r, MIG_RULE_SERVER_DOWN, server->id, "%s: %s", mig_health_name(server->health),
                  server->health_reason);
}

static void check_answers(struct rules *r, const struct mig_server_facts *server)
{
    if (server->unasked[0] != '\0')
        rules_add(r, MIG_RULE_SERVER_UNASKED, server->id, "%s", server->unasked);
    else if (server->hides_srvr)
        rules_add(r, MIG_RULE_SRVR_HIDDEN, server->id,
                  "srvr is not in its whitelist, AdminServer does not answer");
    else if (server->health == MIG_HEALTH_PROXY)
        rules_add(r, MIG_RULE_SERVER_PROXY, server->id, "answers with %s", server->health_reason);
    else if (server->health == MIG_HEALTH_FULL)
        rules_add(r, MIG_RULE_SERVER_FULL, server->id, "closes new connections");
    else if (server->side == MIG_SIDE_TARGET)
        check_target(r, server);
    else
        check_source(r, server);
}

/* Two proven leaders cannot be; asked later than the proven one, this one still says that it leads. */
static bool is_second_leader(const struct rules *r, const struct mig_server_facts *server)
{
    return server->srvr.mode == ZKP_MODE_LEADER && r->leader.id >= 0 && server->id != r->leader.id &&
           server->srvr_at_ms >= r->leader.observed_at_ms;
}

static bool is_other_ensemble(const struct rules *r, const struct mig_server_facts *server)
{
    enum zkp_mode mode = server->srvr.mode;
    int64_t epoch = mig_zxid_epoch(server->srvr.zxid);
    bool is_other = r->leader.id >= 0 && epoch != 0 && epoch != r->leader.epoch;
    bool is_member = r->facts->config != NULL && zkp_config_find(r->facts->config, server->id) != NULL;
    return server->side == MIG_SIDE_TARGET && !is_member &&
           (mode == ZKP_MODE_LEADER || mode == ZKP_MODE_STANDALONE || is_other);
}

static void check_mode(struct rules *r, const struct mig_server_facts *server)
{
    enum zkp_mode mode = server->srvr.mode;
    if (server->side == MIG_SIDE_SOURCE && mode == ZKP_MODE_STANDALONE)
        rules_add(r, MIG_RULE_STANDALONE, server->id, "Mode: standalone");
    else if (is_other_ensemble(r, server))
        rules_add(r, MIG_RULE_TARGET_OWN_ENSEMBLE, server->id,
                  "Mode: %s, zxid 0x%llx, epoch of our leader %lld", zkp_mode_name(mode),
                  (unsigned long long)server->srvr.zxid, (long long)r->leader.epoch);
    else if (is_second_leader(r, server))
        rules_add(r, MIG_RULE_SECOND_LEADER, server->id, "servers %d and %d both say that they lead",
                  r->leader.id, server->id);
    else if (mode == ZKP_MODE_READ_ONLY)
        rules_add(r, MIG_RULE_SERVER_READ_ONLY, server->id, "Mode: read-only");
}

static void check_zxid(struct rules *r, const struct mig_server_facts *server)
{
    if (server->srvr.zxid > 0 && (server->srvr.zxid & 0xffffffff) > ZXID_COUNTER_WARN)
        rules_add(r, MIG_RULE_ZXID_NEARLY_FULL, server->id, "zxid 0x%llx",
                  (unsigned long long)server->srvr.zxid);
}

/* On a server that stays, clients around the proxy are nobody's trouble. */
static void check_clients(struct rules *r, const struct mig_server_facts *server)
{
    if (server->strangers > 0 && mig_plan_leaves(r->plan, server->id))
        rules_add(r, MIG_RULE_DIRECT_CLIENTS, server->id, "%lld connections that are not this proxy's",
                  (long long)server->strangers);
}

/* Those that gates and estimates read, where every version has them. */
static void check_figures(struct rules *r, const struct mig_server_facts *server)
{
    const struct {
        const char *name;
        bool is_missing;
    } figures[] = {
        {"znode_count", server->mntr.znode_count < 0},
        {"ephemerals_count", server->mntr.ephemerals_count < 0},
        {"approximate_data_size", server->mntr.data_size < 0},
        {"synced_followers", server->srvr.mode == ZKP_MODE_LEADER && server->mntr.synced_followers < 0},
    };
    char missing[128] = "";
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (figures[i].is_missing)
            mig_text_add(missing, sizeof(missing), "%s%s", missing[0] == '\0' ? "" : ", ", figures[i].name);
    if (missing[0] != '\0')
        rules_add(r, MIG_RULE_FIGURES_NOT_SHOWN, server->id, "its mntr has no number for %s", missing);
}

static void check_mntr(struct rules *r, const struct mig_server_facts *server)
{
    if (server->mntr_seen == MIG_SEEN_NOT_ALLOWED)
        rules_add(r, MIG_RULE_MNTR_NOT_ALLOWED, server->id,
                  "mntr is not in its whitelist, AdminServer does not answer");
    if (server->mntr_seen != MIG_SEEN_DATA)
        return;
    check_figures(r, server);
    if (server->mntr.local_sessions > 0)
        rules_add(r, MIG_RULE_LOCAL_SESSIONS, server->id, "%lld local sessions",
                  (long long)server->mntr.local_sessions);
}

/* Of a joiner the plan itself asks, when it is to be added. */
static void digests_of_joiner(struct rules *r, const struct mig_server_facts *server,
                              enum mig_doubt_state state, const char *seen)
{
    if (state != MIG_DOUBT_NONE)
        rules_add(r, MIG_RULE_DIGEST_OPEN, server->id, "%s; %s", seen,
                  state == MIG_DOUBT_EQUAL ? "its data was equal to the leader's when it was compared"
                                           : "its data is compared before it is added");
}

static void digests_of_member(struct rules *r, const struct mig_server_facts *server,
                              enum mig_doubt_state state, const char *seen)
{
    const struct mig_doubt *doubt = mig_doubt_find(&r->probes->doubts, server->id);
    const char *text = doubt != NULL ? doubt->text : "";
    if (state == MIG_DOUBT_EQUAL)
        rules_add(r, MIG_RULE_DIGEST_EQUAL, server->id, "%s; its data is equal to the leader's%s%.200s", seen,
                  text[0] != '\0' ? "; " : "", text);
    else if (state == MIG_DOUBT_DIFFERENT)
        rules_add(r, MIG_RULE_DIGEST_MISMATCH, server->id, "%s, and its data differs: %.300s", seen, text);
    else if (state == MIG_DOUBT_GROWS)
        rules_add(r, MIG_RULE_DIGEST_MISMATCH, server->id, "%s, and it counts more while it follows", seen);
    else if (state == MIG_DOUBT_NOT_COMPARED)
        rules_add(r, MIG_RULE_DIGEST_MISMATCH, server->id, "%s; its data could not be compared: %.300s", seen,
                  text);
    else if (state != MIG_DOUBT_NONE)
        rules_add(r, MIG_RULE_DIGEST_OPEN, server->id, "%s", seen);
}

/* Where mntr is not allowed, another finding says that this is not seen either. */
static void check_digests(struct rules *r, const struct mig_server_facts *server)
{
    if (r->probes == NULL || server->mntr_seen != MIG_SEEN_DATA)
        return;
    const struct zkp_config *config = r->facts->config;
    bool is_joiner =
        server->side == MIG_SIDE_TARGET && (config == NULL || zkp_config_find(config, server->id) == NULL);
    enum mig_doubt_state state = mig_doubt_of(&r->probes->doubts, server);
    char seen[64];
    mig_doubt_describe(server, seen, sizeof(seen));
    if (is_joiner)
        digests_of_joiner(r, server, state, seen);
    else
        digests_of_member(r, server, state, seen);
}

static void check_conf(struct rules *r, const struct mig_server_facts *server)
{
    if (server->conf != NULL)
        rules_conf(r, server);
    else if (!r->switches->no_activation_check)
        rules_add(r, MIG_RULE_ACTIVATION_UNOBSERVABLE, server->id, "%s",
                  server->conf_seen == MIG_SEEN_NOT_ALLOWED
                      ? "conf is not in its whitelist, AdminServer does not answer"
                      : "no answer to conf yet");
}

void rules_server(struct rules *r, const struct mig_server_facts *server)
{
    rules_address(r, server);
    check_answers(r, server);
    if (server->health != MIG_HEALTH_SERVING && server->health != MIG_HEALTH_FULL)
        return; /* what it said earlier is not what it is now */
    if (server->srvr_at_ms > 0) {
        rules_version(r, server);
        check_mode(r, server);
        check_zxid(r, server);
        check_clients(r, server);
    }
    check_conf(r, server);
    check_mntr(r, server);
    check_digests(r, server);
}
