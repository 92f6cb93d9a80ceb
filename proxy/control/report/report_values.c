/* What the engine calls things, as the schema's values; see report_values.h. */
#include "proxy/control/report/report_values.h"

Zkf__Health__Value px_value_health(enum mig_health health)
{
    switch (health) {
    case MIG_HEALTH_SERVING:
        return ZKF__HEALTH__VALUE__serving;
    case MIG_HEALTH_NOT_SERVING:
        return ZKF__HEALTH__VALUE__not_serving;
    case MIG_HEALTH_DOWN:
        return ZKF__HEALTH__VALUE__down;
    case MIG_HEALTH_FULL:
        return ZKF__HEALTH__VALUE__full;
    case MIG_HEALTH_PROXY:
        return ZKF__HEALTH__VALUE__proxy;
    case MIG_HEALTH_UNKNOWN:
    case MIG_HEALTH_COUNT:
        break;
    }
    return ZKF__HEALTH__VALUE__unknown;
}

Zkf__Mode__Value px_value_mode(enum zkp_mode mode)
{
    switch (mode) {
    case ZKP_MODE_LEADER:
        return ZKF__MODE__VALUE__leader;
    case ZKP_MODE_FOLLOWER:
        return ZKF__MODE__VALUE__follower;
    case ZKP_MODE_OBSERVER:
        return ZKF__MODE__VALUE__observer;
    case ZKP_MODE_STANDALONE:
        return ZKF__MODE__VALUE__standalone;
    case ZKP_MODE_READ_ONLY:
        return ZKF__MODE__VALUE__read_only;
    case ZKP_MODE_PROXY:
        return ZKF__MODE__VALUE__proxy;
    case ZKP_MODE_UNKNOWN:
        break;
    }
    return ZKF__MODE__VALUE__unknown;
}

Zkf__Role__Value px_value_role(const struct zkp_config *config, int32_t id)
{
    const struct zkp_server *member = config ? zkp_config_find(config, id) : NULL;
    if (!member)
        return ZKF__ROLE__VALUE__none;
    return member->role == ZKP_ROLE_OBSERVER ? ZKF__ROLE__VALUE__observer : ZKF__ROLE__VALUE__participant;
}

Zkf__Step__State px_value_step_state(enum mig_step_state state)
{
    switch (state) {
    case MIG_STEP_RUNNING:
        return ZKF__STEP__STATE__running;
    case MIG_STEP_WAITING:
        return ZKF__STEP__STATE__waiting;
    case MIG_STEP_DONE:
        return ZKF__STEP__STATE__done;
    case MIG_STEP_FAILED:
        return ZKF__STEP__STATE__failed;
    case MIG_STEP_SKIPPED:
        return ZKF__STEP__STATE__skipped;
    case MIG_STEP_PENDING:
    case MIG_STEP_COUNT:
        break;
    }
    return ZKF__STEP__STATE__pending;
}

Zkf__Finding__Severity px_value_severity(enum mig_severity severity)
{
    switch (severity) {
    case MIG_BLOCK:
        return ZKF__FINDING__SEVERITY__block;
    case MIG_WARN:
        return ZKF__FINDING__SEVERITY__warn;
    case MIG_INFO:
        break;
    }
    return ZKF__FINDING__SEVERITY__info;
}

enum mig_phase px_value_phase_of_step(enum mig_step_kind kind)
{
    switch (kind) {
    case MIG_DO_PREFLIGHT:
    case MIG_DO_LOCK:
        return MIG_PHASE_PREFLIGHT;
    case MIG_DO_JOIN:
        return MIG_PHASE_JOINING;
    case MIG_DO_ADD:
        return MIG_PHASE_ADDING;
    case MIG_DO_CATCH_UP:
        return MIG_PHASE_CATCHING_UP;
    case MIG_DO_CANARY:
    case MIG_DO_SWITCH:
    case MIG_DO_RESTART:
        return MIG_PHASE_SWITCHING;
    case MIG_DO_REMOVE:
    case MIG_DO_COMPARE:
        return MIG_PHASE_REMOVING;
    case MIG_DO_RESTORE:
    case MIG_DO_CATCH_UP_BACK:
    case MIG_DO_SWITCH_BACK:
    case MIG_DO_WITHDRAW:
    case MIG_DO_VERIFY_BACK:
        return MIG_PHASE_ROLLING_BACK;
    case MIG_DO_BACKUP: /* belongs to what follows it */
    case MIG_DO_VERIFY:
    case MIG_DO_FINISH:
    case MIG_DO_STOP:
        break;
    }
    return MIG_PHASE_VERIFYING;
}

/* The engine's phases and the schema's have the same order; a test compares every name. */
Zkf__Phase px_value_phase(enum mig_phase phase)
{
    return (Zkf__Phase)phase;
}
