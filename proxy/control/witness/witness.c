/* See witness.h. The session is in witness_session.c. */
#include "proxy/control/witness/witness.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "proxy/control/witness/witness_int.h"
#include "proxy/log.h"
#include "proxy/net/address.h"

#define STALL_TELL_MS 1000 /* clients' own patience begins at a few seconds */

/* --- what it says --- */

static void report_fault(const struct px_witness *w, const char *what, uint64_t before, uint64_t now)
{
    if (now != before &&
        (now & (now - 1)) == 0) /* the 1st, 2nd, 4th, …: one that stays does not fill the log */
        px_log(PX_LOG_WARN, "witness.fault", "plan=%s what=%s count=%" PRIu64, w->result.plan_id, what, now);
}

static void report_faults(const struct px_witness *w, const struct mig_witness_figures *before)
{
    struct mig_witness_figures now = w->judge.figures;
    now.writes = before->writes; /* these three are what is wanted */
    now.acked = before->acked;
    now.events = before->events;
#define REPORT(name, help) report_fault(w, #name, before->name, now.name);
    MIG_WITNESS_COUNTS(REPORT)
#undef REPORT
}

/* One line when it has lasted too long, one when it is over. */
static void report_stall(struct px_witness *w, int64_t waited_ms)
{
    if (waited_ms < STALL_TELL_MS || w->has_told_stall)
        return;
    w->has_told_stall = true;
    px_log(PX_LOG_WARN, "witness.stall", "plan=%s waited_ms=%" PRId64, w->result.plan_id, waited_ms);
}

static void report_stall_over(struct px_witness *w, int64_t waited_ms)
{
    if (w->has_told_stall)
        px_log(PX_LOG_WARN, "witness.stall_over", "plan=%s took_ms=%" PRId64, w->result.plan_id, waited_ms);
    w->has_told_stall = false;
}

void witness_judge(struct px_witness *w, const struct mig_witness_event *event)
{
    const struct mig_witness_figures before = w->judge.figures;
    if (event->kind == MIG_WITNESS_ACKED)
        report_stall_over(w, mig_witness_waits_ms(&w->judge, event->now_ms));
    mig_witness_step(&w->judge, event);
    report_faults(w, &before);
}

static void report_end(const struct px_witness *w)
{
    const struct mig_witness_figures *f = &w->judge.figures;
    bool is_clean = mig_witness_is_clean(f);
    px_log(is_clean ? PX_LOG_INFO : PX_LOG_WARN, "witness.ended",
           "plan=%s clean=%d writes=%" PRIu64 " acked=%" PRIu64 " unknown=%" PRIu64 " disconnects=%" PRIu64
           " stall_ms=%" PRId64,
           w->result.plan_id, is_clean, f->writes, f->acked, f->unknown, f->disconnects, f->stall_ms);
}

/* --- life --- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct px_witness *w = arg;
    int64_t now_ms = mig_now_ms();
    report_stall(w, mig_witness_waits_ms(&w->judge, now_ms));
    if (w->state == WITNESS_ENDING && now_ms >= w->ending_deadline_ms) {
        px_log(PX_LOG_WARN, "witness.left", "plan=%s path=%s", w->result.plan_id, w->path);
        witness_session_drop(w);
    }
    if (w->state == WITNESS_IDLE)
        event_del(w->timer);
    else
        witness_session_turn(w);
    if (w->state == WITNESS_RUNNING)
        witness_watcher_turn(w);
}

struct px_witness *px_witness_new(struct event_base *base, const char *instance, px_witness_held_fn *is_held,
                                  void *context)
{
    struct px_witness *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct px_witness){.base = base, .instance = instance, .is_held = is_held, .context = context};
    w->timer = event_new(base, -1, EV_PERSIST, on_timer, w);
    if (w->timer)
        return w;
    free(w);
    return NULL;
}

void px_witness_free(struct px_witness *w)
{
    if (!w)
        return;
    if (w->zk)
        witness_session_drop(w);
    witness_watcher_end(w);
    event_free(w->timer);
    free(w);
}

static void tell(struct px_witness *w, enum mig_witness_event_kind kind, int64_t now_ms)
{
    const struct mig_witness_event event = {.kind = kind, .now_ms = now_ms};
    witness_judge(w, &event);
}

/* Figures go on for as long as the plan is the same, also those of a daemon before. */
static void take_plan(struct px_witness *w, const struct px_witness_order *order)
{
    const struct mig_witness_account *so_far = &order->so_far;
    bool is_first = so_far->started_wall_ms == 0;
    if (strcmp(w->result.plan_id, order->plan_id) == 0)
        return;
    mig_witness_init(&w->judge, &so_far->figures);
    w->result =
        (struct px_witness_result){.started_wall_ms = is_first ? order->wall_ms : so_far->started_wall_ms};
    snprintf(w->result.plan_id, sizeof w->result.plan_id, "%s", order->plan_id);
}

static void begin(struct px_witness *w, const struct px_witness_order *order)
{
    const struct timeval pace = {.tv_usec = WITNESS_WRITE_MS * 1000};
    struct err err;
    take_plan(w, order);
    if (witness_session_open(w, order, &err) != RC_OK) {
        px_log(PX_LOG_ERROR, "witness.failed", "plan=%s why=%s", order->plan_id, err.text);
        return;
    }
    w->state = WITNESS_RUNNING;
    w->has_told_stall = false;
    w->result.ended_wall_ms = 0;
    tell(w, MIG_WITNESS_BEGUN, order->now_ms);
    event_add(w->timer, &pace);
    px_log(PX_LOG_INFO, "witness.begun", "plan=%s path=%s", order->plan_id, w->path);
}

static void end(struct px_witness *w, const struct px_witness_order *order)
{
    tell(w, MIG_WITNESS_STOPPED, order->now_ms);
    w->state = WITNESS_ENDING;
    w->ending_deadline_ms = order->now_ms + PX_WITNESS_ENDING_MS;
    w->result.ended_wall_ms = order->wall_ms;
    report_end(w);
    witness_watcher_end(w);
    witness_session_end(w);
}

void px_witness_tick(struct px_witness *w, const struct px_witness_order *order)
{
    if (w->state == WITNESS_IDLE && order->is_wanted)
        begin(w, order);
    else if (w->state == WITNESS_RUNNING && !order->is_wanted)
        end(w, order);
}

bool px_witness_is_active(const struct px_witness *w)
{
    return w->state != WITNESS_IDLE;
}

bool witness_is_same(const struct mig_address *local, const struct sockaddr *peer)
{
    char theirs[80];
    char ours[80];
    px_address_text(peer, theirs, sizeof theirs);
    px_address_text((const struct sockaddr *)&local->storage, ours, sizeof ours);
    return strcmp(ours, theirs) == 0;
}

bool px_witness_is_peer(const struct px_witness *w, const struct sockaddr *peer)
{
    struct mig_address local;
    if (w->zk && mig_zk_local_address(w->zk, &local) == RC_OK && witness_is_same(&local, peer))
        return true;
    return witness_watcher_is_peer(w, peer);
}

void px_witness_result(const struct px_witness *w, struct px_witness_result *ret_result)
{
    *ret_result = w->result;
    ret_result->figures = mig_witness_figures(&w->judge, mig_now_ms());
    ret_result->is_clean = mig_witness_is_clean(&ret_result->figures);
    ret_result->is_running = w->state == WITNESS_RUNNING;
    ret_result->is_connected = w->zk && mig_zk_state(w->zk) == MIG_ZK_CONNECTED;
    ret_result->session_id = w->zk ? mig_zk_session_id(w->zk) : 0;
}
