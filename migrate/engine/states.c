/* The tables of states.h. */
#include "migrate/engine/states.h"

#include <string.h>

#define TO(name) (1u << MIG_PHASE_##name)
#define FORWARD                                                                                              \
    (TO(PREFLIGHT) | TO(JOINING) | TO(ADDING) | TO(CATCHING_UP) | TO(SWITCHING) | TO(REMOVING) |             \
     TO(VERIFYING))
#define RUNNING (FORWARD | TO(ROLLING_BACK))
#define BROKEN  (TO(FAILED) | TO(ROLLING_BACK)) /* off the way, from wherever it is */

/* A plan without targets (shrink) goes from preflight to the switch, one in which nobody leaves (expand) has
 * none, a rolling one only this. A retry goes back to the phase that failed, hence FAILED -> RUNNING. When
 * the config read then shows that somebody has taken a target out of it, the plan goes back to JOINING. */
static const uint32_t next_phases[MIG_PHASE_COUNT] = {
    [MIG_PHASE_IDLE] = TO(PREFLIGHT),
    [MIG_PHASE_PREFLIGHT] = TO(JOINING) | TO(SWITCHING) | BROKEN,
    [MIG_PHASE_JOINING] = TO(ADDING) | BROKEN,
    [MIG_PHASE_ADDING] = TO(CATCHING_UP) | BROKEN,
    [MIG_PHASE_CATCHING_UP] = TO(SWITCHING) | TO(VERIFYING) | TO(JOINING) | BROKEN,
    [MIG_PHASE_SWITCHING] = TO(REMOVING) | TO(VERIFYING) | TO(JOINING) | BROKEN,
    [MIG_PHASE_REMOVING] = TO(VERIFYING) | TO(JOINING) | BROKEN,
    [MIG_PHASE_VERIFYING] = TO(FINISHED) | TO(JOINING) | BROKEN,
    [MIG_PHASE_FINISHED] = TO(PREFLIGHT),
    [MIG_PHASE_ROLLING_BACK] = TO(ROLLED_BACK) | TO(FAILED),
    [MIG_PHASE_ROLLED_BACK] = TO(PREFLIGHT),
    [MIG_PHASE_FAILED] = RUNNING,
};

#define CAN(name)   (1u << MIG_COMMAND_##name)
#define CAN_RUNNING (CAN(CONFIRM) | CAN(PAUSE) | CAN(RESUME) | CAN(ROLLBACK))
#define CAN_RESTING (CAN(PREFLIGHT) | CAN(START) | CAN(DRAIN) | CAN(UNDRAIN))

/* CONFIRM is let through also where no gate can be closed any more, because a repeated one answers OK. */
static const uint32_t commands[MIG_PHASE_COUNT] = {
    [MIG_PHASE_IDLE] = CAN_RESTING,
    [MIG_PHASE_PREFLIGHT] = CAN_RUNNING,
    [MIG_PHASE_JOINING] = CAN_RUNNING,
    [MIG_PHASE_ADDING] = CAN_RUNNING,
    [MIG_PHASE_CATCHING_UP] = CAN_RUNNING,
    [MIG_PHASE_SWITCHING] = CAN_RUNNING,
    [MIG_PHASE_REMOVING] = CAN_RUNNING,
    [MIG_PHASE_VERIFYING] = CAN_RUNNING,
    [MIG_PHASE_FINISHED] = CAN_RESTING | CAN(CONFIRM),
    [MIG_PHASE_ROLLING_BACK] = CAN(CONFIRM) | CAN(PAUSE) | CAN(RESUME),
    [MIG_PHASE_ROLLED_BACK] = CAN_RESTING | CAN(CONFIRM),
    [MIG_PHASE_FAILED] = CAN_RESTING | CAN(CONFIRM) | CAN(RETRY) | CAN(ROLLBACK),
};

static const char *const gate_names[MIG_GATE_COUNT] = {"", "switch", "remove", "finish"};

const char *mig_phase_name(enum mig_phase phase)
{
    static const char *const names[MIG_PHASE_COUNT] = {
#define PHASE_NAME(name, text) text,
        MIG_PHASES(PHASE_NAME)
#undef PHASE_NAME
    };
    return (uint32_t)phase < MIG_PHASE_COUNT ? names[phase] : "?";
}

const char *mig_command_name(enum mig_command_kind command)
{
    static const char *const names[MIG_COMMAND_COUNT] = {
#define COMMAND_NAME(name, text) text,
        MIG_COMMANDS(COMMAND_NAME)
#undef COMMAND_NAME
    };
    return (uint32_t)command < MIG_COMMAND_COUNT ? names[command] : "?";
}

const char *mig_step_state_name(enum mig_step_state state)
{
    static const char *const names[MIG_STEP_COUNT] = {
#define STEP_NAME(name, text) text,
        MIG_STEP_STATES(STEP_NAME)
#undef STEP_NAME
    };
    return (uint32_t)state < MIG_STEP_COUNT ? names[state] : "?";
}

const char *mig_gate_name(enum mig_gate gate)
{
    return (uint32_t)gate < MIG_GATE_COUNT ? gate_names[gate] : "";
}

enum mig_gate mig_gate_named(const char *name)
{
    for (uint32_t i = MIG_GATE_NONE + 1; i < MIG_GATE_COUNT; i++)
        if (name != NULL && strcmp(name, gate_names[i]) == 0)
            return (enum mig_gate)i;
    return MIG_GATE_NONE;
}

bool mig_phase_may_go(enum mig_phase from, enum mig_phase to)
{
    return (next_phases[from] & (1u << to)) != 0;
}

bool mig_phase_allows(enum mig_phase phase, enum mig_command_kind command)
{
    return (commands[phase] & (1u << command)) != 0;
}

bool mig_phase_is_running(enum mig_phase phase)
{
    return (RUNNING & (1u << phase)) != 0;
}
