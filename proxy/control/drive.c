/* The engine's shell: replays the journal into it, steps it with events, carries out its effects. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/failpoint.h"
#include "migrate/monotonic.h"
#include "migrate/text.h"
#include "proxy/control/control_int.h"
#include "proxy/log.h"
#include "zkproto/assert.h"

/* --- effects --- */

static void reprobe(struct px_control *control, uint32_t words)
{
    px_fleet_kick(control->fleet, words & ~(MIG_PROBE_CONFIG | MIG_PROBE_SURVEY));
    if (words & MIG_PROBE_SURVEY)
        px_survey_kick(control->survey, control->conf);
    if (words & MIG_PROBE_CONFIG)
        px_links_kick(control->links);
}

static void publish(struct px_control *control)
{
    if (px_director_update(control->director, control->conf, &control->facts, &control->routes,
                           &control->view) != RC_OK)
        px_log(PX_LOG_ERROR, "directive.failed", "why=%s", rc_text(RC_NOMEM));
}

static struct px_hold hold_of(const struct px_control *control, const struct mig_effect *effect)
{
    bool is_told = effect->exit_epoch != 0;
    return (struct px_hold){
        .id = effect->hold_id,
        .deadline_ms = effect->deadline_ms,
        .scope = effect->scope == MIG_HOLD_ALL ? PX_HOLD_ALL : PX_HOLD_MOVES,
        .slot = PX_SLOT_NONE,
        .exit_epoch = effect->exit_epoch,
        .leaving_slot = is_told ? px_fleet_slot(control->fleet, effect->server) : PX_SLOT_NONE,
        .own_zxid = effect->own_zxid,
    };
}

static void tell_hold(struct px_control *control, const struct mig_effect *effect)
{
    bool is_renewed = px_director_hold_id(control->director) == effect->hold_id;
    if (effect->kind == MIG_EFFECT_RELEASE)
        px_events_add(control->events, control->facts.wall_ms, "hold.released", control->view.plan_id, -1,
                      "hold %" PRIu64, effect->hold_id);
    else if (!is_renewed)
        px_events_add(control->events, control->facts.wall_ms, "hold.begun", control->view.plan_id, -1,
                      "hold %" PRIu64 ": %s", effect->hold_id,
                      effect->scope == MIG_HOLD_ALL ? "requests of all sessions wait" : "no session moves");
}

/* Workers learn of it at once; the facts may be of an earlier moment. */
static void change_hold(struct px_control *control, const struct mig_effect *effect)
{
    const struct px_hold hold = hold_of(control, effect);
    tell_hold(control, effect);
    if (effect->kind == MIG_EFFECT_HOLD)
        px_director_hold(control->director, &hold);
    else
        px_director_release(control->director, effect->hold_id);
    px_control_observe(control);
    publish(control);
}

static void run_effect(void *context, const struct mig_effect *effect)
{
    struct px_control *control = context;
    switch (effect->kind) {
    case MIG_EFFECT_HOLD:
    case MIG_EFFECT_RELEASE:
        change_hold(control, effect);
        return;
    case MIG_EFFECT_REPROBE:
        reprobe(control, effect->words);
        return;
    case MIG_EFFECT_LOG:
        px_log(PX_LOG_INFO, effect->event, "plan=%s text=%s", control->view.plan_id, effect->text);
        px_events_add(control->events, mig_wall_ms(), effect->event, control->view.plan_id, -1, "%s",
                      effect->text);
        return;
    case MIG_EFFECT_TAKE_LOCK:
    case MIG_EFFECT_DROP_LOCK:
    case MIG_EFFECT_PROBE_RECONFIG:
    case MIG_EFFECT_CHECK_SUPER:
    case MIG_EFFECT_RECONFIG:
    case MIG_EFFECT_BARRIER:
    case MIG_EFFECT_READ_CONFIG:
        px_links_run(control->links, effect);
        return;
    case MIG_EFFECT_RUN_HOOK:
        px_hooks_run(control->hooks, effect);
        return;
    case MIG_EFFECT_VERIFY:
        px_control_verify_plan(control, effect);
        return;
    case MIG_EFFECT_JOURNAL: /* the runner's */
    case MIG_EFFECT_COUNT:
        return;
    }
}

