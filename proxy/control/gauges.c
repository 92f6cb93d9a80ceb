/* See gauges.h. Families of servers come from one table: a row is a name, a help text and a function. */
#include "proxy/control/gauges.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* NAN-free: returns false when the server has no such value now, then no sample is written. */
typedef bool server_value_fn(const struct px_gauges *gauges, uint32_t index, double *ret_value);

static bool value_up(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = g->facts->servers[i].health == MIG_HEALTH_SERVING;
    return true;
}

static bool value_admitted(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = g->routes->routes[i].is_admitted;
    return true;
}

static bool value_drained(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = g->routes->routes[i].is_drained;
    return true;
}

static bool value_leader(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = g->view->leader.id == g->facts->servers[i].id;
    return true;
}

static bool value_member(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    const struct zkp_config *config = g->facts->config;
    *ret_value = config && zkp_config_find(config, g->facts->servers[i].id);
    return config != NULL;
}

static bool value_zxid(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = (double)g->facts->servers[i].srvr.zxid;
    return g->facts->servers[i].srvr_at_ms != 0;
}

static bool value_lag(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    const struct mig_server_facts *server = &g->facts->servers[i];
    const struct mig_leader *leader = &g->view->leader;
    if (leader->id < 0 || server->srvr_at_ms == 0 ||
        mig_zxid_epoch(server->srvr.zxid) != mig_zxid_epoch(leader->zxid))
        return false;
    *ret_value = server->srvr.zxid < leader->zxid ? (double)(leader->zxid - server->srvr.zxid) : 0.0;
    return true;
}

static bool value_sessions(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = (double)(g->facts->servers[i].our_sessions - g->facts->servers[i].witness_sessions);
    return true;
}

static bool value_strangers(const struct px_gauges *g, uint32_t i, double *ret_value)
{
    *ret_value = (double)g->facts->servers[i].strangers;
    return g->facts->servers[i].strangers >= 0;
}

static const struct server_row {
    const char *name;
    const char *help;
    server_value_fn *value;
} server_rows[] = {
    {"zkferry_server_up", "1 when probes say the server serves.", value_up},
    {"zkferry_server_admitted", "1 when new sessions may go to the server.", value_admitted},
    {"zkferry_server_drained", "1 while an operator keeps sessions off the server.", value_drained},
    {"zkferry_server_leader", "1 on the proven leader.", value_leader},
    {"zkferry_server_member", "1 when the observed config has the server.", value_member},
    {"zkferry_server_zxid", "Last zxid the server reported.", value_zxid},
    {"zkferry_server_lag", "Transactions behind the leader of the same epoch.", value_lag},
    {"zkferry_server_sessions", "Sessions of this proxy on the server.", value_sessions},
    {"zkferry_server_foreign_connections", "Connections on the server that are not ours.", value_strangers},
};

static void write_server_row(struct px_prom *prom, const struct px_gauges *gauges,
                             const struct server_row *row)
{
    px_prom_family(prom, row->name, PX_PROM_GAUGE, row->help);
    for (uint32_t i = 0; i < gauges->facts->server_count; i++) {
        const struct mig_server_facts *server = &gauges->facts->servers[i];
        char id[16];
        snprintf(id, sizeof id, "%d", server->id);
        const struct px_prom_label labels[] = {
            {"server", id}, {"side", server->side == MIG_SIDE_TARGET ? "target" : "source"}};
        double value;
        if (row->value(gauges, i, &value))
            px_prom_sample(prom, labels, COUNT_OF(labels), value);
    }
}

static void write_one(struct px_prom *prom, const char *name, const char *help, double value)
{
    px_prom_family(prom, name, PX_PROM_GAUGE, help);
    px_prom_sample(prom, NULL, 0, value);
}

static void write_plan(struct px_prom *prom, const struct mig_view *view)
{
    px_prom_family(prom, "zkferry_plan_phase", PX_PROM_GAUGE, "1 on the phase the plan is in.");
    for (int phase = 0; phase < MIG_PHASE_COUNT; phase++) {
        const struct px_prom_label label = {"phase", mig_phase_name((enum mig_phase)phase)};
        px_prom_count(prom, &label, 1, (int)view->phase == phase);
    }
    uint32_t done = 0;
    for (uint32_t i = 0; i < view->steps->count; i++)
        done += view->steps->items[i].state == MIG_STEP_DONE;
    write_one(prom, "zkferry_plan_paused", "1 while the plan is paused.", view->is_paused);
    write_one(prom, "zkferry_plan_steps", "Steps of the plan.", view->steps->count);
    write_one(prom, "zkferry_plan_steps_done", "Steps that are done.", done);
    write_one(prom, "zkferry_plan_waits_for_confirm", "1 while a confirm gate is closed.",
              view->waiting_gate != MIG_GATE_NONE);
    write_one(prom, "zkferry_quorum_voters", "Voters of the observed config.", view->quorum.voters);
    write_one(prom, "zkferry_quorum_alive", "Synced voters.", view->quorum.alive);
    write_one(prom, "zkferry_quorum_tolerates", "Voters that may still fail.", view->quorum.tolerates);
}

