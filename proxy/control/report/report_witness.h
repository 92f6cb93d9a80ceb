/* The witness's part of the status and of a final report. Pure. */
#ifndef PROXY_CONTROL_REPORT_REPORT_WITNESS_H
#define PROXY_CONTROL_REPORT_REPORT_WITNESS_H

#include "migrate/engine/history.h"
#include "migrate/facts.h"
#include "migrate/zkferry.pb-c.h"
#include "proxy/control/witness/witness.h"

/* Room for the message. Owned by the caller. */
struct px_report_witness {
    Zkf__Witness message;
    char plan_id[MIG_PLAN_ID_MAX];
};

/* Copies; the message lives in the room. NULL when none has run. */
Zkf__Witness *px_report_witness_fill(struct px_report_witness *room, const struct px_witness_result *result);

/* What the plan's journal says of its witness. Whether one runs and is connected now is not in it. */
void px_report_witness_recorded(const struct mig_history *history, struct px_witness_result *ret_result);

/* The witness's sessions on that side's servers. */
int64_t px_report_witness_on(const struct mig_facts *facts, enum mig_side side);
/* Sessions of clients: all without the witness's. The two are not counted in one moment, so never below 0. */
uint32_t px_report_clients(int64_t sessions, int64_t witness_sessions);

#endif
