/* zkferry without a network: arguments against the table of commands, what each command asks of the daemon,
 * the text people see, the files it writes. The command line is a program, not a library, so its sources are
 * included here and px_cli_exchange is this file's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/cli/cli_args.c"
#include "proxy/cli/cli_commands.c"
#include "proxy/cli/cli_files.c"
#include "proxy/cli/cli_plan.c"
#include "proxy/cli/cli_print.c"
#include "proxy/cli/cli_report.c"
#include "proxy/cli/cli_verify.c"
#include "proxy/cli/cli_witness.c"

#include <cmocka.h> /* last: its macros have short names */

/* The fake daemon: remembers the last exchange, answers from a table by path. */
static struct {
    char url[64];
    char path[256];
    char body[512];
    unsigned count;
    unsigned posts; /* of them */
} asked;

static struct {
    const char *path;
    long http_status;
    const char *text;
} answers[3];

enum rc px_cli_exchange(const char *url, const char *path, const char *body, struct px_cli_answer *ret_answer,
                        struct err *err)
{
    (void)snprintf(asked.url, sizeof asked.url, "%s", url);
    (void)snprintf(asked.path, sizeof asked.path, "%s", path);
    asked.posts += body != NULL;
    asked.count++;
    if (body != NULL)
        (void)snprintf(asked.body, sizeof asked.body, "%s", body);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0] && answers[i].path != NULL; i++) {
        if (strcmp(answers[i].path, path) == 0) {
            ret_answer->http_status = answers[i].http_status;
            ret_answer->json = json_loads(answers[i].text, 0, NULL);
            return RC_OK;
        }
    }
    return err_set(err, RC_IO, "nobody answers");
}

void px_cli_answer_done(struct px_cli_answer *answer)
{
    json_decref(answer->json);
}

static int forget(void **state)
{
    (void)state;
    memset(&asked, 0, sizeof asked);
    memset(answers, 0, sizeof answers);
    unsetenv(PX_CLI_URL_ENV);
    return 0;
}

#define WORDS_MAX 16

/* Splits at blanks; the words live until the next call. */
static enum rc parse(const char *line, struct px_cli_options *ret_options, struct err *err)
{
    static char copy[512];
    static char *words[WORDS_MAX];
    int count = 0;

    memset(words, 0, sizeof words);
    (void)snprintf(copy, sizeof copy, "zkferry %s", line);
    for (char *word = strtok(copy, " "); word != NULL && count < WORDS_MAX - 1; word = strtok(NULL, " "))
        words[count++] = word;
    return px_cli_parse(count, words, ret_options, err);
}

static void test_arguments(void **state)
{
    struct px_cli_options o;
    struct err err;

    (void)state;
    assert_int_equal(parse("status", &o, &err), RC_OK);
    assert_string_equal(o.url, PX_CLI_URL_DEFAULT);
    assert_string_equal(o.command->name, "status");
    assert_int_equal(parse("status --watch --json --admin http://[::1]:1", &o, &err), RC_OK);
    assert_true(o.is_watch && o.is_json);
    assert_string_equal(o.url, "http://[::1]:1");
    assert_int_equal(parse("start --accept a --accept b", &o, &err), RC_OK);
    assert_int_equal(o.accept_count, 2);
    assert_string_equal(o.accept[1], "b");
    assert_int_equal(parse("joiner-config 4 --dir /x", &o, &err), RC_OK);
    assert_string_equal(o.argument, "4");
    assert_string_equal(o.dir, "/x");
    assert_int_equal(setenv(PX_CLI_URL_ENV, "http://localhost:7", 1), 0);
    assert_int_equal(parse("plan", &o, &err), RC_OK);
    assert_string_equal(o.url, "http://localhost:7");
    assert_int_equal(parse("--help", &o, &err), RC_OK);
    assert_true(o.wants_help);
    assert_int_equal(parse("--version", &o, &err), RC_OK);
    assert_true(o.wants_version);
}

