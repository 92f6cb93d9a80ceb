/* A rolling plan: every server is restarted, one at a time, none of them while it leads or while another one
 * is missing. Per server: its sessions leave; a leader gives up leading by becoming an observer and, at once,
 * a participant again (its followers' clients are held for that, tens of milliseconds); a hook or a person
 * restarts it; when it has started anew, follows and keeps up, sessions may go there again.
 *
 * What has begun is told by one record; that the server did start anew is observed, never believed. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

#define WATCH_MS 250 /* people take hours; a restarting server is away for longer than this */

typedef enum mig_phase rolling_handler(struct run *r);

/* What was shown before it went away, or before it was stopped once more, counts no longer. */
static void begin_to_catch_up(struct run *r)
{
    memset(&r->e->catch_up, 0, sizeof(r->e->catch_up));
    r->e->catch_up.last_round_ms = r->f->now_ms;
}

static enum mig_phase go(struct run *r, enum rolling_stage next)
{
    struct rolling *roll = &r->e->rolling;
    roll->stage = next;
    roll->stage_since_ms = r->f->now_ms;
    r->e->due_from_ms = r->f->now_ms;
    begin_to_catch_up(r);
    return r->e->phase;
}

/* ---- what is observed ---- */

static bool serves_in_epoch(const struct run *r, const struct mig_server_facts *server)
{
    return server != NULL && mig_server_is_serving(r->f, server, GATE_AGE_MAX_MS) &&
           mig_zxid_epoch(server->srvr.zxid) == r->leader.epoch;
}

/* It was not there for a moment since then, or is another version now; after a restart of ours, which may
 * have missed that, its uptime tells. */
static bool has_restarted(const struct run *r, const struct mig_server_facts *server)
{
    const struct rolling *roll = &r->e->rolling;
    if (server->gone_at_ms > roll->since_ms)
        return true;
    bool is_other = server->srvr_at_ms > roll->since_ms && strcmp(server->srvr.version, roll->version) != 0;
    if (is_other && roll->version[0] != '\0')
        return true;
    bool has_uptime = server->mntr_seen == MIG_SEEN_DATA && server->mntr.uptime_ms >= 0;
    return roll->is_replayed && has_uptime && server->mntr_at_ms > roll->since_ms &&
           server->mntr.uptime_ms < r->f->wall_ms - roll->since_wall_ms;
}

/* A member that the plan knows as a voter and the config as an observer: it has given up leading. */
static int32_t demoted(const struct mig_engine *e)
{
    for (uint32_t i = 0; i < e->expected.server_count; i++) {
        const struct zkp_server *member = &e->expected.servers[i];
        const struct zkp_server *line = mig_plan_line(&e->plan, member->id);
        if (member->role == ZKP_ROLE_OBSERVER && line != NULL && line->role == ZKP_ROLE_PARTICIPANT)
            return member->id;
    }
    return -1;
}

void rolling_restore_roles(const struct mig_engine *e, struct zkp_config *config)
{
    for (uint32_t i = 0; i < config->server_count; i++) {
        const struct zkp_server *line = mig_plan_line(&e->plan, config->servers[i].id);
        if (line != NULL)
            config->servers[i].role = line->role;
    }
}

/* By an answer of the present stage: it began perhaps hours after the one before. */
static bool is_synced_now(const struct run *r, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    return server_is_synced(r->f, id, &r->leader) && server->srvr_at_ms >= r->e->rolling.stage_since_ms;
}

/* Without this one there is a quorum, and nobody else is missing: one at a time. */
static bool gate_others(struct run *r, int32_t id)
{
    const struct zkp_config *config = &r->e->expected;
    uint32_t others = 0;
    for (uint32_t i = 0; i < config->server_count; i++) {
        int32_t other = config->servers[i].id;
        if (other == id || config->servers[i].role != ZKP_ROLE_PARTICIPANT)
            continue;
        others++;
        if (is_synced_now(r, other))
            continue;
        run_wait(r, "bring it back", "server %d to be synced; server %d must not be missing at the same time",
                 other, id);
        run_reprobe(r, MIG_PROBE_SRVR);
        return false;
    }
    if (others >= zkp_config_voters(config) / 2 + 1)
        return true;
    run_wait(r, "let more servers be members first", "more voters: without server %d there is no quorum", id);
    return false;
}

