/* What sessions went through and what the witness saw goes with the plan's records, so that the report
 * survives a crash: every record has it, and while a long step goes on (thousands of sessions move) one of
 * its own every few seconds. The witness writes all the time, so its figures alone get a record when they
 * have outgrown those on disk: some hundreds of them in a month. */
#include <string.h>

#include "migrate/engine/engine_int.h"

#define TALLY_MS 5000 /* what a kill -9 may cost the report */

void tally_begin(struct run *r)
{
    r->e->tally = (struct plan_tally){.from = r->f->tally, .written_ms = r->f->now_ms};
}

void tally_replay(struct mig_engine *e, const struct mig_record *record)
{
    if (record->kind == MIG_RECORD_DRAINED || record->kind == MIG_RECORD_UNDRAINED)
        return;
    e->tally.base = record->tally;
    e->tally.kept = record->tally;
    e->tally.kept_witness = record->witness;
    e->tally.is_reborn = true;
}

static struct mig_tally tally_now(const struct run *r)
{
    struct mig_tally now;
    mig_tally_since(&r->e->tally.base, &r->f->tally, &r->e->tally.from, &now);
    return now;
}

/* Until this life's witness has begun it is what the lives before have left. */
static struct mig_witness_account witness_now(const struct run *r)
{
    const struct mig_witness_facts *witness = &r->f->witness;
    bool is_ours = strcmp(witness->plan_id, r->e->plan.id) == 0;
    return is_ours ? witness->account : r->e->tally.kept_witness;
}

void tally_add(struct run *r, struct mig_record *record)
{
    if (!engine_has_plan(r->e) || record->kind == MIG_RECORD_DRAINED || record->kind == MIG_RECORD_UNDRAINED)
        return;
    record->tally = tally_now(r);
    r->e->tally.kept = record->tally;
    record->witness = witness_now(r);
    r->e->tally.kept_witness = record->witness;
    r->e->tally.written_ms = r->f->now_ms;
}

/* The daemon stops: what is not written now is lost. */
static bool is_last_chance(const struct run *r)
{
    const struct mig_witness_account now = witness_now(r);
    return r->f->witness.has_ended && memcmp(&now, &r->e->tally.kept_witness, sizeof now) != 0;
}

static bool has_outgrown(const struct run *r)
{
    const struct mig_tally now = tally_now(r);
    const struct mig_witness_account witness = witness_now(r);
    return !mig_tally_same(&now, &r->e->tally.kept) ||
           mig_witness_outgrew(&r->e->tally.kept_witness.figures, &witness.figures);
}

static bool is_due(struct run *r)
{
    if (is_last_chance(r))
        return true;
    if (r->f->now_ms - r->e->tally.written_ms < TALLY_MS)
        return false;
    r->e->tally.written_ms = r->f->now_ms;
    return has_outgrown(r);
}

bool tally_keep(struct run *r)
{
    bool *is_reborn = &r->e->tally.is_reborn;
    if (r->e->hold_id != 0) /* nothing inside a hold waits for the disk */
        return false;
    if (!*is_reborn && !is_due(r))
        return false;
    (void)run_journal(r, *is_reborn ? MIG_RECORD_RESTARTED : MIG_RECORD_TALLY);
    *is_reborn = false;
    return true;
}
