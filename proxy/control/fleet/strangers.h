/* Connections on servers that are not this proxy's: clients that go around it. A server's own count, minus
 * what we have there. Both move all the time, so there are two questions: how many are there at least (told
 * when two answers in a row show them), and is there surely nobody (several answers in a row, each less than
 * or equal to what we surely had there). Between the two nothing is known. Control thread, pure. */
#ifndef PROXY_CONTROL_FLEET_STRANGERS_H
#define PROXY_CONTROL_FLEET_STRANGERS_H

#include "migrate/facts.h"

struct px_stranger {
    bool is_used;
    int32_t id;
    int64_t srvr_at_ms;
    int64_t last;
    int64_t shown;                          /* the lesser of the last two; -1 = there were not two */
    uint32_t alone_count;                   /* answers in a row without anybody else, up to the limit */
    int64_t alone_at_ms[MIG_ALONE_SAMPLES]; /* the last of them, newest first */
};

/* Zeroed = nothing seen. */
struct px_strangers {
    struct px_stranger servers[MIG_SERVERS_MAX];
};

/* Looks at answers that are new, and fills `strangers` and `alone_since_ms` of all servers. Call it with
 * every new facts, after ours_least and ours_most were filled. */
void px_strangers_facts(struct px_strangers *strangers, struct mig_facts *facts);

#endif
