/* How long steps take: by what was measured with real servers on one machine, scaled with the data, the
 * sessions and the joiners of this ensemble. Meant to tell seconds from minutes. */
#include "migrate/plan/estimate.h"
#include "migrate/plan/forecast_int.h"

#define PREFLIGHT_MS    1000 /* one round of probes, and the harmless questions to the leader */
#define LOCK_MS         200  /* one session, one ephemeral */
#define RECONFIG_MS     500  /* its gates (fresh `conf` of every member), request, barrier, activation */
#define ROUND_MS        100  /* of catching up */
#define JOIN_MS         2000 /* start of a JVM, until it follows */
#define VERIFY_MS       500
#define COUNTS_MS       1000
#define COMPARED_PER_MS 2    /* znodes, on each of three servers */
#define TICK_MS         2000 /* ZooKeeper's usual one, when no server tells its own */

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
    int64_t sync_ms = mig_estimate_sync_ms(o->now);
    int64_t joiners = 0;
    for (uint32_t i = 0; i < o->plan->targets.count; i++)
        joiners += !forecast_follows(o, o->plan->targets.servers[i].id);
    if (joiners == 0)
        return ROUND_MS;
    return JOIN_MS + tick_ms(o->now) + (sync_ms > 0 ? sync_ms * joiners : 0);
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
    return RECONFIG_MS + (o->removes_leader ? mig_estimate_leader_change_ms(o->now) : 0);
}

static int64_t compare_ms(const struct outlook *o)
{
    int64_t znodes = 0;
    for (uint32_t i = 0; o->plan->verify == CONF_VERIFY_FULL && i < o->now->server_count; i++)
        if (o->now->servers[i].mntr_seen == MIG_SEEN_DATA && o->now->servers[i].mntr.znode_count > znodes)
            znodes = o->now->servers[i].mntr.znode_count;
    return COUNTS_MS + znodes / COMPARED_PER_MS;
}

/* Its sessions leave, its JVM ends and starts, it reads its own data and keeps up again. */
static int64_t restart_ms(const struct outlook *o, const struct mig_forecast_step *step)
{
    const struct mig_server_facts *server = mig_facts_server(o->now, step->server);
    int64_t rate = o->plan->switch_rate > 0 ? o->plan->switch_rate : 1;
    int64_t snapshot_ms = mig_estimate_snapshot_ms(o->now);
    int64_t sessions = server != NULL ? server->our_sessions : 0;
    return sessions * 1000 / rate + JOIN_MS + tick_ms(o->now) + (snapshot_ms > 0 ? snapshot_ms : 0) +
           (int64_t)o->plan->catch_up_rounds * ROUND_MS;
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
    case MIG_DO_CANARY:
        return ROUND_MS + o->plan->canary.observe_ms;
    case MIG_DO_SWITCH:
        return switch_ms(o, false);
    case MIG_DO_SWITCH_BACK:
        return switch_ms(o, true);
    case MIG_DO_VERIFY:
    case MIG_DO_VERIFY_BACK:
        return VERIFY_MS;
    case MIG_DO_COMPARE:
        return compare_ms(o);
    case MIG_DO_RESTART:
        return restart_ms(o, step);
    default:
        return 0;
    }
}
