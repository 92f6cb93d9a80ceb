/* Inside of the engine, shared by engine*.c only.
 *
 * Every call has the same shape: a result is absorbed, then the handler of the phase looks at the facts and
 * decides on the next action. Handlers return the next phase and cannot write it; engine_goto is its only
 * writer. At most one effect with a result is under way (`op`), and nothing at all happens while a journal
 * record is not on disk. So a handler reads downwards: what is not true yet is asked for, then waited for. */
#ifndef MIGRATE_ENGINE_INT_H
#define MIGRATE_ENGINE_INT_H

#include "migrate/engine/engine.h"

#define GATE_AGE_MAX_MS   5000 /* answers older than this prove nothing at a gate; probes come every second */
#define RETRY_MS          1000 /* after -13, -14, an unreachable leader, a lock not taken */
#define REPROBE_MS        50   /* how often probes are hurried inside a step */
#define REPROBE_HEAVY_MS  300
#define PREFLIGHT_WAIT_MS 10000 /* servers that do not answer by then are findings */
#define HOLD_RETRY_MS     3000  /* clients get their turn between two tries of a hold */
#define HOLD_LEASE_MS     15000 /* after the reconfig is sent; workers end it earlier by their own rule */
#define ATTACH_WAIT_MS    300 /* persistent watches of sessions that need longer are lost (protocol.md §4.4) */
#define JOIN_BARRIER_MS   2000 /* an idle ensemble shows a joiner's zxid only after a transaction */
#define FINDING_STEADY_MS 3000 /* a block on a joiner must persist: it may just be starting */

/* The change of one member. Only stages HOLD..SETTLE_LEADER are "in flight": then a pause must wait. */
#define CHANGE_STAGES(X)                                                                                     \
    X(NONE)       /* no change under way */                                                                  \
    X(GATE)       /* conditions before it; nothing has happened yet */                                       \
    X(HOLD)       /* intent is on disk; no moves; removing the leader: all sessions hold and quiesce */      \
    X(SEND)       /* last look at the leader, then the request */                                            \
    X(SENT)       /* waiting for the reply */                                                                \
    X(DECIDE)     /* reply lost or contradicting: barrier, then read the config */                           \
    X(LEADER)     /* applied: wait for a proven leader of the new config, and for who attaches to it */      \
    X(BARRIER)    /* commit one transaction on it, release the hold */                                       \
    X(ACTIVATION) /* every live member uses the new config and has the leader's epoch */                     \
    X(DONE)

enum change_stage {
#define CHANGE_ENUM(name) CHANGE_##name,
    CHANGE_STAGES(CHANGE_ENUM)
#undef CHANGE_ENUM
        CHANGE_COUNT,
    CHANGE_FAILED = CHANGE_COUNT /* pseudo stage: the plan fails, the change stays as it is */
};

struct change {
    enum change_stage stage; /* written by change_goto and replay only */
    enum mig_step_kind kind; /* of the step */
    bool is_add;
    int32_t server;
    int32_t partner; /* a dead member that leaves in the request in which server joins, or MIG_NO_SERVER */
    bool is_role;    /* a member stays one, as what role says; is_add is set */
    enum zkp_role role;
    bool takes_leader; /* the server that leaves, or stops voting, leads */
    bool is_undecided; /* intent without outcome in the journal */
    int64_t from_version;
    int64_t from_epoch; /* of the leader it was sent to; 0 after a restart */
    int32_t via;
    int64_t stage_since_ms; /* probes must be newer than this */
    int64_t retry_at_ms;
    int64_t hold_deadline_ms;
    int64_t hold_from_ms;    /* all sessions hold since then; 0 = they do not */
    int64_t held_ms;         /* so long they did */
    int64_t own_zxid;        /* the applied reconfig's; 0 = not applied, or not seen */
    int64_t leader_since_ms; /* stage LEADER: when the new one was proven; 0 = not yet */
};

