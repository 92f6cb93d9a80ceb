/* Shared by the files of preflight: where findings go. */
#ifndef MIGRATE_PREFLIGHT_INT_H
#define MIGRATE_PREFLIGHT_INT_H

#include "migrate/preflight.h"

/* What the rules look at, and the list they write to. On the stack of one call. */
struct rules {
    const struct mig_plan *plan;
    const struct mig_facts *facts;
    const struct mig_probes *probes;   /* NULL: only one target is looked at */
    const struct mig_drained *drained; /* the same */
    const struct mig_switches *switches;
    struct mig_leader leader;
    struct mig_findings *out;
};

/* The constant part of a finding. */
struct rule {
    const char *name;
    enum mig_severity severity;
    bool can_accept;
    const char *why;
    const char *todo;
};

/* server -1 = the ensemble. */
void rules_add(struct rules *r, const struct rule *rule, int32_t server, const char *seen, ...)
    __attribute__((format(printf, 4, 5)));

void rules_ensemble(struct rules *r); /* config, leader, credentials, limits */
void rules_server(struct rules *r, const struct mig_server_facts *server);

#endif