static void test_wrong_arguments(void **state)
{
    static const struct {
        const char *line;
        const char *text;
    } rows[] = {
        {"", "a command is missing"},
        {"stats", "stats: unknown command"},
        {"status --fast", "--fast: unknown option"},
        {"status --admin", "--admin: a value is missing"},
        {"status 4", "status: too many arguments"},
        {"confirm", "confirm: PHASE is missing"},
        {"confirm Switch", "is no phase"},
        {"drain", "drain: ID is missing"},
        {"drain x", "\"x\" is no server id"},
        {"verify 4 x", "\"x\" is no server id"},
        {"status --from /a", "status does not take --from"},
        {"drain 4/../../healthz", "is no server id"},
        {"drain 4 5", "too many arguments"},
        {"pause --watch", "pause does not take --watch"},
        {"status --follow", "status does not take --follow"},
        {"status --accept a", "status does not take --accept"},
        {"status --dir a", "status does not take --dir"},
    };
    struct px_cli_options o;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse(rows[i].line, &o, &err), RC_INVALID);
        assert_non_null(strstr(err.text, rows[i].text));
    }
}

static enum px_cli_exit run(const char *line)
{
    struct px_cli_options o;
    struct err err;

    assert_int_equal(parse(line, &o, &err), RC_OK);
    return o.command->run(&o);
}

static void answer(size_t at, const char *path, long http_status, const char *text)
{
    answers[at].path = path;
    answers[at].http_status = http_status;
    answers[at].text = text;
}

/* Every row of the table of commands asks for its own path by its own method. */
static void test_every_command_asks_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < px_cli_command_count; i++) {
        static const char *const arguments[PX_CLI_ARGUMENT_COUNT] = {"", "switch", "7", "7 8"};
        const struct px_cli_command *c = &px_cli_commands[i];
        const char *star = strchr(c->path, '*');
        char path[128];
        char line[128];

        (void)snprintf(path, sizeof path, star != NULL ? "%.*s7%s" : "%.*s%s",
                       star != NULL ? (int)(star - c->path) : (int)strlen(c->path), c->path,
                       star != NULL ? star + 1 : "");
        (void)snprintf(line, sizeof line, "%s %s", c->name, arguments[c->argument]);
        answer(0, path, 200,
               "{\"startable\":true,\"message\":\"ok\",\"state\":\"done\",\"outcome\":\"equal\"}");
        answer(1, "/v1/status", 200, "{\"plan_id\":\"p\"}");
        asked.posts = 0;
        assert_int_equal(run(line), PX_CLI_DONE);
        assert_string_equal(asked.path, path);
        assert_int_equal(asked.posts > 0, c->is_post);
    }
}

static void test_confirm_names_the_plan(void **state)
{
    (void)state;
    answer(0, "/v1/status", 200, "{\"plan_id\":\"p-7\"}");
    answer(1, "/v1/migration/confirm", 200, "{\"message\":\"ok\"}");
    assert_int_equal(run("confirm switch"), PX_CLI_DONE);
    assert_string_equal(asked.body, "{\"plan_id\":\"p-7\",\"phase\":\"switch\",\"accept\":[]}");
    answer(0, "/v1/status", 200, "{\"plan_id\":\"p-7\"}");
    answer(1, "/v1/migration/confirm", 200, "{\"message\":\"ok\"}");
    assert_int_equal(run("confirm remove --accept stragglers-2"), PX_CLI_DONE);
    assert_string_equal(asked.body,
                        "{\"plan_id\":\"p-7\",\"phase\":\"remove\",\"accept\":[\"stragglers-2\"]}");
    answer(0, "/v1/status", 200, "{\"plan_id\":\"\"}");
    asked.count = 0;
    assert_int_equal(run("confirm switch"), PX_CLI_FAILED);
    assert_int_equal(asked.count, 1); /* nothing was confirmed */
}

static void test_start_sends_what_is_accepted(void **state)
{
    (void)state;
    answer(0, "/v1/migration/start", 200, "{\"message\":\"ok\"}");
    assert_int_equal(run("start"), PX_CLI_DONE);
    assert_string_equal(asked.body, "{\"accept\":[]}");
    assert_int_equal(run("start --accept a --accept b"), PX_CLI_DONE);
    assert_string_equal(asked.body, "{\"accept\":[\"a\",\"b\"]}");
}

