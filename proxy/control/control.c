/* Start, loop and end of the control thread; see control.h. */
#include "proxy/control/control.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "migrate/zkclient/zkclient.h"
#include "proxy/control/control_int.h"
#include "proxy/log.h"

#define TICK_IDLE_MS      250 /* also the pace of the log's ring */
#define TICK_PLAN_MS      100
#define TICK_HOLD_MS      10    /* every millisecond of a hold is a stall somebody sees */
#define FINISH_TIMEOUT_MS 30000 /* a hold or a reconfig under way at SIGTERM */
#define QUIESCE_EXTRA_MS  1000  /* beyond one session's limit, for all of them */

/* --- the tick --- */

/* For a server: connects, sessions that lost theirs, or everybody while no server shows that it serves. */
static bool clients_wait(const struct px_control *control)
{
    const struct px_crew_totals totals = px_crew_totals(control->crew);
    return totals.waiting > 0 || totals.detached > 0 ||
           (totals.clients > 0 && mig_facts_nobody_serves(&control->facts));
}

static int32_t tick_ms(const struct px_control *control)
{
    if (px_director_hold_id(control->director) != 0 || control->ending != PX_RUNNING)
        return TICK_HOLD_MS;
    return mig_engine_plan_runs(control->engine) || clients_wait(control) ? TICK_PLAN_MS : TICK_IDLE_MS;
}

/* May bring the tick nearer, never puts it off: wakes can come more often than ticks for as long as connects
 * wait. */
static void arm_tick(struct px_control *control)
{
    const int32_t delay_ms = tick_ms(control);
    const int64_t due_ms = mig_now_ms() + delay_ms;
    if (event_pending(control->tick, EV_TIMEOUT, NULL) && control->tick_due_ms <= due_ms)
        return;
    const struct timeval delay = {.tv_usec = delay_ms * 1000};
    control->tick_due_ms = due_ms;
    event_add(control->tick, &delay);
}

/* One line when connects begin to wait, one when they have all been served. */
static void report_waiting(struct px_control *control)
{
    int64_t waiting = control->facts.sessions.waiting;
    if ((waiting > 0) == (control->reported_waiting > 0))
        return;
    control->reported_waiting = waiting;
    px_log(waiting > 0 ? PX_LOG_WARN : PX_LOG_INFO, "clients.waiting", "count=%" PRId64 " why=%s", waiting,
           waiting > 0 ? px_director_current(control->director)->why_waiting : "");
}

static void end_step(struct px_control *control, int64_t now_ms)
{
    struct px_crew_totals totals = px_crew_totals(control->crew);
    switch (control->ending) {
    case PX_FINISHING:
        if ((px_control_is_busy(control) || px_witness_is_active(control->witness)) &&
            now_ms < control->ending_deadline_ms)
            return;
        control->ending = PX_QUIESCING;
        control->ending_deadline_ms = now_ms + control->conf->quiesce_timeout_ms + QUIESCE_EXTRA_MS;
        px_director_stop(control->director, control->ending_deadline_ms);
        px_log(PX_LOG_INFO, "stop.quiescing", "clients=%u", totals.clients);
        return;
    case PX_QUIESCING:
        if (totals.clients > 0 && now_ms < control->ending_deadline_ms)
            return;
        control->ending = PX_ENDED;
        px_log(PX_LOG_INFO, "stop.done", "clients_cut=%u", totals.clients);
        event_base_loopbreak(control->base);
        return;
    case PX_RUNNING:
    case PX_ENDED:
        return;
    }
}

/* A signal has no answer, so it is kept until no admin request is under way any more. */
static void reload_if_wanted(struct px_control *control)
{
    struct err err;
    if (control->wants_reload)
        control->wants_reload = px_control_reload(control, &err) == RC_AGAIN; /* the rest is logged there */
}

