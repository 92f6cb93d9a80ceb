/* Making a plan from the configuration and listing its steps: see plan.h. */
#include "migrate/plan/plan.h"

#include <stdio.h>
#include <string.h>

#include "migrate/preflight/preflight_table.h"
#include "migrate/text.h"

/* A leader change stops writes of all clients; two seconds is a third of the smallest usual timeout (6 s). */
#define HOLD_MS 2000

const struct zkp_server *mig_servers_find(const struct mig_servers *servers, int32_t id)
{
    for (uint32_t i = 0; i < servers->count; i++)
        if (servers->servers[i].id == id)
            return &servers->servers[i];
    return NULL;
}

static enum rc check_kind(const struct conf *conf, struct err *err)
{
    if (conf->kind == CONF_KIND_NONE)
        return err_set(err, RC_REFUSED, "the configuration file has no migration section");
    bool adds_none = conf->kind == CONF_KIND_SHRINK || conf->kind == CONF_KIND_ROLLING;
    if (!adds_none && conf->target.count == 0)
        return err_set(err, RC_REFUSED, "the configuration file names no target servers");
    if (adds_none && conf->target.count > 0)
        return err_set(err, RC_REFUSED, "the configuration file names target servers, but %s adds none",
                       conf_kind_name(conf->kind));
    if (conf->source.count + conf->target.count > MIG_SERVERS_MAX)
        return err_set(err, RC_REFUSED, "more than %u servers in one plan", MIG_SERVERS_MAX);
    return RC_OK;
}

static bool shares_address(const struct zkp_server *a, const struct zkp_server *b)
{
    for (uint32_t i = 0; i < a->address_count; i++)
        for (uint32_t k = 0; k < b->address_count; k++)
            if (zkp_host_eq(a->addresses[i].host, b->addresses[k].host) &&
                (a->addresses[i].quorum_port == b->addresses[k].quorum_port ||
                 a->addresses[i].election_port == b->addresses[k].election_port))
                return true;
    return false;
}

static enum rc check_target(const struct conf *conf, const struct zkp_server *target, struct err *err)
{
    if (zkp_server_client_host(target) == NULL)
        return err_set(err, RC_REFUSED, "target server.%d has no client port", target->id);
    if (target->role != ZKP_ROLE_PARTICIPANT)
        return err_set(err, RC_REFUSED,
                       "target server.%d is an observer, only participants can be migrated to", target->id);
    for (uint32_t i = 0; i < conf->source.count; i++) {
        const struct zkp_server *source = &conf->source.servers[i];
        if (source->id == target->id)
            return err_set(err, RC_REFUSED, "server.%d is both source and target", target->id);
        if (shares_address(source, target))
            return err_set(err, RC_REFUSED, "server.%d and server.%d have the same address", source->id,
                           target->id);
    }
    return RC_OK;
}

static bool takes_some(enum conf_kind kind)
{
    return kind == CONF_KIND_SHRINK || kind == CONF_KIND_REPLACE;
}

static bool is_listed(const struct conf_ids *list, int32_t id)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

static enum rc choose_leaving(const struct conf *conf, struct mig_plan *plan, struct err *err)
{
    uint32_t wanted = takes_some(conf->kind) ? conf->leaving.count : 0;
    plan->leaving.count = 0;
    for (uint32_t i = 0; i < conf->source.count; i++) {
        int32_t id = conf->source.servers[i].id;
        if (conf->kind == CONF_KIND_MIGRATE || (wanted > 0 && is_listed(&conf->leaving, id)))
            plan->leaving.ids[plan->leaving.count++] = id;
    }
    if (takes_some(conf->kind) && (wanted == 0 || plan->leaving.count != wanted))
        return err_set(err, RC_REFUSED, "migration.leaving names %s",
                       wanted == 0 ? "no servers" : "a server that is no source");
    if (mig_plan_final_count(plan) == 0)
        return err_set(err, RC_REFUSED, "no server would be left");
    return RC_OK;
}

/* A plan without a switch or removals must not wait for somebody to confirm them, and nobody goes first. */
static void choose_gates(const struct conf *conf, struct mig_plan *plan)
{
    plan->confirm[MIG_GATE_SWITCH] = conf->confirm_switch && plan->leaving.count > 0;
    plan->confirm[MIG_GATE_REMOVE] = conf->confirm_remove && plan->leaving.count > 0;
    plan->confirm[MIG_GATE_FINISH] = conf->confirm_finish;
    if (plan->leaving.count > 0)
        plan->canary = conf->canary;
}