static void test_refusals_exit_with_one(void **state)
{
    (void)state;
    assert_int_equal(run("status"), PX_CLI_FAILED); /* nobody there */
    answer(0, "/v1/migration/start", 409, "{\"error\":{\"code\":\"x\",\"message\":\"m\",\"hint\":\"h\"}}");
    assert_int_equal(run("start"), PX_CLI_FAILED);
    answer(0, "/v1/plan", 200, "no json");
    assert_int_equal(run("plan"), PX_CLI_FAILED);
    answer(0, "/v1/preflight", 200, "{\"findings\":[],\"startable\":false}");
    assert_int_equal(run("preflight"), PX_CLI_FAILED);
    answer(0, "/v1/status", 200, "{\"phase\":\"failed\"}");
    assert_int_equal(run("status"), PX_CLI_DONE);
    assert_int_equal(run("status --watch"), PX_CLI_FAILED);
    answer(0, "/v1/status", 200, "{\"phase\":\"finished\"}");
    assert_int_equal(run("status --watch"), PX_CLI_DONE);
}

/* Started, then looked at until it is done; the exit status is the answer. */
static void test_verify(void **state)
{
    (void)state;
    answer(0, "/v1/verify", 200, "{\"state\":\"done\",\"outcome\":\"equal\"}");
    assert_int_equal(run("verify"), PX_CLI_DONE);
    assert_string_equal(asked.body, "{\"servers\":[]}");
    assert_int_equal(asked.posts, 1);
    assert_int_equal(asked.count, 2);
    assert_int_equal(run("verify 4 5 --watch --from /a"), PX_CLI_DONE);
    assert_string_equal(asked.body, "{\"servers\":[4,5],\"from\":\"/a\"}");
    answer(0, "/v1/verify", 200, "{\"state\":\"done\",\"outcome\":\"incomplete\"}");
    assert_int_equal(run("verify --json"), PX_CLI_FAILED);
    answer(0, "/v1/verify", 200,
           "{\"state\":\"none\",\"outcome\":\"pending\"}"); /* the daemon is a new one */
    assert_int_equal(run("verify"), PX_CLI_FAILED);
    asked.count = 0;
    answer(0, "/v1/verify", 409, "{\"error\":{\"message\":\"a verification is running\",\"hint\":\"\"}}");
    assert_int_equal(run("verify"), PX_CLI_FAILED);
    assert_int_equal(asked.count, 1);
}

static void assert_printed(px_cli_printer *print, const char *json, const char *expected)
{
    json_t *answer_json = json_loads(json, 0, NULL);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(answer_json);
    px_cli_clean(answer_json);
    print(out, answer_json);
    (void)fclose(out);
    assert_string_equal(text, expected);
    free(text);
    json_decref(answer_json);
}

static void test_status_for_people(void **state)
{
    (void)state;
    assert_printed(
        px_cli_print_status,
        "{\"phase\":\"switching\",\"paused\":true,\"plan_id\":\"p-7\",\"waiting_for\":\"confirm switch\","
        "\"next_step\":\"move\",\"can\":[\"confirm\",\"pause\"],\"config_version\":\"0x5\",\"leader\":2,"
        "\"failed\":null,\"quorum\":{\"voters\":6,\"alive\":5,\"tolerates\":2},"
        "\"sessions\":{\"total\":9,\"source\":8,\"target\":1,\"moved\":0,\"returned\":1,\"failed\":0,"
        "\"expired\":0,\"waiting\":0},\"findings\":[],"
        "\"servers\":[{\"id\":2,\"side\":\"source\",\"role\":\"participant\",\"mode\":\"leader\","
        "\"health\":\"serving\",\"sessions\":8,\"lag\":0,\"zxid\":\"0x10\",\"admitted\":true,"
        "\"draining\":true,\"drained\":true,\"version\":\"3.8.0\",\"address\":\"10.0.0.1:2181\",\"reason\":"
        "\"\"},"
        "{\"id\":14,\"side\":\"target\",\"role\":\"none\",\"mode\":\"unknown\",\"health\":\"down\","
        "\"sessions\":0,\"lag\":-1,\"zxid\":\"0x0\",\"admitted\":false,\"draining\":false,\"drained\":false,"
        "\"version\":\"\","
        "\"address\":\"10.0.0.28:2181\",\"reason\":\"refused\"}],"
        "\"steps\":[{\"state\":\"done\",\"name\":\"add.4\",\"seconds\":1.25,\"detail\":\"\"}]}",
        "phase     switching (paused)\n"
        "waiting   confirm switch\n"
        "next      move\n"
        "allowed   confirm, pause\n"
        "plan      p-7\n"
        "quorum    5 of 6 voters alive, 2 more may fail; leader 2; config 0x5\n"
        "sessions  total 9, source 8, target 1, waiting 0, moved 0, returned 1, failed 0, expired 0\n"
        "\n"
        "servers\n"
        "id  side    role         mode     health   sessions  lag  zxid  admitted  drains  drained  "
        "version  address         reason\n"
        " 2  source  participant  leader   serving         8    0  0x10  yes       yes     yes      "
        "3.8.0    10.0.0.1:2181   -\n"
        "14  target  none         unknown  down            0    -  0x0   no        no      no       "
        "-        10.0.0.28:2181  refused\n"
        "\n"
        "steps\n"
        "state  step   seconds  detail\n"
        "done   add.4      1.2  -\n");
}

