/* What the status page says about the plan: see struct mig_view. */
#include <string.h>
#include <time.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

#define CLOCK_TEXT_MAX 24

static void clock_text(const struct mig_facts *f, int64_t at_ms, char buf[static CLOCK_TEXT_MAX])
{
    time_t seconds = (time_t)((f->wall_ms + at_ms - f->now_ms) / 1000);
    struct tm tm;
    buf[0] = '\0';
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(buf, CLOCK_TEXT_MAX, "%H:%M:%SZ", &tm);
}

static void describe_waiting(const struct mig_engine *e, const struct mig_facts *f, char *buf,
                             uint32_t capacity)
{
    buf[0] = '\0';
    if (!mig_phase_is_running(e->phase))
        return;
    if (e->is_paused && engine_canary_is_breached(e)) {
        mig_text_set(
            buf, capacity,
            "resume: the plan has paused itself. %s. The canaries go back to the servers they came from, "
            "%lld sessions are on targets; `zkferry resume` begins the stage again, `zkferry rollback` "
            "takes the plan back",
            e->canary.reason, (long long)f->sessions.target);
        return;
    }
    if (e->is_paused && !change_in_flight(&e->change)) {
        mig_text_set(buf, capacity, "resume: the plan is paused, clients go on; `zkferry resume` goes on");
        if (e->hook.is_pending)
            mig_text_add(buf, capacity, "; hook %s of server %d still runs", conf_hook_name(e->hook.hook),
                         e->hook.server);
        return;
    }
    if (e->waiting[0] == '\0')
        return;
    char text[CLOCK_TEXT_MAX];
    mig_text_set(buf, capacity, "%s", e->waiting);
    if (e->wait_since_ms != 0) {
        clock_text(f, e->wait_since_ms, text);
        mig_text_add(buf, capacity, "; since %s", text);
    }
    bool is_for_people = engine_waiting_gate(e) != MIG_GATE_NONE && !e->has_stragglers;
    if (engine_canary_until_ms(e) != 0) {
        clock_text(f, engine_canary_until_ms(e), text);
        mig_text_add(buf, capacity,
                     ", until %s, then the other sessions follow; beyond a limit the plan pauses", text);
    } else if (!is_for_people && e->due_from_ms != 0) {
        clock_text(f, engine_deadline_ms(e, f), text);
        mig_text_add(buf, capacity, ", until %s, then the plan fails and can be retried", text);
    }
    if (e->todo[0] != '\0')
        mig_text_add(buf, capacity, "; %s", e->todo);
}

