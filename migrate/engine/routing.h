/* Which servers admit sessions now, and which must give theirs away (design.md §1: routing comes from the
 * observed config and health; the sides of the file are labels). Pure function of the plan's phase, what an
 * operator has drained and the facts; the control thread turns it into directives for the workers. */
#ifndef MIGRATE_ROUTING_H
#define MIGRATE_ROUTING_H

#include "migrate/engine/drained.h"
#include "migrate/engine/engine.h"
#include "migrate/facts.h"

struct mig_route {
    int32_t id;
    bool is_eligible; /* sessions may go there whenever it serves */
    bool is_admitted; /* eligible, and probes say that it serves */
    bool empties;     /* its sessions leave, at the plan's pace: moved, or returned if they can't be */
    bool is_drained;  /* by an operator */
    bool stands_in;   /* only the plan's preference is against it: better than none that can be attached to */
    const char *reason; /* why not admitted, constant; "" when admitted */
    /* The same for canaries; without some the same as above. */
    bool is_canary_eligible;
    bool canaries_empty;
};

struct mig_routes {
    uint32_t count;        /* same order as facts->servers */
    uint32_t canary_round; /* 0 = there are no canaries */
    struct mig_route routes[MIG_SERVERS_MAX];
};

/* Rules: (1) Config observed: only its members are eligible; a removed server, or a target that is not a
 * voter yet, never; a non-member empties as soon as a member is admitted. (2) Config not observable
 * (standalone, 3.4, no admin session yet): the sources. (3) Not a drained one, and it empties as soon as
 * another is admitted; so it is with the one that a rolling plan restarts. (4) Not a full one, nor where
 * zkferry itself answers: that empties. (5) Until the switch is open the sources among them, from then on
 * those that do not leave: targets and staying sources; when none of the preferred serves, the others. (6)
 * Canaries have their switch before the others. (7) Switch open and the plan neither paused nor failed: those
 * that leave empty as long as one of the preferred is admitted. (8) A member whom only preference keeps
 * out stands in: workers give it those clients, and sessions without a server, whom none of the preferred
 * takes; not from the moment on at which its own removal may have been sent. Whether a server serves right
 * now decides only who is admitted: workers learn of a server's loss before any probe does. */
void mig_route(struct mig_traffic traffic, const struct mig_drained *drained, const struct mig_facts *facts,
               struct mig_routes *ret_routes);

bool mig_routes_admit(const struct mig_routes *routes); /* anybody at all */

#endif
