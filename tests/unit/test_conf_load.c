/* Whole files: design.md's example, the examples we ship, defaults, the super file, reload. Runs in the
 * repository's root; writes into a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf_int.h"

#define SUPER_PATH "/etc/zkferry/super"
#define MINIMAL    "source: |\n  server.1=10.0.0.1:2888:3888;2181\n"

struct world {
    char directory[64];
    char super_file[96];
    char conf_file[96];
};

static void put(const char *path, const char *text, mode_t mode)
{
    (void)unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    if (world == NULL)
        return -1;
    (void)snprintf(world->directory, sizeof(world->directory), "/tmp/test_conf.XXXXXX");
    if (mkdtemp(world->directory) == NULL)
        return -1;
    (void)snprintf(world->super_file, sizeof(world->super_file), "%s/super", world->directory);
    (void)snprintf(world->conf_file, sizeof(world->conf_file), "%s/f.yaml", world->directory);
    put(world->super_file, "super:admin\n", 0600);
    *state = world;
    return 0;
}

static int remove_world(void **state)
{
    struct world *world = *state;
    (void)unlink(world->super_file);
    (void)unlink(world->conf_file);
    (void)rmdir(world->directory);
    free(world);
    return 0;
}

/* The file's text, with SUPER_PATH replaced by our own file. The caller frees. */
static char *slurp(const struct world *world, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *in = fopen(path, "r");
    FILE *out = open_memstream(&text, &len);
    char line[512];
    assert_non_null(in);
    assert_non_null(out);
    while (fgets(line, sizeof(line), in) != NULL) {
        char *at = strstr(line, SUPER_PATH);
        if (at != NULL)
            fprintf(out, "%.*s%s%s", (int)(at - line), line, world->super_file, at + strlen(SUPER_PATH));
        else
            fputs(line, out);
    }
    (void)fclose(in);
    (void)fclose(out);
    return text;
}

static struct conf *load(const struct world *world, const char *text)
{
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    put(world->conf_file, text, 0644);
    if (conf_load(world->conf_file, &conf, &problems) != RC_OK)
        fail_msg("%s", problems.text);
    assert_null(problems.text);
    return conf;
}

static void check_refused(const struct world *world, const char *text, enum rc rc, const char *expected)
{
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    char *whole = NULL;
    put(world->conf_file, text, 0644);
    assert_true(asprintf(&whole, "%s%s", world->conf_file, expected) > 0);
    assert_int_equal(conf_load(world->conf_file, &conf, &problems), rc);
    assert_string_equal(problems.text, whole);
    free(whole);
    conf_problems_done(&problems);
}

static const char design_text[] =
    "listen:\n"
    "  clients: [\"0.0.0.0:2181\"]        # an entry may also be a map (address, later tls, guard)\n"
    "  admin: \"127.0.0.1:9181\"          # HTTP: control, status, /metrics\n"
    "workers: 0                         # threads; 0 = one per core\n"
    "state_dir: /var/lib/zkferry        # journal; survives restarts\n"
    "source: |\n"
    "  server.1=10.0.0.12:2888:3888:participant;10.0.0.12:2181\n"
    "  server.2=10.0.0.5:2888:3888:participant;10.0.0.5:2181\n"
    "  server.3=10.0.0.15:2888:3888:participant;10.0.0.15:2181\n"
    "target: |\n"
    "  server.4=10.0.0.28:2888:3888:participant;10.0.0.28:2181\n"
    "  server.5=10.0.0.49:2888:3888:participant;10.0.0.49:2181\n"
    "  server.6=10.0.0.19:2888:3888:participant;10.0.0.19:2181\n"
    "credentials:\n"
    "  super_file: %s   # one line user:password, mode 0600; never logged, never in argv\n"
    "migration:\n"
    "  kind: migrate                    # migrate | expand | shrink | replace | rolling\n"
    "  confirm: [switch, remove, finish]  # phases that wait; [] = run through\n"
    "bind: { source: [], target: [] }   # local addresses for connections to servers\n";