static void test_the_witness_for_people(void **state)
{
    (void)state;
    assert_printed(px_cli_print_witness, "{}", ""); /* a status without one */
    assert_printed(px_cli_print_witness,
                   "{\"witness\":{\"clean\":true,\"acked\":131,\"stall_seconds\":0.241,\"unknown\":0}}",
                   "witness   131 writes acknowledged, longest stall 0.2 s, nothing was interrupted\n");
    assert_printed(px_cli_print_witness, "{\"witness\":{\"clean\":false,\"acked\":0,\"stall_seconds\":0.0}}",
                   "witness   0 writes acknowledged, longest stall 0.0 s\n"); /* it has only begun */
    assert_printed(px_cli_print_witness,
                   "{\"witness\":{\"clean\":false,\"acked\":131,\"stall_seconds\":3.0,\"unknown\":1,"
                   "\"refused\":0,\"disconnects\":2,\"events_doubled\":4}}",
                   "witness   131 writes acknowledged, longest stall 3.0 s, INTERRUPTED: 1 unknown, "
                   "2 disconnects, 4 events_doubled\n");
}

static void test_plan_for_people(void **state)
{
    (void)state;
    assert_printed(
        px_cli_print_plan,
        "{\"kind\":\"migrate\",\"plan_id\":\"\",\"confirm\":[\"switch\"],\"steps\":[],\"findings\":[],"
        "\"startable\":true,\"refusal\":\"\",\"seconds\":4.25,\"forecast\":["
        "{\"name\":\"join\",\"joining\":\"\",\"leaving\":\"\",\"waits\":\"the start of targets 4\","
        "\"risk\":\"\",\"impact\":\"nothing\",\"undo\":\"`zkferry rollback`\",\"seconds\":3.75},"
        "{\"name\":\"remove.1\",\"joining\":\"\",\"leaving\":\"1\",\"waits\":\"\",\"risk\":\"it would wait\","
        "\"impact\":\"i\",\"undo\":\"u\",\"seconds\":0.5,\"members\":\"2,3\","
        "\"before\":{\"voters\":3,\"alive\":2,\"tolerates\":0},"
        "\"after\":{\"voters\":2,\"alive\":1,\"tolerates\":-1}}]}",
        "kind      migrate\n"
        "plan      a preview, nothing was started\n"
        "confirm   switch\n"
        "\n"
        "what is to be done\n"
        "  join, about 3.8 s\n"
        "    waits for the start of targets 4\n"
        "    clients   nothing\n"
        "    undo      `zkferry rollback`\n"
        "  remove.1, about 0.5 s\n"
        "    RISK      it would wait\n"
        "    leaving   1\n"
        "    quorum    voters 3, alive 2, tolerates 0 -> voters 2, alive 1, no quorum; members 2,3\n"
        "    clients   i\n"
        "    undo      u\n"
        "  all of it: about 4.2 s, without what is waited for\n"
        "\n"
        "startable: yes\n");
    assert_printed(
        px_cli_print_plan,
        "{\"kind\":\"\",\"plan_id\":\"\",\"refusal\":\"no migration section\",\"startable\":false}",
        "plan      a preview, nothing was started\n"
        "refused   no migration section\n"
        "\n"
        "startable: no, see the blocking findings\n");
}

