/* Phases, commands, gates and step states of a plan: the tables that say which phase may follow which and
 * which command is allowed where (design.md §2). `can` of the status page, the answers of the admin calls
 * and the matrix test read the same tables. Pure. */
#ifndef MIGRATE_STATES_H
#define MIGRATE_STATES_H

#include <stdbool.h>
#include <stdint.h>

#define MIG_PHASES(X)                                                                                        \
    X(IDLE, "idle")                                                                                          \
    X(PREFLIGHT, "preflight")                                                                                \
    X(JOINING, "joining")                                                                                    \
    X(ADDING, "adding")                                                                                      \
    X(CATCHING_UP, "catching_up")                                                                            \
    X(SWITCHING, "switching")                                                                                \
    X(REMOVING, "removing")                                                                                  \
    X(VERIFYING, "verifying")                                                                                \
    X(FINISHED, "finished")                                                                                  \
    X(ROLLING_BACK, "rolling_back")                                                                          \
    X(ROLLED_BACK, "rolled_back")                                                                            \
    X(FAILED, "failed")

enum mig_phase {
#define MIG_PHASE_ENUM(name, text) MIG_PHASE_##name,
    MIG_PHASES(MIG_PHASE_ENUM)
#undef MIG_PHASE_ENUM
        MIG_PHASE_COUNT
};

#define MIG_COMMANDS(X)                                                                                      \
    X(PREFLIGHT, "preflight") /* run the harmless probes now; changes no phase */                            \
    X(START, "start")                                                                                        \
    X(CONFIRM, "confirm")                                                                                    \
    X(PAUSE, "pause")                                                                                        \
    X(RESUME, "resume")                                                                                      \
    X(RETRY, "retry")                                                                                        \
    X(ROLLBACK, "rollback")                                                                                  \
    X(DRAIN, "drain")                                                                                        \
    X(UNDRAIN, "undrain")

enum mig_command_kind {
#define MIG_COMMAND_ENUM(name, text) MIG_COMMAND_##name,
    MIG_COMMANDS(MIG_COMMAND_ENUM)
#undef MIG_COMMAND_ENUM
        MIG_COMMAND_COUNT
};

/* Confirm gates, named as in migration.confirm. */
enum mig_gate { MIG_GATE_NONE, MIG_GATE_SWITCH, MIG_GATE_REMOVE, MIG_GATE_FINISH, MIG_GATE_COUNT };

#define MIG_STEP_STATES(X)                                                                                   \
    X(PENDING, "pending")                                                                                    \
    X(RUNNING, "running")                                                                                    \
    X(WAITING, "waiting") /* for a person, a server or a condition */                                        \
    X(DONE, "done")                                                                                          \
    X(FAILED, "failed")                                                                                      \
    X(SKIPPED, "skipped") /* not needed on the way back, or given up for it */

enum mig_step_state {
#define MIG_STEP_ENUM(name, text) MIG_STEP_##name,
    MIG_STEP_STATES(MIG_STEP_ENUM)
#undef MIG_STEP_ENUM
        MIG_STEP_COUNT
};

const char *mig_phase_name(enum mig_phase phase);
const char *mig_command_name(enum mig_command_kind command);
const char *mig_gate_name(enum mig_gate gate);  /* "switch", "remove", "finish", "" */
enum mig_gate mig_gate_named(const char *name); /* MIG_GATE_NONE when it is no gate */
const char *mig_step_state_name(enum mig_step_state state);

/* The table of transitions. */
bool mig_phase_may_go(enum mig_phase from, enum mig_phase to);
/* The table phase x command; conditions beside the phase (is it paused?) are the engine's. */
bool mig_phase_allows(enum mig_phase phase, enum mig_command_kind command);
/* preflight … verifying, rolling_back: a plan is being carried out, or taken back. */
bool mig_phase_is_running(enum mig_phase phase);

#endif
