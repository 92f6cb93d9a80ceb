/* Preflight rules about what there is enough of: connections, and time for the clients of the day the leader
 * leaves. */
#include "migrate/plan/estimate.h"
#include "migrate/preflight/preflight_int.h"

#define DEFAULT_MAX_CLIENT_CNXNS 60 /* ZooKeeper's default, per client address */
#define PROBE_CONNECTIONS        4  /* kept free per address for probes and the admin session */

/* Sessions one server takes from all our addresses; INT32_MAX = no limit. */
static int64_t capacity_of(const struct rules *r, const struct mig_server_facts *server)
{
    bool is_known = server->conf != NULL && server->conf->max_client_cnxns >= 0;
    int64_t limit = is_known ? server->conf->max_client_cnxns : DEFAULT_MAX_CLIENT_CNXNS;
    bool is_target = server->side == MIG_SIDE_TARGET;
    int64_t binds = is_target ? r->facts->target_binds : r->facts->source_binds;
    binds = binds > 0 ? binds : 1;
    if (limit == 0)
        return INT32_MAX;
    return limit > PROBE_CONNECTIONS ? (limit - PROBE_CONNECTIONS) * binds : 0;
}

/* One server less than there are: the migration must survive the loss of one. */
void rules_connections(struct rules *r)
{
    int64_t total = 0;
    int64_t largest = 0;
    bool is_known = true;
    for (uint32_t i = 0; i < r->facts->server_count; i++) {
        const struct mig_server_facts *server = &r->facts->servers[i];
        if (mig_plan_leaves(r->plan, server->id))
            continue;
        int64_t capacity = capacity_of(r, server);
        is_known = is_known && server->conf != NULL;
        total += capacity;
        largest = capacity > largest ? capacity : largest;
    }
    if (r->facts->sessions.total > total - largest)
        rules_add(r, is_known ? MIG_RULE_CONNECTIONS_FEW : MIG_RULE_CONNECTIONS_MAYBE_FEW, -1,
                  "%lld sessions, room for %lld on the members at the end with one of them missing",
                  (long long)r->facts->sessions.total, (long long)(total - largest));
}

/* A session whose server does not answer is told so after a third of its timeout (design.md §4: the ping
 * invariant). Only an estimate, and an election that shows itself renews that time: a warning. */
static void check_leader_change(struct rules *r)
{
    int64_t takes_ms = mig_estimate_leader_change_ms(r->facts);
    int32_t shortest_ms = r->facts->survey.timeout_min_ms;
    if (r->plan->leaving.count > 0 && shortest_ms > 0 && takes_ms > shortest_ms / 3)
        rules_add(r, MIG_RULE_LEADER_CHANGE_SLOW, -1,
                  "a leader change takes about %lld ms, the shortest session timeout in use is %d ms",
                  (long long)takes_ms, shortest_ms);
}

/* A session attached there gets the limit instead of what its client believes. */
static void check_timeouts(struct rules *r)
{
    const struct mig_survey *survey = &r->facts->survey;
    for (uint32_t i = 0; i < r->facts->server_count && survey->timeout_min_ms > 0; i++) {
        const struct mig_server_facts *server = &r->facts->servers[i];
        if (server->conf == NULL || mig_plan_leaves(r->plan, server->id))
            continue;
        int32_t lowest_ms = server->conf->min_session_timeout_ms;
        int32_t highest_ms = server->conf->max_session_timeout_ms;
        bool is_raised = lowest_ms > 0 && survey->timeout_min_ms < lowest_ms;
        bool is_cut = highest_ms > 0 && survey->timeout_max_ms > highest_ms;
        if (is_raised || is_cut)
            rules_add(r, MIG_RULE_TIMEOUTS_CLAMPED, server->id,
                      "sessions have timeouts of %d to %d ms, it allows %d to %d ms", survey->timeout_min_ms,
                      survey->timeout_max_ms, lowest_ms, highest_ms);
    }
}

void rules_room(struct rules *r)
{
    rules_connections(r);
    check_leader_change(r);
    check_timeouts(r);
}