bool rolling_gate(struct run *r, int32_t id, enum zkp_role role)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    if (role == ZKP_ROLE_OBSERVER)
        return gate_others(r, id) && gate_leaver(r, id);
    if (serves_in_epoch(r, server))
        return true;
    run_wait(r, "see its log", "server %d to follow as an observer, before it is a voter again", id);
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

/* ---- the change of a leader's role ---- */

static enum mig_phase drive(struct run *r)
{
    struct change *c = &r->e->change;
    if (!engine_goes_back(r->e))
        run_step_start(r, c->kind, c->server);
    if (c->stage == CHANGE_GATE && c->role == ZKP_ROLE_OBSERVER && r->leader.id >= 0 &&
        r->leader.id != c->server) {
        c->stage = CHANGE_NONE; /* somebody else leads by now */
        return go(r, ROLLING_GATE);
    }
    enum change_stage stage = change_run(r);
    if (stage == CHANGE_FAILED)
        return MIG_PHASE_FAILED;
    if (stage != CHANGE_DONE || r->e->journal_seq != 0)
        return r->e->phase;
    c->stage = CHANGE_NONE;
    return go(r, ROLLING_GATE);
}

static enum mig_phase change_role(struct run *r, int32_t id, enum zkp_role role)
{
    if (r->e->change.stage == CHANGE_NONE)
        change_begin_role(r, MIG_DO_RESTART, id, role);
    return drive(r);
}

/* A change whose outcome is open, or whose other half is missing, comes before everything else. */
static bool has_role_to_change(const struct mig_engine *e)
{
    return e->change.stage != CHANGE_NONE || demoted(e) >= 0;
}

static enum mig_phase settle_roles(struct run *r)
{
    return r->e->change.stage != CHANGE_NONE ? drive(r) : change_role(r, demoted(r->e), ZKP_ROLE_PARTICIPANT);
}

/* ---- one server ---- */

static enum mig_phase stage_gate(struct run *r)
{
    bool is_open = gate_leader(r) && gate_others(r, r->e->rolling.server);
    return is_open ? go(r, ROLLING_DRAIN) : r->e->phase;
}

static void journal_begin(struct run *r, const struct mig_server_facts *server)
{
    struct rolling *roll = &r->e->rolling;
    struct mig_record *record = run_journal(r, MIG_RECORD_STEP);
    const struct mig_step *step = mig_steps_find(&r->e->steps, MIG_DO_RESTART, roll->server);
    mig_text_set(record->step, sizeof(record->step), "%s", step->name);
    mig_text_set(record->text, sizeof(record->text), "%s", server->srvr.version);
    rolling_begun(r->e, record);
    roll->since_ms = r->f->now_ms;
    roll->is_replayed = false;
}

/* Its sessions leave by routing. Looked at once more before it is let go: draining takes its time. */
static enum mig_phase stage_drain(struct run *r)
{
    struct rolling *roll = &r->e->rolling;
    const struct mig_server_facts *server = mig_facts_server(r->f, roll->server);
    if (server == NULL || server->probed_at_ms <= roll->stage_since_ms) {
        run_wait(r, "", "a fresh answer of server %d", roll->server);
        run_reprobe(r, MIG_PROBE_SRVR);
        return r->e->phase;
    }
    if (!gate_leaver(r, roll->server) || !gate_leader(r) || !gate_others(r, roll->server))
        return r->e->phase;
    if (r->leader.id == roll->server)
        return change_role(r, roll->server, ZKP_ROLE_OBSERVER);
    if (!roll->has_begun)
        journal_begin(r, server);
    return go(r, ROLLING_RESTART);
}

