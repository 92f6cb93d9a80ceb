/* The table of commands and how each one is carried out. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/cli/cli.h"

#define PATH_MAX_BYTES 256u
#define WATCH_PERIOD_S 1
#define CLEAR_SCREEN   "\x1b[H\x1b[2J"

static enum px_cli_exit run_simple(const struct px_cli_options *options);
static enum px_cli_exit run_preflight(const struct px_cli_options *options);
static enum px_cli_exit run_start(const struct px_cli_options *options);
static enum px_cli_exit run_status(const struct px_cli_options *options);
static enum px_cli_exit run_confirm(const struct px_cli_options *options);
static enum px_cli_exit run_joiner_config(const struct px_cli_options *options);

const struct px_cli_command px_cli_commands[] = {
    {"preflight", PX_CLI_NO_ARGUMENT, 0, false, "/v1/preflight", run_preflight, px_cli_print_findings,
     "look for what would go wrong; exit 1 when something blocks"},
    {"plan", PX_CLI_NO_ARGUMENT, 0, false, "/v1/plan", run_simple, px_cli_print_plan,
     "show the steps, without taking them"},
    {"start", PX_CLI_NO_ARGUMENT, PX_CLI_TAKES_ACCEPT, true, "/v1/migration/start", run_start,
     px_cli_print_message, "start the plan of the configuration"},
    {"status", PX_CLI_NO_ARGUMENT, PX_CLI_TAKES_WATCH, false, "/v1/status", run_status, px_cli_print_status,
     "where the plan stands and what it waits for"},
    {"confirm", PX_CLI_PHASE, PX_CLI_TAKES_ACCEPT, true, "/v1/migration/confirm", run_confirm,
     px_cli_print_message, "let the plan go on into PHASE"},
    {"pause", PX_CLI_NO_ARGUMENT, 0, true, "/v1/migration/pause", run_simple, px_cli_print_message,
     "the plan stands still, traffic flows"},
    {"resume", PX_CLI_NO_ARGUMENT, 0, true, "/v1/migration/resume", run_simple, px_cli_print_message,
     "end the pause"},
    {"rollback", PX_CLI_NO_ARGUMENT, 0, true, "/v1/migration/rollback", run_simple, px_cli_print_message,
     "take the plan back, possible until finish"},
    {"retry", PX_CLI_NO_ARGUMENT, 0, true, "/v1/migration/retry", run_simple, px_cli_print_message,
     "go on after a failure"},
    {"servers", PX_CLI_NO_ARGUMENT, 0, false, "/v1/servers", run_simple, px_cli_print_servers,
     "health, role and lag of each server"},
    {"sessions", PX_CLI_NO_ARGUMENT, 0, false, "/v1/sessions", run_simple, px_cli_print_sessions,
     "the clients' sessions"},
    {"drain", PX_CLI_SERVER_ID, 0, true, "/v1/servers/*/drain", run_simple, px_cli_print_message,
     "move all sessions off a server, admit no new ones"},
    {"undrain", PX_CLI_SERVER_ID, 0, true, "/v1/servers/*/undrain", run_simple, px_cli_print_message,
     "admit sessions again"},
    {"joiner-config", PX_CLI_SERVER_ID, PX_CLI_TAKES_DIR, false, "/v1/joiner-config/*", run_joiner_config,
     px_cli_print_files, "the files a new server starts with"},
    {"verify", PX_CLI_SERVER_IDS, PX_CLI_TAKES_WATCH | PX_CLI_TAKES_FROM, true, "/v1/verify", px_cli_verify,
     px_cli_print_verify, "compare the data of the servers; exit 0 only when it is equal"},
    {"report", PX_CLI_NO_ARGUMENT, 0, false, "/v1/report", run_simple, px_cli_print_report,
     "what the plan did and what clients saw"},
    {"events", PX_CLI_NO_ARGUMENT, PX_CLI_TAKES_FOLLOW, false, "/v1/events", px_cli_events,
     px_cli_print_events, "the last events: steps, reconfigs, holds, commands, health"},
    {"reload", PX_CLI_NO_ARGUMENT, 0, true, "/v1/reload", run_simple, px_cli_print_message,
     "read the configuration again"},
};
const size_t px_cli_command_count = sizeof px_cli_commands / sizeof px_cli_commands[0];

