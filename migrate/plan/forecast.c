/* The order of the steps that are left, and what each makes of config and quorum; see forecast.h. */
#include "migrate/plan/forecast.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/plan/forecast_int.h"
#include "migrate/text.h"

static bool takes_away(enum mig_step_kind kind)
{
    return kind == MIG_DO_REMOVE || kind == MIG_DO_WITHDRAW;
}

static bool brings_in(enum mig_step_kind kind)
{
    return kind == MIG_DO_ADD || kind == MIG_DO_RESTORE;
}

/* From now on it counts: the gate before its step has seen that it follows. */
static void assume_following(struct outlook *o, int32_t id)
{
    for (uint32_t i = 0; i < o->then->server_count; i++) {
        struct mig_server_facts *server = &o->then->servers[i];
        if (server->id != id)
            continue;
        server->health = MIG_HEALTH_SERVING;
        server->srvr_at_ms = o->then->now_ms;
        server->srvr.mode = ZKP_MODE_FOLLOWER;
        server->srvr.zxid = o->leader.zxid;
    }
}

static void change_config(struct outlook *o, struct mig_forecast_step *step, struct zkp_config *config)
{
    int32_t leaver = step->kind == MIG_DO_ADD ? mig_plan_dead_leaver(o->plan, o->now, config) : MIG_NO_SERVER;
    const struct zkp_server *joiner = brings_in(step->kind) ? mig_plan_line(o->plan, step->server) : NULL;
    if (takes_away(step->kind) && zkp_config_find(config, step->server) != NULL)
        leaver = step->server;
    if (leaver != MIG_NO_SERVER) {
        mig_text_set(step->leaving, sizeof(step->leaving), "%d", leaver);
        mig_config_remove(config, leaver);
    }
    if (joiner != NULL && mig_config_add(config, joiner) == RC_OK) {
        (void)zkp_server_format(joiner, step->joining, sizeof(step->joining));
        assume_following(o, joiner->id);
    }
    o->removes_leader = leaver != 0 && leaver == o->leader.id;
}

static void judge_tolerance(const struct outlook *o, const struct zkp_config *then,
                            struct mig_forecast_step *step)
{
    step->tolerance = mig_tolerance_of(o->then, &o->config, then, &o->leader);
    if (step->tolerance.is_kept || (step->joining[0] == '\0' && step->leaving[0] == '\0'))
        return;
    mig_text_set(step->risk, sizeof(step->risk),
                 "it would wait: %d of %d voters are alive, after this step %d failures would be tolerated",
                 step->tolerance.now.alive, step->tolerance.now.voters, step->tolerance.then.tolerates);
}

static void foresee(struct outlook *o, const struct mig_step *from, struct mig_forecast_step *step)
{
    struct zkp_config then = o->config;
    memset(step, 0, sizeof(*step));
    mig_text_set(step->name, sizeof(step->name), "%s", from->name);
    step->kind = from->kind;
    step->server = from->server;
    change_config(o, step, &then);
    judge_tolerance(o, &then, step);
    mig_config_ids(&then, step->members, sizeof(step->members));
    forecast_describe(o, step);
    step->takes_ms = forecast_takes_ms(o, step);
    o->config = then;
    if (o->removes_leader)
        o->leader.id = 0; /* one that stays; who it is will be known then */
}

static bool is_left(const struct outlook *o, const struct mig_step *step)
{
    bool is_member = step->server >= 0 && zkp_config_find(&o->config, step->server) != NULL;
    bool is_needless =
        (step->kind == MIG_DO_RESTORE && is_member) || (step->kind == MIG_DO_WITHDRAW && !is_member);
    return step->state != MIG_STEP_DONE && step->state != MIG_STEP_SKIPPED && !is_needless;
}

/* As members_next has it: in the order of ids, the present leader behind the others of its kind. */
static uint32_t order(const struct outlook *o, const struct mig_steps *steps,
                      const struct mig_step *ret_order[MIG_STEPS_MAX])
{
    uint32_t count = 0;
    const struct mig_step *last = NULL;
    for (uint32_t i = 0; i < steps->count; i++) {
        const struct mig_step *step = &steps->items[i];
        if (last != NULL && step->kind != last->kind) {
            ret_order[count++] = last;
            last = NULL;
        }
        if (!is_left(o, step))
            continue;
        if (takes_away(step->kind) && step->server == o->leader.id)
            last = step;
        else
            ret_order[count++] = step;
    }
    if (last != NULL)
        ret_order[count++] = last;
    return count;
}

void mig_forecast(const struct mig_facts *facts, const struct mig_leader *leader,
                  struct mig_forecast *forecast)
{
    const struct mig_step *steps[MIG_STEPS_MAX];
    struct mig_facts then = *facts;
    struct outlook o = {
        .plan = &forecast->plan, .now = facts, .then = &then, .leader = *leader, .config = forecast->config};
    forecast->takes_ms = 0;
    forecast->count = order(&o, &forecast->steps, steps);
    for (uint32_t i = 0; i < forecast->count; i++) {
        foresee(&o, steps[i], &forecast->items[i]);
        forecast->takes_ms += forecast->items[i].takes_ms;
    }
}
