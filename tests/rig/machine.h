/* The proxy's shell of one session between a simulated client and ensemble: carries out the core's actions as
 * proxy/net/link*.c does, and lets a sequence of choices decide what happens next: requests, other clients'
 * transactions, deliveries, moves, holds, time, crashes. The same choices give the same run. For the
 * property test and the fuzz target of moves. */
#ifndef TESTS_RIG_MACHINE_H
#define TESTS_RIG_MACHINE_H

#include "proxy/session/export.h"
#include "proxy/session/session.h"
#include "tests/rig/client.h"

#define RIG_TIMEOUT_MS 6000
#define RIG_STEP_MS    20
/* No frame of a server that runs is under way for longer: what a client believes because a frame came late is
 * not the proxy's doing. */
#define RIG_DELAY_MS 400
#define RIG_JOIN_MS  1000
/* A server that does not get on for so long is given up like one that has ended. */
#define RIG_STUCK_MS 1000

struct rig_options {
    enum px_watch_rule rule;
    bool has_trouble;  /* crashes, hangs, elections */
    bool has_lasting;  /* persistent and recursive watches */
    bool has_short;    /* a server that grants less time */
    bool has_deaf_old; /* the old server's end may come while it moves, without a crash of anything else */
    bool has_leaving;  /* reconfigs of our own take the leader away, with others' transactions around them */
    bool exports;      /* the session is written out and read in again now and then */
};

struct rig_machine {
    struct rig_options options;
    struct rig_ensemble e;
    struct rig_client client;
    struct px_watch_space spaces[2];
    int space; /* the one in use */
    struct px_session *session;
    struct px_actions actions;
    struct rig_queue requests; /* of the client, not yet stepped */
    uint32_t scanned;          /* … of which these are not pings to be answered here */
    bool is_paused;
    int server; /* connections; RIG_NONE */
    int next;
    int home; /* server id the session is attached to */
    bool wants_route;
    bool is_dialling; /* ROUTED, not yet DIALLED */
    int64_t dialled_ms;
    int64_t sought_ms; /* the move or re-attach began */
    uint32_t tried;
    bool may_go_home;
    bool was_heard;
    int64_t awaited_zxid;
    int64_t hold_until_ms;
    bool had_trouble; /* since it began */
    bool has_lost;    /* the core wants no more of its server */
    int marked;       /* place up to which everything came before the server's last reply, when it began */
    int64_t own_zxid; /* of our last reconfig; -1 = not known yet, then it is own_later */
    int64_t own_later;
    int64_t proved_ms;  /* when the request was sent whose answer last proved that the session lives */
    bool is_inexact;    /* this move's old server leads, or was asked too often */
    uint32_t old_pings; /* of this move */
    int64_t silent_ms;  /* since when the server owes an answer to a ping; 0 = it does not */
    bool is_closed;
    enum px_close_reason reason;
    uint64_t outcomes[8];
    uint64_t gaps;    /* lasting watches carried over transactions that nobody saw */
    uint64_t misfits; /* servers lost for what they sent */
    uint64_t exported;
    uint64_t export_bits;
    FILE *trace; /* NULL = none */
    uint32_t (*choose)(void *context, uint32_t below);
    void *context;
};

uint32_t rig_pick(struct rig_machine *m, uint32_t below);
struct rig_conn *rig_conn_of(struct rig_machine *m, int index);
void rig_hang_up(struct rig_machine *m, int *ref_index);
struct px_event rig_event(const struct rig_machine *m, enum px_event_kind kind);
void rig_step(struct rig_machine *m, struct px_event event);
void rig_step_kind(struct rig_machine *m, enum px_event_kind kind);
void rig_step_frame(struct rig_machine *m, enum px_event_kind kind, struct rig_queue *queue);
/* Pings among what waits are answered while that is honest. */
void rig_scan_pings(struct rig_machine *m);
void rig_deliver_request(struct rig_machine *m);
void rig_deliver_server(struct rig_machine *m);
void rig_deliver_next(struct rig_machine *m);
void rig_route(struct rig_machine *m);
void rig_tell_applied(struct rig_machine *m);
void rig_ask_auth(struct rig_machine *m);
void rig_ask_any(struct rig_machine *m);
void rig_pass_time(struct rig_machine *m, int64_t ms);
void rig_trouble(struct rig_machine *m);
void rig_elect_any(struct rig_machine *m);
/* MOVE, HOLD or RELEASE, where the shell would give it. */
void rig_order(struct rig_machine *m, enum px_event_kind kind);
/* A step towards: a hold, a marker in it, the reconfig. The servers' own transactions, or others', before and
 * behind our reconfig; who follows closes on its way. */
void rig_leave(struct rig_machine *m);
/* There is no room for the events of another transaction. */
bool rig_is_server_busy(const struct rig_machine *m, int server);
bool rig_leader_is_busy(const struct rig_machine *m);
/* Only the old server of a move ends: nothing else is lost. */
void rig_end_old(struct rig_machine *m);
/* Choices of its own, so that a run with it and one without are the same. */
void rig_export_now(struct rig_machine *m);
void rig_choose_step(struct rig_machine *m);
void rig_start(struct rig_machine *m, const struct rig_options *options, uint32_t (*choose)(void *, uint32_t),
               void *context);
void rig_end(struct rig_machine *m);
void rig_end_run(struct rig_machine *m);
void rig_run(struct rig_machine *m, int steps);

#endif
