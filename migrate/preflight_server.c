/* Preflight rules about one server; targets are looked at again when they appear. The comment beside a rule
 * names the pitfall of facts/field.md it comes from. */
#include <string.h>

#include "migrate/preflight_int.h"

#define VERSION(major, minor, patch) ((major)*1000000LL + (minor)*1000LL + (patch))
#define ZXID_COUNTER_WARN            0xe6666666u /* 90 % of the 32 bits after which an election is forced (P29) */
#define ID_MAX                       254         /* extended types keep the id in one byte (P25) */

/* By the operator, one by one; in a migration all sources leave, and one that is down is not meant by that.
 */
static bool is_named_to_leave(const struct rules *r, int32_t id)
{
    return r->plan->kind != CONF_KIND_MIGRATE && mig_plan_leaves(r->plan, id);
}

static void check_answers(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule down = {
        "server-down", MIG_BLOCK, true, "with a member down a step may leave no failure tolerated",
        "start it; or accept this finding to go on with the members that are left"};
    static const struct rule silent = {
        "server-not-serving", MIG_BLOCK, true,
        "a server without quorum, still loading, or with leaderServes=no (P28)",
        "see its log; or accept this finding"};
    static const struct rule dead = {
        "leaving-server-down", MIG_WARN, false,
        "it leaves anyway; until its replacement is a member one failure less is tolerated",
        "nothing, when it is dead; do not start it again after the plan"};
    static const struct rule waits = {"target-not-started", MIG_INFO, false,
                                      "targets may be started during the plan",
                                      "`zkferry joiner-config ID` prints the files to start it with"};
    if (server->side == MIG_SIDE_TARGET) {
        if (server->health != MIG_HEALTH_SERVING)
            rules_add(r, &waits, server->id, "%s", mig_health_name(server->health));
    } else if (server->health == MIG_HEALTH_DOWN && is_named_to_leave(r, server->id)) {
        rules_add(r, &dead, server->id, "down: %s", server->health_reason);
    } else if (server->health == MIG_HEALTH_NOT_SERVING) {
        rules_add(r, &silent, server->id, "answers, but serves no requests");
    } else if (server->health != MIG_HEALTH_SERVING) {
        rules_add(r, &down, server->id, "%s: %s", mig_health_name(server->health), server->health_reason);
    }
}

static void check_version(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule unknown = {
        "version-unknown", MIG_BLOCK, true,
        "not ZooKeeper's version format: Keeper and others differ in reconfig",
        "only ZooKeeper >= 3.5.5 is supported"};
    static const struct rule refused = {"version-refused", MIG_BLOCK, false,
                                        "reconfig of these versions can deadlock or crash (P17, P21)",
                                        "upgrade to 3.5.9 or later first"};
    static const struct rule old = {"version-old", MIG_WARN, false,
                                    "known faults in membership changes and learner sync (P16, P18)",
                                    "prefer 3.5.9, 3.6.2 or later; 3.9.4 for targets"};
    static const struct rule check = {
        "version-check-bug", MIG_INFO, false, "a bare `check` request corrupts this version's data (P18)",
        "the proxy refuses that request; clients that go around it can still send it"};
    int64_t version = zkp_version_number(server->srvr.version);
    if (version < 0)
        rules_add(r, &unknown, server->id, "version \"%s\"", server->srvr.version);
    else if (version < VERSION(3, 5, 5))
        rules_add(r, &refused, server->id, "version %s", server->srvr.version);
    else if (version < VERSION(3, 5, 9) || (version >= VERSION(3, 6, 0) && version < VERSION(3, 6, 2)))
        rules_add(r, &old, server->id, "version %s", server->srvr.version);
    bool has_check_bug =
        version < VERSION(3, 8, 5) || (version >= VERSION(3, 9, 0) && version < VERSION(3, 9, 3));
    if (version >= VERSION(3, 5, 5) && has_check_bug)
        rules_add(r, &check, server->id, "version %s", server->srvr.version);
}

static void check_mode(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule standalone = {
        "standalone", MIG_BLOCK, false, "a standalone server has no quorum to grow (P9)",
        "turn it into a one-server quorum (standaloneEnabled=false) first"};
    static const struct rule own = {"target-own-ensemble", MIG_BLOCK, false,
                                    "a target with its own ensemble or data is another history (P3)",
                                    "stop it, empty its dataDir, start it with `zkferry joiner-config ID`"};
    enum zkp_mode mode = server->srvr.mode;
    int64_t epoch = mig_zxid_epoch(server->srvr.zxid);
    bool is_other = r->leader.id >= 0 && epoch != 0 && epoch != r->leader.epoch;
    bool is_member = r->facts->config != NULL && zkp_config_find(r->facts->config, server->id) != NULL;
    if (server->side == MIG_SIDE_SOURCE && mode == ZKP_MODE_STANDALONE)
        rules_add(r, &standalone, server->id, "Mode: standalone");
    else if (server->side == MIG_SIDE_TARGET && !is_member &&
             (mode == ZKP_MODE_LEADER || mode == ZKP_MODE_STANDALONE || is_other))
        rules_add(r, &own, server->id, "Mode: %s, zxid 0x%llx, epoch of our leader %lld", zkp_mode_name(mode),
                  (unsigned long long)server->srvr.zxid, (long long)r->leader.epoch);
}

