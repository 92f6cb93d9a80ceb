/* The change of one member (or of a dead one and its replacement at once): gate, intent, hold, reconfig,
 * outcome, barrier, activation. One stage, one handler, which returns the next stage. What is known to be
 * true comes from observation: a lost reply is decided by a config read behind a later barrier (design.md §5,
 * "Outcome of a reconfig"). */
#include <stdio.h>
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"
#include "zkproto/zkerr.h"

typedef enum change_stage stage_handler(struct run *r);

/* How far a wait inside one call may lead: GATE -> … -> SENT touches fewer stages than this. */
#define STAGES_PER_CALL 6

bool change_in_flight(const struct change *c)
{
    return c->stage >= CHANGE_HOLD && c->stage <= CHANGE_BARRIER;
}

static bool is_applied_in(const struct change *c, const struct zkp_config *config)
{
    const struct zkp_server *member = zkp_config_find(config, c->server);
    bool is_done = c->is_role ? member != NULL && member->role == c->role : (member != NULL) == c->is_add;
    return is_done && (c->partner == MIG_NO_SERVER || zkp_config_find(config, c->partner) == NULL);
}

/* The line a server joins with. */
static struct zkp_server line_of(const struct mig_engine *e)
{
    const struct zkp_server *planned = mig_plan_line(&e->plan, e->change.server);
    ASSERT(planned != NULL);
    struct zkp_server line = *planned;
    if (e->change.is_role)
        line.role = e->change.role;
    return line;
}

/* It votes no longer. */
static bool unseats(const struct change *c)
{
    return !c->is_add || (c->is_role && c->role == ZKP_ROLE_OBSERVER);
}

enum rc change_apply(const struct mig_engine *e, struct zkp_config *config)
{
    const struct change *c = &e->change;
    mig_config_remove(config, c->is_add ? c->partner : c->server);
    if (!c->is_add)
        return RC_OK;
    const struct zkp_server line = line_of(e);
    return mig_config_add(config, &line);
}

static void begin(struct run *r, const struct change *change)
{
    struct change *c = &r->e->change;
    ASSERT(!c->is_undecided);
    *c = *change;
    c->stage_since_ms = r->f->now_ms;
    /* Observation decides whether it is done, not memory; what follows a change is checked in any case. */
    c->stage = is_applied_in(c, &r->e->expected) ? CHANGE_LEADER : CHANGE_GATE;
    r->e->due_from_ms = r->f->now_ms;
}

void change_begin(struct run *r, enum mig_step_kind kind, int32_t server)
{
    bool is_add = kind == MIG_DO_ADD || kind == MIG_DO_RESTORE;
    begin(r, &(struct change){.kind = kind, .is_add = is_add, .server = server, .partner = MIG_NO_SERVER});
}

void change_begin_role(struct run *r, enum mig_step_kind kind, int32_t server, enum zkp_role role)
{
    begin(r, &(struct change){.kind = kind,
                              .is_add = true,
                              .is_role = true,
                              .role = role,
                              .server = server,
                              .partner = MIG_NO_SERVER});
}

static void describe(const struct run *r, char *joining, uint32_t joining_size, char *leaving,
                     uint32_t leaving_size)
{
    const struct change *c = &r->e->change;
    joining[0] = '\0';
    leaving[0] = '\0';
    int32_t leaver = c->is_add ? c->partner : c->server;
    if (leaver != MIG_NO_SERVER)
        mig_text_set(leaving, leaving_size, "%d", leaver);
    if (!c->is_add)
        return;
    const struct zkp_server server = line_of(r->e);
    uint32_t length = zkp_server_format(&server, joining, joining_size);
    ASSERT(length > 0);
}

static struct mig_record *journal_for_step(struct run *r, enum mig_record_kind kind)
{
    const struct change *c = &r->e->change;
    struct mig_record *record = run_journal(r, kind);
    const struct mig_step *step = mig_steps_find(&r->e->steps, c->kind, c->server);
    mig_text_set(record->step, sizeof(record->step), "%s", step->name);
    record->from_version = c->from_version;
    record->via = c->via;
    return record;
}

