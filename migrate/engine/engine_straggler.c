/* Stragglers: clients that bypass the proxy and are connected to a server that is about to leave. They would
 * lose it without a warning, so before the first removal the plan waits for them to go, or for somebody to
 * accept them by name. srvr counts them; cons only adds who they are. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

#define NAMED_MAX 5u /* addresses in the sentence */

static bool is_accepted(const struct run *r, int32_t id)
{
    char finding[MIG_FINDING_ID_MAX];
    mig_text_set(finding, sizeof(finding), "stragglers-%d", id);
    return mig_plan_accepts(&r->e->plan, "stragglers", finding);
}

/* Who is down has no clients. */
static bool is_watched(const struct run *r, const struct mig_server_facts *server)
{
    bool is_silent = server->health == MIG_HEALTH_DOWN || server->health == MIG_HEALTH_NOT_SERVING;
    return mig_plan_leaves(&r->e->plan, server->id) && !is_silent && !is_accepted(r, server->id);
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

static void say(struct run *r, const struct mig_server_facts *server)
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
             server->id, (long long)mig_server_strangers(server), from);
    run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_CONS);
}

bool gate_stragglers(struct run *r)
{
    bool was_there = r->e->has_stragglers;
    bool is_due = !r->e->switches.no_straggler_gate && is_first_removal(r);
    for (uint32_t i = 0; is_due && i < r->f->server_count; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        if (!is_watched(r, server))
            continue;
        if (server->srvr_at_ms < r->e->phase_since_ms) {
            run_wait(r, "", "a fresh answer of server %d: whether somebody bypasses the proxy", server->id);
            run_reprobe(r, MIG_PROBE_SRVR);
            return false;
        }
        r->e->has_stragglers = mig_server_strangers(server) > 0;
        if (r->e->has_stragglers) {
            say(r, server);
            return false;
        }
    }
    r->e->has_stragglers = false;
    if (was_there)
        r->e->due_from_ms = r->f->now_ms; /* the step begins now */
    return true;
}
