/* How the engine asks for things: the only code that writes effects, waiting texts and step states. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

const char *mig_record_name(enum mig_record_kind kind)
{
    static const char *const names[MIG_RECORD_COUNT] = {
#define RECORD_NAME(name, text) text,
        MIG_RECORDS(RECORD_NAME)
#undef RECORD_NAME
    };
    return (uint32_t)kind < MIG_RECORD_COUNT ? names[kind] : "?";
}

const char *mig_effect_name(enum mig_effect_kind kind)
{
    static const char *const names[MIG_EFFECT_COUNT] = {
#define EFFECT_NAME(name) #name,
        MIG_EFFECTS(EFFECT_NAME)
#undef EFFECT_NAME
    };
    return (uint32_t)kind < MIG_EFFECT_COUNT ? names[kind] : "?";
}

const char *mig_event_name(enum mig_event_kind kind)
{
    static const char *const names[MIG_EVENT_COUNT] = {
#define EVENT_NAME(name) #name,
        MIG_EVENTS(EVENT_NAME)
#undef EVENT_NAME
    };
    return (uint32_t)kind < MIG_EVENT_COUNT ? names[kind] : "?";
}

static struct mig_effect *effect_add(struct run *r, enum mig_effect_kind kind)
{
    ASSERT(r->out->count < MIG_EFFECTS_MAX);
    struct mig_effect *effect = &r->out->items[r->out->count++];
    memset(effect, 0, sizeof(*effect));
    effect->kind = kind;
    effect->seq = ++r->e->last_seq;
    effect->via = -1;
    return effect;
}

struct mig_effect *run_tell(struct run *r, enum mig_effect_kind kind)
{
    return effect_add(r, kind);
}

struct mig_record *run_journal(struct run *r, enum mig_record_kind kind)
{
    if (kind == MIG_RECORD_PLAN)
        r->e->owed.is_due = false; /* it begins a new file */
    owed_pay(r);
    struct mig_effect *effect = effect_add(r, MIG_EFFECT_JOURNAL);
    effect->record.kind = kind;
    effect->record.wall_ms = r->f->wall_ms;
    effect->record.phase = r->e->phase;
    tally_add(r, &effect->record);
    r->e->journal_seq = effect->seq;
    return &effect->record;
}

struct mig_effect *run_ask(struct run *r, enum mig_effect_kind kind, int32_t via)
{
    struct engine_op *op = &r->e->op;
    ASSERT(!op->is_pending);
    struct mig_effect *effect = effect_add(r, kind);
    effect->via = via;
    memset(op, 0, sizeof(*op));
    op->kind = kind;
    op->seq = effect->seq;
    op->is_pending = true;
    op->via = via;
    op->epoch = r->leader.epoch;
    return effect;
}

const struct engine_op *run_take(struct run *r, enum mig_effect_kind kind)
{
    struct engine_op *op = &r->e->op;
    if (!op->has_result || op->kind != kind)
        return NULL;
    op->has_result = false;
    return op;
}

/* Each word has its own pace: 3.5's mntr walks the whole tree, srvr costs nothing. */
void run_reprobe(struct run *r, uint32_t words)
{
    uint32_t due = 0;
    for (uint32_t i = 0; i < MIG_PROBE_WORDS; i++) {
        uint32_t word = 1u << i;
        bool is_light =
            (word & (MIG_PROBE_CONF | MIG_PROBE_MNTR | MIG_PROBE_CONS | MIG_PROBE_PROPERTIES)) == 0;
        int64_t age_ms = r->f->now_ms - r->e->reprobed_at_ms[i];
        bool is_due = r->e->reprobed_at_ms[i] == 0 || age_ms >= (is_light ? REPROBE_MS : REPROBE_HEAVY_MS);
        if ((words & word) == 0 || !is_due)
            continue;
        due |= word;
        r->e->reprobed_at_ms[i] = r->f->now_ms;
    }
    if (due != 0)
        effect_add(r, MIG_EFFECT_REPROBE)->words = due;
}

void run_log(struct run *r, const char *event, const char *format, ...)
{
    struct mig_effect *effect = effect_add(r, MIG_EFFECT_LOG);
    mig_text_set(effect->event, sizeof(effect->event), "%s", event);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(effect->text, sizeof(effect->text), format, args);
    va_end(args);
}

