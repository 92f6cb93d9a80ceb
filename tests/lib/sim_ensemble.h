/* A small simulated world for the migration engine: servers that follow, elect and apply reconfigs, sessions
 * that go where routing sends them, a journal in memory, a fake clock. It carries out effects, and asserts on
 * the way what must hold whatever happens (see sim_ensemble.c, "invariants"). */
#ifndef TESTS_LIB_SIM_ENSEMBLE_H
#define TESTS_LIB_SIM_ENSEMBLE_H

#include "conf/conf.h"
#include "migrate/engine/engine.h"
#include "migrate/engine/routing.h"

#define SIM_SERVERS     6u
#define SIM_RECORDS_MAX 400u
#define SIM_QUEUE_MAX   64u
#define SIM_STEP_MS     20

/* What becomes of the next reconfig. */
enum sim_fault {
    SIM_NO_FAULT,
    SIM_LOST_APPLIED, /* applied, the reply is lost */
    SIM_LOST_DROPPED, /* not applied, the reply is lost */
    SIM_LOST_LATE,    /* the reply is lost, and it is applied only with what commits next (design.md §5) */
    SIM_REFUSED,      /* refused with fault_err */
    SIM_NEVER_SENT,
};

#define SIM_HOOKS_MAX 32u

/* A hook that was run. */
struct sim_hook {
    enum conf_hook hook;
    int32_t server;
    uint32_t requests; /* that had been applied before it */
};

struct sim_server {
    int32_t id;
    bool is_up;
    bool lacks_super;       /* it does not know the super user */
    bool is_stuck;          /* never activates a new config: reconfigEnabled=false on it */
    bool hides_conf;        /* conf is not in its whitelist */
    enum zkp_mode own_mode; /* UNKNOWN: as the ensemble has it; else what it claims for itself */
    int64_t zxid;
    int64_t sessions;
    int64_t gone_at_ms; /* it was down then */
    bool is_cut_off;    /* it runs, and the proxy gets no answer at all from there */
    int64_t back_at_ms; /* it is down and comes back then; 0 = it stays as it is */
    bool is_slow;       /* it lacks what it has missed, and what comes */
    char version[16];
    int64_t uptime_ms;                      /* -1 = it does not show it */
    bool hides_mntr;                        /* it is not in its whitelist */
    int64_t mismatches;                     /* of digests; -1 = it does not show them */
    int64_t mismatches_after;               /* the next start: what its log makes it count */
    int64_t strangers;                      /* clients that bypass the proxy */
    bool awaits_mntr;                       /* it gives no usable answer to it now */
    bool awaits_conf;                       /* the same */
    bool hides_count;                       /* what it counts proves nothing */
    int64_t alone_at_ms[MIG_ALONE_SAMPLES]; /* the last looks without strangers, newest first */
    int64_t firsts; /* of the sessions: those that are canaries whenever there are canaries */
    struct zkp_conf_answer answer;
};

