/* Preflight rules about the ensemble as a whole: its members, its leader, who may change it, what is left at
 * the end. */
#include <string.h>

#include "migrate/engine/unseen.h"
#include "migrate/preflight/preflight_int.h"
#include "migrate/text.h"
#include "zkproto/zkerr.h"

static void check_credentials(struct rules *r)
{
    if (!r->facts->has_credentials)
        rules_add(r, MIG_RULE_CREDENTIALS_MISSING, -1, "no super user is configured");
    else if (r->probes->super_at_ms == 0)
        rules_add(r, MIG_RULE_SUPER_UNKNOWN, -1, "no answer to a super-only call yet");
    else if (!r->probes->is_super)
        rules_add(r, MIG_RULE_SUPER_WRONG, -1, "a super-only call was refused with NO_AUTH");
}

static void check_reconfig(struct rules *r)
{
    int32_t err = r->probes->reconfig_err;
    if (r->probes->reconfig_at_ms == 0)
        rules_add(r, MIG_RULE_RECONFIG_UNKNOWN, -1, "no answer to the harmless reconfig probe yet");
    else if (err == ZKP_ERR_RECONFIG_DISABLED || err == ZKP_ERR_UNIMPLEMENTED)
        rules_add(r, MIG_RULE_RECONFIG_DISABLED, r->probes->reconfig_via,
                  "the leader answered the harmless probe with %s", zkp_err_name(err));
    else if (err != ZKP_ERR_BAD_VERSION)
        rules_add(r, MIG_RULE_RECONFIG_UNKNOWN, r->probes->reconfig_via,
                  "the leader answered the harmless probe with %s", zkp_err_name(err));
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
    char difference[MIG_TEXT_MAX];
    describe_difference(r, difference, sizeof(difference));
    if (difference[0] != '\0')
        rules_add(r, MIG_RULE_MEMBERS_DIFFER, -1, "%s", difference);
    if (r->facts->config->is_hierarchical)
        rules_add(r, MIG_RULE_HIERARCHICAL, -1, "the config has group or weight lines");
    if (r->facts->config->version == 0)
        rules_add(r, MIG_RULE_RECONFIG_INACTIVE, -1, "/zookeeper/config has version=0");
}

static void check_config(struct rules *r)
{
    if (r->facts->config == NULL || r->facts->config->server_count == 0)
        rules_add(r, MIG_RULE_CONFIG_UNKNOWN, -1, "/zookeeper/config could not be read, or is empty");
    else
        check_members(r);
}

/* Between the servers' answers a leader may have changed: then the next preflight sees it. */
static void check_leader(struct rules *r)
{
    char text[MIG_TEXT_MAX];
    if (r->leader.id >= 0)
        return;
    if (!mig_facts_is_led(r->facts)) {
        rules_add(r, MIG_RULE_NO_LEADER, -1, "no source is proven to lead");
        return;
    }
    mig_unseen_leader_text(r->facts, r->facts->config, text, sizeof(text));
    rules_add(r, MIG_RULE_LEADER_UNSEEN, r->unseen_leader, "%s", text);
}

static int32_t tolerated(uint32_t voters)
{
    return ((int32_t)voters - 1) / 2;
}

static uint32_t voters_of(const struct mig_servers *servers)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < servers->count; i++)
        voters += servers->servers[i].role == ZKP_ROLE_PARTICIPANT;
    return voters;
}

/* Observers come and go without a vote. */
static uint32_t voters_at_end(const struct mig_plan *plan)
{
    uint32_t voters = voters_of(&plan->sources) + voters_of(&plan->targets);
    for (uint32_t i = 0; i < plan->leaving.count; i++) {
        const struct zkp_server *leaving = mig_servers_find(&plan->sources, plan->leaving.ids[i]);
        voters -= leaving != NULL && leaving->role == ZKP_ROLE_PARTICIPANT;
    }
    return voters;
}

/* What is left at the end. A step that would tolerate less than before, and less than one, is never taken: a
 * plan that needs one would wait for it until its deadline. */
static void check_final_count(struct rules *r)
{
    uint32_t before = voters_of(&r->plan->sources);
    uint32_t after = voters_at_end(r->plan);
    if (after < 2)
        rules_add(r, MIG_RULE_VOTERS_FEW, -1, "%u voter at the end", after);
    else if (tolerated(before) > 0 && tolerated(after) == 0)
        rules_add(r, MIG_RULE_TOLERANCE_LOST, -1, "%u voters at the end tolerate no failure, %u do now",
                  after, before);
    else if (after % 2 == 0)
        rules_add(r, MIG_RULE_VOTERS_EVEN, -1, "%u voters at the end", after);
}

/* Each server is missing for a while. */
static void check_restarts(struct rules *r)
{
    uint32_t voters = voters_of(&r->plan->sources);
    if (r->plan->kind == CONF_KIND_ROLLING && tolerated(voters) == 0)
        rules_add(r, MIG_RULE_RESTART_COSTS_QUORUM, -1, "%u voters", voters);
}

static void check_drained(struct rules *r)
{
    char ids[128];
    mig_drained_ids(r->drained, ids, sizeof(ids));
    if (ids[0] != '\0')
        rules_add(r, MIG_RULE_SERVERS_DRAINED, -1, "drained: %s", ids);
}

void rules_ensemble(struct rules *r)
{
    check_config(r);
    check_leader(r);
    check_credentials(r);
    check_reconfig(r);
    check_final_count(r);
    check_restarts(r);
    check_drained(r);
}
