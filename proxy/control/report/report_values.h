/* What the engine calls things, as the values of the schema. Pure. */
#ifndef PROXY_CONTROL_REPORT_REPORT_VALUES_H
#define PROXY_CONTROL_REPORT_REPORT_VALUES_H

#include "migrate/engine/engine.h"
#include "migrate/zkferry.pb-c.h"

Zkf__Health__Value px_value_health(enum mig_health health);
Zkf__Mode__Value px_value_mode(enum zkp_mode mode);
Zkf__Step__State px_value_step_state(enum mig_step_state state);
Zkf__Finding__Severity px_value_severity(enum mig_severity severity);
Zkf__Phase px_value_phase(enum mig_phase phase);

/* The role of server id in a config; "none" when it is no member, or config is NULL (not read yet). */
Zkf__Role__Value px_value_role(const struct zkp_config *config, int32_t id);

/* The phase in which a kind of step is done. A backup belongs to the step behind it, which the caller asks
 * for instead. */
enum mig_phase px_value_phase_of_step(enum mig_step_kind kind);

#endif
