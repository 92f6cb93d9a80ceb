/* What the engine asks the shell to do, what it writes to the journal, and what it is told. Plain data; the
 * control thread carries effects out in order, one queue. Rule: effects behind a JOURNAL effect, also those
 * of later calls, run only when that record is on disk; when writing fails the shell drops the queue and
 * reports JOURNALED with the error. Every effect has a seq; results echo it; a result whose seq the engine
 * does not wait for is ignored. At most one effect of each kind with a result is outstanding. */
#ifndef MIGRATE_EFFECTS_H
#define MIGRATE_EFFECTS_H

#include "conf/conf.h"
#include "migrate/engine/states.h"
#include "migrate/engine/tally.h"
#include "migrate/facts.h"
#include "migrate/plan/plan.h"
#include "migrate/preflight/preflight.h"

#define MIG_EFFECTS_MAX      16u
#define MIG_RECORD_TEXT_MAX  2048u
#define MIG_LEAVING_TEXT_MAX 256u

#define MIG_RECORDS(X)                                                                                       \
    X(PLAN, "plan")           /* plan */                                                                     \
    X(PHASE, "phase")         /* phase entered */                                                            \
    X(STEP, "step")           /* step, is_done: started or done; text = detail */                            \
    X(INTENT, "intent")       /* step, joining, leaving, from_version, via */                                \
    X(OUTCOME, "outcome")     /* step, is_done: applied or not; version: the config's afterwards; text */    \
    X(CONFIRMED, "confirmed") /* gate; text: findings accepted with it, comma-separated */                   \
    X(PAUSED, "paused")                                                                                      \
    X(RESUMED, "resumed")                                                                                    \
    X(FAILED, "failed") /* phase: the one that failed; text: why */                                          \
    X(RETRY, "retry")   /* phase gone back to */                                                             \
    X(FINISHED, "finished")                                                                                  \
    X(DRAINED, "drained") /* server; outside of plans, like the next */                                      \
    X(UNDRAINED, "undrained")                                                                                \
    X(ROLLBACK, "rollback") /* phase: rolling_back */                                                        \
    X(ROLLED_BACK, "rolled_back")                                                                            \
    X(HOOK, "hook")                       /* server, text: which; is_done: began or ended well */            \
    X(TALLY, "tally")                     /* what sessions have gone through meanwhile; no step */           \
    X(RESTARTED, "restarted")             /* a new daemon goes on with the plan */                           \
    X(CANARY_BEGUN, "canary_begun")       /* usual */                                                        \
    X(CANARY_BREACHED, "canary_breached") /* paused by it; text: the figure and its limit */

enum mig_record_kind {
#define MIG_RECORD_ENUM(name, text) MIG_RECORD_##name,
    MIG_RECORDS(MIG_RECORD_ENUM)
#undef MIG_RECORD_ENUM
        MIG_RECORD_COUNT
};

/* One journal record. Fields not named beside its kind are 0, "" or NULL. */
struct mig_record {
    enum mig_record_kind kind;
    int64_t wall_ms;
    const struct mig_plan *plan; /* PLAN only; borrowed for the call */
    enum mig_phase phase;
    enum mig_gate gate;
    char step[MIG_STEP_NAME_MAX];
    bool is_done;
    char joining[MIG_RECORD_TEXT_MAX];  /* "server.4=…" or "" */
    char leaving[MIG_LEAVING_TEXT_MAX]; /* "1" or "" */
    int64_t from_version;
    int32_t via; /* server id of the leader it was sent to */
    int64_t version;
    int32_t server;
    char text[MIG_TEXT_MAX];
    int64_t started_wall_ms;             /* STEP: when it began; 0 = not known */
    int64_t hold_ms;                     /* OUTCOME: so long all sessions held; 0 = they did not */
    struct mig_tally tally;              /* since the plan began; every record of a plan has it */
    const struct mig_findings *findings; /* PLAN; borrowed for the call; NULL = none */
    struct mig_measures usual;           /* CANARY_BEGUN */
    struct mig_witness_account witness;  /* every record of a plan has it */
};
const char *mig_record_name(enum mig_record_kind kind);

/* R = a result event of the same seq must follow, always, also on failure and time-out. */
#define MIG_EFFECTS(X)                                                                                       \
    X(JOURNAL)        /* R JOURNALED. append record, fdatasync */                                            \
    X(TAKE_LOCK)      /* R LOCK_RESULT. ephemeral under state_root, super-only ACL, content contains text */ \
    X(DROP_LOCK)      /* delete the lock node when it is ours */                                             \
    X(PROBE_RECONFIG) /* R PROBE_RESULT. via: reconfig with curConfigId 1, changes nothing (P6) */           \
    X(CHECK_SUPER)    /* R SUPER_RESULT. via: addauth, then a super-only call that can change nothing:       \
                         setData of /zookeeper/config with version 0x7ffffffe; BAD_VERSION = right,          \
                         NO_AUTH = wrong password */                                                         \
    X(RECONFIG)       /* R RECONFIG_RESULT. via, joining, leaving, from_version (curConfigId) */             \
    X(BARRIER)        /* R BARRIER_RESULT. via: setData on a path that never exists; NO_NODE = committed */  \
    X(READ_CONFIG)    /* R CONFIG_RESULT. via: first a barrier, then getData of /zookeeper/config on the     \
                         SAME connection; a connection lost between the two is a failure */                  \
    X(HOLD)     /* hold id until deadline_ms; the same id again with a later deadline renews the lease */    \
    X(RELEASE)  /* end the hold with this id; unknown ids are ignored */                                     \
    X(REPROBE)  /* probe now: words; answers arrive as facts */                                              \
    X(LOG)      /* event, text */                                                                            \
    X(RUN_HOOK) /* R HOOK_RESULT. hook; text = plan id. Long: other effects go on meanwhile */               \
    X(VERIFY) /* R VERIFY_RESULT. compare: their data with the leader's; is_full: every node, else only when \
                 counts or digests differ. Takes its time, ends by itself */