static char *design(const struct world *world)
{
    char *text = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    assert_true(asprintf(&text, design_text, world->super_file) > 0);
#pragma GCC diagnostic pop
    return text;
}

static void the_designs_example_loads(void **state)
{
    const struct world *world = *state;
    char *text = design(world);
    struct conf *conf = load(world, text);
    assert_string_equal(conf->file, world->conf_file);
    assert_int_equal(conf->listener_count, 1);
    assert_string_equal(conf->listeners[0].address.host, "0.0.0.0");
    assert_int_equal(conf->listeners[0].address.port, 2181);
    assert_string_equal(conf->admin.host, "127.0.0.1");
    assert_int_equal(conf->admin.port, 9181);
    assert_true(conf->workers >= 1);
    assert_int_equal(conf->source.count, 3);
    assert_int_equal(conf->target.count, 3);
    assert_int_equal(conf->target.servers[1].id, 5);
    assert_int_equal(conf->target.lines[1], 12);
    assert_string_equal(conf->super, "super:admin");
    assert_int_equal(conf->kind, CONF_KIND_MIGRATE);
    assert_true(conf->confirm_switch && conf->confirm_remove && conf->confirm_finish);
    conf_free(conf);
    free(text);
}

static void defaults_complete_a_minimal_file(void **state)
{
    const struct world *world = *state;
    char *text = slurp(world, "conf/examples/minimal.yaml");
    struct conf *conf = load(world, text);
    assert_int_equal(conf->source.count, 3);
    assert_int_equal(conf->target.count, 0);
    assert_int_equal(conf->kind, CONF_KIND_NONE);
    assert_string_equal(conf_kind_name(conf->kind), "none");
    assert_string_equal(conf->state_dir, "/var/lib/zkferry");
    assert_string_equal(conf->super, "");
    assert_int_equal(conf->lag_ms, 500);
    assert_int_equal(conf->catch_up_rounds, 5);
    assert_int_equal(conf->switch_rate, 500);
    assert_int_equal(conf->join_timeout_ms, 3600000);
    assert_int_equal(conf->step_timeout_ms, 120000);
    assert_int_equal(conf->quiesce_timeout_ms, 5000);
    assert_int_equal(conf->verify, CONF_VERIFY_COUNTS);
    assert_int_equal(conf->config_node, CONF_GUARD_HIDE);
    assert_int_equal(conf->session_max, 15000);
    assert_int_equal(conf->silent_max, 2000);
    assert_int_equal(conf->per_address.connections, 0);
    assert_int_equal(conf->per_address.connects_per_second, 0);
    assert_int_equal(conf->per_address.silent, 500);
    assert_int_equal(conf->per_address.exempt.count, 0);
    assert_int_equal(conf->handshake_timeout_ms, 10000);
    assert_int_equal(conf->client_buffer_max, 262144);
    assert_int_equal(conf->buffers_max, 256 * 1024 * 1024);
    assert_int_equal(conf->request_bytes, 0);
    assert_int_equal(conf->reply_bytes, 0);
    assert_int_equal(conf->whole_bytes, 4 * 1024 * 1024);
    assert_int_equal(conf->probe_interval_ms, 5000);
    assert_int_equal(conf->probe_plan_interval_ms, 1000);
    assert_int_equal(conf->probe_timeout_ms, 3000);
    assert_int_equal(conf->admin_server_port, 8080);
    assert_string_equal(conf->state_root, "/zookeeper/zkferry");
    uint32_t word_count = 0;
    for (uint32_t i = 0; i < ZKP_WORD_COUNT; i++)
        word_count += conf->words[i] ? 1u : 0u;
    assert_int_equal(word_count, 7);
    assert_true(conf->words[ZKP_WORD_RUOK] && conf->words[ZKP_WORD_CONS] && !conf->words[ZKP_WORD_DUMP]);
    conf_free(conf);
    free(text);
}