/* The one effect with a result that is under way, or its result until a handler takes it. */
struct engine_op {
    enum mig_effect_kind kind;
    uint64_t seq;
    bool is_pending;
    bool has_result;
    bool is_background; /* nobody waits for the result */
    bool is_of_target;  /* CHECK_SUPER of a joiner, not of the leader */
    int64_t epoch;      /* of the leader when it was asked */
    int32_t via;
    enum rc rc;
    int32_t zk_err;
    bool has_config;
    struct zkp_config config;
    char text[MIG_TEXT_MAX];
};

struct catch_up {
    int64_t round_at_ms; /* when the leader was asked; 0 = no round under way */
    int64_t last_round_ms;
    int64_t zxid; /* the leader's answer: to be reached within lag_ms */
    int32_t good_rounds;
    int32_t missed;                    /* server that was too slow last; -1 = none */
    bool has_reached[MIG_SERVERS_MAX]; /* by index in plan.targets */
};

/* See engine_canary.c. */
enum canary_stage { CANARY_NONE, CANARY_MOVING, CANARY_OBSERVING, CANARY_BREACHED };

struct canary {
    enum canary_stage stage;
    uint32_t round; /* of this process: workers say which one they work by */
    bool has_usual;
    struct mig_measures usual;
    struct mig_group_facts begun; /* the canaries' counters then */
    int64_t begun_ms;             /* 0 = set at the next call (restart) */
    int64_t observe_since_ms;
    int64_t sessions; /* the most canaries that were there at a time */
    char reason[MIG_TEXT_MAX];
};

/* A drain or undrain counts when its record is on disk. */
struct drain_order {
    uint64_t seq; /* of the record; 0 = none under way */
    int32_t server;
    bool is_drain;
};

/* The server that a rolling plan restarts at the moment. */
enum rolling_stage { ROLLING_GATE, ROLLING_DRAIN, ROLLING_RESTART, ROLLING_RETURN, ROLLING_COUNT };

struct rolling {
    int32_t server; /* or MIG_NO_SERVER; its sessions leave */
    enum rolling_stage stage;
    int64_t stage_since_ms;
    bool has_begun;                     /* it is on record that it is to be restarted from now on */
    bool is_replayed;                   /* by a former process: what was seen since then may be incomplete */
    bool is_hooked;                     /* its hook has ended well */
    int64_t since_ms;                   /* what is seen after that is a new start; 0 = before this process */
    int64_t since_wall_ms;              /* the same, and known after a restart */
    char version[ZKP_VERSION_TEXT_MAX]; /* before */
};

/* The hook that runs, or ran last. Beside `op`: it may take minutes. */
struct engine_hook {
    uint64_t seq;
    enum conf_hook hook;
    int32_t server;
    bool is_pending;
    bool has_result; /* until a handler takes it */
    int64_t since_ms;
    enum rc rc;
    char text[MIG_TEXT_MAX]; /* why it failed */
};

/* What sessions went through and the witness saw since the plan began, over restarts (engine_tally.c). */
struct plan_tally {
    struct mig_tally base; /* by the records of former lives */
    struct mig_tally from; /* the daemon's own counters when this life's part of the plan began */
    struct mig_tally kept; /* as last written */
    struct mig_witness_account kept_witness;
    int64_t written_ms;
    bool is_reborn; /* the journal is to say that a new daemon goes on */
};

/* The comparison of data. Not an engine_op: it takes its time, and everything else goes on meanwhile. */
struct data_check {
    uint64_t seq; /* of the VERIFY under way; 0 = none */
    int64_t asked_ms;
    bool has_result;
    enum rc rc;
    char text[MIG_TEXT_MAX];
    uint32_t failures; /* it did not get to its end */
    int64_t retry_at_ms;
};

/* The comparison that answers a doubt (engine_doubt.c). */
struct doubting {
    uint64_t seq; /* of the VERIFY under way; 0 = none */
    int32_t server;
    uint32_t failures; /* of its comparison: it did not get to its end */
    int64_t retry_at_ms;
};