/* Who serves next should be seen at once; and as long as nobody can, no session expires (directive.h). */
static void kick_if_clients_wait(struct px_control *control, int64_t now_ms)
{
    if (!clients_wait(control) || now_ms - control->waiting_kick_ms < TICK_PLAN_MS)
        return;
    control->waiting_kick_ms = now_ms;
    px_fleet_kick(control->fleet, MIG_PROBE_SRVR);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct px_control *control = arg;
    const struct mig_event tick = {.kind = MIG_EVENT_TICK};
    const struct conf *conf = control->conf;
    bool plan_runs = mig_engine_plan_runs(control->engine);
    int32_t interval_ms = plan_runs ? conf->probe_plan_interval_ms : conf->probe_interval_ms;
    int64_t now_ms = mig_now_ms();
    px_watchdog_look(&control->watchdog, px_crew_shared(control->crew), control->tick_due_ms, now_ms);
    px_descriptors_look(&control->descriptors);
    px_fleet_set_interval(control->fleet, interval_ms);
    px_fleet_tick(control->fleet, now_ms);
    px_control_drive(control, &tick);
    kick_if_clients_wait(control, now_ms);
    if (!px_director_leader_leaves(control->director)) /* a session of ours would be a transaction */
        px_links_tick(control->links, &control->facts, interval_ms);
    px_control_tick_verify(control);
    px_control_tick_witness(control);
    px_survey_tick(control->survey, &control->facts, px_director_leader_leaves(control->director));
    px_crew_tick(control->crew, now_ms);
    px_origins_tick(control->origins, now_ms);
    (void)px_slack_tick(&control->slack, px_crew_totals(control->crew).clients, now_ms);
    report_waiting(control);
    reload_if_wanted(control);
    end_step(control, now_ms);
    px_log_sweep();
    px_log_drain();
    arm_tick(control);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct px_control *control = arg;
    const struct mig_event tick = {.kind = MIG_EVENT_TICK};
    px_control_run_queue(control);
    px_control_drive(control, &tick);
    px_control_tick_verify(control);
    px_control_tick_witness(control);
    px_survey_tick(control->survey, &control->facts, px_director_leader_leaves(control->director));
    arm_tick(control);
}

/* --- signals --- */

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct px_control *control = arg;
    if (signal_number == SIGHUP) {
        control->wants_reload = true;
        reload_if_wanted(control);
        return;
    }
    if (control->ending != PX_RUNNING)
        return;
    px_log(PX_LOG_INFO, "stop.begin", "signal=%d", (int)signal_number);
    px_watchdog_notify(&control->watchdog, "STOPPING=1");
    px_listeners_stop(control->listeners);
    control->ending = PX_FINISHING;
    control->ending_deadline_ms = mig_now_ms() + FINISH_TIMEOUT_MS;
    arm_tick(control);
}

static enum rc open_events(struct px_control *control, struct err *err)
{
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    control->tick = event_new(control->base, -1, 0, on_tick, control);
    control->wake = event_new(control->base, -1, 0, on_wake, control);
    bool is_ok = control->tick && control->wake;
    for (int i = 0; i < 3; i++) {
        control->signals[i] = evsignal_new(control->base, numbers[i], on_signal, control);
        is_ok = is_ok && control->signals[i] && event_add(control->signals[i], NULL) == 0;
    }
    return is_ok ? RC_OK : err_set(err, RC_NOMEM, "events");
}

/* --- start and end --- */

/* Of a table that strangers fill. A clock must do where the kernel has none. */
static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint64_t)mig_wall_ms() << 20 ^ (uint64_t)getpid();
    return seed;
}

