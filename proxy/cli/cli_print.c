/* Answers as text for people: short, aligned, the important first. Made for 3 a.m. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/cli.h"

#define CELL_MAX    256u
#define COLUMNS_MAX 16u

/* A column: its title, where its text comes from in a row, and on which side it is padded. */
struct column {
    const char *title;
    const char *key;
    bool is_number; /* right-aligned */
};

const char *px_cli_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

json_int_t px_cli_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Anything scalar as text; "-" for nothing. -1 is the schema's "not known". */
static const char *cell_text(const json_t *value, char buf[CELL_MAX])
{
    (void)snprintf(buf, CELL_MAX, "-");
    if (json_is_string(value) && json_string_length(value) > 0)
        (void)snprintf(buf, CELL_MAX, "%s", json_string_value(value));
    else if (json_is_integer(value) && json_integer_value(value) != -1)
        (void)snprintf(buf, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(buf, CELL_MAX, "%.1f", json_real_value(value));
    else if (json_is_boolean(value))
        (void)snprintf(buf, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
    return buf;
}

static int column_width(const json_t *rows, const struct column *column)
{
    size_t width = strlen(column->title);
    char buf[CELL_MAX];

    for (size_t i = 0; i < json_array_size(rows); i++) {
        size_t len = strlen(cell_text(json_object_get(json_array_get(rows, i), column->key), buf));

        width = len > width ? len : width;
    }
    return (int)width;
}

static void print_cell(FILE *out, const struct column *column, int width, bool is_last, const char *text)
{
    if (column->is_number)
        (void)fprintf(out, "%*s", width, text);
    else if (is_last)
        (void)fputs(text, out); /* no blanks at the end of a line */
    else
        (void)fprintf(out, "%-*s", width, text);
    (void)fputs(is_last ? "\n" : "  ", out);
}

/* count <= COLUMNS_MAX. Widths first: there may be 15,000 rows. */
static void print_table(FILE *out, const json_t *rows, const struct column *columns, size_t count)
{
    int widths[COLUMNS_MAX];
    char buf[CELL_MAX];

    for (size_t c = 0; c < count; c++) {
        widths[c] = column_width(rows, &columns[c]);
        print_cell(out, &columns[c], widths[c], c + 1 == count, columns[c].title);
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);

        for (size_t c = 0; c < count; c++)
            print_cell(out, &columns[c], widths[c], c + 1 == count,
                       cell_text(json_object_get(row, columns[c].key), buf));
    }
}

static void print_server_table(FILE *out, const json_t *servers)
{
    static const struct column columns[] = {{"id", "id", true},
                                            {"side", "side", false},
                                            {"role", "role", false},
                                            {"mode", "mode", false},
                                            {"health", "health", false},
                                            {"sessions", "sessions", true},
                                            {"lag", "lag", true},
                                            {"zxid", "zxid", false},
                                            {"admitted", "admitted", false},
                                            {"drains", "draining", false},
                                            {"drained", "drained", false},
                                            {"version", "version", false},
                                            {"address", "address", false},
                                            {"reason", "reason", false}};

    if (json_array_size(servers) > 0)
        print_table(out, servers, columns, sizeof columns / sizeof columns[0]);
}

static void print_quorum(FILE *out, const json_t *answer)
{
    const json_t *quorum = json_object_get(answer, "quorum");
    json_int_t leader = px_cli_number(answer, "leader");
    json_int_t tolerates = px_cli_number(quorum, "tolerates");

    (void)fprintf(out, "quorum    %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " voters alive, ",
                  px_cli_number(quorum, "alive"), px_cli_number(quorum, "voters"));
    if (tolerates < 0)
        (void)fputs("NO QUORUM", out);
    else
        (void)fprintf(out, "%" JSON_INTEGER_FORMAT " more may fail", tolerates);
    if (leader >= 0)
        (void)fprintf(out, "; leader %" JSON_INTEGER_FORMAT, leader);
    else
        (void)fputs(tolerates < 0 ? "; no leader" : "; leader not seen", out);
    (void)fprintf(out, "; config %s\n", px_cli_text(answer, "config_version"));
}

static void print_finding(FILE *out, const json_t *finding)
{
    static const struct {
        const char *title;
        const char *key;
    } lines[] = {{"seen", "seen"}, {"why", "why"}, {"do", "todo"}};
    json_int_t server = px_cli_number(finding, "server");
    const char *pitfall = px_cli_text(finding, "pitfall");

    (void)fprintf(out, "%-5s  %s", px_cli_text(finding, "severity"), px_cli_text(finding, "id"));
    if (server >= 0)
        (void)fprintf(out, "  (server %" JSON_INTEGER_FORMAT ")", server);
    if (pitfall[0] != '\0')
        (void)fprintf(out, "  [%s]", pitfall);
    if (json_is_true(json_object_get(finding, "is_accepted")))
        (void)fputs("  accepted", out);
    else if (json_is_true(json_object_get(finding, "can_accept")))
        (void)fprintf(out, "  start --accept %s", px_cli_text(finding, "id"));
    (void)fputc('\n', out);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (px_cli_text(finding, lines[i].key)[0] != '\0')
            (void)fprintf(out, "       %-4s %s\n", lines[i].title, px_cli_text(finding, lines[i].key));
    }
}

