/* Arguments of zkferry -> struct px_cli_options, checked against the table of commands. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/cli.h"

static const char *const argument_names[PX_CLI_ARGUMENT_COUNT] = {"", "PHASE", "ID", "[ID]..."};

static const struct option long_options[] = {
    {"admin", required_argument, NULL, 'a'},  {"json", no_argument, NULL, 'j'},
    {"accept", required_argument, NULL, 'A'}, {"watch", no_argument, NULL, 'w'},
    {"dir", required_argument, NULL, 'd'},    {"from", required_argument, NULL, 'f'},
    {"follow", no_argument, NULL, 'F'},       {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0},
};

static enum rc take_option(int option, const char *what, struct px_cli_options *o, struct err *err)
{
    switch (option) {
    case 'a':
        o->url = optarg;
        return RC_OK;
    case 'j':
        o->is_json = true;
        return RC_OK;
    case 'A':
        if (o->accept_count == PX_CLI_ACCEPT_MAX)
            return err_set(err, RC_INVALID, "more than %d --accept", PX_CLI_ACCEPT_MAX);
        o->accept[o->accept_count++] = optarg;
        return RC_OK;
    case 'w':
        o->is_watch = true;
        return RC_OK;
    case 'd':
        o->dir = optarg;
        return RC_OK;
    case 'f':
        o->from = optarg;
        return RC_OK;
    case 'F':
        o->is_follow = true;
        return RC_OK;
    case 'h':
        o->wants_help = true;
        return RC_OK;
    case 'V':
        o->wants_version = true;
        return RC_OK;
    case ':':
        return err_set(err, RC_INVALID, "%s: a value is missing", what);
    default:
        return err_set(err, RC_INVALID, "%s: unknown option", what);
    }
}

static bool is_server_id(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits <= 9 && text[digits] == '\0';
}

static bool is_word(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz_") == strlen(text);
}

static enum rc check_ids(const struct px_cli_options *o, struct err *err)
{
    for (int i = 0; i < o->id_count; i++)
        if (!is_server_id(o->ids[i]))
            return err_set(err, RC_INVALID, "%s: \"%.40s\" is no server id, a number is allowed",
                           o->command->name, o->ids[i]);
    return RC_OK;
}

static enum rc check_argument(const struct px_cli_options *o, int count, struct err *err)
{
    const struct px_cli_command *c = o->command;
    int wanted = c->argument == PX_CLI_NO_ARGUMENT ? 0 : 1;

    if (c->argument == PX_CLI_SERVER_IDS)
        return check_ids(o, err);
    if (count < wanted)
        return err_set(err, RC_INVALID, "%s: %s is missing", c->name, argument_names[c->argument]);
    if (count > wanted)
        return err_set(err, RC_INVALID, "%s: too many arguments", c->name);
    if (c->argument == PX_CLI_SERVER_ID && !is_server_id(o->argument))
        return err_set(err, RC_INVALID, "%s: \"%.40s\" is no server id, a number is allowed", c->name,
                       o->argument);
    if (c->argument == PX_CLI_PHASE && !is_word(o->argument))
        return err_set(err, RC_INVALID, "%s: \"%.40s\" is no phase, see `zkferry status`", c->name,
                       o->argument);
    return RC_OK;
}

static enum rc check_options(const struct px_cli_options *o, struct err *err)
{
    const struct {
        const char *name;
        bool is_given;
        unsigned bit;
    } rows[] = {{"--accept", o->accept_count > 0, PX_CLI_TAKES_ACCEPT},
                {"--watch", o->is_watch, PX_CLI_TAKES_WATCH},
                {"--follow", o->is_follow, PX_CLI_TAKES_FOLLOW},
                {"--dir", o->dir != NULL, PX_CLI_TAKES_DIR},
                {"--from", o->from != NULL, PX_CLI_TAKES_FROM}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].is_given && (o->command->takes & rows[i].bit) == 0)
            return err_set(err, RC_INVALID, "%s does not take %s", o->command->name, rows[i].name);
    }
    return RC_OK;
}

enum rc px_cli_parse(int argc, char **argv, struct px_cli_options *ret_options, struct err *err)
{
    const char *env = getenv(PX_CLI_URL_ENV);
    struct px_cli_options o = {.url = env != NULL && env[0] != '\0' ? env : PX_CLI_URL_DEFAULT};
    enum rc rc = RC_OK;
    int option;

    optind = 0; /* GNU: start anew, so that a test can parse more than once */
    opterr = 0;
    while (rc == RC_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
        rc = take_option(option, argv[optind - 1], &o, err);
    if (rc != RC_OK)
        return rc;
    if (!o.wants_help && !o.wants_version) {
        if (optind == argc)
            return err_set(err, RC_INVALID, "a command is missing");
        o.command = px_cli_command_find(argv[optind]);
        if (o.command == NULL)
            return err_set(err, RC_INVALID, "%.40s: unknown command", argv[optind]);
        o.argument = optind + 1 < argc ? argv[optind + 1] : NULL;
        o.ids = argv + optind + 1;
        o.id_count = argc - optind - 1;
        rc = check_argument(&o, argc - optind - 1, err);
        if (rc == RC_OK)
            rc = check_options(&o, err);
    }
    if (rc == RC_OK)
        *ret_options = o;
    return rc;
}

void px_cli_help(FILE *out)
{
    (void)fprintf(out, "usage: zkferry [--admin URL] [--json] COMMAND [ARGUMENT] [OPTIONS]\n\n");
    for (size_t i = 0; i < px_cli_command_count; i++) {
        const struct px_cli_command *c = &px_cli_commands[i];

        (void)fprintf(out, "  %-14s%-7s %s\n", c->name, argument_names[c->argument], c->help);
    }
    (void)fprintf(out,
                  "\n  --admin URL   the daemon's admin port; default: " PX_CLI_URL_ENV
                  " or " PX_CLI_URL_DEFAULT "\n"
                  "  --json        print the daemon's JSON\n"
                  "  --accept ID   start, confirm: go on in spite of this finding; may be repeated\n"
                  "  --watch       status: again every second, until the plan ends; verify: how far it is\n"
                  "  --dir DIR     joiner-config: write the files into DIR\n"
                  "  --from PATH   verify: go on where an interrupted one was\n"
                  "  --follow      events: go on as they come\n"
                  "  --help, --version\n\n"
                  "exit status: 0 done, 1 refused or failed, 2 usage\n");
}
