/* See runner.h. */
#include "proxy/control/runner.h"

#include <stdio.h>
#include <stdlib.h>

#include "migrate/failpoint.h"

struct item {
    struct item *next;
    struct mig_effect effect;
};

struct px_runner {
    px_effect_fn *run;
    px_journal_fn *journal;
    void *context;
    struct item *head;
    struct item **tail;
    uint64_t writing; /* seq of the record that is being written, 0 = none */
    bool is_pumping;  /* an effect that pushes more effects must not run them inside itself */
    bool is_lost;     /* a record was not written, and who pushes does not know it yet */
};

struct px_runner *px_runner_new(px_effect_fn *run, px_journal_fn *journal, void *context)
{
    struct px_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return NULL;
    *runner = (struct px_runner){.run = run, .journal = journal, .context = context};
    runner->tail = &runner->head;
    return runner;
}

static struct item *take_head(struct px_runner *runner)
{
    struct item *item = runner->head;
    runner->head = item->next;
    if (!runner->head)
        runner->tail = &runner->head;
    return item;
}

static void drop_all(struct px_runner *runner)
{
    while (runner->head)
        free(take_head(runner));
}

void px_runner_free(struct px_runner *runner)
{
    if (!runner)
        return;
    drop_all(runner);
    free(runner);
}

/* "before.journal.intent.add.4": a place to die, named so that a run lists its own places. */
static void pass_failpoint(const char *when, const struct mig_effect *effect)
{
    bool is_journal = effect->kind == MIG_EFFECT_JOURNAL;
    if (!PX_TEST_SWITCHES || effect->kind == MIG_EFFECT_LOG || effect->kind == MIG_EFFECT_REPROBE)
        return;
    char name[128];
    snprintf(name, sizeof name, "%s.%s%s%s%s%s", when, mig_effect_name(effect->kind), is_journal ? "." : "",
             is_journal ? mig_record_name(effect->record.kind) : "", effect->record.step[0] ? "." : "",
             effect->record.step);
    MIG_FAILPOINT(name, "");
}

static void run_one(struct px_runner *runner, const struct mig_effect *effect)
{
    pass_failpoint("before", effect);
    if (effect->kind == MIG_EFFECT_JOURNAL) {
        runner->writing = effect->seq;
        runner->journal(runner->context, effect->seq, &effect->record);
    } else {
        runner->run(runner->context, effect);
    }
    pass_failpoint("begun", effect);
}

static void pump(struct px_runner *runner)
{
    if (runner->is_pumping)
        return;
    runner->is_pumping = true;
    while (runner->head && runner->writing == 0) {
        struct item *item = take_head(runner);
        run_one(runner, &item->effect);
        free(item);
    }
    runner->is_pumping = false;
}

enum rc px_runner_push(struct px_runner *runner, const struct mig_effects *effects)
{
    struct item *first = NULL;
    struct item **end = &first;
    if (runner->is_lost)
        return RC_OK; /* what follows from something that did not happen is dropped with it */
    for (uint32_t i = 0; i < effects->count; i++) {
        struct item *item = malloc(sizeof *item);
        if (!item) {
            while (first) {
                struct item *next = first->next;
                free(first);
                first = next;
            }
            return RC_NOMEM;
        }
        *item = (struct item){.effect = effects->items[i]};
        *end = item;
        end = &item->next;
    }
    if (first) {
        *runner->tail = first;
        runner->tail = end;
    }
    pump(runner);
    return RC_OK;
}

void px_runner_journaled(struct px_runner *runner, uint64_t seq, enum rc rc)
{
    if (runner->writing != seq)
        return;
    runner->writing = 0;
    if (rc != RC_OK) {
        drop_all(runner);
        runner->is_lost = true;
    }
    pump(runner);
}

void px_runner_resume(struct px_runner *runner)
{
    runner->is_lost = false;
}

bool px_runner_is_lost(const struct px_runner *runner)
{
    return runner->is_lost;
}

bool px_runner_is_idle(const struct px_runner *runner)
{
    return !runner->head && runner->writing == 0;
}