/* Blocks first: what stops the plan is what one wants to read. */
static void print_finding_list(FILE *out, const json_t *findings)
{
    static const char *const order[] = {"block", "warn", "info"};

    for (size_t s = 0; s < sizeof order / sizeof order[0]; s++) {
        for (size_t i = 0; i < json_array_size(findings); i++) {
            const json_t *finding = json_array_get(findings, i);

            if (strcmp(px_cli_text(finding, "severity"), order[s]) == 0)
                print_finding(out, finding);
        }
    }
}

static void print_steps(FILE *out, const json_t *steps)
{
    static const struct column columns[] = {{"state", "state", false},
                                            {"step", "name", false},
                                            {"seconds", "seconds", true},
                                            {"detail", "detail", false}};

    if (json_array_size(steps) > 0)
        print_table(out, steps, columns, sizeof columns / sizeof columns[0]);
}

static void print_words(FILE *out, const char *title, const json_t *words)
{
    if (json_array_size(words) == 0)
        return;
    (void)fprintf(out, "%-10s", title);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));

        (void)fprintf(out, "%s%s", i > 0 ? ", " : "", word != NULL ? word : "");
    }
    (void)fputc('\n', out);
}

static void print_line(FILE *out, const char *title, const char *text)
{
    if (text[0] != '\0')
        (void)fprintf(out, "%-10s%s\n", title, text);
}

static void print_session_counts(FILE *out, const json_t *sessions)
{
    static const char *const keys[] = {"total", "source",   "target", "waiting",
                                       "moved", "returned", "failed", "expired"};
    char buf[CELL_MAX];

    (void)fputs("sessions  ", out);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        (void)fprintf(out, "%s%s %s", i > 0 ? ", " : "", keys[i],
                      cell_text(json_object_get(sessions, keys[i]), buf));
    (void)fputc('\n', out);
}

static void print_section(FILE *out, const char *title, const json_t *rows,
                          void (*print)(FILE *out, const json_t *rows))
{
    if (json_array_size(rows) == 0)
        return;
    (void)fprintf(out, "\n%s\n", title);
    print(out, rows);
}

void px_cli_print_status(FILE *out, const json_t *status)
{
    const json_t *failed = json_object_get(status, "failed");
    bool is_paused = json_is_true(json_object_get(status, "paused"));

    (void)fprintf(out, "phase     %s%s\n", px_cli_text(status, "phase"), is_paused ? " (paused)" : "");
    print_line(out, "failed", px_cli_text(failed, "reason"));
    print_line(out, "to do", px_cli_text(failed, "hint"));
    print_line(out, "waiting", px_cli_text(status, "waiting_for"));
    print_line(out, "next", px_cli_text(status, "next_step"));
    print_words(out, "allowed", json_object_get(status, "can"));
    print_line(out, "plan", px_cli_text(status, "plan_id"));
    print_words(out, "accepted", json_object_get(status, "accepted"));
    print_quorum(out, status);
    print_session_counts(out, json_object_get(status, "sessions"));
    px_cli_print_witness(out, status);
    print_section(out, "servers", json_object_get(status, "servers"), print_server_table);
    print_section(out, "steps", json_object_get(status, "steps"), print_steps);
    print_section(out, "findings", json_object_get(status, "findings"), print_finding_list);
}

