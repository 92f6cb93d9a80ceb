/* Preflight rules about what the survey found: rights, data, other controllers, names
 * (migrate/preflight/survey.h). */
#include "migrate/preflight/preflight_int.h"

static void check_data(struct rules *r)
{
    const struct mig_survey *survey = &r->facts->survey;
    if (survey->ip_acls > 0)
        rules_add(r, MIG_RULE_IP_ACLS, -1, "%u of %u sampled nodes have one, such as %s", survey->ip_acls,
                  survey->nodes, survey->ip_acl_path);
    if (survey->takes_ttl == MIG_MAY && r->plan->targets.count > 0)
        rules_add(r, MIG_RULE_EXTENDED_TYPES, -1, "the leader lets nodes have a TTL");
}

/* The ACL says one thing, the answer to somebody without credentials another: it is not looked at. */
static void check_rights(struct rules *r)
{
    const struct mig_survey *survey = &r->facts->survey;
    if (survey->acl_lets_anyone == MIG_MAY)
        rules_add(r, MIG_RULE_CONFIG_WRITABLE, -1, "world:anyone has the right to write /zookeeper/config");
    else if (survey->anyone_may_write == MIG_MAY)
        rules_add(r, MIG_RULE_SKIP_ACL, -1,
                  "a session without credentials may write /zookeeper/config, against its ACL");
}

static void check_controllers(struct rules *r)
{
    const struct mig_facts *facts = r->facts;
    if (facts->lock == MIG_LOCK_FOREIGN)
        rules_add(r, MIG_RULE_PLAN_LOCK_HELD, -1, "held by %s", facts->lock_holder);
    else if (facts->survey.has_lock && facts->lock != MIG_LOCK_OURS)
        rules_add(r, MIG_RULE_PLAN_LOCK_HELD, -1, "held by %s", facts->survey.lock_holder);
}

static void check_names(struct rules *r)
{
    const struct mig_survey *survey = &r->facts->survey;
    for (uint32_t i = 0; i < survey->unresolved_count; i++)
        if (mig_facts_server(r->facts, survey->unresolved[i].server) != NULL)
            rules_add(r, MIG_RULE_NAME_UNRESOLVED, survey->unresolved[i].server, "%s cannot be resolved here",
                      survey->unresolved[i].host);
}

static bool is_told(const struct mig_survey *survey, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (survey->unreached[i].server == survey->unreached[index].server)
            return true;
    return false;
}

/* One finding for a server, with the first address. */
static void check_reach(struct rules *r)
{
    const struct mig_survey *survey = &r->facts->survey;
    for (uint32_t i = 0; i < survey->unreached_count; i++) {
        const struct mig_unreached *unreached = &survey->unreached[i];
        if (!is_told(survey, i) && mig_facts_server(r->facts, unreached->server) != NULL)
            rules_add(r, MIG_RULE_BIND_UNREACHED, unreached->server, "from %s: %s", unreached->from,
                      unreached->why);
    }
}

void rules_survey(struct rules *r)
{
    const struct mig_survey *survey = &r->facts->survey;
    if (survey->asked_at_ms == 0)
        rules_add(r, MIG_RULE_NOT_SAMPLED, -1, "nobody has looked yet");
    else if (survey->incomplete[0] != '\0')
        rules_add(r, MIG_RULE_NOT_SAMPLED, -1, "%s", survey->incomplete);
    check_data(r);
    check_rights(r);
    check_controllers(r);
    check_names(r);
    check_reach(r);
    if (survey->programs[0] != '\0')
        rules_add(r, MIG_RULE_HOOK_UNRUNNABLE, -1, "%s", survey->programs);
    if (r->facts->passes_config_node)
        rules_add(r, MIG_RULE_CONFIG_NODE_PASSED, -1, "guard.config_node is pass");
}
