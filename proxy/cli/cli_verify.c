/* zkferry verify: asks for a comparison, waits for its end, shows what it found. Its exit status is the
 * answer scripts want: 0 only when everything was compared and is equal. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/cli/cli.h"

#define PERIOD_FIRST_MS 100 /* a small tree takes no longer */
#define PERIOD_MAX_MS   1000

/* --- what people see --- */

static void print_progress(FILE *out, const json_t *verify)
{
    (void)fprintf(out, "%-9s %" JSON_INTEGER_FORMAT, px_cli_text(verify, "state"),
                  px_cli_number(verify, "compared"));
    if (px_cli_number(verify, "expected") > 0)
        (void)fprintf(out, " of about %" JSON_INTEGER_FORMAT, px_cli_number(verify, "expected"));
    (void)fprintf(out, " nodes compared, %" JSON_INTEGER_FORMAT " different, now at %s\n",
                  px_cli_number(verify, "different"), px_cli_text(verify, "at"));
}

static void print_verify_server(FILE *out, const json_t *server)
{
    const char *detail = px_cli_text(server, "counts_detail");

    (void)fprintf(out,
                  "server %-3" JSON_INTEGER_FORMAT "%" JSON_INTEGER_FORMAT
                  " nodes compared, %" JSON_INTEGER_FORMAT " different; counts %s%s%s\n",
                  px_cli_number(server, "id"), px_cli_number(server, "compared"),
                  px_cli_number(server, "different"), px_cli_text(server, "counts"),
                  detail[0] != '\0' ? ": " : "", detail);
    if (px_cli_text(server, "digest")[0] != '\0' && strcmp(px_cli_text(server, "digest"), "unknown") != 0)
        (void)fprintf(out, "          ZooKeeper's own digest was %s behind transaction %s\n",
                      px_cli_text(server, "digest"), px_cli_text(server, "digest_zxid"));
    if (json_is_true(json_object_get(server, "given_up")))
        (void)fprintf(out, "          given up: %s\n", px_cli_text(server, "reason"));
}

static void print_verify_finding(FILE *out, const json_t *finding)
{
    (void)fprintf(out, "%-11s", px_cli_text(finding, "kind"));
    if (px_cli_number(finding, "server") >= 0)
        (void)fprintf(out, "server %" JSON_INTEGER_FORMAT "  ", px_cli_number(finding, "server"));
    (void)fprintf(out, "%s  (%s)\n", px_cli_text(finding, "path"), px_cli_text(finding, "what"));
}

static void print_list(FILE *out, const json_t *list, void (*print)(FILE *out, const json_t *item))
{
    for (size_t i = 0; i < json_array_size(list); i++)
        print(out, json_array_get(list, i));
}

static void print_skipped(FILE *out, const json_t *paths)
{
    for (size_t i = 0; i < json_array_size(paths); i++)
        (void)fprintf(out, "%s%s", i == 0 ? "skipped   " : ", ", json_string_value(json_array_get(paths, i)));
    if (json_array_size(paths) > 0)
        (void)fputc('\n', out);
}

static void print_totals(FILE *out, const json_t *verify)
{
    json_int_t total = px_cli_number(verify, "different") + px_cli_number(verify, "unreadable") +
                       px_cli_number(verify, "unsettled");
    size_t listed = json_array_size(json_object_get(verify, "findings"));

    (void)fprintf(out,
                  "compared  %" JSON_INTEGER_FORMAT " nodes with those of server %" JSON_INTEGER_FORMAT
                  " in %.1f s, %" JSON_INTEGER_FORMAT " of them more than once\n",
                  px_cli_number(verify, "compared"), px_cli_number(verify, "leader"),
                  json_number_value(json_object_get(verify, "seconds")), px_cli_number(verify, "rechecked"));
    if (json_is_true(json_object_get(verify, "counts_only")))
        (void)fputs("          counts and digests were compared, no node was read\n", out);
    if (px_cli_number(verify, "moving") > 0)
        (void)fprintf(out,
                      "moving    %" JSON_INTEGER_FORMAT
                      " of them changed all the time; every server was where the reference was meanwhile\n",
                      px_cli_number(verify, "moving"));
    if (total > (json_int_t)listed)
        (void)fprintf(out, "listed    %zu of %" JSON_INTEGER_FORMAT " findings\n", listed, total);
}