static void print_startable(FILE *out, const json_t *answer)
{
    (void)fputs(json_is_true(json_object_get(answer, "startable"))
                    ? "startable: yes\n"
                    : "startable: no, see the blocking findings\n",
                out);
}

void px_cli_print_plan(FILE *out, const json_t *plan)
{
    const char *plan_id = px_cli_text(plan, "plan_id");

    print_line(out, "kind", px_cli_text(plan, "kind"));
    print_line(out, "plan", plan_id[0] != '\0' ? plan_id : "a preview, nothing was started");
    print_line(out, "refused", px_cli_text(plan, "refusal"));
    print_words(out, "confirm", json_object_get(plan, "confirm"));
    if (plan_id[0] != '\0')
        print_section(out, "steps", json_object_get(plan, "steps"), print_steps);
    px_cli_print_forecast(out, plan);
    print_section(out, "findings", json_object_get(plan, "findings"), print_finding_list);
    if (px_cli_text(plan, "config")[0] != '\0')
        (void)fprintf(out, "\nconfig\n%s\n", px_cli_text(plan, "config"));
    (void)fputc('\n', out);
    print_startable(out, plan);
}

void px_cli_print_findings(FILE *out, const json_t *findings)
{
    print_finding_list(out, json_object_get(findings, "findings"));
    print_startable(out, findings);
}

void px_cli_print_servers(FILE *out, const json_t *servers)
{
    print_quorum(out, servers);
    print_section(out, "servers", json_object_get(servers, "servers"), print_server_table);
}

void px_cli_print_sessions(FILE *out, const json_t *sessions)
{
    static const struct column columns[] = {
        {"session", "id", false},  {"client", "client", false},     {"server", "server", true},
        {"state", "state", false}, {"timeout", "timeout_ms", true}, {"outstanding", "outstanding", true},
        {"zxid", "zxid", false}};
    const json_t *rows = json_object_get(sessions, "sessions");

    if (json_array_size(rows) > 0)
        print_table(out, rows, columns, sizeof columns / sizeof columns[0]);
    (void)fprintf(out, "%zu of %" JSON_INTEGER_FORMAT " sessions\n", json_array_size(rows),
                  px_cli_number(sessions, "total"));
}

void px_cli_print_message(FILE *out, const json_t *answer)
{
    (void)fprintf(out, "%s\n", px_cli_text(answer, "message"));
}

void px_cli_print_json(FILE *out, const json_t *answer)
{
    (void)json_dumpf(answer, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    (void)fputc('\n', out);
}

/* Controls of ASCII and the C1 ones of Latin-1 (U+0080 to U+009F, in UTF-8: c2 80 to c2 9f). */
static bool is_control(const char *at, const char *before)
{
    unsigned char c = (unsigned char)*at;

    return c < ' ' || c == 0x7f || (c >= 0x80 && c <= 0x9f && at > before && (unsigned char)at[-1] == 0xc2);
}

static void clean_string(json_t *string, bool keep_newlines)
{
    const char *text = json_string_value(string);
    char *copy = strdup(text);
    bool is_changed = false;

    if (copy == NULL)
        abort(); /* rather no output than escape sequences of a stranger */
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (!is_control(text + i, text) || (keep_newlines && text[i] == '\n'))
            continue;
        if ((unsigned char)text[i] >= 0x80)
            copy[i - 1] = '?'; /* both bytes, so that it stays UTF-8 */
        copy[i] = '?';
        is_changed = true;
    }
    if (is_changed && json_string_set(string, copy) != 0)
        abort();
    free(copy);
}

static void clean(json_t *value, bool keep_newlines)
{
    const char *key;
    json_t *member;

    if (json_is_string(value))
        clean_string(value, keep_newlines);
    for (size_t i = 0; i < json_array_size(value); i++)
        clean(json_array_get(value, i), keep_newlines);
    json_object_foreach(value, key, member)
    {
        clean(member, strcmp(key, "text") == 0 || strcmp(key, "config") == 0);
    }
}

void px_cli_clean(json_t *answer)
{
    clean(answer, false);
}
