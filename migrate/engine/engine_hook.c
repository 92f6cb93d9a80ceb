/* Hooks: programs of the operator that do for a server what a person would have to do (migration.hooks). One
 * runs at a time, beside everything else: a hook that restarts a server must not keep the plan from looking
 * after the ensemble. It ends by itself or by its own time limit; one that fails, fails the plan. Where there
 * is no hook the plan waits and says what to do. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

bool hook_exists(const struct mig_engine *e, enum conf_hook hook)
{
    return e->plan.hooks[hook].count > 0;
}

/* "hook restart of server 2" */
static void name_it(const struct engine_hook *h, char *buf, uint32_t capacity)
{
    mig_text_set(buf, capacity, "hook %s of server %d", conf_hook_name(h->hook), h->server);
}

bool hook_is_under_way(const struct mig_engine *e, enum conf_hook hook, int32_t server)
{
    return e->hook.hook == hook && e->hook.server == server && (e->hook.is_pending || e->hook.has_result);
}

static struct mig_record *journal(struct run *r, bool is_done)
{
    const struct engine_hook *h = &r->e->hook;
    struct mig_record *record = run_journal(r, MIG_RECORD_HOOK);
    record->server = h->server;
    record->is_done = is_done;
    mig_text_set(record->text, sizeof(record->text), "%s", conf_hook_name(h->hook));
    return record;
}

static void begin(struct run *r, enum conf_hook hook, int32_t server)
{
    struct engine_hook *h = &r->e->hook;
    const struct zkp_server *line = mig_plan_line(&r->e->plan, server);
    ASSERT(line != NULL);
    *h = (struct engine_hook){.hook = hook, .server = server, .is_pending = true, .since_ms = r->f->now_ms};
    (void)journal(r, false);
    struct mig_effect *effect = run_tell(r, MIG_EFFECT_RUN_HOOK);
    h->seq = effect->seq;
    effect->hook = (struct mig_hook_call){.hook = hook,
                                          .command = r->e->plan.hooks[hook],
                                          .server = server,
                                          .client_port = line->client_port,
                                          .timeout_ms = r->e->plan.hook_timeout_ms};
    const char *host = zkp_server_client_host(line);
    mig_text_set(effect->hook.host, sizeof(effect->hook.host), "%s", host != NULL ? host : "");
    mig_text_set(effect->text, sizeof(effect->text), "%s", r->e->plan.id);
}

static enum hook_end end(struct run *r)
{
    struct engine_hook *h = &r->e->hook;
    char name[64];
    name_it(h, name, sizeof(name));
    h->has_result = false;
    if (h->rc != RC_OK) {
        (void)engine_fail(r, "%s failed: %s", name, h->text);
        return HOOK_FAILED;
    }
    (void)journal(r, true);
    hook_mark(r->e, h->hook, h->server);
    run_log(r, "plan.hook.done", "%s took %lld ms", name, (long long)(r->f->now_ms - h->since_ms));
    return HOOK_ENDED;
}

enum hook_end hook_run(struct run *r, enum conf_hook hook, int32_t server)
{
    struct engine_hook *h = &r->e->hook;
    if (h->has_result && hook_is_under_way(r->e, hook, server))
        return end(r);
    if (!h->is_pending)
        begin(r, hook, server);
    char name[64];
    name_it(h, name, sizeof(name));
    run_wait(r, "its output is in the log as event=hook.output", "%s to end", name);
    return HOOK_RUNS;
}

void hook_mark(struct mig_engine *e, enum conf_hook hook, int32_t server)
{
    for (uint32_t i = 0; hook == CONF_HOOK_START && i < e->plan.targets.count; i++)
        if (e->plan.targets.servers[i].id == server)
            e->is_started[i] = true;
    if (hook == CONF_HOOK_RESTART && e->rolling.server == server)
        e->rolling.is_hooked = true;
    if (hook == CONF_HOOK_RESTART)
        prove_hooked(e, server);
}

void hook_forget(struct mig_engine *e)
{
    e->hook.has_result = false;
    memset(e->is_started, 0, sizeof(e->is_started));
}

