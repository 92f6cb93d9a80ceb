/* See report_witness.h. */
#include "proxy/control/report/report_witness.h"

#include <stdio.h>

/* Sets a scalar of the message together with its presence flag. */
#define PUT(field, value)                                                                                    \
    do {                                                                                                     \
        out->has_##field = 1;                                                                                \
        out->field = (value);                                                                                \
    } while (0)

Zkf__Witness *px_report_witness_fill(struct px_report_witness *room, const struct px_witness_result *result)
{
    Zkf__Witness *out = &room->message;
    if (result->plan_id[0] == '\0')
        return NULL;
    zkf__witness__init(out);
    snprintf(room->plan_id, sizeof room->plan_id, "%s", result->plan_id);
    out->plan_id = room->plan_id;
    PUT(running, result->is_running);
    PUT(connected, result->is_connected);
    PUT(clean, result->is_clean);
    PUT(started_at, result->started_wall_ms);
    PUT(ended_at, result->ended_wall_ms);
    PUT(session_id, (uint64_t)result->session_id);
    PUT(stall_seconds, (double)result->figures.stall_ms / 1000.0);
#define PUT_COUNT(name, help) PUT(name, result->figures.name);
    MIG_WITNESS_COUNTS(PUT_COUNT)
#undef PUT_COUNT
    return out;
}

void px_report_witness_recorded(const struct mig_history *history, struct px_witness_result *ret_result)
{
    const struct mig_witness_account *account = &history->witness;
    *ret_result = (struct px_witness_result){.plan_id = ""};
    if (account->started_wall_ms == 0)
        return;
    snprintf(ret_result->plan_id, sizeof ret_result->plan_id, "%s", history->plan.id);
    ret_result->started_wall_ms = account->started_wall_ms;
    ret_result->ended_wall_ms = history->ended_wall_ms;
    ret_result->figures = account->figures;
    ret_result->is_clean = mig_witness_is_clean(&account->figures);
}

int64_t px_report_witness_on(const struct mig_facts *facts, enum mig_side side)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].side == side)
            sum += facts->servers[i].witness_sessions;
    return sum;
}

uint32_t px_report_clients(int64_t sessions, int64_t witness_sessions)
{
    return sessions > witness_sessions ? (uint32_t)(sessions - witness_sessions) : 0;
}
