/* One history: what is in memory, what is on disk, and what commands append to it.
 *
 * The ledger keeps two engines that know nothing but records: `durable`, as a restart would make it from the
 * file, and `promised`, the same with the records that are on their way to the disk. A record goes out only
 * if it can follow what is promised, so the file always replays. A write that failed takes the engine back to
 * what is durable: nothing counts that is not on disk, the phase included. A plan that was running then
 * stands still as FAILED, and owes the journal that record: it goes out before any other, and is tried again
 * by itself until there is room. */
#include <stdlib.h>
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

#define OWED_RETRY_MS 5000

struct entry {
    uint64_t seq;
    struct mig_record record;
    struct mig_plan *plan; /* what the record points to; owned */
    struct mig_findings *findings;
};

struct engine_ledger {
    struct mig_engine *durable;
    struct mig_engine *promised;
    struct mig_engine *scratch;
    bool is_open; /* the replay is over */
    uint32_t count;
    struct entry entries[LEDGER_MAX]; /* on their way, oldest first */
};

/* --- life --- */

struct engine_ledger *ledger_new(void)
{
    struct engine_ledger *ledger = calloc(1, sizeof(*ledger));
    if (ledger == NULL)
        return NULL;
    ledger->durable = calloc(1, sizeof(struct mig_engine));
    ledger->promised = calloc(1, sizeof(struct mig_engine));
    ledger->scratch = calloc(1, sizeof(struct mig_engine));
    if (ledger->durable != NULL && ledger->promised != NULL && ledger->scratch != NULL)
        return ledger;
    ledger_free(ledger);
    return NULL;
}

static void entry_done(struct entry *entry)
{
    free(entry->plan);
    free(entry->findings);
}

static void ledger_clear(struct engine_ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->count; i++)
        entry_done(&ledger->entries[i]);
    ledger->count = 0;
}

void ledger_free(struct engine_ledger *ledger)
{
    if (ledger == NULL)
        return;
    ledger_clear(ledger);
    free(ledger->durable);
    free(ledger->promised);
    free(ledger->scratch);
    free(ledger);
}

void ledger_open(struct mig_engine *e)
{
    struct engine_ledger *ledger = e->ledger;
    if (ledger->is_open)
        return;
    ledger->is_open = true;
    *ledger->durable = *e;
    *ledger->promised = *e;
}

/* --- records on their way --- */

/* As the file would be read: a PLAN record begins a new one. */
static enum rc take(struct mig_engine *reader, const struct mig_record *record, struct err *err)
{
    if (record->kind == MIG_RECORD_PLAN) {
        struct mig_switches switches = reader->switches;
        memset(reader, 0, sizeof(*reader));
        reader->phase = MIG_PHASE_IDLE;
        reader->switches = switches;
    }
    return engine_replay_record(reader, record, err);
}

/* A lost record would be a lost history; after a crash there is none. */
static void *copy_of(const void *bytes, size_t size)
{
    void *copy = bytes != NULL ? malloc(size) : NULL;
    ASSERT(copy != NULL || bytes == NULL);
    if (copy != NULL)
        memcpy(copy, bytes, size);
    return copy;
}

static void push(struct engine_ledger *ledger, const struct mig_effect *effect)
{
    ASSERT(ledger->count < LEDGER_MAX); /* ledger_has_room is asked first */
    struct entry *entry = &ledger->entries[ledger->count++];
    *entry = (struct entry){.seq = effect->seq, .record = effect->record};
    entry->record.plan = entry->plan = copy_of(effect->record.plan, sizeof(*entry->plan));
    entry->record.findings = entry->findings = copy_of(effect->record.findings, sizeof(*entry->findings));
}

bool ledger_has_room(const struct mig_engine *e)
{
    return e->ledger->count + LEDGER_CALL_MAX <= LEDGER_MAX;
}

static enum rc try_all(struct mig_engine *reader, const struct mig_effects *effects, struct err *err)
{
    enum rc rc = RC_OK;
    for (uint32_t i = 0; rc == RC_OK && i < effects->count; i++)
        if (effects->items[i].kind == MIG_EFFECT_JOURNAL)
            rc = take(reader, &effects->items[i].record, err);
    return rc;
}

static bool has_record(const struct mig_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++)
        if (effects->items[i].kind == MIG_EFFECT_JOURNAL)
            return true;
    return false;
}

/* --- back to what counts --- */

/* Of this process, not of the plan: records know nothing of it. */
static void keep_process(struct mig_engine *e, const struct mig_engine *was)
{
    e->ledger = was->ledger;
    e->draft = was->draft;
    e->draft_rc = was->draft_rc;
    e->draft_err = was->draft_err;
    e->lookback = was->lookback;
    e->probes = was->probes;
    e->barriered_epoch = was->barriered_epoch;
    e->barrier_at_ms = was->barrier_at_ms;
    e->wants_probes = was->wants_probes;
    e->wants_findings = was->wants_findings;
    e->canary.round = was->canary.round;
    e->last_seq = was->last_seq;
    e->last_hold_id = was->last_hold_id;
    if (strcmp(e->plan.id, was->plan.id) == 0) {
        e->findings = was->findings;
        e->tally = was->tally;
    }
}

