/* The start of a verification: who is compared with whom, and a clean slate; see verify.h. */
#include <stdio.h>
#include <sys/random.h>

#include "migrate/engine/unseen.h"
#include "proxy/control/verify/verify_int.h"
#include "proxy/log.h"

/* Every server writes its own view of the members there when it starts; a plan's gates compare it. */
#define CONFIG_NODE "/zookeeper/config"

/* Who is compared, the reference first. */
struct chosen {
    uint32_t count;
    int32_t ids[MIG_SERVERS_MAX];
};

static void choose_one(struct chosen *chosen, int32_t id)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        if (chosen->ids[i] == id)
            return; /* so there are never more than servers */
    chosen->ids[chosen->count++] = id;
}

static enum rc choose_named(struct chosen *chosen, const struct mig_facts *facts,
                            const struct px_verify_request *request, struct err *err)
{
    for (uint32_t i = 0; i < request->count; i++) {
        int32_t id = request->ids[i];
        if (!mig_facts_server(facts, id))
            return err_set(err, RC_NOT_FOUND, "there is no server %d", id);
        if (id == chosen->ids[MIG_VERIFY_REFERENCE])
            return err_set(err, RC_INVALID, "server %d is the leader, the others are compared with it", id);
        choose_one(chosen, id);
    }
    return RC_OK;
}

static void choose_all(struct chosen *chosen, const struct mig_facts *facts)
{
    bool has_targets = false;
    for (uint32_t i = 0; i < facts->server_count; i++)
        has_targets = has_targets || facts->servers[i].side == MIG_SIDE_TARGET;
    for (uint32_t i = 0; i < facts->server_count; i++)
        if ((facts->servers[i].side == MIG_SIDE_TARGET) == has_targets)
            choose_one(chosen, facts->servers[i].id);
}

static enum rc unseen(const struct mig_facts *facts, struct err *err)
{
    char text[MIG_TEXT_MAX];
    mig_unseen_leader_text(facts, facts->config, text, sizeof text);
    return err_set(err, RC_AGAIN, "nothing can be compared with the leader: %s", text);
}

static enum rc choose(const struct mig_facts *facts, const struct px_verify_request *request,
                      struct chosen *ret_chosen, struct err *err)
{
    int32_t leader = mig_facts_leader(facts, INT64_MAX / 2).id;
    if (leader < 0 && mig_facts_is_led(facts))
        return unseen(facts, err);
    if (leader < 0)
        return err_set(err, RC_AGAIN, "no leader is proven at the moment, there is nothing to compare with");
    *ret_chosen = (struct chosen){.count = 1, .ids = {leader}};
    enum rc rc = choose_named(ret_chosen, facts, request, err);
    if (rc == RC_OK && request->count == 0)
        choose_all(ret_chosen, facts);
    if (rc == RC_OK && ret_chosen->count < 2)
        rc = err_set(err, RC_INVALID, "there is no other server to compare with the leader, %d", leader);
    return rc;
}

static enum rc make_core(const struct chosen *chosen, const char *state_root, const char *from,
                         struct mig_verify **ret_core, struct err *err)
{
    const struct mig_verify_options options = {
        .server_count = chosen->count, .skips = {state_root, CONFIG_NODE}, .from = from};
    return mig_verify_new(&options, ret_core, err);
}

/* Everything of the one before is forgotten. */
static void begin(struct px_verify *verify, const struct chosen *chosen, struct mig_verify *take_core,
                  const char *state_root, bool is_light)
{
    mig_verify_free(verify->core);
    verify->core = take_core;
    verify->outcome = PX_VERIFY_PENDING;
    verify->reason[0] = '\0';
    verify->is_quiet = false;
    verify->is_light = is_light;
    verify->is_counts_only = false;
    verify->has_asked_digests = false;
    memset(verify->digests, 0, sizeof verify->digests);
    verify->count = chosen->count;
    for (uint32_t i = 0; i < chosen->count; i++) {
        verify->ids[i] = chosen->ids[i];
        verify->conns[i] = (struct verify_conn){.owner = verify, .index = i};
    }
    snprintf(verify->root, sizeof verify->root, "%s", state_root);
    verify->skips[0] = verify->root;
    verify->skips[1] = CONFIG_NODE;
    mig_counts_start(&verify->counts, verify->ids[0], verify->ids + 1, verify->count - 1);
    verify->state = PX_VERIFY_COUNTING;
}

enum rc px_verify_start(struct px_verify *verify, const struct mig_facts *facts, const char *state_root,
                        const struct px_verify_request *request, struct err *err)
{
    struct chosen chosen = {.count = 0};
    struct mig_verify *core;
    if (px_verify_is_running(verify))
        return err_set(err, RC_REFUSED, "a verification is running");
    if (getrandom(&verify->key, sizeof verify->key, 0) != (ssize_t)sizeof verify->key)
        return err_set(err, RC_IO, "no random numbers for a hash's key");
    enum rc rc = choose(facts, request, &chosen, err);
    if (rc == RC_OK)
        rc = make_core(&chosen, state_root, request->from, &core, err);
    if (rc != RC_OK)
        return rc;
    begin(verify, &chosen, core, state_root, request->is_light);
    verify->started_ms = facts->now_ms;
    verify->started_wall_ms = facts->wall_ms;
    px_log(PX_LOG_INFO, "verify.started", "leader=%d servers=%u from=%s", verify->ids[0], verify->count - 1,
           request->from);
    return RC_OK;
}
