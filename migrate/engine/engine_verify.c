/* The data of the servers that stay, compared with the leader's: before the first server leaves, and at the
 * end. What is compared and how is the shell's business (proxy/control/verify/verify.h); here is decided
 * when, and what follows: a difference stops the plan, and so does what could not be compared, unless it was
 * accepted by name. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

#define TRIES_MAX                                                                                            \
    3u /* of comparisons that did not get to their end: each waits for a lost server by itself */

void data_absorb(struct mig_engine *e, const struct mig_event *event)
{
    struct data_check *data = &e->data;
    if (data->seq == 0 || data->seq != event->seq)
        return; /* of before a retry */
    data->seq = 0;
    data->has_result = true;
    data->rc = event->rc;
    mig_text_set(data->text, sizeof(data->text), "%s", event->text);
}

static void add(struct mig_ids *ids, int32_t id)
{
    if (ids->count < MIG_SERVERS_MAX)
        ids->ids[ids->count++] = id;
}

/* Who is down is the tolerance's business, and can't be compared: the first of them, or MIG_NO_SERVER. */
static int32_t choose(const struct run *r, struct mig_ids *ret_ids)
{
    const struct mig_engine *e = r->e;
    int32_t missing = MIG_NO_SERVER;
    ret_ids->count = 0;
    for (uint32_t i = 0; i < r->f->server_count; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        bool stays =
            zkp_config_find(&e->expected, server->id) != NULL && !mig_plan_leaves(&e->plan, server->id);
        if (!stays || server->id == r->leader.id)
            continue;
        if (server_is_synced(r->f, server->id, &r->leader))
            add(ret_ids, server->id);
        else if (missing == MIG_NO_SERVER)
            missing = server->id;
    }
    return missing;
}

static enum data_verdict ask(struct run *r)
{
    struct mig_engine *e = r->e;
    struct mig_ids ids;
    int32_t missing = choose(r, &ids);
    if (ids.count == 0 && missing == MIG_NO_SERVER) /* the only one left leads */
        return DATA_EQUAL;
    if (ids.count == 0) {
        mig_text_set(e->data.text, sizeof(e->data.text), "server %d is not synced, and there is no other",
                     missing);
        return DATA_UNKNOWN;
    }
    struct mig_effect *effect = run_tell(r, MIG_EFFECT_VERIFY);
    effect->compare = ids;
    effect->is_full = e->plan.verify == CONF_VERIFY_FULL;
    e->data.seq = effect->seq;
    e->data.asked_ms = r->f->now_ms;
    return DATA_UNKNOWN;
}

static bool is_accepted(const struct run *r)
{
    return mig_plan_accepts(&r->e->plan, "data-not-compared", "data-not-compared");
}

static enum data_verdict judge(struct run *r)
{
    struct data_check *data = &r->e->data;
    data->has_result = false;
    data->retry_at_ms = r->f->now_ms + RETRY_MS;
    if (data->rc == RC_OK) {
        run_log(r, "plan.data.compared", "no difference%s%s", data->text[0] != '\0' ? "; " : "", data->text);
        memset(data, 0, sizeof(*data));
        return DATA_EQUAL;
    }
    if (data->rc == RC_REFUSED) {
        (void)engine_fail(r, "the data of the servers differs: %.400s", data->text);
        return DATA_DIFFERENT;
    }
    data->failures += data->rc != RC_AGAIN;
    if (data->failures < TRIES_MAX)
        return DATA_UNKNOWN;
    if (is_accepted(r)) {
        memset(data, 0, sizeof(*data));
        return DATA_EQUAL;
    }
    (void)engine_fail(r, "the data of the servers could not be compared: %.400s", data->text);
    return DATA_DIFFERENT;
}

static void say(struct run *r)
{
    const struct data_check *data = &r->e->data;
    if (data->seq == 0) {
        run_wait(r, "see `zkferry verify --watch`", "another try to compare the data: %s", data->text);
        return;
    }
    run_wait(r, "`zkferry verify --watch` shows how far it is",
             "the data of the servers that stay to be compared with the leader's");
    if (r->f->now_ms - data->asked_ms >= RETRY_MS) /* as long as the tree is big; a lost server ends it */
        r->e->due_from_ms = r->f->now_ms;
}

enum data_verdict data_compare(struct run *r)
{
    struct data_check *data = &r->e->data;
    enum data_verdict verdict = DATA_UNKNOWN;
    if (r->e->plan.verify == CONF_VERIFY_OFF || r->e->switches.no_data_gate)
        return DATA_EQUAL;
    if (data->has_result)
        verdict = judge(r);
    else if (data->seq == 0 && r->f->now_ms >= data->retry_at_ms)
        verdict = ask(r);
    if (verdict == DATA_UNKNOWN)
        say(r);
    return verdict;
}

bool data_is_due(const struct mig_engine *e)
{
    bool has_step = e->plan.verify != CONF_VERIFY_OFF && e->plan.leaving.count > 0;
    return has_step && !engine_step_is_over(e, MIG_DO_COMPARE);
}

enum mig_phase data_drive(struct run *r)
{
    run_step_start(r, MIG_DO_COMPARE, -1);
    if (!gate_leader(r))
        return r->e->phase;
    switch (data_compare(r)) {
    case DATA_UNKNOWN:
        break;
    case DATA_EQUAL:
        run_step_done(r, MIG_DO_COMPARE, -1);
        break;
    case DATA_DIFFERENT:
        return MIG_PHASE_FAILED;
    }
    return r->e->phase;
}