static void journal_intent(struct run *r)
{
    struct change *c = &r->e->change;
    c->takes_leader = unseats(c) && r->leader.id == c->server;
    c->from_version = r->e->expected.version;
    c->from_epoch = r->leader.epoch;
    c->via = r->leader.id;
    c->is_undecided = true;
    c->hold_deadline_ms = 0;
    c->own_zxid = 0;
    c->held_ms = 0;
    r->e->has_changed = true;
    struct mig_record *record = journal_for_step(r, MIG_RECORD_INTENT);
    describe(r, record->joining, sizeof(record->joining), record->leaving, sizeof(record->leaving));
}

/* The hold ends before anything waits for the disk. */
static void journal_outcome(struct run *r, bool is_applied, const char *text)
{
    struct change *c = &r->e->change;
    run_release(r);
    if (!c->is_undecided)
        return;
    c->is_undecided = false;
    struct mig_record *record = journal_for_step(r, MIG_RECORD_OUTCOME);
    record->is_done = is_applied;
    record->hold_ms = c->held_ms;
    record->version = is_applied ? r->e->expected.version : c->from_version;
    mig_text_set(record->text, sizeof(record->text), "%s", text);
    run_log(r, "plan.reconfig.outcome", "%s %s version=%llx %s", record->step,
            is_applied ? "applied" : "not_applied", (unsigned long long)record->version, text);
}

static enum change_stage not_applied(struct run *r, int64_t retry_after_ms, const char *text)
{
    journal_outcome(r, false, text);
    r->e->change.retry_at_ms = r->f->now_ms + retry_after_ms;
    run_wait(r, "", "another try: %s", text);
    return CHANGE_GATE;
}

/* What is asked of the server itself, and of those that come with it. */
static bool gate_server(struct run *r)
{
    const struct change *c = &r->e->change;
    if (c->is_role)
        return rolling_gate(r, c->server, c->role);
    if (!c->is_add)
        return gate_leaver(r, c->server);
    return c->kind == MIG_DO_ADD ? gate_all_joiners(r, c->stage_since_ms)
                                 : gate_restored(r, c->server, c->stage_since_ms);
}

static enum change_stage stage_gate(struct run *r)
{
    struct change *c = &r->e->change;
    bool must_stop = false;
    c->partner =
        c->kind == MIG_DO_ADD ? mig_plan_dead_leaver(&r->e->plan, r->f, &r->e->expected) : MIG_NO_SERVER;
    if (r->f->now_ms < c->retry_at_ms || !gate_leader(r))
        return CHANGE_GATE;
    bool is_open = gate_config(r, &must_stop) && gate_probe(r, &must_stop) && gate_server(r) &&
                   gate_activation(r, c->stage_since_ms, c->kind == MIG_DO_ADD) &&
                   (c->is_role || gate_tolerance(r)); /* a role has a gate of its own */
    if (must_stop)
        return CHANGE_FAILED;
    if (!is_open)
        return CHANGE_GATE;
    journal_intent(r);
    return CHANGE_HOLD;
}

static enum change_stage stage_hold(struct run *r)
{
    char why[128];
    switch (hold_take(r, why, sizeof(why))) {
    case HOLD_WAITING:
        return CHANGE_HOLD;
    case HOLD_QUIET:
        return CHANGE_SEND;
    case HOLD_GIVEN_UP:
        break;
    }
    return not_applied(r, HOLD_RETRY_MS, why);
}

static enum change_stage stage_send(struct run *r)
{
    struct change *c = &r->e->change;
    if (r->leader.id != c->via || r->leader.epoch != c->from_epoch)
        return not_applied(r, RETRY_MS, "the leader changed before the request was sent");
    if (c->takes_leader && r->e->hold_id != 0)
        run_hold(r, MIG_HOLD_ALL, r->f->now_ms + HOLD_LEASE_MS);
    struct mig_effect *effect = run_ask(r, MIG_EFFECT_RECONFIG, c->via);
    describe(r, effect->joining, sizeof(effect->joining), effect->leaving, sizeof(effect->leaving));
    effect->from_version = c->from_version;
    run_wait(r, "", "the reply of server %d to the reconfig", c->via);
    run_log(r, "plan.reconfig.sent", "via=%d joining=\"%s\" leaving=\"%s\" from_version=%llx", c->via,
            effect->joining, effect->leaving, (unsigned long long)c->from_version);
    return CHANGE_SENT;
}

