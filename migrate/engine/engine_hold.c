/* The hold around a change of one member. The leader's removal costs every client its server, so all of them
 * hold, for at most hold_ms before it is sent. Around other changes only moves stand still: all writes queue
 * behind a pending reconfig (design.md §4), and a move must not wait there. Workers keep a hold as a lease:
 * they end it without us, at its deadline or when everybody is attached again. */
#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

static void begin(struct run *r)
{
    if (r->e->change.takes_leader)
        run_hold(r, MIG_HOLD_ALL, r->f->now_ms + r->e->plan.hold_ms);
    else
        run_hold(r, MIG_HOLD_MOVES, r->f->now_ms + HOLD_LEASE_MS);
}

static enum hold_result give_up(const struct run *r, char *why, uint32_t capacity)
{
    long long left = (long long)r->f->hold.unquiesced;
    if (left < 0)
        mig_text_set(why, capacity, "not all workers took the hold, it was released");
    else if (r->e->change.takes_leader)
        mig_text_set(why, capacity, "%lld sessions were not quiesced within %d ms, the hold was released",
                     left, r->e->plan.hold_ms);
    else
        mig_text_set(why, capacity, "%lld moves were not over within %d ms, the hold was released", left,
                     HOLD_LEASE_MS);
    return HOLD_GIVEN_UP;
}

static enum hold_result wait_quiet(struct run *r)
{
    long long left = (long long)r->f->hold.unquiesced;
    if (left < 0)
        run_wait(r, "", "all workers to hold");
    else if (r->e->change.takes_leader)
        run_wait(r, "", "%lld sessions to finish what is outstanding, before the leader leaves", left);
    else
        run_wait(r, "", "%lld moves to end, before the members change", left);
    return HOLD_WAITING;
}

enum hold_result hold_take(struct run *r, char *why, uint32_t capacity)
{
    const struct mig_hold_facts *hold = &r->f->hold;
    if (r->e->change.takes_leader && r->e->switches.no_hold)
        return HOLD_QUIET;
    if (r->e->hold_id == 0) {
        begin(r);
        return HOLD_WAITING;
    }
    if (r->f->now_ms >= r->e->change.hold_deadline_ms)
        return give_up(r, why, capacity);
    bool is_quiet = hold->id == r->e->hold_id && hold->is_held && hold->unquiesced == 0;
    return is_quiet ? HOLD_QUIET : wait_quiet(r);
}

void hold_keep(struct run *r)
{
    struct mig_engine *e = r->e;
    bool is_open = e->change.stage >= CHANGE_SENT && e->change.stage <= CHANGE_BARRIER;
    int64_t left_ms = e->change.hold_deadline_ms - r->f->now_ms;
    if (e->hold_id == 0 || !is_open || left_ms > HOLD_LEASE_MS / 2)
        return;
    if (e->hold_scope == MIG_HOLD_ALL) {
        if (left_ms > 0)
            return;
        run_hold_ends(r);
        e->hold_id = 0; /* over: clients wait no longer, but moves still do */
    }
    run_hold(r, MIG_HOLD_MOVES, r->f->now_ms + HOLD_LEASE_MS);
}

/* Persistent watches survive the leader's removal only on sessions that attach before the new epoch has a
 * transaction, and the barrier is one. Most attach within milliseconds; the others are not waited for. */
bool hold_waits_for_sessions(struct run *r)
{
    struct change *c = &r->e->change;
    if (c->leader_since_ms == 0)
        c->leader_since_ms = r->f->now_ms;
    bool is_over = r->f->now_ms - c->leader_since_ms >= ATTACH_WAIT_MS;
    if (!c->takes_leader || r->e->hold_id == 0 || r->f->hold.detached == 0 || is_over)
        return false;
    run_wait(r, "", "%lld sessions to attach to the members that stay, at most %d ms",
             (long long)r->f->hold.detached, ATTACH_WAIT_MS);
    run_reprobe(r, MIG_PROBE_SRVR); /* workers need to know who serves already */
    return true;
}
