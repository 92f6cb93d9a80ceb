/* What a sampled znode and a session tell: see survey.h. */
#include "migrate/survey.h"

#include "migrate/text.h"

/* EphemeralType.java: the owner of a TTL node has this top byte, its TTL below; a container has only the sign
 * bit. Both need extended types of the server only in the first case. */
#define EXTENDED_TYPE_SHIFT 56
#define EXTENDED_TYPE_TTL   0xffu

static bool is_ttl(const struct mig_node *node)
{
    return (uint64_t)node->stat.ephemeralOwner >> EXTENDED_TYPE_SHIFT == EXTENDED_TYPE_TTL;
}

static void count(uint32_t *counter, char example[MIG_SURVEY_PATH_MAX], const char *path)
{
    if ((*counter)++ == 0)
        mig_text_set(example, MIG_SURVEY_PATH_MAX, "%s", path);
}

void mig_survey_node(struct mig_survey *survey, const char *path, const struct mig_node *node)
{
    if (node->kind == MIG_NODE_STAT_ONLY)
        survey->hidden++;
    if (node->kind == MIG_NODE_PRESENT)
        survey->nodes++;
    if (node->kind == MIG_NODE_PRESENT && node->has_ip_acl)
        count(&survey->ip_acls, survey->ip_acl_path, path);
    bool has_stat = node->kind == MIG_NODE_PRESENT || node->kind == MIG_NODE_STAT_ONLY;
    if (has_stat && is_ttl(node))
        count(&survey->ttls, survey->ttl_path, path);
}

void mig_survey_timeout(struct mig_survey *survey, int32_t timeout_ms)
{
    if (timeout_ms <= 0)
        return;
    if (survey->timeout_min_ms == 0 || timeout_ms < survey->timeout_min_ms)
        survey->timeout_min_ms = timeout_ms;
    if (timeout_ms > survey->timeout_max_ms)
        survey->timeout_max_ms = timeout_ms;
}
