/* Shared by the files of preflight: where findings go. */
#ifndef MIGRATE_PREFLIGHT_INT_H
#define MIGRATE_PREFLIGHT_INT_H

#include "migrate/preflight/preflight.h"

/* What the rules look at, and the list they write to. On the stack of one call. */
struct rules {
    const struct mig_plan *plan;
    const struct mig_facts *facts;
    const struct mig_probes *probes;   /* NULL: only one target is looked at */
    const struct mig_drained *drained; /* the same */
    const struct mig_switches *switches;
    struct mig_leader leader;
    int32_t unseen_leader; /* only while none is proven; -1 = not known who it is */
    struct mig_findings *out;
};

/* server -1 = the ensemble. */
void rules_add(struct rules *r, enum mig_rule rule, int32_t server, const char *seen, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a rule that is about several pitfalls, of which only these were seen. */
void rules_add_about(struct rules *r, enum mig_rule rule, int32_t server, const char *pitfalls,
                     const char *seen, ...) __attribute__((format(printf, 5, 6)));

void rules_ensemble(struct rules *r);                                      /* config, leader, credentials */
void rules_room(struct rules *r);                                          /* connections, time, timeouts */
void rules_frames(struct rules *r);                                        /* how long requests may be */
void rules_survey(struct rules *r);                                        /* what the survey found */
void rules_server(struct rules *r, const struct mig_server_facts *server); /* all of one server */
/* Parts of rules_server: the written line; the version; the settings that `conf` shows. */
void rules_address(struct rules *r, const struct mig_server_facts *server);
void rules_version(struct rules *r, const struct mig_server_facts *server);
void rules_conf(struct rules *r, const struct mig_server_facts *server);
void rules_connections(struct rules *r);     /* part of rules_room */
void rules_clashes(struct rules *r);         /* addresses that two servers have */
void rules_versions(struct rules *r);        /* versions of several servers together */
void rules_join(struct rules *r);            /* learners that join while the ensemble writes */
bool rules_has_older(const struct rules *r); /* a server of before 3.6 has answered */

#define VERSION(major, minor, patch) ((major)*1000000LL + (minor)*1000LL + (patch))

#endif
