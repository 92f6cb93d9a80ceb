/* See estimate.h. The constants are the slower ones of what was measured: 300,000 nodes of 1 KB took 2.4 s,
 * an empty tree 80 to 232 ms, sessions re-attach at 4,000 to 6,000 a second. */
#include "migrate/plan/estimate.h"

#define ELECTION_MS           250
#define SNAPSHOT_BYTES_PER_MS 125000
#define SNAPSHOT_NODES_PER_MS 125
#define REATTACHES_PER_MS     4
#define SYNC_BYTES_PER_MS     50000 /* read, sent, parsed and written; a slow disk or a WAN takes longer */
#define SYNC_NODES_PER_MS     50

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Of the server that has most; a joiner that is still loading has less. */
static int64_t work_ms(const struct mig_facts *facts, int64_t bytes_per_ms, int64_t nodes_per_ms)
{
    int64_t work = -1;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (server->mntr_seen != MIG_SEEN_DATA)
            continue;
        work = greater(work, server->mntr.data_size / bytes_per_ms);
        work = greater(work, server->mntr.znode_count / nodes_per_ms);
    }
    return work;
}

int64_t mig_estimate_snapshot_ms(const struct mig_facts *facts)
{
    return work_ms(facts, SNAPSHOT_BYTES_PER_MS, SNAPSHOT_NODES_PER_MS);
}

int64_t mig_estimate_sync_ms(const struct mig_facts *facts)
{
    return work_ms(facts, SYNC_BYTES_PER_MS, SYNC_NODES_PER_MS);
}

int64_t mig_estimate_leader_change_ms(const struct mig_facts *facts)
{
    return ELECTION_MS + greater(mig_estimate_snapshot_ms(facts), 0) +
           facts->sessions.total / REATTACHES_PER_MS;
}
