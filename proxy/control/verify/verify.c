/* One verification from its start to its outcome: first the counts, then the walk; see verify.h. */
#include "proxy/control/verify/verify.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/text.h"
#include "proxy/control/verify/verify_int.h"
#include "proxy/log.h"

static void pump(struct px_verify *verify);

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pump(arg);
}

struct px_verify *px_verify_new(struct event_base *base, struct px_fleet *fleet, struct px_links *links)
{
    struct px_verify *verify = calloc(1, sizeof *verify);
    if (!verify)
        return NULL;
    *verify = (struct px_verify){.base = base, .fleet = fleet, .links = links};
    verify->wake = event_new(base, -1, 0, on_turn, verify);
    verify->timer = event_new(base, -1, 0, on_turn, verify);
    if (verify->wake && verify->timer)
        return verify;
    px_verify_free(verify);
    return NULL;
}

void px_verify_free(struct px_verify *verify)
{
    if (!verify)
        return;
    verify_links_close(verify);
    verify_digests_forget(verify);
    mig_verify_free(verify->core);
    if (verify->wake)
        event_free(verify->wake);
    if (verify->timer)
        event_free(verify->timer);
    free(verify);
}

bool px_verify_is_running(const struct px_verify *verify)
{
    return verify->state == PX_VERIFY_COUNTING || verify->state == PX_VERIFY_WALKING;
}

void verify_schedule(struct px_verify *verify)
{
    event_active(verify->wake, EV_TIMEOUT, 0);
}

/* --- the end --- */

static bool counts_differ(const struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->counts.count; i++)
        if (verify->counts.servers[i].verdict == MIG_COUNTS_DIFFERENT)
            return true;
    return false;
}

static uint32_t counts_unknown(const struct px_verify *verify)
{
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < verify->counts.count; i++)
        unknown += verify->counts.servers[i].verdict == MIG_COUNTS_UNKNOWN;
    return unknown;
}

static bool digests_differ(const struct px_verify *verify)
{
    for (uint32_t i = 1; i < verify->count; i++)
        if (verify->digests[i].verdict == MIG_DIGEST_DIFFERENT)
            return true;
    return false;
}

static bool some_given_up(const struct mig_verify_report *report)
{
    for (uint32_t s = 0; s < report->server_count; s++)
        if (report->servers[s].is_given_up)
            return true;
    return false;
}

/* A difference that was found stands, whatever else there was. */
static enum px_verify_outcome outcome_of(const struct px_verify *verify)
{
    const struct mig_verify_report *report = mig_verify_report(verify->core);
    bool is_all = report->totals[MIG_VERIFY_UNREADABLE] == 0 && report->totals[MIG_VERIFY_UNSETTLED] == 0 &&
                  !some_given_up(report) && !counts_differ(verify);
    if (verify->is_counts_only)
        return PX_VERIFY_EQUAL;
    if (report->totals[MIG_VERIFY_DIFFERENT] > 0)
        return PX_VERIFY_DIFFERENT;
    if (!mig_verify_is_complete(verify->core))
        return PX_VERIFY_INTERRUPTED;
    return is_all ? PX_VERIFY_EQUAL : PX_VERIFY_INCOMPLETE;
}

static void explain(struct px_verify *verify)
{
    const struct mig_verify_report *report = mig_verify_report(verify->core);
    mig_text_set(verify->reason, sizeof verify->reason, "%s", mig_verify_why(verify->core));
    if (verify->outcome != PX_VERIFY_INCOMPLETE)
        return;
    mig_text_set(
        verify->reason, sizeof verify->reason,
        "not everything could be compared: %" PRIu64 " unreadable, %" PRIu64 " changed all the time%s%s",
        report->totals[MIG_VERIFY_UNREADABLE], report->totals[MIG_VERIFY_UNSETTLED],
        some_given_up(report) ? ", a server was lost" : "", counts_differ(verify) ? ", counts differ" : "");
}

static void finish(struct px_verify *verify)
{
    static const char *const names[] = {"pending", "equal", "different", "incomplete", "interrupted"};
    const struct mig_verify_report *report = mig_verify_report(verify->core);
    verify->state = PX_VERIFY_DONE;
    verify->ended_ms = mig_now_ms();
    verify->outcome = outcome_of(verify);
    explain(verify);
    event_del(verify->timer);
    verify_links_close(verify);
    verify_digests_forget(verify);
    px_log(verify->outcome == PX_VERIFY_EQUAL ? PX_LOG_INFO : PX_LOG_WARN, "verify.done",
           "outcome=%s nodes=%" PRIu64 " different=%" PRIu64 " unreadable=%" PRIu64 " took_ms=%" PRId64
           " why=%s",
           names[verify->outcome], report->compared, report->totals[MIG_VERIFY_DIFFERENT],
           report->totals[MIG_VERIFY_UNREADABLE], verify->ended_ms - verify->started_ms, verify->reason);
}