static void test_report_for_people(void **state)
{
    (void)state;
    assert_printed(
        px_cli_print_report,
        "{\"plan_id\":\"p-7\",\"kind\":\"migrate\",\"outcome\":\"failed\",\"failure\":\"no leader\","
        "\"started_at\":1700000000000,\"ended_at\":1700000007500,\"seconds\":7.5,"
        "\"steps\":[{\"name\":\"add.4\",\"started_at\":1700000001000,\"seconds\":0.25}],"
        "\"reconfigs\":[{\"step\":\"remove.1\",\"joining\":\"\",\"leaving\":\"1\",\"from_version\":\"0x5\","
        "\"to_version\":\"0x6\",\"via\":1,\"outcome\":\"applied\",\"seconds\":0.5,\"hold_seconds\":0.125,"
        "\"detail\":\"\"}],\"holds\":1,\"longest_hold_seconds\":0.125,\"longest_pause_seconds\":0.25,"
        "\"sessions\":{\"moved\":9,\"returned\":1,\"failed\":0,\"expired\":0,"
        "\"reasons\":[{\"name\":\"zkferry_moves_total{result=\\\"done\\\"}\",\"value\":9}]},"
        "\"moments\":[{\"at\":1700000002000,\"what\":\"confirmed\",\"detail\":\"switch\"}],"
        "\"findings\":[{\"id\":\"b-2\",\"severity\":\"block\",\"seen\":\"x\",\"is_accepted\":true}],"
        "\"verification\":{\"outcome\":\"equal\",\"compared\":12,\"different\":0}}",
        "plan      p-7 (migrate)\n"
        "outcome   failed\n"
        "failure   no leader\n"
        "time      2023-11-14 22:13:20Z to 2023-11-14 22:13:27Z, 7.5 s\n"
        "\n"
        "data      equal; 12 nodes compared, 0 different\n"
        "\n"
        "steps\n"
        "  2023-11-14 22:13:21Z     0.250 s  add.4\n"
        "\n"
        "reconfigs\n"
        "  remove.1: applied, 0x5 -> 0x6 via server 1, 0.500 s, all sessions held for 0.125 s\n"
        "      leaving 1\n"
        "\n"
        "clients\n"
        "  sessions moved 9, returned 1, failed 0, expired 0\n"
        "  longest pause of a client: at most 0.25 s\n"
        "  holds of all sessions 1, the longest 0.125 s\n"
        "         9 zkferry_moves_total{result=\"done\"}\n"
        "\n"
        "what happened beside the steps\n"
        "  2023-11-14 22:13:22Z  confirmed switch\n"
        "\n"
        "findings at the start\n"
        "  block b-2 (accepted): x\n");
}

static void test_events(void **state)
{
    (void)state;
    assert_printed(px_cli_print_events,
                   "{\"missed\":true,\"last\":9,\"events\":[{\"at\":1700000000000,\"event\":\"plan.started\","
                   "\"text\":\"plan p-7\"}]}",
                   "(older events are not kept any more)\n"
                   "2023-11-14 22:13:20Z  plan.started             plan p-7\n");
    answer(0, "/v1/events", 200, "{\"events\":[],\"last\":9}");
    assert_int_equal(run("events --follow"), PX_CLI_FAILED); /* the second question has no answer here */
    assert_string_equal(asked.path, "/v1/events?since=9");
}

static void test_findings_for_people(void **state)
{
    (void)state;
    assert_printed(px_cli_print_findings,
                   "{\"findings\":[{\"id\":\"a-1\",\"severity\":\"info\",\"server\":-1,\"seen\":\"s\"},"
                   "{\"id\":\"b-2\",\"severity\":\"block\",\"server\":2,\"seen\":\"x\",\"why\":\"y\","
                   "\"todo\":\"z\",\"can_accept\":true,\"pitfall\":\"P6 P12\"}],\"startable\":false}",
                   "block  b-2  (server 2)  [P6 P12]  start --accept b-2\n"
                   "       seen x\n"
                   "       why  y\n"
                   "       do   z\n"
                   "info   a-1\n"
                   "       seen s\n"
                   "startable: no, see the blocking findings\n");
}