void px_cli_print_verify(FILE *out, const json_t *verify)
{
    const char *reason = px_cli_text(verify, "reason");

    (void)fprintf(out, "outcome   %s%s%s\n", px_cli_text(verify, "outcome"), reason[0] != '\0' ? ": " : "",
                  reason);
    print_totals(out, verify);
    print_list(out, json_object_get(verify, "servers"), print_verify_server);
    print_skipped(out, json_object_get(verify, "skipped"));
    print_list(out, json_object_get(verify, "findings"), print_verify_finding);
    if (strcmp(px_cli_text(verify, "outcome"), "interrupted") == 0)
        (void)fprintf(out, "go on     zkferry verify --from %s\n", px_cli_text(verify, "at"));
}

/* --- asking --- */

/* NULL: out of memory, or not UTF-8. */
static char *body_of(const struct px_cli_options *options)
{
    json_t *servers = json_array();
    json_t *body = json_pack("{s:o}", "servers", servers);
    char *text = NULL;
    bool is_ok = body != NULL;

    for (int i = 0; is_ok && i < options->id_count; i++)
        is_ok = json_array_append_new(servers, json_integer(strtol(options->ids[i], NULL, 10))) == 0;
    if (is_ok && options->from != NULL)
        is_ok = json_object_set_new(body, "from", json_string(options->from)) == 0;
    if (is_ok)
        text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

static enum px_cli_exit start(const struct px_cli_options *options)
{
    struct px_cli_answer answer;
    enum px_cli_exit result;
    char *body = body_of(options);

    if (body == NULL)
        return px_cli_complain("the arguments are not valid UTF-8", NULL);
    result = px_cli_ask(options, options->command->path, body, &answer);
    free(body);
    if (result == PX_CLI_DONE)
        px_cli_answer_done(&answer);
    return result;
}

static void show_progress(const struct px_cli_options *options, const json_t *verify)
{
    if (!options->is_watch)
        return;
    if (options->is_json)
        px_cli_print_json(stdout, verify);
    else
        print_progress(stdout, verify);
    (void)fflush(stdout);
}

/* One look. True: it was the last, *ret_result is the command's. */
static bool look(const struct px_cli_options *options, enum px_cli_exit *ret_result)
{
    struct px_cli_answer answer;
    enum px_cli_exit asked = px_cli_ask(options, options->command->path, NULL, &answer);
    bool is_over;

    if (asked != PX_CLI_DONE) {
        *ret_result = asked;
        return true;
    }
    /* none: the daemon was started anew meanwhile and knows nothing of ours */
    is_over = strcmp(px_cli_text(answer.json, "state"), "done") == 0 ||
              strcmp(px_cli_text(answer.json, "state"), "none") == 0;
    if (is_over) {
        px_cli_show(options, answer.json);
        *ret_result = strcmp(px_cli_text(answer.json, "outcome"), "equal") == 0 ? PX_CLI_DONE : PX_CLI_FAILED;
    } else {
        show_progress(options, answer.json);
    }
    px_cli_answer_done(&answer);
    return is_over;
}

enum px_cli_exit px_cli_verify(const struct px_cli_options *options)
{
    enum px_cli_exit result = start(options);
    long period_ms = PERIOD_FIRST_MS;

    while (result == PX_CLI_DONE && !look(options, &result)) {
        const struct timespec period = {.tv_sec = period_ms / 1000, .tv_nsec = period_ms % 1000 * 1000000};

        (void)nanosleep(&period, NULL);
        period_ms = 2 * period_ms < PERIOD_MAX_MS ? 2 * period_ms : PERIOD_MAX_MS;
    }
    return result;
}
