/* What a sampled znode and a session tell: see survey.h. */
#include "migrate/preflight/survey.h"

#include "migrate/text.h"

void mig_survey_node(struct mig_survey *survey, const char *path, const struct mig_node *node)
{
    if (node->kind != MIG_NODE_PRESENT)
        return;
    survey->nodes++;
    if (node->has_ip_acl && survey->ip_acls++ == 0)
        mig_text_set(survey->ip_acl_path, sizeof(survey->ip_acl_path), "%s", path);
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
