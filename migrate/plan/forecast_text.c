/* What a step does to clients, how it is stopped or taken back, and which people it waits for, in words. */
#include "migrate/plan/estimate.h"
#include "migrate/plan/forecast_int.h"
#include "migrate/text.h"

/* Steps of one kind say the same; "" = said by a function below. A kind without a row says so. */
static const struct words {
    enum mig_step_kind kind;
    const char *impact;
    const char *undo;
} table[] = {
    {MIG_DO_PREFLIGHT, "nothing: servers are looked at", "`zkferry rollback`: nothing has been changed"},
    {MIG_DO_LOCK, "nothing: an ephemeral node of zkferry's own",
     "`zkferry rollback`: nothing has been changed"},
    {MIG_DO_JOIN, "nothing: the targets follow without a vote",
     "`zkferry rollback`: nothing has been changed; `zkferry pause`"},
    {MIG_DO_ADD, "writes wait for the reconfig, some 10 ms; no session moves meanwhile",
     "`zkferry rollback` withdraws it; `zkferry pause` stops before the next"},
    {MIG_DO_CATCH_UP, "nothing", "`zkferry rollback` withdraws the targets; `zkferry pause`"},
    {MIG_DO_CANARY,
     "the sessions that go first move, each with a pause of some ms, and are watched; beyond a limit they go "
     "back and the plan pauses",
     "`zkferry rollback` moves them back; `zkferry pause` stops it where it is"},
    {MIG_DO_SWITCH, "", "`zkferry rollback` moves them back; `zkferry pause` stops it where it is"},
    {MIG_DO_REMOVE, "",
     "`zkferry rollback` brings it back as long as it runs: do not stop it; `zkferry pause` stops before the "
     "next"},
    {MIG_DO_VERIFY, "nothing: the config is read and compared", "`zkferry rollback`, until finish is done"},
    {MIG_DO_FINISH, "nothing", "nothing: from here on there is no way back"},
    {MIG_DO_RESTORE, "writes wait for the reconfig, some 10 ms; no session moves meanwhile",
     "nothing: a rollback is carried on; `zkferry pause` stops before the next"},
    {MIG_DO_CATCH_UP_BACK, "nothing", "nothing: a rollback is carried on; `zkferry pause`"},
    {MIG_DO_SWITCH_BACK, "", "nothing: a rollback is carried on; `zkferry pause` stops it where it is"},
    {MIG_DO_WITHDRAW, "", "nothing: a rollback is carried on; `zkferry pause` stops before the next"},
    {MIG_DO_VERIFY_BACK, "nothing: the config is read and compared",
     "nothing: a rollback is carried on; `zkferry pause`"},
    {MIG_DO_COMPARE, "nothing: servers' counts are read, and every node where they differ or it is asked for",
     "`zkferry rollback` moves the sessions back; `zkferry pause`"},
    {MIG_DO_BACKUP, "nothing: a program of yours runs", "`zkferry rollback`: nothing has been changed"},
    {MIG_DO_STOP, "nothing: the server has left and serves nobody", "nothing: finish has been confirmed"},
    {MIG_DO_RESTART,
     "its sessions move to the others first, each with a pause of some ms; a leader gives up leading first, "
     "under a hold; the others must manage without it meanwhile",
     "`zkferry rollback` ends the plan when this server is back; `zkferry pause` stops before the next"},
};

static const struct words *words_of(enum mig_step_kind kind)
{
    static const struct words other = {.impact = "see the step's detail while it runs",
                                       .undo = "`zkferry status` lists what can be called"};
    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].kind == kind)
            return &table[i];
    return &other;
}

static void describe_switch(const struct outlook *o, struct mig_forecast_step *step)
{
    int64_t sessions = forecast_leaving_sessions(o, step->kind == MIG_DO_SWITCH_BACK);
    mig_text_set(step->impact, sizeof(step->impact),
                 "%lld sessions move, %d per second, each with a pause of some ms; connections stay open",
                 (long long)sessions, o->plan->switch_rate);
}

static void describe_leaving(const struct outlook *o, struct mig_forecast_step *step)
{
    if (step->leaving[0] == '\0')
        mig_text_set(step->impact, sizeof(step->impact),
                     "nothing: it is no member any more, it left together with a joiner");
    else if (!o->removes_leader)
        mig_text_set(step->impact, sizeof(step->impact),
                     "writes wait for the reconfig, some 10 ms; no session moves meanwhile");
    else
        mig_text_set(step->impact, sizeof(step->impact),
                     "it leads: all %lld sessions hold until the new leader serves, about %lld ms; "
                     "connections stay open",
                     (long long)o->now->sessions.total, (long long)mig_estimate_leader_change_ms(o->now));
}

static void add_wait(struct mig_forecast_step *step, const char *text)
{
    mig_text_add(step->waits, sizeof(step->waits), "%s%s", step->waits[0] == '\0' ? "" : "; ", text);
}

static void describe_confirm(struct mig_forecast_step *step, const struct mig_plan *plan, enum mig_gate gate)
{
    char text[64];
    mig_text_set(text, sizeof(text), "`zkferry confirm %s`", mig_gate_name(gate));
    if (plan->confirm[gate])
        add_wait(step, text);
}

static void describe_starts(const struct outlook *o, struct mig_forecast_step *step)
{
    char ids[128] = "";
    for (uint32_t i = 0; i < o->plan->targets.count; i++) {
        int32_t id = o->plan->targets.servers[i].id;
        if (!forecast_follows(o, id))
            mig_text_add(ids, sizeof(ids), "%s%d", ids[0] == '\0' ? "the start of targets " : ",", id);
    }
    if (ids[0] != '\0')
        add_wait(step, ids);
}

static void describe_waits(struct outlook *o, struct mig_forecast_step *step)
{
    if (step->kind == MIG_DO_JOIN)
        describe_starts(o, step);
    bool has_canaries = conf_canary_is_on(&o->plan->canary);
    if (step->kind == (has_canaries ? MIG_DO_CANARY : MIG_DO_SWITCH))
        describe_confirm(step, o->plan, MIG_GATE_SWITCH);
    if (step->kind == MIG_DO_REMOVE && !o->has_asked_removal) {
        describe_confirm(step, o->plan, MIG_GATE_REMOVE);
        o->has_asked_removal = true;
    }
    if (step->kind == MIG_DO_FINISH)
        describe_confirm(step, o->plan, MIG_GATE_FINISH);
}

void forecast_describe(struct outlook *o, struct mig_forecast_step *step)
{
    const struct words *words = words_of(step->kind);
    mig_text_set(step->impact, sizeof(step->impact), "%s", words->impact);
    mig_text_set(step->undo, sizeof(step->undo), "%s", words->undo);
    if (step->kind == MIG_DO_SWITCH || step->kind == MIG_DO_SWITCH_BACK)
        describe_switch(o, step);
    if (step->kind == MIG_DO_REMOVE || step->kind == MIG_DO_WITHDRAW)
        describe_leaving(o, step);
    describe_waits(o, step);
}
