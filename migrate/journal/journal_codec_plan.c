/* struct mig_plan <-> zkf.RecordedPlan. Servers are stored in ZooKeeper's own syntax: readable with any
 * protobuf tool, and the parser that reads them back is the one that reads the configuration. */
#include <stdio.h>
#include <stdlib.h>

#include "migrate/journal/journal_codec_int.h"

#define LISTS_MAX                                                                                            \
    (2u * MIG_SERVERS_MAX + ZKP_SERVERS_MAX + MIG_GATE_COUNT + MIG_ACCEPT_MAX +                              \
     CONF_HOOK_COUNT * CONF_ARGUMENTS_MAX)

/* One allocation: the message, room for the pointers of all its lists, room for the server lines. */
struct packed_plan {
    Zkf__RecordedPlan message; /* first: the block is freed through it */
    char *pointers[LISTS_MAX];
    uint32_t pointer_count;
    uint32_t line_count;
    struct mig_packed_canary canary;
    char lines[][ZKP_SERVER_TEXT_MAX];
};

/* protobuf-c wants char * where it only reads. */
static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void pack_servers(struct packed_plan *p, const struct zkp_server *servers, uint32_t count,
                         size_t *ret_count, char ***ret_list)
{
    *ret_list = p->pointers + p->pointer_count;
    *ret_count = count;
    for (uint32_t i = 0; i < count; i++) {
        char *line = p->lines[p->line_count++];
        if (zkp_server_format(&servers[i], line, ZKP_SERVER_TEXT_MAX) == 0)
            line[0] = '\0'; /* found by the caller: no line is ever empty */
        p->pointers[p->pointer_count++] = line;
    }
}

static void pack_names(struct packed_plan *p, const struct mig_plan *plan)
{
    Zkf__RecordedPlan *m = &p->message;
    m->confirm = p->pointers + p->pointer_count;
    for (int gate = MIG_GATE_NONE + 1; gate < MIG_GATE_COUNT; gate++)
        if (plan->confirm[gate]) {
            p->pointers[p->pointer_count++] = unconst(mig_gate_name((enum mig_gate)gate));
            m->n_confirm++;
        }
    m->accept = p->pointers + p->pointer_count;
    m->n_accept = plan->accept_count;
    for (uint32_t i = 0; i < plan->accept_count; i++)
        p->pointers[p->pointer_count++] = unconst(plan->accept[i]);
}

/* Where the schema keeps the arguments of each hook. */
struct hook_field {
    enum conf_hook hook;
    size_t *count;
    char ***arguments;
};

static struct hook_field hook_field(Zkf__RecordedPlan *m, enum conf_hook hook)
{
    switch (hook) {
    case CONF_HOOK_START:
        return (struct hook_field){hook, &m->n_hook_start, &m->hook_start};
    case CONF_HOOK_STOP:
        return (struct hook_field){hook, &m->n_hook_stop, &m->hook_stop};
    case CONF_HOOK_RESTART:
        return (struct hook_field){hook, &m->n_hook_restart, &m->hook_restart};
    case CONF_HOOK_BACKUP:
    case CONF_HOOK_COUNT:
        break;
    }
    return (struct hook_field){CONF_HOOK_BACKUP, &m->n_hook_backup, &m->hook_backup};
}

static void pack_hooks(struct packed_plan *p, const struct mig_plan *plan)
{
    for (int hook = 0; hook < CONF_HOOK_COUNT; hook++) {
        const struct conf_command *command = &plan->hooks[hook];
        struct hook_field field = hook_field(&p->message, (enum conf_hook)hook);
        *field.arguments = p->pointers + p->pointer_count;
        *field.count = command->count;
        for (uint32_t i = 0; i < command->count; i++)
            p->pointers[p->pointer_count++] = unconst(conf_command_argument(command, i));
    }
    p->message.expected_version = unconst(plan->expected_version);
    p->message.has_hook_timeout_ms = true;
    p->message.hook_timeout_ms = plan->hook_timeout_ms;
}

static enum rc unpack_hooks(const Zkf__RecordedPlan *packed, struct mig_plan *plan, struct err *err)
{
    Zkf__RecordedPlan *m = (Zkf__RecordedPlan *)(uintptr_t)packed; /* its fields are only read */
    for (int hook = 0; hook < CONF_HOOK_COUNT; hook++) {
        struct hook_field field = hook_field(m, (enum conf_hook)hook);
        for (size_t i = 0; i < *field.count; i++)
            if (conf_command_add(&plan->hooks[hook], (*field.arguments)[i]) != RC_OK)
                return err_set(err, RC_CORRUPT, "plan: hook %s: too many or too long arguments",
                               conf_hook_name((enum conf_hook)hook));
    }
    plan->hook_timeout_ms = m->hook_timeout_ms;
    return mig_text_unpack(m->expected_version, "plan: expected_version", plan->expected_version,
                           sizeof plan->expected_version, err);
}