static enum rc open_base(struct px_control *control, struct err *err)
{
    struct event_config *config = event_config_new();
    if (config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        control->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    control->report = px_report_new();
    control->origins = px_origins_new(random_seed());
    control->queue_tail = &control->queue;
    control->next_nonce = (uint32_t)mig_wall_ms() ^ (uint32_t)getpid();
    return control->base && control->report && control->origins ? RC_OK
                                                                : err_set(err, RC_NOMEM, "event base");
}

static enum rc open_all(struct px_control *control, struct err *err)
{
    const struct conf *conf = control->conf;
    enum rc rc = open_base(control, err);
    if (rc == RC_OK)
        rc = open_events(control, err);
    if (rc == RC_OK)
        rc = px_mailbox_new(&control->mailbox, err);
    if (rc == RC_OK &&
        px_mailbox_attach(control->mailbox, control->base, px_control_on_message, control) != RC_OK)
        rc = err_set(err, RC_NOMEM, "mailbox");
    if (rc == RC_OK)
        rc = mig_helper_new(control->base, &control->helper, err);
    if (rc == RC_OK)
        rc = px_listeners_open(control->base, conf, px_control_may_accept, px_control_on_accepted, control,
                               &control->listeners, err);
    if (rc == RC_OK)
        rc = px_crew_start(conf, control->mailbox, &control->crew, err);
    if (rc == RC_OK)
        rc = px_control_open_engine(control, err);
    if (rc == RC_OK)
        rc = px_admin_new(control->base, &conf->admin, &px_control_ops, control, &control->admin, err);
    if (rc == RC_OK) {
        control->words = px_words_new(control->base, control->crew, px_control_words_facts, control);
        rc = control->words ? RC_OK : err_set(err, RC_NOMEM, "words");
    }
    return rc;
}

/* The reverse of open_all; every part may be missing. The helper's end reports what was under way, so its
 * users live until then. */
static void close_all(struct px_control *control)
{
    px_admin_free(control->admin);
    px_witness_free(control->witness);
    control->witness = NULL; /* a record that comes on disk below may be a report's occasion */
    px_listeners_free(control->listeners);
    px_crew_free(control->crew);
    if (control->fleet)
        px_fleet_stop(control->fleet);
    px_hooks_free(control->hooks);
    px_verify_free(control->verify);
    control->verify = NULL; /* the same */
    if (control->survey)
        px_survey_stop(control->survey);
    px_links_free(control->links);
    mig_helper_free(control->helper);
    mig_journal_free(control->journal);
    px_fleet_free(control->fleet);
    px_survey_free(control->survey);
    px_director_free(control->director);
    px_runner_free(control->runner);
    px_words_free(control->words);
    px_report_free(control->report);
    px_report_store_free(control->reports);
    px_events_free(control->events);
    free(control->history);
    free(control->writing);
    mig_engine_free(control->engine);
    while (control->queue) {
        struct px_queued_event *next = control->queue->next;
        free(control->queue);
        control->queue = next;
    }
    if (control->mailbox)
        px_mailbox_detach(control->mailbox);
    px_mailbox_free(control->mailbox);
    px_origins_free(control->origins); /* words in the mailbox had shares */
    for (int i = 0; i < 3; i++)
        if (control->signals[i])
            event_free(control->signals[i]);
    if (control->tick)
        event_free(control->tick);
    if (control->wake)
        event_free(control->wake);
    if (control->base) {
        mig_zk_finish(control->base);
        event_base_loop(control->base, EVLOOP_NONBLOCK); /* bufferevents are given back by the loop */
        event_base_free(control->base);
    }
    px_log_done();
    conf_free(control->conf);
    free(control);
}

static enum rc announce(struct px_control *control, struct err *err)
{
    px_descriptors_begin(&control->descriptors, px_crew_shared(control->crew), control->conf);
    if (px_listeners_start(control->listeners) != RC_OK)
        return err_set(err, RC_IO, "listen");
    px_listeners_text(control->listeners, control->clients_text, sizeof control->clients_text);
    control->is_ready = true;
    px_log(PX_LOG_INFO, "ready", "clients=%s admin=%s:%u workers=%u pid=%d", control->clients_text,
           control->conf->admin.host, (unsigned)px_admin_port(control->admin), px_crew_count(control->crew),
           (int)getpid());
    px_watchdog_notify(&control->watchdog, "READY=1");
    return RC_OK;
}

enum rc px_control_run(struct conf *take_conf, struct err *err)
{
    struct px_control *control = calloc(1, sizeof *control);
    if (!control) {
        conf_free(take_conf);
        return err_set(err, RC_NOMEM, "control");
    }
    control->conf = take_conf;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, not the end */
    px_descriptors_raise();
    px_watchdog_init(&control->watchdog);
    px_slack_init(&control->slack);
    enum rc rc = open_all(control, err);
    if (rc == RC_OK)
        rc = announce(control, err);
    if (rc == RC_OK) {
        control->tick_due_ms = mig_now_ms();
        on_tick(-1, 0, control);
        event_base_dispatch(control->base);
    }
    close_all(control);
    return rc;
}