static void copy_servers(const struct conf_servers *from, struct mig_servers *to)
{
    to->count = from->count;
    memcpy(to->servers, from->servers, from->count * sizeof(from->servers[0]));
}

void mig_plan_name(struct mig_plan *plan, int64_t wall_ms, uint32_t nonce)
{
    mig_text_set(plan->id, sizeof(plan->id), "%llx-%08x", (unsigned long long)wall_ms, nonce);
    plan->created_wall_ms = wall_ms;
}

enum rc mig_plan_make(const struct conf *conf, int64_t wall_ms, uint32_t nonce, struct mig_plan *ret_plan,
                      struct err *err)
{
    enum rc rc = check_kind(conf, err);
    for (uint32_t i = 0; rc == RC_OK && i < conf->target.count; i++)
        rc = check_target(conf, &conf->target.servers[i], err);
    if (rc != RC_OK)
        return rc;
    memset(ret_plan, 0, sizeof(*ret_plan));
    copy_servers(&conf->source, &ret_plan->sources);
    copy_servers(&conf->target, &ret_plan->targets);
    rc = choose_leaving(conf, ret_plan, err);
    if (rc != RC_OK)
        return rc;
    choose_gates(conf, ret_plan);
    mig_plan_name(ret_plan, wall_ms, nonce);
    ret_plan->kind = conf->kind;
    ret_plan->lag_ms = conf->lag_ms;
    ret_plan->catch_up_rounds = conf->catch_up_rounds;
    ret_plan->switch_rate = conf->switch_rate;
    ret_plan->join_timeout_ms = conf->join_timeout_ms;
    ret_plan->step_timeout_ms = conf->step_timeout_ms;
    memcpy(ret_plan->hooks, conf->hooks, sizeof(ret_plan->hooks));
    ret_plan->hook_timeout_ms = conf->hook_timeout_ms;
    mig_text_set(ret_plan->expected_version, sizeof(ret_plan->expected_version), "%s",
                 conf->expected_version);
    ret_plan->hold_ms = HOLD_MS;
    ret_plan->verify = conf->verify;
    ret_plan->prove_joiners = conf->prove_joiners == CONF_ON;
    return RC_OK;
}

bool mig_plan_accepts(const struct mig_plan *plan, const char *rule, const char *finding_id)
{
    for (uint32_t i = 0; i < plan->accept_count; i++)
        if (strcmp(plan->accept[i], rule) == 0 || strcmp(plan->accept[i], finding_id) == 0 ||
            mig_rule_is_about(rule, plan->accept[i]))
            return true;
    return false;
}

bool mig_plan_leaves(const struct mig_plan *plan, int32_t id)
{
    for (uint32_t i = 0; i < plan->leaving.count; i++)
        if (plan->leaving.ids[i] == id)
            return true;
    return false;
}

bool mig_plan_client_part(const struct mig_plan *plan, const struct mig_facts *facts,
                          struct zkp_server *member)
{
    const struct zkp_server *source = mig_servers_find(&plan->sources, member->id);
    const struct mig_server_facts *server = facts != NULL ? mig_facts_server(facts, member->id) : NULL;
    int32_t shown = server != NULL && server->conf != NULL ? server->conf->client_port : -1;
    if (member->client_port != 0 || source == NULL || source->client_port == 0)
        return false;
    member->client_port = source->client_port;
    mig_text_set(member->client_host, sizeof(member->client_host), "%s", source->client_host);
    if (shown > 0 && shown <= UINT16_MAX && shown != source->client_port) {
        member->client_port = (uint16_t)shown; /* something between it and us has other ports */
        member->client_host[0] = '\0';
    }
    return true;
}

void mig_plan_complete(struct mig_plan *plan, const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < plan->original.server_count; i++)
        (void)mig_plan_client_part(plan, facts, &plan->original.servers[i]);
}

const struct zkp_server *mig_plan_line(const struct mig_plan *plan, int32_t id)
{
    const struct zkp_server *original = zkp_config_find(&plan->original, id);
    return original != NULL ? original : mig_servers_find(&plan->targets, id);
}

int32_t mig_plan_dead_leaver(const struct mig_plan *plan, const struct mig_facts *facts,
                             const struct zkp_config *config)
{
    for (uint32_t i = 0; plan->kind == CONF_KIND_REPLACE && i < plan->leaving.count; i++) {
        const struct mig_server_facts *server = mig_facts_server(facts, plan->leaving.ids[i]);
        if (server != NULL && server->health == MIG_HEALTH_DOWN && server->our_sessions == 0 &&
            zkp_config_find(config, server->id) != NULL)
            return server->id;
    }
    return MIG_NO_SERVER;
}

