/* Server lines and config texts: printed forms come back unchanged, and every refusal says why. */
#include "zkproto/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured.h"

static struct zkp_server parse(const char *line)
{
    struct zkp_server server;
    struct err err;
    enum rc rc = zkp_server_parse(zkp_slice_str(line), &server, &err);
    if (rc != RC_OK)
        print_error("%s: %s\n", line, err.text);
    assert_int_equal(rc, RC_OK);
    return server;
}

static void check_printed(const char *line, const char *expected)
{
    struct zkp_server server = parse(line);
    char buf[ZKP_SERVER_TEXT_MAX];
    uint32_t length = zkp_server_format(&server, buf, sizeof buf);
    assert_string_equal(buf, expected);
    assert_int_equal(length, strlen(expected));
    assert_int_equal(zkp_server_format(&server, buf, length), 0); /* no room for the NUL */
    assert_int_equal(zkp_server_format(&server, buf, 0), 0);
}

static void printed_forms_come_back(void **state)
{
    (void)state;
    const char *const lines[] = {
        "server.1=127.0.0.1:21101:21201:participant;127.0.0.1:21001",
        "server.255=zk-1.example_x:2888:3888:observer;0.0.0.0:2181",
        "server.4=[0:0:0:0:0:0:0:1]:1:65535:participant;[::]:2181",
        "server.4=[fe80::1%eth0]:2888:3888:participant",
        "server.4=a:1:2:participant|b:3:4:participant|[::1]:5:6:participant;2181",
        "server.0=h:2:1:participant;*:2181",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        check_printed(lines[i], lines[i]);
}

static void other_spellings_get_the_printed_form(void **state)
{
    (void)state;
    check_printed("server.1=h:2888:3888", "server.1=h:2888:3888:participant");
    check_printed(" server.1 = h:2888:3888:OBSERVER ; 2181 \r", "server.1=h:2888:3888:observer;2181");
    check_printed("server.1=a:1:2|b:3:4:observer", "server.1=a:1:2:observer|b:3:4:observer");
}

static void fields_are_where_they_belong(void **state)
{
    (void)state;
    struct zkp_server server = parse("server.7=a:1:2:observer|[::1]:3:4;[::]:2181");
    assert_int_equal(server.id, 7);
    assert_int_equal(server.role, ZKP_ROLE_OBSERVER);
    assert_int_equal(server.address_count, 2);
    assert_string_equal(server.addresses[0].host, "a");
    assert_int_equal(server.addresses[0].quorum_port, 1);
    assert_int_equal(server.addresses[0].election_port, 2);
    assert_string_equal(server.addresses[1].host, "::1");
    assert_string_equal(server.client_host, "::");
    assert_int_equal(server.client_port, 2181);
}

static void bad_lines_are_refused_with_a_reason(void **state)
{
    (void)state;
    const struct {
        const char *line;
        const char *reason;
    } cases[] = {
        {"", "expected server.<id>="},
        {"server.1", "expected server.<id>="},
        {"server.=h:1:2", "expected server.<id>="},
        {"server.-1=h:1:2", "expected server.<id>="},
        {"server.2147483648=h:1:2", "expected server.<id>="},
        {"serve.1=h:1:2", "expected server.<id>="},
        {"server.1=", "server.1: expected <host>"},
        {"server.1=;2181", "server.1: expected <host>"},
        {"server.1=h", "expected <host>:<quorum port>"},
        {"server.1=:1:2", "expected <host>:<quorum port>"},
        {"server.1=h:1", "must be 1 to 65535"},
        {"server.1=h:0:2", "must be 1 to 65535"},
        {"server.1=h:1:65536", "must be 1 to 65535"},
        {"server.1=h:1:99999999999999999999999", "must be 1 to 65535"},
        {"server.1=h:1:x", "must be 1 to 65535"},
        {"server.1=h:1:2:leader", "role must be participant or observer"},
        {"server.1=h:1:2:participant:3", "role must be participant or observer"},
        {"server.1=a:1:2:participant|b:1:2:observer", "same role"},
        {"server.1=a:1:2|b:1:2|c:1:2|d:1:2|e:1:2", "more than 4 addresses"},
        {"server.1=a:1:2||b:1:2", "expected <host>:<quorum port>"},
        {"server.1=h:1:2;", "client port must be"},
        {"server.1=h:1:2;0", "client port must be"},
        {"server.1=h:1:2;c:", "client port must be"},
        {"server.1=h:1:2;c d:2181", "expected ;[<client host>:]<client port>"},
        {"server.1=h:1:2;1:2:3", "client port must be"},
        {"server.1=::1:1:2", "expected <host>:<quorum port>"},
        {"server.1=[::1:1:2", "expected <host>:<quorum port>"},
        {"server.1=[::1]1:2", "expected <host>:<quorum port>"},
        {"server.1=[]:1:2", "expected <host>:<quorum port>"},
        {"server.1=[h]:1:2", "expected <host>:<quorum port>"},
        {"server.1=h/x:1:2", "expected <host>:<quorum port>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zkp_server server = {.id = 77};
        struct err err = {.text = ""};
        assert_int_not_equal(zkp_server_parse(zkp_slice_str(cases[i].line), &server, &err), RC_OK);
        if (!strstr(err.text, cases[i].reason))
            fail_msg("%s: %s", cases[i].line, err.text);
        assert_int_equal(server.id, 77);
        assert_int_not_equal(zkp_server_parse(zkp_slice_str(cases[i].line), &server, NULL), RC_OK);
    }
}

static void hosts_have_a_longest_length(void **state)
{
    (void)state;
    char line[ZKP_HOST_MAX + 32], host[ZKP_HOST_MAX + 1];
    memset(host, 'h', sizeof host);
    host[ZKP_HOST_MAX - 1] = '\0';
    snprintf(line, sizeof line, "server.1=%s:1:2", host);
    assert_string_equal(parse(line).addresses[0].host, host);
    struct zkp_server server;
    snprintf(line, sizeof line, "server.1=h%s:1:2", host);
    assert_int_equal(zkp_server_parse(zkp_slice_str(line), &server, NULL), RC_INVALID);
}

static void clients_go_where_the_server_listens(void **state)
{
    (void)state;
    struct zkp_server server = parse("server.1=q:1:2;c:2181");
    assert_string_equal(zkp_server_client_host(&server), "c");
    server = parse("server.1=q:1:2;2181");
    assert_string_equal(zkp_server_client_host(&server), "q");
    server = parse("server.1=q:1:2;0.0.0.0:2181");
    assert_string_equal(zkp_server_client_host(&server), "q");
    server = parse("server.1=q:1:2;[0:0:0:0:0:0:0:0]:2181");
    assert_string_equal(zkp_server_client_host(&server), "q");
    server = parse("server.1=q:1:2");
    assert_null(zkp_server_client_host(&server));
}

static void wildcards(void **state)
{
    (void)state;
    const char *const yes[] = {"", "*", "0.0.0.0", "::", "0:0:0:0:0:0:0:0", "0::0"};
    const char *const no[] = {"127.0.0.1", "::1", "h", "0.0.0.0.0", "0.0.0.1"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(zkp_host_is_wildcard(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(zkp_host_is_wildcard(no[i]));
}

static struct zkp_config config(const char *text)
{
    struct zkp_config parsed;
    struct err err = {.text = ""};
    enum rc rc = zkp_config_parse(zkp_slice_str(text), &parsed, &err);
    if (rc != RC_OK)
        print_error("%s\n", err.text);
    assert_int_equal(rc, RC_OK);
    return parsed;
}

static void a_config_is_sorted_and_complete(void **state)
{
    (void)state;
    struct zkp_config parsed =
        config("\nserver.3=c:1:2:observer;2181\r\n# comment\nunknown=1\n"
               "server.1=a:1:2:participant;2181\n\nserver.2=b:1:2;2181\nversion=100000242");
    assert_int_equal(parsed.server_count, 3);
    for (int32_t id = 1; id <= 3; id++) {
        assert_int_equal(parsed.servers[id - 1].id, id);
        assert_ptr_equal(zkp_config_find(&parsed, id), &parsed.servers[id - 1]);
    }
    assert_null(zkp_config_find(&parsed, 4));
    assert_int_equal(zkp_config_voters(&parsed), 2);
    assert_true(parsed.has_version);
    assert_true(parsed.version == 0x100000242);
    assert_false(parsed.is_hierarchical);
    assert_true(config("group.1=1:2\nserver.1=a:1:2").is_hierarchical);
    assert_true(config("weight.1=1\nserver.1=a:1:2").is_hierarchical);
}

static void an_empty_config_is_a_standalone_servers(void **state)
{
    (void)state;
    struct zkp_config parsed = config("");
    assert_int_equal(parsed.server_count, 0);
    assert_false(parsed.has_version);
    assert_int_equal(zkp_config_voters(&parsed), 0);
}

static void bad_configs_name_their_line(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"server.1=a:1:2\nserver.1=b:1:2\n", "line 2: server.1 stands there twice"},
        {"\nserver.1=a:1\n", "line 2: server.1: \"a:1\""},
        {"version=0x1\n", "line 1: version=0x1: expected a hexadecimal number"},
        {"version=\n", "line 1: version="},
        {"version=11111111111111111\n", "line 1: version="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zkp_config parsed = {.server_count = 77};
        struct err err = {.text = ""};
        assert_int_not_equal(zkp_config_parse(zkp_slice_str(cases[i].text), &parsed, &err), RC_OK);
        if (!strstr(err.text, cases[i].reason))
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(parsed.server_count, 77);
    }
}

static void a_config_has_room_for_64(void **state)
{
    (void)state;
    char text[8192] = "";
    size_t used = 0;
    for (unsigned id = ZKP_SERVERS_MAX; id > 0; id--) /* descending: the worst order for the sorting */
        used += (size_t)snprintf(text + used, sizeof text - used, "server.%u=h%u:1:2\n", id, id);
    struct zkp_config parsed = config(text);
    assert_int_equal(parsed.server_count, ZKP_SERVERS_MAX);
    assert_int_equal(parsed.servers[0].id, 1);
    assert_int_equal(parsed.servers[ZKP_SERVERS_MAX - 1].id, ZKP_SERVERS_MAX);
    snprintf(text + used, sizeof text - used, "server.65=h:1:2\n");
    assert_int_equal(zkp_config_parse(zkp_slice_str(text), &parsed, NULL), RC_TOO_BIG);
}

static void same_members(void **state)
{
    (void)state;
    const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"server.1=a:1:2;2181\nserver.2=b:1:2\nversion=1", "server.2=b:1:2\nserver.1=a:1:2;0.0.0.0:2181",
         true},
        {"server.1=a:1:2|b:1:2", "server.1=b:1:2|A:1:2", true},
        {"server.1=[::1]:1:2", "server.1=[0:0:0:0:0:0:0:1]:1:2", true},
        {"server.1=[::ffff:10.0.0.1]:1:2", "server.1=10.0.0.1:1:2", true},
        {"server.1=zk1.example.:1:2", "server.1=ZK1.example:1:2", true},
        {"server.1=[fe80::1%eth0]:1:2", "server.1=[fe80:0:0:0:0:0:0:1%eth0]:1:2", true},
        {"server.1=[fe80::1%eth0]:1:2", "server.1=[fe80:0:0:0:0:0:0:1%eth1]:1:2", false},
        {"server.1=[fe80::1%eth0]:1:2", "server.1=[fe80::1]:1:2", false},
        {"server.1=[::10.0.0.1]:1:2", "server.1=10.0.0.1:1:2", false},
        {"server.1=[::1]:1:2", "server.1=localhost:1:2", false},
        {"server.1=a:1:2;[::]:2181", "server.1=a:1:2;*:2181", true},
        {"", "", true},
        {"server.1=a:1:2", "server.2=a:1:2", false},
        {"server.1=a:1:2", "server.1=a:1:2\nserver.2=b:1:2", false},
        {"server.1=a:1:2", "server.1=a:2:1", false},
        {"server.1=a:1:2", "server.1=a:1:2:observer", false},
        {"server.1=a:1:2", "server.1=a:1:2;2181", false},
        {"server.1=a:1:2;2181", "server.1=a:1:2;2182", false},
        {"server.1=a:1:2;c:2181", "server.1=a:1:2;2181", false},
        {"server.1=a:1:2;c:2181", "server.1=a:1:2;d:2181", false},
        {"server.1=a:1:2|b:1:2", "server.1=a:1:2|c:1:2", false},
        {"server.1=a:1:2|a:1:2", "server.1=a:1:2|c:1:2", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zkp_config a = config(cases[i].a), b = config(cases[i].b);
        if (zkp_config_same_members(&a, &b) != cases[i].is_same ||
            zkp_config_same_members(&b, &a) != cases[i].is_same)
            fail_msg("%s <-> %s", cases[i].a, cases[i].b);
    }
}

static void a_recorded_membership_is_read(void **state)
{
    (void)state;
    struct zkp_config parsed = config(strstr(CAPTURED_CONF_LEADER, "server.1"));
    assert_int_equal(parsed.server_count, 3);
    assert_int_equal(zkp_config_voters(&parsed), 3);
    assert_true(parsed.version == 0x100000000);
    char buf[ZKP_SERVER_TEXT_MAX];
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(zkp_server_format(&parsed.servers[i], buf, sizeof buf) > 0);
        assert_non_null(strstr(CAPTURED_CONF_LEADER, buf));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_forms_come_back),
        cmocka_unit_test(other_spellings_get_the_printed_form),
        cmocka_unit_test(fields_are_where_they_belong),
        cmocka_unit_test(bad_lines_are_refused_with_a_reason),
        cmocka_unit_test(hosts_have_a_longest_length),
        cmocka_unit_test(clients_go_where_the_server_listens),
        cmocka_unit_test(wildcards),
        cmocka_unit_test(a_config_is_sorted_and_complete),
        cmocka_unit_test(an_empty_config_is_a_standalone_servers),
        cmocka_unit_test(bad_configs_name_their_line),
        cmocka_unit_test(a_config_has_room_for_64),
        cmocka_unit_test(same_members),
        cmocka_unit_test(a_recorded_membership_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
