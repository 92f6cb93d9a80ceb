/* One verification from its start to its outcome: first the counts, then the walk; see verify.h. */
#include "proxy/control/verify.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "migrate/monotonic.h"
#include "migrate/text.h"
#include "proxy/control/verify_int.h"
#include "proxy/log.h"

/* Every server writes its own view of the members there when it starts; a plan's gates compare it. */
#define CONFIG_NODE "/zookeeper/config"

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
        if (mig_counts_step(&verify->counts, facts))
            px_fleet_kick(verify->fleet, MIG_PROBE_MNTR);
        if (verify->counts.stage != MIG_COUNTS_DONE)
            return;
        begin_walk(verify, facts->now_ms);
    }
    verify_links_open(verify);
    verify_links_check(verify, facts->now_ms);
    pump(verify);
}

/* --- the start --- */

/* Who is compared, the reference first. */
struct chosen {
    uint32_t count;
    int32_t ids[MIG_SERVERS_MAX];
};

static void choose_one(struct chosen *chosen, int32_t id)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        if (chosen->ids[i] == id)
            return; /* so there are never more than servers */
    chosen->ids[chosen->count++] = id;
}

static enum rc choose_named(struct chosen *chosen, const struct mig_facts *facts,
                            const struct px_verify_request *request, struct err *err)
{
    for (uint32_t i = 0; i < request->count; i++) {
        int32_t id = request->ids[i];
        if (!mig_facts_server(facts, id))
            return err_set(err, RC_NOT_FOUND, "there is no server %d", id);
        if (id == chosen->ids[MIG_VERIFY_REFERENCE])
            return err_set(err, RC_INVALID, "server %d is the leader, the others are compared with it", id);
        choose_one(chosen, id);
    }
    return RC_OK;
}

static void choose_all(struct chosen *chosen, const struct mig_facts *facts)
{
    bool has_targets = false;
    for (uint32_t i = 0; i < facts->server_count; i++)
        has_targets = has_targets || facts->servers[i].side == MIG_SIDE_TARGET;
    for (uint32_t i = 0; i < facts->server_count; i++)
        if ((facts->servers[i].side == MIG_SIDE_TARGET) == has_targets)
            choose_one(chosen, facts->servers[i].id);
}

static enum rc choose(const struct mig_facts *facts, const struct px_verify_request *request,
                      struct chosen *ret_chosen, struct err *err)
{
    int32_t leader = mig_facts_leader(facts, INT64_MAX / 2).id;
    if (leader < 0)
        return err_set(err, RC_AGAIN, "no leader is proven at the moment, there is nothing to compare with");
    *ret_chosen = (struct chosen){.count = 1, .ids = {leader}};
    enum rc rc = choose_named(ret_chosen, facts, request, err);
    if (rc == RC_OK && request->count == 0)
        choose_all(ret_chosen, facts);
    if (rc == RC_OK && ret_chosen->count < 2)
        rc = err_set(err, RC_INVALID, "there is no other server to compare with the leader, %d", leader);
    return rc;
}

static enum rc make_core(const struct chosen *chosen, const char *state_root, const char *from,
                         struct mig_verify **ret_core, struct err *err)
{
    const struct mig_verify_options options = {
        .server_count = chosen->count, .skips = {state_root, CONFIG_NODE}, .from = from};
    return mig_verify_new(&options, ret_core, err);
}

/* Everything of the one before is forgotten. */
static void begin(struct px_verify *verify, const struct chosen *chosen, struct mig_verify *take_core,
                  const char *state_root)
{
    mig_verify_free(verify->core);
    verify->core = take_core;
    verify->outcome = PX_VERIFY_PENDING;
    verify->reason[0] = '\0';
    verify->is_quiet = false;
    verify->count = chosen->count;
    for (uint32_t i = 0; i < chosen->count; i++) {
        verify->ids[i] = chosen->ids[i];
        verify->conns[i] = (struct verify_conn){.owner = verify, .index = i};
    }
    snprintf(verify->root, sizeof verify->root, "%s", state_root);
    verify->skips[0] = verify->root;
    verify->skips[1] = CONFIG_NODE;
    mig_counts_start(&verify->counts, verify->ids[0], verify->ids + 1, verify->count - 1);
    verify->state = PX_VERIFY_COUNTING;
}

enum rc px_verify_start(struct px_verify *verify, const struct mig_facts *facts, const char *state_root,
                        const struct px_verify_request *request, struct err *err)
{
    struct chosen chosen = {.count = 0};
    struct mig_verify *core;
    if (px_verify_is_running(verify))
        return err_set(err, RC_REFUSED, "a verification is running");
    if (getrandom(&verify->key, sizeof verify->key, 0) != (ssize_t)sizeof verify->key)
        return err_set(err, RC_IO, "no random numbers for a hash's key");
    enum rc rc = choose(facts, request, &chosen, err);
    if (rc == RC_OK)
        rc = make_core(&chosen, state_root, request->from, &core, err);
    if (rc != RC_OK)
        return rc;
    begin(verify, &chosen, core, state_root);
    verify->started_ms = facts->now_ms;
    verify->started_wall_ms = facts->wall_ms;
    px_log(PX_LOG_INFO, "verify.started", "leader=%d servers=%u from=%s", verify->ids[0], verify->count - 1,
           request->from);
    return RC_OK;
}

/* --- what others see --- */

void px_verify_facts(const struct px_verify *verify, struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++)
        for (uint32_t c = 0; c < verify->count; c++)
            facts->servers[i].our_other_connections +=
                verify->conns[c].zk && verify->ids[c] == facts->servers[i].id;
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
    ret_view->counts = &verify->counts;
    ret_view->report = mig_verify_report(verify->core);
}