struct sim {
    struct conf conf;
    struct mig_facts facts;
    struct mig_engine *engine;
    struct mig_switches switches;
    struct sim_server servers[SIM_SERVERS]; /* ids from 1: sources, then targets */
    struct zkp_config config;               /* committed */
    int32_t leader;
    int64_t epoch;
    int64_t counter;
    int64_t unquiesced;         /* what a hold of all sessions reports */
    int64_t moving;             /* what a hold of moves reports */
    uint64_t hold_id;           /* as the workers have it */
    struct mig_effect hold;     /* the newest HOLD effect */
    uint32_t holds;             /* of all sessions, opened in all */
    uint32_t move_holds;        /* of moves */
    int64_t detached;           /* sessions without a server; one of them attaches per tick */
    int64_t loses;              /* how many the leader's removal detaches */
    int64_t detached_at_commit; /* how many were when the first barrier after that committed; -1 = not yet */
    int64_t elected_ms;         /* when the last leader was elected */
    int64_t commit_ms;          /* when that barrier committed */
    bool is_super;
    int32_t probe_err;       /* answer of the leader to the reconfig probe */
    char lock[64];           /* content of the lock node, "" = none */
    int64_t lock_free_at_ms; /* a dead session's lock vanishes then; 0 = its owner lives */
    bool has_lock;
    enum sim_fault fault;
    int32_t fault_err;
    int32_t fault_at; /* server the reconfig must be about; 0 = the next one */
    enum rc data_rc;  /* what the next comparisons of data say */
    char data_text[64];
    bool data_is_slow; /* they do not end */
    uint32_t comparisons;
    struct mig_ids compared; /* by the last one */
    bool is_compared_full;
    bool journal_fails;
    uint32_t journal_capacity; /* records for which there is room on the disk; 0 = for all */
    bool has_late;             /* SIM_LOST_LATE: this one is under way */
    struct mig_effect late;
    bool reads_early;   /* reads of the config forget their barrier: the control run */
    int32_t unlisted;   /* the file has lost its line: nothing is known of it; or MIG_NO_SERVER */
    bool has_no_survey; /* nobody has looked since the beginning */
    bool is_deaf;       /* barriers and reads of the config get no answer */
    bool confirms;      /* confirm every gate at once */
    void (*on_record)(const struct sim *sim, void *context); /* before it is written; NULL = nobody asks */
    void *record_context;
    uint32_t record_count;
    struct mig_record records[SIM_RECORDS_MAX];
    struct mig_plan *plans[SIM_RECORDS_MAX];
    struct mig_findings *findings[SIM_RECORDS_MAX];
    uint32_t effects_done;
    uint32_t crash_after; /* effects; 0 = never */
    bool has_crashed;
    uint32_t requests; /* applied */
    uint32_t reconfigs;
    int32_t order[32]; /* numbers of servers in the order of applied changes, negative = removed; reconfigs in
                          all */
    uint32_t hook_count;
    struct sim_hook hooks[SIM_HOOKS_MAX]; /* run, in this order */
    enum rc hook_rc;                      /* of the next ones */
    bool hook_is_idle;                    /* it ends well without doing anything */
    bool hook_hangs;                      /* until it is RUN_HOOK's time limit */
    uint64_t hook_seq;                    /* of the one that hangs */
    int64_t hook_due_ms;
    uint32_t canary_round;  /* that the workers work by */
    uint32_t canary_bucket; /* how slow the canaries' requests are: index into the bounds; 0 = as usual */
    struct mig_view view;
    struct mig_effects effects;
    uint32_t queued;
    struct mig_effect queue[SIM_QUEUE_MAX];
};

/* The id of the first server made from now on; the others' follow. Tests set it back to 1. */
extern int32_t sim_first_id;
/* The id of the n-th server, from 1. */
int32_t sim_id(int32_t n);
struct sim *sim_new(void); /* conf with sources 1..3, targets 4..6, no confirms; targets down */
/* The ensemble is started from dynamic files; without this its config names no client addresses. */
void sim_dynamic(struct sim *sim);
/* The same for another kind: so many sources, then so many targets; leaving ends with 0, NULL = nobody; as
 * numbers for sim_id. */
struct sim *sim_new_kind(enum conf_kind kind, uint32_t sources, uint32_t targets, const int32_t *leaving);
void sim_free(struct sim *sim);
void sim_up(struct sim *sim, int32_t id, bool is_up);
/* Its process ends, and another one begins. It must have no sessions, and must not lead. */
void sim_restart_server(struct sim *sim, int32_t id, const char *version);
struct sim_server *sim_server(struct sim *sim, int32_t id);
void sim_elect(struct sim *sim, int32_t leader); /* a new epoch */
/* Somebody else's change. */
void sim_foreign_config(struct sim *sim, int32_t removed);

/* Hooks of these kinds exist, given before the start. */
void sim_hooks(struct sim *sim, bool has_start, bool has_stop, bool has_restart, bool has_backup);

struct mig_answer sim_command(struct sim *sim, enum mig_command_kind kind, const char *gate);
/* CONFIRM of a gate that accepts a finding with it. */
struct mig_answer sim_confirm(struct sim *sim, const char *gate, const char *accept);
struct mig_answer sim_drain(struct sim *sim, enum mig_command_kind kind, int32_t server); /* DRAIN, UNDRAIN */
void sim_routes(const struct sim *sim, struct mig_routes *ret_routes); /* of the engine's present state */
void sim_start(struct sim *sim, const char *accept);                   /* asserts that it was allowed */
void sim_tick(struct sim *sim);
/* Ticks until the phase is reached, at most max_ms of simulated time; false = not reached. */
bool sim_until(struct sim *sim, enum mig_phase phase, int64_t max_ms);
/* Ticks until the text appears in waiting_for. */
bool sim_until_waiting(struct sim *sim, const char *text, int64_t max_ms);
bool sim_run_for(struct sim *sim, int64_t ms);   /* true */
void sim_write(struct sim *sim, uint32_t count); /* transactions of clients */
/* What the journal says: a new engine from it, the caller's. Asserts that it replays. */
struct mig_engine *sim_replay(const struct sim *sim);
/* kill -9 and start again: a new engine from the journal. */
void sim_restart(struct sim *sim);
void sim_assert_rolled_back(struct sim *sim); /* everything is as before the plan */
void sim_assert_finished(struct sim *sim);    /* exactly the members that the plan wanted */

#endif
