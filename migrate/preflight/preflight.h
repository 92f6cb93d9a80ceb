/* Rules over observed facts that say whether a plan can be carried out safely, and what to do when not
 * (design.md §5, facts/field.md P1–P47; the list is preflight_table.h). Pure: the same rules serve `zkferry
 * preflight`, the plan's first phase, and targets when they appear later. */
#ifndef MIGRATE_PREFLIGHT_H
#define MIGRATE_PREFLIGHT_H

#include "migrate/engine/doubt.h"
#include "migrate/engine/drained.h"
#include "migrate/facts.h"
#include "migrate/plan/plan.h"
#include "migrate/preflight/preflight_table.h"

#define MIG_FINDINGS_MAX 96u
#define MIG_PITFALLS_MAX 64u /* "P6 P12 P28" */

const char *mig_severity_name(enum mig_severity severity); /* "info" "warn" "block" */

struct mig_finding {
    char rule[MIG_FINDING_ID_MAX]; /* "server-down" */
    char id[MIG_FINDING_ID_MAX];   /* "server-down-2"; equals rule when no server is meant */
    enum mig_severity severity;
    char pitfall[MIG_PITFALLS_MAX]; /* of facts/field.md; "" = design.md alone asks for it */
    bool can_accept;                /* a block that `start` may accept by id, rule or pitfall */
    bool is_accepted;               /* the plan accepted it: it no longer blocks */
    int32_t server;                 /* -1 = the ensemble */
    char seen[MIG_TEXT_MAX];
    char why[256];
    char todo[256];
};

struct mig_findings {
    uint32_t count;
    bool is_cut; /* more were found than fit */
    struct mig_finding items[MIG_FINDINGS_MAX];
};

/* Results of the two active probes; asked_at_ms 0 = not asked. And of what was compared. */
struct mig_probes {
    int64_t reconfig_at_ms; /* monotonic, when the answer came; 0 = none yet */
    int32_t reconfig_err;   /* BAD_VERSION = enabled */
    int32_t reconfig_via;
    int64_t reconfig_epoch; /* of the leader that was asked */
    int64_t super_at_ms;
    bool is_super;
    struct mig_doubts doubts;
    int64_t writes_per_s; /* transactions of the leader; 0 = none, or not observed */
};

/* Test-only switches that take a safety rule away (control runs). All false in production. */
#define MIG_SWITCHES(X)                                                                                      \
    X(no_activation_check)                                                                                   \
    X(no_hold)           /* the leader is removed while its clients go on */                                 \
    X(no_synced_gate)    /* joiners are added as they are */                                                 \
    X(no_lag_gate)       /* targets count as caught up */                                                    \
    X(no_data_gate)      /* nothing is compared */                                                           \
    X(no_straggler_gate) /* servers leave while somebody bypasses the proxy */                               \
    X(no_tolerance_gate) /* members change whoever is alive */                                               \
    X(no_foreign_gate)   /* somebody else's change is taken as it is */                                      \
    X(no_confirm_name)   /* a confirmation opens whatever gate the plan waits at */                          \
    X(no_canary_limits)  /* the switch goes on whatever happens to those that go first */

struct mig_switches {
#define MIG_SWITCH_MEMBER(name) bool name;
    MIG_SWITCHES(MIG_SWITCH_MEMBER)
#undef MIG_SWITCH_MEMBER
};

/* All rules over all servers of the plan. ret_findings is filled from scratch, blocks first. */
void mig_preflight(const struct mig_plan *plan, const struct mig_facts *facts,
                   const struct mig_probes *probes, const struct mig_drained *drained,
                   const struct mig_switches *switches, struct mig_findings *ret_findings);
/* The rules of one target that has started to answer (joining), and the room for connections, which is
 * known better with each of them. */
void mig_preflight_target(const struct mig_plan *plan, const struct mig_facts *facts, int32_t id,
                          const struct mig_switches *switches, struct mig_findings *ret_findings);
/* Blocks that are not accepted. */
uint32_t mig_findings_blocks(const struct mig_findings *findings);

#endif
