/* Preflight rules about the ensemble as a whole. Each function is one rule or one family; the comment beside
 * a rule names the pitfall of facts/field.md it comes from. */
#include <string.h>

#include "migrate/preflight_int.h"
#include "migrate/text.h"
#include "zkproto/zkerr.h"

#define DEFAULT_MAX_CLIENT_CNXNS 60 /* ZooKeeper's default, per client address */
#define PROBE_CONNECTIONS        4  /* kept free per address for probes and the admin session */

static void check_credentials(struct rules *r)
{
    static const struct rule missing = {"credentials-missing", MIG_BLOCK, false,
                                        "reconfig needs ZooKeeper's super user (P7)",
                                        "set credentials.super_file and reload"};
    static const struct rule wrong = {
        "super-wrong", MIG_BLOCK, false, "reconfig would be refused with NO_AUTH (P7)",
        "correct the password in credentials.super_file, or superDigest on every server"};
    static const struct rule unknown = {"super-unknown", MIG_BLOCK, false,
                                        "whether the super password is right could not be tried",
                                        "see the findings about servers and leader, then ask again"};
    if (!r->facts->has_credentials)
        rules_add(r, &missing, -1, "no super user is configured");
    else if (r->probes->super_at_ms == 0)
        rules_add(r, &unknown, -1, "no answer to a super-only call yet");
    else if (!r->probes->is_super)
        rules_add(r, &wrong, -1, "a super-only call was refused with NO_AUTH");
}

static void check_reconfig(struct rules *r)
{
    static const struct rule disabled = {"reconfig-disabled", MIG_BLOCK, false,
                                         "members can only be changed with reconfigEnabled=true (P6)",
                                         "set reconfigEnabled=true on every server, restart them one by one"};
    static const struct rule unknown = {"reconfig-unknown", MIG_BLOCK, false,
                                        "whether the leader accepts reconfig is not known (P6)",
                                        "wait until the admin session reaches the leader, then ask again"};
    int32_t err = r->probes->reconfig_err;
    if (r->probes->reconfig_at_ms == 0)
        rules_add(r, &unknown, -1, "no answer to the harmless reconfig probe yet");
    else if (err == ZKP_ERR_RECONFIG_DISABLED || err == ZKP_ERR_UNIMPLEMENTED)
        rules_add(r, &disabled, r->probes->reconfig_via, "the leader answered the harmless probe with %s",
                  zkp_err_name(err));
    else if (err != ZKP_ERR_BAD_VERSION)
        rules_add(r, &unknown, r->probes->reconfig_via, "the leader answered the harmless probe with %s",
                  zkp_err_name(err));
}

static void describe_difference(const struct rules *r, char *buf, uint32_t capacity)
{
    (void)mig_plan_fits(r->plan, r->facts->config, buf, capacity);
    for (uint32_t i = 0; i < r->plan->sources.count; i++) {
        int32_t id = r->plan->sources.servers[i].id;
        if (zkp_config_find(r->facts->config, id) == NULL)
            mig_text_add(buf, capacity, "%sserver.%d is a source but not in the config",
                         buf[0] == '\0' ? "" : "; ", id);
    }
    for (uint32_t i = 0; i < r->plan->targets.count; i++) {
        int32_t id = r->plan->targets.servers[i].id;
        if (zkp_config_find(r->facts->config, id) != NULL)
            mig_text_add(buf, capacity, "%starget server.%d is in the config already",
                         buf[0] == '\0' ? "" : "; ", id);
    }
}

static void check_members(struct rules *r)
{
    static const struct rule differ = {
        "members-differ", MIG_BLOCK, false, "a plan starts from exactly the servers that are members now",
        "make `source` equal to the config's members (`target` to none), reload"};
    static const struct rule hierarchical = {"hierarchical", MIG_BLOCK, false,
                                             "incremental reconfig works with majority quorums only (P10)",
                                             "remove group and weight lines from the config first"};
    static const struct rule inactive = {"reconfig-inactive", MIG_BLOCK, false,
                                         "version 0 in a running quorum means reconfigEnabled=false (P6)",
                                         "set reconfigEnabled=true on every server, restart them one by one"};
    char difference[MIG_TEXT_MAX];
    describe_difference(r, difference, sizeof(difference));
    if (difference[0] != '\0')
        rules_add(r, &differ, -1, "%s", difference);
    if (r->facts->config->is_hierarchical)
        rules_add(r, &hierarchical, -1, "the config has group or weight lines");
    if (r->facts->config->version == 0)
        rules_add(r, &inactive, -1, "/zookeeper/config has version=0");
}