const struct px_cli_command *px_cli_command_find(const char *name)
{
    for (size_t i = 0; i < px_cli_command_count; i++) {
        if (strcmp(px_cli_commands[i].name, name) == 0)
            return &px_cli_commands[i];
    }
    return NULL;
}

enum px_cli_exit px_cli_complain(const char *message, const char *hint)
{
    (void)fprintf(stderr, "zkferry: %s\n", message);
    if (hint != NULL && hint[0] != '\0')
        (void)fprintf(stderr, "  hint: %s\n", hint);
    return PX_CLI_FAILED;
}

static enum px_cli_exit complain_answer(const struct px_cli_answer *answer)
{
    const json_t *error = json_object_get(answer->json, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    char text[64];

    if (message != NULL)
        return px_cli_complain(message, json_string_value(json_object_get(error, "hint")));
    (void)snprintf(text, sizeof text, "HTTP status %ld without an explanation", answer->http_status);
    return px_cli_complain(text, "does --admin name zkferryd's admin port?");
}

enum px_cli_exit px_cli_ask(const struct px_cli_options *options, const char *path, const char *body,
                            struct px_cli_answer *ret_answer)
{
    struct px_cli_answer answer = {0};
    enum px_cli_exit failed;
    struct err err;

    if (px_cli_exchange(options->url, path, body, &answer, &err) != RC_OK)
        return px_cli_complain(err.text,
                               "is zkferryd running? --admin or " PX_CLI_URL_ENV " names another address");
    if (!options->is_json)
        px_cli_clean(answer.json);
    if (answer.http_status == 200 && answer.json != NULL) {
        *ret_answer = answer;
        return PX_CLI_DONE;
    }
    if (options->is_json && answer.json != NULL)
        px_cli_print_json(stdout, answer.json);
    px_cli_clean(answer.json);
    failed = complain_answer(&answer);
    px_cli_answer_done(&answer);
    return failed;
}

void px_cli_show(const struct px_cli_options *options, const json_t *answer)
{
    if (options->is_json)
        px_cli_print_json(stdout, answer);
    else
        options->command->print(stdout, answer);
}

static void call_path(const struct px_cli_options *options, char path[PATH_MAX_BYTES])
{
    const char *pattern = options->command->path;
    const char *star = strchr(pattern, '*');

    if (star == NULL)
        (void)snprintf(path, PATH_MAX_BYTES, "%s", pattern);
    else
        (void)snprintf(path, PATH_MAX_BYTES, "%.*s%s%s", (int)(star - pattern), pattern, options->argument,
                       star + 1);
}

/* The command's own call, with body ("" for a POST without one). */
static enum px_cli_exit ask_own(const struct px_cli_options *options, const char *body,
                                struct px_cli_answer *ret_answer)
{
    char path[PATH_MAX_BYTES];

    call_path(options, path);
    return px_cli_ask(options, path, options->command->is_post ? body : NULL, ret_answer);
}

static enum px_cli_exit run_with_body(const struct px_cli_options *options, const char *body)
{
    struct px_cli_answer answer;
    enum px_cli_exit result = ask_own(options, body, &answer);

    if (result != PX_CLI_DONE)
        return result;
    px_cli_show(options, answer.json);
    px_cli_answer_done(&answer);
    return PX_CLI_DONE;
}

/* take_body may be NULL: it could not be built. */
static enum px_cli_exit run_with_json(const struct px_cli_options *options, json_t *take_body)
{
    char *text = take_body != NULL ? json_dumps(take_body, JSON_COMPACT) : NULL;
    enum px_cli_exit result;