static void wait_for_restart(struct run *r, int32_t id)
{
    if (hook_exists(r->e, CONF_HOOK_RESTART))
        run_wait(r, "see why its restart hook has not restarted it",
                 "server %d to go down and come back; its restart hook has ended", id);
    else
        run_wait(r, "restart or upgrade it now; it has no sessions, and the others form a quorum",
                 "you to restart server %d", id);
}

static enum mig_phase stage_restart(struct run *r)
{
    struct rolling *roll = &r->e->rolling;
    const struct mig_server_facts *server = mig_facts_server(r->f, roll->server);
    bool is_new = server != NULL && has_restarted(r, server);
    bool is_hooking = hook_is_under_way(r->e, CONF_HOOK_RESTART, roll->server);
    bool is_back = is_new && server->health == MIG_HEALTH_SERVING;
    bool needs_hook = hook_exists(r->e, CONF_HOOK_RESTART) && !roll->is_hooked && !is_back;
    if (server == NULL || r->f->now_ms - server->probed_at_ms >= WATCH_MS)
        run_reprobe(r, MIG_PROBE_SRVR);
    if (!is_hooking && !is_new && r->leader.id == roll->server) {
        roll->has_begun = false; /* it leads by now: not like this */
        return go(r, ROLLING_GATE);
    }
    if (is_hooking || needs_hook) {
        if (hook_run(r, CONF_HOOK_RESTART, roll->server) == HOOK_FAILED)
            return MIG_PHASE_FAILED;
        return r->e->phase;
    }
    if (is_new)
        return go(r, ROLLING_RETURN);
    wait_for_restart(r, roll->server);
    return r->e->phase;
}

static bool has_version(struct run *r, const struct mig_server_facts *server)
{
    const char *wanted = r->e->plan.expected_version;
    if (wanted[0] == '\0' || strcmp(server->srvr.version, wanted) == 0)
        return true;
    run_wait(r, "upgrade it and start it again, or `zkferry rollback`",
             "server %d to run version %s; it runs %s", server->id, wanted, server->srvr.version);
    run_reprobe(r, MIG_PROBE_SRVR);
    return false;
}

static bool is_back(struct run *r, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    run_reprobe(r, MIG_PROBE_SRVR);
    if (!gate_leader(r))
        return false;
    if (!serves_in_epoch(r, server) || server->srvr_at_ms <= r->e->rolling.stage_since_ms) {
        run_wait(r, "see its log; it must come back with its data and its configuration",
                 "server %d to be back and to follow; it is %s", id,
                 server != NULL ? mig_health_name(server->health) : "not probed");
        begin_to_catch_up(r);
        return false;
    }
    return gate_activation(r, r->e->rolling.stage_since_ms, false) && gate_doubt(r, id) &&
           catch_up_is_done(r);
}

static enum mig_phase stage_return(struct run *r)
{
    struct rolling *roll = &r->e->rolling;
    if (!is_back(r, roll->server))
        return r->e->phase;
    if (!has_version(r, mig_facts_server(r->f, roll->server))) {
        begin_to_catch_up(r); /* it will have to come back once more */
        return r->e->phase;
    }
    run_step_done(r, MIG_DO_RESTART, roll->server);
    rolling_forget(r->e);
    r->e->due_from_ms = r->f->now_ms;
    return r->e->phase;
}

static rolling_handler *const stages[ROLLING_COUNT] = {
    [ROLLING_GATE] = stage_gate,
    [ROLLING_DRAIN] = stage_drain,
    [ROLLING_RESTART] = stage_restart,
    [ROLLING_RETURN] = stage_return,
};

/* The one that was begun, also when the leader has changed since: it may be down. */
static bool choose(struct run *r)
{
    struct rolling *roll = &r->e->rolling;
    int32_t next = roll->has_begun ? roll->server : members_next(r, MIG_DO_RESTART);
    bool is_other = next != roll->server && roll->stage <= ROLLING_DRAIN;
    if (is_other && roll->server != MIG_NO_SERVER)
        mig_steps_find(&r->e->steps, MIG_DO_RESTART, roll->server)->state = MIG_STEP_PENDING;
    if (next >= 0 && is_other) {
        rolling_forget(r->e);
        roll->server = next;
        (void)go(r, ROLLING_GATE);
    }
    return next >= 0;
}