enum mig_effect_kind {
#define MIG_EFFECT_ENUM(name) MIG_EFFECT_##name,
    MIG_EFFECTS(MIG_EFFECT_ENUM)
#undef MIG_EFFECT_ENUM
        MIG_EFFECT_COUNT
};
const char *mig_effect_name(enum mig_effect_kind kind);

/* Bits of REPROBE. */
#define MIG_PROBE_SRVR   1u
#define MIG_PROBE_CONF   2u
#define MIG_PROBE_MNTR   4u
#define MIG_PROBE_CONFIG 8u /* /zookeeper/config through the admin session */
#define MIG_PROBE_CONS   16u
#define MIG_PROBE_SURVEY 64u /* migrate/preflight/survey.h; bit 32 is a word of probe.h */

#define MIG_PROBE_PROPERTIES 128u /* system_properties, which only AdminServer has */

#define MIG_PROBE_WORDS 8u

/* ALL: every session's requests wait in the proxy. MOVES: no session begins to change servers; clients notice
 * nothing. */
enum mig_hold_scope { MIG_HOLD_ALL, MIG_HOLD_MOVES };

/* A program to run for a server, self-contained. */
struct mig_hook_call {
    enum conf_hook hook;
    struct conf_command command; /* with placeholders as in the file */
    int32_t server;
    char host[ZKP_HOST_MAX]; /* where its clients connect */
    uint16_t client_port;
    int32_t timeout_ms;
};

struct mig_effect {
    enum mig_effect_kind kind;
    uint64_t seq;
    int32_t via; /* server to talk to (the leader); the admin session must be connected to exactly this one */
    struct mig_record record;           /* JOURNAL */
    char joining[MIG_RECORD_TEXT_MAX];  /* RECONFIG */
    char leaving[MIG_LEAVING_TEXT_MAX]; /* RECONFIG */
    int64_t from_version;               /* RECONFIG */
    uint64_t hold_id;                   /* HOLD, RELEASE */
    int64_t deadline_ms;                /* HOLD: monotonic; workers end the hold by themselves then */
    enum mig_hold_scope scope;          /* HOLD; the same for all renewals of one id */
    int64_t exit_epoch;      /* HOLD ALL: != 0: the leader of this epoch has been, or is being, told to leave;
                                workers may end the hold once a server of an epoch above accepts */
    int32_t server;          /* HOLD ALL with an exit_epoch: who leaves; else -1 */
    int64_t own_zxid;        /* HOLD ALL: the reconfig's own transaction; 0 = not known yet */
    uint32_t words;          /* REPROBE */
    struct mig_ids compare;  /* VERIFY */
    bool is_full;            /* VERIFY */
    char event[48];          /* LOG: greppable, "plan.step.done" */
    char text[MIG_TEXT_MAX]; /* LOG, TAKE_LOCK (plan id), RUN_HOOK (plan id) */
    struct mig_hook_call hook; /* RUN_HOOK */
};

/* Caller's fixed room for one call's effects. */
struct mig_effects {
    uint32_t count;
    struct mig_effect items[MIG_EFFECTS_MAX];
};

#define MIG_EVENTS(X)                                                                                        \
    X(TICK)            /* facts moved on; at least every 100 ms while a plan runs */                         \
    X(JOURNALED)       /* rc */                                                                              \
    X(LOCK_RESULT)     /* rc: OK, EXISTS (text = holder), other = try again later (text) */                  \
    X(PROBE_RESULT)    /* rc OK: zk_err is the answer; other = no answer */                                  \
    X(SUPER_RESULT)    /* rc OK: right; REFUSED: wrong; other = no answer */                                 \
    X(RECONFIG_RESULT) /* rc OK: config; REFUSED: zk_err; UNKNOWN: reply lost; RC_IO: surely never sent */   \
    X(BARRIER_RESULT)  /* rc */                                                                              \
    X(CONFIG_RESULT)   /* rc OK: config */                                                                   \
    X(HOOK_RESULT)     /* rc OK: it exited with 0; REFUSED: it failed or could not be run; TIMEOUT; text */  \
    X(VERIFY_RESULT)   /* rc OK: no difference (text: what could not be compared); REFUSED: text names what  \
                          differs; AGAIN: not begun; other: did not get to its end (text) */

enum mig_event_kind {
#define MIG_EVENT_ENUM(name) MIG_EVENT_##name,
    MIG_EVENTS(MIG_EVENT_ENUM)
#undef MIG_EVENT_ENUM
        MIG_EVENT_COUNT
};
const char *mig_event_name(enum mig_event_kind kind);

struct mig_event {
    enum mig_event_kind kind;
    uint64_t seq; /* of the effect; 0 for TICK */
    enum rc rc;
    int32_t zk_err;
    const struct zkp_config *config; /* borrowed for the call; with version */
    char text[MIG_TEXT_MAX];         /* holder, or what went wrong */
};

#endif