    json_decref(take_body);
    if (text == NULL)
        return px_cli_complain("the arguments are not valid UTF-8", NULL);
    result = run_with_body(options, text);
    free(text);
    return result;
}

static enum px_cli_exit run_simple(const struct px_cli_options *options)
{
    return run_with_body(options, "");
}

/* So that `zkferry preflight && zkferry start` does what it says. */
static enum px_cli_exit run_preflight(const struct px_cli_options *options)
{
    struct px_cli_answer answer;
    enum px_cli_exit result = ask_own(options, "", &answer);

    if (result != PX_CLI_DONE)
        return result;
    px_cli_show(options, answer.json);
    if (!json_is_true(json_object_get(answer.json, "startable")))
        result = PX_CLI_FAILED;
    px_cli_answer_done(&answer);
    return result;
}

/* NULL: no memory. */
static json_t *accepted(const struct px_cli_options *options)
{
    json_t *list = json_array();

    for (size_t i = 0; i < options->accept_count; i++) {
        if (json_array_append_new(list, json_string(options->accept[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static enum px_cli_exit run_start(const struct px_cli_options *options)
{
    return run_with_json(options, json_pack("{s:o}", "accept", accepted(options)));
}

/* The plan's id goes along, so that a confirm typed for one plan can never open a gate of the next. */
static enum px_cli_exit run_confirm(const struct px_cli_options *options)
{
    struct px_cli_answer status;
    enum px_cli_exit result = px_cli_ask(options, "/v1/status", NULL, &status);
    const char *plan_id;
    json_t *body;

    if (result != PX_CLI_DONE)
        return result;
    plan_id = json_string_value(json_object_get(status.json, "plan_id"));
    if (plan_id == NULL || plan_id[0] == '\0') {
        px_cli_answer_done(&status);
        return px_cli_complain("there is no plan to confirm", "zkferry start");
    }
    body = json_pack("{s:s,s:s,s:o}", "plan_id", plan_id, "phase", options->argument, "accept",
                     accepted(options));
    px_cli_answer_done(&status);
    return run_with_json(options, body);
}

/* Phases in which nothing changes any more by itself. */
static bool has_ended(const char *phase)
{
    return phase != NULL && (strcmp(phase, "finished") == 0 || strcmp(phase, "rolled_back") == 0 ||
                             strcmp(phase, "failed") == 0);
}

static enum px_cli_exit run_status(const struct px_cli_options *options)
{
    const struct timespec period = {.tv_sec = WATCH_PERIOD_S};
    bool is_screen = options->is_watch && !options->is_json && isatty(STDOUT_FILENO);

    for (;;) {
        struct px_cli_answer answer;
        enum px_cli_exit result = ask_own(options, "", &answer);
        const char *phase;
        bool is_last;

        if (result != PX_CLI_DONE)
            return result;
        if (is_screen)
            (void)fputs(CLEAR_SCREEN, stdout);
        px_cli_show(options, answer.json);
        (void)fflush(stdout);
        phase = json_string_value(json_object_get(answer.json, "phase"));
        is_last = !options->is_watch || has_ended(phase);
        if (options->is_watch && phase != NULL && strcmp(phase, "failed") == 0)
            result = PX_CLI_FAILED;
        px_cli_answer_done(&answer);
        if (is_last)
            return result;
        (void)nanosleep(&period, NULL);
    }
}

static enum px_cli_exit run_joiner_config(const struct px_cli_options *options)
{
    struct px_cli_answer answer;
    enum px_cli_exit result = ask_own(options, "", &answer);
    struct err err;

    if (result != PX_CLI_DONE)
        return result;
    if (options->dir == NULL) {
        px_cli_show(options, answer.json);
    } else if (px_cli_files_write(answer.json, options->dir, &err) != RC_OK) {
        result = px_cli_complain(err.text, "name another directory, or remove the file");
    } else {
        (void)printf("written to %s\n", options->dir);
    }
    px_cli_answer_done(&answer);
    return result;
}