static void describe_step(const struct mig_step *step, char *buf, uint32_t capacity)
{
    switch (step->kind) {
    case MIG_DO_PREFLIGHT:
        mig_text_set(buf, capacity, "preflight: look at every server, change nothing");
        return;
    case MIG_DO_LOCK:
        mig_text_set(buf, capacity, "lock: no other controller may drive at the same time");
        return;
    case MIG_DO_JOIN:
        mig_text_set(buf, capacity, "join: wait until every target follows");
        return;
    case MIG_DO_ADD:
        mig_text_set(buf, capacity, "%s: server %d becomes a voter", step->name, step->server);
        return;
    case MIG_DO_CATCH_UP:
        mig_text_set(buf, capacity, "catch_up: wait until the targets keep up with the leader");
        return;
    case MIG_DO_CANARY:
        mig_text_set(buf, capacity,
                     "canary: some sessions go first and are watched before the others follow");
        return;
    case MIG_DO_SWITCH:
        mig_text_set(buf, capacity, "switch: sessions leave the servers that leave");
        return;
    case MIG_DO_REMOVE:
        mig_text_set(buf, capacity, "%s: server %d leaves the config, the leader last; do not stop it yet",
                     step->name, step->server);
        return;
    case MIG_DO_VERIFY:
        mig_text_set(buf, capacity, "verify: exactly the servers of the plan are members and use the config");
        return;
    case MIG_DO_RESTORE:
        mig_text_set(buf, capacity, "%s: server %d becomes a voter again", step->name, step->server);
        return;
    case MIG_DO_CATCH_UP_BACK:
        mig_text_set(buf, capacity, "catch_up_back: wait until the sources keep up with the leader");
        return;
    case MIG_DO_SWITCH_BACK:
        mig_text_set(buf, capacity, "switch_back: sessions go back to the sources");
        return;
    case MIG_DO_WITHDRAW:
        mig_text_set(buf, capacity, "%s: server %d leaves the config, the leader last", step->name,
                     step->server);
        return;
    case MIG_DO_VERIFY_BACK:
        mig_text_set(buf, capacity, "verify_back: exactly the servers of before are members");
        return;
    case MIG_DO_BACKUP:
        mig_text_set(buf, capacity, "backup: hooks.backup runs, once, before the members change");
        return;
    case MIG_DO_RESTART:
        mig_text_set(buf, capacity, "%s: server %d gives its sessions away and is restarted, the leader last",
                     step->name, step->server);
        return;
    case MIG_DO_STOP:
        mig_text_set(buf, capacity, "%s: hooks.stop runs for server %d, which has left for good", step->name,
                     step->server);
        return;
    case MIG_DO_COMPARE:
        mig_text_set(buf, capacity, "compare: the data of the servers that stay with the leader's");
        return;
    case MIG_DO_FINISH:
        mig_text_set(buf, capacity,
                     "finish: afterwards stop the servers that left for good, and move their data away");
        return;
    }
}

static void describe_next(const struct mig_engine *e, char *buf, uint32_t capacity)
{
    buf[0] = '\0';
    if (!mig_phase_is_running(e->phase))
        return;
    for (uint32_t i = 0; i < e->steps.count; i++)
        if (e->steps.items[i].state == MIG_STEP_PENDING) {
            describe_step(&e->steps.items[i], buf, capacity);
            return;
        }
}

void mig_engine_view(const struct mig_engine *engine, const struct mig_facts *facts,
                     struct mig_view *ret_view)
{
    memset(ret_view, 0, sizeof(*ret_view));
    bool is_running = mig_phase_is_running(engine->phase);
    bool is_newer = is_running && engine->has_expected &&
                    (facts->config == NULL || facts->config->version < engine->expected.version);
    const struct zkp_config *config = is_newer ? &engine->expected : facts->config;
    ret_view->phase = engine->phase;
    ret_view->is_paused = engine->is_paused;
    ret_view->plan_id = engine->plan.id;
    ret_view->plan = engine_has_plan(engine) ? &engine->plan : NULL;
    describe_waiting(engine, facts, ret_view->waiting_for, sizeof(ret_view->waiting_for));
    if (engine->barred[0] != '\0')
        mig_text_set(ret_view->waiting_for, sizeof(ret_view->waiting_for), "%s", engine->barred);
    describe_next(engine, ret_view->next_step, sizeof(ret_view->next_step));
    for (uint32_t i = 0; i < MIG_COMMAND_COUNT; i++)
        ret_view->can[i] = engine_can(engine, facts, (enum mig_command_kind)i);
    ret_view->waiting_gate = engine_waiting_gate(engine);
    ret_view->steps = &engine->steps;
    ret_view->findings = &engine->findings;
    ret_view->preflight_pending = engine->wants_probes;
    ret_view->failed_phase = engine->failed_phase;
    ret_view->failed_reason = engine->phase == MIG_PHASE_FAILED ? engine->failed_reason : "";
    ret_view->leader = mig_facts_leader_in(facts, config, GATE_AGE_MAX_MS * 3);
    ret_view->quorum = quorum_shown(facts, config, &ret_view->leader);
    ret_view->config_version = is_running && engine->has_expected ? engine->expected.version : 0;
}
