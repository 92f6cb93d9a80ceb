/* Every kind of problem with its exact text. Input is a file's text, output all lines of the report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_int.h"

#define S1        "server.1=10.0.0.1:2888:3888;2181"
#define S2        "server.2=10.0.0.2:2888:3888;2181"
#define SOURCE    "source: \"" S1 "\"\n"
#define MIGRATION "credentials: {super_file: /x}\n"
#define SERVERS_ALLOWED                                                                                      \
    "allowed is `|` and lines server.ID=HOST:PORT:PORT[:participant|observer];[HOST:]PORT, ID 0 to "         \
    "2147483647"
#define LISTENERS_ALLOWED                                                                                    \
    "allowed is a list of 1 to 16 HOST:PORT or {address: HOST:PORT, guard: hide|proxy|pass}, HOST numeric, " \
    "IPv6 in brackets"
#define HOOKS_ALLOWED                                                                                        \
    "{start|stop|restart|backup: [/PROGRAM, ARGUMENT, ...]} with {id}, {host} and {client_port} in "         \
    "arguments, at most 16 of 1023 bytes together"
#define TOP_NAMES                                                                                            \
    "listen, workers, state_dir, source, target, credentials, migration, bind, guard, words, limits, "       \
    "probes, state_root"

struct error_case {
    const char *input;
    const char *expected;
};

static const struct error_case syntax_cases[] = {
    {"", "f:1: source: is missing, " SERVERS_ALLOWED},
    {"# nothing\n", "f:1: source: is missing, " SERVERS_ALLOWED},
    {"- a\n", "f:1: the file is not a mapping, allowed is KEY: VALUE lines"},
    {SOURCE "workers: [1\nx: 2\n", "f:3: column 2: did not find expected ',' or ']', allowed is valid YAML"},
    {SOURCE "workers: \xff\n", "f:2: invalid leading UTF-8 octet, allowed is UTF-8 text"},
    {SOURCE "workers: &a 1\nstate_dir: *a\n",
     "f:3: an alias (*name) is not supported, allowed is the value itself"},
    {SOURCE "workers: !!int 1\n", "f:2: a tag (!name) is not supported, allowed is the plain value"},
    {SOURCE "---\na: b\n---\nc: d\n", "f:2: a second document begins, allowed is one per file"},
    {SOURCE "workers: [[[[[[[[x]]]]]]]]\n", "f:2: is nested too deep, allowed are 8 levels"},
    {SOURCE "? [a]\n: b\n", "f:2: a key is not a word, allowed is KEY: VALUE"},
    {SOURCE "state_dir: \"a\\0b\"\n", "f:2: state_dir: has a NUL byte, allowed is text"},
};

static const struct error_case key_cases[] = {
    {SOURCE "wrokers: 1\n", "f:2: wrokers: unknown key, did you mean workers?"},
    {SOURCE "listen: {\"admin\\e\": x}\n", "f:2: listen.admin?: unknown key, did you mean listen.admin?"},
    {SOURCE "super_file: /x\n", "f:2: super_file: unknown key, did you mean credentials.super_file?"},
    {SOURCE "listen.admin: x\n", "f:2: listen.admin: unknown key, allowed here is " TOP_NAMES},
    {SOURCE "probes: {quite_another: 1}\n",
     "f:2: probes.quite_another: unknown key, allowed here is interval, plan_interval, timeout, "
     "admin_server_port"},
    {SOURCE "workers: 1\nworkers: 2\n", "f:3: workers: is given twice (first on line 2), allowed is once"},
    {SOURCE "limits: {sessions: 1}\nlimits: {sessions: 2}\n",
     "f:3: limits: is given twice (first on line 2), allowed is once"},
    {SOURCE "credentials: user:secret\n",
     "f:2: credentials: is not a section, allowed is a mapping with super_file"},
    {SOURCE "guard:\n", "f:2: guard: is not a section, allowed is a mapping with config_node"},
    {"workers: 1\n", "f:1: source: is missing, " SERVERS_ALLOWED},
    {SOURCE "credentials: {super_file: /x}\nmigration: {lag: 1s}\n",
     "f:3: migration.kind: is missing, allowed is one of migrate, expand, shrink, replace, rolling"},
};

static const struct error_case value_cases[] = {
    {SOURCE "workers: many\n", "f:2: workers: \"many\" is not a whole number, allowed is 0 to 1024"},
    {SOURCE "workers: -1\n", "f:2: workers: \"-1\" is not a whole number, allowed is 0 to 1024"},
    {SOURCE "workers: 1025\n", "f:2: workers: \"1025\" is out of range, allowed is 0 to 1024"},
    {SOURCE "workers:\n", "f:2: workers: has no value, allowed is 0 to 1024"},
    {SOURCE "workers: ~\n", "f:2: workers: has no value, allowed is 0 to 1024"},
    {SOURCE "workers: [1]\n", "f:2: workers: is not a single value, allowed is 0 to 1024"},
    {SOURCE "probes: {timeout: 5}\n",
     "f:2: probes.timeout: \"5\" has no unit (ms, s, m, h), allowed is 50ms to 1m"},
    {SOURCE "probes: {timeout: fast}\n",
     "f:2: probes.timeout: \"fast\" is not a duration, allowed is 50ms to 1m"},
    {SOURCE "probes: {timeout: 1h}\n", "f:2: probes.timeout: \"1h\" is out of range, allowed is 50ms to 1m"},
    {SOURCE "limits: {client_buffer: 1g}\n",
     "f:2: limits.client_buffer: \"1g\" is not a size, allowed is 4k to 64m"},
    {SOURCE "limits: {client_buffer: 1}\n",
     "f:2: limits.client_buffer: \"1\" is out of range, allowed is 4k to 64m"},
    {SOURCE "limits: {request_bytes: 2048m}\n",
     "f:2: limits.request_bytes: \"2048m\" is out of range, allowed is 0 to 1024m"},
    {SOURCE "limits: {reply_bytes: 65535}\n",
     "f:2: limits.reply_bytes: \"65535\" is too small, allowed is 0 (the servers decide), or 64k and more"},
    {SOURCE "limits: {whole_bytes: 0}\n",
     "f:2: limits.whole_bytes: \"0\" is out of range, allowed is 1m to 256m"},
    {SOURCE "guard: {config_node: hid}\n",
     "f:2: guard.config_node: \"hid\" is not known, allowed is one of hide, proxy, pass"},
    {SOURCE "state_root: a/b\n", "f:2: state_root: \"a/b\" is not a path of a znode, allowed is an absolute "
                                 "path without a trailing slash, at most 255 bytes"},
    {SOURCE "state_root: /a/\n", "f:2: state_root: \"/a/\" is not a path of a znode, allowed is an absolute "
                                 "path without a trailing slash, at most 255 bytes"},
    {SOURCE "listen: {admin: \"0.0.0.0:9181\"}\n",
     "f:2: listen.admin: \"0.0.0.0:9181\" is not a loopback address (there is no access control yet), "
     "allowed is HOST:PORT with a loopback HOST (127.0.0.1, [::1])"},
    {SOURCE "listen: {admin: \"9181\"}\n",
     "f:2: listen.admin: \"9181\" is not HOST:PORT, allowed is HOST:PORT with a loopback HOST (127.0.0.1, "
     "[::1])"},
};

static const struct error_case list_cases[] = {
    {SOURCE "words: ruok\n",
     "f:2: words: \"ruok\" is not a list, allowed is a list of ruok, isro, srvr, stat, mntr, conf, cons"},
    {SOURCE "words: [ruok,\n  wchs]\n",
     "f:3: words: \"wchs\" is not known, allowed is a list of ruok, isro, srvr, stat, mntr, conf, cons"},
    {SOURCE "words: [stat, stat]\n",
     "f:2: words: \"stat\" is given twice, allowed is a list of ruok, isro, srvr, stat, mntr, conf, cons"},
    {SOURCE "words: [[stat]]\n",
     "f:2: words: is not a plain entry, allowed is a list of ruok, isro, srvr, stat, mntr, conf, cons"},
    {SOURCE "bind: {source: [zk1]}\n",
     "f:2: bind.source: \"zk1\" is not a numeric address, allowed is a list "
     "of at most 32 numeric addresses of this host"},
    {SOURCE "bind: {target: [\"::\"]}\n", "f:2: bind.target: \"::\" is a wildcard, allowed is a list of at "
                                          "most 32 numeric addresses of this host"},
    {SOURCE "bind: {target: [\"::1\", \"0::1\"]}\n",
     "f:2: bind.target: \"0::1\" is given twice, allowed is a list of at most 32 numeric addresses of this "
     "host"},
    {SOURCE "listen: {clients: []}\n",
     "f:2: listen.clients: is not a list with an entry, " LISTENERS_ALLOWED},
    {SOURCE "listen: {clients: {a: b}}\n", "f:2: listen.clients: is not a list, " LISTENERS_ALLOWED},
    {SOURCE "listen:\n  clients:\n    - \"::1:2181\"\n",
     "f:4: listen.clients: \"::1:2181\" needs brackets around its IPv6 address, " LISTENERS_ALLOWED},
    {SOURCE "listen:\n  clients:\n    - {guard: hide}\n",
     "f:4: listen.clients: is not an entry with an address, " LISTENERS_ALLOWED},
    {SOURCE "listen:\n  clients:\n    - {address: \"[::]:1\", tls: yes}\n",
     "f:4: listen.clients: is not address or guard, given once, " LISTENERS_ALLOWED},
    {SOURCE "listen:\n  clients:\n    - {address: \"[::]:1\", guard: none}\n",
     "f:4: listen.clients: \"none\" is not a known guard, " LISTENERS_ALLOWED},
    {SOURCE "listen:\n  clients:\n    - \"0.0.0.0:1\"\n    - \"10.0.0.1:1\"\n",
     "f:5: listen.clients: 10.0.0.1 port 1 is taken by an earlier entry, allowed is each address once"},
    {SOURCE "listen:\n  clients: [\"0.0.0.0:7\"]\n  admin: \"127.0.0.1:7\"\n",
     "f:3: listen.clients: 0.0.0.0 port 7 is listen.admin's, allowed is each address once"},
    {"listen: {clients: [\"127.0.0.1:7\", \"10.0.0.1:2181\"]}\n" SOURCE,
     "f:2: source: server.1 has zkferry's own client port as its client address, allowed is the server's "
     "own"},
    {SOURCE "listen: {clients: [\"0.0.0.0:7\", \"10.9.9.9:2181\"]}\ntarget: |\n"
            "  server.4=10.0.0.4:2888:3888;10.0.0.4:7\n  server.5=10.0.0.5:2888:3888;localhost:7\n",
     "f:5: target: server.5 has zkferry's own client port as its client address, allowed is the server's "
     "own"},
    {SOURCE "listen:\n  admin: \"127.0.0.1:2181\"\n",
     "f:3: listen.clients: 0.0.0.0 port 2181 is listen.admin's, allowed is each address once"},
};

static const struct error_case server_cases[] = {
    {"source: |\n", "f:1: source: has no value, " SERVERS_ALLOWED},
    {"source: |\n  # none\n\n", "f:1: source: has no server lines, " SERVERS_ALLOWED},
    {"source: []\n", "f:1: source: is not a single value, " SERVERS_ALLOWED},
    {"source: |\n  " S1 "\n\n  # comment\n  server.2=10.0.0.2:2888:3888\n  version=100000000\n",
     "f:5: source: server.2 has no client port, allowed is ...;[HOST:]PORT at the line's end"},
    {"source: |\n  " S2 "\n  " S1 "\n  server.2=10.0.0.3:2888:3888;2181\n",
     "f:4: source: server.2 is given twice (first on line 2), allowed is each id once"},
    {"source: |\n  server.1=0.0.0.0:2888:3888;2181\n",
     "f:2: source: server.1 has the wildcard 0.0.0.0 as quorum address, allowed is an address that the other "
     "servers reach"},
    {"source: |\n  server.2=10.0.0.1:2888:3888;2181\n  " S1 "\n",
     "f:3: source: server.1 has the quorum address of server.2 (line 2), allowed is an address of its own"},
    {"source: |\n  server.2=[::1]:2888:3888;2181\n  server.1=[0:0:0:0:0:0:0:1]:2888:3888;2181\n",
     "f:3: source: server.1 has the quorum address of server.2 (line 2), allowed is an address of its own"},
    {"source: |\n  server.1=[::1]:2888:3888;2181\ntarget: |\n  server.1=[0:0:0:0:0:0:0:1]:2888:3888;2181\n",
     "f:4: target: server.1 is also in source (line 2), allowed is each server on one side"},
    {SOURCE "target: |\n  " S1 "\n",
     "f:3: target: server.1 is also in source (line 1), allowed is each server on one side"},
    {SOURCE "target: |\n  server.1=10.0.0.9:2888:3888;2181\n",
     "f:3: target: server.1 has a new address but the id of a source server (line 1), allowed is an id that "
     "no source server has"},
};

#define TARGET2 "target: |\n  server.2=10.0.0.2:2888:3888;2181\n"

static const struct error_case migration_cases[] = {
    {SOURCE MIGRATION "migration: {kind: migrate}\n",
     "f:3: target: is missing, allowed is at least one server when migration.kind is migrate"},
    {SOURCE MIGRATION "migration: {kind: expand}\n",
     "f:3: target: is missing, allowed is at least one server when migration.kind is expand"},
    {SOURCE MIGRATION "migration: {kind: replace, leaving: [1]}\n",
     "f:3: target: is missing, allowed is at least one server when migration.kind is replace"},
    {SOURCE "migration: {kind: rolling}\n",
     "f:2: credentials.super_file: is missing, allowed is a file of mode 0600 with one line user:password (a "
     "plan needs it)"},
    {SOURCE MIGRATION "migration: {kind: migrat}\n",
     "f:3: migration.kind: \"migrat\" is not known, allowed is one of migrate, expand, shrink, replace, "
     "rolling"},
    {SOURCE MIGRATION "migration: {kind: shrink}\n", "f:3: migration.leaving: is missing, allowed is at "
                                                     "least one id of source when migration.kind is shrink"},
    {SOURCE MIGRATION "migration: {kind: shrink, leaving: []}\n",
     "f:3: migration.leaving: is missing, allowed is at least one id of source when migration.kind is "
     "shrink"},
    {SOURCE MIGRATION "migration: {kind: shrink, leaving: [one]}\n",
     "f:3: migration.leaving: \"one\" is not an id, allowed is a list of ids of servers in source"},
    {SOURCE MIGRATION "migration: {kind: shrink, leaving: [-1]}\n",
     "f:3: migration.leaving: \"-1\" is not an id, allowed is a list of ids of servers in source"},
    {SOURCE MIGRATION "migration: {kind: shrink, leaving: [1]}\n",
     "f:3: migration.leaving: names all of source, allowed is to leave some"},
    {SOURCE TARGET2 MIGRATION "migration: {kind: shrink, leaving: [1, 1]}\n",
     "f:2: target: is given, allowed is none when migration.kind is shrink\n"
     "f:5: migration.leaving: \"1\" is given twice, allowed is a list of ids of servers in source\n"
     "f:5: migration.leaving: names all of source, allowed is to leave some"},
    {SOURCE TARGET2 MIGRATION "migration: {kind: replace, leaving: [2]}\n",
     "f:5: migration.leaving: 2 is no server of source, allowed is a list of ids of servers in source"},
    {SOURCE TARGET2 "  server.3=10.0.0.3:2888:3888;2181\n" MIGRATION
                    "migration:\n  kind: replace\n  leaving: [1]\n",
     "f:8: migration.leaving: names 1 servers, allowed is as many as target has (2) when migration.kind is "
     "replace"},
    {SOURCE TARGET2 MIGRATION "migration: {kind: expand, leaving: [1]}\n",
     "f:5: migration.leaving: is given, allowed is [] when migration.kind is expand"},
    {SOURCE TARGET2 MIGRATION "migration: {kind: rolling}\n",
     "f:2: target: is given, allowed is none when migration.kind is rolling"},
    {SOURCE MIGRATION "migration: {kind: rolling, expected_version: new}\n",
     "f:3: migration.expected_version: \"new\" is not a version, allowed is a version as `srvr` shows it, "
     "without what follows a dash: 3.9.4"},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: [/x]}\n",
     "f:3: migration.hooks: is not a single value, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: /x}\n",
     "f:3: migration.hooks: \"/x\" is not a map, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {reboot: [/x]}}\n",
     "f:3: migration.hooks: is not start, stop, restart or backup, given once, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {stop: [/x], stop: [/y]}}\n",
     "f:3: migration.hooks: is not start, stop, restart or backup, given once, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {stop: /x}}\n",
     "f:3: migration.hooks: is not a list of arguments, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {stop: []}}\n",
     "f:3: migration.hooks: is not a list with a program, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {stop: [/x, [y]]}}\n",
     "f:3: migration.hooks: is not a plain argument, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {stop: [systemctl, stop]}}\n",
     "f:3: migration.hooks: \"systemctl\" is not an absolute path of a program, allowed is " HOOKS_ALLOWED
     "\nf:3: migration.hooks: \"stop\" is not an absolute path of a program, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, hooks: {stop: [/x, \"{port}\"]}}\n",
     "f:3: migration.hooks: \"{port}\" has an unknown placeholder, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION
     "migration: {kind: rolling, hooks: {stop: [/x, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]}}\n",
     "f:3: migration.hooks: \"q\" is more than a command may have, allowed is " HOOKS_ALLOWED},
    {SOURCE MIGRATION "migration: {kind: rolling, confirm: [add]}\n",
     "f:3: migration.confirm: \"add\" is not known, allowed is a list of switch, remove, finish"},
};

static void check_cases(const struct error_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct conf *conf = NULL;
        struct conf_problems problems = {0};
        enum rc rc = conf_parse_text("f", zkp_slice_str(cases[i].input), CONF_SECRETS_SKIP, &conf, &problems);
        if (rc != RC_INVALID)
            fail_msg("accepted: %s", cases[i].input);
        assert_string_equal(problems.text, cases[i].expected);
        assert_null(conf);
        conf_problems_done(&problems);
    }
}

#define TABLE_TEST(name)                                                                                     \
    static void name##_say_what_is_allowed(void **state)                                                     \
    {                                                                                                        \
        (void)state;                                                                                         \
        check_cases(name##_cases, sizeof(name##_cases) / sizeof(name##_cases[0]));                           \
    }
TABLE_TEST(syntax)
TABLE_TEST(key)
TABLE_TEST(value)
TABLE_TEST(list)
TABLE_TEST(server)
TABLE_TEST(migration)

static void everything_is_reported_in_the_files_order(void **state)
{
    (void)state;
    static const struct error_case all = {
        "limits: {sessions: 0}\nwrokers: 3\nsource: |\n  server.1=0.0.0.0:1:2;3\nprobes: {interval: x}\n",
        "f:1: limits.sessions: \"0\" is out of range, allowed is 1 to 1000000\n"
        "f:2: wrokers: unknown key, did you mean workers?\n"
        "f:4: source: server.1 has the wildcard 0.0.0.0 as quorum address, allowed is an address that the "
        "other servers reach\n"
        "f:5: probes.interval: \"x\" is not a duration, allowed is 100ms to 10m"};
    check_cases(&all, 1);
}

static void a_broken_server_line_is_named_with_its_line(void **state)
{
    (void)state;
    static const char text[] = "source: |\n  " S1 "\n  server.2=10.0.0.2\ntarget: |\n  nonsense\n";
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    assert_int_equal(conf_parse_text("f", zkp_slice_str(text), CONF_SECRETS_SKIP, &conf, &problems),
                     RC_INVALID);
    assert_int_equal(problems.count, 2);
    assert_ptr_equal(strstr(problems.text, "f:3: source: "), problems.text);
    assert_non_null(strstr(problems.text, "\nf:5: target: "));
    conf_problems_done(&problems);
}

static void the_number_of_problems_is_bounded(void **state)
{
    (void)state;
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof(text), "words:\n");
    for (uint32_t i = 0; i < CONF_PROBLEMS_MAX + 5; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "  - w%u\n", i);
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    assert_int_equal(conf_parse_text("f", zkp_slice_str(text), CONF_SECRETS_SKIP, &conf, &problems),
                     RC_INVALID);
    assert_int_equal(problems.count, CONF_PROBLEMS_MAX + 1);
    assert_non_null(strstr(problems.text, "\nf: 6 more problems are not shown")); /* five, and no source */
    conf_problems_done(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_say_what_is_allowed),
        cmocka_unit_test(key_say_what_is_allowed),
        cmocka_unit_test(value_say_what_is_allowed),
        cmocka_unit_test(list_say_what_is_allowed),
        cmocka_unit_test(server_say_what_is_allowed),
        cmocka_unit_test(migration_say_what_is_allowed),
        cmocka_unit_test(everything_is_reported_in_the_files_order),
        cmocka_unit_test(a_broken_server_line_is_named_with_its_line),
        cmocka_unit_test(the_number_of_problems_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