/* The joiner that is restarted to prove its log (engine_prove.c). */
struct proving {
    int32_t server;   /* or MIG_NO_SERVER */
    int64_t since_ms; /* a new start is one after this */
    bool is_hooked;   /* its hook has ended well */
    bool is_unsound;  /* it has mismatches after its restart: it is to be rebuilt */
    int64_t count;
    bool is_proven[MIG_SERVERS_MAX]; /* by index in plan.targets */
};

/* How fast the leader's zxid counts while nothing of it is our own doing: outside of plans and preflights. */
struct write_rate {
    int64_t ours_until_ms; /* transactions of ours may still come */
    int64_t at_ms;         /* 0 = no sample yet */
    int64_t zxid;
};

/* The plan stands still because the journal could not be written, and that is not in the journal. */
struct owed_failure {
    bool is_due;
    bool is_told; /* its reason says so */
    int64_t retry_at_ms;
    enum mig_phase phase; /* the one that failed */
    char text[MIG_TEXT_MAX];
};

/* Whether targets know the super user: on the way back reconfigs go over them. */
struct super_checks {
    bool is_right[MIG_SERVERS_MAX]; /* by index in plan.targets; by this process */
    int32_t wrong;                  /* the target that refused the password last; 0 = none */
    int64_t retry_at_ms;
};

struct engine_ledger;

/* Owned by the control thread; allocated once. */
struct mig_engine {
    struct engine_ledger *ledger; /* owned; NULL in the ledger's own engines */
    struct owed_failure owed;
    char barred[MIG_TEXT_MAX]; /* why nothing can be journaled; "" = it can */
    enum mig_phase phase;      /* written by engine_goto and replay only */
    bool is_paused;
    struct mig_plan plan;  /* id "" = none */
    struct mig_plan draft; /* what the configuration says now, for the next start */
    enum rc draft_rc;
    struct err draft_err;
    struct mig_steps steps;
    struct mig_findings findings;
    struct mig_findings scratch;
    struct mig_probes probes;
    struct mig_switches switches;
    bool confirmed[MIG_GATE_COUNT];
    enum mig_phase failed_phase;
    char failed_reason[MIG_TEXT_MAX];
    bool has_changed; /* an intent was journalled: the ensemble may differ from before */

    struct zkp_config expected; /* the config by our own last observation */
    bool has_expected;
    struct change change;
    struct catch_up catch_up;
    struct data_check data;
    struct super_checks supers;
    struct doubting doubting;
    struct proving proving;
    struct write_rate rate;
    int64_t barriered_epoch;   /* a transaction has committed in this epoch (epoch trap, protocol.md §3.6) */
    int64_t barrier_at_ms;     /* last background barrier asked */
    int64_t lock_at_ms;        /* last try to take the lock */
    int64_t finding_since_ms;  /* a joiner has a block since then; 0 = none */
    int64_t probe_retry_at_ms; /* a probe got no answer */
    int64_t adopt_retry_at_ms;
    bool has_read_config;   /* verifying: read behind a barrier */
    bool has_stragglers;    /* removing: waits for them, or for somebody to accept them */
    int64_t alone_asked_ms; /* since when a server that leaves does not show that it is alone; 0 = not */
    bool wants_probes;      /* preflight command outside a plan */
    bool wants_findings;    /* the same, since the last plan ended */

    struct canary canary;
    struct mig_lookback lookback; /* of all sessions, for what is usual */
    struct mig_drained drained;
    struct drain_order drain;
    struct plan_tally tally;

    struct engine_hook hook;
    bool is_started[MIG_SERVERS_MAX]; /* by index in plan.targets: its start hook has ended well */
    struct rolling rolling;
    int32_t stopped; /* the server whose stop hook has ended well last */

    uint64_t hold_id; /* 0 = none open */
    enum mig_hold_scope hold_scope;
    uint64_t last_hold_id;
    struct engine_op op;
    uint64_t last_seq;
    uint64_t journal_seq; /* newest record that is not on disk yet; 0 = all are */