void hook_absorb(struct mig_engine *e, const struct mig_event *event)
{
    struct engine_hook *h = &e->hook;
    if (!h->is_pending || h->seq != event->seq)
        return;
    h->is_pending = false;
    h->has_result = true;
    h->rc = event->rc;
    mig_text_set(h->text, sizeof(h->text), "%s", event->text);
}

/* Nobody answers there, by probes newer than the phase. */
static bool is_down(const struct run *r, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    return server != NULL && server->health == MIG_HEALTH_DOWN &&
           server->probed_at_ms >= r->e->phase_since_ms;
}

enum hook_end hook_start_joiners(struct run *r)
{
    const struct mig_engine *e = r->e;
    for (uint32_t i = 0; hook_exists(e, CONF_HOOK_START) && i < e->plan.targets.count; i++) {
        int32_t id = e->plan.targets.servers[i].id;
        if (!hook_is_under_way(e, CONF_HOOK_START, id) && (e->is_started[i] || !is_down(r, id)))
            continue;
        enum hook_end result = hook_run(r, CONF_HOOK_START, id);
        if (result != HOOK_ENDED || e->journal_seq != 0)
            return result == HOOK_ENDED ? HOOK_RUNS : result;
    }
    return HOOK_ENDED;
}

bool hook_backup_is_due(const struct mig_engine *e)
{
    bool is_before_change = e->phase == MIG_PHASE_ADDING || e->phase == MIG_PHASE_REMOVING ||
                            (e->phase == MIG_PHASE_SWITCHING && e->plan.kind == CONF_KIND_ROLLING);
    return is_before_change && hook_exists(e, CONF_HOOK_BACKUP) && !change_in_flight(&e->change) &&
           !engine_step_is_done(e, MIG_DO_BACKUP, -1);
}

enum mig_phase hook_backup(struct run *r)
{
    const struct engine_hook *h = &r->e->hook;
    bool has_begun = hook_is_under_way(r->e, CONF_HOOK_BACKUP, h->server);
    run_step_start(r, MIG_DO_BACKUP, -1);
    if (!has_begun && !gate_leader(r)) /* a copy of what the leader has is a copy of everything */
        return r->e->phase;
    switch (hook_run(r, CONF_HOOK_BACKUP, has_begun ? h->server : r->leader.id)) {
    case HOOK_RUNS:
        break;
    case HOOK_FAILED:
        return MIG_PHASE_FAILED;
    case HOOK_ENDED:
        run_step_done(r, MIG_DO_BACKUP, -1);
        break;
    }
    return r->e->phase;
}

/* What has left is stopped when the plan is over: it would only serve reads nobody asks for. */
static enum mig_phase stop(struct run *r, struct mig_step *step)
{
    bool has_begun = hook_is_under_way(r->e, CONF_HOOK_STOP, step->server);
    if (step->state == MIG_STEP_PENDING)
        r->e->due_from_ms = r->f->now_ms; /* each has its own deadline */
    run_step_start(r, MIG_DO_STOP, step->server);
    if (!has_begun && is_down(r, step->server)) {
        run_step_done(r, MIG_DO_STOP, step->server);
        return r->e->phase;
    }
    if (!has_begun && r->e->stopped == step->server) {
        run_wait(r, "see why its stop hook has not stopped it", "server %d to be down", step->server);
        run_reprobe(r, MIG_PROBE_SRVR);
        return r->e->phase;
    }
    enum hook_end result = hook_run(r, CONF_HOOK_STOP, step->server);
    if (result == HOOK_ENDED)
        r->e->stopped = step->server;
    return result == HOOK_FAILED ? MIG_PHASE_FAILED : r->e->phase;
}

enum mig_phase hook_stop_leavers(struct run *r)
{
    for (uint32_t i = 0; i < r->e->steps.count; i++) {
        struct mig_step *step = &r->e->steps.items[i];
        if (step->kind == MIG_DO_STOP && step->state != MIG_STEP_DONE)
            return stop(r, step);
    }
    return MIG_PHASE_FINISHED;
}
