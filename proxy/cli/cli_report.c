/* The final report and the events as text. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/cli/cli.h"

#define FOLLOW_PERIOD_S 1
#define EVENTS_PATH_MAX 64
#define CLOCK_BYTES_MAX 32

static const char *clock_of(json_int_t wall_ms, char buf[CLOCK_BYTES_MAX])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    buf[0] = '\0';
    if (wall_ms != 0 && gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(buf, CLOCK_BYTES_MAX, "%Y-%m-%d %H:%M:%SZ", &tm);
    return buf;
}

static double seconds_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void report_steps(FILE *out, const json_t *report)
{
    const json_t *steps = json_object_get(report, "steps");
    char clock[CLOCK_BYTES_MAX];

    (void)fputs("\nsteps\n", out);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);

        (void)fprintf(out, "  %s  %8.3f s  %s\n", clock_of(px_cli_number(step, "started_at"), clock),
                      seconds_of(step, "seconds"), px_cli_text(step, "name"));
    }
}

static void report_reconfig(FILE *out, const json_t *reconfig)
{
    (void)fprintf(out, "  %s: %s, %s -> %s via server %" JSON_INTEGER_FORMAT ", %.3f s",
                  px_cli_text(reconfig, "step"), px_cli_text(reconfig, "outcome"),
                  px_cli_text(reconfig, "from_version"), px_cli_text(reconfig, "to_version"),
                  px_cli_number(reconfig, "via"), seconds_of(reconfig, "seconds"));
    if (seconds_of(reconfig, "hold_seconds") > 0)
        (void)fprintf(out, ", all sessions held for %.3f s", seconds_of(reconfig, "hold_seconds"));
    (void)fputc('\n', out);
    if (px_cli_text(reconfig, "joining")[0] != '\0')
        (void)fprintf(out, "      joining %s\n", px_cli_text(reconfig, "joining"));
    if (px_cli_text(reconfig, "leaving")[0] != '\0')
        (void)fprintf(out, "      leaving %s\n", px_cli_text(reconfig, "leaving"));
    if (px_cli_text(reconfig, "detail")[0] != '\0')
        (void)fprintf(out, "      %s\n", px_cli_text(reconfig, "detail"));
}

static void report_reconfigs(FILE *out, const json_t *report)
{
    const json_t *list = json_object_get(report, "reconfigs");

    if (json_array_size(list) > 0)
        (void)fputs("\nreconfigs\n", out);
    for (size_t i = 0; i < json_array_size(list); i++)
        report_reconfig(out, json_array_get(list, i));
}

static void report_sessions(FILE *out, const json_t *report)
{
    const json_t *sessions = json_object_get(report, "sessions");
    const json_t *reasons = json_object_get(sessions, "reasons");
    double pause = seconds_of(report, "longest_pause_seconds");

    (void)fprintf(out,
                  "\nclients\n  sessions moved %" JSON_INTEGER_FORMAT ", returned %" JSON_INTEGER_FORMAT
                  ", failed %" JSON_INTEGER_FORMAT ", expired %" JSON_INTEGER_FORMAT "\n",
                  px_cli_number(sessions, "moved"), px_cli_number(sessions, "returned"),
                  px_cli_number(sessions, "failed"), px_cli_number(sessions, "expired"));
    if (pause < 0)
        (void)fputs("  longest pause of a client: more than 10 s\n", out);
    else
        (void)fprintf(out, "  longest pause of a client: at most %g s\n", pause);
    (void)fprintf(out, "  holds of all sessions %" JSON_INTEGER_FORMAT ", the longest %.3f s\n",
                  px_cli_number(report, "holds"), seconds_of(report, "longest_hold_seconds"));
    for (size_t i = 0; i < json_array_size(reasons); i++)
        (void)fprintf(out, "  %8" JSON_INTEGER_FORMAT " %s\n",
                      px_cli_number(json_array_get(reasons, i), "value"),
                      px_cli_text(json_array_get(reasons, i), "name"));
}

static void report_moments(FILE *out, const json_t *report)
{
    const json_t *list = json_object_get(report, "moments");
    char clock[CLOCK_BYTES_MAX];

    if (json_array_size(list) > 0)
        (void)fputs("\nwhat happened beside the steps\n", out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *moment = json_array_get(list, i);

        (void)fprintf(out, "  %s  %s %s\n", clock_of(px_cli_number(moment, "at"), clock),
                      px_cli_text(moment, "what"), px_cli_text(moment, "detail"));
    }
}

static void report_findings(FILE *out, const json_t *report)
{
    const json_t *list = json_object_get(report, "findings");

    if (json_array_size(list) > 0)
        (void)fputs("\nfindings at the start\n", out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *finding = json_array_get(list, i);
        bool is_accepted = json_is_true(json_object_get(finding, "is_accepted"));

        (void)fprintf(out, "  %-5s %s%s: %s\n", px_cli_text(finding, "severity"), px_cli_text(finding, "id"),
                      is_accepted ? " (accepted)" : "", px_cli_text(finding, "seen"));
    }
}

static void report_verification(FILE *out, const json_t *report)
{
    const json_t *verification = json_object_get(report, "verification");

    if (json_is_object(verification))
        (void)fprintf(out,
                      "\ndata      %s; %" JSON_INTEGER_FORMAT " nodes compared, %" JSON_INTEGER_FORMAT
                      " different\n",
                      px_cli_text(verification, "outcome"), px_cli_number(verification, "compared"),
                      px_cli_number(verification, "different"));
}

void px_cli_print_report(FILE *out, const json_t *report)
{
    char started[CLOCK_BYTES_MAX];
    char ended[CLOCK_BYTES_MAX];

    (void)fprintf(out, "plan      %s (%s)\noutcome   %s\n", px_cli_text(report, "plan_id"),
                  px_cli_text(report, "kind"), px_cli_text(report, "outcome"));
    if (px_cli_text(report, "failure")[0] != '\0')
        (void)fprintf(out, "failure   %s\n", px_cli_text(report, "failure"));
    (void)fprintf(out, "time      %s to %s, %.1f s\n", clock_of(px_cli_number(report, "started_at"), started),
                  clock_of(px_cli_number(report, "ended_at"), ended), seconds_of(report, "seconds"));
    px_cli_print_witness(out, report);
    report_verification(out, report);
    report_steps(out, report);
    report_reconfigs(out, report);
    report_sessions(out, report);
    report_moments(out, report);
    report_findings(out, report);
}

void px_cli_print_events(FILE *out, const json_t *answer)
{
    const json_t *events = json_object_get(answer, "events");
    char clock[CLOCK_BYTES_MAX];

    if (json_is_true(json_object_get(answer, "missed")))
        (void)fputs("(older events are not kept any more)\n", out);
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);

        (void)fprintf(out, "%s  %-24s %s\n", clock_of(px_cli_number(event, "at"), clock),
                      px_cli_text(event, "event"), px_cli_text(event, "text"));
    }
}

enum px_cli_exit px_cli_events(const struct px_cli_options *options)
{
    const struct timespec period = {.tv_sec = FOLLOW_PERIOD_S};
    char path[EVENTS_PATH_MAX];
    json_int_t last = 0;

    (void)snprintf(path, sizeof path, "%s", options->command->path);

    for (;;) {
        struct px_cli_answer answer;
        enum px_cli_exit result;

        result = px_cli_ask(options, path, NULL, &answer);
        if (result != PX_CLI_DONE)
            return result;
        if (last == 0 || json_array_size(json_object_get(answer.json, "events")) > 0)
            px_cli_show(options, answer.json);
        (void)fflush(stdout);
        last = px_cli_number(answer.json, "last");
        (void)snprintf(path, sizeof path, "%s?since=%" JSON_INTEGER_FORMAT, options->command->path, last);
        px_cli_answer_done(&answer);
        if (!options->is_follow)
            return PX_CLI_DONE;
        (void)nanosleep(&period, NULL);
    }
}