    int64_t phase_since_ms; /* 0 = set at the next call (restart) */
    int64_t due_from_ms;    /* deadline = due_from_ms + limit; moved on while paused or waiting for people */
    int64_t reprobed_at_ms[MIG_PROBE_WORDS]; /* by bit; 0 = at once */
    int64_t replay_wall_ms;                  /* of the record before, gives durations of steps */
    int64_t wait_since_ms;
    char waiting[MIG_TEXT_MAX]; /* what the running step waits for */
    char todo[256];
};

/* One call's context. */
struct run {
    struct mig_engine *e;
    const struct mig_facts *f;
    struct mig_effects *out;
    struct mig_leader leader;        /* proven now, id -1 = none */
    const struct zkp_config *config; /* newest known; NULL = none */
};

typedef enum mig_phase engine_handler(struct run *r);

/* engine.c */
#define engine_has_plan(e) ((e)->plan.id[0] != '\0')
struct run run_begin(struct mig_engine *e, const struct mig_facts *f, struct mig_effects *out);
void engine_run(struct run *r);
bool engine_gate_is_open(const struct mig_engine *e, enum mig_gate gate);
enum mig_phase engine_phase(const struct mig_engine *e); /* of a failed plan: the one that failed */
bool engine_goes_back(const struct mig_engine *e);       /* rolls back, has or could not */
enum mig_gate engine_waiting_gate(const struct mig_engine *e);
int64_t engine_limit_ms(const struct mig_engine *e, const struct mig_facts *f);
int64_t engine_deadline_ms(const struct mig_engine *e, const struct mig_facts *f); /* of what it waits for */

const struct zkp_config *engine_newest_config(const struct mig_engine *e, const struct mig_facts *f);
bool engine_can(const struct mig_engine *e, const struct mig_facts *f, enum mig_command_kind kind);
void engine_take_plan(struct mig_engine *e, const struct mig_plan *plan); /* START and its replay */
void engine_reset_for_retry(struct mig_engine *e);                        /* RETRY and its replay */

