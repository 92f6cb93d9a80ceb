/* How long steps take: by what was measured with real servers on one machine, scaled with the data, the
 * sessions and the joiners of this ensemble. Meant to tell seconds from minutes. */
#include "migrate/forecast_int.h"

#define PREFLIGHT_MS      1000  /* one round of probes, and the harmless questions to the leader */
#define LOCK_MS           200   /* one session, one ephemeral */
#define RECONFIG_MS       500   /* its gates (fresh `conf` of every member), request, barrier, activation */
#define ROUND_MS          100   /* of catching up */
#define JOIN_MS           2000  /* start of a JVM, until it follows */
#define JOIN_BYTES_PER_MS 50000 /* a snapshot over the network and to disk, cautiously */
#define VERIFY_MS         500
#define TICK_MS           2000 /* ZooKeeper's usual one, when no server tells its own */

/* design.md §4: 80–232 ms empty, 2.4 s with 300,000 nodes of 1 KB: the new leader writes a snapshot first.
 * And the steps around it: sessions become quiet, the leader is found. */
#define ELECTION_MS           400
#define SNAPSHOT_BYTES_PER_MS 150000
#define ATTACHES_PER_SECOND   4000 /* design.md §7, with 32 under way */

/* -1: no server tells. Followers have the same data. */
static int64_t data_size(const struct mig_facts *facts)
{
    int64_t largest = -1;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (server->mntr_seen == MIG_SEEN_DATA && server->mntr.data_size > largest)
            largest = server->mntr.data_size;
    }
    return largest;
}

int64_t mig_forecast_election_ms(const struct mig_facts *facts)
{
    int64_t bytes = data_size(facts);
    return ELECTION_MS + (bytes > 0 ? bytes / SNAPSHOT_BYTES_PER_MS : 0);
}

static int32_t tick_ms(const struct mig_facts *facts)
{
    int32_t longest = 0;
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].conf != NULL && facts->servers[i].conf->tick_time_ms > longest)
            longest = facts->servers[i].conf->tick_time_ms;
    return longest > 0 ? longest : TICK_MS;
}

bool forecast_follows(const struct outlook *o, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(o->now, id);
    return server != NULL && o->leader.id >= 0 && server->health == MIG_HEALTH_SERVING &&
           server->srvr.mode == ZKP_MODE_FOLLOWER && mig_zxid_epoch(server->srvr.zxid) == o->leader.epoch;
}

/* They start together, but the leader sends each its snapshot; a tick until it counts as synced. */
static int64_t join_ms(const struct outlook *o)
{
    int64_t bytes = data_size(o->now);
    int64_t joiners = 0;
    for (uint32_t i = 0; i < o->plan->targets.count; i++)
        joiners += !forecast_follows(o, o->plan->targets.servers[i].id);
    if (joiners == 0)
        return ROUND_MS;
    return JOIN_MS + tick_ms(o->now) + (bytes > 0 ? bytes * joiners / JOIN_BYTES_PER_MS : 0);
}

int64_t forecast_leaving_sessions(const struct outlook *o, bool goes_back)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < o->now->server_count; i++) {
        int32_t id = o->now->servers[i].id;
        bool leaves =
            goes_back ? mig_servers_find(&o->plan->targets, id) != NULL : mig_plan_leaves(o->plan, id);
        count += leaves ? o->now->servers[i].our_sessions : 0;
    }
    return count;
}

static int64_t switch_ms(const struct outlook *o, bool goes_back)
{
    int64_t rate = o->plan->switch_rate > 0 ? o->plan->switch_rate : 1;
    return ROUND_MS + forecast_leaving_sessions(o, goes_back) * 1000 / rate;
}

static int64_t change_ms(const struct outlook *o, const struct mig_forecast_step *step)
{
    if (step->joining[0] == '\0' && step->leaving[0] == '\0')
        return 0;
    if (!o->removes_leader)
        return RECONFIG_MS;
    return RECONFIG_MS + mig_forecast_election_ms(o->now) +
           o->now->sessions.total * 1000 / ATTACHES_PER_SECOND;
}

int64_t forecast_takes_ms(const struct outlook *o, const struct mig_forecast_step *step)
{
    switch ((int)step->kind) { /* a step that is not listed is not measured yet */
    case MIG_DO_PREFLIGHT:
        return PREFLIGHT_MS;
    case MIG_DO_LOCK:
        return LOCK_MS;
    case MIG_DO_JOIN:
        return join_ms(o);
    case MIG_DO_ADD:
    case MIG_DO_REMOVE:
    case MIG_DO_RESTORE:
    case MIG_DO_WITHDRAW:
        return change_ms(o, step);
    case MIG_DO_CATCH_UP:
    case MIG_DO_CATCH_UP_BACK:
        return (int64_t)o->plan->catch_up_rounds * ROUND_MS;
    case MIG_DO_SWITCH:
        return switch_ms(o, false);
    case MIG_DO_SWITCH_BACK:
        return switch_ms(o, true);
    case MIG_DO_VERIFY:
    case MIG_DO_VERIFY_BACK:
        return VERIFY_MS;
    default:
        return 0;
    }
}
