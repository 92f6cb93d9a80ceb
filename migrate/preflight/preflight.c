/* The list of findings and the order of the rules: see preflight.h. Their texts are in preflight_table.h,
 * when they apply is decided in preflight_ensemble.c, _room.c, _survey.c, _server.c, _conf.c, _address.c and
 * _version.c. */
#include "migrate/preflight/preflight.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migrate/engine/unseen.h"
#include "migrate/preflight/preflight_int.h"
#include "migrate/text.h"

#define ANSWER_AGE_MAX_MS 15000 /* idle probes come every 5 s, three of them may be lost */

const char *mig_severity_name(enum mig_severity severity)
{
    static const char *const names[] = {"info", "warn", "block"};
    return (uint32_t)severity < 3 ? names[severity] : "?";
}

__attribute__((format(printf, 5, 0))) static void add(struct rules *r, enum mig_rule rule, int32_t server,
                                                      const char *pitfalls, const char *seen, va_list args)
{
    const struct mig_rule_row *row = mig_rule_row(rule);
    if (r->out->count == MIG_FINDINGS_MAX) {
        r->out->is_cut = true;
        return;
    }
    struct mig_finding *finding = &r->out->items[r->out->count++];
    memset(finding, 0, sizeof(*finding));
    mig_text_set(finding->rule, sizeof(finding->rule), "%s", row->name);
    mig_text_set(finding->id, sizeof(finding->id), "%s", row->name);
    if (server >= 0)
        mig_text_add(finding->id, sizeof(finding->id), "-%d", server);
    mig_text_set(finding->pitfall, sizeof(finding->pitfall), "%s", pitfalls);
    finding->severity = row->severity;
    finding->can_accept = row->can_accept;
    finding->is_accepted = row->can_accept && mig_plan_accepts(r->plan, finding->rule, finding->id);
    finding->server = server;
    (void)vsnprintf(finding->seen, sizeof(finding->seen), seen, args);
    mig_text_set(finding->why, sizeof(finding->why), "%s", row->why);
    mig_text_set(finding->todo, sizeof(finding->todo), "%s", row->todo);
}

void rules_add(struct rules *r, enum mig_rule rule, int32_t server, const char *seen, ...)
{
    va_list args;
    va_start(args, seen);
    add(r, rule, server, mig_rule_row(rule)->pitfalls, seen, args);
    va_end(args);
}

void rules_add_about(struct rules *r, enum mig_rule rule, int32_t server, const char *pitfalls,
                     const char *seen, ...)
{
    va_list args;
    va_start(args, seen);
    add(r, rule, server, pitfalls, seen, args);
    va_end(args);
}

/* Blocks first, then warnings; the order of the rules stays within each. */
static void sort_by_severity(struct mig_findings *findings)
{
    for (uint32_t i = 1; i < findings->count; i++)
        for (uint32_t k = i; k > 0 && findings->items[k].severity > findings->items[k - 1].severity; k--) {
            struct mig_finding swap = findings->items[k];
            findings->items[k] = findings->items[k - 1];
            findings->items[k - 1] = swap;
        }
}

static void start(struct mig_findings *findings)
{
    findings->count = 0;
    findings->is_cut = false;
}

void mig_preflight(const struct mig_plan *plan, const struct mig_facts *facts,
                   const struct mig_probes *probes, const struct mig_drained *drained,
                   const struct mig_switches *switches, struct mig_findings *ret_findings)
{
    struct rules r = {.plan = plan,
                      .facts = facts,
                      .probes = probes,
                      .drained = drained,
                      .switches = switches,
                      .leader = mig_facts_leader(facts, ANSWER_AGE_MAX_MS),
                      .unseen_leader = -1,
                      .out = ret_findings};
    start(ret_findings);
    if (r.leader.id < 0)
        r.unseen_leader = mig_unseen_leader(facts, facts->config);
    rules_ensemble(&r);
    rules_room(&r);
    rules_frames(&r);
    rules_survey(&r);
    rules_clashes(&r);
    rules_versions(&r);
    rules_join(&r);
    for (uint32_t i = 0; i < facts->server_count; i++)
        rules_server(&r, &facts->servers[i]);
    sort_by_severity(ret_findings);
}

void mig_preflight_target(const struct mig_plan *plan, const struct mig_facts *facts, int32_t id,
                          const struct mig_switches *switches, struct mig_findings *ret_findings)
{
    struct rules r = {.plan = plan,
                      .facts = facts,
                      .switches = switches,
                      .leader = mig_facts_leader(facts, ANSWER_AGE_MAX_MS),
                      .unseen_leader = -1,
                      .out = ret_findings};
    start(ret_findings);
    const struct mig_server_facts *server = mig_facts_server(facts, id);
    if (server != NULL)
        rules_server(&r, server);
    rules_connections(&r); /* with every target that starts more of the limits is known */
    sort_by_severity(ret_findings);
}

uint32_t mig_findings_blocks(const struct mig_findings *findings)
{
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->items[i].severity == MIG_BLOCK && !findings->items[i].is_accepted)
            blocks++;
    return blocks;
}
