/* The dry run as text: one paragraph per step, what matters to clients first. */
#include <string.h>

#include "proxy/cli/cli.h"

/* A line under a step; nothing when there is nothing to say. */
static void plan_line(FILE *out, const char *title, const char *text)
{
    if (text[0] != '\0')
        (void)fprintf(out, "    %-9s %s\n", title, text);
}

static void plan_quorum(FILE *out, const json_t *quorum)
{
    json_int_t tolerates = px_cli_number(quorum, "tolerates");

    (void)fprintf(out, "voters %" JSON_INTEGER_FORMAT ", alive %" JSON_INTEGER_FORMAT ", ",
                  px_cli_number(quorum, "voters"), px_cli_number(quorum, "alive"));
    if (tolerates < 0)
        (void)fputs("no quorum", out);
    else
        (void)fprintf(out, "tolerates %" JSON_INTEGER_FORMAT, tolerates);
}

/* Only a step that changes members has something to compare. */
static void plan_change(FILE *out, const json_t *step)
{
    bool is_change = px_cli_text(step, "joining")[0] != '\0' || px_cli_text(step, "leaving")[0] != '\0';

    if (!is_change)
        return;
    plan_line(out, "joining", px_cli_text(step, "joining"));
    plan_line(out, "leaving", px_cli_text(step, "leaving"));
    (void)fputs("    quorum    ", out);
    plan_quorum(out, json_object_get(step, "before"));
    (void)fputs(" -> ", out);
    plan_quorum(out, json_object_get(step, "after"));
    (void)fprintf(out, "; members %s\n", px_cli_text(step, "members"));
}

static void plan_step(FILE *out, const json_t *step)
{
    (void)fprintf(out, "  %s, about %.1f s\n", px_cli_text(step, "name"),
                  json_number_value(json_object_get(step, "seconds")));
    plan_line(out, "waits for", px_cli_text(step, "waits"));
    plan_line(out, "RISK", px_cli_text(step, "risk"));
    plan_change(out, step);
    plan_line(out, "clients", px_cli_text(step, "impact"));
    plan_line(out, "undo", px_cli_text(step, "undo"));
}

void px_cli_print_forecast(FILE *out, const json_t *plan)
{
    const json_t *steps = json_object_get(plan, "forecast");

    if (json_array_size(steps) == 0)
        return;
    (void)fputs("\nwhat is to be done\n", out);
    for (size_t i = 0; i < json_array_size(steps); i++)
        plan_step(out, json_array_get(steps, i));
    (void)fprintf(out, "  all of it: about %.1f s, without what is waited for\n",
                  json_number_value(json_object_get(plan, "seconds")));
}