/* Is this exactly what the change was meant to give? After a retry `expected` may be unknown. */
static bool is_wanted(const struct run *r, const struct zkp_config *config)
{
    struct zkp_config wanted = r->e->expected;
    const struct change *c = &r->e->change;
    if (!r->e->has_expected)
        return is_applied_in(c, config);
    return change_apply(r->e, &wanted) == RC_OK && mig_same_members(&wanted, config);
}

static enum change_stage applied(struct run *r, const struct zkp_config *config)
{
    struct change *c = &r->e->change;
    engine_adopt(r->e, config);
    c->leader_since_ms = 0;
    c->own_zxid = config->version; /* a config's version is the zxid of the reconfig that made it */
    if (c->takes_leader && r->e->hold_id != 0)
        run_hold(r, r->e->hold_scope, r->f->now_ms + HOLD_LEASE_MS);
    return CHANGE_LEADER;
}

static enum change_stage refused(struct run *r, int32_t zk_err)
{
    char text[128];
    mig_text_set(text, sizeof(text), "the reconfig was refused with %s", zkp_err_name(zk_err));
    if (zk_err == ZKP_ERR_BAD_VERSION)
        return CHANGE_DECIDE; /* somebody else's change, or an earlier try of ours that was thought lost */
    if (zk_err == ZKP_ERR_NEW_CONFIG_NO_QUORUM || zk_err == ZKP_ERR_RECONFIG_IN_PROGRESS)
        return not_applied(r, RETRY_MS, text);
    journal_outcome(r, false, text);
    (void)engine_fail(r, "%s of server %d: %s",
                      r->e->change.is_role  ? "the new role"
                      : r->e->change.is_add ? "adding"
                                            : "removal",
                      r->e->change.server, text);
    return CHANGE_FAILED;
}

static enum change_stage stage_sent(struct run *r)
{
    const struct engine_op *op = run_take(r, MIG_EFFECT_RECONFIG);
    if (op == NULL)
        return CHANGE_DECIDE;
    if (op->rc == RC_OK && op->has_config && is_wanted(r, &op->config))
        return applied(r, &op->config);
    if (op->rc == RC_REFUSED)
        return refused(r, op->zk_err);
    if (op->rc == RC_IO)
        return not_applied(r, RETRY_MS, "the request could not be sent");
    return CHANGE_DECIDE;
}

/* The same sentence as before a request: whether the change was seen then or only now is chance. */
static void fail_foreign(struct run *r, const struct zkp_config *config)
{
    char ids[256];
    if (r->e->has_expected) {
        gate_fail_foreign(r, config);
        return;
    }
    mig_config_ids(config, ids, sizeof(ids));
    (void)engine_fail(
        r, "the config was changed by somebody else: members %s with version %llx, expected %llx", ids,
        (unsigned long long)config->version, (unsigned long long)r->e->change.from_version);
}

static enum change_stage decide(struct run *r, const struct zkp_config *config)
{
    const struct change *c = &r->e->change;
    if (is_wanted(r, config))
        return applied(r, config);
    if (config->version == c->from_version) {
        if (!r->e->has_expected)
            engine_adopt(r->e, config);
        return not_applied(r, RETRY_MS, "the config shows that the request had no effect");
    }
    journal_outcome(r, is_applied_in(c, config), "the config was changed by somebody else");
    fail_foreign(r, config);
    return CHANGE_FAILED;
}

