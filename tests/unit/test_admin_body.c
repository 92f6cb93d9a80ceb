/* Bodies of POSTs: what is taken, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/admin/admin_int.h"

static struct px_admin_args args;
static struct err err;

static enum rc parse(const char *body)
{
    return px_admin_body_parse(body, strlen(body), &args, &err);
}

static void test_nothing_is_an_empty_object(void **state)
{
    static const char *const bodies[] = {"", " \r\n", "{}"};

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        memset(&args, 0x55, sizeof args);
        assert_int_equal(parse(bodies[i]), RC_OK);
        assert_string_equal(args.plan_id, "");
        assert_string_equal(args.phase, "");
        assert_int_equal(args.accept_count, 0);
        assert_int_equal(args.server_count, 0);
        assert_string_equal(args.from, "");
    }
}

static void test_all_keys(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"plan_id\":\"p-1\",\"phase\":\"switch\",\"accept\":[\"a\",\"b\"]}"), RC_OK);
    assert_string_equal(args.plan_id, "p-1");
    assert_string_equal(args.phase, "switch");
    assert_int_equal(args.accept_count, 2);
    assert_string_equal(args.accept[1], "b");
    assert_int_equal(parse("{\"servers\":[4,0,2147483647],\"from\":\"/a/b\"}"), RC_OK);
    assert_int_equal(args.server_count, 3);
    assert_int_equal(args.servers[2], 2147483647);
    assert_string_equal(args.from, "/a/b");
}

static void test_refusals_say_why_and_leave_the_output(void **state)
{
    static const struct {
        const char *body;
        enum rc rc;
        const char *text;
    } rows[] = {
        {"[]", RC_MALFORMED, "the body must be a JSON object"},
        {"{\"plan_id\":", RC_MALFORMED, "line 1:"},
        {"{} x", RC_MALFORMED, "line 1:"},
        {"{\"plan_id\":\"a\\u0000b\"}", RC_MALFORMED, "line 1:"},
        {"{\"phase\":\"a\",\"phase\":\"b\"}", RC_MALFORMED, "duplicate"},
        {"{\"plan\":\"a\"}", RC_INVALID, "unknown key \"plan\", allowed are"},
        {"{\"plan_id\":7}", RC_INVALID, "\"plan_id\" must be a string"},
        {"{\"accept\":\"a\"}", RC_INVALID, "must be a list"},
        {"{\"accept\":[1]}", RC_INVALID, "must be a string"},
        {"{\"servers\":4}", RC_INVALID, "must be a list of server ids"},
        {"{\"servers\":[\"4\"]}", RC_INVALID, "must be a list of server ids"},
        {"{\"servers\":[-1]}", RC_INVALID, "must be a list of server ids"},
        {"{\"servers\":[2147483648]}", RC_INVALID, "must be a list of server ids"},
        {"{\"from\":[]}", RC_INVALID, "\"from\" must be a string"},
        {"{\"phase\":\"0123456789012345678901234567890123456789\"}", RC_TOO_BIG, "longer than 31 bytes"},
    };

    (void)state;
    (void)strcpy(args.phase, "kept");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse(rows[i].body), rows[i].rc);
        assert_non_null(strstr(err.text, rows[i].text));
        assert_string_equal(args.phase, "kept");
    }
}

static void test_the_list_has_a_limit(void **state)
{
    char body[8 * (PX_ADMIN_ACCEPT_MAX + 4)] = "{\"accept\":[\"a\"";

    (void)state;
    for (uint32_t i = 1; i < PX_ADMIN_ACCEPT_MAX; i++)
        (void)strcat(body, ",\"a\"");
    (void)strcat(body, "]}");
    assert_int_equal(parse(body), RC_OK);
    assert_int_equal(args.accept_count, PX_ADMIN_ACCEPT_MAX);
    body[strlen(body) - 2] = '\0';
    (void)strcat(body, ",\"a\"]}");
    assert_int_equal(parse(body), RC_TOO_BIG);
}

static void test_hosts(void **state)
{
    static const char *const good[] = {"127.0.0.1:9181", "localhost:9181", "LocalHost:9181", "[::1]:9181",
                                       "10.0.0.5:9181"};
    static const char *const bad[] = {"",
                                      "evil.example:9181",
                                      "127.0.0.1:9182",
                                      "127.0.0.1",
                                      "localhost:",
                                      "[::1",
                                      "[::1]x:9181",
                                      "::1",
                                      "127.0.0.1:0x23dd",
                                      "[localhost]:9181",
                                      "127.0.0.1.nip.io:9181",
                                      "localhost:9181:9181",
                                      "127.1:9181"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(px_admin_host_is_local(good[i], 9181));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(px_admin_host_is_local(bad[i], 9181));
    assert_true(px_admin_host_is_local("localhost", 80)); /* the scheme's own port is not written */
    assert_true(px_admin_host_is_local("127.0.0.1:5", 0));
}

static void test_origins(void **state)
{
    (void)state;
    assert_true(px_admin_origin_is_ours("http://127.0.0.1:9181", "127.0.0.1:9181"));
    assert_false(px_admin_origin_is_ours("http://127.0.0.1:9182", "127.0.0.1:9181"));
    assert_false(px_admin_origin_is_ours("https://127.0.0.1:9181", "127.0.0.1:9181"));
    assert_false(px_admin_origin_is_ours("http://evil.example", "127.0.0.1:9181"));
    assert_false(px_admin_origin_is_ours("null", "127.0.0.1:9181"));
    assert_false(px_admin_origin_is_ours("", "127.0.0.1:9181"));
}

static void test_numbers_of_a_query(void **state)
{
    static const char *const wrong[] = {"", "x", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"};
    uint64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(px_admin_query_number(wrong[i], &number), RC_INVALID);
    assert_int_equal(number, 7);
    assert_int_equal(px_admin_query_number("0", &number), RC_OK);
    assert_int_equal(number, 0);
    assert_int_equal(px_admin_query_number("1763722500001", &number), RC_OK);
    assert_true(number == 1763722500001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_a_query),
        cmocka_unit_test(test_nothing_is_an_empty_object),
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_refusals_say_why_and_leave_the_output),
        cmocka_unit_test(test_the_list_has_a_limit),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
