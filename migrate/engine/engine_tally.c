/* What sessions went through goes with the plan's records, so that the report survives a crash: every record
 * has it, and while a long step goes on (thousands of sessions move) one of its own every few seconds. */
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
    e->tally.is_reborn = true;
}

static struct mig_tally tally_now(const struct run *r)
{
    struct mig_tally now;
    mig_tally_since(&r->e->tally.base, &r->f->tally, &r->e->tally.from, &now);
    return now;
}

void tally_add(struct run *r, struct mig_record *record)
{
    if (!engine_has_plan(r->e) || record->kind == MIG_RECORD_DRAINED || record->kind == MIG_RECORD_UNDRAINED)
        return;
    record->tally = tally_now(r);
    r->e->tally.kept = record->tally;
    r->e->tally.written_ms = r->f->now_ms;
}

bool tally_keep(struct run *r)
{
    struct plan_tally *tally = &r->e->tally;
    if (r->e->hold_id != 0) /* nothing inside a hold waits for the disk */
        return false;
    if (tally->is_reborn) {
        tally->is_reborn = false;
        (void)run_journal(r, MIG_RECORD_RESTARTED);
        return true;
    }
    if (r->f->now_ms - tally->written_ms < TALLY_MS)
        return false;
    const struct mig_tally now = tally_now(r);
    tally->written_ms = r->f->now_ms;
    if (mig_tally_same(&now, &tally->kept))
        return false;
    (void)run_journal(r, MIG_RECORD_TALLY);
    return true;
}
