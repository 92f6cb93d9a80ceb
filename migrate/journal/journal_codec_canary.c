/* struct conf_canary <-> zkf.RecordedCanary, struct mig_measures <-> zkf.RecordedMeasures. Networks are
 * stored as they are written in the file. */
#include "migrate/journal/journal_codec_int.h"

void mig_canary_pack(const struct conf_canary *canary, struct mig_packed_canary *ret_packed)
{
    Zkf__RecordedCanary *m = &ret_packed->message;
    zkf__recorded_canary__init(m);
    m->has_share = m->has_observe_ms = m->has_errors = m->has_latency = m->has_latency_floor_ms = true;
    m->has_expired = m->has_returned = true;
    m->share = canary->share;
    m->observe_ms = canary->observe_ms;
    m->errors = canary->errors;
    m->latency = canary->latency;
    m->latency_floor_ms = canary->latency_floor_ms;
    m->expired = canary->expired;
    m->returned = canary->returned;
    m->n_clients = canary->clients.count;
    m->clients = ret_packed->pointers;
    for (uint32_t i = 0; i < canary->clients.count; i++) {
        conf_network_format(&canary->clients.items[i], ret_packed->lines[i]);
        ret_packed->pointers[i] = ret_packed->lines[i];
    }
}

enum rc mig_canary_unpack(const Zkf__RecordedCanary *packed, struct conf_canary *canary, struct err *err)
{
    if (packed == NULL) /* nobody goes first, or a journal of before */
        return RC_OK;
    if (packed->n_clients > CONF_NETWORKS_MAX)
        return err_set(err, RC_CORRUPT, "plan: %zu networks, at most %u fit", packed->n_clients,
                       CONF_NETWORKS_MAX);
    for (size_t i = 0; i < packed->n_clients; i++)
        if (!conf_network_parse(packed->clients[i], &canary->clients.items[i]))
            return err_set(err, RC_CORRUPT, "plan: not a network");
    canary->clients.count = (uint32_t)packed->n_clients;
    canary->share = packed->share;
    canary->observe_ms = packed->observe_ms;
    canary->errors = packed->errors;
    canary->latency = packed->latency;
    canary->latency_floor_ms = packed->latency_floor_ms;
    canary->expired = packed->expired;
    canary->returned = packed->returned;
    return RC_OK;
}

void mig_measures_pack(const struct mig_measures *measures, Zkf__RecordedMeasures *ret_packed)
{
    zkf__recorded_measures__init(ret_packed);
    ret_packed->has_ms = ret_packed->has_sessions = ret_packed->has_troubles = true;
    ret_packed->has_expired = ret_packed->has_returned = true;
    ret_packed->has_requests = ret_packed->has_p99_us = true;
    ret_packed->ms = measures->ms;
    ret_packed->sessions = measures->sessions;
    ret_packed->troubles = measures->troubles;
    ret_packed->expired = measures->expired;
    ret_packed->returned = measures->returned;
    ret_packed->requests = measures->requests;
    ret_packed->p99_us = measures->p99_us;
}

struct mig_measures mig_measures_unpack(const Zkf__RecordedMeasures *packed)
{
    if (packed == NULL)
        return (struct mig_measures){.ms = 0};
    return (struct mig_measures){.ms = packed->ms,
                                 .sessions = packed->sessions,
                                 .troubles = packed->troubles,
                                 .expired = packed->expired,
                                 .returned = packed->returned,
                                 .requests = packed->requests,
                                 .p99_us = packed->p99_us};
}
