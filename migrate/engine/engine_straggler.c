/* Stragglers: clients that bypass the proxy and are connected to a server that is about to leave. They would
 * lose it without a warning, so before the first removal the plan waits for them to go, or for somebody to
 * accept them by name. srvr counts them; cons only adds who they are. Seen ones are told at once; before the
 * removal itself the gate stays closed until it is certain that nobody is there: what can't be seen is not
 * nobody. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

#define NAMED_MAX 5u   /* addresses in the sentence */
#define UNSEEN_MS 3000 /* a server that shows no more for so long can be accepted by name */

static bool is_accepted(const struct run *r, int32_t id)
{
    char finding[MIG_FINDING_ID_MAX];
    mig_text_set(finding, sizeof(finding), "stragglers-%d", id);
    return mig_plan_accepts(&r->e->plan, "stragglers", finding);
}

/* Of the leader's followers none is left that could be this one: all it counts are others. */
static bool is_not_followed_by(const struct run *r, const struct mig_server_facts *server)
{
    const struct mig_facts *f = r->f;
    const struct mig_server_facts *leads = mig_facts_server(f, r->leader.id);
    const struct zkp_server *member = zkp_config_find(&r->e->expected, server->id);
    int64_t others = 0;
    if (leads == NULL || member == NULL || member->role != ZKP_ROLE_PARTICIPANT)
        return false;
    bool is_counted = leads->mntr_seen == MIG_SEEN_DATA && leads->mntr_at_ms >= r->e->phase_since_ms;
    for (uint32_t i = 0; i < f->server_count; i++)
        others += f->servers[i].id != server->id && f->servers[i].shows_service &&
                  f->servers[i].srvr.mode == ZKP_MODE_FOLLOWER;
    return is_counted && leads->mntr.synced_followers >= 0 && leads->mntr.synced_followers <= others;
}

/* Silence is no proof: clients may reach a server that we don't. */
static bool has_surely_no_clients(const struct run *r, const struct mig_server_facts *server)
{
    int64_t since_ms = r->e->phase_since_ms;
    if (server->health == MIG_HEALTH_NOT_SERVING)
        return server->not_serving_at_ms >= since_ms;
    if (server->health != MIG_HEALTH_DOWN)
        return false;
    return server->gone_at_ms >= since_ms || is_not_followed_by(r, server);
}

/* The plan waits for its clients. */
static bool is_watched(const struct run *r, const struct mig_server_facts *server)
{
    return mig_plan_leaves(&r->e->plan, server->id) && !is_accepted(r, server->id) &&
           !has_surely_no_clients(r, server);
}

/* Afterwards a client that lost the first server looks for the next one: stopping half-way would help nobody.
 */
static bool is_first_removal(const struct run *r)
{
    const struct mig_engine *e = r->e;
    for (uint32_t i = 0; i < e->plan.leaving.count; i++) {
        const struct mig_server_facts *server = mig_facts_server(r->f, e->plan.leaving.ids[i]);
        bool is_up = server != NULL && server->health == MIG_HEALTH_SERVING;
        if (is_up && zkp_config_find(&e->expected, server->id) == NULL)
            return false;
    }
    return true;
}

static void name_addresses(const struct run *r, const struct mig_server_facts *server, char *buf,
                           uint32_t capacity)
{
    buf[0] = '\0';
    if (server->cons_at_ms < r->e->phase_since_ms)
        return; /* not allowed there, or not answered yet */
    for (uint32_t i = 0; i < server->other_count && i < NAMED_MAX; i++)
        mig_text_add(buf, capacity, "%s%s", i == 0 ? ", from " : ", ", server->others[i].address);
}

/* cons is asked alone: while it is under way, nobody knows whether srvr has counted it. */
static void ask(struct run *r, const struct mig_server_facts *server)
{
    bool is_named = server->cons_at_ms >= r->e->phase_since_ms;
    run_reprobe(r, is_named ? MIG_PROBE_SRVR : MIG_PROBE_CONS);
}

static void say_there(struct run *r, const struct mig_server_facts *server)
{
    char todo[192];
    char from[300];
    name_addresses(r, server, from, sizeof(from));
    mig_text_set(todo, sizeof(todo),
                 "point these clients to the proxy, or `zkferry confirm remove --accept stragglers-%d`: they "
                 "lose their server",
                 server->id);
    run_wait(r, todo,
             "connections that bypass the proxy to end: server %d, which is about to leave, has %lld%s",
             server->id, (long long)server->strangers, from);
}

static void say_unknown(struct run *r, const struct mig_server_facts *server)
{
    char todo[192];
    mig_text_set(todo, sizeof(todo),
                 "nothing, unless it lasts: let the server answer srvr, or `zkferry confirm remove --accept "
                 "stragglers-%d`",
                 server->id);
    run_wait(r, todo, "%u answers of server %d in a row that show nobody who bypasses the proxy",
             MIG_ALONE_SAMPLES, server->id);
}

static bool is_due(const struct run *r)
{
    return !r->e->switches.no_straggler_gate && is_first_removal(r);
}

bool gate_stragglers(struct run *r)
{
    bool was_there = r->e->has_stragglers && r->e->alone_asked_ms == 0;
    for (uint32_t i = 0; is_due(r) && i < r->f->server_count; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        if (!is_watched(r, server) || server->strangers <= 0)
            continue;
        r->e->has_stragglers = true;
        r->e->alone_asked_ms = 0;
        say_there(r, server);
        ask(r, server);
        return false;
    }
    if (was_there) {
        r->e->has_stragglers = false;
        r->e->due_from_ms = r->f->now_ms; /* the step begins now */
    }
    return true;
}

/* What was seen before this phase began is another time's. */
static bool is_alone(const struct run *r, const struct mig_server_facts *server)
{
    return server->alone_since_ms != 0 && server->alone_since_ms >= r->e->phase_since_ms &&
           mig_server_is_serving(r->f, server, GATE_AGE_MAX_MS);
}

bool gate_alone(struct run *r)
{
    int64_t now_ms = r->f->now_ms;
    for (uint32_t i = 0; is_due(r) && i < r->f->server_count; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        if (!is_watched(r, server) || is_alone(r, server))
            continue;
        if (r->e->alone_asked_ms == 0)
            r->e->alone_asked_ms = now_ms;
        r->e->has_stragglers = now_ms - r->e->alone_asked_ms >= UNSEEN_MS;
        say_unknown(r, server);
        run_reprobe(r, server->health == MIG_HEALTH_DOWN ? MIG_PROBE_SRVR | MIG_PROBE_MNTR : MIG_PROBE_SRVR);
        return false;
    }
    r->e->has_stragglers = false;
    r->e->alone_asked_ms = 0;
    return true;
}
