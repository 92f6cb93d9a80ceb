/* Which servers admit sessions now, and which must give theirs back (design.md §1: routing comes from the
 * observed config and health; the sides of the file are labels). Pure function of the plan's phase and the
 * facts; the control thread turns it into directives for the workers. */
#ifndef MIGRATE_ROUTING_H
#define MIGRATE_ROUTING_H

#include "migrate/engine.h"
#include "migrate/facts.h"

struct mig_route {
    int32_t id;
    bool is_admitted;     /* new and returning sessions may go there */
    bool return_sessions; /* sessions on it are to be returned, at the plan's pace */
    const char *reason;   /* why not admitted, constant; "" when admitted */
};

struct mig_routes {
    uint32_t count; /* same order as facts->servers */
    struct mig_route routes[MIG_SERVERS_MAX];
};

/* Rules: (1) not serving: not admitted. (2) Config observed: only its members; a removed server, or a target
 * that is not a voter yet, never; sessions on a non-member are returned as soon as a member is admitted.
 * (3) Config not observable (standalone, 3.4, no admin session yet): sources that serve. (4) Until the
 * switch is open the sources among the members, from then on the targets; when none of the preferred side
 * serves, the other side's members. (5) Switch open and the plan neither paused nor failed: sources return
 * their sessions as long as a target is admitted. */
void mig_route(enum mig_traffic traffic, const struct mig_facts *facts, struct mig_routes *ret_routes);

#endif