void run_hold(struct run *r, enum mig_hold_scope scope, int64_t deadline_ms)
{
    struct mig_engine *e = r->e;
    struct change *c = &e->change;
    if (e->hold_id == 0) {
        e->hold_id = ++e->last_hold_id;
        e->hold_scope = scope;
        c->hold_from_ms = scope == MIG_HOLD_ALL ? r->f->now_ms : 0;
    }
    c->hold_deadline_ms = deadline_ms;
    struct mig_effect *effect = effect_add(r, MIG_EFFECT_HOLD);
    effect->hold_id = e->hold_id;
    effect->scope = e->hold_scope;
    effect->deadline_ms = deadline_ms;
    effect->server = -1;
    if (e->hold_scope == MIG_HOLD_MOVES || c->stage < CHANGE_SEND)
        return;
    effect->exit_epoch = c->from_epoch;
    effect->server = c->server;
    effect->own_zxid = c->own_zxid;
}

void run_hold_ends(struct run *r)
{
    struct change *c = &r->e->change;
    if (c->hold_from_ms != 0)
        c->held_ms = r->f->now_ms - c->hold_from_ms;
    c->hold_from_ms = 0;
}

void run_release(struct run *r)
{
    if (r->e->hold_id == 0)
        return;
    run_hold_ends(r);
    effect_add(r, MIG_EFFECT_RELEASE)->hold_id = r->e->hold_id;
    r->e->hold_id = 0;
}

struct mig_step *engine_current_step(struct mig_engine *e)
{
    for (uint32_t i = 0; i < e->steps.count; i++)
        if (e->steps.items[i].state == MIG_STEP_RUNNING || e->steps.items[i].state == MIG_STEP_WAITING)
            return &e->steps.items[i];
    return NULL;
}

void run_wait(struct run *r, const char *todo, const char *format, ...)
{
    struct mig_engine *e = r->e;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e->waiting, sizeof(e->waiting), format, args);
    va_end(args);
    mig_text_set(e->todo, sizeof(e->todo), "%s", todo);
    struct mig_step *step = engine_current_step(e);
    if (step != NULL) {
        step->state = MIG_STEP_WAITING;
        mig_text_set(step->detail, sizeof(step->detail), "%s", e->waiting);
    }
}

void run_step_start(struct run *r, enum mig_step_kind kind, int32_t server)
{
    struct mig_step *step = mig_steps_find(&r->e->steps, kind, server);
    ASSERT(step != NULL);
    if (step->state == MIG_STEP_DONE)
        return;
    if (step->started_ms == 0) {
        step->started_ms = r->f->now_ms;
        r->e->wait_since_ms = r->f->now_ms;
    }
    if (step->started_wall_ms == 0)
        step->started_wall_ms = r->f->wall_ms;
    step->state = MIG_STEP_RUNNING;
    step->detail[0] = '\0';
}

void run_step_done(struct run *r, enum mig_step_kind kind, int32_t server)
{
    struct mig_step *step = mig_steps_find(&r->e->steps, kind, server);
    ASSERT(step != NULL);
    if (step->state == MIG_STEP_DONE)
        return;
    if (step->started_ms != 0)
        step->seconds_ms = r->f->now_ms - step->started_ms;
    step->state = MIG_STEP_DONE;
    step->detail[0] = '\0';
    r->e->waiting[0] = '\0';
    r->e->todo[0] = '\0';
    struct mig_record *record = run_journal(r, MIG_RECORD_STEP);
    mig_text_set(record->step, sizeof(record->step), "%s", step->name);
    record->is_done = true;
    record->started_wall_ms = step->started_wall_ms;
    run_log(r, "plan.step.done", "%s took %lld ms", step->name, (long long)step->seconds_ms);
}

bool engine_step_is_over(const struct mig_engine *e, enum mig_step_kind kind)
{
    for (uint32_t i = 0; i < e->steps.count; i++)
        if (e->steps.items[i].kind == kind)
            return e->steps.items[i].state == MIG_STEP_DONE || e->steps.items[i].state == MIG_STEP_SKIPPED;
    return false;
}

bool engine_step_is_done(const struct mig_engine *e, enum mig_step_kind kind, int32_t server)
{
    for (uint32_t i = 0; i < e->steps.count; i++)
        if (e->steps.items[i].kind == kind && e->steps.items[i].server == server)
            return e->steps.items[i].state == MIG_STEP_DONE;
    return false;
}