/* engine_phase.c */
void engine_goto(struct run *r, enum mig_phase next);
enum mig_phase engine_fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* engine_effects.c: everything that writes to r->out */
struct mig_record *run_journal(struct run *r, enum mig_record_kind kind); /* fill it before the next one */
struct mig_effect *run_ask(struct run *r, enum mig_effect_kind kind, int32_t via);
/* The result of that kind, taken; NULL = not there. Valid until the next run_ask. */
const struct engine_op *run_take(struct run *r, enum mig_effect_kind kind);
struct mig_effect *run_tell(struct run *r, enum mig_effect_kind kind); /* without a result */
void run_reprobe(struct run *r, uint32_t words);                       /* at most every REPROBE_MS */
void run_log(struct run *r, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Opens one, or renews the one that is open: that keeps its scope. */
void run_hold(struct run *r, enum mig_hold_scope scope, int64_t deadline_ms);
void run_hold_ends(struct run *r); /* of all sessions: its length is taken down */
void run_release(struct run *r);   /* no-op without a hold */
/* What the plan waits for now, and what a person could do ("" = nothing). */
void run_wait(struct run *r, const char *todo, const char *format, ...) __attribute__((format(printf, 3, 4)));
void run_step_start(struct run *r, enum mig_step_kind kind, int32_t server);
void run_step_done(struct run *r, enum mig_step_kind kind, int32_t server); /* journals it once */
bool engine_step_is_done(const struct mig_engine *e, enum mig_step_kind kind, int32_t server);
bool engine_step_is_over(const struct mig_engine *e, enum mig_step_kind kind); /* done or skipped */
struct mig_step *engine_current_step(struct mig_engine *e); /* RUNNING or WAITING; NULL = none */

/* engine_gate.c: conditions. False = not yet; the reason is in run_wait. */
void gate_wait_leader(struct run *r); /* says why none is proven */
bool gate_leader(struct run *r);      /* a proven leader, and the epoch trap is sprung */
bool gate_config(struct run *r,
                 bool *ret_is_foreign); /* observed = expected; foreign: reason is in failed_reason */
void gate_fail_foreign(struct run *r, const struct zkp_config *seen); /* writes that reason */
bool gate_probe(struct run *r, bool *ret_is_disabled);                /* this leader accepts reconfig */
bool gate_activation(struct run *r, int64_t since_ms, bool with_pending_targets);
bool gate_joiner(struct run *r, int32_t id, int64_t since_ms); /* follows, in the leader's epoch */
bool gate_super(struct run *r, int32_t id); /* a target that follows takes the super user's password */
void super_absorb(struct mig_engine *e, const struct mig_facts *f, const struct mig_event *event);
bool gate_restored(struct run *r, int32_t id, int64_t since_ms); /* so does a source that had left */
/* A voter that counts, or could: answers, takes part, and is in the leader's epoch. */
bool server_is_synced(const struct mig_facts *f, int32_t id, const struct mig_leader *leader);
bool gate_all_joiners(struct run *r, int64_t since_ms);
bool gate_leaver(struct run *r, int32_t id);
bool gate_confirm(struct run *r, enum mig_gate gate);
bool gate_tolerance(struct run *r); /* after the change that is under way */
/* For people, never for a gate: who follows has a leader, even when nobody sees it. */
struct mig_quorum quorum_shown(const struct mig_facts *f, const struct zkp_config *config,
                               const struct mig_leader *leader);
struct mig_quorum quorum_of(const struct mig_facts *f, const struct zkp_config *config,
                            const struct mig_leader *leader);
/* Takes the config as expected; steps that it shows undone become pending again. */
void engine_adopt(struct mig_engine *e, const struct zkp_config *config);
bool engine_has_all_targets(const struct mig_engine *e); /* in the expected config */

/* engine_change.c */
void change_begin(struct run *r, enum mig_step_kind kind, int32_t server);
void change_begin_role(struct run *r, enum mig_step_kind kind, int32_t server, enum zkp_role role);
enum change_stage change_run(struct run *r); /* DONE, FAILED, or the stage it waits in */
bool change_in_flight(const struct change *c);
/* What it makes of the config; the version is left as it was. RC_FULL: too many servers. */
enum rc change_apply(const struct mig_engine *e, struct zkp_config *config) RC_MUST_CHECK;

/* engine_members.c */
/* The next of this kind that is not done, lowest id first, the leader last; -1 = none is left. */
int32_t members_next(const struct run *r, enum mig_step_kind kind);
/* Begins that change unless it is under way, or gives way to another order; carries it on. */
enum mig_phase members_change(struct run *r, enum mig_step_kind kind, int32_t next);
enum mig_phase members_drive(struct run *r); /* carries the running change on */

/* engine_join.c */
bool catch_up_is_done(struct run *r); /* K rounds in a row; the wait is said */

/* engine_switch.c */
bool switch_is_done(struct run *r);                                   /* nobody is left where they leave */
enum mig_phase switch_verify(struct run *r, enum mig_step_kind kind); /* ends with that step done */

/* engine_verify.c */
enum data_verdict { DATA_UNKNOWN, DATA_EQUAL, DATA_DIFFERENT };
/* Compares the servers that stay with the leader; UNKNOWN: not done yet, the wait is said. DIFFERENT: the
 * reason is in failed_reason. EQUAL is said once, then it begins anew. */
enum data_verdict data_compare(struct run *r);
bool data_is_due(const struct mig_engine *e); /* the step before the first removal is there and not done */
enum mig_phase data_drive(struct run *r);
void data_absorb(struct mig_engine *e, const struct mig_event *event);

/* engine_doubt.c */
/* A server that is to vote, or to be used again: no digest mismatches, or compared and equal. */
bool gate_doubt(struct run *r, int32_t id);
bool doubt_settles_members(struct run *r); /* each is compared, or cannot be; the wait is said */
void doubt_absorb(struct mig_engine *e, const struct mig_facts *f, const struct mig_event *event);
void doubt_forget(struct mig_engine *e); /* everything is to be compared anew */
void doubt_watch_writes(struct run *r);  /* at every call: what the ensemble writes, before a plan does */

/* engine_straggler.c: before the first removal nobody bypasses the proxy on a server that leaves, or it is
 * accepted by name. */
bool gate_stragglers(struct run *r); /* nobody is seen */
bool gate_alone(struct run *r);      /* surely nobody is there; right before the request */

/* engine_canary.c */
bool engine_canary_is_pending(const struct mig_engine *e); /* the plan has that step, and it is not done */
void engine_canary_run(struct run *r);                     /* until the step is done, or the plan pauses */
void engine_canary_watch(struct run *r);                   /* at every call: what is usual */
void engine_canary_reset(struct mig_engine *e);            /* the stage begins again */
void engine_canary_traffic(const struct mig_engine *e, struct mig_traffic *traffic);
bool engine_canary_is_breached(const struct mig_engine *e);
int64_t engine_canary_until_ms(const struct mig_engine *e);    /* monotonic; 0 = nobody is observed */
int64_t engine_canary_patience_ms(const struct mig_engine *e); /* beside the step's own time */
enum rc engine_canary_replay(struct mig_engine *e, const struct mig_record *record) RC_MUST_CHECK;

/* engine_rollback.c */
/* The source that bars the way back at the moment: it is not seen following the present leader. 0 = none. */
int32_t rollback_obstacle(const struct mig_engine *e, const struct mig_facts *f);
void rollback_turn(struct mig_engine *e);       /* ROLLBACK and its replay: the steps */
void rollback_end(struct mig_engine *e);        /* ROLLED_BACK and its replay: what is left is not needed */
void rollback_mark_steps(struct mig_engine *e); /* of the way there: what the config shows as done, is */

/* engine_hold.c */
enum hold_result { HOLD_WAITING, HOLD_QUIET, HOLD_GIVEN_UP };
/* Opens the hold that the change needs; then waits for it, until its deadline. GIVEN_UP: why is filled. */
enum hold_result hold_take(struct run *r, char *why, uint32_t capacity);
void hold_keep(struct run *r); /* at every call: the lease lasts as long as the outcome is open */
bool hold_waits_for_sessions(struct run *r); /* a new leader is proven; before its first transaction */

/* engine_replay.c: intent only; of the ledger's engines, too. */
enum rc engine_replay_record(struct mig_engine *e, const struct mig_record *record,
                             struct err *err) RC_MUST_CHECK;

/* engine_ledger.c: what is on disk, and on its way there. */
#define LEDGER_CALL_MAX 8u              /* records of one call */
#define LEDGER_MAX      32u             /* on their way; commands wait for those before them to be written */
struct engine_ledger *ledger_new(void); /* NULL when out of memory */
void ledger_free(struct engine_ledger *ledger);
void ledger_open(struct mig_engine *e);           /* the replay is over; before every call */
bool ledger_has_room(const struct mig_engine *e); /* for what a command writes */
/* At the end of every call. False: its records could not follow what is on disk; nothing of it is done, and
 * the plan has failed. */
bool ledger_seal(struct run *r);
void ledger_written(struct mig_engine *e, uint64_t seq);
void ledger_lost(struct run *r, uint64_t seq, const char *why); /* and everything behind it */
void owed_note(struct run *r, enum mig_phase from);             /* FAILED is entered, its record is owed */
void owed_pay(struct run *r);  /* before any other record; no-op when nothing is owed */
bool owed_keep(struct run *r); /* at every call; true: it wrote the record */

/* engine_command.c */
void engine_refuse(struct mig_answer *answer, int http_status, const char *code, const char *hint,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* engine_confirm.c */
void engine_confirm(struct run *r, const struct mig_command *command, struct mig_answer *answer);
void engine_refuse_accept(const struct mig_command *command, struct mig_answer *answer);
/* Names accepted at a gate, comma-separated as the journal has them. RC_FULL: too many, or one is too long.
 */
enum rc accept_add(struct mig_plan *plan, const char *list) RC_MUST_CHECK;

/* engine_drain.c */
bool engine_is_draining(const struct mig_engine *e); /* somebody is drained, or about to be */
void engine_drain(struct run *r, const struct mig_command *command, struct mig_answer *answer);
void engine_drain_journaled(struct mig_engine *e, const struct mig_event *event);

/* engine_hook.c */
enum hook_end { HOOK_RUNS, HOOK_ENDED, HOOK_FAILED };
bool hook_exists(const struct mig_engine *e, enum conf_hook hook);
bool hook_is_under_way(const struct mig_engine *e, enum conf_hook hook, int32_t server);
/* Begins it unless it is under way, then waits for its end, once per begin. FAILED: the reason is written. */
enum hook_end hook_run(struct run *r, enum conf_hook hook, int32_t server);
void hook_absorb(struct mig_engine *e, const struct mig_event *event);
void hook_mark(struct mig_engine *e, enum conf_hook hook, int32_t server); /* it has ended well */
void hook_forget(struct mig_engine *e); /* what ended well need not be so any more */
/* Those of joiners that do not run, one after another; ENDED: none is left to be started. */
enum hook_end hook_start_joiners(struct run *r);
bool hook_backup_is_due(const struct mig_engine *e); /* before the first change of members */
enum mig_phase hook_backup(struct run *r);
enum mig_phase hook_stop_leavers(struct run *r); /* after finish; FINISHED when all are down */

/* engine_prove.c */
void prove_watch(struct run *r);            /* before anything else waits: what a new start shows */
enum hook_end prove_joiners(struct run *r); /* all that follow; ENDED: none is left; the wait is said */
void prove_hooked(struct mig_engine *e, int32_t server); /* its restart hook has ended well */
void prove_forget(struct mig_engine *e);

/* engine_rolling.c */
enum mig_phase rolling_phase(struct run *r); /* phase switching of a rolling plan */
enum mig_phase rolling_back(struct run *r);  /* its phase rolling_back */
/* Before the role of a member changes. */
bool rolling_gate(struct run *r, int32_t id, enum zkp_role role);
void rolling_restore_roles(const struct mig_engine *e, struct zkp_config *config); /* those of the plan */
int32_t
rolling_resting(const struct mig_engine *e); /* the server that must have no sessions, or MIG_NO_SERVER */
bool rolling_waits_for_people(const struct mig_engine *e);
void rolling_begun(struct mig_engine *e, const struct mig_record *record); /* and its replay */
void rolling_retry(struct mig_engine *e);
void rolling_forget(struct mig_engine *e);

/* engine_tally.c */
void tally_begin(struct run *r); /* START */
void tally_replay(struct mig_engine *e, const struct mig_record *record);
void tally_add(struct run *r, struct mig_record *record); /* to every record of a plan */
bool tally_keep(struct run *r); /* while a plan runs, or has failed half-way; true: it wrote a record */

/* engine_lock.c */
bool engine_lock(struct run *r, bool *ret_is_foreign);

/* Handlers: engine_preflight.c, engine_join.c (joining, catching_up), engine_members.c (adding, removing),
 * engine_switch.c (switching, verifying), engine_rollback.c (rolling_back) */
engine_handler phase_preflight, phase_joining, phase_adding, phase_catching_up, phase_switching,
    phase_removing, phase_verifying, phase_rolling_back;
void preflight_probe(struct run *r);           /* asks what is missing; for preflight outside a plan too */
bool preflight_is_probed(const struct run *r); /* the two harmless questions are answered */
bool preflight_is_seen(struct run *r);         /* so are config and probes; asks again for what is missing */

#endif