static void check_config(struct rules *r)
{
    static const struct rule unknown = {
        "config-unknown", MIG_BLOCK, false, "without the members nothing can be planned",
        "see that at least one source serves and its client port is reachable"};
    if (r->facts->config == NULL || r->facts->config->server_count == 0)
        rules_add(r, &unknown, -1, "/zookeeper/config could not be read, or is empty");
    else
        check_members(r);
}

static void check_leader(struct rules *r)
{
    static const struct rule none = {"no-leader", MIG_BLOCK, false,
                                     "every step needs a leader with a synced quorum",
                                     "see why the sources do not form a quorum"};
    if (r->leader.id < 0)
        rules_add(r, &none, -1, "no source is proven to lead");
}

static int32_t tolerated(uint32_t voters)
{
    return ((int32_t)voters - 1) / 2;
}

/* What is left at the end. A step that would tolerate less than before, and less than one, is never taken: a
 * plan that needs one would wait for it until its deadline. */
static void check_final_count(struct rules *r)
{
    static const struct rule few = {"voters-few", MIG_BLOCK, false,
                                    "ZooKeeper cannot shrink a quorum below two voters (P9)",
                                    "let at least two servers be members at the end, better three"};
    static const struct rule lost = {"tolerance-lost", MIG_BLOCK, false,
                                     "an ensemble that survives the loss of a server must still do so",
                                     "let at least three servers be members at the end"};
    static const struct rule weak = {
        "voters-even", MIG_WARN, false,
        "an even number of voters tolerates no more failures than one less (P20)",
        "let 3, 5 or 7 servers be members at the end"};
    uint32_t before = r->plan->sources.count;
    uint32_t after = mig_plan_final_count(r->plan);
    if (after < 2)
        rules_add(r, &few, -1, "%u voter at the end", after);
    else if (tolerated(before) > 0 && tolerated(after) == 0)
        rules_add(r, &lost, -1, "%u voters at the end tolerate no failure, %u do now", after, before);
    else if (after % 2 == 0)
        rules_add(r, &weak, -1, "%u voters at the end", after);
}

/* Sessions one server takes from all our addresses; -1 = no limit. */
static int64_t capacity_of(const struct rules *r, const struct mig_server_facts *server)
{
    int64_t limit = server->conf != NULL ? server->conf->max_client_cnxns : DEFAULT_MAX_CLIENT_CNXNS;
    bool is_target = server->side == MIG_SIDE_TARGET;
    int64_t binds = is_target ? r->facts->target_binds : r->facts->source_binds;
    binds = binds > 0 ? binds : 1;
    if (limit == 0)
        return -1;
    return limit > PROBE_CONNECTIONS ? (limit - PROBE_CONNECTIONS) * binds : 0;
}

/* One server less than there are: the migration must survive the loss of one. */
static void check_capacity(struct rules *r)
{
    static const struct rule small = {
        "connections-few", MIG_BLOCK, true,
        "all sessions come from the proxy's addresses; a full server refuses them",
        "set maxClientCnxns=0 on the servers that are members at the end, or give more addresses in bind"};
    static const struct rule maybe = {
        "connections-maybe-few", MIG_WARN, false,
        "the limit of a server that is a member at the end is not known; ZooKeeper's default is 60 per "
        "address",
        "set maxClientCnxns=0 on the servers that are members at the end, or give more addresses in bind"};
    int64_t total = 0;
    int64_t largest = 0;
    bool is_known = true;
    for (uint32_t i = 0; i < r->facts->server_count; i++) {
        const struct mig_server_facts *server = &r->facts->servers[i];
        if (mig_plan_leaves(r->plan, server->id))
            continue;
        int64_t capacity = capacity_of(r, server);
        if (capacity < 0)
            capacity = INT32_MAX;
        is_known = is_known && server->conf != NULL;
        total += capacity;
        largest = capacity > largest ? capacity : largest;
    }
    if (r->facts->sessions.total > total - largest)
        rules_add(r, is_known ? &small : &maybe, -1,
                  "%lld sessions, room for %lld on the members at the end with one of them missing",
                  (long long)r->facts->sessions.total, (long long)(total - largest));
}

static void check_drained(struct rules *r)
{
    static const struct rule drained = {"servers-drained", MIG_BLOCK, false,
                                        "a plan moves sessions by rules of its own; it and an operator's "
                                        "drain could leave them nowhere to go",
                                        "`zkferry undrain ID`"};
    char ids[128];
    mig_drained_ids(r->drained, ids, sizeof(ids));
    if (ids[0] != '\0')
        rules_add(r, &drained, -1, "drained: %s", ids);
}

void rules_ensemble(struct rules *r)
{
    check_config(r);
    check_leader(r);
    check_credentials(r);
    check_reconfig(r);
    check_final_count(r);
    check_capacity(r);
    check_drained(r);
}