uint32_t mig_plan_final_count(const struct mig_plan *plan)
{
    return plan->sources.count - plan->leaving.count + plan->targets.count;
}

static void step_add(struct mig_steps *steps, enum mig_step_kind kind, const char *name, int32_t server)
{
    struct mig_step *step = &steps->items[steps->count++];
    step->kind = kind;
    step->server = server;
    if (server < 0)
        mig_text_set(step->name, sizeof(step->name), "%s", name);
    else
        mig_text_set(step->name, sizeof(step->name), "%s.%d", name, server);
}

void mig_plan_steps(const struct mig_plan *plan, struct mig_steps *ret_steps)
{
    bool has_backup = plan->hooks[CONF_HOOK_BACKUP].count > 0;
    memset(ret_steps, 0, sizeof(*ret_steps));
    step_add(ret_steps, MIG_DO_PREFLIGHT, "preflight", -1);
    step_add(ret_steps, MIG_DO_LOCK, "lock", -1);
    if (plan->targets.count > 0)
        step_add(ret_steps, MIG_DO_JOIN, "join", -1);
    if (has_backup && plan->targets.count > 0)
        step_add(ret_steps, MIG_DO_BACKUP, "backup", -1);
    for (uint32_t i = 0; i < plan->targets.count; i++)
        step_add(ret_steps, MIG_DO_ADD, "add", plan->targets.servers[i].id);
    if (plan->targets.count > 0)
        step_add(ret_steps, MIG_DO_CATCH_UP, "catch_up", -1);
    if (conf_canary_is_on(&plan->canary))
        step_add(ret_steps, MIG_DO_CANARY, "canary", -1);
    if (plan->leaving.count > 0)
        step_add(ret_steps, MIG_DO_SWITCH, "switch", -1);
    if (has_backup && plan->targets.count == 0)
        step_add(ret_steps, MIG_DO_BACKUP, "backup", -1);
    for (uint32_t i = 0; plan->kind == CONF_KIND_ROLLING && i < plan->sources.count; i++)
        step_add(ret_steps, MIG_DO_RESTART, "restart", plan->sources.servers[i].id);
    if (plan->leaving.count > 0 && plan->verify != CONF_VERIFY_OFF)
        step_add(ret_steps, MIG_DO_COMPARE, "compare", -1);
    for (uint32_t i = 0; i < plan->leaving.count; i++)
        step_add(ret_steps, MIG_DO_REMOVE, "remove", plan->leaving.ids[i]);
    step_add(ret_steps, MIG_DO_VERIFY, "verify", -1);
    step_add(ret_steps, MIG_DO_FINISH, "finish", -1);
    for (uint32_t i = 0; plan->hooks[CONF_HOOK_STOP].count > 0 && i < plan->leaving.count; i++)
        step_add(ret_steps, MIG_DO_STOP, "stop", plan->leaving.ids[i]);
}

void mig_plan_turn_back(const struct mig_plan *plan, struct mig_steps *steps)
{
    for (uint32_t i = 0; i < steps->count; i++) {
        struct mig_step *step = &steps->items[i];
        if (step->state == MIG_STEP_DONE)
            continue;
        step->state = MIG_STEP_SKIPPED;
        mig_text_set(step->detail, sizeof(step->detail), "the plan was rolled back before it was done");
    }
    for (uint32_t i = 0; i < plan->leaving.count; i++)
        step_add(steps, MIG_DO_RESTORE, "restore", plan->leaving.ids[i]);
    step_add(steps, MIG_DO_CATCH_UP_BACK, "catch_up_back", -1);
    if (plan->kind != CONF_KIND_ROLLING)
        step_add(steps, MIG_DO_SWITCH_BACK, "switch_back", -1);
    for (uint32_t i = 0; i < plan->targets.count; i++)
        step_add(steps, MIG_DO_WITHDRAW, "withdraw", plan->targets.servers[i].id);
    step_add(steps, MIG_DO_VERIFY_BACK, "verify_back", -1);
}

struct mig_step *mig_steps_find(struct mig_steps *steps, enum mig_step_kind kind, int32_t server)
{
    for (uint32_t i = 0; i < steps->count; i++)
        if (steps->items[i].kind == kind && steps->items[i].server == server)
            return &steps->items[i];
    return NULL;
}

struct mig_step *mig_steps_named(struct mig_steps *steps, const char *name)
{
    for (uint32_t i = 0; i < steps->count; i++)
        if (strcmp(steps->items[i].name, name) == 0)
            return &steps->items[i];
    return NULL;
}