/* What had begun before the record goes on in the world: its end is waited for, and counts for nothing. */
static void keep_under_way(struct mig_engine *e, const struct mig_engine *was, uint64_t seq)
{
    if (was->op.is_pending && was->op.seq < seq) {
        e->op = was->op;
        e->op.is_background = true;
    }
    if (was->hook.is_pending && was->hook.seq < seq)
        e->hook = was->hook;
}

static void fail_again(struct mig_engine *e, const struct mig_engine *was, const char *why)
{
    mig_text_set(e->failed_reason, sizeof(e->failed_reason), "%s", was->failed_reason);
    if (was->owed.is_told)
        return;
    mig_text_add(e->failed_reason, sizeof(e->failed_reason), ". That is not in the journal yet: %s", why);
}

/* `was` and the engine's memory are the same until the copy. */
static void go_back(struct run *r, const struct mig_engine *to, uint64_t seq, const char *why)
{
    struct mig_engine *e = r->e;
    struct mig_engine *was = e->ledger->scratch;
    run_release(r);
    *was = *e;
    *e = *to;
    keep_process(e, was);
    keep_under_way(e, was, seq);
    r->config = engine_newest_config(e, r->f);
    if (!mig_phase_is_running(e->phase)) {
        run_log(r, "plan.journal.failed", "%s", why);
        return;
    }
    bool had_failed = was->phase == MIG_PHASE_FAILED && strcmp(was->plan.id, e->plan.id) == 0;
    if (had_failed)
        fail_again(e, was, why);
    e->owed = (struct owed_failure){
        .is_due = true, .is_told = had_failed, .retry_at_ms = r->f->now_ms + OWED_RETRY_MS};
    engine_goto(r, had_failed ? MIG_PHASE_FAILED : engine_fail(r, "the journal cannot be written: %s", why));
    e->owed.is_told = true;
}

bool ledger_seal(struct run *r)
{
    struct engine_ledger *ledger = r->e->ledger;
    struct err err = {.text = ""};
    if (!has_record(r->out))
        return true;
    *ledger->scratch = *ledger->promised;
    if (try_all(ledger->scratch, r->out, &err) == RC_OK) {
        struct mig_engine *before = ledger->promised;
        ledger->promised = ledger->scratch;
        ledger->scratch = before;
        for (uint32_t i = 0; i < r->out->count; i++)
            if (r->out->items[i].kind == MIG_EFFECT_JOURNAL)
                push(ledger, &r->out->items[i]);
        return true;
    }
    /* Not written: the next start could not read it. What is on its way already stays so. */
    r->out->count = 0;
    go_back(r, ledger->promised, 0, err.text);
    r->e->journal_seq = ledger->count > 0 ? ledger->entries[ledger->count - 1].seq : 0;
    return false;
}

void ledger_written(struct mig_engine *e, uint64_t seq)
{
    struct engine_ledger *ledger = e->ledger;
    struct err err = {.text = ""};
    if (ledger->count == 0 || ledger->entries[0].seq != seq)
        return; /* of a life before */
    enum rc rc = take(ledger->durable, &ledger->entries[0].record, &err);
    ASSERT(rc == RC_OK); /* it was tried before it went out */
    entry_done(&ledger->entries[0]);
    ledger->count--;
    memmove(&ledger->entries[0], &ledger->entries[1], ledger->count * sizeof(ledger->entries[0]));
}

void ledger_lost(struct run *r, uint64_t seq, const char *why)
{
    struct engine_ledger *ledger = r->e->ledger;
    ledger_clear(ledger);
    *ledger->promised = *ledger->durable;
    r->e->journal_seq = 0;
    go_back(r, ledger->durable, seq, why);
}

/* --- the failure that is not on disk --- */

void owed_note(struct run *r, enum mig_phase from)
{
    struct owed_failure *owed = &r->e->owed;
    owed->phase = from;
    mig_text_set(owed->text, sizeof(owed->text), "%s", r->e->failed_reason);
}

void owed_pay(struct run *r)
{
    struct owed_failure *owed = &r->e->owed;
    if (!owed->is_due)
        return;
    owed->is_due = false;
    struct mig_record *record = run_journal(r, MIG_RECORD_FAILED);
    record->phase = owed->phase;
    mig_text_set(record->text, sizeof(record->text), "%s", owed->text);
}

bool owed_keep(struct run *r)
{
    const struct owed_failure *owed = &r->e->owed;
    if (!owed->is_due || r->f->now_ms < owed->retry_at_ms)
        return false;
    owed_pay(r);
    return true;
}