/* Whether a line with this key ends with "# default: <default>". */
static bool shows_default(const char *text, const struct conf_key *key)
{
    const char *dot = strrchr(key->name, '.');
    const char *part = dot == NULL ? key->name : dot + 1;
    bool is_deep = dot != strchr(key->name, '.');
    bool is_list = conf_key_is_list(key);
    const char *fallback = key->is_required ? "required" : key->fallback == NULL ? "none" : key->fallback;
    char begin[CONF_NAME_MAX];
    char end[CONF_NAME_MAX];
    (void)snprintf(begin, sizeof(begin), "\n%s%s: ", dot == NULL ? "" : is_deep ? "    " : "  ", part);
    (void)snprintf(end, sizeof(end), "# default: %s%s%s\n", is_list ? "[" : "", fallback, is_list ? "]" : "");

    char section[CONF_NAME_MAX] = "\n";
    if (dot != NULL)
        (void)snprintf(section, sizeof(section), "\n%.*s:", (int)strcspn(key->name, "."), key->name);
    const char *from = strstr(text, section);
    if (from == NULL)
        return false;
    begin[strlen(begin) - 1] = '\0'; /* a list's line may end right after the colon */
    const char *line = strstr(from, begin);
    const char *line_end = line == NULL ? NULL : strchr(line + 1, '\n');
    size_t len = strlen(end);
    return line_end != NULL && (size_t)(line_end + 1 - line) > len &&
           strncmp(line_end + 1 - len, end, len) == 0;
}

static void the_full_example_names_every_key_and_its_default(void **state)
{
    const struct world *world = *state;
    char *text = slurp(world, "conf/examples/full.yaml");
    struct conf *conf = load(world, text);
    assert_int_equal(conf->listener_count, 2);
    assert_int_equal(conf->listeners[0].config_node, CONF_GUARD_HIDE);
    assert_int_equal(conf->listeners[1].config_node, CONF_GUARD_PASS);
    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        if (!shows_default(text, conf_key_at(i)))
            fail_msg("full.yaml lacks %s or its default", conf_key_at(i)->name);
    }
    conf_free(conf);
    free(text);
}

static void lists_and_spellings_are_understood(void **state)
{
    struct conf *conf =
        load(*state, "guard: {config_node: proxy}\nwords: []\nworkers: 08\n"
                     "bind: {source: [127.0.0.7, 127.0.0.8]}\n"
                     "listen: {clients: [\"[::1]:0\", \"localhost:0\"]}\n"
                     "source: |\n  server.9=b:2888:3888;2181\n\n  server.2=a:2888:3888;2181\n");
    assert_int_equal(conf->listeners[0].config_node, CONF_GUARD_PROXY);
    assert_string_equal(conf->listeners[1].address.host, "127.0.0.1");
    assert_false(conf->words[ZKP_WORD_RUOK]);
    assert_int_equal(conf->workers, 8);
    assert_int_equal(conf->bind_source.count, 2);
    assert_string_equal(conf->bind_source.hosts[1], "127.0.0.8");
    assert_int_equal(conf->source.servers[0].id, 2);
    assert_int_equal(conf->source.lines[0], 9);
    assert_int_equal(conf->source.lines[1], 7);
    conf_free(conf);
}

/* A wildcard listens on every address of this host, and on no other. */
static void a_line_that_leads_back_is_refused(void **state)
{
    const struct world *world = *state;
    const char *listen = "listen: {clients: [\"0.0.0.0:7\"]}\nsource: |\n";
    char text[256];
    assert_true(conf_host_is_here("127.0.0.1"));
    assert_false(conf_host_is_here("198.51.100.77")); /* RFC 5737: nobody has it */
    assert_false(conf_host_is_here("2001:db8::1"));
    (void)snprintf(text, sizeof(text), "%s  server.1=198.51.100.77:1:2;198.51.100.77:7\n", listen);
    conf_free(load(world, text));
    (void)snprintf(text, sizeof(text), "%s  server.1=198.51.100.77:1:2;127.0.0.9:7\n", listen);
    check_refused(world, text, RC_INVALID,
                  ":3: source: server.1 has zkferry's own client port as its client address, allowed is the "
                  "server's own");
}