static void pack_numbers(Zkf__RecordedPlan *m, const struct mig_plan *plan)
{
    m->has_created_at = m->has_lag_ms = m->has_catch_up_rounds = m->has_switch_rate = true;
    m->has_join_timeout_ms = m->has_step_timeout_ms = m->has_hold_ms = true;
    m->created_at = plan->created_wall_ms;
    m->lag_ms = plan->lag_ms;
    m->catch_up_rounds = plan->catch_up_rounds;
    m->switch_rate = plan->switch_rate;
    m->join_timeout_ms = plan->join_timeout_ms;
    m->step_timeout_ms = plan->step_timeout_ms;
    m->hold_ms = plan->hold_ms;
    m->has_prove_joiners = plan->prove_joiners;
    m->prove_joiners = plan->prove_joiners;
    m->n_leaving = plan->leaving.count;
    m->leaving = (int32_t *)(uintptr_t)plan->leaving.ids; /* protobuf-c only reads it */
    m->has_original_version = plan->original.has_version;
    m->original_version = (uint64_t)plan->original.version;
    m->has_original_is_hierarchical = true;
    m->original_is_hierarchical = plan->original.is_hierarchical;
}

enum rc mig_plan_pack(const struct mig_plan *plan, Zkf__RecordedPlan **ret_packed, struct err *err)
{
    uint32_t lines = plan->sources.count + plan->targets.count + plan->original.server_count;
    struct packed_plan *p = calloc(1, sizeof *p + lines * sizeof p->lines[0]);
    if (p == NULL)
        return err_set(err, RC_NOMEM, "plan: out of memory");
    Zkf__RecordedPlan *m = &p->message;
    zkf__recorded_plan__init(m);
    m->id = unconst(plan->id);
    m->kind = unconst(conf_kind_name(plan->kind));
    m->verify = unconst(conf_verify_name(plan->verify));
    pack_servers(p, plan->sources.servers, plan->sources.count, &m->n_sources, &m->sources);
    pack_servers(p, plan->targets.servers, plan->targets.count, &m->n_targets, &m->targets);
    pack_servers(p, plan->original.servers, plan->original.server_count, &m->n_original, &m->original);
    pack_names(p, plan);
    pack_hooks(p, plan);
    pack_numbers(m, plan);
    if (conf_canary_is_on(&plan->canary)) {
        mig_canary_pack(&plan->canary, &p->canary);
        m->canary = &p->canary.message;
    }
    for (uint32_t i = 0; i < lines; i++)
        if (p->lines[i][0] == '\0') {
            free(p);
            return err_set(err, RC_TOO_BIG, "plan: a server's line is longer than %u", ZKP_SERVER_TEXT_MAX);
        }
    *ret_packed = m;
    return RC_OK;
}

enum rc mig_text_unpack(const char *stored, const char *field, char *buf, size_t capacity, struct err *err)
{
    size_t length = stored != NULL ? strlen(stored) : 0;
    if (length >= capacity)
        return err_set(err, RC_CORRUPT, "%s: %zu bytes, at most %zu fit", field, length, capacity - 1);
    if (length > 0)
        memcpy(buf, stored, length);
    buf[length] = '\0';
    return RC_OK;
}

static enum rc unpack_servers(char *const *lines, size_t count, struct zkp_server *servers, uint32_t capacity,
                              uint32_t *ret_count, struct err *err)
{
    if (count > capacity)
        return err_set(err, RC_CORRUPT, "plan: %zu servers, at most %u fit", count, capacity);
    for (size_t i = 0; i < count; i++)
        if (zkp_server_parse(zkp_slice_str(lines[i]), &servers[i], err) != RC_OK) {
            err_wrap(err, "plan");
            return RC_CORRUPT;
        }
    *ret_count = (uint32_t)count;
    return RC_OK;
}

static enum rc unpack_kind(const char *name, enum conf_kind *ret_kind, struct err *err)
{
    for (int kind = CONF_KIND_NONE; kind <= CONF_KIND_ROLLING; kind++)
        if (name != NULL && strcmp(name, conf_kind_name((enum conf_kind)kind)) == 0) {
            *ret_kind = (enum conf_kind)kind;
            return RC_OK;
        }
    return err_set(err, RC_CORRUPT, "plan: unknown kind");
}

