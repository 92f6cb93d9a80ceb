/* zkferry, the command line: one HTTP exchange with zkferryd per call, printed for people or as JSON.
 * Shared by the files of this folder only. One thread, one process per call. Not here: any knowledge of the
 * plan; what is allowed and why something was refused, the daemon says. */
#ifndef PROXY_CLI_CLI_H
#define PROXY_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "zkproto/err.h"

#define PX_CLI_URL_DEFAULT "http://127.0.0.1:9181"
#define PX_CLI_URL_ENV     "ZKFERRY_ADMIN"
#define PX_CLI_ACCEPT_MAX  64 /* as many as the daemon takes in one request */

/* Exit status (design.md §2). */
enum px_cli_exit { PX_CLI_DONE = 0, PX_CLI_FAILED = 1, PX_CLI_USAGE = 2 };

/* Everything borrowed from argv and the environment. */
struct px_cli_options {
    const struct px_cli_command *command;
    const char *url;
    const char *argument; /* PHASE or ID, NULL when the command has none */
    char **ids;           /* ID…, checked */
    int id_count;
    const char *dir;  /* NULL: print instead of write */
    const char *from; /* NULL: from the root */
    const char *accept[PX_CLI_ACCEPT_MAX];
    size_t accept_count;
    bool is_json;
    bool is_watch;
    bool is_follow;
    bool wants_help;
    bool wants_version;
};

enum px_cli_argument {
    PX_CLI_NO_ARGUMENT,
    PX_CLI_PHASE,
    PX_CLI_SERVER_ID,
    PX_CLI_SERVER_IDS, /* none is fine */
    PX_CLI_ARGUMENT_COUNT
};

/* Which of the further options a command takes. */
#define PX_CLI_TAKES_ACCEPT 1u
#define PX_CLI_TAKES_WATCH  2u
#define PX_CLI_TAKES_DIR    4u
#define PX_CLI_TAKES_FROM   8u
#define PX_CLI_TAKES_FOLLOW 16u

typedef void px_cli_printer(FILE *out, const json_t *answer);

struct px_cli_command {
    const char *name;
    enum px_cli_argument argument;
    unsigned takes;
    bool is_post;
    const char *path; /* of the call; '*' is replaced by the argument */
    enum px_cli_exit (*run)(const struct px_cli_options *options);
    px_cli_printer *print; /* what people see */
    const char *help;
};

/* cli_http.c. An exchange with the daemon. */
struct px_cli_answer {
    long http_status;
    json_t *json; /* owned; NULL when the answer was no JSON */
};
/* POST when body is not NULL ("" = empty). RC_IO: no answer, err says why. ret_answer is the caller's, to be
 * given to px_cli_answer_done. */
enum rc px_cli_exchange(const char *url, const char *path, const char *body, struct px_cli_answer *ret_answer,
                        struct err *err) RC_MUST_CHECK;
void px_cli_answer_done(struct px_cli_answer *answer);

/* cli_commands.c. The table of commands; NULL: no such command. */
extern const struct px_cli_command px_cli_commands[];
extern const size_t px_cli_command_count;
const struct px_cli_command *px_cli_command_find(const char *name);
/* An exchange, checked: DONE: *ret_answer is a 200 with JSON, the caller's, clean unless JSON is wanted.
 * FAILED: everything was said. body NULL = GET. */
enum px_cli_exit px_cli_ask(const struct px_cli_options *options, const char *path, const char *body,
                            struct px_cli_answer *ret_answer);
void px_cli_show(const struct px_cli_options *options, const json_t *answer);
enum px_cli_exit px_cli_complain(const char *message, const char *hint); /* FAILED */

/* cli_args.c. RC_INVALID: err says what is wrong with the arguments. With wants_help or wants_version set,
 * command may be NULL. */
enum rc px_cli_parse(int argc, char **argv, struct px_cli_options *ret_options,
                     struct err *err) RC_MUST_CHECK;
void px_cli_help(FILE *out);

/* cli_print.c. Aligned text; every text of the answer must have gone through px_cli_clean, except for
 * px_cli_print_json, which writes ASCII only. */
void px_cli_print_status(FILE *out, const json_t *status);
void px_cli_print_plan(FILE *out, const json_t *plan);
void px_cli_print_findings(FILE *out, const json_t *findings);
void px_cli_print_servers(FILE *out, const json_t *servers);
void px_cli_print_sessions(FILE *out, const json_t *sessions);
void px_cli_print_message(FILE *out, const json_t *answer); /* {"message": …} */
void px_cli_print_json(FILE *out,
                       const json_t *answer); /* indented, for answers without a form of their own */
/* Replaces control characters in all strings: client addresses and server answers end up on a terminal.
 * Newlines stay in members called "text" and "config", which are files. */
void px_cli_clean(json_t *answer);
/* A member's text, "" when there is none; its whole number, 0 when there is none. */
const char *px_cli_text(const json_t *object, const char *key);
json_int_t px_cli_number(const json_t *object, const char *key);

/* cli_verify.c. Starts a verification and waits for its end. DONE only when everything is equal. */
enum px_cli_exit px_cli_verify(const struct px_cli_options *options);
void px_cli_print_verify(FILE *out, const json_t *verify);

/* cli_witness.c. Nothing when the status has none. */
void px_cli_print_witness(FILE *out, const json_t *status);

/* cli_plan.c. The dry run's part of a plan. */
void px_cli_print_forecast(FILE *out, const json_t *plan);

/* cli_report.c. Events are printed once, or (--follow) as they come, until somebody ends it. */
void px_cli_print_report(FILE *out, const json_t *report);
void px_cli_print_events(FILE *out, const json_t *answer);
enum px_cli_exit px_cli_events(const struct px_cli_options *options);

/* cli_files.c. Writes the files of a joiner-config answer into dir (made when missing). A file that exists
 * with other content is never overwritten: RC_EXISTS. */
enum rc px_cli_files_write(const json_t *answer, const char *dir, struct err *err) RC_MUST_CHECK;
void px_cli_print_files(FILE *out, const json_t *answer);

#endif