/* Sockets that can't be bound would keep every client out, in silence. */
static void binds_are_addresses_of_this_host(void **state)
{
    const struct world *world = *state;
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    const char *here = "source: |\n  server.1=10.0.0.1:2888:3888;2181\nbind: {source: [127.0.0.7]}\n";
    const char *absent =
        "source: |\n  server.1=10.0.0.1:2888:3888;2181\nbind: {target: [203.0.113.7, \"0:0::7\"]}\n";

    put(world->conf_file, here, 0600);
    assert_int_equal(conf_load(world->conf_file, &conf, &problems), RC_OK);
    conf_free(conf);
    conf_problems_done(&problems);
    put(world->conf_file, absent, 0600);
    assert_int_equal(conf_load(world->conf_file, &conf, &problems), RC_INVALID);
    assert_non_null(
        strstr(problems.text, ":3: bind.target: \"203.0.113.7\" is no address of this host, allowed is"));
    conf_problems_done(&problems);
    /* Whoever only reads the text, on whatever host, is not told. */
    assert_int_equal(conf_parse_text("f", zkp_slice_str(absent), CONF_SECRETS_SKIP, &conf, &problems), RC_OK);
    assert_string_equal(conf->bind_target.hosts[1], "::7");
    conf_free(conf);
    conf_problems_done(&problems);
}

static void files_that_cannot_be_read_are_refused(void **state)
{
    const struct world *world = *state;
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    assert_int_equal(conf_load("/nowhere/f.yaml", &conf, &problems), RC_IO);
    assert_string_equal(
        problems.text,
        "/nowhere/f.yaml: cannot be read (No such file or directory), allowed is a readable file");
    conf_problems_done(&problems);
    assert_int_equal(conf_load("/", &conf, &problems), RC_IO);
    assert_string_equal(problems.text, "/: cannot be read (Is a directory), allowed is a readable file");
    conf_problems_done(&problems);
    (void)unlink(world->conf_file);
    assert_int_equal(mkfifo(world->conf_file, 0600), 0); /* must be refused, not waited for */
    assert_int_equal(conf_load(world->conf_file, &conf, &problems), RC_IO);
    assert_non_null(strstr(problems.text, "cannot be read (Not a regular file), allowed is a readable file"));
    assert_int_equal(unlink(world->conf_file), 0);
    conf_problems_done(&problems);

    char *large = malloc(CONF_FILE_BYTES_MAX + 2u);
    assert_non_null(large);
    memset(large, '#', CONF_FILE_BYTES_MAX + 1u);
    large[CONF_FILE_BYTES_MAX + 1u] = '\0';
    check_refused(world, large, RC_TOO_BIG, ": is too large, allowed is at most 64 KiB");
    free(large);
}

static void check_super(const struct world *world, const char *path, const char *expected)
{
    char text[256];
    (void)snprintf(text, sizeof(text), MINIMAL "credentials:\n  super_file: %s\n", path);
    check_refused(world, text, RC_INVALID, expected);
}

#define SUPER_ALLOWED "allowed is a regular file of mode 0600 with one line user:password"

static void the_super_file_must_be_private(void **state)
{
    const struct world *world = *state;
    static const mode_t loose[] = {0640, 0604, 0700, 04600};
    char expected[512];
    for (size_t i = 0; i < sizeof(loose) / sizeof(loose[0]); i++) {
        put(world->super_file, "super:admin\n", loose[i]);
        (void)snprintf(
            expected, sizeof(expected),
            ":4: credentials.super_file: %s has mode %04o, allowed is 0600 or stricter: chmod 600 %s",
            world->super_file, (unsigned)loose[i], world->super_file);
        check_super(world, world->super_file, expected);
    }
    (void)snprintf(expected, sizeof(expected),
                   ":4: credentials.super_file: %s is not a regular file, " SUPER_ALLOWED, world->directory);
    check_super(world, world->directory, expected);
    assert_int_equal(unlink(world->super_file), 0);
    assert_int_equal(mkfifo(world->super_file, 0600), 0); /* must be refused, not waited for */
    (void)snprintf(expected, sizeof(expected),
                   ":4: credentials.super_file: %s is not a regular file, " SUPER_ALLOWED, world->super_file);
    check_super(world, world->super_file, expected);
    check_super(world, "super:oops",
                ":4: credentials.super_file: cannot be opened (No such file or directory), " SUPER_ALLOWED);
    put(world->super_file, "super:admin\n", 0600);
}