void px_verify_cancel(struct px_verify *verify, const char *why)
{
    if (!px_verify_is_running(verify))
        return;
    mig_verify_give_up(verify->core, MIG_VERIFY_REFERENCE, why, mig_now_ms());
    finish(verify);
}

/* --- the walk --- */

static void arm_timer(struct px_verify *verify, int64_t now_ms)
{
    int64_t due_ms = mig_verify_due_ms(verify->core);
    if (due_ms == INT64_MAX) {
        event_del(verify->timer);
        return;
    }
    int64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(verify->timer, &wait);
}

static void pump(struct px_verify *verify)
{
    struct mig_verify_ask ask;
    int64_t now_ms = mig_now_ms();
    if (verify->state != PX_VERIFY_WALKING || verify->is_quiet)
        return;
    while (mig_verify_next(verify->core, now_ms, &ask))
        verify_links_ask(verify, &ask, now_ms);
    if (mig_verify_is_over(verify->core))
        finish(verify);
    else
        arm_timer(verify, now_ms);
}

static void count(struct px_verify *verify, const struct mig_facts *facts)
{
    if (!verify->has_asked_digests) {
        verify->has_asked_digests = true;
        verify_digests_ask(verify);
    }
    if (mig_counts_step(&verify->counts, facts))
        px_fleet_kick(verify->fleet, MIG_PROBE_MNTR);
}

static void begin_walk(struct px_verify *verify, int64_t now_ms)
{
    verify->state = PX_VERIFY_WALKING;
    for (uint32_t i = 0; i < verify->count; i++)
        verify->conns[i].lost_ms = now_ms; /* not connected yet */
}

void px_verify_tick(struct px_verify *verify, const struct mig_facts *facts, bool is_quiet)
{
    if (!px_verify_is_running(verify))
        return;
    verify->is_quiet = is_quiet;
    if (is_quiet) {
        verify_links_close_unborn(verify);
        return;
    }
    if (verify->state == PX_VERIFY_COUNTING) {
        count(verify, facts);
        if (verify->counts.stage != MIG_COUNTS_DONE || !verify_digests_are_complete(verify))
            return;
        verify_digests_judge(verify);
        /* What could not be counted is compared node by node. */
        verify->is_counts_only = verify->is_light && !counts_differ(verify) && counts_unknown(verify) == 0 &&
                                 !digests_differ(verify);
        if (verify->is_counts_only) {
            finish(verify);
            return;
        }
        begin_walk(verify, facts->now_ms);
    }
    verify_links_open(verify);
    verify_links_check(verify, facts->now_ms);
    pump(verify);
}

/* --- what others see --- */

void px_verify_facts(const struct px_verify *verify, struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        for (uint32_t c = 0; c < verify->count; c++)
            if (verify->conns[c].zk && verify->ids[c] == facts->servers[i].id)
                mig_server_own_connection(&facts->servers[i], mig_zk_session_id(verify->conns[c].zk),
                                          mig_zk_connected_since_ms(verify->conns[c].zk));
}

static int64_t expected_nodes(const struct mig_counts *counts)
{
    bool is_known = counts->count > 0 && counts->before.znode_count > 0;
    return is_known ? counts->before.znode_count : -1;
}

void px_verify_view(struct px_verify *verify, struct px_verify_view *ret_view)
{
    int64_t end_ms = px_verify_is_running(verify) ? mig_now_ms() : verify->ended_ms;
    *ret_view = (struct px_verify_view){.state = verify->state,
                                        .outcome = verify->outcome,
                                        .reason = verify->reason,
                                        .at = "",
                                        .skips = verify->skips};
    if (verify->state == PX_VERIFY_NONE)
        return;
    if (!mig_verify_at(verify->core, verify->at, sizeof verify->at))
        snprintf(verify->at, sizeof verify->at, "/"); /* too long to go on from */
    ret_view->count = verify->count;
    ret_view->ids = verify->ids;
    ret_view->started_wall_ms = verify->started_wall_ms;
    ret_view->took_ms = end_ms - verify->started_ms;
    ret_view->expected = expected_nodes(&verify->counts);
    ret_view->at = verify->at;
    ret_view->is_counts_only = verify->is_counts_only;
    ret_view->counts = &verify->counts;
    ret_view->digests = verify->digests;
    ret_view->report = mig_verify_report(verify->core);
}
