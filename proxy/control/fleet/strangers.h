/* Connections on servers that are not this proxy's: clients that go around it. A server's own count, minus
 * what we have there; both move all the time, so only what two answers in a row show is told. Control thread,
 * pure. */
#ifndef PROXY_CONTROL_FLEET_STRANGERS_H
#define PROXY_CONTROL_FLEET_STRANGERS_H

#include "migrate/facts.h"

struct px_stranger {
    int32_t id; /* 0 = free place */
    int64_t srvr_at_ms;
    int64_t last;
    int64_t shown; /* the lesser of the last two */
};

/* Zeroed = nothing seen. */
struct px_strangers {
    struct px_stranger servers[MIG_SERVERS_MAX];
};

/* Looks at answers that are new, and fills `strangers` of all servers. Call it with every new facts, after
 * our_sessions and our_other_connections were filled. */
void px_strangers_facts(struct px_strangers *strangers, struct mig_facts *facts);

#endif