static void check_zxid(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule full = {
        "zxid-nearly-full", MIG_WARN, false,
        "the leader steps down when the counter is full, in the middle of a plan (P29)",
        "restart the leader before the migration"};
    if (((uint64_t)server->srvr.zxid & 0xffffffffu) > ZXID_COUNTER_WARN)
        rules_add(r, &full, server->id, "zxid 0x%llx", (unsigned long long)server->srvr.zxid);
}

/* What the server counts with must be what /zookeeper/config shows, else removing the others splits the
 * brain (protocol.md, "Measured later"). */
static void check_activation(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule inactive = {
        "reconfig-inactive", MIG_BLOCK, false,
        "it still counts with another member list: split brain after a leader loss",
        "set reconfigEnabled=true on this server and restart it"};
    static const struct rule unversioned = {
        "activation-unversioned", MIG_BLOCK, true,
        "with reconfigEnabled=false it would show the same until the first change",
        "add conf to 4lw.commands.whitelist; or see that it has reconfigEnabled=true and accept this "
        "finding"};
    const struct zkp_config *config = r->facts->config;
    const struct zkp_config *used = &server->conf->membership;
    if (config == NULL || config->server_count == 0)
        return;
    if (!server->conf->has_membership)
        rules_add(r, &inactive, server->id, "its conf shows no membership");
    else if (used->has_version && used->version != config->version)
        rules_add(r, &inactive, server->id, "its conf shows version %llx, the config has %llx",
                  (unsigned long long)used->version, (unsigned long long)config->version);
    else if (!mig_same_members(used, config))
        rules_add(r, &inactive, server->id, "its conf shows other members than the config");
    else if (!used->has_version)
        rules_add(r, &unversioned, server->id, "AdminServer shows its members, not the config's version");
}

static const struct zkp_conf_answer *reference_conf(const struct rules *r)
{
    for (uint32_t i = 0; i < r->facts->server_count; i++)
        if (r->facts->servers[i].conf != NULL)
            return r->facts->servers[i].conf;
    return NULL;
}

static void check_conf(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule id = {"id-mismatch", MIG_BLOCK, false,
                                   "another server answers at this address, or myid is wrong (P25)",
                                   "correct the server line or its myid"};
    static const struct rule timeouts = {"timeouts-differ", MIG_WARN, false,
                                         "a session may get another timeout when it re-attaches",
                                         "give all servers the same tickTime, min- and maxSessionTimeout"};
    const struct zkp_conf_answer *reference = reference_conf(r);
    if (server->conf->server_id != server->id)
        rules_add(r, &id, server->id, "it says serverId=%d", server->conf->server_id);
    if (server->conf->min_session_timeout_ms != reference->min_session_timeout_ms ||
        server->conf->max_session_timeout_ms != reference->max_session_timeout_ms)
        rules_add(r, &timeouts, server->id, "%d..%d ms, server %d has %d..%d ms",
                  server->conf->min_session_timeout_ms, server->conf->max_session_timeout_ms,
                  reference->server_id, reference->min_session_timeout_ms, reference->max_session_timeout_ms);
    if (!r->switches->no_activation_check)
        check_activation(r, server);
}

static void check_words(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule unseen = {
        "activation-unobservable", MIG_BLOCK, true,
        "only `conf` or AdminServer show which members a server really counts with",
        "add conf to 4lw.commands.whitelist or open AdminServer; or accept this finding"};
    static const struct rule mntr = {"mntr-not-allowed", MIG_WARN, false,
                                     "the number of synced followers cannot be compared (P2)",
                                     "add mntr to 4lw.commands.whitelist or open AdminServer"};
    if (server->conf != NULL)
        check_conf(r, server);
    else if (!r->switches->no_activation_check)
        rules_add(r, &unseen, server->id, "%s",
                  server->conf_seen == MIG_SEEN_NOT_ALLOWED
                      ? "conf is not in its whitelist, AdminServer does not answer"
                      : "no answer to conf yet");
    if (server->mntr_seen == MIG_SEEN_NOT_ALLOWED)
        rules_add(r, &mntr, server->id, "mntr is not in its whitelist, AdminServer does not answer");
}

/* The written line, without any answer. */
static void check_spec(struct rules *r, const struct mig_server_facts *server)
{
    static const struct rule wildcard = {"wildcard-address", MIG_BLOCK, false,
                                         "other members cannot connect to a wildcard quorum address (P23)",
                                         "write the server's real address"};
    static const struct rule big = {
        "id-too-big", MIG_BLOCK, true, "TTL and container nodes need ids up to 254 (P25)",
        "give the server a smaller id; or accept when extendedTypesEnabled is never used"};
    for (uint32_t i = 0; i < server->spec->address_count; i++)
        if (zkp_host_is_wildcard(server->spec->addresses[i].host))
            rules_add(r, &wildcard, server->id, "quorum address %s", server->spec->addresses[i].host);
    if (server->id > ID_MAX)
        rules_add(r, &big, server->id, "id %d", server->id);
}

void rules_server(struct rules *r, const struct mig_server_facts *server)
{
    check_spec(r, server);
    check_answers(r, server);
    if (server->health != MIG_HEALTH_SERVING && server->health != MIG_HEALTH_FULL)
        return; /* what it said earlier is not what it is now */
    if (server->srvr_at_ms > 0) {
        check_version(r, server);
        check_mode(r, server);
        check_zxid(r, server);
    }
    check_words(r, server);
}