static void on_journaled(void *context, uint64_t seq, enum rc rc, const struct err *err)
{
    struct px_control *control = context;
    struct mig_event event = {.kind = MIG_EVENT_JOURNALED, .seq = seq, .rc = rc};
    if (rc != RC_OK) {
        snprintf(event.text, sizeof event.text, "%s", err->text);
        px_log(PX_LOG_ERROR, "journal.failed", "why=%s", err->text);
    }
    px_control_history_journaled(control, seq, rc);
    px_control_answer_commands(control, seq, rc, event.text);
    px_runner_journaled(control->runner, seq, rc);
    px_control_queue(control, &event);
}

static void write_record(void *context, uint64_t seq, const struct mig_record *record)
{
    struct px_control *control = context;
    struct err err;
    px_control_history_write(control, seq, record);
    enum rc rc = mig_journal_append(control->journal, seq, record, &err);
    if (rc != RC_OK)
        on_journaled(control, seq, rc, &err);
}

/* --- events --- */

void px_control_queue(struct px_control *control, const struct mig_event *event)
{
    struct px_queued_event *queued = malloc(sizeof *queued);
    ASSERT(queued); /* a lost result would leave the plan waiting for ever; a crash resumes it */
    queued->next = NULL;
    queued->event = *event;
    if (event->config) {
        queued->config = *event->config;
        queued->event.config = &queued->config;
    }
    *control->queue_tail = queued;
    control->queue_tail = &queued->next;
    event_active(control->wake, 0, 0);
}

static void pass_failpoint(const struct mig_event *event)
{
    char name[64];
    snprintf(name, sizeof name, "result.%s", mig_event_name(event->kind));
    MIG_FAILPOINT(name, "");
}

void px_control_run_queue(struct px_control *control)
{
    while (control->queue) {
        struct px_queued_event *queued = control->queue;
        control->queue = queued->next;
        if (!control->queue)
            control->queue_tail = &control->queue;
        pass_failpoint(&queued->event);
        if (queued->event.kind == MIG_EVENT_JOURNALED && queued->event.rc != RC_OK)
            px_runner_resume(control->runner); /* what it decides from here on counts again */
        px_control_drive(control, &queued->event);
        free(queued);
    }
}

void px_control_carry_out(struct px_control *control)
{
    if (px_runner_push(control->runner, &control->effects) != RC_OK)
        px_log(PX_LOG_ERROR, "engine.effects_lost", "count=%u", control->effects.count);
}

/* Effects first: a HOLD must be in the directive that is published afterwards. The step may have changed the
 * plan, so what follows from facts and plan is made anew; the facts are still those of this moment. */
void px_control_drive(struct px_control *control, const struct mig_event *event)
{
    px_control_observe(control);
    px_events_watch(control->events, &control->facts, control->view.plan_id);
    if (control->ending < PX_QUIESCING) {
        mig_engine_step(control->engine, &control->facts, event, &control->effects);
        px_control_carry_out(control);
        px_control_judge(control);
    }
    publish(control);
    px_control_answer_preflights(control);
}

bool px_control_is_busy(const struct px_control *control)
{
    return px_director_hold_id(control->director) != 0 || px_links_reconfig_pending(control->links) ||
           px_hooks_is_busy(control->hooks) || !px_runner_is_idle(control->runner);
}

/* --- the witness --- */

static bool is_held(void *context)
{
    const struct px_control *control = context;
    return px_director_hold_id(control->director) != 0;
}

/* What the lives before have left of it. */
static struct mig_witness_account recorded_account(const struct px_control *control)
{
    const struct mig_witness_account none = {.started_wall_ms = 0};
    bool is_its_plan = strcmp(control->history->plan.id, control->view.plan_id) == 0;
    return is_its_plan ? control->history->witness : none;
}

/* From the moment the plan has its lock: preflight changes nothing, and two daemons must not both begin. It
 * stays when the lock's session is lost, and until a failed plan is taken up again. */
void px_control_tick_witness(struct px_control *control)
{
    bool may_begin = control->facts.lock == MIG_LOCK_OURS || px_witness_is_active(control->witness);
    const struct px_witness_order order = {
        .is_wanted = control->conf->witness == CONF_ON && control->ending == PX_RUNNING &&
                     mig_engine_plan_runs(control->engine) && may_begin,
        .plan_id = control->view.plan_id,
        .conf = control->conf,
        .port = px_listeners_port(control->listeners, 0),
        .now_ms = control->facts.now_ms,
        .wall_ms = control->facts.wall_ms,
        .so_far = recorded_account(control),
    };
    px_witness_tick(control->witness, &order);
}

/* --- start --- */

static enum rc on_replay(void *context, const struct mig_record *record, struct err *err)
{
    struct px_control *control = context;
    enum rc rc = mig_engine_replay(control->engine, record, err);
    if (rc == RC_OK)
        mig_history_take(control->history, record);
    return rc;
}

