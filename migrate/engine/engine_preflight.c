/* Phase preflight: look at everything once, ask the two harmless questions, judge, take the plan lock.
 * Nothing has been changed when it fails. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

/* Outside a plan the probes asked for at a time count; inside, those since the phase began. */
static bool is_newer(const struct run *r, int64_t at_ms)
{
    return at_ms != 0 && at_ms >= r->e->phase_since_ms;
}

bool preflight_is_probed(const struct run *r)
{
    const struct mig_probes *probes = &r->e->probes;
    return is_newer(r, probes->reconfig_at_ms) &&
           (!r->f->has_credentials || is_newer(r, probes->super_at_ms));
}

void preflight_probe(struct run *r)
{
    struct mig_engine *e = r->e;
    if (r->leader.id < 0 || e->op.is_pending || r->f->now_ms < e->probe_retry_at_ms)
        return;
    if (!is_newer(r, e->probes.reconfig_at_ms))
        (void)run_ask(r, MIG_EFFECT_PROBE_RECONFIG, r->leader.id);
    else
        (void)run_ask(r, MIG_EFFECT_CHECK_SUPER, r->leader.id);
}

/* What a server showed of itself before it began to serve says nothing about it. */
static bool is_probed(const struct mig_server_facts *server, int64_t since_ms)
{
    bool is_early = server->health == MIG_HEALTH_SERVING && server->conf_at_ms < server->health_since_ms;
    /* Settings of the process: the answer before this one is as good. */
    bool is_asked = server->health != MIG_HEALTH_SERVING || server->properties_at_ms != 0;
    return server->probed_at_ms >= since_ms && !is_early && is_asked;
}

bool preflight_is_seen(struct run *r)
{
    int64_t since_ms = r->e->phase_since_ms;
    bool is_all =
        r->f->config != NULL && r->f->config_at_ms >= since_ms && r->f->survey.asked_at_ms >= since_ms;
    for (uint32_t i = 0; i < r->f->server_count; i++)
        is_all = is_all && is_probed(&r->f->servers[i], since_ms);
    if (is_all)
        return true;
    run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_CONF | MIG_PROBE_MNTR | MIG_PROBE_CONFIG | MIG_PROBE_SURVEY |
                       MIG_PROBE_PROPERTIES);
    return false;
}

static enum mig_phase blocked(struct run *r)
{
    char list[300] = "";
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->e->findings.count; i++) {
        const struct mig_finding *finding = &r->e->findings.items[i];
        if (finding->severity == MIG_BLOCK && !finding->is_accepted)
            mig_text_add(list, sizeof(list), "%s%s (%s)", count++ > 0 ? ", " : "", finding->id,
                         finding->seen);
    }
    return engine_fail(r, "preflight: %u findings block: %s", count, list);
}

static enum mig_phase judge(struct run *r)
{
    struct mig_engine *e = r->e;
    run_step_start(r, MIG_DO_PREFLIGHT, -1);
    bool is_seen = preflight_is_seen(r);
    if (is_seen && !preflight_is_probed(r))
        preflight_probe(r);
    bool is_complete = is_seen && preflight_is_probed(r);
    if (!is_complete && r->f->now_ms - e->phase_since_ms < PREFLIGHT_WAIT_MS) {
        run_wait(r, "", "answers of all servers and of the leader to the harmless probes");
        return MIG_PHASE_PREFLIGHT;
    }
    if (e->op.is_pending)
        return MIG_PHASE_PREFLIGHT;
    if (is_complete && !doubt_settles_members(r))
        return MIG_PHASE_PREFLIGHT;
    mig_preflight(&e->plan, r->f, &e->probes, &e->drained, &e->switches, &e->findings);
    if (mig_findings_blocks(&e->findings) > 0)
        return blocked(r);
    run_step_done(r, MIG_DO_PREFLIGHT, -1);
    return MIG_PHASE_PREFLIGHT;
}

static enum mig_phase take_lock(struct run *r)
{
    bool is_foreign = false;
    run_step_start(r, MIG_DO_LOCK, -1);
    if (!engine_lock(r, &is_foreign))
        return is_foreign ? MIG_PHASE_FAILED : MIG_PHASE_PREFLIGHT;
    run_step_done(r, MIG_DO_LOCK, -1);
    return MIG_PHASE_PREFLIGHT;
}

enum mig_phase phase_preflight(struct run *r)
{
    struct mig_engine *e = r->e;
    if (!engine_step_is_done(e, MIG_DO_PREFLIGHT, -1))
        return judge(r);
    if (!engine_step_is_done(e, MIG_DO_LOCK, -1))
        return take_lock(r);
    if (r->f->config == NULL) /* a restart in between: the admin session is not back yet */
        return MIG_PHASE_PREFLIGHT;
    /* From here on the plan knows the configuration it started with. */
    engine_adopt(e, r->f->config);
    e->plan.original = e->expected;
    mig_plan_complete(&e->plan, r->f);
    struct mig_record *record = run_journal(r, MIG_RECORD_PLAN);
    record->plan = &e->plan;
    record->findings = &e->findings;
    return e->plan.targets.count > 0 ? MIG_PHASE_JOINING : MIG_PHASE_SWITCHING;
}
