/* See report_plan.h. */
#include "proxy/control/report/report_plan.h"

#include <inttypes.h>
#include <stdlib.h>

#include "migrate/text.h"

/* A config of nine members with long names; a longer one is cut, for people only. */
#define CONFIG_TEXT_MAX (16u * 1024u)

/* Sets a scalar of a protobuf-c message together with its presence flag. */
#define PUT(message, field, value)                                                                           \
    do {                                                                                                     \
        (message)->has_##field = 1;                                                                          \
        (message)->field = (value);                                                                          \
    } while (0)

struct px_report_plan {
    struct mig_forecast forecast;
    Zkf__Plan plan;
    Zkf__PlanStep steps[MIG_STEPS_MAX];
    Zkf__PlanStep *refs[MIG_STEPS_MAX];
    Zkf__Quorum before[MIG_STEPS_MAX];
    Zkf__Quorum after[MIG_STEPS_MAX];
    char config[CONFIG_TEXT_MAX];
};

struct px_report_plan *px_report_plan_new(void)
{
    return calloc(1, sizeof(struct px_report_plan));
}

void px_report_plan_free(struct px_report_plan *report)
{
    free(report);
}

struct mig_forecast *px_report_plan_forecast(struct px_report_plan *report)
{
    return &report->forecast;
}

static void fill_quorum(Zkf__Quorum *out, const struct mig_quorum *quorum)
{
    zkf__quorum__init(out);
    PUT(out, voters, (uint32_t)quorum->voters);
    PUT(out, alive, (uint32_t)quorum->alive);
    PUT(out, tolerates, quorum->tolerates);
}

static void fill_step(struct px_report_plan *r, uint32_t i)
{
    struct mig_forecast_step *step = &r->forecast.items[i];
    Zkf__PlanStep *out = r->refs[i] = &r->steps[i];
    zkf__plan_step__init(out);
    fill_quorum(&r->before[i], &step->tolerance.now);
    fill_quorum(&r->after[i], &step->tolerance.then);
    out->name = step->name;
    out->joining = step->joining;
    out->leaving = step->leaving;
    out->members = step->members;
    out->before = &r->before[i];
    out->after = &r->after[i];
    PUT(out, keeps_tolerance, step->risk[0] == '\0');
    out->risk = step->risk;
    out->impact = step->impact;
    out->undo = step->undo;
    out->waits = step->waits;
    PUT(out, seconds, (double)step->takes_ms / 1000.0);
}

/* As in /zookeeper/config. */
static void print_config(const struct zkp_config *config, char *buf)
{
    char line[ZKP_SERVER_TEXT_MAX];
    buf[0] = '\0';
    for (uint32_t i = 0; i < config->server_count; i++)
        if (zkp_server_format(&config->servers[i], line, sizeof line) > 0)
            mig_text_add(buf, CONFIG_TEXT_MAX, "%s\n", line);
    if (config->has_version)
        mig_text_add(buf, CONFIG_TEXT_MAX, "version=%" PRIx64, (uint64_t)config->version);
}

const Zkf__Plan *px_report_plan_fill(struct px_report_plan *r, const Zkf__Plan *plan)
{
    struct mig_forecast *forecast = &r->forecast;
    r->plan = *plan;
    for (uint32_t i = 0; i < forecast->count; i++)
        fill_step(r, i);
    print_config(&forecast->config, r->config);
    r->plan.n_forecast = forecast->count;
    r->plan.forecast = r->refs;
    r->plan.refusal = forecast->refusal;
    r->plan.config = r->config;
    PUT(&r->plan, seconds, (double)forecast->takes_ms / 1000.0);
    PUT(&r->plan, config_assumed, forecast->is_config_assumed);
    PUT(&r->plan, leader, forecast->leader);
    return &r->plan;
}