static void on_result(void *context, const struct mig_event *event)
{
    px_control_queue(context, event);
}

static void on_changed(void *context)
{
    struct px_control *control = context;
    event_active(control->wake, 0, 0);
}

static bool make_engine(struct px_control *control)
{
    const struct mig_switches switches = {
#define SWITCH(name) .name = mig_switch(#name),
        MIG_SWITCHES(SWITCH)
#undef SWITCH
    };
    mig_engine_free(control->engine);
    control->engine = mig_engine_new(control->conf, &switches);
    return control->engine != NULL;
}

/* Clients are served as long as no plan has to be driven; what the file says is left to a person. err: why it
 * can't be read. */
static enum rc open_barred(struct px_control *control, const struct mig_journal_callbacks *callbacks,
                           struct err *err)
{
    char why[MIG_TEXT_MAX];
    const char *dir = control->conf->state_dir;
    mig_text_set(
        why, sizeof why,
        "no plan can be driven: %.220s. Clients are served. To go on, move that journal away and restart "
        "zkferryd: a plan it was in the middle of, and drains, are forgotten then, so look at `zkferry "
        "servers` first",
        err->text);
    px_log(PX_LOG_ERROR, "journal.damaged", "why=%s", why);
    if (!make_engine(control)) /* it has replayed what could be read */
        return err_set(err, RC_NOMEM, "engine");
    memset(control->history, 0, sizeof *control->history);
    mig_engine_bar(control->engine, why);
    return mig_journal_open_barred(dir, control->helper, callbacks, why, &control->journal, err);
}

static enum rc open_journal(struct px_control *control, struct err *err)
{
    const struct mig_journal_callbacks callbacks = {
        .context = control, .replay = on_replay, .journaled = on_journaled};
    const char *dir = control->conf->state_dir;
    enum rc rc = mig_journal_open(dir, control->helper, &callbacks, &control->journal, err);
    if (rc == RC_CORRUPT || rc == RC_TOO_BIG)
        return open_barred(control, &callbacks, err);
    if (rc != RC_OK)
        return rc;
    if (mig_journal_cut(control->journal) > 0)
        px_log(PX_LOG_WARN, "journal.cut", "bytes=%" PRIu64 " why=%s", mig_journal_cut(control->journal),
               "a crash left the last record in pieces");
    px_control_history_opened(control);
    return RC_OK;
}

/* Rooms for what is told about the plan. */
static bool open_story(struct px_control *control)
{
    control->events = px_events_new(mig_wall_ms());
    control->history = calloc(1, sizeof *control->history);
    control->writing = calloc(1, sizeof *control->writing);
    control->reports = px_report_store_new(control->helper, control->conf->state_dir);
    return control->events && control->history && control->writing && control->reports;
}

enum rc px_control_open_engine(struct px_control *control, struct err *err)
{
    control->runner = px_runner_new(run_effect, write_record, control);
    if (!make_engine(control) || !control->runner || !open_story(control))
        return err_set(err, RC_NOMEM, "engine");
    enum rc rc = open_journal(control, err);
    if (rc != RC_OK)
        return err_wrap(err, "state_dir %s", control->conf->state_dir);
    control->fleet = px_fleet_new(control->base, control->helper, px_crew_shared(control->crew),
                                  control->conf, on_changed, control);
    const struct px_links_callbacks callbacks = {
        .context = control, .result = on_result, .changed = on_changed};
    if (control->fleet)
        control->links = px_links_new(control->base, control->fleet, control->conf,
                                      mig_journal_instance(control->journal), &callbacks);
    if (control->links)
        control->verify = px_verify_new(control->base, control->fleet, control->links);
    if (control->verify)
        control->witness =
            px_witness_new(control->base, mig_journal_instance(control->journal), is_held, control);
    if (control->witness)
        control->survey = px_survey_new(&(struct px_survey_parts){
            .base = control->base,
            .fleet = control->fleet,
            .links = control->links,
            .crew = control->crew,
            .helper = control->helper,
            .instance = mig_journal_instance(control->journal),
            .changed = on_changed,
            .context = control,
        });
    if (control->survey)
        control->director = px_director_new(control->crew, control->fleet);
    control->hooks = px_hooks_new(control->base, on_result, control);
    if (!control->hooks || !control->director || px_control_set_servers(control) != RC_OK)
        return err_set(err, RC_NOMEM, "servers");
    return RC_OK;
}
