/* What the files of proxy/control share: the one object of the control thread. */
#ifndef PROXY_CONTROL_CONTROL_INT_H
#define PROXY_CONTROL_CONTROL_INT_H

#include <event2/event.h>

#include "migrate/engine/engine.h"
#include "migrate/engine/history.h"
#include "migrate/engine/routing.h"
#include "migrate/helper.h"
#include "migrate/journal/journal.h"
#include "proxy/admin/admin.h"
#include "proxy/control/crew/crew.h"
#include "proxy/control/descriptors.h"
#include "proxy/control/director.h"
#include "proxy/control/events.h"
#include "proxy/control/fleet/fleet.h"
#include "proxy/control/fleet/links.h"
#include "proxy/control/fleet/strangers.h"
#include "proxy/control/hooks/hooks.h"
#include "proxy/control/port/listen.h"
#include "proxy/control/port/words.h"
#include "proxy/control/report/report.h"
#include "proxy/control/report/report_store.h"
#include "proxy/control/runner.h"
#include "proxy/control/slack.h"
#include "proxy/control/survey/survey.h"
#include "proxy/control/verify/verify.h"
#include "proxy/control/watchdog.h"
#include "proxy/control/witness/witness.h"
#include "proxy/net/origins.h"

#define PX_CLIENTS_TEXT_MAX 4096u

/* Life of the daemon after SIGTERM, in this order. */
enum px_ending {
    PX_RUNNING,
    PX_FINISHING, /* no new clients; a running hold or reconfig ends first */
    PX_QUIESCING, /* workers return their sessions */
    PX_ENDED
};

/* An event for the engine that waits for the loop: results may come from inside a call of ours. */
struct px_queued_event {
    struct px_queued_event *next;
    struct mig_event event; /* config points to the copy below */
    struct zkp_config config;
};

#define PX_PREFLIGHT_CALLS_MAX 16u /* more are answered with what is known */

/* Calls of /v1/preflight that wait for the probes' answers. */
struct px_preflight_calls {
    uint32_t count;
    int64_t asked_at_ms; /* by the first of them */
    struct px_admin_reply replies[PX_PREFLIGHT_CALLS_MAX];
};

#define PX_COMMAND_CALLS_MAX 32u

/* Commands that were taken but whose record is not on disk yet: a 200 must survive a crash. seq 0 = free. */
struct px_command_call {
    uint64_t seq;
    struct px_admin_reply reply;
    char message[MIG_TEXT_MAX];
};

/* Owned by px_control_run; control thread only. */
struct px_control {
    struct event_base *base;
    struct conf *conf;
    struct mig_helper *helper;
    struct mig_engine *engine;
    struct mig_journal *journal;
    struct px_mailbox *mailbox;
    struct px_crew *crew;
    struct px_fleet *fleet;
    struct px_links *links;
    struct px_verify *verify;
    struct px_witness *witness;
    struct px_survey *survey;
    struct px_strangers strangers;
    struct px_hooks *hooks;
    uint64_t verify_seq;      /* of the plan's VERIFY that it runs for; 0 = none */
    int64_t verify_wanted_ms; /* the plan's was put off for another; 0 = it was not */
    struct px_director *director;
    struct px_runner *runner;
    struct px_words *words;
    struct px_watchdog watchdog;
    struct px_slack slack;
    struct px_descriptors descriptors;
    struct px_report *report;
    struct px_events *events;
    struct mig_history *history;
    struct mig_record *writing; /* the one that is on its way to the disk */
    uint64_t writing_seq;
    struct px_report_store *reports;
    struct px_admin *admin;
    struct px_listeners *listeners;
    char clients_text[PX_CLIENTS_TEXT_MAX];
    struct event *tick;
    int64_t tick_due_ms;
    struct event *wake; /* queued events, changed facts */
    struct event *signals[3];
    struct px_queued_event *queue;
    struct px_queued_event **queue_tail;
    struct px_preflight_calls preflights;
    struct px_command_call commands[PX_COMMAND_CALLS_MAX];
    int64_t waiting_kick_ms; /* last probes asked for because clients wait */
    struct px_origins *origins;
    uint64_t refused_clients[PX_REFUSAL_COUNT];
    uint32_t next_nonce;
    bool is_ready;
    bool wants_reload; /* SIGHUP came */
    enum px_ending ending;
    int64_t ending_deadline_ms;
    int64_t reported_waiting; /* value of the last log line about waiting connects */
    /* the newest picture */
    struct mig_facts facts;
    struct mig_view view;
    struct mig_routes routes;
    struct mig_effects effects;
};