static void the_super_file_holds_one_line(void **state)
{
    const struct world *world = *state;
    char long_line[CONF_SECRET_MAX + 8];
    memset(long_line, 'x', sizeof(long_line));
    memcpy(long_line, "a:", 2);
    long_line[CONF_SECRET_MAX] = '\0'; /* 256 characters: one too many */
    const struct {
        const char *content;
        const char *fault;
    } cases[] = {
        {"", "is empty"},
        {"\n", "is empty"},
        {"nocolon\n", "is not user:password"},
        {":password\n", "is not user:password"},
        {"user:\n", "is not user:password"},
        {"user:password\nmore\n", "has more than one line or control characters"},
        {"user:password\r\n", "has more than one line or control characters"},
        {long_line, "is longer than 255 bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[512];
        put(world->super_file, cases[i].content, 0400);
        (void)snprintf(expected, sizeof(expected), ":4: credentials.super_file: %s %s, " SUPER_ALLOWED,
                       world->super_file, cases[i].fault);
        check_super(world, world->super_file, expected);
    }
    put(world->super_file, "super:admin\n", 0600);
}

static void the_longest_secret_and_no_newline_are_fine(void **state)
{
    const struct world *world = *state;
    char secret[CONF_SECRET_MAX];
    char text[256];
    memset(secret, 'x', sizeof(secret));
    memcpy(secret, "a:", 2);
    secret[CONF_SECRET_MAX - 1] = '\0';
    put(world->super_file, secret, 0400);
    (void)snprintf(text, sizeof(text), MINIMAL "credentials: {super_file: %s}\n", world->super_file);
    struct conf *conf = load(world, text);
    assert_string_equal(conf->super, secret);
    conf_free(conf);
    put(world->super_file, "super:admin\n", 0600);
}

static void check_reload(const struct world *world, const char *old_text, const char *new_text,
                         bool plan_runs, const char *expected)
{
    struct conf *old = load(world, old_text);
    struct conf *new = load(world, new_text);
    char refusals[256];
    conf_reload_refusals(old, new, plan_runs, refusals, sizeof(refusals));
    assert_string_equal(refusals, expected);
    conf_free(old);
    conf_free(new);
}

static void reload_refuses_what_needs_a_restart(void **state)
{
    const struct world *world = *state;
    static const char other_source[] = "source: |\n  server.1=10.0.0.2:2888:3888;2181\n";
    static const char same_source[] = "source: |\n\n\n  server.1=10.0.0.1:2888:3888:participant;2181\n";
    check_reload(world, MINIMAL, MINIMAL, true, "");
    check_reload(world, MINIMAL, same_source, true, "");
    check_reload(world, MINIMAL, "source: |\n  server.1=[::ffff:10.0.0.1]:2888:3888;2181\n", true, "");
    check_reload(world, MINIMAL, other_source, false, "");
    check_reload(world, MINIMAL, other_source, true, "source");
    check_reload(world, MINIMAL, "source: |\n  server.1=10.0.0.1:2888:3888;2182\n", true, "source");
    check_reload(world, MINIMAL, "source: |\n  server.1=10.0.0.1:2888:3888:observer;2181\n", true, "source");
    check_reload(world, MINIMAL, MINIMAL "words: []\nprobes: {interval: 7s}\n", true, "");
    check_reload(world, MINIMAL, MINIMAL "guard: {config_node: pass}\nbind: {source: [127.0.0.7]}\n", true,
                 "");
    check_reload(world, MINIMAL, MINIMAL "state_root: /x\n", false, "");
    check_reload(world, MINIMAL,
                 MINIMAL "listen: {clients: [\"127.0.0.1:1\"], admin: \"127.0.0.1:2\"}\nworkers: 77\n"
                         "state_dir: /x\nstate_root: /x\n",
                 true, "listen.clients, listen.admin, workers, state_dir, state_root");
}

#define THREE "source: |\n  server.1=a:1:2;3\n  server.2=b:1:2;3\n  server.3=c:1:2;3\n"

static void who_leaves_is_a_set(void **state)
{
    const struct world *world = *state;
    static const char *const lists[] = {"3, 1", "1, 3", "1, 2"};
    char text[3][300];
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(text[i], sizeof(text[i]),
                       THREE "credentials: {super_file: %s}\nmigration: {kind: shrink, leaving: [%s]}\n",
                       world->super_file, lists[i]);
    struct conf *conf = load(world, text[0]);
    assert_int_equal(conf->leaving.count, 2);
    assert_int_equal(conf->leaving.ids[0], 3);
    assert_int_equal(conf->leaving.ids[1], 1);
    conf_free(conf);
    check_reload(world, text[0], text[1], true, "");
    check_reload(world, text[0], text[2], true, "migration.leaving");
    check_reload(world, text[0], text[2], false, "");
}

static void hooks_are_lists_of_arguments(void **state)
{
    const struct world *world = *state;
    char text[2][400];
    for (int i = 0; i < 2; i++)
        (void)snprintf(text[i], sizeof(text[i]),
                       THREE
                       "credentials: {super_file: %s}\nmigration:\n  kind: rolling\n  expected_version: "
                       "3.9.4\n  hooks:\n    stop: [/bin/x, \"{id} of {host}\", \"\", \"a{b c}d%d\"]\n"
                       "    backup: [/bin/y]\n",
                       world->super_file, i);
    struct conf *conf = load(world, text[0]);
    const struct conf_command *stop = &conf->hooks[CONF_HOOK_STOP];
    assert_int_equal(stop->count, 4);
    assert_string_equal(conf_command_argument(stop, 0), "/bin/x");
    assert_string_equal(conf_command_argument(stop, 1), "{id} of {host}");
    assert_string_equal(conf_command_argument(stop, 2), "");
    assert_string_equal(conf_command_argument(stop, 3), "a{b c}d0");
    assert_int_equal(conf->hooks[CONF_HOOK_BACKUP].count, 1);
    assert_int_equal(conf->hooks[CONF_HOOK_START].count, 0);
    assert_string_equal(conf->expected_version, "3.9.4");
    conf_free(conf);
    check_reload(world, text[0], text[0], true, "");
    check_reload(world, text[0], text[1], true, "migration.hooks");
    check_reload(world, text[0], text[1], false, "");
}

static void a_new_secret_in_the_same_file_is_a_change(void **state)
{
    const struct world *world = *state;
    char text[256];
    char refusals[64];
    (void)snprintf(text, sizeof(text), MINIMAL "credentials: {super_file: %s}\n", world->super_file);
    struct conf *old = load(world, text);
    put(world->super_file, "super:other\n", 0600);
    struct conf *new = load(world, text);
    conf_reload_refusals(old, new, true, refusals, sizeof(refusals));
    assert_string_equal(refusals, "credentials.super_file");
    conf_reload_refusals(old, new, false, refusals, sizeof(refusals));
    assert_string_equal(refusals, "");
    conf_free(old);
    conf_free(new);
    put(world->super_file, "super:admin\n", 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_designs_example_loads),
        cmocka_unit_test(defaults_complete_a_minimal_file),
        cmocka_unit_test(the_full_example_names_every_key_and_its_default),
        cmocka_unit_test(lists_and_spellings_are_understood),
        cmocka_unit_test(a_line_that_leads_back_is_refused),
        cmocka_unit_test(binds_are_addresses_of_this_host),
        cmocka_unit_test(files_that_cannot_be_read_are_refused),
        cmocka_unit_test(the_super_file_must_be_private),
        cmocka_unit_test(the_super_file_holds_one_line),
        cmocka_unit_test(the_longest_secret_and_no_newline_are_fine),
        cmocka_unit_test(reload_refuses_what_needs_a_restart),
        cmocka_unit_test(who_leaves_is_a_set),
        cmocka_unit_test(hooks_are_lists_of_arguments),
        cmocka_unit_test(a_new_secret_in_the_same_file_is_a_change),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