static enum rc unpack_verify(const char *name, enum conf_verify *ret_verify, struct err *err)
{
    for (int verify = CONF_VERIFY_OFF; verify <= CONF_VERIFY_FULL; verify++)
        if (name == NULL || strcmp(name, conf_verify_name((enum conf_verify)verify)) == 0) {
            *ret_verify = (enum conf_verify)verify; /* absent: written before data was compared */
            return RC_OK;
        }
    return err_set(err, RC_CORRUPT, "plan: unknown verify");
}

static enum rc unpack_names(const Zkf__RecordedPlan *m, struct mig_plan *plan, struct err *err)
{
    for (size_t i = 0; i < m->n_confirm; i++) {
        enum mig_gate gate = mig_gate_named(m->confirm[i]);
        if (gate == MIG_GATE_NONE)
            return err_set(err, RC_CORRUPT, "plan: unknown gate");
        plan->confirm[gate] = true;
    }
    if (m->n_accept > MIG_ACCEPT_MAX)
        return err_set(err, RC_CORRUPT, "plan: %zu accepted findings, at most %u fit", m->n_accept,
                       MIG_ACCEPT_MAX);
    for (size_t i = 0; i < m->n_accept; i++) {
        enum rc rc =
            mig_text_unpack(m->accept[i], "plan: accept", plan->accept[i], sizeof plan->accept[i], err);
        if (rc != RC_OK)
            return rc;
    }
    plan->accept_count = (uint32_t)m->n_accept;
    return RC_OK;
}

static enum rc unpack_leaving(const Zkf__RecordedPlan *m, struct mig_plan *plan, struct err *err)
{
    if (m->n_leaving > MIG_SERVERS_MAX)
        return err_set(err, RC_CORRUPT, "plan: %zu servers leave, at most %u fit", m->n_leaving,
                       MIG_SERVERS_MAX);
    for (size_t i = 0; i < m->n_leaving; i++) {
        if (mig_servers_find(&plan->sources, m->leaving[i]) == NULL)
            return err_set(err, RC_CORRUPT, "plan: server %d leaves, but is no source", m->leaving[i]);
        plan->leaving.ids[i] = m->leaving[i];
    }
    plan->leaving.count = (uint32_t)m->n_leaving;
    if (plan->kind != CONF_KIND_MIGRATE || plan->leaving.count > 0)
        return RC_OK;
    for (uint32_t i = 0; i < plan->sources.count; i++) /* written before there were other kinds */
        plan->leaving.ids[plan->leaving.count++] = plan->sources.servers[i].id;
    return RC_OK;
}

static void unpack_numbers(const Zkf__RecordedPlan *m, struct mig_plan *plan)
{
    plan->created_wall_ms = m->created_at;
    plan->lag_ms = m->lag_ms;
    plan->catch_up_rounds = m->catch_up_rounds;
    plan->switch_rate = m->switch_rate;
    plan->join_timeout_ms = m->join_timeout_ms;
    plan->step_timeout_ms = m->step_timeout_ms;
    plan->hold_ms = m->hold_ms;
    plan->prove_joiners = m->prove_joiners;
    plan->original.has_version = m->has_original_version;
    plan->original.version = (int64_t)m->original_version;
    plan->original.is_hierarchical = m->original_is_hierarchical;
}

enum rc mig_plan_unpack(const Zkf__RecordedPlan *m, struct mig_plan *plan, struct err *err)
{
    memset(plan, 0, sizeof *plan);
    enum rc rc = mig_text_unpack(m->id, "plan: id", plan->id, sizeof plan->id, err);
    if (rc == RC_OK)
        rc = unpack_kind(m->kind, &plan->kind, err);
    if (rc == RC_OK)
        rc = unpack_verify(m->verify, &plan->verify, err);
    if (rc == RC_OK)
        rc = unpack_servers(m->sources, m->n_sources, plan->sources.servers, MIG_SERVERS_MAX,
                            &plan->sources.count, err);
    if (rc == RC_OK)
        rc = unpack_servers(m->targets, m->n_targets, plan->targets.servers, MIG_SERVERS_MAX,
                            &plan->targets.count, err);
    if (rc == RC_OK)
        rc = unpack_servers(m->original, m->n_original, plan->original.servers, ZKP_SERVERS_MAX,
                            &plan->original.server_count, err);
    if (rc == RC_OK)
        rc = unpack_leaving(m, plan, err);
    if (rc == RC_OK)
        rc = unpack_names(m, plan, err);
    if (rc == RC_OK)
        rc = unpack_hooks(m, plan, err);
    if (rc == RC_OK)
        rc = mig_canary_unpack(m->canary, &plan->canary, err);
    unpack_numbers(m, plan);
    return rc;
}