static void test_verification_for_people(void **state)
{
    (void)state;
    assert_printed(
        px_cli_print_verify,
        "{\"outcome\":\"interrupted\",\"reason\":\"server 1 was lost\",\"compared\":120,"
        "\"leader\":1,\"seconds\":1.26,\"rechecked\":3,\"different\":101,\"unreadable\":1,"
        "\"unsettled\":0,\"moving\":2,\"at\":\"/b\",\"skipped\":[\"/zookeeper/zkferry\",\"/x\"],"
        "\"servers\":[{\"id\":4,\"compared\":120,\"different\":101,\"counts\":\"different\","
        "\"counts_detail\":\"5 znodes, on the leader 7\","
        "\"digest\":\"different\",\"digest_zxid\":\"0x80\"},"
        "{\"id\":15,\"compared\":7,\"different\":0,\"counts\":\"equal\",\"counts_detail\":\"\","
        "\"given_up\":true,\"reason\":\"away\"}],"
        "\"findings\":[{\"kind\":\"different\",\"server\":4,\"path\":\"/a\",\"what\":\"data\"},"
        "{\"kind\":\"unreadable\",\"server\":-1,\"path\":\"/p\",\"what\":\"its ACL\"}]}",
        "outcome   interrupted: server 1 was lost\n"
        "compared  120 nodes with those of server 1 in 1.3 s, 3 of them more than once\n"
        "moving    2 of them changed all the time; every server was where the reference was meanwhile\n"
        "listed    2 of 102 findings\n"
        "server 4  120 nodes compared, 101 different; counts different: 5 znodes, on the leader 7\n"
        "          ZooKeeper's own digest was different behind transaction 0x80\n"
        "server 15 7 nodes compared, 0 different; counts equal\n"
        "          given up: away\n"
        "skipped   /zookeeper/zkferry, /x\n"
        "different  server 4  /a  (data)\n"
        "unreadable /p  (its ACL)\n"
        "go on     zkferry verify --from /b\n");
}

static void test_text_of_strangers_is_cleaned(void **state)
{
    (void)state;
    assert_printed(px_cli_print_sessions,
                   "{\"sessions\":[{\"id\":\"0x1\",\"client\":\"a\\u001b[2J\\u009bm\\nb\","
                   "\"server\":-1,\"state\":\"h\xc3\xa9\"}],\"total\":3}",
                   "session  client      server  state  timeout  outstanding  zxid\n"
                   "0x1      a?[2J??m?b       -  h\xc3\xa9          -            -  -\n"
                   "1 of 3 sessions\n");
}

#define FILES                                                                                                \
    "{\"id\":4,\"files\":[{\"name\":\"zoo.cfg\",\"text\":\"tickTime=2000\\n\"},"                             \
    "{\"name\":\"myid\",\"text\":\"4\\n\"}]}"

static void test_joiner_files(void **state)
{
    char root[] = "/tmp/zkferry-test-XXXXXX";
    char dir[64];
    char line[128];
    char path[96];
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(root));
    (void)snprintf(dir, sizeof dir, "%s/new", root);
    (void)snprintf(line, sizeof line, "joiner-config 4 --dir %s", dir);
    (void)snprintf(path, sizeof path, "%s/myid", dir);
    answer(0, "/v1/joiner-config/4", 200, FILES);
    assert_int_equal(run(line), PX_CLI_DONE);
    assert_true(has_content(path, "4\n"));
    assert_int_equal(run(line), PX_CLI_DONE); /* the same content again is fine */
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("5\n", file);
    (void)fclose(file);
    assert_int_equal(run(line), PX_CLI_FAILED); /* somebody else's file */
    assert_true(has_content(path, "5\n"));
    answer(0, "/v1/joiner-config/4", 200, "{\"files\":[{\"name\":\"../evil\",\"text\":\"x\"}]}");
    assert_int_equal(run(line), PX_CLI_FAILED);
    (void)snprintf(path, sizeof path, "%s/evil", root);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "%s/myid", dir);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/zoo.cfg", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(root), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_wrong_arguments),
        TEST(test_every_command_asks_its_path),
        TEST(test_confirm_names_the_plan),
        TEST(test_start_sends_what_is_accepted),
        TEST(test_refusals_exit_with_one),
        TEST(test_verify),
        TEST(test_verification_for_people),
        TEST(test_status_for_people),
        TEST(test_the_witness_for_people),
        TEST(test_plan_for_people),
        TEST(test_report_for_people),
        TEST(test_events),
        TEST(test_findings_for_people),
        TEST(test_text_of_strangers_is_cleaned),
        TEST(test_joiner_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