static bool is_changed_by_others(struct run *r)
{
    bool is_foreign = false;
    if (r->f->config != NULL && r->f->config->version > r->e->expected.version)
        (void)gate_config(r, &is_foreign);
    return is_foreign;
}

enum mig_phase rolling_phase(struct run *r)
{
    if (has_role_to_change(r->e))
        return settle_roles(r);
    if (is_changed_by_others(r))
        return MIG_PHASE_FAILED;
    if (!choose(r))
        return MIG_PHASE_VERIFYING;
    run_step_start(r, MIG_DO_RESTART, r->e->rolling.server);
    return stages[r->e->rolling.stage](r);
}

/* ---- the way back: what was begun is brought to its end, nothing else is begun ---- */

static enum mig_phase wait_until_back(struct run *r)
{
    const struct mig_engine *e = r->e;
    int32_t id = e->rolling.server;
    run_step_start(r, MIG_DO_CATCH_UP_BACK, -1);
    if (hook_is_under_way(e, CONF_HOOK_RESTART, id) && e->hook.is_pending)
        run_wait(r, "its output is in the log as event=hook.output", "hook restart of server %d to end", id);
    else if (e->rolling.stage != ROLLING_RETURN)
        (void)go(r, ROLLING_RETURN);
    else if (is_back(r, id)) {
        run_step_done(r, MIG_DO_CATCH_UP_BACK, -1);
        rolling_forget(r->e);
    }
    return e->phase;
}

static enum mig_phase verify_back(struct run *r)
{
    if (engine_step_is_done(r->e, MIG_DO_VERIFY_BACK, -1))
        return MIG_PHASE_ROLLED_BACK;
    rolling_forget(r->e); /* a server that was only drained */
    return switch_verify(r, MIG_DO_VERIFY_BACK);
}

enum mig_phase rolling_back(struct run *r)
{
    struct change *c = &r->e->change;
    if (c->stage == CHANGE_GATE && c->role == ZKP_ROLE_OBSERVER)
        c->stage = CHANGE_NONE;
    if (has_role_to_change(r->e))
        return settle_roles(r);
    if (!r->e->rolling.has_begun || engine_step_is_done(r->e, MIG_DO_CATCH_UP_BACK, -1))
        return verify_back(r);
    return wait_until_back(r);
}

/* ---- memory ---- */

void rolling_forget(struct mig_engine *e)
{
    e->rolling = (struct rolling){.server = MIG_NO_SERVER};
}

void rolling_retry(struct mig_engine *e)
{
    e->rolling.stage = ROLLING_GATE;
    e->rolling.is_hooked = false;
}

void rolling_begun(struct mig_engine *e, const struct mig_record *record)
{
    struct rolling *roll = &e->rolling;
    const struct mig_step *step = mig_steps_named(&e->steps, record->step);
    ASSERT(step != NULL && step->kind == MIG_DO_RESTART);
    *roll = (struct rolling){.server = step->server,
                             .stage = ROLLING_GATE,
                             .has_begun = true,
                             .is_replayed = true,
                             .since_wall_ms = record->wall_ms};
    mig_text_set(roll->version, sizeof(roll->version), "%s", record->text);
    e->has_changed = true; /* from here on there is something to bring to its end */
}

int32_t rolling_resting(const struct mig_engine *e)
{
    bool is_live = mig_phase_is_running(e->phase) || (e->phase == MIG_PHASE_FAILED && e->rolling.has_begun);
    return is_live && e->plan.kind == CONF_KIND_ROLLING ? e->rolling.server : MIG_NO_SERVER;
}

bool rolling_waits_for_people(const struct mig_engine *e)
{
    return e->plan.kind == CONF_KIND_ROLLING && e->phase == MIG_PHASE_SWITCHING &&
           e->rolling.stage == ROLLING_RESTART && !hook_exists(e, CONF_HOOK_RESTART);
}
