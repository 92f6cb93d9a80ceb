/* The migration engine: a pure state machine. Events and facts in, effects out; no I/O, no clock, no
 * allocation after mig_engine_new. Control thread only.
 *
 * Restart: mig_engine_new(conf), mig_engine_replay(record) for each journal record in order, then events as
 * usual. Replay restores intent; what is true is then found out by observation: the lock is taken again, a
 * reconfig without outcome is decided by barrier + config read, nothing is assumed. A paused plan, or one
 * that waits for a confirm, still does. */
#ifndef MIGRATE_ENGINE_H
#define MIGRATE_ENGINE_H

#include "conf/conf.h"
#include "migrate/engine/drained.h"
#include "migrate/engine/effects.h"
#include "migrate/engine/states.h"
#include "migrate/facts.h"
#include "migrate/plan/plan.h"
#include "migrate/preflight/preflight.h"

struct mig_engine; /* owned by the control thread */

/* switches: NULL = none; ignored unless built with PX_TEST_SWITCHES. NULL when out of memory. */
struct mig_engine *mig_engine_new(const struct conf *conf, const struct mig_switches *switches);
void mig_engine_free(struct mig_engine *engine);

/* No plan can be driven and nobody drained, because the journal can't be read; why: a sentence with what to
 * do. */
void mig_engine_bar(struct mig_engine *engine, const char *why);

/* A reload: source, target and migration for the next plan. RC_REFUSED while a plan runs. */
enum rc mig_engine_configure(struct mig_engine *engine, const struct conf *conf) RC_MUST_CHECK;
/* True while a reload of source, target, migration, credentials must be refused: a running plan, or a
 * failed one that has changed the ensemble. */
bool mig_engine_plan_runs(const struct mig_engine *engine);

/* One record of the journal, before the first event. RC_CORRUPT when it cannot follow what came before. */
enum rc mig_engine_replay(struct mig_engine *engine, const struct mig_record *record,
                          struct err *err) RC_MUST_CHECK;

/* Facts are the newest; ret_effects is overwritten and to be carried out in order. */
void mig_engine_step(struct mig_engine *engine, const struct mig_facts *facts, const struct mig_event *event,
                     struct mig_effects *ret_effects);

struct mig_command {
    enum mig_command_kind kind;
    uint32_t nonce;        /* START: random, makes the plan id unique */
    uint32_t accept_count; /* START, CONFIRM: findings accepted by id or rule */
    const char *accept[MIG_ACCEPT_MAX];
    const char *plan_id; /* CONFIRM: must be this plan's; others: "" or NULL = any, else must match */
    const char *gate;    /* CONFIRM: "switch" | "remove" | "finish" */
    int32_t server;      /* DRAIN, UNDRAIN */
};

/* The synchronous answer to an admin call. */
struct mig_answer {
    enum rc rc;
    int http_status;  /* 200; 400 bad request, 404 no such server, 409 not allowed in this state,
                         501 not in this version */
    const char *code; /* constant, "" when OK: not_allowed_now, wrong_plan, not_waiting, no_plan, … */
    char message[MIG_TEXT_MAX]; /* why not; when OK what follows, or "" */
    char hint[MIG_TEXT_MAX];
};

/* Does what is asked or answers why not; effects as above. CONFIRM, DRAIN and UNDRAIN are idempotent: one for
 * a gate that is already open, or a server that is so already, answers OK and does nothing. */
void mig_engine_command(struct mig_engine *engine, const struct mig_facts *facts,
                        const struct mig_command *command, struct mig_answer *ret_answer,
                        struct mig_effects *ret_effects);

enum mig_prefer {
    MIG_PREFER_NONE,    /* no plan: every serving member */
    MIG_PREFER_SOURCES, /* plan before the switch, and after the way back */
    MIG_PREFER_STAYING, /* switched: targets, and sources that do not leave */
};

/* What routing needs to know of the plan. */
struct mig_traffic {
    enum mig_prefer prefer;
    int32_t resting;  /* this one admits nobody, whoever is preferred, or MIG_NO_SERVER */
    bool is_emptying; /* the others (and the resting one) give their sessions away; not while paused or failed
                       */
    const struct mig_plan *plan; /* the engine's, valid until its next call; NULL = none */
    uint32_t canary_round; /* != 0: plan->canary prefers those that stay already; each try has its own */
    bool canaries_leave;   /* and leaves the others */
    int32_t ending; /* a request under way ends its membership: nobody may come to it; or MIG_NO_SERVER */
};
struct mig_traffic mig_engine_traffic(const struct mig_engine *engine);
/* Whom operators have drained; nobody while a plan runs. The engine's: valid until its next call. */
const struct mig_drained *mig_engine_drained(const struct mig_engine *engine);

struct mig_quorum {
    int32_t voters;
    int32_t alive;     /* synced voters */
    int32_t tolerates; /* failures until the quorum is lost; -1 = already lost or unknown */
};
struct mig_quorum mig_quorum_of(const struct mig_facts *facts);

/* What a change of the config does to the quorum: the rule of the gate and of the forecast alike. */
struct mig_tolerance {
    struct mig_quorum now;
    struct mig_quorum then;
    bool is_kept; /* afterwards at least one failure can be tolerated, if one can be now */
};
struct mig_tolerance mig_tolerance_of(const struct mig_facts *facts, const struct zkp_config *now,
                                      const struct zkp_config *then, const struct mig_leader *leader);

/* Everything the status page says about the plan. Strings are the engine's: valid until its next call. */
struct mig_view {
    enum mig_phase phase;
    bool is_paused;
    const char *plan_id;                /* "" = none */
    const struct mig_plan *plan;        /* NULL = none */
    char waiting_for[MIG_TEXT_MAX * 2]; /* what, since when, until when, what to do; "" = nothing */
    char next_step[MIG_TEXT_MAX];
    bool can[MIG_COMMAND_COUNT];
    enum mig_gate waiting_gate; /* the confirm it waits for */
    const struct mig_steps *steps;
    const struct mig_findings *findings;
    bool preflight_pending;      /* the active probes have not answered yet */
    enum mig_phase failed_phase; /* meaningful when phase == FAILED */
    const char *failed_reason;   /* "" unless failed */
    struct mig_quorum quorum;
    struct mig_leader leader;
    int64_t config_version; /* expected by the plan; 0 = none */
};
void mig_engine_view(const struct mig_engine *engine, const struct mig_facts *facts,
                     struct mig_view *ret_view);

#endif
