/* migration.prove_joiners: each joiner is restarted once before it is added. A learner that joined under
 * write load may have logged transactions twice (ZOOKEEPER-4394, protocol.md §5.3); its tree is right then,
 * its log is not, and only the digest mismatches of its next start show that: later it would be the start
 * after a crash. One at a time, by the restart hook or a person; what is unsound is rebuilt and proven again.
 * In memory only: a new daemon asks again, nobody is attached to a joiner. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

#define WATCH_MS 250 /* a restarting server is away for longer than this */

static const char *const todo_rebuild =
    "stop it, empty its dataDir and dataLogDir except for myid, start it with the files of "
    "`zkferry joiner-config ID`; it is restarted once more then";

/* The next one that is neither a member nor proven; NULL = none. Its index too. */
static const struct zkp_server *next(const struct mig_engine *e, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < e->plan.targets.count; i++) {
        const struct zkp_server *target = &e->plan.targets.servers[i];
        *ret_index = i;
        if (!e->proving.is_proven[i] && zkp_config_find(&e->expected, target->id) == NULL)
            return target;
    }
    return NULL;
}

static void begin(struct run *r, int32_t id)
{
    struct proving *p = &r->e->proving;
    p->server = id;
    p->since_ms = r->f->now_ms;
    p->is_hooked = false;
    p->is_unsound = false;
}

/* It has started anew, and shows what it counted since. */
static void judge(struct run *r, const struct mig_server_facts *server, uint32_t index)
{
    struct proving *p = &r->e->proving;
    static const struct mig_doubts none;
    enum mig_doubt_state state = mig_doubt_of(&none, server);
    if (p->is_unsound) {
        begin(r, server->id); /* rebuilt, if the operator did what was said; its next start shows it */
    } else if (state == MIG_DOUBT_NONE) {
        p->is_proven[index] = true;
        p->server = MIG_NO_SERVER;
        run_log(r, "plan.joiner.proven", "server=%d its log is sound", server->id);
    } else if (mig_doubt_count(server) > 0) {
        p->is_unsound = true;
        p->count = mig_doubt_count(server);
        p->since_ms = r->f->now_ms;
        run_log(r, "plan.joiner.unsound", "server=%d mismatches=%lld after its restart", server->id,
                (long long)p->count);
    }
}

void prove_watch(struct run *r)
{
    struct proving *p = &r->e->proving;
    const struct mig_server_facts *server = mig_facts_server(r->f, p->server);
    uint32_t index = 0;
    const struct zkp_server *target = next(r->e, &index);
    if (!r->e->plan.prove_joiners || server == NULL || target == NULL || target->id != p->server)
        return;
    bool is_back = server->health == MIG_HEALTH_SERVING && server->gone_at_ms > p->since_ms &&
                   server->srvr_at_ms > server->gone_at_ms && server->mntr_at_ms > server->gone_at_ms;
    if (is_back)
        judge(r, server, index);
}

static void say(struct run *r, const struct mig_server_facts *server)
{
    const struct proving *p = &r->e->proving;
    bool is_hooked = hook_exists(r->e, CONF_HOOK_RESTART);
    bool is_back = server->gone_at_ms > p->since_ms && server->health == MIG_HEALTH_SERVING;
    if (p->is_unsound)
        run_wait(r, todo_rebuild,
                 "target %d to be rebuilt: its log is not sound, %lld digest mismatches after its restart",
                 server->id, (long long)p->count);
    else if (is_back)
        run_wait(r, "allow `mntr` in 4lw.commands.whitelist or AdminServer on it",
                 "target %d to show how many digest mismatches it has counted since its restart", server->id);
    else if (is_hooked)
        run_wait(r, "see why its restart hook has not restarted it",
                 "target %d to go down and come back; its restart hook has ended", server->id);
    else
        run_wait(r,
                 "put its files of `zkferry joiner-config ID` back (it has written the members over them), "
                 "restart it",
                 "you to restart target %d, which proves its log (migration.prove_joiners)", server->id);
}

enum hook_end prove_joiners(struct run *r)
{
    struct proving *p = &r->e->proving;
    uint32_t index = 0;
    const struct zkp_server *target = r->e->plan.prove_joiners ? next(r->e, &index) : NULL;
    const struct mig_server_facts *server = target != NULL ? mig_facts_server(r->f, target->id) : NULL;
    if (server == NULL)
        return HOOK_ENDED;
    if (p->server != target->id)
        begin(r, target->id);
    r->e->due_from_ms = r->f->now_ms; /* people have no deadline, a hook has its own */
    bool is_new = server->gone_at_ms > p->since_ms;
    bool needs_hook = hook_exists(r->e, CONF_HOOK_RESTART) && !p->is_hooked && !p->is_unsound && !is_new;
    if (needs_hook || hook_is_under_way(r->e, CONF_HOOK_RESTART, target->id)) {
        enum hook_end result = hook_run(r, CONF_HOOK_RESTART, target->id);
        return result == HOOK_FAILED ? HOOK_FAILED : HOOK_RUNS;
    }
    if (r->f->now_ms - server->probed_at_ms >= WATCH_MS || is_new)
        run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_MNTR);
    say(r, server);
    return HOOK_RUNS;
}

void prove_hooked(struct mig_engine *e, int32_t server)
{
    if (e->proving.server == server)
        e->proving.is_hooked = true;
}

void prove_forget(struct mig_engine *e)
{
    e->proving = (struct proving){.server = MIG_NO_SERVER};
}