static enum change_stage stage_decide(struct run *r)
{
    struct change *c = &r->e->change;
    const struct engine_op *op = run_take(r, MIG_EFFECT_READ_CONFIG);
    if (op != NULL && op->rc == RC_OK && op->has_config)
        return decide(r, &op->config);
    if (r->e->hold_id == 0) /* after a restart */
        run_hold(r, MIG_HOLD_MOVES, r->f->now_ms + HOLD_LEASE_MS);
    if (op != NULL)
        c->retry_at_ms = r->f->now_ms + RETRY_MS;
    run_wait(r, "see that the members form a quorum",
             "the outcome of the reconfig; its reply was lost and only a later transaction shows it");
    run_reprobe(r, MIG_PROBE_SRVR);
    if (r->leader.id >= 0 && r->f->now_ms >= c->retry_at_ms)
        (void)run_ask(r, MIG_EFFECT_READ_CONFIG, r->leader.id);
    return CHANGE_DECIDE;
}

static enum change_stage stage_leader(struct run *r)
{
    struct change *c = &r->e->change;
    bool is_new = !c->takes_leader || (r->leader.id != c->server && r->leader.epoch > c->from_epoch);
    if (r->leader.id >= 0 && is_new && r->f->now_ms >= c->retry_at_ms)
        return hold_waits_for_sessions(r) ? CHANGE_LEADER : CHANGE_BARRIER;
    c->leader_since_ms = 0;
    if (c->takes_leader && !mig_facts_is_led(r->f))
        run_wait(r, "see why the members elect no leader", "the new leader; the old one has left");
    else
        gate_wait_leader(r);
    run_reprobe(r, MIG_PROBE_SRVR);
    return CHANGE_LEADER;
}

static enum change_stage stage_barrier(struct run *r)
{
    struct change *c = &r->e->change;
    const struct engine_op *op = run_take(r, MIG_EFFECT_BARRIER);
    if (op != NULL && op->rc == RC_OK) {
        journal_outcome(r, true, "");
        return CHANGE_ACTIVATION;
    }
    if (op != NULL) {
        c->retry_at_ms = r->f->now_ms + RETRY_MS / 4;
        return CHANGE_LEADER;
    }
    run_wait(r, "", "a transaction to commit on the leader, server %d", r->leader.id);
    if (r->leader.id < 0)
        return CHANGE_LEADER;
    (void)run_ask(r, MIG_EFFECT_BARRIER, r->leader.id);
    return CHANGE_BARRIER;
}

static enum change_stage stage_activation(struct run *r)
{
    bool is_disabled = false;
    bool is_done = gate_leader(r) && gate_activation(r, r->e->change.stage_since_ms, false) &&
                   gate_probe(r, &is_disabled);
    if (is_disabled)
        return CHANGE_FAILED;
    return is_done ? CHANGE_DONE : CHANGE_ACTIVATION;
}

static stage_handler *const stages[CHANGE_COUNT] = {
    [CHANGE_GATE] = stage_gate,       [CHANGE_HOLD] = stage_hold,
    [CHANGE_SEND] = stage_send,       [CHANGE_SENT] = stage_sent,
    [CHANGE_DECIDE] = stage_decide,   [CHANGE_LEADER] = stage_leader,
    [CHANGE_BARRIER] = stage_barrier, [CHANGE_ACTIVATION] = stage_activation,
};

static void change_goto(struct run *r, enum change_stage next)
{
    r->e->change.stage = next;
    r->e->change.stage_since_ms = r->f->now_ms;
    memset(r->e->reprobed_at_ms, 0,
           sizeof(r->e->reprobed_at_ms)); /* a new stage needs fresh answers at once */
    /* The config may be newer now than when this call began. */
    *r = run_begin(r->e, r->f, r->out);
}

enum change_stage change_run(struct run *r)
{
    struct change *c = &r->e->change;
    for (int i = 0; i < STAGES_PER_CALL; i++) {
        if (c->stage == CHANGE_DONE || r->e->journal_seq != 0 || r->e->op.is_pending)
            break;
        enum change_stage next = stages[c->stage](r);
        if (next == CHANGE_FAILED)
            return CHANGE_FAILED;
        if (next == c->stage)
            break;
        change_goto(r, next);
    }
    return c->stage;
}