/* picture.c: facts, view and routes from what was observed. */
void px_control_observe(struct px_control *control);
void px_control_judge(struct px_control *control); /* view and routes only, from the facts there are */
struct px_session_counts px_control_counts(const struct px_control *control);
/* Of the newest plan: this life's, or what the journal says when none has run in it. */
void px_control_witness(const struct px_control *control, struct px_witness_result *ret_result);

/* clients.c: callbacks of the listeners, the mailbox and the four-letter words; context: struct px_control.
 */
bool px_control_may_accept(void *context);
void px_control_on_accepted(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len,
                            uint32_t index);
void px_control_on_message(void *context, struct px_msg *take_msg);
struct px_words_facts px_control_words_facts(void *context);
struct px_offer px_control_offer(const struct px_control *control); /* to a client that connects now */

/* drive.c: the engine and its effects. */
enum rc px_control_open_engine(struct px_control *control, struct err *err) RC_MUST_CHECK;
void px_control_drive(struct px_control *control, const struct mig_event *event);
void px_control_carry_out(struct px_control *control); /* control->effects */
/* Keeps a copy for the loop. */
void px_control_queue(struct px_control *control, const struct mig_event *event);
void px_control_run_queue(struct px_control *control);
void px_control_tick_witness(struct px_control *control);
bool px_control_is_busy(const struct px_control *control); /* a hold, a reconfig or a hook is under way */

/* ops.c: the admin port's table. */
extern const struct px_admin_ops px_control_ops;
void px_control_answer_preflights(struct px_control *control); /* those whose probes have answered */

/* ops_command.c: its commands. */
void px_control_command(void *context, struct px_admin_reply reply, enum px_admin_command kind,
                        const struct px_admin_args *args);
void px_control_drain(void *context, struct px_admin_reply reply, int32_t server_id);
void px_control_undrain(void *context, struct px_admin_reply reply, int32_t server_id);
/* A record is on disk, or nothing queued will be: answers the commands that wait for it. */
void px_control_answer_commands(struct px_control *control, uint64_t seq, enum rc rc, const char *why);

/* ops_verify.c: its calls about verification, and what keeps one going. */
void px_control_verify(void *context, struct px_admin_reply reply, const struct px_admin_args *args);
void px_control_verification(void *context, struct px_admin_reply reply);
void px_control_tick_verify(struct px_control *control);
void px_control_verify_plan(struct px_control *control, const struct mig_effect *effect); /* VERIFY */

/* ops_plan.c */
void px_control_plan(void *context, struct px_admin_reply reply);

/* ops_report.c: the history of the plan, its report, the events */
void px_control_history_opened(struct px_control *control); /* after the replay */
void px_control_history_write(struct px_control *control, uint64_t seq, const struct mig_record *record);
void px_control_history_journaled(struct px_control *control, uint64_t seq, enum rc rc);
void px_control_report(void *context, struct px_admin_reply reply);
void px_control_events(void *context, struct px_admin_reply reply, const struct px_admin_args *args);

/* reload.c */
enum rc px_control_reload(struct px_control *control, struct err *err) RC_MUST_CHECK;
/* The running plan's servers, or the file's. */
enum rc px_control_set_servers(struct px_control *control) RC_MUST_CHECK;

#endif