static const struct witness_row {
    const char *name;
    const char *help;
    size_t offset; /* of a count in struct mig_witness_figures */
} witness_rows[] = {
#define WITNESS_ROW(name, help)                                                                              \
    {"zkferry_witness_" #name "_total", help, offsetof(struct mig_witness_figures, name)},
    MIG_WITNESS_COUNTS(WITNESS_ROW)
#undef WITNESS_ROW
};

static void write_witness(struct px_prom *prom, const struct px_witness_result *witness)
{
    write_one(prom, "zkferry_witness_running", "1 while the continuity witness runs.", witness->is_running);
    write_one(prom, "zkferry_witness_clean",
              "0 when the witness of the newest plan saw an interruption, or nothing yet.",
              witness->is_clean);
    write_one(prom, "zkferry_witness_stall_seconds",
              "The longest time the witness was without an acknowledged write.",
              (double)witness->figures.stall_ms / 1000.0);
    for (size_t i = 0; i < COUNT_OF(witness_rows); i++) {
        uint64_t count;
        memcpy(&count, (const char *)&witness->figures + witness_rows[i].offset, sizeof count);
        px_prom_family(prom, witness_rows[i].name, PX_PROM_COUNTER, witness_rows[i].help);
        px_prom_count(prom, NULL, 0, count);
    }
}

static void write_turns(struct px_prom *prom, const struct px_watchdog *watchdog)
{
    const struct px_prom_label workers = {"thread", "worker"};
    const struct px_prom_label control = {"thread", "control"};
    px_prom_family(prom, "zkferry_slow_turns_total", PX_PROM_COUNTER,
                   "Turns of a thread's loop that lasted longer than a second.");
    px_prom_count(prom, &workers, 1, watchdog->slow_worker_turns);
    px_prom_count(prom, &control, 1, watchdog->slow_control_turns);
}

static void write_descriptors(struct px_prom *prom, const struct px_descriptors *descriptors)
{
    write_one(prom, "zkferry_descriptors_max", "Descriptors the process may have (RLIMIT_NOFILE).",
              (double)descriptors->limit);
    write_one(prom, "zkferry_descriptors_needed", "Descriptors it needs for limits.sessions.",
              (double)descriptors->needed);
    px_prom_family(prom, "zkferry_accepts_paused_total", PX_PROM_COUNTER,
                   "Times no client was accepted because only the reserve of descriptors was left.");
    px_prom_count(prom, NULL, 0, descriptors->pauses);
}

static void write_refusal(struct px_prom *prom, const char *reason, uint64_t count)
{
    const struct px_prom_label label = {"reason", reason};
    px_prom_count(prom, &label, 1, count);
}

static void write_refused(struct px_prom *prom, const struct px_gauges *gauges)
{
    px_prom_family(prom, "zkferry_clients_refused_total", PX_PROM_COUNTER,
                   "Client connections closed because one of `limits` was reached, by which.");
    for (enum px_refusal refusal = 0; refusal < PX_REFUSAL_COUNT; refusal++)
        write_refusal(prom, px_refusal_name(refusal), gauges->refused_clients[refusal]);
    write_refusal(prom, "sessions", gauges->refused_sessions_full);
    write_refusal(prom, "silent", gauges->refused_silent);
    write_refusal(prom, "address_silent", gauges->refused_address_silent);
}

void px_gauges_write(struct px_prom *prom, const struct px_gauges *gauges)
{
    for (size_t i = 0; i < COUNT_OF(server_rows); i++)
        write_server_row(prom, gauges, &server_rows[i]);
    write_plan(prom, gauges->view);
    write_witness(prom, gauges->witness);
    write_one(prom, "zkferry_workers", "Worker threads.", gauges->workers);
    write_refused(prom, gauges);
    px_prom_family(prom, "zkferry_probes_unasked_total", PX_PROM_COUNTER,
                   "Questions to servers that could not be put: no descriptor, port or memory here.");
    px_prom_count(prom, NULL, 0, gauges->unasked_probes);
    px_prom_family(prom, "zkferry_words_cut_total", PX_PROM_COUNTER,
                   "Answers to four-letter words that were cut: not read in time, or too many at once.");
    px_prom_count(prom, NULL, 0, gauges->words_cut);
    px_prom_family(prom, "zkferry_log_lines_dropped_total", PX_PROM_COUNTER, "Log lines lost to full rings.");
    px_prom_count(prom, NULL, 0, gauges->log_lines_dropped);
    px_prom_family(prom, "zkferry_log_lines_left_out_total", PX_PROM_COUNTER,
                   "Log lines left out because one peer, or one kind of event, caused too many.");
    px_prom_count(prom, NULL, 0, gauges->log_lines_left_out);
    write_turns(prom, gauges->watchdog);
    write_descriptors(prom, gauges->descriptors);
}
